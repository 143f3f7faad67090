/* mail/filter/milter.c -- the dialogue with milters: what each is told at which stage, what becomes of its answers
 *
 * One conversation a milter and session, opened at the first MAIL. The milters of filter.milters are asked in their order; each sees the message with
 * the changes of those before it. One that cannot be reached, is silent too long or breaks the protocol is treated as its entry says (tempfail where it says
 * nothing), and tried again with the next message.
 */
#include <stdlib.h>

#include "core/log.h"
#include "core/net/service.h"
#include "mail/filter/filter.h"
#include "mail/filter/milter_wire.h"
#include "mail/filter/peer.h"
#include "mail/mime/header.h"

enum { MILTERS_MAX = 8, FLATTEN_MAX = 4 * 1024 * 1024, RCPTS_ADDED_MAX = 100 };
enum step { STEP_OFFER, STEP_CONNECT, STEP_HELO, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_HEADERS, STEP_EOH, STEP_BODY, STEP_EOM, STEP_OVER };

struct one {
    struct slice where, policy; /* of the configuration, which lives on */
    struct peer *peer;
    uint32_t protocol;
    enum step next, asked; /* asked: what an answer belongs to */
    bool waits, in_mail, enough, let_pass; /* enough: nothing more of this message; let_pass: of this session */
    int code;                              /* the session is refused */
    struct slice head_left;                /* of the content */
    size_t body_at;
    bool skip_body;
    struct buffer packet; /* being sent */
};

struct milters {
    struct one all[MILTERS_MAX];
    size_t n, at;
    bool begun; /* the stage's first call was */
    struct buffer body; /* a new one */
    bool has_body;
};

/* --- what is said */

static const struct {
    char command;
    uint32_t no, mute;
} steps[] = {
    [STEP_OFFER] = {'O', 0, 0},
    [STEP_CONNECT] = {'C', MILTER_NO_CONNECT, MILTER_MUTE_CONNECT},
    [STEP_HELO] = {'H', MILTER_NO_HELO, MILTER_MUTE_HELO},
    [STEP_MAIL] = {'M', MILTER_NO_MAIL, MILTER_MUTE_MAIL},
    [STEP_RCPT] = {'R', MILTER_NO_RCPT, MILTER_MUTE_RCPT},
    [STEP_DATA] = {'T', MILTER_NO_DATA, MILTER_MUTE_DATA},
    [STEP_HEADERS] = {'L', MILTER_NO_HEADERS, MILTER_MUTE_HEADER},
    [STEP_EOH] = {'N', MILTER_NO_EOH, MILTER_MUTE_EOH},
    [STEP_BODY] = {'B', MILTER_NO_BODY, MILTER_MUTE_BODY},
    [STEP_EOM] = {'E', 0, 0},
};

static void put_macro(struct buffer *b, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    milter_put_text(b, slice_of(name));
    milter_put_text(b, slice_of(value));
}

/* The macros that Sendmail gives by default at that step. False: the way is full. */
static bool send_macros(struct filter_mail *m, struct one *x, enum step step)
{
    struct buffer b = {0};
    const char *sender = arena_printf(m->arena, "%.*s", SLICE_ARG(m->sender));
    milter_begin(&b, 'D');
    buffer_add_char(&b, steps[step].command);
    if (step == STEP_CONNECT) {
        put_macro(&b, "j", m->server->hostname);
        put_macro(&b, "{daemon_name}", m->source == FILTER_FROM_SUBMITTER ? "submission" : "smtp");
        put_macro(&b, "v", "Kantor");
        put_macro(&b, "{client_addr}", m->peer);
    } else if (step == STEP_HELO) {
        put_macro(&b, "{tls_version}", m->tls);
    } else if (step == STEP_MAIL) {
        put_macro(&b, "i", m->job);
        put_macro(&b, "{mail_addr}", sender);
        put_macro(&b, "{auth_type}", m->account ? "PLAIN" : "");
        put_macro(&b, "{auth_authen}", m->account ? m->login : "");
        put_macro(&b, "{auth_author}", m->account ? sender : "");
    } else if (step == STEP_RCPT) {
        put_macro(&b, "{rcpt_addr}", arena_printf(m->arena, "%.*s", SLICE_ARG(m->rcpt->text)));
    } else {
        put_macro(&b, "i", m->job);
    }
    milter_end(&b);
    bool sent = b.failed ? false : peer_send(x->peer, buffer_slice(&b));
    buffer_free(&b);
    return sent;
}

