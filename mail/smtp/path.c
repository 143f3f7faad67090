/* mail/smtp/path.c */
#include "mail/smtp/path.h"

#define BAD error_make(ERROR_INVALID, "syntax: <local-part@domain>")

/* The end of a path's address: over quoted strings. s.n when a quote does not end. */
static size_t find_outside_quotes(struct slice s, const char *stops, size_t n)
{
    int quote = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (quote && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            quote = !quote;
        else if (!quote && memchr(stops, s.p[i], n))
            return i;
    }
    return s.n;
}

static bool domain_is_legal(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!ascii_is_alnum(s.p[i]) && c != '-' && c != '.' && c != '_' && c < 0x80)
            return false; /* address literals are nobody's mailbox here */
    }
    return s.n > 0;
}

struct error path_read(struct slice *s, enum path_rule rule, struct arena *a, struct path *out)
{
    struct slice inside;
    while (s->n && s->p[0] == ' ')
        *s = slice_after(*s, 1);
    if (s->n && s->p[0] == '<') {
        size_t end = find_outside_quotes(*s, ">", 1);
        if (end == s->n)
            return BAD;
        inside = slice_make(s->p + 1, end - 1);
        *s = slice_after(*s, end + 1);
        if (s->n && s->p[0] != ' ')
            return BAD;
    } else {
        if (rule == PATH_STRICT || s->n == 0)
            return BAD;
        inside = slice_first(*s, find_outside_quotes(*s, " ", 1));
        *s = slice_after(*s, inside.n);
    }
    while (s->n && s->p[0] == ' ')
        *s = slice_after(*s, 1);
    *out = (struct path){.kind = inside.n == 0 ? PATH_EMPTY : slice_eq_nocase(inside, SLICE("postmaster")) ? PATH_POSTMASTER : PATH_ADDRESS};
    out->text = out->address.local = out->kind == PATH_POSTMASTER ? SLICE("postmaster") : SLICE("");
    out->address.domain = SLICE("");
    if (out->kind != PATH_ADDRESS)
        return OK;
    if (inside.p[0] == '@') { /* RFC 5321 4.1.2: A-d-l, accepted and ignored */
        size_t colon = slice_find(inside, ':');
        if (colon == inside.n)
            return BAD;
        inside = slice_after(inside, colon + 1);
    }
    size_t at = find_outside_quotes(inside, "@", 1);
    if (rule == PATH_STRICT && inside.n && inside.p[inside.n - 1] == '.')
        return BAD; /* RFC 5321 2.3.5: no dot at the end of a domain */
    if (at == 0 || at == inside.n || !domain_is_legal(slice_after(inside, at + 1)) || memchr(inside.p, 0, inside.n))
        return BAD;
    if (inside.p[0] == '"' ? inside.p[at - 1] != '"' || at < 3 : memchr(inside.p, '"', at) != NULL)
        return BAD;
    TRY(address_parse(inside, a, &out->address));
    char *text = arena_alloc(a, at + 1 + out->address.domain.n);
    if (!text)
        return error_make(ERROR_MEMORY, "no memory for an address");
    memcpy(text, inside.p, at + 1);
    memcpy(text + at + 1, out->address.domain.p, out->address.domain.n);
    out->text = slice_make(text, at + 1 + out->address.domain.n);
    return OK;
}

bool path_parameter(struct slice *s, struct slice *key, struct slice *value)
{
    *s = slice_trim(*s);
    if (s->n == 0)
        return false;
    struct slice one = slice_first(*s, slice_find(*s, ' '));
    *s = slice_after(*s, one.n);
    size_t equal = slice_find(one, '=');
    *key = slice_first(one, equal);
    *value = equal < one.n ? slice_after(one, equal + 1) : slice_make(NULL, 0);
    return true;
}

bool path_xtext_ok(struct slice s, size_t most)
{
    if (!s.p || s.n == 0 || s.n > most)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x21 || c > 0x7E || c == '=')
            return false;
        if (c != '+')
            continue;
        int high = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1, low = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;
        if (high < 0 || low < 0 || (high << 4 | low) < 0x20 || (high << 4 | low) > 0x7E)
            return false;
        i += 2;
    }
    return true;
}

struct slice path_xtext_of(struct slice text, struct arena *a)
{
    char *out = arena_alloc(a, 3 * text.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x21 || c > 0x7E)
            return slice_make(NULL, 0);
        if (c != '+' && c != '=') {
            out[n++] = text.p[i];
            continue;
        }
        out[n++] = '+';
        out[n++] = "0123456789ABCDEF"[c >> 4];
        out[n++] = "0123456789ABCDEF"[c & 15];
    }
    return slice_make(out, n);
}
