/* mail/smtp/envelope.c -- MAIL and its parameters; whose address may be the sender */
#include <stdio.h>

#include "core/clock.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/smtp/internal.h"
#include "mail/trace/trace.h"

bool smtp_has_8bit(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

struct mail_parameters {
    unsigned seen; /* a bit for each row */
    int flags;
    enum body_type body;
    uint64_t size;
    struct slice envid;
    struct arena *mending; /* submission: where a parameter is mended in; else NULL */
};

static const char *read_size(struct slice value, struct mail_parameters *p)
{
    return slice_number(value, UINT64_MAX, &p->size) ? NULL : "SIZE takes a number";
}

static const char *read_body(struct slice value, struct mail_parameters *p)
{
    p->body = slice_eq_nocase(value, SLICE("BINARYMIME")) ? BODY_BINARYMIME : slice_eq_nocase(value, SLICE("8BITMIME")) ? BODY_8BITMIME : BODY_7BIT;
    p->flags |= p->body == BODY_BINARYMIME ? DELIVERY_BINARY : p->body == BODY_8BITMIME ? DELIVERY_8BIT : 0;
    return p->body != BODY_7BIT || slice_eq_nocase(value, SLICE("7BIT")) ? NULL : "BODY is 7BIT, 8BITMIME or BINARYMIME";
}

static const char *read_smtputf8(struct slice value, struct mail_parameters *p)
{
    p->flags |= DELIVERY_SMTPUTF8;
    return value.p ? "SMTPUTF8 takes no value" : NULL;
}

static const char *read_requiretls(struct slice value, struct mail_parameters *p)
{
    p->flags |= DELIVERY_REQUIRETLS;
    return value.p ? "REQUIRETLS takes no value" : NULL;
}

static const char *read_ret(struct slice value, struct mail_parameters *p)
{
    int full = slice_eq_nocase(value, SLICE("FULL"));
    p->flags |= full ? DELIVERY_RET_FULL : DELIVERY_RET_HDRS;
    return full || slice_eq_nocase(value, SLICE("HDRS")) ? NULL : "RET is FULL or HDRS";
}

static const char *read_envid(struct slice value, struct mail_parameters *p)
{
    p->envid = value;
    if (value.n <= 100 && !path_xtext_ok(value, 100) && p->mending)
        p->envid = path_xtext_of(value, p->mending); /* Thunderbird sends its Message-ID as it is (clients.md S2) */
    return path_xtext_ok(p->envid, 300) && value.n <= 100 ? NULL : "ENVID is xtext of at most 100 characters";
}

/* RFC 4954 5: who sends it is decided by his login, so it is checked and not kept. */
static const char *read_auth(struct slice value, struct mail_parameters *p)
{
    (void)p;
    return path_xtext_ok(value, 500) ? NULL : "AUTH is xtext";
}

static const struct {
    struct slice word;
    const char *(*read)(struct slice value, struct mail_parameters *p); /* NULL: fine; else what is wrong */
    const char *specification;
} mail_rows[] = {
    {{"SIZE", 4}, read_size, "RFC 1870 6.1"},         {{"BODY", 4}, read_body, "RFC 6152 2, 3030 3"}, {{"SMTPUTF8", 8}, read_smtputf8, "RFC 6531 3.4"},
    {{"REQUIRETLS", 10}, read_requiretls, "RFC 8689 2"}, {{"RET", 3}, read_ret, "RFC 3461 4.3"},      {{"ENVID", 5}, read_envid, "RFC 3461 4.4"},
    {{"AUTH", 4}, read_auth, "RFC 4954 5"},
};

/* Each parameter once; the reply's code when it is not so. */
static int read_mail_parameters(struct slice args, struct mail_parameters *p, const char **wrong)
{
    struct slice key, value;
    while (path_parameter(&args, &key, &value)) {
        size_t i = 0, n = sizeof mail_rows / sizeof mail_rows[0];
        while (i < n && !slice_eq_nocase(key, mail_rows[i].word))
            i++;
        *wrong = i == n ? "that parameter is not known" : p->seen >> i & 1 ? "a parameter stands there twice" : mail_rows[i].read(value, p);
        if (*wrong)
            return i == n ? 555 : 501;
        p->seen |= 1U << i;
    }
    return 0;
}

/* The second half of MAIL. */
static enum run sender_filtered(struct connection *c)
{
    struct smtp_session *s = c->session;
    if (s->mail.code) {
        smtp_filter_refuse(c, SLICE(""));
        smtp_reply(c, s->mail.code, s->mail.enhanced, s->mail.text);
        smtp_transaction_reset(s);
        return RUN_NEXT;
    }
    smtp_reply(c, 250, "2.1.0", "sender accepted");
    return RUN_NEXT;
}

static enum run accept_sender(struct connection *c, const struct path *from, const struct mail_parameters *p)
{
    struct smtp_session *s = c->session;
    s->sender = from->text.n ? arena_copy(&s->arena, from->text) : SLICE("");
    if (!s->sender.p)
        return smtp_bad(c, 451, "4.3.0", "no memory, try again later");
    s->has_sender = 1;
    s->size = p->size <= INT64_MAX ? (int64_t)p->size : INT64_MAX;
    s->body = p->body;
    s->flags = p->flags;
    if (p->envid.p)
        s->envid = arena_copy(&s->arena, p->envid);
    (void)snprintf(s->job, sizeof s->job, "%s.%llx", c->id, (unsigned long long)clock_us() & 0xFFFFFFFFFU);
    return smtp_filters(c, FILTER_MAIL, sender_filtered);
}

/* May this session use this sender: submission only with an address of the account; from outside never with one of ours. */
static struct error sender_allowed(struct connection *c, const struct path *from)
{
    struct smtp_session *s = c->session;
    struct domain domain;
    struct error e = OK;
    if (from->kind != PATH_ADDRESS || (s->kind == SMTP_LMTP) || (s->kind == SMTP_MX && c->loopback))
        return OK; /* applications on this machine send through port 25 as the host's own mail */
    struct sql *db = store_reader(s->server->store);
    struct sending how;
    if (s->kind == SMTP_SUBMISSION)
        e = address_sending(db, s->account, &from->address, &how); /* also on behalf: trace.c sees to Sender */
    else if (s->server->config->own_senders == OWN_SENDERS_REFUSE && domain_find(db, from->address.domain, &c->arena, &domain).code == ERROR_NONE)
        e = error_make(ERROR_DENIED, "senders of this domain must log in (port 587 or 465)"); /* attacks.md SI-32 */
    store_reader_return(&db);
    return e;
}

enum run smtp_mail(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    struct mail_parameters p = {.envid = slice_make(NULL, 0), .mending = s->kind == SMTP_SUBMISSION ? &s->arena : NULL};
    struct path from;
    const char *wrong;
    if (s->has_sender)
        return smtp_bad(c, 503, "5.5.1", "a sender was given already; RSET forgets it");
    if (s->kind == SMTP_SUBMISSION && !s->account)
        return smtp_bad(c, 530, "5.7.0", "log in first");
    if (!slice_starts_nocase(args, SLICE("FROM:")))
        return smtp_bad(c, 501, "5.5.4", "syntax: MAIL FROM:<address>");
    args = slice_after(args, 5);
    int eight = smtp_has_8bit(args);
    if (path_read(&args, s->kind == SMTP_SUBMISSION ? PATH_LENIENT : PATH_STRICT, &c->arena, &from).code != ERROR_NONE || from.kind == PATH_POSTMASTER)
        return smtp_bad(c, 501, "5.1.7", "syntax: MAIL FROM:<local-part@domain>");
    int code = read_mail_parameters(args, &p, &wrong);
    if (code)
        return smtp_bad(c, code, "5.5.4", wrong);
    if (p.flags & DELIVERY_REQUIRETLS && !c->tls)
        return smtp_bad(c, 530, "5.7.10", "REQUIRETLS needs TLS"); /* RFC 8689 2: it is offered only then */
    if (eight && !(p.flags & DELIVERY_SMTPUTF8))
        return smtp_bad(c, 553, "5.6.7", "an address outside ASCII needs SMTPUTF8");
    if (p.size > (uint64_t)s->server->config->max_message) {
        smtp_reply(c, 552, "5.3.4", "the message is larger than this server takes"); /* clients.md S12 */
        return RUN_NEXT;
    }
    struct error e = sender_allowed(c, &from);
    if (e.code != ERROR_NONE) {
        const char *why = arena_printf(&c->arena, "as sender: %s (asked by %s [%s])", e.text ? e.text : "", s->helo, c->peer);
        trace_later(TRACE_REFUSED, slice_of(c->id), SLICE(""), from.text, SLICE(""), slice_of(why ? why : ""));
        smtp_reply_error(c, e);
        return RUN_NEXT;
    }
    return smtp_sending_mail(c) ? accept_sender(c, &from, &p) : RUN_NEXT;
}
