/* tests/fuzz/mime_fuzz.c -- whole messages: the tree and its invariants (attacks.md MM-04), both texts of IMAP, the index there and back, text for SEARCH */
#include "mail/mime/header.h"
#include "mail/mime/imap_text.h"
#include "mail/mime/index.h"
#include "mail/mime/text.h"
#include "tests/fuzz/target.h"

static void check_tree(const struct mime_tree *t, size_t size)
{
    promise(t->n >= 1 && t->n <= MIME_PARTS_MAX + 1 && t->parts[0].header_start == 0 && t->parts[0].body_end == size);
    for (size_t i = 0; i < t->n; i++) {
        const struct mime_part *p = &t->parts[i], *parent = &t->parts[p->parent];
        promise(p->header_start <= p->body_start && p->body_start <= p->body_end && p->body_end <= size);
        promise(i == 0 ? p->parent == 0 : p->parent < i && p->header_start >= parent->body_start && p->body_end <= parent->body_end);
        promise(p->kind != MIME_MESSAGE || (p->n_children == 1 && i + 1 < t->n && t->parts[i + 1].parent == i));
        for (size_t k = i; i > 0 && k-- > 1;) /* brothers stand in order and apart */
            if (t->parts[k].parent == p->parent) {
                promise(t->parts[k].body_end <= p->header_start);
                break;
            }
    }
}

static void check_index(const struct mime_tree *t, size_t size, struct arena *a)
{
    struct buffer b = {0};
    struct mime_index x;
    mime_index_write(t, &b);
    promise(mime_index_read(buffer_slice(&b), size, a, &x).code == ERROR_NONE && x.n == t->n);
    for (size_t i = 0; i < x.n; i++)
        promise(x.parts[i].parent == t->parts[i].parent && x.parts[i].kind == t->parts[i].kind && x.parts[i].body_start == t->parts[i].body_start && x.parts[i].body_end == t->parts[i].body_end);
    for (uint32_t k = 1; k < 4; k++) {
        uint32_t numbers[] = {k, 1, k}, part;
        uint64_t from, to;
        for (int what = SECTION_WHOLE; what <= SECTION_MIME; what++)
            for (size_t n = 0; n <= 3; n++)
                if (mime_index_find(&x, numbers, n, (enum mime_section)what, &from, &to, &part))
                    promise(from <= to && to <= size && part < x.n);
    }
    buffer_free(&b);
}

/* Parentheses balance outside strings, literals are as long as they say, and no line end stands anywhere else. */
static void check_text(struct slice s)
{
    int64_t depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint64_t n = 0;
        if (s.p[i] == '"') {
            for (i++; i < s.n && s.p[i] != '"'; i++) {
                promise(s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] > 0);
                i += s.p[i] == '\\';
            }
            promise(i < s.n);
        } else if (s.p[i] == '{') {
            size_t end = slice_find(slice_after(s, i), '}') + i;
            promise(slice_number(slice_make(s.p + i + 1, end - i - 1), s.n, &n) && end + 2 + n < s.n && s.p[end + 1] == '\r' && s.p[end + 2] == '\n');
            promise(!n || !memchr(s.p + end + 3, '\n', n));
            i = end + 2 + n;
        } else {
            promise(s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\0');
            depth += (s.p[i] == '(') - (s.p[i] == ')');
            promise(depth > 0 || i + 1 == s.n);
        }
    }
    promise(depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice message = target_slice(data, size);
    struct arena a;
    struct mime_tree t;
    struct buffer b = {0};
    arena_init(&a, 512 * 1024 * 1024);
    promise(mime_parse(message, &a, &t).code == ERROR_NONE);
    check_tree(&t, size);
    check_index(&t, size, &a);
    struct buffer body = {0}, again = {0};
    promise(imap_text_structure(&t, message, IMAP_TEXT_BODY, &a, &body).code == ERROR_NONE);
    promise(imap_text_structure(&t, message, IMAP_TEXT_BODYSTRUCTURE, &a, &b).code == ERROR_NONE);
    check_text(buffer_slice(&body));
    check_text(buffer_slice(&b));
    promise(imap_text_body(buffer_slice(&b), &again) && slice_eq(buffer_slice(&again), buffer_slice(&body)));
    (void)imap_text_body(message, &again);
    buffer_free(&body);
    buffer_free(&again);
    buffer_clear(&b);
    promise(imap_text_envelope(slice_first(message, header_length(message)), &a, &b).code == ERROR_NONE);
    check_text(buffer_slice(&b));
    buffer_clear(&b);
    promise(text_of_bodies(message, &a, &b).code == ERROR_NONE && buffer_length(&b) <= 64 * size + 4096);
    buffer_clear(&b);
    text_of_head(slice_first(message, header_length(message)), &a, &b);
    buffer_free(&b);
    arena_free(&a);
    return 0;
}
