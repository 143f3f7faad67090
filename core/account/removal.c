/* core/account/removal.c -- accounts that go, come back, or get another name */
#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/clock.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for an account")

static struct error set_state_until(struct sql *db, int64_t id, enum account_state from, enum account_state to,
                                    int64_t until)
{
    SCOPED(sql_done)
    struct sql_stmt *st = sql_use(
        db, "UPDATE account SET state = $3, until = $4 WHERE id = $1 AND ($2 = -1 AND state < 2 OR state = $2)");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, from == ACCOUNT_REMOVED ? ACCOUNT_REMOVED : -1);
    sql_bind_int(st, 3, to);
    if (until)
        sql_bind_int(st, 4, until);
    TRY(sql_run(st));
    return sql_changed(db) ? OK
                           : error_make(ERROR_CONFLICT, from == ACCOUNT_REMOVED ? "the account is not removed"
                                                                                : "the account is removed already");
}

struct error account_remove(struct sql *db, int64_t id, int64_t until)
{
    return set_state_until(db, id, ACCOUNT_ACTIVE, ACCOUNT_REMOVED, until);
}

struct error account_restore(struct sql *db, int64_t id)
{
    return set_state_until(db, id, ACCOUNT_REMOVED, ACCOUNT_ACTIVE, 0);
}

/* --- another name */

struct error account_salt_name(struct sql *db, const struct account *account, struct arena *a, struct slice *name)
{
    struct error e = setting_get(db, account->id, SLICE("salt-name"), a, name);
    if (e.code == ERROR_NOT_FOUND) {
        *name = account->name;
        return OK;
    }
    return e;
}

static struct error drop_address(struct sql *db, int64_t account, int64_t domain, struct slice local)
{
    SCOPED(sql_done)
    struct sql_stmt *st = sql_use(db,
                                  "DELETE FROM address WHERE account = $1 AND domain = $2 AND local = $3 AND kind < 2");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, domain);
    sql_bind_text(st, 3, local);
    return sql_run(st);
}

static struct error put_name(struct sql *db, int64_t id, int64_t domain, struct slice name)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE account SET name = $2, domain = $3 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_text(st, 2, name);
    sql_bind_int(st, 3, domain);
    return sql_run(st);
}

static struct error rename_in(struct sql *db, int64_t id, const struct address *primary, enum account_old_name old,
                              struct arena *a)
{
    struct account account;
    struct domain domain;
    struct address before;
    struct slice salt;
    TRY(account_get(db, id, a, &account));
    TRY(domain_find(db, primary->domain, a, &domain));
    struct address canonical = {primary->local, domain.name};
    char *name = address_text(&canonical, a);
    if (!name)
        return NO_MEMORY;
    TRY(address_parse(account.name, a, &before));
    if (slice_eq(account.name, slice_of(name)))
        return error_make(ERROR_EXISTS, "the account has that address already");
    TRY(account_salt_name(db, &account, a, &salt));
    TRY(setting_set(db, id, SLICE("salt-name"), salt));
    TRY(drop_address(db, id, domain.id, canonical.local)); /* an alias of its own becomes the name */
    TRY(drop_address(db, id, account.domain, before.local));
    TRY(address_add(db, &canonical, id, ADDRESS_PRIMARY, SLICE("")));
    if (old == ACCOUNT_KEEP_OLD_NAME)
        TRY(address_add(db, &before, id, ADDRESS_ALIAS, SLICE("")));
    return put_name(db, id, domain.id, slice_of(name));
}

struct error account_rename(struct sql *db, int64_t id, const struct address *primary, enum account_old_name old)
{
    struct arena a;
    if (slice_eq(primary->local, SLICE("*")))
        return error_make(ERROR_INVALID, "an account needs a name of its own; the catch-all is an alias of it");
    arena_init(&a, 64 * 1024);
    struct error e = rename_in(db, id, primary, old, &a);
    if (e.code != ERROR_NONE) /* its text may stand in the arena */
        e = error_make(e.code, e.code == ERROR_NOT_FOUND
                                   ? "the new domain is not served here; add it first with `kantorctl domain add`"
                               : e.code == ERROR_EXISTS ? "the new address is in use"
                                                        : "the account could not be renamed");
    arena_free(&a);
    return e;
}

/* --- purge */

struct purge {
    int64_t only, account, collection;
};

/* The next account that is due, now deleted; account 0: none. */
static struct error delete_due(struct sql *db, void *arg)
{
    struct purge *x = arg;
    {
        SCOPED(sql_done)
        struct sql_stmt *st = sql_use(
            db, "SELECT id FROM account WHERE state = 3 AND (id = $1 OR ($1 = 0 AND until <= $2)) LIMIT 1");
        sql_bind_int(st, 1, x->only);
        sql_bind_int(st, 2, clock_now());
        x->account = sql_row(st) ? sql_int(st, 0) : 0;
        TRY(sql_result(st));
    }
    return x->account ? account_set_state(db, x->account, ACCOUNT_DELETED) : OK;
}

/* One mailbox of an account that is deleted; collection 0: none is left. */
static struct error drop_collection(struct sql *db, void *arg)
{
    struct purge *x = arg;
    {
        SCOPED(sql_done)
        struct sql_stmt *st = sql_use(db, "SELECT c.id FROM account a JOIN collection c ON c.account = a.id WHERE "
                                          "a.state = 2 AND c.parent >= 0 LIMIT 1");
        x->collection = sql_row(st) ? sql_int(st, 0) : 0;
        TRY(sql_result(st));
    }
    return x->collection ? collection_remove(db, (struct actor){0, 0}, x->collection) : OK;
}

struct error account_purge(struct store *store, int64_t only, int64_t *n)
{
    struct purge x = {.only = only};
    *n = 0;
    do {
        TRY(store_change(store, delete_due, &x));
        *n += x.account != 0;
    } while (x.account && !only);
    do
        TRY(store_change(store, drop_collection, &x));
    while (x.collection);
    return OK;
}
