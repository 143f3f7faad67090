/* mail/dkim/verify.c */
#include "mail/dkim/verify.h"

#include "core/cleanup.h"
#include "mail/dkim/internal.h"

const struct dkim_limits dkim_limits_usual = {1024, 4096, DKIM_SHA256, 300};

/* Bodies are shared by signatures that want the same hash. */
struct body_hash {
    struct dkim_body body;
    enum dkim_hash hash;
    unsigned char digest[DKIM_DIGEST_MAX];
    size_t digest_n;
};

struct check {
    struct dkim_signature signature;
    struct dkim_outcome outcome;
    struct body_hash *body; /* NULL when decided at once */
    unsigned char head[DKIM_DIGEST_MAX];
    bool answered, right; /* the key is known; the signature verifies with it */
    const char *unsigned_name; /* of a field that stands more often than it is signed */
};

struct dkim_verify {
    struct arena *arena;
    int64_t now;
    struct dkim_limits limits;
    struct dkim_fields fields;
    struct check checks[DKIM_EXAMINED_MAX];
    struct body_hash bodies[DKIM_EXAMINED_MAX];
    size_t n, ignored, bodies_n;
    bool body_ended;
};

static void decide(struct check *c, enum dkim_result result, const char *reason)
{
    c->outcome.result = result;
    c->outcome.reason = reason;
}

/* What can be said without key and body. */
static struct dkim_verdict judge_early(const struct dkim_verify *v, const struct dkim_signature *s)
{
    if (v->fields.wrong)
        return dkim_verdict(DKIM_PERMERROR, v->fields.wrong);
    if (s->has_expiry && s->expires_at < v->now - v->limits.slack)
        return dkim_verdict(DKIM_FAIL, "the signature has expired");
    if (s->has_time && s->signed_at > v->now + v->limits.slack)
        return dkim_verdict(DKIM_POLICY, "the signature is of the future");
    if (s->hash == DKIM_SHA1 && v->limits.weakest != DKIM_SHA1)
        return dkim_verdict(DKIM_POLICY, "rsa-sha1 proves nothing (RFC 8301)");
    return dkim_verdict(DKIM_PENDING, NULL);
}

static struct error body_share(struct dkim_verify *v, struct check *c)
{
    const struct dkim_signature *s = &c->signature;
    uint64_t limit = s->has_length ? s->length : UINT64_MAX;
    for (size_t i = 0; i < v->bodies_n && !c->body; i++) {
        struct body_hash *b = &v->bodies[i];
        if (b->hash == s->hash && b->body.canon == s->body_canon && b->body.limit == limit)
            c->body = b;
    }
    if (c->body)
        return OK;
    struct body_hash *b = &v->bodies[v->bodies_n];
    TRY(dkim_body_begin(&b->body, s->body_canon, s->hash, limit));
    b->hash = s->hash;
    v->bodies_n++;
    c->body = b;
    return OK;
}

/* attacks.md MA-02: a field that people and filters read stands above a signed one of its name. */
static const char *find_unsigned(const struct dkim_fields *f, const unsigned char *used)
{
    static const char *const names[] = {"From", "Sender", "Subject", "Date", "To", "Cc", "Reply-To", "Message-ID",
                                        "MIME-Version", "Content-Type", "Content-Transfer-Encoding"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = 0, covered = 0;
        for (size_t k = 0; k < f->n; k++) {
            if (slice_eq_nocase(f->fields[k].name, slice_of(names[i]))) {
                n++;
                covered += used[k];
            }
        }
        if (n > 1 && covered < n)
            return names[i];
    }
    return NULL;
}

/* The digest of the head: the named fields, then the signature's own without b= and line end (RFC 6376 3.7). */
static struct error hash_head(struct dkim_verify *v, struct check *c, size_t own)
{
    const struct dkim_signature *s = &c->signature;
    SCOPED(buffer_free)
    struct buffer text = {0};
    unsigned char *used = arena_zero(v->arena, v->fields.n, 1);
    if (!used)
        return error_make(ERROR_MEMORY, "out of memory");
    used[own] = 1;
    dkim_fields_canon(&v->fields, s->head_canon, s->names, s->names_n, used, &text);
    dkim_canon_field(s->head_canon, s->field, s->cut, &text);
    if (text.failed || !dkim_digest(s->hash, buffer_slice(&text), c->head))
        return error_make(ERROR_MEMORY, "out of memory");
    c->unsigned_name = find_unsigned(&v->fields, used);
    return OK;
}

