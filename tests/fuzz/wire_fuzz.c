/* tests/fuzz/wire_fuzz.c -- what core/net reads before a protocol sees it: PROXY headers (first byte even) and DEFLATE (odd), over a pair of sockets */
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/net/internal.h"
#include "tests/fuzz/target.h"

static void proxy(struct connection *c)
{
    enum flow f = proxy_read(c);
    promise(memchr(c->peer, '\0', sizeof c->peer) != NULL);
    promise(f != FLOW_DONE || (c->peer_port >= 0 && c->peer_port <= 65535));
    (void)proxy_trusts("10.0.0.0/8, ::1, 2001:db8::/33, 0.0.0.0/0, x/1", c->peer);
}

/* As drive.c reads: the input is taken and more is asked for. Gigabytes from a few bytes are the sender's right; memory is ours. */
static void inflate_all(struct connection *c)
{
    promise(stream_compress(c).code == ERROR_NONE);
    for (int i = 0; i < 2000 && stream_read(c) == FLOW_DONE; i++) {
        promise(buffer_length(&c->in) <= CONNECTION_INPUT_MAX);
        if (buffer_length(&c->in) == CONNECTION_INPUT_MAX || i % 3 == 0)
            buffer_clear(&c->in);
    }
    (void)inflateEnd(&c->inner->compress->inflate);
    buffer_free(&c->inner->compress->raw);
    buffer_free(&c->inner->compress->wire);
    free(c->inner->compress);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size < 1 || size > 64 * 1024 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 0;
    log_setup(2, LOG_ERROR);
    struct connection_inner inner = {.fd = pair[0]};
    struct connection c = {.inner = &inner, .peer = "10.1.2.3", .id = "fuzz"};
    promise(size == 1 || write(pair[1], data + 1, size - 1) == (ssize_t)size - 1);
    (void)shutdown(pair[1], SHUT_WR);
    if (data[0] & 1)
        inflate_all(&c);
    else
        proxy(&c);
    buffer_free(&c.in);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}
