/* core/net/drive.c -- the life of a connection, step by step
 *
 * Exactly one thread drives a connection at a time. Whoever finds it IDLE makes it BUSY and drives it; whoever finds it BUSY makes it AGAIN and
 * leaves, and the driver looks once more before it lets go. Giving back is one compare-and-swap. A step that needs a worker
 * puts the connection (still BUSY) into the pool's queue.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/net/internal.h"

enum { TURN_MS = 20, LINGER_MS = 2000, HOLD_MS = 10, LINGER_BYTES = 4 * 1024 * 1024 };

enum step { STEP_ON, STEP_HAND, STEP_WAIT, STEP_DEAD };

static void active(struct connection *c)
{
    atomic_store_explicit(&c->inner->active_ms, clock_ms(), memory_order_relaxed);
}

static enum step wait_until(struct connection *c, enum phase phase, int64_t ms)
{
    if (ms < 1)
        ms = 1;
    c->inner->phase = phase;
    c->inner->delay_until_ms = clock_ms() + ms;
    atomic_store(&c->inner->timer_ms, ms); /* by the time the loop reads it, others may drive the connection */
    loop_post(c, POST_DELAY);
    return STEP_WAIT;
}

/* What a handler's answer means for the connection. */
static enum step ran(struct connection *c, enum run r)
{
    struct connection_inner *in = c->inner;
    active(c);
    c->want = 0; /* it was about the command that is done */
    if (c->idle_ms < in->idle_before_ms / 8) { /* the timer is set for a far later time */
        atomic_store(&in->timer_ms, c->idle_ms);
        loop_post(c, POST_DELAY);
    }
    in->idle_before_ms = c->idle_ms;
    switch (r) {
    case RUN_NEXT:
    case RUN_PARK:
        in->phase = PHASE_READY;
        return STEP_ON;
    case RUN_MORE:
        in->phase = PHASE_MORE;
        return STEP_ON;
    case RUN_WAIT:
        in->phase = PHASE_WAIT;
        return STEP_ON;
    case RUN_TLS:
        in->phase = PHASE_TLS;
        return STEP_ON;
    case RUN_COMPRESS:
        in->phase = PHASE_COMPRESS;
        return STEP_ON;
    case RUN_DELAY:
        return wait_until(c, PHASE_DELAY, c->delay_ms);
    case RUN_CLOSE:
        break;
    }
    in->phase = PHASE_CLOSING;
    return STEP_ON;
}

static enum step flushed(struct connection *c, enum phase next)
{
    switch (stream_flush(c)) {
    case FLOW_DONE:
        c->inner->phase = next;
        return STEP_ON;
    case FLOW_BLOCKED:
        return STEP_WAIT;
    case FLOW_ENDED:
        break;
    }
    return STEP_DEAD;
}

static enum step look_at_input(struct connection *c, enum place place)
{
    struct connection_inner *in = c->inner;
    if (in->framed) { /* a loop framed it and handed it over */
        in->framed = 0;
        return ran(c, c->protocol->run(c));
    }
    arena_reset(&c->arena);
    c->want = 0;
    switch (c->protocol->frame(c)) {
    case FRAME_LOOP:
        if (place == ON_LOOP)
            in->loop->answered++;
        return ran(c, c->protocol->run(c));
    case FRAME_WORKER:
        if (place == ON_WORKER)
            return ran(c, c->protocol->run(c));
        in->framed = 1;
        return STEP_HAND;
    case FRAME_CLOSE:
        in->phase = PHASE_CLOSING;
        return STEP_ON;
    case FRAME_MORE:
        break;
    }
    if (c->want > CONNECTION_INPUT_MAX)
        c->want = CONNECTION_INPUT_MAX;
    if (c->input_ended || buffer_length(&c->in) >= CONNECTION_INPUT_MAX) {
        in->phase = PHASE_CLOSING;
        return STEP_ON;
    }
    return STEP_WAIT; /* the caller reads on */
}

static enum step read_on(struct connection *c)
{
    if (buffer_length(&c->in) == 0)
        active(c);
    switch (stream_read(c)) {
    case FLOW_DONE:
        return STEP_ON;
    case FLOW_ENDED:
        c->input_ended = 1;
        if (buffer_length(&c->in) == 0)
            c->inner->phase = PHASE_CLOSING;
        return STEP_ON;
    case FLOW_BLOCKED:
        break;
    }
    return stream_flush(c) == FLOW_ENDED ? STEP_DEAD : STEP_WAIT;
}

