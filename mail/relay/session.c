/* mail/relay/session.c -- the client's side of SMTP: one connection, message after message of one destination (RFC 5321, 2920, 3207, 3461, 6531)
 *
 * A table of states: each says what it does with the reply that came. Between messages the session waits for the next one for a moment. A recipient is
 * delivered only by the reply to the final dot, and refused only by a reply of its own; whatever happens otherwise means: later.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "mail/delivery/deliver.h"
#include "mail/relay/internal.h"

enum { WAIT_REPLY_MS = 5 * 60000, WAIT_DATA_MS = 2 * 60000, WAIT_DOT_MS = 10 * 60000, CONNECT_MS = 30000, IDLE_MS = 2000 }; /* RFC 5321 4.5.3.2 */
enum { HAS_PIPELINING = 1, HAS_8BITMIME = 2, HAS_SIZE = 4, HAS_SMTPUTF8 = 8, HAS_STARTTLS = 16, HAS_DSN = 32, HAS_REQUIRETLS = 64 };

static const struct {
    struct slice word;
    int bit;
} keywords[] = {{{"PIPELINING", 10}, HAS_PIPELINING}, {{"8BITMIME", 8}, HAS_8BITMIME}, {{"SIZE", 4}, HAS_SIZE}, {{"SMTPUTF8", 8}, HAS_SMTPUTF8}, {{"STARTTLS", 8}, HAS_STARTTLS}, {{"DSN", 3}, HAS_DSN}, {{"REQUIRETLS", 10}, HAS_REQUIRETLS}};

enum state { STATE_GREETING, STATE_EHLO, STATE_HELO, STATE_STARTTLS, STATE_AUTH, STATE_FREE, STATE_ENVELOPE, STATE_CONTENT, STATE_DOT, STATE_RSET };

static void await(struct relay_session *s, enum state state, int64_t ms)
{
    s->state = (int)state;
    s->c->idle_ms = ms;
}

static enum run quit(struct relay_session *s)
{
    buffer_add(&s->c->out, SLICE("QUIT\r\n"));
    return RUN_CLOSE;
}

/* The other side cannot be used, or not any more. */
static enum run fail(struct relay_session *s, struct slice why)
{
    (void)snprintf(s->why, sizeof s->why, "%.*s", SLICE_ARG(slice_first(why, sizeof s->why - 1)));
    return quit(s);
}

static enum run say_hello(struct relay_session *s, bool extended)
{
    const struct server *server = net_user(s->c->net);
    buffer_printf(&s->c->out, "%s %s\r\n", extended ? "EHLO" : "HELO", server->hostname);
    await(s, extended ? STATE_EHLO : STATE_HELO, WAIT_REPLY_MS);
    return RUN_NEXT;
}

/* --- idle: waiting for a message */

static void leave_idle(struct relay_session *s)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->d->relay->lock);
    (void)held;
    for (struct relay_session **at = &s->d->idle; *at; at = &(*at)->next_idle) {
        if (*at == s) {
            *at = s->next_idle;
            break;
        }
    }
    s->idling = 0;
}

static void enter_idle(struct relay_session *s)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->d->relay->lock);
    (void)held;
    s->next_idle = s->d->idle;
    s->d->idle = s;
    s->idling = 1;
}

void session_wake(struct relay_session *s)
{
    connection_notice(s->c);
}

/* --- the envelope */

static bool needs(const struct job *j, int flag)
{
    return (j->entry.flags & flag) != 0;
}

