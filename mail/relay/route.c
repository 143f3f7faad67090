/* mail/relay/route.c -- the search for hosts, step by step: MX, addresses, TLSA */
#include "mail/relay/route.h"

#include <stdlib.h>

#include "mail/relay/dane.h"
#include "mail/relay/route_host.h"

enum { TLSA_MAX = 64, ROUTE_MEMORY = 1024 * 1024 };

static struct error no_memory(void)
{
    return error_make(ERROR_MEMORY, "no memory for a route");
}

/* The end without a host. `reply` has one %.*s for the domain. */
#define ENDED(r, status_, reply_) ended(r, status_, arena_printf(&(r)->arena, reply_, SLICE_ARG((r)->dest)))

static struct error ended(struct route *r, enum route_status status, const char *reply)
{
    r->stage = ROUTE_OVER;
    r->n_questions = 0;
    r->status = status;
    r->reply = slice_of(reply);
    return reply ? OK : no_memory();
}

static struct error no_answer(struct route *r)
{
    return ENDED(r, ROUTE_TEMPORARY, "451 4.4.3 the DNS gives no answer about %.*s");
}

static struct error keep_transport(struct route *r)
{
    struct slice *texts[] = {&r->transport.domain, &r->transport.host, &r->transport.user, &r->transport.password};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i] = arena_copy(&r->arena, *texts[i]);
        if (!texts[i]->p)
            return no_memory();
    }
    return OK;
}

static enum transport_tls wanted_tls(const struct route *r)
{
    enum transport_tls tls = r->transport.tls != TRANSPORT_TLS_DEFAULT ? r->transport.tls : r->rules.tls;
    return r->transport.user.n && tls != TRANSPORT_TLS_DANE ? TRANSPORT_TLS_VERIFY : tls; /* attacks.md SO-19 */
}

static void host_begin(struct route *r, struct route_host *h, struct slice name, bool secure)
{
    const struct transport *t = &r->transport;
    *h = (struct route_host){.name = name, .base = name, .secure = secure, .tls = wanted_tls(r), .port = t->port ? t->port : (unsigned)r->rules.port};
    h->user = t->user;
    h->password = t->password;
    if (r->mx_secure)
        h->next_hop = r->dest;
}

static struct error ask_addresses(struct route *r)
{
    r->questions = arena_zero(&r->arena, 2 * r->n_hosts, sizeof *r->questions);
    if (!r->questions)
        return no_memory();
    for (size_t i = 0; i < r->n_hosts; i++) {
        r->questions[2 * i] = (struct dns_question){DNS_AAAA, r->hosts[i].name};
        r->questions[2 * i + 1] = (struct dns_question){DNS_A, r->hosts[i].name};
    }
    r->n_questions = 2 * r->n_hosts;
    r->stage = ROUTE_ASK_ADDRESSES;
    return OK;
}

/* Leaves out hosts without an address. */
static void drop_empty(struct route *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_hosts; i++) {
        if (r->hosts[i].n == 0)
            continue;
        r->bases[2 * kept] = r->bases[2 * i];
        r->bases[2 * kept + 1] = r->bases[2 * i + 1];
        r->hosts[kept++] = r->hosts[i];
    }
    r->n_hosts = kept;
}

static struct error finish(struct route *r)
{
    drop_empty(r);
    r->stage = ROUTE_OVER;
    if (r->n_hosts)
        return OK;
    if (r->by_hand) /* one wrong word in a transport must not send all mail back */
        return ended(r, ROUTE_TEMPORARY, arena_printf(&r->arena, "451 4.3.5 the host %.*s of the transport has no address that can be used", SLICE_ARG(slice_first(r->transport.host, 255))));
    if (r->unknown)
        return no_answer(r);
    if (r->looped)
        return ENDED(r, ROUTE_PERMANENT, "554 5.4.6 the addresses that %.*s gives for its mail are not those of another server");
    return ENDED(r, ROUTE_PERMANENT, "550 5.4.4 no server that takes mail for %.*s has an address");
}

