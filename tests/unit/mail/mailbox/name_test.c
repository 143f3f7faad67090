/* Mailbox names in modified UTF-7 (RFC 3501 5.1.3): one spelling for one name */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/mailbox/name.h"

static void names_go_both_ways(void **state)
{
    static const struct {
        const char *utf7, *utf8;
    } rows[] = {{"INBOX", "INBOX"}, {"a&-b", "a&b"}, {"&AOk-t&AOk-", "\xc3\xa9t\xc3\xa9"}, {"&ZeVnLIqe-", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"}, {"&2D3cqQ-", "\xf0\x9f\x92\xa9"}, {"&-&AOk-&-", "&\xc3\xa9&"}, {"", ""}, {"~peter/mail/&U,BTFw-", "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer b = {0};
        assert_true(name_from_utf7(slice_of(rows[i].utf7), &b));
        assert_true(slice_eq(buffer_slice(&b), slice_of(rows[i].utf8)));
        buffer_clear(&b);
        name_to_utf7(slice_of(rows[i].utf8), &b);
        assert_true(slice_eq(buffer_slice(&b), slice_of(rows[i].utf7)));
        buffer_free(&b);
    }
}

static void a_second_spelling_of_a_name_is_refused(void **state)
{
    static const char *const bad[] = {"&", "&AOk", "&AGE-", "&AOl-", "&AO-", "&A-", "&2D0-", "&3Kk-", "&3KnYPQ-", "&AOk-&AOk-", "&U,BTFw-&ZeVnLIqe-", "a\xc3\xa9", "\x01", "\x7f", "&AAA-", "&*-", "&AOkA-", "&AOk=-"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buffer b = {0};
        if (name_from_utf7(slice_of(bad[i]), &b))
            fail_msg("%s", bad[i]);
        buffer_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_go_both_ways), cmocka_unit_test(a_second_spelling_of_a_name_is_refused)};
    return cmocka_run_group_tests_name("mail/mailbox/name", tests, NULL, NULL);
}
