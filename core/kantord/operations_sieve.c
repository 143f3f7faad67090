/* core/kantord/operations_sieve.c -- Sieve scripts of people, domains and the server, and the simple answer while somebody is away */
#include <time.h>

#include "core/account/account.h"
#include "core/account/script.h"
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "mail/sieve/sieve.h"
#include "mail/sieve/write.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a script")

/* Whose script: an account, a domain, or the server; the name of one of the latter is "before" or "after". */
struct owner {
    int64_t id; /* as in script.h */
    struct slice name; /* of the script; p NULL: given by words */
};

static bool option_given(const struct operation_call *k, const char *name) { return operation_option(k, name).p != NULL; }

static struct error read_owner(struct operation_call *k, struct sql *db, struct owner *out)
{
    struct account account;
    struct domain domain;
    bool before = option_given(k, "before"), after = option_given(k, "after");
    struct slice word = k->words[2];
    out->name = before ? SCRIPT_BEFORE : after ? SCRIPT_AFTER : slice_make(NULL, 0);
    if (before && after)
        return error_make(ERROR_INVALID, "--before or --after, not both");
    if (slice_eq(word, SLICE("server"))) {
        out->id = 0;
    } else if (slice_find(word, '@') == word.n) {
        struct error e = domain_row(db, word, k->arena, &domain);
        if (e.code == ERROR_NOT_FOUND)
            return error_make(ERROR_NOT_FOUND, "there is no such domain; write an address, a domain, or the word server");
        TRY(e);
        out->id = script_of_domain(domain.id);
    } else {
        TRY(operation_account(k, db, word, &account));
        out->id = account.id;
        return before || after ? error_make(ERROR_INVALID, "--before and --after are for a domain, or for the word server") : OK;
    }
    return out->name.p ? OK : error_make(ERROR_INVALID, "a domain and the server have the scripts --before and --after");
}

struct change {
    struct operation_call *k;
    struct slice source;
    bool activate;
};

/* --- sieve list, show */

struct error run_sieve_list(struct operation_call *k)
{
    struct account account;
    struct script *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &account));
    TRY(script_list(db, account.id, k->arena, &all, &n));
    report_list(&k->report, "script active bytes");
    for (size_t i = 0; i < n; i++) {
        report_text(&k->report, all[i].name);
        report_word(&k->report, all[i].state == SCRIPT_ACTIVE ? "yes" : "no");
        report_number(&k->report, all[i].size);
    }
    return OK;
}

static void say_lines(struct operation_call *k, struct slice text)
{
    while (text.n) {
        struct slice line = slice_first(text, slice_find(text, '\n'));
        text = slice_after(text, line.n + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        report_say(&k->report, "%.*s", SLICE_ARG(line));
    }
}

struct error run_sieve_show(struct operation_call *k)
{
    struct owner owner;
    struct script script;
    struct slice source;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(read_owner(k, db, &owner));
    if (!owner.name.p && k->n_words < 4)
        return error_make(ERROR_INVALID, "write the name of the script, too; `kantorctl sieve list ACCOUNT` shows them");
    TRY(script_get(db, owner.id, owner.name.p ? owner.name : k->words[3], k->arena, &script, &source));
    say_lines(k, source);
    return OK;
}

/* --- sieve put, activate, delete */

static struct error put_change(struct sql *db, void *arg)
{
    struct change *x = arg;
    struct operation_call *k = x->k;
    struct owner owner;
    TRY(read_owner(k, db, &owner));
    if (owner.name.p)
        return script_put(db, owner.id, owner.name, x->source, SCRIPT_BESIDES);
    if (k->n_words < 4)
        return error_make(ERROR_INVALID, "write the name of the script, too");
    TRY(script_name_check(k->words[3]));
    TRY(script_put(db, owner.id, k->words[3], x->source, SCRIPT_OFF));
    return x->activate ? script_activate(db, owner.id, k->words[3]) : OK;
}

/* A line with the place where it is wrong, or nothing. */
static struct error check(struct operation_call *k, struct slice source)
{
    struct sieve_script *script;
    struct sieve_fault fault;
    struct error e = sieve_compile(source, k->arena, &script, &fault);
    if (e.code == ERROR_NONE)
        return OK;
    const char *text = arena_printf(k->arena, "line %u: %s", fault.line, fault.text);
    return text ? error_make(ERROR_INVALID, text) : NO_MEMORY;
}

struct error run_sieve_put(struct operation_call *k)
{
    struct change x = {.k = k, .source = k->secret, .activate = option_given(k, "activate")};
    struct slice text = operation_option(k, "text");
    if (text.p)
        x.source = text;
    if (!x.source.p)
        return error_make(ERROR_INVALID, "the script is missing: `kantorctl sieve put ... < FILE`, or --text SCRIPT");
    TRY(check(k, x.source));
    TRY(store_change(k->server->store, put_change, &x));
    report_say(&k->report, option_given(k, "before") || option_given(k, "after") ? "the script is kept and runs" : x.activate ? "the script is kept and active" : "the script is kept");
    return OK;
}

static struct error activate_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account account;
    TRY(operation_account(k, db, k->words[2], &account));
    return script_activate(db, account.id, slice_eq(k->words[3], SLICE("-")) ? SLICE("") : k->words[3]);
}

