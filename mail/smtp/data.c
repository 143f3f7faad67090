/* mail/smtp/data.c -- the message itself: DATA (RFC 5321 4.5.2) and BDAT (RFC 3030), piece by piece
 *
 * Only CR LF . CR LF ends DATA. A bare CR or LF on port 25 and LMTP ends the session at once, so that what follows is never read as commands (SMTP
 * smuggling, attacks.md SI-01); on submission a bare LF is mended, since scanners and scripts send it, and never ends anything.
 */
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/mime/header.h"
#include "mail/smtp/internal.h"
#include "mail/trace/trace.h"

/* --- content on its way into the blob */

static struct error content(struct connection *c, struct slice bytes)
{
    struct smtp_session *s = c->session;
    s->received += (int64_t)bytes.n;
    if (s->received > s->server->config->max_message)
        s->wrong |= WRONG_SIZE;
    if (memchr(bytes.p, 0, bytes.n) && s->body != BODY_BINARYMIME)
        s->wrong |= WRONG_NUL;
    if (s->wrong & (WRONG_SIZE | WRONG_HEAD))
        return OK; /* swallowed */
    if (s->head_done)
        return blob_put_add(&s->message.put, bytes);
    buffer_add(&s->head, bytes);
    struct slice head = buffer_slice(&s->head), fresh = slice_after(head, s->head_looked);
    if (s->head.failed)
        return error_make(ERROR_MEMORY, "no memory for a message");
    if (head.n < HEAD_MAX && !memmem(fresh.p, fresh.n, "\r\n\r\n", 4) && !slice_starts(head, SLICE("\r\n"))) {
        s->head_looked = head.n > 3 ? head.n - 3 : 0; /* each byte is searched once, also when they come one by one */
        return OK;
    }
    s->head_done = 1;
    return trace_head(c, s);
}

static enum run begin(struct connection *c)
{
    struct smtp_session *s = c->session;
    s->message = (struct message){0};
    blob_put_begin(s->server->store, &s->message.put);
    s->receiving = 1;
    s->wrong = s->head_done = 0;
    s->head_looked = 0;
    s->received = 0;
    s->data = DATA_LINE_START;
    s->stage_ms = clock_ms();
    return RUN_NEXT;
}

/* The message is over, for better or worse: nothing of the transaction is left (attacks.md SI-12). */
static enum run over(struct connection *c, enum run next)
{
    struct smtp_session *s = c->session;
    smtp_transaction_reset(s);
    s->mode = MODE_COMMAND;
    s->idle_commands = 0;
    s->stage_ms = clock_ms();
    return next;
}

static void reply_all(struct connection *c, int code, const char *enhanced, const char *text)
{
    struct smtp_session *s = c->session;
    size_t n = s->kind == SMTP_LMTP ? s->n_rcpts : 1;
    for (size_t i = 0; i < n; i++)
        smtp_reply(c, code, enhanced, text);
}

enum { TRACED_MAX = 100 };

/* A message that is not taken: a line for each recipient, written with others (no sync of its own). */
static void trace_refusal(struct smtp_session *s, const char *why)
{
    for (size_t i = 0; i < s->n_rcpts && i < TRACED_MAX; i++)
        trace_later(TRACE_REFUSED, slice_of(s->job), SLICE(""), s->sender, s->rcpts[i].text, slice_of(why));
}

static bool refuse_wrong(struct connection *c)
{
    struct smtp_session *s = c->session;
    if (s->wrong == 0)
        return false;
    metric_add(METRIC_MAIL_REFUSED, 1);
    LOG_EVENT(LOG_INFO, "message-refused", LOG_ID(s->job), LOG_TEXT("from", s->sender), LOG_WORD("peer", c->peer), LOG_NUMBER("wrong", s->wrong));
    int code = s->wrong & WRONG_SIZE ? 552 : s->wrong & WRONG_HEAD ? s->head_code : 554;
    const char *enhanced = s->wrong & WRONG_SIZE ? "5.3.4" : s->wrong & WRONG_HEAD ? s->head_enhanced : "5.6.0", *text = "the message holds a CR or LF that is not part of a line end";
    if (s->wrong & WRONG_SIZE)
        text = "the message is larger than this server takes";
    else if (s->wrong & WRONG_HEAD)
        text = s->head_text;
    else if (s->wrong & WRONG_NUL)
        text = "the message holds a NUL byte";
    trace_refusal(s, text);
    reply_all(c, code, enhanced, text);
    return true;
}

