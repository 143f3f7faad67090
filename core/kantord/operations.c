/* core/kantord/operations.c -- the table of operations, and those on domains, accounts, sessions and the store */
#include "core/kantord/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "core/metrics.h"
#include "core/net/service.h"
#include "core/store/grant.h"

enum { BULK_A_CHANGE = 200 };

struct slice operation_option(const struct operation_call *k, const char *name)
{
    for (size_t i = 0; i < k->n_options; i++)
        if (slice_eq(k->options[i][0], slice_of(name)))
            return k->options[i][1];
    return slice_make(NULL, 0);
}

void operation_date(int64_t at, struct buffer *out)
{
    struct tm t;
    char text[32];
    time_t when = (time_t)at;
    if (at == 0) {
        buffer_add(out, SLICE("never"));
        return;
    }
    (void)gmtime_r(&when, &t);
    buffer_add(out, slice_make(text, strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &t)));
}

struct error operation_account(struct operation_call *k, struct sql *db, struct slice name, struct account *out)
{
    struct error e = account_find(db, name, k->arena, out);
    return e.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, arena_printf(k->arena, "no account has the address %.*s; `kantorctl account list` shows all", SLICE_ARG(slice_first(name, 300)))) : e;
}

/* --- domains */

static struct error domain_add_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct address x;
    int64_t id;
    char *probe = arena_printf(k->arena, "x@%.*s", SLICE_ARG(k->words[2]));
    TRY(address_parse(slice_of(probe), k->arena, &x));
    struct error e = domain_add(db, x.domain, &id);
    return e.code == ERROR_EXISTS ? error_make(ERROR_EXISTS, "the domain is served already") : e;
}

static struct error domain_remove_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct domain d;
    TRY(domain_find(db, k->words[2], k->arena, &d));
    return domain_remove(db, d.id);
}

static struct error run_domain_add(struct operation_call *k)
{
    return store_change(k->server->store, domain_add_change, k);
}

static struct error run_domain_remove(struct operation_call *k)
{
    return store_change(k->server->store, domain_remove_change, k);
}

static struct error run_domain_list(struct operation_call *k)
{
    struct domain *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(domain_list(db, k->arena, &all, &n));
    for (size_t i = 0; i < n; i++)
        buffer_printf(k->out, "%.*s\n", SLICE_ARG(all[i].name));
    return OK;
}

/* --- accounts */

static const char *const kind_words[] = {[ACCOUNT_PERSON] = "person", [ACCOUNT_GROUP] = "group", [ACCOUNT_SHARED] = "shared", [ACCOUNT_ROOM] = "room", [ACCOUNT_EQUIPMENT] = "equipment"};

struct adding {
    struct operation_call *k;
    enum account_kind kind;
    struct slice hash;
    const unsigned char *keys; /* SCRAM's, or NULL */
    int64_t from, count; /* prefix + number; count 0: the one address */
    struct slice prefix, domain;
};

static struct error add_one(struct sql *db, struct adding *x, struct slice name)
{
    struct address address;
    int64_t id;
    TRY(address_parse(name, x->k->arena, &address));
    TRY(account_add(db, (struct actor){0, 0}, x->kind, &address, operation_option(x->k, "title").p ? operation_option(x->k, "title") : address.local, &id));
    return x->hash.n ? password_set(db, id, x->hash, x->keys) : OK;
}

static struct error add_change(struct sql *db, void *arg)
{
    struct adding *x = arg;
    if (x->count == 0)
        return add_one(db, x, x->k->words[2]);
    for (int64_t i = x->from; i < x->from + x->count; i++) {
        char *name = arena_printf(x->k->arena, "%.*s%lld@%.*s", SLICE_ARG(x->prefix), (long long)i, SLICE_ARG(x->domain));
        TRY(add_one(db, x, slice_of(name)));
    }
    return OK;
}

static struct error hash_option(struct operation_call *k, struct slice *out)
{
    struct slice password = operation_option(k, "password");
    *out = SLICE("");
    if (!password.p)
        return OK;
    if (password.n < 8)
        return error_make(ERROR_INVALID, "a password has at least 8 characters");
    char *hash = password_hash(password, k->arena);
    *out = slice_of(hash);
    return hash ? OK : error_make(ERROR_MEMORY, "no memory for a password");
}

