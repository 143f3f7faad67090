/* Address lists as people, mailers and attackers write them (RFC 5322 3.4, 4.4; attacks.md MM-05, MM-07) */
#include "mail/mime/address.h"
#include "tests/unit/mail/mime/mime_test.h"

/* "name|local|domain" of each, joined by " ; "; a dash where there is none. */
static const char *addresses(struct arena *a, struct slice text)
{
    struct mime_addresses list;
    struct buffer b = {0};
    assert_int_equal(address_list_parse(text, a, &list).code, ERROR_NONE);
    for (size_t i = 0; i < list.n; i++) {
        const struct slice part[] = {list.all[i].name, list.all[i].local, list.all[i].domain};
        for (int k = 0; k < 3; k++)
            buffer_printf(&b, "%s%.*s", k ? "|" : i ? " ; " : "", part[k].p ? (int)part[k].n : 1, part[k].p ? part[k].p : "-");
    }
    const char *out = arena_string(a, buffer_slice(&b));
    buffer_free(&b);
    return out;
}

static void lists_are_read_as_they_were_meant(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", ""},
        {" , ,, ", ""},
        {"a@b", "-|a|b"},
        {"a@b, c@d", "-|a|b ; -|c|d"},
        {"a@b,, ,c@d,", "-|a|b ; -|c|d"},
        {"Budi Santoso <budi@k.example>", "Budi Santoso|budi|k.example"},
        {"\"Santoso, Budi\" <budi@k>", "Santoso, Budi|budi|k"},
        {"\"a \\\"b\\\" \\\\\" <x@y>", "a \"b\" \\|x|y"},
        {"J. Q. Public <j@x>", "J. Q. Public|j|x"},
        {"j@x (Budi (der) Santoso)", "Budi (der) Santoso|j|x"},
        {"<j@x> (Budi)", "-|j|x"},
        {"<j@x> (a, b), c@d", "-|j|x ; -|c|d"},
        {"Ana (kantor) <ana@x>", "Ana|ana|x"},
        {"(only a comment)", ""},
        {"<>", ""},
        {"Name <>", ""},
        {"<a@b", "-|a|b"},
        {"Name a@b>", "-|Name a|b>"},
        {"\"a b\"@c", "-|a b|c"},
        {"<\"a@b\"@c>", "-|a@b|c"},
        {"a . b @ c . d", "-|a . b|c.d"},
        {"<@r1,@r2:a@b>", "-|a|b"},
        {"Name <@r1:a@b>", "Name|a|b"},
        {"tim: a@b, Ana <c@d>;", "-|tim|- ; -|a|b ; Ana|c|d ; -|-|-"},
        {"undisclosed-recipients:;", "-|undisclosed-recipients|- ; -|-|-"},
        {"g: a@b", "-|g|- ; -|a|b ; -|-|-"},
        {"g:;, a@b", "-|g|- ; -|-|- ; -|a|b"},
        {"a: b: c@d;", "-|a|- ; -|b| ; -|c|d ; -|-|-"},
        {"a@[IPv6:2001:db8::1], b@c", "-|a|[IPv6:2001:db8::1] ; -|b|c"},
        {"<a@[IPv6:::1]>", "-|a|[IPv6:::1]"},
        {"a@[1.2.3.4", "-|a|[1.2.3.4"},
        {"=?utf-8?q?B=C3=BCro=2C_x?= <a@b>", "=?utf-8?q?B=C3=BCro=2C_x?=|a|b"},
        {"b\xc3\xbcro <\xc3\xbc@b\xc3\xbc" "cher.example>", "b\xc3\xbcro|\xc3\xbc|b\xc3\xbc" "cher.example"},
        {"\xb5 <a@b>", "\xb5|a|b"},
        {"MAILER-DAEMON (Mail System)", "Mail System|MAILER-DAEMON|"},
        {"\"\" <a@b>", "-|a|b"},
        {"a@b@c", "-|a@b|c"},
        {"a@b c@d", "-|a@b c|d"},
        {"ana@x.example via Tim <tim@y>", "ana@x.example via Tim|tim|y"},
        {"Pete(A wonderful \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete|silly.test"},
        {"John <jdoe@one(c).test>, b@c", "John|jdoe|one.test ; -|b|c"},
        {"\"unclosed <a@b>", "-|unclosed <a@b>|"},
        {"(\\", ""},
        {"\"\\", "-|\\|"},
        {"a;b@c", "-|a| ; -|b|c"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(addresses(*state, slice_of(rows[i].text)), rows[i].expected) != 0)
            fail_msg("%s: %s", rows[i].text, addresses(*state, slice_of(rows[i].text)));
}

static void every_prefix_at_a_guard_page_is_read(void **state)
{
    static const char text[] = "\"a \\\" b\" (c \\) (d)) <@x,@y:\"q\\\"\"@[IPv6:::1]> (e), g: h@i (\\;), =?utf-8?q?x?= <j@k>; l@[m";
    for (size_t n = 0; n < sizeof text; n++) {
        struct guard g = guard_make(slice_make(text, n));
        (void)addresses(*state, g.text);
        guard_drop(&g);
        arena_reset(*state);
    }
}

static void a_hundred_thousand_addresses_give_the_first_thousand(void **state)
{
    static const char *const pieces[] = {"a@b,", "g:;", "(((((", "\"x\\\"", "<a@b>(", "g: a@b,", "[", "@[", "<@a:", "=?utf-8?q?a?= <a@b>,", "\\", "<"};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct buffer b = {0};
        struct mime_addresses list;
        struct arena a;
        while (buffer_length(&b) < 1024 * 1024)
            buffer_add(&b, slice_of(pieces[i]));
        arena_init(&a, 16 * 1024 * 1024);
        int64_t before = cpu_ms();
        assert_int_equal(address_list_parse(buffer_slice(&b), &a, &list).code, ERROR_NONE);
        assert_true(cpu_ms() - before < CPU_MS_A_MEGABYTE);
        assert_true(list.n <= MIME_ADDRESSES_MAX);
        if (i == 0)
            assert_true(list.n >= MIME_ADDRESSES_MAX - 3);
        if (i == 1 || i == 5) /* an open group has its end */
            assert_null(list.all[list.n - 1].local.p);
        arena_free(&a);
        buffer_free(&b);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_are_read_as_they_were_meant),
        TEST(every_prefix_at_a_guard_page_is_read),
        TEST(a_hundred_thousand_addresses_give_the_first_thousand),
    };
    return cmocka_run_group_tests_name("mail/mime/address", tests, NULL, NULL);
}
