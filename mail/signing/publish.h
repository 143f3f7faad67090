/* mail/signing/publish.h -- the DNS records of a domain: what to publish, and what the DNS shows instead
 *
 * One table makes both the text for a zone file and the questions of `domain dns --check`; judging is a pure function over answers. What is there may
 * be another text with the same meaning (an SPF record with an include more, a stricter DMARC policy): that is fine, and the judge says what
 * it saw. Thread: any.
 */
#ifndef KANTOR_MAIL_SIGNING_PUBLISH_H
#define KANTOR_MAIL_SIGNING_PUBLISH_H

#include "core/account/domain_key.h"
#include "core/dns/dns.h"

enum publish_kind {
    PUBLISH_MX, PUBLISH_SPF, PUBLISH_DKIM, PUBLISH_DMARC, PUBLISH_MTA_STS, PUBLISH_TLS_RPT, PUBLISH_SRV, PUBLISH_CNAME, PUBLISH_CAA, PUBLISH_TLSA, PUBLISH_ADDRESS, PUBLISH_PTR
};

struct publish_facts {
    struct slice domain, host;     /* host: this server's name */
    const struct domain_key *keys; /* of the domain */
    size_t n_keys;
    int64_t port_base; /* added to ports of SRV */
    bool has_tlsa;
    unsigned char spki[32]; /* SHA-256 of the certificate's public key */
    struct slice ca;        /* the name that CAA gives to who issued the certificate; empty: not known */
};

struct publish_record {
    enum publish_kind kind;
    enum dns_type type;
    struct slice name;
    struct slice data;   /* as a zone file has it; empty for addresses and PTR, which nobody can know here */
    struct slice text;   /* TXT: without quotes; MX, SRV, CNAME, PTR: the host; CAA: the CA; TLSA: the wire's bytes */
    unsigned port;       /* SRV */
    const struct domain_key *key; /* DKIM */
    const char *purpose; /* for people */
};

enum { PUBLISH_MAX = 64 };
/* Addresses of the host (A, AAAA) are the last two. ERROR_MEMORY. */
struct error publish_list(const struct publish_facts *f, struct arena *a, struct publish_record out[PUBLISH_MAX], size_t *n);
/* The question about the name of an address, 4 or 16 bytes. */
struct error publish_ptr(const struct publish_facts *f, struct slice address, struct arena *a, struct publish_record *out);
/* Zone-file text of all that has data, with comments; the last line that is longer than 255 octets is split as TXT wants it. */
void publish_zone(const struct publish_facts *f, const struct publish_record *all, size_t n, struct buffer *out);

enum publish_state { PUBLISH_FINE, PUBLISH_MISSING, PUBLISH_WRONG, PUBLISH_UNKNOWN /* no answer from the DNS */ };
const char *publish_state_word(enum publish_state state);
struct publish_verdict {
    enum publish_state state;
    struct slice found;  /* what is there, as text; empty: nothing */
    const char *advice;  /* or NULL */
};
struct publish_verdict publish_judge(const struct publish_record *r, const struct dns_answer *x, struct arena *a);

#endif