static void put_angle(struct buffer *b, struct slice address, struct arena *a)
{
    const char *text = arena_printf(a, "<%.*s>", SLICE_ARG(address));
    milter_put_text(b, slice_of(text ? text : "<>"));
}

static void put_connect(struct filter_mail *m, struct buffer *b)
{
    bool six = strchr(m->peer, ':') != NULL;
    const char *name = arena_printf(m->arena, "[%s]", m->peer), *address = arena_printf(m->arena, "%s%s", six ? "IPv6:" : "", m->peer);
    milter_put_text(b, slice_of(name ? name : "unknown"));
    buffer_add_char(b, six ? '6' : '4');
    buffer_add_char(b, (char)(unsigned char)(m->peer_port >> 8 & 0xFF));
    buffer_add_char(b, (char)(unsigned char)(m->peer_port & 0xFF));
    milter_put_text(b, slice_of(address ? address : ""));
}

/* A field as libmilter has it: line ends are LF, the blank behind the colon stays where it asked for that. False: there is none any more. */
static bool put_field(struct one *x, struct buffer *b)
{
    struct header_field f;
    if (!header_next(&x->head_left, &f))
        return false;
    milter_put_text(b, f.name);
    struct slice v = f.value;
    if (!(x->protocol & MILTER_LEADING_SPACE) && v.n && v.p[0] == ' ')
        v = slice_after(v, 1);
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] != '\r' && v.p[i] != '\0')
            buffer_add_char(b, v.p[i]);
    buffer_add_char(b, '\0');
    return true;
}

static struct slice body_of(const struct filter_mail *m)
{
    return slice_after(m->content, header_length(m->content));
}

/* Fills x->packet for the step; false: nothing (more) is to be said at it. */
static bool make_packet(struct filter_mail *m, struct one *x, enum step step)
{
    struct buffer *b = &x->packet;
    struct slice chunk;
    milter_begin(b, steps[step].command);
    switch (step) {
    case STEP_OFFER:
        milter_put_number(b, MILTER_VERSION);
        milter_put_number(b, MILTER_ACTIONS);
        milter_put_number(b, MILTER_OFFER);
        break;
    case STEP_CONNECT:
        put_connect(m, b);
        break;
    case STEP_HELO:
        milter_put_text(b, slice_of(m->helo));
        break;
    case STEP_MAIL:
        put_angle(b, m->sender, m->arena);
        break;
    case STEP_RCPT:
        put_angle(b, m->rcpt->text, m->arena);
        break;
    case STEP_HEADERS:
        if (!put_field(x, b))
            return false;
        break;
    case STEP_BODY:
        chunk = slice_first(slice_after(body_of(m), x->body_at), MILTER_CHUNK);
        if (!chunk.n || x->skip_body)
            return false;
        x->body_at += chunk.n;
        buffer_add(b, chunk);
        break;
    default:
        break;
    }
    milter_end(b);
    return !b->failed;
}

/* --- what is answered */

static bool change_recipients(struct filter_mail *m, struct slice text, bool add)
{
    if (text.n > 2 && text.p[0] == '<' && text.p[text.n - 1] == '>')
        text = slice_make(text.p + 1, text.n - 2);
    struct address address;
    if (address_parse(text, m->arena, &address).code != ERROR_NONE)
        return false;
    struct delivery_rcpt *all = arena_alloc(m->arena, (m->n_rcpts + 1) * sizeof *all);
    size_t n = 0;
    bool there = false;
    for (size_t i = 0; all && i < m->n_rcpts; i++) {
        bool same = slice_eq(m->rcpts[i].address.local, address.local) && slice_eq(m->rcpts[i].address.domain, address.domain);
        there |= same;
        if (!same || add)
            all[n++] = m->rcpts[i];
    }
    if (!all || (add && n >= (size_t)m->server->config->max_recipients))
        return false;
    if (add && !there)
        all[n++] = (struct delivery_rcpt){.address = address, .text = arena_copy(m->arena, text), .orcpt = slice_make(NULL, 0)};
    m->rcpts = all;
    m->n_rcpts = n;
    return true;
}

