/* mail/trace/find.c -- the story of a message, a sender, a recipient
 *
 * One word of the question leads to rows; each is looked at (a word may be another text's, too) and gives the job of a message; all rows of these jobs are
 * read, and the rest of the question decides which messages are told. Rows that have no words yet are the newest ones: they are scanned.
 */
#include <stdlib.h>

#include "core/cleanup.h"
#include "mail/trace/internal.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a search in the trace")

struct row {
    int64_t id, at;
    struct slice job, message_id, sender, events;
    size_t message; /* its place in jobs */
};

struct finding {
    struct sql *db;
    struct arena *arena;
    const struct trace_query *q;
    int64_t hour_first, hour_last, indexed;
    struct slice *jobs;
    size_t n_jobs;
    struct row *rows;
    size_t n_rows, room_rows;
    bool cut;
};

static struct slice bare_id(struct slice id)
{
    id = slice_trim(id);
    return id.n > 1 && id.p[0] == '<' && id.p[id.n - 1] == '>' ? slice_make(id.p + 1, id.n - 2) : id;
}

static bool is_message(const struct row *r, struct slice wanted)
{
    return slice_eq(r->job, wanted) || (r->message_id.n && slice_eq_nocase(bare_id(r->message_id), bare_id(wanted)));
}

static bool has_recipient(struct slice events, struct slice wanted)
{
    struct slice what, recipient, detail;
    while (trace_next(&events, &what, &recipient, &detail))
        if (slice_eq_nocase(recipient, wanted))
            return true;
    return false;
}

static struct slice empty_sender(struct slice s)
{
    return slice_eq(s, SLICE("<>")) ? SLICE("") : s;
}

/* Does the row answer the part of the question by which it was looked for? */
static bool is_candidate(const struct finding *f, const struct row *r)
{
    const struct trace_query *q = f->q;
    if (r->at < q->since || (q->until && r->at > q->until))
        return false;
    if (q->message.n)
        return is_message(r, q->message);
    if (q->recipient.n)
        return has_recipient(r->events, q->recipient);
    return !q->sender.n || slice_eq_nocase(r->sender, empty_sender(q->sender));
}

static size_t job_place(const struct finding *f, struct slice job)
{
    size_t i = 0;
    while (i < f->n_jobs && !slice_eq(f->jobs[i], job))
        i++;
    return i;
}

static struct error note_job(struct finding *f, struct slice job)
{
    if (job_place(f, job) < f->n_jobs)
        return OK;
    if (f->n_jobs == TRACE_MESSAGES_MAX) {
        f->cut = true;
        return OK;
    }
    f->jobs[f->n_jobs] = arena_copy(f->arena, job);
    return f->jobs[f->n_jobs++].p ? OK : NO_MEMORY;
}

static void row_from(struct sql_stmt *st, struct row *r)
{
    *r = (struct row){.id = sql_int(st, 0), .at = sql_int(st, 1), .job = sql_text(st, 2), .message_id = sql_text(st, 3), .sender = sql_text(st, 4), .events = sql_text(st, 5)};
}

static struct error keep_row(struct finding *f, const struct row *r)
{
    size_t message = job_place(f, r->job);
    if (message == f->n_jobs)
        return OK;
    if (f->n_rows == f->room_rows) {
        size_t room = f->room_rows ? f->room_rows * 2 : 64;
        f->rows = arena_grow(f->arena, f->rows, f->room_rows * sizeof *f->rows, room * sizeof *f->rows);
        f->room_rows = f->rows ? room : 0;
        if (!f->rows)
            return NO_MEMORY;
    }
    struct row *to = &f->rows[f->n_rows++];
    *to = (struct row){.id = r->id, .at = r->at, .job = f->jobs[message], .message_id = arena_copy(f->arena, r->message_id), .sender = arena_copy(f->arena, r->sender),
                       .events = arena_copy(f->arena, r->events), .message = message};
    return to->message_id.p && to->sender.p && to->events.p ? OK : NO_MEMORY;
}

typedef struct error (*row_fn)(struct finding *f, const struct row *r);

static struct error candidate(struct finding *f, const struct row *r)
{
    return is_candidate(f, r) ? note_job(f, r->job) : OK;
}

static struct error by_word(struct finding *f, struct slice text, int64_t hour, row_fn each)
{
    for (; hour <= f->hour_last; hour++) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(f->db, "SELECT t.id, t.at, t.job, coalesce(t.msgid, ''), coalesce(t.sender, ''), t.events FROM traceword w JOIN trace t ON t.id = w.trace "
                                                              "WHERE w.hour = $1 AND w.word = $2 ORDER BY w.trace");
        sql_bind_int(st, 1, hour);
        sql_bind_int(st, 2, trace_word(text));
        while (sql_row(st)) {
            struct row r;
            row_from(st, &r);
            TRY(each(f, &r));
        }
        TRY(sql_result(st));
    }
    return OK;
}

static struct error newest(struct finding *f, int64_t after, row_fn each)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(f->db, "SELECT id, at, job, coalesce(msgid, ''), coalesce(sender, ''), events FROM trace WHERE id > $1 ORDER BY id");
    sql_bind_int(st, 1, after);
    while (sql_row(st)) {
        struct row r;
        row_from(st, &r);
        TRY(each(f, &r));
    }
    return sql_result(st);
}

