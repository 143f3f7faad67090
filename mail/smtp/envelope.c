/* mail/smtp/envelope.c -- MAIL and RCPT with their parameters */
#include <stdio.h>

#include "core/clock.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/smtp/internal.h"

static bool has_8bit(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

struct mail_parameters {
    int seen_size, seen_body, seen_ret, seen_envid, seen_auth, flags;
    enum body_type body;
    uint64_t size;
    struct slice envid;
};

/* NULL: fine; else what is wrong. */
static const char *read_mail_parameter(struct connection *c, struct slice key, struct slice value, struct mail_parameters *p)
{
    if (slice_eq_nocase(key, SLICE("SIZE")) && !p->seen_size++)
        return slice_number(value, UINT64_MAX, &p->size) ? NULL : "SIZE takes a number";
    if (slice_eq_nocase(key, SLICE("BODY")) && !p->seen_body++) {
        p->body = slice_eq_nocase(value, SLICE("BINARYMIME")) ? BODY_BINARYMIME : slice_eq_nocase(value, SLICE("8BITMIME")) ? BODY_8BITMIME : BODY_7BIT;
        p->flags |= p->body == BODY_BINARYMIME ? DELIVERY_BINARY : p->body == BODY_8BITMIME ? DELIVERY_8BIT : 0;
        return p->body != BODY_7BIT || slice_eq_nocase(value, SLICE("7BIT")) ? NULL : "BODY is 7BIT, 8BITMIME or BINARYMIME";
    }
    if (slice_eq_nocase(key, SLICE("SMTPUTF8")) && !value.p) {
        p->flags |= DELIVERY_SMTPUTF8;
        return NULL;
    }
    if (slice_eq_nocase(key, SLICE("REQUIRETLS")) && !value.p) {
        p->flags |= DELIVERY_REQUIRETLS;
        return c->tls ? NULL : "REQUIRETLS needs TLS";
    }
    if (slice_eq_nocase(key, SLICE("RET")) && !p->seen_ret++) {
        int full = slice_eq_nocase(value, SLICE("FULL"));
        p->flags |= full ? DELIVERY_RET_FULL : DELIVERY_RET_HDRS;
        return full || slice_eq_nocase(value, SLICE("HDRS")) ? NULL : "RET is FULL or HDRS";
    }
    if (slice_eq_nocase(key, SLICE("ENVID")) && !p->seen_envid++) {
        p->envid = value;
        return path_xtext_ok(value, 100) ? NULL : "ENVID is xtext of at most 100 characters";
    }
    if (slice_eq_nocase(key, SLICE("AUTH")) && !p->seen_auth++)
        return path_xtext_ok(value, 500) ? NULL : "AUTH is xtext"; /* RFC 4954 5: who sends it is decided by his login, so it is not kept */
    return "unknown or repeated parameter";
}

static enum run accept_sender(struct connection *c, enum path_kind kind, const struct address *from, const struct mail_parameters *p)
{
    struct smtp_session *s = c->session;
    s->sender = SLICE("");
    if (kind == PATH_ADDRESS) {
        char *text = address_text(from, &s->arena);
        if (!text)
            return smtp_bad(c, 451, "4.3.0", "no memory, try again later");
        s->sender = slice_of(text);
    }
    s->has_sender = 1;
    s->body = p->body;
    s->flags = p->flags;
    if (p->envid.p)
        s->envid = arena_copy(&s->arena, p->envid);
    (void)snprintf(s->job, sizeof s->job, "%s.%llx", c->id, (unsigned long long)clock_us() & 0xFFFFFFFFFU);
    smtp_reply(c, 250, "2.1.0", "sender accepted");
    return RUN_NEXT;
}

/* May this session use this sender: submission only with an address of the account; from outside never with one of ours. */
static struct error sender_allowed(struct connection *c, enum path_kind kind, const struct address *from)
{
    struct smtp_session *s = c->session;
    struct domain domain;
    struct error e = OK;
    if (kind != PATH_ADDRESS || (s->kind == SMTP_LMTP) || (s->kind == SMTP_MX && c->loopback))
        return OK; /* applications on this machine send through port 25 as the host's own mail */
    struct sql *db = store_reader(s->server->store);
    if (s->kind == SMTP_SUBMISSION)
        e = address_owned(db, s->account, from);
    else if (domain_find(db, from->domain, &c->arena, &domain).code == ERROR_NONE)
        e = error_make(ERROR_DENIED, "senders of this domain must log in (port 587 or 465)"); /* attacks.md SI-32 */
    store_reader_return(&db);
    return e;
}

enum run smtp_mail(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    struct mail_parameters p = {.envid = slice_make(NULL, 0)};
    enum path_kind kind;
    struct address from;
    struct slice key, value;
    if (s->has_sender)
        return smtp_bad(c, 503, "5.5.1", "a sender was given already; RSET forgets it");
    if (s->kind == SMTP_SUBMISSION && !s->account)
        return smtp_bad(c, 530, "5.7.0", "log in first");
    if (!slice_starts_nocase(args, SLICE("FROM:")))
        return smtp_bad(c, 501, "5.5.4", "syntax: MAIL FROM:<address>");
    args = slice_after(args, 5);
    int eight = has_8bit(args);
    if (path_read(&args, s->kind == SMTP_SUBMISSION ? PATH_LENIENT : PATH_STRICT, &s->arena, &kind, &from).code != ERROR_NONE || kind == PATH_POSTMASTER)
        return smtp_bad(c, 501, "5.1.7", "syntax: MAIL FROM:<local-part@domain>");
    while (path_parameter(&args, &key, &value)) {
        const char *wrong = read_mail_parameter(c, key, value, &p);
        if (wrong)
            return smtp_bad(c, slice_starts(slice_of(wrong), SLICE("unknown")) ? 555 : 501, "5.5.4", wrong);
    }
    if (eight && !(p.flags & DELIVERY_SMTPUTF8))
        return smtp_bad(c, 553, "5.6.7", "an address outside ASCII needs SMTPUTF8");
    if (p.size > (uint64_t)s->server->config->max_message) {
        smtp_reply(c, 552, "5.3.4", "the message is larger than this server takes"); /* clients.md S12 */
        return RUN_NEXT;
    }
    struct error e = sender_allowed(c, kind, &from);
    if (e.code != ERROR_NONE) {
        smtp_reply_error(c, e);
        return RUN_NEXT;
    }
    return accept_sender(c, kind, &from, &p);
}

/* --- RCPT */

static const char *read_notify(struct slice value, int *notify)
{
    static const struct {
        struct slice word;
        int bit;
    } words[] = {{{"NEVER", 5}, NOTIFY_NEVER}, {{"SUCCESS", 7}, NOTIFY_SUCCESS}, {{"FAILURE", 7}, NOTIFY_FAILURE}, {{"DELAY", 5}, NOTIFY_DELAY}};
    while (value.n) {
        struct slice one = slice_first(value, slice_find(value, ','));
        int bit = 0;
        value = slice_after(value, one.n + 1);
        for (size_t i = 0; i < 4; i++)
            if (slice_eq_nocase(one, words[i].word))
                bit = words[i].bit;
        if (!bit || *notify & bit)
            return "NOTIFY is NEVER, or SUCCESS, FAILURE and DELAY";
        *notify |= bit;
    }
    return *notify && (*notify == NOTIFY_NEVER || !(*notify & NOTIFY_NEVER)) ? NULL : "NOTIFY is NEVER, or SUCCESS, FAILURE and DELAY";
}

static const char *read_rcpt_parameters(struct slice args, struct delivery_rcpt *r)
{
    struct slice key, value;
    int seen_notify = 0, seen_orcpt = 0;
    while (path_parameter(&args, &key, &value)) {
        if (slice_eq_nocase(key, SLICE("NOTIFY")) && value.p && !seen_notify++) {
            const char *wrong = read_notify(value, &r->notify);
            if (wrong)
                return wrong;
        } else if (slice_eq_nocase(key, SLICE("ORCPT")) && value.p && !seen_orcpt++) {
            size_t semicolon = slice_find(value, ';');
            if (semicolon == 0 || semicolon == value.n || !path_xtext_ok(slice_after(value, semicolon + 1), 500))
                return "ORCPT is type;xtext";
            r->orcpt = value;
        } else {
            return "unknown or repeated parameter";
        }
    }
    return NULL;
}

static bool is_double(const struct smtp_session *s, const struct address *x)
{
    for (size_t i = 0; i < s->n_rcpts; i++)
        if (slice_eq(s->rcpts[i].address.local, x->local) && slice_eq(s->rcpts[i].address.domain, x->domain))
            return true;
    return false;
}

static struct error keep(struct smtp_session *s, const struct delivery_rcpt *r)
{
    if (s->n_rcpts == s->room_rcpts) {
        size_t room = s->room_rcpts ? s->room_rcpts * 2 : 8;
        s->rcpts = arena_grow(&s->arena, s->rcpts, s->room_rcpts * sizeof *s->rcpts, room * sizeof *s->rcpts);
        s->room_rcpts = room;
        if (!s->rcpts)
            return error_make(ERROR_MEMORY, "no memory for recipients");
    }
    s->rcpts[s->n_rcpts] = *r;
    if (r->orcpt.p)
        s->rcpts[s->n_rcpts].orcpt = arena_copy(&s->arena, r->orcpt);
    s->n_rcpts++;
    return OK;
}

static struct error check_rcpt(struct connection *c, const struct address *to)
{
    struct smtp_session *s = c->session;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = delivery_check(db, to, 0, &c->arena);
    if (e.code != ERROR_UNSUPPORTED)
        return e;
    return s->account ? OK : error_make(ERROR_DENIED, "relaying denied: the domain is not served here");
}

enum run smtp_rcpt(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    struct delivery_rcpt r = {.orcpt = slice_make(NULL, 0)};
    enum path_kind kind;
    if (!slice_starts_nocase(args, SLICE("TO:")))
        return smtp_bad(c, 501, "5.5.4", "syntax: RCPT TO:<address>");
    if (s->bdat_started)
        return smtp_bad(c, 503, "5.5.1", "the message has begun");
    args = slice_after(args, 3);
    if (has_8bit(args) && !(s->flags & DELIVERY_SMTPUTF8))
        return smtp_bad(c, 553, "5.6.7", "an address outside ASCII needs SMTPUTF8");
    if (path_read(&args, s->kind == SMTP_SUBMISSION ? PATH_LENIENT : PATH_STRICT, &s->arena, &kind, &r.address).code != ERROR_NONE || kind == PATH_EMPTY)
        return smtp_bad(c, 501, "5.1.3", "syntax: RCPT TO:<local-part@domain>");
    const char *wrong = read_rcpt_parameters(args, &r);
    if (wrong)
        return smtp_bad(c, slice_starts(slice_of(wrong), SLICE("unknown")) ? 555 : 501, "5.5.4", wrong);
    if (s->n_rcpts >= (size_t)s->server->config->max_recipients) {
        smtp_reply(c, 452, "4.5.3", "too many recipients, send the others in a second message");
        return RUN_NEXT;
    }
    struct error e = is_double(s, &r.address) && s->kind != SMTP_LMTP ? OK : check_rcpt(c, &r.address);
    if (e.code == ERROR_NONE && (s->kind == SMTP_LMTP || !is_double(s, &r.address)))
        e = keep(s, &r);
    if (e.code == ERROR_NONE) {
        smtp_reply(c, 250, "2.1.5", "recipient accepted");
        return RUN_NEXT;
    }
    metric_add(METRIC_MAIL_REFUSED, 1);
    LOG_EVENT(LOG_INFO, "recipient-refused", LOG_ID(s->job), LOG_TEXT("from", s->sender), LOG_WORD("to", address_text(&r.address, &c->arena)), LOG_WORD("peer", c->peer), LOG_FAILURE(e));
    smtp_reply_error(c, e);
    if (e.code == ERROR_NOT_FOUND && s->kind == SMTP_MX && ++s->unknown_rcpts >= UNKNOWN_RCPTS_MAX) {
        smtp_reply(c, 421, "4.7.0", "too many unknown recipients, closing"); /* attacks.md SI-26 */
        return RUN_CLOSE;
    }
    return RUN_NEXT;
}
