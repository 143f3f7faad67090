/* mail/authentication/dmarc_record.h -- what a domain's owner publishes (RFC 7489 6.3; np: RFC 9091)
 *
 * A record that does not begin with v=DMARC1 is none. Unknown tags do not count, of a tag that stands twice the first counts, and a malformed value is as if
 * the tag were absent -- except in p and sp: with one valid rua such a record asks for reports only (p=none), without it is no policy at all (6.6.3).
 */
#ifndef KANTOR_MAIL_AUTHENTICATION_DMARC_RECORD_H
#define KANTOR_MAIL_AUTHENTICATION_DMARC_RECORD_H

#include <stdint.h>

#include "core/slice.h"

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT }; /* from mild to strict */
enum dmarc_mode { DMARC_RELAXED, DMARC_STRICT };
enum { DMARC_URIS_MAX = 10 };
enum { DMARC_REPORT_ALL_FAILED = 1, DMARC_REPORT_ANY_FAILED = 2, DMARC_REPORT_DKIM = 4, DMARC_REPORT_SPF = 8 }; /* fo=0, 1, d, s */

/* Static: "none", "quarantine", "reject". */
const char *dmarc_policy_word(enum dmarc_policy p);

struct dmarc_uri {
    struct slice uri;   /* as it stands, without its size */
    uint64_t bytes_max; /* of a report; UINT64_MAX: no limit */
};

struct dmarc_uris {
    struct dmarc_uri all[DMARC_URIS_MAX]; /* of more the first ones */
    size_t n;
};

struct dmarc_record {
    enum dmarc_policy p, sp, np; /* sp is p when absent, np is sp */
    bool has_np;
    enum dmarc_mode adkim, aspf;
    unsigned pct;
    uint32_t interval_seconds; /* ri */
    unsigned failures;         /* fo: DMARC_REPORT_...; 0 without ruf */
    struct dmarc_uris rua, ruf;
    bool reports_only;         /* p or sp was malformed */
};

enum dmarc_reading { DMARC_NOT_A_RECORD, DMARC_INVALID, DMARC_VALID };

/* Slices of `out` are of `text`. Linear in it. */
enum dmarc_reading dmarc_record_parse(struct slice text, struct dmarc_record *out);

#endif
