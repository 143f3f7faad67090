/* core/kantord/control.c -- the Unix socket of kantorctl: who may talk to it, and a thread for each who does
 *
 * Only root and the server's own user are served (SO_PEERCRED). What is said is serve.c's and frames.h's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/kantord/control.h"
#include "core/kantord/internal.h"
#include "core/kantord/serve.h"
#include "core/log.h"

enum { CALLERS_MAX = 32, STACK_BYTES = 1024 * 1024 };

struct caller;

struct control {
    struct kantord *k;
    int fd, stop_pipe[2];
    pthread_t thread;
    char path[4096];
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t fewer;
    struct caller *callers;
    int n_callers, stopping;
};

struct caller {
    struct control *ctl;
    int fd;
    struct caller *next;
};

static void caller_ends(struct caller *c)
{
    struct control *ctl = c->ctl;
    (void)pthread_mutex_lock(&ctl->lock);
    struct caller **at = &ctl->callers;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    (void)close(c->fd);
    free(c);
    ctl->n_callers--;
    (void)pthread_cond_broadcast(&ctl->fewer);
    (void)pthread_mutex_unlock(&ctl->lock);
}

static void *caller_main(void *arg)
{
    struct caller *c = arg;
    struct ucred who = {0};
    socklen_t length = sizeof who;
    if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && (who.uid == 0 || who.uid == geteuid()))
        operation_serve(&c->ctl->k->server, c->fd, who.uid);
    else
        LOG_EVENT(LOG_WARN, "control-refused", LOG_NUMBER("uid", who.uid));
    caller_ends(c);
    return NULL;
}

/* A thread for each: an import of an hour must not keep the administrator from looking at sessions. When too many are
 * there the next one waits in the backlog. */
static void serve(struct control *ctl, int fd)
{
    pthread_attr_t attributes;
    pthread_t thread;
    struct caller *c = calloc(1, sizeof *c);
    if (!c) {
        (void)close(fd);
        return;
    }
    *c = (struct caller){.ctl = ctl, .fd = fd};
    (void)pthread_mutex_lock(&ctl->lock);
    while (ctl->n_callers >= CALLERS_MAX && !ctl->stopping)
        (void)pthread_cond_wait(&ctl->fewer, &ctl->lock);
    c->next = ctl->callers;
    ctl->callers = c;
    ctl->n_callers++;
    (void)pthread_mutex_unlock(&ctl->lock);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, caller_main, c) != 0)
        caller_ends(c);
    (void)pthread_attr_destroy(&attributes);
}

static void *control_main(void *arg)
{
    struct control *ctl = arg;
    for (;;) {
        struct pollfd p[2] = {{.fd = ctl->fd, .events = POLLIN}, {.fd = ctl->stop_pipe[0], .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents)
            return NULL;
        int fd = p[0].revents ? accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        serve(ctl, fd);
    }
}

static struct error listen_on(struct control *ctl)
{
    struct sockaddr_un address;
    int folder;
    TRY(control_address(ctl->path, &address, &folder));
    ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(ctl->path); /* a stale one: the store's lock says that no other server runs here */
    int bad = ctl->fd < 0 || bind(ctl->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
              chmod(ctl->path, 0600) != 0 || listen(ctl->fd, 16) != 0;
    if (folder >= 0)
        (void)close(folder);
    return bad ? error_make(ERROR_IO,
                            arena_printf(&ctl->k->arena, "cannot listen on the control socket %s: %m", ctl->path))
               : OK;
}

struct error control_start(struct kantord *k)
{
    struct control *ctl = calloc(1, sizeof *ctl);
    if (!ctl)
        return error_make(ERROR_MEMORY, "no memory for the control socket");
    k->control = ctl;
    ctl->k = k;
    (void)pthread_mutex_init(&ctl->lock, NULL);
    (void)pthread_cond_init(&ctl->fewer, NULL);
    ctl->fd = ctl->stop_pipe[0] = ctl->stop_pipe[1] = -1;
    control_path(&k->config, ctl->path, sizeof ctl->path);
    TRY(listen_on(ctl));
    if (pipe2(ctl->stop_pipe, O_CLOEXEC) != 0 || pthread_create(&ctl->thread, NULL, control_main, ctl) != 0)
        return error_make(ERROR_IO, "cannot start the control thread");
    return OK;
}

/* Their sockets are shut, so an import ends after the batch that is being written; then nobody uses the store any more.
 */
static void end_callers(struct control *ctl)
{
    (void)pthread_mutex_lock(&ctl->lock);
    ctl->stopping = 1;
    for (struct caller *c = ctl->callers; c; c = c->next)
        (void)shutdown(c->fd, SHUT_RDWR);
    (void)pthread_cond_broadcast(&ctl->fewer);
    while (ctl->n_callers)
        (void)pthread_cond_wait(&ctl->fewer, &ctl->lock);
    (void)pthread_mutex_unlock(&ctl->lock);
}

void control_stop(struct kantord *k)
{
    struct control *ctl = k->control;
    if (!ctl)
        return;
    if (ctl->stop_pipe[1] >= 0) {
        (void)!write(ctl->stop_pipe[1], "x", 1);
        end_callers(ctl);
        (void)pthread_join(ctl->thread, NULL);
        end_callers(ctl);
        (void)close(ctl->stop_pipe[0]);
        (void)close(ctl->stop_pipe[1]);
    }
    if (ctl->fd >= 0) {
        (void)close(ctl->fd);
        (void)unlink(ctl->path);
    }
    free(ctl);
    k->control = NULL;
}
