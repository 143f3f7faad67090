/* mail/relay/job.c -- a message for a destination, from the queue and back */
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "mail/relay/internal.h"

enum { JOB_MEMORY = 8 * 1024 * 1024, WRITE_AGAIN_MS = 1000 };

/* Under the lock. */
static bool is_held(const struct destination *d, int64_t queue)
{
    for (size_t i = 0; i < d->n_held; i++)
        if (d->held[i] == queue)
            return true;
    return false;
}

static bool hold(struct destination *d, int64_t queue)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&d->relay->lock);
    (void)held;
    if (d->n_held == HELD_MAX || is_held(d, queue))
        return false;
    d->held[d->n_held++] = queue;
    return true;
}

/* look: nobody else will look at the destination after this one. */
static void let_go(struct destination *d, int64_t queue, bool look)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&d->relay->lock);
    (void)held;
    for (size_t i = 0; i < d->n_held; i++)
        if (d->held[i] == queue)
            d->held[i] = d->held[--d->n_held];
    if (!look)
        return;
    destination_look_at(d, clock_ms());
    relay_wake(d->relay);
}

static size_t held_count(struct destination *d)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&d->relay->lock);
    (void)held;
    return d->n_held;
}

static void choose(struct destination *d, struct job *j, const struct queue_taken *all, size_t n)
{
    for (size_t i = 0; i < n && j->n < JOB_RCPTS_MAX; i++)
        if (j->n ? all[i].queue == j->rcpts[0].queue : hold(d, all[i].queue))
            j->rcpts[j->n++] = all[i];
}

/* What others have in hand stands first: it has waited longest. Mostly these are one row a message. */
static struct error fill(struct sql *db, struct destination *d, struct job *j)
{
    size_t most = held_count(d) + JOB_RCPTS_MAX, n = 0;
    do {
        struct queue_taken *all;
        TRY(queue_take(db, d->name, clock_now(), most, &j->arena, &all, &n));
        choose(d, j, all, n);
        most *= 4;
    } while (j->n == 0 && n == most / 4 && most < 100000);
    if (j->n == 0)
        return error_make(ERROR_NOT_FOUND, "nothing is due");
    return queue_get(db, j->rcpts[0].queue, &j->arena, &j->entry);
}

static void job_free(struct job *j)
{
    arena_free(&j->arena);
    free(j);
}

struct job *job_take(struct destination *d)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    arena_init(&j->arena, JOB_MEMORY);
    (void)pthread_mutex_lock(&d->relay->taking);
    struct sql *db = store_reader(d->relay->server->store);
    struct error e = fill(db, d, j);
    store_reader_return(&db);
    (void)pthread_mutex_unlock(&d->relay->taking);
    if (e.code == ERROR_NONE)
        return j;
    if (e.code != ERROR_NOT_FOUND)
        LOG_EVENT(LOG_ERROR, "queue-not-read", LOG_TEXT("destination", d->name), LOG_FAILURE(e));
    if (j->n)
        let_go(d, j->rcpts[0].queue, false);
    job_free(j);
    return NULL;
}

void job_set_one(struct job *j, size_t i, enum queue_state state, struct slice reply, struct slice host)
{
    struct queue_result *x = &j->results[i];
    if (x->reply.p)
        return;
    *x = (struct queue_result){.n = j->rcpts[i].n, .state = state, .reply = arena_copy(&j->arena, reply), .host = arena_copy(&j->arena, host)};
    if (!x->reply.p)
        x->reply = SLICE("(no memory for the reply)"); /* the state holds: who has the message does not get it again */
}

void job_set(struct job *j, enum queue_state state, struct slice reply, struct slice host)
{
    for (size_t i = 0; i < j->n; i++)
        job_set_one(j, i, state, reply, host);
}

/* The store cannot take it now. The other side may have the message already, so nobody may send it again before it is written what became of it. */
static void keep_for_later(struct destination *d, struct job *j)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&d->relay->lock);
    (void)held;
    j->of = d;
    j->next = d->relay->unwritten;
    d->relay->unwritten = j;
    d->relay->unwritten_ms = clock_ms() + WRITE_AGAIN_MS;
    relay_wake(d->relay);
}

void job_finish(struct destination *d, struct job *j)
{
    job_set(j, QUEUE_WAITING, SLICE("451 4.4.2 no result"), SLICE(""));
    struct error e = report_finish(d->relay->server, j->entry.id, j->results, j->n);
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND) {
        LOG_EVENT(LOG_ERROR, "results-not-written", LOG_TEXT("destination", d->name), LOG_TEXT("id", j->entry.job), LOG_FAILURE(e));
        keep_for_later(d, j);
        return;
    }
    let_go(d, j->entry.id, j->of != NULL); /* its session ended long ago when it had to be kept */
    job_free(j);
}

void job_write_again(void *relay)
{
    struct relay *r = relay;
    (void)pthread_mutex_lock(&r->lock);
    struct job *all = r->unwritten;
    r->unwritten = NULL;
    (void)pthread_mutex_unlock(&r->lock);
    while (all) {
        struct job *j = all;
        all = j->next;
        job_finish(j->of, j);
    }
}

void jobs_free(struct relay *r)
{
    while (r->unwritten) {
        struct job *j = r->unwritten;
        r->unwritten = j->next;
        job_free(j);
    }
}
