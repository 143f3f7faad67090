/* mail/mime/charset.c -- iconv of the C library, utf8proc for folding */
#include "mail/mime/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <utf8proc.h>

enum { NAME_MAX_BYTES = 40 };

#define REPLACEMENT SLICE("\xEF\xBF\xBD")

static bool is_name(struct slice s, struct slice want)
{
    return slice_eq_nocase(s, want);
}

static bool is_utf8(struct slice charset)
{
    return charset.n == 0 || is_name(charset, SLICE("utf-8")) || is_name(charset, SLICE("us-ascii")) || is_name(charset, SLICE("ascii")) || is_name(charset, SLICE("utf8"));
}

static iconv_t open_charset(struct slice charset)
{
    char name[NAME_MAX_BYTES + 1];
    if (charset.n == 0 || charset.n > NAME_MAX_BYTES || is_name(charset, SLICE("utf-7")))
        return (iconv_t)-1;
    for (size_t i = 0; i < charset.n; i++) {
        if (!ascii_is_alnum(charset.p[i]) && !memchr("-_.:+", charset.p[i], 5))
            return (iconv_t)-1;
        name[i] = charset.p[i];
    }
    name[charset.n] = '\0';
    if (slice_eq_nocase(charset, SLICE("gb2312")) || slice_eq_nocase(charset, SLICE("gbk")))
        return iconv_open("UTF-8", "GB18030"); /* senders say the small name and mean the large set */
    if (slice_eq_nocase(charset, SLICE("iso-8859-1")))
        return iconv_open("UTF-8", "WINDOWS-1252"); /* the same for 0x80 to 0x9F */
    if (slice_eq_nocase(charset, SLICE("ks_c_5601-1987")))
        return iconv_open("UTF-8", "CP949");
    return iconv_open("UTF-8", name);
}

bool charset_known(struct slice charset)
{
    if (is_utf8(charset))
        return true;
    iconv_t cd = open_charset(charset);
    if (cd == (iconv_t)-1)
        return false;
    (void)iconv_close(cd);
    return true;
}

static void copy_utf8(struct slice s, struct buffer *out)
{
    while (s.n) {
        size_t plain = 0;
        while (plain < s.n && s.p[plain] > 0) /* ASCII without NUL, in one piece */
            plain++;
        buffer_add(out, slice_first(s, plain));
        s = slice_after(s, plain);
        if (!s.n)
            break;
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
        if (n > 0 && s.p[0])
            buffer_add(out, slice_first(s, (size_t)n));
        else if (s.p[0])
            buffer_add(out, REPLACEMENT);
        s = slice_after(s, n > 0 ? (size_t)n : 1);
    }
}

static void copy_latin1(struct slice s, struct buffer *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x80) {
            buffer_add_char(out, (char)(0xC0 | c >> 6));
            buffer_add_char(out, (char)(0x80 | (c & 0x3F)));
        } else if (c) {
            buffer_add_char(out, (char)c);
        }
    }
}

static void convert(iconv_t cd, struct slice s, struct buffer *out)
{
    char piece[4096];
    size_t limit = s.n * 4 + 16, before = buffer_length(out);
    char *in = (char *)(uintptr_t)s.p;
    size_t left = s.n;
    while (left && buffer_length(out) - before < limit) {
        char *to = piece;
        size_t room = sizeof piece;
        size_t r = iconv(cd, &in, &left, &to, &room);
        int why = errno;
        copy_utf8(slice_make(piece, sizeof piece - room), out); /* drops NUL */
        if (r != (size_t)-1 || why == E2BIG)
            continue;
        buffer_add(out, REPLACEMENT);
        in++;
        left--;
    }
}

void charset_to_utf8(struct slice charset, struct slice bytes, struct buffer *out)
{
    if (is_utf8(charset)) {
        copy_utf8(bytes, out);
        return;
    }
    iconv_t cd = open_charset(charset);
    if (cd == (iconv_t)-1) {
        copy_latin1(bytes, out);
        return;
    }
    convert(cd, bytes, out);
    (void)iconv_close(cd);
}

void charset_fold(struct slice text, size_t most, struct buffer *out)
{
    size_t end = buffer_length(out) + most;
    while (text.n && buffer_length(out) < end) {
        if (text.p[0] > 0) { /* ASCII */
            buffer_add_char(out, ascii_lower(text.p[0]));
            text = slice_after(text, 1);
            continue;
        }
        utf8proc_int32_t c, folded[32];
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text.p, (utf8proc_ssize_t)text.n, &c);
        if (n <= 0 || c == 0) {
            if (n <= 0)
                buffer_add(out, REPLACEMENT);
            text = slice_after(text, n > 0 ? (size_t)n : 1);
            continue;
        }
        text = slice_after(text, (size_t)n);
        utf8proc_ssize_t k = utf8proc_decompose_char(c, folded, 32, UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_DECOMPOSE | UTF8PROC_STRIPMARK | UTF8PROC_IGNORE, NULL);
        for (utf8proc_ssize_t i = 0; i < k && i < 32; i++) {
            utf8proc_uint8_t bytes[4];
            utf8proc_ssize_t m = utf8proc_encode_char(folded[i], bytes);
            buffer_add(out, slice_make((const char *)bytes, m > 0 ? (size_t)m : 0));
        }
    }
}
