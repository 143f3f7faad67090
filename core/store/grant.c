/* core/store/grant.c -- rights: own account, or a grant to the actor or a group he is in; everything else is denied */
#include "core/store/grant.h"

#include "core/cleanup.h"
#include "core/store/internal.h"

enum { GROUPS_MAX = 1000 }; /* and depth 10, see IDENTITIES */

/* Everybody the actor stands for: himself, his groups, their groups. The CTE stops at the depth, so a cycle does, too. */
#define IDENTITIES                                                                                                                      \
    "WITH RECURSIVE me (id, depth) AS (SELECT $1, 0 UNION SELECT m.account, me.depth + 1 FROM me JOIN member m ON m.member = me.id WHERE me.depth < 10) "

struct error grant_account_rights(struct sql *db, int64_t account, int64_t actor, int *rights)
{
    *rights = actor == 0 || actor == account ? RIGHT_ALL : 0;
    if (*rights)
        return OK;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, IDENTITIES "SELECT DISTINCT rights FROM acl WHERE account = $2 AND collection = 0 AND grantee IN (SELECT id FROM me)");
    sql_bind_int(st, 1, actor);
    sql_bind_int(st, 2, account);
    while (sql_row(st))
        *rights |= (int)sql_int(st, 0);
    return sql_result(st);
}

static struct error owner(struct sql *db, int64_t collection, int64_t *account)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT account FROM collection WHERE id = $1 AND parent >= 0");
    sql_bind_int(st, 1, collection);
    *account = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}

struct error grant_rights(struct sql *db, int64_t collection, int64_t actor, int *rights)
{
    int64_t account;
    *rights = 0;
    TRY(owner(db, collection, &account));
    if (account == 0)
        return OK;
    *rights = actor == 0 || actor == account ? RIGHT_ALL : 0;
    if (*rights)
        return OK;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, IDENTITIES "SELECT DISTINCT rights FROM acl WHERE account = $2 AND (collection = 0 OR collection = $3) AND grantee IN (SELECT id FROM me)");
    sql_bind_int(st, 1, actor);
    sql_bind_int(st, 2, account);
    sql_bind_int(st, 3, collection);
    while (sql_row(st))
        *rights |= (int)sql_int(st, 0);
    return sql_result(st);
}

struct error grant_check(struct sql *db, int64_t collection, int64_t actor, int needed)
{
    int rights;
    TRY(grant_rights(db, collection, actor, &rights));
    if (!(rights & RIGHT_LOOKUP))
        return error_make(ERROR_NOT_FOUND, "no such mailbox");
    return (rights & needed) == needed ? OK : error_make(ERROR_DENIED, "you do not have the right to do that here");
}

static struct error grants_from(struct sql_stmt *st, struct arena *a, struct grant **all, size_t *n)
{
    size_t size = 0;
    *all = NULL;
    *n = 0;
    while (sql_row(st)) {
        if (*n == size) {
            size = size ? size * 2 : 16;
            *all = arena_grow(a, *all, *n * sizeof **all, size * sizeof **all);
            if (!*all)
                return error_make(ERROR_MEMORY, "no memory for grants");
        }
        (*all)[(*n)++] = (struct grant){sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), (int)sql_int(st, 3)};
    }
    return sql_result(st);
}

struct error grant_list(struct sql *db, int64_t account, struct arena *a, struct grant **all, size_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT account, collection, grantee, rights FROM acl WHERE account = $1");
    sql_bind_int(st, 1, account);
    return grants_from(st, a, all, n);
}

struct error grant_list_to(struct sql *db, int64_t actor, struct arena *a, struct grant **all, size_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, IDENTITIES "SELECT DISTINCT account, collection, grantee, rights FROM acl WHERE grantee IN (SELECT id FROM me) AND account <> $1");
    sql_bind_int(st, 1, actor);
    return grants_from(st, a, all, n);
}

/* Sessions that have one of these mailboxes open look at their rights again (attacks.md IM-17). The number is nobody's: nothing changed but rights. */
static struct error tell_watchers(struct sql *db, int64_t account, int64_t collection)
{
    int64_t number = change_numbers(db, 1);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id FROM collection WHERE account = $1 AND ($2 = 0 OR id = $2)");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, collection);
    while (sql_row(st))
        watch_note(db, sql_int(st, 0), number);
    return sql_result(st);
}

struct error grant_set(struct sql *db, struct actor who, int64_t account, int64_t collection, int64_t grantee, int rights)
{
    (void)who; /* the audit log of the console (a later issue) takes it */
    TRY(tell_watchers(db, account, collection));
    if (rights == 0) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM acl WHERE account = $1 AND collection = $2 AND grantee = $3");
        sql_bind_int(st, 1, account);
        sql_bind_int(st, 2, collection);
        sql_bind_int(st, 3, grantee);
        return sql_run(st);
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO acl (account, collection, grantee, rights, state) VALUES ($1, $2, $3, $4, 0) "
                                                       "ON CONFLICT (account, collection, grantee) DO UPDATE SET rights = excluded.rights");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, collection);
    sql_bind_int(st, 3, grantee);
    sql_bind_int(st, 4, rights);
    return sql_run(st);
}

struct error grant_inherit(struct sql *db, int64_t parent, int64_t collection)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO acl (account, collection, grantee, rights, state) "
                                                       "SELECT account, CAST($2 AS bigint), grantee, rights, state FROM acl WHERE collection = $1");
    sql_bind_int(st, 1, parent);
    sql_bind_int(st, 2, collection);
    return sql_run(st);
}

struct error grant_identities(struct sql *db, int64_t account, struct arena *a, int64_t **ids, size_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, IDENTITIES "SELECT DISTINCT id FROM me LIMIT 1000");
    sql_bind_int(st, 1, account);
    *n = 0;
    *ids = arena_zero(a, GROUPS_MAX, sizeof **ids);
    if (!*ids)
        return error_make(ERROR_MEMORY, "no memory for groups");
    while (*n < GROUPS_MAX && sql_row(st))
        (*ids)[(*n)++] = sql_int(st, 0);
    return sql_result(st);
}

static const char letters[] = "lrswipkxtea";

struct error rights_read(struct slice text, int *rights)
{
    *rights = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(letters, text.p[i]) : NULL;
        if (at)
            *rights |= 1 << (at - letters);
        else if (text.p[i] == 'c') /* RFC 4314 2.1.1: the obsolete ones */
            *rights |= RIGHT_CREATE | RIGHT_REMOVE;
        else if (text.p[i] == 'd')
            *rights |= RIGHT_DELETE | RIGHT_EXPUNGE;
        else
            return error_make(ERROR_INVALID, "rights are letters of lrswipkxtea");
    }
    return OK;
}

void rights_write(int rights, struct buffer *out)
{
    for (int i = 0; letters[i]; i++)
        if (rights >> i & 1)
            buffer_add_char(out, letters[i]);
}
