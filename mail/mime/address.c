/* mail/mime/address.c -- one pass, word by word; what was gathered so far becomes a name at '<' and an address at ',' */
#include "mail/mime/address.h"

enum { COMMENT_DEPTH = 20 };

struct reader {
    struct slice rest;
    struct arena *arena;
    struct mime_addresses *out;
    size_t room;
    char *text;            /* the gathered phrase, unquoted; with the ones before it never longer than the field */
    char *side;            /* the same for comments and angle addresses */
    size_t n, at_sign;     /* at_sign: where the unquoted '@' stands in text; SIZE_MAX: none */
    int some, space, in_group;
    struct slice comment;  /* the last comment: a name of old style, "a@b (Name)" */
};

static struct error add(struct reader *r, struct mime_address x)
{
    if (r->out->n >= MIME_ADDRESSES_MAX)
        return OK;
    if (r->out->n == r->room) {
        size_t room = r->room ? r->room * 2 : 4;
        struct mime_address *all = arena_grow(r->arena, r->out->all, r->out->n * sizeof *all, room * sizeof *all);
        if (!all)
            return error_make(ERROR_MEMORY, "no memory for addresses");
        r->out->all = all;
        r->room = room;
    }
    r->out->all[r->out->n++] = x;
    return OK;
}

static void forget(struct reader *r)
{
    r->text += r->n;
    r->n = 0;
    r->at_sign = SIZE_MAX;
    r->some = r->space = 0;
    r->comment = slice_make(NULL, 0);
}

static void gather(struct reader *r, char c)
{
    r->text[r->n++] = c;
    r->some = 1;
}

static void read_quoted(struct reader *r)
{
    size_t i = 1;
    for (; i < r->rest.n && r->rest.p[i] != '"'; i++) {
        if (r->rest.p[i] == '\\' && i + 1 < r->rest.n)
            i++;
        gather(r, r->rest.p[i]);
    }
    r->some = 1;
    r->rest = slice_after(r->rest, i + 1);
}

/* How long is the comment that begins here; what nests deeper than COMMENT_DEPTH or never ends takes the rest. */
static size_t comment_length(struct slice s)
{
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '(' && ++depth > COMMENT_DEPTH)
            break;
        else if (s.p[i] == ')' && --depth == 0)
            return i + 1;
    }
    return s.n;
}

static void read_comment(struct reader *r)
{
    struct slice text = slice_first(r->rest, comment_length(r->rest));
    char *to = r->side;
    size_t n = 0;
    r->rest = slice_after(r->rest, text.n);
    text = slice_after(text, 1);
    if (slice_ends(text, SLICE(")")))
        text.n--;
    for (size_t i = 0; i < text.n; i++)
        to[n++] = text.p[i] == '\\' && i + 1 < text.n ? text.p[++i] : text.p[i];
    r->comment = slice_trim(slice_make(to, n));
    r->side += n;
}

/* <local@domain>, a source route before it is dropped. The gathered phrase is the name. */
static struct error read_angle(struct reader *r)
{
    struct slice name = slice_trim(slice_make(r->text, r->n));
    char *to = r->side;
    size_t n = 0, at = SIZE_MAX, i = 1;
    int quote = 0;
    for (; i < r->rest.n && (quote || r->rest.p[i] != '>'); i++) {
        char c = r->rest.p[i];
        if (c == '"') {
            quote = !quote;
            continue;
        }
        if (c == '\\' && quote && i + 1 < r->rest.n)
            c = r->rest.p[++i];
        else if (c == '@' && !quote)
            at = n;
        else if (c == ':' && !quote && n && to[0] == '@') {
            n = 0; /* @a,@b:user@c */
            at = SIZE_MAX;
            continue;
        } else if (!quote && c == '(') {
            i += comment_length(slice_after(r->rest, i)) - 1;
            continue;
        } else if (!quote && ascii_is_space(c)) {
            continue;
        }
        to[n++] = c;
    }
    r->rest = slice_after(r->rest, i + 1);
    r->side += n;
    struct mime_address x = {.name = name.n || r->some ? name : r->comment};
    x.local = slice_make(to, at == SIZE_MAX ? n : at);
    x.domain = at == SIZE_MAX ? SLICE("") : slice_make(to + at + 1, n - at - 1);
    if (x.name.n == 0)
        x.name = slice_make(NULL, 0);
    if (n)
        TRY(add(r, x));
    /* what stands between '>' and the next ',' is noise; a comma in a comment there is none of the list */
    while (r->rest.n && r->rest.p[0] != ',' && r->rest.p[0] != ';') {
        if (r->rest.p[0] == '(')
            read_comment(r);
        else
            r->rest = slice_after(r->rest, 1);
    }
    forget(r);
    return OK;
}

