/* mail/filter/dnsbl.c -- is the client's address in a list: asked once a session, at its first MAIL */
#include "mail/filter/dnsbl.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/dns/resolver.h"
#include "core/net/network.h"
#include "mail/filter/filter.h"
#include "mail/filter/network.h"

enum { LISTS_MAX = 32, ARENA_BYTES = 65536 };
enum { ACTION_REFUSE, ACTION_DELAY, ACTION_JUNK };

struct looking {
    struct dns_asked *asked;
    _Atomic int answered;
    void (*wake)(void *arg);
    void *wake_arg;
    struct dnsbl_zone lists[LISTS_MAX]; /* their texts are the configuration's, which lives on */
    bool good[LISTS_MAX];
    size_t n;
    int known; /* once it was judged */
    const struct dnsbl_zone *hit;
    bool judged, noted;
};

static void answered(void *arg)
{
    struct looking *x = arg;
    x->answered = 1;
    x->wake(x->wake_arg);
}

static void choose(struct looking *x, const char *text, bool good)
{
    struct slice rest = slice_of(text);
    while (x->n < LISTS_MAX && dnsbl_next(&rest, &x->lists[x->n]))
        if (dnsbl_is_usable(x->lists[x->n].name))
            x->good[x->n++] = good;
}

static struct looking *ask(struct filter_mail *m)
{
    const struct config *c = m->server->config;
    struct dns_question q[LISTS_MAX];
    unsigned char address[16];
    struct arena a;
    struct looking *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->wake = m->wake;
    x->wake_arg = m->wake_arg;
    choose(x, c->filter_dnswl, true);
    choose(x, c->filter_dnsbl, false);
    arena_init(&a, ARENA_BYTES);
    if (!network_address(m->peer, address))
        x->n = 0;
    for (size_t i = 0; i < x->n; i++) {
        q[i] = (struct dns_question){DNS_A, dnsbl_name(address, x->lists[i].name, &a)};
        if (!q[i].name.p)
            x->n = 0;
    }
    x->asked = x->n ? resolver_ask(m->server->resolver, q, x->n, answered, x) : NULL;
    arena_free(&a);
    return x;
}

static bool is_listed(const struct looking *x, size_t i)
{
    const struct dns_answer *answer = resolver_answer(x->asked, i);
    for (size_t k = 0; answer->status == DNS_FOUND && k < answer->n; k++)
        if (answer->records[k].data.n == 4 && dnsbl_is_hit(x->lists[i].codes, (const unsigned char *)answer->records[k].data.p))
            return true;
    return false;
}

static void judge(struct looking *x)
{
    for (size_t i = 0; i < x->n && x->asked; i++) {
        if (!is_listed(x, i))
            continue;
        if (x->good[i])
            x->known |= FILTER_KNOWN_GOOD;
        else if (!x->hit)
            x->hit = &x->lists[i];
    }
    x->judged = true;
    resolver_forget(x->asked);
    x->asked = NULL;
}

/* RFC 2142: who is listed by mistake must be able to say so. */
static bool is_for_complaints(const struct filter_mail *m)
{
    return slice_eq(m->rcpt->address.local, SLICE("postmaster")) || slice_eq(m->rcpt->address.local, SLICE("abuse"));
}

static void act(struct filter_mail *m, struct looking *x)
{
    const char *zone = arena_printf(m->arena, "%.*s", SLICE_ARG(x->hit->name));
    const char *text = arena_printf(m->arena, "your address %s is listed by %s", m->peer, zone ? zone : "a block list");
    if (m->server->config->dnsbl_action == ACTION_JUNK) {
        if (!x->noted)
            filter_junk(m, "dnsbl", text ? text : "listed");
        x->noted = true;
    } else if (!is_for_complaints(m)) {
        bool refuse = m->server->config->dnsbl_action == ACTION_REFUSE;
        filter_refuse(m, "dnsbl", refuse ? 550 : 450, refuse ? "5.7.1" : "4.7.1", text);
    }
}

static bool wanted(const struct config *c, const struct filter_mail *m)
{
    return (c->filter_dnsbl[0] || c->filter_dnswl[0]) && m->source == FILTER_FROM_OUTSIDE && !m->loopback && m->server->resolver && !network_has(c->filter_trusted, m->peer);
}

static enum filter_run run(struct filter_mail *m, enum filter_stage stage, void **state)
{
    if (!*state)
        *state = ask(m);
    struct looking *x = *state;
    if (!x || stage != FILTER_RCPT)
        return FILTER_DONE;
    if (!x->judged && x->asked && !x->answered)
        return FILTER_WAIT;
    if (!x->judged)
        judge(x);
    m->known |= x->known;
    if (x->hit && !(x->known & FILTER_KNOWN_GOOD))
        act(m, x);
    return FILTER_DONE;
}

static void reset(void *state)
{
    ((struct looking *)state)->noted = false;
}

static void end(void *state)
{
    struct looking *x = state;
    resolver_forget(x->asked);
    free(x);
}

const struct filter filter_dnsbl = {.name = "dnsbl", .wanted = wanted, .run = run, .reset = reset, .close = end};
