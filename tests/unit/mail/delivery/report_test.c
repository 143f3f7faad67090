/* The end of a try: rows, and what the sender is told */
#include "tests/unit/mail/delivery/queue_world.h"

#include "mail/delivery/report.h"
#include "mail/mime/header.h"
#include "mail/mime/parse.h"

static const char text[] = "Return-Path: <budi@kantor.example>\r\nFrom: budi@kantor.example\r\nSubject: Halo\r\nMessage-ID: <m1@kantor.example>\r\n\r\nA secret body\r\n";

#define RCPT(address_, dest_, ...) {.address = SLICE(address_ "@" dest_), .dest = SLICE(dest_), .due = NOW, __VA_ARGS__}
#define SAID(n_, state_, reply_) {.n = (n_), .state = (state_), .reply = SLICE(reply_), .host = SLICE("mx.b.example [192.0.2.1]")}

static bool says(struct slice bytes, const char *words)
{
    return memmem(bytes.p, bytes.n, words, strlen(words)) != NULL;
}

static void finish(struct queue_world *w, int64_t id, const struct queue_result *r, size_t n)
{
    assert_int_equal(report_finish(&w->server, id, r, n).code, ERROR_NONE);
}

static void delivered_recipients_go_and_the_message_with_the_last_one(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example", .orcpt = slice_make(NULL, 0)), RCPT("c", "b.example", .orcpt = slice_make(NULL, 0))};
    struct queue_entry *all;
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 2}, text);
    finish(w, id, (struct queue_result[]){SAID(0, QUEUE_DELIVERED, "250 2.0.0 ok")}, 1);
    assert_int_equal(queued(w, &all), 1);
    assert_true(all[0].n_rcpts == 1 && all[0].rcpts[0].n == 1);
    finish(w, id, (struct queue_result[]){SAID(1, QUEUE_DELIVERED, "250 2.0.0 ok")}, 1);
    assert_int_equal(queued(w, &all), 0);
    assert_int_equal(mail_of(w, w->budi, 0).n, 0);
    finish(w, id, (struct queue_result[]){SAID(1, QUEUE_DELIVERED, "250 2.0.0 ok")}, 1); /* said twice */
}

static void who_waits_is_due_again_with_the_reply_and_the_server(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example")};
    struct queue_entry *all;
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1}, text);
    finish(w, id, (struct queue_result[]){SAID(0, QUEUE_WAITING, "451 4.3.0 busy")}, 1);
    assert_int_equal(queued(w, &all), 1);
    struct queue_rcpt *r = &all[0].rcpts[0];
    assert_in_range(r->due, NOW + 60, NOW + 66);
    assert_true(r->tries == 1 && r->tried == NOW && slice_eq(r->reply, SLICE("451 4.3.0 busy")) && slice_eq(r->host, SLICE("mx.b.example [192.0.2.1]")));
    assert_int_equal(mail_of(w, w->budi, 0).n, 0);
}

static void a_failure_comes_back_as_one_report_about_all_who_failed(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example", .orcpt = SLICE("rfc822;A+2B1@x.example")), RCPT("c", "b.example"), RCPT("d", "b.example", .notify = NOTIFY_NEVER), RCPT("e", "b.example")};
    struct queue_entry *all;
    struct mime_tree tree;
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 4, .envid = SLICE("QQ+2B1")}, text);
    finish(w, id, (struct queue_result[]){SAID(0, QUEUE_FAILED, "550 5.1.1 no such user"), SAID(1, QUEUE_FAILED, "552 too large"), SAID(2, QUEUE_FAILED, "550 no"), SAID(3, QUEUE_WAITING, "451 later")}, 4);
    assert_int_equal(queued(w, &all), 1);
    assert_true(all[0].n_rcpts == 1 && all[0].rcpts[0].n == 3);
    struct slice m = mail_of(w, w->budi, 0);
    assert_int_equal(mail_of(w, w->budi, 1).n, 0);
    assert_int_equal(mime_parse(m, &w->arena, &tree).code, ERROR_NONE);
    assert_true(slice_eq_nocase(tree.parts[0].subtype, SLICE("report")) && slice_eq(mime_param(&tree.parts[0].params, SLICE("report-type")), SLICE("delivery-status")));
    assert_true(tree.parts[0].n_children == 3 && slice_eq(tree.parts[2].subtype, SLICE("delivery-status")) && slice_eq(tree.parts[3].subtype, SLICE("rfc822-headers")));
    assert_true(slice_starts(m, SLICE("Return-Path: <>\r\n")) && says(m, "Auto-Submitted: auto-replied\r\n") && says(m, "References: <m1@kantor.example>\r\n"));
    assert_true(says(m, "From: Mail Delivery System <postmaster@kantor.example>\r\n") && says(m, "Subject: Not delivered: Halo\r\n"));
    assert_true(says(m, "Original-Envelope-Id: QQ+1\r\n") && says(m, "Reporting-MTA: dns; mail.kantor.example\r\n"));
    assert_true(says(m, "Original-Recipient: rfc822; A+1@x.example\r\nFinal-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.b.example\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert_true(says(m, "Final-Recipient: rfc822; c@b.example\r\nAction: failed\r\nStatus: 5.0.0\r\n"));
    assert_false(says(m, "d@b.example") || says(m, "e@b.example") || says(m, "secret body"));
}

static void all_of_a_small_message_comes_back_when_that_was_asked_for(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example")};
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1, .flags = DELIVERY_RET_FULL}, text);
    finish(w, id, (struct queue_result[]){SAID(0, QUEUE_FAILED, "550 no")}, 1);
    assert_true(says(mail_of(w, w->budi, 0), "message/rfc822") && says(mail_of(w, w->budi, 0), "A secret body"));
}

