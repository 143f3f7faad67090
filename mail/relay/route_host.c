/* mail/relay/route_host.c -- the addresses of a host, and which of them are never tried (attacks.md SO-08) */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "mail/relay/route_host.h"

#include "core/cleanup.h"

static struct route_address address_four(const void *bytes, unsigned port)
{
    struct route_address x = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *to = (struct sockaddr_in *)&x.to;
    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)port);
    memcpy(&to->sin_addr, bytes, 4);
    return x;
}

static struct route_address address_six(const void *bytes, unsigned port)
{
    struct route_address x = {.length = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *to = (struct sockaddr_in6 *)&x.to;
    to->sin6_family = AF_INET6;
    to->sin6_port = htons((uint16_t)port);
    memcpy(&to->sin6_addr, bytes, 16);
    return x;
}

bool route_literal(struct slice text, struct route_address *out, unsigned port)
{
    char word[INET6_ADDRSTRLEN + 1];
    unsigned char bytes[16];
    if (text.n < 3 || text.p[0] != '[' || text.p[text.n - 1] != ']')
        return false;
    text = slice_make(text.p + 1, text.n - 2);
    bool six = slice_starts_nocase(text, SLICE("IPv6:"));
    if (six)
        text = slice_after(text, 5);
    if (text.n >= sizeof word || memchr(text.p, 0, text.n))
        return false;
    memcpy(word, text.p, text.n);
    word[text.n] = 0;
    if (inet_pton(six ? AF_INET6 : AF_INET, word, bytes) != 1)
        return false;
    *out = six ? address_six(bytes, port) : address_four(bytes, port);
    return true;
}

enum kind { KIND_GOOD, KIND_LOOPBACK, KIND_NEVER };

static enum kind kind_of_four(const unsigned char *b)
{
    if (b[0] == 127)
        return KIND_LOOPBACK;
    return b[0] == 0 || b[0] >= 224 || (b[0] == 169 && b[1] == 254) ? KIND_NEVER : KIND_GOOD;
}

static enum kind kind_of(const struct route_address *x)
{
    if (x->to.ss_family == AF_INET) {
        unsigned char b[4];
        memcpy(b, &((const struct sockaddr_in *)&x->to)->sin_addr, sizeof b);
        return kind_of_four(b);
    }
    const struct in6_addr *six = &((const struct sockaddr_in6 *)&x->to)->sin6_addr;
    if (IN6_IS_ADDR_LOOPBACK(six))
        return KIND_LOOPBACK;
    if (IN6_IS_ADDR_V4MAPPED(six) || IN6_IS_ADDR_V4COMPAT(six))
        return kind_of_four(six->s6_addr + 12);
    bool never = IN6_IS_ADDR_UNSPECIFIED(six) || IN6_IS_ADDR_LINKLOCAL(six) || IN6_IS_ADDR_MULTICAST(six);
    return never ? KIND_NEVER : KIND_GOOD;
}

/* Which address would we send from? The same: it is this machine's. Nothing is sent; right also where foreign addresses can be bound. */
static bool is_own(const struct sockaddr *address)
{
    struct sockaddr_storage from;
    socklen_t n = sizeof from;
    bool six = address->sa_family == AF_INET6;
    SCOPED(file_close) int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, address, six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) != 0 || getsockname(fd, (struct sockaddr *)&from, &n) != 0)
        return false;
    if (six)
        return IN6_ARE_ADDR_EQUAL(&((struct sockaddr_in6 *)&from)->sin6_addr, &((const struct sockaddr_in6 *)address)->sin6_addr);
    return ((struct sockaddr_in *)&from)->sin_addr.s_addr == ((const struct sockaddr_in *)address)->sin_addr.s_addr;
}

bool route_refused(const struct route *r, const struct route_address *x, unsigned port)
{
    enum kind kind = kind_of(x);
    if (kind == KIND_NEVER)
        return true;
    if (r->rules.allow_loopback || (r->by_hand && port != (unsigned)r->rules.own_port)) /* another program of this machine */
        return false;
    if (kind == KIND_LOOPBACK)
        return true;
    return (r->rules.is_own ? r->rules.is_own : is_own)((const struct sockaddr *)&x->to);
}

static size_t take(struct route *r, const struct dns_answer *answer, size_t bytes, unsigned port, size_t most, struct route_address *out)
{
    size_t n = 0;
    for (size_t i = 0; i < answer->n && n < most; i++) {
        if (answer->records[i].data.n != bytes)
            continue;
        out[n] = bytes == 4 ? address_four(answer->records[i].data.p, port) : address_six(answer->records[i].data.p, port);
        if (route_refused(r, &out[n], port))
            r->looped = true;
        else
            n++;
    }
    return n;
}

static bool is_found(const struct dns_answer *x)
{
    return x->status == DNS_FOUND && x->n > 0;
}

struct error route_host_addresses(struct route *r, struct route_host *h, const struct dns_answer *six, const struct dns_answer *four, size_t most)
{
    struct route_address *all = arena_zero(&r->arena, 2 * most, sizeof *all);
    if (!all)
        return error_make(ERROR_MEMORY, "no memory for addresses");
    if (six->status == DNS_TEMPERROR || four->status == DNS_TEMPERROR)
        r->unknown = true;
    struct route_address *other = all + most;
    size_t n_four = take(r, four, 4, h->port, most, other);
    size_t room = most - (n_four < most / 2 ? n_four : most / 2); /* many of one kind leave room for the other */
    h->n = take(r, six, 16, h->port, room, all);
    for (size_t i = 0; i < n_four && h->n < most; i++)
        all[h->n++] = other[i];
    h->addresses = all;
    h->secure = h->secure && (is_found(six) || is_found(four)) && (!is_found(six) || six->secure) && (!is_found(four) || four->secure);
    return OK;
}
