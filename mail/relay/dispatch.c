/* mail/relay/dispatch.c -- the relay's thread: which destination gets a session now, and which rests
 *
 * Each destination stands alone: its own window of sessions (one more for each message that went, down to those that work when one fails), its own rest after a failure, its
 * own look at the queue. A dead one costs a heap entry. The thread does no I/O but short reads of the queue's indexes.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/store/watch.h"
#include "mail/queue/news.h"
#include "mail/relay/internal.h"

enum { WHOLE_LOOK_MS = 60000, BUSY_MS = 100, ROUTE_MS = 5 * 60000, REST_MS = 60000, REST_MAX_MS = 30 * 60000, SETTLE_MAX = 200, SCAN = 1000, TABLE_MEMORY = 64 * 1024 * 1024, TRANSPORT_MEMORY = 256 * 1024, SMTP_PORT = 25 };

void relay_wake(struct relay *r)
{
    (void)pthread_cond_signal(&r->wake);
}

/* --- what waits */

static void note(struct relay *r, struct slice dest, int64_t due, bool at_once)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    struct destination *d = destination_find(r, dest, true);
    int64_t in = (due - clock_now()) * 1000;
    if (!d)
        return; /* the next whole look finds it */
    if (at_once)
        d->blocked_until_ms = 0;
    destination_look_at(d, clock_ms() + (in > 0 ? in : 0));
}

/* Everything: at start, when an administrator changed something (then also what rests), and now and then. */
static void look_at_all(struct relay *r, bool at_once)
{
    struct arena a;
    char last[512];
    struct slice after = SLICE("");
    size_t n = SCAN;
    arena_init(&a, TABLE_MEMORY);
    while (n == SCAN) {
        struct queue_destination *all = NULL;
        n = 0;
        struct sql *db = store_reader(r->server->store);
        struct error e = queue_destinations(db, after, SCAN, &a, &all, &n);
        store_reader_return(&db);
        if (e.code != ERROR_NONE) {
            LOG_EVENT(LOG_ERROR, "queue-not-read", LOG_FAILURE(e));
            break;
        }
        for (size_t i = 0; i < n; i++)
            note(r, all[i].dest, all[i].due, at_once);
        if (n) {
            after = slice_first(all[n - 1].dest, sizeof last);
            memcpy(last, after.p, after.n);
            after.p = last;
        }
        arena_reset(&a);
    }
    arena_free(&a);
}

/* Messages that came since the last look. */
static void look_at_new(struct relay *r)
{
    struct arena a;
    size_t n = SCAN;
    arena_init(&a, TABLE_MEMORY);
    while (n == SCAN) {
        struct queue_fresh *all = NULL;
        n = 0;
        struct sql *db = store_reader(r->server->store);
        struct error e = queue_since(db, r->last_queue, SCAN, &a, &all, &n);
        store_reader_return(&db);
        if (e.code != ERROR_NONE) {
            LOG_EVENT(LOG_ERROR, "queue-not-read", LOG_FAILURE(e));
            break;
        }
        for (size_t i = 0; i < n; i++) {
            note(r, all[i].dest, all[i].due, false);
            r->last_queue = all[i].queue - (n == SCAN && i == n - 1); /* of the last one there may be more */
        }
        if (n == SCAN && all[0].queue == all[n - 1].queue)
            r->last_queue = all[0].queue; /* one message to a thousand domains: the whole look finds the rest */
        arena_reset(&a);
    }
    arena_free(&a);
}

/* --- failures */

/* On a worker: what is due is told that nothing works, so that it stands in the queue with its reason, and is tried again by its own plan. */
struct settling {
    struct destination *d;
    enum queue_state state;
    char reply[REPLY_TEXT_MAX + 100], host[320];
};

static void settle(void *arg)
{
    struct settling *x = arg;
    struct destination *d = x->d;
    struct job *j;
    for (int i = 0; (x->state == QUEUE_FAILED || i < SETTLE_MAX) && (j = job_take(d)); i++) {
        job_set(j, x->state, slice_of(x->reply), slice_of(x->host));
        job_finish(d, j);
    }
    (void)pthread_mutex_lock(&d->relay->lock);
    d->settling = false;
    destination_look_at(d, d->blocked_until_ms);
    relay_wake(d->relay);
    (void)pthread_mutex_unlock(&d->relay->lock);
    free(x);
}

