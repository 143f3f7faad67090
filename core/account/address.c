/* core/account/address.c -- addresses in canonical form (RFC 5321 4.1.2, RFC 5891 for domains) */
#include <idn2.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "core/account/account.h"

enum { LOCAL_MAX = 64 * 4, DOMAIN_MAX = 255 }; /* RFC 5321 4.5.3.1; local parts in UTF-8 may be longer in bytes */

#define BAD error_make(ERROR_INVALID, "that is not an e-mail address; write it like name@example.com")

/* [192.0.2.1], [IPv6:2001:db8::1] (RFC 5321 4.1.3): only as a sender's domain, never ours. */
static bool is_literal(struct slice s)
{
    if (s.n < 4 || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '.' && s.p[i] != ':' && s.p[i] != '-')
            return false;
    return true;
}

/* Labels of 1 to 63 bytes, no hyphen at their ends (RFC 1035 2.3.1). */
static bool labels_fit(struct slice s)
{
    size_t start = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '.') {
            if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_') /* with its STD3 flag libidn2 drops such bytes in silence, without it keeps them */
                return false;
            continue;
        }
        if (i == start || i - start > 63 || s.p[start] == '-' || s.p[i - 1] == '-')
            return false;
        start = i + 1;
    }
    return true;
}

static struct error canonical_domain(struct slice s, struct arena *a, struct slice *out)
{
    if (s.n && s.p[s.n - 1] == '.')
        s.n--;
    char *text = arena_string(a, s), *ascii = NULL;
    if (!text)
        return error_make(ERROR_MEMORY, "no memory for an address");
    if (s.n == 0 || s.n > DOMAIN_MAX || memchr(s.p, 0, s.n))
        return BAD;
    int plain = 1;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        plain &= ascii_is_alnum(s.p[i]) || c == '-' || c == '.' || c == '_';
        text[i] = ascii_lower(s.p[i]);
    }
    *out = slice_make(text, s.n);
    if (is_literal(*out))
        return OK;
    if (!plain) { /* UTS 46, not transitional: ß stays ß */
        if (idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
            return BAD;
        *out = arena_copy(a, slice_of(ascii));
        idn2_free(ascii);
        if (!out->p)
            return error_make(ERROR_MEMORY, "no memory for an address");
        if (out->n && out->p[out->n - 1] == '.') /* it was a full-width dot */
            out->n--;
    }
    return out->n <= DOMAIN_MAX && labels_fit(*out) ? OK : BAD;
}

static struct error canonical_local(struct slice s, struct arena *a, struct slice *out)
{
    char *to = arena_alloc(a, s.n + 1);
    size_t n = 0;
    int eight = 0;
    if (!to)
        return error_make(ERROR_MEMORY, "no memory for an address");
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
        for (size_t i = 1; i + 1 < s.n; i++) {
            if (s.p[i] == '"' || (s.p[i] == '\\' && ++i + 1 >= s.n))
                return BAD; /* a quote inside, or a backslash that takes the closing one */
            to[n++] = ascii_lower(s.p[i]);
        }
    } else {
        for (size_t i = 0; i < s.n; i++) {
            if (memchr(" \t()<>[]:;@\\,\"", s.p[i], 14) || (s.p[i] == '.' && (i == 0 || i + 1 == s.n || s.p[i - 1] == '.')))
                return BAD;
            to[n++] = ascii_lower(s.p[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)to[i] < 0x20 || to[i] == 0x7F)
            return BAD;
        eight |= (unsigned char)to[i] >= 0x80;
    }
    if (n == 0 || n > LOCAL_MAX)
        return BAD;
    *out = slice_make(to, n);
    if (!eight)
        return OK;
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t k = utf8proc_map((const utf8proc_uint8_t *)to, (utf8proc_ssize_t)n, &nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < k; i++) /* the Kelvin sign becomes a K */
        nfc[i] = (utf8proc_uint8_t)ascii_lower((char)nfc[i]);
    if (k > 0)
        *out = arena_copy(a, slice_make((const char *)nfc, (size_t)k));
    free(nfc);
    return k > 0 && out->p ? OK : BAD;
}

struct error address_parse(struct slice text, struct arena *a, struct address *out)
{
    size_t at = text.n;
    while (at && text.p[at - 1] != '@') /* the last '@': a quoted local part may hold others */
        at--;
    if (at == 0)
        return BAD;
    TRY(canonical_local(slice_first(text, at - 1), a, &out->local));
    return canonical_domain(slice_after(text, at), a, &out->domain);
}

char *address_text(const struct address *x, struct arena *a)
{
    int quote = 0;
    size_t n = 0;
    for (size_t i = 0; i < x->local.n; i++)
        quote |= memchr(" \t()<>[]:;@\\,\"", x->local.p[i], 14) != NULL || (x->local.p[i] == '.' && (i == 0 || i + 1 == x->local.n || x->local.p[i - 1] == '.'));
    char *to = arena_alloc(a, 2 * x->local.n + x->domain.n + 4);
    if (!to)
        return NULL;
    if (quote)
        to[n++] = '"';
    for (size_t i = 0; i < x->local.n; i++) {
        if (quote && (x->local.p[i] == '"' || x->local.p[i] == '\\'))
            to[n++] = '\\';
        to[n++] = x->local.p[i];
    }
    if (quote)
        to[n++] = '"';
    if (x->domain.n) {
        to[n++] = '@';
        memcpy(to + n, x->domain.p, x->domain.n);
        n += x->domain.n;
    }
    to[n] = '\0';
    return to;
}
