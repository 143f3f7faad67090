/* core/kantord/operations_account.c -- people, groups, shared mailboxes: adding, showing, renaming, removing */
#include <stdio.h>

#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "core/net/service.h"
#include "core/options.h"
#include "core/store/grant.h"

enum { PASSWORD_LEAST = 8 };

const char *const operation_kind_words[] = {[ACCOUNT_PERSON] = "person",
                                            [ACCOUNT_GROUP] = "group",
                                            [ACCOUNT_SHARED] = "shared",
                                            [ACCOUNT_ROOM] = "room",
                                            [ACCOUNT_EQUIPMENT] = "equipment"};
static const char *const state_words[] = {[ACCOUNT_ACTIVE] = "active",
                                          [ACCOUNT_SUSPENDED] = "suspended",
                                          [ACCOUNT_DELETED] = "deleted",
                                          [ACCOUNT_REMOVED] = "removed"};

struct error operation_account(struct operation_call *k, struct sql *db, struct slice name, struct account *out)
{
    struct error e = account_find(db, name, k->arena, out);
    if (e.code == ERROR_NOT_FOUND)
        return error_make(ERROR_NOT_FOUND,
                          arena_printf(k->arena, "no account has the address %.*s; `kantorctl account list` shows all",
                                       SLICE_ARG(slice_first(name, 300))));
    return e.code == ERROR_INVALID
               ? error_make(ERROR_INVALID, arena_printf(k->arena, "\"%.*s\" is no address; write NAME@DOMAIN",
                                                        SLICE_ARG(slice_first(name, 300))))
               : e;
}

struct error operation_account_now(struct operation_call *k, struct slice name, struct account *out)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    return operation_account(k, db, name, out);
}

void operation_throw_out(struct operation_call *k, int64_t account)
{
    if (k->server->login)
        login_forget(k->server->login, account);
    if (k->server->net)
        (void)net_kill(k->server->net, NULL, account);
}

struct error operation_size(struct operation_call *k, struct slice text, int64_t *bytes)
{
    static const char units[] = "KMGT";
    uint64_t n;
    int shift = 0;
    struct slice digits = text;
    if (slice_eq(text, SLICE("none"))) {
        *bytes = 0;
        return OK;
    }
    if (digits.n && (digits.p[digits.n - 1] == 'B' || digits.p[digits.n - 1] == 'b'))
        digits.n--;
    for (int i = 0; i < 4 && digits.n && !shift; i++)
        if (ascii_upper(digits.p[digits.n - 1]) == units[i])
            shift = 10 * (i + 1);
    if (shift)
        digits.n--;
    if (!slice_number(digits, INT64_MAX >> shift, &n))
        return error_make(ERROR_INVALID,
                          arena_printf(k->arena, "\"%.*s\" is no size; write a number with K, M or G, like 5G, or none",
                                       SLICE_ARG(slice_first(text, 40))));
    *bytes = (int64_t)n << shift;
    return OK;
}

/* --- passwords */

static struct error hash_secret(struct operation_call *k, struct slice *out)
{
    struct slice password = k->secret;
    *out = SLICE("");
    if (!password.p || password.n == 0)
        return OK;
    if (password.n < PASSWORD_LEAST)
        return error_make(ERROR_INVALID, "a password has at least 8 characters");
    char *hash = password_hash(password, k->arena);
    *out = slice_of(hash);
    return hash ? OK : error_make(ERROR_INVALID, "a password has at most 256 bytes");
}

/* Clients take the strongest mechanism that is offered, and SCRAM is offered to every name alike: a person's password
 * gets its verifier, too (docs/decisions/0010-scram.md). *keys NULL: none. */
static struct error scram_keys_of(struct operation_call *k, struct slice name, unsigned char bytes[SCRAM_KEYS],
                                  const unsigned char **keys)
{
    *keys = NULL;
    if (!k->secret.n || !k->server->login)
        return OK;
    TRY(scram_verifier(k->server->login, name, k->secret, bytes));
    *keys = bytes;
    return OK;
}

/* --- adding */

struct adding {
    struct operation_call *k;
    enum account_kind kind;
    struct address address;
    int64_t quota;
    struct slice hash;
    const unsigned char *keys;
};

