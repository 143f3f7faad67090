/* core/store/writer.c -- group commit: the one thread that changes the store
 *
 * The batch is whoever waits when the writer looks: no timer, no delay. Each change runs in a savepoint of its own, one commit serves all,
 * then watchers are told and callers woken. Only this connection commits and checkpoints (SQLite before 3.51.3 can lose commits when a checkpoint of one
 * connection races a commit of another).
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/store/internal.h"

enum { WAITING_MAX = 10000, BATCH_MAX = 256, CHECKPOINT_FRAMES = 4096, IDLE_S = 1 };

struct batch {
    struct job *jobs[BATCH_MAX];
    size_t n;
};

static int wal_frames; /* writer's thread: frames in the log since the last checkpoint that took all of them */

static int on_commit(void *arg, sqlite3 *handle, const char *name, int frames)
{
    (void)arg;
    (void)handle;
    (void)name;
    wal_frames = frames;
    return SQLITE_OK;
}

static struct error commit(struct store *s)
{
    struct error e = blob_sync_names(s);
    if (e.code == ERROR_NONE)
        e = sql_do(s->writer, "COMMIT");
    if (e.code == ERROR_NONE) {
        metric_add(METRIC_STORE_COMMITS, 1);
        return OK;
    }
    if (!sqlite3_get_autocommit(s->writer->handle))
        (void)sql_do(s->writer, "ROLLBACK");
    s->n_notes = 0;
    return e;
}

/* One change in a transaction of its own. */
static struct error run_alone(struct store *s, struct job *job)
{
    size_t noted = s->n_notes;
    struct error e = sql_do(s->writer, "BEGIN IMMEDIATE");
    if (e.code == ERROR_NONE) {
        e = job->change(s->writer, job->arg);
        if (e.code == ERROR_NONE && sqlite3_get_autocommit(s->writer->handle))
            e = error_make(ERROR_FULL, "the transaction ended by itself");
        if (e.code == ERROR_NONE)
            return commit(s);
        if (!sqlite3_get_autocommit(s->writer->handle))
            (void)sql_do(s->writer, "ROLLBACK");
    }
    s->n_notes = noted;
    return e;
}

/* The batch's transaction is gone (a full disk or an I/O error ended it): the one that met it has its answer, every other runs again, alone. */
static void run_each_alone(struct store *s, struct batch *b, const struct job *except)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->jobs[i] == except)
            continue;
        b->jobs[i]->result = run_alone(s, b->jobs[i]);
        watch_publish(s);
    }
}

/* False: the transaction is gone, and everything has its answer. */
static bool run_in_savepoint(struct store *s, struct batch *b, struct job *job)
{
    size_t noted = s->n_notes;
    struct error e = sql_do(s->writer, "SAVEPOINT change");
    if (e.code == ERROR_NONE)
        e = job->change(s->writer, job->arg);
    if (sqlite3_get_autocommit(s->writer->handle)) {
        job->result = e.code != ERROR_NONE ? e : error_make(ERROR_FULL, "the transaction ended by itself");
        s->n_notes = 0;
        run_each_alone(s, b, job);
        return false;
    }
    if (e.code != ERROR_NONE) {
        s->n_notes = noted;
        (void)sql_do(s->writer, "ROLLBACK TO change");
    }
    (void)sql_do(s->writer, "RELEASE change");
    job->result = e;
    return true;
}

static void fail_all(struct batch *b, struct error e)
{
    for (size_t i = 0; i < b->n; i++)
        b->jobs[i]->result = e;
}

static void run_batch(struct store *s, struct batch *b)
{
    s->n_notes = 0;
    struct error e = store_in_place(s);
    if (e.code != ERROR_NONE) {
        fail_all(b, e);
        return;
    }
    if (b->n == 1) {
        b->jobs[0]->result = run_alone(s, b->jobs[0]);
        return;
    }
    e = sql_do(s->writer, "BEGIN IMMEDIATE");
    if (e.code != ERROR_NONE) {
        fail_all(b, e);
        return;
    }
    for (size_t i = 0; i < b->n; i++)
        if (!run_in_savepoint(s, b, b->jobs[i]))
            return;
    e = commit(s);
    if (e.code == ERROR_FULL) {
        run_each_alone(s, b, NULL); /* perhaps the smaller ones fit */
    } else if (e.code != ERROR_NONE) {
        for (size_t i = 0; i < b->n; i++)
            if (b->jobs[i]->result.code == ERROR_NONE)
                b->jobs[i]->result = e; /* it may or may not be on the disk: nobody is told that it is */
    }
}