/* The owner's commands came faster than they may (connection_command): what was answered goes out, the rest stays in the socket. HOLD_MS at least, so that
 * several may run then: a timer for each would cost more than the command. */
static enum step hold(struct connection *c)
{
    struct connection_inner *in = c->inner;
    if (stream_flush(c) == FLOW_ENDED)
        return STEP_DEAD;
    int64_t left = in->hold_until_ms - clock_ms();
    in->hold_until_ms = 0;
    if (left <= 0)
        return STEP_ON;
    metric_add(METRIC_COMMANDS_HELD, 1);
    return wait_until(c, PHASE_DELAY, left < HOLD_MS ? HOLD_MS : left);
}

static enum step ready(struct connection *c, enum place place)
{
    struct connection_inner *in = c->inner;
    if (buffer_length(&c->out) > CONNECTION_OUTPUT_HIGH) {
        enum flow f = stream_flush(c);
        if (f != FLOW_DONE)
            return f == FLOW_ENDED ? STEP_DEAD : STEP_WAIT;
    }
    if (!in->framed && atomic_load(&in->noticed)) {
        if (place == ON_LOOP)
            return STEP_HAND;
        atomic_store(&in->noticed, 0);
        arena_reset(&c->arena);
        return c->protocol->notice ? ran(c, c->protocol->notice(c)) : STEP_ON;
    }
    size_t held = buffer_length(&c->in);
    if (in->framed || (held && (held >= c->want || c->input_ended))) {
        if (!in->opened && !c->tls && held && c->in.bytes[c->in.start] == 0x16) {
            /* clients.md S15: a scanner speaks TLS at once on a clear-text port */
            LOG_EVENT(LOG_INFO, "tls-on-clear-port", LOG_ID(c->id), LOG_WORD("service", c->listener->service->name), LOG_WORD("peer", c->peer));
            return STEP_DEAD;
        }
        in->opened = 1;
        if (!in->framed && in->hold_until_ms)
            return hold(c);
        enum step s = look_at_input(c, place);
        if (s != STEP_WAIT || in->phase == PHASE_DELAY)
            return s;
    }
    return read_on(c);
}

/* What was asked is answered from any thread; until then what was said before goes out, and input stays where it is. */
static enum step wait_for_answer(struct connection *c, enum place place)
{
    if (!atomic_load(&c->inner->answered))
        return stream_flush(c) == FLOW_ENDED ? STEP_DEAD : STEP_WAIT;
    if (place == ON_LOOP)
        return STEP_HAND;
    atomic_store(&c->inner->answered, 0);
    return ran(c, c->protocol->run(c));
}

/* connect(2) once more says how the first one went. */
static enum step connecting(struct connection *c)
{
    struct connection_inner *in = c->inner;
    if (connect(in->fd, (const struct sockaddr *)&in->to, in->to_length) != 0 && errno != EISCONN) {
        if (errno == EALREADY || errno == EINPROGRESS || errno == EINTR)
            return STEP_WAIT;
        (void)snprintf(c->why, sizeof c->why, "%s", strerror_r(errno, (char[128]){0}, 128));
        return STEP_DEAD;
    }
    active(c);
    in->phase = c->listener->service->tls == TLS_IMPLICIT ? PHASE_HANDSHAKE : PHASE_OPEN;
    return STEP_ON;
}

static enum step begin_tls(struct connection *c)
{
    enum step s = flushed(c, PHASE_HANDSHAKE);
    if (s != STEP_ON)
        return s;
    if (buffer_length(&c->in)) { /* attacks.md SI-10: bytes before the handshake are never commands after it */
        LOG_EVENT(LOG_WARN, "bytes-before-handshake", LOG_ID(c->id), LOG_WORD("peer", c->peer), LOG_NUMBER("bytes", buffer_length(&c->in)));
        c->inner->phase = PHASE_CLOSING; /* lingering: a reset would take the answer from the peer */
        return STEP_ON;
    }
    buffer_free(&c->in);
    c->inner->from_plain = 1;
    c->inner->ssl = tls_new(c);
    return c->inner->ssl ? STEP_ON : STEP_DEAD;
}

