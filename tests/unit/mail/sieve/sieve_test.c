/* Sieve over samples: tests/data/sieve/NAME.case hold scripts, messages and the actions that must come of them; and what scripts may cost */
#include <time.h>

#include "tests/unit/mail/sieve/sieve_test.h"

static struct slice file_read(struct arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return slice_make(NULL, 0);
    size_t room = 1024 * 1024;
    char *p = arena_alloc(a, room);
    size_t n = fread(p, 1, room, f);
    (void)fclose(f);
    return slice_make(p, n);
}

static struct slice line_next(struct slice *rest)
{
    size_t n = slice_find(*rest, '\n');
    struct slice line = slice_first(*rest, n);
    *rest = slice_after(*rest, n + 1);
    return line;
}

/* A sample: its parts stay those of the sample before until they are said anew. */
struct sample {
    struct slice name;
    struct buffer script, message, expect;
    struct slice from, to;
};

static int failures;
static size_t samples;

static void sample_run(struct sample *s, const char *path)
{
    struct buffer got = {0};
    if (s->name.n == 0)
        return;
    samples++;
    sieve_test_run(buffer_slice(&s->script), buffer_slice(&s->message), s->from, s->to, &got);
    if (!slice_eq(buffer_slice(&got), buffer_slice(&s->expect))) {
        failures++;
        print_error("%s: %.*s\n--- expected\n%.*s--- got\n%.*s", path, SLICE_ARG(s->name), SLICE_ARG(buffer_slice(&s->expect)), SLICE_ARG(buffer_slice(&got)));
    }
    buffer_free(&got);
}

static void part_begin(struct sample *s, struct slice line, struct buffer **into)
{
    if (slice_starts(line, SLICE("--- script")))
        *into = &s->script;
    else if (slice_starts(line, SLICE("--- message")))
        *into = &s->message;
    else if (slice_starts(line, SLICE("--- expect")))
        *into = &s->expect;
    else
        *into = NULL;
    if (*into)
        buffer_clear(*into);
    if (slice_starts(line, SLICE("--- envelope "))) {
        struct slice words = slice_after(line, 13);
        size_t blank = slice_find(words, ' ');
        s->from = slice_first(words, blank);
        s->to = slice_after(words, blank + 1);
        if (slice_eq(s->from, SLICE("<>")))
            s->from = SLICE("");
    }
}

static void samples_of(const char *name)
{
    char path[128];
    struct arena a;
    struct sample s = {.from = SLICE("sari@kantor.example"), .to = SLICE("budi@kantor.example")};
    struct buffer *into = NULL;
    failures = 0;
    samples = 0;
    arena_init(&a, 64 * 1024 * 1024);
    snprintf(path, sizeof path, "tests/data/sieve/%s.case", name);
    struct slice rest = file_read(&a, path);
    assert_non_null(rest.p);
    while (rest.n) {
        struct slice line = line_next(&rest);
        if (slice_starts(line, SLICE("=== "))) {
            sample_run(&s, path);
            s.name = slice_after(line, 4);
        } else if (slice_starts(line, SLICE("--- "))) {
            part_begin(&s, line, &into);
        } else if (into) {
            buffer_add(into, line);
            buffer_add(into, into == &s.message ? SLICE("\r\n") : SLICE("\n"));
        }
    }
    sample_run(&s, path);
    buffer_free(&s.script);
    buffer_free(&s.message);
    buffer_free(&s.expect);
    arena_free(&a);
    assert_true(samples > 0);
    assert_int_equal(failures, 0);
}

#define SAMPLES(name, file)                                                                                                            \
    static void name(void **state)                                                                                                     \
    {                                                                                                                                  \
        (void)state;                                                                                                                   \
        samples_of(file);                                                                                                              \
    }

