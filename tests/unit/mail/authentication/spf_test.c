/* SPF: own cases of tests/data/spf, and the whole public test-suite where ../shared is (RFC 7208; attacks.md MA-19 to MA-22) */
#include "mail/authentication/spf.h"
#include "tests/unit/mail/authentication/zone.h"

/* 4.6.4: TXT of 11 records; 10 terms with at most 1 + 10 questions; names of the client; exp */
enum { QUESTIONS_MAX = SPF_DEPTH_MAX + SPF_TERMS_MAX * (1 + SPF_HOSTS_MAX) + 1 + SPF_HOSTS_MAX + 1 };

static size_t wrong;

static struct spf_request request_for(struct zone *z, struct slice host, struct slice helo, struct slice sender)
{
    struct spf_request r = {.helo = helo, .sender = sender, .receiver = SLICE("mx.kantor.example"), .now_at = 1700000000};
    bool six = slice_find(host, ':') < host.n;
    r.address_bytes = six ? 16 : 4;
    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, arena_string(&z->arena, host), r.address), 1);
    return r;
}

static void judge(struct zone *z, const struct spf_request *r, struct spf *spf)
{
    struct dns_question q;
    z->asked = 0;
    assert_int_equal(spf_begin(spf, &z->arena, r).code, ERROR_NONE);
    while (spf_step(spf, &q) == SPF_NEED) {
        struct dns_answer answer = zone_answer(z, q);
        spf_answer(spf, &answer);
    }
    assert_true(z->asked <= QUESTIONS_MAX);
}

static bool one_of(struct slice list, struct slice word)
{
    while (list.n) {
        size_t end = slice_find(list, '|');
        if (slice_eq(slice_first(list, end), word))
            return true;
        list = slice_after(list, end + 1);
    }
    return false;
}

/* case NAME HOST HELO SENDER RESULT|RESULT EXPLANATION [QUESTIONS]; of an explanation "*" is any, DEFAULT none. */
static void run_case(struct zone *z, const struct slice *f, size_t n)
{
    struct spf spf;
    assert_true(n >= 5);
    struct spf_request r = request_for(z, f[1], f[2], f[3]);
    struct slice wanted = n > 5 ? f[5] : SLICE("*"), text = SLICE("DEFAULT");
    uint64_t questions = UINT64_MAX;
    judge(z, &r, &spf);
    if (spf.explanation.p)
        text = spf.explanation;
    if (n > 6)
        assert_true(slice_number(f[6], UINT64_MAX, &questions));
    if (one_of(f[4], slice_of(spf_result_word(spf.result))) && (slice_eq(wanted, SLICE("*")) || slice_eq(wanted, text)) &&
        (questions == UINT64_MAX || questions == z->asked))
        return;
    wrong++;
    print_error("%s: %.*s: %s (%s, %.*s, %zu questions), wanted %.*s (%.*s)\n", z->scenario, SLICE_ARG(f[0]), spf_result_word(spf.result),
                spf.problem ? spf.problem : "no problem", SLICE_ARG(text), z->asked, SLICE_ARG(f[4]), SLICE_ARG(wanted));
}

static void own_cases_give_their_results(void **state)
{
    struct zone z = {.n = 0};
    FILE *f = fopen("tests/data/spf/own.txt", "r");
    assert_non_null(f);
    wrong = 0;
    assert_true(zone_read(&z, f, run_case) > 50);
    fclose(f);
    assert_int_equal(wrong, 0);
    (void)state;
}

static void the_public_suite_passes_whole(void **state)
{
    static const char *const places[] = {"../shared/corpus/spf/openspf/rfc7208-tests.yml", "/work/shared/corpus/spf/openspf/rfc7208-tests.yml"};
    struct zone z = {.n = 0};
    char command[300];
    const char *suite = access(places[0], R_OK) == 0 ? places[0] : places[1];
    if (access(suite, R_OK) != 0)
        skip();
    snprintf(command, sizeof command, "/usr/bin/python3 tests/data/spf/from_yaml.py %s", suite);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    wrong = 0;
    size_t cases = zone_read(&z, f, run_case);
    assert_int_equal(pclose(f), 0);
    print_message("the public SPF suite: %zu of %zu cases pass\n", cases - wrong, cases);
    assert_true(cases >= 100);
    assert_int_equal(wrong, 0);
    (void)state;
}

static void zone_of(struct zone *z, const char *const (*rows)[3], size_t n)
{
    *z = (struct zone){.scenario = "rows"};
    arena_init(&z->arena, 64 * 1024 * 1024);
    for (size_t i = 0; i < n; i++)
        zone_add(z, slice_of(rows[i][0]), slice_of(rows[i][1]), slice_of(rows[i][2]));
}