static void add_mail(struct relay_session *s, struct buffer *out)
{
    const struct queue_entry *e = &s->job->entry;
    buffer_printf(out, "MAIL FROM:<%.*s>", SLICE_ARG(e->sender));
    if (s->keywords & HAS_SIZE)
        buffer_printf(out, " SIZE=%lld", (long long)s->job->out.size);
    if (s->keywords & HAS_8BITMIME && (needs(s->job, DELIVERY_8BIT) || s->job->out.holds & OUTGOING_EIGHT_BIT))
        buffer_add(out, SLICE(" BODY=8BITMIME"));
    if (s->keywords & HAS_SMTPUTF8 && (needs(s->job, DELIVERY_SMTPUTF8) || s->job->out.holds & OUTGOING_UTF8_HEAD))
        buffer_add(out, SLICE(" SMTPUTF8"));
    if (s->keywords & HAS_REQUIRETLS && needs(s->job, DELIVERY_REQUIRETLS))
        buffer_add(out, SLICE(" REQUIRETLS"));
    if (s->keywords & HAS_DSN) {
        if (needs(s->job, DELIVERY_RET_FULL | DELIVERY_RET_HDRS))
            buffer_add(out, needs(s->job, DELIVERY_RET_FULL) ? SLICE(" RET=FULL") : SLICE(" RET=HDRS"));
        if (e->envid.n)
            buffer_printf(out, " ENVID=%.*s", SLICE_ARG(e->envid));
    }
    buffer_add(out, SLICE("\r\n"));
}

static void add_notify(int notify, struct buffer *out)
{
    static const struct {
        int bit;
        const char *word;
    } words[] = {{NOTIFY_NEVER, "NEVER"}, {NOTIFY_SUCCESS, "SUCCESS"}, {NOTIFY_FAILURE, "FAILURE"}, {NOTIFY_DELAY, "DELAY"}};
    const char *before = " NOTIFY=";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!(notify & words[i].bit))
            continue;
        buffer_printf(out, "%s%s", before, words[i].word);
        before = ",";
    }
}

static void add_rcpt(struct relay_session *s, const struct queue_taken *r, struct buffer *out)
{
    buffer_printf(out, "RCPT TO:<%.*s>", SLICE_ARG(r->address));
    if (s->keywords & HAS_DSN) {
        add_notify(r->notify, out);
        if (r->orcpt.n)
            buffer_printf(out, " ORCPT=%.*s", SLICE_ARG(r->orcpt));
    }
    buffer_add(out, SLICE("\r\n"));
}

/* The next command of the envelope; with PIPELINING all of them (RFC 2920). */
static void send_envelope(struct relay_session *s)
{
    do {
        if (s->sent == 0)
            add_mail(s, &s->c->out);
        else if (s->sent <= s->job->n)
            add_rcpt(s, &s->job->rcpts[s->sent - 1], &s->c->out);
        else
            buffer_add(&s->c->out, SLICE("DATA\r\n"));
        s->sent++;
    } while (s->keywords & HAS_PIPELINING && s->sent < s->job->n + 2);
}

/* What this server cannot take, whatever it answers. p NULL: nothing speaks against it. */
static struct slice obstacle(const struct relay_session *s)
{
    int holds = s->job->out.holds;
    if ((needs(s->job, DELIVERY_SMTPUTF8) || holds & OUTGOING_UTF8_HEAD) && !(s->keywords & HAS_SMTPUTF8)) /* RFC 6531 3.5 */
        return SLICE("550 5.6.7 the other server takes no internationalised addresses (SMTPUTF8)");
    if (holds & OUTGOING_BARE)
        return SLICE("554 5.6.1 a message with binary content cannot be passed on; send it encoded");
    bool proven = s->c->tls && !s->proof.wrong && (s->at->secure || s->at->tls == TRANSPORT_TLS_VERIFY); /* RFC 8689 4.2.1: the host's name, too */
    if (needs(s->job, DELIVERY_REQUIRETLS) && (!proven || !(s->keywords & HAS_REQUIRETLS)))
        return SLICE("550 5.7.30 the message must travel by TLS only, and the other server does not promise that (REQUIRETLS)");
    if (s->keywords & HAS_SIZE && s->size_limit && s->job->out.size > s->size_limit)
        return SLICE("552 5.3.4 the message is larger than the other server takes");
    return slice_make(NULL, 0);
}

static void finish_job(struct relay_session *s)
{
    struct job *j = s->job;
    s->job = NULL;
    job_finish(s->d, j);
}

