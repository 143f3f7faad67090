/* tests/unit/mail/relay/route_test.c -- from a domain to hosts and addresses, with a DNS of lines
 *
 * A line: name type data…, as `mx.example A 192.0.2.1`; "?" as data is a passing fault, "-" no data, a mark "s" before the type makes the answer signed. A
 * name without a line does not exist. What comes out is compared as one line of text.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "mail/relay/dane.h"
#include "mail/relay/route.h"

enum { RECORDS = 40, ROWS = 64 };

struct world {
    struct route_rules options;
    struct transport rule;
    bool ruled;
    const char *lines[ROWS];
};

static enum dns_type type_of(const char *word)
{
    return !strcmp(word, "MX") ? DNS_MX : !strcmp(word, "A") ? DNS_A : !strcmp(word, "AAAA") ? DNS_AAAA : !strcmp(word, "TLSA") ? DNS_TLSA : 0;
}

static void add_record(struct arena *a, struct dns_answer *x, struct dns_record *records, enum dns_type type, const char *data)
{
    struct dns_record *r = &records[x->n];
    char bytes[16], name[300] = "";
    if (type == DNS_MX) {
        (void)sscanf(data, "%u %299s", &r->preference, name);
        r->data = arena_copy(a, slice_of(name[0] == '.' ? "" : name));
    } else if (type == DNS_TLSA) {
        char *raw = arena_zero(a, 1, 80);
        raw[0] = (char)(data[0] - '0'), raw[1] = (char)(data[1] - '0'), raw[2] = (char)(data[2] - '0');
        r->data = slice_make(raw, (size_t)atoi(data + 4));
    } else {
        assert_int_equal(inet_pton(type == DNS_A ? AF_INET : AF_INET6, data, bytes), 1);
        r->data = arena_copy(a, slice_make(bytes, type == DNS_A ? 4 : 16));
    }
    x->n++;
}

static struct dns_answer lookup(const struct world *w, const struct dns_question *q, struct arena *a)
{
    struct dns_record *records = arena_zero(a, RECORDS, sizeof *records);
    struct dns_answer x = {.status = DNS_NXDOMAIN, .records = records, .canonical = q->name};
    for (size_t i = 0; i < ROWS && w->lines[i]; i++) {
        char name[300], type[10], data[300];
        assert_int_equal(sscanf(w->lines[i], "%299s %9s %299[^\n]", name, type, data), 3);
        bool secure = type[0] == 's';
        if (!slice_eq_nocase(q->name, slice_of(name)))
            continue;
        if (!strcmp(type + secure, "CNAME")) {
            struct dns_answer behind = lookup(w, &(struct dns_question){q->type, slice_of(arena_printf(a, "%s", data))}, a);
            behind.secure = behind.secure && secure;
            return behind;
        }
        if (x.status == DNS_NXDOMAIN)
            x.status = DNS_NODATA;
        if (type_of(type + secure) != q->type)
            continue;
        x.secure = secure;
        x.status = data[0] == '?' ? DNS_TEMPERROR : data[0] == '-' ? DNS_NODATA : DNS_FOUND;
        if (x.status == DNS_FOUND && data[0] != '!')
            add_record(a, &x, records, q->type, data);
    }
    return x;
}

static void write_host(struct buffer *out, const struct route_host *h, const struct route_target *targets)
{
    static const char *const words[] = {"none", "may", "encrypt", "dane", "verify"};
    buffer_printf(out, "%s%.*s:%u/%s", buffer_length(out) ? " " : "", SLICE_ARG(h->name), h->port, words[h->tls]);
    if (h->tls == TRANSPORT_TLS_DANE)
        buffer_printf(out, "(%zu@%.*s)", h->n_tlsa, SLICE_ARG(h->base));
    for (size_t i = 0; i < h->n; i++) {
        char text[INET6_ADDRSTRLEN];
        const struct sockaddr_storage *to = &targets[i].to;
        bool six = to->ss_family == AF_INET6;
        const void *bytes = six ? (const void *)&((const struct sockaddr_in6 *)to)->sin6_addr : (const void *)&((const struct sockaddr_in *)to)->sin_addr;
        assert_ptr_equal(targets[i].host, h);
        buffer_printf(out, "%c%s", i ? ',' : '=', inet_ntop(six ? AF_INET6 : AF_INET, bytes, text, sizeof text));
    }
}

/* The route as text: hosts, or the reply. */
static const char *found(const struct world *w, const char *destination, struct arena *a)
{
    struct route r;
    struct route_rules rules = w->options;
    size_t rounds = 0;
    rules.transport = w->ruled ? &w->rule : NULL;
    route_begin(&r, slice_of(destination), &rules);
    while (r.status == ROUTE_ASKING) {
        struct dns_answer *x = arena_zero(a, r.n_questions, sizeof *x);
        const struct dns_answer **all = arena_zero(a, r.n_questions, sizeof *all);
        assert_true(r.n_questions > 0 && r.n_questions <= ROUTE_QUESTIONS_MAX && ++rounds <= 3);
        for (size_t i = 0; i < r.n_questions; i++) {
            x[i] = lookup(w, &r.questions[i], a);
            all[i] = &x[i];
        }
        route_answer(&r, all);
    }
    struct buffer out = {0};
    if (r.status != ROUTE_FOUND) {
        assert_int_equal(r.n_targets, 0);
        assert_int_equal(r.reply.p[0], r.status == ROUTE_PERMANENT ? '5' : '4');
        buffer_add(&out, slice_first(r.reply, 10));
    }
    for (size_t i = 0; i < r.n_targets; i += r.targets[i].host->n)
        write_host(&out, r.targets[i].host, &r.targets[i]);
    assert_true(r.n_targets <= ROUTE_TARGETS_MAX);
    const char *text = arena_string(a, buffer_slice(&out));
    buffer_free(&out);
    route_end(&r);
    return text;
}

