/* mail/smtp/trace.c -- what the server adds at the top of a message, and what a head must be like to be taken
 *
 * Called once, when the head is whole (or too long): writes Return-Path and Received, what a submission lacks, and the head itself into the blob.
 */
#include <stdio.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "mail/mime/address.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"
#include "mail/smtp/internal.h"

enum { HOPS_MAX = 100 }; /* RFC 5321 6.3 */

static void refuse_head(struct smtp_session *s, int code, const char *enhanced, const char *text)
{
    if (s->wrong & WRONG_HEAD)
        return;
    s->wrong |= WRONG_HEAD;
    s->head_code = code;
    s->head_enhanced = enhanced;
    s->head_text = text;
}

/* "with" of RFC 3848 and 6531. */
static const char *protocol_word(const struct connection *c, const struct smtp_session *s)
{
    static const char *const words[3][4] = {{"ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"}, {"UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"}, {"LMTP", "LMTPA", "LMTPS", "LMTPSA"}};
    if (!s->esmtp && s->kind != SMTP_LMTP)
        return "SMTP";
    return words[s->kind == SMTP_LMTP ? 2 : s->flags & DELIVERY_SMTPUTF8 ? 1 : 0][(c->tls ? 2 : 0) + (s->account ? 1 : 0)];
}

static void write_trace(struct connection *c, struct smtp_session *s, struct buffer *out)
{
    const char *tls = connection_tls_text(c, &c->arena);
    buffer_printf(out, "Return-Path: <%.*s>\r\n", SLICE_ARG(s->sender));
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

/* Every address of a field must be the account's or granted to it (attacks.md SI-33: lists, groups, second fields, encoded tricks). */
static struct error field_owned(struct sql *db, struct connection *c, struct smtp_session *s, struct slice value)
{
    struct mime_addresses list;
    size_t real = 0;
    TRY(address_list_parse(header_unfold(value, &c->arena), &c->arena, &list));
    for (size_t i = 0; i < list.n; i++) {
        struct address x;
        if (!list.all[i].domain.p)
            continue; /* a group's name or end */
        char *text = arena_printf(&c->arena, "%.*s@%.*s", SLICE_ARG(list.all[i].local), SLICE_ARG(list.all[i].domain));
        real++;
        if (!text || address_parse(slice_of(text), &c->arena, &x).code != ERROR_NONE)
            return error_make(ERROR_DENIED, "an address of From or Sender cannot be read");
        TRY(address_owned(db, s->account, &x));
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
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    while (header_next(&head, &f)) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (!slice_eq_nocase(f.name, names[i]))
                continue;
            struct error e = field_owned(db, c, s, f.value);
            if (e.code == ERROR_DENIED)
                refuse_head(s, 550, "5.7.1", "From and Sender may only hold addresses of your account");
            else if (e.code != ERROR_NONE)
                refuse_head(s, 451, "4.3.0", "a temporary fault on our side, try again later");
        }
    }
}

/* RFC 6409 8: what an application forgot (clients.md S19). */
static void add_missing(const struct smtp_session *s, struct slice head, struct buffer *out)
{
    if (!header_find(head, SLICE("From")).p && s->sender.n)
        buffer_printf(out, "From: <%.*s>\r\n", SLICE_ARG(s->sender));
    if (!header_find(head, SLICE("Date")).p) {
        buffer_add(out, SLICE("Date: "));
        date_write(clock_now(), out);
        buffer_add(out, SLICE("\r\n"));
    }
    if (!header_find(head, SLICE("Message-ID")).p)
        buffer_printf(out, "Message-ID: <%s@%s>\r\n", s->job, s->server->hostname);
}

struct error trace_head(struct connection *c, struct smtp_session *s)
{
    struct buffer out = {0};
    struct slice head = buffer_slice(&s->head), fields = slice_first(head, header_length(head));
    if (count_fields(fields, SLICE("Received")) > HOPS_MAX)
        refuse_head(s, 554, "5.4.6", "too many hops: the message is in a loop");
    if (s->kind == SMTP_SUBMISSION && head.n >= HEAD_MAX && fields.n == head.n)
        refuse_head(s, 552, "5.3.4", "the head of the message is too long");
    else if (s->kind == SMTP_SUBMISSION)
        check_submission(c, s, fields);
    write_trace(c, s, &out);
    if (s->kind == SMTP_SUBMISSION)
        add_missing(s, fields, &out);
    struct error e = out.failed ? error_make(ERROR_MEMORY, "no memory for trace fields") : OK;
    if (e.code == ERROR_NONE && !s->wrong)
        e = blob_put_add(&s->message.put, buffer_slice(&out));
    if (e.code == ERROR_NONE && !s->wrong)
        e = blob_put_add(&s->message.put, head);
    buffer_free(&out);
    buffer_free(&s->head);
    return e;
}
