/* mail/mime/header.c -- lines, fields, unfolding */
#include "mail/mime/header.h"

static size_t line_length(struct slice s)
{
    size_t n = slice_find(s, '\n');
    return n < s.n ? n + 1 : s.n;
}

static bool line_is_empty(struct slice s)
{
    return s.n && (s.p[0] == '\n' || (s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n'));
}

size_t header_length(struct slice message)
{
    struct slice rest = message;
    while (rest.n) {
        size_t n = line_length(rest);
        int end = line_is_empty(rest);
        rest = slice_after(rest, n);
        if (end)
            break;
    }
    return message.n - rest.n;
}

bool header_next(struct slice *rest, struct header_field *out)
{
    while (rest->n && !line_is_empty(*rest)) {
        struct slice s = *rest;
        size_t n = line_length(s);
        while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
            n += line_length(slice_after(s, n));
        struct slice field = slice_first(s, n);
        *rest = slice_after(s, n);
        size_t colon = slice_find(slice_first(field, line_length(field)), ':');
        if (colon == 0 || colon >= field.n || field.p[colon] != ':')
            continue;
        size_t end = colon;
        while (end && (field.p[end - 1] == ' ' || field.p[end - 1] == '\t'))
            end--;
        if (end == 0)
            continue;
        size_t last = field.n;
        while (last > colon + 1 && (field.p[last - 1] == '\n' || field.p[last - 1] == '\r'))
            last--;
        *out = (struct header_field){slice_first(field, end), slice_make(field.p + colon + 1, last - colon - 1), field};
        return true;
    }
    return false;
}

struct slice header_find(struct slice head, struct slice name)
{
    struct header_field f;
    while (header_next(&head, &f))
        if (slice_eq_nocase(f.name, name))
            return f.value;
    return slice_make(NULL, 0);
}

struct slice header_unfold(struct slice value, struct arena *a)
{
    if (!value.p)
        return value;
    value = slice_trim(value);
    char *to = arena_alloc(a, value.n + 1);
    size_t n = 0;
    if (!to)
        return slice_make(NULL, 0);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n' && value.p[i] != '\0')
            to[n++] = value.p[i];
    return slice_make(to, n);
}
