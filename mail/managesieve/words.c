/* mail/managesieve/words.c -- strings and numbers (RFC 5804 4) */
#include "mail/managesieve/internal.h"

/* "{12+}" or "{12}" at the end of a line; a client does not wait for leave in either form (RFC 5804 1.2: there is no continuation). */
static bool literal_of(struct slice line, uint64_t *n, bool *malformed)
{
    size_t open = line.n;
    *malformed = false;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n < 3 || line.p[line.n - 1] != '}')
        return false;
    for (open = line.n; open && line.p[open - 1] != '{';)
        open--;
    if (open == 0)
        return false;
    struct slice number = slice_make(line.p + open, line.n - open - 1);
    if (number.n && number.p[number.n - 1] == '+')
        number.n--;
    *malformed = !slice_number(number, UINT32_MAX, n);
    return true;
}

size_t ms_command_length(struct slice in, size_t *want, uint64_t *literal)
{
    *want = 0;
    *literal = 0;
    for (size_t at = 0;;) {
        struct slice rest = slice_after(in, at), line = slice_first(rest, slice_find(rest, '\n'));
        uint64_t n;
        bool malformed;
        if (at + line.n >= in.n)
            return 0;
        at += line.n + 1;
        if (!literal_of(line, &n, &malformed))
            return at;
        if (malformed)
            return at; /* refused when it is read */
        *literal = n;
        if (n > in.n - at) {
            *want = n > SIZE_MAX / 2 ? 0 : at + (size_t)n + 1;
            return 0;
        }
        at += (size_t)n;
    }
}

static bool read_quoted(struct slice *rest, struct arena *a, struct slice *out)
{
    char *text = arena_alloc(a, rest->n + 1);
    size_t n = 0;
    for (size_t i = 1; text && i < rest->n && rest->p[i] != '\n' && rest->p[i] != '\r'; i++) {
        if (rest->p[i] == '"') {
            *out = slice_make(text, n);
            *rest = slice_after(*rest, i + 1);
            return true;
        }
        if (rest->p[i] == '\\' && i + 1 < rest->n && (rest->p[i + 1] == '"' || rest->p[i + 1] == '\\'))
            i++;
        else if (rest->p[i] == 0)
            return false;
        text[n++] = rest->p[i];
    }
    return false;
}

static bool read_literal(struct slice *rest, struct slice *out)
{
    struct slice line = slice_first(*rest, slice_find(*rest, '\n'));
    uint64_t n;
    bool malformed;
    if (!literal_of(line, &n, &malformed) || malformed || line.n + 1 > rest->n || n > rest->n - line.n - 1)
        return false;
    *out = slice_make(rest->p + line.n + 1, (size_t)n);
    *rest = slice_after(*rest, line.n + 1 + (size_t)n);
    return true;
}

bool ms_read_string(struct slice *rest, struct arena *a, struct slice *out)
{
    if (rest->n && rest->p[0] == '"')
        return read_quoted(rest, a, out);
    return rest->n && rest->p[0] == '{' && read_literal(rest, out);
}

bool ms_read_args(struct slice rest, struct arena *a, struct ms_args *out)
{
    out->n = 0;
    for (;;) {
        size_t digits = 0;
        if (rest.n && rest.p[0] == '\r')
            rest = slice_after(rest, 1);
        if (rest.n == 0 || rest.p[0] == '\n')
            return true;
        if (rest.p[0] != ' ' || out->n == MS_ARGS_MAX)
            return false;
        while (rest.n && rest.p[0] == ' ')
            rest = slice_after(rest, 1);
        if (rest.n && (rest.p[0] == '\r' || rest.p[0] == '\n'))
            continue; /* clients leave blanks at the end of a line */
        while (digits < rest.n && ascii_is_digit(rest.p[digits]))
            digits++;
        if (digits) {
            out->all[out->n++] = slice_first(rest, digits);
            rest = slice_after(rest, digits);
        } else if (!ms_read_string(&rest, a, &out->all[out->n++])) {
            return false;
        }
    }
}

void ms_write_string(struct slice text, struct buffer *out)
{
    bool quoted = text.n <= 1000;
    for (size_t i = 0; i < text.n; i++)
        quoted = quoted && (unsigned char)text.p[i] >= ' ' && text.p[i] != 0x7F;
    if (!quoted) {
        buffer_printf(out, "{%zu}\r\n", text.n);
        buffer_add(out, text);
        return;
    }
    buffer_add_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, text.p[i]);
    }
    buffer_add_char(out, '"');
}
