/* tests/unit/core/net/toy.h -- a toy protocol on core/net, and clients that speak it, in one process: what TSan looks at
 *
 * Lines: "echo X" answers "X" on a worker, "ping" answers "pong" on the loop, "slow" answers in steps (RUN_MORE), "tls", "compress", "park" answers "notice" when
 * toy_notice_all is called, "wait" answers after 1 ms (RUN_DELAY), "ask" asks another thread (RUN_WAIT), "bye" closes. Four loops, eight workers.
 */
#ifndef TESTS_CORE_NET_TOY_H
#define TESTS_CORE_NET_TOY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/net/service.h"

enum { TOY_LOOPS = 4, TOY_WORKERS = 8, TOY_STEPS = 20, TOY_STEP_BYTES = 40000 };

struct toy_session {
    struct toy_session *next, *prev;
    struct connection *c;
    int steps, parked, asked;
};

/* All sessions, so that the test can send notices to connections that live: a session leaves in close, as a watch does. */
static struct {
    pthread_mutex_t lock;
    struct toy_session *first;
    _Atomic int64_t opened, closed, notices;
} toy = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline struct error toy_open(struct connection *c)
{
    struct toy_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "no memory");
    s->c = c;
    c->session = s;
    (void)pthread_mutex_lock(&toy.lock);
    s->next = toy.first;
    if (toy.first)
        toy.first->prev = s;
    toy.first = s;
    (void)pthread_mutex_unlock(&toy.lock);
    atomic_fetch_add(&toy.opened, 1);
    buffer_add(&c->out, SLICE("hello\r\n"));
    return OK;
}

static inline void toy_close(struct connection *c)
{
    struct toy_session *s = c->session;
    (void)pthread_mutex_lock(&toy.lock);
    if (s->prev)
        s->prev->next = s->next;
    else
        toy.first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    (void)pthread_mutex_unlock(&toy.lock);
    atomic_fetch_add(&toy.closed, 1);
    free(s);
}

static inline enum frame toy_frame(struct connection *c)
{
    struct slice in = buffer_slice(&c->in);
    if (slice_find(in, '\n') == in.n)
        return in.n > 1000 ? FRAME_CLOSE : FRAME_MORE;
    return slice_starts(in, SLICE("ping")) ? FRAME_LOOP : FRAME_WORKER;
}

static inline enum run toy_step(struct connection *c, struct toy_session *s)
{
    char *room = buffer_room(&c->out, TOY_STEP_BYTES);
    if (!room)
        return RUN_CLOSE;
    memset(room, 'x', TOY_STEP_BYTES);
    memcpy(room + TOY_STEP_BYTES - 2, "\r\n", 2);
    buffer_added(&c->out, TOY_STEP_BYTES);
    return --s->steps > 0 ? RUN_MORE : RUN_NEXT;
}

static inline void toy_answer(void *connection)
{
    connection_answered(connection);
}

static inline enum run toy_run(struct connection *c)
{
    struct toy_session *s = c->session;
    if (s->steps > 0)
        return toy_step(c, s);
    if (s->asked) {
        s->asked = 0;
        buffer_add(&c->out, SLICE("answered\r\n"));
        return RUN_NEXT;
    }
    struct slice in = buffer_slice(&c->in), line = slice_first(in, slice_find(in, '\n'));
    size_t taken = line.n + 1;
    enum run r = RUN_NEXT;
    if (slice_starts(line, SLICE("echo "))) {
        buffer_add(&c->out, slice_after(line, 5));
        buffer_add_char(&c->out, '\n');
    } else if (slice_starts(line, SLICE("ping"))) {
        buffer_add(&c->out, SLICE("pong\r\n"));
    } else if (slice_starts(line, SLICE("slow"))) {
        s->steps = TOY_STEPS;
        r = RUN_MORE;
    } else if (slice_starts(line, SLICE("login "))) {
        struct error e = connection_login(c, 7, slice_trim(slice_after(line, 6)));
        buffer_add(&c->out, e.code == ERROR_NONE ? SLICE("in\r\n") : SLICE("limit\r\n"));
    } else if (slice_starts(line, SLICE("tls"))) {
        buffer_add(&c->out, SLICE("go\r\n"));
        r = RUN_TLS;
    } else if (slice_starts(line, SLICE("compress"))) {
        buffer_add(&c->out, SLICE("go\r\n"));
        r = RUN_COMPRESS;
    } else if (slice_starts(line, SLICE("park"))) {
        s->parked = 1;
        buffer_add(&c->out, SLICE("parked\r\n"));
        r = RUN_PARK;
    } else if (slice_starts(line, SLICE("ask"))) {
        s->asked = 1;
        if (net_submit(c->net, toy_answer, c).code != ERROR_NONE)
            return RUN_CLOSE;
        r = RUN_WAIT;
    } else if (slice_starts(line, SLICE("wait"))) {
        buffer_add(&c->out, SLICE("waited\r\n"));
        c->delay_ms = 1;
        r = RUN_DELAY;
    } else {
        buffer_add(&c->out, SLICE("bye\r\n"));
        r = RUN_CLOSE;
    }
    buffer_take(&c->in, taken);
    return r;
}

