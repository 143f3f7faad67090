/* tests/fuzz/route_fuzz.c -- records of the DNS of any bytes, and the route that comes of them
 *
 * The first line is the destination. Then binary: an answer is a byte of status (0 to 3, bit 2: signed), a byte that says how many records, and each a byte of
 * length with its bytes as they stand on the wire. When the input is used up nothing is known.
 */
#include <netinet/in.h>

#include "core/dns/internal.h"
#include "mail/relay/dane.h"
#include "mail/relay/route.h"
#include "tests/fuzz/target.h"

enum { RECORDS_MAX = 40, STEPS_MAX = 3 };

static struct slice take(struct slice *rest, size_t n)
{
    struct slice x = slice_first(*rest, n);
    *rest = slice_after(*rest, x.n);
    return x;
}

static unsigned take_byte(struct slice *rest)
{
    struct slice x = take(rest, 1);
    return x.n ? (unsigned char)x.p[0] : DNS_TEMPERROR;
}

static void record_holds_its_promises(enum dns_type type, const struct dns_record *r)
{
    if (type == DNS_A || type == DNS_AAAA)
        promise(r->data.n == (type == DNS_A ? 4 : 16));
    if (type == DNS_MX)
        promise((r->data.n == 0 || dns_name_fits(dns_name_bare(r->data))) && !memchr(r->data.p, 0, r->data.n));
    if (type == DNS_TLSA)
        (void)dane_usable(r->data);
}

static void answer(struct slice *rest, const struct dns_question *q, struct arena *a, struct dns_answer *x)
{
    struct dns_record *records = arena_zero(a, RECORDS_MAX, sizeof *records);
    unsigned status = take_byte(rest), n = take_byte(rest) % RECORDS_MAX;
    *x = (struct dns_answer){.status = (enum dns_status)(status & 3), .records = records, .secure = (status & 4) != 0, .canonical = q->name};
    for (unsigned i = 0; x->status == DNS_FOUND && i < n; i++) {
        if (!record_read(q->type, take(rest, take_byte(rest)), a, &records[x->n]))
            continue;
        record_holds_its_promises(q->type, &records[x->n++]);
    }
}

static void route_holds_its_promises(const struct route *r)
{
    promise((r->status == ROUTE_FOUND) == (r->n_targets > 0) && r->n_targets <= ROUTE_TARGETS_MAX);
    for (size_t i = 0; r->status != ROUTE_FOUND && i < r->reply.n; i++)
        promise(r->reply.p[i] >= ' ' && r->reply.p[i] < 127);
    for (size_t i = 0; i < r->n_targets; i++) {
        const struct route_host *h = r->targets[i].host;
        const struct sockaddr_in *four = (const struct sockaddr_in *)&r->targets[i].to;
        promise(h->secure || h->tls == TRANSPORT_TLS_MAY);
        promise((h->tls == TRANSPORT_TLS_DANE) == (h->n_tlsa > 0));
        promise(r->targets[i].to.ss_family != AF_INET || (ntohl(four->sin_addr.s_addr) >> 24 != 127 && four->sin_addr.s_addr != 0));
    }
}

static bool is_nobodys(const struct sockaddr *x)
{
    (void)x;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = target_slice(data, size);
    struct route_rules rules = {.own_name = "us.example", .smarthost = "", .port = 25, .own_port = 25, .tls = TRANSPORT_TLS_DANE, .is_own = is_nobodys};
    struct arena a;
    struct route r;
    size_t steps = 0;
    arena_init(&a, 16 * 1024 * 1024);
    route_begin(&r, target_line(&rest), &rules);
    while (r.status == ROUTE_ASKING) {
        struct dns_answer answers[ROUTE_QUESTIONS_MAX];
        const struct dns_answer *all[ROUTE_QUESTIONS_MAX];
        promise(++steps <= STEPS_MAX && r.n_questions > 0 && r.n_questions <= ROUTE_QUESTIONS_MAX);
        for (size_t i = 0; i < r.n_questions; i++) {
            answer(&rest, &r.questions[i], &a, &answers[i]);
            all[i] = &answers[i];
        }
        route_answer(&r, all);
    }
    route_holds_its_promises(&r);
    route_end(&r);
    arena_free(&a);
    return 0;
}