static void a_report_about_a_report_or_to_a_forged_sender_is_not_made(void **state)
{
    struct queue_world *w = *state;
    static const struct {
        const char *sender;
        int flags;
        size_t reports;
    } cases[] = {{"", 0, 0}, {"#@[]", 0, 0}, {"MAILER-DAEMON@else.example", DELIVERY_SENDER_VERIFIED, 0}, {"x@forged.example", 0, 0}, {"nobody@kantor.example", 0, 0}, {"x@real.example", DELIVERY_SENDER_VERIFIED, 1}};
    struct queue_entry *all;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct queue_rcpt to[] = {RCPT("a", "b.example")};
        int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1, .sender = slice_of(cases[i].sender), .flags = cases[i].flags}, text);
        finish(w, id, (struct queue_result[]){SAID(0, QUEUE_FAILED, "550 no")}, 1);
        assert_int_equal(queued(w, &all), cases[i].reports);
    }
    assert_true(all[0].sender.n == 0 && slice_eq(all[0].rcpts[0].address, SLICE("x@real.example")) && all[0].rcpts[0].notify == NOTIFY_NEVER);
}

static void a_delay_is_told_once_and_the_end_with_the_last_reply(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example")};
    struct queue_entry *all;
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1}, text);
    clock_set_fake(NOW + 5 * HOUR);
    for (int i = 0; i < 60; i++)
        finish(w, id, (struct queue_result[]){SAID(0, QUEUE_WAITING, "451 4.2.2 full")}, 1);
    struct slice m = mail_of(w, w->budi, 0);
    assert_int_equal(mail_of(w, w->budi, 1).n, 0);
    assert_true(says(m, "Action: delayed\r\nStatus: 4.2.2\r\n") && says(m, "Will-Retry-Until: ") && says(m, "Subject: Not delivered yet: Halo\r\n"));
    clock_set_fake(NOW + 5 * DAY);
    finish(w, id, (struct queue_result[]){SAID(0, QUEUE_WAITING, "451 4.2.2 full")}, 1);
    m = mail_of(w, w->budi, 0);
    assert_true(says(m, "Action: failed\r\nStatus: 4.4.7\r\n") && says(m, "Diagnostic-Code: smtp; 451 4.2.2 full"));
    assert_int_equal(queued(w, &all), 0);
}

/* RFC 3461 5.2.2, 5.3.3 */
static void success_is_told_where_the_other_server_will_not_and_it_was_asked_for(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example", .notify = NOTIFY_SUCCESS), RCPT("c", "b.example", .notify = NOTIFY_SUCCESS)};
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 2}, text);
    struct queue_result r[] = {SAID(0, QUEUE_DELIVERED, "250 2.1.5 ok"), SAID(1, QUEUE_DELIVERED, "250 ok")};
    r[1].speaks_dsn = true;
    finish(w, id, r, 2);
    struct slice m = mail_of(w, w->budi, 0);
    assert_true(says(m, "Final-Recipient: rfc822; a@b.example\r\nAction: relayed\r\nStatus: 2.1.5\r\n") && !says(m, "c@b.example"));
}