/* Signs it and looks at what it holds. False: it has its result already. */
static bool prepare_job(struct relay_session *s)
{
    struct server *server = net_user(s->c->net);
    struct job *j = s->job;
    struct error e = outgoing_head(server->store, server->hostname, &j->entry, &j->arena, &j->out);
    if (e.code != ERROR_NONE) {
        LOG_EVENT(LOG_ERROR, "message-not-read", LOG_TEXT("id", j->entry.job), LOG_FAILURE(e));
        job_set(j, QUEUE_WAITING, SLICE("451 4.3.0 the message cannot be read from the store"), SLICE(""));
        return false;
    }
    struct slice against = obstacle(s);
    if (against.p)
        job_set(j, QUEUE_FAILED, against, slice_of(s->host));
    return !against.p;
}

/* The next message that the other side can take. */
static bool take_job(struct relay_session *s)
{
    while ((s->job = job_take(s->d))) {
        if (prepare_job(s))
            return true;
        finish_job(s);
    }
    return false;
}

static void became_empty(struct relay_session *s)
{
    if (s->empty)
        return;
    s->empty = 1;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->d->relay->lock);
    (void)held;
    s->d->empty++;
}

/* On a worker: the next message, or a moment's rest. */
static enum run next_message(struct relay_session *s)
{
    bool have = take_job(s);
    if (!have && clock_ms() - s->idle_since_ms >= IDLE_MS)
        return quit(s);
    if (!have && !s->idling) {
        became_empty(s);
        enter_idle(s);
        have = take_job(s); /* what came before anybody could wake us */
    }
    if (!have) {
        await(s, STATE_FREE, IDLE_MS);
        return RUN_PARK;
    }
    if (s->idling)
        leave_idle(s);
    if (s->empty) {
        s->empty = 0;
        relay_session_took(s->d);
    }
    s->reply_at = s->accepted = s->sent = 0;
    send_envelope(s);
    await(s, STATE_ENVELOPE, WAIT_REPLY_MS);
    return RUN_NEXT;
}

static enum run free_again(struct relay_session *s)
{
    s->idle_since_ms = clock_ms();
    return next_message(s);
}

/* --- replies, one function a state */

static enum run on_greeting(struct relay_session *s, const struct reply *r)
{
    return r->code == 220 ? say_hello(s, true) : fail(s, r->text);
}

static void read_keywords(struct relay_session *s, struct slice raw)
{
    struct slice line;
    s->keywords = 0;
    s->size_limit = 0;
    for (bool first = true; reply_keyword(&raw, &line); first = false) {
        struct slice word = slice_first(line, slice_find(line, ' ')), rest = slice_trim(slice_after(line, word.n));
        uint64_t n;
        for (size_t i = 0; !first && i < sizeof keywords / sizeof keywords[0]; i++)
            if (slice_eq_nocase(word, keywords[i].word))
                s->keywords |= keywords[i].bit;
        if (!first && slice_eq_nocase(word, SLICE("AUTH")))
            s->keywords |= auth_keywords(rest);
        if (slice_eq_nocase(word, SLICE("SIZE")) && slice_number(rest, INT64_MAX, &n))
            s->size_limit = (int64_t)n;
    }
}

static enum run usable(struct relay_session *s)
{
    s->worked = 1;
    return free_again(s);
}

/* The host asks for TLS (DANE, a transport), and there is none: later, and never in clear text (attacks.md SO-02). */
static enum run no_tls(struct relay_session *s, const char *what)
{
    (void)snprintf(s->why, sizeof s->why, "451 4.7.5 %s, and mail goes to %.*s by TLS only", what, SLICE_ARG(slice_first(s->at->name, 200)));
    return quit(s);
}

/* What this connection needs before the first message. */
static enum run ready(struct relay_session *s)
{
    if (s->at->user.n == 0 || s->authenticated)
        return usable(s);
    if (!s->c->tls || s->proof.wrong) /* attacks.md SO-19; the route asks for a proven name, so this is a belt */
        return no_tls(s, "the password is sent to a proven name only");
    if (!auth_begin(s->at, s->keywords, &s->c->out))
        return fail(s, SLICE("451 4.7.8 the other server offers neither AUTH PLAIN nor LOGIN"));
    s->auth_steps = 0;
    await(s, STATE_AUTH, WAIT_REPLY_MS);
    return RUN_NEXT;
}

