/* mail/delivery/report.c -- what became of a try, in one change with the reports that are owed */
#include "mail/delivery/report.h"

#include <openssl/rand.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/options.h"
#include "mail/delivery/deliver.h"
#include "mail/delivery/report_write.h"
#include "mail/delivery/sender.h"
#include "mail/mime/header.h"
#include "mail/queue/plan.h"
#include "mail/trace/trace.h"

enum { HEAD_READ = 2 * REPORT_RETURNED_MAX, AGAIN_MAX = 5, LOOK_BATCH = 200, SWEEP_MS = 20000 };

#define CONTENT_MISSING "the content of this message is missing: bring it back from a backup, or take it out with `kantorctl queue delete`"
#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a report")

struct outcome {
    struct queue_result result;
    const struct queue_rcpt *rcpt;
    enum report_kind kind; /* of what is told, or would be */
    bool expired, told;    /* told: the report names him */
    int64_t due;
};

enum cause { CAUSE_TRY, CAUSE_LOOK /* nobody tried: is it time to tell something? */, CAUSE_RETURN /* an administrator gives up */ };

/* Looks at which there was nothing to do: written together. */
struct quiet {
    struct next_look {
        int64_t id, at;
    } all[LOOK_BATCH];
    size_t n;
};

struct finishing {
    struct server *server;
    enum cause cause;
    struct quiet *quiet; /* of CAUSE_LOOK */
    struct slice only;   /* of CAUSE_RETURN: this destination; empty: all */
    struct arena *arena;
    int64_t now;
    struct plan plan;
    struct queue_entry entry;
    struct outcome *outcomes;
    size_t n, n_told;
    bool delay;   /* the report tells of a delay */
    bool settled; /* the change was made */
    struct address sender;
    struct slice from; /* the domain whose postmaster reports */
    const char *id;    /* of the report */
    struct trace trace;
};

/* --- what is owed */

static const struct queue_rcpt *rcpt_of(const struct queue_entry *e, int64_t n)
{
    for (size_t i = 0; i < e->n_rcpts; i++)
        if (e->rcpts[i].n == n)
            return &e->rcpts[i];
    return NULL;
}

/* Is the message looked at when it should be? Else the server was off, or its clock was set: then nothing is said before some hours in which it ran and tried. */
static bool is_timely(const struct finishing *x)
{
    enum { LATE_S = 3600 };
    return x->now - x->entry.look < LATE_S;
}

static bool is_delayed(const struct finishing *x, const struct queue_rcpt *r)
{
    int64_t notice = x->server->config->queue_delay_notice / 1000;
    if (!notice || x->entry.told || x->now - x->entry.created < notice)
        return false;
    return x->cause == CAUSE_TRY ? r->tries + 1 >= plan_tries(&x->plan, notice) : is_timely(x);
}

/* RFC 3461 4.1, 5.2: where NOTIFY was not given, failures are told, and delays may be. */
static bool is_owed(const struct finishing *x, const struct outcome *o)
{
    int notify = o->rcpt->notify;
    if (o->result.state == QUEUE_DELIVERED)
        return notify & NOTIFY_SUCCESS && !o->result.speaks_dsn;
    if (o->result.state == QUEUE_FAILED)
        return notify == 0 || notify & NOTIFY_FAILURE;
    return (notify == 0 || notify & NOTIFY_DELAY) && is_delayed(x, o->rcpt);
}

static bool is_over(const struct finishing *x, const struct queue_rcpt *r)
{
    const struct queue_entry *e = &x->entry;
    if (x->cause == CAUSE_TRY)
        return plan_over(&x->plan, e->created, e->expires, x->now, r->tries + 1);
    return is_timely(x) && x->now >= e->expires && (e->look > e->expires || plan_over(&x->plan, e->created, e->expires, x->now, r->tries));
}

