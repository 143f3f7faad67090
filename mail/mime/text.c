/* mail/mime/text.c */
#include "mail/mime/text.h"

#include "mail/mime/charset.h"
#include "mail/mime/decode.h"
#include "mail/mime/header.h"
#include "mail/mime/words.h"

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
        static const struct {
            struct slice name;
            struct slice text;
        } entities[] = {{{"&amp;", 5}, {"&", 1}}, {{"&lt;", 4}, {"<", 1}}, {{"&gt;", 4}, {">", 1}}, {{"&quot;", 6}, {"\"", 1}}, {{"&nbsp;", 6}, {" ", 1}}, {{"&#39;", 5}, {"'", 1}}};
        size_t k = 0;
        while (k < 6 && !slice_starts(s, entities[k].name))
            k++;
        buffer_add(out, k < 6 ? entities[k].text : SLICE("&"));
        s = slice_after(s, k < 6 ? entities[k].name.n : 1);
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
