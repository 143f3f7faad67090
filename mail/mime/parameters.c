/* mail/mime/parameters.c -- a tolerant reader: clients write nearly anything here */
#include "mail/mime/parameters.h"

enum { PIECES_MAX = 64, COMMENT_DEPTH = 20 };

/* Over blanks and (comments (in comments)); a comment that never ends takes the rest. */
static struct slice skip(struct slice s)
{
    while (s.n) {
        if (ascii_is_space(s.p[0])) {
            s = slice_after(s, 1);
            continue;
        }
        if (s.p[0] != '(')
            break;
        size_t i = 0;
        int depth = 0;
        for (; i < s.n; i++) {
            if (s.p[i] == '\\')
                i++;
            else if (s.p[i] == '(' && ++depth > COMMENT_DEPTH)
                return slice_after(s, s.n);
            else if (s.p[i] == ')' && --depth == 0)
                break;
        }
        s = slice_after(s, i + 1);
    }
    return s;
}

static struct slice until(struct slice s, const char *stops, size_t n)
{
    size_t i = 0;
    while (i < s.n && !memchr(stops, s.p[i], n))
        i++;
    return slice_first(s, i);
}

/* A quoted string at the front of *s, without quotes and backslashes. */
static struct slice quoted(struct slice *s, struct arena *a)
{
    char *to = arena_alloc(a, s->n);
    size_t n = 0, i = 1;
    if (!to) {
        *s = slice_after(*s, s->n);
        return SLICE("");
    }
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\' && i + 1 < s->n)
            i++;
        to[n++] = s->p[i];
    }
    *s = slice_after(*s, i + 1);
    return slice_make(to, n);
}

struct piece {
    struct slice name, value;
    uint64_t number; /* UINT64_MAX: no piece of a continuation */
    int encoded;
};

static void split_name(struct piece *p)
{
    size_t star = slice_find(p->name, '*');
    p->number = UINT64_MAX;
    if (star == p->name.n)
        return;
    struct slice rest = slice_after(p->name, star + 1);
    p->encoded = rest.n == 0 || slice_ends(rest, SLICE("*"));
    if (p->encoded && rest.n)
        rest.n--;
    if (rest.n && !slice_number(rest, PIECES_MAX - 1, &p->number)) {
        p->encoded = 0; /* an odd one keeps its whole name */
        return;
    }
    p->name = slice_first(p->name, star);
}

static bool read_piece(struct slice *s, struct arena *a, struct piece *p)
{
    *s = skip(*s);
    while (s->n && s->p[0] == ';')
        *s = skip(slice_after(*s, 1));
    if (!s->n)
        return false;
    *p = (struct piece){.name = slice_trim(until(*s, "=;", 2))};
    *s = slice_after(*s, until(*s, "=;", 2).n);
    if (s->n && s->p[0] == '=') {
        *s = skip(slice_after(*s, 1));
        if (s->n && s->p[0] == '"') {
            p->value = quoted(s, a);
            *s = slice_after(*s, until(*s, ";", 1).n);
        } else {
            struct slice raw = until(*s, ";", 1);
            *s = slice_after(*s, raw.n);
            p->value = slice_trim(until(raw, "(", 1));
        }
    } else {
        p->value = SLICE("");
    }
    split_name(p);
    return true;
}

/* name*0, name*1*, … in the order of their numbers, however they were written. */
static struct error join(const struct piece *pieces, size_t n, size_t first, struct arena *a, struct mime_param *out)
{
    const struct piece *by_number[PIECES_MAX] = {0};
    size_t bytes = 0, count = 0;
    int encoded = 0;
    for (size_t i = first; i < n; i++)
        if (pieces[i].number < PIECES_MAX && !by_number[pieces[i].number] && slice_eq_nocase(pieces[i].name, pieces[first].name))
            by_number[pieces[i].number] = &pieces[i];
    for (; count < PIECES_MAX && by_number[count]; count++) {
        bytes += by_number[count]->value.n;
        encoded |= by_number[count]->encoded;
    }
    char *to = arena_alloc(a, bytes + 1), *name = arena_alloc(a, pieces[first].name.n + 1);
    if (!to || !name)
        return error_make(ERROR_MEMORY, "no memory for parameters");
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(to + at, by_number[i]->value.p, by_number[i]->value.n);
        at += by_number[i]->value.n;
    }
    memcpy(name, pieces[first].name.p, pieces[first].name.n);
    name[pieces[first].name.n] = '*';
    *out = (struct mime_param){slice_make(name, pieces[first].name.n + (encoded ? 1 : 0)), slice_make(to, at)};
    return OK;
}

static bool joined_before(const struct piece *pieces, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (pieces[k].number != UINT64_MAX && slice_eq_nocase(pieces[k].name, pieces[i].name))
            return true;
    return false;
}

struct error parameters_read(struct slice value, struct arena *a, struct slice *word, struct mime_params *out)
{
    struct slice s = skip(value);
    struct piece *pieces = NULL;
    size_t n = 0;
    *out = (struct mime_params){0};
    *word = until(s, ";", 1);
    s = slice_after(s, word->n);
    *word = slice_trim(until(*word, "(", 1));
    if (s.n == 0)
        return OK;
    pieces = arena_zero(a, MIME_PARAMS_MAX, sizeof *pieces);
    out->all = arena_zero(a, MIME_PARAMS_MAX, sizeof *out->all);
    if (!pieces || !out->all)
        return error_make(ERROR_MEMORY, "no memory for parameters");
    while (n < MIME_PARAMS_MAX && read_piece(&s, a, &pieces[n]))
        if (pieces[n].name.n)
            n++;
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].number == UINT64_MAX) {
            struct slice name = pieces[i].encoded ? slice_make(pieces[i].name.p, pieces[i].name.n + 1) : pieces[i].name;
            out->all[out->n++] = (struct mime_param){name, pieces[i].value};
        } else if (!joined_before(pieces, i)) {
            TRY(join(pieces, n, i, a, &out->all[out->n++]));
        }
    }
    return OK;
}