/* The one host of a literal. */
static struct error take_literal(struct route *r, struct slice name)
{
    struct route_address *x = arena_zero(&r->arena, 1, sizeof *x);
    struct route_host *h = &r->hosts[0];
    if (!x)
        return no_memory();
    host_begin(r, h, name, false);
    if (!route_literal(name, x, h->port))
        return r->by_hand ? finish(r) : ended(r, ROUTE_PERMANENT, "550 5.1.2 the address literal cannot be read");
    if (route_refused(r, x, h->port))
        return r->by_hand ? finish(r) : ended(r, ROUTE_PERMANENT, "554 5.4.6 the address literal leads back to this server");
    if (h->tls == TRANSPORT_TLS_DANE)
        h->tls = h->user.n ? TRANSPORT_TLS_VERIFY : TRANSPORT_TLS_MAY;
    h->addresses = x;
    h->n = 1;
    r->n_hosts = 1;
    r->stage = ROUTE_OVER;
    return OK;
}

/* "host", "host:port", "[192.0.2.1]:port". */
static void read_smarthost(struct route *r)
{
    struct slice text = slice_trim(slice_of(r->rules.smarthost));
    size_t from = text.n && text.p[0] == '[' ? slice_find(text, ']') : 0, colon = from + slice_find(slice_after(text, from), ':');
    uint64_t port = 0;
    if (colon < text.n)
        (void)slice_number(slice_after(text, colon + 1), UINT16_MAX, &port);
    r->transport.host = slice_first(text, colon);
    r->transport.port = (unsigned)port;
}

static struct error begin(struct route *r, struct slice dest)
{
    r->hosts = arena_zero(&r->arena, ROUTE_HOSTS_MAX, sizeof *r->hosts);
    r->questions = arena_zero(&r->arena, 1, sizeof *r->questions);
    dest = arena_copy(&r->arena, dest);
    if (!r->hosts || !r->questions || !dest.p)
        return no_memory();
    TRY(dns_name_canonical(dest, &r->arena, &r->dest));
    if (r->transport.host.n == 0 && r->rules.smarthost && !r->rules.transport)
        read_smarthost(r);
    r->by_hand = r->transport.host.n > 0;
    if (r->by_hand && r->transport.host.p[0] != '[') {
        host_begin(r, &r->hosts[0], dns_name_bare(r->transport.host), true);
        r->n_hosts = 1;
        return ask_addresses(r);
    }
    if (r->by_hand || (dest.n && dest.p[0] == '['))
        return take_literal(r, r->by_hand ? r->transport.host : dest);
    if (r->dest.n == 0)
        return ended(r, ROUTE_PERMANENT, "550 5.1.2 the address has no domain that mail could be sent to");
    r->questions[0] = (struct dns_question){DNS_MX, r->dest};
    r->n_questions = 1;
    return OK;
}

/* --- MX */

struct candidate {
    struct slice name;
    unsigned preference;
    uint64_t order;
};

/* Equal preferences in any order (RFC 5321 5.1): splitmix64 of the seed. */
static uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int by_preference(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->preference != b->preference)
        return a->preference < b->preference ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static bool is_listed(const struct route *r, struct slice name)
{
    for (size_t i = 0; i < r->n_hosts; i++)
        if (slice_eq_nocase(r->hosts[i].name, name))
            return true;
    return false;
}

/* In order, up to the preference at which we stand ourselves (RFC 5321 5.1). ERROR_MEMORY. */
static struct error list_hosts(struct route *r, struct candidate *all, size_t n, bool secure)
{
    unsigned ours = UINT32_MAX;
    for (size_t i = 0; i < n; i++)
        if (slice_eq_nocase(all[i].name, dns_name_bare(slice_of(r->rules.own_name))) && all[i].preference < ours)
            ours = all[i].preference;
    qsort(all, n, sizeof *all, by_preference);
    for (size_t i = 0; i < n && r->n_hosts < ROUTE_HOSTS_MAX; i++) {
        if (all[i].preference >= ours)
            break;
        if (is_listed(r, all[i].name))
            continue;
        struct route_host *h = &r->hosts[r->n_hosts++];
        host_begin(r, h, arena_copy(&r->arena, all[i].name), secure);
        h->preference = all[i].preference;
        if (!h->name.p)
            return no_memory();
    }
    if (r->n_hosts == 0)
        return ENDED(r, ROUTE_PERMANENT, "554 5.4.6 mail for %.*s leads back to this server, which does not serve the domain");
    return ask_addresses(r);
}