static void tell_results(struct connection *c, const struct delivery *d)
{
    struct smtp_session *s = c->session;
    struct error first_bad = OK;
    size_t good = 0;
    for (size_t i = 0; i < d->n_rcpts; i++) {
        struct error e = d->rcpts[i].result;
        if (e.code == ERROR_NONE)
            good++;
        else if (first_bad.code == ERROR_NONE)
            first_bad = e;
        if (s->kind != SMTP_LMTP)
            continue;
        if (e.code == ERROR_NONE)
            smtp_reply(c, 250, "2.0.0", arena_printf(&c->arena, "delivered as %s", s->job));
        else
            smtp_reply_error(c, e);
    }
    if (s->kind == SMTP_LMTP)
        return;
    if (good || first_bad.code == ERROR_NONE) /* someone has it: a 4xx now would bring it to him twice, so for the others it waits in the queue */
        smtp_reply(c, 250, "2.0.0", arena_printf(&c->arena, "accepted as %s", s->job));
    else
        smtp_reply_error(c, first_bad);
}

/* The last byte is there: the head may still wait for its end. Filters may put something on top, so the content ends behind them. */
static struct error complete(struct connection *c)
{
    struct smtp_session *s = c->session;
    if (!s->head_done) {
        s->head_done = 1;
        TRY(trace_head(c, s));
    }
    return s->wrong || s->filters ? OK : blob_put_end(&s->message.put);
}

static struct error store_message(struct connection *c, struct delivery *d)
{
    struct smtp_session *s = c->session;
    int64_t since = clock_us();
    TRY(message_prepare(&s->message, &s->arena));
    struct error e = delivery_run(s->server->store, d, &s->arena);
    metric_observe(HISTOGRAM_MAIL_DELIVERY, clock_us() - since);
    return e;
}

/* For the trace: who gave it to us, by which service. */
static struct slice origin(struct connection *c)
{
    static const char *const services[] = {[SMTP_MX] = "smtp", [SMTP_SUBMISSION] = "submission", [SMTP_LMTP] = "lmtp"};
    struct smtp_session *s = c->session;
    char *text = arena_printf(&s->arena, "from %s [%s] by %s%s%s, ", s->helo[0] ? s->helo : "unknown", c->peer, services[s->kind], s->account ? " as " : "", s->account ? s->login : "");
    return text ? slice_of(text) : SLICE("");
}

static enum run not_stored(struct connection *c, struct error e)
{
    struct smtp_session *s = c->session;
    LOG_EVENT(LOG_ERROR, "message-not-stored", LOG_ID(s->job), LOG_TEXT("from", s->sender), LOG_FAILURE(e));
    trace_refusal(s, e.text ? e.text : "the message cannot be stored right now");
    reply_all(c, e.code == ERROR_FULL ? 452 : 451, e.code == ERROR_FULL ? "4.3.1" : "4.3.0", "the message cannot be stored right now, try again later");
    return over(c, RUN_NEXT);
}

static enum run deliver(struct connection *c)
{
    struct smtp_session *s = c->session;
    if (s->filters && s->mail.known & FILTER_SPF_PASS)
        s->flags |= DELIVERY_SENDER_VERIFIED; /* a report may go to him (attacks.md SO-11) */
    struct delivery d = {.message = &s->message, .sender = s->sender, .envid = s->envid, .flags = s->flags, .submitter = s->account, .lifetime_s = s->server->config->queue_lifetime / 1000,
                         .results = s->kind == SMTP_LMTP ? DELIVERY_RESULT_EACH : DELIVERY_RESULT_ONE, .rcpts = s->rcpts, .n_rcpts = s->n_rcpts, .job = s->job, .origin = origin(c), .sent_for = s->sent_for};
    struct sending_taking taking = {.config = s->server->config, .account = s->account, .credential = s->credential, .rcpts = (int64_t)s->n_rcpts};
    if (s->kind == SMTP_SUBMISSION) {
        d.also = sending_take;
        d.also_arg = &taking;
    }
    if (s->filters) {
        d.junk = s->mail.junk;
        d.notes = s->mail.notes;
        d.n_notes = s->mail.n_notes;
    }
    struct error e = store_message(c, &d);
    if (e.code != ERROR_NONE && taking.now.why != SENDING_FREE && e.text == sending_sentence(&taking.now)) { /* other sessions of the account were faster */
        trace_refusal(s, e.text);
        smtp_sending_refuse(c, &taking.now);
        return over(c, RUN_NEXT);
    }
    if (e.code != ERROR_NONE)
        return not_stored(c, e);
    metric_add(METRIC_MAIL_RECEIVED, 1);
    metric_add(METRIC_MAIL_RECEIVED_BYTES, (uint64_t)s->received);
    LOG_EVENT(LOG_INFO, "received", LOG_ID(s->job), LOG_TEXT("from", s->sender), LOG_WORD("peer", c->peer), LOG_NUMBER("size", s->received), LOG_NUMBER("recipients", s->n_rcpts),
              LOG_TEXT("message-id", d.message_id));
    tell_results(c, &d);
    return over(c, RUN_NEXT);
}

