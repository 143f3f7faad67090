/* core/store/collection.c -- rows of collections and subscriptions */
#include "core/store/collection.h"

#include <stdio.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/store/internal.h"
#include "core/store/item.h"

#define COLUMNS "id, account, parent, kind, role, name, title, uidvalidity, uidnext, modseq, n_all, n_unseen, n_deleted, bytes, keywords, gonefloor, born"
#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a collection")

static struct error from_row(struct sql_stmt *st, struct arena *a, struct collection *c)
{
    *c = (struct collection){.id = sql_int(st, 0),
                             .account = sql_int(st, 1),
                             .parent = sql_int(st, 2),
                             .kind = (enum collection_kind)sql_int(st, 3),
                             .role = (enum collection_role)sql_int(st, 4),
                             .name = arena_copy(a, sql_text(st, 5)),
                             .uidvalidity = (uint32_t)sql_int(st, 7),
                             .uidnext = (uint32_t)sql_int(st, 8),
                             .modseq = sql_int(st, 9),
                             .n_all = sql_int(st, 10),
                             .n_unseen = sql_int(st, 11),
                             .n_deleted = sql_int(st, 12),
                             .bytes = sql_int(st, 13),
                             .keywords = sql_int(st, 14),
                             .gonefloor = sql_int(st, 15),
                             .born = sql_int(st, 16)};
    if (!sql_is_null(st, 6))
        c->title = arena_copy(a, sql_text(st, 6));
    return c->name.p ? OK : NO_MEMORY;
}

static struct error one(struct sql_stmt *st, struct arena *a, struct collection *out)
{
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such collection");
    }
    return from_row(st, a, out);
}

struct error collection_get(struct sql *db, int64_t id, struct arena *a, struct collection *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT " COLUMNS " FROM collection WHERE id = $1 AND parent >= 0");
    sql_bind_int(st, 1, id);
    return one(st, a, out);
}

struct error collection_find(struct sql *db, int64_t account, enum collection_kind kind, int64_t parent, struct slice name, struct arena *a, struct collection *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT " COLUMNS " FROM collection WHERE account = $1 AND kind = $2 AND parent = $3 AND name = $4");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, kind);
    sql_bind_int(st, 3, parent);
    sql_bind_text(st, 4, name);
    return one(st, a, out);
}

struct error collection_find_role(struct sql *db, int64_t account, enum collection_kind kind, enum collection_role role, struct arena *a, struct collection *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT " COLUMNS " FROM collection WHERE account = $1 AND kind = $2 AND parent >= 0 AND role = $3 ORDER BY id LIMIT 1");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, kind);
    sql_bind_int(st, 3, role);
    return one(st, a, out);
}

struct error collection_count(struct sql *db, int64_t account, enum collection_kind kind, int64_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT count(*) FROM collection WHERE account = $1 AND kind = $2 AND parent >= 0");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, kind);
    *n = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}

struct error collection_list(struct sql *db, int64_t account, enum collection_kind kind, struct arena *a, struct collection **all, size_t *n)
{
    int64_t count;
    TRY(collection_count(db, account, kind, &count));
    *n = 0;
    *all = arena_zero(a, (size_t)count + 1, sizeof **all);
    if (!*all)
        return NO_MEMORY;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT " COLUMNS " FROM collection WHERE account = $1 AND kind = $2 AND parent >= 0");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, kind);
    while (*n < (size_t)count && sql_row(st))
        TRY(from_row(st, a, &(*all)[(*n)++]));
    return sql_result(st);
}

/* --- writing */

/* A change of the tree: a number, a row in the log, no counters. */
static struct error log_tree(struct sql *db, struct actor who, int64_t account, int64_t id)
{
    int64_t number = change_numbers(db, 1), uid;
    struct touch t = {.who = who, .account = account, .collection = id, .first = number, .modseq = number, .kind = CHANGE_COLLECTION};
    return change_touch(db, &t, &uid);
}

