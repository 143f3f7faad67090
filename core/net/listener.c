/* core/net/listener.c -- ports, and the birth and death of connections */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/net/internal.h"

enum { BACKLOG = 1024, ACCEPTS_IN_A_ROW = 64, PAUSE_MS = 100 };

static const struct {
    const char *protocol;
    enum metric metric;
} counters[] = {{"smtp", METRIC_CONNECTIONS_SMTP}, {"lmtp", METRIC_CONNECTIONS_LMTP}, {"imap", METRIC_CONNECTIONS_IMAP}, {"pop3", METRIC_CONNECTIONS_POP3}, {"http", METRIC_CONNECTIONS_HTTP}};

static void count_connection(const struct service *service)
{
    const char *name = strcmp(service->name, "lmtp") == 0 ? "lmtp" : service->protocol->name;
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        if (strcmp(counters[i].protocol, name) == 0)
            metric_add(counters[i].metric, 1);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct connection *c = arg;
    (void)fd;
    (void)what;
    drive_wake(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    drive_expired(arg);
}

static void set_address(const struct sockaddr_storage *from, char *text, size_t size, int *port, int *loopback)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
    if (from->ss_family == AF_UNIX) { /* only outgoing */
        (void)snprintf(text, size, "local");
    } else if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
        (void)inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, text, (socklen_t)size);
        *port = ntohs(six->sin6_port);
        *loopback = six->sin6_addr.s6_addr[12] == 127;
    } else if (from->ss_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &six->sin6_addr, text, (socklen_t)size);
        *port = ntohs(six->sin6_port);
        *loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    } else {
        (void)inet_ntop(AF_INET, &four->sin_addr, text, (socklen_t)size);
        *port = ntohs(four->sin_port);
        *loopback = (ntohl(four->sin_addr.s_addr) >> 24) == 127;
    }
}

/* Under net->lock. */
static int enter_address(struct net *n, struct connection *c)
{
    uint64_t key = guard_address_key(c->peer);
    int64_t limit = c->loopback ? n->options.max_per_address_loopback : n->options.max_per_address;
    if (guard_count(&n->by_address, key) >= limit || !guard_enter(&n->by_address, key))
        return 0;
    c->inner->address_key = key;
    return 1;
}

/* A proxy's connections count for the client that its header will name. */
int connection_enter(struct connection *c)
{
    struct net *n = c->net;
    struct connection_inner *in = c->inner;
    static const char letters[] = "0123456789abcdefghijkmnpqrstuvwxyz";
    (void)pthread_mutex_lock(&n->lock);
    int fits = !atomic_load(&n->stopping) && atomic_load(&n->count) < n->options.max_connections && (in->phase == PHASE_PROXY || c->outgoing || enter_address(n, c));
    if (fits) {
        uint64_t id = n->next_id++;
        for (int i = 0; i < 9; i++, id /= 34)
            c->id[8 - i] = letters[id % 34];
        in->list_next = n->connections;
        if (n->connections)
            n->connections->inner->list_prev = c;
        n->connections = c;
        in->counted = 1;
        atomic_fetch_add(&n->count, 1);
    }
    (void)pthread_mutex_unlock(&n->lock);
    return fits;
}

