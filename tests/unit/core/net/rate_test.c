/* Commands a second: one number for each owner, in a table of fixed size */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/net/internal.h"

enum { SLOW = 1, BURST = 5 }; /* a command a second */

static int open_rates(void **state)
{
    *state = rates_new();
    return *state ? 0 : -1;
}

static int close_rates(void **state)
{
    rates_free(*state);
    return 0;
}

static void a_burst_is_free_and_what_follows_waits_longer_and_longer(void **state)
{
    for (int i = 0; i < BURST; i++)
        assert_int_equal(rate_take(*state, RATE_ACCOUNT, 7, SLOW, BURST), 0);
    int64_t first = rate_take(*state, RATE_ACCOUNT, 7, SLOW, BURST), second = rate_take(*state, RATE_ACCOUNT, 7, SLOW, BURST);
    assert_true(first > 0 && first <= 1000000);
    assert_true(second > first && second <= 2000000); /* two connections of one owner do not run at the same moment */
}

static void one_owners_commands_cost_another_nothing(void **state)
{
    for (int i = 0; i < 100; i++)
        (void)rate_take(*state, RATE_ACCOUNT, 7, SLOW, BURST);
    assert_true(rate_take(*state, RATE_ACCOUNT, 7, SLOW, BURST) > 0);
    assert_int_equal(rate_take(*state, RATE_ACCOUNT, 8, SLOW, BURST), 0);
    assert_int_equal(rate_take(*state, RATE_ADDRESS, 7, SLOW, BURST), 0); /* the same number, but an address */
}

static void a_bucket_in_use_is_not_forgotten_for_owners_that_hardly_speak(void **state)
{
    for (int i = 0; i < 1000; i++)
        (void)rate_take(*state, RATE_ACCOUNT, 7, SLOW, BURST);
    for (uint64_t id = 100; id < 200000; id++) /* more than have a place: each takes one that is nearer to full */
        assert_int_equal(rate_take(*state, RATE_ADDRESS, id, SLOW, BURST), 0);
    assert_true(rate_take(*state, RATE_ACCOUNT, 7, SLOW, BURST) > 0);
}

static void a_quiet_while_fills_the_bucket_again(void **state)
{
    const int64_t fast = 1000; /* a millisecond each */
    int64_t wait = 0;
    for (int i = 0; i < 3 || wait == 0; i++)
        wait = rate_take(*state, RATE_ACCOUNT, 7, fast, 2);
    int64_t until = clock_us() + wait + 2000;
    while (clock_us() < until) { /* a few milliseconds at most: the condition is the clock itself */
    }
    assert_int_equal(rate_take(*state, RATE_ACCOUNT, 7, fast, 2), 0);
}

#define WITH_RATES(test) cmocka_unit_test_setup_teardown(test, open_rates, close_rates)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RATES(a_burst_is_free_and_what_follows_waits_longer_and_longer),
        WITH_RATES(one_owners_commands_cost_another_nothing),
        WITH_RATES(a_bucket_in_use_is_not_forgotten_for_owners_that_hardly_speak),
        WITH_RATES(a_quiet_while_fills_the_bucket_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