static void decide_one(struct finishing *x, struct outcome *o)
{
    const struct queue_rcpt *r = o->rcpt;
    if (o->result.state == QUEUE_WAITING && x->entry.size >= 0 && is_over(x, r)) {
        o->result.state = QUEUE_FAILED;
        o->expired = true;
    }
    o->due = x->now + plan_wait(&x->plan, r->tries, (uint64_t)clock_us() * 0x9E3779B97F4A7C15U >> 20);
    o->kind = o->result.state == QUEUE_DELIVERED ? REPORT_RELAYED : o->result.state == QUEUE_WAITING ? REPORT_DELAYED : o->expired ? REPORT_EXPIRED : x->cause == CAUSE_RETURN ? REPORT_RETURNED : REPORT_FAILED;
    o->told = is_owed(x, o);
    x->n_told += o->told;
    x->delay |= o->told && o->kind == REPORT_DELAYED;
}

static struct error decide(struct finishing *x, const struct queue_result *results, size_t n)
{
    x->n = x->n_told = 0;
    x->delay = false;
    x->outcomes = arena_zero(x->arena, n + 1, sizeof *x->outcomes);
    if (!x->outcomes)
        return NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        struct outcome *o = &x->outcomes[x->n];
        *o = (struct outcome){.result = results[i], .rcpt = rcpt_of(&x->entry, results[i].n)};
        if (!o->rcpt)
            continue;
        x->n++;
        decide_one(x, o);
    }
    return OK;
}

/* Where nobody tried: who is concerned, with what was said at the last try. */
static struct error results_of_rows(struct finishing *x, struct queue_result **results, size_t *n)
{
    *n = 0;
    *results = arena_zero(x->arena, x->entry.n_rcpts + 1, sizeof **results);
    if (!*results)
        return NO_MEMORY;
    for (size_t i = 0; i < x->entry.n_rcpts; i++) {
        const struct queue_rcpt *r = &x->entry.rcpts[i];
        if (x->only.n && !slice_eq(r->dest, x->only))
            continue;
        if (r->state == QUEUE_WAITING || x->cause == CAUSE_RETURN)
            (*results)[(*n)++] = (struct queue_result){.n = r->n, .state = x->cause == CAUSE_RETURN ? QUEUE_FAILED : QUEUE_WAITING, .reply = r->reply, .host = r->host};
    }
    return OK;
}

/* --- to whom */

/* Senders that no person stands behind (attacks.md SO-12). */
static bool is_machine(struct slice sender)
{
    return sender.n == 0 || slice_eq(sender, SLICE("#@[]")) || slice_starts_nocase(sender, SLICE("mailer-daemon@"));
}

/* NULL: the sender is told; else why not. */
static const char *silent_because(struct finishing *x, struct sql *db)
{
    struct domain domain;
    struct delivery_asked asked = {.sender = SLICE("")};
    if (is_machine(x->entry.sender))
        return "it is a report itself";
    if (address_parse(x->entry.sender, x->arena, &x->sender).code != ERROR_NONE)
        return "its sender is no address";
    x->from = slice_of(x->server->hostname);
    if (domain_find(db, x->sender.domain, x->arena, &domain).code == ERROR_NONE) {
        struct slice first;
        x->from = x->sender.domain;
        if (forward_sender_back(db, x->entry.sender, SLICE(""), x->arena, &first).code == ERROR_NONE) /* a forward: behind our address stands a stranger's (SRS) */
            return x->entry.account || x->entry.flags & DELIVERY_SENDER_VERIFIED ? NULL : "its sender may be forged";
        enum error_code code = delivery_check(db, &x->sender, &asked, x->arena).code;
        return code == ERROR_NONE || code == ERROR_QUOTA ? NULL : "its sender has no mailbox here";
    }
    return x->entry.account || x->entry.flags & DELIVERY_SENDER_VERIFIED ? NULL : "its sender may be forged";
}

/* --- the report */

