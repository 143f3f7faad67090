/* mail/dkim/arc.c */
#include "mail/dkim/arc.h"

#include "core/cleanup.h"
#include "mail/dkim/internal.h"

struct set {
    struct slice findings, message, seal; /* whole fields; p NULL: missing */
    struct slice results;                 /* of findings, behind "i=N;" */
    struct slice verdict;                 /* cv= */
    struct dkim_signature sealed;
    unsigned char digest[DKIM_DIGEST_MAX];
};

struct arc {
    struct arena *arena;
    int64_t now;
    struct dkim_fields fields;
    struct set sets[ARC_SETS_MAX + 1]; /* from 1 */
    size_t n;
    struct dkim_signature message; /* of the newest set */
    unsigned char digest[DKIM_DIGEST_MAX], body[DKIM_DIGEST_MAX];
    struct slice names[ARC_SETS_MAX + 1];
    bool answered[ARC_SETS_MAX + 1];
    size_t n_names, unanswered;
    enum arc_result result;
    const char *reason;
};

const char *arc_result_word(enum arc_result r)
{
    static const char *const words[] = {"none", "none", "pass", "fail", "fail"};
    return words[r];
}

static void decide(struct arc *x, enum arc_result result, const char *reason)
{
    if (x->result != ARC_PENDING)
        return;
    x->result = result;
    x->reason = reason;
}

static void broken(struct arc *x, const char *reason)
{
    decide(x, ARC_FAIL, reason);
}

/* --- the form of the chain (RFC 8617 4.2.1, 5.2 step 3) */

/* "i=N" as a tag: 1 to 50; 0 when it is not. */
static size_t instance_number(struct slice text)
{
    uint64_t n;
    return slice_number(slice_trim(text), ARC_SETS_MAX, &n) ? (size_t)n : 0;
}

/* RFC 8617 4.1.1: "i=N;" and then what an Authentication-Results field holds. */
static size_t findings_instance(struct slice value, struct slice *results)
{
    size_t end = slice_find(value, ';');
    struct slice first = slice_trim(slice_first(value, end));
    *results = slice_after(value, end + 1);
    if (!slice_starts(first, SLICE("i")))
        return 0;
    first = slice_trim(slice_after(first, 1));
    return slice_starts(first, SLICE("=")) ? instance_number(slice_after(first, 1)) : 0;
}

static struct slice tag_of(struct slice value, const char *name)
{
    struct dkim_tags tags;
    const struct dkim_tag *tag = dkim_tags_parse(value, &tags) ? dkim_tags_find(&tags, name) : NULL;
    return tag ? tag->value : slice_make(NULL, 0);
}

static void place(struct arc *x, struct slice *where, const struct header_field *f)
{
    if (where->p)
        broken(x, "an instance has a field twice");
    *where = f->whole;
}

static void take_field(struct arc *x, const struct header_field *f)
{
    static const struct slice names[] = {{"ARC-Authentication-Results", 26}, {"ARC-Message-Signature", 21}, {"ARC-Seal", 8}};
    struct slice results = slice_make(NULL, 0);
    size_t kind = 0;
    while (kind < 3 && !slice_eq_nocase(f->name, names[kind]))
        kind++;
    if (kind == 3)
        return;
    size_t i = kind == 0 ? findings_instance(f->value, &results) : instance_number(tag_of(f->value, "i"));
    if (i == 0) {
        broken(x, "an ARC field has no instance from 1 to 50");
        return;
    }
    struct set *s = &x->sets[i];
    if (kind == 0)
        s->results = results;
    if (kind == 2)
        s->verdict = tag_of(f->value, "cv");
    place(x, kind == 0 ? &s->findings : kind == 1 ? &s->message : &s->seal, f);
    if (i > x->n)
        x->n = i;
}

