/* Canonical forms (RFC 6376 3.4) and tag lists (3.2) */
#include "mail/dkim/tags.h"
#include "tests/unit/mail/dkim/dkim_test.h"

static const char *field(struct arena *a, enum dkim_canon canon, struct slice text, struct slice cut)
{
    struct buffer b = {0};
    dkim_canon_field(canon, text, cut, &b);
    return arena_string(a, text_slice(a, &b));
}

static void the_examples_of_the_rfc_come_out(void **state)
{
    assert_string_equal(field(*state, DKIM_RELAXED, SLICE("A: X\r\n"), slice_make(NULL, 0)), "a:X");
    assert_string_equal(field(*state, DKIM_RELAXED, SLICE("B : Y\t\r\n\tZ  \r\n"), slice_make(NULL, 0)), "b:Y Z");
    assert_string_equal(field(*state, DKIM_SIMPLE, SLICE("B : Y\t\r\n\tZ  \r\n"), slice_make(NULL, 0)), "B : Y\t\r\n\tZ  ");
}

static void a_cut_leaves_the_name_of_its_tag(void **state)
{
    struct slice f = SLICE("DKIM-Signature: b= abc\r\n def ; d=x");
    struct slice cut = slice_make(f.p + 18, 11);
    assert_string_equal(field(*state, DKIM_SIMPLE, f, cut), "DKIM-Signature: b=; d=x");
    assert_string_equal(field(*state, DKIM_RELAXED, f, cut), "dkim-signature:b=; d=x");
}

/* The canonical body is told by its digest. */
static void body_is(enum dkim_canon canon, struct slice body, struct slice expected)
{
    unsigned char want[DKIM_DIGEST_MAX], got[DKIM_DIGEST_MAX];
    assert_int_equal(dkim_digest(DKIM_SHA256, expected, want), 32);
    for (size_t piece = 1; piece <= body.n + 1; piece++) {
        struct dkim_body b;
        assert_int_equal(dkim_body_begin(&b, canon, DKIM_SHA256, UINT64_MAX).code, ERROR_NONE);
        for (struct slice rest = body; rest.n; rest = slice_after(rest, piece))
            dkim_body_add(&b, slice_first(rest, piece));
        assert_int_equal(dkim_body_end(&b, got), 32);
        assert_int_equal(b.total, expected.n);
        assert_memory_equal(got, want, 32);
    }
}

static void bodies_come_out_the_same_however_they_are_cut(void **state)
{
    (void)state;
    static const struct {
        struct slice body, simple, relaxed;
    } rows[] = {
        {SLICE(" C \r\nD \t E\r\n\r\n\r\n"), SLICE(" C \r\nD \t E\r\n"), SLICE(" C\r\nD E\r\n")},
        {SLICE(""), SLICE("\r\n"), SLICE("")},
        {SLICE("\r\n\r\n"), SLICE("\r\n"), SLICE("")},
        {SLICE(" \t\r\n \r\n"), SLICE(" \t\r\n \r\n"), SLICE("")},
        {SLICE("a"), SLICE("a\r\n"), SLICE("a\r\n")},
        {SLICE("a \r"), SLICE("a \r\r\n"), SLICE("a \r\r\n")},
        {SLICE("a\rb\r\r\nc"), SLICE("a\rb\r\r\nc\r\n"), SLICE("a\rb\r\r\nc\r\n")},
        {SLICE("a\nb\n"), SLICE("a\nb\n\r\n"), SLICE("a\nb\n\r\n")},
        {SLICE("\r\n\r\na\r\n \r\n\r\nb\r\n"), SLICE("\r\n\r\na\r\n \r\n\r\nb\r\n"), SLICE("\r\n\r\na\r\n\r\n\r\nb\r\n")},
        {SLICE("a \r b\t\r\n"), SLICE("a \r b\t\r\n"), SLICE("a \r b\r\n")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        body_is(DKIM_SIMPLE, rows[i].body, rows[i].simple);
        body_is(DKIM_RELAXED, rows[i].body, rows[i].relaxed);
    }
}

static void lists_that_break_the_rules_are_refused(void **state)
{
    static const struct {
        const char *text;
        size_t tags; /* 0: refused */
    } rows[] = {
        {"a=b", 1},
        {" a = b ; c = d e ; ", 2},
        {"a=;b=", 2},
        {"a=x=y", 1},
        {"a1_=b\r\n\t c", 1},
        {"a=\xc3\xa9", 1},
        {"", 0},
        {";", 0},
        {"a=b;;c=d", 0},
        {"a=b;a=c", 0},
        {"a", 0},
        {"=b", 0},
        {"1a=b", 0},
        {"a b=c", 0},
        {"a=\x01", 0},
        {"a=b\rc", 0},
        {"a=\x7f", 0},
    };
    struct dkim_tags tags;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard g = guard_make(slice_of(rows[i].text));
        if (dkim_tags_parse(g.text, &tags) ? tags.n != rows[i].tags : rows[i].tags != 0)
            fail_msg("%s", rows[i].text);
        guard_drop(&g);
    }
    assert_false(dkim_tags_parse(slice_make("a=x\0y", 5), &tags));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_examples_of_the_rfc_come_out),
        TEST(a_cut_leaves_the_name_of_its_tag),
        TEST(bodies_come_out_the_same_however_they_are_cut),
        TEST(lists_that_break_the_rules_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