static struct report_rcpt *told_rcpts(const struct finishing *x, size_t *n)
{
    struct report_rcpt *all = arena_zero(x->arena, x->n_told + 1, sizeof *all);
    *n = 0;
    for (size_t i = 0; all && i < x->n; i++) {
        const struct outcome *o = &x->outcomes[i];
        if (o->told)
            all[(*n)++] = (struct report_rcpt){o->rcpt->address, o->rcpt->orcpt, o->kind, o->result.reply, o->result.host};
    }
    return all;
}

/* What is returned of the message (RFC 3461 4.3: all of it only about a failure, and only when that was asked for). A content that is damaged is not returned. */
static void read_original(struct finishing *x, struct sql *db, struct report_text *t)
{
    struct slice bytes;
    bool failed = false;
    for (size_t i = 0; i < t->n_rcpts; i++)
        failed |= t->rcpts[i].kind <= REPORT_RETURNED;
    t->head = SLICE("");
    t->whole = slice_make(NULL, 0);
    if (blob_read(db, x->entry.blob, 0, HEAD_READ, x->arena, &bytes).code != ERROR_NONE)
        return;
    struct slice rest = bytes;
    struct header_field f;
    if (slice_starts_nocase(bytes, SLICE("Return-Path:")) && header_next(&rest, &f))
        bytes = slice_after(bytes, (size_t)(f.whole.p + f.whole.n - bytes.p));
    t->head = slice_first(bytes, header_length(bytes));
    if (!failed || !(x->entry.flags & DELIVERY_RET_FULL))
        return;
    if (bytes.n <= REPORT_RETURNED_MAX && x->entry.size <= HEAD_READ && !(x->entry.flags & DELIVERY_BINARY))
        t->whole = bytes;
    else
        t->left_out = "Your message is too large to be returned whole.";
}

static struct error make_id(struct finishing *x)
{
    unsigned long long word;
    if (RAND_bytes((unsigned char *)&word, sizeof word) != 1)
        return error_make(ERROR_IO, "libcrypto has no randomness");
    x->id = arena_printf(x->arena, "report.%llx.%016llx", (unsigned long long)x->entry.id, word);
    return x->id ? OK : NO_MEMORY;
}

static struct error write_report(struct finishing *x, struct buffer *out)
{
    struct report_text t = {.hostname = x->server->hostname[0] ? x->server->hostname : "localhost", .from = x->from, .sender = x->entry.sender, .envid = x->entry.envid, .arrived = x->entry.created,
                            .now = x->now, .until = x->entry.expires, .flags = x->entry.flags & DELIVERY_SMTPUTF8 ? REPORT_UTF8 : 0};
    TRY(make_id(x));
    t.id = x->id;
    t.rcpts = told_rcpts(x, &t.n_rcpts);
    if (!t.rcpts)
        return NO_MEMORY;
    SCOPED(store_reader_return) struct sql *db = store_reader(x->server->store);
    read_original(x, db, &t);
    return report_text_write(&t, out);
}

/* --- the change */

/* When something may have to be told next. Where that should be now, but is not sure (is_timely, is_over): in some hours. */
static int64_t next_look(const struct finishing *x)
{
    enum { PATIENCE_S = 4 * 3600, DAY_S = 86400 };
    int64_t wait_s = x->server->config->queue_delay_notice / 1000, notice = x->entry.created + wait_s;
    if (!is_timely(x))
        return x->now + PATIENCE_S;
    if (!x->entry.told && !x->delay && wait_s && notice > x->now && notice < x->entry.expires)
        return notice;
    return x->entry.expires > x->now ? x->entry.expires : x->now + (x->n ? PATIENCE_S : DAY_S);
}

static void trace_outcome(struct finishing *x, const struct outcome *o)
{
    enum trace_what what = o->result.state == QUEUE_DELIVERED ? TRACE_DELIVERED : o->result.state == QUEUE_WAITING ? TRACE_TRIED : o->expired ? TRACE_EXPIRED : TRACE_BOUNCED;
    trace_addf(&x->trace, what, o->rcpt->address, "%.*s%s%.*s", SLICE_ARG(o->result.host), o->result.host.n ? ": " : "", SLICE_ARG(o->result.reply));
}

