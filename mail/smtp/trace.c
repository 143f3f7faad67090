/* mail/smtp/trace.c -- what the server adds at the top of a message, and what a head must be like to be taken
 *
 * Called once, when the head is whole (or too long): writes Return-Path and Received, what a submission lacks, and the head itself into the blob.
 */
#include <stdio.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/net/network.h"
#include "mail/mime/address.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"
#include "mail/smtp/border.h"
#include "mail/smtp/internal.h"

enum { HOPS_MAX = 50, OWN_HOPS_MAX = 25 }; /* RFC 5321 6.3 has 100; attacks.md SO-09 settles a loop sooner; who passes here 25 times is in one, too */
enum { AUTHORS_MAX = 100 };

static void refuse_head(struct smtp_session *s, int code, const char *enhanced, const char *text)
{
    if (s->wrong & WRONG_HEAD)
        return;
    s->wrong |= WRONG_HEAD;
    s->head_code = code;
    s->head_enhanced = enhanced;
    s->head_text = text;
}

/* "with" of RFC 3848 and 6531 4.3. */
static const char *protocol_word(const struct connection *c, const struct smtp_session *s)
{
    static const char *const words[4][4] = {{"ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"}, {"UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"},
                                            {"LMTP", "LMTPA", "LMTPS", "LMTPSA"}, {"UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"}};
    if (!s->esmtp && s->kind != SMTP_LMTP)
        return "SMTP";
    return words[(s->kind == SMTP_LMTP ? 2 : 0) + (s->flags & DELIVERY_SMTPUTF8 ? 1 : 0)][(c->tls ? 2 : 0) + (s->account ? 1 : 0)];
}

static void write_trace(struct connection *c, struct smtp_session *s, struct buffer *out)
{
    const char *tls = connection_tls_text(c, &c->arena);
    buffer_printf(out, "Return-Path: <%.*s>\r\n", SLICE_ARG(s->sender));
    s->return_path = buffer_length(out);
    buffer_printf(out, "Received: from %s (%s%s])\r\n", s->helo[0] ? s->helo : "unknown", strchr(c->peer, ':') ? "[IPv6:" : "[", c->peer);
    if (tls)
        buffer_printf(out, "\t(%s)\r\n", tls);
    buffer_printf(out, "\tby %s (Kantor) with %s id %s", s->server->hostname, protocol_word(c, s), s->job);
    if (s->n_rcpts == 1) {
        const char *to = address_text(&s->rcpts[0].address, &c->arena);
        buffer_printf(out, "\r\n\tfor <%s>", to ? to : "");
    }
    buffer_add(out, SLICE(";\r\n\t"));
    date_write(clock_now(), out);
    buffer_add(out, SLICE("\r\n"));
}

static int count_fields(struct slice head, struct slice name)
{
    struct header_field f;
    int n = 0;
    while (header_next(&head, &f))
        n += slice_eq_nocase(f.name, name);
    return n;
}

/* The author's field may hold an address on whose behalf the account sends; the copy for a shared mailbox goes to the first one's. */
static struct error author_allowed(struct sql *db, struct smtp_session *s, const struct address *x)
{
    struct sending how;
    TRY(address_sending(db, s->account, x, &how));
    s->on_behalf |= how.how == SEND_ON_BEHALF;
    if (!s->sent_for && how.how != SEND_OWN && how.kind == ACCOUNT_SHARED)
        s->sent_for = how.owner;
    return OK;
}

/* Every address of a field must be the account's or granted to it (attacks.md SI-33: lists, groups, second fields, encoded tricks). */
static struct error field_owned(struct sql *db, struct connection *c, struct smtp_session *s, const struct header_field *f)
{
    bool author = slice_eq_nocase(f->name, SLICE("From"));
    struct mime_addresses list;
    size_t real = 0;
    TRY(address_list_parse(header_unfold(f->value, &c->arena), &c->arena, &list));
    if (list.n > AUTHORS_MAX)
        return error_make(ERROR_DENIED, "too many addresses");
    for (size_t i = 0; i < list.n; i++) {
        struct address x;
        if (!list.all[i].domain.p)
            continue; /* a group's name or end */
        char *text = arena_printf(&c->arena, "%.*s@%.*s", SLICE_ARG(list.all[i].local), SLICE_ARG(list.all[i].domain));
        real++;
        if (!text || address_parse(slice_of(text), &c->arena, &x).code != ERROR_NONE)
            return error_make(ERROR_DENIED, "an address of From or Sender cannot be read");
        TRY(author ? author_allowed(db, s, &x) : address_owned(db, s->account, &x));
    }
    return real ? OK : error_make(ERROR_DENIED, "From or Sender holds no address");
}

