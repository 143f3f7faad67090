/* core/net/proxy.c -- the PROXY protocol, versions 1 and 2, from peers that the configuration names
 *
 * The header is looked at in the kernel's buffer (MSG_PEEK) and taken exactly, so that what follows it (TLS or a command) is untouched.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/log.h"
#include "core/net/internal.h"
#include "core/net/network.h"

enum { V1_MAX = 107, V2_HEAD = 16, V2_MAX = 536 };

static const unsigned char v2_signature[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

static void set_peer(struct connection *c, int family, const void *address, int port)
{
    (void)inet_ntop(family, address, c->peer, sizeof c->peer);
    c->peer_port = port;
    c->loopback = 0; /* a proxy's client is never taken for a local one */
}

/* The header's length, 0 when more is needed, -1 when it is malformed. */
static int read_v2(struct connection *c, const unsigned char *p, size_t n)
{
    if (n < V2_HEAD)
        return 0;
    size_t length = (size_t)(p[14] << 8 | p[15]);
    if ((p[12] != 0x20 && p[12] != 0x21) || length > V2_MAX - V2_HEAD) /* version 2, LOCAL or PROXY */
        return -1;
    if (n < V2_HEAD + length)
        return 0;
    if (p[12] == 0x21) { /* LOCAL keeps the real address */
        const unsigned char *a = p + V2_HEAD;
        if (p[13] == 0x11 && length >= 12)
            set_peer(c, AF_INET, a, a[8] << 8 | a[9]);
        else if (p[13] == 0x21 && length >= 36)
            set_peer(c, AF_INET6, a, a[32] << 8 | a[33]);
        else if (p[13] != 0)
            return -1;
    }
    return (int)(V2_HEAD + length);
}

static int read_v1(struct connection *c, const char *p, size_t n)
{
    char line[V1_MAX + 1], family[8], source[64], target[64];
    unsigned source_port, target_port;
    const char *end = memchr(p, '\n', n < V1_MAX ? n : V1_MAX);
    if (!end)
        return n >= V1_MAX ? -1 : 0;
    size_t length = (size_t)(end - p) + 1;
    memcpy(line, p, length);
    line[length] = '\0';
    if (length < 8 || line[length - 2] != '\r')
        return -1;
    if (strncmp(line, "PROXY UNKNOWN\r", 14) == 0 || strncmp(line, "PROXY UNKNOWN ", 14) == 0)
        return (int)length;
    if (sscanf(line, "PROXY %7s %63s %63s %5u %5u\r", family, source, target, &source_port, &target_port) != 5 || source_port > 65535)
        return -1;
    struct in6_addr address;
    int kind = strcmp(family, "TCP4") == 0 ? AF_INET : strcmp(family, "TCP6") == 0 ? AF_INET6 : 0;
    if (!kind || inet_pton(kind, source, &address) != 1)
        return -1;
    set_peer(c, kind, &address, (int)source_port);
    return (int)length;
}

enum flow proxy_read(struct connection *c)
{
    unsigned char head[V2_MAX];
    ssize_t n = recv(c->inner->fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? FLOW_BLOCKED : FLOW_ENDED;
    if (n == 0)
        return FLOW_ENDED;
    size_t known = (size_t)n < sizeof v2_signature ? (size_t)n : sizeof v2_signature;
    int length = -1;
    if (memcmp(head, v2_signature, known) == 0)
        length = read_v2(c, head, (size_t)n);
    else if (head[0] == 'P')
        length = read_v1(c, (const char *)head, (size_t)n);
    if (length == 0)
        return FLOW_BLOCKED;
    if (length < 0) {
        LOG_EVENT(LOG_WARN, "proxy-header-malformed", LOG_ID(c->id), LOG_WORD("peer", c->peer));
        return FLOW_ENDED;
    }
    return recv(c->inner->fd, head, (size_t)length, MSG_DONTWAIT) == length ? FLOW_DONE : FLOW_ENDED;
}

static int to_bytes(const char *text, unsigned char out[16])
{
    struct in_addr four;
    if (inet_pton(AF_INET6, text, out) == 1)
        return 1;
    if (inet_pton(AF_INET, text, &four) != 1)
        return 0;
    memset(out, 0, 10);
    out[10] = out[11] = 0xFF;
    memcpy(out + 12, &four, 4);
    return 1;
}

/* Is the address in one of the comma-separated networks ("10.0.0.0/8, ::1")? */
int proxy_trusts(const char *networks, const char *address)
{
    unsigned char a[16], b[16];
    if (!networks || !to_bytes(address, a))
        return 0;
    for (const char *p = networks; *p;) {
        char one[64];
        size_t n = strcspn(p, ",");
        struct slice s = slice_trim(slice_make(p, n));
        size_t slash = slice_find(s, '/');
        uint64_t bits = 128;
        p += n + (p[n] == ',');
        if (slash >= sizeof one)
            continue;
        memcpy(one, s.p, slash);
        one[slash] = '\0';
        if (!to_bytes(one, b))
            continue;
        int four = memchr(one, ':', slash) == NULL;
        if (slash < s.n) {
            if (!slice_number(slice_after(s, slash + 1), four ? 32 : 128, &bits))
                continue;
            bits += four ? 96 : 0;
        }
        size_t whole = bits / 8, rest = bits % 8;
        if (memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0))
            return 1;
    }
    return 0;
}

bool network_has(const char *networks, const char *address)
{
    return proxy_trusts(networks, address) != 0;
}