/* Under the lock. */
static void settle_soon(struct destination *d, enum queue_state state, struct slice reply)
{
    struct settling *x = calloc(1, sizeof *x);
    if (!x)
        return;
    *x = (struct settling){.d = d, .state = state};
    (void)snprintf(x->reply, sizeof x->reply, "%.*s", SLICE_ARG(slice_first(reply, sizeof x->reply - 1)));
    (void)snprintf(x->host, sizeof x->host, "%s", d->why_host);
    d->settling = net_submit(d->relay->server->net, settle, x).code == ERROR_NONE;
    if (!d->settling)
        free(x);
}

/* 0 to below most: destinations that failed together come back one by one. */
static int64_t jitter(int64_t most)
{
    uint32_t bits = 0;
    (void)RAND_bytes((unsigned char *)&bits, sizeof bits);
    return (int64_t)bits % most;
}

/* Under the lock: nothing works there. Due messages get the reason; the destination rests (or, for good, its mail goes back). */
static void give_up(struct destination *d, enum queue_state state, struct slice reply)
{
    int64_t rest = REST_MS << (d->failures < 5 ? d->failures : 5);
    d->failures++;
    if (rest > REST_MAX_MS)
        rest = REST_MAX_MS;
    (void)snprintf(d->rests_for, sizeof d->rests_for, "%.*s", SLICE_ARG(slice_first(reply, sizeof d->rests_for - 1)));
    d->blocked_until_ms = clock_ms() + (state == QUEUE_FAILED ? 0 : rest / 2 + jitter(rest));
    LOG_EVENT(LOG_WARN, "destination-failed", LOG_TEXT("destination", d->name), LOG_TEXT("why", reply), LOG_NUMBER("failures", d->failures), LOG_NUMBER("rests-ms", d->blocked_until_ms - clock_ms()));
    settle_soon(d, state, reply);
    d->next_target = 0;
    d->plain = 0;
    if (d->routing == ROUTING_DONE && d->sessions == 0) { /* `reply` may be the route's */
        route_end(&d->route);
        d->routing = ROUTING_NONE;
    }
    destination_look_at(d, d->blocked_until_ms);
}

void relay_session_ended(struct destination *d, size_t target, enum session_end how, bool empty, const char *why, const char *host)
{
    struct relay *r = d->relay;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    atomic_fetch_sub(&r->sessions, 1);
    d->sessions--;
    d->empty -= empty;
    if (how == SESSION_WORKED) {
        d->failures = 0;
        d->next_target = target; /* stay with who works */
    } else if (how == SESSION_TLS_FAILED) {
        d->plain |= 1U << target; /* opportunistic (RFC 7435): the same again in clear text */
    } else {
        (void)snprintf(d->why, sizeof d->why, "%s", why);
        (void)snprintf(d->why_host, sizeof d->why_host, "%s", host);
        d->window = d->sessions > 0 ? d->sessions : 1; /* it takes no more than these */
        if (target == d->next_target && d->sessions == 0)
            d->next_target++;
    }
    destination_look_at(d, clock_ms());
    relay_wake(r);
}

void relay_session_took(struct destination *d)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&d->relay->lock);
    (void)held;
    d->empty--;
}

void relay_session_delivered(struct destination *d)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&d->relay->lock);
    (void)held;
    if (d->window < (int)d->relay->server->config->relay_per_destination)
        d->window++;
    if (d->sessions < d->window && d->empty == 0) {
        destination_look_at(d, clock_ms());
        relay_wake(d->relay);
    }
}

/* --- a destination's next step */

static void route_answered(void *arg)
{
    struct destination *d = arg;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&d->relay->lock);
    (void)held;
    d->routing = ROUTING_ANSWERED;
    destination_look_at(d, clock_ms());
    relay_wake(d->relay);
}

static void ask_route(struct destination *d)
{
    d->asked = resolver_ask(d->relay->server->resolver, d->route.questions, d->route.n_questions, route_answered, d);
    d->routing = d->asked ? ROUTING_ASKED : ROUTING_NONE;
    if (d->asked)
        return;
    route_end(&d->route);
    destination_look_at(d, clock_ms() + BUSY_MS);
}

static void routed(struct destination *d)
{
    if (d->route.status == ROUTE_ASKING) {
        ask_route(d);
        return;
    }
    d->routing = ROUTING_DONE;
    d->route_until_ms = clock_ms() + ROUTE_MS;
    d->next_target = 0;
    d->plain = 0;
    d->why_host[0] = '\0';
    if (d->route.status == ROUTE_FOUND)
        destination_look_at(d, clock_ms());
    else
        give_up(d, d->route.status == ROUTE_PERMANENT ? QUEUE_FAILED : QUEUE_WAITING, d->route.reply);
}

