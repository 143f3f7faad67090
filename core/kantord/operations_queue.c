/* core/kantord/operations_queue.c -- the queue: what waits and why, hold, release, hurry, return, delete, export */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "core/log.h"
#include "core/store/blob.h"
#include "mail/delivery/deliver.h"
#include "mail/delivery/report.h"
#include "mail/mime/header.h"
#include "mail/queue/admin.h"
#include "mail/trace/trace.h"

enum { LIST_STANDARD = 1000, LIST_MOST = 1000000, LIST_STEP = 1000, PIECE = 65536, RETURN_STEP = 500 };

static const char *const state_words[] = {[QUEUE_WAITING] = "waiting", [QUEUE_HELD] = "held", [QUEUE_DELIVERED] = "delivered", [QUEUE_FAILED] = "failed"};

#define NO_SUCH_MESSAGE error_make(ERROR_NOT_FOUND, "no such message in the queue; `kantorctl queue list` shows all")

static struct error id_of(struct operation_call *k, int64_t *id)
{
    uint64_t n;
    if (!slice_number(k->words[2], INT64_MAX, &n))
        return error_make(ERROR_INVALID, "the id is the number that `kantorctl queue list` shows");
    *id = (int64_t)n;
    return OK;
}

/* --- list */

static struct error filter_of(struct operation_call *k, struct queue_filter *f, size_t *most)
{
    struct slice state = operation_option(k, "state"), limit = operation_option(k, "limit");
    uint64_t n = LIST_STANDARD;
    *f = (struct queue_filter){.sender = operation_option(k, "sender"), .recipient = operation_option(k, "recipient"), .dest = operation_option(k, "domain"), .state = -1};
    if (slice_eq(state, SLICE("waiting")))
        f->state = QUEUE_WAITING;
    else if (slice_eq(state, SLICE("held")))
        f->state = QUEUE_HELD;
    else if (state.p)
        return error_make(ERROR_INVALID, "--state is waiting or held");
    if (limit.p && (!slice_number(limit, LIST_MOST, &n) || n == 0))
        return error_make(ERROR_INVALID, "--limit takes a number of messages");
    *most = (size_t)n;
    return OK;
}

static void report_line(struct operation_call *k, const struct queue_line *l)
{
    report_number(&k->report, l->entry.id);
    report_text(&k->report, l->entry.job);
    report_text(&k->report, l->entry.sender.n ? l->entry.sender : SLICE("<>"));
    report_text(&k->report, l->rcpt.address);
    report_word(&k->report, state_words[l->rcpt.state & 3]);
    report_number(&k->report, l->rcpt.tries);
    report_date(&k->report, l->entry.created);
    if (l->rcpt.state == QUEUE_WAITING)
        report_date(&k->report, l->rcpt.due);
    else
        report_word(&k->report, NULL);
    report_size(&k->report, l->entry.size < 0 ? 0 : l->entry.size);
    report_text(&k->report, l->rcpt.host);
    report_text(&k->report, l->rcpt.reply);
}

/* Message by message, until there are enough. Each step reads some more rows than it shows: the recipients of one message must not be torn apart. */
struct error run_queue_list(struct operation_call *k)
{
    struct queue_filter f;
    struct queue_line *all;
    size_t most, n, asked, whole, messages = 0;
    int64_t last = 0;
    bool more = false;
    TRY(filter_of(k, &f, &most));
    report_list(&k->report, "id message from to state tries since next_try size host last_reply");
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    size_t step = LIST_STEP;
    do {
        asked = step;
        TRY(queue_find(db, &f, last, asked, k->arena, &all, &n));
        for (whole = n; n == asked && whole && all[whole - 1].entry.id == all[n - 1].entry.id;)
            whole--; /* of the last message there may be more recipients */
        step = whole || n < asked ? LIST_STEP : asked * 4;
        for (size_t i = 0; i < whole && !more; i++) {
            more = all[i].entry.id != last && messages == most;
            messages += all[i].entry.id != last && !more;
            last = all[i].entry.id;
            if (!more)
                report_line(k, &all[i]);
        }
    } while (!more && n == asked);
    report_say(&k->report, "%zu message%s%s", messages, messages == 1 ? "" : "s", more ? "; there are more: --limit N shows them, `kantorctl queue summary` counts them" : "");
    return OK;
}

/* --- show */

