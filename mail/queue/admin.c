/* mail/queue/admin.c -- finding, holding, releasing, summing up */
#include "mail/queue/admin.h"

#include "core/cleanup.h"
#include "core/store/watch.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for the queue")

static struct slice text_of(struct sql_stmt *st, int column, struct arena *a)
{
    return sql_is_null(st, column) ? slice_make(NULL, 0) : arena_copy(a, sql_text(st, column));
}

/* Room for one more in an array that doubles; false: no memory. */
static bool grow(struct arena *a, void **all, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return true;
    size_t wanted = *room ? *room * 2 : 16;
    *all = arena_grow(a, *all, *room * size, wanted * size);
    *room = wanted;
    return *all != NULL;
}

#define FIND                                                                                                                            \
    "SELECT q.id, q.sender, q.flags, q.created, q.expires, q.data, COALESCE(b.size, -1), r.n, r.address, r.dest, r.state, r.due, r.tries, r.reply, r.host, r.tried " \
    "FROM queue q JOIN rcpt r ON r.queue = q.id LEFT JOIN blob b ON b.id = q.blob "                                                     \
    "WHERE q.id > $1 AND ($2 = '*' OR lower(q.sender) = lower($2)) AND ($3 = '' OR lower(r.address) = lower($3)) AND ($4 = '' OR r.dest = $4) " \
    "AND ($5 < 0 OR r.state = $5) ORDER BY q.id, r.n LIMIT $6"

struct error queue_find(struct sql *db, const struct queue_filter *f, int64_t after, size_t most, struct arena *a, struct queue_line **all, size_t *n)
{
    size_t room = 0;
    void *rows = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, FIND);
    sql_bind_int(st, 1, after);
    sql_bind_text(st, 2, f->sender.n == 0 ? SLICE("*") : slice_eq(f->sender, SLICE("<>")) ? SLICE("") : f->sender);
    sql_bind_text(st, 3, f->recipient.n ? f->recipient : SLICE(""));
    sql_bind_text(st, 4, f->dest.n ? f->dest : SLICE(""));
    sql_bind_int(st, 5, f->state);
    sql_bind_int(st, 6, (int64_t)most);
    while (*n < most && sql_row(st)) {
        if (!grow(a, &rows, *n, &room, sizeof **all))
            return NO_MEMORY;
        struct queue_line *l = (struct queue_line *)rows + (*n)++;
        *l = (struct queue_line){.entry = {.id = sql_int(st, 0), .sender = text_of(st, 1, a), .flags = (int)sql_int(st, 2), .created = sql_int(st, 3), .expires = sql_int(st, 4),
                                           .job = text_of(st, 5, a), .size = sql_int(st, 6)},
                                 .rcpt = {.n = sql_int(st, 7), .address = text_of(st, 8, a), .dest = text_of(st, 9, a), .state = (enum queue_state)sql_int(st, 10), .due = sql_int(st, 11),
                                          .tries = sql_int(st, 12), .reply = text_of(st, 13, a), .host = text_of(st, 14, a), .tried = sql_int(st, 15)}};
    }
    *all = rows;
    return sql_result(st);
}

#define CHOSEN(set, where) "UPDATE rcpt SET " set " WHERE (queue, n) IN (SELECT queue, n FROM rcpt WHERE " where " LIMIT 1000)"

/* For each order: of one message ($1), of one destination ($1), of all. $2 (of all: $1) is the time; who is held is not asked for it. */
static const struct {
    const char *of_message, *of_destination, *of_all;
} statements[] = {
    [QUEUE_HOLD] = {"UPDATE rcpt SET state = 1 WHERE queue = $1 AND state = 0", CHOSEN("state = 1", "state = 0 AND dest = $1"), CHOSEN("state = 1", "state = 0")},
    [QUEUE_RELEASE] = {"UPDATE rcpt SET state = 0, due = $2 WHERE queue = $1 AND state = 1", CHOSEN("state = 0, due = $2", "state = 1 AND dest = $1"), CHOSEN("state = 0, due = $1", "state = 1")},
    [QUEUE_HURRY] = {"UPDATE rcpt SET due = $2 WHERE queue = $1 AND state = 0", CHOSEN("due = $2", "state = 0 AND dest = $1 AND due > $2"), CHOSEN("due = $1", "state = 0 AND due > $1")},
};

