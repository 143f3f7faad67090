/* mail/delivery/content.c -- other bytes of a message: a field more, a disclaimer, a journal's report */
#include "mail/delivery/content.h"

#include <stdio.h>

#include "core/clock.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"

enum { QP_LINE = 72, BOUNDARY_TRIES = 100 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a message")

/* RFC 2045 6.7. */
static void write_quoted_printable(struct slice text, struct buffer *out)
{
    size_t column = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool last = i + 1 == text.n || text.p[i + 1] == '\n';
        if (c == '\n') {
            buffer_add(out, SLICE("\r\n"));
            column = 0;
            continue;
        }
        if (column >= QP_LINE) {
            buffer_add(out, SLICE("=\r\n"));
            column = 0;
        }
        if ((c > ' ' && c < 0x7F && c != '=') || (c == ' ' && !last)) {
            buffer_add_char(out, (char)c);
            column++;
        } else {
            buffer_printf(out, "=%02X", c);
            column += 3;
        }
    }
    buffer_add(out, SLICE("\r\n"));
}

/* A text that stands nowhere in the message. */
static const char *boundary_for(struct slice bytes, struct arena *a)
{
    for (int i = 0; i < BOUNDARY_TRIES; i++) {
        const char *b = arena_printf(a, "kantor-%llx-%d", (unsigned long long)clock_us(), i);
        if (!b || !memmem(bytes.p, bytes.n, b, strlen(b)))
            return b;
    }
    return NULL;
}

static bool is_content_field(struct slice name)
{
    return slice_starts_nocase(name, SLICE("Content-")) || slice_eq_nocase(name, SLICE("MIME-Version"));
}

/* The message's head without what is about its body; the new fields behind our own Received. */
static void write_head(struct slice head, const struct content_change *c, bool wraps, struct buffer *out)
{
    struct header_field f;
    bool added = c->fields.n == 0;
    while (header_next(&head, &f)) {
        if (wraps && is_content_field(f.name))
            continue;
        buffer_add(out, f.whole);
        if (!added && slice_eq_nocase(f.name, SLICE("Received"))) {
            buffer_add(out, c->fields);
            added = true;
        }
    }
    if (!added)
        buffer_add(out, c->fields);
}

static void write_content_fields(struct slice head, struct buffer *out)
{
    struct header_field f;
    while (header_next(&head, &f))
        if (slice_starts_nocase(f.name, SLICE("Content-")))
            buffer_add(out, f.whole);
}

/* RFC 2045 6.4: a multipart says 8bit or binary when one of its parts is so. */
static void write_encoding(struct slice head, struct buffer *out)
{
    struct slice encoding = slice_trim(header_find(head, SLICE("Content-Transfer-Encoding")));
    if (encoding.p && slice_eq_nocase(encoding, SLICE("binary")))
        buffer_add(out, SLICE("Content-Transfer-Encoding: binary\r\n"));
    else if (encoding.p && slice_eq_nocase(encoding, SLICE("8bit")))
        buffer_add(out, SLICE("Content-Transfer-Encoding: 8bit\r\n"));
}

/* Programs read these as a whole: nothing is put around them. */
static bool is_for_programs(struct slice head)
{
    struct slice type = slice_trim(header_find(head, SLICE("Content-Type")));
    return type.p && (slice_starts_nocase(type, SLICE("multipart/report")) || slice_starts_nocase(type, SLICE("text/calendar")));
}

static struct error end_message(struct message *out, struct arena *a)
{
    TRY(blob_put_end(&out->put));
    return message_prepare(out, a);
}

/* Takes the buffer. */
static struct error put_buffer(struct message *out, struct buffer *b)
{
    struct error e = b->failed ? NO_MEMORY : blob_put_add(&out->put, buffer_slice(b));
    buffer_free(b);
    return e;
}

struct error content_change(struct store *s, struct slice bytes, const struct content_change *c, struct arena *a, struct message *out)
{
    struct slice head = slice_first(bytes, header_length(bytes)), body = slice_after(bytes, head.n);
    bool wraps = c->disclaimer.n && !is_for_programs(head);
    const char *boundary = wraps ? boundary_for(bytes, a) : NULL;
    struct buffer b = {0};
    *out = (struct message){0};
    blob_put_begin(s, &out->put);
    if (wraps && !boundary)
        return NO_MEMORY;
    write_head(head, c, wraps, &b);
    if (wraps) {
        buffer_printf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n", boundary);
        write_encoding(head, &b);
        buffer_printf(&b, "\r\n--%s\r\n", boundary);
        write_content_fields(head, &b);
    }
    buffer_add(&b, SLICE("\r\n"));
    TRY(put_buffer(out, &b));
    TRY(blob_put_add(&out->put, body));
    if (!wraps)
        return end_message(out, a);
    b = (struct buffer){0};
    buffer_printf(&b, "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary);
    write_quoted_printable(c->disclaimer, &b);
    buffer_printf(&b, "\r\n--%s--\r\n", boundary);
    TRY(put_buffer(out, &b));
    return end_message(out, a);
}

static void write_report(const struct content_journal *j, struct slice subject, const char *boundary, struct buffer *b)
{
    buffer_printf(b, "Return-Path: <%s>\r\nFrom: <%s>\r\nTo: <%s>\r\nSubject: ", j->from, j->from, j->to);
    buffer_add(b, subject);
    buffer_add(b, SLICE("\r\nDate: "));
    date_write(clock_now(), b);
    buffer_printf(b, "\r\nMessage-ID: <journal.%s@%s>\r\nX-MS-Journal-Report:\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n", j->job, strchr(j->from, '@') ? strchr(j->from, '@') + 1 : "localhost");
    buffer_printf(b, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", boundary, boundary);
    buffer_printf(b, "Sender: %.*s\r\nMessage-ID: ", SLICE_ARG(j->sender));
    buffer_add(b, j->message_id);
    buffer_add(b, SLICE("\r\n"));
    for (size_t i = 0; i < j->n_rcpts; i++)
        buffer_printf(b, "Recipient: %.*s\r\n", SLICE_ARG(j->rcpts[i].text));
    buffer_printf(b, "\r\n--%s\r\nContent-Type: message/rfc822\r\n\r\n", boundary);
}

struct error content_journal(struct store *s, struct slice bytes, const struct content_journal *j, struct arena *a, struct message *out)
{
    const char *boundary = boundary_for(bytes, a);
    struct slice subject = header_unfold(header_find(slice_first(bytes, header_length(bytes)), SLICE("Subject")), a);
    struct slice original = slice_starts_nocase(bytes, SLICE("Return-Path:")) ? slice_after(bytes, slice_find(bytes, '\n') + 1) : bytes;
    struct buffer b = {0};
    *out = (struct message){0};
    blob_put_begin(s, &out->put);
    if (!boundary)
        return NO_MEMORY;
    write_report(j, subject.p ? slice_first(subject, 900) : SLICE("(no subject)"), boundary, &b);
    TRY(put_buffer(out, &b));
    TRY(blob_put_add(&out->put, original));
    b = (struct buffer){0};
    buffer_printf(&b, "\r\n--%s--\r\n", boundary);
    TRY(put_buffer(out, &b));
    return end_message(out, a);
}
