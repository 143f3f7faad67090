/* mail/mime/text.c */
#include "mail/mime/text.h"

#include <utf8proc.h>

#include "mail/mime/charset.h"
#include "mail/mime/decode.h"
#include "mail/mime/header.h"
#include "mail/mime/words.h"

/* HTML's names of U+00A0 to U+00FF, in order. */
static const char *const latin1[96] = {
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not",
    "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil", "sup1",
    "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring",
    "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde",
    "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute",
    "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil", "egrave", "eacute",
    "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde",
    "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml"
};

static const struct {
    const char *name;
    utf8proc_int32_t point;
} entities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"euro", 0x20AC}, {"ndash", 0x2013}, {"mdash", 0x2014}, {"lsquo", 0x2018}, {"rsquo", 0x2019},
                {"sbquo", 0x201A}, {"ldquo", 0x201C}, {"rdquo", 0x201D}, {"bdquo", 0x201E}, {"bull", 0x2022}, {"hellip", 0x2026}, {"trade", 0x2122}, {"OElig", 0x152}, {"oelig", 0x153}, {"Scaron", 0x160}, {"scaron", 0x161}};

static utf8proc_int32_t entity_point(struct slice name)
{
    uint64_t point;
    if (name.n && name.p[0] == '#') {
        int hex = name.n > 1 && (name.p[1] == 'x' || name.p[1] == 'X');
        if (!hex)
            return slice_number(slice_after(name, 1), 0x10FFFF, &point) ? (utf8proc_int32_t)point : 0;
        point = 0;
        for (size_t i = 2; i < name.n && point < 0x110000; i++)
            point = ascii_hex(name.p[i]) < 0 ? 0x110000 : point << 4 | (uint64_t)ascii_hex(name.p[i]);
        return point < 0x110000 ? (utf8proc_int32_t)point : 0;
    }
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
        if (slice_eq(name, slice_of(entities[i].name)))
            return entities[i].point;
    for (int i = 0; i < 96; i++)
        if (slice_eq(name, slice_of(latin1[i])))
            return i == 0 ? ' ' : 0xA0 + i;
    return 0;
}

/* "&eacute;" at the front of s: its text, and its length; 0: no entity that is known. */
static size_t entity(struct slice s, struct buffer *out)
{
    utf8proc_uint8_t bytes[4];
    size_t end = slice_find(slice_first(s, 12), ';');
    if (end < 3 || end >= s.n || s.p[end] != ';')
        return 0;
    utf8proc_int32_t point = entity_point(slice_make(s.p + 1, end - 1));
    utf8proc_ssize_t n = point ? utf8proc_encode_char(point, bytes) : 0;
    if (n <= 0)
        return 0;
    buffer_add(out, slice_make((const char *)bytes, (size_t)n));
    return end + 1;
}

/* Drops tags, scripts and styles, and reads the common entities; linear and without a tree (attacks.md MM-13). */
static void strip_html(struct slice s, struct buffer *out)
{
    while (s.n) {
        size_t plain = 0;
        while (plain < s.n && s.p[plain] != '<' && s.p[plain] != '&')
            plain++;
        buffer_add(out, slice_first(s, plain));
        s = slice_after(s, plain);
        if (s.n == 0)
            break;
        if (s.p[0] == '<') {
            struct slice end = slice_starts_nocase(s, SLICE("<script")) ? SLICE("</script") : slice_starts_nocase(s, SLICE("<style")) ? SLICE("</style") : slice_starts(s, SLICE("<!--")) ? SLICE("--") : SLICE("");
            size_t i = 1;
            while (end.n && i < s.n && !slice_starts_nocase(slice_after(s, i), end))
                i++;
            while (i < s.n && s.p[i] != '>')
                i++;
            s = slice_after(s, i + 1);
            buffer_add_char(out, ' ');
            continue;
        }
        size_t n = entity(s, out);
        if (n == 0)
            buffer_add_char(out, '&');
        s = slice_after(s, n ? n : 1);
    }
}

static void add_part(const struct mime_part *p, struct slice message, struct buffer *out)
{
    struct buffer raw = {0}, utf8 = {0}, plain = {0};
    struct slice body = slice_make(message.p + p->body_start, p->body_end - p->body_start);
    if (decode_part(p->encoding, body, &raw) == DECODE_UNKNOWN)
        buffer_add(&raw, body);
    charset_to_utf8(mime_param(&p->params, SLICE("charset")), buffer_slice(&raw), &utf8);
    int html = slice_eq_nocase(p->subtype, SLICE("html"));
    if (html)
        strip_html(buffer_slice(&utf8), &plain);
    struct slice text = html ? buffer_slice(&plain) : buffer_slice(&utf8);
    charset_fold(text, 4 * text.n + 16, out);
    buffer_add_char(out, '\0');
    out->failed |= raw.failed || utf8.failed || plain.failed;
    buffer_free(&raw);
    buffer_free(&utf8);
    buffer_free(&plain);
}

struct error text_of_bodies(struct slice message, struct arena *a, struct buffer *out)
{
    struct mime_tree t;
    TRY(mime_parse(message, a, &t));
    for (size_t i = 0; i < t.n; i++) {
        if (t.parts[i].kind == MIME_MESSAGE && i + 1 < t.n) /* the head of a message inside counts as its body */
            text_of_head(slice_make(message.p + t.parts[i + 1].header_start, t.parts[i + 1].body_start - t.parts[i + 1].header_start), a, out);
        else if (t.parts[i].kind == MIME_LEAF && slice_eq_nocase(t.parts[i].type, SLICE("text")))
            add_part(&t.parts[i], message, out);
    }
    return out->failed ? error_make(ERROR_MEMORY, "no memory for a text") : OK;
}

void text_of_head(struct slice head, struct arena *a, struct buffer *out)
{
    struct header_field f;
    while (header_next(&head, &f)) {
        struct buffer text = {0};
        words_decode(header_unfold(f.value, a), &text);
        charset_fold(f.name, f.name.n + 16, out);
        buffer_add(out, SLICE(": "));
        charset_fold(buffer_slice(&text), 4 * buffer_length(&text) + 16, out);
        buffer_add_char(out, '\0');
        out->failed |= text.failed;
        buffer_free(&text);
    }
}
