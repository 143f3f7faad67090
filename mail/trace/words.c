/* mail/trace/words.c -- the words that lead to rows, added behind the deliveries; the sweep
 *
 * A word stands under its hour, so new ones come near each other and old hours go by their key. A batch is sorted before it is written: each page is
 * touched once, where a delivery of its own would touch one for each word.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "mail/trace/internal.h"

enum { ROWS_A_BATCH = 500, ARENA_BYTES = 256 * 1024 * 1024 };

struct entry {
    int64_t hour, word, trace;
};

struct batch {
    struct entry *all;
    size_t n, room;
    int64_t last; /* row */
    size_t rows;
};

struct error trace_indexed(struct sql *db, int64_t *id)
{
    struct slice text;
    uint64_t n = 0;
    struct arena a;
    arena_init(&a, 4096);
    struct error e = setting_get(db, 0, SLICE("trace.indexed"), &a, &text);
    if (e.code == ERROR_NONE)
        (void)slice_number(text, INT64_MAX, &n);
    arena_free(&a);
    *id = (int64_t)n;
    return e.code == ERROR_NOT_FOUND ? OK : e;
}

struct error trace_set_indexed(struct sql *db, int64_t id)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)id);
    return setting_set(db, 0, SLICE("trace.indexed"), slice_of(text));
}

static struct error add(struct batch *b, struct arena *a, int64_t at, struct slice word, int64_t trace)
{
    if (word.n == 0)
        return OK;
    if (b->n == b->room) {
        size_t room = b->room ? b->room * 2 : 4096;
        b->all = arena_grow(a, b->all, b->room * sizeof *b->all, room * sizeof *b->all);
        b->room = b->all ? room : 0;
        if (!b->all)
            return error_make(ERROR_MEMORY, "no memory for the words of traces");
    }
    b->all[b->n++] = (struct entry){at / HOUR_S, trace_word(word), trace};
    return OK;
}

static struct error gather(struct store *s, struct arena *a, struct batch *b)
{
    int64_t after;
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    TRY(trace_indexed(db, &after));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, at, job, msgid, sender, events FROM trace WHERE id > $1 ORDER BY id LIMIT 500");
    sql_bind_int(st, 1, after);
    for (; sql_row(st); b->rows++) {
        struct slice rest = sql_text(st, 5), what, recipient, detail;
        int64_t at = sql_int(st, 1);
        b->last = sql_int(st, 0);
        TRY(add(b, a, at, sql_text(st, 2), b->last));
        TRY(add(b, a, at, sql_text(st, 3), b->last));
        TRY(add(b, a, at, sql_text(st, 4), b->last));
        while (trace_next(&rest, &what, &recipient, &detail))
            TRY(add(b, a, at, recipient, b->last));
    }
    return sql_result(st);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->hour != y->hour)
        return x->hour < y->hour ? -1 : 1;
    if (x->word != y->word)
        return x->word < y->word ? -1 : 1;
    return (x->trace > y->trace) - (x->trace < y->trace);
}

static struct error write_batch(struct sql *db, void *arg)
{
    const struct batch *b = arg;
    for (size_t i = 0; i < b->n; i++) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO traceword (hour, word, trace) VALUES ($1, $2, $3) ON CONFLICT (hour, word, trace) DO NOTHING");
        sql_bind_int(st, 1, b->all[i].hour);
        sql_bind_int(st, 2, b->all[i].word);
        sql_bind_int(st, 3, b->all[i].trace);
        TRY(sql_run(st));
    }
    return trace_set_indexed(db, b->last);
}

struct error trace_index(struct store *s)
{
    struct error e = OK;
    struct batch b;
    do {
        struct arena a;
        b = (struct batch){0};
        arena_init(&a, ARENA_BYTES);
        e = gather(s, &a, &b);
        if (e.code == ERROR_NONE && b.rows) {
            if (b.n)
                qsort(b.all, b.n, sizeof *b.all, by_key);
            e = store_change(s, write_batch, &b);
        }
        arena_free(&a);
    } while (e.code == ERROR_NONE && b.rows == ROWS_A_BATCH);
    return e;
}

/* --- the sweep */

struct sweep {
    int64_t before;
    bool more;
};

static struct error sweep_rows(struct sql *db, void *arg)
{
    struct sweep *x = arg;
    int64_t last = 0;
    x->more = false;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, at FROM trace ORDER BY id LIMIT 1000");
        size_t n = 0;
        for (; sql_row(st) && sql_int(st, 1) < x->before; n++)
            last = sql_int(st, 0);
        TRY(sql_result(st));
        x->more = n == 1000;
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM trace WHERE id <= $1");
    sql_bind_int(st, 1, last);
    return last ? sql_run(st) : OK;
}

static struct error sweep_words(struct sql *db, void *arg)
{
    struct sweep *x = arg;
    int64_t hour = 0, word = 0;
    x->more = false;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT hour, word FROM traceword ORDER BY hour, word, trace LIMIT 1000");
        size_t n = 0;
        for (; sql_row(st) && sql_int(st, 0) < x->before / HOUR_S && (n == 0 || sql_int(st, 0) == hour); n++) {
            hour = sql_int(st, 0);
            word = sql_int(st, 1);
        }
        TRY(sql_result(st));
        x->more = n > 0;
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM traceword WHERE hour = $1 AND word <= $2");
    sql_bind_int(st, 1, hour);
    sql_bind_int(st, 2, word);
    return x->more ? sql_run(st) : OK;
}

struct error trace_sweep(struct store *s, int64_t before)
{
    struct sweep x = {.before = before};
    do
        TRY(store_change(s, sweep_rows, &x));
    while (x.more);
    do
        TRY(store_change(s, sweep_words, &x));
    while (x.more);
    return OK;
}