struct error run_sieve_activate(struct operation_call *k)
{
    TRY(store_change(k->server->store, activate_change, k));
    report_say(&k->report, slice_eq(k->words[3], SLICE("-")) ? "no script is active" : "the script is active");
    return OK;
}

static struct error delete_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct owner owner;
    TRY(read_owner(k, db, &owner));
    if (owner.name.p)
        return script_drop(db, owner.id, owner.name);
    return k->n_words < 4 ? error_make(ERROR_INVALID, "write the name of the script, too") : script_delete(db, owner.id, k->words[3]);
}

struct error run_sieve_delete(struct operation_call *k)
{
    TRY(store_change(k->server->store, delete_change, k));
    report_say(&k->report, "the script is gone");
    return OK;
}

/* --- vacation */

static bool is_date(struct slice s)
{
    struct tm civil = {0};
    char text[11];
    if (s.n != 10)
        return false;
    memcpy(text, s.p, 10);
    text[10] = 0;
    const char *end = strptime(text, "%Y-%m-%d", &civil);
    return end && *end == 0;
}

static struct error set_change(struct sql *db, void *arg)
{
    struct change *x = arg;
    struct account account;
    TRY(operation_account(x->k, db, x->k->words[2], &account));
    if (account.kind == ACCOUNT_GROUP)
        return error_make(ERROR_INVALID, "a group has no mailbox that answers");
    TRY(script_drop(db, account.id, SCRIPT_AWAY));
    return x->source.p ? script_put(db, account.id, SCRIPT_AWAY, x->source, SCRIPT_BESIDES) : OK;
}

struct error run_vacation_set(struct operation_call *k)
{
    struct sieve_away away = {.from = operation_option(k, "from"), .until = operation_option(k, "until"), .subject = operation_option(k, "subject"), .text = operation_option(k, "text")};
    struct change x = {.k = k};
    struct buffer script = {0};
    if (!away.text.p || away.text.n == 0)
        return error_make(ERROR_INVALID, "what is to be answered? --text TEXT");
    if ((away.from.p && !is_date(away.from)) || (away.until.p && !is_date(away.until)))
        return error_make(ERROR_INVALID, "a date is YYYY-MM-DD: --from 2026-12-21 --until 2027-01-03 (the last day)");
    struct error e = sieve_write_away(&away, &script);
    if (e.code == ERROR_NONE)
        x.source = arena_copy(k->arena, buffer_slice(&script));
    e = e.code == ERROR_NONE && (script.failed || !x.source.p) ? NO_MEMORY : e;
    buffer_free(&script);
    TRY(e);
    TRY(check(k, x.source));
    TRY(store_change(k->server->store, set_change, &x));
    report_say(&k->report, "mail to %.*s is answered%s%.*s%s%.*s", SLICE_ARG(k->words[2]), away.from.p ? " from " : "", SLICE_ARG(away.from), away.until.p ? " until " : "", SLICE_ARG(away.until));
    return OK;
}

struct error run_vacation_show(struct operation_call *k)
{
    struct account account;
    struct script script;
    struct slice source;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &account));
    struct error e = script_get(db, account.id, SCRIPT_AWAY, k->arena, &script, &source);
    if (e.code == ERROR_NOT_FOUND) {
        report_say(&k->report, "mail to %.*s is not answered", SLICE_ARG(account.name));
        return OK;
    }
    TRY(e);
    say_lines(k, source);
    return OK;
}

struct error run_vacation_off(struct operation_call *k)
{
    struct change x = {.k = k, .source = slice_make(NULL, 0)};
    TRY(store_change(k->server->store, set_change, &x));
    report_say(&k->report, "mail to %.*s is not answered any more", SLICE_ARG(k->words[2]));
    return OK;
}