/* --- filters at the end of the message */

/* The message anew, with what they changed; what this server put on top stays there. */
static struct error rewrite(struct smtp_session *s, struct slice bytes)
{
    struct message fresh = {0};
    struct buffer content = {0};
    struct error e = filter_rewrite(&s->mail, &content);
    blob_put_begin(s->server->store, &fresh.put);
    if (e.code == ERROR_NONE)
        e = blob_put_add(&fresh.put, slice_first(bytes, s->on_top));
    if (e.code == ERROR_NONE)
        e = blob_put_add(&fresh.put, buffer_slice(&content));
    buffer_free(&content);
    if (e.code != ERROR_NONE) {
        blob_put_drop(&fresh.put);
        return e;
    }
    blob_put_drop(&s->message.put);
    s->message = fresh;
    return OK;
}

static enum run message_filtered(struct connection *c)
{
    struct smtp_session *s = c->session;
    const struct filter_mail *m = &s->mail;
    if (m->code) {
        for (size_t i = 0; i < s->n_rcpts && i < TRACED_MAX; i++)
            smtp_filter_refuse(c, s->rcpts[i].text);
        reply_all(c, m->code, m->enhanced, m->text);
        return over(c, RUN_NEXT);
    }
    s->n_rcpts = m->n_rcpts; /* a filter may take some away, and add some */
    s->rcpts = m->rcpts;
    if (m->discard || s->n_rcpts == 0) {
        LOG_EVENT(LOG_INFO, "filter-discarded", LOG_ID(s->job), LOG_WORD("filter", m->who), LOG_TEXT("from", s->sender), LOG_WORD("peer", c->peer));
        for (size_t i = 0; i < s->n_rcpts && i < TRACED_MAX; i++)
            trace_later(TRACE_DROPPED, slice_of(s->job), SLICE(""), s->sender, s->rcpts[i].text, m->n_notes ? m->notes[m->n_notes - 1] : SLICE("by a filter"));
        smtp_reply(c, 250, "2.0.0", arena_printf(&c->arena, "accepted as %s", s->job));
        return over(c, RUN_NEXT);
    }
    struct slice bytes;
    struct error e = m->edits || m->body.p || m->changed ? blob_put_bytes(&s->message.put, &bytes) : OK;
    if (e.code == ERROR_NONE && (m->edits || m->body.p || m->changed))
        e = rewrite(s, bytes);
    if (e.code == ERROR_NONE && m->front.p)
        e = blob_put_insert(&s->message.put, s->return_path, m->front);
    if (e.code == ERROR_NONE)
        e = blob_put_end(&s->message.put);
    return e.code == ERROR_NONE ? deliver(c) : not_stored(c, e);
}

static enum run finish(struct connection *c)
{
    struct smtp_session *s = c->session;
    struct slice bytes;
    struct error e = complete(c);
    if (refuse_wrong(c))
        return over(c, RUN_NEXT);
    if (e.code == ERROR_NONE && !s->filters)
        return deliver(c);
    if (e.code == ERROR_NONE)
        e = blob_put_bytes(&s->message.put, &bytes);
    if (e.code != ERROR_NONE)
        return not_stored(c, e);
    s->mail.content = slice_after(bytes, s->on_top);
    s->mail.head = s->arrived;
    s->mail.flags = s->flags;
    s->mail.rcpts = s->rcpts;
    s->mail.n_rcpts = s->n_rcpts;
    return smtp_filters(c, FILTER_END, message_filtered);
}

/* --- DATA */

