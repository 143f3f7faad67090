/* mail/delivery/report_write.c -- a report as programs read it, and the message around it */
#include "mail/delivery/report_write.h"

#include <stdio.h>
#include <string.h>

#include "mail/delivery/report_internal.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"

enum { WIDTH = 76, WORD_MAX = 900, LINE_MAX_OCTETS = 998, VALUE_MAX = 1000 };

/* --- bytes from outside */

/* How many bytes the UTF-8 character at p has; 0: it is none. No overlong form, no surrogate, none of the second block of control characters. */
static size_t utf8_at(const unsigned char *p, size_t n)
{
    size_t k = p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] < 0xF5 ? 4 : 0;
    if (k == 0 || k > n || (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F) || (p[0] == 0xC2 && p[1] < 0xA0))
        return 0;
    for (size_t i = 1; i < k; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return k;
}

void report_clean(struct slice s, size_t most, int flags, struct buffer *out)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t before = buffer_length(out);
    for (size_t i = 0; i < s.n && buffer_length(out) - before + 4 <= most;) {
        size_t k = p[i] >= 0x80 && flags & REPORT_UTF8 ? utf8_at(p + i, s.n - i) : 0;
        if (k)
            buffer_add(out, slice_make(s.p + i, k));
        else
            buffer_add_char(out, p[i] < 0x20 || p[i] == 0x7F ? ' ' : p[i] >= 0x80 ? '?' : s.p[i]);
        i += k ? k : 1;
    }
}

void report_folded(struct slice clean, size_t column, const char *indent, struct buffer *out)
{
    bool begun = false;
    clean = slice_trim(clean);
    while (clean.n) {
        struct slice word = slice_first(clean, slice_find(clean, ' '));
        if (word.n > WORD_MAX) {
            size_t cut = WORD_MAX;
            while (cut > WORD_MAX - 4 && ((unsigned char)word.p[cut] & 0xC0) == 0x80)
                cut--;
            word = slice_first(word, cut);
        }
        clean = slice_after(clean, word.n);
        if (begun && column + 1 + word.n > WIDTH) {
            buffer_printf(out, "\r\n%s", indent);
            column = strlen(indent);
        } else if (begun) {
            buffer_add_char(out, ' ');
            column++;
        }
        buffer_add(out, word);
        column += word.n;
        begun = true;
        while (clean.n && clean.p[0] == ' ')
            clean = slice_after(clean, 1);
    }
}

static bool has_8bit(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

/* Can it go as it is: lines of at most 998 octets, each with CRLF, no NUL (RFC 5321 4.5.3.1.6, RFC 5322 2.3)? */
static bool lines_fit(struct slice s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\0' || (s.p[i] == '\n') != (i > 0 && s.p[i - 1] == '\r') || (s.p[i] == '\r' && i + 1 == s.n))
            return false;
        line = s.p[i] == '\n' ? 0 : line + 1;
        if (line > LINE_MAX_OCTETS + 1)
            return false;
    }
    return true;
}

/* RFC 2045 6.7. Bare line ends are written as such: two readers see the same. */
static void quoted_printable(struct slice s, struct buffer *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t column = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') {
            buffer_add(out, SLICE("\r\n"));
            column = 0;
            i++;
            continue;
        }
        bool at_end = i + 2 < s.n && s.p[i + 1] == '\r' && s.p[i + 2] == '\n';
        bool plain = (c > 0x20 && c < 0x7F && c != '=') || ((c == ' ' || c == '\t') && !at_end && i + 1 < s.n);
        if (column + (plain ? 1 : 3) > WIDTH - 1) {
            buffer_add(out, SLICE("=\r\n"));
            column = 0;
        }
        if (plain) {
            buffer_add_char(out, (char)c);
        } else {
            char three[3] = {'=', hex[c >> 4], hex[c & 15]};
            buffer_add(out, slice_make(three, 3));
        }
        column += plain ? 1 : 3;
    }
}

/* --- status */

/* A number of at most three digits at the front; taken off. */
static bool take_number(struct slice *s)
{
    size_t n = 0;
    while (n < s->n && ascii_is_digit(s->p[n]))
        n++;
    *s = slice_after(*s, n);
    return n >= 1 && n <= 3;
}

