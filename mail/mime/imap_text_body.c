/* mail/mime/imap_text_body.c -- BODY out of a stored BODYSTRUCTURE: the same list without its extension data (RFC 9051 7.5.2)
 *
 * So FETCH BODY and FULL open no message either. What is read was written by imap_text.c, but it comes out of a table and is not trusted (attacks.md SI-16). Iterative.
 */
#include "mail/mime/imap_text.h"
#include "mail/mime/parse.h"

enum { OPEN_MAX = 2 * MIME_DEPTH_MAX + 4, BASIC_FIELDS = 7 };

struct copy {
    struct slice in;
    struct buffer *out;
    enum open { OPEN_MULTIPART, OPEN_MESSAGE } open[OPEN_MAX];
    size_t depth;
};

/* The length of a quoted string or literal at the front; 0: it is none. */
static size_t string_length(struct slice s)
{
    uint64_t n;
    if (s.n && s.p[0] == '"') {
        for (size_t i = 1; i < s.n; i++) {
            if (s.p[i] == '"')
                return i + 1;
            i += s.p[i] == '\\';
        }
        return 0;
    }
    size_t end = slice_find(s, '}');
    if (!s.n || s.p[0] != '{' || end + 3 > s.n || !slice_number(slice_make(s.p + 1, end - 1), s.n - end - 3, &n))
        return 0;
    return end + 3 + n;
}

/* The length of one value: string, list, NIL or number; 0: there is none. */
static size_t value_length(struct slice s)
{
    size_t i = 0, depth = 0;
    do {
        struct slice rest = slice_after(s, i);
        size_t n = string_length(rest);
        if (n) {
            i += n;
        } else if (rest.n && (rest.p[0] == '(' || rest.p[0] == ')')) {
            if (rest.p[0] == ')' && depth == 0)
                return 0;
            depth = rest.p[0] == '(' ? depth + 1 : depth - 1;
            i++;
        } else if (rest.n && (ascii_is_alnum(rest.p[0]) || (rest.p[0] == ' ' && depth))) {
            i++;
            while (depth == 0 && i < s.n && ascii_is_alnum(s.p[i]))
                i++;
        } else {
            return 0;
        }
    } while (depth);
    return i;
}

static bool take(struct copy *c, char what)
{
    if (!c->in.n || c->in.p[0] != what)
        return false;
    c->in = slice_after(c->in, 1);
    return true;
}

static bool copy_char(struct copy *c, char what)
{
    buffer_add_char(c->out, what);
    return take(c, what);
}

static bool copy_value(struct copy *c)
{
    size_t n = value_length(c->in);
    buffer_add(c->out, slice_first(c->in, n));
    c->in = slice_after(c->in, n);
    return n > 0;
}

/* What stands before the ')' is extension data. */
static bool close_body(struct copy *c)
{
    while (take(c, ' ')) {
        size_t n = value_length(c->in);
        if (n == 0)
            return false;
        c->in = slice_after(c->in, n);
    }
    return copy_char(c, ')');
}

static bool push(struct copy *c, enum open what)
{
    if (c->depth == OPEN_MAX)
        return false;
    c->open[c->depth++] = what;
    return true;
}

/* One body up to its first child, or to its end. *child: a child follows. */
static bool open_body(struct copy *c, bool *child)
{
    *child = true;
    if (!copy_char(c, '('))
        return false;
    if (c->in.n && c->in.p[0] == '(')
        return push(c, OPEN_MULTIPART);
    bool message = slice_starts_nocase(c->in, SLICE("\"message\" \"rfc822\" ")) || slice_starts_nocase(c->in, SLICE("\"message\" \"global\" "));
    bool text = slice_starts_nocase(c->in, SLICE("\"text\" "));
    int fields = BASIC_FIELDS + (message || text); /* the envelope, or the lines */
    for (int i = 0; i < fields; i++)
        if ((i && !copy_char(c, ' ')) || !copy_value(c))
            return false;
    *child = message;
    return message ? copy_char(c, ' ') && push(c, OPEN_MESSAGE) : close_body(c);
}

bool imap_text_body(struct slice bodystructure, struct buffer *out)
{
    struct copy c = {.in = bodystructure, .out = out};
    size_t before = buffer_length(out);
    for (;;) {
        bool child, good = open_body(&c, &child);
        while (good && !child && c.depth) { /* behind a child: its brother, or the end of what holds it */
            child = c.open[c.depth - 1] == OPEN_MULTIPART && c.in.n && c.in.p[0] == '(';
            if (child)
                break;
            good = copy_char(&c, ' ') && copy_value(&c) && close_body(&c); /* the subtype, or the lines */
            c.depth--;
        }
        if (good && child)
            continue;
        if (good && c.in.n == 0)
            return true;
        out->end -= buffer_length(out) - before;
        return false;
    }
}
