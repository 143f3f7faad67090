/* mail/trace/pending.c -- refusals of sessions: kept in memory, written in batches
 *
 * They tell of nothing that is stored, so losing the last seconds of them in a crash is the price of not syncing the disk for each name that a stranger guesses.
 */
#include <pthread.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "mail/trace/internal.h"

enum { PENDING_MAX = 5000, ARENA_BYTES = 16 * 1024 * 1024 };

struct refusal {
    enum trace_what what;
    struct slice job, message_id, sender, recipient, detail;
};

static struct {
    pthread_mutex_t lock;
    struct arena arena;      /* under lock, with all below */
    struct refusal *all;     /* PENDING_MAX of them, or NULL */
    size_t n;
    uint64_t dropped;
} pending = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct slice copy(struct slice s, size_t most)
{
    return arena_copy(&pending.arena, s.p ? slice_first(s, most) : SLICE(""));
}

void trace_later(enum trace_what what, struct slice job, struct slice message_id, struct slice sender, struct slice recipient, struct slice detail)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&pending.lock);
    if (!pending.all) {
        arena_init(&pending.arena, ARENA_BYTES);
        pending.all = arena_alloc(&pending.arena, PENDING_MAX * sizeof *pending.all);
    }
    if (!pending.all || pending.n == PENDING_MAX) {
        pending.dropped++;
        return;
    }
    struct refusal r = {what, copy(job, 100), copy(message_id, 500), copy(sender, 320), copy(recipient, 320), copy(detail, 500)};
    if (r.job.p && r.message_id.p && r.sender.p && r.recipient.p && r.detail.p)
        pending.all[pending.n++] = r;
    else
        pending.dropped++;
}

struct flushing {
    struct arena arena;
    const struct refusal *all;
    size_t n;
    struct arena scratch;
};

/* What one session tells of one message in a row is one row. */
static struct error flush_change(struct sql *db, void *arg)
{
    struct flushing *f = arg;
    for (size_t i = 0; i < f->n;) {
        struct trace t;
        arena_reset(&f->scratch);
        trace_begin(&t, &f->scratch, f->all[i].job, f->all[i].message_id, f->all[i].sender);
        struct slice job = f->all[i].job;
        for (; i < f->n && slice_eq(f->all[i].job, job); i++)
            trace_add(&t, f->all[i].what, f->all[i].recipient, f->all[i].detail);
        TRY(trace_put(db, &t));
    }
    return OK;
}

void trace_flush(struct store *s)
{
    struct flushing f;
    uint64_t dropped;
    {
        SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&pending.lock);
        if (pending.n == 0)
            return;
        f = (struct flushing){.arena = pending.arena, .all = pending.all, .n = pending.n};
        dropped = pending.dropped;
        pending.all = NULL;
        pending.n = 0;
        pending.dropped = 0;
    }
    arena_init(&f.scratch, ARENA_BYTES);
    struct error e = store_change(s, flush_change, &f);
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "trace-lost", LOG_NUMBER("refusals", f.n), LOG_FAILURE(e));
    if (dropped)
        LOG_EVENT(LOG_WARN, "trace-lost", LOG_NUMBER("refusals", dropped), LOG_WORD("why", "more refusals than can be kept"));
    arena_free(&f.scratch);
    arena_free(&f.arena);
}
