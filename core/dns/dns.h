/* core/dns/dns.h -- questions to the DNS and answers, as resolver.h and the evaluators (SPF, DMARC, routes) exchange them
 *
 * An evaluator never looks up anything: it gives a question and is called again with the answer. Names are text: labels joined by '.', without
 * the root's dot, bytes as they are (no escapes, since macros of SPF may put any byte into a label); who sends them builds the wire form from
 * that. A CNAME is followed by the resolver. An answer belongs to the caller; evaluators copy what they keep. Thread: any.
 */
#ifndef KANTOR_CORE_DNS_DNS_H
#define KANTOR_CORE_DNS_DNS_H

#include "core/arena.h"
#include "core/error.h"
#include "core/slice.h"

enum { DNS_NAME_MAX = 253, DNS_LABEL_MAX = 63 }; /* in text form, RFC 1035 2.3.4 */

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52, DNS_CAA = 257 };

struct dns_question {
    enum dns_type type;
    struct slice name;
};

enum dns_status {
    DNS_FOUND,     /* there are records */
    DNS_NODATA,    /* the name exists, records of this type do not */
    DNS_NXDOMAIN,  /* the name does not exist */
    DNS_TEMPERROR, /* SERVFAIL, a time-out, a bogus signature: nothing is known */
};

/* A and AAAA: 4 or 16 bytes of address. NS, CNAME, PTR, MX and SRV: a name (a dot at its end does not count; "" is the root: a null MX).
 * TXT: the strings of one record, joined. TLSA and CAA: the bytes as they stand on the wire. */
struct dns_record {
    struct slice data;
    unsigned preference;   /* MX, SRV (its priority) */
    unsigned weight, port; /* SRV */
};

struct dns_answer {
    enum dns_status status;
    const struct dns_record *records;
    size_t n;
    bool secure;            /* signed, and our own validation says so (RFC 4035 4.3); also of a denial */
    struct slice canonical; /* FOUND: the name behind CNAMEs, or the one that was asked */
};

/* What a resolver with no error but no records means, too. */
static inline bool dns_is_void(const struct dns_answer *x)
{
    return x->status == DNS_NODATA || x->status == DNS_NXDOMAIN || (x->status == DNS_FOUND && x->n == 0);
}

/* Without the root's dot. */
struct slice dns_name_bare(struct slice name);
/* Can this be asked: labels of 1 to 63 bytes, 253 in all. `name` bare. */
bool dns_name_fits(struct slice name);
/* Is `name` the same as `above` or below it (ASCII case does not count)? Both bare. */
bool dns_name_within(struct slice name, struct slice above);
/* In A-labels (UTS 46) and lower case, bare; empty when it is not the name of a host of at least two labels: an address literal, a bare word,
 * bytes that no host name has. For domains from the envelope and the head of a message. ERROR_MEMORY. */
struct error dns_name_canonical(struct slice name, struct arena *a, struct slice *out);

#endif
