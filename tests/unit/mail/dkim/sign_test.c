/* Signing, keys, and what a verifier says to l= and to weak keys (RFC 6376 5, RFC 8301, RFC 8463; attacks.md MA-01, MA-03, MA-06) */
#include <openssl/evp.h>

#include "mail/mime/decode.h"
#include "tests/unit/mail/dkim/dkim_test.h"

enum { NOW = 1795000000 };

static const char message_text[] = "From: x@kantor.example\r\nTo: y@kantor.example\r\nSubject: a\r\n\r\n0123456789\r\n";

static struct dkim_key made(enum dkim_key_kind kind)
{
    struct dkim_key key;
    assert_int_equal(dkim_key_generate(kind, &key).code, ERROR_NONE);
    return key;
}

static void keys_survive_their_pem_and_both_kinds_verify(void **state)
{
    struct arena *a = *state;
    for (int kind = DKIM_RSA; kind <= DKIM_ED25519; kind++) {
        struct dkim_key key = made((enum dkim_key_kind)kind), again;
        struct buffer pem = {0};
        assert_int_equal(dkim_key_pem(&key, &pem).code, ERROR_NONE);
        assert_int_equal(dkim_key_read(buffer_slice(&pem), &again).code, ERROR_NONE);
        struct dkim_outcome o = judged(a, sign_with(a, &again, slice_of(message_text), NOW), key_line(a, &key), NOW);
        assert_int_equal(o.result, DKIM_PASS);
        assert_int_equal(o.bits, kind == DKIM_RSA ? 2048 : 256);
        buffer_free(&pem);
        dkim_key_free(&key);
        dkim_key_free(&again);
    }
    struct dkim_key none;
    assert_int_equal(dkim_key_read(SLICE("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"), &none).code, ERROR_INVALID);
}

static void lines_are_short_and_the_end_is_a_line_end(void **state)
{
    struct dkim_key key = made(DKIM_RSA);
    struct slice s = sign_with(*state, &key, slice_of(message_text), NOW), rest = slice_first(s, s.n - strlen(message_text));
    assert_true(slice_starts(rest, SLICE("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=kantor.example;\r\n\ts=s; t=1795000000; x=1795086400;\r\n\th=From:From:")));
    assert_true(slice_ends(rest, SLICE("\r\n")));
    while (rest.n) {
        size_t n = slice_find(rest, '\n');
        assert_true(n < 78);
        assert_true(n && rest.p[n - 1] == '\r');
        rest = slice_after(rest, n + 1);
    }
    dkim_key_free(&key);
}

static void every_field_that_is_oversigned_breaks_when_added(void **state)
{
    static const char *const names[] = {"From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"};
    struct arena *a = *state;
    struct dkim_key key = made(DKIM_ED25519);
    const char *s = arena_string(a, sign_with(a, &key, slice_of(message_text), NOW));
    struct slice line = key_line(a, &key);
    dkim_key_free(&key);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct dkim_outcome o = judged(a, slice_of(arena_printf(a, "%s: x\r\n%s", names[i], s)), line, NOW);
        if (o.result != DKIM_FAIL)
            fail_msg("%s: %s", names[i], dkim_result_word(o.result));
    }
    assert_int_equal(judged(a, slice_of(arena_printf(a, "Received: x\r\nList-Id: <a.b>\r\n%s", s)), line, NOW).result, DKIM_PASS);
    assert_int_equal(judged(a, slice_of(s), line, NOW + 86400 + 301).result, DKIM_FAIL);
}

static void what_no_verifier_would_take_is_not_signed(void **state)
{
    static const char *const heads[] = {"Subject: a\r\n\r\n", "From: a\r\nFrom: b\r\n\r\n", "From: a\r\ngarbage\r\n\r\n", "From: a\r\ngarbage", " From: a\r\nFrom: b\r\n\r\n", ""};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct dkim_sign *s;
        assert_int_equal(dkim_sign_begin(*state, slice_of(heads[i]), NOW, 0, &s).code, ERROR_INVALID);
    }
}

