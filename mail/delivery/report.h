/* mail/delivery/report.h -- the end of a try: rows, and what the sender is told
 *
 * Whoever tried to send hands the results to report_finish. In one change it writes the rows, takes the message out when nobody waits any more, and delivers
 * (or queues) the reports that are owed (RFC 3461 5.2, 6.2), so that no crash can take a message away without its sender hearing of it, nor report it
 * twice. Who it reports to: senders that are ours or that came with a submission, and those for whom SPF said pass (DELIVERY_SENDER_VERIFIED); never about a report, never
 * to a sender that anybody could have written (attacks.md SO-11, SO-12). One report a message and try names all its recipients.
 */
#ifndef KANTOR_MAIL_DELIVERY_REPORT_H
#define KANTOR_MAIL_DELIVERY_REPORT_H

#include "core/server.h"
#include "mail/queue/queue.h"

/* What became of recipients of one message. Who waits is due again by the plan (queue.retry), or has failed when his time is over. A recipient who is not in the queue any
 * more is passed over. Errors are the store's (nothing was written then: try the whole again; ERROR_BUSY, ERROR_FULL, ERROR_IO). Thread: worker, no reader in hand. */
struct error report_finish(struct server *server, int64_t queue_id, const struct queue_result *results, size_t n);
/* An administrator gives up: all who wait or are held (of one destination, where `dest` is not empty) have failed now, their sender is told. ERROR_NOT_FOUND. Thread: worker. */
struct error report_return(struct server *server, int64_t queue_id, struct slice dest);
/* What cannot be sent because it is broken here (its content cannot be read): held with a reason, an alarm in the log; others go on (attacks.md SO-15). */
struct error report_set_aside(struct server *server, int64_t queue_id, struct slice reason);
/* Tells of delays and gives up what is too old, also of those whom nobody tries; after a jump of the clock it sets times right. Messages are found by an index at
 * the time that they name themselves: a queue of a million costs nothing while nothing is to be told. At most 20 seconds. Thread: worker, by a timer, one at a time. */
void report_sweep(struct server *server);

#endif