static struct error bounds(struct finding *f)
{
    TRY(trace_indexed(f->db, &f->indexed));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(f->db, "SELECT min(hour), max(hour) FROM traceword");
    if (sql_row(st) && !sql_is_null(st, 0)) {
        f->hour_first = sql_int(st, 0);
        f->hour_last = sql_int(st, 1);
    } else {
        f->hour_first = 0;
        f->hour_last = -1;
    }
    return sql_result(st);
}

/* Messages that answer the first part of the question. Without one: all, which means reading everything since then. */
static struct error find_jobs(struct finding *f)
{
    const struct trace_query *q = f->q;
    int64_t from = q->since / HOUR_S > f->hour_first ? q->since / HOUR_S : f->hour_first;
    struct slice sender = empty_sender(q->sender), word = q->message.n ? q->message : q->recipient.n ? q->recipient : sender;
    if (!word.n)
        return newest(f, 0, candidate);
    TRY(by_word(f, word, from, candidate));
    if (q->message.n) { /* kept as it was sent: with its brackets */
        const char *id = arena_printf(f->arena, "<%.*s>", SLICE_ARG(slice_first(bare_id(q->message), 1000)));
        if (!id)
            return NO_MEMORY;
        TRY(by_word(f, slice_of(id), from, candidate));
    }
    return newest(f, f->indexed, candidate);
}

static int by_message(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->message != y->message)
        return x->message < y->message ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static struct error find_rows(struct finding *f)
{
    for (size_t i = 0; i < f->n_jobs; i++)
        TRY(by_word(f, f->jobs[i], f->hour_first, keep_row));
    TRY(newest(f, f->n_jobs ? f->indexed : INT64_MAX, keep_row));
    if (f->n_rows)
        qsort(f->rows, f->n_rows, sizeof *f->rows, by_message);
    size_t n = 0; /* a row whose hash two jobs share was found twice */
    for (size_t i = 0; i < f->n_rows; i++)
        if (i == 0 || f->rows[i].id != f->rows[n - 1].id)
            f->rows[n++] = f->rows[i];
    f->n_rows = n;
    return OK;
}

/* --- what is told */

static bool answers(const struct finding *f, const struct row *rows, size_t n)
{
    const struct trace_query *q = f->q;
    bool message = !q->message.n, sender = !q->sender.n, recipient = !q->recipient.n;
    for (size_t i = 0; i < n; i++) {
        message |= is_message(&rows[i], q->message);
        sender |= slice_eq_nocase(rows[i].sender, empty_sender(q->sender));
        recipient |= has_recipient(rows[i].events, q->recipient);
    }
    return message && sender && recipient;
}

/* The recipient and those to whom it was forwarded. */
struct wanted {
    struct slice all[100];
    size_t n;
};

static bool is_wanted(const struct wanted *w, struct slice recipient)
{
    if (w->n == 0 || recipient.n == 0)
        return true;
    for (size_t i = 0; i < w->n; i++)
        if (slice_eq_nocase(w->all[i], recipient))
            return true;
    return false;
}

static const char *known_word(struct slice what)
{
    for (size_t i = 0; i < trace_n_words; i++)
        if (slice_eq(what, slice_of(trace_words[i])))
            return trace_words[i];
    return "noted";
}

static void tell_row(struct finding *f, const struct row *r, const struct row *first, struct wanted *w, struct trace_line *lines, size_t *n)
{
    struct slice rest = r->events, what, recipient, detail;
    while (trace_next(&rest, &what, &recipient, &detail)) {
        if (!is_wanted(w, recipient))
            continue;
        if (w->n && w->n < 100 && slice_eq(what, slice_of(trace_words[TRACE_FORWARDED])))
            w->all[w->n++] = detail;
        if (*n == TRACE_LINES_MAX) {
            f->cut = true;
            return;
        }
        lines[(*n)++] = (struct trace_line){.at = r->at, .job = r->job, .message_id = first->message_id, .sender = first->sender, .what = known_word(what), .recipient = recipient, .detail = detail};
    }
}

struct error trace_find(struct sql *db, const struct trace_query *q, struct arena *a, struct trace_line **lines, size_t *n, bool *cut)
{
    struct finding f = {.db = db, .arena = a, .q = q, .jobs = arena_alloc(a, TRACE_MESSAGES_MAX * sizeof *f.jobs)};
    *n = 0;
    *lines = arena_alloc(a, TRACE_LINES_MAX * sizeof **lines);
    if (!f.jobs || !*lines)
        return NO_MEMORY;
    TRY(bounds(&f));
    TRY(find_jobs(&f));
    TRY(find_rows(&f));
    for (size_t i = 0, end; i < f.n_rows; i = end) {
        struct wanted w = {.n = 0};
        for (end = i + 1; end < f.n_rows && f.rows[end].message == f.rows[i].message; end++) {
        }
        if (!answers(&f, f.rows + i, end - i))
            continue;
        if (q->recipient.n)
            w.all[w.n++] = q->recipient;
        for (size_t k = i; k < end; k++)
            tell_row(&f, &f.rows[k], &f.rows[i], &w, *lines, n);
    }
    *cut = f.cut;
    return OK;
}
