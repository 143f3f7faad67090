/* core/account/forward.c -- where the mail of an account goes besides, or instead; aliases to many; what would go round in circles is refused when it is written */
#include "core/account/account.h"
#include "core/account/internal.h"
#include "core/cleanup.h"

enum { TARGETS_MAX = 1000 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for forwards")

struct error forward_list(struct sql *db, int64_t account, struct arena *a, struct slice **targets, size_t *n, enum forward_copy *copy)
{
    *targets = NULL;
    *n = 0;
    *copy = FORWARD_KEEP_COPY;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT target, keep FROM forward WHERE account = $1 ORDER BY target LIMIT 1000");
    sql_bind_int(st, 1, account);
    while (sql_row(st)) {
        if (*n == 0 || (*n & (*n - 1)) == 0) {
            *targets = arena_grow(a, *targets, *n * sizeof **targets, (*n ? *n * 2 : 1) * sizeof **targets);
            if (!*targets)
                return NO_MEMORY;
        }
        *copy = sql_int(st, 1) ? FORWARD_KEEP_COPY : FORWARD_ONLY;
        (*targets)[*n] = arena_copy(a, sql_text(st, 0));
        if (!(*targets)[(*n)++].p)
            return NO_MEMORY;
    }
    return sql_result(st);
}

static struct error forget(struct sql *db, int64_t account)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM forward WHERE account = $1");
    sql_bind_int(st, 1, account);
    return sql_run(st);
}

static struct error add_one(struct sql *db, int64_t account, struct slice target, enum forward_copy copy)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO forward (account, target, keep) VALUES ($1, $2, $3) ON CONFLICT (account, target) DO NOTHING");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, target);
    sql_bind_int(st, 3, copy == FORWARD_KEEP_COPY);
    return sql_run(st);
}

struct error forward_set(struct sql *db, int64_t account, const struct slice *targets, size_t n, enum forward_copy copy, struct arena *a)
{
    if (n > TARGETS_MAX)
        return error_make(ERROR_LIMIT, "too many targets; make a group of them");
    TRY(forget(db, account));
    for (size_t i = 0; i < n; i++) {
        struct address x;
        bool back;
        TRY(address_parse(targets[i], a, &x));
        char *text = address_text(&x, a);
        if (!text)
            return NO_MEMORY;
        TRY(resolve_comes_back(db, &x, (struct resolve_watch){.account = account}, a, &back));
        if (back)
            return error_make(ERROR_CONFLICT, arena_printf(a, "mail for %s comes back to this account: it would go round in circles", text));
        TRY(add_one(db, account, slice_of(text), copy));
    }
    return OK;
}

/* --- an alias that leads to several addresses: rows of kind FORWARD, their `account` counts down from 0 */

static struct error next_place(struct sql *db, int64_t domain, struct slice local, struct slice target, int64_t *place)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT account, target FROM address WHERE domain = $1 AND local = $2 AND kind = 2");
    sql_bind_int(st, 1, domain);
    sql_bind_text(st, 2, local);
    size_t n = 0;
    for (*place = 0; sql_row(st); n++) {
        if (slice_eq(sql_text(st, 1), target))
            return error_make(ERROR_EXISTS, "the alias leads there already");
        if (sql_int(st, 0) <= *place)
            *place = sql_int(st, 0) - 1;
    }
    TRY(sql_result(st));
    return n < TARGETS_MAX ? OK : error_make(ERROR_LIMIT, "the alias has too many targets; make a group of them");
}

struct error alias_target_add(struct sql *db, const struct address *alias, struct slice target, struct arena *a)
{
    struct address x;
    struct domain domain;
    int64_t place;
    bool back;
    TRY(address_parse(target, a, &x));
    char *text = address_text(&x, a), *from = address_text(alias, a);
    if (!text || !from)
        return NO_MEMORY;
    TRY(domain_find(db, alias->domain, a, &domain));
    TRY(resolve_comes_back(db, &x, (struct resolve_watch){.domain = domain.id, .local = alias->local}, a, &back));
    if (back)
        return error_make(ERROR_CONFLICT, arena_printf(a, "mail for %s comes back to %s: it would go round in circles", text, from));
    TRY(next_place(db, domain.id, alias->local, slice_of(text), &place));
    return address_add(db, alias, place, ADDRESS_FORWARD, slice_of(text));
}

struct error alias_has_targets(struct sql *db, const struct address *alias, bool *yes)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM address WHERE domain IN (SELECT t.id FROM domain d JOIN domain t ON t.name = coalesce(d.data, d.name) WHERE d.name = $1) AND local = $2 AND kind = 2 LIMIT 1");
    sql_bind_text(st, 1, alias->domain);
    sql_bind_text(st, 2, alias->local);
    *yes = sql_row(st);
    return sql_result(st);
}

struct error alias_target_remove(struct sql *db, const struct address *alias, struct slice target, struct arena *a)
{
    struct address x;
    TRY(address_parse(target, a, &x));
    char *text = address_text(&x, a);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM address WHERE domain IN (SELECT t.id FROM domain d JOIN domain t ON t.name = coalesce(d.data, d.name) WHERE d.name = $1) AND local = $2 "
                                                       "AND kind = 2 AND target = $3");
    sql_bind_text(st, 1, alias->domain);
    sql_bind_text(st, 2, alias->local);
    sql_bind_text(st, 3, slice_of(text));
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "the alias does not lead there");
}
