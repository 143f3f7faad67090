/* core/account/domain_key.c -- rows of domainkey */
#include "core/account/domain_key.h"

#include "core/cleanup.h"
#include "core/clock.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for domain keys")

static struct error add_row(struct sql_stmt *st, struct arena *a, struct domain_key **all, size_t *n)
{
    if (*n == 0 || (*n & (*n - 1)) == 0) { /* full at each power of two */
        *all = arena_grow(a, *all, *n * sizeof **all, (*n ? *n * 2 : 1) * sizeof **all);
        if (!*all)
            return NO_MEMORY;
    }
    struct domain_key *k = &(*all)[(*n)++];
    *k = (struct domain_key){.id = sql_int(st, 0), .domain = sql_int(st, 1), .kind = (enum domain_key_kind)sql_int(st, 2), .state = (enum domain_key_state)sql_int(st, 3)};
    k->selector = arena_copy(a, sql_text(st, 4));
    k->record = arena_copy(a, sql_text(st, 5));
    k->created = sql_int(st, 6);
    k->changed = sql_int(st, 7);
    return k->selector.p && k->record.p ? OK : NO_MEMORY;
}

struct error domain_key_list(struct sql *db, int64_t domain, struct arena *a, struct domain_key **all, size_t *n)
{
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = domain ? sql_use(db, "SELECT id, domain, kind, state, selector, record, created, changed FROM domainkey WHERE domain = $1 ORDER BY id")
                                                  : sql_use(db, "SELECT id, domain, kind, state, selector, record, created, changed FROM domainkey ORDER BY id");
    if (domain)
        sql_bind_int(st, 1, domain);
    while (sql_row(st))
        TRY(add_row(st, a, all, n));
    return sql_result(st);
}

struct error domain_key_secret(struct sql *db, int64_t id, struct buffer *pem)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT pem FROM domainkey WHERE id = $1");
    sql_bind_int(st, 1, id);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such key");
    }
    buffer_add(pem, sql_text(st, 0));
    return pem->failed ? NO_MEMORY : OK;
}

struct error domain_key_missing(struct sql *db, struct arena *a, struct domain *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, name, state FROM domain WHERE id NOT IN (SELECT domain FROM domainkey) ORDER BY id LIMIT 1");
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "every domain has keys");
    }
    *out = (struct domain){.id = sql_int(st, 0), .name = arena_copy(a, sql_text(st, 1)), .state = (enum domain_state)sql_int(st, 2), .alias_of = SLICE("")};
    return out->name.p ? OK : NO_MEMORY;
}

struct error domain_key_add(struct sql *db, const struct domain_key *k, struct slice pem)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO domainkey (domain, kind, state, selector, created, changed, record, pem) VALUES ($1, $2, $3, $4, $5, $5, $6, $7)");
    sql_bind_int(st, 1, k->domain);
    sql_bind_int(st, 2, k->kind);
    sql_bind_int(st, 3, k->state);
    sql_bind_text(st, 4, k->selector);
    sql_bind_int(st, 5, clock_now());
    sql_bind_text(st, 6, k->record);
    sql_bind_text(st, 7, pem);
    return sql_run(st);
}

struct error domain_key_set_state(struct sql *db, int64_t id, enum domain_key_state state)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE domainkey SET state = $2, changed = $3 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, state);
    sql_bind_int(st, 3, clock_now());
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such key");
}

struct error domain_key_delete(struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM domainkey WHERE id = $1");
    sql_bind_int(st, 1, id);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such key");
}
