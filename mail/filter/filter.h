/* mail/filter/filter.h -- the one hook between SMTP and whatever judges mail: who sends too fast, block lists, greylisting, authentication, milters, rspamd
 *
 * mail/smtp has a table of filters (mail/smtp/filters.c) and calls each that is wanted, in order, at three stages of a transaction. A filter looks at a
 * struct filter_mail, and says what it found with the functions below; the first refusal ends the stage. What it has to wait for (DNS, another program) it
 * asks for, returns FILTER_WAIT, and calls mail->wake when the answer came: no worker waits, and the same stage is run again, maybe without an answer yet.
 *
 *     static enum filter_run run(struct filter_mail *m, enum filter_stage stage, void **state)
 *     {
 *         if (!*state) { *state = ask(m); return FILTER_WAIT; }
 *         if (!is_answered(*state)) return FILTER_WAIT;
 *         filter_refuse(m, 550, "5.7.1", "the address is listed");
 *         return FILTER_DONE;
 *     }
 *
 * A session whose service has no wanted filter pays for one look at the configuration a transaction. All functions: thread of the session (a worker).
 */
#ifndef KANTOR_MAIL_FILTER_FILTER_H
#define KANTOR_MAIL_FILTER_FILTER_H

#include "core/options.h"
#include "core/server.h"
#include "mail/delivery/deliver.h"

/* MAIL: peer, helo and sender are known. RCPT: for each recipient that would be taken. END: the whole message, before it is stored. */
enum filter_stage { FILTER_MAIL, FILTER_RCPT, FILTER_END };
enum filter_run { FILTER_DONE, FILTER_WAIT };
enum filter_source { FILTER_FROM_OUTSIDE, FILTER_FROM_SUBMITTER, FILTER_FROM_LMTP };
/* What one filter learned and others use. */
enum { FILTER_KNOWN_GOOD = 1 /* a white list has the peer */, FILTER_SPF_PASS = 2 };

struct filter_edit {
    enum { EDIT_ADD /* at the end of the head */, EDIT_INSERT /* before field `n`, 0 and 1: on top */, EDIT_CHANGE /* the n-th of that name, from 1 */, EDIT_DELETE } how;
    uint32_t n;
    struct slice name, value; /* value: folded with CR LF, no line end at its end */
    struct filter_edit *next;
};

struct filter_mail {
    /* --- given */
    struct server *server;
    enum filter_source source;
    const char *id, *job;      /* of the session, of the message: for the log */
    const char *peer, *helo;   /* the client's address as text */
    int peer_port;
    bool loopback, esmtp;
    const char *tls;           /* "TLSv1.3 with cipher …", or NULL */
    int64_t account;           /* 0: not logged in */
    const char *login;
    struct arena *arena;       /* the transaction's */
    struct slice sender;       /* "" for <> */
    int64_t size;              /* as MAIL declared it; 0: not at all */
    int flags;                 /* DELIVERY_* */
    const struct delivery_rcpt *rcpt; /* RCPT: the one that is asked about */
    struct delivery_rcpt *rcpts;      /* END: all that were taken */
    size_t n_rcpts;
    struct slice content;      /* END: the message as it came, without the fields that this server put on top */
    struct slice head;         /* END: its head before fields were taken away that only this server may write; p NULL: nothing was taken */
    void (*wake)(void *arg);   /* any thread, any number of times */
    void *wake_arg;
    /* --- what filters say */
    int known;                 /* FILTER_KNOWN_GOOD … */
    int code;                  /* 0: no refusal; else 4xx or 5xx */
    const char *enhanced, *text, *who; /* who: the filter that said so */
    bool junk, discard, close; /* close: and the session ends */
    int64_t delay_ms;          /* the reply is held back so long */
    struct filter_edit *edits, *last_edit;
    struct slice body;         /* p not NULL: in place of the body */
    struct slice front;        /* fields, with line ends, that this server puts on top below Return-Path; p NULL: none */
    bool changed;              /* `content` has edits in it already */
    struct slice *notes;       /* for the trace */
    size_t n_notes;
    void *authentication;      /* of the filter that verifies SPF, DKIM and DMARC: its results for others, or NULL */
};

struct filter {
    const char *name;
    bool (*wanted)(const struct config *c, const struct filter_mail *m); /* in this transaction: given fields up to login are filled */
    enum filter_run (*run)(struct filter_mail *m, enum filter_stage stage, void **state);
    void (*reset)(void *state); /* the transaction is over; or NULL */
    void (*close)(void *state); /* the session is over; when it returns nothing calls wake any more */
};

extern const struct filter filter_rate, filter_dnsbl, filter_authentication, filter_milter;

/* A refusal; enhanced like "4.7.1"; texts in the arena or static, printable ASCII after this. The first one counts. */
void filter_refuse(struct filter_mail *m, const char *who, int code, const char *enhanced, const char *text);
/* Into Junk instead of the INBOX. */
void filter_junk(struct filter_mail *m, const char *who, const char *why);
/* Answered with 250 and not delivered. */
void filter_discard(struct filter_mail *m, const char *who, const char *why);
/* A sentence for `kantorctl trace`. */
void filter_note(struct filter_mail *m, const char *who, const char *text);
/* Changes of the head, made in this order behind the last filter. The value is cleaned: a line end in it becomes a fold, control characters go. False: the name is
 * none, or no memory. */
bool filter_add_field(struct filter_mail *m, struct slice name, struct slice value);
bool filter_insert_field(struct filter_mail *m, uint32_t before, struct slice name, struct slice value);
bool filter_change_field(struct filter_mail *m, uint32_t nth, struct slice name, struct slice value); /* empty value: deletes it */

/* The content after all edits. ERROR_MEMORY. */
struct error filter_rewrite(const struct filter_mail *m, struct buffer *out);

#endif
