/* mail/mime/decode.c */
#include "mail/mime/decode.h"

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Characters outside the alphabet are skipped (RFC 2045 6.8); padding ends a group, and what follows begins a new one (files glued together). */
static enum decode_result decode_base64(struct slice s, struct buffer *out)
{
    enum decode_result result = DECODE_CLEAN;
    char *to = buffer_room(out, s.n / 4 * 3 + 3);
    size_t n = 0;
    uint32_t bits = 0;
    int count = 0;
    if (!to)
        return DECODE_BROKEN;
    for (size_t i = 0; i < s.n; i++) {
        int v = base64_value(s.p[i]);
        if (v >= 0) {
            bits = bits << 6 | (uint32_t)v;
            if (++count == 4) {
                to[n++] = (char)(bits >> 16);
                to[n++] = (char)(bits >> 8);
                to[n++] = (char)bits;
                count = 0;
            }
            continue;
        }
        if (s.p[i] == '=') {
            if (count == 2) {
                to[n++] = (char)(bits >> 4);
            } else if (count == 3) {
                to[n++] = (char)(bits >> 10);
                to[n++] = (char)(bits >> 2);
            } else if (count == 1) {
                result = DECODE_BROKEN;
            }
            count = 0;
        } else if (!ascii_is_space(s.p[i])) {
            result = DECODE_BROKEN;
        }
    }
    if (count) {
        result = DECODE_BROKEN;
        if (count >= 2)
            to[n++] = (char)(bits >> (count == 2 ? 4 : 10));
        if (count == 3)
            to[n++] = (char)(bits >> 2);
    }
    buffer_added(out, n);
    return result;
}

static enum decode_result decode_qp(struct slice s, struct buffer *out)
{
    enum decode_result result = DECODE_CLEAN;
    char *to = buffer_room(out, s.n + 1);
    size_t n = 0;
    if (!to)
        return DECODE_BROKEN;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '=') {
            to[n++] = s.p[i];
            continue;
        }
        size_t blank = i + 1;
        while (blank < s.n && (s.p[blank] == ' ' || s.p[blank] == '\t' || s.p[blank] == '\r'))
            blank++;
        if (blank >= s.n || s.p[blank] == '\n') { /* a soft line break, perhaps with blanks that a gateway added */
            i = blank;
            continue;
        }
        int high = i + 1 < s.n ? ascii_hex(s.p[i + 1]) : -1, low = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;
        if (high < 0 || low < 0) {
            result = DECODE_BROKEN;
            to[n++] = '=';
            continue;
        }
        to[n++] = (char)(high << 4 | low);
        i += 2;
    }
    buffer_added(out, n);
    return result;
}

enum decode_result decode_part(enum mime_encoding encoding, struct slice body, struct buffer *out)
{
    switch (encoding) {
    case MIME_BASE64:
        return decode_base64(body, out);
    case MIME_QP:
        return decode_qp(body, out);
    case MIME_UNKNOWN_ENCODING:
        return DECODE_UNKNOWN;
    default:
        buffer_add(out, body);
        return DECODE_CLEAN;
    }
}

void base64_encode(struct slice bytes, struct buffer *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.p;
    for (size_t i = 0; i < bytes.n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < bytes.n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < bytes.n ? p[i + 2] : 0);
        buffer_add_char(out, letters[v >> 18]);
        buffer_add_char(out, letters[v >> 12 & 63]);
        buffer_add_char(out, i + 1 < bytes.n ? letters[v >> 6 & 63] : '=');
        buffer_add_char(out, i + 2 < bytes.n ? letters[v & 63] : '=');
    }
}

bool base64_decode(struct slice text, struct buffer *out)
{
    size_t n = text.n, pad = 0;
    if (n % 4)
        return false;
    while (pad < 2 && n && text.p[n - 1] == '=') {
        n--;
        pad++;
    }
    for (size_t i = 0; i < n; i++)
        if (base64_value(text.p[i]) < 0)
            return false;
    return decode_base64(text, out) == DECODE_CLEAN;
}
