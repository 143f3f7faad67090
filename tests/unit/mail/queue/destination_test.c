/* Whom a dispatcher could reach and who is due: in order, without ours, and by the index alone */
#include "tests/unit/mail/delivery/queue_world.h"

#include "mail/queue/internal.h"

static const char text[] = "Return-Path: <budi@kantor.example>\r\nSubject: x\r\n\r\nx\r\n";

static void fill(struct queue_world *w)
{
    struct queue_rcpt one[] = {{.address = SLICE("a@b.example"), .dest = SLICE("b.example"), .due = NOW - 5, .orcpt = SLICE("rfc822;a@x"), .notify = 4},
                               {.address = SLICE("c@b.example"), .dest = SLICE("b.example"), .due = NOW - 5},
                               {.address = SLICE("sari@kantor.example"), .dest = SLICE("kantor.example"), .due = NOW - 9},
                               {.address = SLICE("z@z.example"), .dest = SLICE("z.example"), .due = NOW + 100}};
    struct queue_rcpt two[] = {{.address = SLICE("first@b.example"), .dest = SLICE("b.example"), .due = NOW - 50},
                               {.address = SLICE("later@b.example"), .dest = SLICE("b.example"), .due = NOW + 1},
                               {.address = SLICE("held@a.example"), .dest = SLICE("a.example"), .due = NOW - 50, .state = QUEUE_HELD}};
    (void)enter(w, (struct queue_entry){.rcpts = one, .n_rcpts = 4}, text);
    (void)enter(w, (struct queue_entry){.rcpts = two, .n_rcpts = 3}, text);
}

static void destinations_are_listed_with_their_first_due_and_ours_are_not(void **state)
{
    struct queue_world *w = *state;
    struct queue_destination *all;
    size_t n;
    fill(w);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->server.store);
    assert_int_equal(queue_destinations(db, SLICE(""), 100, &w->arena, &all, &n).code, ERROR_NONE);
    assert_int_equal(n, 2);
    assert_true(slice_eq(all[0].dest, SLICE("b.example")) && all[0].due == NOW - 50 && all[0].waiting == 4);
    assert_true(slice_eq(all[1].dest, SLICE("z.example")) && all[1].due == NOW + 100 && all[1].waiting == 1);
    assert_int_equal(queue_destinations(db, SLICE("b.example"), 100, &w->arena, &all, &n).code, ERROR_NONE);
    assert_true(n == 1 && slice_eq(all[0].dest, SLICE("z.example")));
    assert_int_equal(queue_destinations(db, SLICE(""), 1, &w->arena, &all, &n).code, ERROR_NONE);
    assert_true(n == 1 && slice_eq(all[0].dest, SLICE("b.example")));
}

static void who_is_due_is_taken_longest_overdue_first_and_message_by_message(void **state)
{
    struct queue_world *w = *state;
    struct queue_taken *all;
    size_t n;
    fill(w);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->server.store);
    assert_int_equal(queue_take(db, SLICE("b.example"), NOW, 10, &w->arena, &all, &n).code, ERROR_NONE);
    assert_int_equal(n, 3);
    assert_true(slice_eq(all[0].address, SLICE("first@b.example")));
    assert_true(slice_eq(all[1].address, SLICE("a@b.example")) && slice_eq(all[1].orcpt, SLICE("rfc822;a@x")) && all[1].notify == 4 && all[1].n == 0);
    assert_true(slice_eq(all[2].address, SLICE("c@b.example")) && all[2].queue == all[1].queue && all[2].n == 1 && !all[2].orcpt.p);
    assert_int_equal(queue_take(db, SLICE("b.example"), NOW, 2, &w->arena, &all, &n).code, ERROR_NONE);
    assert_int_equal(n, 2);
    assert_int_equal(queue_take(db, SLICE("a.example"), NOW, 2, &w->arena, &all, &n).code, ERROR_NONE);
    assert_int_equal(n, 0);
}

/* A plan that reads a table from end to end, or sorts, would be slow with a million rows. */
static void plan_uses(struct sql *db, struct sql_stmt *st, const char *wanted)
{
    size_t lines = 0, found = 0;
    (void)db;
    while (sql_row(st)) {
        char line[256];
        struct slice detail = sql_text(st, 3);
        (void)snprintf(line, sizeof line, "%.*s", SLICE_ARG(detail));
        if (strstr(line, "SCAN rcpt") || strstr(line, "SCAN queue") || strstr(line, "TEMP B-TREE"))
            fail_msg("%s", line);
        found += strstr(line, wanted) != NULL;
        lines++;
    }
    assert_int_equal(sql_result(st).code, ERROR_NONE);
    assert_true(lines > 0 && found > 0);
}

static void the_questions_of_dispatcher_and_sweeper_are_answered_by_the_index(void **state)
{
    struct queue_world *w = *state;
    SCOPED(store_reader_return) struct sql *db = store_reader(w->server.store);
    struct sql_stmt *st = sql_use(db, "EXPLAIN QUERY PLAN " QUEUE_SQL_DESTINATIONS);
    plan_uses(db, st, "rcpt_due");
    sql_done(&st);
    st = sql_use(db, "EXPLAIN QUERY PLAN " QUEUE_SQL_TAKE);
    plan_uses(db, st, "rcpt_due");
    sql_done(&st);
    st = sql_use(db, "EXPLAIN QUERY PLAN " QUEUE_SQL_TO_LOOK);
    plan_uses(db, st, "queue_look");
    sql_done(&st);
    st = sql_use(db, "EXPLAIN QUERY PLAN " QUEUE_SQL_FAR);
    plan_uses(db, st, "rcpt_due");
    sql_done(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(destinations_are_listed_with_their_first_due_and_ours_are_not, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(who_is_due_is_taken_longest_overdue_first_and_message_by_message, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(the_questions_of_dispatcher_and_sweeper_are_answered_by_the_index, queue_set_up, queue_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