/* Always above every uidvalidity given out before: the clock, or one more than the last (a mailbox that is deleted and made again within a second). */
static struct error next_uidvalidity(struct sql *db, int64_t *out)
{
    struct arena a;
    struct slice text;
    uint64_t last = 0;
    char buffer[24];
    arena_init(&a, 4096);
    if (setting_get(db, 0, SLICE("uidvalidity"), &a, &text).code == ERROR_NONE)
        (void)slice_number(text, UINT32_MAX, &last);
    arena_free(&a);
    int64_t now = clock_now();
    *out = now > (int64_t)last && now < UINT32_MAX ? now : (int64_t)last + 1;
    (void)snprintf(buffer, sizeof buffer, "%lld", (long long)*out);
    return setting_set(db, 0, SLICE("uidvalidity"), slice_of(buffer));
}

struct error collection_create(struct sql *db, struct actor who, int64_t account, enum collection_kind kind, int64_t parent, struct slice name, enum collection_role role, int64_t *id)
{
    int64_t uidvalidity, number = change_numbers(db, 1);
    TRY(next_uidvalidity(db, &uidvalidity));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO collection (account, kind, parent, name, role, uidvalidity, born, touched) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, kind);
    sql_bind_int(st, 3, parent);
    sql_bind_text(st, 4, name);
    sql_bind_int(st, 5, role);
    sql_bind_int(st, 6, uidvalidity);
    sql_bind_int(st, 7, number);
    sql_bind_int(st, 8, clock_now());
    TRY(sql_run(st));
    *id = sql_inserted(db);
    return log_tree(db, who, account, *id);
}

static struct error account_of(struct sql *db, int64_t id, int64_t *account)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT account FROM collection WHERE id = $1 AND parent >= 0");
    sql_bind_int(st, 1, id);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such collection");
    }
    *account = sql_int(st, 0);
    return OK;
}

static struct error parent_of(struct sql *db, int64_t id, int64_t *parent)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT parent FROM collection WHERE id = $1");
    sql_bind_int(st, 1, id);
    *parent = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}

struct error collection_rename(struct sql *db, struct actor who, int64_t id, int64_t parent, struct slice name)
{
    int64_t account, up = parent;
    TRY(account_of(db, id, &account));
    for (int depth = 0; up > 0; depth++) {
        if (up == id || depth > 100)
            return error_make(ERROR_INVALID, "a collection cannot be moved into itself");
        TRY(parent_of(db, up, &up));
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET parent = $2, name = $3 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, parent);
    sql_bind_text(st, 3, name);
    TRY(sql_run(st));
    return log_tree(db, who, account, id);
}

struct error collection_set_role(struct sql *db, struct actor who, int64_t id, enum collection_role role)
{
    int64_t account;
    TRY(account_of(db, id, &account));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET role = $2 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, role);
    TRY(sql_run(st));
    return log_tree(db, who, account, id);
}

struct error collection_remove(struct sql *db, struct actor who, int64_t id)
{
    int64_t account;
    TRY(account_of(db, id, &account));
    struct error e = item_expunge(db, who, id, NULL, 0, NULL);
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND) /* a level holds nothing */
        return e;
    TRY(log_tree(db, who, account, id));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET parent = -id WHERE id = $1");
    sql_bind_int(st, 1, id);
    return sql_run(st);
}

/* --- subscriptions */

struct error subscription_list(struct sql *db, int64_t account, struct arena *a, struct slice **names, size_t *n)
{
    size_t size = 0;
    *names = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT name FROM subscription WHERE account = $1 ORDER BY name");
    sql_bind_int(st, 1, account);
    while (sql_row(st)) {
        if (*n == size) {
            size = size ? size * 2 : 32;
            *names = arena_grow(a, *names, *n * sizeof **names, size * sizeof **names);
            if (!*names)
                return NO_MEMORY;
        }
        (*names)[*n] = arena_copy(a, sql_text(st, 0));
        if (!(*names)[*n].p)
            return NO_MEMORY;
        ++*n;
    }
    return sql_result(st);
}

struct error subscription_add(struct sql *db, int64_t account, struct slice name)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO subscription (account, name) VALUES ($1, $2) ON CONFLICT (account, name) DO NOTHING");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    return sql_run(st);
}

struct error subscription_remove(struct sql *db, int64_t account, struct slice name)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM subscription WHERE account = $1 AND name = $2");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    return sql_run(st);
}
