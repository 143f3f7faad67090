/* The sender of what is passed on (SRS): there and back, over, forged, and no relay for those who found an address */
#include "mail/delivery/sender.h"

#include "core/clock.h"
#include "tests/unit/core/account/world.h"

enum { NOW = 1795000000, DAY = 86400 };

struct asked {
    struct world *w;
    struct slice sender, made;
};

static struct error make(struct sql *db, void *arg)
{
    struct asked *x = arg;
    return forward_sender(db, x->sender, SLICE("kantor.example"), &x->w->arena, &x->made);
}

static struct slice made(struct world *w, const char *sender)
{
    struct asked x = {.w = w, .sender = slice_of(sender)};
    assert_int_equal(store_change(w->store, make, &x).code, ERROR_NONE);
    return x.made;
}

static enum error_code back(struct world *w, struct slice recipient, const char *sender, struct slice *first)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    return forward_sender_back(db, recipient, slice_of(sender), &w->arena, first).code;
}

static void a_foreign_sender_becomes_ours_and_its_bounce_finds_the_way_back(void **state)
{
    static const char *const senders[] = {"Ani.Wulan@Elsewhere.example", "a=b@x.example", "a+b-c@x.y.example", "\"a b\"@x.example", "SRS@x.example", "j\xc3\xb6rg@x.example"};
    static const char *const firsts[] = {"Ani.Wulan@elsewhere.example", "a=b@x.example", "a+b-c@x.y.example", "\"a b\"@x.example", "SRS@x.example", "j\xc3\xb6rg@x.example"};
    struct world *w = *state;
    clock_set_fake(NOW);
    for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
        struct slice there = made(w, senders[i]), first;
        assert_true(slice_ends(there, SLICE("@kantor.example")));
        assert_int_equal(back(w, there, "", &first), ERROR_NONE);
        assert_string_equal(arena_string(&w->arena, first), firsts[i]);
    }
}

static void our_own_and_the_null_sender_stay(void **state)
{
    struct world *w = *state;
    assert_int_equal(made(w, "").n, 0);
    assert_true(slice_eq(made(w, "budi@cabang.example"), SLICE("budi@cabang.example")));
    assert_true(slice_eq(made(w, "no address"), SLICE("no address")));
}

static void the_case_of_the_local_part_does_not_count(void **state)
{
    struct world *w = *state;
    char *text = arena_string(&w->arena, made(w, "ani@elsewhere.example"));
    struct slice first;
    for (char *p = text; *p; p++)
        *p = ascii_upper(*p);
    assert_int_equal(back(w, slice_of(text), "", &first), ERROR_NONE);
    assert_true(slice_eq_nocase(first, SLICE("ani@elsewhere.example")));
}

static void a_changed_hash_day_domain_or_name_is_refused(void **state)
{
    struct world *w = *state;
    clock_set_fake(NOW);
    struct slice there = made(w, "ani@elsewhere.example"), first;
    for (size_t i = 5; i < there.n - sizeof "@kantor.example" + 1; i++) {
        char *other = arena_string(&w->arena, there);
        if (other[i] == '=')
            continue;
        other[i] = other[i] == 'x' ? 'y' : 'x';
        if (back(w, slice_of(other), "", &first) != ERROR_DENIED)
            fail_msg("%s", other);
    }
    assert_int_equal(back(w, SLICE("SRS0=aaaaaaaa=aa=elsewhere.example=victim@kantor.example"), "", &first), ERROR_DENIED);
    assert_int_equal(back(w, SLICE("SRS0=@kantor.example"), "", &first), ERROR_DENIED);
    assert_int_equal(back(w, SLICE("SRS0=a@kantor.example"), "", &first), ERROR_DENIED);
    assert_int_equal(back(w, SLICE("SRS0==a=b=c@kantor.example"), "", &first), ERROR_DENIED);
    assert_int_equal(back(w, SLICE("srs0@kantor.example"), "", &first), ERROR_NOT_FOUND);
    assert_int_equal(back(w, SLICE("SRS0=aaaaaaaa=aa=x.example=v@elsewhere.example"), "", &first), ERROR_NOT_FOUND);
}

static void an_address_that_was_found_is_no_relay(void **state)
{
    struct world *w = *state;
    struct slice there = made(w, "ani@elsewhere.example"), first;
    assert_int_equal(back(w, there, "spammer@anywhere.example", &first), ERROR_DENIED);
}

static void after_three_weeks_it_is_over(void **state)
{
    struct world *w = *state;
    struct slice first;
    clock_set_fake(NOW);
    struct slice there = made(w, "ani@elsewhere.example");
    clock_set_fake(NOW + (int64_t)SRS_DAYS * DAY);
    assert_int_equal(back(w, there, "", &first), ERROR_NONE);
    clock_set_fake(NOW + (int64_t)(SRS_DAYS + 1) * DAY);
    assert_int_equal(back(w, there, "", &first), ERROR_DENIED);
    clock_set_fake(NOW - 2 * DAY); /* made in the future */
    assert_int_equal(back(w, there, "", &first), ERROR_DENIED);
    clock_set_fake(0);
}

static void what_another_server_rewrote_goes_back_to_that_server(void **state)
{
    struct world *w = *state;
    struct slice first, once = made(w, "SRS0=HHH=TT=orig.example=ani@first.example");
    assert_true(slice_starts(once, SLICE("SRS1=")));
    assert_int_equal(back(w, once, "", &first), ERROR_NONE);
    assert_true(slice_eq(first, SLICE("SRS0=HHH=TT=orig.example=ani@first.example")));
    struct slice twice = made(w, "SRS1=zzzz=first.example==HHH=TT=orig.example=ani@second.example");
    assert_int_equal(back(w, twice, "", &first), ERROR_NONE);
    assert_true(slice_eq(first, SLICE("SRS0=HHH=TT=orig.example=ani@first.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_foreign_sender_becomes_ours_and_its_bounce_finds_the_way_back, world_open, world_close),
        cmocka_unit_test_setup_teardown(our_own_and_the_null_sender_stay, world_open, world_close),
        cmocka_unit_test_setup_teardown(the_case_of_the_local_part_does_not_count, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_changed_hash_day_domain_or_name_is_refused, world_open, world_close),
        cmocka_unit_test_setup_teardown(an_address_that_was_found_is_no_relay, world_open, world_close),
        cmocka_unit_test_setup_teardown(after_three_weeks_it_is_over, world_open, world_close),
        cmocka_unit_test_setup_teardown(what_another_server_rewrote_goes_back_to_that_server, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