static void the_deciding_term_and_identity_are_told(void **state)
{
    static const char *const rows[][3] = {
        {"k.example", "TXT", "v=spf1 include:i.example ~all"},
        {"i.example", "TXT", "v=spf1 ip4:192.0.2.0/24 -all"},
        {"n.example", "TXT", "v=spf1 ip4:192.0.2.9"},
    };
    struct zone z;
    struct spf spf;
    zone_of(&z, rows, 3);
    struct spf_request r = request_for(&z, SLICE("192.0.2.1"), SLICE("k.example"), SLICE(""));
    judge(&z, &r, &spf);
    assert_int_equal(spf.result, SPF_PASS);
    assert_true(spf.of_helo && !spf.wide && slice_eq(spf.mechanism, SLICE("include:i.example")) && slice_eq(spf.domain, SLICE("k.example")));
    r = request_for(&z, SLICE("198.51.100.1"), SLICE("h.example"), SLICE("a@K.Example."));
    judge(&z, &r, &spf);
    assert_int_equal(spf.result, SPF_SOFTFAIL);
    assert_true(!spf.of_helo && slice_eq(spf.mechanism, SLICE("~all")) && slice_eq(spf.domain, SLICE("k.example")));
    r = request_for(&z, SLICE("192.0.2.1"), SLICE("h.example"), SLICE("a@n.example"));
    judge(&z, &r, &spf);
    assert_int_equal(spf.result, SPF_NEUTRAL);
    assert_true(slice_eq(spf.mechanism, SLICE("default")));
    arena_free(&z.arena);
    (void)state;
}

/* MA-21: a pass that half of the internet gets. */
static void passes_by_all_and_by_huge_networks_are_marked_wide(void **state)
{
    static const struct {
        const char *record, *host;
        bool wide;
    } cases[] = {
        {"v=spf1 +all", "192.0.2.1", true},
        {"v=spf1 ip4:192.0.2.1/8 -all", "192.0.2.1", true},
        {"v=spf1 ip4:192.0.2.1/16 -all", "192.0.2.1", false},
        {"v=spf1 a:h.example/15 -all", "192.0.2.1", true},
        {"v=spf1 ip6:2001:db8::/31 -all", "2001:db8::1", true},
        {"v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", false},
        {"v=spf1 include:w.example -all", "192.0.2.1", true},
        {"v=spf1 include:no.example ip4:192.0.2.1 -all", "192.0.2.1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const rows[][3] = {
            {"k.example", "TXT", cases[i].record}, {"h.example", "A", "192.0.2.200"}, {"w.example", "TXT", "v=spf1 +all"}, {"no.example", "TXT", "v=spf1 -all"}};
        struct zone z;
        struct spf spf;
        zone_of(&z, rows, 4);
        struct spf_request r = request_for(&z, slice_of(cases[i].host), SLICE("h.example"), SLICE("a@k.example"));
        judge(&z, &r, &spf);
        assert_int_equal(spf.result, SPF_PASS);
        assert_int_equal(spf.wide, cases[i].wide);
        arena_free(&z.arena);
    }
    (void)state;
}