enum run smtp_data(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    if (args.n)
        return smtp_bad(c, 501, "5.5.4", "DATA takes no argument");
    if (s->bdat_started) {
        smtp_transaction_reset(s);
        return smtp_bad(c, 503, "5.5.1", "DATA after BDAT");
    }
    if (s->body == BODY_BINARYMIME)
        return smtp_bad(c, 503, "5.5.1", "BINARYMIME needs BDAT"); /* RFC 3030 3 */
    if (s->n_rcpts == 0)
        return smtp_bad(c, s->kind == SMTP_LMTP ? 503 : 554, "5.5.1", "no valid recipients");
    if (s->kind == SMTP_MX && buffer_length(&c->in)) { /* RFC 2920 3.1: DATA is the last of its group; nobody could know the 354 yet (attacks.md SI-24) */
        LOG_EVENT(LOG_INFO, "unasked-pipelining", LOG_ID(s->job), LOG_WORD("peer", c->peer));
        smtp_reply(c, 554, "5.5.0", "you spoke before the answer to DATA; closing");
        return over(c, RUN_CLOSE);
    }
    s->mode = MODE_DATA;
    smtp_reply(c, 354, NULL, "go ahead, end with CRLF.CRLF");
    return begin(c);
}

enum eaten { EATEN_ALL, EATEN_END, EATEN_SMUGGLED };

struct eater {
    struct smtp_session *s;
    char *to;
    size_t n;
    int strict;
};

static enum eaten bare(struct eater *e)
{
    e->s->wrong |= WRONG_LINES;
    return e->strict ? EATEN_SMUGGLED : EATEN_ALL;
}

/* One byte that is not plain text in the middle of a line. */
static enum eaten eat(struct eater *e, char ch)
{
    struct smtp_session *s = e->s;
    switch (s->data) {
    case DATA_LINE_START:
    case DATA_LF_START:
        if (ch == '.') {
            s->data = s->data == DATA_LINE_START ? DATA_DOT : DATA_LF_DOT;
            return EATEN_ALL;
        }
        s->data = DATA_TEXT;
        return eat(e, ch);
    case DATA_TEXT:
        if (ch == '\r') {
            s->data = DATA_CR;
        } else if (ch == '\n') {
            if (e->strict)
                return bare(e);
            e->to[e->n++] = '\r';
            e->to[e->n++] = '\n';
            s->data = DATA_LF_START;
        } else {
            e->to[e->n++] = ch;
        }
        return EATEN_ALL;
    case DATA_CR:
        if (ch != '\n') {
            s->data = DATA_TEXT;
            return bare(e); /* a bare CR is refused everywhere */
        }
        e->to[e->n++] = '\r';
        e->to[e->n++] = '\n';
        s->data = DATA_LINE_START;
        return EATEN_ALL;
    case DATA_DOT: /* the dot is not content: it ends, or was put there by the client */
        s->data = ch == '\r' ? DATA_DOT_CR : DATA_TEXT;
        return ch == '\r' ? EATEN_ALL : eat(e, ch);
    case DATA_DOT_CR:
        if (ch == '\n')
            return EATEN_END;
        s->data = DATA_TEXT;
        return bare(e);
    case DATA_LF_DOT: /* behind a bare LF nothing ends; ".." is a doubled dot, "." alone stays */
        s->data = DATA_TEXT;
        e->to[e->n++] = '.';
        return ch == '.' ? EATEN_ALL : eat(e, ch);
    }
    return EATEN_ALL;
}

/* Eats input until its end or the end of the message; *used: bytes taken. `to` holds twice the input (a mended LF is two bytes). */
static enum eaten eat_all(struct eater *e, struct slice in, size_t *used)
{
    for (*used = 0; *used < in.n;) {
        if (e->s->data == DATA_TEXT) { /* the usual case in one piece */
            struct slice rest = slice_after(in, *used);
            size_t plain = slice_find(slice_first(rest, slice_find(rest, '\r')), '\n');
            memcpy(e->to + e->n, rest.p, plain);
            e->n += plain;
            *used += plain;
            if (*used == in.n)
                break;
        }
        enum eaten x = eat(e, in.p[(*used)++]);
        if (x != EATEN_ALL)
            return x;
    }
    return EATEN_ALL;
}

enum run smtp_data_more(struct connection *c)
{
    struct smtp_session *s = c->session;
    struct slice in = buffer_slice(&c->in);
    struct eater e = {.s = s, .to = arena_alloc(&c->arena, 2 * in.n + 4), .strict = s->kind != SMTP_SUBMISSION};
    size_t used = 0;
    if (!e.to || in.n == 0) /* the peer closed in the middle: nothing is kept */
        return over(c, RUN_CLOSE);
    enum eaten x = eat_all(&e, in, &used);
    buffer_take(&c->in, used);
    struct error stored = content(c, slice_make(e.to, e.n));
    if (x == EATEN_SMUGGLED) {
        LOG_EVENT(LOG_WARN, "bare-line-end", LOG_ID(s->job), LOG_WORD("peer", c->peer), LOG_TEXT("from", s->sender));
        smtp_reply(c, 521, "5.5.2", "a CR or LF that is not part of a line end; closing");
        return over(c, RUN_CLOSE);
    }
    if (stored.code != ERROR_NONE) {
        reply_all(c, stored.code == ERROR_FULL ? 452 : 451, stored.code == ERROR_FULL ? "4.3.1" : "4.3.0", "the message cannot be stored right now, try again later");
        return over(c, RUN_CLOSE); /* the rest of the message must not be read as commands */
    }
    if (s->wrong & WRONG_SIZE && s->received > 2 * s->server->config->max_message) {
        smtp_reply(c, 552, "5.3.4", "the message is far larger than this server takes; closing");
        return over(c, RUN_CLOSE);
    }
    if (x == EATEN_END)
        return finish(c);
    return smtp_slow(c, s->received) == RUN_NEXT ? RUN_NEXT : over(c, RUN_CLOSE);
}