/* Clients take the strongest mechanism that is offered, and SCRAM is offered to every name alike: a person's password gets its verifier, too
 * (docs/decisions/0010-scram.md). Only the running server knows the secret that the salt comes from. *keys NULL: none. */
static struct error scram_keys_of(struct operation_call *k, struct slice name, unsigned char bytes[SCRAM_KEYS], const unsigned char **keys)
{
    struct slice password = operation_option(k, "password");
    *keys = NULL;
    if (!password.p || !k->server->login)
        return OK;
    TRY(scram_verifier(k->server->login, name, password, bytes));
    *keys = bytes;
    return OK;
}

static struct error add_accounts(struct operation_call *k, enum account_kind kind)
{
    unsigned char bytes[SCRAM_KEYS];
    struct adding x = {.k = k, .kind = kind, .prefix = operation_option(k, "prefix"), .domain = operation_option(k, "domain")};
    struct slice count = operation_option(k, "count");
    uint64_t n = 0;
    TRY(hash_option(k, &x.hash)); /* once, however many */
    if (!count.p && k->n_words < 3)
        return error_make(ERROR_INVALID, "which address? `kantorctl account add NAME@DOMAIN --password …`, or --count N --prefix P --domain D");
    if (!count.p) {
        struct address address;
        TRY(address_parse(k->words[2], k->arena, &address));
        TRY(scram_keys_of(k, slice_of(address_text(&address, k->arena)), bytes, &x.keys));
        struct error e = store_change(k->server->store, add_change, &x);
        return e.code == ERROR_EXISTS ? error_make(ERROR_EXISTS, "the address is in use") : e;
    }
    if (!slice_number(count, 1000000, &n) || n == 0 || !x.prefix.n || !x.domain.n)
        return error_make(ERROR_INVALID, "--count N (1 to 1000000) goes with --prefix P and --domain D");
    for (x.from = 1; x.from <= (int64_t)n; x.from += x.count) {
        x.count = (int64_t)n - x.from + 1 < BULK_A_CHANGE ? (int64_t)n - x.from + 1 : BULK_A_CHANGE;
        TRY(store_change(k->server->store, add_change, &x));
    }
    buffer_printf(k->out, "%llu accounts added\n", (unsigned long long)n);
    return OK;
}

static struct error run_account_add(struct operation_call *k)
{
    return add_accounts(k, ACCOUNT_PERSON);
}

static struct error run_group_add(struct operation_call *k)
{
    return add_accounts(k, ACCOUNT_GROUP);
}

static struct error run_shared_add(struct operation_call *k)
{
    return add_accounts(k, ACCOUNT_SHARED);
}

static struct error run_account_list(struct operation_call *k)
{
    struct account *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(account_list(db, 0, k->arena, &all, &n));
    for (size_t i = 0; i < n; i++)
        buffer_printf(k->out, "%-40.*s %-8s %-9s %12lld bytes %8lld items%s\n", SLICE_ARG(all[i].name), kind_words[all[i].kind], all[i].state == ACCOUNT_ACTIVE ? "active" : "suspended", (long long)all[i].used,
                      (long long)all[i].items, all[i].quota ? "" : "  no quota");
    return OK;
}

static struct error run_account_show(struct operation_call *k)
{
    struct account x;
    struct address_row *rows;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &x));
    TRY(address_list(db, x.id, k->arena, &rows, &n));
    buffer_printf(k->out, "address  %.*s\nname     %.*s\nkind     %s\nstate    %s\nused     %lld bytes in %lld items\nquota    %lld bytes (0: none)\n", SLICE_ARG(x.name), SLICE_ARG(x.title), kind_words[x.kind],
                  x.state == ACCOUNT_ACTIVE ? "active" : "suspended", (long long)x.used, (long long)x.items, (long long)x.quota);
    for (size_t i = 0; i < n; i++)
        if (rows[i].kind != ADDRESS_PRIMARY)
            buffer_printf(k->out, "alias    %.*s%s%.*s\n", SLICE_ARG(rows[i].address), rows[i].target.n ? " to " : "", SLICE_ARG(rows[i].target));
    return OK;
}