/* RFC 7208 7.4 */
static void macros_expand_as_the_rfc_shows(void **state)
{
    static const struct {
        const char *macro, *four, *six;
    } cases[] = {
        {"%{s}", "strong-bad@email.example.com", NULL}, {"%{o}", "email.example.com", NULL}, {"%{d}", "email.example.com", NULL},
        {"%{d4}", "email.example.com", NULL}, {"%{d3}", "email.example.com", NULL}, {"%{d2}", "example.com", NULL}, {"%{d1}", "com", NULL},
        {"%{dr}", "com.example.email", NULL}, {"%{d2r}", "example.email", NULL}, {"%{l}", "strong-bad", NULL}, {"%{l-}", "strong.bad", NULL},
        {"%{lr}", "strong-bad", NULL}, {"%{lr-}", "bad.strong", NULL}, {"%{l1r-}", "strong", NULL}, {"%{d0000000000000000000000000002}", "example.com", NULL},
        {"%{d99999999999999999999}", "email.example.com", NULL}, {"%{S}", "strong-bad%40email.example.com", NULL}, {"%{t}", "1700000000", NULL},
        {"%{r}", "mx.kantor.example", NULL}, {"%{h}", "helo.example", NULL}, {"%{p}", "unknown", NULL}, {"%{C}", "192.0.2.3", "2001%3Adb8%3A%3Acb01"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com",
         "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com", NULL},
        {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const rows[][3] = {{"email.example.com", "TXT", "v=spf1 -all exp=x.example"}, {"x.example", "TXT", cases[i].macro}};
        for (int six = 0; six < (cases[i].six ? 2 : 1); six++) {
            struct zone z;
            struct spf spf;
            zone_of(&z, rows, 2);
            struct spf_request r = request_for(&z, six ? SLICE("2001:db8::cb01") : SLICE("192.0.2.3"), SLICE("helo.example"), SLICE("strong-bad@email.example.com"));
            judge(&z, &r, &spf);
            assert_non_null(spf.explanation.p);
            assert_string_equal(arena_string(&z.arena, spf.explanation), six ? cases[i].six : cases[i].four);
            arena_free(&z.arena);
        }
    }
    (void)state;
}

/* MA-20: whatever stands in exp= and in the sender, a reply can carry it. */
static void an_explanation_is_short_and_printable(void **state)
{
    char *text = malloc(65001);
    struct zone z;
    struct spf spf;
    memset(text, 'x', 65000);
    text[65000] = 0;
    memcpy(text, "%{l}", 4);
    const char *const rows[][3] = {{"k.example", "TXT", "v=spf1 -all exp=x.example"}, {"x.example", "TXT", text}};
    zone_of(&z, rows, 2);
    struct spf_request r = request_for(&z, SLICE("192.0.2.3"), SLICE("h"), SLICE("a\r\n250 \xc3\xbc@k.example"));
    judge(&z, &r, &spf);
    assert_int_equal(spf.explanation.n, SPF_EXPLANATION_MAX);
    assert_memory_equal(spf.explanation.p, "a??250 ??xxx", 12);
    arena_free(&z.arena);
    free(text);
    (void)state;
}

/* The largest record there can be costs little: no answer is copied twice, no expansion grows. */
static void a_record_of_64_kib_of_macros_stays_small(void **state)
{
    char *text = malloc(65536);
    size_t n = (size_t)snprintf(text, 65536, "v=spf1 exists:");
    struct zone z;
    struct spf spf;
    while (n + 20 < 65535)
        n += (size_t)snprintf(text + n, 65536 - n, "%%{s255r-+,/_=}");
    const char *const rows[][3] = {{"k.example", "TXT", text}};
    zone_of(&z, rows, 1);
    struct spf_request r = request_for(&z, SLICE("192.0.2.3"), SLICE("h"), SLICE("a-b+c@k.example"));
    size_t before = z.arena.used;
    judge(&z, &r, &spf);
    assert_int_equal(spf.result, SPF_NEUTRAL);
    assert_true(z.arena.used - before < 3 * 65536);
    arena_free(&z.arena);
    free(text);
    (void)state;
}

static void time_that_is_up_gives_temperror_but_keeps_a_result_that_was_found(void **state)
{
    static const char *const rows[][3] = {{"k.example", "TXT", "v=spf1 -all exp=x.example"}};
    struct zone z;
    struct spf spf;
    struct dns_question q;
    zone_of(&z, rows, 1);
    struct spf_request r = request_for(&z, SLICE("192.0.2.3"), SLICE("h"), SLICE("a@k.example"));
    assert_int_equal(spf_begin(&spf, &z.arena, &r).code, ERROR_NONE);
    spf_give_up(&spf);
    assert_int_equal(spf.result, SPF_TEMPERROR);
    assert_int_equal(spf_begin(&spf, &z.arena, &r).code, ERROR_NONE);
    assert_int_equal(spf_step(&spf, &q), SPF_NEED);
    struct dns_answer answer = zone_answer(&z, q);
    spf_answer(&spf, &answer);
    assert_int_equal(spf_step(&spf, &q), SPF_NEED); /* for the explanation */
    spf_give_up(&spf);
    assert_int_equal(spf_step(&spf, &q), SPF_DONE);
    assert_int_equal(spf.result, SPF_FAIL);
    arena_free(&z.arena);
    (void)state;
}

static void want_of_memory_is_a_temperror(void **state)
{
    static const char *const rows[][3] = {{"k.example", "TXT", "v=spf1 include:i.example mx ptr -all exp=%{p}.x.example"},
                                          {"i.example", "TXT", "v=spf1 mx:k.example redirect=k.example"},
                                          {"k.example", "MX", "10 k.example"}};
    struct zone z;
    zone_of(&z, rows, 3);
    struct spf_request r = request_for(&z, SLICE("192.0.2.3"), SLICE("h"), SLICE("a@k.example"));
    for (size_t room = 0; room < 3000; room += 16) {
        struct spf spf;
        struct dns_question q;
        struct arena small;
        arena_init(&small, room);
        bool begun = spf_begin(&spf, &small, &r).code == ERROR_NONE;
        while (begun && spf_step(&spf, &q) == SPF_NEED) {
            struct dns_answer answer = zone_answer(&z, q);
            spf_answer(&spf, &answer);
        }
        assert_true(!begun || spf.result == SPF_TEMPERROR || spf.result == SPF_PERMERROR);
        arena_free(&small);
    }
    arena_free(&z.arena);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_cases_give_their_results),
        cmocka_unit_test(the_public_suite_passes_whole),
        cmocka_unit_test(the_deciding_term_and_identity_are_told),
        cmocka_unit_test(passes_by_all_and_by_huge_networks_are_marked_wide),
        cmocka_unit_test(macros_expand_as_the_rfc_shows),
        cmocka_unit_test(an_explanation_is_short_and_printable),
        cmocka_unit_test(a_record_of_64_kib_of_macros_stays_small),
        cmocka_unit_test(time_that_is_up_gives_temperror_but_keeps_a_result_that_was_found),
        cmocka_unit_test(want_of_memory_is_a_temperror),
    };
    return cmocka_run_group_tests_name("mail/authentication/spf", tests, NULL, NULL);
}
