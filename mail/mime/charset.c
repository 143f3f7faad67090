/* mail/mime/charset.c -- iconv of the C library, utf8proc for folding */
#include "mail/mime/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <utf8proc.h>

enum { NAME_MAX_BYTES = 40 };

#define REPLACEMENT SLICE("\xEF\xBF\xBD")

static bool is_utf8(struct slice charset)
{
    static const struct slice names[] = {{"utf-8", 5}, {"us-ascii", 8}, {"ascii", 5}, {"utf8", 4}, {"unicode-1-1-utf-8", 17}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(charset, names[i]))
            return true;
    return charset.n == 0;
}

/* Names that mail has and iconv does not, and small charsets whose name senders say when they mean the large one. */
static const struct {
    struct slice name;
    const char *iconv;
} aliases[] = {
    {{"gb2312", 6}, "GB18030"},           {{"gbk", 3}, "GB18030"},           {{"x-gbk", 5}, "GB18030"},         {{"windows-936", 11}, "GB18030"},   {{"iso-8859-1", 10}, "WINDOWS-1252"},
    {{"iso8859-1", 9}, "WINDOWS-1252"},   {{"8859_1", 6}, "WINDOWS-1252"},   {{"latin1", 6}, "WINDOWS-1252"},   {{"iso_8859-1", 10}, "WINDOWS-1252"}, {{"ks_c_5601-1987", 14}, "CP949"},
    {{"euc-kr", 6}, "CP949"},             {{"shift_jis", 9}, "CP932"},       {{"x-sjis", 6}, "CP932"},          {{"windows-31j", 11}, "CP932"},     {{"iso-8859-8-i", 12}, "ISO-8859-8"},
    {{"iso-8859-8-e", 12}, "ISO-8859-8"}, {{"x-mac-roman", 11}, "MACINTOSH"}, {{"x-mac-cyrillic", 14}, "MAC-CYRILLIC"}, {{"cp-850", 6}, "CP850"},    {{"windows-874", 11}, "CP874"},
};

/* UTF-7 under any of its names ("UTF7", "UNICODE-1-1-UTF-7", "UTF-7-IMAP"): who reads it reads markup that filters did not see (attacks.md MM-08). */
static bool is_utf7(struct slice s)
{
    for (; s.n >= 4; s = slice_after(s, 1))
        if (slice_starts_nocase(s, SLICE("utf7")) || slice_starts_nocase(s, SLICE("utf-7")) || slice_starts_nocase(s, SLICE("utf_7")))
            return true;
    return false;
}

static iconv_t open_charset(struct slice charset)
{
    char name[NAME_MAX_BYTES + 1];
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (slice_eq_nocase(charset, aliases[i].name))
            return iconv_open("UTF-8", aliases[i].iconv);
    if (charset.n == 0 || charset.n > NAME_MAX_BYTES || is_utf7(charset))
        return (iconv_t)-1;
    for (size_t i = 0; i < charset.n; i++) {
        if (!ascii_is_alnum(charset.p[i]) && !memchr("-_.:+", charset.p[i], 5))
            return (iconv_t)-1;
        name[i] = charset.p[i];
    }
    name[charset.n] = '\0';
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

static bool all_utf8(struct slice s)
{
    while (s.n) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = s.p[0] >= 0 ? 1 : utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
        if (n <= 0)
            return false;
        s = slice_after(s, (size_t)n);
    }
    return true;
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
        size_t room = sizeof piece, window = left < sizeof piece ? left : sizeof piece, unread = window;
        size_t r = iconv(cd, &in, &unread, &to, &room);
        int why = errno;
        bool cut = window < left && unread < window; /* a character that goes on behind the window */
        left -= window - unread;
        copy_utf8(slice_make(piece, sizeof piece - room), out); /* drops NUL */
        if (r != (size_t)-1 || why == E2BIG || (why == EINVAL && cut))
            continue;
        buffer_add(out, REPLACEMENT);
        in++;
        left--;
    }
    char *to = piece; /* some charsets hold a letter back until they know that no accent follows */
    size_t room = sizeof piece;
    if (iconv(cd, NULL, NULL, &to, &room) != (size_t)-1)
        copy_utf8(slice_make(piece, sizeof piece - room), out);
}

void charset_to_utf8(struct slice charset, struct slice bytes, struct buffer *out)
{
    if (is_utf8(charset)) {
        copy_utf8(bytes, out);
        return;
    }
    iconv_t cd = open_charset(charset);
    if (cd == (iconv_t)-1) {
        if (all_utf8(bytes)) /* "unknown-8bit", "default", "uft-8": mostly it is */
            copy_utf8(bytes, out);
        else
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