static void check_form(struct arc *x)
{
    size_t bytes = 0;
    for (size_t i = 1; i <= x->n; i++) {
        struct set *s = &x->sets[i];
        bytes += s->findings.n + s->message.n + s->seal.n;
        if (!s->findings.p || !s->message.p || !s->seal.p)
            broken(x, "a set is not complete");
        else if (slice_eq_nocase(s->verdict, SLICE("fail")))
            broken(x, "an earlier station found it broken");
        else if (!slice_eq_nocase(s->verdict, i == 1 ? SLICE("none") : SLICE("pass")))
            broken(x, "a seal says something impossible about the sets before it");
    }
    if (bytes > ARC_BYTES_MAX)
        broken(x, "the chain is too long");
    if (x->fields.wrong)
        broken(x, x->fields.wrong);
}

/* --- what is signed */

static void need(struct arc *x, struct slice name)
{
    for (size_t i = 0; i < x->n_names; i++)
        if (slice_eq_nocase(x->names[i], name))
            return;
    x->names[x->n_names++] = name;
    x->unanswered++;
}

static void add_field(struct slice field, struct buffer *out)
{
    dkim_canon_field(DKIM_RELAXED, field, slice_make(NULL, 0), out);
    buffer_add(out, SLICE("\r\n"));
}

/* RFC 8617 5.1.1: all sets in their order; the seal itself last, without b= and line end. */
static struct error read_seals(struct arc *x)
{
    SCOPED(buffer_free)
    struct buffer text = {0};
    for (size_t i = 1; i <= x->n && x->result == ARC_PENDING; i++) {
        struct set *s = &x->sets[i];
        struct dkim_verdict v = dkim_signature_parse(x->arena, DKIM_FIELD_ARC_SEAL, s->seal, &s->sealed);
        if (v.result != DKIM_PENDING || s->sealed.hash != DKIM_SHA256) {
            broken(x, v.reason ? v.reason : "a seal has an algorithm that proves nothing");
            break;
        }
        if (tag_of(slice_after(s->seal, slice_find(s->seal, ':') + 1), "h").p)
            broken(x, "a seal has h="); /* RFC 8617 4.1.3 */
        add_field(s->findings, &text);
        add_field(s->message, &text);
        size_t before = buffer_length(&text);
        dkim_canon_field(DKIM_RELAXED, s->seal, s->sealed.cut, &text);
        if (text.failed || !dkim_digest(DKIM_SHA256, buffer_slice(&text), s->digest))
            return error_make(ERROR_MEMORY, "out of memory");
        text.end -= buffer_length(&text) - before;
        add_field(s->seal, &text);
    }
    return OK;
}

static struct error read_message_signature(struct arc *x)
{
    SCOPED(buffer_free)
    struct buffer text = {0};
    struct dkim_signature *m = &x->message;
    unsigned char *used = arena_zero(x->arena, x->fields.n + 1, 1);
    struct dkim_verdict v = dkim_signature_parse(x->arena, DKIM_FIELD_ARC_MESSAGE, x->sets[x->n].message, m);
    if (!used)
        return error_make(ERROR_MEMORY, "out of memory");
    if (v.result != DKIM_PENDING || m->hash != DKIM_SHA256) {
        broken(x, v.reason ? v.reason : "a message signature has an algorithm that proves nothing");
        return OK;
    }
    for (size_t i = 0; i < m->names_n; i++)
        if (slice_eq_nocase(m->names[i], SLICE("ARC-Seal")))
            broken(x, "a message signature covers a seal"); /* RFC 8617 4.1.2 */
    if (m->has_length)
        broken(x, "a message signature leaves a part of the body open"); /* attacks.md MA-01 */
    for (size_t i = 0; i < x->fields.n; i++)
        used[i] = x->fields.fields[i].whole.p == m->field.p;
    dkim_fields_canon(&x->fields, m->head_canon, m->names, m->names_n, used, &text);
    dkim_canon_field(m->head_canon, m->field, m->cut, &text);
    return text.failed || !dkim_digest(DKIM_SHA256, buffer_slice(&text), x->digest) ? error_make(ERROR_MEMORY, "out of memory") : OK;
}