static struct error check_begin(struct dkim_verify *v, struct check *c, size_t own)
{
    struct dkim_signature *s = &c->signature;
    struct dkim_verdict verdict = dkim_signature_parse(v->arena, DKIM_FIELD_SIGNATURE, v->fields.fields[own].whole, s);
    c->outcome = (struct dkim_outcome){.domain = s->domain, .selector = s->selector, .identity = s->identity, .algorithm = s->algorithm};
    c->outcome.signature = s->text;
    c->outcome.has_length = s->has_length;
    c->outcome.signed_length = s->length;
    if (verdict.result == DKIM_PENDING)
        verdict = judge_early(v, s);
    decide(c, verdict.result, verdict.reason);
    if (verdict.result != DKIM_PENDING)
        return OK;
    TRY(body_share(v, c));
    return hash_head(v, c, own);
}

struct error dkim_verify_begin(struct arena *a, struct slice head, int64_t now, const struct dkim_limits *limits, struct dkim_verify **out)
{
    struct dkim_verify *v = arena_zero(a, 1, sizeof *v);
    if (!v)
        return error_make(ERROR_MEMORY, "out of memory");
    v->arena = a;
    v->now = now;
    v->limits = *limits;
    struct error e = dkim_fields_read(a, head, &v->fields);
    for (size_t i = 0; i < v->fields.n && e.code == ERROR_NONE; i++) {
        if (!slice_eq_nocase(v->fields.fields[i].name, SLICE("DKIM-Signature")))
            continue;
        if (v->n == DKIM_EXAMINED_MAX)
            v->ignored++;
        else
            e = check_begin(v, &v->checks[v->n++], i);
    }
    if (e.code != ERROR_NONE)
        dkim_verify_free(v);
    else
        *out = v;
    return e;
}

struct error dkim_verify_message(struct arena *a, struct slice message, int64_t now, const struct dkim_limits *limits, struct dkim_verify **out)
{
    size_t n = header_length(message);
    TRY(dkim_verify_begin(a, slice_first(message, n), now, limits, out));
    dkim_verify_body(*out, slice_after(message, n));
    dkim_verify_body_end(*out);
    return OK;
}

void dkim_verify_body(struct dkim_verify *v, struct slice piece)
{
    for (size_t i = 0; i < v->bodies_n; i++)
        dkim_body_add(&v->bodies[i].body, piece);
}

/* Right in all its parts; is it acceptable? */
static void judge_proved(struct dkim_verify *v, struct check *c)
{
    struct dkim_outcome *o = &c->outcome;
    o->proved = true;
    if (o->has_length && o->body_length > o->signed_length)
        decide(c, DKIM_POLICY, arena_printf(v->arena, "only %llu of %llu octets of the body are signed",
                                            (unsigned long long)o->signed_length, (unsigned long long)o->body_length));
    else if (c->unsigned_name)
        decide(c, DKIM_POLICY, arena_printf(v->arena, "a further %s field is not signed", c->unsigned_name));
    else
        decide(c, DKIM_PASS, NULL);
}

/* Key and body are there. */
static void settle(struct dkim_verify *v, struct check *c)
{
    struct dkim_outcome *o = &c->outcome;
    if (o->result != DKIM_PENDING || !c->answered || !v->body_ended)
        return;
    const struct body_hash *b = c->body;
    if (b->digest_n == 0)
        decide(c, DKIM_TEMPERROR, "hashing failed");
    else if (o->has_length && o->signed_length > o->body_length)
        decide(c, DKIM_FAIL, "the body is shorter than l=");
    else if (!slice_eq(c->signature.body_hash, slice_make((const char *)b->digest, b->digest_n)))
        decide(c, DKIM_FAIL, "the body was changed");
    else if (!c->right)
        decide(c, DKIM_FAIL, "the signature does not fit head and key");
    else
        judge_proved(v, c);
    if (o->result == DKIM_FAIL && o->testing)
        decide(c, DKIM_NEUTRAL, arena_printf(v->arena, "%s (the key is being tested)", o->reason));
}