/* The enhanced code at the front of a text (RFC 2034 4): its length, or 0. */
static size_t enhanced_length(struct slice s)
{
    struct slice rest = s;
    if (s.n < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5') || s.p[1] != '.')
        return 0;
    rest = slice_after(rest, 2);
    if (!take_number(&rest) || rest.n == 0 || rest.p[0] != '.')
        return 0;
    rest = slice_after(rest, 1);
    if (!take_number(&rest) || (rest.n && rest.p[0] != ' '))
        return 0;
    return s.n - rest.n;
}

static bool has_code(struct slice reply)
{
    return reply.n >= 3 && reply.p[0] >= '2' && reply.p[0] <= '5' && ascii_is_digit(reply.p[1]) && ascii_is_digit(reply.p[2]) && (reply.n == 3 || reply.p[3] == ' ' || reply.p[3] == '-');
}

static const struct {
    const char *action;
    char status_class;
    const char *status; /* where the reply says nothing */
} kinds[] = {
    [REPORT_FAILED] = {"failed", '5', ".0.0"},   [REPORT_EXPIRED] = {"failed", '4', ".4.7"},   [REPORT_RETURNED] = {"failed", '5', ".0.0"},  [REPORT_DELAYED] = {"delayed", '4', ".0.0"},
    [REPORT_RELAYED] = {"relayed", '2', ".0.0"}, [REPORT_DELIVERED] = {"delivered", '2', ".1.5"}, [REPORT_EXPANDED] = {"expanded", '2', ".0.0"},
};

const char *report_action(enum report_kind kind)
{
    return kinds[kind].action;
}

void report_status(const struct report_rcpt *r, char *out, size_t size)
{
    struct slice text = has_code(r->reply) ? slice_after(r->reply, 4) : r->reply;
    size_t n = enhanced_length(text);
    char status_class = kinds[r->kind].status_class;
    /* the class says what this server does; what is behind it, what the other one said (RFC 3464 2.3.4) */
    if (r->kind != REPORT_EXPIRED && r->kind != REPORT_RETURNED && n && n < size && (text.p[0] != '2' || status_class == '2'))
        (void)snprintf(out, size, "%c%.*s", status_class, (int)n - 1, text.p + 1);
    else
        (void)snprintf(out, size, "%c%s", status_class, kinds[r->kind].status);
}

/* --- message/delivery-status */

static void field(const char *name, const char *type, struct slice value, int flags, struct buffer *out)
{
    struct buffer clean = {0};
    report_clean(value, VALUE_MAX, flags, &clean);
    buffer_printf(out, "%s: %s", name, type);
    report_folded(buffer_slice(&clean), strlen(name) + 2 + strlen(type), " ", out);
    buffer_add(out, SLICE("\r\n"));
    buffer_free(&clean);
}

static void date_field(const char *name, int64_t at, struct buffer *out)
{
    buffer_printf(out, "%s: ", name);
    date_write(at, out);
    buffer_add(out, SLICE("\r\n"));
}

/* xtext (RFC 3461 4) to what it stands for; what is no xtext stays. */
static void unxtext(struct slice s, struct buffer *out)
{
    for (size_t i = 0; i < s.n; i++) {
        int hi = s.p[i] == '+' && i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1, lo = hi >= 0 ? ascii_hex(s.p[i + 2]) : -1;
        if (lo >= 0)
            i += 2;
        buffer_add_char(out, lo >= 0 ? (char)(hi * 16 + lo) : s.p[i]);
    }
}

/* An address outside ASCII in a report that is ASCII: \x{HEX} for each character (RFC 6533 3, utf-8-addr-xtext). */
static void utf8_address(struct slice s, struct buffer *out)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        size_t k = p[i] >= 0x80 ? utf8_at(p + i, s.n - i) : 0;
        uint32_t c = k == 2 ? p[i] & 0x1FU : k == 3 ? p[i] & 0x0FU : k == 4 ? p[i] & 7U : p[i];
        for (size_t j = 1; j < k; j++)
            c = c << 6 | (p[i + j] & 0x3FU);
        if (k || p[i] <= 0x20 || p[i] == '\\' || p[i] == '+' || p[i] == '=' || p[i] == 0x7F)
            buffer_printf(out, "\\x{%X}", (unsigned)c);
        else
            buffer_add_char(out, p[i] < 0x80 ? s.p[i] : '?');
        i += k ? k : 1;
    }
}

