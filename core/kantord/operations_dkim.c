/* core/kantord/operations_dkim.c -- the keys that sign for a domain */
#include <semaphore.h>

#include "core/cleanup.h"
#include "core/kantord/operations_dns.h"
#include "mail/signing/keys.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for domain keys")

struct error operation_domain(struct operation_call *k, struct sql *db, struct slice text, struct domain *out)
{
    struct address x;
    const char *probe = arena_printf(k->arena, "x@%.*s", SLICE_ARG(slice_first(text, 300)));
    if (!probe || address_parse(slice_of(probe), k->arena, &x).code != ERROR_NONE)
        return error_make(ERROR_INVALID, arena_printf(k->arena, "\"%.*s\" is no domain; write it like kantor.example", SLICE_ARG(slice_first(text, 100))));
    struct error e = domain_row(db, x.domain, k->arena, out);
    return e.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, arena_printf(k->arena, "the domain %.*s is not served here; `kantorctl domain list` shows all", SLICE_ARG(x.domain))) : e;
}

/* --- asking */

static void wake(void *arg)
{
    (void)sem_post(arg);
}

struct error operation_ask(struct operation_call *k, const struct publish_record *records, size_t n, struct dns_asked **asked)
{
    sem_t answered;
    struct dns_question *questions = arena_zero(k->arena, n + 1, sizeof *questions);
    if (!k->server->resolver)
        return error_make(ERROR_UNSUPPORTED, "the DNS is asked by the running server; start it first");
    if (!questions)
        return NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        questions[i] = (struct dns_question){records[i].type, records[i].name};
    (void)sem_init(&answered, 0, 0);
    *asked = resolver_ask(k->server->resolver, questions, n, wake, &answered);
    if (*asked)
        while (sem_wait(&answered) != 0) { /* each question has its deadline */
        }
    (void)sem_destroy(&answered);
    return *asked ? OK : error_make(ERROR_BUSY, "the resolver has too much to do; try again");
}

struct noting {
    const struct domain_key *key;
    bool active;
    struct arena *arena;
};

static struct error note_change(struct sql *db, void *arg)
{
    struct noting *x = arg;
    return keys_were_seen(db, x->key, &x->active, x->arena);
}

struct error operation_note_keys(struct operation_call *k, const struct publish_record *records, size_t n, const struct dns_asked *asked)
{
    for (size_t i = 0; i < n; i++) {
        struct noting x = {records[i].key, false, k->arena};
        if (!x.key || x.key->state != DOMAIN_KEY_MADE || publish_judge(&records[i], resolver_answer(asked, i), k->arena).state != PUBLISH_FINE)
            continue;
        TRY(store_change(k->server->store, note_change, &x));
        if (x.active)
            report_say(&k->report, "the new keys are published: they sign from now on");
    }
    return OK;
}

/* --- domain dkim */

static struct error read_keys(struct operation_call *k, struct domain *d, struct domain_key **keys, size_t *n)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_domain(k, db, k->words[3], d));
    return domain_key_list(db, d->id, k->arena, keys, n);
}

static struct error list(struct operation_call *k)
{
    struct domain d;
    struct domain_key *keys;
    size_t n;
    TRY(read_keys(k, &d, &keys, &n));
    report_list(&k->report, "selector algorithm state since record");
    for (size_t i = 0; i < n; i++) {
        report_text(&k->report, keys[i].selector);
        report_word(&k->report, keys_kind_word(keys[i].kind));
        report_word(&k->report, keys_state_word(keys[i].state));
        report_date(&k->report, keys[i].changed);
        report_text(&k->report, keys[i].record);
    }
    if (n == 0)
        report_say(&k->report, "no keys yet; they are made behind the start of the server, or now by `kantorctl domain dkim rotate %.*s`", SLICE_ARG(d.name));
    return OK;
}

struct key_change {
    struct operation_call *k;
    int64_t domain;
    const struct keys_pair *pair;
    enum keys_seen seen;
    enum { ROTATE, ACTIVATE, DELETE } what;
};

static struct error delete_key(struct sql *db, const struct key_change *x)
{
    struct domain_key *keys;
    size_t n;
    TRY(domain_key_list(db, x->domain, x->k->arena, &keys, &n));
    for (size_t i = 0; i < n; i++) {
        if (!slice_eq(keys[i].selector, x->k->words[4]))
            continue;
        if (keys[i].state == DOMAIN_KEY_ACTIVE)
            return error_make(ERROR_CONFLICT, "this key signs; `kantorctl domain dkim rotate` makes the next, which takes its place");
        return domain_key_delete(db, keys[i].id);
    }
    return error_make(ERROR_NOT_FOUND, "the domain has no key of this selector; `kantorctl domain dkim list` shows them");
}

