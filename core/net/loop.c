/* core/net/loop.c -- event loop threads
 *
 * A base is used by its own thread only, so libevent runs without locks. What other threads want from a loop stands in its queue (an
 * intrusive list of connections with a few bits each, and calls), and one eventfd wakes it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/net/internal.h"

/* After a command that the loop itself answered it looks again for so long before it sleeps: a client that goes on at once finds it awake
 * (notes: half of an idle round trip is the sleep of a core). What a worker has taken comes back later: looking would only take its core. An idle server sleeps. */
enum { LOOK_AGAIN_US = 30 };

static void handle_post(struct connection *c)
{
    unsigned bits = atomic_exchange(&c->inner->posts, 0U);
    if (c->inner->zombie) {
        free(c->inner);
        free(c);
        return;
    }
    if (bits & POST_DEAD) {
        connection_destroy(c);
        return;
    }
    if (bits & POST_DELAY) {
        int64_t ms = atomic_load(&c->inner->timer_ms);
        struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
        (void)event_add(&c->inner->timer, &tv);
    }
    if (bits & POST_SHUT) { /* also together with its start: it may be born while the server stops */
        int none = -1;
        (void)atomic_compare_exchange_strong(&c->inner->killed, &none, CLOSE_SHUTDOWN);
    }
    if (bits & POST_START) {
        (void)event_add(&c->inner->io, NULL);
        drive(c, ON_LOOP);
    } else if (bits & (POST_SHUT | POST_NOTICE)) {
        drive_wake(c);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    uint64_t n;
    (void)what;
    (void)!read((int)fd, &n, sizeof n);
    (void)pthread_mutex_lock(&l->lock);
    struct connection *c = l->posted;
    struct call *calls = l->calls;
    l->posted = l->posted_last = NULL;
    l->calls = NULL;
    (void)pthread_mutex_unlock(&l->lock);
    while (calls) {
        struct call *call = calls;
        calls = call->next;
        call->fn(call->arg);
        free(call);
    }
    while (c) {
        struct connection *next = c->inner->post_next; /* before its bits are taken: it may be queued again at once */
        handle_post(c);
        c = next;
    }
}

static void wake(struct loop *l)
{
    uint64_t one = 1;
    (void)!write(l->wake_fd, &one, sizeof one);
}

void loop_post(struct connection *c, unsigned bit)
{
    struct loop *l = c->inner->loop;
    if (atomic_fetch_or(&c->inner->posts, bit) != 0)
        return; /* it stands in the queue already */
    (void)pthread_mutex_lock(&l->lock);
    int first = !l->posted && !l->calls;
    c->inner->post_next = NULL;
    if (l->posted_last)
        l->posted_last->inner->post_next = c;
    else
        l->posted = c;
    l->posted_last = c;
    (void)pthread_mutex_unlock(&l->lock);
    if (first)
        wake(l);
}

struct error loop_call(struct loop *l, void (*fn)(void *), void *arg)
{
    struct call *call = malloc(sizeof *call);
    if (!call)
        return error_make(ERROR_MEMORY, "no memory for a call");
    *call = (struct call){.fn = fn, .arg = arg};
    (void)pthread_mutex_lock(&l->lock);
    call->next = l->calls;
    l->calls = call;
    (void)pthread_mutex_unlock(&l->lock);
    wake(l);
    return OK;
}

static void *loop_main(void *arg)
{
    struct loop *l = arg;
    (void)pthread_setname_np(pthread_self(), "kantor-loop");
    while (!atomic_load(&l->stop)) {
        uint64_t seen = l->answered;
        (void)event_base_loop(l->base, EVLOOP_ONCE);
        if (l->answered == seen)
            continue;
        seen = l->answered;
        int64_t until = clock_us() + LOOK_AGAIN_US;
        while (clock_us() < until && !atomic_load(&l->stop)) {
            (void)event_base_loop(l->base, EVLOOP_NONBLOCK);
            if (l->answered != seen) {
                seen = l->answered;
                until = clock_us() + LOOK_AGAIN_US;
            }
        }
    }
    return NULL;
}

struct error loop_start(struct loop *l)
{
    (void)event_assign(&l->wake, l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
    (void)event_add(&l->wake, NULL);
    if (pthread_create(&l->thread, NULL, loop_main, l) != 0)
        return error_make(ERROR_MEMORY, "cannot start a loop thread");
    return OK;
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, 1);
    wake(l);
    (void)pthread_join(l->thread, NULL);
}

void loop_free(struct loop *l)
{
    while (l->calls) {
        struct call *call = l->calls;
        l->calls = call->next;
        free(call);
    }
    while (l->posted) { /* destroyed while they stood here */
        struct connection *c = l->posted;
        l->posted = c->inner->post_next;
        free(c->inner);
        free(c);
    }
    if (l->base)
        event_base_free(l->base);
    if (l->wake_fd >= 0)
        (void)close(l->wake_fd);
}
