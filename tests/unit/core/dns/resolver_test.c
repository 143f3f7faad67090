/* tests/unit/core/dns/resolver_test.c -- the file that is the whole DNS, deadlines, and sets that nobody wants any more; records of any bytes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "core/dns/internal.h"
#include "core/dns/resolver.h"

static char path[] = "/tmp/kantor-dns-XXXXXX";
static const char text[] = "# comment\n"
                           "one.example A 192.9.2.1\none.example. A 192.9.2.2\n"
                           "one.example MX 20 b.example.\none.example MX 10 a.example !secure\n"
                           "alias.example CNAME one.example\n"
                           "*.wild.example TXT \"v=spf1\" \" -all\"\n"
                           "broken.example A !servfail\nslow.example A !timeout\nempty.example TXT !nodata\n"
                           "six.example AAAA 2001:db8::1\nnull.example MX 0 .\n_25._tcp.one.example TLSA 3 1 1 0a0B !secure\n";

static struct resolver *start(int64_t timeout_ms)
{
    struct arena a;
    struct resolver *r = NULL;
    arena_init(&a, 65536);
    assert_int_equal(resolver_new(&(struct resolver_options){.table = path, .forward = "", .trust_anchor = "", .timeout_ms = timeout_ms}, &a, &r).code, ERROR_NONE);
    assert_int_equal(resolver_start(r).code, ERROR_NONE);
    arena_free(&a);
    return r;
}

static void over(void *arg)
{
    (void)sem_post(arg);
}

static struct dns_asked *ask(struct resolver *r, enum dns_type type, const char *name)
{
    sem_t done;
    struct dns_question q = {type, slice_of(name)};
    (void)sem_init(&done, 0, 0);
    struct dns_asked *x = resolver_ask(r, &q, 1, over, &done);
    assert_non_null(x);
    while (sem_wait(&done) != 0) { /* a signal */
    }
    return x;
}

static void expect(struct resolver *r, enum dns_type type, const char *name, enum dns_status status, size_t n, const char *first, bool secure)
{
    struct dns_asked *x = ask(r, type, name);
    const struct dns_answer *answer = resolver_answer(x, 0);
    assert_int_equal(answer->status, status);
    assert_int_equal(answer->n, n);
    assert_int_equal(answer->secure, secure);
    if (n)
        assert_true(slice_eq(answer->records[0].data, slice_of(first)));
    resolver_forget(x);
}

static void the_file_answers_as_a_zone_would(void **state)
{
    struct resolver *r = start(60000);
    (void)state;
    expect(r, DNS_A, "one.example", DNS_FOUND, 2, "\xc0\x09\x02\x01", false);
    expect(r, DNS_A, "ONE.example.", DNS_FOUND, 2, "\xc0\x09\x02\x01", false);
    expect(r, DNS_MX, "alias.example", DNS_FOUND, 2, "b.example", false);
    expect(r, DNS_TXT, "a.b.wild.example", DNS_FOUND, 1, "v=spf1 -all", false);
    expect(r, DNS_A, "wild.example", DNS_NXDOMAIN, 0, "", false);
    expect(r, DNS_A, "nobody.example", DNS_NXDOMAIN, 0, "", false);
    expect(r, DNS_TXT, "one.example", DNS_NODATA, 0, "", false);
    expect(r, DNS_TXT, "empty.example", DNS_NODATA, 0, "", false);
    expect(r, DNS_A, "broken.example", DNS_TEMPERROR, 0, "", false);
    expect(r, DNS_MX, "null.example", DNS_FOUND, 1, "", false);
    expect(r, DNS_TLSA, "_25._tcp.one.example", DNS_FOUND, 1, "\x03\x01\x01\x0a\x0b", true);
    expect(r, DNS_A, "a..b", DNS_NXDOMAIN, 0, "", false);
    struct dns_asked *x = ask(r, DNS_MX, "alias.example");
    assert_int_equal(resolver_answer(x, 0)->records[1].preference, 10);
    assert_true(slice_eq(resolver_answer(x, 0)->canonical, SLICE("one.example")));
    resolver_forget(x);
    resolver_free(r);
}

