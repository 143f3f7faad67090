/* core/kantord/operations_dns.h -- what the operations of domains share: a domain by its name, and questions to the DNS that wait for the answer */
#ifndef KANTOR_CORE_KANTORD_OPERATIONS_DNS_H
#define KANTOR_CORE_KANTORD_OPERATIONS_DNS_H

#include "core/dns/resolver.h"
#include "core/kantord/operations_internal.h"
#include "mail/signing/publish.h"

/* The row of this very name, with a sentence when there is none. */
struct error operation_domain(struct operation_call *k, struct sql *db, struct slice text, struct domain *out);

/* Asks and waits: for the thread of a call of kantorctl only. *asked is to be forgotten with resolver_forget. ERROR_UNSUPPORTED: the server does not run. */
struct error operation_ask(struct operation_call *k, const struct publish_record *records, size_t n, struct dns_asked **asked);

/* What the DNS shows of keys that were made becomes their state. */
struct error operation_note_keys(struct operation_call *k, const struct publish_record *records, size_t n, const struct dns_asked *asked);

#endif
