/* mail/relay/route.c -- MX, then addresses; null MX, loops, literals */
#include "mail/relay/route.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"

enum { ROUTE_MEMORY = 256 * 1024 };

static void over(struct route *r, enum route_status status, const char *reply)
{
    r->status = status;
    r->reply = slice_of(reply ? reply : "451 4.3.0 no memory");
    r->n_questions = 0;
}

/* attacks.md SO-08: addresses where no server of others can be. */
static bool is_nowhere(const struct sockaddr_storage *to)
{
    if (to->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)to)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(a))
            return true;
        return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MULTICAST(a);
    }
    uint32_t a = ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr);
    return a >> 24 == 127 || a >> 24 == 0 || a >> 16 == 0xA9FE || a >> 28 >= 0xE;
}

/* False: it may not be a target. */
static bool add_target(struct route *r, struct slice name, bool secure, int family, const void *bytes)
{
    struct route_target t = {.name = name, .secure = secure};
    if (family == AF_INET6) {
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)r->port)};
        memcpy(&six.sin6_addr, bytes, 16);
        memcpy(&t.to, &six, sizeof six);
        t.to_length = sizeof six;
    } else {
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)r->port)};
        memcpy(&four.sin_addr, bytes, 4);
        memcpy(&t.to, &four, sizeof four);
        t.to_length = sizeof four;
    }
    if (is_nowhere(&t.to) && !r->rules.allow_loopback)
        return false;
    if (r->n_targets < ROUTE_TARGETS_MAX)
        r->targets[r->n_targets++] = t;
    return true;
}

static void ask_addresses(struct route *r)
{
    r->n_questions = 0;
    for (size_t i = 0; i < r->n_hosts; i++) { /* IPv6 first */
        r->questions[r->n_questions++] = (struct dns_question){DNS_AAAA, r->hosts[i].name};
        r->questions[r->n_questions++] = (struct dns_question){DNS_A, r->hosts[i].name};
    }
}

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). True: it was a literal, and the route is done. */
static bool literal(struct route *r, struct slice host)
{
    unsigned char bytes[16];
    if (host.n < 3 || host.p[0] != '[' || host.p[host.n - 1] != ']')
        return false;
    struct slice inside = slice_make(host.p + 1, host.n - 2);
    bool six = inside.n > 5 && slice_eq_nocase(slice_first(inside, 5), SLICE("IPv6:"));
    const char *text = arena_string(&r->arena, six ? slice_after(inside, 5) : inside);
    if (!text || inet_pton(six ? AF_INET6 : AF_INET, text, bytes) != 1)
        over(r, ROUTE_PERMANENT, "553 5.1.2 that is not an address literal");
    else if (!add_target(r, slice_of(text), false, six ? AF_INET6 : AF_INET, bytes))
        over(r, ROUTE_PERMANENT, "554 5.4.6 the address is this machine's or nobody's");
    else
        over(r, ROUTE_FOUND, "");
    return true;
}

static void to_smarthost(struct route *r)
{
    struct slice host = slice_of(r->rules.smarthost);
    size_t colon = host.n;
    while (colon && host.p[colon - 1] != ':' && host.p[colon - 1] != ']')
        colon--;
    uint64_t port;
    if (colon > 1 && host.p[colon - 1] == ':' && slice_number(slice_after(host, colon), 65535, &port)) {
        r->port = (int)port;
        host = slice_first(host, colon - 1);
    }
    if (literal(r, host))
        return;
    r->hosts[r->n_hosts++] = (struct route_host){.name = host};
    ask_addresses(r);
}

void route_begin(struct route *r, struct slice dest, const struct route_rules *rules)
{
    memset(r, 0, sizeof *r);
    arena_init(&r->arena, ROUTE_MEMORY);
    r->rules = *rules;
    r->port = rules->port;
    r->dest = arena_copy(&r->arena, dest);
    if (!r->dest.p) {
        over(r, ROUTE_TEMPORARY, NULL);
        return;
    }
    if (rules->smarthost[0]) {
        to_smarthost(r);
        return;
    }
    if (literal(r, r->dest))
        return;
    struct slice ascii;
    if (dns_name_canonical(r->dest, &r->arena, &ascii).code != ERROR_NONE) {
        over(r, ROUTE_TEMPORARY, NULL);
    } else if (ascii.n == 0) {
        over(r, ROUTE_PERMANENT, "553 5.1.2 that is not the name of a domain");
    } else {
        r->dest = ascii;
        r->questions[r->n_questions++] = (struct dns_question){DNS_MX, ascii};
    }
}