/* attacks.md SO-13, SO-05 */
static void no_word_from_outside_adds_a_line_a_field_or_a_part(void **state)
{
    struct queue_world *w = *state;
    static char reply[6000], subject[3000], message[8000];
    struct mime_tree tree;
    memset(reply, 'x', sizeof reply - 1);
    memcpy(reply, "550 5.1.1\r\nAction: delivered\r\n\r\n--=_report\r\n\033[2J\x80\xff", 49);
    memset(subject, '"', sizeof subject - 1);
    (void)snprintf(message, sizeof message, "Return-Path: <x>\r\nSubject: <script>%s\xC3\xA9\r\nX: \xFF%s\r\n\r\nbody\r\n", subject, subject);
    struct queue_rcpt to[] = {RCPT("a", "b.example", .orcpt = SLICE("rfc822;x+0D+0AEvil:+20y"))};
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1, .envid = SLICE("a+0D+0AEvil:+20z")}, message);
    struct queue_result r[] = {{.n = 0, .state = QUEUE_FAILED, .reply = slice_of(reply), .host = SLICE("mx\r\nEvil: w [192.0.2.1]")}};
    finish(w, id, r, 1);
    struct slice m = mail_of(w, w->budi, 0), rest = m;
    assert_true(m.n > 0 && !says(m, "\nEvil") && !says(m, "\nAction: delivered") && !says(m, "\033"));
    assert_int_equal(mime_parse(m, &w->arena, &tree).code, ERROR_NONE);
    assert_int_equal(tree.n, 4);
    while (rest.n) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        rest = slice_after(rest, line.n + 1);
        assert_true(line.n <= 999);
        for (size_t i = 0; i < line.n; i++)
            assert_true((unsigned char)line.p[i] < 0x80);
    }
}

/* RFC 6533 3 */
static void an_address_outside_ascii_is_named_in_either_form(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("b\xC3\xBCro", "b.example")};
    struct queue_result r[] = {SAID(0, QUEUE_FAILED, "550 5.1.1 b\xC3\xBCro unknown")};
    finish(w, enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1, .flags = DELIVERY_SMTPUTF8}, text), r, 1);
    assert_true(says(mail_of(w, w->budi, 0), "message/global-delivery-status") && says(mail_of(w, w->budi, 0), "Final-Recipient: utf-8; b=C3=BCro@b.example"));
    finish(w, enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1}, text), r, 1);
    assert_true(says(mail_of(w, w->budi, 0), "message/delivery-status") && says(mail_of(w, w->budi, 0), "Final-Recipient: utf-8; b\\x{FC}ro@b.example"));
}

/* --- the sweeper */

static void sweep_at(struct queue_world *w, int64_t at)
{
    clock_set_fake(at);
    report_sweep(&w->server);
}

static void who_waits_without_a_try_is_told_of_the_delay_and_given_up_at_the_end(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example")};
    struct queue_entry *all;
    (void)enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1}, text);
    sweep_at(w, NOW + 3 * HOUR);
    assert_int_equal(mail_of(w, w->budi, 0).n, 0);
    sweep_at(w, NOW + 4 * HOUR + 60);
    assert_true(says(mail_of(w, w->budi, 0), "Action: delayed\r\n"));
    sweep_at(w, NOW + 5 * DAY + 60); /* its time is over, but nobody tried: some hours more */
    assert_int_equal(queued(w, &all), 1);
    sweep_at(w, NOW + 5 * DAY + 4 * HOUR + 120);
    assert_true(says(mail_of(w, w->budi, 0), "Action: failed\r\nStatus: 4.4.7\r\n"));
    assert_int_equal(queued(w, &all), 0);
    assert_int_equal(mail_of(w, w->budi, 2).n, 0);
}

/* attacks.md SO-17 */
static void a_jump_of_the_clock_returns_nothing_and_stops_nothing(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example"), RCPT("held", "b.example", .state = QUEUE_HELD)};
    struct queue_entry *all;
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 2}, text), ahead = NOW + 3650LL * DAY;
    sweep_at(w, NOW);
    sweep_at(w, ahead);
    finish(w, id, (struct queue_result[]){SAID(0, QUEUE_WAITING, "451 busy")}, 1);
    (void)enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1, .created = ahead}, text);
    assert_int_equal(mail_of(w, w->budi, 0).n, 0);
    sweep_at(w, NOW + 60);
    assert_int_equal(queued(w, &all), 2);
    assert_int_equal(mail_of(w, w->budi, 0).n, 0);
    assert_int_equal(all[0].rcpts[0].due, NOW + 60);
    assert_true(all[1].created == NOW + 60 && all[1].expires == NOW + 60 + 5 * DAY);
}

