/* tests/fuzz/spf_fuzz.c -- SPF: a sender, a client and a DNS that answers what the input says
 *
 * The first line is the sender, the second HELO. Each further line answers one question, in the order of asking, and the lines begin again when
 * they are used up: "t" temperror, "n" NXDOMAIN, "d" nothing of this type, anything else is records between tabs. Addresses are made of the record's first
 * bytes, "=" is the client's own.
 */
#include "mail/authentication/spf.h"
#include "tests/fuzz/target.h"

enum { RECORDS_MAX = 12, QUESTIONS_MAX = 200 };

static struct dns_answer answer(struct slice line, struct dns_question q, const struct spf_request *r, struct dns_record *records)
{
    static unsigned char address[RECORDS_MAX][16];
    struct dns_answer out = {.status = DNS_FOUND, .records = records};
    if (line.n == 1 && memchr("tnd", line.p[0], 3)) {
        out.status = line.p[0] == 't' ? DNS_TEMPERROR : line.p[0] == 'n' ? DNS_NXDOMAIN : DNS_NODATA;
        return out;
    }
    for (bool more = true; more && out.n < RECORDS_MAX; out.n++) {
        size_t tab = slice_find(line, '\t');
        struct slice data = slice_first(line, tab);
        if (q.type == DNS_A || q.type == DNS_AAAA) {
            memset(address[out.n], 0, 16);
            if (data.n && data.p[0] == '=')
                memcpy(address[out.n], r->address, 16);
            else
                memcpy(address[out.n], data.p, data.n < 16 ? data.n : 16);
            data = slice_make((const char *)address[out.n], q.type == DNS_A ? 4 : 16);
        }
        records[out.n] = (struct dns_record){.data = data};
        more = tab < line.n;
        line = slice_after(line, tab + 1);
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = target_slice(data, size), rest = text;
    struct dns_record records[RECORDS_MAX];
    struct dns_question q;
    struct spf spf;
    struct arena a;
    struct spf_request r = {.address = {0x20, 1, 0x0d, 0xb8, [15] = 1}, .now_at = 1700000000};
    size_t asked = 0;
    r.address_bytes = size % 2 ? 4 : 16;
    r.sender = target_line(&rest);
    r.helo = target_line(&rest);
    struct slice answers = rest;
    arena_init(&a, 64 * 1024 * 1024);
    promise(spf_begin(&spf, &a, &r).code == ERROR_NONE);
    while (spf_step(&spf, &q) == SPF_NEED) {
        promise(dns_name_fits(q.name) && ++asked <= QUESTIONS_MAX);
        if (rest.n == 0)
            rest = answers;
        struct dns_answer x = answer(target_line(&rest), q, &r, records);
        spf_answer(&spf, &x);
    }
    promise(spf.terms <= SPF_TERMS_MAX + 1 && spf.voids <= SPF_VOID_MAX + 1);
    promise(spf.explanation.n <= SPF_EXPLANATION_MAX && spf_result_word(spf.result));
    promise(!spf.problem == (spf.result != SPF_TEMPERROR && spf.result != SPF_PERMERROR));
    for (size_t i = 0; i < spf.explanation.n; i++)
        promise(spf.explanation.p[i] >= ' ' && spf.explanation.p[i] < 0x7f);
    arena_free(&a);
    return 0;
}
