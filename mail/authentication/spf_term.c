/* mail/authentication/spf_term.c -- the terms of an SPF record (RFC 7208 4.6.1, 5, 6, 12) */
#include <arpa/inet.h>

#include "mail/authentication/internal.h"

enum prefix { PREFIX_NONE, PREFIX_DUAL, PREFIX_4, PREFIX_6 };
enum spec { SPEC_NONE, SPEC_OPTIONAL, SPEC_DOMAIN, SPEC_NETWORK };

static const struct mechanism {
    const char *name;
    enum spf_kind kind;
    enum spec spec;
    enum prefix prefix;
} mechanisms[] = {
    {"all", SPF_ALL, SPEC_NONE, PREFIX_NONE},
    {"include", SPF_INCLUDE, SPEC_DOMAIN, PREFIX_NONE},
    {"a", SPF_ADDRESS, SPEC_OPTIONAL, PREFIX_DUAL},
    {"mx", SPF_EXCHANGER, SPEC_OPTIONAL, PREFIX_DUAL},
    {"ptr", SPF_REVERSE, SPEC_OPTIONAL, PREFIX_NONE},
    {"ip4", SPF_IP4, SPEC_NETWORK, PREFIX_4},
    {"ip6", SPF_IP6, SPEC_NETWORK, PREFIX_6},
    {"exists", SPF_EXISTS, SPEC_DOMAIN, PREFIX_NONE},
};

bool spf_record_is(struct slice text, struct slice *terms)
{
    const struct slice version = SLICE("v=spf1");
    if (!slice_starts_nocase(text, version) || (text.n > version.n && text.p[version.n] != ' '))
        return false;
    *terms = slice_after(text, version.n);
    return true;
}

/* Cuts "/24" (marker "/") or "//64" off the end; false when its number is malformed. Not there: untouched and true. */
static bool cut_prefix(struct slice *s, struct slice marker, unsigned max, unsigned *prefix)
{
    size_t at = s->n;
    uint64_t value = 0;
    while (at && ascii_is_digit(s->p[at - 1]))
        at--;
    struct slice digits = slice_after(*s, at);
    if (digits.n == 0 || !slice_ends(slice_first(*s, at), marker))
        return true;
    if ((digits.n > 1 && digits.p[0] == '0') || !slice_number(digits, max, &value))
        return false;
    *prefix = (unsigned)value;
    *s = slice_first(*s, at - marker.n);
    return true;
}

static bool cut_prefixes(struct slice *s, enum prefix kind, struct spf_term *out)
{
    out->prefix4 = 32;
    out->prefix6 = 128;
    switch (kind) {
    case PREFIX_DUAL: /* the one of IPv6 stands last */
        return cut_prefix(s, SLICE("//"), 128, &out->prefix6) && cut_prefix(s, SLICE("/"), 32, &out->prefix4);
    case PREFIX_4:
        return cut_prefix(s, SLICE("/"), 32, &out->prefix4);
    case PREFIX_6:
        return cut_prefix(s, SLICE("/"), 128, &out->prefix6);
    default:
        return true;
    }
}

static bool network_valid(struct slice s, int family)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 0, s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return inet_pton(family, text, address) == 1;
}

/* What stands behind a mechanism's name. */
static const char *read_arguments(const struct mechanism *m, struct slice s, struct spf_term *out)
{
    if (!cut_prefixes(&s, m->prefix, out))
        return "the length of a network is malformed";
    out->spec = slice_make(s.p, 0);
    if (s.n == 0)
        return m->spec == SPEC_NONE || m->spec == SPEC_OPTIONAL ? NULL : "a mechanism lacks its argument";
    if (m->spec == SPEC_NONE || s.p[0] != ':')
        return "a mechanism has an argument that it may not have";
    out->spec = slice_after(s, 1);
    if (m->spec == SPEC_NETWORK)
        return network_valid(out->spec, m->kind == SPF_IP4 ? AF_INET : AF_INET6) ? NULL : "an address is malformed";
    return spf_domain_spec_valid(out->spec) ? NULL : "a domain-spec is malformed";
}

static const char *read_modifier(struct slice name, struct slice value, struct spf_term *out)
{
    out->spec = value;
    out->kind = slice_eq_nocase(name, SLICE("redirect")) ? SPF_REDIRECT : slice_eq_nocase(name, SLICE("exp")) ? SPF_EXPLAIN : SPF_OTHER;
    if (name.n == 0 || !ascii_is_alpha(name.p[0]))
        return "a modifier's name is malformed";
    if (out->kind == SPF_OTHER)
        return spf_macros_valid(value, SPF_MACROS_ALL, false) ? NULL : "a modifier's value is malformed";
    return spf_domain_spec_valid(value) ? NULL : "a domain-spec is malformed";
}

static enum spf_result qualifier(struct slice *s)
{
    char c = s->n ? s->p[0] : 0;
    if (c == '+' || c == '-' || c == '~' || c == '?')
        *s = slice_after(*s, 1);
    return c == '-' ? SPF_FAIL : c == '~' ? SPF_SOFTFAIL : c == '?' ? SPF_NEUTRAL : SPF_PASS;
}

const char *spf_term_next(struct slice *rest, struct spf_term *out)
{
    while (rest->n && rest->p[0] == ' ')
        *rest = slice_after(*rest, 1);
    struct slice s = slice_first(*rest, slice_find(*rest, ' '));
    *rest = slice_after(*rest, s.n);
    *out = (struct spf_term){.kind = SPF_END, .text = s};
    if (s.n == 0)
        return NULL;
    out->hit = qualifier(&s);
    size_t n = 0;
    while (n < s.n && (ascii_is_alnum(s.p[n]) || s.p[n] == '-' || s.p[n] == '_' || s.p[n] == '.'))
        n++;
    struct slice name = slice_first(s, n);
    if (n < s.n && s.p[n] == '=')
        return s.p == out->text.p ? read_modifier(name, slice_after(s, n + 1), out) : "a modifier has no qualifier";
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (slice_eq_nocase(name, slice_of(mechanisms[i].name))) {
            out->kind = mechanisms[i].kind;
            return read_arguments(&mechanisms[i], slice_after(s, n), out);
        }
    return "there is no such mechanism";
}