void dkim_verify_body_end(struct dkim_verify *v)
{
    if (v->body_ended)
        return;
    v->body_ended = true;
    for (size_t i = 0; i < v->bodies_n; i++)
        v->bodies[i].digest_n = dkim_body_end(&v->bodies[i].body, v->bodies[i].digest);
    for (size_t i = 0; i < v->n; i++) {
        struct check *c = &v->checks[i];
        if (c->body)
            c->outcome.body_length = c->body->body.total;
        settle(v, c);
    }
}

size_t dkim_verify_count(const struct dkim_verify *v)
{
    return v->n;
}

size_t dkim_verify_ignored(const struct dkim_verify *v)
{
    return v->ignored;
}

struct slice dkim_verify_need(const struct dkim_verify *v, size_t i)
{
    const struct check *c = &v->checks[i];
    return c->outcome.result == DKIM_PENDING && !c->answered ? c->signature.query : slice_make(NULL, 0);
}

/* RFC 6376 6.1.2: is this the key of this signature? */
static struct dkim_verdict judge_key(const struct dkim_verify *v, const struct dkim_signature *s, const struct dkim_record *r)
{
    if (r->revoked)
        return dkim_verdict(DKIM_PERMERROR, "the key was revoked");
    if (!r->email)
        return dkim_verdict(DKIM_PERMERROR, "the key is not for mail");
    if (r->key.kind != s->kind)
        return dkim_verdict(DKIM_PERMERROR, "the key is of another algorithm than the signature");
    if (r->hashes.p && !dkim_list_has(r->hashes, s->hash == DKIM_SHA1 ? SLICE("sha1") : SLICE("sha256")))
        return dkim_verdict(DKIM_PERMERROR, "the key does not allow this hash");
    if (r->same_domain && s->identity.p && !slice_eq_nocase(s->identity_domain, s->domain))
        return dkim_verdict(DKIM_PERMERROR, "the key allows no subdomain in i=");
    if (s->kind == DKIM_RSA && r->bits < v->limits.rsa_bits_min)
        return dkim_verdict(DKIM_POLICY, "the key is too short to prove anything");
    if (s->kind == DKIM_RSA && r->bits > v->limits.rsa_bits_max)
        return dkim_verdict(DKIM_POLICY, "the key is longer than we compute with");
    return dkim_verdict(DKIM_PENDING, NULL);
}

static struct dkim_verdict try_record(struct dkim_verify *v, struct check *c, struct slice text)
{
    struct dkim_record r;
    const struct dkim_signature *s = &c->signature;
    const char *wrong = dkim_record_parse(text, &r);
    if (wrong)
        return dkim_verdict(DKIM_PERMERROR, wrong);
    c->outcome.bits = r.bits;
    c->outcome.testing = r.testing;
    struct dkim_verdict verdict = judge_key(v, s, &r);
    if (verdict.result == DKIM_PENDING)
        c->right = dkim_key_verify(&r.key, s->hash, slice_make((const char *)c->head, s->hash == DKIM_SHA1 ? 20 : 32), s->bytes);
    dkim_key_free(&r.key);
    return verdict;
}

void dkim_verify_answer(struct dkim_verify *v, size_t i, enum dkim_answer answer, const struct slice *texts, size_t n)
{
    struct check *c = &v->checks[i];
    if (!dkim_verify_need(v, i).p)
        return;
    struct dkim_verdict verdict = dkim_verdict(DKIM_PERMERROR, "there is no key record");
    if (answer == DKIM_ANSWER_FAILED)
        verdict = dkim_verdict(DKIM_TEMPERROR, "the key record could not be had");
    for (size_t k = 0; answer == DKIM_ANSWER_RECORDS && k < n && k < DKIM_RECORDS_MAX; k++) {
        struct dkim_verdict one = try_record(v, c, texts[k]);
        if (k == 0 || one.result == DKIM_PENDING)
            verdict = one;
        if (one.result == DKIM_PENDING)
            break;
    }
    c->answered = true;
    decide(c, verdict.result, verdict.reason);
    settle(v, c);
}

const struct dkim_outcome *dkim_verify_outcome(const struct dkim_verify *v, size_t i)
{
    return &v->checks[i].outcome;
}

void dkim_verify_free(struct dkim_verify *v)
{
    for (size_t i = 0; v && i < v->bodies_n; i++)
        dkim_body_drop(&v->bodies[i].body);
}
