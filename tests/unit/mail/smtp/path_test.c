/* Paths and parameters of MAIL and RCPT, the table of guessers, and replies that no text can break */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mail/smtp/harvest.h"
#include "mail/smtp/internal.h"

static enum error_code read_path(struct arena *a, const char *text, enum path_rule rule, struct path *out)
{
    struct slice s = slice_of(text);
    return path_read(&s, rule, a, out).code;
}

static void a_path_is_read_strictly_and_the_last_domain_counts(void **state)
{
    static const struct {
        const char *text, *kept, *local, *domain;
    } good[] = {
        {"<Budi@KANTOR.example>", "Budi@kantor.example", "budi", "kantor.example"},
        {"<@a.example,@b.example:Victim@Else.where>", "Victim@else.where", "victim", "else.where"},
        {"<\"A \\\"b\"@x.example>", "\"A \\\"b\"@x.example", "a \"b", "x.example"},
        {"<\"a@b\"@x.example> SIZE=1", "\"a@b\"@x.example", "a@b", "x.example"},
        {"<>", "", "", ""},
        {"<PostMaster>", "postmaster", "postmaster", ""},
    };
    static const char *const bad[] = {"", "<", "<a>", "<a@>", "<@a>", "<a@b", "a@b.example", "<a@b.>", "<\"\"@b>", "<a@b>x", "<a b@c>", "<a@[1.2.3.4]>", "<@a:b>", "<a@b@c>", "<\"a\"b@c>", "<a\"b\"@c>", "<@a b@c>", "<.a@b>"};
    struct arena a;
    struct path p;
    (void)state;
    arena_init(&a, 1024 * 1024);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(read_path(&a, good[i].text, PATH_STRICT, &p), ERROR_NONE);
        assert_true(slice_eq(p.text, slice_of(good[i].kept)) && slice_eq(p.address.local, slice_of(good[i].local)) && slice_eq(p.address.domain, slice_of(good[i].domain)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (read_path(&a, bad[i], PATH_STRICT, &p) != ERROR_INVALID)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(read_path(&a, " a@b.example SIZE=1", PATH_LENIENT, &p), ERROR_NONE); /* clients.md S9 */
    arena_free(&a);
}

static void xtext_hides_no_control_characters(void **state)
{
    static const char *const good[] = {"a", "a+2Bb", "<>", "a@b.example", "+7E"}, *const bad[] = {"", "a b", "a=b", "a+", "a+2", "a+zz", "a+0D", "a+0A", "a+7F", "a+FF", "a\x01", "\xC3\xA9"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(path_xtext_ok(slice_of(good[i]), 20));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(path_xtext_ok(slice_of(bad[i]), 20));
    assert_false(path_xtext_ok(SLICE("aaa"), 2));
    assert_true(path_xtext_ok(SLICE("aa"), 2));
}

static void guessers_are_counted_by_network_however_they_write_their_address(void **state)
{
    (void)state;
    assert_int_equal(harvest_note("192.0.2.1"), 1);
    assert_int_equal(harvest_note("192.0.2.200"), 2);
    assert_int_equal(harvest_note("::ffff:192.0.2.9"), 3);
    assert_int_equal(harvest_note("192.0.3.1"), 1);
    assert_int_equal(harvest_note("2001:db8::1"), 1);
    assert_int_equal(harvest_note("2001:db8::ffff:1"), 2);
    assert_int_equal(harvest_note("2001:db8:0:1::1"), 1);
    char peer[64];
    for (int i = 0; i < 100000; i++) { /* more networks than the table has rows: it neither grows nor fails */
        (void)snprintf(peer, sizeof peer, "2001:db8:%x:%x::1", i >> 12, i & 0xFFF);
        assert_true(harvest_note(peer) >= 1);
    }
}

static void a_reply_is_one_line_whatever_its_text(void **state)
{
    static const char *const texts[] = {"5.7.2", "", "no\r\n250 OK", "a\tb\x01", "\r", "\n"};
    struct connection c = {0};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        buffer_clear(&c.out);
        smtp_reply(&c, 550, "5.7.1", texts[i]);
        struct slice line = buffer_slice(&c.out);
        assert_true(slice_starts(line, SLICE("550 5.7.1 ")) && slice_ends(line, SLICE("\r\n")));
        for (size_t k = 0; k + 2 < line.n; k++)
            assert_true((unsigned char)line.p[k] >= 0x20);
    }
    buffer_free(&c.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_read_strictly_and_the_last_domain_counts),
        cmocka_unit_test(xtext_hides_no_control_characters),
        cmocka_unit_test(guessers_are_counted_by_network_however_they_write_their_address),
        cmocka_unit_test(a_reply_is_one_line_whatever_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