static struct error add_change(struct sql *db, void *arg)
{
    struct adding *x = arg;
    int64_t id;
    struct slice title = operation_option(x->k, "title");
    TRY(account_add(db, (struct actor){0, 0}, x->kind, &x->address, title.p ? title : x->address.local, &id));
    if (x->quota)
        TRY(account_set_quota(db, id, x->quota, 0));
    return x->hash.n ? password_set(db, id, x->hash, x->keys) : OK;
}

static struct error read_address(struct operation_call *k, struct slice text, struct address *out)
{
    struct error e = address_parse(text, k->arena, out);
    return e.code == ERROR_INVALID
               ? error_make(ERROR_INVALID, arena_printf(k->arena, "\"%.*s\" is no address; write NAME@DOMAIN",
                                                        SLICE_ARG(slice_first(text, 300))))
               : e;
}

static struct error add_account(struct operation_call *k, enum account_kind kind)
{
    unsigned char bytes[SCRAM_KEYS];
    struct adding x = {.k = k, .kind = kind};
    struct slice quota = operation_option(k, "quota");
    TRY(read_address(k, k->words[2], &x.address));
    if (quota.p)
        TRY(operation_size(k, quota, &x.quota));
    TRY(hash_secret(k, &x.hash));
    const char *name = address_text(&x.address, k->arena);
    TRY(scram_keys_of(k, slice_of(name), bytes, &x.keys));
    struct error e = store_change(k->server->store, add_change, &x);
    if (e.code == ERROR_EXISTS)
        return error_make(
            ERROR_EXISTS,
            arena_printf(k->arena,
                         "%s is in use; `kantorctl account show %s` (or `account list --removed`) says by whom", name,
                         name));
    TRY(e);
    report_say(&k->report, "added %s%s", name,
               kind == ACCOUNT_PERSON && !x.hash.n ? "; it has no password yet: `kantorctl account password`" : "");
    return OK;
}

static struct error add_many(struct operation_call *k, struct slice count)
{
    struct slice prefix = operation_option(k, "prefix"), domain = operation_option(k, "domain"), hash;
    uint64_t n = 0;
    int64_t added = 0;
    if (!slice_number(count, 1000000, &n) || n == 0 || !prefix.n || !domain.n || k->n_words > 2)
        return error_make(
            ERROR_INVALID,
            "write `kantorctl account add --count N --prefix P --domain D`, with N from 1 to 1000000 and no address");
    TRY(hash_secret(k, &hash)); /* once, however many */
    struct error e = account_add_many(k->server->store, prefix, (int64_t)n, domain, hash, &added);
    report_say(&k->report, "%lld accounts added", (long long)added);
    return e;
}

struct error run_account_add(struct operation_call *k)
{
    struct slice count = operation_option(k, "count");
    if (count.p)
        return add_many(k, count);
    if (k->n_words < 3 || operation_option(k, "prefix").p || operation_option(k, "domain").p)
        return error_make(ERROR_INVALID,
                          "write `kantorctl account add NAME@DOMAIN`, or `--count N --prefix P --domain D` for many");
    return add_account(k, ACCOUNT_PERSON);
}

struct error run_group_add(struct operation_call *k)
{
    return add_account(k, ACCOUNT_GROUP);
}

struct error run_shared_add(struct operation_call *k)
{
    return add_account(k, ACCOUNT_SHARED);
}

/* --- showing */

struct error run_account_list(struct operation_call *k)
{
    struct account *all;
    struct slice domain = operation_option(k, "domain");
    struct domain only = {0};
    size_t n, shown = 0;
    int removed = operation_option(k, "removed").p != NULL;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    if (domain.p) {
        struct error e = domain_find(db, domain, k->arena, &only);
        TRY(e.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, "no such domain; `kantorctl domain list` shows all")
                                      : e);
    }
    TRY(account_list(db, only.id, k->arena, &all, &n));
    report_list(&k->report,
                removed ? "address kind removed_until used items name" : "address kind state used quota items name");
    for (size_t i = 0; i < n; i++) {
        if ((all[i].state == ACCOUNT_REMOVED) != removed)
            continue;
        report_text(&k->report, all[i].name);
        report_word(&k->report, operation_kind_words[all[i].kind]);
        removed ? report_date(&k->report, all[i].until) : report_word(&k->report, state_words[all[i].state]);
        report_size(&k->report, all[i].used);
        if (!removed)
            all[i].quota ? report_size(&k->report, all[i].quota) : report_word(&k->report, NULL);
        report_number(&k->report, all[i].items);
        report_text(&k->report, all[i].title);
        shown++;
    }
    report_say(&k->report, "%zu account%s", shown, shown == 1 ? "" : "s");
    return OK;
}

