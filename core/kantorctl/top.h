/* core/kantorctl/top.h -- what the server does, each second */
#ifndef KANTOR_CORE_KANTORCTL_TOP_H
#define KANTOR_CORE_KANTORCTL_TOP_H

#include "core/kantorctl/call.h"

/* once: two looks a second apart, printed once (json: one object); else until q or a signal. The exit status. */
int top_run(const struct config *c, struct arena *a, int once, int json);

#endif
