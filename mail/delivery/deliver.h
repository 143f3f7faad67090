/* mail/delivery/deliver.h -- the one way in for mail: SMTP, LMTP, submission, import
 *
 * Resolves recipients, puts one blob and one row for each mailbox, and queues what goes elsewhere, in one change: "250" is said after it.
 * Each recipient has a result of its own (over quota refuses that one alone). Where only one answer can be given for all (SMTP), or for a group, and
 * somebody got the message, it waits in the queue for those who could not take it: what was acknowledged is never lost.
 */
#ifndef KANTOR_MAIL_DELIVERY_DELIVER_H
#define KANTOR_MAIL_DELIVERY_DELIVER_H

#include "core/account/account.h"
#include "core/server.h"
#include "mail/mailbox/index.h"

enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 }; /* RFC 3461 4.1; 0: not given */
enum { DELIVERY_RET_FULL = 1, DELIVERY_RET_HDRS = 2, DELIVERY_REQUIRETLS = 4, DELIVERY_SMTPUTF8 = 8, DELIVERY_8BIT = 16, DELIVERY_BINARY = 32, DELIVERY_TLS_OPTIONAL = 64 };
/* Made by this server (a report, an answer of vacation): it is signed for the domain of its From when it leaves, and may leave
 * for any domain, though nobody submitted it. Never for what came from elsewhere. */
enum { DELIVERY_OWN = 256 };
/* SPF said pass for the sender: a report may go to him (attacks.md SO-11). */
enum { DELIVERY_SENDER_VERIFIED = 128 };

struct delivery_rcpt {
    struct address address;  /* canonical */
    struct slice text;       /* as it is passed on to another server */
    struct slice orcpt;      /* as given, xtext; or p NULL */
    int notify;
    bool sent_on;            /* a rule names it: it may stand elsewhere, whoever sends */
    const struct delivery_rcpt *sent_on_for; /* whose mail it is: like a forward of his; or NULL */
    struct error result;     /* out */
};

enum delivery_results {
    DELIVERY_RESULT_EACH, /* LMTP: each refused recipient is told */
    DELIVERY_RESULT_ONE,  /* refused ones are queued once somebody has it */
    DELIVERY_RESULT_QUEUE /* a list's message, a notice: refused ones are queued in any case, but for loops */
};

struct delivery {
    struct message *message;      /* prepared; complete with trace fields */
    struct slice sender;          /* MAIL FROM path, "" for <> */
    struct slice envid;           /* or p NULL */
    int flags;                    /* DELIVERY_* */
    int64_t submitter;            /* account that submitted it, 0: from outside */
    int64_t lifetime_s;           /* in the queue */
    enum delivery_results results;
    struct delivery_rcpt *rcpts;
    size_t n_rcpts;
    const char *job;              /* the message's id in the log and the Received field */
    struct slice origin;          /* for the trace: "from 192.0.2.1 by smtp, "; or empty */
    struct slice message_id;      /* p NULL: delivery_run reads it from the message */
    int64_t sent_for;             /* a shared mailbox whose Sent gets a copy, \\Seen, when somebody has the message; 0: none */
    bool junk;                    /* into Junk instead of the INBOX */
    const struct slice *notes;    /* what filters decided: for the trace */
    size_t n_notes;
    struct error (*also)(struct sql *db, void *arg); /* or NULL: first in the same change; when it fails nothing is done */
    void *also_arg;
};

struct delivery_asked {
    int64_t size;        /* 0: not known */
    struct slice sender; /* MAIL FROM */
    int64_t submitter;   /* as in struct delivery */
};
/* May this address be a recipient (at RCPT TO)? OK; ERROR_NOT_FOUND 550 5.1.1; ERROR_UNSUPPORTED: foreign domain (relay only for submitters: the caller decides);
 * ERROR_QUOTA 452 4.2.2; ERROR_DENIED suspended 550 5.2.1, or a list to which this sender may not post. Thread: worker, with a reader. */
struct error delivery_check(struct sql *db, const struct address *address, const struct delivery_asked *asked, struct arena *a);

/* Delivers to all recipients. The return value is about the whole message (store down: nothing was stored); results stand in each rcpt. Thread: worker. */
struct error delivery_run(struct store *s, struct delivery *d, struct arena *a);

/* Tries again for recipients of our own domains that wait in the queue (a mailbox was full) and are due; whose time is over, is reported. Thread: worker, by a timer. */
void delivery_retry(struct server *server);

#endif
