/* DMARC: authors, discovery, alignment, policy (RFC 7489 3, 6.6; attacks.md MA-13, MA-16, MA-18, MA-21, MA-22, MA-26) */
#include "core/buffer.h"
#include "mail/authentication/dmarc.h"
#include "tests/unit/mail/authentication/zone.h"

struct world {
    struct zone zone;
    struct suffix_list *suffixes;
    struct dmarc d;
    struct dmarc_verdict verdict;
};

static int open_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    arena_init(&w->zone.arena, 16 * 1024 * 1024);
    assert_int_equal(suffix_list_open("tests/data/dmarc/suffixes.dat", &w->suffixes).code, ERROR_NONE);
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    suffix_list_close(w->suffixes);
    arena_free(&w->zone.arena);
    free(w);
    return 0;
}

static void publish(struct world *w, const char *domain, const char *text)
{
    zone_add(&w->zone, slice_of(arena_printf(&w->zone.arena, "_dmarc.%s", domain)), SLICE("TXT"), slice_of(text));
}

static void discover(struct world *w, const struct slice *from, size_t n)
{
    struct dns_question q;
    w->zone.asked = 0;
    assert_int_equal(dmarc_begin(&w->d, &w->zone.arena, w->suffixes, from, n).code, ERROR_NONE);
    while (dmarc_step(&w->d, &q) == DMARC_NEED) {
        struct dns_answer answer = zone_answer(&w->zone, q);
        assert_int_equal(dmarc_answer(&w->d, &answer).code, ERROR_NONE);
    }
    assert_true(w->zone.asked <= 5 * DMARC_AUTHORS_MAX);
}

static void discover_one(struct world *w, const char *from)
{
    struct slice value = slice_of(from);
    discover(w, &value, 1);
}

/* With a pass of SPF for spf and of DKIM for dkim; NULL: none. "result disposition". */
static const char *judge(struct world *w, const char *spf, const char *dkim, unsigned sample)
{
    struct dmarc_identity signatures[] = {{SLICE("unrelated.com"), DMARC_PROOF_PASS}, {slice_of(dkim ? dkim : ""), DMARC_PROOF_PASS}};
    struct dmarc_evidence e = {{slice_of(spf ? spf : ""), spf ? DMARC_PROOF_PASS : DMARC_PROOF_FAIL}, signatures, dkim ? 2 : 1, sample};
    dmarc_judge(&w->d, &e, &w->verdict);
    return arena_printf(&w->zone.arena, "%s %s%s", dmarc_result_word(w->verdict.result), dmarc_policy_word(w->verdict.disposition),
                        w->verdict.sampled_out ? " sampled" : "");
}

static void organizational_domains_are_one_label_below_the_suffix(void **state)
{
    static const char *const rows[][2] = {
        {"a.b.c.d.example.com", "example.com"}, {"Example.COM", "Example.COM"}, {"com", ""}, {"co.id", ""}, {"k.co.id", "k.co.id"}, {"x.k.co.id", "k.co.id"},
        {"k.id", "k.id"}, {"a.b.c.wild.example", "b.c.wild.example"}, {"c.wild.example", ""}, {"x.city.wild.example", "city.wild.example"},
        {"a.b.unlisted", "b.unlisted"}, {"", ""}, {"a..com", ""}, {"a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn"}, {"xn--55qx5d.cn", ""},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice found = suffix_organizational(w->suffixes, slice_of(rows[i][0]));
        assert_string_equal(arena_string(&w->zone.arena, found), rows[i][1]);
    }
}

static void the_machines_own_list_knows_common_suffixes(void **state)
{
    struct suffix_list *list;
    assert_int_equal(suffix_list_open(NULL, &list).code, ERROR_NONE);
    assert_true(slice_eq(suffix_organizational(list, SLICE("a.b.co.uk")), SLICE("b.co.uk")));
    assert_int_equal(suffix_organizational(list, SLICE("co.uk")).n, 0);
    assert_false(suffix_same_organization(list, SLICE("a.co.id"), SLICE("b.co.id")));
    suffix_list_close(list);
    (void)state;
}