static struct error change(struct sql *db, void *arg)
{
    const struct key_change *x = arg;
    if (x->what == ROTATE)
        return keys_rotate(db, x->domain, x->pair, x->k->arena);
    if (x->what == ACTIVATE)
        return keys_activate(db, x->domain, x->seen, x->k->arena);
    return delete_key(db, x);
}

/* The keys are made first: a second of CPU, which no writer should wait for. */
static struct error rotate(struct operation_call *k)
{
    struct domain d;
    struct domain_key *keys;
    struct keys_pair pair;
    size_t n;
    TRY(read_keys(k, &d, &keys, &n));
    TRY(keys_may_rotate(keys, n));
    struct error e = keys_make(k->arena, &pair);
    if (e.code == ERROR_NONE)
        e = store_change(k->server->store, change, &(struct key_change){.k = k, .domain = d.id, .pair = &pair, .what = ROTATE});
    keys_drop(&pair);
    TRY(e);
    report_say(&k->report, "two new keys for %.*s are made. Publish their records (`kantorctl domain dns %.*s`); they sign once the DNS shows them, and the old ones retire.", SLICE_ARG(d.name),
               SLICE_ARG(d.name));
    return OK;
}

/* Asks the DNS first for what waits, as the server does by itself every ten minutes. */
static struct error look(struct operation_call *k, const struct domain *d, const struct domain_key *keys, size_t n)
{
    struct publish_record *all = arena_zero(k->arena, PUBLISH_MAX, sizeof *all);
    struct dns_asked *asked = NULL;
    size_t n_all;
    if (!all)
        return NO_MEMORY;
    TRY(publish_list(&(struct publish_facts){.domain = d->name, .host = slice_of(k->server->hostname), .keys = keys, .n_keys = n}, k->arena, all, &n_all));
    TRY(operation_ask(k, all, n_all, &asked));
    struct error e = operation_note_keys(k, all, n_all, asked);
    resolver_forget(asked);
    return e;
}

static struct error activate(struct operation_call *k)
{
    struct domain d;
    struct domain_key *keys;
    size_t n;
    bool unseen = operation_option(k, "unseen").p != NULL;
    TRY(read_keys(k, &d, &keys, &n));
    if (!unseen && k->server->resolver) {
        TRY(look(k, &d, keys, n));
        if (buffer_length(&k->report.said))
            return OK; /* that did it */
    }
    TRY(store_change(k->server->store, change, &(struct key_change){.k = k, .domain = d.id, .seen = unseen ? KEYS_NEED_NOT_BE_SEEN : KEYS_MUST_BE_SEEN, .what = ACTIVATE}));
    report_say(&k->report, "the new keys of %.*s sign from now on; leave the records of the old ones until `kantorctl domain dns` shows them no more", SLICE_ARG(d.name));
    return OK;
}

static struct error delete(struct operation_call *k)
{
    struct domain d;
    struct domain_key *keys;
    size_t n;
    if (k->n_words < 5)
        return error_make(ERROR_INVALID, "say which key: kantorctl domain dkim delete DOMAIN SELECTOR");
    TRY(read_keys(k, &d, &keys, &n));
    TRY(store_change(k->server->store, change, &(struct key_change){.k = k, .domain = d.id, .what = DELETE}));
    report_say(&k->report, "the key %.*s is gone; its record may go, too", SLICE_ARG(k->words[4]));
    return OK;
}

struct error run_domain_dkim(struct operation_call *k)
{
    static const struct {
        struct slice word;
        struct error (*run)(struct operation_call *k);
        size_t words;
    } verbs[] = {{{"list", 4}, list, 4}, {{"rotate", 6}, rotate, 4}, {{"activate", 8}, activate, 4}, {{"delete", 6}, delete, 5}};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (slice_eq(k->words[2], verbs[i].word) && k->n_words <= verbs[i].words)
            return verbs[i].run(k);
    return error_make(ERROR_INVALID, "write kantorctl domain dkim list|rotate|activate DOMAIN, or delete DOMAIN SELECTOR");
}