static void silence_is_a_passing_fault_after_the_deadline(void **state)
{
    struct resolver *r = start(20);
    (void)state;
    expect(r, DNS_A, "slow.example", DNS_TEMPERROR, 0, "", false);
    resolver_free(r);
}

static void never(void *arg)
{
    (void)arg;
    fail_msg("a forgotten set was called");
}

static void what_is_forgotten_is_never_called(void **state)
{
    struct resolver *r = start(60000);
    struct dns_question slow = {DNS_A, SLICE("slow.example")}, quick = {DNS_A, SLICE("one.example")};
    sem_t done;
    (void)state;
    (void)sem_init(&done, 0, 0);
    resolver_forget(resolver_ask(r, &slow, 1, never, NULL));
    for (int i = 0; i < 200; i++)
        resolver_forget(resolver_ask(r, &quick, 1, over, &done)); /* before, while or after it is called: never afterwards */
    resolver_free(r);
}

static void a_changed_file_counts_at_once(void **state)
{
    struct resolver *r = start(60000);
    (void)state;
    expect(r, DNS_A, "new.example", DNS_NXDOMAIN, 0, "", false);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    (void)fputs("new.example A 192.9.2.9\n", f);
    (void)fclose(f);
    expect(r, DNS_A, "new.example", DNS_FOUND, 1, "\xc0\x09\x02\x09", false);
    resolver_free(r);
}

/* attacks.md DN-03: every cut of every kind of record is refused or read, never read past its end. */
static void records_of_any_bytes_are_read_or_refused(void **state)
{
    static const struct {
        enum dns_type type;
        struct slice wire;
        bool good;
    } rows[] = {
        {DNS_A, {"\1\2\3\4", 4}, true}, {DNS_A, {"\1\2\3", 3}, false}, {DNS_AAAA, {"\1\2\3\4", 4}, false},
        {DNS_MX, {"\0\12\1a\0", 5}, true}, {DNS_MX, {"\0\12", 2}, false}, {DNS_MX, {"\0", 1}, false}, {DNS_MX, {"", 0}, false}, {DNS_MX, {"\0\0\0", 3}, true},
        {DNS_MX, {"\0\12\5a", 4}, false}, {DNS_MX, {"\0\12\3a.b\0", 7}, false}, {DNS_MX, {"\0\12\3a\0b\0", 7}, false}, {DNS_MX, {"\0\12\1a\0x", 6}, false}, {DNS_MX, {"\0\12\300\14", 4}, false},
        {DNS_TXT, {"\1a\1b", 4}, true}, {DNS_TXT, {"\5a", 2}, false}, {DNS_TXT, {"", 0}, false}, {DNS_SRV, {"\0\1\0\2\0\3\1a\0", 9}, true}, {DNS_SRV, {"\0\1\0\2\0\3", 6}, false},
        {DNS_TLSA, {"\3\1\1", 3}, false}, {DNS_TLSA, {"", 0}, false}, {DNS_TLSA, {"\3\1\1x", 4}, true}, {DNS_PTR, {"\1a\0", 3}, true}, {DNS_PTR, {"\1a", 2}, false},
    };
    struct arena a;
    (void)state;
    arena_init(&a, 1024 * 1024);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_record record;
        char *bytes = malloc(rows[i].wire.n ? rows[i].wire.n : 1); /* its own block: a sanitizer sees one byte too far */
        memcpy(bytes, rows[i].wire.p, rows[i].wire.n);
        assert_int_equal(record_read(rows[i].type, slice_make(bytes, rows[i].wire.n), &a, &record), rows[i].good);
        free(bytes);
    }
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_answers_as_a_zone_would), cmocka_unit_test(silence_is_a_passing_fault_after_the_deadline), cmocka_unit_test(what_is_forgotten_is_never_called),
        cmocka_unit_test(a_changed_file_counts_at_once), cmocka_unit_test(records_of_any_bytes_are_read_or_refused),
    };
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1)
        return 1;
    (void)close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    return failed;
}