static void authors_are_found_as_people_see_them(void **state)
{
    static const struct {
        const char *from;
        enum dmarc_from kind;
        const char *domains;
    } rows[] = {
        {"a@x.com", DMARC_FROM_ONE, "x.com"},
        {" Budi\r\n <a@X.com>", DMARC_FROM_ONE, "x.com"},
        {"a@x.com, b@X.COM.", DMARC_FROM_ONE, "x.com"},
        {"a@x.com, b@y.com", DMARC_FROM_SEVERAL, "x.com y.com"},
        {"g:;", DMARC_FROM_NO_DOMAIN, ""},
        {"g: a@x.com;", DMARC_FROM_ONE, "x.com"},
        {"<>", DMARC_FROM_NO_DOMAIN, ""},
        {"", DMARC_FROM_NO_DOMAIN, ""},
        {"budi", DMARC_FROM_NO_DOMAIN, ""},
        {"a@[192.0.2.1]", DMARC_FROM_NO_DOMAIN, ""},
        {"a@localhost", DMARC_FROM_NO_DOMAIN, ""},
        {"a@x.com, budi", DMARC_FROM_SEVERAL, "x.com"},
        {"a@x.com <b@y.com>", DMARC_FROM_ONE, "y.com"},
        {"<@x.com,@z.com:b@y.com>", DMARC_FROM_ONE, "y.com"},
        {"(b@y.com) a@x.com", DMARC_FROM_ONE, "x.com"},
        {"\"Someone <someone@junk.com>\"@mine.com", DMARC_FROM_ONE, "mine.com"},
        {"=?utf-8?b?PGFAeD4=?=,<b@y.com>", DMARC_FROM_SEVERAL, "y.com"},
        {"a@b\xc3\xbc" "cher.com", DMARC_FROM_ONE, "xn--bcher-kva.com"},
        {"a@legit.com'a.attack.com", DMARC_FROM_NO_DOMAIN, ""},
        {"a@1.com,a@2.com,a@3.com,a@4.com,a@5.com,a@6.com,a@7.com,a@8.com,a@9.com", DMARC_FROM_MANY, "1.com 2.com 3.com 4.com 5.com 6.com 7.com 8.com"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *domains = "";
        discover_one(w, rows[i].from);
        for (size_t k = 0; k < w->d.n; k++)
            domains = arena_printf(&w->zone.arena, "%s%s%.*s", domains, k ? " " : "", SLICE_ARG(w->d.authors[k].domain));
        assert_string_equal(domains, rows[i].domains);
        assert_int_equal(w->d.from, rows[i].kind);
    }
    discover(w, NULL, 0);
    assert_int_equal(w->d.from, DMARC_FROM_MISSING);
    assert_string_equal(judge(w, "x.com", "x.com", 0), "none none");
}

static void alignment_is_relaxed_or_strict_for_each_check(void **state)
{
    static const struct {
        const char *from, *record, *spf, *dkim, *expected;
    } rows[] = {
        {"a@news.k.com", "v=DMARC1; p=reject", "k.com", NULL, "pass none"},
        {"a@news.k.com", "v=DMARC1; p=reject", "bounce.k.com", NULL, "pass none"},
        {"a@news.k.com", "v=DMARC1; p=reject", NULL, "K.com", "pass none"},
        {"a@news.k.com", "v=DMARC1; p=reject", "other.com", "k.com.evil.com", "fail reject"},
        {"a@news.k.com", "v=DMARC1; p=reject", "evilk.com", NULL, "fail reject"},
        {"a@news.k.com", "v=DMARC1; p=reject", NULL, "com", "fail reject"},
        {"a@news.k.com", "v=DMARC1; p=reject; aspf=s", "k.com", NULL, "fail reject"},
        {"a@news.k.com", "v=DMARC1; p=reject; aspf=s", "k.com", "k.com", "pass none"},
        {"a@news.k.com", "v=DMARC1; p=reject; adkim=s", NULL, "k.com", "fail reject"},
        {"a@k.com", "v=DMARC1; p=reject; adkim=s; aspf=s", NULL, "k.com", "pass none"},
        {"a@k.com", "v=DMARC1; p=reject; adkim=s; aspf=s", "k.com.", NULL, "pass none"},
        {"a@k.com", "v=DMARC1; p=quarantine", NULL, NULL, "fail quarantine"},
        {"a@k.com", "v=DMARC1; p=none", NULL, NULL, "fail none"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        w->zone.n = 0;
        publish(w, "k.com", rows[i].record);
        discover_one(w, rows[i].from);
        assert_string_equal(judge(w, rows[i].spf, rows[i].dkim, 0), rows[i].expected);
    }
    assert_false(w->verdict.spf_aligned);
}

static void a_domain_that_is_a_suffix_is_vouched_for_by_itself_only(void **state)
{
    struct world *w = *state;
    publish(w, "co.id", "v=DMARC1; p=reject");
    discover_one(w, "a@co.id");
    assert_string_equal(judge(w, "co.id", NULL, 0), "pass none");
    assert_string_equal(judge(w, "x.co.id", NULL, 0), "fail reject");
}

static void a_subdomain_has_its_own_record_or_that_of_the_organization(void **state)
{
    static const struct {
        const char *from, *published_at;
        size_t asked;
        const char *expected;
    } rows[] = {
        {"a@sub.k.com", "k.com", 2, "fail reject"},
        {"a@own.k.com", "own.k.com", 1, "fail quarantine"},
        {"a@x.own.k.com", "k.com", 2, "fail reject"}, /* no walk up the tree in RFC 7489 */
        {"a@k.com", "k.com", 1, "fail none"},
    };
    struct world *w = *state;
    publish(w, "k.com", "v=DMARC1; p=none; sp=reject");
    publish(w, "own.k.com", "v=DMARC1; p=quarantine; sp=reject");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        discover_one(w, rows[i].from);
        assert_int_equal(w->zone.asked, rows[i].asked);
        assert_true(slice_eq(w->d.authors[0].published_at, slice_of(rows[i].published_at)));
        assert_string_equal(judge(w, NULL, NULL, 0), rows[i].expected);
    }
}

static void a_subdomain_that_does_not_exist_gets_np(void **state)
{
    static const char *const rows[][2] = {
        {"x@nothere.bank.com", "fail reject"}, {"x@empty.bank.com", "fail reject"}, {"x@there.bank.com", "fail none"}, {"x@slow.bank.com", "fail none"}};
    struct world *w = *state;
    publish(w, "bank.com", "v=DMARC1; p=none; np=reject");
    zone_add(&w->zone, SLICE("there.bank.com"), SLICE("AAAA"), SLICE("2001:db8::1"));
    zone_add(&w->zone, SLICE("empty.bank.com"), SLICE("EMPTY"), SLICE(""));
    zone_add(&w->zone, SLICE("slow.bank.com"), SLICE("TIMEOUT"), SLICE(""));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        discover_one(w, rows[i][0]);
        assert_string_equal(judge(w, NULL, NULL, 0), rows[i][1]);
    }
}

