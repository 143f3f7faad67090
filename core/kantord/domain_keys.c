/* core/kantord/domain_keys.c -- keys of domains, by themselves: made where none are, active once the DNS shows them, gone when nothing needs their record
 *
 * A timer asks the DNS for the records of keys that wait; the answer comes on the resolver's thread and goes to a worker. One question is under way at a time.
 */
#include <stdatomic.h>

#include "core/clock.h"
#include "core/cleanup.h"
#include "core/dns/resolver.h"
#include "core/kantord/internal.h"
#include "core/log.h"
#include "mail/signing/keys.h"
#include "mail/signing/publish.h"

enum { TEN_MINUTES_MS = 600000, ASKED_MAX = 16, ARENA_BYTES = 16 * 1024 * 1024 };

static struct looking {
    struct arena arena;
    struct domain_key keys[ASKED_MAX];
    size_t n;
    pthread_mutex_t lock;    /* held while asking: the answer may be faster than the return of resolver_ask */
    struct dns_asked *asked; /* with all above of the one who holds `busy` */
    _Atomic int busy;
    _Atomic int lost; /* answered, and nobody could be told */
    int64_t after; /* the last key that was asked for: the next ones come next time */
} look = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void forget(void)
{
    resolver_forget(look.asked);
    look.asked = NULL;
    arena_free(&look.arena);
    atomic_store(&look.lost, 0);
    atomic_store(&look.busy, 0);
}

/* --- the answers */

struct seeing {
    const struct domain_key *key;
    bool active;
    struct arena *arena;
};

static struct error see(struct sql *db, void *arg)
{
    struct seeing *x = arg;
    return keys_were_seen(db, x->key, &x->active, x->arena);
}

static void note_answers(void *arg)
{
    struct kantord *k = arg;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&look.lock);
    (void)held;
    for (size_t i = 0; i < look.n; i++) {
        struct seeing x = {&look.keys[i], false, &look.arena};
        struct publish_record r = {.kind = PUBLISH_DKIM, .type = DNS_TXT, .text = x.key->record};
        if (publish_judge(&r, resolver_answer(look.asked, i), &look.arena).state != PUBLISH_FINE)
            continue;
        struct error e = store_change(k->server.store, see, &x);
        if (e.code != ERROR_NONE)
            LOG_EVENT(LOG_WARN, "domain-key-not-changed", LOG_TEXT("selector", x.key->selector), LOG_FAILURE(e));
        else
            LOG_EVENT(LOG_INFO, "domain-key-published", LOG_NUMBER("domain", x.key->domain), LOG_TEXT("selector", x.key->selector), LOG_WORD("signs", x.active ? "yes" : "no"));
    }
    forget();
}

/* On the resolver's thread. */
static void answered(void *arg)
{
    struct kantord *k = arg;
    if (net_submit(k->server.net, note_answers, k).code != ERROR_NONE)
        atomic_store(&look.lost, 1);
}

/* --- the questions */

/* The next keys that wait, from behind the last ones asked for. */
static struct error choose(struct sql *db, struct dns_question *questions)
{
    struct domain_key *all;
    struct domain *domains;
    size_t n, n_domains;
    TRY(domain_key_list(db, 0, &look.arena, &all, &n));
    TRY(domain_list(db, &look.arena, &domains, &n_domains));
    for (size_t i = 0; i < n && look.n < ASKED_MAX; i++) {
        if (all[i].state != DOMAIN_KEY_MADE || all[i].id <= look.after)
            continue;
        for (size_t d = 0; d < n_domains; d++) {
            const char *name = domains[d].id == all[i].domain ? arena_printf(&look.arena, "%.*s._domainkey.%.*s", SLICE_ARG(all[i].selector), SLICE_ARG(domains[d].name)) : NULL;
            if (!name)
                continue;
            questions[look.n] = (struct dns_question){DNS_TXT, slice_of(name)};
            look.keys[look.n++] = all[i];
        }
    }
    look.after = look.n == ASKED_MAX ? look.keys[look.n - 1].id : 0;
    return OK;
}

static struct error choose_with_reader(struct kantord *k, struct dns_question *questions)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server.store);
    return choose(db, questions);
}

static void ask(struct kantord *k)
{
    struct dns_question questions[ASKED_MAX];
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&look.lock);
    (void)held;
    if (atomic_load(&look.lost))
        forget();
    if (!k->server.resolver || k->stopping || atomic_exchange(&look.busy, 1))
        return;
    arena_init(&look.arena, ARENA_BYTES);
    look.n = 0;
    struct error e = choose_with_reader(k, questions);
    if (e.code == ERROR_NONE && look.n)
        look.asked = resolver_ask(k->server.resolver, questions, look.n, answered, k);
    if (!look.asked)
        forget();
}

/* --- the rest */

struct expiring {
    int64_t n;
    struct arena arena;
};

static struct error expire(struct sql *db, void *arg)
{
    struct expiring *x = arg;
    return keys_expire(db, clock_now(), &x->n, &x->arena);
}

static void expire_old(struct kantord *k)
{
    struct expiring x = {0};
    arena_init(&x.arena, ARENA_BYTES);
    struct error e = store_change(k->server.store, expire, &x);
    arena_free(&x.arena);
    if (e.code == ERROR_NONE && x.n)
        LOG_EVENT(LOG_INFO, "domain-keys-gone", LOG_NUMBER("keys", x.n));
}

/* One domain a task: it takes a second of CPU, and the end of the server waits for tasks. The demonstration's keys sign at once: nobody publishes them. */
static void make_keys(void *arg)
{
    struct kantord *k = arg;
    bool more = false;
    struct error e = keys_make_missing(k->server.store, k->demo ? DOMAIN_KEY_ACTIVE : DOMAIN_KEY_MADE, &more);
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "domain-keys-not-made", LOG_FAILURE(e)); /* the timer comes */
    else if (more && !k->stopping)
        (void)net_submit(k->server.net, make_keys, k);
}

static void every_ten_minutes(void *arg)
{
    struct kantord *k = arg;
    make_keys(k);
    expire_old(k);
    ask(k);
}

struct error domain_keys_start(struct kantord *k)
{
    TRY(net_submit(k->server.net, every_ten_minutes, k));
    return net_timer(k->server.net, TEN_MINUTES_MS, every_ten_minutes, k);
}

void domain_keys_stop(void)
{
    if (atomic_load(&look.busy))
        forget();
}
