/* mail/dkim/seal.c */
#include "mail/dkim/seal.h"

#include "core/cleanup.h"
#include "mail/dkim/internal.h"
#include "mail/mime/decode.h"

/* --- what is there */

/* Past a quoted string, a comment or one byte. */
static size_t piece(struct slice s)
{
    char closing = s.p[0] == '"' ? '"' : s.p[0] == '(' ? ')' : '\0';
    size_t i = 1;
    if (!closing)
        return 1;
    while (i < s.n && s.p[i] != closing)
        i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
    return i < s.n ? i + 1 : s.n;
}

/* Takes what stands before the next ';' outside of quotes and comments off *rest. */
static struct slice take_part(struct slice *rest)
{
    size_t i = 0;
    while (i < rest->n && rest->p[i] != ';')
        i += piece(slice_after(*rest, i));
    i = i < rest->n ? i : rest->n;
    struct slice part = slice_trim(slice_first(*rest, i));
    *rest = slice_after(*rest, i + 1);
    return part;
}

static bool is_by(struct slice value, struct slice authserv)
{
    struct slice name = take_part(&value);
    return slice_eq_nocase(slice_first(name, slice_find(name, ' ')), authserv);
}

/* What our field says of the chain: "pass", "fail", or NULL. */
static const char *verdict_of(struct slice value)
{
    while (value.n) {
        struct slice part = take_part(&value);
        if (!slice_starts_nocase(part, SLICE("arc=")))
            continue;
        part = slice_after(part, 4);
        return slice_starts_nocase(part, SLICE("pass")) ? "pass" : slice_starts_nocase(part, SLICE("fail")) ? "fail" : NULL;
    }
    return NULL;
}

static unsigned instance_of(struct slice value)
{
    uint64_t n;
    struct slice first = take_part(&value);
    if (!slice_starts_nocase(first, SLICE("i")))
        return 0;
    first = slice_trim(slice_after(first, 1));
    return slice_starts(first, SLICE("=")) && slice_number(slice_trim(slice_after(first, 1)), SEAL_SETS_MAX, &n) ? (unsigned)n : 0;
}

static struct slice tag_of(struct slice field, const char *name)
{
    struct dkim_tags tags;
    const struct dkim_tag *tag = dkim_tags_parse(slice_after(field, slice_find(field, ':') + 1), &tags) ? dkim_tags_find(&tags, name) : NULL;
    return tag ? tag->value : SLICE("");
}

/* i= may stand anywhere in a signature or seal, and first in the findings. */
static bool take_field(struct dkim_seal *s, const struct header_field *f, unsigned *newest)
{
    uint64_t n = 0;
    bool findings = slice_eq_nocase(f->name, SLICE("ARC-Authentication-Results")), message = slice_eq_nocase(f->name, SLICE("ARC-Message-Signature"));
    if (!findings && !message && !slice_eq_nocase(f->name, SLICE("ARC-Seal")))
        return true;
    if (findings)
        n = instance_of(f->value);
    else if (!slice_number(tag_of(f->whole, "i"), SEAL_SETS_MAX, &n))
        return false;
    if (n == 0)
        return false;
    struct slice *to = findings ? &s->sets[n].findings : message ? &s->sets[n].message : &s->sets[n].seal;
    if (to->p)
        return false;
    *to = f->whole;
    *newest = n > *newest ? (unsigned)n : *newest;
    return true;
}

static bool is_whole(const struct dkim_seal *s, unsigned newest)
{
    for (unsigned i = 1; i <= newest; i++)
        if (!s->sets[i].findings.p || !s->sets[i].message.p || !s->sets[i].seal.p)
            return false;
    return true;
}

