/* mail/queue/news.h -- what is new in the queue, for who dispatches: cheap looks, often made.
 *
 * Our own domains are no destinations: who waits there for room in a mailbox is delivery_retry's.
 */
#ifndef KANTOR_MAIL_QUEUE_NEWS_H
#define KANTOR_MAIL_QUEUE_NEWS_H

#include "core/store/store.h"

struct queue_fresh {
    int64_t queue, due;
    struct slice dest;
};
/* Destinations of messages behind the id `after` with recipients that wait, by id, each message and destination once; at most `most`. Reads the key range behind `after`. */
struct error queue_since(struct sql *db, int64_t after, size_t most, struct arena *a, struct queue_fresh **all, size_t *n);

/* When the first waiting recipient of a destination is due (*due 0: nobody waits), and how many different messages are among the `most` first that are due at `now`. */
struct error queue_look(struct sql *db, struct slice dest, int64_t now, size_t most, int64_t *due, size_t *messages);

#endif
