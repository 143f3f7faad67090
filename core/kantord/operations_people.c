/* core/kantord/operations_people.c -- aliases, groups, app passwords, grants */
#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "core/net/service.h"
#include "core/store/grant.h"
#include "mail/mailbox/mailbox.h"

/* --- aliases; *@domain is the catch-all */

static struct error read_alias(struct operation_call *k, struct slice text, struct address *out)
{
    if (!slice_starts(text, SLICE("*@")))
        return address_parse(text, k->arena, out);
    char *probe = arena_printf(k->arena, "x@%.*s", SLICE_ARG(slice_after(text, 2)));
    TRY(address_parse(slice_of(probe), k->arena, out));
    out->local = SLICE("*");
    return OK;
}

static struct error alias_add_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct address alias, target;
    struct account account;
    TRY(read_alias(k, k->words[2], &alias));
    struct error e = account_find(db, k->words[3], k->arena, &account);
    if (e.code == ERROR_NONE)
        return address_add(db, &alias, account.id, ADDRESS_ALIAS, SLICE(""));
    if (e.code != ERROR_NOT_FOUND)
        return e;
    struct domain ours;
    TRY(address_parse(k->words[3], k->arena, &target));
    if (domain_find(db, target.domain, k->arena, &ours).code == ERROR_NONE)
        return error_make(ERROR_NOT_FOUND, "no account has that address");
    return address_add(db, &alias, 0, ADDRESS_FORWARD, slice_of(address_text(&target, k->arena)));
}

static struct error alias_remove_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct address alias;
    struct account account;
    TRY(read_alias(k, k->words[2], &alias));
    account.id = 0;
    (void)account_find(db, k->words[3], k->arena, &account);
    return address_remove(db, &alias, account.id);
}

struct error run_alias_add(struct operation_call *k)
{
    return store_change(k->server->store, alias_add_change, k);
}

struct error run_alias_remove(struct operation_call *k)
{
    return store_change(k->server->store, alias_remove_change, k);
}

struct error run_alias_list(struct operation_call *k)
{
    struct account account;
    struct address_row *rows;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &account));
    TRY(address_list(db, account.id, k->arena, &rows, &n));
    for (size_t i = 0; i < n; i++)
        buffer_printf(k->out, "%.*s%s\n", SLICE_ARG(rows[i].address), rows[i].kind == ADDRESS_PRIMARY ? " (primary)" : "");
    return OK;
}

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
    TRY(address_parse(k->words[3], k->arena, &address));
    *foreign = slice_of(address_text(&address, k->arena));
    return OK;
}

static struct error group_of(struct operation_call *k, struct sql *db, struct account *group)
{
    TRY(operation_account(k, db, k->words[2], group));
    return group->kind == ACCOUNT_GROUP ? OK : error_make(ERROR_INVALID, "that account is not a group");
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
    return store_change(k->server->store, join_change, k);
}

struct error run_group_leave(struct operation_call *k)
{
    return store_change(k->server->store, leave_change, k);
}

struct error run_group_members(struct operation_call *k)
{
    struct account group, member;
    struct member_row *rows;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(group_of(k, db, &group));
    TRY(member_list(db, group.id, k->arena, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        struct slice name = rows[i].foreign;
        if (rows[i].member && account_get(db, rows[i].member, k->arena, &member).code == ERROR_NONE)
            name = member.name;
        buffer_printf(k->out, "%.*s\n", SLICE_ARG(name));
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

struct error run_app_password_add(struct operation_call *k)
{
    struct app_change x = {.k = k};
    struct account account;
    if (!k->server->login)
        return error_make(ERROR_UNSUPPORTED, "app passwords are made by the running server; start it first");
    TRY(read_scope(k, &x.scope));
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
        TRY(operation_account(k, db, k->words[2], &account));
    }
    x.account = account.id;
    TRY(app_password_make(k->server->login, account.name, &x.made));
    TRY(store_change(k->server->store, app_add_change, &x));
    buffer_printf(k->out, "%s\n", x.made.text);
    return OK;
}

struct error run_app_password_list(struct operation_call *k)
{
    struct account account;
    struct app_password *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &account));
    TRY(app_password_list(db, account.id, k->arena, &all, &n));
    for (size_t i = 0; i < n; i++) {
        buffer_printf(k->out, "%-6lld %-30.*s ", (long long)all[i].id, SLICE_ARG(all[i].name));
        for (size_t s = 0; s < 4; s++)
            if (all[i].scope & scopes[s].bit)
                buffer_printf(k->out, "%s ", scopes[s].word.p);
        buffer_add(k->out, SLICE(" last used "));
        operation_date(all[i].used, k->out);
        buffer_add(k->out, SLICE("\n"));
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
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
        TRY(operation_account(k, db, k->words[2], &account));
    }
    x.account = account.id;
    x.id = (int64_t)id;
    TRY(store_change(k->server->store, app_remove_change, &x));
    if (k->server->login)
        login_forget(k->server->login, account.id);
    if (k->server->net)
        (void)net_kill(k->server->net, NULL, account.id);
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
    struct slice text = x->k->words[2], owner_name = slice_first(text, slice_find(text, '/')), path = slice_after(text, owner_name.n + 1);
    struct account owner, grantee;
    struct mailbox m = {0};
    TRY(operation_account(x->k, db, owner_name, &owner));
    TRY(operation_account(x->k, db, x->k->words[3], &grantee));
    if (path.n)
        TRY(mailbox_find(db, owner.id, path, x->k->arena, &m));
    return grant_set(db, (struct actor){0, 0}, owner.id, m.c.id, grantee.id, x->rights);
}

struct error run_grant_set(struct operation_call *k)
{
    struct grant_change x = {.k = k};
    char letters[64];
    size_t n = 0;
    struct slice text = k->words[4];
    if (!slice_eq(text, SLICE("-"))) {
        int rights;
        for (size_t i = 0; i < text.n && n < sizeof letters; i++) {
            if (text.p[i] == 'S')
                x.rights |= RIGHT_SEND_AS;
            else
                letters[n++] = text.p[i];
        }
        TRY(rights_read(slice_make(letters, n), &rights));
        x.rights |= rights;
    }
    return store_change(k->server->store, grant_change_run, &x);
}

struct error run_grant_list(struct operation_call *k)
{
    struct account owner, grantee;
    struct grant *all;
    struct collection c;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &owner));
    TRY(grant_list(db, owner.id, k->arena, &all, &n));
    for (size_t i = 0; i < n; i++) {
        TRY(account_get(db, all[i].grantee, k->arena, &grantee));
        buffer_printf(k->out, "%-40.*s ", SLICE_ARG(grantee.name));
        rights_write(all[i].rights, k->out);
        if (all[i].rights & RIGHT_SEND_AS)
            buffer_add_char(k->out, 'S');
        if (all[i].collection && collection_get(db, all[i].collection, k->arena, &c).code == ERROR_NONE)
            buffer_printf(k->out, " on %.*s", SLICE_ARG(c.name));
        buffer_add(k->out, SLICE("\n"));
    }
    return OK;
}