struct error arc_begin(struct arena *a, struct slice head, int64_t now, struct arc **out)
{
    struct arc *x = arena_zero(a, 1, sizeof *x);
    *out = NULL;
    if (!x)
        return error_make(ERROR_MEMORY, "out of memory");
    x->arena = a;
    x->now = now;
    TRY(dkim_fields_read(a, head, &x->fields));
    for (size_t i = 0; i < x->fields.n; i++)
        take_field(x, &x->fields.fields[i]);
    if (x->n == 0)
        decide(x, ARC_NONE, NULL);
    else
        check_form(x);
    if (x->result == ARC_PENDING)
        TRY(read_seals(x));
    if (x->result == ARC_PENDING)
        TRY(read_message_signature(x));
    *out = x;
    return OK;
}

void arc_body(struct arc *x, struct slice body)
{
    struct dkim_body b;
    if (x->result != ARC_PENDING)
        return;
    if (dkim_body_begin(&b, x->message.body_canon, DKIM_SHA256, UINT64_MAX).code != ERROR_NONE) {
        decide(x, ARC_TEMPERROR, "hashing failed");
        return;
    }
    dkim_body_add(&b, body);
    size_t n = dkim_body_end(&b, x->body);
    if (!slice_eq(x->message.body_hash, slice_make((const char *)x->body, n))) {
        broken(x, "the body was changed behind the last station");
        return;
    }
    need(x, x->message.query);
    for (size_t i = x->n; i > 0; i--)
        need(x, x->sets[i].sealed.query);
}

/* --- keys */

size_t arc_needs(const struct arc *x)
{
    return x->n_names;
}

struct slice arc_need(const struct arc *x, size_t i)
{
    return x->result == ARC_PENDING && !x->answered[i] ? x->names[i] : slice_make(NULL, 0);
}

static bool fits(const struct dkim_record *r, const struct dkim_signature *s, const unsigned char *digest)
{
    const struct dkim_limits *l = &dkim_limits_usual;
    if (r->revoked || !r->email || r->key.kind != s->kind || (s->kind == DKIM_RSA && (r->bits < l->rsa_bits_min || r->bits > l->rsa_bits_max)))
        return false;
    return dkim_key_verify(&r->key, DKIM_SHA256, slice_make((const char *)digest, 32), s->bytes);
}

/* Everything that this name's key signed. */
static bool all_fit(const struct arc *x, struct slice name, const struct dkim_record *r)
{
    if (slice_eq_nocase(x->message.query, name) && !fits(r, &x->message, x->digest))
        return false;
    for (size_t i = 1; i <= x->n; i++)
        if (slice_eq_nocase(x->sets[i].sealed.query, name) && !fits(r, &x->sets[i].sealed, x->sets[i].digest))
            return false;
    return true;
}

void arc_answer(struct arc *x, size_t i, enum dkim_answer answer, const struct slice *texts, size_t n)
{
    bool right = false;
    if (!arc_need(x, i).p)
        return;
    for (size_t k = 0; answer == DKIM_ANSWER_RECORDS && !right && k < n && k < DKIM_RECORDS_MAX; k++) {
        struct dkim_record r;
        if (dkim_record_parse(texts[k], &r))
            continue;
        right = all_fit(x, x->names[i], &r);
        dkim_key_free(&r.key);
    }
    x->answered[i] = true;
    if (answer == DKIM_ANSWER_FAILED)
        decide(x, ARC_TEMPERROR, "a sealer's key could not be had");
    else if (!right)
        broken(x, "a seal or the newest message signature does not fit its key");
    else if (--x->unanswered == 0)
        decide(x, ARC_PASS, NULL);
}

enum arc_result arc_result(const struct arc *x)
{
    return x->result;
}

const char *arc_reason(const struct arc *x)
{
    return x->reason;
}

size_t arc_sets(const struct arc *x)
{
    return x->n;
}

struct slice arc_sealer(const struct arc *x, size_t i)
{
    return i > 0 && i <= x->n ? x->sets[i].sealed.domain : SLICE("");
}

struct slice arc_findings(const struct arc *x, size_t i)
{
    return i > 0 && i <= x->n && x->sets[i].results.p ? x->sets[i].results : SLICE("");
}

void arc_free(struct arc *x)
{
    (void)x; /* all of it is the arena's */
}
