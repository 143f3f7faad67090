/* core/net/outgoing.c -- connections that we open */
#include "core/net/outgoing.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/internal.h"

static struct error bind_source(int fd, const struct sockaddr_storage *from)
{
    socklen_t n = from->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (from->ss_family == 0 || bind(fd, (const struct sockaddr *)from, n) == 0)
        return OK;
    return error_make(ERROR_IO, "the source address is not this machine's");
}

struct error outgoing_open(struct net *n, const struct outgoing_peer *o, void *session)
{
    int fd = socket(o->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_make(errno == EMFILE || errno == ENFILE ? ERROR_BUSY : ERROR_IO, "no socket");
    struct error e = bind_source(fd, &o->from);
    struct connection *c = e.code == ERROR_NONE ? connection_new(n, o->listener, fd, &o->to) : NULL;
    if (!c) {
        (void)close(fd);
        return e.code == ERROR_NONE ? error_make(ERROR_BUSY, "no more connections") : e;
    }
    c->outgoing = 1;
    c->session = session;
    if (o->idle_ms)
        c->idle_ms = o->idle_ms;
    c->inner->phase = PHASE_CONNECT;
    c->inner->to = o->to;
    c->inner->to_length = o->to_length;
    if (!connection_enter(c)) {
        connection_discard(c);
        return error_make(ERROR_BUSY, "too many connections");
    }
    connection_launch(c); /* its loop makes the first step: connect(2) */
    return OK;
}
