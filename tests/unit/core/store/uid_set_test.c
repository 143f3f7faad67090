/* uid_set against a bitmap: every operation, some ten thousand random steps */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/store/uid_set.h"

enum { SPAN = 200 };

static void same(const struct uid_set *s, const unsigned char *bits)
{
    uint32_t number = 0, max = 0;
    for (uint32_t uid = 1; uid < SPAN; uid++) {
        assert_int_equal(uid_set_has(s, uid), bits[uid]);
        if (bits[uid]) {
            max = uid;
            assert_int_equal(uid_set_number_of(s, uid), ++number);
            assert_int_equal(uid_set_uid_of(s, number), uid);
        } else {
            assert_int_equal(uid_set_number_of(s, uid), 0);
        }
    }
    assert_int_equal(uid_set_count(s), number);
    assert_int_equal(uid_set_max(s), max);
    assert_int_equal(uid_set_uid_of(s, number + 1), 0);
    for (size_t i = 1; i < s->n; i++)
        assert_true(s->ranges[i].lo > s->ranges[i - 1].hi + 1);
}

static void random_steps_agree_with_a_bitmap(void **state)
{
    struct uid_set a = {0}, b = {0}, c = {0};
    unsigned char x[SPAN] = {0}, y[SPAN] = {0}, z[SPAN];
    (void)state;
    srand(7);
    for (int step = 0; step < 20000; step++) {
        uint32_t lo = 1 + (uint32_t)rand() % (SPAN - 1), hi = lo + (uint32_t)rand() % 9;
        struct uid_set *s = rand() % 2 ? &a : &b;
        unsigned char *bits = s == &a ? x : y;
        int add = rand() % 3 != 0;
        if (hi >= SPAN)
            hi = SPAN - 1;
        if (add)
            uid_set_add(s, lo, hi);
        else
            uid_set_remove(s, lo, hi);
        for (uint32_t i = lo; i <= hi; i++)
            bits[i] = (unsigned char)add;
        if (step % 100 == 0) {
            same(&a, x);
            uid_set_intersect(&c, &a, &b);
            for (int i = 0; i < SPAN; i++)
                z[i] = x[i] && y[i];
            same(&c, z);
            uid_set_subtract(&c, &a, &b);
            for (int i = 0; i < SPAN; i++)
                z[i] = x[i] && !y[i];
            same(&c, z);
        }
    }
    uid_set_free(&a);
    uid_set_free(&b);
    uid_set_free(&c);
}

static void reads_what_rfc_9051_allows_and_refuses_the_rest(void **state)
{
    struct uid_set s = {0};
    struct buffer out = {0};
    static const char *const bad[] = {"", "0", "1:0", "a", "1,", ",1", "1::2", "4294967296", "-1", "1:2:3", "1 2", "*:a"};
    (void)state;
    assert_int_equal(uid_set_read(&s, SLICE("5:3,*,1:2,4294967295"), 9).code, ERROR_NONE);
    uid_set_write(&s, &out);
    assert_true(slice_eq(buffer_slice(&out), SLICE("1:5,9,4294967295")));
    assert_int_equal(uid_set_read(&s, SLICE("*:*"), 0).code, ERROR_NONE); /* clients.md I13: an empty mailbox */
    assert_int_equal(s.n, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(uid_set_read(&s, slice_of(bad[i]), 9).code, ERROR_INVALID);
    buffer_free(&out);
    uid_set_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_a_bitmap),
        cmocka_unit_test(reads_what_rfc_9051_allows_and_refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
