/* mail/smtp/recipient.c -- RCPT and its parameters; each mailbox once; strangers who guess names */
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/smtp/harvest.h"
#include "mail/smtp/internal.h"
#include "mail/trace/trace.h"

static const char *read_notify(struct slice value, int *notify)
{
    static const struct {
        struct slice word;
        int bit;
    } words[] = {{{"NEVER", 5}, NOTIFY_NEVER}, {{"SUCCESS", 7}, NOTIFY_SUCCESS}, {{"FAILURE", 7}, NOTIFY_FAILURE}, {{"DELAY", 5}, NOTIFY_DELAY}};
    static const char syntax[] = "NOTIFY is NEVER, or SUCCESS, FAILURE and DELAY";
    do {
        struct slice one = slice_first(value, slice_find(value, ','));
        int bit = 0;
        if (one.n < value.n && one.n + 1 == value.n)
            return syntax; /* nothing behind the last comma */
        value = slice_after(value, one.n + 1);
        for (size_t i = 0; i < 4; i++)
            if (slice_eq_nocase(one, words[i].word))
                bit = words[i].bit;
        if (!bit || *notify & bit)
            return syntax;
        *notify |= bit;
    } while (value.n);
    return *notify == NOTIFY_NEVER || !(*notify & NOTIFY_NEVER) ? NULL : syntax;
}

/* RFC 3461 4.2: type;xtext. The type is an atom (RFC 6533 3 adds utf-8, whose text may be UTF-8 where SMTPUTF8 was said). */
static bool orcpt_ok(struct slice value, int flags)
{
    size_t semicolon = slice_find(value, ';');
    struct slice text = slice_after(value, semicolon + 1);
    if (semicolon == 0 || semicolon == value.n || text.n == 0 || text.n > 500)
        return false;
    for (size_t i = 0; i < semicolon; i++)
        if (!ascii_is_alnum(value.p[i]) && value.p[i] != '-')
            return false;
    if (!slice_eq_nocase(slice_first(value, semicolon), SLICE("utf-8")))
        return path_xtext_ok(text, 500);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char ch = (unsigned char)text.p[i];
        if (ch <= 0x20 || ch == 0x7F || (ch >= 0x80 && !(flags & DELIVERY_SMTPUTF8)))
            return false;
    }
    return true;
}

/* The reply's code when a parameter is wrong, else 0. */
static int read_rcpt_parameters(struct slice args, int flags, struct delivery_rcpt *r, const char **wrong)
{
    struct slice key, value;
    int seen_notify = 0, seen_orcpt = 0;
    while (path_parameter(&args, &key, &value)) {
        if (slice_eq_nocase(key, SLICE("NOTIFY"))) {
            *wrong = seen_notify++ ? "NOTIFY stands there twice" : value.p ? read_notify(value, &r->notify) : "NOTIFY takes a value";
        } else if (slice_eq_nocase(key, SLICE("ORCPT"))) {
            *wrong = seen_orcpt++ ? "ORCPT stands there twice" : value.p && orcpt_ok(value, flags) ? NULL : "ORCPT is type;xtext";
            r->orcpt = value;
        } else {
            *wrong = "that parameter is not known";
            return 555;
        }
        if (*wrong)
            return 501;
    }
    return 0;
}

/* --- each recipient once: a table of places + 1 in s->rcpts, at most half full */

static size_t home_of(const struct smtp_session *s, const struct address *x)
{
    uint64_t h = 1469598103934665603U; /* FNV-1a: whoever may add many names here has logged in or stands in lmtp.addresses */
    for (size_t i = 0; i < x->local.n; i++)
        h = (h ^ (unsigned char)x->local.p[i]) * 1099511628211U;
    for (size_t i = 0; i < x->domain.n; i++)
        h = (h ^ (unsigned char)x->domain.p[i]) * 1099511628211U;
    return (size_t)(h ^ h >> 29) & (s->room_places - 1);
}

