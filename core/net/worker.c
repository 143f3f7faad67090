/* core/net/worker.c -- the pool: connections whose command waits for a thread, and the server's own tasks */
#include <stdlib.h>

#include "core/net/internal.h"

enum { STACK_BYTES = 512 * 1024, CALLS_MAX = 1024 };

/* Tasks come after connections unless they have waited a whole round: a task is a timer or an admin's request. */
static struct call *next_job(struct pool *p, struct connection **c)
{
    *c = p->first;
    if (*c) {
        p->first = (*c)->inner->job_next;
        if (!p->first)
            p->last = NULL;
        return NULL;
    }
    struct call *call = p->calls;
    if (call) {
        p->calls = call->next;
        p->waiting_calls--;
        if (!p->calls)
            p->calls_last = NULL;
    }
    return call;
}

/* Under the lock: the worker to wake after it, or NULL when all are busy (the next that is done finds the job). */
static struct worker *take_idle(struct pool *p)
{
    struct worker *w = p->idle;
    if (w)
        p->idle = w->below;
    return w;
}

static void wake(struct worker *w)
{
    if (w)
        (void)sem_post(&w->wake);
}

/* Under the lock, which it leaves while it sleeps. */
static void sleep_idle(struct worker *w)
{
    struct pool *p = w->pool;
    w->below = p->idle;
    p->idle = w;
    (void)pthread_mutex_unlock(&p->lock);
    while (sem_wait(&w->wake) != 0) { /* a signal */
    }
    (void)pthread_mutex_lock(&p->lock);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    (void)pthread_setname_np(pthread_self(), "kantor-work");
    for (;;) {
        (void)pthread_mutex_lock(&p->lock);
        while (!p->first && !p->calls && !p->stop)
            sleep_idle(w);
        struct connection *c;
        struct call *call = next_job(p, &c);
        (void)pthread_mutex_unlock(&p->lock);
        if (c) {
            drive(c, ON_WORKER);
        } else if (call) {
            call->fn(call->arg);
            free(call);
        } else {
            return NULL; /* stop, and nothing is left */
        }
    }
}

struct error pool_start(struct pool *p, int workers)
{
    pthread_attr_t attributes;
    (void)pthread_mutex_init(&p->lock, NULL);
    p->workers = calloc((size_t)workers, sizeof *p->workers);
    if (!p->workers)
        return error_make(ERROR_MEMORY, "no memory for workers");
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (; p->n < workers; p->n++) {
        struct worker *w = &p->workers[p->n];
        w->pool = p;
        (void)sem_init(&w->wake, 0, 0);
        if (pthread_create(&w->thread, &attributes, worker_main, w) != 0)
            break;
    }
    (void)pthread_attr_destroy(&attributes);
    return p->n == workers ? OK : error_make(ERROR_MEMORY, "cannot start the worker threads");
}

void pool_add(struct pool *p, struct connection *c)
{
    c->inner->job_next = NULL;
    (void)pthread_mutex_lock(&p->lock);
    if (p->last)
        p->last->inner->job_next = c;
    else
        p->first = c;
    p->last = c;
    struct worker *w = take_idle(p);
    (void)pthread_mutex_unlock(&p->lock);
    wake(w);
}

struct error pool_call(struct pool *p, void (*fn)(void *), void *arg)
{
    struct call *call = malloc(sizeof *call);
    if (!call)
        return error_make(ERROR_MEMORY, "no memory for a task");
    *call = (struct call){.fn = fn, .arg = arg};
    (void)pthread_mutex_lock(&p->lock);
    int full = p->waiting_calls >= CALLS_MAX || p->stop;
    struct worker *w = full ? NULL : take_idle(p);
    if (!full) {
        if (p->calls_last)
            p->calls_last->next = call;
        else
            p->calls = call;
        p->calls_last = call;
        p->waiting_calls++;
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (full) {
        free(call);
        return error_make(ERROR_BUSY, "too many tasks wait");
    }
    wake(w);
    return OK;
}

void pool_stop(struct pool *p)
{
    if (!p->workers)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->stop = 1;
    p->idle = NULL; /* all are woken, and none goes back */
    (void)pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n; i++)
        wake(&p->workers[i]);
    for (int i = 0; i < p->n; i++)
        (void)pthread_join(p->workers[i].thread, NULL);
    free(p->workers);
    p->workers = NULL;
}
