/* mail/queue/wake.h -- whoever put something into the queue, or changed when it is due, says so after the commit
 *
 * The relay hears it and looks. Nobody needs to: the relay also looks at the whole queue now and then.
 */
#ifndef KANTOR_MAIL_QUEUE_WAKE_H
#define KANTOR_MAIL_QUEUE_WAKE_H

enum queue_news { QUEUE_NEWS_MAIL /* new messages */, QUEUE_NEWS_ALL /* rows that are older changed */ };

/* Who listens, one at most; NULL: nobody any more (when it returns no call is running). */
void queue_wake_by(void (*hear)(void *arg, enum queue_news news), void *arg);
/* Any thread, no locks held that `hear` takes. */
void queue_wake(enum queue_news news);

#endif