/* A refused password is our fault, not that of the senders: their mail waits. */
static enum run on_auth(struct relay_session *s, const struct reply *r)
{
    if (r->code == 334 && auth_step(s->at, s->keywords, s->auth_steps++, &s->c->out)) {
        await(s, STATE_AUTH, WAIT_REPLY_MS);
        return RUN_NEXT;
    }
    s->authenticated = r->code == 235;
    if (s->authenticated)
        return usable(s);
    LOG_EVENT(LOG_ERROR, "relay-auth-failed", LOG_WORD("host", s->host), LOG_TEXT("reply", r->text));
    return fail(s, SLICE("451 4.7.8 the smart host did not take the password of the transport"));
}

static enum run on_ehlo(struct relay_session *s, const struct reply *r)
{
    bool must = relay_tls_must(s->at);
    if (r->code >= 500 && !s->c->tls)
        return say_hello(s, false); /* RFC 5321 3.2 */
    if (r->code != 250)
        return fail(s, r->text);
    read_keywords(s, r->raw);
    if (s->keywords & HAS_STARTTLS && !s->c->tls && (must || (!s->plain && s->at->tls != TRANSPORT_TLS_NONE))) {
        buffer_add(&s->c->out, SLICE("STARTTLS\r\n"));
        await(s, STATE_STARTTLS, WAIT_REPLY_MS);
        return RUN_NEXT;
    }
    return must && !s->c->tls ? no_tls(s, "the other server offers no TLS") : ready(s);
}

static enum run on_helo(struct relay_session *s, const struct reply *r)
{
    s->keywords = 0;
    if (r->code != 250)
        return fail(s, r->text);
    return relay_tls_must(s->at) ? no_tls(s, "the other server offers no TLS") : usable(s);
}

static enum run on_starttls(struct relay_session *s, const struct reply *r)
{
    if (r->code != 220)
        return relay_tls_must(s->at) ? no_tls(s, "the other server refuses TLS now") : usable(s); /* opportunistic: in clear text */
    s->tls_failed = 1; /* until the handshake says otherwise; bytes behind the 220 end the connection (attacks.md SO-01) */
    return RUN_TLS;
}

/* What a refusal means for whom it is about. */
static enum queue_state refused(const struct reply *r)
{
    return r->code >= 500 ? QUEUE_FAILED : QUEUE_WAITING;
}

/* The transaction is over without a message. */
static enum run reset(struct relay_session *s)
{
    finish_job(s);
    buffer_add(&s->c->out, SLICE("RSET\r\n"));
    await(s, STATE_RSET, WAIT_REPLY_MS);
    return RUN_NEXT;
}

static enum run begin_content(struct relay_session *s, const struct reply *r)
{
    if (r->code != 354) {
        if (r->code < 400 || s->accepted) /* a refusal of DATA is about those that were accepted */
            job_set(s->job, refused(r), r->text, slice_of(s->host));
        return r->code < 400 ? fail(s, SLICE("the answers are out of step")) : reset(s);
    }
    if (s->accepted == 0) { /* it asks for the message though nobody was accepted: even an empty one (RFC 2920 3.1) could reach somebody, a lost connection cannot */
        finish_job(s);
        return RUN_CLOSE;
    }
    transfer_begin(&s->transfer, s->job);
    await(s, STATE_CONTENT, WAIT_DATA_MS);
    return RUN_MORE;
}

