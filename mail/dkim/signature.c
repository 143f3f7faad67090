/* mail/dkim/signature.c -- reading a DKIM-Signature field */
#include <idn2.h>

#include "core/cleanup.h"
#include "mail/dkim/internal.h"
#include "mail/mime/decode.h"

enum { LABEL_MAX = 63,
       NAME_MAX_DNS = 253,
       TIME_DIGITS_MAX = 12,
       LENGTH_DIGITS_MAX = 76 };

bool dkim_base64(struct slice text, struct buffer *out)
{
    SCOPED(buffer_free)
    struct buffer bare = {0};
    for (size_t i = 0; i < text.n; i++)
        if (!ascii_is_space(text.p[i]))
            buffer_add_char(&bare, text.p[i]);
    return !bare.failed && (buffer_length(&bare) == 0 || base64_decode(buffer_slice(&bare), out));
}

static bool label_is_legal(struct slice label)
{
    if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++)
        if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_' && (unsigned char)label.p[i] < 0x80)
            return false;
    return true;
}

bool dkim_domain_is_legal(struct slice domain)
{
    for (;;) {
        size_t dot = slice_find(domain, '.');
        if (!label_is_legal(slice_first(domain, dot)))
            return false;
        if (dot == domain.n)
            return true;
        domain = slice_after(domain, dot + 1);
    }
}

static bool is_ascii(const char *s)
{
    while (*s && (unsigned char)*s < 0x80)
        s++;
    return !*s;
}

struct slice dkim_query_name(struct arena *a, struct slice selector, struct slice domain)
{
    const char *name = NULL;
    if (selector.n + domain.n <= 4 * NAME_MAX_DNS)
        name = arena_printf(a, "%.*s._domainkey.%.*s", SLICE_ARG(selector), SLICE_ARG(domain));
    if (name && !is_ascii(name)) {
        char *made = NULL;
        if (idn2_to_ascii_8z(name, &made, IDN2_NONTRANSITIONAL) != IDN2_OK)
            return slice_make(NULL, 0);
        name = arena_string(a, slice_of(made));
        idn2_free(made);
    }
    struct slice out = slice_of(name);
    return out.n <= NAME_MAX_DNS ? out : slice_make(NULL, 0);
}

static struct slice decoded(struct arena *a, struct slice text)
{
    SCOPED(buffer_free)
    struct buffer bytes = {0};
    return dkim_base64(text, &bytes) ? arena_copy(a, buffer_slice(&bytes)) : slice_make(NULL, 0);
}

static const struct dkim_verdict go_on = {DKIM_PENDING, NULL};

static struct dkim_verdict wrong(const char *reason)
{
    return dkim_verdict(DKIM_PERMERROR, reason);
}

typedef struct dkim_verdict (*tag_reader)(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s);

static struct dkim_verdict read_version(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a, (void)s;
    return slice_eq(tag->value, SLICE("1")) ? go_on : dkim_verdict(DKIM_NEUTRAL, "the signature's version is unknown");
}

static struct dkim_verdict read_algorithm(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    static const struct {
        const char *name;
        enum dkim_key_kind kind;
        enum dkim_hash hash;
    } rows[] = {{"rsa-sha256", DKIM_RSA, DKIM_SHA256}, {"ed25519-sha256", DKIM_ED25519, DKIM_SHA256}, {"rsa-sha1", DKIM_RSA, DKIM_SHA1}};
    (void)a;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (slice_eq_nocase(tag->value, slice_of(rows[i].name))) {
            s->kind = rows[i].kind;
            s->hash = rows[i].hash;
            s->algorithm = slice_of(rows[i].name);
            return go_on;
        }
    }
    return dkim_verdict(DKIM_NEUTRAL, "the signature's algorithm is unknown");
}

static struct dkim_verdict read_domain(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a;
    if (!dkim_domain_is_legal(tag->value))
        return wrong("d= is no domain");
    s->domain = tag->value;
    return go_on;
}

static struct dkim_verdict read_selector(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a;
    if (!dkim_domain_is_legal(tag->value))
        return wrong("s= is no selector");
    s->selector = tag->value;
    return go_on;
}