/* Groups that an account is in, as addresses. */
static struct error groups_of(struct operation_call *k, struct sql *db, int64_t account, struct slice **out, size_t *n)
{
    int64_t *ids;
    size_t n_ids;
    *n = 0;
    TRY(grant_identities(db, account, k->arena, &ids, &n_ids));
    *out = arena_alloc(k->arena, (n_ids + 1) * sizeof **out);
    for (size_t i = 0; *out && i < n_ids; i++) {
        struct account group;
        if (ids[i] != account && account_get(db, ids[i], k->arena, &group).code == ERROR_NONE)
            (*out)[(*n)++] = group.name;
    }
    return *out ? OK : error_make(ERROR_MEMORY, "no memory for groups");
}

struct error run_account_show(struct operation_call *k)
{
    struct account x;
    struct address_row *rows;
    struct app_password *devices;
    struct slice *groups, *aliases, *forwards;
    enum forward_copy copy;
    size_t n, n_groups, n_devices, n_forwards, n_aliases = 0;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &x));
    TRY(address_list(db, x.id, k->arena, &rows, &n));
    TRY(groups_of(k, db, x.id, &groups, &n_groups));
    TRY(forward_list(db, x.id, k->arena, &forwards, &n_forwards, &copy));
    TRY(app_password_list(db, x.id, k->arena, &devices, &n_devices));
    aliases = arena_alloc(k->arena, (n + 1) * sizeof *aliases);
    if (!aliases)
        return error_make(ERROR_MEMORY, "no memory for aliases");
    for (size_t i = 0; i < n; i++)
        if (rows[i].kind != ADDRESS_PRIMARY)
            aliases[n_aliases++] = rows[i].address;
    report_one(&k->report, "address name kind state removed_until used quota items aliases forwards_to keeps_copy groups app_passwords");
    report_text(&k->report, x.name);
    report_text(&k->report, x.title);
    report_word(&k->report, operation_kind_words[x.kind]);
    report_word(&k->report, state_words[x.state]);
    x.state == ACCOUNT_REMOVED ? report_date(&k->report, x.until) : report_word(&k->report, NULL);
    report_size(&k->report, x.used);
    x.quota ? report_size(&k->report, x.quota) : report_word(&k->report, NULL);
    report_number(&k->report, x.items);
    report_texts(&k->report, aliases, n_aliases);
    report_texts(&k->report, forwards, n_forwards);
    report_word(&k->report, n_forwards == 0 ? NULL : copy == FORWARD_KEEP_COPY ? "yes" : "no");
    report_texts(&k->report, groups, n_groups);
    report_number(&k->report, (int64_t)n_devices);
    return OK;
}

/* --- changing */

struct changing {
    struct operation_call *k;
    enum { SUSPEND, RESUME, REMOVE, RESTORE, QUOTA, PASSWORD, RENAME, TITLE } what;
    int64_t number;
    int64_t messages; /* of a quota; -1: as it was */
    struct address address;
    struct slice hash;
    const unsigned char *keys;
    struct account account; /* out: before */
};

static struct error change(struct sql *db, void *arg)
{
    struct changing *x = arg;
    TRY(operation_account(x->k, db, x->k->words[2], &x->account));
    int64_t id = x->account.id;
    if (x->account.state == ACCOUNT_REMOVED && x->what != RESTORE && x->what != REMOVE)
        return error_make(ERROR_CONFLICT,
                          "the account is removed; bring it back first with `kantorctl account restore`");
    switch (x->what) {
    case SUSPEND:
        return account_set_state(db, id, ACCOUNT_SUSPENDED);
    case RESUME:
        return account_set_state(db, id, ACCOUNT_ACTIVE);
    case REMOVE:
        return x->account.state == ACCOUNT_REMOVED ? OK : account_remove(db, id, x->number);
    case RESTORE:
        return account_restore(db, id);
    case QUOTA:
        return account_set_quota(db, id, x->number, x->messages < 0 ? x->account.quota_items : x->messages);
    case RENAME:
        return account_rename(db, id, &x->address,
                              operation_option(x->k, "drop-old").p ? ACCOUNT_DROP_OLD_NAME : ACCOUNT_KEEP_OLD_NAME);
    case TITLE:
        return account_set_title(db, id, x->k->words[3]);
    default:
        return password_set(db, id, x->hash, x->keys);
    }
}

