/* core/dns/name.c -- names of the DNS in text form */
#include <idn2.h>

#include "core/dns/dns.h"

struct slice dns_name_bare(struct slice name)
{
    return slice_ends(name, SLICE(".")) ? slice_first(name, name.n - 1) : name;
}

bool dns_name_fits(struct slice name)
{
    if (name.n == 0 || name.n > DNS_NAME_MAX)
        return false;
    for (;;) {
        size_t label = slice_find(name, '.');
        if (label == 0 || label > DNS_LABEL_MAX)
            return false;
        if (label == name.n)
            return true;
        name = slice_after(name, label + 1);
    }
}

bool dns_name_within(struct slice name, struct slice above)
{
    if (above.n == 0 || name.n < above.n || !slice_eq_nocase(slice_after(name, name.n - above.n), above))
        return false;
    return name.n == above.n || name.p[name.n - above.n - 1] == '.';
}

/* Letters, digits, hyphens and the underscore that real names have; a last label of digits is an address. */
static bool is_host_name(struct slice name)
{
    bool letter = false;
    size_t dots = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!ascii_is_alnum(c) && c != '-' && c != '_' && c != '.')
            return false;
        dots += c == '.';
        letter = c == '.' ? false : letter || !ascii_is_digit(c);
    }
    return dots && letter && dns_name_fits(name);
}

struct error dns_name_canonical(struct slice name, struct arena *a, struct slice *out)
{
    *out = slice_make("", 0);
    name = dns_name_bare(name);
    if (name.n == 0 || name.n > 4 * DNS_NAME_MAX || memchr(name.p, 0, name.n))
        return OK;
    char *text = arena_string(a, name), *ascii = NULL;
    if (!text)
        return error_make(ERROR_MEMORY, "no memory for a domain");
    bool plain = true;
    for (size_t i = 0; i < name.n; i++) {
        plain = plain && (unsigned char)text[i] < 0x80;
        text[i] = ascii_lower(text[i]);
    }
    struct slice found = slice_make(text, name.n);
    if (!plain) { /* RFC 7208 4.3, RFC 7489 6.6.1; not transitional: ß stays ß */
        int code = idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        if (code == IDN2_MALLOC)
            return error_make(ERROR_MEMORY, "no memory for a domain");
        if (code != IDN2_OK)
            return OK;
        found = arena_copy(a, dns_name_bare(slice_of(ascii))); /* the dot: it was a full-width one */
        idn2_free(ascii);
        if (!found.p)
            return error_make(ERROR_MEMORY, "no memory for a domain");
    }
    if (is_host_name(found))
        *out = found;
    return OK;
}