static struct error read_mx(struct route *r, const struct dns_answer *x)
{
    struct candidate *all = arena_zero(&r->arena, x->n ? x->n : 1, sizeof *all);
    size_t n = 0;
    bool none = false;
    if (!all)
        return no_memory();
    for (size_t i = 0; i < x->n; i++) {
        struct slice name = dns_name_bare(x->records[i].data);
        none = none || name.n == 0;
        if (dns_name_fits(name))
            all[n++] = (struct candidate){name, x->records[i].preference, mixed(r->rules.seed + i)};
    }
    if (n == 0 && none) /* RFC 7505 3, 4.1 */
        return ENDED(r, ROUTE_PERMANENT, "556 5.1.10 the domain %.*s takes no mail");
    if (n == 0)
        return ENDED(r, ROUTE_TEMPORARY, "451 4.4.3 the MX records of %.*s cannot be read");
    r->mx_secure = x->secure;
    return list_hosts(r, all, n, x->secure);
}

static struct error on_mx(struct route *r, const struct dns_answer *x)
{
    switch (x->status) {
    case DNS_TEMPERROR:
        return no_answer(r);
    case DNS_NXDOMAIN:
        return ENDED(r, ROUTE_PERMANENT, "550 5.1.2 the domain %.*s does not exist");
    case DNS_NODATA: /* RFC 5321 5.1: as if the domain were its own MX */
        host_begin(r, &r->hosts[0], r->dest, x->secure);
        r->n_hosts = 1;
        return ask_addresses(r);
    case DNS_FOUND:
        break;
    }
    return read_mx(r, x);
}

/* --- where TLSA records may stand */

/* RFC 7672 2.2.3: the name behind CNAMEs first, then the name itself. */
static struct error note_bases(struct route *r, size_t i, const struct dns_answer *six, const struct dns_answer *four)
{
    const struct dns_answer *found = six->status == DNS_FOUND && six->n ? six : four;
    struct slice name = r->hosts[i].name, canonical = found->canonical;
    if (canonical.n && !slice_eq_nocase(canonical, name)) {
        r->bases[2 * i] = arena_copy(&r->arena, canonical);
        if (!r->bases[2 * i].p)
            return no_memory();
        r->bases[2 * i + 1] = name;
    } else {
        r->bases[2 * i] = name;
    }
    return OK;
}

static bool wants_tlsa(const struct route_host *h)
{
    return h->tls == TRANSPORT_TLS_DANE && h->secure;
}

static enum transport_tls without_tlsa(const struct route_host *h)
{
    return h->user.n ? TRANSPORT_TLS_VERIFY : TRANSPORT_TLS_MAY;
}

static struct error ask_tlsa(struct route *r)
{
    r->questions = arena_zero(&r->arena, 2 * ROUTE_HOSTS_MAX, sizeof *r->questions);
    r->n_questions = 0;
    if (!r->questions)
        return no_memory();
    for (size_t i = 0; i < r->n_hosts; i++) {
        struct route_host *h = &r->hosts[i];
        if (!wants_tlsa(h)) {
            if (h->tls == TRANSPORT_TLS_DANE)
                h->tls = without_tlsa(h);
            continue;
        }
        for (size_t k = 0; k < 2 && r->bases[2 * i + k].n; k++) {
            const char *name = arena_printf(&r->arena, "_%u._tcp.%.*s", h->port, SLICE_ARG(r->bases[2 * i + k]));
            if (!name)
                return no_memory();
            r->questions[r->n_questions++] = (struct dns_question){DNS_TLSA, slice_of(name)};
        }
    }
    r->stage = r->n_questions ? ROUTE_ASK_TLSA : ROUTE_OVER;
    return OK;
}

static struct error on_addresses(struct route *r, const struct dns_answer *const *answers)
{
    size_t most = ROUTE_TARGETS_MAX / r->n_hosts;
    r->bases = arena_zero(&r->arena, 2 * ROUTE_HOSTS_MAX, sizeof *r->bases);
    if (!r->bases)
        return no_memory();
    for (size_t i = 0; i < r->n_hosts; i++) {
        TRY(route_host_addresses(r, &r->hosts[i], answers[2 * i], answers[2 * i + 1], most));
        TRY(note_bases(r, i, answers[2 * i], answers[2 * i + 1]));
    }
    TRY(finish(r));
    return r->n_hosts ? ask_tlsa(r) : OK;
}

/* --- TLSA */

