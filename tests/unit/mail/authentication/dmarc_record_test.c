/* Records of DMARC: every tag and its rule for errors (RFC 7489 6.3, 6.4, 6.6.3; RFC 9091) */
#include "mail/authentication/dmarc_record.h"
#include "tests/unit/mail/authentication/zone.h"

/* "p sp np adkim aspf pct ri fo | rua | ruf", or what it is instead. */
static const char *shown(struct slice text, char *to, size_t room)
{
    struct dmarc_record r;
    enum dmarc_reading reading = dmarc_record_parse(text, &r);
    if (reading != DMARC_VALID)
        return reading == DMARC_INVALID ? "invalid" : "no record";
    int n = snprintf(to, room, "%s %s %s%s %c %c %u %u %u", dmarc_policy_word(r.p), dmarc_policy_word(r.sp), dmarc_policy_word(r.np), r.reports_only ? "!" : "",
                     "rs"[r.adkim], "rs"[r.aspf], r.pct, r.interval_seconds, r.failures);
    for (int k = 0; k < 2; k++) {
        const struct dmarc_uris *uris = k ? &r.ruf : &r.rua;
        n += snprintf(to + n, room - (size_t)n, "%s", uris->n ? " |" : "");
        for (size_t i = 0; i < uris->n; i++) {
            n += snprintf(to + n, room - (size_t)n, " %.*s", SLICE_ARG(uris->all[i].uri));
            if (uris->all[i].bytes_max != UINT64_MAX)
                n += snprintf(to + n, room - (size_t)n, "<%llu", (unsigned long long)uris->all[i].bytes_max);
        }
    }
    return to;
}

static void records_are_read_as_the_rfc_says(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"v=DMARC1; p=none", "none none none r r 100 86400 0"},
        {"v=DMARC1;p=reject;", "reject reject reject r r 100 86400 0"},
        {" v = DMARC1 ; p = Quarantine ", "quarantine quarantine quarantine r r 100 86400 0"},
        {"V=DMARC1; P=REJECT; SP=None", "reject none none r r 100 86400 0"},
        {"v=DMARC1; p=none; np=reject; sp=quarantine", "none quarantine reject r r 100 86400 0"},
        {"v=DMARC1; p=reject; np=moo", "reject reject reject r r 100 86400 0"},
        {"v=DMARC1; p=reject; adkim=s; aspf=S; pct=0; ri=3600", "reject reject reject s s 0 3600 0"},
        {"v=DMARC1; p=reject; adkim=x; aspf=; pct=101; ri=-1", "reject reject reject r r 100 86400 0"},
        {"v=DMARC1; p=reject; pct=50%; ri=4294967296", "reject reject reject r r 100 86400 0"},
        {"v=DMARC1; p=reject; pct=007; ri=4294967295", "reject reject reject r r 7 4294967295 0"},
        {"v=DMARC1; p=reject; pct=10; pct=20; p=none", "reject reject reject r r 10 86400 0"},
        {"v=DMARC1; p=reject; rf=iodef; x=y; =; ;;; moo", "reject reject reject r r 100 86400 0"},
        {"v=DMARC1; rua=mailto:a@x; p=reject", "reject reject reject r r 100 86400 0 | mailto:a@x"},
        {"v=DMARC1; p=none; rua=mailto:a@x!10m , mailto:b@y,https://z/r!5", "none none none r r 100 86400 0 | mailto:a@x<10485760 mailto:b@y https://z/r<5"},
        {"v=DMARC1; p=none; rua=mailto:a@x!1k,mailto:a@x!1G,mailto:a@x!1t", "none none none r r 100 86400 0 | mailto:a@x<1024 mailto:a@x<1073741824 mailto:a@x<1099511627776"},
        {"v=DMARC1; p=none; rua=a@x,mailto:,:x,mailto:a b@x,mailto:a@x!,mailto:a@x!m,mailto:a@x!5z,mailto:a@x!99999999999999999999", "none none none r r 100 86400 0"},
        {"v=DMARC1; p=none; fo=1", "none none none r r 100 86400 0"},
        {"v=DMARC1; p=none; ruf=mailto:f@x", "none none none r r 100 86400 1 | mailto:f@x"},
        {"v=DMARC1; p=none; fo=1:d:S:q; ruf=mailto:f@x", "none none none r r 100 86400 14 | mailto:f@x"},
        {"v=DMARC1; p=none; fo=q; ruf=mailto:f@x", "none none none r r 100 86400 1 | mailto:f@x"},
        {"v=DMARC1; p=moo; rua=mailto:a@x", "none none none! r r 100 86400 0 | mailto:a@x"},
        {"v=DMARC1; p=reject; sp=moo; rua=mailto:a@x", "none none none! r r 100 86400 0 | mailto:a@x"},
        {"v=DMARC1; rua=mailto:a@x", "none none none! r r 100 86400 0 | mailto:a@x"},
        {"v=DMARC1; p=reject; sp=moo", "invalid"},
        {"v=DMARC1; p=moo; rua=moo", "invalid"},
        {"v=DMARC1", "invalid"},
        {"v=DMARC1; p=", "invalid"},
        {"v=DMARC1 p=none", "no record"},
        {"v=dmarc1; p=none", "no record"},
        {"v=DMARC10; p=none", "no record"},
        {"v=DMARC2; p=none", "no record"},
        {"p=none; v=DMARC1", "no record"},
        {"v=spf1 -all", "no record"},
        {"", "no record"},
        {";;;", "no record"},
    };
    char text[600];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(shown(slice_of(rows[i].text), text, sizeof text), rows[i].expected);
    (void)state;
}

static void of_a_thousand_addresses_ten_are_kept(void **state)
{
    char text[16000] = "v=DMARC1; p=none; rua=mailto:a@x";
    struct dmarc_record r;
    for (size_t n = strlen(text), i = 0; i < 1000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, ",mailto:b@y");
    assert_int_equal(dmarc_record_parse(slice_of(text), &r), DMARC_VALID);
    assert_int_equal(r.rua.n, DMARC_URIS_MAX);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_as_the_rfc_says),
        cmocka_unit_test(of_a_thousand_addresses_ten_are_kept),
    };
    return cmocka_run_group_tests_name("mail/authentication/dmarc_record", tests, NULL, NULL);
}
