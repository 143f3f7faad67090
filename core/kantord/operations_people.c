/* core/kantord/operations_people.c -- groups, app passwords, grants */
#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "core/store/grant.h"
#include "mail/mailbox/mailbox.h"

/* --- groups */

static struct error find_member(struct operation_call *k, struct sql *db, int64_t *member, struct slice *foreign)
{
    struct account account;
    struct address address;
    *foreign = SLICE("");
    *member = 0;
    if (account_find(db, k->words[3], k->arena, &account).code == ERROR_NONE) {
        *member = account.id;
        return OK;
    }
    struct domain ours;
    struct resolved to;
    TRY(address_parse(k->words[3], k->arena, &address));
    if (domain_find(db, address.domain, k->arena, &ours).code == ERROR_NONE &&
        address_resolve(db, &address, k->arena, &to).code == ERROR_NOT_FOUND)
        return operation_account(k, db, k->words[3],
                                 &account); /* one of ours that is not there is a mistake, no foreign address */
    *foreign = slice_of(address_text(&address, k->arena));
    return OK;
}

static struct error group_of(struct operation_call *k, struct sql *db, struct account *group)
{
    TRY(operation_account(k, db, k->words[2], group));
    return group->kind == ACCOUNT_GROUP
               ? OK
               : error_make(ERROR_CONFLICT, "that account is not a group; `kantorctl group add` makes one");
}

static struct error join_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account group;
    struct slice foreign;
    int64_t member;
    TRY(group_of(k, db, &group));
    TRY(find_member(k, db, &member, &foreign));
    return member_add(db, group.id, member, foreign);
}

static struct error leave_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account group;
    struct slice foreign;
    int64_t member;
    TRY(group_of(k, db, &group));
    TRY(find_member(k, db, &member, &foreign));
    return member_remove(db, group.id, member, foreign);
}

struct error run_group_join(struct operation_call *k)
{
    TRY(store_change(k->server->store, join_change, k));
    report_say(&k->report, "%.*s is a member of %.*s", SLICE_ARG(k->words[3]), SLICE_ARG(k->words[2]));
    return OK;
}

struct error run_group_leave(struct operation_call *k)
{
    TRY(store_change(k->server->store, leave_change, k));
    report_say(&k->report, "%.*s is no member of %.*s any more", SLICE_ARG(k->words[3]), SLICE_ARG(k->words[2]));
    return OK;
}

struct error run_group_members(struct operation_call *k)
{
    struct account group, member;
    struct member_row *rows;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(group_of(k, db, &group));
    TRY(member_list(db, group.id, k->arena, &rows, &n));
    report_list(&k->report, "member kind");
    for (size_t i = 0; i < n; i++) {
        bool ours = rows[i].member && account_get(db, rows[i].member, k->arena, &member).code == ERROR_NONE;
        report_text(&k->report, ours ? member.name : rows[i].foreign);
        report_word(&k->report, ours ? operation_kind_words[member.kind] : "elsewhere");
    }
    return OK;
}

/* --- app passwords */

struct app_change {
    struct operation_call *k;
    struct app_password_new made;
    int scope;
    int64_t id, account;
};

static const struct {
    struct slice word;
    int bit;
} scopes[] = {{{"imap", 4}, SCOPE_IMAP}, {{"pop3", 4}, SCOPE_POP3}, {{"smtp", 4}, SCOPE_SMTP}, {{"dav", 3}, SCOPE_DAV}};

static struct error read_scope(struct operation_call *k, int *scope)
{
    struct slice rest = operation_option(k, "scope");
    *scope = rest.p ? 0 : SCOPE_ALL;
    while (rest.n) {
        struct slice one = slice_first(rest, slice_find(rest, ','));
        size_t i = 0;
        rest = slice_after(rest, one.n + 1);
        while (i < 4 && !slice_eq(slice_trim(one), scopes[i].word))
            i++;
        if (i == 4)
            return error_make(ERROR_INVALID, "scopes are imap, pop3, smtp and dav");
        *scope |= scopes[i].bit;
    }
    return *scope ? OK : error_make(ERROR_INVALID, "scopes are imap, pop3, smtp and dav");
}

