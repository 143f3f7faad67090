/* mail/delivery/filter_reply.c -- what a filter writes: answers (RFC 5230 5), rejections (RFC 5429 2.2, as RFC 8098 says), notes about a script */
#include "core/clock.h"
#include "mail/delivery/filter_internal.h"
#include "mail/mime/date.h"
#include "mail/mime/decode.h"
#include "mail/mime/header.h"
#include "mail/mime/words.h"

enum { LINE_MAX = 900, WORD_BYTES = 42, REFERENCES_MAX = 2000, TEXT_MAX = 64 * 1024 };

static bool is_plain(struct slice s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        line = c == '\n' ? 0 : line + 1;
        if (c >= 0x7F || (c < ' ' && c != '\t' && c != '\n' && c != '\r') || line > LINE_MAX)
            return false;
    }
    return true;
}

/* A field's text: ASCII as it is, else encoded words of whole characters (RFC 2047); no line end can get in. */
static void write_text(struct slice s, struct buffer *out)
{
    if (is_plain(s) && s.n < LINE_MAX && slice_find(s, '\n') == s.n && slice_find(s, '\r') == s.n) {
        buffer_add(out, s);
        return;
    }
    for (size_t at = 0; at < s.n;) {
        size_t n = s.n - at < WORD_BYTES ? s.n - at : WORD_BYTES;
        while (n < s.n - at && n > 1 && ((unsigned char)s.p[at + n] & 0xC0) == 0x80)
            n--;
        buffer_add(out, at ? SLICE("\r\n =?utf-8?B?") : SLICE("=?utf-8?B?"));
        base64_encode(slice_make(s.p + at, n), out);
        buffer_add(out, SLICE("?="));
        at += n;
    }
}

/* Line ends as mail has them. */
static void write_lines(struct slice s, struct buffer *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            continue;
        if (s.p[i] == '\n' || s.p[i] == '\r')
            buffer_add(out, SLICE("\r\n"));
        else
            buffer_add_char(out, s.p[i]);
    }
    buffer_add(out, SLICE("\r\n"));
}

/* A text part with its fields; what is not plain goes as base64, so that it may pass any server. */
static void write_part(struct slice text, struct buffer *out)
{
    struct buffer lines = {0}, code = {0};
    text = slice_first(text, TEXT_MAX);
    buffer_add(out, SLICE("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "));
    if (is_plain(text)) {
        buffer_add(out, SLICE("7bit\r\n\r\n"));
        write_lines(text, out);
        return;
    }
    buffer_add(out, SLICE("base64\r\n\r\n"));
    write_lines(text, &lines);
    base64_encode(buffer_slice(&lines), &code);
    struct slice rest = buffer_slice(&code);
    out->failed |= lines.failed || code.failed;
    for (; rest.n; rest = slice_after(rest, 76)) {
        buffer_add(out, slice_first(rest, 76));
        buffer_add(out, SLICE("\r\n"));
    }
    buffer_free(&lines);
    buffer_free(&code);
}

static struct slice head_of(const struct filter_plan *p) { return slice_first(p->in->bytes, header_length(p->in->bytes)); }

/* A message id goes on when it is one, and fits on a line. */
static bool is_id(struct slice s) { return s.n > 2 && s.n < LINE_MAX && s.p[0] == '<' && s.p[s.n - 1] == '>' && is_plain(s) && slice_find(s, '\n') == s.n && slice_find(s, '\r') == s.n; }

/* In-Reply-To and References (RFC 5230 5.8; RFC 5322 3.6.4). */
static void write_references(const struct filter_plan *p, struct arena *a, struct buffer *out)
{
    struct slice id = slice_trim(header_find(head_of(p), SLICE("Message-ID")));
    struct slice before = header_unfold(header_find(head_of(p), SLICE("References")), a);
    if (!is_id(id))
        return;
    buffer_printf(out, "In-Reply-To: %.*s\r\nReferences: ", SLICE_ARG(id));
    if (before.p && before.n < REFERENCES_MAX && is_plain(slice_first(before, LINE_MAX)))
        for (struct slice rest = before; rest.n;) {
            struct slice one = slice_first(rest, slice_find(rest, ' '));
            rest = slice_after(rest, one.n + 1);
            if (is_id(slice_trim(one)))
                buffer_printf(out, "%.*s\r\n ", SLICE_ARG(slice_trim(one)));
        }
    buffer_printf(out, "%.*s\r\n", SLICE_ARG(id));
}

static void begin(const struct filter_plan *p, const char *kind, struct buffer *out)
{
    struct filter_options o;
    filter_options_get(&o);
    buffer_printf(out, "Return-Path: <>\r\nReceived: by %s (Kantor) for a Sieve script of %.*s;\r\n\t", o.hostname, SLICE_ARG(p->owner.name));
    date_write(clock_now(), out);
    buffer_add(out, SLICE("\r\nDate: "));
    date_write(clock_now(), out);
    buffer_printf(out, "\r\nMessage-ID: <%s.%s.%llx@%s>\r\n", kind, p->in->d->job, (unsigned long long)clock_us(), o.hostname);
}

/* From: Name <address>, the name of the account where it has one. */
static void write_from(const struct filter_plan *p, struct buffer *out)
{
    buffer_add(out, SLICE("From: "));
    if (p->owner.title.n && is_plain(p->owner.title)) {
        buffer_add_char(out, '"');
        for (size_t i = 0; i < p->owner.title.n && i < 200; i++) {
            char c = p->owner.title.p[i];
            if (c == '"' || c == '\\')
                buffer_add_char(out, '\\');
            buffer_add_char(out, (unsigned char)c < ' ' ? ' ' : c);
        }
        buffer_add(out, SLICE("\" "));
    } else if (p->owner.title.n) {
        write_text(slice_first(p->owner.title, 200), out);
        buffer_add_char(out, ' ');
    }
    buffer_printf(out, "<%.*s>\r\n", SLICE_ARG(p->owner.name));
}

