/* mail/filter/dnsbl.h -- lists in the DNS of addresses that send junk (DNSBL) or that are well known (DNSWL), RFC 5782
 *
 * `zone=code code…`: only these answers are hits; a code is an IPv4 address whose numbers may be ranges (127.0.0.2-11). Each list is tried each hour
 * with the addresses that RFC 5782 5 gives for that: 127.0.0.2 is listed, 127.0.0.1 is not. A list that fails (a dead one that answers everything, one that refuses us,
 * one that is silent) is not asked until it passes again; the log says so. MAIL asks all lists at once and goes on; the first RCPT waits for what is missing.
 */
#ifndef KANTOR_MAIL_FILTER_DNSBL_H
#define KANTOR_MAIL_FILTER_DNSBL_H

#include "core/arena.h"
#include "core/server.h"
#include "core/slice.h"

struct dnsbl_zone {
    struct slice name, codes;
};
/* The next one of an option's text; false at the end. Empty ones are passed over. */
bool dnsbl_next(struct slice *rest, struct dnsbl_zone *out);
/* Is this answer one of the codes? No codes: 127.0.0.2. */
bool dnsbl_is_hit(struct slice codes, const unsigned char address[4]);
/* "2.0.0.127.zone", for IPv6 32 nibbles; p NULL: no memory. `address` as of network_address. */
struct slice dnsbl_name(const unsigned char address[16], struct slice zone, struct arena *a);

/* Tries lists whose hour (or, failed, five minutes) is over. Each minute and at start. Thread: worker. */
void dnsbl_check(struct server *server);
/* Nothing of it runs any more. Behind net_stop, before the resolver goes. */
void dnsbl_stop(void);
/* Did it pass its last try? Any thread. */
bool dnsbl_is_usable(struct slice zone);

#endif