static void say_refused(const struct connection *c, int fd)
{
    metric_add(METRIC_CONNECTIONS_REFUSED, 1);
    LOG_EVENT(LOG_WARN, "connection-refused", LOG_WORD("service", c->listener->service->name), LOG_WORD("peer", c->peer), LOG_WORD("why", "too many connections"));
    const char *name = c->protocol->name, *text = NULL;
    if (c->listener->service->tls != TLS_IMPLICIT) {
        if (strcmp(name, "smtp") == 0)
            text = "421 4.7.0 Too many connections, try again later\r\n";
        else if (strcmp(name, "imap") == 0)
            text = "* BYE [UNAVAILABLE] Too many connections, try again later\r\n";
        else if (strcmp(name, "pop3") == 0)
            text = "-ERR [SYS/TEMP] Too many connections, try again later\r\n";
    }
    if (text)
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int connection_count_address(struct connection *c)
{
    struct net *n = c->net;
    (void)pthread_mutex_lock(&n->lock);
    int fits = enter_address(n, c);
    (void)pthread_mutex_unlock(&n->lock);
    if (!fits)
        say_refused(c, c->inner->fd);
    return fits;
}

/* When the first of its deadlines may be over. */
static int64_t first_look_ms(const struct connection *c)
{
    const struct service *s = c->listener->service;
    int64_t ms = c->idle_ms < HANDSHAKE_MS ? c->idle_ms : HANDSHAKE_MS, login = s->login_ms, total = s->total_ms;
    if (login && login < ms)
        ms = login;
    return total && total < ms ? total : ms;
}

struct connection *connection_new(struct net *n, const struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct connection *c = calloc(1, sizeof *c);
    struct connection_inner *in = calloc(1, sizeof *in);
    if (!c || !in || atomic_load(&n->stopping)) {
        free(c);
        free(in);
        return NULL;
    }
    c->inner = in;
    c->listener = listener;
    c->protocol = listener->service->protocol;
    c->net = n;
    c->idle_ms = in->idle_before_ms = listener->service->idle_ms;
    arena_init(&c->arena, ARENA_REQUEST_MAX);
    set_address(peer, c->peer, sizeof c->peer, &c->peer_port, &c->loopback);
    in->fd = fd;
    atomic_init(&in->state, STATE_BUSY);
    atomic_init(&in->killed, -1);
    in->opened_ms = clock_ms();
    in->opened_at = clock_now();
    atomic_init(&in->active_ms, in->opened_ms);
    in->loop = &n->loops[atomic_fetch_add(&n->next_loop, 1U) % (unsigned)n->options.loops];
    return c;
}

void connection_discard(struct connection *c)
{
    (void)close(c->inner->fd);
    free(c->inner);
    free(c);
}

void connection_launch(struct connection *c)
{
    struct connection_inner *in = c->inner;
    int one = 1;
    (void)setsockopt(in->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(in->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    count_connection(c->listener->service);
    (void)event_assign(&in->io, in->loop->base, in->fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_io, c);
    (void)evtimer_assign(&in->timer, in->loop->base, on_timer, c);
    atomic_store(&in->timer_ms, first_look_ms(c));
    loop_post(c, POST_START | POST_DELAY);
}

static void birth(struct net *n, const struct listener *listener, int fd, const struct sockaddr_storage *from)
{
    struct connection *c = connection_new(n, listener, fd, from);
    if (!c) {
        (void)close(fd);
        return;
    }
    struct connection_inner *in = c->inner;
    in->phase = proxy_trusts(atomic_load(&n->proxy_trusted), c->peer) ? PHASE_PROXY : listener->service->tls == TLS_IMPLICIT ? PHASE_HANDSHAKE : PHASE_OPEN;
    if (!connection_enter(c)) {
        say_refused(c, fd);
        connection_discard(c);
        return;
    }
    if (in->phase == PHASE_OPEN)
        c->early_input = recv(fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    connection_launch(c);
}

void connection_destroy(struct connection *c)
{
    struct connection_inner *in = c->inner;
    struct net *n = c->net;
    (void)event_del(&in->io);
    (void)event_del(&in->timer);
    if (c->session)
        c->protocol->close(c); /* leaves its watches: no notice comes after it */
    c->session = NULL;
    (void)pthread_mutex_lock(&n->lock);
    if (in->list_prev)
        in->list_prev->inner->list_next = in->list_next;
    else
        n->connections = in->list_next;
    if (in->list_next)
        in->list_next->inner->list_prev = in->list_prev;
    if (in->address_key)
        guard_leave(&n->by_address, in->address_key);
    if (in->account)
        guard_leave(&n->by_account, (uint64_t)in->account);
    (void)pthread_mutex_unlock(&n->lock);
    if (in->ssl)
        SSL_free(in->ssl);
    (void)close(in->fd);
    if (in->compress) {
        (void)inflateEnd(&in->compress->inflate);
        if (in->compress->deflate_live)
            (void)deflateEnd(&in->compress->deflate);
        buffer_free(&in->compress->raw);
        buffer_free(&in->compress->wire);
        free(in->compress);
    }
    buffer_free(&c->in);
    buffer_free(&c->out);
    arena_free(&c->arena);
    atomic_fetch_sub(&n->count, 1);
    in->zombie = 1;
    if (atomic_load(&in->posts) != 0)
        return; /* it stands in the loop's queue once more, which frees it */
    free(in);
    free(c);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct accept_event *e = arg;
    (void)fd;
    (void)what;
    (void)event_add(&e->event, NULL);
}

/* No descriptors left (attacks.md CO-04): use the reserved one to turn the client away, then rest instead of spinning. */
static void out_of_descriptors(struct accept_event *e)
{
    struct timeval tv = {.tv_usec = PAUSE_MS * 1000};
    struct net *n = e->net;
    if (n->reserve_fd >= 0)
        (void)close(n->reserve_fd);
    int fd = accept(e->listener.fd, NULL, NULL);
    if (fd >= 0)
        (void)close(fd);
    n->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    metric_add(METRIC_CONNECTIONS_REFUSED, 1);
    (void)event_del(&e->event);
    (void)event_add(&e->pause, &tv);
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
    struct accept_event *e = arg;
    (void)what;
    for (int i = 0; i < ACCEPTS_IN_A_ROW; i++) {
        struct sockaddr_storage from = {0};
        socklen_t length = sizeof from;
        int fd = accept4((int)listening, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            birth(e->net, &e->listener, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE)
            out_of_descriptors(e);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

static struct error bind_socket(const struct service *service, const char *address, int port, struct arena *a, int *out)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1, one = 1;
    if (!is_six && inet_pton(AF_INET, address, &four.sin_addr) != 1)
        return error_make(ERROR_INVALID, arena_printf(a, "%s is not an IP address; write one like 0.0.0.0 or ::", address));
    int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_make(errno == EAFNOSUPPORT ? ERROR_UNSUPPORTED : ERROR_IO, arena_printf(a, "cannot make a socket for %s: %m", address));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (is_six)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    int bad = is_six ? bind(fd, (struct sockaddr *)&six, sizeof six) : bind(fd, (struct sockaddr *)&four, sizeof four);
    if (bad == 0 && listen(fd, BACKLOG) == 0) {
        *out = fd;
        return OK;
    }
    int why = errno;
    (void)close(fd);
    if (why == EADDRINUSE)
        return error_make(ERROR_EXISTS, arena_printf(a, "port %d (%s) on %s is in use by another program; stop that one (`ss -ltnp 'sport = :%d'` names it) or choose another base with --port-base or listen.port_base",
                                                     port, service->name, address, port));
    if (why == EACCES)
        return error_make(ERROR_DENIED, arena_printf(a, "port %d (%s) needs the right to bind ports below 1024: run under the systemd unit, or set listen.port_base", port, service->name));
    if (why == EADDRNOTAVAIL)
        return error_make(ERROR_UNSUPPORTED, arena_printf(a, "this machine has no address %s", address));
    errno = why;
    return error_make(ERROR_IO, arena_printf(a, "cannot listen on %s port %d: %m", address, port));
}

struct error net_listen(struct net *n, const struct service *service, const char *address, int port, int fd, struct arena *a)
{
    if (fd < 0)
        TRY(bind_socket(service, address, port, a, &fd));
    else
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct accept_event *e = calloc(1, sizeof *e);
    if (!e) {
        (void)close(fd);
        return error_make(ERROR_MEMORY, "no memory for a listener");
    }
    e->net = n;
    e->listener = (struct listener){.service = service, .fd = fd, .port = port};
    (void)snprintf(e->listener.address, sizeof e->listener.address, "%s", address);
    e->next = n->listeners;
    n->listeners = e;
    return OK;
}

void listener_start(struct net *n)
{
    n->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (struct accept_event *e = n->listeners; e; e = e->next) {
        (void)event_assign(&e->event, n->loops[0].base, e->listener.fd, EV_READ | EV_PERSIST, on_accept, e);
        (void)evtimer_assign(&e->pause, n->loops[0].base, on_pause_over, e);
        (void)event_add(&e->event, NULL);
    }
}

void listener_stop(struct net *n)
{
    for (struct accept_event *e = n->listeners; e; e = e->next) {
        (void)event_del(&e->event);
        (void)event_del(&e->pause);
        (void)close(e->listener.fd);
        e->listener.fd = -1;
    }
}
