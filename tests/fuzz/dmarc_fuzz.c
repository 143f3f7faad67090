/* tests/fuzz/dmarc_fuzz.c -- DMARC: From fields and a DNS that answers what the input says
 *
 * The first line is a From field, the second one, too, when it is not empty. Each further line answers one question ("t" temperror, "n" NXDOMAIN, "d" nothing,
 * else one record) and the lines begin again when they are used up; each is read as a record of its own, too.
 */
#include "mail/authentication/dmarc.h"
#include "tests/fuzz/target.h"

static void record_holds_its_promises(struct slice text)
{
    struct dmarc_record r;
    size_t bytes = 0;
    if (dmarc_record_parse(text, &r) == DMARC_NOT_A_RECORD)
        return;
    promise(r.p <= DMARC_REJECT && r.sp <= DMARC_REJECT && r.np <= DMARC_REJECT && r.pct <= 100 && r.failures < 16);
    promise(r.rua.n <= DMARC_URIS_MAX && r.ruf.n <= DMARC_URIS_MAX);
    for (size_t i = 0; i < r.rua.n; i++)
        bytes += r.rua.all[i].uri.n;
    promise(bytes <= text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct suffix_list *suffixes;
    struct slice rest = target_slice(data, size);
    struct dns_question q;
    struct dmarc d;
    struct dmarc_verdict v;
    struct arena a;
    size_t asked = 0;
    promise(suffixes || suffix_list_open(NULL, &suffixes).code == ERROR_NONE);
    arena_init(&a, 64 * 1024 * 1024);
    struct slice from[2];
    from[0] = target_line(&rest);
    from[1] = target_line(&rest);
    struct slice answers = rest;
    promise(dmarc_begin(&d, &a, suffixes, from, from[1].n ? 2 : 1).code == ERROR_NONE && d.n <= DMARC_AUTHORS_MAX);
    while (dmarc_step(&d, &q) == DMARC_NEED) {
        promise(dns_name_fits(q.name) && ++asked <= 5 * DMARC_AUTHORS_MAX);
        if (rest.n == 0)
            rest = answers;
        struct dns_record record = {.data = target_line(&rest)};
        struct dns_answer x = {.status = DNS_FOUND, .records = &record, .n = 1};
        if (record.data.n == 1 && memchr("tnd", record.data.p[0], 3))
            x.status = record.data.p[0] == 't' ? DNS_TEMPERROR : record.data.p[0] == 'n' ? DNS_NXDOMAIN : DNS_NODATA;
        record_holds_its_promises(record.data);
        promise(dmarc_answer(&d, &x).code == ERROR_NONE);
    }
    struct dmarc_identity none = {SLICE("unrelated.example"), DMARC_PROOF_PASS}, own = {d.n ? d.authors[0].domain : SLICE(""), DMARC_PROOF_PASS};
    dmarc_judge(&d, &(struct dmarc_evidence){none, &none, 1, 0}, &v);
    promise(v.result != DMARC_RESULT_PASS || d.n == 0 || suffix_same_organization(suffixes, none.domain, d.authors[0].domain));
    dmarc_judge(&d, &(struct dmarc_evidence){own, &own, 1, 99}, &v);
    promise(dmarc_result_word(v.result) && (v.result == DMARC_RESULT_FAIL || v.disposition == DMARC_NONE));
    arena_free(&a);
    return 0;
}
