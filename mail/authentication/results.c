/* mail/authentication/results.c -- writing and reading Authentication-Results (RFC 8601 2.2) */
#include "mail/authentication/results.h"

enum { COLUMNS = 78, COMMENTS_MAX = 16 };

/* --- writing */

void results_begin(struct buffer *out, struct slice authserv)
{
    buffer_printf(out, "Authentication-Results: %.*s", SLICE_ARG(authserv));
}

/* Past a quoted string or one plain byte. */
static size_t piece(struct slice s)
{
    size_t i = 1;
    if (s.p[0] != '"')
        return 1;
    while (i < s.n && s.p[i] != '"')
        i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
    return i < s.n ? i + 1 : s.n;
}

/* The next word: to a blank outside quotes. */
static size_t word_length(struct slice s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != ' ')
        i += piece(slice_after(s, i));
    return i < s.n ? i : s.n;
}

void results_add(struct buffer *out, struct slice text)
{
    size_t column = 8;
    buffer_add(out, SLICE(";\r\n\t"));
    while (text.n) {
        struct slice word = slice_first(text, word_length(text));
        if (column > 8 && column + 1 + word.n > COLUMNS) {
            buffer_add(out, SLICE("\r\n\t"));
            column = 8;
        } else if (column > 8) {
            buffer_add_char(out, ' ');
            column++;
        }
        buffer_add(out, word);
        column += word.n;
        text = slice_after(text, word.n + 1);
    }
}

void results_end(struct buffer *out)
{
    struct slice all = buffer_slice(out);
    const char *last = memrchr(all.p, '\n', all.n);
    bool empty = !last || last + 1 == all.p + all.n || last[1] != '\t'; /* the last line is the field's first */
    buffer_add(out, empty ? SLICE("; none\r\n") : SLICE("\r\n"));
}

/* token of RFC 2045 5.1. */
static bool is_token_char(char c)
{
    return (unsigned char)c > 0x20 && (unsigned char)c < 0x7F && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char(s.p[i]))
            return false;
    return s.n > 0;
}

/* Letters, digits and few signs between dots (RFC 5322 3.2.3): a part of an address that needs no quotes. */
static bool is_dot_atom(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool dot = s.p[i] == '.';
        if (dot ? i == 0 || i + 1 == s.n || s.p[i - 1] == '.' : !ascii_is_alnum(s.p[i]) && !memchr("-_+", s.p[i], 3))
            return false;
    }
    return s.n > 0;
}

static bool is_bare(struct slice s)
{
    size_t at = slice_find(s, '@');
    if (at == s.n)
        return is_token(s);
    return (at == 0 || is_dot_atom(slice_first(s, at))) && is_dot_atom(slice_after(s, at + 1));
}

/* The length of the character that a valid UTF-8 sequence is; 0 when it is none (RFC 3629 4, surrogates and overlong forms aside). */
static size_t character(const char *p, size_t n)
{
    unsigned char c = (unsigned char)p[0];
    size_t length = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < length; i++)
        if (i >= n || ((unsigned char)p[i] & 0xC0) != 0x80)
            return 0;
    return length <= n ? length : 0;
}

static bool is_printable(struct slice s)
{
    for (size_t i = 0, n; i < s.n; i += n) {
        n = character(s.p + i, s.n - i);
        if (n == 0 || (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F || (n == 2 && s.p[i] == '\xC2' && (unsigned char)s.p[i + 1] < 0xA0))
            return false;
    }
    return true;
}

static void add_value(struct buffer *line, struct slice value)
{
    if (value.n > RESULTS_VALUE_MAX || !is_printable(value)) {
        buffer_add(line, SLICE("invalid"));
        return;
    }
    if (is_bare(value)) {
        buffer_add(line, value);
        return;
    }
    buffer_add_char(line, '"');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            buffer_add_char(line, '\\');
        buffer_add_char(line, value.p[i]);
    }
    buffer_add_char(line, '"');
}

void results_method(struct buffer *line, const char *method, const char *result, const char *reason)
{
    buffer_printf(line, "%s=%s", method, result);
    if (reason)
        results_property(line, "reason", slice_of(reason));
}

void results_property(struct buffer *line, const char *name, struct slice value)
{
    if (!value.p)
        return;
    buffer_printf(line, " %s=", name);
    add_value(line, value);
}

/* --- reading */

/* Blanks, folds and comments; false when a comment does not end or is too deep. */
static bool skip_blanks(struct slice *s)
{
    unsigned depth = 0;
    size_t i = 0;
    for (; i < s->n; i++) {
        char c = s->p[i];
        if (c == '(' && ++depth > COMMENTS_MAX)
            return false;
        if (c == '\\' && depth)
            i++;
        else if (c == ')' && depth)
            depth--;
        else if (c != '(' && !depth && !ascii_is_space(c))
            break;
    }
    *s = slice_after(*s, i);
    return depth == 0;
}