static void check_submission(struct connection *c, struct smtp_session *s, struct slice head)
{
    static const struct slice names[] = {{"From", 4}, {"Sender", 6}, {"Resent-From", 11}, {"Resent-Sender", 13}};
    struct header_field f;
    if (count_fields(head, SLICE("From")) > 1) {
        refuse_head(s, 550, "5.7.1", "the message has more than one From field");
        return;
    }
    s->on_behalf = 0;
    s->sent_for = 0;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct address sender;
    if (!count_fields(head, SLICE("From")) && s->sender.n && address_parse(s->sender, &c->arena, &sender).code == ERROR_NONE && author_allowed(db, s, &sender).code != ERROR_NONE)
        refuse_head(s, 550, "5.7.1", "you may not send with this address"); /* it becomes From; the right was taken away meanwhile */
    while (header_next(&head, &f)) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (!slice_eq_nocase(f.name, names[i]))
                continue;
            struct error e = field_owned(db, c, s, &f);
            if (e.code == ERROR_DENIED)
                refuse_head(s, 550, "5.7.1", "From and Sender may only hold addresses of your account");
            else if (e.code != ERROR_NONE)
                refuse_head(s, 451, "4.3.0", "a temporary fault on our side, try again later");
        }
    }
}

/* RFC 6409 8: what an application forgot (clients.md S19). Its own bytes stay as they are, but for the blind copies' names. */
static void add_missing(const struct smtp_session *s, struct slice head, struct buffer *out)
{
    if (!header_find(head, SLICE("From")).p)
        buffer_printf(out, "From: <%.*s>\r\n", SLICE_ARG(s->sender.n ? s->sender : slice_of(s->login)));
    if (s->on_behalf && !header_find(head, SLICE("Sender")).p) /* RFC 5322 3.6.2: who did it */
        buffer_printf(out, "Sender: <%s>\r\n", s->login);
    if (!header_find(head, SLICE("Date")).p) {
        buffer_add(out, SLICE("Date: "));
        date_write(clock_now(), out);
        buffer_add(out, SLICE("\r\n"));
    }
    if (!header_find(head, SLICE("Message-ID")).p)
        buffer_printf(out, "Message-ID: <%s@%s>\r\n", s->job, s->server->hostname);
}

/* Return-Path is what this server says about the envelope, once (RFC 5321 4.4). A submission's Bcc goes, as Postfix and Exchange do it: the other recipients
 * would read it (RFC 5322 3.6.3); from other servers nothing else is taken away, a signature may cover it. */
static bool is_dropped(const struct smtp_session *s, const struct header_field *f, struct slice fields)
{
    struct slice name = f->name;
    if (slice_eq_nocase(name, SLICE("Return-Path")))
        return true;
    if (s->at_border)
        return border_drops(f, fields, slice_of(s->server->hostname));
    return s->kind == SMTP_SUBMISSION && (slice_eq_nocase(name, SLICE("Bcc")) || slice_eq_nocase(name, SLICE("Resent-Bcc")));
}

/* The head as it came, without the fields that are dropped; signatures are of what came, so a filter is shown that (attacks.md MA-17). */
static void copy_head(struct smtp_session *s, struct slice head, struct slice fields, struct buffer *out)
{
    struct slice rest = fields;
    struct header_field f;
    const char *from = head.p;
    size_t before = buffer_length(out);
    while (header_next(&rest, &f)) {
        if (!is_dropped(s, &f, fields))
            continue;
        buffer_add(out, slice_make(from, (size_t)(f.whole.p - from)));
        from = f.whole.p + f.whole.n;
    }
    buffer_add(out, slice_make(from, (size_t)(head.p + head.n - from)));
    if (s->at_border && buffer_length(out) - before != head.n) {
        s->arrived = arena_copy(&s->arena, slice_first(head, fields.n));
        out->failed |= !s->arrived.p;
    }
}