static void what_is_published_wrongly_counts_as_the_rfc_says(void **state)
{
    struct world *w = *state;
    publish(w, "two.com", "v=DMARC1; p=reject");
    publish(w, "two.com", "v=DMARC1; p=none");
    publish(w, "mixed.com", "v=spf1 -all");
    publish(w, "mixed.com", "v=DMARC1; p=reject");
    publish(w, "broken.com", "v=DMARC1; p=moo");
    publish(w, "reports.com", "v=DMARC1; p=moo; rua=mailto:a@reports.com");
    zone_add(&w->zone, SLICE("_dmarc.slow.com"), SLICE("TIMEOUT"), SLICE(""));
    publish(w, "sub.over.com", "hello");
    publish(w, "over.com", "v=DMARC1; p=reject");
    static const char *const rows[][2] = {
        {"a@two.com", "none none"}, {"a@mixed.com", "fail reject"}, {"a@broken.com", "permerror none"}, {"a@reports.com", "fail none"},
        {"a@slow.com", "temperror none"}, {"a@nothing.com", "none none"}, {"a@sub.over.com", "fail reject"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        discover_one(w, rows[i][0]);
        assert_string_equal(judge(w, NULL, NULL, 0), rows[i][1]);
    }
}

static void sampling_gives_the_rest_the_next_milder_policy(void **state)
{
    static const struct {
        const char *record;
        unsigned sample;
        const char *expected;
    } rows[] = {
        {"v=DMARC1; p=reject; pct=20", 19, "fail reject"},         {"v=DMARC1; p=reject; pct=20", 20, "fail quarantine sampled"},
        {"v=DMARC1; p=quarantine; pct=20", 20, "fail none sampled"}, {"v=DMARC1; p=none; pct=0", 0, "fail none"},
        {"v=DMARC1; p=reject; pct=0", 0, "fail quarantine sampled"}, {"v=DMARC1; p=reject", 99, "fail reject"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        w->zone.n = 0;
        publish(w, "k.com", rows[i].record);
        discover_one(w, "a@k.com");
        assert_string_equal(judge(w, NULL, NULL, rows[i].sample), rows[i].expected);
    }
}

static void of_several_authors_the_worst_counts(void **state)
{
    struct world *w = *state;
    publish(w, "strict.com", "v=DMARC1; p=reject");
    publish(w, "mild.com", "v=DMARC1; p=none");
    publish(w, "evil.com", "v=DMARC1; p=none");
    static const char *const rows[][2] = {
        {"a@evil.com", "pass none"},
        {"a@evil.com, ceo@strict.com", "fail reject"},
        {"ceo@strict.com, a@evil.com", "fail reject"},
        {"a@evil.com, ceo@mild.com", "fail none"},
        {"ceo@mild.com, ceo@strict.com", "fail reject"},
        {"a@evil.com, b@nothing.com", "none none"},
        {"a@evil.com, Chief Executive", "permerror none"},
        {"a@evil.com, a@2.com,a@3.com,a@4.com,a@5.com,a@6.com,a@7.com,a@8.com,ceo@strict.com", "permerror none"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        discover_one(w, rows[i][0]);
        assert_string_equal(judge(w, "evil.com", NULL, 0), rows[i][1]);
    }
    const struct slice twice[] = {SLICE("a@evil.com"), SLICE("b@evil.com")}, other[] = {SLICE("a@evil.com"), SLICE("ceo@strict.com")};
    discover(w, twice, 2);
    assert_int_equal(w->d.from, DMARC_FROM_TWICE);
    assert_string_equal(judge(w, "evil.com", NULL, 0), "permerror none");
    discover(w, other, 2);
    assert_string_equal(judge(w, "evil.com", NULL, 0), "fail reject");
    assert_true(slice_eq(w->verdict.author->domain, SLICE("strict.com")));
}

static void only_an_aligned_temporary_error_delays_the_failure(void **state)
{
    struct world *w = *state;
    struct dmarc_evidence e = {{SLICE("k.com"), DMARC_PROOF_TEMPERROR}, NULL, 0, 0};
    publish(w, "k.com", "v=DMARC1; p=reject");
    discover_one(w, "a@k.com");
    dmarc_judge(&w->d, &e, &w->verdict);
    assert_int_equal(w->verdict.result, DMARC_RESULT_TEMPERROR);
    assert_int_equal(w->verdict.disposition, DMARC_NONE);
    e.spf.domain = SLICE("evil.com");
    dmarc_judge(&w->d, &e, &w->verdict);
    assert_int_equal(w->verdict.result, DMARC_RESULT_FAIL);
    struct dmarc_identity signature = {SLICE("k.com"), DMARC_PROOF_PASS};
    e = (struct dmarc_evidence){{SLICE("k.com"), DMARC_PROOF_TEMPERROR}, &signature, 1, 0};
    dmarc_judge(&w->d, &e, &w->verdict);
    assert_int_equal(w->verdict.result, DMARC_RESULT_PASS);
    assert_true(w->verdict.dkim_aligned && !w->verdict.spf_aligned);
}

static void a_wide_pass_of_spf_proves_nothing_where_that_is_set(void **state)
{
    struct spf spf = {.result = SPF_PASS, .domain = SLICE("k.com"), .wide = true};
    assert_int_equal(dmarc_identity_of_spf(&spf, DMARC_WIDE_PASSES).proof, DMARC_PROOF_PASS);
    assert_int_equal(dmarc_identity_of_spf(&spf, DMARC_WIDE_IS_NEUTRAL).proof, DMARC_PROOF_FAIL);
    spf = (struct spf){.result = SPF_PASS, .domain = SLICE("k.com")};
    assert_int_equal(dmarc_identity_of_spf(&spf, DMARC_WIDE_IS_NEUTRAL).proof, DMARC_PROOF_PASS);
    spf.result = SPF_TEMPERROR;
    assert_int_equal(dmarc_identity_of_spf(&spf, DMARC_WIDE_PASSES).proof, DMARC_PROOF_TEMPERROR);
    spf.result = SPF_SOFTFAIL;
    assert_int_equal(dmarc_identity_of_spf(&spf, DMARC_WIDE_PASSES).proof, DMARC_PROOF_FAIL);
    (void)state;
}

/* 253 bytes leave no room for "_dmarc.": the organization's record is asked for, nothing that the DNS cannot carry. */
static void a_name_too_long_for_its_own_record_gets_that_of_the_organization(void **state)
{
    struct world *w = *state;
    struct buffer b = {0};
    buffer_add(&b, SLICE("a@"));
    for (int i = 0; i < 123; i++)
        buffer_add(&b, SLICE("x."));
    buffer_add(&b, SLICE("k.com"));
    publish(w, "k.com", "v=DMARC1; p=reject");
    discover_one(w, arena_string(&w->zone.arena, buffer_slice(&b)));
    buffer_free(&b);
    assert_int_equal(w->d.n, 1);
    assert_int_equal(w->zone.asked, 1);
    assert_string_equal(judge(w, NULL, NULL, 0), "fail reject");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(organizational_domains_are_one_label_below_the_suffix),
        TEST(the_machines_own_list_knows_common_suffixes),
        TEST(authors_are_found_as_people_see_them),
        TEST(alignment_is_relaxed_or_strict_for_each_check),
        TEST(a_domain_that_is_a_suffix_is_vouched_for_by_itself_only),
        TEST(a_subdomain_has_its_own_record_or_that_of_the_organization),
        TEST(a_subdomain_that_does_not_exist_gets_np),
        TEST(what_is_published_wrongly_counts_as_the_rfc_says),
        TEST(sampling_gives_the_rest_the_next_milder_policy),
        TEST(of_several_authors_the_worst_counts),
        TEST(only_an_aligned_temporary_error_delays_the_failure),
        TEST(a_wide_pass_of_spf_proves_nothing_where_that_is_set),
        TEST(a_name_too_long_for_its_own_record_gets_that_of_the_organization),
    };
    return cmocka_run_group_tests_name("mail/authentication/dmarc", tests, NULL, NULL);
}