static enum run on_envelope(struct relay_session *s, const struct reply *r)
{
    size_t at = s->reply_at++;
    if (at == s->job->n + 1)
        return begin_content(s, r);
    if (r->code == 421 || (r->code >= 300 && r->code < 400)) { /* it closes; or 354 comes before its time (attacks.md SO-06) */
        job_set(s->job, QUEUE_WAITING, r->text, slice_of(s->host));
        finish_job(s);
        return quit(s);
    }
    if (at == 0 && r->code >= 400)
        job_set(s->job, refused(r), r->text, slice_of(s->host));
    else if (at > 0 && r->code >= 300)
        job_set_one(s->job, at - 1, refused(r), r->text, slice_of(s->host));
    else if (at > 0)
        s->accepted += !s->job->results[at - 1].reply.p;
    if (s->keywords & HAS_PIPELINING)
        return RUN_NEXT;
    if ((at == 0 && r->code >= 400) || (at == s->job->n && s->accepted == 0)) /* nobody is left */
        return reset(s);
    send_envelope(s);
    return RUN_NEXT;
}

static enum run more_content(struct relay_session *s)
{
    struct server *server = net_user(s->c->net);
    bool over = false;
    while (!over && buffer_length(&s->c->out) < CONNECTION_OUTPUT_HIGH) {
        struct error e = transfer_more(&s->transfer, server, s->job, &s->c->out, &over);
        if (e.code != ERROR_NONE) { /* no dot was sent: the other side drops what it has */
            LOG_EVENT(LOG_ERROR, "message-not-read", LOG_TEXT("id", s->job->entry.job), LOG_FAILURE(e));
            job_set(s->job, QUEUE_WAITING, SLICE("451 4.3.0 the message cannot be read from the store"), SLICE(""));
            return RUN_CLOSE;
        }
    }
    if (!over)
        return RUN_MORE;
    await(s, STATE_DOT, WAIT_DOT_MS);
    return RUN_NEXT;
}

static enum run on_dot(struct relay_session *s, const struct reply *r)
{
    job_set(s->job, r->code < 300 ? QUEUE_DELIVERED : refused(r), r->text, slice_of(s->host));
    for (size_t i = 0; i < s->job->n; i++)
        s->job->results[i].speaks_dsn = (s->keywords & HAS_DSN) != 0;
    bool went = r->code < 300 && s->accepted;
    finish_job(s);
    if (went)
        relay_session_delivered(s->d);
    if (r->code == 421)
        return RUN_CLOSE;
    return free_again(s);
}

static enum run on_rset(struct relay_session *s, const struct reply *r)
{
    return r->code == 250 ? free_again(s) : quit(s);
}

static enum run on_other(struct relay_session *s, const struct reply *r)
{
    (void)r; /* it speaks unasked: mostly 421 */
    return quit(s);
}

static enum run (*const on_reply[])(struct relay_session *s, const struct reply *r) = {
    [STATE_GREETING] = on_greeting, [STATE_EHLO] = on_ehlo, [STATE_HELO] = on_helo, [STATE_STARTTLS] = on_starttls, [STATE_AUTH] = on_auth, [STATE_FREE] = on_other,
    [STATE_ENVELOPE] = on_envelope, [STATE_CONTENT] = on_other, [STATE_DOT] = on_dot, [STATE_RSET] = on_rset,
};

/* --- the protocol */

static struct error session_opened(struct connection *c)
{
    struct relay_session *s = c->session;
    s->c = c;
    await(s, STATE_GREETING, WAIT_REPLY_MS);
    return OK;
}

static enum frame session_frame(struct connection *c)
{
    const struct relay_session *s = c->session;
    if (reply_look(buffer_slice(&c->in)) == REPLY_MORE)
        return FRAME_MORE;
    return s->state == STATE_GREETING || s->state == STATE_STARTTLS ? FRAME_LOOP : FRAME_WORKER;
}

static enum run session_run(struct connection *c)
{
    struct relay_session *s = c->session;
    struct reply r;
    if (s->state == STATE_CONTENT)
        return more_content(s);
    if (reply_read(buffer_slice(&c->in), &c->arena, &r) != REPLY_WHOLE) {
        if (s->job)
            job_set(s->job, QUEUE_WAITING, SLICE("451 4.5.0 the other server's answer is not SMTP"), slice_of(s->host));
        return fail(s, SLICE("451 4.5.0 the other server's answer is not SMTP"));
    }
    enum run next = on_reply[s->state](s, &r);
    buffer_take(&c->in, r.used);
    return next;
}

