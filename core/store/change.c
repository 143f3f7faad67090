/* core/store/change.c -- numbers, counters and the log: what every write has in common */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/store/internal.h"

int64_t change_numbers(struct sql *db, int64_t count)
{
    struct store *s = sql_store(db);
    int64_t first = s->modseq + 1;
    s->modseq += count;
    return first;
}

static struct error touch_account(struct sql *db, const struct touch *t, int64_t *prev)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE account SET prev = modseq, modseq = $2, used = used + $3, items = items + $4 WHERE id = $1 AND ($3 <= 0 OR "
                                                       "((quota = 0 OR used + $3 <= quota) AND (quota_items = 0 OR items + $4 <= quota_items))) RETURNING prev");
    sql_bind_int(st, 1, t->account);
    sql_bind_int(st, 2, t->modseq);
    sql_bind_int(st, 3, t->d_used);
    sql_bind_int(st, 4, t->d_items);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(t->d_used > 0 ? ERROR_QUOTA : ERROR_NOT_FOUND, t->d_used > 0 ? "the account's quota is used up" : "no such account");
    }
    *prev = sql_int(st, 0);
    return sql_run(st);
}

static struct error touch_collection(struct sql *db, const struct touch *t, int64_t *prev, int64_t *uid)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET prev = modseq, modseq = $2, uidnext = uidnext + $3, n_all = n_all + $4, n_unseen = n_unseen + $5, "
                                                       "n_deleted = n_deleted + $6, bytes = bytes + $7, keywords = keywords | $8, touched = $9 "
                                                       "WHERE id = $1 AND uidnext + $3 <= 4294967295 RETURNING prev, uidnext - $3");
    sql_bind_int(st, 1, t->collection);
    sql_bind_int(st, 2, t->modseq);
    sql_bind_int(st, 3, t->d_uidnext);
    sql_bind_int(st, 4, t->d_all);
    sql_bind_int(st, 5, t->d_unseen);
    sql_bind_int(st, 6, t->d_deleted);
    sql_bind_int(st, 7, t->d_bytes);
    sql_bind_int(st, 8, t->keywords);
    sql_bind_int(st, 9, clock_now());
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_LIMIT, "the mailbox has used up its message numbers; make a new one");
    }
    *prev = sql_int(st, 0);
    *uid = sql_int(st, 1);
    return sql_run(st);
}

struct error change_touch(struct sql *db, const struct touch *t, int64_t *uid)
{
    int64_t prev = 0, cprev = 0, lo = t->lo, hi = t->hi;
    TRY(touch_account(db, t, &prev));
    TRY(touch_collection(db, t, &cprev, uid));
    if (t->d_uidnext > 0 && lo == 0) {
        lo = *uid;
        hi = *uid + t->d_uidnext - 1;
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO change (modseq, first, prev, cprev, account, collection, at, kind, lo, hi, uids, actor, origin) "
                                                       "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)");
    sql_bind_int(st, 1, t->modseq);
    sql_bind_int(st, 2, t->first);
    sql_bind_int(st, 3, prev);
    sql_bind_int(st, 4, cprev);
    sql_bind_int(st, 5, t->account);
    sql_bind_int(st, 6, t->collection);
    sql_bind_int(st, 7, clock_now());
    sql_bind_int(st, 8, t->kind);
    sql_bind_int(st, 9, lo);
    sql_bind_int(st, 10, hi);
    sql_bind_blob(st, 11, t->uids);
    sql_bind_int(st, 12, t->who.account);
    sql_bind_int(st, 13, t->who.origin);
    TRY(sql_run(st));
    watch_note(db, t->collection, t->modseq);
    return OK;
}
