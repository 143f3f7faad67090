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

static void *worker_main(void *arg)
{
    struct pool *p = arg;
    (void)pthread_setname_np(pthread_self(), "kantor-work");
    for (;;) {
        (void)pthread_mutex_lock(&p->lock);
        while (!p->first && !p->calls && !p->stop) {
            p->idle++;
            (void)pthread_cond_wait(&p->some, &p->lock);
            p->idle--;
        }
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
    (void)pthread_cond_init(&p->some, NULL);
    p->threads = calloc((size_t)workers, sizeof *p->threads);
    if (!p->threads)
        return error_make(ERROR_MEMORY, "no memory for workers");
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (; p->n < workers; p->n++)
        if (pthread_create(&p->threads[p->n], &attributes, worker_main, p) != 0)
            break;
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
    int wake = p->idle > 0;
    (void)pthread_mutex_unlock(&p->lock);
    if (wake)
        (void)pthread_cond_signal(&p->some);
}

struct error pool_call(struct pool *p, void (*fn)(void *), void *arg)
{
    struct call *call = malloc(sizeof *call);
    if (!call)
        return error_make(ERROR_MEMORY, "no memory for a task");
    *call = (struct call){.fn = fn, .arg = arg};
    (void)pthread_mutex_lock(&p->lock);
    int full = p->waiting_calls >= CALLS_MAX || p->stop;
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
    (void)pthread_cond_signal(&p->some);
    return OK;
}

void pool_stop(struct pool *p)
{
    if (!p->threads)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->stop = 1;
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_cond_broadcast(&p->some);
    for (int i = 0; i < p->n; i++)
        (void)pthread_join(p->threads[i], NULL);
    free(p->threads);
    p->threads = NULL;
}
