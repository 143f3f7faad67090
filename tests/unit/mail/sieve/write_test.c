/* Texts that people type into forms come out of a script as they went in, and never as commands (attacks.md SV-08) */
#include "mail/sieve/write.h"
#include "tests/unit/mail/sieve/sieve_test.h"

static const char *const texts[] = {
    "plain", "\"; fileinto \"x", "\\\"; discard; #", "line\r\n.\r\nredirect \"a@b.example\";", "#{\r\nredirect \"a@b.example\";", "${1} ${hex:41} ${x}", "\\", "\\\\\"", "", "/* */ text:\r\n.\r\n",
    "Gr\xC3\xBC\xC3\x9F" "e",
};

static void run(struct slice script, struct arena *a, struct sieve_result *out)
{
    static const struct slice head = {"From: a@b.example\r\n\r\n", 21};
    struct sieve_script *s;
    struct sieve_fault fault;
    struct sieve_message m = {.head = head, .size = head.n, .from = SLICE("a@b.example"), .to = SLICE("c@d.example"), .now = SIEVE_TEST_NOW};
    if (sieve_compile(script, a, &s, &fault).code != ERROR_NONE)
        fail_msg("line %u: %s in %.*s", fault.line, fault.text, SLICE_ARG(script));
    sieve_run(s, &m, a, out);
}

static void a_text_in_a_written_script_means_itself_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            struct arena a;
            struct buffer script = {0};
            struct sieve_result got;
            bool one_line = !strpbrk(texts[k], "\r\n");
            struct sieve_away away = {.subject = one_line ? slice_of(texts[k]) : slice_make(NULL, 0), .text = slice_of(texts[i]), .from = SLICE("2026-01-01"), .until = SLICE("2026-12-31")};
            arena_init(&a, ARENA_REQUEST_MAX);
            assert_int_equal(sieve_write_away(&away, &script).code, ERROR_NONE);
            run(buffer_slice(&script), &a, &got);
            assert_int_equal(got.n, 2);
            assert_int_equal(got.actions[0].kind, SIEVE_VACATION);
            assert_true(slice_eq(got.actions[0].text, away.text));
            assert_true(!one_line || slice_eq(got.actions[0].vacation->subject, away.subject));
            assert_true(got.actions[1].kind == SIEVE_KEEP && got.actions[1].implicit);
            buffer_free(&script);
            arena_free(&a);
        }
}

static void outside_its_days_an_answer_is_silent(void **state)
{
    (void)state;
    static const struct {
        const char *from, *until;
        size_t actions;
    } table[] = {{"2026-11-24", "2026-11-24", 2}, {"2026-11-25", NULL, 1}, {NULL, "2026-11-23", 1}, {NULL, NULL, 2}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct arena a;
        struct buffer script = {0};
        struct sieve_result got;
        struct sieve_away away = {.text = SLICE("away"), .from = slice_of(table[i].from), .until = slice_of(table[i].until)};
        arena_init(&a, ARENA_REQUEST_MAX);
        assert_int_equal(sieve_write_away(&away, &script).code, ERROR_NONE);
        run(buffer_slice(&script), &a, &got);
        assert_int_equal(got.n, table[i].actions);
        buffer_free(&script);
        arena_free(&a);
    }
}

static void a_nul_is_refused(void **state)
{
    struct buffer b = {0};
    (void)state;
    assert_int_equal(sieve_write_string(SLICE("a\0b"), &b).code, ERROR_INVALID);
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_in_a_written_script_means_itself_and_nothing_else),
        cmocka_unit_test(outside_its_days_an_answer_is_silent),
        cmocka_unit_test(a_nul_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
