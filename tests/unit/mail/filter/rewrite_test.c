/* Changes of a message by filters: only what was asked for changes, and nothing can become a second field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/filter/filter.h"

static struct arena arena;

static struct filter_mail begin(const char *content)
{
    return (struct filter_mail){.arena = &arena, .content = slice_of(content)};
}

static void expect(const struct filter_mail *m, const char *want)
{
    struct buffer out = {0};
    assert_int_equal(filter_rewrite(m, &out).code, ERROR_NONE);
    buffer_add_char(&out, '\0');
    assert_string_equal(out.bytes + out.start, want);
    buffer_free(&out);
}

static const char mail[] = "From: a\r\nX-A: 1\r\nTo: b\r\n\tc\r\nX-A: 2\r\n\r\nbody\r\n";

static void without_edits_every_byte_stays(void **state)
{
    (void)state;
    static const char *const all[] = {mail, "", "\r\n", "\r\nbody", "no head at all\r\n", "A: 1", "A: 1\r\n", "A: 1\r\n\r\n", "A: 1\r\nno field\r\nB: 2\r\n\r\n.\r\n"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct filter_mail m = begin(all[i]);
        struct buffer out = {0};
        assert_int_equal(filter_rewrite(&m, &out).code, ERROR_NONE);
        if (i != 4 && i != 5) /* these get what a head must have */
            assert_true(slice_eq(buffer_slice(&out), slice_of(all[i])));
        buffer_free(&out);
    }
}

static void fields_are_added_inserted_changed_and_deleted_in_order(void **state)
{
    (void)state;
    struct filter_mail m = begin(mail);
    assert_true(filter_change_field(&m, 2, SLICE("x-a"), SLICE("two")));
    assert_true(filter_change_field(&m, 1, SLICE("X-A"), SLICE("")));
    assert_true(filter_add_field(&m, SLICE("X-End"), SLICE("z")));
    assert_true(filter_insert_field(&m, 0, SLICE("X-Top"), SLICE("t")));
    assert_true(filter_insert_field(&m, 4, SLICE("X-Mid"), SLICE("m")));
    expect(&m, "X-Top: t\r\nFrom: a\r\nX-Mid: m\r\nTo: b\r\n\tc\r\nx-a: two\r\nX-End: z\r\n\r\nbody\r\n");
}

static void a_change_of_a_field_that_is_not_there_adds_it(void **state)
{
    (void)state;
    struct filter_mail m = begin(mail);
    assert_true(filter_change_field(&m, 3, SLICE("X-A"), SLICE("3")));
    assert_true(filter_change_field(&m, 9, SLICE("X-A"), SLICE("")));
    expect(&m, "From: a\r\nX-A: 1\r\nTo: b\r\n\tc\r\nX-A: 2\r\nX-A: 3\r\n\r\nbody\r\n");
}

static void a_value_cannot_become_a_second_field_or_a_body(void **state)
{
    (void)state;
    struct filter_mail m = begin(mail);
    assert_true(filter_add_field(&m, SLICE("X-B"), SLICE("1\r\nBcc: x\n\nbody\r.\n \n\t\n y")));
    assert_false(filter_add_field(&m, SLICE("X B"), SLICE("1")));
    assert_false(filter_add_field(&m, SLICE("X:B"), SLICE("1")));
    assert_false(filter_add_field(&m, SLICE(""), SLICE("1")));
    struct buffer out = {0};
    assert_int_equal(filter_rewrite(&m, &out).code, ERROR_NONE);
    struct slice made = buffer_slice(&out), end = SLICE("\r\n\r\nbody\r\n");
    assert_true(slice_ends(made, end));
    assert_null(memmem(made.p, made.n - end.n, "\r\n\r\n", 4));
    assert_null(memmem(made.p, made.n, "\r\nBcc", 5));
    assert_null(memmem(made.p, made.n, "\r\n \r\n", 5));
    buffer_free(&out);
}

static void a_message_without_a_head_gets_one_and_keeps_its_text(void **state)
{
    (void)state;
    struct filter_mail m = begin("just text\r\n");
    assert_true(filter_add_field(&m, SLICE("X-B"), SLICE("1")));
    expect(&m, "X-B: 1\r\n\r\njust text\r\n");
    m = begin("A: 1");
    assert_true(filter_insert_field(&m, 0, SLICE("X-B"), SLICE("1")));
    m.body = SLICE("new\r\n");
    expect(&m, "X-B: 1\r\nA: 1\r\n\r\nnew\r\n");
    m = begin("\r\nbody\r\n");
    assert_true(filter_insert_field(&m, 0, SLICE("X-B"), SLICE("1")));
    expect(&m, "X-B: 1\r\n\r\nbody\r\n");
}

static void a_refusal_has_one_well_formed_reply(void **state)
{
    (void)state;
    struct filter_mail m = begin(mail);
    filter_refuse(&m, "x", 250, "2.0.0", "fine\r\n250 OK");
    assert_int_equal(m.code, 451);
    assert_string_equal(m.enhanced, "4.7.1");
    assert_string_equal(m.text, "fine??250 OK");
    filter_refuse(&m, "y", 550, "5.1.1", "later ones do not count");
    assert_int_equal(m.code, 451);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_edits_every_byte_stays),
        cmocka_unit_test(fields_are_added_inserted_changed_and_deleted_in_order),
        cmocka_unit_test(a_change_of_a_field_that_is_not_there_adds_it),
        cmocka_unit_test(a_value_cannot_become_a_second_field_or_a_body),
        cmocka_unit_test(a_message_without_a_head_gets_one_and_keeps_its_text),
        cmocka_unit_test(a_refusal_has_one_well_formed_reply),
    };
    arena_init(&arena, ARENA_REQUEST_MAX);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
