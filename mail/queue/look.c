/* mail/queue/look.c -- messages to look at: delays, ends, broken ones, times after a jump of the clock */
#include "core/cleanup.h"
#include "mail/queue/internal.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for the queue")

struct error queue_to_look(struct sql *db, int64_t now, size_t most, struct arena *a, int64_t **ids, size_t *n)
{
    *n = 0;
    *ids = arena_zero(a, most, sizeof **ids);
    if (!*ids)
        return NO_MEMORY;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, QUEUE_SQL_TO_LOOK);
    sql_bind_int(st, 1, now);
    sql_bind_int(st, 2, (int64_t)most);
    while (*n < most && sql_row(st))
        (*ids)[(*n)++] = sql_int(st, 0);
    return sql_result(st);
}

struct error queue_look_again(struct sql *db, int64_t id, int64_t at)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE queue SET look = $2 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, at);
    return sql_run(st);
}

struct error queue_set_aside(struct sql *db, int64_t id, struct slice reason)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE rcpt SET state = 1, reply = $2, host = NULL WHERE queue = $1");
    sql_bind_int(st, 1, id);
    sql_bind_text(st, 2, reason);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such message in the queue");
}

static struct error mend_destination(struct sql *db, struct slice dest, int64_t now, int64_t bound, int64_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE rcpt SET due = $2 WHERE state = 0 AND dest = $1 AND due > $3");
    sql_bind_text(st, 1, dest);
    sql_bind_int(st, 2, now);
    sql_bind_int(st, 3, bound);
    TRY(sql_run(st));
    *n += sql_changed(db);
    return OK;
}

/* The lifetime of a message is at most 30 days (queue.lifetime): whoever would be looked at later came in the future. */
static struct error mend_messages(struct sql *db, int64_t now, int64_t *n)
{
    enum { MONTH_S = 31 * 86400 };
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE queue SET created = $1, expires = $1 + expires - created, look = $1 + 14400 WHERE look > $2");
    sql_bind_int(st, 1, now);
    sql_bind_int(st, 2, now + MONTH_S);
    TRY(sql_run(st));
    *n += sql_changed(db);
    return OK;
}

struct error queue_mend_times(struct sql *db, int64_t now, int64_t longest, int64_t *n)
{
    struct arena a;
    struct slice *dests = NULL;
    size_t count = 0, room = 0;
    struct error e = OK;
    *n = 0;
    arena_init(&a, ARENA_REQUEST_MAX);
    struct sql_stmt *st = sql_use(db, QUEUE_SQL_FAR);
    sql_bind_int(st, 1, now + longest);
    while (e.code == ERROR_NONE && sql_row(st)) { /* gathered first: what is read must not be changed meanwhile */
        if (count == room) {
            size_t wanted = room ? room * 2 : 16;
            dests = arena_grow(&a, dests, room * sizeof *dests, wanted * sizeof *dests);
            room = wanted;
        }
        if (dests)
            dests[count] = arena_copy(&a, sql_text(st, 0));
        e = dests && dests[count++].p ? OK : NO_MEMORY;
    }
    if (e.code == ERROR_NONE)
        e = sql_result(st);
    sql_done(&st);
    for (size_t i = 0; i < count && e.code == ERROR_NONE; i++)
        e = mend_destination(db, dests[i], now, now + longest, n);
    arena_free(&a);
    return e.code == ERROR_NONE ? mend_messages(db, now, n) : e;
}
