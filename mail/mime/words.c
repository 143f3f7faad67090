/* mail/mime/words.c */
#include "mail/mime/words.h"

#include "mail/mime/charset.h"
#include "mail/mime/decode.h"

struct word {
    struct slice charset, text;
    char encoding;
    size_t length; /* of the whole =?…?= */
};

/* =?charset*language?B?text?= at the front of s. */
static bool read_word(struct slice s, struct word *w)
{
    if (!slice_starts(s, SLICE("=?")))
        return false;
    struct slice rest = slice_after(s, 2);
    size_t n = slice_find(slice_first(rest, 64), '?');
    if (n == 0 || n + 3 > rest.n || rest.p[n] != '?' || rest.p[n + 2] != '?')
        return false;
    w->charset = slice_first(rest, n);
    w->charset = slice_first(w->charset, slice_find(w->charset, '*')); /* RFC 2231 5 */
    w->encoding = ascii_upper(rest.p[n + 1]);
    rest = slice_after(rest, n + 3);
    size_t end = slice_find(rest, '?');
    if ((w->encoding != 'B' && w->encoding != 'Q') || end + 1 >= rest.n || rest.p[end + 1] != '=')
        return false;
    w->text = slice_first(rest, end);
    w->length = (size_t)(rest.p + end + 2 - s.p);
    return true;
}

static void decode_q(struct slice s, struct buffer *out)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '=' && i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1, low = high >= 0 ? ascii_hex(s.p[i + 2]) : -1;
        if (low >= 0) {
            buffer_add_char(out, (char)(high << 4 | low));
            i += 2;
        } else {
            buffer_add_char(out, s.p[i] == '_' ? ' ' : s.p[i]);
        }
    }
}

static void flush(struct slice charset, struct buffer *raw, struct buffer *out)
{
    charset_to_utf8(charset, buffer_slice(raw), out);
    buffer_clear(raw);
}

void words_decode(struct slice s, struct buffer *out)
{
    struct buffer raw = {0};
    struct word w = {0}, last = {0};
    while (s.n) {
        size_t plain = 0;
        while (plain < s.n && !(s.p[plain] == '=' && plain + 1 < s.n && s.p[plain + 1] == '?'))
            plain++;
        if (plain == 0 && read_word(s, &w)) {
            if (last.length && !slice_eq_nocase(last.charset, w.charset))
                flush(last.charset, &raw, out);
            if (w.encoding == 'B')
                (void)decode_part(MIME_BASE64, w.text, &raw);
            else
                decode_q(w.text, &raw);
            last = w;
            s = slice_after(s, w.length);
            continue;
        }
        if (plain == 0)
            plain = 2; /* "=?" that begins nothing */
        struct slice between = slice_first(s, plain);
        s = slice_after(s, plain);
        if (last.length && slice_trim(between).n == 0 && read_word(s, &w))
            continue; /* blanks between encoded words */
        flush(last.charset, &raw, out);
        last = (struct word){0};
        charset_to_utf8(SLICE("utf-8"), between, out);
    }
    flush(last.charset, &raw, out);
    buffer_free(&raw);
}