/* --- BDAT */

enum run smtp_bdat(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    struct slice number = slice_first(args, slice_find(args, ' ')), last = slice_trim(slice_after(args, number.n + 1));
    uint64_t n;
    if (!slice_number(number, INT64_MAX, &n) || (last.n && !slice_eq_nocase(last, SLICE("LAST")))) {
        /* how many bytes follow cannot be known: reading on would make commands of them (attacks.md SI-05) */
        smtp_reply(c, 501, "5.5.4", "syntax: BDAT size [LAST]; closing");
        return over(c, RUN_CLOSE);
    }
    if (n > (uint64_t)(2 * s->server->config->max_message)) {
        smtp_reply(c, 552, "5.3.4", "the chunk is larger than this server takes; closing");
        return over(c, RUN_CLOSE);
    }
    if (n < TINY_CHUNK && !last.n && ++s->tiny_chunks > TINY_CHUNKS_MAX) {
        smtp_reply(c, 421, "4.7.0", "too many tiny chunks, closing");
        return over(c, RUN_CLOSE);
    }
    s->discard = !s->greeted || !s->has_sender || s->n_rcpts == 0;
    s->chunk_left = n;
    s->chunk_last = last.n > 0;
    s->mode = MODE_BDAT;
    if (!s->discard && !s->bdat_started) {
        (void)begin(c);
        s->bdat_started = 1;
    }
    return n == 0 ? smtp_bdat_more(c) : RUN_NEXT;
}

/* Without BINARYMIME the content must be lines (attacks.md SI-06): a CR or LF alone would be something else once relayed by DATA. */
static void look_at_lines(struct smtp_session *s, struct slice bytes)
{
    if (s->body == BODY_BINARYMIME)
        return;
    for (size_t i = 0; i < bytes.n; i++) {
        char ch = bytes.p[i];
        if (s->data == DATA_CR ? ch != '\n' : ch == '\n')
            s->wrong |= WRONG_LINES;
        s->data = ch == '\r' ? DATA_CR : DATA_TEXT;
    }
}

enum run smtp_bdat_more(struct connection *c)
{
    struct smtp_session *s = c->session;
    struct slice in = slice_first(buffer_slice(&c->in), s->chunk_left);
    struct error e = OK;
    if (in.n == 0 && s->chunk_left)
        return over(c, RUN_CLOSE); /* the peer closed in the middle */
    if (!s->discard) {
        look_at_lines(s, in);
        e = content(c, in);
    }
    buffer_take(&c->in, in.n);
    s->chunk_left -= in.n;
    if (e.code != ERROR_NONE) {
        smtp_reply(c, e.code == ERROR_FULL ? 452 : 451, e.code == ERROR_FULL ? "4.3.1" : "4.3.0", "the message cannot be stored right now, try again later");
        return over(c, RUN_CLOSE);
    }
    if (s->chunk_left)
        return smtp_slow(c, s->received) == RUN_NEXT ? RUN_NEXT : over(c, RUN_CLOSE);
    s->mode = MODE_COMMAND;
    if (!s->discard && !s->chunk_last && s->wrong & WRONG_SIZE) { /* RFC 3030 2: a failed chunk ends the transaction; what was announced with it is swallowed as it comes */
        smtp_reply(c, 552, "5.3.4", "the message is larger than this server takes");
        return over(c, RUN_NEXT);
    }
    if (s->discard) {
        smtp_transaction_reset(s);
        return smtp_bad(c, 503, "5.5.1", "BDAT needs a sender and a recipient");
    }
    if (s->chunk_last) {
        if (s->data == DATA_CR)
            s->wrong |= WRONG_LINES;
        return finish(c);
    }
    smtp_reply(c, 250, "2.0.0", "chunk taken");
    return RUN_NEXT;
}
