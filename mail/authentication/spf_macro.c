/* mail/authentication/spf_macro.c -- macros of SPF (RFC 7208 7): their syntax, and what they stand for
 *
 * One reader (next_piece) cuts a macro-string into literals and macros for the check and for the expansion. A value and
 * what is written are never longer than SPF_TEXT_MAX: a name keeps its right end, which is what counts (7.3).
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "mail/authentication/internal.h"

enum { PARTS_ALL = 1000000 };

struct piece {
    struct slice literal;    /* what is written as it stands, when letter is 0 */
    char letter;             /* lower case */
    bool escape, reverse;
    unsigned parts;
    struct slice delimiters; /* empty: "." */
    bool closed;             /* a macro-expand: may end a domain-spec */
};

/* Behind "%{". */
static bool read_macro(struct slice *rest, struct piece *out)
{
    struct slice s = *rest;
    size_t i = 1;
    if (s.n == 0 || !ascii_is_alpha(s.p[0]) || !memchr("slodiphcrtv", ascii_lower(s.p[0]), 11))
        return false;
    out->letter = ascii_lower(s.p[0]);
    out->escape = s.p[0] != out->letter;
    out->parts = PARTS_ALL;
    for (unsigned value = 0; i < s.n && ascii_is_digit(s.p[i]); i++) {
        value = value > PARTS_ALL / 10 - 1 ? PARTS_ALL : value * 10 + (unsigned)(s.p[i] - '0');
        out->parts = value;
    }
    if (out->parts == 0)
        return false;
    if (i < s.n && ascii_lower(s.p[i]) == 'r') {
        out->reverse = true;
        i++;
    }
    size_t first = i;
    while (i < s.n && s.p[i] != 0 && strchr(".-+,/_=", s.p[i]))
        i++;
    out->delimiters = slice_make(s.p + first, i - first);
    if (i == s.n || s.p[i] != '}')
        return false;
    *rest = slice_after(s, i + 1);
    return true;
}

/* Takes the next piece off a string that is not empty; false on a syntax error. */
static bool next_piece(struct slice *rest, struct piece *out)
{
    *out = (struct piece){.literal = slice_first(*rest, slice_find(*rest, '%'))};
    if (out->literal.n) {
        *rest = slice_after(*rest, out->literal.n);
        return true;
    }
    char kind = rest->n > 1 ? rest->p[1] : 0;
    *rest = slice_after(*rest, 2);
    out->closed = true;
    switch (kind) {
    case '%':
        out->literal = SLICE("%");
        return true;
    case '_':
        out->literal = SLICE(" ");
        return true;
    case '-':
        out->literal = SLICE("%20");
        return true;
    case '{':
        return read_macro(rest, out);
    default:
        return false;
    }
}

static bool literal_valid(struct slice s, bool blanks)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] > ' ' && s.p[i] < 0x7f) && !(blanks && s.p[i] == ' '))
            return false;
    return true;
}

/* toplabel: letters, digits and inner hyphens, not digits alone (RFC 7208 12). */
static bool top_label_valid(struct slice s)
{
    bool more = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
            return false;
        more = more || !ascii_is_digit(s.p[i]);
    }
    return more && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

/* The literal at the end of a domain-spec: "." toplabel [ "." ]. */
static bool ends_in_top_label(struct slice s)
{
    s = dns_name_bare(s);
    size_t dot = s.n;
    while (dot && s.p[dot - 1] != '.')
        dot--;
    return dot && top_label_valid(slice_after(s, dot));
}

bool spf_macros_valid(struct slice s, enum spf_macros allowed, bool blanks)
{
    struct piece x;
    while (s.n) {
        if (!next_piece(&s, &x))
            return false;
        if (!x.closed && !literal_valid(x.literal, blanks))
            return false;
        if (x.letter && allowed == SPF_MACROS_DOMAIN && strchr("crt", x.letter))
            return false;
    }
    return true;
}

bool spf_domain_spec_valid(struct slice s)
{
    struct piece x = {0};
    if (s.n == 0 || !spf_macros_valid(s, SPF_MACROS_DOMAIN, false))
        return false;
    while (s.n)
        (void)next_piece(&s, &x);
    return x.closed || ends_in_top_label(x.literal);
}

bool spf_macros_want_name(struct slice s)
{
    struct piece x;
    while (s.n)
        if (next_piece(&s, &x) && x.letter == 'p')
            return true;
    return false;
}

/* --- writing */

/* A full text loses its left half: more is left than a name may have. */
static void put(struct spf_text *t, char c)
{
    if (t->n == SPF_TEXT_MAX) {
        memmove(t->bytes, t->bytes + SPF_TEXT_MAX / 2, SPF_TEXT_MAX / 2);
        t->n = SPF_TEXT_MAX / 2;
    }
    t->bytes[t->n++] = c;
}

static void put_slice(struct spf_text *t, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        put(t, s.p[i]);
}

static struct slice text_slice(const struct spf_text *t) { return slice_make(t->bytes, t->n); }

static void put_nibbles(const struct spf *s, struct spf_text *t)
{
    for (size_t i = 0; i < 32; i++) {
        unsigned char byte = s->request.address[i / 2];
        if (i)
            put(t, '.');
        put(t, "0123456789ABCDEF"[i % 2 ? byte & 15 : byte >> 4]);
    }
}