/* One change at the end of the message. False: it is none, or makes no sense. */
static bool modify(struct filter_mail *m, struct milters *s, struct milter_packet p)
{
    struct slice name, value;
    uint32_t n;
    switch (p.command) {
    case 'h':
        return milter_text(&p.data, &name) && milter_text(&p.data, &value) && filter_add_field(m, name, value);
    case 'i':
        return milter_number(&p.data, &n) && milter_text(&p.data, &name) && milter_text(&p.data, &value) && filter_insert_field(m, n, name, value);
    case 'm':
        return milter_number(&p.data, &n) && milter_text(&p.data, &name) && milter_text(&p.data, &value) && filter_change_field(m, n, name, value);
    case 'b':
        if (buffer_length(&s->body) + p.data.n > (size_t)m->server->config->max_message)
            return false;
        s->has_body = true;
        buffer_add(&s->body, p.data);
        return !s->body.failed;
    case '+':
    case '2':
    case '-':
        return milter_text(&p.data, &name) && change_recipients(m, name, p.command != '-');
    case 'e': /* the sender of what leaves is the account's, or a forward's: it is not a milter's to choose */
        filter_note(m, "milter", "asked for another sender, which is not done");
        return true;
    case 'q':
        if (!milter_text(&p.data, &value))
            return false;
        filter_junk(m, "milter", arena_printf(m->arena, "quarantined, into Junk: %.*s", SLICE_ARG(slice_first(value, 200))));
        return true;
    default:
        return false;
    }
}

static void drop(struct one *x)
{
    peer_close(x->peer, SLICE("\0\0\0\1Q"));
    x->peer = NULL;
    x->waits = x->in_mail = false;
    x->next = STEP_OFFER;
}

static void failed(struct filter_mail *m, struct one *x, const char *why)
{
    LOG_EVENT(LOG_WARN, "milter-failed", LOG_ID(m->job), LOG_TEXT("milter", x->where), LOG_WORD("why", why));
    drop(x);
    x->enough = true;
    if (slice_eq(x->policy, SLICE("accept")))
        filter_note(m, "milter", arena_printf(m->arena, "%.*s did not judge: %s", SLICE_ARG(x->where), why));
    else if (slice_eq(x->policy, SLICE("reject")))
        filter_refuse(m, "milter", 550, "5.7.1", "a filter of this server cannot judge the message");
    else
        filter_refuse(m, "milter", 451, "4.7.1", "a filter of this server cannot judge the message, try again later");
}

/* A refusal or an end: for the session (connect, HELO), the message, or the one recipient. */
static void verdict(struct filter_mail *m, struct one *x, struct milter_packet p)
{
    bool session = x->asked <= STEP_HELO;
    struct slice enhanced = SLICE(""), sentence = SLICE("");
    int code = p.command == 'r' ? 550 : p.command == '4' ? 421 : 451;
    if (p.command == 'a' || p.command == 'd') {
        x->enough = true;
        x->let_pass |= session && p.command == 'a';
        if (p.command == 'd')
            filter_discard(m, "milter", arena_printf(m->arena, "discarded by %.*s", SLICE_ARG(x->where)));
        return;
    }
    struct slice text;
    if (p.command == 'y' && (!milter_text(&p.data, &text) || !milter_reply(text, &code, &enhanced, &sentence)))
        code = 451;
    if (session)
        x->code = code;
    x->enough |= x->asked != STEP_RCPT;
    m->close |= p.command == '4';
    filter_refuse(m, "milter", code, arena_printf(m->arena, "%.*s", SLICE_ARG(enhanced)), sentence.n ? arena_printf(m->arena, "%.*s", SLICE_ARG(sentence)) : code >= 500 ? "a filter refused this" : "a filter refused this for now, try again later");
}