static enum run session_notice(struct connection *c)
{
    struct relay_session *s = c->session;
    if (s->state != STATE_FREE)
        return RUN_NEXT;
    return next_message(s);
}

static void session_secured(struct connection *c)
{
    struct relay_session *s = c->session;
    s->tls_failed = 0;
    (void)say_hello(s, true); /* RFC 3207 4.2: what was said before is forgotten */
}

static void session_farewell(struct connection *c, int reason)
{
    struct relay_session *s = c->session;
    (void)reason;
    if (s->state == STATE_FREE)
        buffer_add(&c->out, SLICE("QUIT\r\n"));
}

static struct ssl_st *session_tls(struct connection *c)
{
    struct relay_session *s = c->session;
    return relay_tls_new(s->at, &s->proof);
}

static void session_over(void *arg)
{
    struct relay_session *s = arg;
    if (s->job) {
        job_set(s->job, QUEUE_WAITING, slice_of(s->why), slice_of(s->host));
        finish_job(s);
    }
    bool plain_next = s->tls_failed && !relay_tls_must(s->at);
    relay_session_ended(s->d, s->target, s->worked ? SESSION_WORKED : plain_next ? SESSION_TLS_FAILED : SESSION_FAILED, s->empty, s->why, s->host);
    free(s);
}

/* Why it ended, where no reply said it. */
static void end_words(struct relay_session *s, const struct connection *c)
{
    if (s->tls_failed && s->proof.needed && s->proof.wrong)
        (void)snprintf(s->why, sizeof s->why, "451 4.7.5 the certificate of %.*s is not the one that is asked for: %s", SLICE_ARG(slice_first(s->at->name, 200)), relay_tls_wrong(&s->proof));
    else
        (void)snprintf(s->why, sizeof s->why, "451 4.4.2 %s", c->why[0] ? c->why : "the connection was lost");
}

static void session_close(struct connection *c)
{
    struct relay_session *s = c->session;
    if (s->idling)
        leave_idle(s);
    if (!s->why[0])
        end_words(s, c);
    s->c = NULL;
    if (net_submit(c->net, session_over, s).code != ERROR_NONE)
        session_over(s); /* too many tasks wait, or we stop: here */
}

static const struct protocol relay_protocol = {.name = "relay", .open = session_opened, .frame = session_frame, .run = session_run, .notice = session_notice,
                                               .secured = session_secured, .farewell = session_farewell, .close = session_close, .tls = session_tls};
static const struct service relay_service = {.name = "relay", .tls = TLS_STARTTLS, .protocol = &relay_protocol, .idle_ms = CONNECT_MS};
static const struct listener relay_listener = {.service = &relay_service, .fd = -1, .address = "-"};

static void address_words(const struct sockaddr_storage *to, char *text, size_t room)
{
    const void *bytes = to->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)to)->sin6_addr : (const void *)&((const struct sockaddr_in *)to)->sin_addr;
    if (!inet_ntop(to->ss_family, bytes, text, (socklen_t)room))
        text[0] = '\0';
}

struct error session_open(struct destination *d, size_t target)
{
    const struct route_target *to = &d->route.targets[target];
    struct relay_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_BUSY, "no memory for a session");
    s->d = d;
    s->target = target;
    s->at = to->host;
    s->empty = 1;
    s->plain = (d->plain >> target & 1U) != 0;
    char address[64];
    address_words(&to->to, address, sizeof address);
    (void)snprintf(s->host, sizeof s->host, "%.*s [%s]", SLICE_ARG(slice_first(to->name, 260)), address);
    struct outgoing_peer o = {.listener = &relay_listener, .to = to->to, .to_length = to->to_length};
    struct error e = outgoing_open(d->relay->server->net, &o, s);
    if (e.code != ERROR_NONE)
        free(s);
    return e;
}
