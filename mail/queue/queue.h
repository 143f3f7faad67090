/* mail/queue/queue.h -- mail that leaves for other servers, durable with its envelope
 *
 * A message stands here from the moment it was accepted until every recipient is delivered, failed or deleted. A row of `queue` names the blob, so the
 * message's bytes cannot go while it waits. They begin with this server's own Return-Path line (the blob is shared with local recipients): the sending
 * side leaves that line out (RFC 5321 4.4).
 *
 * Here are rows only. A dispatcher asks queue_destinations whom it could reach, queue_take for the recipients of one of them, queue_get for the envelope, and
 * hands what became of them to report_finish (mail/delivery/report.h), which writes the rows and owes the sender his reports. Nothing is marked as
 * "being sent" in the store: who dispatches remembers what he has in hand, and a crash forgets it, so that all is tried again (nothing is lost; what the
 * other side had taken just then comes twice, which SMTP cannot avoid).
 */
#ifndef KANTOR_MAIL_QUEUE_QUEUE_H
#define KANTOR_MAIL_QUEUE_QUEUE_H

#include "core/store/store.h"

/* What a follower of the queue watches (core/store/watch.h): messages that came, and waiting rows that changed. No collection has such a number. */
enum { QUEUE_WATCH_NEW = -1, QUEUE_WATCH_CHANGED = -2 };
enum { QUEUE_SEND_NO, QUEUE_SEND_YES }; /* the option queue.send */
enum queue_state { QUEUE_WAITING, QUEUE_HELD, QUEUE_DELIVERED, QUEUE_FAILED };

struct queue_rcpt {
    int64_t n;                  /* its number in the message; queue_enter counts from 0 itself */
    struct slice address, dest; /* dest: the domain */
    struct slice orcpt;         /* xtext as given, or p NULL */
    int notify;
    enum queue_state state;
    int64_t due, tries;
    struct slice reply; /* the last word of the other side */
    struct slice host;  /* who said it, and when: see struct queue_result; not for queue_enter */
    int64_t tried;
};

struct queue_entry {
    int64_t id, blob, account;
    struct slice sender, envid, job;
    struct slice head; /* fields that go in front of the message when it is sent (Delivered-To of a forward); or p NULL */
    int flags; /* DELIVERY_* */
    int64_t created, expires;
    int64_t size; /* -1: the content is missing */
    int64_t told, look; /* when the sender was told of a delay (0: not yet); when queue_to_look names it. Not for queue_enter */
    struct queue_rcpt *rcpts;
    size_t n_rcpts;
};

/* In a change: takes sender … n_rcpts of the entry, gives its id. */
struct error queue_enter(struct sql *db, const struct queue_entry *entry, int64_t *id);
struct error queue_list(struct sql *db, struct arena *a, struct queue_entry **all, size_t *n); /* newest last, recipients included */
/* How many recipients wait. */
struct error queue_waiting(struct sql *db, int64_t *n);
struct error queue_get(struct sql *db, int64_t id, struct arena *a, struct queue_entry *out);
/* Recipients of our own domains that wait because their mailbox could not take the message, and whose time has come; the longest overdue first, at most 100. */
struct queue_due {
    int64_t queue, n, tries;
    struct slice address;
};
struct error queue_due_here(struct sql *db, int64_t now, struct arena *a, struct queue_due **all, size_t *n);
/* In a change. The recipient has it: its row goes, and the message with its last one. */
struct error queue_delivered(struct sql *db, const struct queue_due *d);

/* --- for who dispatches */

/* A destination with recipients that wait. Ours are not among them: delivery_retry has those. */
struct queue_destination {
    struct slice dest;
    int64_t due;     /* of the recipient that comes first */
    int64_t waiting; /* how many wait, counted no further than QUEUE_COUNTED */
};
enum { QUEUE_COUNTED = 100 };
/* Destinations behind `after` (empty: from the first) in the order of their bytes, at most `most`. Steps from one to the next through the index rcpt_due: the cost
 * grows with the number of destinations, not with that of messages. */
struct error queue_destinations(struct sql *db, struct slice after, size_t most, struct arena *a, struct queue_destination **all, size_t *n);

struct queue_taken {
    int64_t queue, n, tries, due;
    struct slice address, orcpt; /* orcpt as given, xtext, or p NULL */
    int notify;
};
/* Who of one destination waits and is due, longest overdue first, recipients of one message behind each other; at most `most`. Reads an index range: the cost
 * grows with `most`, not with what waits. */
struct error queue_take(struct sql *db, struct slice dest, int64_t now, size_t most, struct arena *a, struct queue_taken **all, size_t *n);

/* What became of one recipient in one try at another server. */
struct queue_result {
    int64_t n;              /* rcpt.n */
    enum queue_state state; /* QUEUE_DELIVERED; QUEUE_FAILED for good; QUEUE_WAITING: not now */
    struct slice reply;     /* the last word of the other side, or ours: "550 5.1.1 no such user"; one line, printable */
    struct slice host;      /* who said it: "mx.example [192.0.2.1]"; empty: nobody was reached */
    bool speaks_dsn;        /* delivered to a server that takes DSN on itself: no "relayed" report (RFC 3461 5.2.2) */
};
/* In a change: writes one of them; who waits is due again at `due`, the rows of the others go. ERROR_NOT_FOUND: no such row (deleted meanwhile). */
struct error queue_settle(struct sql *db, int64_t id, const struct queue_result *r, int64_t now, int64_t due);
/* In a change, after the last queue_settle of a message: it goes when nobody is left, else its counter is right. */
struct error queue_settled(struct sql *db, int64_t id);
/* In a change: the sender is told of a delay. ERROR_CONFLICT: he was. */
struct error queue_told(struct sql *db, int64_t id, int64_t now);

/* --- for who looks after it */

/* Messages at which it is time to look (a delay to tell, a time that is over), at most `most`: an index range. queue_enter says 4 hours after `created`. */
struct error queue_to_look(struct sql *db, int64_t now, size_t most, struct arena *a, int64_t **ids, size_t *n);
/* In a change: when to look again. */
struct error queue_look_again(struct sql *db, int64_t id, int64_t at);
/* In a change: nobody of it is tried until an administrator releases it; the reason is shown as the last reply. ERROR_NOT_FOUND. */
struct error queue_set_aside(struct sql *db, int64_t id, struct slice reason);
/* In a change, after a jump of the clock: who would be tried later than `longest` seconds from now is due now, what came in the future came now. *n rows changed. The
 * cost grows with the number of destinations. */
struct error queue_mend_times(struct sql *db, int64_t now, int64_t longest, int64_t *n);

/* --- for administrators */

/* In a change: forgets the message. ERROR_NOT_FOUND. */
struct error queue_delete(struct sql *db, int64_t id);

#endif