static bool is_nobodys(const struct sockaddr *x)
{
    (void)x;
    return false;
}

#define OURS .options = {.own_name = "us.example", .port = 25, .own_port = 25, .is_own = is_nobodys, .tls = TRANSPORT_TLS_DANE}

static void expect(struct world w, const char *destination, const char *wanted)
{
    struct arena a;
    arena_init(&a, 16 * 1024 * 1024);
    assert_string_equal(found(&w, destination, &a), wanted);
    arena_free(&a);
}

static void hosts_come_in_the_order_of_their_preference_ipv6_first(void **state)
{
    (void)state;
    expect((struct world){OURS, .lines = {"d.example MX 20 b.example", "d.example MX 10 a.example", "a.example A 192.0.2.1", "a.example AAAA 2001:db8::1", "b.example A 192.0.2.2"}}, "D.example.",
           "a.example:25/may=2001:db8::1,192.0.2.1 b.example:25/may=192.0.2.2");
}

static void equal_preferences_change_places(void **state)
{
    struct world w = {OURS, .lines = {"d.example MX 10 a.example", "d.example MX 10 b.example", "a.example A 192.0.2.1", "b.example A 192.0.2.2"}};
    size_t first[2] = {0};
    (void)state;
    for (w.options.seed = 0; w.options.seed < 200; w.options.seed++) {
        struct arena a;
        arena_init(&a, 1024 * 1024);
        first[found(&w, "d.example", &a)[0] == 'a']++;
        arena_free(&a);
    }
    assert_true(first[0] > 50 && first[1] > 50);
}

static void without_an_mx_the_domain_itself_is_the_host(void **state)
{
    (void)state;
    expect((struct world){OURS, .lines = {"d.example A 192.0.2.1"}}, "d.example", "d.example:25/may=192.0.2.1");
    expect((struct world){OURS, .lines = {"d.example TXT x"}}, "d.example", "550 5.4.4 ");
}