static bool canon_word(struct slice word, enum dkim_canon *out)
{
    *out = slice_eq_nocase(word, SLICE("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
    return *out == DKIM_RELAXED || slice_eq_nocase(word, SLICE("simple"));
}

/* "relaxed" alone speaks of the head; the body is simple then (3.5). */
static struct dkim_verdict read_canon(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a;
    size_t slash = slice_find(tag->value, '/');
    struct slice body = slash < tag->value.n ? slice_after(tag->value, slash + 1) : SLICE("simple");
    bool known = canon_word(slice_first(tag->value, slash), &s->head_canon) && canon_word(body, &s->body_canon);
    return known ? go_on : wrong("c= is unknown");
}

static bool name_is_legal(struct slice name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= 0x20 || name.p[i] >= 0x7f)
            return false;
    return name.n > 0;
}

static struct dkim_verdict read_names(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    struct slice rest = tag->value, name;
    bool more = true, from = false;
    s->names = arena_zero(a, DKIM_NAMES_MAX, sizeof *s->names);
    while (s->names && dkim_list_next(&rest, &more, &name)) {
        if (s->names_n == DKIM_NAMES_MAX)
            return wrong("h= has too many names");
        if (!name_is_legal(name))
            return wrong("h= is malformed");
        from = from || slice_eq_nocase(name, SLICE("From"));
        s->names[s->names_n++] = name;
    }
    return from ? go_on : wrong("h= does not name From");
}

static struct dkim_verdict read_body_hash(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    s->body_hash = decoded(a, tag->value);
    return s->body_hash.n ? go_on : wrong("bh= is no base64");
}

static struct dkim_verdict read_signature(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    s->cut = tag->raw;
    s->text = tag->value;
    s->bytes = decoded(a, tag->value);
    return s->bytes.n && s->bytes.n <= DKIM_SIGNATURE_MAX ? go_on : wrong("b= is no base64, or too long");
}

/* DKIM-Quoted-Printable (2.11): blanks mean nothing, "=" is two digits in hex. p NULL when it is malformed or hides a control. */
static struct slice unquoted(struct arena *a, struct slice text)
{
    char *to = arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; to && i < text.n; i++) {
        char c = text.p[i];
        if (ascii_is_space(c))
            continue;
        if (c == '=') {
            int high = i + 1 < text.n ? ascii_hex(text.p[i + 1]) : -1, low = i + 2 < text.n ? ascii_hex(text.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return slice_make(NULL, 0);
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return slice_make(NULL, 0);
        to[n++] = c;
    }
    return slice_make(to, n);
}

static struct dkim_verdict read_identity(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    struct slice text = unquoted(a, tag->value);
    size_t at = text.p ? text.n : 0;
    while (at && text.p[at - 1] != '@')
        at--;
    if (!at || !dkim_domain_is_legal(slice_after(text, at)))
        return wrong("i= is malformed");
    s->identity = text;
    s->identity_domain = slice_after(text, at);
    return go_on;
}

/* Up to 76 digits (3.5); what does not fit 64 bits is longer than any body. */
static struct dkim_verdict read_length(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a;
    struct slice digits = tag->value;
    while (digits.n > 1 && digits.p[0] == '0')
        digits = slice_after(digits, 1);
    for (size_t i = 0; i < digits.n; i++)
        if (!ascii_is_digit(digits.p[i]))
            return wrong("l= is no number");
    if (digits.n == 0 || tag->value.n > LENGTH_DIGITS_MAX)
        return wrong("l= is no number");
    s->has_length = true;
    if (!slice_number(digits, UINT64_MAX - 1, &s->length))
        s->length = UINT64_MAX - 1;
    return go_on;
}

static bool read_seconds(struct slice text, int64_t *out)
{
    uint64_t value;
    if (text.n > TIME_DIGITS_MAX || !slice_number(text, INT64_MAX, &value))
        return false;
    *out = (int64_t)value;
    return true;
}

static struct dkim_verdict read_time(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a;
    s->has_time = read_seconds(tag->value, &s->signed_at);
    return s->has_time ? go_on : wrong("t= is no time");
}

static struct dkim_verdict read_expiry(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a;
    s->has_expiry = read_seconds(tag->value, &s->expires_at);
    return s->has_expiry ? go_on : wrong("x= is no time");
}

static struct dkim_verdict read_query(struct arena *a, const struct dkim_tag *tag, struct dkim_signature *s)
{
    (void)a, (void)s;
    return dkim_list_has(tag->value, SLICE("dns/txt")) ? go_on : dkim_verdict(DKIM_NEUTRAL, "q= names no way to the key that we know");
}

/* RFC 6376 3.5, RFC 8617 4.1.2 and 4.1.3. Domain and selector come early: the outcome names them even when another tag is wrong. z= and unknown tags are
 * passed over. */
enum { IN_DKIM = 1 << DKIM_FIELD_SIGNATURE, IN_MESSAGE = 1 << DKIM_FIELD_ARC_MESSAGE, IN_SEAL = 1 << DKIM_FIELD_ARC_SEAL };
static const struct {
    const char *name;
    unsigned required, read; /* in which fields */
    tag_reader reader;
} rows[] = {
    {"v", IN_DKIM, IN_DKIM, read_version},
    {"d", IN_DKIM | IN_MESSAGE | IN_SEAL, IN_DKIM | IN_MESSAGE | IN_SEAL, read_domain},
    {"s", IN_DKIM | IN_MESSAGE | IN_SEAL, IN_DKIM | IN_MESSAGE | IN_SEAL, read_selector},
    {"a", IN_DKIM | IN_MESSAGE | IN_SEAL, IN_DKIM | IN_MESSAGE | IN_SEAL, read_algorithm},
    {"b", IN_DKIM | IN_MESSAGE | IN_SEAL, IN_DKIM | IN_MESSAGE | IN_SEAL, read_signature},
    {"bh", IN_DKIM | IN_MESSAGE, IN_DKIM | IN_MESSAGE, read_body_hash},
    {"h", IN_DKIM | IN_MESSAGE, IN_DKIM | IN_MESSAGE, read_names},
    {"c", 0, IN_DKIM | IN_MESSAGE, read_canon},
    {"i", 0, IN_DKIM, read_identity},
    {"l", 0, IN_DKIM | IN_MESSAGE, read_length},
    {"q", 0, IN_DKIM | IN_MESSAGE, read_query},
    {"t", 0, IN_DKIM | IN_MESSAGE | IN_SEAL, read_time},
    {"x", 0, IN_DKIM | IN_MESSAGE, read_expiry},
};

static bool ends_in_domain(struct slice identity, struct slice domain)
{
    size_t before = identity.n - domain.n; /* at least the '@' stands before */
    if (identity.n <= domain.n || !slice_eq_nocase(slice_after(identity, before), domain))
        return false;
    return identity.p[before - 1] == '@' || identity.p[before - 1] == '.';
}

static struct dkim_verdict check_together(struct dkim_signature *s, enum dkim_field kind)
{
    if (s->identity.p && !ends_in_domain(s->identity, s->domain))
        return wrong("i= is not within d=");
    if (s->has_time && s->has_expiry && s->expires_at <= s->signed_at)
        return wrong("x= is not after t=");
    if (kind != DKIM_FIELD_ARC_SEAL && s->body_hash.n != (s->hash == DKIM_SHA1 ? 20 : 32))
        return wrong("bh= has not the length of its hash");
    return go_on;
}

struct dkim_verdict dkim_signature_parse(struct arena *a, enum dkim_field kind, struct slice field, struct dkim_signature *s)
{
    struct dkim_tags tags;
    unsigned bit = 1U << kind;
    memset(s, 0, sizeof *s);
    s->field = field;
    struct slice text = slice_after(field, slice_find(field, ':') + 1);
    if (field.n > DKIM_FIELD_MAX)
        return wrong("the signature's field is too long");
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    if (!dkim_tags_parse(text, &tags))
        return wrong("the signature is no list of tags");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct dkim_tag *tag = dkim_tags_find(&tags, rows[i].name);
        if (!tag && rows[i].required & bit)
            return wrong(arena_printf(a, "the signature has no %s=", rows[i].name));
        struct dkim_verdict verdict = tag && rows[i].read & bit ? rows[i].reader(a, tag, s) : go_on;
        if (verdict.result != DKIM_PENDING)
            return verdict;
    }
    struct dkim_verdict verdict = check_together(s, kind);
    if (verdict.result != DKIM_PENDING)
        return verdict;
    s->query = dkim_query_name(a, s->selector, s->domain);
    return s->query.p ? go_on : wrong("the key's name is too long or no name");
}
