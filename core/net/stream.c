/* core/net/stream.c -- bytes in and out: the socket, TLS over it, deflate over that
 *
 * Never blocks. Reading appends to c->in and keeps it below CONNECTION_INPUT_MAX also when a small packet inflates to gigabytes; what was not inflated
 * waits in its compressed form.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/metrics.h"
#include "core/net/internal.h"

enum { READ_BYTES = 16 * 1024, READ_MANY_BYTES = 64 * 1024, DEFLATE_STEP = 32 * 1024, WIRE_HIGH = 128 * 1024, INFLATE_WINDOW = -15, DEFLATE_WINDOW = -12, DEFLATE_MEMORY = 5 };

/* Raw bytes to the peer; how many it took in *n. */
static enum flow send_some(struct connection *c, struct slice s, size_t *n)
{
    struct connection_inner *in = c->inner;
    if (in->ssl) {
        ERR_clear_error(); /* the error queue belongs to the thread, the connection may have come from another */
        int ok = SSL_write_ex(in->ssl, s.p, s.n, n);
        if (ok)
            return FLOW_DONE;
        *n = 0;
        int why = SSL_get_error(in->ssl, ok);
        return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? FLOW_BLOCKED : FLOW_ENDED;
    }
    ssize_t sent = send(in->fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    *n = sent > 0 ? (size_t)sent : 0;
    if (sent > 0)
        return FLOW_DONE;
    return errno == EAGAIN || errno == EINTR ? FLOW_BLOCKED : FLOW_ENDED;
}

static enum flow send_all(struct connection *c, struct buffer *b)
{
    while (buffer_length(b)) {
        size_t n = 0;
        enum flow f = send_some(c, buffer_slice(b), &n);
        buffer_take(b, n);
        if (n) {
            metric_add(METRIC_BYTES_OUT, n);
            atomic_store_explicit(&c->inner->active_ms, clock_ms(), memory_order_relaxed);
        }
        if (f != FLOW_DONE)
            return f;
    }
    return FLOW_DONE;
}

/* Moves some of c->out into z->wire. */
static enum flow deflate_some(struct connection *c, struct compress *z)
{
    if (!z->deflate_live) {
        z->deflate = (z_stream){0};
        if (deflateInit2(&z->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW, DEFLATE_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
            return FLOW_ENDED;
        z->deflate_live = 1;
    }
    struct slice s = slice_first(buffer_slice(&c->out), DEFLATE_STEP);
    z->deflate.next_in = (Bytef *)(uintptr_t)s.p;
    z->deflate.avail_in = (uInt)s.n;
    /* a full flush at the end, so that a new stream can go on after this one was freed (notes/connection-figures.md) */
    int how = s.n == buffer_length(&c->out) ? Z_FULL_FLUSH : Z_NO_FLUSH;
    do {
        char *room = buffer_room(&z->wire, DEFLATE_STEP);
        if (!room)
            return FLOW_ENDED;
        z->deflate.next_out = (Bytef *)room;
        z->deflate.avail_out = DEFLATE_STEP;
        if (deflate(&z->deflate, how) == Z_STREAM_ERROR)
            return FLOW_ENDED;
        buffer_added(&z->wire, DEFLATE_STEP - z->deflate.avail_out);
    } while (z->deflate.avail_out == 0);
    buffer_take(&c->out, s.n);
    return FLOW_DONE;
}

enum flow stream_flush(struct connection *c)
{
    struct compress *z = c->inner->compress;
    if (c->out.failed)
        return FLOW_ENDED;
    if (!z)
        return send_all(c, &c->out);
    for (;;) {
        enum flow f = buffer_length(&z->wire) < WIRE_HIGH && buffer_length(&c->out) ? deflate_some(c, z) : FLOW_DONE;
        if (f == FLOW_DONE && (buffer_length(&z->wire) >= WIRE_HIGH || !buffer_length(&c->out)))
            f = send_all(c, &z->wire);
        if (f != FLOW_DONE || (!buffer_length(&c->out) && !buffer_length(&z->wire)))
            return f;
    }
}

static enum flow receive(struct connection *c, struct buffer *to, size_t limit)
{
    struct connection_inner *in = c->inner;
    size_t step = in->read_full ? READ_MANY_BYTES : READ_BYTES;
    if (limit > step && c->want <= step)
        limit = step;
    char *room = buffer_room(to, limit);
    if (!room)
        return FLOW_ENDED;
    size_t n = 0;
    if (in->ssl) {
        ERR_clear_error();
        int ok = SSL_read_ex(in->ssl, room, limit, &n);
        if (!ok) {
            int why = SSL_get_error(in->ssl, ok);
            return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? FLOW_BLOCKED : FLOW_ENDED;
        }
    } else {
        ssize_t got = recv(in->fd, room, limit, MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR ? FLOW_BLOCKED : FLOW_ENDED;
        if (got == 0)
            return FLOW_ENDED;
        n = (size_t)got;
    }
    buffer_added(to, n);
    in->read_full = n == limit; /* a body is coming: fewer and larger steps */
    metric_add(METRIC_BYTES_IN, n);
    return FLOW_DONE;
}

static enum flow inflate_some(struct connection *c, struct compress *z)
{
    size_t room = CONNECTION_INPUT_MAX - buffer_length(&c->in), before = buffer_length(&c->in);
    if (room > READ_BYTES)
        room = READ_BYTES;
    char *to = buffer_room(&c->in, room);
    if (!to || room == 0)
        return FLOW_ENDED;
    struct slice s = buffer_slice(&z->raw);
    z->inflate.next_in = (Bytef *)(uintptr_t)s.p;
    z->inflate.avail_in = (uInt)s.n;
    z->inflate.next_out = (Bytef *)to;
    z->inflate.avail_out = (uInt)room;
    int r = inflate(&z->inflate, Z_SYNC_FLUSH);
    buffer_take(&z->raw, s.n - z->inflate.avail_in);
    buffer_added(&c->in, room - z->inflate.avail_out);
    if (buffer_length(&c->in) > before)
        return FLOW_DONE;
    return r == Z_OK || r == Z_BUF_ERROR ? FLOW_BLOCKED : FLOW_ENDED;
}

enum flow stream_read(struct connection *c)
{
    struct compress *z = c->inner->compress;
    size_t held = buffer_length(&c->in);
    if (held >= CONNECTION_INPUT_MAX)
        return FLOW_BLOCKED;
    if (!z)
        return receive(c, &c->in, CONNECTION_INPUT_MAX - held);
    for (;;) {
        if (buffer_length(&z->raw) || z->inflate.avail_out == 0) {
            enum flow f = inflate_some(c, z); /* also when all was taken in, but more may wait inside */
            if (f != FLOW_BLOCKED)
                return f;
        }
        enum flow f = receive(c, &z->raw, READ_BYTES);
        if (f != FLOW_DONE)
            return f;
    }
}

enum flow stream_handshake(struct connection *c)
{
    ERR_clear_error();
    int ok = SSL_do_handshake(c->inner->ssl);
    if (ok == 1)
        return FLOW_DONE;
    int why = SSL_get_error(c->inner->ssl, ok);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return FLOW_BLOCKED;
    if (c->outgoing && !c->why[0]) { /* whoever asked for it tells a person */
        long verdict = SSL_get_verify_result(c->inner->ssl);
        const char *text = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : ERR_reason_error_string(ERR_peek_error());
        (void)snprintf(c->why, sizeof c->why, "the TLS handshake failed: %s", text ? text : "the other side closed the connection");
    }
    return FLOW_ENDED;
}

struct error stream_compress(struct connection *c)
{
    struct compress *z = calloc(1, sizeof *z);
    if (!z || inflateInit2(&z->inflate, INFLATE_WINDOW) != Z_OK) {
        free(z);
        return error_make(ERROR_MEMORY, "no memory for compression");
    }
    z->inflate.avail_out = 1;
    z->raw = c->in; /* what came behind the command is deflated already */
    c->in = (struct buffer){0};
    c->inner->compress = z;
    return OK;
}

void stream_park(struct connection *c)
{
    struct compress *z = c->inner->compress;
    if (!buffer_length(&c->in))
        buffer_free(&c->in);
    if (!buffer_length(&c->out) && !c->out.failed)
        buffer_free(&c->out);
    if (c->inner->phase == PHASE_READY && !c->inner->framed)
        arena_free(&c->arena);
    if (z && !buffer_length(&z->wire)) {
        buffer_free(&z->wire);
        if (!buffer_length(&z->raw))
            buffer_free(&z->raw);
        if (z->deflate_live) {
            (void)deflateEnd(&z->deflate);
            z->deflate_live = 0;
        }
    }
}

void stream_close(struct connection *c)
{
    if (c->inner->ssl) {
        ERR_clear_error();
        if (SSL_is_init_finished(c->inner->ssl))
            (void)SSL_shutdown(c->inner->ssl);
    }
    (void)shutdown(c->inner->fd, SHUT_WR);
}
