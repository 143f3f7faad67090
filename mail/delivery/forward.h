/* mail/delivery/forward.h -- what leaves on behalf of a recipient: an alias, a forward, a group with members elsewhere
 *
 * Such a message carries "Delivered-To: <our address>" in front when it leaves, and only then (a copy of one blob for everybody stays possible). When it comes
 * back for the same address it is in a loop (attacks.md SO-09), whatever other servers did to it meanwhile.
 */
#ifndef KANTOR_MAIL_DELIVERY_FORWARD_H
#define KANTOR_MAIL_DELIVERY_FORWARD_H

#include "mail/delivery/deliver.h"

/* The values of Delivered-To of a head, at most 50; slices of the head or the arena. */
struct error forward_marks(struct slice head, struct arena *a, struct slice **marks, size_t *n);
/* Did it leave here for this address before? */
bool forward_was_here(const struct slice *marks, size_t n, const struct delivery_rcpt *r, struct arena *a);
/* The field that goes in front; p NULL: no memory. */
struct slice forward_head(const struct delivery_rcpt *r, struct arena *a);
/* The same behind fields that stand there from an earlier hop. */
struct slice forward_head_after(struct slice before, const struct delivery_rcpt *r, struct arena *a);
/* RFC 3461 5.2.7.2, 5.2.7.3 (c): what of NOTIFY and ORCPT goes on with the message. One target: all of it. */
int forward_notify(int notify, size_t targets);
struct slice forward_orcpt(const struct delivery_rcpt *r, struct arena *a);

#endif
