/* mail/queue/admin.h -- what an administrator sees of the queue and does to it
 *
 * Hold, release and hurry go in steps of at most QUEUE_STEP rows, each a change of its own, so that a million rows do not stop the writer. Listing walks from one
 * message to the next: the cost grows with what is passed over.
 */
#ifndef KANTOR_MAIL_QUEUE_ADMIN_H
#define KANTOR_MAIL_QUEUE_ADMIN_H

#include "mail/queue/queue.h"

enum { QUEUE_STEP = 1000 };

/* What a list shows; empty: any. */
struct queue_filter {
    struct slice sender;    /* "<>" for the empty one; ASCII case does not count */
    struct slice recipient; /* the whole address */
    struct slice dest;
    int state; /* enum queue_state, or -1 */
};
struct queue_line {
    struct queue_entry entry; /* without recipients */
    struct queue_rcpt rcpt;
};
/* Recipients of the messages behind the id `after`, by message; at most `most` of them. */
struct error queue_find(struct sql *db, const struct queue_filter *f, int64_t after, size_t most, struct arena *a, struct queue_line **all, size_t *n);

/* Which recipients an order is about: those of one message, of one destination, or all. */
struct queue_target {
    int64_t id;        /* 0: not one message */
    struct slice dest; /* empty: any */
};
enum queue_order { QUEUE_HOLD, QUEUE_RELEASE, QUEUE_HURRY /* whoever waits is due now */ };
/* In a change: carries out one step; *n rows. Call again, in another change, while *n is QUEUE_STEP. */
struct error queue_order(struct sql *db, enum queue_order order, const struct queue_target *target, int64_t now, int64_t *n);
/* Up to `most` messages behind `after` that have recipients of this destination (empty: any). */
struct error queue_messages_of(struct sql *db, struct slice dest, int64_t after, size_t most, struct arena *a, int64_t **ids, size_t *n);

struct queue_sum {
    struct slice dest;
    int64_t waiting, held, oldest, due, tries; /* oldest: when the oldest of them came; due: the next try, 0: none; tries: the most of one */
    struct slice reply, host;                  /* of the last try of one that waits */
};
/* A line for each destination, those with most recipients first, at most `most`. Reads every row. */
struct error queue_sums(struct sql *db, size_t most, struct arena *a, struct queue_sum **all, size_t *n);

#endif