static void write_subject(const struct filter_plan *p, const char *before, struct arena *a, struct buffer *out)
{
    struct slice subject = header_unfold(header_find(head_of(p), SLICE("Subject")), a);
    struct buffer text = {0};
    buffer_printf(&text, "%s", before);
    if (subject.p)
        words_decode(slice_first(subject, 400), &text);
    buffer_add(out, SLICE("Subject: "));
    write_text(slice_first(buffer_slice(&text), 500), out);
    buffer_add(out, SLICE("\r\n"));
    out->failed |= text.failed;
    buffer_free(&text);
}

/* The fields of :mime's entity that may be there: how the content reads, nothing of envelope or sender (attacks.md SV-10). */
static void write_entity(struct slice entity, struct buffer *out)
{
    struct slice head = slice_first(entity, header_length(entity));
    struct header_field f;
    for (struct slice rest = head; header_next(&rest, &f);) {
        if (!slice_starts_nocase(f.name, SLICE("Content-")))
            continue;
        buffer_printf(out, "%.*s:", SLICE_ARG(f.name));
        struct slice value = f.value;
        while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
            value.n--;
        write_lines(value, out);
    }
    buffer_add(out, SLICE("\r\n"));
    write_lines(slice_after(entity, head.n), out);
}

void reply_vacation(const struct filter_plan *p, const struct sieve_action *a, struct arena *arena, struct buffer *out)
{
    const struct sieve_vacation *v = a->vacation;
    begin(p, "vacation", out);
    if (v->from.p && is_plain(v->from))
        buffer_printf(out, "From: %.*s\r\n", SLICE_ARG(v->from));
    else
        write_from(p, out);
    buffer_printf(out, "To: <%.*s>\r\n", SLICE_ARG(p->in->d->sender));
    if (v->subject.p) {
        buffer_add(out, SLICE("Subject: "));
        write_text(slice_first(v->subject, 500), out);
        buffer_add(out, SLICE("\r\n"));
    } else {
        write_subject(p, "Auto: ", arena, out);
    }
    write_references(p, arena, out);
    buffer_add(out, SLICE("Auto-Submitted: auto-replied (vacation)\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n"));
    if (v->mime)
        write_entity(a->text, out);
    else
        write_part(a->text, out);
}

/* The original's fields, without what this server put in front. */
static void write_original(const struct filter_plan *p, struct buffer *out)
{
    struct slice rest = slice_first(head_of(p), 16 * 1024);
    struct header_field f;
    buffer_add(out, SLICE("Content-Type: text/rfc822-headers\r\n\r\n"));
    while (header_next(&rest, &f))
        if (!slice_eq_nocase(f.name, SLICE("Return-Path")) && is_plain(f.whole))
            write_lines(slice_trim(f.whole), out);
}

void reply_rejection(const struct filter_plan *p, const struct sieve_action *a, struct arena *arena, struct buffer *out)
{
    const char *boundary = arena_printf(arena, "kantor-%s-%llx", p->in->d->job, (unsigned long long)clock_us());
    struct filter_options o;
    struct slice id = slice_trim(header_find(head_of(p), SLICE("Message-ID")));
    filter_options_get(&o);
    if (!boundary) {
        out->failed = true;
        return;
    }
    begin(p, "reject", out);
    write_from(p, out);
    buffer_printf(out, "To: <%.*s>\r\n", SLICE_ARG(p->in->d->sender));
    write_subject(p, "Rejected: ", arena, out);
    write_references(p, arena, out);
    buffer_printf(out, "Auto-Submitted: auto-replied (rejected)\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=disposition-notification;\r\n\tboundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary);
    write_part(a->text, out);
    buffer_printf(out, "\r\n--%s\r\nContent-Type: message/disposition-notification\r\n\r\nReporting-UA: %s; Kantor\r\nFinal-Recipient: rfc822; %s\r\n", boundary, o.hostname, p->own);
    if (is_id(id))
        buffer_printf(out, "Original-Message-ID: %.*s\r\n", SLICE_ARG(id));
    buffer_printf(out, "Disposition: automatic-action/MDN-sent-automatically; deleted\r\n\r\n--%s\r\n", boundary);
    write_original(p, out);
    buffer_printf(out, "\r\n--%s--\r\n", boundary);
}

void reply_fault(const struct filter_plan *p, struct buffer *out)
{
    struct filter_options o;
    struct buffer text = {0};
    filter_options_get(&o);
    bool away = slice_eq(p->script, SCRIPT_AWAY);
    begin(p, "sieve", out);
    buffer_printf(out, "From: Mail filter <postmaster@%.*s>\r\nTo: <%.*s>\r\nSubject: Your mail filter could not be run\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
                  SLICE_ARG(slice_after(p->owner.name, slice_find(p->owner.name, '@') + 1)), SLICE_ARG(p->owner.name));
    buffer_printf(&text, "Your filter script \"%.*s\" failed at line %u:\n\n  %s\n\nMessages that it fails for are kept in INBOX. Please mend the script, or switch it off.\nYou get this note at most once a day.\n",
                  away ? 8 : (int)p->script.n, away ? "vacation" : p->script.p, p->fault.line, p->fault.text);
    write_part(buffer_slice(&text), out);
    out->failed |= text.failed;
    buffer_free(&text);
}
