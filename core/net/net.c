/* core/net/net.c -- start, stop, sessions, timers and signals */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/net/internal.h"

static void set_command_limits(struct net *n, const struct net_options *o)
{
    atomic_store(&n->commands, o->commands);
    atomic_store(&n->burst, o->burst);
    atomic_store(&n->commands_loopback, o->commands_loopback);
    atomic_store(&n->burst_loopback, o->burst_loopback);
}

struct error net_new(const struct net_options *options, struct net **out)
{
    struct net *n = calloc(1, sizeof *n);
    if (!n)
        return error_make(ERROR_MEMORY, "no memory for the network");
    n->options = *options;
    set_command_limits(n, options);
    atomic_store(&n->proxy_trusted, options->proxy_trusted);
    n->reserve_fd = -1;
    (void)pthread_mutex_init(&n->lock, NULL);
    (void)pthread_rwlock_init(&n->tls_lock, NULL);
    guard_init(&n->by_address);
    guard_init(&n->by_account);
    (void)RAND_bytes((unsigned char *)&n->next_id, 5);
    n->rates = rates_new();
    n->loops = calloc((size_t)options->loops, sizeof *n->loops);
    if (!n->loops || !n->rates)
        return error_make(ERROR_MEMORY, "no memory for loops");
    for (int i = 0; i < options->loops; i++) {
        struct loop *l = &n->loops[i];
        struct event_config *config = event_config_new();
        if (config) /* one thread a base: no locks; the clock of the fine kind */
            (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        l->net = n;
        l->index = i;
        l->base = config ? event_base_new_with_config(config) : NULL;
        l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        (void)pthread_mutex_init(&l->lock, NULL);
        if (config)
            event_config_free(config);
        if (!l->base || l->wake_fd < 0)
            return error_make(ERROR_IO, "cannot make an event loop: out of descriptors?");
    }
    *out = n;
    return OK;
}

void net_configure(struct net *n, const struct net_options *options)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&n->lock);
    (void)held;
    n->options.max_connections = options->max_connections;
    n->options.max_per_address = options->max_per_address;
    n->options.max_per_account = options->max_per_account;
    n->options.max_per_address_loopback = options->max_per_address_loopback;
    n->options.max_per_account_loopback = options->max_per_account_loopback;
    set_command_limits(n, options);
    atomic_store(&n->proxy_trusted, options->proxy_trusted);
}

static void answer_alive(void *arg)
{
    struct loop *l = arg;
    atomic_store(&l->asked, 0);
}

int net_alive(struct net *n)
{
    int alive = 1;
    for (int i = 0; i < n->options.loops; i++) {
        struct loop *l = &n->loops[i];
        if (atomic_exchange(&l->asked, 1))
            alive = 0; /* still busy with what it did when it was asked last */
        else if (loop_call(l, answer_alive, l).code != ERROR_NONE)
            atomic_store(&l->asked, 0);
    }
    return alive;
}

struct error net_start(struct net *n)
{
    TRY(pool_start(&n->pool, n->options.workers));
    listener_start(n);
    for (int i = 0; i < n->options.loops; i++)
        TRY(loop_start(&n->loops[i]));
    n->started = 1;
    return OK;
}

struct error net_submit(struct net *n, void (*task)(void *), void *arg)
{
    return pool_call(&n->pool, task, arg);
}

/* What a timer or a signal needs lives until net_free: its event stands in a loop's base. */
static void keep(struct net *n, struct kept *k)
{
    (void)pthread_mutex_lock(&n->lock);
    k->next = n->kept;
    n->kept = k;
    (void)pthread_mutex_unlock(&n->lock);
}

/* A timer of the server's own: ticks on the first loop, works on a worker, skips a tick while the last one runs. */
struct ticker {
    struct kept kept; /* first: freed as such */
    struct net *net;
    struct event event;
    int64_t period_ms;
    void (*tick)(void *);
    void *arg;
    _Atomic int running;
};

