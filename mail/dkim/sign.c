/* mail/dkim/sign.c */
#include "mail/dkim/sign.h"

#include "core/cleanup.h"
#include "mail/dkim/internal.h"
#include "mail/mime/decode.h"

enum { COLUMNS = 76,
       NAMES_MAX = 200 };

struct dkim_sign {
    struct arena *arena;
    int64_t now, lifetime;
    struct dkim_fields fields;
    struct slice names[NAMES_MAX];
    size_t n;
    struct buffer canonical; /* the named fields */
    struct dkim_body body;
};

enum oversign { ALWAYS,
                PRESENT,
                AS_THEY_STAND };

static const struct {
    const char *name;
    enum oversign how;
} rows[] = {
    {"From", ALWAYS},
    {"To", ALWAYS},
    {"Cc", ALWAYS},
    {"Subject", ALWAYS},
    {"Date", ALWAYS},
    {"Reply-To", ALWAYS},
    {"Message-ID", ALWAYS},
    {"MIME-Version", ALWAYS},
    {"Content-Type", ALWAYS},
    {"Content-Transfer-Encoding", ALWAYS},
    {"Sender", PRESENT},
    {"In-Reply-To", PRESENT},
    {"References", PRESENT},
    {"List-Id", PRESENT},
    {"List-Help", PRESENT},
    {"List-Unsubscribe", PRESENT},
    {"List-Unsubscribe-Post", PRESENT},
    {"List-Subscribe", PRESENT},
    {"List-Post", PRESENT},
    {"List-Owner", PRESENT},
    {"List-Archive", PRESENT},
    {"Content-ID", PRESENT},
    {"Content-Description", PRESENT},
    {"Content-Disposition", PRESENT},
    {"Content-Language", PRESENT},
    {"Autocrypt", PRESENT},
    {"Resent-From", AS_THEY_STAND},
    {"Resent-Sender", AS_THEY_STAND},
    {"Resent-Date", AS_THEY_STAND},
    {"Resent-To", AS_THEY_STAND},
    {"Resent-Cc", AS_THEY_STAND},
    {"Resent-Message-ID", AS_THEY_STAND},
};

static size_t count(const struct dkim_fields *f, struct slice name)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += slice_eq_nocase(f->fields[i].name, name);
    return n;
}

static struct error choose_names(struct dkim_sign *s)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice name = slice_of(rows[i].name);
        size_t n = count(&s->fields, name);
        n += rows[i].how == ALWAYS || (rows[i].how == PRESENT && n);
        if (n > NAMES_MAX - s->n)
            return error_make(ERROR_LIMIT, "the message repeats its fields too often to be signed");
        for (; n; n--)
            s->names[s->n++] = name;
    }
    return OK;
}

static struct error begin(struct dkim_sign *s, struct slice head)
{
    TRY(dkim_fields_read(s->arena, head, &s->fields));
    if (s->fields.n == DKIM_FIELDS_MAX || head.n > DKIM_HEAD_MAX)
        return error_make(ERROR_LIMIT, "the message's head is too large to be signed");
    if (s->fields.wrong)
        return error_make(ERROR_INVALID, s->fields.wrong);
    if (count(&s->fields, SLICE("From")) != 1)
        return error_make(ERROR_INVALID, "a message has one From field");
    TRY(choose_names(s));
    unsigned char *used = arena_zero(s->arena, s->fields.n, 1);
    if (!used)
        return error_make(ERROR_MEMORY, "out of memory");
    dkim_fields_canon(&s->fields, DKIM_RELAXED, s->names, s->n, used, &s->canonical);
    if (s->canonical.failed)
        return error_make(ERROR_MEMORY, "out of memory");
    return dkim_body_begin(&s->body, DKIM_RELAXED, DKIM_SHA256, UINT64_MAX);
}

struct error dkim_sign_begin(struct arena *a, struct slice head, int64_t now, int64_t lifetime, struct dkim_sign **out)
{
    struct dkim_sign *s = arena_zero(a, 1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "out of memory");
    s->arena = a;
    s->now = now;
    s->lifetime = lifetime;
    struct error e = begin(s, head);
    if (e.code != ERROR_NONE)
        dkim_sign_free(s);
    else
        *out = s;
    return e;
}

void dkim_sign_body(struct dkim_sign *s, struct slice piece)
{
    dkim_body_add(&s->body, piece);
}

