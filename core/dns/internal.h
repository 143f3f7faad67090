/* core/dns/internal.h -- what the files of this folder share */
#ifndef KANTOR_CORE_DNS_INTERNAL_H
#define KANTOR_CORE_DNS_INTERNAL_H

#include "core/dns/dns.h"

/* record.c: one record's bytes as they stand on the wire, names uncompressed, into what dns.h says. False: malformed, the record does not count. Memory: the
 * arena. A name with a dot or NUL inside a label, or that is too long, is malformed here: no host has one (attacks.md DN-03). */
bool record_read(enum dns_type type, struct slice wire, struct arena *a, struct dns_record *out);

/* table.c: the file that is the whole DNS. */
struct table;
struct table *table_new(const char *path); /* NULL: no memory */
void table_free(struct table *t);
/* Looks whether the file changed, then answers; an unknown name is NXDOMAIN. One thread at a time. *silent: the line says that nobody answers. */
struct dns_answer table_answer(struct table *t, const struct dns_question *q, struct arena *a, bool *silent);

#endif
