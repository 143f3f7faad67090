/* mail/signing/keys.c -- pairs of keys, and their states */
#include "mail/signing/keys.h"

#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "mail/dkim/key.h"

enum { PAIRS_A_DAY = 26 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for domain keys")

static const struct {
    enum domain_key_kind kind;
    enum dkim_key_kind made_as;
    char mark; /* of the selector */
} kinds[2] = {{DOMAIN_KEY_RSA, DKIM_RSA, 'r'}, {DOMAIN_KEY_ED25519, DKIM_ED25519, 'e'}};

const char *keys_state_word(enum domain_key_state state)
{
    static const char *const words[] = {[DOMAIN_KEY_MADE] = "made", [DOMAIN_KEY_PUBLISHED] = "published", [DOMAIN_KEY_ACTIVE] = "active", [DOMAIN_KEY_RETIRED] = "retired"};
    return state >= DOMAIN_KEY_MADE && state <= DOMAIN_KEY_RETIRED ? words[state] : "?";
}

const char *keys_kind_word(enum domain_key_kind kind)
{
    return dkim_key_word(kind == DOMAIN_KEY_ED25519 ? DKIM_ED25519 : DKIM_RSA);
}

/* --- making */

static struct error make_one(size_t i, struct arena *a, struct keys_pair *out)
{
    SCOPED(dkim_key_free)
    struct dkim_key key = {0};
    SCOPED(buffer_free)
    struct buffer record = {0};
    TRY(dkim_key_generate(kinds[i].made_as, &key));
    TRY(dkim_key_pem(&key, &out->pem[i]));
    TRY(dkim_key_record(&key, &record));
    out->record[i] = arena_copy(a, buffer_slice(&record));
    return out->record[i].p ? OK : NO_MEMORY;
}

struct error keys_make(struct arena *a, struct keys_pair *out)
{
    *out = (struct keys_pair){0};
    for (size_t i = 0; i < 2; i++)
        TRY(make_one(i, a, out));
    return OK;
}

void keys_drop(struct keys_pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        if (pair->pem[i].bytes)
            explicit_bzero(pair->pem[i].bytes, pair->pem[i].size);
        buffer_free(&pair->pem[i]);
    }
}

static bool has_selector(const struct domain_key *all, size_t n, const char *selector)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(all[i].selector, slice_of(selector)))
            return true;
    return false;
}

/* r20261125, e20261125; a second pair of that day r20261125b, e20261125b. */
struct error keys_enter(struct sql *db, int64_t domain, const struct keys_pair *pair, enum domain_key_state state, struct arena *a)
{
    struct domain_key *all;
    size_t n;
    struct tm t;
    time_t now = (time_t)clock_now();
    char day[16];
    TRY(domain_key_list(db, domain, a, &all, &n));
    (void)strftime(day, sizeof day, "%Y%m%d", gmtime_r(&now, &t));
    for (int number = 0; number < PAIRS_A_DAY; number++) {
        char suffix[2] = {number ? (char)('a' + number) : '\0', '\0'}, *names[2];
        for (size_t i = 0; i < 2; i++)
            if (!(names[i] = arena_printf(a, "%c%s%s", kinds[i].mark, day, suffix)))
                return NO_MEMORY;
        if (has_selector(all, n, names[0]) || has_selector(all, n, names[1]))
            continue;
        for (size_t i = 0; i < 2; i++)
            TRY(domain_key_add(db, &(struct domain_key){.domain = domain, .kind = kinds[i].kind, .state = state, .selector = slice_of(names[i]), .record = pair->record[i]}, buffer_slice(&pair->pem[i])));
        return OK;
    }
    return error_make(ERROR_LIMIT, "keys were made too often today");
}

struct entering {
    int64_t domain;
    const struct keys_pair *pair;
    enum domain_key_state state;
    struct arena *arena;
};

static struct error enter_missing(struct sql *db, void *arg)
{
    const struct entering *x = arg;
    struct domain_key *all;
    size_t n;
    TRY(domain_key_list(db, x->domain, x->arena, &all, &n));
    return n ? OK : keys_enter(db, x->domain, x->pair, x->state, x->arena); /* somebody was faster */
}

static struct error find_missing(struct store *s, struct arena *a, struct domain *out)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    return domain_key_missing(db, a, out);
}

