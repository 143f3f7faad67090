/* mail/queue/destination.c -- whom a dispatcher could reach, who of them is due, and what became of them */
#include "core/cleanup.h"
#include "mail/queue/internal.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for the queue")

struct error queue_destinations(struct sql *db, struct slice after, size_t most, struct arena *a, struct queue_destination **all, size_t *n)
{
    size_t room = 0;
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, QUEUE_SQL_DESTINATIONS);
    sql_bind_text(st, 1, after.p ? after : SLICE(""));
    sql_bind_int(st, 2, (int64_t)most);
    while (*n < most && sql_row(st)) {
        if (*n == room) {
            size_t wanted = room ? room * 2 : 16;
            *all = arena_grow(a, *all, room * sizeof **all, wanted * sizeof **all);
            room = wanted;
            if (!*all)
                return NO_MEMORY;
        }
        struct queue_destination *d = &(*all)[(*n)++];
        *d = (struct queue_destination){arena_copy(a, sql_text(st, 0)), sql_int(st, 1), sql_int(st, 2)};
        if (!d->dest.p)
            return NO_MEMORY;
    }
    return sql_result(st);
}

struct error queue_take(struct sql *db, struct slice dest, int64_t now, size_t most, struct arena *a, struct queue_taken **all, size_t *n)
{
    size_t room = 0;
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, QUEUE_SQL_TAKE);
    sql_bind_text(st, 1, dest);
    sql_bind_int(st, 2, now);
    sql_bind_int(st, 3, (int64_t)most);
    while (*n < most && sql_row(st)) {
        if (*n == room) {
            size_t wanted = room ? room * 2 : 16;
            *all = arena_grow(a, *all, room * sizeof **all, wanted * sizeof **all);
            room = wanted;
            if (!*all)
                return NO_MEMORY;
        }
        struct queue_taken *t = &(*all)[(*n)++];
        *t = (struct queue_taken){sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), sql_int(st, 3), arena_copy(a, sql_text(st, 4)),
                                  sql_is_null(st, 5) ? slice_make(NULL, 0) : arena_copy(a, sql_text(st, 5)), (int)sql_int(st, 6)};
        if (!t->address.p)
            return NO_MEMORY;
    }
    return sql_result(st);
}

static struct error settle_waiting(struct sql *db, int64_t id, const struct queue_result *r, int64_t now, int64_t due)
{
    SCOPED(sql_done) struct sql_stmt *st =
        sql_use(db, "UPDATE rcpt SET due = $3, tries = tries + 1, reply = $4, host = $5, tried = $6 WHERE queue = $1 AND n = $2");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, r->n);
    sql_bind_int(st, 3, due);
    sql_bind_text(st, 4, r->reply);
    sql_bind_text(st, 5, r->host);
    sql_bind_int(st, 6, now);
    return sql_run(st);
}

struct error queue_settle(struct sql *db, int64_t id, const struct queue_result *r, int64_t now, int64_t due)
{
    if (r->state == QUEUE_WAITING) {
        TRY(settle_waiting(db, id, r, now, due));
    } else {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM rcpt WHERE queue = $1 AND n = $2");
        sql_bind_int(st, 1, id);
        sql_bind_int(st, 2, r->n);
        TRY(sql_run(st));
    }
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "that recipient waits no longer");
}

struct error queue_settled(struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *empty = sql_use(db, "DELETE FROM queue WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM rcpt WHERE queue = $1)");
    sql_bind_int(empty, 1, id);
    TRY(sql_run(empty));
    if (sql_changed(db))
        return OK;
    SCOPED(sql_done) struct sql_stmt *count =
        sql_use(db, "UPDATE queue SET waiting = (SELECT count(*) FROM rcpt WHERE queue = $1) WHERE id = $1 AND waiting <> (SELECT count(*) FROM rcpt WHERE queue = $1)");
    sql_bind_int(count, 1, id);
    return sql_run(count);
}

struct error queue_told(struct sql *db, int64_t id, int64_t now)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE queue SET told = $2 WHERE id = $1 AND told = 0");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, now);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_CONFLICT, "the sender knows of the delay already");
}