static void address_field(const char *name, struct slice address, int flags, struct buffer *out)
{
    struct buffer text = {0};
    if (!has_8bit(address)) {
        field(name, "rfc822; ", address, flags, out);
    } else if (flags & REPORT_UTF8) {
        field(name, "utf-8; ", address, flags, out);
    } else {
        utf8_address(slice_first(address, 300), &text);
        field(name, "utf-8; ", buffer_slice(&text), 0, out);
    }
    buffer_free(&text);
}

/* RFC 3461 4.2: "type;xtext" as it came is "type; text" here (RFC 3464 2.3.1). */
static void orcpt_field(struct slice orcpt, int flags, struct buffer *out)
{
    size_t semicolon = slice_find(orcpt, ';');
    struct slice type = slice_first(orcpt, semicolon), value = slice_after(orcpt, semicolon + 1);
    struct buffer text = {0}, clean_type = {0};
    if (slice_eq_nocase(type, SLICE("utf-8")))
        buffer_add(&text, value); /* its own escapes stay */
    else
        unxtext(value, &text);
    report_clean(type, 40, 0, &clean_type);
    buffer_add(&clean_type, SLICE("; "));
    buffer_add_char(&clean_type, '\0');
    field("Original-Recipient", buffer_slice(&clean_type).p, buffer_slice(&text), flags, out);
    buffer_free(&text);
    buffer_free(&clean_type);
}

static void about_rcpt(const struct report_text *r, const struct report_rcpt *one, struct buffer *out)
{
    char status[24];
    report_status(one, status, sizeof status);
    buffer_add(out, SLICE("\r\n"));
    if (one->orcpt.p)
        orcpt_field(one->orcpt, r->flags, out);
    address_field("Final-Recipient", one->address, r->flags, out);
    buffer_printf(out, "Action: %s\r\nStatus: %s\r\n", report_action(one->kind), status);
    if (one->host.n)
        field("Remote-MTA", "dns; ", slice_first(one->host, slice_find(one->host, ' ')), 0, out);
    if (one->reply.n)
        field("Diagnostic-Code", one->host.n && has_code(one->reply) ? "smtp; " : "x-kantor; ", one->reply, r->flags, out);
    if (one->kind != REPORT_DELIVERED && one->kind != REPORT_EXPANDED)
        date_field("Last-Attempt-Date", r->now, out);
    if (one->kind == REPORT_DELAYED && r->until)
        date_field("Will-Retry-Until", r->until, out);
}

static void status_part(const struct report_text *r, struct buffer *out)
{
    if (r->envid.p) {
        struct buffer text = {0};
        unxtext(r->envid, &text);
        field("Original-Envelope-Id", "", buffer_slice(&text), 0, out);
        buffer_free(&text);
    }
    buffer_printf(out, "Reporting-MTA: dns; %s\r\n", r->hostname);
    date_field("Arrival-Date", r->arrived, out);
    for (size_t i = 0; i < r->n_rcpts; i++)
        about_rcpt(r, &r->rcpts[i], out);
}

/* --- the message */

static void begin_part(const struct report_text *r, const char *type, bool quoted, const char *plain, struct buffer *out)
{
    buffer_printf(out, "\r\n--=_%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", r->id, type, quoted ? "quoted-printable" : plain);
}

/* A part that may be encoded. */
static void part(const struct report_text *r, const char *type, struct slice content, struct buffer *out)
{
    bool quoted = has_8bit(content) || !lines_fit(content);
    begin_part(r, type, quoted, "7bit", out);
    if (quoted)
        quoted_printable(content, out);
    else
        buffer_add(out, content);
}

/* Whole fields up to the limit, without the line that this server put in front. */
static struct slice head_returned(struct slice head)
{
    struct slice rest = head, done = slice_first(head, 0);
    struct header_field f;
    if (slice_starts_nocase(head, SLICE("Return-Path:"))) {
        (void)header_next(&rest, &f);
        done = head = slice_after(head, (size_t)(f.whole.p + f.whole.n - head.p));
        done.n = 0;
        rest = head;
    }
    while (header_next(&rest, &f)) {
        size_t end = (size_t)(f.whole.p + f.whole.n - head.p);
        if (end > REPORT_RETURNED_MAX)
            break;
        done = slice_first(head, end);
    }
    return done;
}