static struct error header_lines(struct operation_call *k, struct slice header, struct slice **lines, size_t *n)
{
    size_t most = 1;
    for (size_t i = 0; i < header.n; i++)
        most += header.p[i] == '\n';
    *n = 0;
    *lines = arena_alloc(k->arena, most * sizeof **lines);
    if (!*lines)
        return error_make(ERROR_MEMORY, "no memory for a header");
    while (header.n) {
        struct slice line = slice_first(header, slice_find(header, '\n'));
        header = slice_after(header, line.n + 1);
        if (slice_trim(line).n)
            (*lines)[(*n)++] = slice_trim(line);
    }
    return OK;
}

/* What the sender asked for (RFC 3461, 6152, 6531, 8689), as the sending side will pass it on; *n of at most 8 words. */
static void wishes_of(struct operation_call *k, const struct queue_entry *e, struct slice *out, size_t *n)
{
    static const struct {
        int flag;
        const char *word;
    } words[] = {{DELIVERY_RET_FULL, "RET=FULL"}, {DELIVERY_RET_HDRS, "RET=HDRS"}, {DELIVERY_REQUIRETLS, "REQUIRETLS"}, {DELIVERY_SMTPUTF8, "SMTPUTF8"}, {DELIVERY_8BIT, "BODY=8BITMIME"},
                 {DELIVERY_BINARY, "BODY=BINARYMIME"}, {DELIVERY_TLS_OPTIONAL, "TLS-Required: No"}};
    *n = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (e->flags & words[i].flag)
            out[(*n)++] = slice_of(words[i].word);
    if (e->envid.p)
        out[(*n)++] = slice_of(arena_printf(k->arena, "ENVID=%.*s", SLICE_ARG(e->envid)));
}

static struct slice rcpt_text(struct operation_call *k, const struct queue_rcpt *r)
{
    struct buffer b = {0};
    buffer_printf(&b, "%.*s: %s, %lld tries", SLICE_ARG(r->address), state_words[r->state & 3], (long long)r->tries);
    if (r->notify)
        buffer_printf(&b, " NOTIFY=%s%s%s%s", r->notify & NOTIFY_NEVER ? "NEVER" : "", r->notify & NOTIFY_SUCCESS ? "SUCCESS," : "", r->notify & NOTIFY_FAILURE ? "FAILURE," : "", r->notify & NOTIFY_DELAY ? "DELAY" : "");
    if (r->orcpt.p)
        buffer_printf(&b, " ORCPT=%.*s", SLICE_ARG(r->orcpt));
    if (r->state == QUEUE_WAITING) {
        buffer_add(&b, SLICE(", next try "));
        report_write_date(r->due, &b);
    }
    if (r->reply.n)
        buffer_printf(&b, ", last reply%s%.*s: %.*s", r->host.n ? " of " : "", SLICE_ARG(r->host), SLICE_ARG(r->reply));
    struct slice text = arena_copy(k->arena, buffer_slice(&b));
    buffer_free(&b);
    return text;
}

struct error run_queue_show(struct operation_call *k)
{
    struct queue_entry e;
    int64_t id;
    struct slice bytes, *lines, wishes[8];
    size_t n_lines, n_wishes;
    TRY(id_of(k, &id));
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    struct error got = queue_get(db, id, k->arena, &e);
    TRY(got.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, "no such message in the queue; `kantorctl queue list` shows all") : got);
    if (e.size < 0 || blob_read(db, e.blob, 0, 65536, k->arena, &bytes).code != ERROR_NONE)
        bytes = SLICE(""); /* set aside: its content is missing */
    bytes = slice_of(arena_printf(k->arena, "%.*s%.*s", SLICE_ARG(e.head), SLICE_ARG(slice_first(bytes, header_length(bytes))))); /* as it leaves */
    TRY(header_lines(k, bytes, &lines, &n_lines));
    struct slice *rcpts = arena_alloc(k->arena, (e.n_rcpts + 1) * sizeof *rcpts);
    for (size_t i = 0; rcpts && i < e.n_rcpts; i++)
        rcpts[i] = rcpt_text(k, &e.rcpts[i]);
    wishes_of(k, &e, wishes, &n_wishes);
    report_one(&k->report, "id message from size since expires options recipients header");
    report_number(&k->report, e.id);
    report_text(&k->report, e.job);
    report_text(&k->report, e.sender.n ? e.sender : SLICE("<>"));
    report_size(&k->report, e.size);
    report_date(&k->report, e.created);
    report_date(&k->report, e.expires);
    report_texts(&k->report, wishes, n_wishes);
    report_texts(&k->report, rcpts, rcpts ? e.n_rcpts : 0);
    report_texts(&k->report, lines, n_lines);
    return OK;
}

