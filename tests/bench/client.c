/* tests/bench/client.c -- one blocking connection of the load program: see client.h */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_SIZE = 256 * 1024, OUT_SIZE = 64 * 1024 };

struct client {
    int fd;
    SSL *ssl;
    char *in, *out;
    size_t start, end, gathered;
    uint64_t received;
};

_Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static SSL_CTX *tls_context;

static void tls_start(void)
{
    tls_context = SSL_CTX_new(TLS_client_method());
    if (tls_context == NULL) die("no TLS");
    SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
}

static void tls_connect(struct client *c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, tls_start);
    c->ssl = SSL_new(tls_context);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1) die("TLS handshake failed");
}

struct client *client_open(const char *host, int port, enum client_mode mode)
{
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL) die("out of memory");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) die("not an IPv4 address: %s", host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect to %s:%d: %s", host, port, strerror(errno));
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (mode == CLIENT_TLS) tls_connect(c);
    return c;
}

void client_close(struct client *c)
{
    if (c == NULL) return;
    SSL_free(c->ssl);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void send_all(struct client *c, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = c->ssl ? SSL_write(c->ssl, p, n > 1 << 20 ? 1 << 20 : (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && c->ssl == NULL && errno == EINTR) continue;
        if (sent <= 0) die("the server closed the connection while we were sending");
        p += sent;
        n -= (size_t)sent;
    }
}

void client_flush(struct client *c)
{
    if (c->gathered == 0) return;
    send_all(c, c->out, c->gathered);
    c->gathered = 0;
}

void client_write(struct client *c, const void *bytes, size_t n)
{
    if (c->out == NULL && (c->out = malloc(OUT_SIZE)) == NULL) die("out of memory");
    if (n > OUT_SIZE - c->gathered) client_flush(c);
    if (n > OUT_SIZE) {
        send_all(c, bytes, n);
        return;
    }
    memcpy(c->out + c->gathered, bytes, n);
    c->gathered += n;
}

void client_print(struct client *c, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text) die("command too long");
    client_write(c, text, (size_t)n);
}

static void fill(struct client *c)
{
    client_flush(c);
    if (c->in == NULL && (c->in = malloc(IN_SIZE)) == NULL) die("out of memory");
    if (c->start == c->end) c->start = c->end = 0;
    if (c->end == IN_SIZE) {
        if (c->start == 0) die("line longer than %d bytes", IN_SIZE);
        memmove(c->in, c->in + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    ssize_t got;
    do {
        got = c->ssl ? SSL_read(c->ssl, c->in + c->end, (int)(IN_SIZE - c->end)) : recv(c->fd, c->in + c->end, IN_SIZE - c->end, 0);
    } while (got < 0 && c->ssl == NULL && errno == EINTR);
    if (got <= 0) die("the server closed the connection while we waited for a reply");
    c->end += (size_t)got;
    c->received += (uint64_t)got;
}

const char *client_line(struct client *c, size_t *n)
{
    size_t looked = 0;
    for (;;) {
        char *from = c->in + c->start;
        char *end = c->end - c->start > looked ? memchr(from + looked, '\n', c->end - c->start - looked) : NULL;
        if (end != NULL) {
            *n = (size_t)(end - from);
            c->start += *n + 1;
            if (*n > 0 && from[*n - 1] == '\r') --*n;
            return from;
        }
        looked = c->end - c->start;
        fill(c);
    }
}

void client_skip(struct client *c, size_t n)
{
    while (n > 0) {
        if (c->start == c->end) fill(c);
        size_t here = c->end - c->start < n ? c->end - c->start : n;
        c->start += here;
        n -= here;
    }
}

void client_skip_dot(struct client *c)
{
    for (;;) {
        size_t n;
        const char *line = client_line(c, &n);
        if (n == 1 && line[0] == '.') return;
    }
}

uint64_t client_received(const struct client *c) { return c->received; }

int client_descriptor(const struct client *c)
{
    return c->fd;
}

void client_park(struct client *c)
{
    client_flush(c);
    free(c->in);
    free(c->out);
    c->in = c->out = NULL;
    c->start = c->end = c->gathered = 0;
}
