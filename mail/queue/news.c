/* mail/queue/news.c -- what is new in the queue */
#include "mail/queue/news.h"

#include "core/cleanup.h"

struct error queue_since(struct sql *db, int64_t after, size_t most, struct arena *a, struct queue_fresh **all, size_t *n)
{
    *n = 0;
    *all = arena_zero(a, most, sizeof **all);
    if (!*all)
        return error_make(ERROR_MEMORY, "no memory for the queue");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT queue, dest, min(due) FROM rcpt WHERE queue > $1 AND state = 0 AND dest NOT IN (SELECT name FROM domain) GROUP BY queue, dest ORDER BY queue LIMIT $2");
    sql_bind_int(st, 1, after);
    sql_bind_int(st, 2, (int64_t)most);
    while (*n < most && sql_row(st)) {
        struct queue_fresh *x = &(*all)[*n];
        *x = (struct queue_fresh){.queue = sql_int(st, 0), .due = sql_int(st, 2), .dest = arena_copy(a, sql_text(st, 1))};
        if (!x->dest.p)
            return error_make(ERROR_MEMORY, "no memory for the queue");
        (*n)++;
    }
    return sql_result(st);
}

struct error queue_look(struct sql *db, struct slice dest, int64_t now, size_t most, int64_t *due, size_t *messages)
{
    int64_t last = 0;
    *due = 0;
    *messages = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT due, queue FROM rcpt WHERE dest = $1 AND state = 0 AND NOT EXISTS (SELECT 1 FROM domain WHERE name = $1) ORDER BY due, queue LIMIT $2");
    sql_bind_text(st, 1, dest);
    sql_bind_int(st, 2, (int64_t)most);
    while (sql_row(st)) {
        if (!*due)
            *due = sql_int(st, 0);
        if (sql_int(st, 0) > now)
            break;
        *messages += sql_int(st, 1) != last;
        last = sql_int(st, 1);
    }
    return sql_result(st);
}