/* "[IPv6:2001:db8::1]": a domain literal, as it stands; its ':' begins no group. */
static void read_literal(struct reader *r)
{
    size_t n = slice_find(r->rest, ']');
    for (size_t i = 0; i < n; i++)
        if (!ascii_is_space(r->rest.p[i]))
            gather(r, r->rest.p[i]);
    if (n < r->rest.n)
        gather(r, ']');
    r->rest = slice_after(r->rest, n + 1);
}

/* At ',' or the end: the gathered phrase is a bare address, or a name without one. */
static struct error finish(struct reader *r)
{
    if (r->n) {
        struct mime_address x = {.name = r->comment};
        struct slice all = slice_make(r->text, r->n);
        if (r->at_sign != SIZE_MAX) {
            size_t n = r->at_sign + 1;
            for (size_t i = n; i < all.n; i++) /* blanks inside a domain are obsolete syntax */
                if (r->text[i] != ' ')
                    r->text[n++] = r->text[i];
            x.local = slice_trim(slice_first(all, r->at_sign));
            x.domain = slice_make(r->text + r->at_sign + 1, n - r->at_sign - 1);
        } else {
            x.local = slice_trim(all);
            x.domain = SLICE("");
        }
        if (x.local.n || x.domain.n)
            TRY(add(r, x));
    }
    forget(r);
    return OK;
}

static struct error at_special(struct reader *r, char c)
{
    if (c == '<')
        return read_angle(r);
    if (c == '(') {
        read_comment(r);
        return OK;
    }
    r->rest = slice_after(r->rest, 1);
    if (c == ':' && !r->in_group) {
        r->in_group = 1;
        TRY(add(r, (struct mime_address){.local = slice_trim(slice_make(r->text, r->n))}));
        forget(r);
        return OK;
    }
    if (c == ';' && r->in_group) {
        TRY(finish(r));
        r->in_group = 0;
        return add(r, (struct mime_address){0});
    }
    return finish(r); /* ',' and stray ';' or ':' */
}

struct error address_list_parse(struct slice value, struct arena *a, struct mime_addresses *out)
{
    struct reader r = {.rest = value, .arena = a, .out = out};
    *out = (struct mime_addresses){0};
    r.text = arena_alloc(a, value.n + 1);
    r.side = arena_alloc(a, value.n + 1);
    if (!r.text || !r.side)
        return error_make(ERROR_MEMORY, "no memory for addresses");
    forget(&r);
    while (r.rest.n && out->n + 3 < MIME_ADDRESSES_MAX) { /* a step adds two at most, and the end of an open group must fit */
        char c = r.rest.p[0];
        if (c == '"') {
            if (r.space && r.n)
                gather(&r, ' ');
            r.space = 0;
            read_quoted(&r);
        } else if (memchr("<(:;,", c, 5)) {
            TRY(at_special(&r, c));
        } else if (ascii_is_space(c)) {
            r.space = 1;
            r.rest = slice_after(r.rest, 1);
        } else if (c == '[' && r.at_sign != SIZE_MAX && r.at_sign + 1 == r.n) {
            read_literal(&r);
        } else {
            if (c == '@')
                r.at_sign = r.n;
            else if (r.space && r.n)
                gather(&r, ' '); /* also behind an '@': "a@b via list <c@d>" is a name */
            r.space = 0;
            gather(&r, c);
            r.rest = slice_after(r.rest, 1);
        }
    }
    TRY(finish(&r));
    return r.in_group ? add(&r, (struct mime_address){0}) : OK;
}
