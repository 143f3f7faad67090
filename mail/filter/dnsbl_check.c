/* mail/filter/dnsbl_check.c -- is a list alive (attacks.md DN-05), and how its entries are written */
#include "mail/filter/dnsbl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/dns/resolver.h"
#include "core/log.h"
#include "core/net/service.h"
#include "core/options.h"
#include "mail/filter/network.h"

enum { ZONES_MAX = 64, GOOD_MS = 3600000, BAD_MS = 300000 };
enum state { UNKNOWN, USABLE, FAILED };

struct zone {
    char name[DNS_NAME_MAX + 1];
    struct dns_asked *asked; /* under lock */
    _Atomic int answered;
    enum state state;
    int64_t due_ms;
    struct server *server;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards zones and n_zones */
static struct zone zones[ZONES_MAX];                      /* never removed: an option names a handful */
static size_t n_zones;

bool dnsbl_next(struct slice *rest, struct dnsbl_zone *out)
{
    while (rest->n) {
        struct slice one = slice_first(*rest, slice_find(*rest, ','));
        *rest = slice_after(*rest, one.n + 1);
        size_t equal = slice_find(one, '=');
        out->name = slice_trim(slice_first(one, equal));
        out->codes = slice_trim(slice_after(one, equal + 1));
        if (out->name.n && out->name.n < DNS_NAME_MAX - 64)
            return true;
    }
    return false;
}

/* "2" or "2-11" at the front of *s, with the dot behind it. */
static bool number_fits(struct slice *s, unsigned char value)
{
    struct slice one = slice_first(*s, slice_find(*s, '.')), high;
    uint64_t lo, hi;
    *s = slice_after(*s, one.n + 1);
    size_t dash = slice_find(one, '-');
    high = dash < one.n ? slice_after(one, dash + 1) : one;
    return slice_number(slice_first(one, dash), 255, &lo) && slice_number(high, 255, &hi) && value >= lo && value <= hi;
}

bool dnsbl_is_hit(struct slice codes, const unsigned char address[4])
{
    if (!codes.n)
        codes = SLICE("127.0.0.2");
    while (codes.n) {
        struct slice one = slice_first(codes, slice_find(codes, ' '));
        codes = slice_trim(slice_after(codes, one.n));
        bool fits = true;
        for (int i = 0; fits && i < 4; i++)
            fits = number_fits(&one, address[i]);
        if (fits && !one.n)
            return true;
    }
    return false;
}

struct slice dnsbl_name(const unsigned char address[16], struct slice zone, struct arena *a)
{
    struct buffer b = {0};
    if (network_is_ipv4(address))
        buffer_printf(&b, "%d.%d.%d.%d.", address[15], address[14], address[13], address[12]);
    else
        for (int i = 15; i >= 0; i--)
            buffer_printf(&b, "%x.%x.", address[i] & 15, address[i] >> 4);
    buffer_add(&b, zone);
    struct slice name = b.failed ? slice_make(NULL, 0) : arena_copy(a, buffer_slice(&b));
    buffer_free(&b);
    return name;
}

/* --- trying them */

static struct zone *find(struct slice name)
{
    for (size_t i = 0; i < n_zones; i++)
        if (slice_eq_nocase(slice_of(zones[i].name), name))
            return &zones[i];
    return NULL;
}

static struct zone *find_or_make(struct slice name)
{
    struct zone *z = find(name);
    if (z || n_zones == ZONES_MAX || name.n >= sizeof z->name)
        return z;
    z = &zones[n_zones++];
    memcpy(z->name, name.p, name.n);
    z->name[name.n] = '\0';
    return z;
}

/* NULL: it works. */
static const char *judge(const struct dns_answer *listed, const struct dns_answer *not_listed)
{
    if (listed->status == DNS_TEMPERROR || not_listed->status == DNS_TEMPERROR)
        return "it does not answer";
    bool proper = false;
    for (size_t i = 0; listed->status == DNS_FOUND && i < listed->n; i++)
        proper |= listed->records[i].data.n == 4 && (unsigned char)listed->records[i].data.p[0] == 127 && (unsigned char)listed->records[i].data.p[1] != 255;
    if (!proper)
        return "127.0.0.2 is not listed, as it must be (RFC 5782 5): the list is gone, or refuses to answer us";
    return dns_is_void(not_listed) ? NULL : "127.0.0.1 is listed, which it must not be (RFC 5782 5): it lists everything";
}

/* Worker, under lock. */
static void end_try(struct zone *z)
{
    const char *wrong = judge(resolver_answer(z->asked, 0), resolver_answer(z->asked, 1));
    enum state now = wrong ? FAILED : USABLE;
    resolver_forget(z->asked);
    z->asked = NULL;
    z->due_ms = clock_ms() + (wrong ? BAD_MS : GOOD_MS);
    if (wrong && z->state != FAILED)
        LOG_EVENT(LOG_ERROR, "dns-list-disabled", LOG_WORD("list", z->name), LOG_WORD("why", wrong));
    else if (!wrong && z->state != USABLE)
        LOG_EVENT(LOG_INFO, "dns-list-usable", LOG_WORD("list", z->name));
    z->state = now;
}

static void look(void *arg)
{
    struct zone *z = arg;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    if (z->asked && z->answered)
        end_try(z);
}

/* Resolver's thread: it may not be asked to forget from here. When no worker is free the next minute looks. */
static void answered(void *arg)
{
    struct zone *z = arg;
    struct net *net = z->server->net;
    z->answered = 1;
    (void)net_submit(net, look, z);
}

static void begin_try(struct server *server, struct zone *z)
{
    struct arena a;
    unsigned char listed[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 127, [15] = 2}, not_listed[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 127, [15] = 1};
    arena_init(&a, 16384);
    struct dns_question q[] = {{DNS_A, dnsbl_name(listed, slice_of(z->name), &a)}, {DNS_A, dnsbl_name(not_listed, slice_of(z->name), &a)}};
    z->server = server;
    z->answered = 0;
    if (q[0].name.p && q[1].name.p)
        z->asked = resolver_ask(server->resolver, q, 2, answered, z);
    arena_free(&a);
}

void dnsbl_check(struct server *server)
{
    const struct config *c = server->config;
    struct slice lists[] = {slice_of(c->filter_dnsbl), slice_of(c->filter_dnswl)};
    struct dnsbl_zone one;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    for (size_t i = 0; server->resolver && i < 2; i++) {
        while (dnsbl_next(&lists[i], &one)) {
            struct zone *z = find_or_make(one.name);
            if (!z)
                continue;
            if (z->asked && z->answered)
                end_try(z);
            if (!z->asked && clock_ms() >= z->due_ms)
                begin_try(server, z);
        }
    }
}

void dnsbl_stop(void)
{
    for (size_t i = 0; i < n_zones; i++) { /* no worker runs any more; forgetting waits for a callback that runs, which takes no lock */
        resolver_forget(zones[i].asked);
        zones[i].asked = NULL;
    }
}

bool dnsbl_is_usable(struct slice name)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    const struct zone *z = find(name);
    return z && z->state == USABLE;
}
