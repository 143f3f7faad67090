/* core/kantord/operations_domain.c -- domains, and the addresses in them that are not an account's own: aliases,
 * forwards, the catch-all */
#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "mail/signing/keys.h"

/* A domain as it is kept: lower case, A-labels. */
static struct error read_domain(struct operation_call *k, struct slice text, struct slice *out)
{
    struct address x;
    char *probe = arena_printf(k->arena, "x@%.*s", SLICE_ARG(slice_first(text, 300)));
    struct error e = probe ? address_parse(slice_of(probe), k->arena, &x)
                           : error_make(ERROR_MEMORY, "no memory for a domain");
    if (e.code == ERROR_INVALID)
        return error_make(ERROR_INVALID, arena_printf(k->arena, "\"%.*s\" is no domain; write it like kantor.example",
                                                      SLICE_ARG(slice_first(text, 100))));
    *out = x.domain;
    return e;
}

static struct error served(struct operation_call *k, struct slice name, struct error e)
{
    return e.code == ERROR_NOT_FOUND
               ? error_make(ERROR_NOT_FOUND,
                            arena_printf(k->arena,
                                         "the domain %.*s is not served here; `kantorctl domain list` shows all",
                                         SLICE_ARG(name)))
               : e;
}

struct domain_change {
    struct operation_call *k;
    enum { ADD, REMOVE, ALIAS } what;
    struct slice name, target;
    const struct keys_pair *keys; /* for a new domain: made before */
};

static struct error domain_change_run(struct sql *db, void *arg)
{
    struct domain_change *x = arg;
    struct domain d;
    int64_t id;
    if (x->what == ADD) {
        TRY(domain_add(db, x->name, &id));
        return keys_enter(db, id, x->keys, DOMAIN_KEY_MADE, x->k->arena);
    }
    if (x->what == ALIAS) {
        TRY(served(x->k, x->target, domain_alias_add(db, x->name, x->target)));
        TRY(domain_row(db, x->name, x->k->arena, &d));
        return keys_enter(db, d.id, x->keys, DOMAIN_KEY_MADE, x->k->arena);
    }
    TRY(served(x->k, x->name, domain_row(db, x->name, x->k->arena, &d)));
    return domain_remove(db, d.id);
}

static struct error change_domain(struct operation_call *k, struct domain_change *x, const char *done)
{
    x->k = k;
    TRY(read_domain(k, k->words[2], &x->name));
    struct keys_pair keys = {0};
    struct error e = x->what == REMOVE ? OK : keys_make(k->arena, &keys);
    x->keys = &keys;
    if (e.code == ERROR_NONE)
        e = store_change(k->server->store, domain_change_run, x);
    keys_drop(&keys);
    if (e.code == ERROR_EXISTS)
        return error_make(ERROR_EXISTS, "the domain is served already");
    TRY(e);
    report_say(&k->report, "%.*s %s", SLICE_ARG(x->name), done);
    return OK;
}

struct error run_domain_add(struct operation_call *k)
{
    return change_domain(k, &(struct domain_change){.what = ADD},
                         "is served now; `kantorctl domain dns` prints the DNS records to publish");
}

struct error run_domain_remove(struct operation_call *k)
{
    return change_domain(k, &(struct domain_change){.what = REMOVE}, "is not served any more");
}

struct error run_domain_alias(struct operation_call *k)
{
    struct domain_change x = {.what = ALIAS};
    TRY(read_domain(k, k->words[3], &x.target));
    return change_domain(k, &x, "means that domain now");
}

/* --- aliases; *@domain is the catch-all */

struct error operation_read_alias(struct operation_call *k, struct slice text, struct address *out)
{
    if (slice_starts(text, SLICE("*@"))) {
        out->local = SLICE("*");
        return read_domain(k, slice_after(text, 2), &out->domain);
    }
    struct error e = address_parse(text, k->arena, out);
    return e.code == ERROR_INVALID
               ? error_make(ERROR_INVALID,
                            arena_printf(k->arena,
                                         "\"%.*s\" is no address; write NAME@DOMAIN, or *@DOMAIN for the catch-all",
                                         SLICE_ARG(slice_first(text, 300))))
               : e;
}

/* A target of an alias that leads to addresses, not to one account. Ours must exist. */
static struct error add_target(struct sql *db, struct operation_call *k, const struct address *alias, struct slice to)
{
    struct address target;
    struct resolved there;
    TRY(address_parse(to, k->arena, &target));
    struct error e = address_resolve(db, &target, k->arena, &there);
    if (e.code == ERROR_NOT_FOUND)
        return error_make(ERROR_NOT_FOUND, arena_printf(k->arena, "there is no address %.*s here", SLICE_ARG(slice_first(to, 300))));
    if (e.code != ERROR_UNSUPPORTED && e.code != ERROR_DENIED)
        TRY(e);
    return served(k, alias->domain, alias_target_add(db, alias, to, k->arena));
}

