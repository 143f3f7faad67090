/* mail/delivery/sender.h -- the envelope sender of what is passed on: SRS, the Sender Rewriting Scheme
 *
 * A message that comes from elsewhere and goes on to elsewhere (a forward, an alias, a redirect of Sieve) fails the SPF check of its sender's domain
 * there. So it leaves with a sender of ours that holds the first one, SRS0=HASH=DAY=domain=local@ours, and a bounce comes back the same way:
 * delivery_check and delivery_run know such addresses as recipients. HASH is keyed (HMAC-SHA-256 over the rest, the key stands in the store's settings)
 * and DAY is over after three weeks, so that nobody makes such an address, and one that was seen serves nobody for long; and only mail with
 * the null sender goes back (bounces), so that it is no relay for those who found one. What was rewritten by another server before becomes SRS1, which
 * names that server only: it knows the way on. Thread: those of the connection.
 */
#ifndef KANTOR_MAIL_DELIVERY_SENDER_H
#define KANTOR_MAIL_DELIVERY_SENDER_H

#include "core/account/account.h"

enum { SRS_DAYS = 21 };

/* The sender with which a message from `sender` ("" for <>) leaves on behalf of an address of `domain`, one of ours. As it is when it is empty, of a domain of
 * ours (our own server may send for it) or no address at all. In a change: the first call makes the key. ERROR_MEMORY. */
struct error forward_sender(struct sql *db, struct slice sender, struct slice domain, struct arena *a, struct slice *out);

/* The way back. ERROR_NOT_FOUND: no such address of ours (treat it like any other); ERROR_DENIED: it is one, but forged, over, or not for this
 * sender: 550 5.7.1. `recipient` as it was given (the case of the first sender's local part is kept). A reader will do. */
struct error forward_sender_back(struct sql *db, struct slice recipient, struct slice sender, struct arena *a, struct slice *first);

#endif