static struct error change_account(struct operation_call *k, struct changing *x, const char *done)
{
    x->k = k;
    TRY(store_change(k->server->store, change, x));
    if (x->what == SUSPEND || x->what == REMOVE || x->what == PASSWORD || x->what == RENAME)
        operation_throw_out(k, x->account.id);
    else if (k->server->login)
        login_forget(k->server->login, x->account.id);
    report_say(&k->report, "%.*s %s", SLICE_ARG(x->account.name), done);
    return OK;
}

struct error run_account_password(struct operation_call *k)
{
    struct changing x = {.what = PASSWORD};
    unsigned char bytes[SCRAM_KEYS];
    struct account account;
    TRY(operation_account_now(k, k->words[2], &account));
    TRY(hash_secret(k, &x.hash));
    if (!x.hash.n)
        return error_make(ERROR_INVALID,
                          "no password was given; type it, or send it as the first line of standard input");
    TRY(scram_keys_of(k, account.name, bytes, &x.keys));
    return change_account(k, &x, "has a new password");
}

struct error run_account_suspend(struct operation_call *k)
{
    return change_account(k, &(struct changing){.what = SUSPEND}, "is suspended");
}

struct error run_account_resume(struct operation_call *k)
{
    return change_account(k, &(struct changing){.what = RESUME}, "is active");
}

struct error run_account_title(struct operation_call *k)
{
    return change_account(k, &(struct changing){.what = TITLE}, "has another name");
}

struct error run_account_remove(struct operation_call *k)
{
    struct changing x = {.what = REMOVE, .number = clock_now() + k->server->config->retention / 1000};
    struct buffer date = {0};
    int64_t n;
    int now = operation_option(k, "now").p != NULL;
    report_write_date(x.number, &date);
    const char *done = now ? "is deleted"
                           : arena_printf(k->arena, "is removed; until %.*s `kantorctl account restore` brings it back",
                                          SLICE_ARG(buffer_slice(&date)));
    buffer_free(&date);
    TRY(change_account(k, &x, done));
    return now ? account_purge(k->server->store, x.account.id, &n) : OK;
}

struct error run_account_restore(struct operation_call *k)
{
    return change_account(k, &(struct changing){.what = RESTORE}, "is back");
}

struct error run_account_rename(struct operation_call *k)
{
    struct changing x = {.what = RENAME};
    TRY(read_address(k, k->words[3], &x.address));
    return change_account(k, &x, arena_printf(k->arena, "is now %s", address_text(&x.address, k->arena)));
}

/* What was given; the other limit stays. */
static struct error set_quota(struct operation_call *k, struct slice messages)
{
    struct changing x = {.what = QUOTA, .messages = -1};
    struct account account;
    uint64_t n;
    if (messages.p && !slice_number(messages, INT64_MAX, &n))
        return error_make(ERROR_INVALID, "--messages takes a number; 0: any number");
    if (messages.p)
        x.messages = (int64_t)n;
    TRY(operation_account_now(k, k->words[2], &account));
    x.number = account.quota;
    if (k->n_words == 4)
        TRY(operation_size(k, k->words[3], &x.number));
    return change_account(k, &x, x.number || x.messages > 0 ? "has another quota" : "has no quota");
}

struct error run_account_quota(struct operation_call *k)
{
    struct slice messages = operation_option(k, "messages");
    struct account account;
    if (k->n_words == 4 || messages.p)
        return set_quota(k, messages);
    TRY(operation_account_now(k, k->words[2], &account));
    report_one(&k->report, "address used quota percent items");
    report_text(&k->report, account.name);
    report_size(&k->report, account.used);
    account.quota ? report_size(&k->report, account.quota) : report_word(&k->report, NULL);
    account.quota ? report_number(&k->report, account.used * 100 / account.quota) : report_word(&k->report, NULL);
    report_number(&k->report, account.items);
    return OK;
}