static void put_readable(const struct spf *s, struct spf_text *t)
{
    char text[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(s->request.address_bytes == 4 ? AF_INET : AF_INET6, s->request.address, text, sizeof text);
    put_slice(t, slice_of(text));
}

static void put_sender(const struct spf *s, struct spf_text *t)
{
    put_slice(t, s->local);
    put(t, '@');
    put_slice(t, s->sender_domain);
}

/* %{p}: the domain itself, a name below it, any (7.3). */
static struct slice validated_name(const struct spf *s, struct slice domain)
{
    struct slice best = s->n_names ? s->names[0] : SLICE("unknown");
    bool below = false;
    for (size_t i = 0; i < s->n_names; i++) {
        if (slice_eq_nocase(s->names[i], domain))
            return s->names[i];
        if (!below && dns_name_within(s->names[i], domain)) {
            best = s->names[i];
            below = true;
        }
    }
    return best;
}

static void put_value(const struct spf *s, char letter, struct slice domain, struct spf_text *t)
{
    char number[24];
    bool four = s->request.address_bytes == 4;
    switch (letter) {
    case 's':
        put_sender(s, t);
        break;
    case 'l':
        put_slice(t, s->local);
        break;
    case 'o':
        put_slice(t, s->sender_domain);
        break;
    case 'd':
        put_slice(t, domain);
        break;
    case 'i':
        if (four)
            put_readable(s, t);
        else
            put_nibbles(s, t);
        break;
    case 'p':
        put_slice(t, validated_name(s, domain));
        break;
    case 'v':
        put_slice(t, four ? SLICE("in-addr") : SLICE("ip6"));
        break;
    case 'h':
        put_slice(t, s->request.helo);
        break;
    case 'c':
        put_readable(s, t);
        break;
    case 'r':
        put_slice(t, s->request.receiver.n ? s->request.receiver : SLICE("unknown"));
        break;
    default: /* t */
        snprintf(number, sizeof number, "%lld", (long long)s->request.now_at);
        put_slice(t, slice_of(number));
    }
}

static void put_escaped(struct spf_text *t, char c)
{
    if (ascii_is_alnum(c) || (c && strchr("-._~", c))) { /* unreserved of RFC 3986 2.3 */
        put(t, c);
        return;
    }
    put(t, '%');
    put(t, "0123456789ABCDEF"[(unsigned char)c >> 4]);
    put(t, "0123456789ABCDEF"[(unsigned char)c & 15]);
}

/* Splits the value at the delimiters, turns the parts round, keeps the right-hand ones, joins them by dots (7.3). */
static void put_macro(const struct spf *s, const struct piece *x, struct slice domain, struct spf_text *t)
{
    struct spf_text value = {.n = 0}, shaped = {.n = 0};
    struct slice parts[SPF_TEXT_MAX + 1];
    size_t n = 0, first = 0;
    struct slice delimiters = x->delimiters.n ? x->delimiters : SLICE(".");
    put_value(s, x->letter, domain, &value);
    for (size_t i = 0; i <= value.n; i++)
        if (i == value.n || memchr(delimiters.p, value.bytes[i], delimiters.n)) {
            parts[n++] = slice_make(value.bytes + first, i - first);
            first = i + 1;
        }
    bool shape = x->reverse || x->parts != PARTS_ALL || x->delimiters.n;
    size_t from = x->parts < n ? n - x->parts : 0;
    for (size_t i = from; shape && i < n; i++) {
        if (i > from)
            put(&shaped, '.');
        put_slice(&shaped, parts[x->reverse ? n - 1 - i : i]);
    }
    struct slice out = text_slice(shape ? &shaped : &value);
    for (size_t i = 0; i < out.n; i++)
        if (x->escape)
            put_escaped(t, out.p[i]);
        else
            put(t, out.p[i]);
}

void spf_expand_name(const struct spf *s, struct slice spec, struct slice domain, struct spf_text *out)
{
    struct piece x;
    out->n = 0;
    while (spec.n && next_piece(&spec, &x))
        if (x.letter)
            put_macro(s, &x, domain, out);
        else
            put_slice(out, x.literal);
    struct slice name = dns_name_bare(text_slice(out));
    while (name.n > DNS_NAME_MAX)
        name = slice_after(name, slice_find(name, '.') + 1);
    memmove(out->bytes, name.p, name.n);
    out->n = name.n;
}

void spf_expand_text(const struct spf *s, struct slice text, struct slice domain, struct spf_text *out)
{
    struct piece x;
    out->n = 0;
    while (out->n < SPF_EXPLANATION_MAX && text.n && next_piece(&text, &x)) {
        struct spf_text value = {.n = 0};
        if (x.letter)
            put_macro(s, &x, domain, &value);
        struct slice bytes = x.letter ? text_slice(&value) : x.literal;
        for (size_t i = 0; i < bytes.n && out->n < SPF_EXPLANATION_MAX; i++)
            put(out, bytes.p[i] >= ' ' && bytes.p[i] < 0x7f ? bytes.p[i] : '?'); /* a sender may hold any byte */
    }
}

void spf_reverse_name(const struct spf *s, struct spf_text *out)
{
    spf_expand_name(s, SLICE("%{ir}.%{v}.arpa"), SLICE(""), out);
}