struct account_change {
    struct operation_call *k;
    enum { SET_STATE, SET_QUOTA, SET_PASSWORD } what;
    enum account_state state;
    int64_t quota;
    struct slice hash;
    const unsigned char *keys;
    int64_t account;
};

static struct error account_change_run(struct sql *db, void *arg)
{
    struct account_change *x = arg;
    struct account account;
    TRY(operation_account(x->k, db, x->k->words[2], &account));
    x->account = account.id;
    if (x->what == SET_STATE)
        return account_set_state(db, account.id, x->state);
    if (x->what == SET_QUOTA)
        return account_set_quota(db, account.id, x->quota, account.quota_items);
    return password_set(db, account.id, x->hash, x->keys);
}

static struct error change_account(struct operation_call *k, struct account_change *x)
{
    x->k = k;
    TRY(store_change(k->server->store, account_change_run, x));
    if (k->server->login)
        login_forget(k->server->login, x->account);
    if (k->server->net && x->what != SET_QUOTA && (x->what != SET_STATE || x->state != ACCOUNT_ACTIVE))
        (void)net_kill(k->server->net, NULL, x->account); /* who is logged in must not go on with what was taken from him */
    return OK;
}

static struct error run_account_password(struct operation_call *k)
{
    struct account_change x = {.what = SET_PASSWORD};
    unsigned char bytes[SCRAM_KEYS];
    struct account account;
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
        TRY(operation_account(k, db, k->words[2], &account));
    }
    TRY(hash_option(k, &x.hash));
    TRY(scram_keys_of(k, account.name, bytes, &x.keys));
    return x.hash.n ? change_account(k, &x) : error_make(ERROR_INVALID, "which password? --password TEXT");
}

static struct error run_account_suspend(struct operation_call *k)
{
    return change_account(k, &(struct account_change){.what = SET_STATE, .state = ACCOUNT_SUSPENDED});
}

static struct error run_account_resume(struct operation_call *k)
{
    return change_account(k, &(struct account_change){.what = SET_STATE, .state = ACCOUNT_ACTIVE});
}

static struct error run_account_delete(struct operation_call *k)
{
    return change_account(k, &(struct account_change){.what = SET_STATE, .state = ACCOUNT_DELETED});
}

static struct error run_account_quota(struct operation_call *k)
{
    struct account_change x = {.what = SET_QUOTA};
    uint64_t n;
    if (k->n_words < 4 || !slice_number(k->words[3], INT64_MAX, &n))
        return error_make(ERROR_INVALID, "write `kantorctl account quota ADDRESS BYTES` (0: none)");
    x.quota = (int64_t)n;
    return change_account(k, &x);
}

/* --- sessions and the store */

static struct error run_sessions_list(struct operation_call *k)
{
    struct net_session *all;
    size_t n;
    if (!k->server->net)
        return error_make(ERROR_UNSUPPORTED, "the server does not run, so there are no sessions");
    TRY(net_sessions(k->server->net, k->arena, &all, &n));
    for (size_t i = 0; i < n; i++)
        buffer_printf(k->out, "%-10s %-11s %-40s %-30s idle %llds\n", all[i].id, all[i].service, all[i].peer, all[i].name[0] ? all[i].name : "-", (long long)all[i].idle_s);
    buffer_printf(k->out, "%zu sessions\n", n);
    return OK;
}

static struct error run_sessions_kill(struct operation_call *k)
{
    if (!k->server->net)
        return error_make(ERROR_UNSUPPORTED, "the server does not run, so there are no sessions");
    int n = net_kill(k->server->net, arena_string(k->arena, k->words[2]), 0);
    buffer_printf(k->out, "%d ended\n", n);
    return n ? OK : error_make(ERROR_NOT_FOUND, "no session has that id; `kantorctl sessions list` shows all");
}

static void report_line(void *arg, const char *line)
{
    buffer_printf(arg, "%s\n", line);
}

