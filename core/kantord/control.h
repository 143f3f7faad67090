/* core/kantord/control.h -- where the control socket is: for the server and for kantorctl */
#ifndef KANTOR_CORE_KANTORD_CONTROL_H
#define KANTOR_CORE_KANTORD_CONTROL_H

#include <sys/un.h>

#include "core/options.h"

void control_path(const struct config *c, char *out, size_t size);
/* Fills the address; *folder is a descriptor to close afterwards, or -1. */
struct error control_address(const char *path, struct sockaddr_un *out, int *folder);

#endif
