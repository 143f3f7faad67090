/* mail/mailbox/name.c */
#include "mail/mailbox/name.h"

#include <utf8proc.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static void add_code_point(uint32_t c, struct buffer *out)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, bytes);
    buffer_add(out, slice_make((const char *)bytes, n > 0 ? (size_t)n : 0));
}

/* "&…-" at the front of *s, behind the '&'. */
static bool shifted(struct slice *s, struct buffer *out)
{
    uint32_t bits = 0, high = 0;
    int count = 0;
    size_t i = 0;
    for (; i < s->n && s->p[i] != '-'; i++) {
        const char *at = s->p[i] ? strchr(letters, s->p[i]) : NULL;
        if (!at)
            return false;
        bits = bits << 6 | (uint32_t)(at - letters);
        count += 6;
        if (count < 16)
            continue;
        count -= 16;
        uint32_t unit = bits >> count & 0xFFFF;
        bits &= (1U << count) - 1;
        if (high) {
            if (unit < 0xDC00 || unit > 0xDFFF)
                return false;
            add_code_point(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00), out);
            high = 0;
        } else if (unit >= 0xD800 && unit <= 0xDBFF) {
            high = unit;
        } else if ((unit >= 0xDC00 && unit <= 0xDFFF) || (unit >= 0x20 && unit < 0x7F) || unit == 0) {
            return false; /* printable ASCII stands for itself */
        } else {
            add_code_point(unit, out);
        }
    }
    if (i == s->n || high || count >= 6 || bits)
        return false;
    *s = slice_after(*s, i + 1);
    return true;
}

bool name_from_utf7(struct slice s, struct buffer *out)
{
    const char *shift_end = NULL; /* "&…-&…-" is one shift too many (RFC 3501 5.1.3): a second spelling of a name */
    while (s.n) {
        char c = s.p[0];
        s = slice_after(s, 1);
        if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7F)
            return false;
        if (c != '&') {
            buffer_add_char(out, c);
        } else if (s.n && s.p[0] == '-') {
            buffer_add_char(out, '&');
            s = slice_after(s, 1);
        } else if (s.p - 1 == shift_end || !shifted(&s, out)) {
            return false;
        } else {
            shift_end = s.p;
        }
    }
    return true;
}

static void put_unit(uint32_t unit, uint32_t *bits, int *count, struct buffer *out)
{
    *bits = *bits << 16 | unit;
    *count += 16;
    while (*count >= 6) {
        *count -= 6;
        buffer_add_char(out, letters[*bits >> *count & 63]);
    }
    *bits &= (1U << *count) - 1;
}

void name_to_utf7(struct slice s, struct buffer *out)
{
    while (s.n) {
        unsigned char c = (unsigned char)s.p[0];
        if (c >= 0x20 && c < 0x7F) {
            buffer_add_char(out, (char)c);
            if (c == '&')
                buffer_add_char(out, '-');
            s = slice_after(s, 1);
            continue;
        }
        uint32_t bits = 0;
        int count = 0;
        buffer_add_char(out, '&');
        while (s.n && ((unsigned char)s.p[0] < 0x20 || (unsigned char)s.p[0] >= 0x7F)) {
            utf8proc_int32_t point;
            utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &point);
            if (n <= 0) {
                n = 1;
                point = 0xFFFD;
            }
            s = slice_after(s, (size_t)n);
            if (point >= 0x10000) {
                put_unit(0xD800 + (((uint32_t)point - 0x10000) >> 10), &bits, &count, out);
                put_unit(0xDC00 + (((uint32_t)point - 0x10000) & 0x3FF), &bits, &count, out);
            } else {
                put_unit((uint32_t)point, &bits, &count, out);
            }
        }
        if (count)
            buffer_add_char(out, letters[bits << (6 - count) & 63]);
        buffer_add_char(out, '-');
    }
}
