/* How far two words are apart */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/near.h"

static void a_letter_added_dropped_changed_or_swapped_is_one_step(void **state)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } table[] = {{"", "", 0},
                 {"list", "list", 0},
                 {"List", "lIST", 0},
                 {"lst", "list", 1},
                 {"liist", "list", 1},
                 {"lost", "list", 1},
                 {"lsit", "list", 1},
                 {"", "list", 4},
                 {"list", "", 4},
                 {"group jion", "group join", 1},
                 {"kitten", "sitting", 3}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(near_distance(slice_of(table[i].a), slice_of(table[i].b)), table[i].distance);
}

static void long_words_are_cut_and_cost_no_more(void **state)
{
    static char a[100000], b[100000];
    (void)state;
    memset(a, 'x', sizeof a);
    memset(b, 'x', sizeof b);
    b[NEAR_BYTES] = 'y'; /* behind the cut */
    assert_int_equal(near_distance(slice_make(a, sizeof a), slice_make(b, sizeof b)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_added_dropped_changed_or_swapped_is_one_step),
        cmocka_unit_test(long_words_are_cut_and_cost_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