static struct error settle_change(struct sql *db, void *arg)
{
    struct finishing *x = arg;
    trace_begin(&x->trace, x->arena, x->entry.job, SLICE(""), x->entry.sender);
    for (size_t i = 0; i < x->n; i++) {
        const struct outcome *o = &x->outcomes[i];
        if (x->cause == CAUSE_LOOK && o->result.state == QUEUE_WAITING)
            continue;
        struct error e = queue_settle(db, x->entry.id, &o->result, x->now, o->due);
        if (e.code == ERROR_NOT_FOUND && !o->told)
            continue;
        TRY(e.code == ERROR_NOT_FOUND ? error_make(ERROR_CONFLICT, "the queue changed meanwhile") : e);
        trace_outcome(x, o);
    }
    if (x->delay)
        TRY(queue_told(db, x->entry.id, x->now));
    if (x->entry.size < 0)
        TRY(queue_set_aside(db, x->entry.id, SLICE(CONTENT_MISSING)));
    if (x->cause == CAUSE_LOOK)
        TRY(queue_look_again(db, x->entry.id, next_look(x)));
    TRY(queue_settled(db, x->entry.id));
    if (x->n_told)
        trace_addf(&x->trace, TRACE_REPORTED, x->entry.sender, "by %s", x->id);
    x->settled = true;
    return trace_put(db, &x->trace);
}

static bool has_8bit(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

static struct error settle_with_report(struct finishing *x, struct buffer *text)
{
    struct delivery_rcpt r = {.address = x->sender, .text = x->entry.sender, .orcpt = slice_make(NULL, 0), .notify = NOTIFY_NEVER};
    struct message m = {0};
    int flags = DELIVERY_OWN | (has_8bit(buffer_slice(text)) ? DELIVERY_8BIT : 0) | (has_8bit(x->entry.sender) ? DELIVERY_SMTPUTF8 : 0);
    struct delivery d = {.message = &m, .sender = SLICE(""), .envid = slice_make(NULL, 0), .flags = flags,
                         .lifetime_s = x->server->config->queue_lifetime / 1000, .results = DELIVERY_RESULT_QUEUE, .rcpts = &r, .n_rcpts = 1, .job = x->id,
                         .origin = SLICE("a report of this server, "), .also = settle_change, .also_arg = x};
    blob_put_begin(x->server->store, &m.put);
    struct error e = blob_put_add(&m.put, buffer_slice(text));
    if (e.code == ERROR_NONE)
        e = blob_put_end(&m.put);
    if (e.code == ERROR_NONE)
        e = message_prepare(&m, x->arena);
    if (e.code == ERROR_NONE)
        e = delivery_run(x->server->store, &d, x->arena);
    if (e.code == ERROR_NONE && !x->settled) /* a rule of the domain refused the report: its sender hears nothing, and the rows are written all the same */
        e = store_change(x->server->store, settle_change, x);
    blob_put_drop(&m.put);
    return e;
}

/* A slice with p NULL would be a number of the log. */
static struct slice printable(struct slice s)
{
    return s.p ? s : SLICE("");
}

static void log_outcomes(const struct finishing *x, const char *silent)
{
    if (x->entry.size < 0)
        LOG_EVENT(LOG_ERROR, "queue-item-broken", LOG_TEXT("id", x->entry.job), LOG_NUMBER("queue", x->entry.id), LOG_WORD("why", CONTENT_MISSING));
    for (size_t i = 0; i < x->n; i++) {
        const struct outcome *o = &x->outcomes[i];
        if (x->cause == CAUSE_LOOK && o->result.state == QUEUE_WAITING)
            continue;
        const char *event = o->result.state == QUEUE_DELIVERED ? "sent" : o->result.state == QUEUE_WAITING ? "deferred" : o->expired ? "expired" : "bounced";
        LOG_EVENT(LOG_INFO, event, LOG_TEXT("id", x->entry.job), LOG_TEXT("to", o->rcpt->address), LOG_TEXT("host", printable(o->result.host)), LOG_TEXT("reply", printable(o->result.reply)), LOG_NUMBER("tries", o->rcpt->tries + (x->cause == CAUSE_TRY)));
        metric_add(o->result.state == QUEUE_DELIVERED ? METRIC_QUEUE_SENT : o->result.state == QUEUE_WAITING ? METRIC_QUEUE_DEFERRED : METRIC_QUEUE_FAILED, 1);
    }
    if (silent)
        LOG_EVENT(LOG_WARN, "report-not-sent", LOG_TEXT("id", x->entry.job), LOG_TEXT("from", x->entry.sender), LOG_WORD("why", silent));
    else if (x->n_told)
        LOG_EVENT(LOG_INFO, "reported", LOG_TEXT("id", x->entry.job), LOG_TEXT("from", x->entry.sender), LOG_NUMBER("recipients", x->n_told), LOG_WORD("report", x->id));
}

static struct error look(struct finishing *x, int64_t id, const struct queue_result *results, size_t n, const char **silent)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(x->server->store);
    struct queue_result *own;
    TRY(queue_get(db, id, x->arena, &x->entry));
    if (x->cause != CAUSE_TRY) {
        TRY(results_of_rows(x, &own, &n));
        results = own;
    }
    TRY(decide(x, results, n));
    *silent = x->n_told ? silent_because(x, db) : NULL;
    if (!*silent)
        return OK;
    x->n_told = 0;
    x->delay = false;
    for (size_t i = 0; i < x->n; i++)
        x->outcomes[i].told = false;
    return OK;
}

