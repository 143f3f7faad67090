/* mail/dkim/tags.c */
#include "mail/dkim/tags.h"

/* VALCHAR, blanks of FWS, and UTF-8. Line ends only as part of a fold: header_next gives no others but a lone CR, which is refused. */
static bool value_is_legal(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\r' && !(i + 1 < s.n && s.p[i + 1] == '\n'))
            return false;
        if (!(c > 0x20 && c != 0x7f) && !ascii_is_space((char)c))
            return false;
    }
    return true;
}

static bool name_is_legal(struct slice s)
{
    if (s.n == 0 || !ascii_is_alpha(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '_')
            return false;
    return true;
}

static bool slices_hold(const struct dkim_tags *tags, struct slice name)
{
    for (size_t i = 0; i < tags->n; i++)
        if (slice_eq(tags->tags[i].name, name))
            return true;
    return false;
}

bool dkim_tags_parse(struct slice text, struct dkim_tags *out)
{
    out->n = 0;
    while (slice_trim(text).n || out->n == 0) {
        size_t end = slice_find(text, ';');
        struct slice spec = slice_first(text, end);
        size_t equals = slice_find(spec, '=');
        struct slice name = slice_trim(slice_first(spec, equals));
        if (equals == spec.n || out->n == DKIM_TAGS_MAX || !name_is_legal(name) || slices_hold(out, name))
            return false;
        struct slice raw = slice_after(spec, equals + 1);
        if (!value_is_legal(raw))
            return false;
        out->tags[out->n++] = (struct dkim_tag){name, slice_trim(raw), raw};
        text = slice_after(text, end + 1);
    }
    return true;
}

const struct dkim_tag *dkim_tags_find(const struct dkim_tags *tags, const char *name)
{
    for (size_t i = 0; i < tags->n; i++)
        if (slice_eq(tags->tags[i].name, slice_of(name)))
            return &tags->tags[i];
    return NULL;
}

bool dkim_list_next(struct slice *rest, bool *more, struct slice *item)
{
    if (!*more)
        return false;
    size_t end = slice_find(*rest, ':');
    *item = slice_trim(slice_first(*rest, end));
    *more = end < rest->n;
    *rest = slice_after(*rest, end + 1);
    return true;
}

bool dkim_list_has(struct slice list, struct slice item)
{
    bool more = true;
    struct slice one;
    while (dkim_list_next(&list, &more, &one))
        if (slice_eq_nocase(one, item))
            return true;
    return false;
}