static struct error app_add_change(struct sql *db, void *arg)
{
    struct app_change *x = arg;
    return app_password_add(db, x->account, &x->made, x->k->words[3], x->scope, &x->id);
}

static void scope_words(int scope, struct slice *words, size_t *n)
{
    *n = 0;
    for (size_t s = 0; s < 4; s++)
        if (scope & scopes[s].bit)
            words[(*n)++] = scopes[s].word;
}

struct error run_app_password_add(struct operation_call *k)
{
    struct app_change x = {.k = k};
    struct account account;
    struct slice words[4];
    size_t n;
    TRY(read_scope(k, &x.scope));
    TRY(operation_account_now(k, k->words[2], &account));
    if (!k->server->login || account_is_gone(account.state))
        return error_make(ERROR_CONFLICT,
                          "the account is removed; bring it back first with `kantorctl account restore`");
    x.account = account.id;
    TRY(app_password_make(k->server->login, account.name, &x.made));
    TRY(store_change(k->server->store, app_add_change, &x));
    report_one(&k->report, "id name scopes password");
    report_number(&k->report, x.id);
    report_text(&k->report, k->words[3]);
    scope_words(x.scope, words, &n);
    report_texts(&k->report, words, n);
    report_word(&k->report, x.made.text);
    k->report.only_said = 1; /* people and scripts want the password alone */
    report_say(&k->report, "%s", x.made.text);
    return OK;
}

struct error run_app_password_list(struct operation_call *k)
{
    struct account account;
    struct app_password *all;
    struct slice words[4];
    size_t n, n_words;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &account));
    TRY(app_password_list(db, account.id, k->arena, &all, &n));
    report_list(&k->report, "id name scopes made last_used");
    for (size_t i = 0; i < n; i++) {
        scope_words(all[i].scope, words, &n_words);
        report_number(&k->report, all[i].id);
        report_text(&k->report, all[i].name);
        report_texts(&k->report, words, n_words);
        report_date(&k->report, all[i].created);
        report_date(&k->report, all[i].used);
    }
    return OK;
}

static struct error app_remove_change(struct sql *db, void *arg)
{
    struct app_change *x = arg;
    return app_password_remove(db, x->account, x->id);
}

struct error run_app_password_remove(struct operation_call *k)
{
    struct app_change x = {.k = k};
    struct account account;
    uint64_t id;
    if (!slice_number(k->words[3], INT64_MAX, &id))
        return error_make(ERROR_INVALID, "the id is the number that `kantorctl app-password list` shows");
    TRY(operation_account_now(k, k->words[2], &account));
    x.account = account.id;
    x.id = (int64_t)id;
    TRY(store_change(k->server->store, app_remove_change, &x));
    operation_throw_out(k, account.id);
    report_say(&k->report, "revoked");
    return OK;
}

/* --- grants */

struct grant_change {
    struct operation_call *k;
    int rights;
};

static struct error grant_change_run(struct sql *db, void *arg)
{
    struct grant_change *x = arg;
    struct slice text = x->k->words[2], owner_name = slice_first(text, slice_find(text, '/')),
                 path = slice_after(text, owner_name.n + 1);
    struct account owner, grantee;
    struct mailbox m = {0};
    TRY(operation_account(x->k, db, owner_name, &owner));
    TRY(operation_account(x->k, db, x->k->words[3], &grantee));
    struct error e = path.n ? mailbox_find(db, owner.id, path, x->k->arena, &m) : OK;
    if (e.code == ERROR_NOT_FOUND)
        return error_make(ERROR_NOT_FOUND, arena_printf(x->k->arena, "%.*s has no mailbox \"%.*s\"",
                                                        SLICE_ARG(owner.name), SLICE_ARG(slice_first(path, 200))));
    TRY(e);
    return grant_set(db, (struct actor){0, 0}, owner.id, m.c.id, grantee.id, x->rights);
}