/* h=, folded behind a ':'. */
static void add_names(const struct dkim_sign *s, struct buffer *out)
{
    size_t column = 8 + 2; /* the tab counts eight */
    buffer_add(out, SLICE("h="));
    for (size_t i = 0; i < s->n; i++) {
        struct slice name = s->names[i];
        if (column + name.n + 1 > COLUMNS) {
            buffer_add(out, SLICE("\r\n\t"));
            column = 8;
        }
        buffer_add(out, name);
        buffer_add_char(out, i + 1 < s->n ? ':' : ';');
        column += name.n + 1;
    }
    buffer_add(out, SLICE("\r\n\t"));
}

void dkim_add_folded(struct slice text, struct buffer *out)
{
    for (size_t width = COLUMNS - 8 - 2; text.n; width = COLUMNS - 8) {
        buffer_add(out, slice_first(text, width));
        text = slice_after(text, width);
        if (text.n)
            buffer_add(out, SLICE("\r\n\t"));
    }
}

/* All of the field up to "b=". instance 0: a DKIM-Signature. */
static void add_tags(const struct dkim_sign *s, unsigned instance, const struct dkim_signer *signer, struct slice body_hash, struct buffer *out)
{
    if (instance)
        buffer_printf(out, "ARC-Message-Signature: i=%u;", instance);
    else
        buffer_add(out, SLICE("DKIM-Signature: v=1;"));
    buffer_printf(out, " a=%s-sha256; c=relaxed/relaxed;\r\n\td=%.*s;", dkim_key_word(signer->key->kind), SLICE_ARG(signer->domain));
    buffer_printf(out, "\r\n\ts=%.*s; t=%lld;", SLICE_ARG(signer->selector), (long long)s->now);
    if (s->lifetime > 0)
        buffer_printf(out, " x=%lld;", (long long)(s->now + s->lifetime));
    buffer_add(out, SLICE("\r\n\t"));
    add_names(s, out);
    buffer_add(out, SLICE("bh="));
    base64_encode(body_hash, out);
    buffer_add(out, SLICE(";\r\n\tb="));
}

static struct error sign_one(const struct dkim_sign *s, unsigned instance, const struct dkim_signer *signer, struct slice body_hash, struct buffer *out)
{
    SCOPED(buffer_free)
    struct buffer field = {0},
                  hashed = {0}, encoded = {0};
    unsigned char digest[DKIM_DIGEST_MAX], signature[DKIM_SIGNATURE_MAX];
    size_t n = sizeof signature;
    if (!dkim_domain_is_legal(signer->domain) || !dkim_domain_is_legal(signer->selector))
        return error_make(ERROR_INVALID, "not a domain or a selector that can be signed for");
    add_tags(s, instance, signer, body_hash, &field);
    buffer_add(&hashed, buffer_slice(&s->canonical));
    dkim_canon_field(DKIM_RELAXED, buffer_slice(&field), slice_make(NULL, 0), &hashed);
    if (field.failed || hashed.failed || !dkim_digest(DKIM_SHA256, buffer_slice(&hashed), digest))
        return error_make(ERROR_MEMORY, "out of memory");
    TRY(dkim_key_sign(signer->key, DKIM_SHA256, slice_make((const char *)digest, sizeof digest), signature, &n));
    base64_encode(slice_make((const char *)signature, n), &encoded);
    dkim_add_folded(buffer_slice(&encoded), &field);
    buffer_add(&field, SLICE("\r\n"));
    if (encoded.failed || field.failed)
        return error_make(ERROR_MEMORY, "out of memory");
    buffer_add(out, buffer_slice(&field));
    return OK;
}

struct error dkim_sign_end(struct dkim_sign *s, const struct dkim_signer *signers, size_t n, struct buffer *out)
{
    SCOPED(buffer_free)
    struct buffer made = {0};
    unsigned char digest[DKIM_DIGEST_MAX];
    size_t length = dkim_body_end(&s->body, digest);
    if (!length)
        return error_make(ERROR_MEMORY, "the body could not be hashed");
    for (size_t i = 0; i < n; i++)
        TRY(sign_one(s, 0, &signers[i], slice_make((const char *)digest, length), &made));
    buffer_add(out, buffer_slice(&made));
    return made.failed || out->failed ? error_make(ERROR_MEMORY, "out of memory") : OK;
}

struct error dkim_sign_end_arc(struct dkim_sign *s, unsigned instance, const struct dkim_signer *signer, struct buffer *out)
{
    unsigned char digest[DKIM_DIGEST_MAX];
    size_t length = dkim_body_end(&s->body, digest);
    return length ? sign_one(s, instance, signer, slice_make((const char *)digest, length), out) : error_make(ERROR_MEMORY, "the body could not be hashed");
}

void dkim_sign_free(struct dkim_sign *s)
{
    if (!s)
        return;
    dkim_body_drop(&s->body);
    buffer_free(&s->canonical);
}