static void ticker_work(void *arg)
{
    struct ticker *t = arg;
    t->tick(t->arg);
    atomic_store(&t->running, 0);
}

static void ticker_due(evutil_socket_t fd, short what, void *arg)
{
    struct ticker *t = arg;
    (void)fd;
    (void)what;
    if (atomic_exchange(&t->running, 1) == 0 && net_submit(t->net, ticker_work, t).code != ERROR_NONE)
        atomic_store(&t->running, 0);
}

static void ticker_begin(void *arg)
{
    struct ticker *t = arg;
    struct timeval tv = {.tv_sec = t->period_ms / 1000, .tv_usec = (t->period_ms % 1000) * 1000};
    (void)event_assign(&t->event, t->net->loops[0].base, -1, EV_PERSIST, ticker_due, t);
    (void)event_add(&t->event, &tv);
}

struct error net_timer(struct net *n, int64_t period_ms, void (*tick)(void *), void *arg)
{
    struct ticker *t = calloc(1, sizeof *t);
    if (!t)
        return error_make(ERROR_MEMORY, "no memory for a timer");
    *t = (struct ticker){.net = n, .period_ms = period_ms, .tick = tick, .arg = arg};
    keep(n, &t->kept);
    return loop_call(&n->loops[0], ticker_begin, t);
}

struct signal_wish {
    struct kept kept;
    struct net *net;
    struct event event;
    int number;
    void (*handler)(void *);
    void *arg;
};

static void signal_came(evutil_socket_t number, short what, void *arg)
{
    struct signal_wish *w = arg;
    (void)number;
    (void)what;
    w->handler(w->arg);
}

static void signal_begin(void *arg)
{
    struct signal_wish *w = arg;
    (void)event_assign(&w->event, w->net->loops[0].base, w->number, EV_SIGNAL | EV_PERSIST, signal_came, w);
    (void)event_add(&w->event, NULL);
}

struct error net_signal(struct net *n, int number, void (*handler)(void *), void *arg)
{
    struct signal_wish *w = calloc(1, sizeof *w);
    if (!w)
        return error_make(ERROR_MEMORY, "no memory for a signal");
    *w = (struct signal_wish){.net = n, .number = number, .handler = handler, .arg = arg};
    keep(n, &w->kept);
    if (!n->started) { /* no thread has the base yet */
        signal_begin(w);
        return OK;
    }
    return loop_call(&n->loops[0], signal_begin, w);
}

/* On a loop: each of its connections is told; those that run a command look at it afterwards. */
static void stop_accepting(void *arg)
{
    listener_stop(arg);
}

static void post_all(struct net *n, unsigned bit)
{
    (void)pthread_mutex_lock(&n->lock);
    for (struct connection *c = n->connections; c; c = c->inner->list_next)
        loop_post(c, bit);
    (void)pthread_mutex_unlock(&n->lock);
}

void net_stop(struct net *n, int64_t drain_ms)
{
    int64_t until = clock_ms() + drain_ms;
    struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    if (!n->started)
        return;
    atomic_store(&n->stopping, 1);
    (void)loop_call(&n->loops[0], stop_accepting, n);
    post_all(n, POST_SHUT);
    while (atomic_load(&n->count) > 0 && clock_ms() < until)
        (void)nanosleep(&pause, NULL); /* the only wait of its kind: the process ends behind it */
    for (int i = 0; i < n->options.loops; i++)
        loop_stop(&n->loops[i]);
    pool_stop(&n->pool);
    n->started = 0;
}

void net_free(struct net *n)
{
    if (!n)
        return;
    while (n->connections) /* those that did not end in time; no thread is left */
        connection_destroy(n->connections);
    for (int i = 0; n->loops && i < n->options.loops; i++)
        loop_free(&n->loops[i]);
    while (n->kept) { /* their events went with the bases */
        struct kept *k = n->kept;
        n->kept = k->next;
        free(k);
    }
    while (n->listeners) {
        struct accept_event *e = n->listeners;
        n->listeners = e->next;
        if (e->listener.fd >= 0)
            (void)close(e->listener.fd);
        free(e);
    }
    tls_free(n);
    guard_free(&n->by_address);
    guard_free(&n->by_account);
    rates_free(n->rates);
    if (n->reserve_fd >= 0)
        (void)close(n->reserve_fd);
    free(n->loops);
    free(n);
}

