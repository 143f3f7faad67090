/* mail/authentication/suffix.h -- the public suffix list, and organizational domains (RFC 7489 3.2)
 *
 * libpsl reads the distribution's file when it is newer than what is compiled in. Open it before the process confines itself; it is never changed after
 * that, so any thread may ask.
 */
#ifndef KANTOR_MAIL_AUTHENTICATION_SUFFIX_H
#define KANTOR_MAIL_AUTHENTICATION_SUFFIX_H

#include "core/error.h"
#include "core/slice.h"

struct suffix_list;

/* `file` NULL: the newest list of the machine. ERROR_IO when there is none. */
struct error suffix_list_open(const char *file, struct suffix_list **out);
/* NULL is fine. */
void suffix_list_close(struct suffix_list *l);

/* The public suffix and one label more, the end of `domain` (a name in A-labels); empty when the domain is itself a public suffix or no name. */
struct slice suffix_organizational(const struct suffix_list *l, struct slice domain);
/* Do both have the same one? False when one has none. */
bool suffix_same_organization(const struct suffix_list *l, struct slice one, struct slice other);

#endif