static void a_record_is_split_into_strings_of_255(void **state)
{
    struct arena *a = *state;
    struct dkim_key key = made(DKIM_RSA);
    struct buffer record = {0}, zone = {0};
    assert_int_equal(dkim_key_record(&key, &record).code, ERROR_NONE);
    dkim_key_free(&key);
    dkim_zone_text(buffer_slice(&record), &zone);
    assert_true(buffer_length(&record) > 255);
    struct slice r = text_slice(a, &record), z = text_slice(a, &zone);
    assert_int_equal(z.n, r.n + 5);
    assert_memory_equal(z.p + 1, r.p, 255);
    assert_memory_equal(z.p + 256, "\" \"", 3);
    assert_memory_equal(z.p + 259, r.p + 255, r.n - 255);
}

/* A signature with tags of the test's choice over From and the first `hashed` bytes of the body. */
static struct slice signed_raw(struct arena *a, const struct dkim_key *key, const char *tags, struct slice body, size_t hashed)
{
    struct buffer field = {0}, text = {0};
    unsigned char digest[DKIM_DIGEST_MAX], bytes[DKIM_SIGNATURE_MAX];
    size_t n = sizeof bytes;
    assert_int_equal(dkim_digest(DKIM_SHA256, slice_first(body, hashed), digest), 32);
    buffer_printf(&field, "DKIM-Signature: v=1; a=ed25519-sha256; d=kantor.example; s=s; h=from; %s; bh=", tags);
    base64_encode(slice_make((const char *)digest, 32), &field);
    buffer_add(&field, SLICE("; b="));
    buffer_add(&text, SLICE("From: x@kantor.example\r\n"));
    buffer_add(&text, buffer_slice(&field));
    (void)dkim_digest(DKIM_SHA256, buffer_slice(&text), digest);
    assert_int_equal(dkim_key_sign(key, DKIM_SHA256, slice_make((const char *)digest, 32), bytes, &n).code, ERROR_NONE);
    base64_encode(slice_make((const char *)bytes, n), &field);
    buffer_add(&field, SLICE("\r\nFrom: x@kantor.example\r\n\r\n"));
    buffer_add(&field, body);
    buffer_free(&text);
    return text_slice(a, &field);
}

static void a_length_that_leaves_octets_out_is_policy_and_both_are_told(void **state)
{
    struct arena *a = *state;
    struct dkim_key key = made(DKIM_ED25519);
    struct slice line = key_line(a, &key);
    static const struct {
        const char *tag;
        size_t hashed;
        enum dkim_result result;
        uint64_t told;
    } rows[] = {
        {"l=12", 12, DKIM_PASS, 12},
        {"l=0", 0, DKIM_POLICY, 0},
        {"l=00000000000000000000000010", 10, DKIM_POLICY, 10},
        {"l=13", 12, DKIM_FAIL, 13},
        {"l=99999999999999999999999999", 12, DKIM_FAIL, UINT64_MAX - 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dkim_outcome o = judged(a, signed_raw(a, &key, rows[i].tag, SLICE("0123456789\r\n"), rows[i].hashed), line, NOW);
        assert_int_equal(o.result, rows[i].result);
        assert_true(o.has_length && o.signed_length == rows[i].told && o.body_length == 12);
        assert_int_equal(o.proved, rows[i].result != DKIM_FAIL);
    }
    dkim_key_free(&key);
}

static void rsa_keys_of_strange_sizes_prove_nothing(void **state)
{
    struct arena *a = *state;
    static const struct {
        size_t bits;
        enum dkim_result result;
    } rows[] = {{512, DKIM_POLICY}, {768, DKIM_POLICY}, {1023, DKIM_POLICY}, {1024, DKIM_PASS}, {4096, DKIM_PASS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dkim_key key = {DKIM_RSA, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", rows[i].bits)};
        assert_non_null(key.pkey);
        struct dkim_outcome o = judged(a, sign_with(a, &key, slice_of(message_text), NOW), key_line(a, &key), NOW);
        assert_int_equal(o.result, rows[i].result);
        assert_int_equal(o.bits, rows[i].bits);
        dkim_key_free(&key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_survive_their_pem_and_both_kinds_verify),
        TEST(lines_are_short_and_the_end_is_a_line_end),
        TEST(every_field_that_is_oversigned_breaks_when_added),
        TEST(what_no_verifier_would_take_is_not_signed),
        TEST(a_record_is_split_into_strings_of_255),
        TEST(a_length_that_leaves_octets_out_is_policy_and_both_are_told),
        TEST(rsa_keys_of_strange_sizes_prove_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
