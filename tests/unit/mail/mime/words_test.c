/* Encoded words (RFC 2047) and parameters (RFC 2045, 2231; attacks.md MM-06, MM-07) */
#include "mail/mime/parameters.h"
#include "mail/mime/words.h"
#include "tests/unit/mail/mime/mime_test.h"

static const char *decoded(struct arena *a, struct slice text)
{
    struct buffer b = {0};
    words_decode(text, &b);
    const char *out = arena_string(a, buffer_slice(&b));
    buffer_free(&b);
    return out;
}

static void words_become_text(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"plain", "plain"},
        {"=?utf-8?q?caf=C3=A9?=", "caf\xc3\xa9"},
        {"=?UTF-8?Q?a_b=5F?=", "a b_"},
        {"=?utf-8?b?w6k=?=", "\xc3\xa9"},
        {"=?utf-8?B?w6k?=", "\xc3\xa9"},
        {"=?iso-8859-1?q?=E9?=", "\xc3\xa9"},
        {"=?iso-8859-1*fr?q?=E9?=", "\xc3\xa9"},
        {"=?iso-8859-1?q?=93x=94?=", "\xe2\x80\x9cx\xe2\x80\x9d"},
        {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
        {"=?utf-8?q?a?=   =?iso-8859-1?b?6Q==?=", "a\xc3\xa9"},
        {"=?utf-8?q?h=C3?= =?utf-8?q?=A9?=", "h\xc3\xa9"},
        {"=?utf-8?b?aMM=?= =?utf-8?q?=A9?=", "h\xc3\xa9"},
        {"=?utf-8?q?h=C3?= =?iso-8859-1?q?=A9?=", "h\xef\xbf\xbd\xc2\xa9"},
        {"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"},
        {"=?utf-8?q?a?==?utf-8?q?b?=", "ab"},
        {"x=?utf-8?q?a?=y", "xay"},
        {"=?utf-8?q?=ZZ=4?=", "=ZZ=4"},
        {"=?utf-8?x?a?=", "=?utf-8?x?a?="},
        {"=?utf-8?q?a", "=?utf-8?q?a"},
        {"=?utf-8?q?a?", "=?utf-8?q?a?"},
        {"=?" "?q?a?=", "=?" "?q?a?="},
        {"=?", "=?"},
        {"=?=?utf-8?q?a?=", "=?a"},
        {"=?utf-8?q?" "?=", ""},
        {"=?x-unknown?q?=E9?=", "\xc3\xa9"},
        {"=?utf-7?q?+AGE-?=", "+AGE-"},
        {"=?iso-2022-jp?b?GyRCJDMbKEI=?=", "\xe3\x81\x93"},
        {"=?gb2312?b?xOM=?=", "\xe4\xbd\xa0"},
        {"=?ks_c_5601-1987?b?sKE=?=", "\xea\xb0\x80"},
        {"=?utf-8?q?a=00b?=", "ab"},
        {"caf\xc3\xa9 \xff", "caf\xc3\xa9 \xef\xbf\xbd"},
        {"=?utf-8?q?a b?=", "a b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard g = guard_make(slice_of(rows[i].text));
        if (strcmp(decoded(*state, g.text), rows[i].expected) != 0)
            fail_msg("%s: %s", rows[i].text, decoded(*state, g.text));
        guard_drop(&g);
    }
}

static void a_megabyte_of_words_is_read_in_linear_time(void **state)
{
    static const char *const pieces[] = {"=?", "=?utf-8?q?", "=?utf-8?q?a?= ", "=?a?b?", "=?utf-8?q?a?= \t", "?=", "=?big5?b?pKQ=?= =?euc-kr?q?a?= ", "=?iso-2022-jp?b?GyRC?= "};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct buffer b = {0}, out = {0};
        while (buffer_length(&b) < 1024 * 1024)
            buffer_add(&b, slice_of(pieces[i]));
        int64_t before = cpu_ms();
        words_decode(buffer_slice(&b), &out);
        assert_true(cpu_ms() - before < CPU_MS_A_MEGABYTE);
        assert_true(buffer_length(&out) <= 4 * buffer_length(&b));
        buffer_free(&b);
        buffer_free(&out);
    }
    (void)state;
}