/* An account's address: its alias; any other: a forward. */
static struct error add_alias(struct sql *db, struct operation_call *k, const struct address *alias, struct slice to)
{
    struct address target;
    struct account account;
    struct domain ours;
    struct error e = account_find(db, to, k->arena, &account);
    if (e.code == ERROR_NONE && account_is_gone(account.state))
        return error_make(ERROR_CONFLICT,
                          "the account is removed; bring it back first with `kantorctl account restore`");
    if (e.code == ERROR_NONE)
        return served(k, alias->domain, address_add(db, alias, account.id, ADDRESS_ALIAS, SLICE("")));
    if (e.code != ERROR_NOT_FOUND)
        return e;
    TRY(address_parse(to, k->arena, &target));
    if (domain_find(db, target.domain, k->arena, &ours).code == ERROR_NONE && account_find(db, to, k->arena, &account).code == ERROR_NOT_FOUND) {
        struct resolved there; /* an alias that leads to addresses, a catch-all */
        if (address_resolve(db, &target, k->arena, &there).code != ERROR_NONE)
            return operation_account(k, db, to, &account);
    }
    return add_target(db, k, alias, to);
}

static struct error alias_add_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct address alias;
    bool many;
    TRY(operation_read_alias(k, k->words[2], &alias));
    TRY(alias_has_targets(db, &alias, &many));
    if (k->n_words == 4 && !many)
        return add_alias(db, k, &alias, k->words[3]);
    for (size_t i = 3; i < k->n_words; i++)
        TRY(add_target(db, k, &alias, k->words[i]));
    return OK;
}

static struct error alias_remove_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct address alias;
    struct account account = {.id = 0};
    TRY(operation_read_alias(k, k->words[2], &alias));
    if (k->n_words > 3 && alias_target_remove(db, &alias, k->words[3], k->arena).code == ERROR_NONE)
        return OK;
    if (k->n_words > 3)
        (void)account_find(db, k->words[3], k->arena, &account); /* none: a forward, which is nobody's */
    return address_remove(db, &alias, k->n_words > 3 ? account.id : -1);
}

struct error run_alias_add(struct operation_call *k)
{
    struct error e = store_change(k->server->store, alias_add_change, k);
    if (e.code == ERROR_NONE)
        for (size_t i = 3; i < k->n_words; i++)
            report_say(&k->report, "%.*s leads to %.*s", SLICE_ARG(k->words[2]), SLICE_ARG(k->words[i]));
    return e;
}

struct error run_alias_remove(struct operation_call *k)
{
    struct error e = store_change(k->server->store, alias_remove_change, k);
    if (e.code == ERROR_NONE)
        report_say(&k->report, "%.*s is no alias any more", SLICE_ARG(k->words[2]));
    return e;
}

static struct error catch_all_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct address all = {.local = SLICE("*")};
    TRY(read_domain(k, k->words[2], &all.domain));
    int nobody = slice_eq(k->words[3], SLICE("-"));
    struct domain d;
    TRY(served(k, all.domain, domain_find(db, all.domain, k->arena, &d)));
    struct error e = address_remove(db, &all, -1);
    if (e.code != ERROR_NOT_FOUND) /* none before is well, too */
        TRY(e);
    return nobody ? OK : add_alias(db, k, &all, k->words[3]);
}

struct error run_domain_catch_all(struct operation_call *k)
{
    struct error e = store_change(k->server->store, catch_all_change, k);
    if (e.code == ERROR_NONE)
        report_say(&k->report,
                   slice_eq(k->words[3], SLICE("-")) ? "unknown names of %.*s are refused"
                                                     : "unknown names of %.*s are delivered",
                   SLICE_ARG(k->words[2]));
    return e;
}

/* --- lists */

struct error run_domain_list(struct operation_call *k)
{
    struct domain *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(domain_list(db, k->arena, &all, &n));
    report_list(&k->report, "domain accounts alias_of catch_all");
    for (size_t i = 0; i < n; i++) {
        struct slice catch_all;
        int64_t accounts;
        TRY(domain_facts(db, all[i].id, k->arena, &catch_all, &accounts));
        report_text(&k->report, all[i].name);
        report_number(&k->report, accounts);
        report_text(&k->report, all[i].alias_of.n ? all[i].alias_of : slice_make(NULL, 0));
        report_text(&k->report, catch_all);
    }
    if (n == 0)
        report_say(&k->report, "no domain yet; `kantorctl domain add NAME`");
    return OK;
}

static const char *const address_words[] = {
    [ADDRESS_PRIMARY] = "primary", [ADDRESS_ALIAS] = "alias", [ADDRESS_FORWARD] = "forward"};

struct error run_alias_list(struct operation_call *k)
{
    struct account account;
    struct address_row *rows;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    report_list(&k->report, "address kind leads_to");
    if (k->n_words > 2) {
        TRY(operation_account(k, db, k->words[2], &account));
        TRY(address_list(db, account.id, k->arena, &rows, &n));
    } else {
        TRY(address_list_aliases(db, k->arena, &rows, &n));
    }
    for (size_t i = 0; i < n; i++) {
        report_text(&k->report, rows[i].address);
        report_word(&k->report, address_words[rows[i].kind]);
        report_text(&k->report, k->n_words > 2 ? account.name : rows[i].target);
    }
    return OK;
}