static bool nothing_to_do(const struct finishing *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->outcomes[i].told || x->outcomes[i].result.state != QUEUE_WAITING)
            return false;
    return x->entry.size >= 0 || x->n == 0;
}

static struct error finish_once(struct finishing *x, int64_t id, const struct queue_result *results, size_t n)
{
    const char *silent = NULL;
    struct buffer text = {0};
    TRY(look(x, id, results, n, &silent));
    if (x->n == 0 && x->cause != CAUSE_LOOK)
        return x->cause == CAUSE_TRY ? OK : error_make(ERROR_NOT_FOUND, "nobody of it waits");
    if (x->cause == CAUSE_LOOK && x->quiet && nothing_to_do(x)) {
        x->quiet->all[x->quiet->n++] = (struct next_look){id, next_look(x)};
        return OK;
    }
    struct error e = OK;
    if (x->n_told == 0) {
        e = store_change(x->server->store, settle_change, x);
    } else {
        e = write_report(x, &text);
        if (e.code == ERROR_NONE)
            e = settle_with_report(x, &text);
    }
    buffer_free(&text);
    if (e.code == ERROR_NONE)
        log_outcomes(x, silent);
    return e;
}

static struct error finish(struct finishing *x, int64_t queue_id, const struct queue_result *results, size_t n)
{
    struct arena a;
    struct error e = OK;
    arena_init(&a, ARENA_REQUEST_MAX);
    for (int i = 0; i < AGAIN_MAX; i++) { /* somebody may delete or return it in between */
        *x = (struct finishing){.server = x->server, .cause = x->cause, .quiet = x->quiet, .only = x->only, .arena = &a, .now = clock_now()};
        (void)plan_read(slice_of(x->server->config->queue_retry), &x->plan);
        e = finish_once(x, queue_id, results, n);
        if (e.code != ERROR_CONFLICT)
            break;
        arena_reset(&a);
    }
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND)
        LOG_EVENT(LOG_ERROR, "result-not-written", LOG_NUMBER("queue", queue_id), LOG_FAILURE(e));
    arena_free(&a);
    return error_make(e.code, e.code == ERROR_NOT_FOUND ? "no such message in the queue, or nobody of it waits" : e.code ? "what became of a message of the queue could not be written" : NULL);
}

