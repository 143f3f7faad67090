/* mail/delivery/filter.h -- Sieve at delivery: scripts are run on the worker, before the change; what they want is done inside it
 *
 * For each mailbox that is to get a message the scripts of the server, its domain and its owner run (core/account/script.h) and leave a plan. `put` of
 * deliver.c asks for the plan and carries it out with the owner's rights; where something cannot be done (no such mailbox, no right, a loop) the message
 * goes to INBOX. Whatever fails in a script is a keep, and its owner finds a note in INBOX, at most one a day.
 *
 * What leaves (redirect, vacation, a rejection that came too late to be said in the dialogue) is rows of the queue, written by the same change; those for our own
 * domains are delivered by delivery_retry. An account sends so many of them a day (filter_options), then the message is kept.
 *
 * A delivery without any active script costs one lookup.
 */
#ifndef KANTOR_MAIL_DELIVERY_FILTER_H
#define KANTOR_MAIL_DELIVERY_FILTER_H

#include "mail/delivery/deliver.h"
#include "mail/trace/trace.h"

struct filter;      /* the plans of one delivery */
struct filter_plan; /* of one mailbox */

struct filter_options {
    const char *hostname;
    int64_t lifetime_s; /* in the queue */
    int64_t per_day;    /* messages that scripts of one account send */
};
/* At the start and at a reload; the name must live on. Any thread. */
void filter_configure(const struct filter_options *o);

struct filter_input {
    const struct delivery *d;
    struct slice bytes;  /* the message from its first byte: all of it, or what tests may see */
    int64_t blob;        /* where the rest stands; 0: bytes are all */
    const struct slice *marks; /* Delivered-To, of message and queue */
    size_t n_marks;
    struct slice head;   /* fields in front of it from earlier hops, or p NULL */
    enum filter_refusing { FILTER_MAY_REFUSE, FILTER_MUST_REPLY } refusing;
};

/* Runs the scripts of all local recipients; adds to *filter (NULL at first; stays NULL where nobody has a script). ERROR_MEMORY, ERROR_IO. Thread: worker, without a reader. */
struct error filter_prepare(struct store *s, const struct filter_input *in, struct arena *a, struct filter **filter);
void filter_drop(struct filter *f);

/* NULL: straight into INBOX. */
const struct filter_plan *filter_find(const struct filter *f, const struct delivery *d, int64_t account);

struct filter_stored {
    uint32_t uid;
    struct slice mailbox;
};
struct filter_doing {
    int64_t blob; /* of the message as it came */
    const struct delivery_rcpt *r;
    struct trace *trace;
    struct arena *arena;                     /* what must live until the change is over */
    struct filter_stored *stored;            /* out */
    size_t n_stored;
    bool queued; /* out: something waits in the queue */
};
/* In the change. ERROR_DENIED: the script refuses it, the text is the script's; ERROR_QUOTA: INBOX is full and nothing was done. */
struct error filter_apply(struct sql *db, const struct filter_plan *p, struct filter_doing *doing);

/* Something for our own domains may wait in the queue: after the commit. */
void filter_wake_by(void (*wake)(void *arg), void *arg);
void filter_wake(void);

#endif