/* "From x Mon Jan 1 ..." of a mailbox file is no field: dropped once (attacks.md SI-25). */
static struct slice without_mbox_line(struct slice head)
{
    return slice_starts(head, SLICE("From ")) ? slice_after(head, slice_find(head, '\n') + 1) : head;
}

/* Does the message begin with a field (or have an empty head)? Else its text must not run into our fields. */
static bool begins_with_field(struct slice head)
{
    struct header_field f;
    struct slice rest = head;
    if (head.n == 0 || head.p[0] == '\r' || head.p[0] == '\n')
        return true;
    return header_next(&rest, &f) && f.whole.p == head.p;
}

/* A line end that is no pair, in a head that BDAT brought with BINARYMIME: two readers would see two heads (RFC 3030 3 allows it in the body only). */
static bool has_bare_line_end(struct slice fields)
{
    for (size_t i = 0; i < fields.n; i++)
        if (fields.p[i] == '\n' ? i == 0 || fields.p[i - 1] != '\r' : fields.p[i] == '\r' && (i + 1 == fields.n || fields.p[i + 1] != '\n'))
            return true;
    return false;
}

static int count_own_hops(const struct smtp_session *s, struct slice head, struct arena *a)
{
    struct header_field f;
    int n = 0;
    const char *mark = arena_printf(a, "by %s (Kantor)", s->server->hostname);
    while (mark && header_next(&head, &f))
        n += slice_eq_nocase(f.name, SLICE("Received")) && memmem(f.value.p, f.value.n, mark, strlen(mark)) != NULL;
    return n;
}

static void check_head(struct connection *c, struct smtp_session *s, struct slice head, struct slice fields)
{
    struct slice tls_required = header_find(fields, SLICE("TLS-Required"));
    if (count_fields(fields, SLICE("Received")) > HOPS_MAX || count_own_hops(s, fields, &c->arena) > OWN_HOPS_MAX)
        refuse_head(s, 554, "5.4.6", "too many hops: the message is in a loop");
    if (s->body == BODY_BINARYMIME && has_bare_line_end(fields))
        refuse_head(s, 554, "5.6.0", "the head holds a CR or LF that is not part of a line end");
    if (tls_required.p && slice_eq_nocase(slice_trim(tls_required), SLICE("No")) && !(s->flags & DELIVERY_REQUIRETLS))
        s->flags |= DELIVERY_TLS_OPTIONAL; /* RFC 8689 3, 4.1 */
    if (s->kind != SMTP_LMTP && head.n >= HEAD_MAX && fields.n == head.n)
        refuse_head(s, 552, "5.3.4", "the head of the message is too long"); /* what comes behind could not be looked at */
    else if (s->kind == SMTP_SUBMISSION)
        check_submission(c, s, fields);
}

struct error trace_head(struct connection *c, struct smtp_session *s)
{
    struct buffer out = {0};
    struct slice head = without_mbox_line(buffer_slice(&s->head)), fields = slice_first(head, header_length(head));
    if (!begins_with_field(head))
        fields = SLICE("");
    s->at_border = s->kind == SMTP_MX && !c->loopback && !network_has(s->server->config->filter_trusted, c->peer);
    check_head(c, s, head, fields);
    write_trace(c, s, &out);
    s->on_top = buffer_length(&out);
    if (s->kind == SMTP_SUBMISSION)
        add_missing(s, fields, &out);
    if (!begins_with_field(head))
        buffer_add(&out, SLICE("\r\n"));
    copy_head(s, head, fields, &out);
    struct error e = out.failed ? error_make(ERROR_MEMORY, "no memory for trace fields") : OK;
    if (e.code == ERROR_NONE && !s->wrong)
        e = blob_put_add(&s->message.put, buffer_slice(&out));
    buffer_free(&out);
    buffer_free(&s->head);
    return e;
}