/* The place of an address in the table: it holds 0, or the number of an equal one. */
static uint32_t *place_of(const struct smtp_session *s, const struct address *x)
{
    size_t i = home_of(s, x);
    while (s->places[i]) {
        const struct address *y = &s->rcpts[s->places[i] - 1].address;
        if (slice_eq(y->local, x->local) && slice_eq(y->domain, x->domain))
            break;
        i = (i + 1) & (s->room_places - 1);
    }
    return &s->places[i];
}

static bool is_double(const struct smtp_session *s, const struct address *x)
{
    return s->room_places && *place_of(s, x) != 0;
}

static struct error make_room(struct smtp_session *s)
{
    if (s->n_rcpts < s->room_rcpts)
        return OK;
    size_t room = s->room_rcpts ? s->room_rcpts * 2 : 8;
    s->rcpts = arena_grow(&s->arena, s->rcpts, s->room_rcpts * sizeof *s->rcpts, room * sizeof *s->rcpts);
    s->places = arena_zero(&s->arena, room * 2, sizeof *s->places);
    if (!s->rcpts || !s->places) {
        s->room_rcpts = s->room_places = s->n_rcpts = 0;
        return error_make(ERROR_MEMORY, "no memory for recipients");
    }
    s->room_rcpts = room;
    s->room_places = room * 2;
    for (size_t i = 0; i < s->n_rcpts; i++) {
        uint32_t *place = place_of(s, &s->rcpts[i].address);
        if (!*place)
            *place = (uint32_t)i + 1;
    }
    return OK;
}

static struct error keep(struct smtp_session *s, const struct delivery_rcpt *r)
{
    TRY(make_room(s));
    struct delivery_rcpt *to = &s->rcpts[s->n_rcpts];
    *to = *r;
    to->address.local = arena_copy(&s->arena, r->address.local);
    to->address.domain = arena_copy(&s->arena, r->address.domain);
    to->text = arena_copy(&s->arena, r->text);
    if (r->orcpt.p)
        to->orcpt = arena_copy(&s->arena, r->orcpt);
    if (!to->address.local.p || !to->address.domain.p || !to->text.p || (r->orcpt.p && !to->orcpt.p))
        return error_make(ERROR_MEMORY, "no memory for recipients");
    uint32_t *place = place_of(s, &to->address);
    s->n_rcpts++;
    if (!*place)
        *place = (uint32_t)s->n_rcpts;
    return OK;
}

static struct error check_rcpt(struct connection *c, const struct address *to)
{
    struct smtp_session *s = c->session;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct delivery_asked asked = {s->size, s->sender, s->account};
    struct error e = delivery_check(db, to, &asked, &c->arena);
    if (e.code != ERROR_UNSUPPORTED)
        return e;
    return s->account ? OK : error_make(ERROR_DENIED, "relaying denied: the domain is not served here");
}

/* attacks.md SI-26: who guesses names is slowed down, then sent away; and comes back to a shorter patience. */
static enum run guesser(struct connection *c)
{
    struct smtp_session *s = c->session;
    int of_network = c->loopback ? 0 : harvest_note(c->peer);
    if (++s->unknown_rcpts >= UNKNOWN_RCPTS_MAX || of_network > HARVEST_NETWORK_MAX) {
        smtp_reply(c, 421, "4.7.0", "too many unknown recipients, closing");
        return RUN_CLOSE;
    }
    if (c->loopback || s->unknown_rcpts < UNKNOWN_RCPTS_FREE)
        return RUN_NEXT;
    c->delay_ms = 250 * (s->unknown_rcpts - UNKNOWN_RCPTS_FREE + 1);
    return RUN_DELAY;
}

/* "no such user here (asked by 192.0.2.1)" */
static struct slice trace_words_of(struct connection *c, struct error e)
{
    const char *text = arena_printf(&c->arena, "%s (asked by %s [%s])", e.text ? e.text : error_word(e.code), ((struct smtp_session *)c->session)->helo, c->peer);
    return slice_of(text ? text : "");
}