static void what_can_never_work_is_permanent_and_what_is_not_known_is_not(void **state)
{
    (void)state;
    expect((struct world){OURS}, "d.example", "550 5.1.2 ");
    expect((struct world){OURS}, "nodots", "550 5.1.2 ");
    expect((struct world){OURS, .lines = {"d.example MX 0 ."}}, "d.example", "556 5.1.10");
    expect((struct world){OURS, .lines = {"d.example MX 0 .", "d.example MX 10 a.example", "a.example A 192.0.2.1"}}, "d.example", "a.example:25/may=192.0.2.1");
    expect((struct world){OURS, .lines = {"d.example MX ?"}}, "d.example", "451 4.4.3 ");
    expect((struct world){OURS, .lines = {"d.example MX !unreadable"}}, "d.example", "451 4.4.3 ");
    expect((struct world){OURS, .lines = {"d.example MX 1 a.example", "a.example A ?"}}, "d.example", "451 4.4.3 ");
    expect((struct world){OURS, .lines = {"d.example MX 1 a.example"}}, "d.example", "550 5.4.4 ");
    expect((struct world){OURS, .lines = {"d.example MX 1 a.example", "d.example MX 2 b.example", "a.example A ?", "b.example A 192.0.2.2"}}, "d.example", "b.example:25/may=192.0.2.2");
}

/* attacks.md SO-08 */
static void addresses_of_nobody_or_of_ourselves_are_never_tried(void **state)
{
    static const char *const bad[] = {"A 127.0.0.1", "A 127.9.9.9", "A 0.0.0.0", "A 169.254.1.1", "A 224.0.0.1", "A 255.255.255.255", "AAAA ::", "AAAA ::1", "AAAA fe80::1", "AAAA ff02::1", "AAAA ::ffff:127.0.0.1"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[100];
        (void)snprintf(line, sizeof line, "a.example %s", bad[i]);
        expect((struct world){OURS, .lines = {"d.example MX 1 a.example", line}}, "d.example", "554 5.4.6 ");
    }
    expect((struct world){OURS, .lines = {"d.example MX 1 a.example", "a.example A 127.0.0.1", "a.example A 192.0.2.1"}}, "d.example", "a.example:25/may=192.0.2.1");
    expect((struct world){OURS}, "[127.0.0.1]", "554 5.4.6 ");
    expect((struct world){OURS}, "[IPv6:::1]", "554 5.4.6 ");
    expect((struct world){OURS}, "[192.0.2.1]", "[192.0.2.1]:25/may=192.0.2.1");
    expect((struct world){OURS}, "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]:25/may=2001:db8::1");
    expect((struct world){OURS}, "[192.0.2.1", "550 5.1.2 ");
}

static bool is_mine(const struct sockaddr *x)
{
    return x->sa_family == AF_INET && ((const struct sockaddr_in *)x)->sin_addr.s_addr == htonl(0xc0000207);
}

static void our_own_name_cuts_the_list_and_our_own_address_is_a_loop(void **state)
{
    struct world w = {OURS, .lines = {"d.example MX 10 a.example", "d.example MX 20 US.example", "d.example MX 20 b.example", "d.example MX 30 c.example", "a.example A 192.0.2.1", "b.example A 192.0.2.2"}};
    (void)state;
    expect(w, "d.example", "a.example:25/may=192.0.2.1");
    w.lines[0] = "d.example MX 20 a.example";
    expect(w, "d.example", "554 5.4.6 ");
    struct world own = {OURS, .lines = {"d.example MX 10 a.example", "a.example A 192.0.2.7"}};
    own.options.is_own = is_mine;
    expect(own, "d.example", "554 5.4.6 ");
    own.options.allow_loopback = true;
    expect(own, "d.example", "a.example:25/may=192.0.2.7");
}

