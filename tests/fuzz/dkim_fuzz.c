/* tests/fuzz/dkim_fuzz.c -- DKIM: the first byte is the size of the body's pieces, then a key record up to a line end, then a message. Every signature gets that
 * record; whatever happens it is decided, in the same way for the body whole and in pieces, and told in one line. What we sign we verify. */
#include "mail/dkim/sign.h"
#include "mail/dkim/verify.h"
#include "mail/mime/header.h"
#include "tests/fuzz/target.h"

enum { NOW = 1795000000 };
static const struct dkim_limits lenient = {512, 4096, DKIM_SHA1, 300};
static struct dkim_key key;
static struct buffer record;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    promise(dkim_key_read(SLICE("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"), &key).code == ERROR_NONE);
    promise(dkim_key_record(&key, &record).code == ERROR_NONE);
    return 0;
}

static void check_text(const struct dkim_outcome *o)
{
    struct buffer b = {0};
    dkim_outcome_text(o, &b);
    struct slice s = buffer_slice(&b);
    for (size_t i = 0; i < s.n; i++)
        promise((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
    buffer_free(&b);
}

static struct dkim_verify *verify(struct arena *a, struct slice message, size_t piece, struct slice text)
{
    struct dkim_verify *v;
    size_t head = header_length(message);
    if (dkim_verify_begin(a, slice_first(message, head), NOW, &lenient, &v).code != ERROR_NONE)
        return NULL;
    for (struct slice body = slice_after(message, head); body.n; body = slice_after(body, piece))
        dkim_verify_body(v, slice_first(body, piece));
    dkim_verify_body_end(v);
    promise(dkim_verify_count(v) <= DKIM_EXAMINED_MAX);
    for (size_t i = 0; i < dkim_verify_count(v); i++) {
        struct slice name = dkim_verify_need(v, i);
        promise(name.n <= 253 && (!name.p || memchr(name.p, 0, name.n) == NULL));
        dkim_verify_answer(v, i, DKIM_ANSWER_RECORDS, &text, 1);
        const struct dkim_outcome *o = dkim_verify_outcome(v, i);
        promise(o->result != DKIM_PENDING && (o->result != DKIM_PASS || o->proved));
        check_text(o);
    }
    return v;
}

static void check_signing(struct arena *a, struct slice message)
{
    struct dkim_sign *s;
    struct buffer out = {0};
    size_t head = header_length(message);
    struct dkim_signer signer = {SLICE("a.example"), SLICE("s"), &key};
    if (dkim_sign_begin(a, slice_first(message, head), NOW, 0, &s).code != ERROR_NONE)
        return;
    dkim_sign_body(s, slice_after(message, head));
    promise(dkim_sign_end(s, &signer, 1, &out).code == ERROR_NONE);
    dkim_sign_free(s);
    buffer_add(&out, message);
    struct dkim_verify *v = verify(a, buffer_slice(&out), SIZE_MAX, buffer_slice(&record));
    promise(v && dkim_verify_outcome(v, 0)->result == DKIM_PASS);
    dkim_verify_free(v);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    if (size == 0)
        return 0;
    struct slice input = slice_after(target_slice(data, size), 1);
    size_t end = slice_find(input, '\n');
    struct slice text = slice_first(input, end), message = slice_after(input, end + 1);
    arena_init(&a, 16 * 1024 * 1024);
    struct dkim_verify *whole = verify(&a, message, SIZE_MAX, text), *cut = verify(&a, message, (size_t)data[0] + 1, text);
    for (size_t i = 0; whole && cut && i < dkim_verify_count(whole); i++) {
        const struct dkim_outcome *one = dkim_verify_outcome(whole, i), *other = dkim_verify_outcome(cut, i);
        promise(one->result == other->result && one->proved == other->proved && one->body_length == other->body_length);
    }
    dkim_verify_free(whole);
    dkim_verify_free(cut);
    check_signing(&a, message);
    arena_free(&a);
    return 0;
}