/* "word|name=value|name=value" */
static const char *parameters(struct arena *a, struct slice text)
{
    struct mime_params params;
    struct slice word;
    struct buffer b = {0};
    assert_int_equal(parameters_read(text, a, &word, &params).code, ERROR_NONE);
    buffer_add(&b, word);
    for (size_t i = 0; i < params.n; i++)
        buffer_printf(&b, "|%.*s=%.*s", SLICE_ARG(params.all[i].name), SLICE_ARG(params.all[i].value));
    const char *out = arena_string(a, buffer_slice(&b));
    buffer_free(&b);
    return out;
}

static void parameters_are_read_as_clients_write_them(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"text/plain", "text/plain"},
        {"text/plain;", "text/plain"},
        {"text/plain charset=utf-8; x=y", "text/plain|charset=utf-8|x=y"},
        {"text / plain junk; x=y", "text / plain|x=y"},
        {"attachment filename=a.pdf", "attachment|filename=a.pdf"},
        {"text/plain; charset=utf-8", "text/plain|charset=utf-8"},
        {" text/plain ;charset = \"utf-8\" ; ; format=flowed;", "text/plain|charset=utf-8|format=flowed"},
        {"a/b; x=\"a;b\\\"c\"", "a/b|x=a;b\"c"},
        {"a/b; x=\"never closed", "a/b|x=never closed"},
        {"a/b; x=\"a\\", "a/b|x=a\\"},
        {"a/b (c;d); x=y (comment (in it)); z=1", "a/b|x=y|z=1"},
        {"a/b; (c) x=y", "a/b|x=y"},
        {"a/b; x", "a/b|x="},
        {"a/b; =y", "a/b"},
        {"a/b; name=my file.pdf", "a/b|name=my file.pdf"},
        {"a/b; x=1; x=2", "a/b|x=1|x=2"},
        {"a/b; name*=utf-8''%e2%82%ac", "a/b|name*=utf-8''%e2%82%ac"},
        {"a/b; name*0=\"a\"; name*1=\"b\"", "a/b|name=ab"},
        {"a/b; name*1=b; z=1; NAME*0=a", "a/b|name=ab|z=1"},
        {"a/b; name*0*=utf-8''a%20; name*1*=b%25", "a/b|name*=utf-8''a%20b%25"},
        {"a/b; name*0*=utf-8''a; name*1=\"b% c\"", "a/b|name*=utf-8''ab%25%20c"},
        {"a/b; name*0=a; name*1*=utf-8''b", "a/b|name*0=a|name*1*=utf-8''b"},
        {"a/b; name*0=a; name*2=c", "a/b|name=a"},
        {"a/b; name*1=b; name*2=c", "a/b|name*1=b|name*2=c"},
        {"a/b; name*0=a; name*0=b", "a/b|name=a"},
        {"a/b; name*1000000000=a", "a/b|name*1000000000=a"},
        {"a/b; name*64=a", "a/b|name*64=a"},
        {"a/b; *=x", "a/b"},
        {"", ""},
        {";;;", ""},
        {"(", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard g = guard_make(slice_of(rows[i].text));
        if (strcmp(parameters(*state, g.text), rows[i].expected) != 0)
            fail_msg("%s: %s", rows[i].text, parameters(*state, g.text));
        guard_drop(&g);
    }
}

static void a_hundred_thousand_parameters_give_the_first_hundred(void **state)
{
    static const char *const pieces[] = {"; a#=b", "; n*#=x", "; n*#*=%41", "; a=\"#", "(#", "; n*#", ";"};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct buffer b = {0};
        struct mime_params params;
        struct slice word;
        struct arena a;
        buffer_add(&b, SLICE("a/b"));
        for (size_t k = 0; buffer_length(&b) < 1024 * 1024; k++)
            add_numbered(&b, pieces[i], k);
        arena_init(&a, 8 * 1024 * 1024);
        int64_t before = cpu_ms();
        assert_int_equal(parameters_read(buffer_slice(&b), &a, &word, &params).code, ERROR_NONE);
        assert_true(cpu_ms() - before < CPU_MS_A_MEGABYTE);
        assert_true(params.n <= MIME_PARAMS_MAX);
        if (i == 0)
            assert_int_equal(params.n, MIME_PARAMS_MAX);
        arena_free(&a);
        buffer_free(&b);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(words_become_text),
        TEST(a_megabyte_of_words_is_read_in_linear_time),
        TEST(parameters_are_read_as_clients_write_them),
        TEST(a_hundred_thousand_parameters_give_the_first_hundred),
    };
    return cmocka_run_group_tests_name("mail/mime/words", tests, NULL, NULL);
}