struct error report_finish(struct server *server, int64_t queue_id, const struct queue_result *results, size_t n)
{
    struct error e = finish(&(struct finishing){.server = server, .cause = CAUSE_TRY}, queue_id, results, n);
    return e.code == ERROR_NOT_FOUND ? OK : e; /* deleted while it was tried */
}

struct error report_return(struct server *server, int64_t queue_id, struct slice dest)
{
    return finish(&(struct finishing){.server = server, .cause = CAUSE_RETURN, .only = dest}, queue_id, NULL, 0);
}

/* --- what nobody tries */

struct aside {
    int64_t id;
    struct slice reason;
};

static struct error aside_change(struct sql *db, void *arg)
{
    const struct aside *x = arg;
    return queue_set_aside(db, x->id, x->reason);
}

struct error report_set_aside(struct server *server, int64_t queue_id, struct slice reason)
{
    struct aside x = {queue_id, reason};
    TRY(store_change(server->store, aside_change, &x));
    LOG_EVENT(LOG_ERROR, "queue-item-broken", LOG_NUMBER("queue", queue_id), LOG_TEXT("why", reason));
    return OK;
}

struct mending {
    int64_t now, longest, n;
};

static struct error mend_change(struct sql *db, void *arg)
{
    struct mending *m = arg;
    return queue_mend_times(db, m->now, m->longest, &m->n);
}

/* At the start, and when the clock of the machine was set: its distance to the one that never jumps says so (attacks.md SO-17). Only the timer calls it. */
static struct error mend_times(struct server *server)
{
    enum { JUMP_S = 300 };
    static int64_t known;
    int64_t distance = clock_now() - clock_ms() / 1000;
    struct plan plan;
    if (known && distance - known < JUMP_S && known - distance < JUMP_S)
        return OK;
    (void)plan_read(slice_of(server->config->queue_retry), &plan);
    struct mending m = {.now = clock_now(), .longest = plan_longest(&plan)};
    TRY(store_change(server->store, mend_change, &m));
    if (m.n)
        LOG_EVENT(LOG_WARN, "clock-jumped", LOG_NUMBER("rows", m.n), LOG_WORD("why", "messages of the queue were due in a far future and are tried now"));
    known = distance;
    return OK;
}

static struct error quiet_change(struct sql *db, void *arg)
{
    const struct quiet *q = arg;
    for (size_t i = 0; i < q->n; i++)
        TRY(queue_look_again(db, q->all[i].id, q->all[i].at));
    return OK;
}

static struct error look_at_some(struct server *server, struct arena *a, size_t *n)
{
    int64_t *ids;
    struct quiet quiet = {.n = 0};
    struct sql *db = store_reader(server->store);
    struct error e = queue_to_look(db, clock_now(), LOOK_BATCH, a, &ids, n);
    store_reader_return(&db);
    for (size_t i = 0; e.code == ERROR_NONE && i < *n; i++) {
        e = finish(&(struct finishing){.server = server, .cause = CAUSE_LOOK, .quiet = &quiet}, ids[i], NULL, 0);
        e = e.code == ERROR_NOT_FOUND ? OK : e;
    }
    TRY(e);
    return quiet.n ? store_change(server->store, quiet_change, &quiet) : OK;
}

void report_sweep(struct server *server)
{
    struct arena a;
    size_t n = LOOK_BATCH;
    int64_t begun = clock_ms();
    if (server->config->queue_send == QUEUE_SEND_NO)
        return; /* a move, a test: nothing is returned */
    arena_init(&a, ARENA_REQUEST_MAX);
    struct error e = mend_times(server);
    while (e.code == ERROR_NONE && n == LOOK_BATCH && clock_ms() - begun < SWEEP_MS) {
        e = look_at_some(server, &a, &n);
        arena_reset(&a);
    }
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "queue-not-swept", LOG_FAILURE(e));
    arena_free(&a);
}