static bool agreed(struct one *x, struct slice data)
{
    uint32_t version, actions, protocol;
    if (!milter_number(&data, &version) || !milter_number(&data, &actions) || !milter_number(&data, &protocol) || version < 2 || version > MILTER_VERSION || protocol & ~(uint32_t)MILTER_OFFER)
        return false;
    x->protocol = protocol;
    return true;
}

/* One packet. False: it breaks the protocol. */
static bool take(struct filter_mail *m, struct milters *s, struct one *x, struct milter_packet p)
{
    if (p.command == 'p') {
        peer_deadline(x->peer, m->server->config->milter_timeout);
        return true;
    }
    if (x->asked == STEP_EOM && modify(m, s, p))
        return true;
    x->waits = false;
    peer_deadline(x->peer, 0);
    if (x->asked == STEP_OFFER)
        return p.command == 'O' && agreed(x, p.data);
    if (p.command == 's' && x->asked == STEP_BODY) {
        x->skip_body = true;
        return true;
    }
    if (x->asked == STEP_EOM)
        x->in_mail = false;
    if (p.command == 'c')
        return true;
    if (!p.command || !strchr("adrty4f", p.command))
        return false;
    verdict(m, x, p);
    return true;
}

/* --- one milter through one stage */

static enum filter_run hear(struct filter_mail *m, struct milters *s, struct one *x)
{
    struct milter_packet p;
    while (x->waits) {
        bool over = peer_is_over(x->peer);
        struct slice in = peer_input(x->peer);
        int64_t n = milter_packet_read(in, &p);
        if (n == 0 && !over)
            return FILTER_WAIT;
        if (n <= 0 || !take(m, s, x, p)) {
            failed(m, x, n ? "it breaks the protocol" : "it does not answer");
            return FILTER_DONE;
        }
        peer_take(x->peer, (size_t)n);
    }
    return FILTER_DONE;
}

static void said(struct filter_mail *m, struct one *x, enum step step)
{
    x->asked = step;
    x->in_mail |= step == STEP_MAIL;
    x->waits = !steps[step].mute || !(x->protocol & steps[step].mute);
    if (x->waits)
        peer_deadline(x->peer, m->server->config->milter_timeout);
    buffer_clear(&x->packet);
    if (step != STEP_HEADERS && step != STEP_BODY)
        x->next = step + 1;
}

/* Says the next thing. WAIT: the way is full. */
static enum filter_run say(struct filter_mail *m, struct one *x, enum step last)
{
    while (!x->waits && x->next <= last) {
        enum step step = x->next;
        if (x->protocol & steps[step].no || (!buffer_length(&x->packet) && !make_packet(m, x, step))) {
            buffer_clear(&x->packet);
            x->in_mail |= step == STEP_MAIL;
            x->next++;
            continue;
        }
        if (step != STEP_OFFER && step != STEP_HEADERS && step != STEP_BODY && step != STEP_DATA && !send_macros(m, x, step) && !peer_is_over(x->peer))
            return FILTER_WAIT;
        if (!peer_send(x->peer, buffer_slice(&x->packet))) {
            if (!peer_is_over(x->peer))
                return FILTER_WAIT;
            failed(m, x, "it went away");
            return FILTER_DONE;
        }
        said(m, x, step);
    }
    return FILTER_DONE;
}

static enum filter_run advance(struct filter_mail *m, struct milters *s, struct one *x, enum step last)
{
    if (!x->peer && !x->enough) {
        struct error e = peer_open(m->server->net, x->where, m->wake, m->wake_arg, &x->peer);
        x->next = STEP_OFFER;
        x->protocol = 0;
        if (e.code != ERROR_NONE)
            failed(m, x, e.text);
    }
    while (!x->enough && !m->code) {
        if (hear(m, s, x) == FILTER_WAIT || (!x->enough && !m->code && !x->waits && say(m, x, last) == FILTER_WAIT))
            return FILTER_WAIT;
        if (!x->waits && x->next > last)
            break;
    }
    return FILTER_DONE;
}

