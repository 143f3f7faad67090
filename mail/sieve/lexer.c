/* mail/sieve/lexer.c -- a script's text into words (RFC 5228 8.1) */
#include "mail/sieve/internal.h"

struct error sieve_fail(struct sieve_fault *fault, uint32_t line, const char *text)
{
    *fault = (struct sieve_fault){line, text ? text : "no memory for this script"};
    return error_make(text ? ERROR_INVALID : ERROR_MEMORY, fault->text);
}

struct error sieve_no_memory(void) { return error_make(ERROR_MEMORY, "no memory for a script"); }

static void skip(struct lexer *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        l->line += l->rest.p[i] == '\n';
    l->rest = slice_after(l->rest, n);
}

/* Blanks, "# to the end of the line", and bracketed comments. */
static struct error skip_blanks(struct lexer *l)
{
    for (;;) {
        size_t n = 0;
        while (n < l->rest.n && ascii_is_space(l->rest.p[n]))
            n++;
        skip(l, n);
        if (l->rest.n && l->rest.p[0] == '#') {
            skip(l, slice_find(l->rest, '\n'));
        } else if (slice_starts(l->rest, SLICE("/*"))) {
            const char *end = memmem(l->rest.p + 2, l->rest.n - 2, "*/", 2);
            if (!end)
                return sieve_fail(l->fault, l->line, "A comment begins here with /* and does not end with */.");
            skip(l, (size_t)(end - l->rest.p) + 2);
        } else {
            return OK;
        }
    }
}

/* Adds one byte of a string; a lone line feed becomes CRLF, so that texts can go into mail as they are. */
static size_t add_byte(char *to, size_t n, char c)
{
    if (c == '\n' && (n == 0 || to[n - 1] != '\r'))
        to[n++] = '\r';
    to[n++] = c;
    return n;
}

/* Room for a string of at most `length` bytes of script: line feeds may double. */
static char *string_room(struct lexer *l, struct slice s)
{
    size_t n = s.n + 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return arena_alloc(l->arena, n);
}

static struct error read_quoted(struct lexer *l, struct token *out)
{
    size_t end = 1, n = 0;
    while (end < l->rest.n && l->rest.p[end] != '"')
        end += l->rest.p[end] == '\\' ? 2 : 1;
    if (end >= l->rest.n)
        return sieve_fail(l->fault, l->line, "A string begins here and its closing quote is missing.");
    char *to = string_room(l, slice_first(l->rest, end));
    if (!to)
        return sieve_fail(l->fault, l->line, NULL);
    for (size_t i = 1; i < end; i++) {
        i += l->rest.p[i] == '\\';
        n = add_byte(to, n, l->rest.p[i]);
    }
    out->kind = TOKEN_STRING;
    out->text = slice_make(to, n);
    skip(l, end + 1);
    return OK;
}

/* Where the line with a dot alone begins, and ends. */
static bool multiline_end(struct slice s, size_t *length, size_t *whole)
{
    for (size_t at = 0; at < s.n;) {
        size_t end = at + slice_find(slice_after(s, at), '\n');
        struct slice line = slice_make(s.p + at, end - at);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (slice_eq(line, SLICE("."))) {
            *length = at;
            *whole = end < s.n ? end + 1 : end;
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* Behind "text:": blanks, a comment, a line end; then lines until one that is "." alone. */
static struct error read_multiline(struct lexer *l, struct token *out)
{
    size_t i = 0, n = 0;
    while (i < l->rest.n && (l->rest.p[i] == ' ' || l->rest.p[i] == '\t'))
        i++;
    if (i < l->rest.n && l->rest.p[i] == '#')
        i += slice_find(slice_after(l->rest, i), '\n');
    i += i < l->rest.n && l->rest.p[i] == '\r';
    if (i >= l->rest.n || l->rest.p[i] != '\n')
        return sieve_fail(l->fault, l->line, "The text must begin on the line behind \"text:\".");
    uint32_t begin = l->line;
    skip(l, i + 1);
    size_t length, whole;
    if (!multiline_end(l->rest, &length, &whole))
        return sieve_fail(l->fault, begin, "A text: begins here and no line with a dot alone ends it.");
    char *to = string_room(l, slice_first(l->rest, length));
    if (!to)
        return sieve_fail(l->fault, l->line, NULL);
    for (size_t k = 0; k < length; k++) {
        if (l->rest.p[k] == '.' && (k == 0 || l->rest.p[k - 1] == '\n') && k + 1 < length && l->rest.p[k + 1] == '.')
            continue; /* a doubled dot at the front of a line */
        n = add_byte(to, n, l->rest.p[k]);
    }
    out->kind = TOKEN_STRING;
    out->text = slice_make(to, n);
    skip(l, whole);
    return OK;
}

static struct error read_number(struct lexer *l, struct token *out)
{
    size_t n = 0;
    while (n < l->rest.n && ascii_is_digit(l->rest.p[n]))
        n++;
    char unit = n < l->rest.n ? ascii_upper(l->rest.p[n]) : 0;
    int shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
    size_t end = n + (shift != 0);
    if (end < l->rest.n && (ascii_is_alnum(l->rest.p[end]) || l->rest.p[end] == '_'))
        return sieve_fail(l->fault, l->line, "A number is digits, and at most one of K, M and G behind them.");
    if (!slice_number(slice_first(l->rest, n), UINT64_MAX >> 1 >> shift, &out->number))
        return sieve_fail(l->fault, l->line, "This number is too large.");
    out->number <<= shift;
    out->kind = TOKEN_NUMBER;
    skip(l, end);
    return OK;
}

static size_t name_length(struct slice s)
{
    size_t n = 0;
    if (s.n && ascii_is_digit(s.p[0]))
        return 0;
    while (n < s.n && (ascii_is_alnum(s.p[n]) || s.p[n] == '_'))
        n++;
    return n;
}

struct error lexer_next(struct lexer *l, struct token *out)
{
    TRY(skip_blanks(l));
    *out = (struct token){.kind = TOKEN_END, .line = l->line};
    if (l->rest.n == 0)
        return OK;
    char c = l->rest.p[0];
    if (c == '"')
        return read_quoted(l, out);
    if (ascii_is_digit(c))
        return read_number(l, out);
    size_t colon = c == ':', n = name_length(slice_after(l->rest, colon));
    if (n) {
        out->kind = colon ? TOKEN_TAG : TOKEN_NAME;
        out->text = slice_make(l->rest.p + colon, n);
        skip(l, colon + n);
        if (!colon && slice_eq_nocase(out->text, SLICE("text")) && l->rest.n && l->rest.p[0] == ':') {
            skip(l, 1);
            return read_multiline(l, out);
        }
        return OK;
    }
    if (c == 0 || !memchr("[](){},;", c, 8))
        return sieve_fail(l->fault, l->line, "A character stands here that has no meaning in a script.");
    out->kind = TOKEN_PUNCTUATION;
    out->c = c;
    skip(l, 1);
    return OK;
}