static enum step handshake(struct connection *c, enum place place)
{
    if (place == ON_LOOP)
        return STEP_HAND;
    if (!c->inner->ssl)
        c->inner->ssl = tls_new(c);
    if (!c->inner->ssl)
        return STEP_DEAD;
    switch (stream_handshake(c)) {
    case FLOW_BLOCKED:
        return STEP_WAIT;
    case FLOW_ENDED:
        if (c->outgoing)
            return STEP_DEAD;
        c->inner->phase = PHASE_CLOSING; /* lingering: the peer shall read the alert, and what was answered before */
        return STEP_ON;
    case FLOW_DONE:
        break;
    }
    c->tls = 1;
    active(c);
    if (!c->inner->from_plain) {
        c->inner->phase = PHASE_OPEN;
    } else {
        c->inner->phase = PHASE_READY;
        if (c->protocol->secured)
            c->protocol->secured(c);
    }
    return STEP_ON;
}

static enum step linger(struct connection *c)
{
    char waste[16384];
    for (;;) {
        ssize_t n = recv(c->inner->fd, waste, sizeof waste, MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN ? STEP_WAIT : STEP_DEAD;
        c->inner->lingered += n;
        if (n == 0 || c->inner->lingered > LINGER_BYTES)
            return STEP_DEAD;
    }
}

static enum step closing(struct connection *c)
{
    enum step s = flushed(c, PHASE_LINGER);
    if (s != STEP_ON)
        return s;
    if ((c->input_ended && !c->inner->ssl) || c->outgoing)
        return STEP_DEAD;
    stream_close(c);
    return wait_until(c, PHASE_LINGER, LINGER_MS);
}

/* Somebody ended it: an admin, a deadline, the server's stop. A command in steps may finish when the server stops. */
static enum step end(struct connection *c, int reason)
{
    struct connection_inner *in = c->inner;
    if (c->outgoing && !c->why[0])
        (void)snprintf(c->why, sizeof c->why, "%s", reason == CLOSE_IDLE ? "no answer in time" : "the server stops");
    switch (in->phase) {
    case PHASE_READY:
    case PHASE_DELAY:
        if (c->protocol->farewell)
            c->protocol->farewell(c, reason);
        in->framed = 0;
        in->phase = PHASE_CLOSING;
        atomic_store(&in->killed, -1);
        return STEP_ON;
    case PHASE_MORE:
    case PHASE_WAIT:
    case PHASE_LINGER:
    case PHASE_CLOSING:
        if (reason == CLOSE_SHUTDOWN)
            return STEP_HAND; /* go on as usual */
        return STEP_DEAD;
    default:
        return STEP_DEAD;
    }
}

static enum step read_proxy_header(struct connection *c)
{
    switch (proxy_read(c)) {
    case FLOW_DONE:
        if (!connection_count_address(c))
            return STEP_DEAD;
        c->inner->phase = c->listener->service->tls == TLS_IMPLICIT ? PHASE_HANDSHAKE : PHASE_OPEN;
        return STEP_ON;
    case FLOW_BLOCKED:
        return STEP_WAIT;
    case FLOW_ENDED:
        break;
    }
    return STEP_DEAD;
}

static enum step go_on(struct connection *c, enum place place)
{
    enum step s = flushed(c, PHASE_MORE);
    if (s != STEP_ON)
        return s;
    return place == ON_LOOP ? STEP_HAND : ran(c, c->protocol->run(c));
}

static enum step begin_compress(struct connection *c)
{
    enum step s = flushed(c, PHASE_READY);
    if (s != STEP_ON)
        return s;
    return stream_compress(c).code == ERROR_NONE ? STEP_ON : STEP_DEAD;
}

static enum step step(struct connection *c, enum place place)
{
    struct connection_inner *in = c->inner;
    int reason = atomic_load(&in->killed);
    if (reason >= 0 && !in->framed) {
        enum step s = end(c, reason);
        if (s != STEP_HAND)
            return s;
    }
    switch (in->phase) {
    case PHASE_CONNECT:
        return connecting(c);
    case PHASE_WAIT:
        return wait_for_answer(c, place);
    case PHASE_PROXY:
        return read_proxy_header(c);
    case PHASE_HANDSHAKE:
        return handshake(c, place);
    case PHASE_OPEN:
        in->phase = PHASE_READY;
        return c->protocol->open(c).code == ERROR_NONE ? STEP_ON : STEP_DEAD;
    case PHASE_READY:
        return ready(c, place);
    case PHASE_MORE:
        return go_on(c, place);
    case PHASE_TLS:
        return begin_tls(c);
    case PHASE_COMPRESS:
        return begin_compress(c);
    case PHASE_DELAY:
        if (clock_ms() < in->delay_until_ms)
            return STEP_WAIT;
        in->phase = PHASE_READY;
        return STEP_ON;
    case PHASE_CLOSING:
        return closing(c);
    case PHASE_LINGER:
        return clock_ms() >= in->delay_until_ms ? STEP_DEAD : linger(c);
    case PHASE_DEAD:
        break;
    }
    return STEP_DEAD;
}

/* True: given back (or gone on with by somebody else's news). After true the connection must not be touched. */
static bool let_go(struct connection *c)
{
    stream_park(c);
    int busy = STATE_BUSY;
    if (atomic_compare_exchange_strong(&c->inner->state, &busy, STATE_IDLE))
        return true;
    atomic_store(&c->inner->state, STATE_BUSY);
    return false;
}

static void drive_on(struct connection *c, enum place place)
{
    int64_t since = place == ON_WORKER ? clock_ms() : 0;
    for (;;) {
        switch (step(c, place)) {
        case STEP_ON:
            if (place == ON_WORKER && clock_ms() - since > TURN_MS) {
                pool_add(&c->net->pool, c); /* others wait, too */
                return;
            }
            break;
        case STEP_HAND:
            pool_add(&c->net->pool, c);
            return;
        case STEP_WAIT:
            if (let_go(c))
                return;
            break;
        case STEP_DEAD:
            c->inner->phase = PHASE_DEAD;
            loop_post(c, POST_DEAD); /* freed in one place only */
            return;
        }
    }
}

/* The connection may be gone, or another's, when it returns. */
void drive(struct connection *c, enum place place)
{
    struct net *n = c->net;
    if (place == ON_WORKER)
        (void)atomic_fetch_add_explicit(&n->busy, 1, memory_order_relaxed);
    drive_on(c, place);
    if (place == ON_WORKER)
        (void)atomic_fetch_sub_explicit(&n->busy, 1, memory_order_relaxed);
}

/* True: ours now. False: its driver will look again. */
static bool take(struct connection *c)
{
    int s = atomic_load(&c->inner->state);
    for (;;) {
        if (s == STATE_AGAIN)
            return false;
        int to = s == STATE_IDLE ? STATE_BUSY : STATE_AGAIN;
        if (atomic_compare_exchange_weak(&c->inner->state, &s, to))
            return to == STATE_BUSY;
    }
}

void drive_wake(struct connection *c)
{
    if (take(c))
        drive(c, ON_LOOP);
}

static void arm(struct connection *c, int64_t ms)
{
    if (ms < 1)
        ms = 1;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    (void)event_add(&c->inner->timer, &tv);
}

/* Until the first of its deadlines: without input, without login, in all. */
static int64_t left_ms(const struct connection *c, int64_t now)
{
    const struct connection_inner *in = c->inner;
    int64_t idle = (in->phase == PHASE_HANDSHAKE || in->phase == PHASE_PROXY) && c->idle_ms > HANDSHAKE_MS ? HANDSHAKE_MS : c->idle_ms;
    int64_t left = atomic_load_explicit(&in->active_ms, memory_order_relaxed) + idle - now;
    int64_t login = c->listener->service->login_ms, total = c->listener->service->total_ms;
    if (login && !atomic_load(&in->logged_in) && in->opened_ms + login - now < left)
        left = in->opened_ms + login - now;
    if (total && in->opened_ms + total - now < left)
        left = in->opened_ms + total - now;
    return left;
}

void drive_expired(struct connection *c)
{
    struct connection_inner *in = c->inner;
    int idle = STATE_IDLE;
    if (!atomic_compare_exchange_strong(&in->state, &idle, STATE_BUSY)) {
        arm(c, 1000); /* a worker has it: look later */
        return;
    }
    int64_t now = clock_ms(), left;
    if (in->phase == PHASE_DELAY || in->phase == PHASE_LINGER) {
        left = in->delay_until_ms - now;
        arm(c, left > 0 ? left : c->idle_ms); /* when it is over the usual deadline counts again */
        drive(c, ON_LOOP);
        return;
    }
    left = left_ms(c, now);
    if (left <= 0) {
        int none = -1;
        (void)atomic_compare_exchange_strong(&in->killed, &none, CLOSE_IDLE);
        left = 1000;
    }
    arm(c, left < 1000 * 1000 ? left : 1000 * 1000);
    drive(c, ON_LOOP);
}