static inline enum run toy_notice(struct connection *c)
{
    struct toy_session *s = c->session;
    atomic_fetch_add(&toy.notices, 1);
    if (!s->parked)
        return RUN_NEXT;
    buffer_add(&c->out, SLICE("notice\r\n"));
    return RUN_PARK;
}

static inline void toy_farewell(struct connection *c, int reason)
{
    buffer_add(&c->out, reason == CLOSE_KILLED ? SLICE("killed\r\n") : reason == CLOSE_SHUTDOWN ? SLICE("shutdown\r\n") : SLICE("idle\r\n"));
}

static const struct protocol toy_protocol = {.name = "toy", .open = toy_open, .frame = toy_frame, .run = toy_run, .notice = toy_notice, .farewell = toy_farewell, .close = toy_close};

static inline void toy_notice_all(void)
{
    (void)pthread_mutex_lock(&toy.lock);
    for (struct toy_session *s = toy.first; s; s = s->next)
        connection_notice(s->c);
    (void)pthread_mutex_unlock(&toy.lock);
}

/* --- the server */

struct toy_server {
    struct net *net;
    struct service plain, tls;
    struct arena arena;
    int plain_port, tls_port;
    char folder[64];
};

static inline int toy_listener(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1024) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static inline struct error toy_certificate(struct toy_server *s)
{
    char command[512];
    (void)snprintf(command, sizeof command,
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s/k -out %s/c -days 2 -subj /CN=toy.example 2>/dev/null", s->folder, s->folder);
    assert_int_equal(system(command), 0);
    char chain[80], key[80];
    (void)snprintf(chain, sizeof chain, "%s/c", s->folder);
    (void)snprintf(key, sizeof key, "%s/k", s->folder);
    const struct certificate_files files = {chain, key};
    return net_certificates(s->net, &files, 1, &s->arena);
}

static inline int toy_start(void **state)
{
    struct toy_server *s = calloc(1, sizeof *s);
    struct net_options o = {.loops = TOY_LOOPS, .workers = TOY_WORKERS, .max_connections = 5000, .max_per_address = 5000, .max_per_account = 5000, .max_per_address_loopback = 5000, .max_per_account_loopback = 5000};
    assert_non_null(s);
    log_setup(2, LOG_ERROR);
    arena_init(&s->arena, 1024 * 1024);
    (void)strcpy(s->folder, "/tmp/kantor-net-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    s->plain = (struct service){.name = "toy", .tls = TLS_STARTTLS, .protocol = &toy_protocol, .idle_ms = 60000};
    s->tls = (struct service){.name = "toys", .tls = TLS_IMPLICIT, .protocol = &toy_protocol, .idle_ms = 60000};
    assert_int_equal(net_new(&o, &s->net).code, ERROR_NONE);
    assert_int_equal(toy_certificate(s).code, ERROR_NONE);
    assert_int_equal(net_listen(s->net, &s->plain, "inherited", 0, toy_listener(&s->plain_port), &s->arena).code, ERROR_NONE);
    assert_int_equal(net_listen(s->net, &s->tls, "inherited", 0, toy_listener(&s->tls_port), &s->arena).code, ERROR_NONE);
    assert_int_equal(net_start(s->net).code, ERROR_NONE);
    *state = s;
    return 0;
}

static inline int toy_stop(void **state)
{
    struct toy_server *s = *state;
    char command[128];
    net_stop(s->net, 20000);
    assert_int_equal(net_connection_count(s->net), 0);
    net_free(s->net);
    assert_int_equal(atomic_load(&toy.opened), atomic_load(&toy.closed));
    (void)snprintf(command, sizeof command, "rm -rf %s", s->folder);
    assert_int_equal(system(command), 0);
    arena_free(&s->arena);
    free(s);
    return 0;
}

/* --- a client: plain or TLS, blocking with a deadline */

struct toy_client {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    z_stream in, out;
    int compressed;
    char held[65536];
    size_t n;
};

static inline int client_open(struct toy_client *c, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval deadline = {.tv_sec = 60};
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        return 0;
    return setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) == 0;
}

static inline int client_tls(struct toy_client *c)
{
    c->context = SSL_CTX_new(TLS_client_method());
    c->ssl = c->context ? SSL_new(c->context) : NULL;
    return c->ssl && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_connect(c->ssl) == 1;
}

static inline ssize_t client_receive(struct toy_client *c, char *to, size_t room)
{
    if (c->ssl)
        return SSL_read(c->ssl, to, (int)room);
    return recv(c->fd, to, room, 0);
}

static inline int client_send_raw(struct toy_client *c, const char *p, size_t n)
{
    if (c->ssl)
        return SSL_write(c->ssl, p, (int)n) == (int)n;
    return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static inline int client_say(struct toy_client *c, const char *text)
{
    char packed[4096];
    if (!c->compressed)
        return client_send_raw(c, text, strlen(text));
    c->out.next_in = (Bytef *)(uintptr_t)text;
    c->out.avail_in = (uInt)strlen(text);
    c->out.next_out = (Bytef *)packed;
    c->out.avail_out = sizeof packed;
    return deflate(&c->out, Z_SYNC_FLUSH) == Z_OK && client_send_raw(c, packed, sizeof packed - c->out.avail_out);
}

static inline int client_compress(struct toy_client *c)
{
    c->compressed = 1;
    return deflateInit2(&c->out, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK && inflateInit2(&c->in, -15) == Z_OK;
}

static inline ssize_t client_fill(struct toy_client *c)
{
    char packed[16384];
    ssize_t got;
    if (!c->compressed) {
        got = client_receive(c, c->held + c->n, sizeof c->held - c->n);
        c->n += got > 0 ? (size_t)got : 0;
        return got;
    }
    got = client_receive(c, packed, sizeof packed < sizeof c->held - c->n ? 512 : 256);
    if (got <= 0)
        return got;
    c->in.next_in = (Bytef *)packed;
    c->in.avail_in = (uInt)got;
    c->in.next_out = (Bytef *)c->held + c->n;
    c->in.avail_out = (uInt)(sizeof c->held - c->n);
    if (inflate(&c->in, Z_SYNC_FLUSH) < 0 || c->in.avail_in)
        return -1;
    c->n = sizeof c->held - c->in.avail_out;
    return 1;
}

/* The next line without its end; 0: the server closed. */
static inline int client_line(struct toy_client *c, char *line, size_t room)
{
    for (;;) {
        char *end = memchr(c->held, '\n', c->n);
        if (end) {
            size_t n = (size_t)(end - c->held), keep = n < room - 1 ? n : room - 1;
            memcpy(line, c->held, keep);
            line[keep > 0 && line[keep - 1] == '\r' ? keep - 1 : keep] = '\0';
            c->n -= n + 1;
            memmove(c->held, end + 1, c->n);
            return 1;
        }
        if (client_fill(c) <= 0)
            return 0;
    }
}

static inline int client_hears(struct toy_client *c, const char *text)
{
    char line[64];
    return client_line(c, line, sizeof line) && strcmp(line, text) == 0;
}

static inline void client_close(struct toy_client *c)
{
    if (c->compressed) {
        (void)deflateEnd(&c->out);
        (void)inflateEnd(&c->in);
    }
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    if (c->fd >= 0)
        (void)close(c->fd);
}

#endif
