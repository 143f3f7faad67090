/* mail/mime/index.c -- varints, and the walk from "1.2.3" to a part */
#include "mail/mime/index.h"

enum { VERSION = 1, CHARSET_MAX = 63 };

static void put(struct buffer *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buffer_add_char(out, (char)(0x80 | (v & 0x7F)));
    buffer_add_char(out, (char)v);
}

static bool get(struct slice *s, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; s->n && shift < 63; shift += 7) {
        unsigned char c = (unsigned char)s->p[0];
        *s = slice_after(*s, 1);
        *v |= (uint64_t)(c & 0x7F) << shift;
        if (!(c & 0x80))
            return true;
    }
    return false;
}

void mime_index_write(const struct mime_tree *t, struct buffer *out)
{
    put(out, VERSION);
    put(out, t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct mime_part *p = &t->parts[i];
        int text = slice_eq_nocase(p->type, SLICE("text")), html = text && slice_eq_nocase(p->subtype, SLICE("html"));
        struct slice charset = slice_first(mime_param(&p->params, SLICE("charset")), CHARSET_MAX);
        put(out, p->parent);
        put(out, (uint64_t)p->kind | (uint64_t)p->encoding << 2 | (uint64_t)text << 5 | (uint64_t)html << 6);
        put(out, p->header_start);
        put(out, p->body_start - p->header_start);
        put(out, p->body_end - p->body_start);
        put(out, text ? charset.n : 0);
        if (text)
            buffer_add(out, charset);
    }
}

static bool read_part(struct slice *s, uint64_t size, const struct mime_index *t, size_t i, struct mime_index_part *p)
{
    uint64_t parent, bits, start, head, body, charset;
    if (!get(s, &parent) || !get(s, &bits) || !get(s, &start) || !get(s, &head) || !get(s, &body) || !get(s, &charset) || charset > s->n || charset > CHARSET_MAX)
        return false;
    if ((i ? parent >= i : parent != 0) || bits > 127 || (bits & 3) > MIME_MESSAGE || (bits >> 2 & 7) > MIME_UNKNOWN_ENCODING)
        return false;
    if (start > size || head > size - start || body > size - start - head)
        return false;
    *p = (struct mime_index_part){.parent = (uint32_t)parent, .kind = (enum mime_kind)(bits & 3), .encoding = (enum mime_encoding)(bits >> 2 & 7), .text = bits >> 5 & 1, .html = bits >> 6 & 1,
                                  .header_start = start, .body_start = start + head, .body_end = start + head + body, .charset = slice_first(*s, charset)};
    *s = slice_after(*s, charset);
    return i == 0 || (p->header_start >= t->parts[parent].body_start && p->body_end <= t->parts[parent].body_end);
}

struct error mime_index_read(struct slice s, uint64_t size, struct arena *a, struct mime_index *out)
{
    uint64_t version, n;
    if (!get(&s, &version) || version != VERSION || !get(&s, &n) || n == 0 || n > MIME_PARTS_MAX + 1)
        return error_make(ERROR_CORRUPT, "a part index is damaged");
    out->n = n;
    out->parts = arena_zero(a, n, sizeof *out->parts);
    if (!out->parts)
        return error_make(ERROR_MEMORY, "no memory for a part index");
    for (size_t i = 0; i < n; i++)
        if (!read_part(&s, size, out, i, &out->parts[i]))
            return error_make(ERROR_CORRUPT, "a part index is damaged");
    return OK;
}

/* The k-th child; t->n when there is none. */
static size_t child(const struct mime_index *t, size_t parent, uint32_t k)
{
    for (size_t i = parent + 1; i < t->n && i; i++)
        if (t->parts[i].parent == parent && --k == 0)
            return i;
    return t->n;
}

bool mime_index_find(const struct mime_index *t, const uint32_t *numbers, size_t n, enum mime_section what, uint64_t *from, uint64_t *to, uint32_t *part)
{
    size_t at = 0;
    int message = 1; /* `at` is the root of a message: its part 1 is itself unless it is a multipart */
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] == 0)
            return false;
        if (!message && t->parts[at].kind == MIME_MESSAGE) {
            at = at + 1 < t->n ? at + 1 : t->n; /* into the message it holds */
            message = 1;
            if (at == t->n)
                return false;
        }
        if (t->parts[at].kind == MIME_MULTIPART)
            at = child(t, at, numbers[i]);
        else if (!message || numbers[i] != 1)
            return false;
        if (at >= t->n)
            return false;
        message = 0;
    }
    if (n && (what == SECTION_HEADER || what == SECTION_TEXT)) {
        if (t->parts[at].kind != MIME_MESSAGE || at + 1 >= t->n)
            return false; /* HEADER and TEXT are of messages only */
        at++;
    }
    const struct mime_index_part *p = &t->parts[at];
    *part = (uint32_t)at;
    *from = what == SECTION_HEADER || what == SECTION_MIME || (what == SECTION_WHOLE && n == 0) ? p->header_start : p->body_start;
    *to = what == SECTION_HEADER || what == SECTION_MIME ? p->body_start : p->body_end;
    return what != SECTION_MIME || n > 0;
}
