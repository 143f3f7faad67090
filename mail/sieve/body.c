/* mail/sieve/body.c -- what is behind the head (RFC 5173): raw, decoded parts of some types, or text. Sees the first SIEVE_BODY_MAX bytes of a message. */
#include "mail/mime/charset.h"
#include "mail/mime/decode.h"
#include "mail/mime/header.h"
#include "mail/sieve/internal.h"

static struct error content(struct sieve_run *r, struct slice *out)
{
    if (!r->content.p) {
        r->content = SLICE("");
        if (r->m->content)
            TRY(r->m->content(r->m->arg, SIEVE_BODY_MAX, r->arena, &r->content));
        r->content = slice_first(r->content, SIEVE_BODY_MAX);
        TRY(run_steps(r, r->content.n));
    }
    *out = r->content;
    return OK;
}

/* "text" takes text/anything, "text/html" that, "" all; with a slash in front or at the end nothing (RFC 5173 5.2). */
static bool type_wanted(const struct mime_part *p, const struct sieve_list *types)
{
    for (size_t i = 0; i < types->n; i++) {
        struct slice want = types->all[i];
        size_t slash = slice_find(want, '/');
        if (want.n == 0)
            return true;
        if (slash == 0 || slash + 1 == want.n || !slice_eq_nocase(slice_first(want, slash), p->type))
            continue;
        if (slash == want.n || slice_eq_nocase(slice_after(want, slash + 1), p->subtype))
            return true;
    }
    return false;
}

/* Of a multipart what stands before its first part and behind its last, without the boundary lines. */
static struct error match_between(struct matcher *m, const struct mime_tree *t, size_t i, struct slice message)
{
    const struct mime_part *p = &t->parts[i];
    size_t first = 0, last = 0;
    for (size_t k = i + 1; k < t->n; k++)
        if (t->parts[k].parent == i && k != i) {
            first = first ? first : k;
            last = k;
        }
    if (!first)
        return matcher_value(m, slice_make(message.p + p->body_start, p->body_end - p->body_start));
    struct slice before = slice_make(message.p + p->body_start, t->parts[first].header_start - p->body_start);
    if (before.n)
        before.n--; /* the line end of the boundary line, then the line */
    while (before.n && before.p[before.n - 1] != '\n')
        before.n--;
    TRY(matcher_value(m, before));
    struct slice after = slice_make(message.p + t->parts[last].body_end, p->body_end - t->parts[last].body_end);
    after = slice_trim(after);
    if (!m->found && after.n)
        TRY(matcher_value(m, slice_after(after, slice_find(after, '\n') + 1)));
    return OK;
}

static struct error match_leaf(struct matcher *m, const struct mime_part *p, struct slice message)
{
    struct buffer raw = {0}, utf8 = {0};
    struct slice body = slice_make(message.p + p->body_start, p->body_end - p->body_start);
    if (decode_part(p->encoding, body, &raw) == DECODE_UNKNOWN)
        buffer_add(&raw, body);
    bool text = slice_eq_nocase(p->type, SLICE("text"));
    if (text)
        charset_to_utf8(mime_param(&p->params, SLICE("charset")), buffer_slice(&raw), &utf8);
    struct slice value = arena_copy(m->run->arena, buffer_slice(text ? &utf8 : &raw));
    bool failed = raw.failed || utf8.failed || !value.p;
    buffer_free(&raw);
    buffer_free(&utf8);
    if (failed)
        return sieve_no_memory();
    TRY(run_steps(m->run, body.n));
    return matcher_value(m, value);
}

static struct error match_parts(struct matcher *m, const struct sieve_list *types, struct slice message)
{
    struct mime_tree t;
    TRY(run_steps(m->run, message.n));
    TRY(mime_parse(message, m->run->arena, &t));
    for (size_t i = 0; i < t.n && !m->found; i++) {
        const struct mime_part *p = &t.parts[i];
        if (!type_wanted(p, types))
            continue;
        if (p->kind == MIME_MULTIPART)
            TRY(match_between(m, &t, i, message));
        else if (p->kind == MIME_MESSAGE && i + 1 < t.n) /* its head; its parts stand in the tree themselves */
            TRY(matcher_value(m, slice_make(message.p + t.parts[i + 1].header_start, t.parts[i + 1].body_start - t.parts[i + 1].header_start)));
        else if (p->kind == MIME_LEAF)
            TRY(match_leaf(m, p, message));
    }
    return OK;
}

struct error body_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    static const struct slice text = {"text", 4};
    const struct sieve_tag *how = node_tag(n, G_BODY);
    struct sieve_list types = {&text, 1};
    struct matcher m;
    struct slice message;
    TRY(matcher_begin(r, n, &n->at[0], &m));
    TRY(content(r, &message));
    m.keep_variables = true;
    if (how && how->id == TAG_RAW) {
        TRY(matcher_value(&m, slice_after(message, header_length(message))));
        return matcher_end(&m, out);
    }
    if (how && how->id == TAG_CONTENT)
        TRY(value_strings(r, node_tag_value(n, G_BODY), &types));
    TRY(match_parts(&m, &types, message));
    return matcher_end(&m, out);
}