/* --- summary */

struct error run_queue_summary(struct operation_call *k)
{
    struct queue_sum *all;
    size_t n;
    int64_t waiting = 0, held = 0;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(queue_sums(db, LIST_STANDARD, k->arena, &all, &n));
    report_list(&k->report, "domain waiting held oldest next_try tries host last_reply");
    for (size_t i = 0; i < n; i++) {
        report_text(&k->report, all[i].dest);
        report_number(&k->report, all[i].waiting);
        report_number(&k->report, all[i].held);
        report_date(&k->report, all[i].oldest);
        if (all[i].waiting)
            report_date(&k->report, all[i].due);
        else
            report_word(&k->report, NULL);
        report_number(&k->report, all[i].tries);
        report_text(&k->report, all[i].host);
        report_text(&k->report, all[i].reply);
        waiting += all[i].waiting;
        held += all[i].held;
    }
    report_say(&k->report, "%zu domain%s, %lld recipient%s waiting, %lld held", n, n == 1 ? "" : "s", (long long)waiting, waiting == 1 ? "" : "s", (long long)held);
    return OK;
}

/* --- hold, release, retry */

/* A number is a message, "all" is all, anything else a domain. */
static struct error target_of(struct operation_call *k, struct queue_target *t)
{
    struct slice word = k->words[2];
    struct address x;
    uint64_t n;
    *t = (struct queue_target){.dest = SLICE("")};
    if (slice_number(word, INT64_MAX, &n)) {
        t->id = (int64_t)n;
        return OK;
    }
    if (slice_eq(word, SLICE("all")))
        return OK;
    const char *text = arena_printf(k->arena, "x@%.*s", SLICE_ARG(slice_first(word, 300)));
    if (!text || address_parse(slice_of(text), k->arena, &x).code != ERROR_NONE)
        return error_make(ERROR_INVALID, "which? the number of a message (`kantorctl queue list`), a domain, or all");
    t->dest = x.domain;
    return OK;
}

struct ordering {
    enum queue_order order;
    struct queue_target target;
    const struct operation_call *k;
    int64_t n;
};

/* Of a single message the trace says it; of many the log says how many. */
static struct error trace_order(struct sql *db, const struct ordering *x)
{
    struct queue_entry e;
    struct trace t;
    struct arena a;
    arena_init(&a, ARENA_REQUEST_MAX);
    struct error got = queue_get(db, x->target.id, &a, &e);
    trace_begin(&t, &a, e.job, SLICE(""), e.sender);
    for (size_t i = 0; got.code == ERROR_NONE && i < e.n_rcpts; i++)
        trace_add(&t, x->order == QUEUE_HOLD ? TRACE_HELD : TRACE_RELEASED, e.rcpts[i].address, SLICE("by an administrator"));
    if (got.code == ERROR_NONE)
        got = trace_put(db, &t);
    arena_free(&a);
    return got.code == ERROR_NOT_FOUND ? OK : got;
}

static struct error order_change(struct sql *db, void *arg)
{
    struct ordering *x = arg;
    TRY(queue_order(db, x->order, &x->target, clock_now(), &x->n));
    return x->target.id && x->n && x->order != QUEUE_HURRY ? trace_order(db, x) : OK;
}

static struct error give_order(struct operation_call *k, enum queue_order order, int64_t *all)
{
    struct ordering x = {.order = order, .k = k};
    *all = 0;
    TRY(target_of(k, &x.target));
    do {
        TRY(store_change(k->server->store, order_change, &x));
        *all += x.n;
    } while (x.n == QUEUE_STEP && !x.target.id);
    static const char *const events[] = {[QUEUE_HOLD] = "queue-held", [QUEUE_RELEASE] = "queue-released", [QUEUE_HURRY] = "queue-hurried"};
    LOG_EVENT(LOG_INFO, events[order], LOG_TEXT("what", k->words[2]), LOG_NUMBER("recipients", *all));
    return *all || !x.target.id ? OK : NO_SUCH_MESSAGE;
}

struct error run_queue_hold(struct operation_call *k)
{
    int64_t n;
    TRY(give_order(k, QUEUE_HOLD, &n));
    report_say(&k->report, "%lld recipient%s held; `kantorctl queue release` lets them go", (long long)n, n == 1 ? "" : "s");
    return OK;
}

