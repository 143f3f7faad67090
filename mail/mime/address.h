/* mail/mime/address.h -- address lists of header fields (RFC 5322 3.4 and 4.4, RFC 6854)
 *
 * Tolerant: takes what real mail has (unquoted dots and 8-bit in names, comments as names, missing angle brackets, empty entries). A group
 * gives a start {NULL, group name, NULL} and an end {NULL, NULL, NULL}, as ENVELOPE has them. Not for SMTP's paths. Thread: any.
 */
#ifndef KANTOR_MAIL_MIME_ADDRESS_H
#define KANTOR_MAIL_MIME_ADDRESS_H

#include "core/arena.h"
#include "core/error.h"
#include "core/slice.h"

enum { MIME_ADDRESSES_MAX = 1000 };

struct mime_address {
    struct slice name;   /* display name, unquoted, encoded words left; p NULL when absent */
    struct slice local;  /* unquoted; of a group's start its name; p NULL at a group's end */
    struct slice domain; /* p NULL in a group's start and end; empty when the address had none */
};

struct mime_addresses {
    struct mime_address *all;
    size_t n;
};

/* `value` unfolded. At most MIME_ADDRESSES_MAX. ERROR_MEMORY. */
struct error address_list_parse(struct slice value, struct arena *a, struct mime_addresses *out);

#endif