static void what_is_held_waits_without_end_and_nothing_is_told_while_sending_is_off(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt held[] = {RCPT("a", "b.example", .state = QUEUE_HELD)}, waits[] = {RCPT("c", "b.example")};
    struct queue_entry *all;
    (void)enter(w, (struct queue_entry){.rcpts = held, .n_rcpts = 1}, text);
    for (int day = 0; day < 20; day++)
        sweep_at(w, NOW + day * DAY);
    assert_int_equal(queued(w, &all), 1);
    (void)enter(w, (struct queue_entry){.rcpts = waits, .n_rcpts = 1}, text);
    w->config.queue_send = 0;
    for (int hour = 0; hour < 200; hour++)
        sweep_at(w, NOW + hour * HOUR);
    assert_int_equal(queued(w, &all), 2);
    assert_int_equal(mail_of(w, w->budi, 0).n, 0);
}

static void an_administrator_gives_up_and_the_sender_hears_it(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example", .reply = SLICE("451 4.7.1 greylisted")), RCPT("held", "b.example", .state = QUEUE_HELD)};
    struct queue_entry *all;
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 2}, text);
    assert_int_equal(report_return(&w->server, id, SLICE("")).code, ERROR_NONE);
    struct slice m = mail_of(w, w->budi, 0);
    assert_true(says(m, "a@b.example") && says(m, "held@b.example") && says(m, "Action: failed\r\n") && says(m, "took your message back"));
    assert_int_equal(queued(w, &all), 0);
    assert_int_equal(report_return(&w->server, id, SLICE("")).code, ERROR_NOT_FOUND);
}

static struct error lose_content(struct sql *db, void *arg)
{
    (void)arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM blob WHERE id IN (SELECT blob FROM queue)");
    return sql_run(st);
}

/* attacks.md SO-15 */
static void a_message_whose_content_is_missing_is_set_aside_with_the_reason(void **state)
{
    struct queue_world *w = *state;
    struct queue_rcpt to[] = {RCPT("a", "b.example")};
    struct queue_entry *all;
    int64_t id = enter(w, (struct queue_entry){.rcpts = to, .n_rcpts = 1}, text);
    assert_int_equal(store_change(w->server.store, lose_content, NULL).code, ERROR_NONE);
    finish(w, id, (struct queue_result[]){SAID(0, QUEUE_WAITING, "451 4.3.0 cannot be read")}, 1);
    assert_int_equal(queued(w, &all), 1);
    assert_true(all[0].size == -1 && all[0].rcpts[0].state == QUEUE_HELD && says(all[0].rcpts[0].reply, "content of this message is missing"));
    for (int hour = 0; hour < 200; hour += 3)
        sweep_at(w, NOW + hour * HOUR);
    assert_int_equal(queued(w, &all), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(delivered_recipients_go_and_the_message_with_the_last_one, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(who_waits_is_due_again_with_the_reply_and_the_server, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(a_failure_comes_back_as_one_report_about_all_who_failed, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(all_of_a_small_message_comes_back_when_that_was_asked_for, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(a_report_about_a_report_or_to_a_forged_sender_is_not_made, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(a_delay_is_told_once_and_the_end_with_the_last_reply, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(success_is_told_where_the_other_server_will_not_and_it_was_asked_for, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(no_word_from_outside_adds_a_line_a_field_or_a_part, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(an_address_outside_ascii_is_named_in_either_form, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(who_waits_without_a_try_is_told_of_the_delay_and_given_up_at_the_end, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(a_jump_of_the_clock_returns_nothing_and_stops_nothing, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(what_is_held_waits_without_end_and_nothing_is_told_while_sending_is_off, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(an_administrator_gives_up_and_the_sender_hears_it, queue_set_up, queue_tear_down),
        cmocka_unit_test_setup_teardown(a_message_whose_content_is_missing_is_set_aside_with_the_reason, queue_set_up, queue_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