static struct error make_missing(struct store *s, enum domain_key_state state, bool *more, struct arena *a)
{
    struct domain d;
    struct keys_pair pair;
    *more = false;
    struct error e = find_missing(s, a, &d);
    if (e.code == ERROR_NOT_FOUND)
        return OK;
    TRY(e);
    e = keys_make(a, &pair);
    if (e.code == ERROR_NONE)
        e = store_change(s, enter_missing, &(struct entering){d.id, &pair, state, a});
    keys_drop(&pair);
    TRY(e);
    LOG_EVENT(LOG_INFO, "domain-keys-made", LOG_TEXT("domain", d.name), LOG_WORD("state", keys_state_word(state)));
    *more = true;
    return OK;
}

struct error keys_make_missing(struct store *s, enum domain_key_state state, bool *more)
{
    struct arena a;
    arena_init(&a, ARENA_REQUEST_MAX);
    struct error e = make_missing(s, state, more, &a);
    arena_free(&a);
    return e;
}

/* --- from one state to the next */

static bool waits(const struct domain_key *k)
{
    return k->state == DOMAIN_KEY_MADE || k->state == DOMAIN_KEY_PUBLISHED;
}

struct error keys_may_rotate(const struct domain_key *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (waits(&all[i]))
            return error_make(ERROR_CONFLICT, "new keys wait already: publish them (`kantorctl domain dns`), or make them sign with `kantorctl domain dkim activate`");
    return OK;
}

struct error keys_rotate(struct sql *db, int64_t domain, const struct keys_pair *pair, struct arena *a)
{
    struct domain_key *all;
    size_t n;
    TRY(domain_key_list(db, domain, a, &all, &n));
    TRY(keys_may_rotate(all, n));
    return keys_enter(db, domain, pair, DOMAIN_KEY_MADE, a);
}

/* All that wait sign from now on; those of the same kind that signed until now retire. */
static struct error promote(struct sql *db, const struct domain_key *all, size_t n)
{
    bool comes[3] = {false};
    for (size_t i = 0; i < n; i++)
        comes[all[i].kind == DOMAIN_KEY_ED25519 ? 2 : 1] |= waits(&all[i]);
    for (size_t i = 0; i < n; i++) {
        if (waits(&all[i]))
            TRY(domain_key_set_state(db, all[i].id, DOMAIN_KEY_ACTIVE));
        else if (all[i].state == DOMAIN_KEY_ACTIVE && comes[all[i].kind == DOMAIN_KEY_ED25519 ? 2 : 1])
            TRY(domain_key_set_state(db, all[i].id, DOMAIN_KEY_RETIRED));
    }
    return OK;
}

struct error keys_activate(struct sql *db, int64_t domain, enum keys_seen seen, struct arena *a)
{
    struct domain_key *all;
    size_t n, waiting = 0;
    TRY(domain_key_list(db, domain, a, &all, &n));
    for (size_t i = 0; i < n; i++) {
        waiting += waits(&all[i]);
        if (all[i].state == DOMAIN_KEY_MADE && seen == KEYS_MUST_BE_SEEN)
            return error_make(ERROR_CONFLICT, "the DNS does not show the new keys yet, so nobody could verify what they sign; publish them (`kantorctl domain dns`), or say --unseen");
    }
    return waiting ? promote(db, all, n) : error_make(ERROR_CONFLICT, "no new keys wait; `kantorctl domain dkim rotate` makes some");
}

struct error keys_were_seen(struct sql *db, const struct domain_key *key, bool *active, struct arena *a)
{
    struct domain_key *all;
    size_t n, found = 0, unseen = 0;
    *active = false;
    TRY(domain_key_list(db, key->domain, a, &all, &n));
    for (size_t i = 0; i < n; i++) {
        bool is = all[i].id == key->id && all[i].state == DOMAIN_KEY_MADE;
        found += is;
        unseen += !is && all[i].state == DOMAIN_KEY_MADE;
    }
    if (!found)
        return OK;
    TRY(domain_key_set_state(db, key->id, DOMAIN_KEY_PUBLISHED));
    if (unseen)
        return OK;
    *active = true;
    return promote(db, all, n);
}

struct error keys_expire(struct sql *db, int64_t now, int64_t *gone, struct arena *a)
{
    struct domain_key *all;
    size_t n;
    *gone = 0;
    TRY(domain_key_list(db, 0, a, &all, &n));
    for (size_t i = 0; i < n; i++) {
        if (all[i].state != DOMAIN_KEY_RETIRED || now - all[i].changed < KEYS_RETIRED_S)
            continue;
        TRY(domain_key_delete(db, all[i].id));
        (*gone)++;
    }
    return OK;
}