void connection_notice(struct connection *c)
{
    if (atomic_exchange(&c->inner->noticed, 1) == 0)
        loop_post(c, POST_NOTICE);
}

void connection_answered(struct connection *c)
{
    if (atomic_exchange(&c->inner->answered, 1) == 0)
        loop_post(c, POST_NOTICE);
}

struct error connection_login(struct connection *c, int64_t account, struct slice name)
{
    struct connection_inner *in = c->inner;
    struct net *n = c->net;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&n->lock);
    (void)held;
    int64_t limit = c->loopback ? n->options.max_per_account_loopback : n->options.max_per_account;
    if (account && (guard_count(&n->by_account, (uint64_t)account) >= limit || !guard_enter(&n->by_account, (uint64_t)account)))
        return error_make(ERROR_LIMIT, "too many connections are logged in to this account");
    if (in->account)
        guard_leave(&n->by_account, (uint64_t)in->account);
    in->account = account;
    (void)snprintf(in->name, sizeof in->name, "%.*s", SLICE_ARG(slice_first(name, sizeof in->name - 1)));
    atomic_store(&in->logged_in, account != 0);
    if (account) /* from here on the connection's id means this person */
        LOG_EVENT(LOG_INFO, "session", LOG_ID(c->id), LOG_WORD("service", c->listener->service->name), LOG_TEXT("name", name), LOG_WORD("peer", c->peer));
    return OK;
}

struct error net_sessions(struct net *n, struct arena *a, struct net_session **all, size_t *count)
{
    int64_t now = clock_ms();
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&n->lock);
    (void)held;
    size_t most = (size_t)atomic_load(&n->count) + 16, i = 0;
    *all = arena_zero(a, most, sizeof **all);
    if (!*all)
        return error_make(ERROR_MEMORY, "no memory for the list of sessions");
    for (struct connection *c = n->connections; c && i < most; c = c->inner->list_next, i++) {
        struct net_session *s = &(*all)[i];
        (void)snprintf(s->id, sizeof s->id, "%s", c->id);
        (void)snprintf(s->service, sizeof s->service, "%s", c->listener->service->name);
        (void)snprintf(s->peer, sizeof s->peer, "%s", c->peer);
        (void)snprintf(s->name, sizeof s->name, "%s", c->inner->name);
        s->since_at = c->inner->opened_at;
        s->idle_s = (now - atomic_load_explicit(&c->inner->active_ms, memory_order_relaxed)) / 1000;
        s->account = c->inner->account;
        s->tls = c->listener->service->tls == TLS_IMPLICIT;
    }
    *count = i;
    return OK;
}

int net_kill(struct net *n, const char *id, int64_t account)
{
    int killed = 0;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&n->lock);
    (void)held;
    for (struct connection *c = n->connections; c; c = c->inner->list_next) {
        if (id ? strcmp(c->id, id) != 0 : c->inner->account != account)
            continue;
        atomic_store(&c->inner->killed, CLOSE_KILLED);
        loop_post(c, POST_NOTICE);
        killed++;
    }
    return killed;
}

int64_t net_connection_count(const struct net *n)
{
    return atomic_load(&n->count);
}

int64_t net_service_count(struct net *n, const char *service)
{
    int64_t count = 0;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&n->lock);
    (void)held;
    for (struct connection *c = n->connections; c; c = c->inner->list_next)
        count += strcmp(c->listener->service->name, service) == 0;
    return count;
}

int64_t net_workers_busy(const struct net *n)
{
    return atomic_load_explicit(&n->busy, memory_order_relaxed);
}

void net_set_user(struct net *n, void *user)
{
    n->user = user;
}

void *net_user(const struct net *n)
{
    return n->user;
}