static void returned_part(const struct report_text *r, struct buffer *out)
{
    bool utf8 = r->flags & REPORT_UTF8;
    if (r->whole.p && lines_fit(r->whole)) {
        begin_part(r, utf8 ? "message/global" : "message/rfc822", false, has_8bit(r->whole) ? "8bit" : "7bit", out);
        buffer_add(out, r->whole);
        return;
    }
    struct slice head = head_returned(r->head);
    part(r, utf8 && has_8bit(head) ? "message/global-headers" : "text/rfc822-headers", head, out);
}

/* "Not delivered: " and the subject that he gave it, where it is plain or encoded words. */
static void subject(const struct report_text *r, struct buffer *out)
{
    enum report_kind worst = REPORT_EXPANDED;
    for (size_t i = 0; i < r->n_rcpts; i++)
        worst = r->rcpts[i].kind < worst ? r->rcpts[i].kind : worst;
    const char *words = worst <= REPORT_RETURNED ? "Not delivered" : worst == REPORT_DELAYED ? "Not delivered yet" : worst == REPORT_DELIVERED ? "Delivered" : "Sent on";
    struct slice theirs = slice_trim(header_find(r->head, SLICE("Subject")));
    bool fits = theirs.p && theirs.n && theirs.n <= 400 && !has_8bit(theirs);
    struct buffer clean = {0};
    buffer_printf(&clean, "%s%s", words, fits ? ": " : "");
    if (fits)
        report_clean(theirs, 404, 0, &clean);
    buffer_add(out, SLICE("Subject: "));
    report_folded(buffer_slice(&clean), 9, " ", out);
    buffer_add(out, SLICE("\r\n"));
    buffer_free(&clean);
}

/* Mail programs show the report beside what it is about. */
static void reference(const struct report_text *r, struct buffer *out)
{
    struct slice id = slice_trim(header_find(r->head, SLICE("Message-ID")));
    if (id.n < 3 || id.n > 250 || id.p[0] != '<' || slice_find(id, '>') != id.n - 1 || has_8bit(id))
        return;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] == 0x7F)
            return;
    buffer_printf(out, "References: %.*s\r\n", SLICE_ARG(id));
}

static void head(const struct report_text *r, struct buffer *out)
{
    struct buffer to = {0};
    report_clean(r->sender, 500, r->flags, &to);
    buffer_printf(out, "Return-Path: <>\r\nReceived: by %s (Kantor) id %s;\r\n\t", r->hostname, r->id);
    date_write(r->now, out);
    buffer_printf(out, "\r\nFrom: Mail Delivery System <postmaster@%.*s>\r\nTo: <%.*s>\r\n", SLICE_ARG(r->from), SLICE_ARG(buffer_slice(&to)));
    subject(r, out);
    date_field("Date", r->now, out);
    buffer_printf(out, "Message-ID: <%s@%s>\r\n", r->id, r->hostname);
    reference(r, out);
    buffer_printf(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_%s\"\r\n", r->id);
    if (r->whole.p && has_8bit(r->whole))
        buffer_add(out, SLICE("Content-Transfer-Encoding: 8bit\r\n"));
    buffer_add(out, SLICE("\r\nThis is a delivery status notification in MIME form.\r\n"));
    buffer_free(&to);
}

struct error report_text_write(const struct report_text *r, struct buffer *out)
{
    struct buffer text = {0}, status = {0};
    report_sentences(r, &text);
    status_part(r, &status);
    head(r, out);
    part(r, has_8bit(buffer_slice(&text)) ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", buffer_slice(&text), out);
    part(r, r->flags & REPORT_UTF8 && has_8bit(buffer_slice(&status)) ? "message/global-delivery-status" : "message/delivery-status", buffer_slice(&status), out);
    returned_part(r, out);
    buffer_printf(out, "\r\n--=_%s--\r\n", r->id);
    struct error e = out->failed || text.failed || status.failed ? error_make(ERROR_MEMORY, "no memory for a report") : OK;
    buffer_free(&text);
    buffer_free(&status);
    return e;
}