struct error run_queue_release(struct operation_call *k)
{
    int64_t n;
    TRY(give_order(k, QUEUE_RELEASE, &n));
    delivery_retry(k->server);
    report_say(&k->report, "%lld recipient%s released; they are due now", (long long)n, n == 1 ? "" : "s");
    return OK;
}

struct error run_queue_retry(struct operation_call *k)
{
    int64_t n;
    TRY(give_order(k, QUEUE_HURRY, &n));
    delivery_retry(k->server);
    report_say(&k->report, "%lld recipient%s due now", (long long)n, n == 1 ? " is" : "s are");
    return OK;
}

/* --- bounce, delete */

static struct error return_all(struct operation_call *k, struct slice dest, int64_t *messages)
{
    int64_t last = 0, *ids;
    size_t n;
    do {
        struct sql *db = store_reader(k->server->store);
        struct error e = queue_messages_of(db, dest, last, RETURN_STEP, k->arena, &ids, &n);
        store_reader_return(&db);
        for (size_t i = 0; i < n && e.code == ERROR_NONE; i++) {
            last = ids[i];
            e = report_return(k->server, ids[i], dest);
            *messages += e.code == ERROR_NONE;
            e = e.code == ERROR_NOT_FOUND ? OK : e;
        }
        TRY(e);
    } while (n == RETURN_STEP);
    return OK;
}

struct error run_queue_bounce(struct operation_call *k)
{
    struct queue_target t;
    int64_t messages = 1;
    TRY(target_of(k, &t));
    if (t.id) {
        struct error e = report_return(k->server, t.id, SLICE(""));
        TRY(e.code == ERROR_NOT_FOUND ? NO_SUCH_MESSAGE : e);
    } else {
        messages = 0;
        TRY(return_all(k, t.dest, &messages));
    }
    report_say(&k->report, "%lld message%s given up; senders who may be told are told", (long long)messages, messages == 1 ? "" : "s");
    return OK;
}

static struct error delete_change(struct sql *db, void *arg)
{
    struct queue_entry e;
    struct trace t;
    struct arena a;
    int64_t id = *(int64_t *)arg;
    arena_init(&a, ARENA_REQUEST_MAX);
    struct error got = queue_get(db, id, &a, &e);
    if (got.code == ERROR_NONE)
        got = queue_delete(db, id);
    trace_begin(&t, &a, e.job, SLICE(""), e.sender);
    for (size_t i = 0; got.code == ERROR_NONE && i < e.n_rcpts; i++)
        trace_add(&t, TRACE_DROPPED, e.rcpts[i].address, SLICE("deleted from the queue by an administrator"));
    if (got.code == ERROR_NONE)
        got = trace_put(db, &t);
    arena_free(&a);
    return error_make(got.code, got.code ? "the message could not be deleted" : NULL);
}

struct error run_queue_delete(struct operation_call *k)
{
    int64_t id;
    TRY(id_of(k, &id));
    struct error e = store_change(k->server->store, delete_change, &id);
    TRY(e.code == ERROR_NOT_FOUND ? NO_SUCH_MESSAGE : e);
    report_say(&k->report, "deleted");
    return OK;
}

/* --- export: the bytes on standard output, in pieces */

struct error run_queue_export(struct operation_call *k)
{
    struct queue_entry e;
    int64_t id, at = 0;
    TRY(id_of(k, &id));
    struct sql *db = store_reader(k->server->store);
    struct error got = queue_get(db, id, k->arena, &e);
    store_reader_return(&db);
    TRY(got.code == ERROR_NOT_FOUND ? NO_SUCH_MESSAGE : got);
    if (!k->frames)
        return error_make(ERROR_UNSUPPORTED, "a message needs a connection");
    if (e.head.n)
        TRY(frame_send(k->frames, FRAME_TEXT, e.head));
    while (at < e.size) {
        struct arena piece;
        struct slice bytes = SLICE("");
        arena_init(&piece, 4 * PIECE);
        db = store_reader(k->server->store);
        got = blob_read(db, e.blob, at, PIECE, &piece, &bytes);
        store_reader_return(&db);
        at += (int64_t)bytes.n;
        if (got.code == ERROR_NONE)
            got = bytes.n ? frame_send(k->frames, FRAME_TEXT, bytes) : error_make(ERROR_CORRUPT, "the message is shorter than its row says; `kantorctl check` tells more");
        arena_free(&piece);
        TRY(got);
    }
    return e.size < 0 ? error_make(ERROR_NOT_FOUND, "the content of this message is missing") : OK;
}