static const struct {
    struct slice word;
    int rights;
} right_words[] = {
    {{"read", 4}, RIGHT_LOOKUP | RIGHT_READ | RIGHT_SEEN},
    {{"write", 5}, RIGHT_LOOKUP | RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_DELETE | RIGHT_EXPUNGE},
    {{"all", 3}, RIGHT_ALL & ~(RIGHT_ADMIN | RIGHT_SEND_ON_BEHALF)},
    {{"send-as", 7}, RIGHT_SEND_AS},
    {{"send-on-behalf", 14}, RIGHT_SEND_ON_BEHALF},
};

static struct error read_rights(struct slice text, int *rights)
{
    char letters[64];
    size_t n = 0;
    int some = 0;
    *rights = 0;
    if (slice_eq(text, SLICE("-")))
        return OK;
    for (size_t i = 0; i < sizeof right_words / sizeof right_words[0]; i++)
        if (slice_eq(text, right_words[i].word)) {
            *rights = right_words[i].rights;
            return OK;
        }
    for (size_t i = 0; i < text.n && n < sizeof letters; i++) {
        if (text.p[i] == 'S')
            *rights |= RIGHT_SEND_AS;
        else if (text.p[i] == 'B')
            *rights |= RIGHT_SEND_ON_BEHALF;
        else
            letters[n++] = text.p[i];
    }
    if (rights_read(slice_make(letters, n), &some).code != ERROR_NONE)
        return error_make(
            ERROR_INVALID,
            "rights are read, write, all, send-as, send-on-behalf, letters of lrswipkxtea with S (send as) and B (on behalf), or - for none");
    *rights |= some;
    return OK;
}

struct error run_grant_set(struct operation_call *k)
{
    struct grant_change x = {.k = k};
    TRY(read_rights(k->words[4], &x.rights));
    TRY(store_change(k->server->store, grant_change_run, &x));
    report_say(&k->report, "set");
    return OK;
}

struct error run_grant_remove(struct operation_call *k)
{
    struct grant_change x = {.k = k, .rights = 0};
    TRY(store_change(k->server->store, grant_change_run, &x));
    report_say(&k->report, "removed");
    return OK;
}

/* The path of a mailbox, from its rows upwards. */
static struct error path_of(struct operation_call *k, struct sql *db, int64_t id, struct slice *out)
{
    *out = slice_make(NULL, 0);
    for (int depth = 0; id > 0 && depth <= MAILBOX_DEPTH_MAX; depth++) {
        struct collection c;
        TRY(collection_get(db, id, k->arena, &c));
        char *longer = out->p ? arena_printf(k->arena, "%.*s/%.*s", SLICE_ARG(c.name), SLICE_ARG(*out))
                              : arena_string(k->arena, c.name);
        *out = slice_of(longer);
        id = c.parent;
    }
    return OK;
}

struct error run_grant_list(struct operation_call *k)
{
    struct account owner, grantee;
    struct grant *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &owner));
    TRY(grant_list(db, owner.id, k->arena, &all, &n));
    report_list(&k->report, "grantee rights mailbox");
    for (size_t i = 0; i < n; i++) {
        struct buffer letters = {0};
        struct slice path = slice_make(NULL, 0);
        if (account_get(db, all[i].grantee, k->arena, &grantee).code != ERROR_NONE ||
            (all[i].collection && path_of(k, db, all[i].collection, &path).code != ERROR_NONE))
            continue; /* the mailbox went meanwhile */
        rights_write(all[i].rights, &letters);
        if (all[i].rights & RIGHT_SEND_AS)
            buffer_add_char(&letters, 'S');
        if (all[i].rights & RIGHT_SEND_ON_BEHALF)
            buffer_add_char(&letters, 'B');
        report_text(&k->report, grantee.name);
        report_text(&k->report, buffer_slice(&letters));
        report_text(&k->report, all[i].collection ? path : SLICE("(all)"));
        buffer_free(&letters);
    }
    return OK;
}