static struct error run_check(struct operation_call *k)
{
    int64_t findings = 0;
    int repair = operation_option(k, "repair").p != NULL;
    TRY(store_check(k->server->store, repair ? STORE_CHECK_REPAIR : STORE_CHECK_ONLY, report_line, k->out, &findings));
    if (findings == 0) {
        buffer_add(k->out, SLICE("the store is clean\n"));
        return OK;
    }
    buffer_printf(k->out, "%lld findings%s\n", (long long)findings, repair ? "; counters were made anew, run check again" : "; --repair makes counters anew");
    return repair ? OK : error_make(ERROR_CORRUPT, "the store is not clean");
}

static struct error run_backup(struct operation_call *k)
{
    TRY(store_backup(k->server->store, arena_string(k->arena, k->words[1]), NULL, NULL));
    buffer_printf(k->out, "backed up to %.*s\n", SLICE_ARG(k->words[1]));
    return OK;
}

static struct error run_gc(struct operation_call *k)
{
    TRY(store_collect_garbage(k->server->store));
    buffer_add(k->out, SLICE("collected\n"));
    return OK;
}

static struct error run_top(struct operation_call *k)
{
    struct buffer b = {0};
    metrics_write(&b);
    for (struct slice rest = buffer_slice(&b); rest.n;) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        rest = slice_after(rest, line.n + 1);
        if (!slice_starts(line, SLICE("#")))
            buffer_printf(k->out, "%.*s\n", SLICE_ARG(line));
    }
    buffer_free(&b);
    return OK;
}

/* --- the table */

static const struct row {
    const char *first, *second; /* second NULL: one word */
    size_t words;               /* that must be there, with these */
    struct error (*run)(struct operation_call *k);
    const char *arguments, *help;
} rows[] = {
    {"domain", "add", 3, run_domain_add, "NAME", "serve a domain"},
    {"domain", "list", 2, run_domain_list, "", "the domains served here"},
    {"domain", "remove", 3, run_domain_remove, "NAME", "stop serving a domain without accounts"},
    {"account", "add", 2, run_account_add, "ADDRESS --password TEXT [--title NAME] | --count N --prefix P --domain D --password TEXT", "add a person, or many"},
    {"account", "list", 2, run_account_list, "", "all accounts"},
    {"account", "show", 3, run_account_show, "ADDRESS", "one account"},
    {"account", "password", 3, run_account_password, "ADDRESS --password TEXT", "set the password; sessions end"},
    {"account", "suspend", 3, run_account_suspend, "ADDRESS", "no login, no delivery; sessions end"},
    {"account", "resume", 3, run_account_resume, "ADDRESS", "undo suspend"},
    {"account", "delete", 3, run_account_delete, "ADDRESS", "addresses and logins go; mail stays until retention is over"},
    {"account", "quota", 4, run_account_quota, "ADDRESS BYTES", "0: none"},
    {"alias", "add", 4, run_alias_add, "ALIAS ACCOUNT|FOREIGN", "another address of an account, or a forward; *@DOMAIN catches all"},
    {"alias", "remove", 4, run_alias_remove, "ALIAS ACCOUNT", "remove it"},
    {"alias", "list", 3, run_alias_list, "ACCOUNT", "the addresses of an account"},
    {"group", "add", 3, run_group_add, "ADDRESS", "add a group"},
    {"group", "join", 4, run_group_join, "GROUP MEMBER", "add a member (an account or a foreign address)"},
    {"group", "leave", 4, run_group_leave, "GROUP MEMBER", "remove a member"},
    {"group", "members", 3, run_group_members, "GROUP", "its members"},
    {"shared", "add", 3, run_shared_add, "ADDRESS", "add a shared mailbox; `grant set` says who uses it"},
    {"app-password", "add", 4, run_app_password_add, "ADDRESS NAME [--scope imap,pop3,smtp,dav]", "make one; it is shown once"},
    {"app-password", "list", 3, run_app_password_list, "ADDRESS", "names, scopes, last use"},
    {"app-password", "remove", 4, run_app_password_remove, "ADDRESS ID", "revoke it; sessions end"},
    {"grant", "set", 5, run_grant_set, "OWNER[/MAILBOX] GRANTEE RIGHTS", "rights are letters of lrswipkxtea and S (send as); - for none"},
    {"grant", "list", 3, run_grant_list, "OWNER", "who has which rights"},
    {"queue", "list", 2, run_queue_list, "", "mail that waits for other servers"},
    {"queue", "show", 3, run_queue_show, "ID", "one message of the queue"},
    {"queue", "delete", 3, run_queue_delete, "ID", "take it out of the queue"},
    {"sessions", "list", 2, run_sessions_list, "", "who is connected"},
    {"sessions", "kill", 3, run_sessions_kill, "ID", "end a session"},
    {"import", "mbox", 4, run_import_mbox, "ADDRESS FILE [--mailbox NAME]", "messages of an mbox file"},
    {"import", "eml", 4, run_import_eml, "ADDRESS FOLDER [--mailbox NAME]", "every .eml file of a folder"},
    {"import", "maildir", 4, run_import_maildir, "ADDRESS FOLDER [--mailbox NAME]", "a Maildir with its flags"},
    {"export", "mbox", 4, run_export_mbox, "ADDRESS FILE [--mailbox NAME]", "a mailbox as an mbox file"},
    {"check", NULL, 1, run_check, "[--repair]", "verify the store"},
    {"backup", NULL, 2, run_backup, "FOLDER", "a consistent copy of the running server's store"},
    {"gc", NULL, 1, run_gc, "", "collect what retention has outlived now"},
    {"top", NULL, 1, run_top, "", "counters"},
};