/* Leaves the lock to read what the administrator said. */
static void begin_route(struct destination *d)
{
    const struct server *server = d->relay->server;
    const struct config *c = server->config;
    struct transport transport;
    struct arena a;
    bool found = false;
    struct slice name = d->name; /* nobody but this thread frees a destination */
    arena_init(&a, TRANSPORT_MEMORY);
    (void)pthread_mutex_unlock(&d->relay->lock);
    struct sql *db = store_reader(server->store);
    struct error e = transport_find(db, name, &a, &transport, &found);
    store_reader_return(&db);
    (void)pthread_mutex_lock(&d->relay->lock);
    if (e.code != ERROR_NONE) {
        LOG_EVENT(LOG_ERROR, "transport-not-read", LOG_TEXT("domain", name), LOG_FAILURE(e));
        destination_look_at(d, clock_ms() + WHOLE_LOOK_MS);
    } else {
        struct route_rules rules = {.own_name = server->hostname, .smarthost = c->relay_smarthost, .port = (int)c->relay_port, .own_port = SMTP_PORT + (int)c->port_base,
                                    .allow_loopback = c->relay_loopback == RELAY_LOOPBACK_ALLOW, .tls = (enum transport_tls)c->relay_tls, .transport = found ? &transport : NULL, .seed = (uint64_t)clock_us()};
        route_begin(&d->route, name, &rules);
        d->route.rules.transport = NULL; /* it was copied */
        routed(d);
    }
    arena_free(&a);
}

static void go_on_routing(struct destination *d)
{
    const struct dns_answer *answers[ROUTE_QUESTIONS_MAX];
    for (size_t i = 0; i < d->route.n_questions; i++)
        answers[i] = resolver_answer(d->asked, i);
    route_answer(&d->route, answers);
    resolver_forget(d->asked); /* `done` came already */
    d->asked = NULL;
    routed(d);
}

/* A session more, when there may be work for it. */
static void open_session(struct destination *d)
{
    struct relay *r = d->relay;
    const struct config *c = r->server->config;
    if (d->next_target >= d->route.n_targets) {
        char reply[sizeof d->why + 16];
        (void)snprintf(reply, sizeof reply, "%s%s", ascii_is_digit(d->why[0]) ? "" : "451 4.4.1 ", d->why);
        give_up(d, QUEUE_WAITING, slice_of(reply));
        return;
    }
    if (atomic_load(&r->sessions) >= c->relay_sessions) {
        destination_look_at(d, clock_ms() + BUSY_MS);
        return;
    }
    size_t target = d->next_target;
    struct error e = session_open(d, target);
    if (e.code == ERROR_NONE) {
        d->sessions++;
        d->empty++;
        atomic_fetch_add(&r->sessions, 1);
        destination_look_at(d, clock_ms()); /* more of them while more is due */
        return;
    }
    if (e.code == ERROR_IO) { /* no route to that address: the next one */
        (void)snprintf(d->why, sizeof d->why, "%s", e.text);
        d->next_target++;
    }
    destination_look_at(d, clock_ms() + (e.code == ERROR_IO ? 0 : BUSY_MS));
}

/* Its mail: when the next is due, and how many messages are due that nobody has in hand. Leaves the lock to read. */
static bool read_queue(struct destination *d, int64_t *due, size_t *untaken)
{
    struct relay *r = d->relay;
    struct slice name = d->name; /* nobody but this thread frees a destination */
    size_t most = d->n_held + (size_t)d->empty + 8, messages = 0;
    (void)pthread_mutex_unlock(&r->lock);
    struct sql *db = store_reader(r->server->store);
    struct error e = queue_look(db, name, clock_now(), most, due, &messages);
    store_reader_return(&db);
    (void)pthread_mutex_lock(&r->lock);
    *untaken = messages > d->n_held ? messages - d->n_held : 0;
    if (e.code != ERROR_NONE) {
        LOG_EVENT(LOG_ERROR, "queue-not-read", LOG_FAILURE(e));
        destination_look_at(d, clock_ms() + WHOLE_LOOK_MS);
    }
    return e.code == ERROR_NONE;
}

/* Something is due: who takes it? */
static void find_session(struct destination *d, size_t untaken)
{
    const struct config *c = d->relay->server->config;
    if (d->idle)
        session_wake(d->idle);
    if (untaken <= (size_t)d->empty || d->sessions >= d->window || d->sessions >= (int)c->relay_per_destination)
        return; /* they have it soon, or a session's end looks again */
    if (d->routing == ROUTING_DONE && clock_ms() >= d->route_until_ms && d->sessions == 0) {
        route_end(&d->route);
        d->routing = ROUTING_NONE;
    }
    if (d->routing == ROUTING_NONE)
        begin_route(d);
    else
        open_session(d);
}

