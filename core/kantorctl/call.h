/* core/kantorctl/call.h -- a request to the server, running or stopped
 *
 * A running server answers on its control socket. When none listens, the same code answers in a thread of this process,
 * on the files: the store's lock says that nobody else uses them. Either way there is a socket with frames on it, so
 * nothing else here knows the difference.
 */
#ifndef KANTOR_CORE_KANTORCTL_CALL_H
#define KANTOR_CORE_KANTORCTL_CALL_H

#include <pthread.h>

#include "core/kantord/frames.h"
#include "core/options.h"
#include "core/server.h"

struct call {
    struct frames frames;
    int fd, peer; /* peer: the other end, when this process answers */
    int started;
    pthread_t thread;
    struct server server;
    struct arena *arena;
    int status; /* of the result, once it came */
    int answered;
    struct buffer *text; /* where text goes; NULL: standard output */
    int64_t notes;
    void (*note)(void *arg, struct slice json); /* a message that was refused; NULL: is not shown */
    void (*progress)(void *arg, struct slice json);
    void *arg;
};

/* *call is usable after OK; call_close always. The error's text is a sentence. */
struct error call_open(const struct config *c, struct arena *a, struct call *call);
void call_close(struct call *call);
/* `secret` p NULL: none. */
struct error call_request(struct call *call, char **words, int n, struct slice secret);
/* Takes the frames that are there (or, `wait`, at least one): text to standard output, an error to standard error, the
 * rest to the functions above. A frame of an export is given back: *kind FRAME_FILE, FRAME_MESSAGE, FRAME_DATA,
 * FRAME_MESSAGE_END; else *kind 0. answered: the result has come. */
struct error call_next(struct call *call, enum frame_kind *kind, struct slice *bytes);
/* Until the result; its status. */
int call_finish(struct call *call);

#endif