/* The next one reads what this one changed. */
static void flatten(struct filter_mail *m, struct milters *s)
{
    struct buffer out = {0};
    if (s->has_body)
        m->body = arena_copy(m->arena, buffer_slice(&s->body));
    if ((m->edits || m->body.p) && m->content.n < FLATTEN_MAX && filter_rewrite(m, &out).code == ERROR_NONE) {
        struct slice content = arena_copy(m->arena, buffer_slice(&out));
        if (content.p) {
            m->content = content;
            m->edits = m->last_edit = NULL;
            m->body = slice_make(NULL, 0);
            m->changed = true;
        }
    }
    s->has_body = false;
    buffer_free(&s->body);
    buffer_free(&out);
}

static void begin_stage(struct filter_mail *m, struct milters *s, enum filter_stage stage)
{
    s->begun = true;
    s->at = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct one *x = &s->all[i];
        if (stage == FILTER_MAIL) {
            x->enough = x->let_pass;
            x->next = x->peer && x->next > STEP_MAIL ? STEP_MAIL : x->next;
            if (x->code)
                filter_refuse(m, "milter", x->code, "", "a filter refused this session");
        } else if (stage == FILTER_RCPT) {
            x->next = STEP_RCPT;
        } else {
            x->next = STEP_DATA;
        }
    }
    if (stage == FILTER_END)
        flatten(m, s);
}

static struct milters *begin_session(const char *text)
{
    struct milters *s = calloc(1, sizeof *s);
    struct slice rest = slice_of(text);
    while (s && rest.n && s->n < MILTERS_MAX) {
        struct slice one = slice_first(rest, slice_find(rest, ','));
        rest = slice_after(rest, one.n + 1);
        size_t equal = slice_find(one, '=');
        s->all[s->n].where = slice_trim(slice_first(one, equal));
        s->all[s->n].policy = slice_trim(slice_after(one, equal + 1));
        s->n += s->all[s->n].where.n > 0;
    }
    return s;
}

static enum filter_run run(struct filter_mail *m, enum filter_stage stage, void **state)
{
    static const enum step last[] = {[FILTER_MAIL] = STEP_MAIL, [FILTER_RCPT] = STEP_RCPT, [FILTER_END] = STEP_EOM};
    if (!*state && !(*state = begin_session(m->server->config->filter_milters)))
        return FILTER_DONE;
    struct milters *s = *state;
    if (!s->begun)
        begin_stage(m, s, stage);
    for (; s->at < s->n && !m->code; s->at++) {
        struct one *x = &s->all[s->at];
        if (stage == FILTER_END && !x->head_left.p) {
            x->head_left = slice_first(m->content, header_length(m->content));
            x->body_at = 0;
            x->skip_body = false;
        }
        if (advance(m, s, x, last[stage]) == FILTER_WAIT)
            return FILTER_WAIT;
        x->head_left = slice_make(NULL, 0);
        if (stage == FILTER_END)
            flatten(m, s);
    }
    s->begun = false;
    return FILTER_DONE;
}

static bool wanted(const struct config *c, const struct filter_mail *m)
{
    return c->filter_milters[0] && m->source != FILTER_FROM_LMTP;
}

/* The transaction is over: who is in the middle of a message, or of an answer, starts anew. */
static void reset(void *state)
{
    struct milters *s = state;
    for (size_t i = 0; i < s->n; i++) {
        struct one *x = &s->all[i];
        if (x->peer && x->waits)
            drop(x);
        else if (x->peer && x->in_mail && !peer_send(x->peer, SLICE("\0\0\0\1A")))
            drop(x);
        x->in_mail = false;
        x->head_left = slice_make(NULL, 0);
        buffer_clear(&x->packet);
    }
    s->begun = s->has_body = false;
    buffer_free(&s->body);
}

static void end(void *state)
{
    struct milters *s = state;
    for (size_t i = 0; i < s->n; i++) {
        drop(&s->all[i]);
        buffer_free(&s->all[i].packet);
    }
    buffer_free(&s->body);
    free(s);
}

const struct filter filter_milter = {.name = "milter", .wanted = wanted, .run = run, .reset = reset, .close = end};