/* Under the lock, which it leaves to read. */
static void look_at(struct destination *d)
{
    int64_t now = clock_ms(), due = 0;
    size_t untaken = 0;
    if (d->routing == ROUTING_ANSWERED) {
        go_on_routing(d);
        return;
    }
    if (d->settling || d->routing == ROUTING_ASKED)
        return; /* they look again */
    if (d->relay->server->config->queue_send == QUEUE_SEND_NO) {
        destination_look_at(d, now + WHOLE_LOOK_MS); /* a reload wakes the relay */
        return;
    }
    if (!read_queue(d, &due, &untaken))
        return;
    if (now < d->blocked_until_ms) {
        if (untaken) /* it came while the destination rests: it learns why */
            settle_soon(d, QUEUE_WAITING, slice_of(d->rests_for));
        destination_look_at(d, d->blocked_until_ms);
    } else if (untaken) {
        find_session(d, untaken);
    } else if (due > clock_now()) {
        destination_look_at(d, now + (due - clock_now()) * 1000);
    } else if (!due && d->sessions == 0 && d->n_held == 0 && !d->settling && d->routing != ROUTING_ASKED) {
        destination_forget(d);
    }
}

static void wait_ms(struct relay *r, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&r->wake, &r->lock, &until);
}

static void *relay_main(void *arg)
{
    struct relay *r = arg;
    int64_t whole_ms = 0;
    (void)pthread_setname_np(pthread_self(), "kantor-queue");
    (void)pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        int64_t now = clock_ms();
        bool at_once = r->all_fresh, all = at_once || now >= whole_ms, some = r->new_mail;
        r->all_fresh = r->new_mail = false;
        if (all || some) {
            (void)pthread_mutex_unlock(&r->lock);
            if (some)
                look_at_new(r);
            if (all)
                look_at_all(r, at_once);
            (void)pthread_mutex_lock(&r->lock);
            whole_ms = all ? clock_ms() + WHOLE_LOOK_MS : whole_ms;
        }
        if (r->unwritten && now >= r->unwritten_ms) {
            r->unwritten_ms = now + WHOLE_LOOK_MS; /* who fails again says when */
            if (net_submit(r->server->net, job_write_again, r).code != ERROR_NONE)
                r->unwritten_ms = now + BUSY_MS;
        }
        struct destination *d = destination_due(r, clock_ms());
        if (d) {
            look_at(d);
            continue;
        }
        int64_t first = destination_first_ms(r), until = first < whole_ms ? first : whole_ms;
        if (r->unwritten && r->unwritten_ms < until)
            until = r->unwritten_ms;
        now = clock_ms();
        if (!r->all_fresh && !r->new_mail && !r->stop && until > now)
            wait_ms(r, until - now);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* --- start and stop */

/* The writer's thread, behind a commit. */
static void mail_came(void *arg)
{
    struct relay *r = arg;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    r->new_mail = true;
    relay_wake(r);
}

static void queue_changed(void *arg)
{
    relay_look_again(arg);
}

void relay_look_again(struct relay *r)
{
    if (!r)
        return;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    r->all_fresh = true;
    relay_wake(r);
}

struct error relay_start(struct server *server, struct relay **out)
{
    pthread_condattr_t monotonic;
    struct relay *r = calloc(1, sizeof *r);
    if (!r)
        return error_make(ERROR_MEMORY, "no memory for the relay");
    *out = r;
    r->server = server;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_mutex_init(&r->taking, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    r->watches[0] = watch_join(server->store, QUEUE_WATCH_NEW, mail_came, r);
    r->watches[1] = watch_join(server->store, QUEUE_WATCH_CHANGED, queue_changed, r);
    if (!r->watches[0] || !r->watches[1] || pthread_create(&r->thread, NULL, relay_main, r) != 0)
        return error_make(ERROR_MEMORY, "cannot start the thread of the queue");
    r->started = true;
    return OK;
}

void relay_stop(struct relay *r)
{
    if (!r || !r->started)
        return;
    (void)pthread_mutex_lock(&r->lock);
    r->stop = true;
    relay_wake(r);
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
    r->started = false;
}

void relay_free(struct relay *r)
{
    if (!r)
        return;
    watch_leave(r->watches[0]);
    watch_leave(r->watches[1]);
    jobs_free(r);
    destinations_free(r);
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->taking);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}