static void at_most_ten_hosts_and_thirty_addresses_are_tried(void **state)
{
    static char lines[ROWS][64];
    struct world w = {OURS};
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; i < 14; i++) {
        (void)snprintf(lines[n], sizeof lines[n], "d.example MX %u m%u.example", i, i);
        w.lines[n] = lines[n], n++;
    }
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(lines[n], sizeof lines[n], i < 20 ? "m0.example A 192.0.2.%u" : "m1.example AAAA 2001:db8::%u", i + 1);
        w.lines[n] = lines[n], n++;
    }
    expect(w, "d.example", "m0.example:25/may=192.0.2.1,192.0.2.2,192.0.2.3 m1.example:25/may=2001:db8::21,2001:db8::22,2001:db8::23");
    for (unsigned i = 0; i < 20; i++)
        (void)snprintf(lines[14 + i], sizeof lines[14 + i], "m%u.example A 192.0.2.%u", i, i + 1);
    struct arena a;
    arena_init(&a, 4 * 1024 * 1024);
    const char *text = found(&w, "d.example", &a);
    assert_non_null(strstr(text, "m9.example"));
    assert_null(strstr(text, "m10.example"));
    arena_free(&a);
}

static void a_rule_names_host_port_and_credentials(void **state)
{
    struct world w = {OURS, .ruled = true, .rule = {.host = SLICE("smart.example"), .port = 587, .tls = TRANSPORT_TLS_DEFAULT, .user = SLICE("u"), .password = SLICE("p")}, .lines = {"smart.example A 192.0.2.5"}};
    (void)state;
    expect(w, "anything.example", "smart.example:587/verify=192.0.2.5"); /* dane, but nothing signed: then its name has to be proved (SO-19) */
    w.rule.tls = TRANSPORT_TLS_MAY;
    expect(w, "anything.example", "smart.example:587/verify=192.0.2.5");
    w.rule.user = SLICE("");
    expect(w, "anything.example", "smart.example:587/may=192.0.2.5");
    w.rule.host = SLICE("[127.0.0.1]");
    expect(w, "anything.example", "[127.0.0.1]:587/may=127.0.0.1"); /* another program of this machine, by the administrator's word */
    w.rule.port = 25;
    expect(w, "anything.example", "451 4.3.5 "); /* never back to the senders for a wrong word of ours */
    struct world all = {OURS, .lines = {"smart.example A 192.0.2.5"}};
    all.options.smarthost = "smart.example:2525";
    expect(all, "d.example", "smart.example:2525/may=192.0.2.5");
    all.options.smarthost = "[IPv6:2001:db8::5]:26";
    expect(all, "[192.0.2.9]", "[IPv6:2001:db8::5]:26/may=2001:db8::5");
    all.options.smarthost = "gone.example";
    expect(all, "d.example", "451 4.3.5 ");
    struct world direct = {OURS, .ruled = true, .rule = {.host = SLICE(""), .tls = TRANSPORT_TLS_VERIFY}, .lines = {"d.example MX 10 a.example", "a.example A 192.0.2.1"}};
    expect(direct, "d.example", "a.example:25/verify=192.0.2.1");
}

/* attacks.md SO-04, RFC 7672 2.2 */
static void tlsa_records_count_only_where_everything_is_signed(void **state)
{
    struct world w = {OURS, .lines = {"d.example sMX 10 a.example", "a.example sA 192.0.2.1", "_25._tcp.a.example sTLSA 311 35"}};
    (void)state;
    expect(w, "d.example", "a.example:25/dane(1@a.example)=192.0.2.1");
    w.lines[2] = "_25._tcp.a.example TLSA 311 35";
    expect(w, "d.example", "a.example:25/may=192.0.2.1");
    w.lines[2] = "_25._tcp.a.example sTLSA 311 34"; /* too short: unusable, but TLS is a must */
    expect(w, "d.example", "a.example:25/encrypt=192.0.2.1");
    w.lines[2] = "_25._tcp.a.example sTLSA !";
    expect(w, "d.example", "a.example:25/encrypt=192.0.2.1");
    w.lines[2] = "_25._tcp.a.example sTLSA -";
    expect(w, "d.example", "a.example:25/may=192.0.2.1");
    w.lines[2] = "_25._tcp.a.example TLSA ?";
    expect(w, "d.example", "451 4.4.3 ");
    w.lines[1] = "a.example A 192.0.2.1"; /* unsigned addresses: not even asked */
    expect(w, "d.example", "a.example:25/may=192.0.2.1");
    w.lines[1] = "a.example sA 192.0.2.1", w.lines[0] = "d.example MX 10 a.example";
    expect(w, "d.example", "a.example:25/may=192.0.2.1");
    w.lines[0] = "d.example sMX 10 a.example", w.options.tls = TRANSPORT_TLS_VERIFY;
    expect(w, "d.example", "a.example:25/verify=192.0.2.1");
}

