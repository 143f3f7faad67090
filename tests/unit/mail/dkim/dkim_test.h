/* What the tests of this folder share: an arena for a test, files, a verification in one call */
#ifndef TESTS_MAIL_DKIM_TEST_H
#define TESTS_MAIL_DKIM_TEST_H

#include "mail/dkim/sign.h"
#include "mail/dkim/verify.h"
#include "mail/mime/header.h"
#include "tests/unit/mail/mime/mime_test.h"

static inline struct slice file_slice(struct arena *a, const char *path)
{
    static char bytes[65536];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    return arena_copy(a, slice_make(bytes, n));
}

/* Keys: lines "name text". Gives every signature its record, or none when there is no line. */
static inline void answer_all(struct dkim_verify *v, struct slice keys)
{
    for (size_t i = 0; i < dkim_verify_count(v); i++) {
        struct slice name = dkim_verify_need(v, i), text = {NULL, 0};
        for (struct slice rest = keys; rest.n; rest = slice_after(rest, slice_find(rest, '\n') + 1)) {
            struct slice line = slice_first(rest, slice_find(rest, '\n'));
            if (name.p && slice_eq(slice_first(line, slice_find(line, ' ')), name))
                text = slice_after(line, name.n + 1);
        }
        if (name.p)
            dkim_verify_answer(v, i, text.p ? DKIM_ANSWER_RECORDS : DKIM_ANSWER_NONE, &text, 1);
    }
}

/* The outcome of the first signature. Leaves nothing to free but the arena. */
static inline struct dkim_outcome judged(struct arena *a, struct slice message, struct slice keys, int64_t now)
{
    struct dkim_verify *v;
    assert_int_equal(dkim_verify_message(a, message, now, &dkim_limits_usual, &v).code, ERROR_NONE);
    answer_all(v, keys);
    struct dkim_outcome o = {0};
    if (dkim_verify_count(v))
        o = *dkim_verify_outcome(v, 0);
    dkim_verify_free(v);
    return o;
}

static inline struct slice text_slice(struct arena *a, struct buffer *b)
{
    struct slice s = arena_copy(a, buffer_slice(b));
    buffer_free(b);
    return s;
}

/* The message with a signature of the key in front of it. */
static inline struct slice sign_with(struct arena *a, const struct dkim_key *key, struct slice message, int64_t now)
{
    struct dkim_sign *s;
    struct buffer out = {0};
    size_t head = header_length(message);
    struct dkim_signer signer = {SLICE("kantor.example"), SLICE("s"), key};
    assert_int_equal(dkim_sign_begin(a, slice_first(message, head), now, 86400, &s).code, ERROR_NONE);
    dkim_sign_body(s, slice_after(message, head));
    assert_int_equal(dkim_sign_end(s, &signer, 1, &out).code, ERROR_NONE);
    dkim_sign_free(s);
    buffer_add(&out, message);
    return text_slice(a, &out);
}

/* "s._domainkey.kantor.example v=DKIM1; ..." */
static inline struct slice key_line(struct arena *a, const struct dkim_key *key)
{
    struct buffer out = {0};
    buffer_add(&out, SLICE("s._domainkey.kantor.example "));
    assert_int_equal(dkim_key_record(key, &out).code, ERROR_NONE);
    buffer_add_char(&out, '\n');
    return text_slice(a, &out);
}

#endif
