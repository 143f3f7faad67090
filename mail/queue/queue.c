/* mail/queue/queue.c -- rows of queue and rcpt */
#include "mail/queue/queue.h"

#include "core/cleanup.h"
#include "core/store/watch.h"

enum { DUE_MAX = 100, FIRST_LOOK_S = 4 * 3600 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for the queue")

static struct error enter_rcpt(struct sql *db, int64_t id, size_t n, const struct queue_rcpt *r)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO rcpt (queue, n, dest, address, state, due, tries, notify, orcpt, reply) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9)");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, (int64_t)n);
    sql_bind_text(st, 3, r->dest);
    sql_bind_text(st, 4, r->address);
    sql_bind_int(st, 5, r->state);
    sql_bind_int(st, 6, r->due);
    sql_bind_int(st, 7, r->notify);
    sql_bind_text(st, 8, r->orcpt);
    sql_bind_text(st, 9, r->reply);
    return sql_run(st);
}

struct error queue_enter(struct sql *db, const struct queue_entry *e, int64_t *id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO queue (blob, account, sender, envid, flags, created, expires, waiting, data, head, look) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
    sql_bind_int(st, 1, e->blob);
    sql_bind_int(st, 2, e->account);
    sql_bind_text(st, 3, e->sender);
    sql_bind_text(st, 4, e->envid);
    sql_bind_int(st, 5, e->flags);
    sql_bind_int(st, 6, e->created);
    sql_bind_int(st, 7, e->expires);
    sql_bind_int(st, 8, (int64_t)e->n_rcpts);
    sql_bind_text(st, 9, e->job);
    sql_bind_text(st, 10, e->head);
    sql_bind_int(st, 11, e->created + FIRST_LOOK_S);
    TRY(sql_run(st));
    *id = sql_inserted(db);
    watch_note(db, QUEUE_WATCH_NEW, *id);
    for (size_t i = 0; i < e->n_rcpts; i++)
        TRY(enter_rcpt(db, *id, i, &e->rcpts[i]));
    return OK;
}

static struct slice text_of(struct sql_stmt *st, int column, struct arena *a)
{
    return sql_is_null(st, column) ? slice_make(NULL, 0) : arena_copy(a, sql_text(st, column));
}

static struct error read_rcpts(struct sql *db, struct queue_entry *e, struct arena *a)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT address, dest, orcpt, notify, state, due, tries, reply, n, host, tried FROM rcpt WHERE queue = $1 ORDER BY n");
    sql_bind_int(st, 1, e->id);
    size_t room = 0;
    while (sql_row(st)) {
        if (e->n_rcpts == room) {
            size_t wanted = room ? room * 2 : 4;
            e->rcpts = arena_grow(a, e->rcpts, room * sizeof *e->rcpts, wanted * sizeof *e->rcpts);
            room = wanted;
            if (!e->rcpts)
                return NO_MEMORY;
        }
        e->rcpts[e->n_rcpts++] = (struct queue_rcpt){.address = text_of(st, 0, a), .dest = text_of(st, 1, a), .orcpt = text_of(st, 2, a), .notify = (int)sql_int(st, 3),
                                                     .state = (enum queue_state)sql_int(st, 4), .due = sql_int(st, 5), .tries = sql_int(st, 6), .reply = text_of(st, 7, a),
                                                     .n = sql_int(st, 8), .host = text_of(st, 9, a), .tried = sql_int(st, 10)};
    }
    return sql_result(st);
}

static void entry_from(struct sql_stmt *st, struct arena *a, struct queue_entry *e)
{
    *e = (struct queue_entry){.id = sql_int(st, 0), .blob = sql_int(st, 1), .account = sql_int(st, 2), .sender = text_of(st, 3, a), .envid = text_of(st, 4, a), .flags = (int)sql_int(st, 5), .created = sql_int(st, 6),
                              .expires = sql_int(st, 7), .job = text_of(st, 8, a), .size = sql_int(st, 9), .head = text_of(st, 10, a), .told = sql_int(st, 11), .look = sql_int(st, 12)};
}

#define SELECT_ENTRY "SELECT q.id, q.blob, q.account, q.sender, q.envid, q.flags, q.created, q.expires, q.data, COALESCE(b.size, -1), q.head, q.told, q.look FROM queue q LEFT JOIN blob b ON b.id = q.blob "

struct error queue_list(struct sql *db, struct arena *a, struct queue_entry **all, size_t *n)
{
    size_t room = 0;
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, SELECT_ENTRY "ORDER BY q.id LIMIT 10000");
    while (sql_row(st)) {
        if (*n == room) {
            size_t wanted = room ? room * 2 : 16;
            *all = arena_grow(a, *all, room * sizeof **all, wanted * sizeof **all);
            room = wanted;
            if (!*all)
                return NO_MEMORY;
        }
        entry_from(st, a, &(*all)[*n]);
        TRY(read_rcpts(db, &(*all)[(*n)++], a));
    }
    return sql_result(st);
}

struct error queue_get(struct sql *db, int64_t id, struct arena *a, struct queue_entry *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, SELECT_ENTRY "WHERE q.id = $1");
    sql_bind_int(st, 1, id);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such message in the queue");
    }
    entry_from(st, a, out);
    return read_rcpts(db, out, a);
}

struct error queue_due_here(struct sql *db, int64_t now, struct arena *a, struct queue_due **all, size_t *n)
{
    *n = 0;
    *all = arena_zero(a, DUE_MAX, sizeof **all);
    if (!*all)
        return NO_MEMORY;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT queue, n, tries, address FROM rcpt WHERE state = 0 AND due <= $1 AND dest IN (SELECT name FROM domain) ORDER BY due, queue, n LIMIT 100");
    sql_bind_int(st, 1, now);
    while (*n < DUE_MAX && sql_row(st))
        (*all)[(*n)++] = (struct queue_due){sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), text_of(st, 3, a)};
    return sql_result(st);
}

struct error queue_delivered(struct sql *db, const struct queue_due *d)
{
    SCOPED(sql_done) struct sql_stmt *row = sql_use(db, "DELETE FROM rcpt WHERE queue = $1 AND n = $2");
    sql_bind_int(row, 1, d->queue);
    sql_bind_int(row, 2, d->n);
    TRY(sql_run(row));
    SCOPED(sql_done) struct sql_stmt *count = sql_use(db, "UPDATE queue SET waiting = waiting - 1 WHERE id = $1");
    sql_bind_int(count, 1, d->queue);
    TRY(sql_run(count));
    SCOPED(sql_done) struct sql_stmt *empty = sql_use(db, "DELETE FROM queue WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM rcpt WHERE queue = $1)");
    sql_bind_int(empty, 1, d->queue);
    return sql_run(empty);
}

struct error queue_delete(struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM queue WHERE id = $1");
    sql_bind_int(st, 1, id);
    TRY(sql_run(st));
    if (!sql_changed(db))
        return error_make(ERROR_NOT_FOUND, "no such message in the queue");
    SCOPED(sql_done) struct sql_stmt *rcpts = sql_use(db, "DELETE FROM rcpt WHERE queue = $1");
    sql_bind_int(rcpts, 1, id);
    return sql_run(rcpts);
}

struct error queue_waiting(struct sql *db, int64_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT count(*) FROM rcpt WHERE state = 0");
    *n = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}
