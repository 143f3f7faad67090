/* mail/dkim/canon.c */
#include "mail/dkim/canon.h"

#include <openssl/evp.h>

enum { NEAR_MAX = 1024 };

static const EVP_MD *hash_md(enum dkim_hash hash)
{
    return hash == DKIM_SHA1 ? EVP_sha1() : EVP_sha256();
}

struct error dkim_body_begin(struct dkim_body *b, enum dkim_canon canon, enum dkim_hash hash, uint64_t limit)
{
    b->canon = canon;
    b->limit = limit;
    b->total = b->lines = 0;
    b->cr = b->blank = b->failed = false;
    b->n = 0;
    b->md = EVP_MD_CTX_new();
    if (!b->md || EVP_DigestInit_ex(b->md, hash_md(hash), NULL) != 1) {
        dkim_body_drop(b);
        return error_make(ERROR_MEMORY, "no digest context");
    }
    return OK;
}

static void body_hash(struct dkim_body *b, struct slice s)
{
    uint64_t left = b->limit > b->total ? b->limit - b->total : 0;
    size_t n = left < s.n ? (size_t)left : s.n;
    if (n && EVP_DigestUpdate(b->md, s.p, n) != 1)
        b->failed = true;
    b->total += s.n;
}

static void body_flush(struct dkim_body *b)
{
    body_hash(b, slice_make(b->held, b->n));
    b->n = 0;
}

static void body_emit(struct dkim_body *b, struct slice s)
{
    if (s.n > sizeof b->held - b->n) {
        body_flush(b);
        if (s.n > sizeof b->held) {
            body_hash(b, s);
            return;
        }
    }
    memcpy(b->held + b->n, s.p, s.n);
    b->n += s.n;
}

/* What was held back turns out to stand before something. */
static void body_release(struct dkim_body *b)
{
    for (; b->lines; b->lines--)
        body_emit(b, SLICE("\r\n"));
    if (b->blank)
        body_emit(b, SLICE(" "));
    if (b->cr)
        body_emit(b, SLICE("\r"));
    b->blank = b->cr = false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The bytes up to the next one that has a meaning. One space between words has none: most lines go through in one piece. */
static size_t plain_length(const struct dkim_body *b, struct slice s)
{
    struct slice near = slice_first(s, NEAR_MAX); /* a look is bounded, however long the line is and whatever stands in it */
    size_t line = slice_find(near, '\r'), n = 0;
    struct slice whole = slice_first(near, line);
    if (b->canon == DKIM_SIMPLE || (slice_find(whole, ' ') == line && slice_find(whole, '\t') == line))
        return line;
    while (n < line && s.p[n] != '\t') {
        if (s.p[n] == ' ' && (n + 1 >= line || is_blank(s.p[n + 1])))
            break;
        n++;
    }
    return n;
}

void dkim_body_add(struct dkim_body *b, struct slice s)
{
    while (s.n) {
        char c = s.p[0];
        size_t taken = 1;
        if (b->cr && c == '\n') {
            b->cr = b->blank = false; /* blanks at the end of a line go */
            b->lines++;
        } else if (c == '\r') {
            if (b->cr)
                body_release(b);
            b->cr = true;
        } else if (b->canon == DKIM_RELAXED && is_blank(c)) {
            if (b->cr)
                body_release(b);
            b->blank = true;
        } else {
            body_release(b);
            taken = plain_length(b, s);
            body_emit(b, slice_first(s, taken));
        }
        s = slice_after(s, taken);
    }
}

size_t dkim_body_end(struct dkim_body *b, unsigned char digest[DKIM_DIGEST_MAX])
{
    unsigned n = 0;
    if (b->cr)
        body_release(b);
    /* 3.4.3: an empty body is one line end; 3.4.4: it is nothing */
    if (b->canon == DKIM_SIMPLE || b->total || b->n)
        body_emit(b, SLICE("\r\n"));
    body_flush(b);
    if (b->failed || EVP_DigestFinal_ex(b->md, digest, &n) != 1)
        n = 0;
    dkim_body_drop(b);
    return n;
}

void dkim_body_drop(struct dkim_body *b)
{
    EVP_MD_CTX_free(b->md);
    b->md = NULL;
}

/* 3.4.2: unfolded, runs of blanks one space, none at the ends. The state goes on behind a cut. */
struct relaxing {
    bool blank, any;
};

static void relax(struct slice s, struct relaxing *r, struct buffer *out)
{
    char *to = s.n ? buffer_room(out, 2 * s.n) : NULL;
    size_t n = 0;
    if (!to)
        return;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\n' || (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n'))
            continue;
        if (is_blank(c)) {
            r->blank = r->any;
            continue;
        }
        if (r->blank)
            to[n++] = ' ';
        to[n++] = c;
        r->blank = false;
        r->any = true;
    }
    buffer_added(out, n);
}

void dkim_canon_field(enum dkim_canon canon, struct slice field, struct slice cut, struct buffer *out)
{
    if (field.n && field.p[field.n - 1] == '\n')
        field.n--;
    if (field.n && field.p[field.n - 1] == '\r')
        field.n--;
    size_t from = cut.p ? (size_t)(cut.p - field.p) : field.n;
    from = from < field.n ? from : field.n;
    struct slice before = slice_first(field, from), behind = slice_after(field, from + cut.n);
    if (canon == DKIM_SIMPLE) {
        buffer_add(out, before);
        buffer_add(out, behind);
        return;
    }
    size_t colon = slice_find(before, ':');
    struct slice name = slice_trim(slice_first(before, colon));
    for (size_t i = 0; i < name.n; i++)
        buffer_add_char(out, ascii_lower(name.p[i]));
    buffer_add_char(out, ':');
    struct relaxing r = {false, false};
    relax(slice_after(before, colon + 1), &r, out);
    relax(behind, &r, out);
}

size_t dkim_digest(enum dkim_hash hash, struct slice bytes, unsigned char digest[DKIM_DIGEST_MAX])
{
    unsigned n = 0;
    return EVP_Digest(bytes.p, bytes.n, digest, &n, hash_md(hash), NULL) == 1 ? n : 0;
}