struct error dkim_seal_look(struct arena *a, struct slice head, struct slice authserv, struct dkim_seal **out)
{
    struct dkim_fields fields;
    struct dkim_seal *s = *out = arena_zero(a, 1, sizeof *s);
    unsigned newest = 0;
    bool good = true;
    if (!s)
        return error_make(ERROR_MEMORY, "out of memory");
    TRY(dkim_fields_read(a, head, &fields));
    for (size_t i = 0; i < fields.n; i++) {
        const struct header_field *f = &fields.fields[i];
        good &= take_field(s, f, &newest);
        if (!s->findings.p && slice_eq_nocase(f->name, SLICE("Authentication-Results")) && is_by(f->value, authserv))
            s->findings = f->value;
    }
    if (!good || !s->findings.p || newest == SEAL_SETS_MAX || !is_whole(s, newest)) /* a broken chain stays as it is: everybody sees that */
        return OK;
    s->verdict = newest ? verdict_of(s->findings) : "none";
    if (!s->verdict || (newest && slice_eq_nocase(tag_of(s->sets[newest].seal, "cv"), SLICE("fail"))))
        return OK;
    s->instance = newest + 1;
    return OK;
}

/* --- the new set */

static void add_field(struct slice field, struct buffer *out)
{
    dkim_canon_field(DKIM_RELAXED, field, slice_make(NULL, 0), out);
    buffer_add(out, SLICE("\r\n"));
}

/* RFC 8617 5.1.1, 5.1.2: every set in its order, but only the own one behind a failure; the new seal last, b= empty, without line end. */
static struct error hash_sets(const struct dkim_seal *s, struct slice findings, struct slice message, struct slice seal, unsigned char digest[DKIM_DIGEST_MAX])
{
    SCOPED(buffer_free)
    struct buffer text = {0};
    unsigned first = strcmp(s->verdict, "fail") == 0 ? s->instance : 1;
    for (unsigned i = first; i < s->instance; i++) {
        add_field(s->sets[i].findings, &text);
        add_field(s->sets[i].message, &text);
        add_field(s->sets[i].seal, &text);
    }
    add_field(findings, &text);
    add_field(message, &text);
    dkim_canon_field(DKIM_RELAXED, seal, slice_make(NULL, 0), &text);
    return !text.failed && dkim_digest(DKIM_SHA256, buffer_slice(&text), digest) ? OK : error_make(ERROR_MEMORY, "out of memory");
}

static struct error add_seal(const struct dkim_seal *s, const struct dkim_signer *signer, int64_t now, struct slice findings, struct slice message, struct buffer *out)
{
    SCOPED(buffer_free)
    struct buffer encoded = {0};
    unsigned char digest[DKIM_DIGEST_MAX], signature[DKIM_SIGNATURE_MAX];
    size_t n = sizeof signature;
    buffer_printf(out, "ARC-Seal: i=%u; a=%s-sha256; t=%lld; cv=%s;\r\n\td=%.*s; s=%.*s;\r\n\tb=", s->instance, dkim_key_word(signer->key->kind), (long long)now, s->verdict, SLICE_ARG(signer->domain),
                  SLICE_ARG(signer->selector));
    if (out->failed)
        return error_make(ERROR_MEMORY, "out of memory");
    TRY(hash_sets(s, findings, message, buffer_slice(out), digest));
    TRY(dkim_key_sign(signer->key, DKIM_SHA256, slice_make((const char *)digest, sizeof digest), signature, &n));
    base64_encode(slice_make((const char *)signature, n), &encoded);
    dkim_add_folded(buffer_slice(&encoded), out);
    buffer_add(out, SLICE("\r\n"));
    return encoded.failed || out->failed ? error_make(ERROR_MEMORY, "out of memory") : OK;
}

struct error dkim_seal_end(struct dkim_sign *s, const struct dkim_seal *seal, const struct dkim_signer *signer, int64_t now, struct buffer *out)
{
    SCOPED(buffer_free)
    struct buffer findings = {0};
    SCOPED(buffer_free)
    struct buffer message = {0};
    SCOPED(buffer_free)
    struct buffer sealed = {0};
    buffer_printf(&findings, "ARC-Authentication-Results: i=%u; ", seal->instance);
    buffer_add(&findings, slice_trim(seal->findings));
    buffer_add(&findings, SLICE("\r\n"));
    TRY(dkim_sign_end_arc(s, seal->instance, signer, &message));
    TRY(add_seal(seal, signer, now, buffer_slice(&findings), buffer_slice(&message), &sealed));
    buffer_add(out, buffer_slice(&sealed));
    buffer_add(out, buffer_slice(&message));
    buffer_add(out, buffer_slice(&findings));
    return findings.failed || out->failed ? error_make(ERROR_MEMORY, "out of memory") : OK;
}
