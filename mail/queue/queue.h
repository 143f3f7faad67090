/* mail/queue/queue.h -- mail that leaves for other servers, durable with its envelope
 *
 * A message stands here from the moment it was accepted until every recipient is delivered, failed or deleted. Sending is a later issue's; the
 * states exist now. A row of `queue` names the blob, so the message's bytes cannot go while it waits. They
 * begin with this server's own Return-Path line (the blob is shared with local recipients): the sending side leaves that line out (RFC 5321 4.4).
 */
#ifndef KANTOR_MAIL_QUEUE_QUEUE_H
#define KANTOR_MAIL_QUEUE_QUEUE_H

#include "core/store/store.h"

enum queue_state { QUEUE_WAITING, QUEUE_HELD, QUEUE_DELIVERED, QUEUE_FAILED };

struct queue_rcpt {
    struct slice address, dest; /* dest: the domain */
    struct slice orcpt;         /* xtext as given, or p NULL */
    int notify;
    enum queue_state state;
    int64_t due, tries;
    struct slice reply; /* the last word of the other side */
};

struct queue_entry {
    int64_t id, blob, account;
    struct slice sender, envid, job;
    struct slice head; /* fields that go in front of the message when it is sent (Delivered-To of a forward); or p NULL */
    int flags; /* DELIVERY_* */
    int64_t created, expires, size;
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
/* In a change. It did not work: again at `due`, or never (QUEUE_FAILED). */
struct error queue_not_delivered(struct sql *db, const struct queue_due *d, enum queue_state state, int64_t due, struct slice reply);
/* What became of one recipient in one try at another server. */
struct queue_result {
    int64_t n;              /* rcpt.n */
    enum queue_state state; /* QUEUE_DELIVERED; QUEUE_FAILED for good; QUEUE_WAITING: not now */
    struct slice reply;     /* the last word of the other side, or ours: "550 5.1.1 no such user"; one line, printable */
    struct slice host;      /* who said it: "mx.example [192.0.2.1]"; empty: nobody was reached */
    bool speaks_dsn;        /* delivered to a server that takes DSN on itself: no "relayed" report (RFC 3461 5.2.2) */
};


/* In a change: whoever waits is due now. */
struct error queue_hurry(struct sql *db, int64_t id);
/* In a change: forgets the message. ERROR_NOT_FOUND. */
struct error queue_delete(struct sql *db, int64_t id);

#endif