static enum run refuse(struct connection *c, const struct address *to, struct error e)
{
    struct smtp_session *s = c->session;
    metric_add(METRIC_MAIL_REFUSED, 1);
    LOG_EVENT(LOG_INFO, "recipient-refused", LOG_ID(s->job), LOG_TEXT("from", s->sender), LOG_WORD("to", address_text(to, &c->arena)), LOG_WORD("peer", c->peer), LOG_FAILURE(e));
    const char *text = address_text(to, &c->arena);
    trace_later(TRACE_REFUSED, slice_of(s->job), SLICE(""), s->sender, slice_of(text ? text : ""), trace_words_of(c, e));
    smtp_reply_error(c, e);
    return e.code == ERROR_NOT_FOUND && s->kind == SMTP_MX ? guesser(c) : RUN_NEXT;
}

static enum run take(struct connection *c, const struct delivery_rcpt *r)
{
    struct error e = keep(c->session, r);
    if (e.code != ERROR_NONE)
        return refuse(c, &r->address, e);
    smtp_reply(c, 250, "2.1.5", "recipient accepted");
    return RUN_NEXT;
}

/* The second half of RCPT. */
static enum run rcpt_filtered(struct connection *c)
{
    struct smtp_session *s = c->session;
    if (!s->mail.code)
        return take(c, &s->pending);
    smtp_filter_refuse(c, s->pending.text);
    smtp_reply(c, s->mail.code, s->mail.enhanced, s->mail.text);
    return RUN_NEXT;
}

/* It may wait, so it must not lie in the input. */
static enum run ask_filters(struct connection *c, const struct delivery_rcpt *r)
{
    struct smtp_session *s = c->session;
    s->pending = *r;
    s->pending.address.local = arena_copy(&s->arena, r->address.local);
    s->pending.address.domain = arena_copy(&s->arena, r->address.domain);
    s->pending.text = arena_copy(&s->arena, r->text);
    if (r->orcpt.p)
        s->pending.orcpt = arena_copy(&s->arena, r->orcpt);
    if (!s->pending.address.local.p || !s->pending.address.domain.p || !s->pending.text.p || (r->orcpt.p && !s->pending.orcpt.p))
        return refuse(c, &r->address, error_make(ERROR_MEMORY, "no memory for recipients"));
    s->mail.rcpt = &s->pending;
    return smtp_filters(c, FILTER_RCPT, rcpt_filtered);
}

enum run smtp_rcpt(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    struct delivery_rcpt r = {.orcpt = slice_make(NULL, 0)};
    struct path to;
    const char *wrong;
    if (!slice_starts_nocase(args, SLICE("TO:")))
        return smtp_bad(c, 501, "5.5.4", "syntax: RCPT TO:<address>");
    if (s->bdat_started)
        return smtp_bad(c, 503, "5.5.1", "the message has begun");
    args = slice_after(args, 3);
    if (smtp_has_8bit(args) && !(s->flags & DELIVERY_SMTPUTF8))
        return smtp_bad(c, 553, "5.6.7", "an address outside ASCII needs SMTPUTF8");
    if (path_read(&args, s->kind == SMTP_SUBMISSION ? PATH_LENIENT : PATH_STRICT, &c->arena, &to).code != ERROR_NONE || to.kind == PATH_EMPTY)
        return smtp_bad(c, 501, "5.1.3", "syntax: RCPT TO:<local-part@domain>");
    r.address = to.address;
    r.text = to.text;
    int code = read_rcpt_parameters(args, s->flags, &r, &wrong);
    if (code)
        return smtp_bad(c, code, "5.5.4", wrong);
    bool again = is_double(s, &r.address);
    if (!again && s->n_rcpts >= (size_t)s->server->config->max_recipients) {
        smtp_reply(c, 452, "4.5.3", "too many recipients, send the others in a second message");
        return RUN_NEXT;
    }
    if (!again && !smtp_sending_rcpt(c))
        return RUN_NEXT;
    struct error e = again ? OK : check_rcpt(c, &r.address);
    if (e.code != ERROR_NONE)
        return refuse(c, &r.address, e);
    if (!again && s->filters)
        return ask_filters(c, &r);
    if (!again || s->kind == SMTP_LMTP) /* RFC 2033 4.2: a reply for each RCPT, also for the same one twice */
        return take(c, &r);
    smtp_reply(c, 250, "2.1.5", "recipient accepted");
    return RUN_NEXT;
}
