/* mail/authentication/dmarc.h -- is the From that people see vouched for, and what does its owner want if not? (RFC 7489)
 *
 * Two steps. Discovery is a machine that asks, like spf.h, and may run beside the checks of DKIM: it takes the From fields, finds their domains and the
 * record of each. Judging is one call with what SPF and DKIM found.
 *
 *     TRY(dmarc_begin(&d, arena, suffixes, from_values, n));
 *     while (dmarc_step(&d, &q) == DMARC_NEED)
 *         TRY(dmarc_answer(&d, look_up(q)));
 *     dmarc_judge(&d, &evidence, &verdict);
 *
 * A message should have one From with one address. All others are told apart by d.from, and the caller decides what to do with them (6.6.1: usually
 * refused). What domains there are is judged all the same: each of them, and the worst counts, so nobody hides behind a second address.
 * Thread: any, one at a time.
 */
#ifndef KANTOR_MAIL_AUTHENTICATION_DMARC_H
#define KANTOR_MAIL_AUTHENTICATION_DMARC_H

#include "mail/authentication/dmarc_record.h"
#include "core/dns/dns.h"
#include "mail/authentication/spf.h"
#include "mail/authentication/suffix.h"

enum { DMARC_AUTHORS_MAX = 8 };

enum dmarc_from {
    DMARC_FROM_ONE,       /* one field, addresses of one domain */
    DMARC_FROM_SEVERAL,   /* one field, addresses of several domains, or of one and some without */
    DMARC_FROM_TWICE,     /* several fields */
    DMARC_FROM_MANY,      /* more than DMARC_AUTHORS_MAX domains: the first are judged; permerror unless these fail */
    DMARC_FROM_NO_DOMAIN, /* empty, a group without members, no address at all */
    DMARC_FROM_MISSING,   /* no field */
};

enum dmarc_discovery {
    DMARC_NO_RECORD,
    DMARC_RECORD,
    DMARC_BROKEN_RECORD, /* no valid policy in it and nobody to report to */
    DMARC_UNKNOWN,       /* the DNS did not answer */
};

struct dmarc_author {
    struct slice domain, organizational; /* organizational: empty for a public suffix */
    enum dmarc_discovery discovery;
    struct dmarc_record record;
    struct slice published_at; /* the domain of the record: for reports */
    bool absent;               /* the domain does not exist (RFC 9091 2.6); only asked when the record has np */
};

/* What is asked about an author, in this order; from the second on only when the ones before call for it. Private. */
enum dmarc_stage { DMARC_ASKS_DOMAIN, DMARC_ASKS_ORGANIZATION, DMARC_ASKS_ADDRESS, DMARC_ASKS_ADDRESS6, DMARC_ASKS_EXCHANGER, DMARC_ASKS_END };

struct dmarc {
    enum dmarc_from from;
    struct dmarc_author authors[DMARC_AUTHORS_MAX];
    size_t n;
    size_t strays; /* addresses without a domain that can be judged: with one there is never a pass */

    /* private */
    struct arena *arena;
    const struct suffix_list *suffixes;
    struct dns_question question;
    size_t at; /* the author that is looked up */
    enum dmarc_stage stage;
};

/* `from`: the values of all From fields, folded as they stand; `suffixes` outlives d. ERROR_MEMORY. */
struct error dmarc_begin(struct dmarc *d, struct arena *a, const struct suffix_list *suffixes, const struct slice *from, size_t n);

enum dmarc_step { DMARC_NEED, DMARC_DONE };
/* What next; the same again until it is answered. */
enum dmarc_step dmarc_step(const struct dmarc *d, struct dns_question *q);
/* The answer to the question of dmarc_step. ERROR_MEMORY: the domain stays DMARC_UNKNOWN. */
struct error dmarc_answer(struct dmarc *d, const struct dns_answer *answer);

/* --- judging */

enum dmarc_proof { DMARC_PROOF_FAIL, DMARC_PROOF_PASS, DMARC_PROOF_TEMPERROR };

/* What one check said about one domain (in A-labels): SPF's, or a signature's d=. */
struct dmarc_identity {
    struct slice domain;
    enum dmarc_proof proof;
};

enum dmarc_wide { DMARC_WIDE_PASSES, DMARC_WIDE_IS_NEUTRAL };
/* Of a check of the sender of MAIL FROM, or of HELO when that was empty (never else: attacks.md MA-22). Wide: spf.h, attacks.md MA-21. */
struct dmarc_identity dmarc_identity_of_spf(const struct spf *spf, enum dmarc_wide wide);

struct dmarc_evidence {
    struct dmarc_identity spf;
    const struct dmarc_identity *signatures;
    size_t n;
    unsigned sample; /* random, 0 to 99, for pct (6.6.4) */
};

enum dmarc_result { DMARC_RESULT_NONE, DMARC_RESULT_PASS, DMARC_RESULT_FAIL, DMARC_RESULT_TEMPERROR, DMARC_RESULT_PERMERROR };

/* Static: as Authentication-Results has them (11.2). */
const char *dmarc_result_word(enum dmarc_result r);

struct dmarc_verdict {
    enum dmarc_result result;
    const struct dmarc_author *author; /* of whose domain the result is: header.from; NULL when there is none */
    enum dmarc_policy published;       /* p, sp or np, whichever is for this domain */
    enum dmarc_policy disposition;     /* what the owner wants done with this message: none unless it failed; after sampling */
    bool sampled_out;                  /* pct made it milder */
    bool spf_aligned, dkim_aligned;    /* passed and aligned: policy_evaluated of a report */
};

/* A temporary error of SPF or DKIM keeps a failure from being final (6.6.2) only where its domain is aligned: else everybody could bring
 * about such an error at a domain of their own. */
void dmarc_judge(const struct dmarc *d, const struct dmarc_evidence *evidence, struct dmarc_verdict *out);

#endif