static bool take_char(struct slice *s, char c)
{
    if (!skip_blanks(s) || s->n == 0 || s->p[0] != c)
        return false;
    *s = slice_after(*s, 1);
    return true;
}

static bool take_quoted(struct slice *s, struct arena *a, struct slice *out)
{
    size_t n = piece(*s), used = 0;
    if (n < 2 || s->p[n - 1] != '"')
        return false;
    char *text = arena_alloc(a, n);
    for (size_t i = 1; text && i + 1 < n; i++) {
        if (s->p[i] == '\\' && i + 2 < n)
            i++;
        if (s->p[i] != '\r' && s->p[i] != '\n')
            text[used++] = s->p[i];
    }
    *out = slice_make(text, used);
    *s = slice_after(*s, n);
    return text != NULL;
}

/* Bytes of a token and those of `more`. */
static bool take_word(struct slice *s, const char *more, struct slice *out)
{
    size_t n = 0;
    if (!skip_blanks(s))
        return false;
    while (n < s->n && (is_token_char(s->p[n]) || (unsigned char)s->p[n] >= 0x80 || (s->p[n] && strchr(more, s->p[n]))))
        n++;
    *out = slice_first(*s, n);
    *s = slice_after(*s, n);
    return n > 0;
}

static bool take_value(struct slice *s, const char *more, struct arena *a, struct slice *out)
{
    if (!skip_blanks(s))
        return false;
    return s->n && s->p[0] == '"' ? take_quoted(s, a, out) : take_word(s, more, out);
}

/* " reason=x" and " ptype.property=value" until ';' or the end. */
static bool read_properties(struct slice *s, struct arena *a, struct results_method *m)
{
    for (;;) {
        struct results_property p;
        if (!skip_blanks(s))
            return false;
        if (s->n == 0 || s->p[0] == ';')
            return true;
        if (!take_word(s, "", &p.name))
            return false;
        if (!take_char(s, '=') || !take_value(s, "@:/=[]+", a, &p.value)) /* base64 of header.b, IPv6 of policy.iprev: others write them bare */
            return false;
        if (slice_eq_nocase(p.name, SLICE("reason")))
            m->reason = p.value;
        else if (m->n == RESULTS_PROPERTIES_MAX)
            return false;
        else
            m->properties[m->n++] = p;
    }
}

static bool read_methods(struct slice *s, struct arena *a, struct results *out)
{
    while (take_char(s, ';')) {
        struct results_method m = {0};
        struct slice version;
        if (!skip_blanks(s))
            return false;
        if (s->n == 0)
            return true; /* a ';' at the end is often seen */
        if (!take_word(s, "", &m.method))
            return false;
        if (take_char(s, '/') && !take_word(s, "", &version))
            return false;
        if (slice_eq_nocase(m.method, SLICE("none")) && skip_blanks(s) && s->n == 0)
            return true;
        if (!take_char(s, '=') || !take_word(s, "", &m.result) || !read_properties(s, a, &m) || out->n == RESULTS_METHODS_MAX)
            return false;
        out->methods[out->n++] = m;
    }
    return s->n == 0;
}

struct error results_parse(struct slice value, struct arena *a, struct results *out)
{
    struct slice version;
    *out = (struct results){.authserv = slice_make(NULL, 0)};
    if (value.n > RESULTS_FIELD_MAX || !take_value(&value, "", a, &out->authserv))
        return error_make(ERROR_INVALID, "no authserv-id");
    out->methods = arena_alloc(a, RESULTS_METHODS_MAX * sizeof *out->methods);
    if (!out->methods)
        return error_make(ERROR_MEMORY, "no memory for results");
    if (!skip_blanks(&value) || (value.n && value.p[0] != ';' && !take_word(&value, "", &version)))
        return error_make(ERROR_INVALID, "no results behind the authserv-id");
    return read_methods(&value, a, out) ? OK : error_make(ERROR_INVALID, "malformed results");
}

/* The name as a token or in quotes; what stands behind it does not matter here. */
bool results_claims(struct slice value, struct slice authserv)
{
    struct arena a;
    struct slice id;
    arena_init(&a, 2 * RESULTS_FIELD_MAX);
    bool claims = value.n > RESULTS_FIELD_MAX || !take_value(&value, "@:/", &a, &id) || slice_eq_nocase(slice_trim(id), authserv);
    if (!claims && id.n == authserv.n + 1 && id.p[authserv.n] == '.') /* with the root's dot */
        claims = slice_eq_nocase(slice_first(id, authserv.n), authserv);
    arena_free(&a);
    return claims;
}
