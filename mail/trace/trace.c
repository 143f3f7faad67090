/* mail/trace/trace.c -- the events of one message in one change: written as one row */
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "mail/trace/internal.h"

enum { DETAIL_MAX = 500, ADDRESS_MAX = 320, FIRST_ROOM = 512 };

const char *const trace_words[] = {
    [TRACE_RECEIVED] = "received", [TRACE_REFUSED] = "refused",     [TRACE_STORED] = "stored",   [TRACE_QUEUED] = "queued",     [TRACE_FORWARDED] = "forwarded",
    [TRACE_TRIED] = "tried",       [TRACE_DELIVERED] = "delivered", [TRACE_BOUNCED] = "bounced", [TRACE_EXPIRED] = "expired",   [TRACE_FILTERED] = "filtered",
    [TRACE_HELD] = "held",         [TRACE_RELEASED] = "released",   [TRACE_DROPPED] = "dropped", [TRACE_DISTRIBUTED] = "distributed", [TRACE_REPORTED] = "reported",
};
const size_t trace_n_words = sizeof trace_words / sizeof trace_words[0];

void trace_begin(struct trace *t, struct arena *a, struct slice job, struct slice message_id, struct slice sender)
{
    *t = (struct trace){.arena = a, .job = job, .message_id = message_id, .sender = sender};
}

static bool make_room(struct trace *t, size_t more)
{
    if (t->n + more <= t->room)
        return true;
    size_t room = t->room ? t->room * 2 : FIRST_ROOM;
    while (room < t->n + more)
        room *= 2;
    t->text = arena_grow(t->arena, t->text, t->room, room);
    t->room = t->text ? room : 0;
    t->failed |= !t->text;
    return t->text != NULL;
}

static void add_field(struct trace *t, struct slice field, char end)
{
    for (size_t i = 0; i < field.n; i++)
        t->text[t->n++] = (unsigned char)field.p[i] < 0x20 || field.p[i] == 0x7F ? ' ' : field.p[i];
    t->text[t->n++] = end;
}

void trace_add(struct trace *t, enum trace_what what, struct slice recipient, struct slice detail)
{
    struct slice word = slice_of(trace_words[what]);
    recipient = slice_first(recipient, ADDRESS_MAX);
    detail = slice_first(detail, DETAIL_MAX);
    if (t->failed || !make_room(t, word.n + recipient.n + detail.n + 3))
        return;
    add_field(t, word, '\t');
    add_field(t, recipient, '\t');
    add_field(t, detail, '\n');
}

void trace_addf(struct trace *t, enum trace_what what, struct slice recipient, const char *format, ...)
{
    char text[DETAIL_MAX + 1];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    trace_add(t, what, recipient, slice_make(text, n < 0 ? 0 : n > DETAIL_MAX ? DETAIL_MAX : (size_t)n));
}

void trace_append(struct trace *t, const struct trace *more)
{
    t->failed |= more->failed;
    if (more->n == 0 || t->failed || !make_room(t, more->n))
        return;
    memcpy(t->text + t->n, more->text, more->n);
    t->n += more->n;
}

struct error trace_put(struct sql *db, const struct trace *t)
{
    if (t->failed)
        return error_make(ERROR_MEMORY, "no memory for the trace of a message");
    if (t->n == 0)
        return OK;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO trace (at, job, msgid, sender, events) VALUES ($1, $2, $3, $4, $5)");
    sql_bind_int(st, 1, clock_now());
    sql_bind_text(st, 2, t->job);
    sql_bind_text(st, 3, slice_first(t->message_id, DETAIL_MAX));
    sql_bind_text(st, 4, slice_first(t->sender, ADDRESS_MAX));
    sql_bind_text(st, 5, slice_make(t->text, t->n));
    return sql_run(st);
}

bool trace_next(struct slice *rest, struct slice *what, struct slice *recipient, struct slice *detail)
{
    if (rest->n == 0)
        return false;
    struct slice line = slice_first(*rest, slice_find(*rest, '\n'));
    *rest = slice_after(*rest, line.n + 1);
    *what = slice_first(line, slice_find(line, '\t'));
    line = slice_after(line, what->n + 1);
    *recipient = slice_first(line, slice_find(line, '\t'));
    *detail = slice_after(line, recipient->n + 1);
    return true;
}

int64_t trace_word(struct slice text)
{
    uint64_t h = 1469598103934665603U; /* FNV-1a; a row that is found by chance is looked at before it counts */
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)ascii_lower(text.p[i])) * 1099511628211U;
    return (int64_t)((h ^ h >> 29) >> 1);
}