/* Says once that the disk fails and once that it works again: a full disk must not be filled with lines about it. */
static void tell_health(struct store *s, const struct batch *b)
{
    struct error worst = OK;
    uint64_t failed = 0;
    for (size_t i = 0; i < b->n; i++) {
        enum error_code code = b->jobs[i]->result.code;
        if (code == ERROR_FULL || code == ERROR_IO || code == ERROR_CORRUPT || code == ERROR_MEMORY) {
            worst = b->jobs[i]->result;
            failed++;
        }
    }
    metric_add(METRIC_STORE_FAILURES, failed);
    if (worst.code != ERROR_NONE && worst.code != s->failing)
        LOG_EVENT(LOG_ERROR, "store-fails", LOG_FAILURE(worst));
    else if (worst.code == ERROR_NONE && s->failing != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "store-works-again", LOG_WORD("after", error_word(s->failing)));
    s->failing = worst.code;
}

static void checkpoint(struct store *s)
{
    int all = 0, done = 0;
    if (sqlite3_wal_checkpoint_v2(s->writer->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &all, &done) == SQLITE_OK && all == done)
        wal_frames = 0;
}

/* Waits for work; NULL at the end. Idle, it moves the log into the database. */
static void take(struct store *s, struct batch *b)
{
    b->n = 0;
    (void)pthread_mutex_lock(&s->queue_lock);
    while (!s->first && !s->stop) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until); /* what pthread_cond_timedwait counts by */
        until.tv_sec += IDLE_S;
        if (wal_frames == 0) {
            (void)pthread_cond_wait(&s->queue_some, &s->queue_lock);
        } else if (pthread_cond_timedwait(&s->queue_some, &s->queue_lock, &until) == ETIMEDOUT && !s->first) {
            (void)pthread_mutex_unlock(&s->queue_lock);
            int before = wal_frames;
            checkpoint(s);
            (void)pthread_mutex_lock(&s->queue_lock);
            if (wal_frames == before)
                wal_frames = 0; /* a reader holds it: the next commit brings the count back */
        }
    }
    while (s->first && b->n < BATCH_MAX) {
        b->jobs[b->n++] = s->first;
        s->first = s->first->next;
        s->waiting--;
    }
    if (!s->first)
        s->last = NULL;
    (void)pthread_mutex_unlock(&s->queue_lock);
}

/* Wakes the callers, without the lock of the queue: they would all wait for it at once. */
static void answer(struct batch *b)
{
    metric_add(METRIC_STORE_CHANGES, b->n);
    for (size_t i = 0; i < b->n; i++)
        (void)sem_post(b->jobs[i]->done);
}

static void *writer_main(void *arg)
{
    struct store *s = arg;
    (void)pthread_setname_np(pthread_self(), "kantor-write");
    (void)sqlite3_wal_hook(s->writer->handle, on_commit, s);
    for (;;) {
        struct batch b;
        take(s, &b);
        if (b.n == 0)
            return NULL;
        int64_t since = clock_us();
        run_batch(s, &b);
        metric_observe(HISTOGRAM_STORE_COMMIT, clock_us() - since);
        watch_publish(s);
        tell_health(s, &b);
        answer(&b);
        if (wal_frames >= CHECKPOINT_FRAMES)
            checkpoint(s);
    }
}

struct error writer_start(struct store *s)
{
    if (pthread_create(&s->writer_thread, NULL, writer_main, s) != 0)
        return error_make(ERROR_MEMORY, "cannot start the writer thread");
    s->writer_started = 1;
    return OK;
}

void writer_stop(struct store *s)
{
    if (!s->writer_started)
        return;
    (void)pthread_mutex_lock(&s->queue_lock);
    s->stop = 1;
    (void)pthread_mutex_unlock(&s->queue_lock);
    (void)pthread_cond_signal(&s->queue_some);
    (void)pthread_join(s->writer_thread, NULL);
    s->writer_started = 0;
}

/* What this thread waits on for its change. */
static sem_t *own_semaphore(void)
{
    static _Thread_local sem_t own;
    static _Thread_local int made;
    if (!made)
        made = sem_init(&own, 0, 0) == 0;
    return &own;
}

/* False: the store ends, or too many changes wait already. */
static bool queue_up(struct store *s, struct job *job)
{
    (void)pthread_mutex_lock(&s->queue_lock);
    bool room = !s->stop && s->waiting < WAITING_MAX;
    if (room) {
        if (s->last)
            s->last->next = job;
        else
            s->first = job;
        s->last = job;
        s->waiting++;
    }
    (void)pthread_mutex_unlock(&s->queue_lock);
    if (room)
        (void)pthread_cond_signal(&s->queue_some);
    return room;
}

struct error store_change(struct store *s, store_change_fn change, void *arg)
{
    struct job job = {.change = change, .arg = arg, .done = own_semaphore()};
    int64_t since = clock_us();
    if (!queue_up(s, &job))
        return error_make(ERROR_BUSY, "too many changes wait");
    while (sem_wait(job.done) != 0) { /* a signal */
    }
    metric_observe(HISTOGRAM_STORE_CHANGE, clock_us() - since);
    return job.result;
}
