/* core/kantord/admin_http.c -- /metrics and /healthz on the admin listener
 *
 * GET and HEAD of two paths, one request a connection: just enough for Prometheus and a load balancer on a listener
 * that is bound to loopback unless configured. It is not the HTTP server of the calendars and the console (core/http, a
 * later issue) and must not grow into it.
 */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "core/kantord/internal.h"
#include "core/metrics.h"

enum { HEAD_MAX_BYTES = 8192, ROOM_LEAST = 4 * 1024 * 1024 };

static struct error http_open(struct connection *c)
{
    (void)c;
    return OK;
}

static void reply(struct connection *c, const char *status, const char *type, struct slice body, int head_only)
{
    buffer_printf(&c->out,
                  "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
                  "close\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n",
                  status, type, body.n);
    if (!head_only)
        buffer_add(&c->out, body);
}

static enum frame http_frame(struct connection *c)
{
    struct slice in = buffer_slice(&c->in);
    if (memmem(in.p, in.n, "\r\n\r\n", 4))
        return FRAME_WORKER;
    if (in.n < HEAD_MAX_BYTES)
        return FRAME_MORE;
    reply(c, "431 Request Header Fields Too Large", "text/plain", SLICE("the head is too large\n"), 0);
    return FRAME_CLOSE;
}

/* The writer runs and the disk takes a commit. */
static struct error is_alive(struct sql *db, void *arg)
{
    (void)arg;
    return setting_set(db, 0, SLICE("healthz"), SLICE("1"));
}

/* What a person who is paged does first. */
static const char *remedy(enum error_code code)
{
    switch (code) {
    case ERROR_FULL:
        return "the disk is full; make room, the server goes on by itself";
    case ERROR_CORRUPT:
        return "the store is damaged; run `kantorctl check`";
    case ERROR_BUSY:
        return "too many changes wait for the disk";
    case ERROR_IO:
        return "the store is not writable; look at the disk and the log";
    default:
        return "the store does not take changes";
    }
}

/* A small commit fits into room that the store's log has already: a disk without room for a mail is full all the same.
 */
static struct error has_room(const struct server *server)
{
    struct statvfs s;
    if (statvfs(store_path(server->store), &s) != 0)
        return error_make(ERROR_IO, "the data folder cannot be looked at");
    return (uint64_t)s.f_bavail * s.f_frsize < ROOM_LEAST ? error_make(ERROR_FULL, "less than 4 MB are free") : OK;
}

static void healthz(struct connection *c, int head_only)
{
    struct server *server = net_user(c->net);
    struct error e = store_change(server->store, is_alive, NULL);
    if (e.code == ERROR_NONE)
        e = has_room(server);
    if (e.code == ERROR_NONE)
        reply(c, "200 OK", "text/plain", SLICE("ok\n"), head_only);
    else
        reply(c, "503 Service Unavailable", "text/plain",
              slice_of(arena_printf(&c->arena, "%s: %s\n", remedy(e.code), e.text ? e.text : error_word(e.code))),
              head_only);
}

static enum run http_run(struct connection *c)
{
    struct slice line = slice_first(buffer_slice(&c->in), slice_find(buffer_slice(&c->in), '\r'));
    int head_only = slice_starts(line, SLICE("HEAD "));
    struct slice path = slice_after(line, head_only ? 5 : 4);
    path = slice_first(path, slice_find(path, ' '));
    if (!head_only && !slice_starts(line, SLICE("GET "))) {
        reply(c, "405 Method Not Allowed", "text/plain", SLICE("GET and HEAD only\n"), 0);
    } else if (slice_eq(path, SLICE("/metrics"))) {
        struct buffer b = {0};
        metrics_write(&b);
        reply(c, "200 OK", "text/plain; version=0.0.4; charset=utf-8", buffer_slice(&b), head_only);
        buffer_free(&b);
    } else if (slice_eq(path, SLICE("/healthz"))) {
        healthz(c, head_only);
    } else {
        reply(c, "404 Not Found", "text/plain", SLICE("there is /metrics and /healthz\n"), head_only);
    }
    buffer_take(&c->in, buffer_length(&c->in));
    return RUN_CLOSE;
}

static void http_close(struct connection *c)
{
    (void)c;
}

const struct protocol admin_http_protocol = {
    .name = "http", .open = http_open, .frame = http_frame, .run = http_run, .close = http_close};
