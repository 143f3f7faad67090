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

/* At the next ';' that stands in no comment. */
static struct slice to_semicolon(struct slice s)
{
    while (s.n && s.p[0] != ';')
        s = s.p[0] == '(' ? skip(s) : slice_after(s, 1);
    return s;
}

/* A quoted string at the front of *s, without quotes and backslashes; *room is as long as what is left of the field. */
static struct slice quoted(struct slice *s, char **room)
{
    char *to = *room;
    size_t n = 0, i = 1;
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\' && i + 1 < s->n)
            i++;
        to[n++] = s->p[i];
    }
    *s = slice_after(*s, i + 1);
    *room += n;
    return slice_make(to, n);
}

struct piece {
    struct slice whole, name, value; /* whole: with stars and number, as written */
    uint64_t number; /* UINT64_MAX: no piece of a continuation */
    int encoded;
};

static void split_name(struct piece *p)
{
    size_t star = slice_find(p->name, '*');
    p->whole = p->name;
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

static bool read_piece(struct slice *s, char **room, struct piece *p)
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
            p->value = quoted(s, room);
        } else {
            struct slice raw = until(*s, ";(", 2);
            *s = slice_after(*s, raw.n);
            p->value = slice_trim(raw);
        }
        *s = to_semicolon(*s);
    } else {
        p->value = SLICE("");
    }
    split_name(p);
    return true;
}

/* Appends a piece; one that is plain among encoded ones is made an encoded one. */
static char *add_piece(char *to, const struct piece *p, int encoded)
{
    static const char digits[] = "0123456789ABCDEF";
    if (!encoded || p->encoded) {
        memcpy(to, p->value.p, p->value.n);
        return to + p->value.n;
    }
    for (size_t i = 0; i < p->value.n; i++) {
        unsigned char c = (unsigned char)p->value.p[i];
        if (c > 0x20 && c < 0x7F && !memchr("*'%()<>@,;:\\\"/[]?=", c, 18)) { /* RFC 2231 7: attribute-char */
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    return to;
}

/* name*0, name*1*, … in the order of their numbers, however they were written. What lacks its first piece, or says its charset anywhere but there, is
 * odd: the pieces are given as they stand (attacks.md MM-06: never a name that a client reads otherwise). */
static struct error join(const struct piece *pieces, size_t n, size_t first, struct arena *a, struct mime_params *out)
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
    if (count == 0 || (encoded && !by_number[0]->encoded)) {
        for (size_t i = first; i < n; i++)
            if (pieces[i].number != UINT64_MAX && slice_eq_nocase(pieces[i].name, pieces[first].name))
                out->all[out->n++] = (struct mime_param){pieces[i].whole, pieces[i].value};
        return OK;
    }
    char *to = arena_alloc(a, (encoded ? 3 * bytes : bytes) + 1), *name = arena_alloc(a, pieces[first].name.n + 1), *end = to;
    if (!to || !name)
        return error_make(ERROR_MEMORY, "no memory for parameters");
    for (size_t i = 0; i < count; i++)
        end = add_piece(end, by_number[i], encoded);
    memcpy(name, pieces[first].name.p, pieces[first].name.n);
    name[pieces[first].name.n] = '*';
    out->all[out->n++] = (struct mime_param){slice_make(name, pieces[first].name.n + (encoded ? 1 : 0)), slice_make(to, (size_t)(end - to))};
    return OK;
}

static bool joined_before(const struct piece *pieces, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (pieces[k].number != UINT64_MAX && slice_eq_nocase(pieces[k].name, pieces[i].name))
            return true;
    return false;
}

/* The end of "text/plain" or "attachment", blanks around the '/' included: a blank behind it stands where a ';' was forgotten. */
static size_t word_end(struct slice s)
{
    size_t n = until(s, ";(", 2).n, i = 0;
    int last = ' ';
    for (size_t k = 0; k < n; k++) {
        if (ascii_is_space(s.p[k]))
            continue;
        if (k && ascii_is_space(s.p[k - 1]) && last != ' ' && last != '/' && s.p[k] != '/')
            return i;
        last = s.p[k];
        i = k + 1;
    }
    return n;
}

struct error parameters_read(struct slice value, struct arena *a, struct slice *word, struct mime_params *out)
{
    struct slice s = skip(value);
    struct piece pieces[MIME_PARAMS_MAX];
    size_t n = 0;
    *out = (struct mime_params){0};
    *word = slice_first(s, word_end(s));
    s = slice_after(s, word->n);
    if (slice_find(s, ';') < s.n && slice_find(s, '=') > slice_find(s, ';'))
        s = to_semicolon(s);
    *word = slice_trim(*word);
    if (s.n == 0)
        return OK;
    char *room = arena_alloc(a, s.n);
    if (!room)
        return error_make(ERROR_MEMORY, "no memory for parameters");
    while (n < MIME_PARAMS_MAX && read_piece(&s, &room, &pieces[n]))
        if (pieces[n].name.n)
            n++;
    out->all = arena_alloc(a, (n ? n : 1) * sizeof *out->all);
    if (!out->all)
        return error_make(ERROR_MEMORY, "no memory for parameters");
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].number == UINT64_MAX)
            out->all[out->n++] = (struct mime_param){pieces[i].whole, pieces[i].value};
        else if (!joined_before(pieces, i))
            TRY(join(pieces, n, i, a, out));
    }
    return OK;
}
