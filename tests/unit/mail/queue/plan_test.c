/* When a recipient is tried again, and when nobody tries any more */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/queue/plan.h"

enum { HOUR = 3600, DAY = 86400 };

static struct plan standard(void)
{
    struct plan p;
    assert_true(plan_read(SLICE("1m,5m,15m,30m,1h,2h,4h"), &p));
    return p;
}

static void waits_grow_as_the_option_says_and_the_last_one_repeats(void **state)
{
    static const int64_t wanted[] = {60, 300, 900, 1800, 3600, 7200, 14400, 14400, 14400};
    struct plan p = standard();
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        for (uint64_t random = 0; random < 3000; random += 37) {
            int64_t wait = plan_wait(&p, (int64_t)i, random);
            assert_in_range(wait, wanted[i], wanted[i] + wanted[i] / 10);
        }
    assert_int_equal(plan_wait(&p, 1000000, 0), 14400);
    assert_int_equal(plan_longest(&p), 14400 + 1440);
}

static void what_failed_together_does_not_come_back_together(void **state)
{
    struct plan p = standard();
    int64_t seen[31] = {0}, different = 0;
    (void)state;
    for (uint64_t random = 0; random < 300; random++)
        different += seen[plan_wait(&p, 1, random) - 300]++ == 0;
    assert_true(different > 25);
}

static void a_plan_that_cannot_be_read_is_the_standard_one(void **state)
{
    static const char *const wrong[] = {"", ",", "1m,,2m", "soon", "0s", "5", "-1m", "1m,2x", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"};
    struct plan p, fine;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(plan_read(slice_of(wrong[i]), &p));
        assert_int_equal(plan_wait(&p, 0, 0), 60);
    }
    assert_true(plan_read(SLICE(" 10s , 2h"), &fine));
    assert_int_equal(plan_wait(&fine, 0, 0), 10);
    assert_int_equal(plan_wait(&fine, 9, 0), 7200);
}

/* attacks.md SO-17 */
static void a_jump_of_the_clock_gives_nobody_up(void **state)
{
    struct plan p = standard();
    int64_t created = 1000000, expires = created + 5 * DAY, ten_years = created + 3650LL * DAY;
    (void)state;
    assert_false(plan_over(&p, created, expires, ten_years, 1));
    assert_false(plan_over(&p, created, expires, ten_years, 6));
    assert_false(plan_over(&p, created, expires, created - 730LL * DAY, 1000));
    assert_false(plan_over(&p, created, expires, expires - 1, 1000));
    assert_true(plan_over(&p, created, expires, expires, plan_tries(&p, 5 * DAY)));
}

static void the_tries_that_are_needed_come_about_within_the_lifetime(void **state)
{
    struct plan p = standard();
    static const int64_t lifetimes[] = {HOUR, 6 * HOUR, DAY, 5 * DAY, 30 * DAY};
    (void)state;
    for (size_t i = 0; i < sizeof lifetimes / sizeof lifetimes[0]; i++) {
        int64_t at = 0, tries = 0;
        while (!plan_over(&p, 0, lifetimes[i], at, ++tries))
            at += plan_wait(&p, tries - 1, 1440);
        assert_in_range(at, lifetimes[i], lifetimes[i] + plan_longest(&p)); /* given up at the first try behind its time */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_as_the_option_says_and_the_last_one_repeats), cmocka_unit_test(what_failed_together_does_not_come_back_together),
        cmocka_unit_test(a_plan_that_cannot_be_read_is_the_standard_one),         cmocka_unit_test(a_jump_of_the_clock_gives_nobody_up),
        cmocka_unit_test(the_tries_that_are_needed_come_about_within_the_lifetime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