static int by_preference(const void *a, const void *b)
{
    const struct route_host *x = a, *y = b;
    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static unsigned any_number(void)
{
    unsigned n = 0;
    (void)RAND_bytes((unsigned char *)&n, sizeof n);
    return n;
}

/* Sorted by preference, at random among equals (RFC 5321 5.1), without those that prefer us no less. */
static void take_hosts(struct route *r, const struct dns_answer *mx)
{
    unsigned own = UINT32_MAX;
    struct route_host *all = arena_zero(&r->arena, mx->n ? mx->n : 1, sizeof *all);
    size_t n = 0;
    if (!all) {
        over(r, ROUTE_TEMPORARY, NULL);
        return;
    }
    for (size_t i = 0; i < mx->n; i++) {
        const struct dns_record *record = &mx->records[i];
        struct slice name = dns_name_bare(record->data);
        if (slice_eq_nocase(name, slice_of(r->rules.own_name)) && record->preference < own)
            own = record->preference;
        if (dns_name_fits(name))
            all[n++] = (struct route_host){.name = name, .preference = record->preference, .order = any_number(), .secure = mx->secure};
    }
    qsort(all, n, sizeof *all, by_preference);
    for (size_t i = 0; i < n && r->n_hosts < ROUTE_HOSTS_MAX && all[i].preference < own; i++) {
        r->hosts[r->n_hosts] = all[i];
        r->hosts[r->n_hosts].name = arena_copy(&r->arena, all[i].name);
        r->n_hosts += r->hosts[r->n_hosts].name.p != NULL;
    }
    if (r->n_hosts)
        ask_addresses(r);
    else
        over(r, ROUTE_PERMANENT, arena_printf(&r->arena, own == UINT32_MAX ? "550 5.1.2 the MX of %.*s names no host" : "554 5.4.6 mail for %.*s would come back to this server: add the domain here, or mend its MX", SLICE_ARG(r->dest)));
}

static void answer_mx(struct route *r, const struct dns_answer *mx)
{
    r->mx_asked = true;
    switch (mx->status) {
    case DNS_TEMPERROR:
        over(r, ROUTE_TEMPORARY, arena_printf(&r->arena, "451 4.4.3 the DNS gives no answer for the MX of %.*s", SLICE_ARG(r->dest)));
        return;
    case DNS_NXDOMAIN:
        over(r, ROUTE_PERMANENT, arena_printf(&r->arena, "550 5.1.2 the domain %.*s does not exist", SLICE_ARG(r->dest)));
        return;
    case DNS_NODATA:
        r->hosts[r->n_hosts++] = (struct route_host){.name = r->dest, .secure = mx->secure}; /* RFC 5321 5.1: the implicit MX */
        ask_addresses(r);
        return;
    case DNS_FOUND:
        break;
    }
    if (mx->n == 1 && dns_name_bare(mx->records[0].data).n == 0) /* RFC 7505 */
        over(r, ROUTE_PERMANENT, arena_printf(&r->arena, "556 5.1.10 the domain %.*s takes no mail (null MX)", SLICE_ARG(r->dest)));
    else
        take_hosts(r, mx);
}

static void answer_addresses(struct route *r, const struct dns_answer *const *answers)
{
    bool unsure = false, nowhere = false;
    for (size_t i = 0; i < r->n_questions; i++) {
        const struct dns_answer *x = answers[i];
        const struct route_host *host = &r->hosts[i / 2];
        unsure = unsure || x->status == DNS_TEMPERROR;
        for (size_t k = 0; x->status == DNS_FOUND && k < x->n; k++)
            nowhere = !add_target(r, host->name, host->secure && x->secure, r->questions[i].type == DNS_A ? AF_INET : AF_INET6, x->records[k].data.p) || nowhere;
    }
    if (r->n_targets)
        over(r, ROUTE_FOUND, "");
    else if (unsure)
        over(r, ROUTE_TEMPORARY, arena_printf(&r->arena, "451 4.4.3 the DNS gives no address for the servers of %.*s", SLICE_ARG(r->dest)));
    else if (nowhere)
        over(r, ROUTE_PERMANENT, arena_printf(&r->arena, "554 5.4.6 the servers of %.*s have addresses of this machine, or of nobody", SLICE_ARG(r->dest)));
    else
        over(r, r->mx_asked && r->n_hosts && !slice_eq(r->hosts[0].name, r->dest) ? ROUTE_TEMPORARY : ROUTE_PERMANENT, /* an MX without address is mostly a slip that is mended soon */
             arena_printf(&r->arena, "%s no server of %.*s has an address", r->mx_asked && !slice_eq(r->hosts[0].name, r->dest) ? "451 4.4.4" : "550 5.1.2", SLICE_ARG(r->dest)));
}

void route_answer(struct route *r, const struct dns_answer *const *answers)
{
    if (r->status != ROUTE_ASKING)
        return;
    if (!r->mx_asked && !r->rules.smarthost[0])
        answer_mx(r, answers[0]);
    else
        answer_addresses(r, answers);
}

void route_end(struct route *r)
{
    arena_free(&r->arena);
}
