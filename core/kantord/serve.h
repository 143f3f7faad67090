/* core/kantord/serve.h -- one request of kantorctl, from its first frame to its result
 *
 * The same function answers on the control socket of a running server and, in kantorctl itself, on a pair of sockets
 * when the server is stopped: an operation has one way to be asked.
 */
#ifndef KANTOR_CORE_KANTORD_SERVE_H
#define KANTOR_CORE_KANTORD_SERVE_H

#include <stdint.h>

#include "core/server.h"

/* Reads a request from the socket, runs it, answers. `uid` goes into the log. Thread: one of its own. */
void operation_serve(struct server *server, int fd, int64_t uid);

#endif
