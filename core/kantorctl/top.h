/* core/kantorctl/top.h -- what the server does, each second */
#ifndef KANTOR_CORE_KANTORCTL_TOP_H
#define KANTOR_CORE_KANTORCTL_TOP_H

#include "core/kantorctl/call.h"

/* once: two looks a second apart, printed once (json: one object). Else until q or a signal. Opens calls of its own; `call` says only that the server runs. */
int top_run(struct call *call, int once, int json);

#endif
