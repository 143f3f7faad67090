/* Verifying (RFC 6376 6, RFC 8301, RFC 8463; attacks.md MA-01 to MA-11, MA-18) */
#include "tests/unit/mail/dkim/dkim_test.h"

#define DATA "tests/data/dkim/"
enum { NOW = 1795000000 };

static const char *replaced(struct arena *a, const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    return arena_printf(a, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void the_examples_of_rfc_6376_and_8463_pass(void **state)
{
    struct arena *a = *state;
    struct dkim_outcome o = judged(a, file_slice(a, DATA "rfc6376.eml"), file_slice(a, DATA "rfc6376.keys"), NOW);
    assert_int_equal(o.result, DKIM_PASS);
    struct dkim_verify *v;
    struct slice message = file_slice(a, DATA "rfc8463.eml");
    assert_int_equal(dkim_verify_message(a, message, NOW, &dkim_limits_usual, &v).code, ERROR_NONE);
    assert_int_equal(dkim_verify_count(v), 2);
    assert_string_equal(text_of(a, dkim_verify_need(v, 0)), "brisbane._domainkey.football.example.com");
    assert_int_equal(dkim_verify_outcome(v, 0)->result, DKIM_PENDING);
    answer_all(v, file_slice(a, DATA "rfc8463.keys"));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(dkim_verify_outcome(v, i)->result, DKIM_PASS);
        assert_null(dkim_verify_need(v, i).p);
    }
    dkim_verify_free(v);
}

static void a_changed_byte_anywhere_that_counts_fails(void **state)
{
    struct arena *a = *state;
    struct slice keys = file_slice(a, DATA "rfc8463.keys");
    const char *whole = arena_string(a, file_slice(a, DATA "rfc8463.eml"));
    static const struct {
        const char *from, *to;
        enum dkim_result result;
    } rows[] = {
        {"hungry", "Hungry", DKIM_FAIL},
        {"dinner", "Dinner", DKIM_FAIL},
        {"t=1528637909", "t=1528637908", DKIM_FAIL},
        {"lost the game.  Are", "lost the game. Are", DKIM_PASS},
        {"Subject: Is", "SUBJECT :  Is", DKIM_PASS},
        {"From: Joe", "X-New: 1\r\nFrom: Joe", DKIM_PASS},
        {"From: Joe", "From: x@y\r\nFrom: Joe", DKIM_FAIL},
        {"b=/gCr", "b=\r\n /gCr", DKIM_PASS},
        {"b=/gCr", "b=AgCr", DKIM_FAIL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dkim_outcome o = judged(a, slice_of(replaced(a, whole, rows[i].from, rows[i].to)), keys, NOW);
        if (o.result != rows[i].result)
            fail_msg("%s: %s (%s)", rows[i].to, dkim_result_word(o.result), o.reason ? o.reason : "");
    }
}

/* Fields that are judged before any key is asked for. */
static void malformed_signatures_are_named(void **state)
{
    struct arena *a = *state;
    static const char good[] = "v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AAAA";
    static const struct {
        const char *from, *to;
        enum dkim_result result;
    } rows[] = {
        {"v=1", "v=1", DKIM_PENDING},
        {"v=1; ", "", DKIM_PERMERROR},
        {"v=1", "v=2", DKIM_NEUTRAL},
        {"rsa-sha256", "rsa-md5", DKIM_NEUTRAL},
        {"rsa-sha256", "rsa-sha1", DKIM_PERMERROR},
        {"h=from", "h=subject:date", DKIM_PERMERROR},
        {"h=from", "h=", DKIM_PERMERROR},
        {"h=from", "h=from::to", DKIM_PERMERROR},
        {"h=from", "h=fr om", DKIM_PERMERROR},
        {"h=from", "h= From : to ", DKIM_PENDING},
        {"d=a.example", "d=a..example", DKIM_PERMERROR},
        {"d=a.example", "d=a.example.", DKIM_PERMERROR},
        {"d=a.example", "d=[1.2.3.4]", DKIM_PERMERROR},
        {"s=s", "s=../x", DKIM_PERMERROR},
        {"s=s", "s=-a", DKIM_PERMERROR},
        {"s=s", "s=a.b_c", DKIM_PENDING},
        {"b=AAAA", "b=A", DKIM_PERMERROR},
        {"b=AAAA", "b=", DKIM_PERMERROR},
        {"b=AAAA", "b=A?AA", DKIM_PERMERROR},
        {"zv8=", "zv8", DKIM_PERMERROR},
        {"bh=2jUS", "bh=", DKIM_PERMERROR},
        {"s=s", "s=s; i=@b.example", DKIM_PERMERROR},
        {"s=s", "s=s; i=@xa.example", DKIM_PERMERROR},
        {"s=s", "s=s; i=x@sub.A.example", DKIM_PENDING},
        {"s=s", "s=s; i=x=40a=2Eexample", DKIM_PENDING},
        {"s=s", "s=s; i=x=00@a.example", DKIM_PERMERROR},
        {"s=s", "s=s; c=relaxed/strict", DKIM_PERMERROR},
        {"s=s", "s=s; c=relaxed", DKIM_PENDING},
        {"s=s", "s=s; l=-1", DKIM_PERMERROR},
        {"s=s", "s=s; l=99999999999999999999999999", DKIM_PENDING},
        {"s=s", "s=s; t=2000; x=2000", DKIM_PERMERROR},
        {"s=s", "s=s; x=1794990000", DKIM_FAIL},
        {"s=s", "s=s; x=1794999900", DKIM_PENDING},
        {"s=s", "s=s; t=1795009999", DKIM_POLICY},
        {"s=s", "s=s; x=99999999999999999999", DKIM_PERMERROR},
        {"s=s", "s=s; q=http", DKIM_NEUTRAL},
        {"s=s", "s=s; q=http:dns/txt", DKIM_PENDING},
        {"s=s", "s=s; s=t", DKIM_PERMERROR},
        {"s=s", "s=s; z=a|b; new=1", DKIM_PENDING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *m = arena_printf(a, "DKIM-Signature: %s\r\nFrom: x@a.example\r\n\r\nx\r\n", replaced(a, good, rows[i].from, rows[i].to));
        struct dkim_verify *v;
        assert_int_equal(dkim_verify_message(a, slice_of(m), NOW, &dkim_limits_usual, &v).code, ERROR_NONE);
        const struct dkim_outcome *o = dkim_verify_outcome(v, 0);
        if (o->result != rows[i].result)
            fail_msg("%s: %s (%s)", rows[i].to, dkim_result_word(o->result), o->reason ? o->reason : "");
        dkim_verify_free(v);
    }
}

static const char message_text[] = "From: x@kantor.example\r\nSubject: a\r\n\r\nBody  of two\r\nlines \r\n";

static void key_records_decide(void **state)
{
    struct arena *a = *state;
    struct dkim_key key;
    assert_int_equal(dkim_key_generate(DKIM_ED25519, &key).code, ERROR_NONE);
    struct slice m = sign_with(a, &key, slice_of(message_text), NOW);
    const char *good = arena_string(a, key_line(a, &key));
    dkim_key_free(&key);
    static const struct {
        const char *from, *to;
        enum dkim_result result;
    } rows[] = {
        {"k=", "k=", DKIM_PASS},
        {"v=DKIM1; ", "", DKIM_PASS},
        {"DKIM1", "DKIM2", DKIM_PERMERROR},
        {"v=DKIM1; k=ed25519", "k=ed25519; v=DKIM1", DKIM_PERMERROR},
        {"k=ed25519", "k=rsa", DKIM_PERMERROR},
        {"k=ed25519", "k=x", DKIM_PERMERROR},
        {"; k=", "; h=sha1; k=", DKIM_PERMERROR},
        {"; k=", "; h=sha1:sha256; k=", DKIM_PASS},
        {"; k=", "; s=chat; k=", DKIM_PERMERROR},
        {"; k=", "; s=chat:email; k=", DKIM_PASS},
        {"; k=", "; s=*; k=", DKIM_PASS},
        {"; k=", "; t=y:s; k=", DKIM_PASS},
        {"p=", "p=; x=", DKIM_PERMERROR},
        {"p=", "x=", DKIM_PERMERROR},
        {"p=", "p=AAAA", DKIM_PERMERROR},
        {"p=", "p=?", DKIM_PERMERROR},
        {"p=", "p", DKIM_PERMERROR},
        {"._domainkey", ".x", DKIM_PERMERROR},
        {"=\n", "\n", DKIM_PERMERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dkim_outcome o = judged(a, m, slice_of(replaced(a, good, rows[i].from, rows[i].to)), NOW);
        if (o.result != rows[i].result)
            fail_msg("%s: %s (%s)", rows[i].to, dkim_result_word(o.result), o.reason ? o.reason : "");
    }
}

static void a_failure_under_a_tested_key_counts_as_none(void **state)
{
    struct arena *a = *state;
    struct dkim_key key;
    assert_int_equal(dkim_key_generate(DKIM_ED25519, &key).code, ERROR_NONE);
    const char *m = arena_string(a, sign_with(a, &key, slice_of(message_text), NOW));
    const char *line = replaced(a, arena_string(a, key_line(a, &key)), "; k=", "; t=y; k=");
    dkim_key_free(&key);
    struct dkim_outcome o = judged(a, slice_of(replaced(a, m, "two", "six")), slice_of(line), NOW);
    assert_int_equal(o.result, DKIM_NEUTRAL);
    assert_true(o.testing);
}

static void no_answer_is_passing_and_no_record_is_not(void **state)
{
    struct arena *a = *state;
    static const enum dkim_result results[] = {[DKIM_ANSWER_NONE] = DKIM_PERMERROR, [DKIM_ANSWER_FAILED] = DKIM_TEMPERROR};
    for (int answer = DKIM_ANSWER_NONE; answer <= DKIM_ANSWER_FAILED; answer++) {
        struct dkim_verify *v;
        assert_int_equal(dkim_verify_message(a, file_slice(a, DATA "rfc6376.eml"), NOW, &dkim_limits_usual, &v).code, ERROR_NONE);
        dkim_verify_answer(v, 0, (enum dkim_answer)answer, NULL, 0);
        assert_int_equal(dkim_verify_outcome(v, 0)->result, results[answer]);
        dkim_verify_free(v);
    }
}

static void of_several_records_the_fitting_one_counts(void **state)
{
    struct arena *a = *state;
    struct dkim_verify *v;
    struct slice keys = file_slice(a, DATA "rfc6376.keys");
    struct slice right = slice_after(slice_first(keys, slice_find(keys, '\n')), slice_find(keys, ' ') + 1);
    struct slice texts[] = {SLICE("v=spf1 -all"), SLICE("v=DKIM1; p="), right};
    assert_int_equal(dkim_verify_message(a, file_slice(a, DATA "rfc6376.eml"), NOW, &dkim_limits_usual, &v).code, ERROR_NONE);
    dkim_verify_answer(v, 0, DKIM_ANSWER_RECORDS, texts, 3);
    assert_int_equal(dkim_verify_outcome(v, 0)->result, DKIM_PASS);
    dkim_verify_free(v);
}

/* One byte a call, the answer before the body: the outcome is that of the whole message. */
static void a_body_fed_bytewise_after_the_answer_gives_the_same(void **state)
{
    struct arena *a = *state;
    struct dkim_verify *v;
    struct slice m = file_slice(a, DATA "rfc6376.eml");
    size_t head = header_length(m);
    assert_int_equal(dkim_verify_begin(a, slice_first(m, head), NOW, &dkim_limits_usual, &v).code, ERROR_NONE);
    answer_all(v, file_slice(a, DATA "rfc6376.keys"));
    assert_int_equal(dkim_verify_outcome(v, 0)->result, DKIM_PENDING);
    for (size_t i = head; i < m.n; i++)
        dkim_verify_body(v, slice_make(m.p + i, 1));
    dkim_verify_body_end(v);
    assert_int_equal(dkim_verify_outcome(v, 0)->result, DKIM_PASS);
    dkim_verify_free(v);
}

static void five_signatures_are_looked_at_and_the_rest_is_counted(void **state)
{
    struct arena *a = *state;
    struct buffer b = {0};
    struct dkim_verify *v;
    for (size_t i = 0; i < 500; i++)
        add_numbered(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s#; h=from; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AAAA\r\n", i);
    buffer_add(&b, SLICE("From: x@a.example\r\n\r\n"));
    assert_int_equal(dkim_verify_begin(a, buffer_slice(&b), NOW, &dkim_limits_usual, &v).code, ERROR_NONE);
    assert_int_equal(dkim_verify_count(v), DKIM_EXAMINED_MAX);
    assert_int_equal(dkim_verify_ignored(v), 500 - DKIM_EXAMINED_MAX);
    assert_string_equal(text_of(a, dkim_verify_need(v, 0)), "s0._domainkey.a.example");
    dkim_verify_free(v);
    buffer_free(&b);
}

static void a_head_with_a_line_that_is_no_field_is_permerror(void **state)
{
    struct arena *a = *state;
    const char *m = replaced(a, arena_string(a, file_slice(a, DATA "rfc6376.eml")), "\r\nTo:", "\r\ngarbage\r\nTo:");
    assert_int_equal(judged(a, slice_of(m), file_slice(a, DATA "rfc6376.keys"), NOW).result, DKIM_PERMERROR);
}

static void a_second_field_above_a_signed_one_is_policy(void **state)
{
    struct arena *a = *state;
    const char *m = arena_string(a, file_slice(a, DATA "rfc6376.eml"));
    static const char *const fields[] = {"From: boss@kantor.example\r\n", "Subject : urgent\r\n", "to: all\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct dkim_outcome o = judged(a, slice_of(arena_printf(a, "%s%s", fields[i], m)), file_slice(a, DATA "rfc6376.keys"), NOW);
        assert_int_equal(o.result, DKIM_POLICY);
        assert_true(o.proved);
    }
}

static void a_text_of_the_sender_cannot_end_its_value(void **state)
{
    struct dkim_outcome o = {.result = DKIM_PASS, .bits = 2048, .domain = SLICE("a.example"), .identity = SLICE("x\"; dmarc=pass\r\n (@a.example"), .signature = SLICE("AB\r\n CD;EFGHIJ")};
    struct buffer b = {0};
    dkim_outcome_text(&o, &b);
    assert_string_equal(text_of(*state, text_slice(*state, &b)), "dkim=pass (2048-bit key) header.d=a.example header.i=\"x\\\"; dmarc=pass?? (@a.example\" header.b=\"ABCD;EFG\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_examples_of_rfc_6376_and_8463_pass),
        TEST(a_changed_byte_anywhere_that_counts_fails),
        TEST(malformed_signatures_are_named),
        TEST(key_records_decide),
        TEST(a_failure_under_a_tested_key_counts_as_none),
        TEST(no_answer_is_passing_and_no_record_is_not),
        TEST(of_several_records_the_fitting_one_counts),
        TEST(a_body_fed_bytewise_after_the_answer_gives_the_same),
        TEST(five_signatures_are_looked_at_and_the_rest_is_counted),
        TEST(a_head_with_a_line_that_is_no_field_is_permerror),
        TEST(a_second_field_above_a_signed_one_is_policy),
        TEST(a_text_of_the_sender_cannot_end_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
