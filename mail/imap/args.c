/* mail/imap/args.c */
#include "mail/imap/args.h"

#define SYNTAX(text) error_make(ERROR_INVALID, text)

enum { FLAGS_MAX = 256 };

struct error args_space(struct imap_args *a)
{
    if (!args_take(a, ' '))
        return SYNTAX("a blank is missing");
    return OK;
}

struct error args_end(const struct imap_args *a)
{
    return a->rest.n == 0 ? OK : SYNTAX("something stands behind the last argument");
}

bool args_take(struct imap_args *a, char c)
{
    if (a->rest.n == 0 || a->rest.p[0] != c)
        return false;
    a->rest = slice_after(a->rest, 1);
    return true;
}

static bool is_atom(char c, const char *more)
{
    if ((unsigned char)c <= 0x20 || (unsigned char)c >= 0x7F)
        return more && strchr(more, c) != NULL && c != '\0';
    return !memchr("(){%*\"\\]", c, 8) || (more && strchr(more, c) != NULL);
}

struct error args_atom(struct imap_args *a, const char *more, struct slice *out)
{
    size_t n = 0;
    while (n < a->rest.n && is_atom(a->rest.p[n], more))
        n++;
    if (n == 0)
        return SYNTAX("a word is missing");
    *out = slice_first(a->rest, n);
    a->rest = slice_after(a->rest, n);
    return OK;
}

bool args_word(struct imap_args *a, struct slice word)
{
    if (!slice_starts_nocase(a->rest, word))
        return false;
    struct slice behind = slice_after(a->rest, word.n);
    if (behind.n && is_atom(behind.p[0], NULL) && behind.p[0] != '[')
        return false; /* a longer word */
    a->rest = behind;
    return true;
}

static struct error quoted(struct imap_args *a, struct slice *out)
{
    size_t i = 1;
    int escapes = 0;
    for (; i < a->rest.n && a->rest.p[i] != '"'; i++) {
        char c = a->rest.p[i];
        if (c == '\\') {
            escapes = 1;
            if (++i >= a->rest.n || (a->rest.p[i] != '"' && a->rest.p[i] != '\\'))
                return SYNTAX("only \\\" and \\\\ may be escaped");
        } else if (c == '\0' || c == '\r' || c == '\n') {
            return SYNTAX("a quoted string may not hold NUL or line ends; send a literal");
        }
    }
    if (i >= a->rest.n)
        return SYNTAX("a quoted string does not end");
    struct slice raw = slice_make(a->rest.p + 1, i - 1);
    a->rest = slice_after(a->rest, i + 1);
    *out = raw;
    if (!escapes)
        return OK;
    char *to = arena_alloc(a->arena, raw.n);
    size_t n = 0;
    if (!to)
        return error_make(ERROR_MEMORY, "no memory for a string");
    for (i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\')
            i++;
        to[n++] = raw.p[i];
    }
    *out = slice_make(to, n);
    return OK;
}

static struct error literal(struct imap_args *a, struct slice *out)
{
    size_t close = slice_find(a->rest, '}');
    struct slice number = slice_make(a->rest.p + 1, close - 1);
    uint64_t n;
    if (close == a->rest.n)
        return SYNTAX("a literal is malformed");
    if (slice_ends(number, SLICE("+")))
        number.n--;
    struct slice bytes = slice_after(a->rest, close + 3); /* } CR LF */
    if (!slice_number(number, UINT32_MAX, &n) || n > bytes.n)
        return SYNTAX("a literal is malformed");
    if (memchr(bytes.p, 0, n))
        return SYNTAX("a literal may not hold NUL");
    *out = slice_first(bytes, n);
    a->rest = slice_after(bytes, n);
    return OK;
}

struct error args_string(struct imap_args *a, struct slice *out)
{
    if (a->rest.n && a->rest.p[0] == '"')
        return quoted(a, out);
    if (a->rest.n && a->rest.p[0] == '{')
        return literal(a, out);
    return SYNTAX("a string is missing");
}

struct error args_astring(struct imap_args *a, struct slice *out)
{
    if (a->rest.n && (a->rest.p[0] == '"' || a->rest.p[0] == '{'))
        return args_string(a, out);
    return args_atom(a, "]", out);
}

struct error args_list_mailbox(struct imap_args *a, struct slice *out)
{
    if (a->rest.n && (a->rest.p[0] == '"' || a->rest.p[0] == '{'))
        return args_string(a, out);
    return args_atom(a, "]%*", out);
}

struct error args_number(struct imap_args *a, uint64_t max, uint64_t *out)
{
    size_t n = 0;
    while (n < a->rest.n && ascii_is_digit(a->rest.p[n]))
        n++;
    if (!slice_number(slice_first(a->rest, n), max, out))
        return SYNTAX("a number is missing or too large");
    a->rest = slice_after(a->rest, n);
    return OK;
}

struct error args_flags(struct imap_args *a, struct slice **flags, size_t *n)
{
    int list = args_take(a, '(');
    *n = 0;
    *flags = arena_zero(a->arena, FLAGS_MAX, sizeof **flags);
    if (!*flags)
        return error_make(ERROR_MEMORY, "no memory for flags");
    for (int count = 0; !(list && args_take(a, ')')); count++) {
        if (*n >= FLAGS_MAX || count >= 2 * FLAGS_MAX)
            return error_make(ERROR_LIMIT, "too many flags in one command");
        if (count)
            TRY(args_space(a));
        TRY(args_atom(a, "\\", &(*flags)[*n]));
        if (!slice_eq_nocase((*flags)[*n], SLICE("\\Recent"))) /* the server's alone (RFC 3501 2.3.2): passed over, so that old clients' copies of flags go through */
            ++*n;
        if (!list && a->rest.n == 0)
            break;
    }
    return OK;
}