enum { N_ROWS = sizeof rows / sizeof rows[0] };

void operations_write_help(struct buffer *out)
{
    for (size_t i = 0; i < N_ROWS; i++)
        buffer_printf(out, "  %s%s%s %s\n      %s\n", rows[i].first, rows[i].second ? " " : "", rows[i].second ? rows[i].second : "", rows[i].arguments, rows[i].help);
}

static bool is_switch(struct slice name)
{
    return slice_eq(name, SLICE("repair")) || slice_eq(name, SLICE("json"));
}

static struct error split(struct operation_call *k, const struct slice *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!slice_starts(args[i], SLICE("--"))) {
            if (k->n_words == OPERATION_WORDS_MAX)
                return error_make(ERROR_INVALID, "too many words");
            k->words[k->n_words++] = args[i];
            continue;
        }
        struct slice name = slice_after(args[i], 2);
        size_t equal = slice_find(name, '=');
        if (k->n_options == OPERATION_WORDS_MAX)
            return error_make(ERROR_INVALID, "too many options");
        k->options[k->n_options][0] = slice_first(name, equal);
        if (equal < name.n)
            k->options[k->n_options++][1] = slice_after(name, equal + 1);
        else if (is_switch(name))
            k->options[k->n_options++][1] = SLICE("");
        else if (i + 1 < n)
            k->options[k->n_options++][1] = args[++i];
        else
            return error_make(ERROR_INVALID, arena_printf(k->arena, "--%.*s needs a value", SLICE_ARG(slice_first(name, 50))));
    }
    return OK;
}

struct error operation_run(struct server *server, const struct slice *args, size_t n, struct arena *a, struct buffer *out)
{
    struct operation_call *k = arena_zero(a, 1, sizeof *k);
    if (!k)
        return error_make(ERROR_MEMORY, "no memory for an operation");
    k->server = server;
    k->arena = a;
    k->out = out;
    TRY(split(k, args, n));
    for (size_t i = 0; i < N_ROWS; i++) {
        if (k->n_words == 0 || !slice_eq(k->words[0], slice_of(rows[i].first)) || (rows[i].second && (k->n_words < 2 || !slice_eq(k->words[1], slice_of(rows[i].second)))))
            continue;
        if (k->n_words < rows[i].words)
            return error_make(ERROR_INVALID, arena_printf(a, "something is missing: kantorctl %s %s %s", rows[i].first, rows[i].second ? rows[i].second : "", rows[i].arguments));
        return rows[i].run(k);
    }
    return error_make(ERROR_INVALID, "there is no such operation; `kantorctl --help` shows all");
}