static void a_domain_that_is_its_own_host_has_tlsa_records_where_the_want_of_an_mx_is_signed(void **state)
{
    struct world w = {OURS, .lines = {"d.example sMX -", "d.example sA 192.0.2.1", "_25._tcp.d.example sTLSA 311 35"}};
    (void)state;
    expect(w, "d.example", "d.example:25/dane(1@d.example)=192.0.2.1");
    w.lines[0] = "d.example MX -";
    expect(w, "d.example", "d.example:25/may=192.0.2.1");
}

static void a_host_whose_tlsa_records_are_not_to_be_had_leaves_the_others(void **state)
{
    (void)state;
    expect((struct world){OURS, .lines = {"d.example sMX 10 a.example", "d.example sMX 20 b.example", "d.example sMX 30 c.example", "a.example sA 192.0.2.1", "b.example A 192.0.2.2", "c.example sA 192.0.2.3",
                                          "_25._tcp.a.example TLSA ?", "_25._tcp.c.example sTLSA 201 35", "_25._tcp.c.example sTLSA 111 35"}},
           "d.example", "b.example:25/may=192.0.2.2 c.example:25/dane(1@c.example)=192.0.2.3");
}

static void behind_a_cname_the_last_name_comes_first_for_tlsa(void **state)
{
    struct world w = {OURS, .lines = {"d.example sMX 10 a.example", "a.example sCNAME z.example", "z.example sA 192.0.2.1", "_25._tcp.a.example sTLSA 311 35", "_25._tcp.z.example sTLSA 300 40"}};
    (void)state;
    expect(w, "d.example", "a.example:25/dane(1@z.example)=192.0.2.1");
    w.lines[4] = "other.example A 192.0.2.9";
    expect(w, "d.example", "a.example:25/dane(1@a.example)=192.0.2.1");
}

static void tlsa_of_any_length_is_usable_or_not(void **state)
{
    char bytes[80] = {0};
    (void)state;
    for (int usage = 0; usage < 256; usage++)
        for (int matching = 0; matching < 12; matching++)
            for (size_t n = 0; n <= 70; n++) {
                bytes[0] = (char)usage, bytes[2] = (char)matching;
                bool length = matching == 0 ? n > 5 : matching == 1 ? n == 35 : matching == 2 && n == 67;
                char *copy = malloc(n ? n : 1); /* its own block: a sanitizer sees one byte too far */
                memcpy(copy, bytes, n);
                assert_int_equal(dane_usable(slice_make(copy, n)), (usage == 2 || usage == 3) && length);
                free(copy);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_come_in_the_order_of_their_preference_ipv6_first),
        cmocka_unit_test(equal_preferences_change_places),
        cmocka_unit_test(without_an_mx_the_domain_itself_is_the_host),
        cmocka_unit_test(what_can_never_work_is_permanent_and_what_is_not_known_is_not),
        cmocka_unit_test(addresses_of_nobody_or_of_ourselves_are_never_tried),
        cmocka_unit_test(our_own_name_cuts_the_list_and_our_own_address_is_a_loop),
        cmocka_unit_test(at_most_ten_hosts_and_thirty_addresses_are_tried),
        cmocka_unit_test(a_rule_names_host_port_and_credentials),
        cmocka_unit_test(tlsa_records_count_only_where_everything_is_signed),
        cmocka_unit_test(a_domain_that_is_its_own_host_has_tlsa_records_where_the_want_of_an_mx_is_signed),
        cmocka_unit_test(a_host_whose_tlsa_records_are_not_to_be_had_leaves_the_others),
        cmocka_unit_test(behind_a_cname_the_last_name_comes_first_for_tlsa),
        cmocka_unit_test(tlsa_of_any_length_is_usable_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