struct error queue_order(struct sql *db, enum queue_order order, const struct queue_target *t, int64_t now, int64_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, t->id ? statements[order].of_message : t->dest.n ? statements[order].of_destination : statements[order].of_all);
    if (t->id)
        sql_bind_int(st, 1, t->id);
    else if (t->dest.n)
        sql_bind_text(st, 1, t->dest);
    if (order != QUEUE_HOLD)
        sql_bind_int(st, t->id || t->dest.n ? 2 : 1, now);
    TRY(sql_run(st));
    *n = sql_changed(db);
    if (*n && order != QUEUE_HOLD)
        watch_note(db, QUEUE_WATCH_CHANGED, t->id);
    return OK;
}

struct error queue_messages_of(struct sql *db, struct slice dest, int64_t after, size_t most, struct arena *a, int64_t **ids, size_t *n)
{
    *n = 0;
    *ids = arena_zero(a, most, sizeof **ids);
    if (!*ids)
        return NO_MEMORY;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT DISTINCT queue FROM rcpt WHERE queue > $1 AND ($2 = '' OR dest = $2) ORDER BY queue LIMIT $3");
    sql_bind_int(st, 1, after);
    sql_bind_text(st, 2, dest.n ? dest : SLICE(""));
    sql_bind_int(st, 3, (int64_t)most);
    while (*n < most && sql_row(st))
        (*ids)[(*n)++] = sql_int(st, 0);
    return sql_result(st);
}

static struct error last_words(struct sql *db, struct arena *a, struct queue_sum *s)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT reply, host FROM rcpt WHERE dest = $1 AND state = 0 AND reply IS NOT NULL ORDER BY tried DESC LIMIT 1");
    sql_bind_text(st, 1, s->dest);
    if (sql_row(st)) {
        s->reply = text_of(st, 0, a);
        s->host = text_of(st, 1, a);
    }
    return sql_result(st);
}

struct error queue_sums(struct sql *db, size_t most, struct arena *a, struct queue_sum **all, size_t *n)
{
    size_t room = 0;
    void *rows = NULL;
    *n = 0;
    struct sql_stmt *st = sql_use(db, "SELECT g.dest, g.w, g.h, q.created, g.due, g.tries FROM (SELECT dest, sum(CASE WHEN state = 0 THEN 1 ELSE 0 END) AS w, "
                                      "sum(CASE WHEN state = 1 THEN 1 ELSE 0 END) AS h, min(queue) AS first, min(CASE WHEN state = 0 THEN due END) AS due, max(tries) AS tries "
                                      "FROM rcpt GROUP BY dest) AS g LEFT JOIN queue q ON q.id = g.first ORDER BY g.w + g.h DESC, g.dest LIMIT $1");
    sql_bind_int(st, 1, (int64_t)most);
    while (*n < most && sql_row(st)) {
        if (!grow(a, &rows, *n, &room, sizeof **all)) {
            sql_done(&st);
            return NO_MEMORY;
        }
        ((struct queue_sum *)rows)[(*n)++] = (struct queue_sum){.dest = text_of(st, 0, a), .waiting = sql_int(st, 1), .held = sql_int(st, 2), .oldest = sql_int(st, 3), .due = sql_int(st, 4), .tries = sql_int(st, 5)};
    }
    struct error e = sql_result(st);
    sql_done(&st);
    *all = rows;
    for (size_t i = 0; i < *n && e.code == ERROR_NONE; i++)
        e = last_words(db, a, &(*all)[i]);
    return e;
}
