/* mail/filter/peer.c */
#include "mail/filter/peer.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/net/outgoing.h"

enum { IDLE_MS = 8 * 3600 * 1000, PIECE = 64 * 1024, LOW = 128 * 1024 };

struct peer {
    struct buffer out, in; /* all under `lock` */
    struct connection *c;  /* once it stands; NULL behind its end */
    bool over, leaving, linked;
    int owners;
    void (*wake)(void *arg); /* NULL: the session is gone */
    void *wake_arg;
    int64_t deadline_ms;
    struct peer *next, *before; /* of those with a deadline */
    struct buffer seen;         /* the session's: what it was shown */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all peers: a handful of short steps a message */
static struct peer *waiting;

static void unlink_peer(struct peer *p)
{
    if (!p->linked)
        return;
    if (p->before)
        p->before->next = p->next;
    else
        waiting = p->next;
    if (p->next)
        p->next->before = p->before;
    p->linked = false;
}

/* Under lock. */
static void leave(struct peer *p)
{
    if (--p->owners)
        return;
    unlink_peer(p);
    buffer_free(&p->in);
    buffer_free(&p->out);
    buffer_free(&p->seen);
    free(p);
}

static void call(struct peer *p)
{
    if (p->wake)
        p->wake(p->wake_arg);
}

/* --- the connection's side */

/* Input to the session, output to the wire. */
static enum run step(struct connection *c)
{
    struct peer *p = c->session;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    struct slice in = buffer_slice(&c->in);
    if (in.n) {
        if (buffer_length(&p->in) + in.n > PEER_IN_MAX)
            return RUN_CLOSE; /* it never ends */
        buffer_add(&p->in, in);
        buffer_take(&c->in, in.n);
        call(p);
    }
    struct slice out = slice_first(buffer_slice(&p->out), PIECE);
    bool was_full = buffer_length(&p->out) >= LOW;
    buffer_add(&c->out, out);
    buffer_take(&p->out, out.n);
    if (was_full && buffer_length(&p->out) < LOW)
        call(p);
    if (buffer_length(&p->out))
        return RUN_MORE;
    return p->leaving ? RUN_CLOSE : RUN_NEXT;
}

static struct error opened(struct connection *c)
{
    struct peer *p = c->session;
    {
        SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
        (void)held;
        if (p->leaving)
            return error_make(ERROR_CLOSED, "nobody asks any more");
        p->c = c;
    }
    connection_notice(c); /* what waits goes out by the usual way */
    return OK;
}

static enum frame frame(struct connection *c)
{
    return buffer_length(&c->in) ? FRAME_LOOP : FRAME_MORE;
}

static void closed(struct connection *c)
{
    struct peer *p = c->session;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    p->c = NULL;
    p->over = true;
    call(p);
    leave(p);
}

static const struct protocol protocol = {.name = "filter", .open = opened, .frame = frame, .run = step, .notice = step, .close = closed};
static const struct service service = {.name = "filter", .tls = TLS_NONE, .protocol = &protocol, .idle_ms = IDLE_MS};
static const struct listener listener = {.service = &service};

/* --- where it is */

static bool read_unix(struct slice path, struct outgoing_peer *o)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path.n || path.n >= sizeof to.sun_path)
        return false;
    memcpy(to.sun_path, path.p, path.n);
    memcpy(&o->to, &to, sizeof to);
    o->to_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    return true;
}

static bool read_inet(struct slice text, struct outgoing_peer *o)
{
    char host[64];
    uint64_t port;
    size_t colon = text.n;
    while (colon && text.p[colon - 1] != ':')
        colon--;
    if (!colon || !slice_number(slice_after(text, colon), 65535, &port))
        return false;
    struct slice address = slice_first(text, colon - 1);
    if (address.n > 2 && address.p[0] == '[')
        address = slice_make(address.p + 1, address.n - 2);
    if (address.n >= sizeof host)
        return false;
    memcpy(host, address.p, address.n);
    host[address.n] = '\0';
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    bool is_four = inet_pton(AF_INET, host, &four.sin_addr) == 1;
    if (!is_four && inet_pton(AF_INET6, host, &six.sin6_addr) != 1)
        return false;
    is_four ? memcpy(&o->to, &four, sizeof four) : memcpy(&o->to, &six, sizeof six);
    o->to_length = is_four ? sizeof four : sizeof six;
    return true;
}

/* --- the session's side */

struct error peer_open(struct net *n, struct slice where, void (*wake)(void *arg), void *wake_arg, struct peer **out)
{
    struct outgoing_peer o = {.listener = &listener};
    bool fine = slice_starts(where, SLICE("unix:")) ? read_unix(slice_after(where, 5), &o) : slice_starts(where, SLICE("inet:")) && read_inet(slice_after(where, 5), &o);
    if (!fine)
        return error_make(ERROR_INVALID, "a filter is written unix:/path or inet:address:port");
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return error_make(ERROR_MEMORY, "no memory for a filter");
    p->owners = 2;
    p->wake = wake;
    p->wake_arg = wake_arg;
    struct error e = outgoing_open(n, &o, p);
    if (e.code != ERROR_NONE)
        free(p);
    else
        *out = p;
    return e;
}

void peer_close(struct peer *p, struct slice last)
{
    if (!p)
        return;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    p->wake = NULL;
    p->leaving = true;
    unlink_peer(p);
    buffer_add(&p->out, last);
    if (p->c)
        connection_notice(p->c); /* alive: `closed` takes the lock first */
    leave(p);
}

bool peer_send(struct peer *p, struct slice bytes)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    if (p->over || buffer_length(&p->out) > PEER_OUT_MAX)
        return false;
    buffer_add(&p->out, bytes);
    if (p->out.failed)
        p->over = true;
    if (p->c)
        connection_notice(p->c);
    return !p->over;
}

struct slice peer_input(struct peer *p)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    buffer_add(&p->seen, buffer_slice(&p->in));
    buffer_clear(&p->in);
    return buffer_slice(&p->seen);
}

void peer_take(struct peer *p, size_t n)
{
    buffer_take(&p->seen, n);
}

bool peer_is_over(struct peer *p)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    return (p->over || p->seen.failed) && buffer_length(&p->in) == 0;
}

void peer_deadline(struct peer *p, int64_t ms)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    unlink_peer(p);
    if (!ms)
        return;
    p->deadline_ms = clock_ms() + ms;
    p->before = NULL;
    p->next = waiting;
    if (waiting)
        waiting->before = p;
    waiting = p;
    p->linked = true;
}

void peer_tick(void)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    int64_t now = clock_ms();
    for (struct peer *p = waiting, *next; p; p = next) {
        next = p->next;
        if (now < p->deadline_ms)
            continue;
        unlink_peer(p);
        p->over = true;
        call(p);
    }
}