static struct error keep_tlsa(struct route *r, struct route_host *h, struct slice base, const struct dns_answer *x)
{
    size_t most = x->n < TLSA_MAX ? x->n : TLSA_MAX;
    struct dns_record *records = arena_zero(&r->arena, most ? most : 1, sizeof *records);
    if (!records)
        return no_memory();
    for (size_t i = 0; i < x->n && h->n_tlsa < most; i++) {
        if (!dane_usable(x->records[i].data))
            continue;
        records[h->n_tlsa].data = arena_copy(&r->arena, x->records[i].data);
        if (!records[h->n_tlsa++].data.p)
            return no_memory();
    }
    h->tlsa = records;
    h->base = base;
    if (h->n_tlsa == 0) /* RFC 7672 2.2: none that we could use, but TLS is a must */
        h->tls = h->user.n ? TRANSPORT_TLS_VERIFY : TRANSPORT_TLS_ENCRYPT;
    return OK;
}

/* The answers of one host; how many it had. */
static struct error host_tlsa(struct route *r, size_t i, const struct dns_answer *const *answers, size_t *used)
{
    struct route_host *h = &r->hosts[i];
    bool settled = false;
    for (*used = 0; *used < 2 && r->bases[2 * i + *used].n; ++*used) {
        const struct dns_answer *x = answers[*used];
        if (settled)
            continue;
        settled = x->status == DNS_TEMPERROR || (x->status == DNS_FOUND && x->secure);
        if (x->status == DNS_TEMPERROR) { /* RFC 7672 2.1.3: then this host is not tried */
            r->unknown = true;
            h->n = 0;
        } else if (settled) {
            TRY(keep_tlsa(r, h, r->bases[2 * i + *used], x));
        }
    }
    if (!settled)
        h->tls = without_tlsa(h);
    return OK;
}

static struct error on_tlsa(struct route *r, const struct dns_answer *const *answers)
{
    size_t at = 0, used;
    for (size_t i = 0; i < r->n_hosts; i++) {
        if (!wants_tlsa(&r->hosts[i]))
            continue;
        TRY(host_tlsa(r, i, answers + at, &used));
        at += used;
    }
    return finish(r);
}

/* --- the whole */

/* The hosts' addresses, in the order of trying. */
static struct error list_targets(struct route *r)
{
    size_t most = 0;
    for (size_t i = 0; i < r->n_hosts; i++)
        most += r->hosts[i].n;
    r->targets = arena_zero(&r->arena, most ? most : 1, sizeof *r->targets);
    if (!r->targets)
        return no_memory();
    for (size_t i = 0; i < r->n_hosts; i++) {
        const struct route_host *h = &r->hosts[i];
        for (size_t k = 0; k < h->n; k++)
            r->targets[r->n_targets++] = (struct route_target){h->name, h->secure, h->addresses[k].to, h->addresses[k].length, h};
    }
    r->status = ROUTE_FOUND;
    return OK;
}

/* Behind each step: is it over? */
static void look(struct route *r, struct error e)
{
    if (e.code == ERROR_NONE && r->stage == ROUTE_OVER && r->status == ROUTE_ASKING)
        e = list_targets(r);
    if (e.code == ERROR_NONE)
        return;
    r->stage = ROUTE_OVER;
    r->status = ROUTE_TEMPORARY;
    r->reply = SLICE("451 4.3.0 no memory for a route");
    r->n_questions = 0;
}

void route_begin(struct route *r, struct slice dest, const struct route_rules *rules)
{
    *r = (struct route){.status = ROUTE_ASKING, .rules = *rules, .transport = {.tls = TRANSPORT_TLS_DEFAULT}};
    arena_init(&r->arena, ROUTE_MEMORY);
    if (rules->transport)
        r->transport = *rules->transport;
    look(r, keep_transport(r));
    if (r->status == ROUTE_ASKING)
        look(r, begin(r, dest));
}

static struct error step(struct route *r, const struct dns_answer *const *answers)
{
    switch (r->stage) {
    case ROUTE_ASK_MX:
        return on_mx(r, answers[0]);
    case ROUTE_ASK_ADDRESSES:
        return on_addresses(r, answers);
    case ROUTE_ASK_TLSA:
        return on_tlsa(r, answers);
    case ROUTE_OVER:
        break;
    }
    return OK;
}

void route_answer(struct route *r, const struct dns_answer *const *answers)
{
    look(r, step(r, answers));
}

void route_end(struct route *r)
{
    arena_free(&r->arena);
}
