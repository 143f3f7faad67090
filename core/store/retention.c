/* core/store/retention.c -- the old ends: kept versions and the change log, cut behind the retention time
 *
 * Both are cut from their old end by key, so a step costs what it removes and never a scan. A mailbox whose kept versions were cut remembers the number up to
 * which (gonefloor): a client that comes with an older one is answered with every uid that is not there (RFC 7162 3.2.5.2 allows it, 5.3 explains it). What
 * stands in the log is nowhere needed for being right, only for being fast (item_changed scans when the chain ends).
 */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/store/internal.h"

enum { ROWS_A_CHANGE = 1000, COLLECTIONS_A_LOOK = 1000 };

struct expire {
    int64_t collection, kind, before;
    int64_t after, next; /* kept versions up to `after` are done; `next` counts once the change is durable */
    int more;
};

static struct error raise_floor(struct sql *db, int64_t collection, int64_t modseq)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET gonefloor = $2 WHERE id = $1 AND gonefloor < $2");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, modseq);
    return sql_run(st);
}

/* Mail's tombstones go. Those of names (cards, events) stay for years, their content goes (clients.md). */
static struct error drop_range(struct sql *db, const struct expire *x, int64_t after, int64_t last)
{
    SCOPED(sql_done) struct sql_stmt *st = x->kind == COLLECTION_MAILBOX ? sql_use(db, "DELETE FROM gone WHERE collection = $1 AND modseq > $2 AND modseq <= $3")
                                                                         : sql_use(db, "UPDATE gone SET blob = NULL WHERE collection = $1 AND modseq > $2 AND modseq <= $3 AND blob IS NOT NULL");
    sql_bind_int(st, 1, x->collection);
    sql_bind_int(st, 2, after);
    sql_bind_int(st, 3, last);
    TRY(sql_run(st));
    return x->kind == COLLECTION_MAILBOX ? raise_floor(db, x->collection, last) : OK;
}

static struct error expire_some(struct sql *db, void *arg)
{
    struct expire *x = arg;
    int64_t last = x->after;
    int n = 0;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT modseq, at FROM gone WHERE collection = $1 AND modseq > $2 ORDER BY modseq LIMIT 1000");
        sql_bind_int(st, 1, x->collection);
        sql_bind_int(st, 2, x->after);
        for (; sql_row(st) && sql_int(st, 1) < x->before; n++)
            last = sql_int(st, 0);
        TRY(sql_result(st));
    }
    x->more = n == ROWS_A_CHANGE;
    if (n == 0)
        return OK;
    TRY(drop_range(db, x, x->after, last));
    x->next = last;
    return OK;
}

/* The next collections that hold a kept version which is old enough; a reader looks, so that the writer is not asked in vain. */
static struct error find_expired(struct store *s, int64_t before, int64_t *after, struct expire *out, size_t *n)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT c.id, c.kind, (SELECT g.at FROM gone g WHERE g.collection = c.id ORDER BY g.modseq LIMIT 1) FROM collection c WHERE c.id > $1 ORDER BY c.id LIMIT 1000");
    sql_bind_int(st, 1, *after);
    size_t looked = 0;
    *n = 0;
    for (; sql_row(st); looked++) {
        *after = sql_int(st, 0);
        if (!sql_is_null(st, 2) && sql_int(st, 2) < before)
            out[(*n)++] = (struct expire){.collection = sql_int(st, 0), .kind = sql_int(st, 1), .before = before};
    }
    if (looked == 0)
        *after = -1;
    return sql_result(st);
}

struct error retention_expire(struct store *s)
{
    struct expire found[COLLECTIONS_A_LOOK];
    int64_t before = s->options.retention_s < 0 ? INT64_MAX : clock_now() - s->options.retention_s, after = 0;
    size_t n;
    for (;;) {
        TRY(find_expired(s, before, &after, found, &n));
        if (after < 0)
            return OK;
        for (size_t i = 0; i < n; i++) {
            do {
                found[i].after = found[i].next;
                TRY(store_change(s, expire_some, &found[i]));
            } while (found[i].more);
        }
    }
}

/* --- the log */

struct cut {
    int64_t before;
    int more;
};

/* Devices, standbys and feeders remember how far they read; nothing they have not read is cut. */
static struct error lowest_reader(struct sql *db, int64_t *number)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT min(seq_now) FROM reader");
    *number = sql_row(st) && !sql_is_null(st, 0) ? sql_int(st, 0) : INT64_MAX;
    return sql_result(st);
}

static struct error cut_some(struct sql *db, void *arg)
{
    struct cut *x = arg;
    int64_t last = 0, lowest;
    int n = 0;
    TRY(lowest_reader(db, &lowest));
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT modseq, at FROM change ORDER BY modseq LIMIT 1000");
        for (; sql_row(st) && sql_int(st, 1) < x->before && sql_int(st, 0) <= lowest; n++)
            last = sql_int(st, 0);
        TRY(sql_result(st));
    }
    x->more = n == ROWS_A_CHANGE;
    if (n == 0)
        return OK;
    TRY(setting_set_number(db, SLICE("modseq"), sql_store(db)->modseq)); /* the log may become empty: the number goes on from here */
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM change WHERE modseq <= $1");
    sql_bind_int(st, 1, last);
    return sql_run(st);
}

struct error retention_cut_log(struct store *s)
{
    struct cut x = {.before = s->options.retention_s < 0 ? INT64_MAX : clock_now() - s->options.retention_s};
    do
        TRY(store_change(s, cut_some, &x));
    while (x.more);
    return OK;
}
