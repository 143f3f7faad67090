/* mail/authentication/dmarc_record.c -- tags of a DMARC record, a table of readers */
#include "mail/authentication/dmarc_record.h"

const char *dmarc_policy_word(enum dmarc_policy p)
{
    static const char *const words[] = {"none", "quarantine", "reject"};
    return words[p];
}

/* --- values; false: malformed, the default stays */

static bool read_policy(struct slice s, enum dmarc_policy *out)
{
    for (enum dmarc_policy p = DMARC_NONE; p <= DMARC_REJECT; p++)
        if (slice_eq_nocase(s, slice_of(dmarc_policy_word(p)))) {
            *out = p;
            return true;
        }
    return false;
}

static bool read_mode(struct slice s, enum dmarc_mode *out)
{
    if (!slice_eq_nocase(s, SLICE("r")) && !slice_eq_nocase(s, SLICE("s")))
        return false;
    *out = ascii_lower(s.p[0]) == 's' ? DMARC_STRICT : DMARC_RELAXED;
    return true;
}

static struct slice take(struct slice *rest, char until)
{
    struct slice s = slice_first(*rest, slice_find(*rest, until));
    *rest = slice_after(*rest, s.n + 1);
    return slice_trim(s);
}

static bool read_failures(struct slice s, unsigned *out)
{
    unsigned found = 0;
    while (s.n) {
        struct slice x = take(&s, ':');
        const char *at = x.n == 1 && x.p[0] ? strchr("01ds", ascii_lower(x.p[0])) : NULL;
        if (at)
            found |= 1u << (at - "01ds");
    }
    if (found)
        *out = found;
    return found != 0;
}

/* "!" and a number with a unit (6.4); a size that no machine knows makes the address malformed. */
static bool read_size(struct slice s, uint64_t *out)
{
    unsigned shift = 0;
    const char *unit = s.n ? memchr("kmgt", ascii_lower(s.p[s.n - 1]), 4) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(ascii_lower(*unit) == 'k' ? 1 : *unit == 'm' ? 2 : *unit == 'g' ? 3 : 4);
        s.n--;
    }
    if (!slice_number(s, UINT64_MAX >> shift, out))
        return false;
    *out <<= shift;
    return true;
}

/* scheme ":" something, visible ASCII (RFC 3986 3). */
static bool uri_valid(struct slice s)
{
    size_t colon = slice_find(s, ':');
    if (colon == 0 || colon + 1 >= s.n || !ascii_is_alpha(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || memchr("<>\"\\^`{|}", s.p[i], 9))
            return false;
        if (i < colon && !ascii_is_alnum(s.p[i]) && !memchr("+-.", s.p[i], 3))
            return false;
    }
    return true;
}

static bool read_uris(struct slice s, struct dmarc_uris *out)
{
    out->n = 0;
    while (s.n && out->n < DMARC_URIS_MAX) {
        struct slice x = take(&s, ',');
        size_t mark = slice_find(x, '!');
        struct dmarc_uri uri = {slice_first(x, mark), UINT64_MAX};
        if (uri_valid(uri.uri) && (mark == x.n || read_size(slice_after(x, mark + 1), &uri.bytes_max)))
            out->all[out->n++] = uri;
    }
    return out->n > 0;
}

/* --- tags */

enum tag { TAG_P, TAG_SP, TAG_NP, TAG_ADKIM, TAG_ASPF, TAG_PCT, TAG_RI, TAG_FO, TAG_RUA, TAG_RUF, TAGS };

static const char *const tags[TAGS] = {"p", "sp", "np", "adkim", "aspf", "pct", "ri", "fo", "rua", "ruf"};

static bool read_tag(enum tag tag, struct slice value, struct dmarc_record *out)
{
    uint64_t number;
    switch (tag) {
    case TAG_P:
        return read_policy(value, &out->p);
    case TAG_SP:
        return read_policy(value, &out->sp);
    case TAG_NP:
        return out->has_np = read_policy(value, &out->np);
    case TAG_ADKIM:
        return read_mode(value, &out->adkim);
    case TAG_ASPF:
        return read_mode(value, &out->aspf);
    case TAG_PCT:
        if (!slice_number(value, 100, &number))
            return false;
        out->pct = (unsigned)number;
        return true;
    case TAG_RI:
        if (!slice_number(value, UINT32_MAX, &number))
            return false;
        out->interval_seconds = (uint32_t)number;
        return true;
    case TAG_FO:
        return read_failures(value, &out->failures);
    case TAG_RUA:
        return read_uris(value, &out->rua);
    default:
        return read_uris(value, &out->ruf);
    }
}

enum reading { ABSENT, GOOD, BAD };

static void read_one(struct slice tag, struct dmarc_record *out, enum reading *read)
{
    size_t equals = slice_find(tag, '=');
    struct slice name = slice_trim(slice_first(tag, equals));
    for (enum tag t = TAG_P; t < TAGS && equals < tag.n; t++)
        if (read[t] == ABSENT && slice_eq_nocase(name, slice_of(tags[t])))
            read[t] = read_tag(t, slice_trim(slice_after(tag, equals + 1)), out) ? GOOD : BAD;
}

/* "v" *WSP "=" *WSP "DMARC1", then the end or ";"; the version's case counts (6.3). */
static bool take_version(struct slice *rest)
{
    struct slice tag = take(rest, ';');
    size_t equals = slice_find(tag, '=');
    return slice_eq_nocase(slice_trim(slice_first(tag, equals)), SLICE("v")) && slice_eq(slice_trim(slice_after(tag, equals + 1)), SLICE("DMARC1"));
}

enum dmarc_reading dmarc_record_parse(struct slice text, struct dmarc_record *out)
{
    enum reading read[TAGS] = {ABSENT};
    *out = (struct dmarc_record){.pct = 100, .interval_seconds = 86400, .failures = DMARC_REPORT_ALL_FAILED};
    if (!take_version(&text))
        return DMARC_NOT_A_RECORD;
    while (text.n)
        read_one(take(&text, ';'), out, read);
    if (out->ruf.n == 0)
        out->failures = 0;
    if (read[TAG_P] != GOOD || read[TAG_SP] == BAD) {
        out->p = out->sp = out->np = DMARC_NONE;
        out->has_np = false;
        out->reports_only = true;
        return out->rua.n ? DMARC_VALID : DMARC_INVALID;
    }
    if (read[TAG_SP] == ABSENT)
        out->sp = out->p;
    if (!out->has_np)
        out->np = out->sp;
    return DMARC_VALID;
}
