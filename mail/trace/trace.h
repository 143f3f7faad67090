/* mail/trace/trace.h -- message tracking: what happened, when, by which rule, to which server, with which answer
 *
 * Everything that one change does to one message is one row, in order of arrival, and is written by that change: what the trace says is what is
 * durable. Delivery pays one INSERT; the words by which rows are found (message, sender, recipients) are added in batches by a timer, and a search reads
 * the few newest rows itself, so it always sees everything. Refusals in a session change nothing: they wait in memory (at most seconds) and
 * are written together, so that a stranger who guesses names costs no disk. The job (the id in the Received field and the log) ties rows together.
 *
 *     trace_begin(&t, arena, job, message_id, sender);
 *     trace_add(&t, TRACE_STORED, SLICE("sari@kantor.example"), SLICE("in INBOX as uid 5"));
 *     TRY(trace_put(db, &t));                     // in the change
 */
#ifndef KANTOR_MAIL_TRACE_TRACE_H
#define KANTOR_MAIL_TRACE_TRACE_H

#include "core/store/store.h"

enum trace_what {
    TRACE_RECEIVED,  /* the message came in; detail: from whom, by which service, how large */
    TRACE_REFUSED,   /* not taken; detail: the answer */
    TRACE_STORED,    /* in a mailbox; detail: which, uid, whose, by which rule */
    TRACE_QUEUED,    /* waits to be sent to the recipient */
    TRACE_FORWARDED, /* from `recipient` to the address that is the detail, nothing else */
    TRACE_TRIED,     /* not now; detail: which server, its answer */
    TRACE_DELIVERED, /* another server has it; detail: which, its answer */
    TRACE_BOUNCED,   /* failed for good; detail: which server, its answer */
    TRACE_EXPIRED,   /* nobody could be reached in time */
    TRACE_FILTERED,  /* a filter, script or rule decided; detail: which and what */
    TRACE_HELD,      /* waits for a person: moderation, `kantorctl queue hold` */
    TRACE_RELEASED,
    TRACE_DROPPED,   /* on purpose: discarded, deleted from the queue, moderator said no */
    TRACE_DISTRIBUTED, /* a list made its own message of it for its members; detail: which */
    TRACE_REPORTED   /* a report about it went to its sender; detail: what it says */
};

struct trace {
    struct arena *arena;
    struct slice job, message_id, sender; /* message_id with its <>, or empty; job may be empty only for what never was a message */
    char *text;                           /* lines of what, recipient, detail */
    size_t n, room;
    bool failed;
};

/* What trace_put writes; slices must stay until then. Texts grow in the arena. */
void trace_begin(struct trace *t, struct arena *a, struct slice job, struct slice message_id, struct slice sender);
/* Control characters become blanks; a detail is cut at 500 bytes. Thread: whoever owns the arena. */
void trace_add(struct trace *t, enum trace_what what, struct slice recipient, struct slice detail);
void trace_addf(struct trace *t, enum trace_what what, struct slice recipient, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The events of another one behind its own. */
void trace_append(struct trace *t, const struct trace *more);
/* In a change. Nothing was added: writes nothing. ERROR_MEMORY, ERROR_FULL, ERROR_IO. */
struct error trace_put(struct sql *db, const struct trace *t);

/* A refusal in a session; all slices are copied. What comes faster than it can be written (5,000 wait) is counted, not kept. Thread: any. */
void trace_later(enum trace_what what, struct slice job, struct slice message_id, struct slice sender, struct slice recipient, struct slice detail);
/* Writes what trace_later gathered, one change. By a timer of seconds, before a search, and at the end. Thread: worker, no reader in hand. */
void trace_flush(struct store *s);

/* Adds the words of rows that have none yet; batches of 500 rows a change. By a timer; never twice at a time. Thread: worker. */
struct error trace_index(struct store *s);
/* Rows and words older than `before` go; batches of 1,000 a change. Thread: worker. */
struct error trace_sweep(struct store *s, int64_t before);

struct trace_query {
    struct slice message;   /* a job or a Message-ID (with or without <>) */
    struct slice sender;    /* envelope sender; "<>" for the empty one */
    struct slice recipient; /* with what was forwarded for it */
    int64_t since, until;   /* 0: all that is kept */
};
struct trace_line {
    int64_t at;
    struct slice job, message_id, sender; /* the message's, on each of its lines */
    const char *what;
    struct slice recipient, detail;
};
enum { TRACE_LINES_MAX = 10000, TRACE_MESSAGES_MAX = 1000 };
/* Message by message (the order in which they came), each in time order. *cut: there is more than TRACE_LINES_MAX. Thread: worker, with a reader. */
struct error trace_find(struct sql *db, const struct trace_query *q, struct arena *a, struct trace_line **lines, size_t *n, bool *cut);

#endif