SAMPLES(the_base_language_does_what_rfc_5228_says, "base")
SAMPLES(mistakes_are_told_with_their_line_and_a_sentence, "mistakes")
SAMPLES(variables_expand_and_are_bounded, "variables")
SAMPLES(flags_go_with_the_message, "flags")
SAMPLES(actions_of_extensions_come_out_with_all_they_need, "actions")
SAMPLES(tests_of_extensions_look_where_they_should, "tests")

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* attacks.md SV-02 */
static void a_pattern_with_many_stars_costs_no_more_than_the_runs_share(void **state)
{
    static const char *const patterns[] = {"*a*a*a*a*a*a*a*b", "*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "*?*?*?*?*b", "*?x", "x?*", "*x\\\\"};
    (void)state;
    size_t n = 1024 * 1024;
    struct buffer message = {0};
    buffer_add(&message, SLICE("Subject: x\r\n\r\n"));
    memset(buffer_room(&message, n), 'a', n);
    buffer_added(&message, n);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct buffer script = {0}, got = {0};
        buffer_printf(&script, "require [\"body\", \"variables\"];\n");
        for (int k = 0; k < 100; k++)
            buffer_printf(&script, "if body :raw :matches \"%s\" { discard; stop; }\n", patterns[i]);
        double begin = cpu_seconds();
        sieve_test_run(buffer_slice(&script), buffer_slice(&message), SLICE("a@b"), SLICE("c@d"), &got);
        assert_true(cpu_seconds() - begin < 10); /* usual: below 0.3 s */
        assert_true(slice_starts(buffer_slice(&got), SLICE("implicit keep\n")));
        if (i < 2) /* the work of these was cut off */
            assert_true(slice_ends(buffer_slice(&got), SLICE("The script needs too much work for this message.\n")));
        buffer_free(&script);
        buffer_free(&got);
    }
    buffer_free(&message);
}

/* attacks.md SV-04 */
static void deep_and_large_scripts_are_refused(void **state)
{
    struct buffer b = {0}, got = {0};
    (void)state;
    for (int i = 0; i < 5000; i++)
        buffer_add(&b, SLICE("if true{"));
    sieve_test_run(buffer_slice(&b), SLICE("\r\n"), SLICE(""), SLICE(""), &got);
    buffer_clear(&b);
    buffer_add(&b, SLICE("if "));
    for (int i = 0; i < 2500; i++)
        buffer_add(&b, SLICE("not anyof(not "));
    sieve_test_run(buffer_slice(&b), SLICE("\r\n"), SLICE(""), SLICE(""), &got);
    buffer_clear(&b);
    for (int i = 0; i < 12000; i++)
        buffer_add(&b, SLICE("keep;"));
    sieve_test_run(buffer_slice(&b), SLICE("\r\n"), SLICE(""), SLICE(""), &got);
    buffer_clear(&b);
    for (int i = 0; i < 70000; i++)
        buffer_add(&b, SLICE("\n"));
    sieve_test_run(buffer_slice(&b), SLICE("\r\n"), SLICE(""), SLICE(""), &got);
    buffer_add_char(&got, '\0');
    assert_string_equal(buffer_slice(&got).p, "error 1: Blocks are nested too deeply here; 32 levels are allowed.\n"
                                              "error 1: Tests are nested too deeply here; 32 levels are allowed.\n"
                                              "error 1: The script has too many commands and tests.\n"
                                              "error 1: The script is larger than 64 KiB.\n");
    buffer_free(&b);
    buffer_free(&got);
}

/* Many small texts in one script do not multiply its memory. */
static void a_script_of_texts_stays_small_in_memory(void **state)
{
    struct buffer b = {0};
    struct sieve_script *s;
    struct sieve_fault fault;
    struct arena a;
    (void)state;
    arena_init(&a, 16 * 1024 * 1024);
    for (int i = 0; i < 3500; i++)
        buffer_add(&b, SLICE("redirect text:\na@b.c\n.\n;"));
    b.end = b.end > SIEVE_SCRIPT_MAX ? SIEVE_SCRIPT_MAX / 25 * 25 : b.end;
    (void)sieve_compile(buffer_slice(&b), &a, &s, &fault);
    assert_true(a.used < 8 * 1024 * 1024);
    arena_free(&a);
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_base_language_does_what_rfc_5228_says),
        cmocka_unit_test(mistakes_are_told_with_their_line_and_a_sentence),
        cmocka_unit_test(variables_expand_and_are_bounded),
        cmocka_unit_test(flags_go_with_the_message),
        cmocka_unit_test(actions_of_extensions_come_out_with_all_they_need),
        cmocka_unit_test(tests_of_extensions_look_where_they_should),
        cmocka_unit_test(a_pattern_with_many_stars_costs_no_more_than_the_runs_share),
        cmocka_unit_test(deep_and_large_scripts_are_refused),
        cmocka_unit_test(a_script_of_texts_stays_small_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
