/* core/dns/resolver.h -- asks the DNS, validates DNSSEC, never blocks whoever asks
 *
 * libunbound resolves from the root (or through dns.forward) in a thread of its own; a thread of the resolver's takes what comes back, watches the
 * deadlines and calls whoever asked. Where dns.table names a file, that file is the whole DNS and nothing leaves the machine (the
 * demonstration, tests). What stands in it can be changed while the server runs.
 *
 *     s->asked = resolver_ask(server->resolver, questions, n, wake, c);   // wake: connection_answered(c)
 *     return RUN_WAIT;  ...  resolver_answer(s->asked, 0)->records  ...  resolver_forget(s->asked);
 */
#ifndef KANTOR_CORE_DNS_RESOLVER_H
#define KANTOR_CORE_DNS_RESOLVER_H

#include "core/dns/dns.h"

struct resolver_options {
    const char *table;        /* a file, or "": the real DNS */
    const char *forward;      /* address or address@port, by commas; "": from the root */
    const char *trust_anchor; /* a file of DS or DNSKEY records, or "": no validation, nothing is secure */
    int64_t timeout_ms;       /* of a question */
};

struct resolver;
struct dns_asked;

/* Reads the trust anchor (behind the sandbox nobody could); starts no thread. ERROR_INVALID, ERROR_IO: the text is a sentence, in the arena. */
struct error resolver_new(const struct resolver_options *o, struct arena *a, struct resolver **out);
/* Starts its threads: behind the sandbox. */
struct error resolver_start(struct resolver *r);
/* Ends them. Nobody asks any more, and everything asked was forgotten. NULL is allowed. */
void resolver_free(struct resolver *r);

/* Asks all at once. `done` is called once, on the resolver's thread, never from within this call, when each is answered or its time is over
 * (DNS_TEMPERROR). Names that cannot be asked are DNS_NXDOMAIN. Copies the questions. NULL: no memory, or too many questions are
 * under way: a passing fault. Any thread. */
struct dns_asked *resolver_ask(struct resolver *r, const struct dns_question *questions, size_t n, void (*done)(void *arg), void *arg);
/* After `done`: the answer to question i, valid until it is forgotten. */
const struct dns_answer *resolver_answer(const struct dns_asked *asked, size_t i);
/* Also before `done`: when this returns, `done` does not run and will not. Not from within `done` of another question. NULL is allowed. Any thread. */
void resolver_forget(struct dns_asked *asked);

#endif
