/* mail/delivery/report_write.h -- the text of a delivery status notification, as bytes (RFC 3464, 6522; 6533 for addresses outside ASCII)
 *
 * Pure: everything that it says is given. Three parts: sentences for a person (who, why, the other server's words, what to do), the same for programs, and what was
 * sent: its head, or all of it where the sender asked for that and it is small. Whatever came from outside is made printable, cut and folded
 * (attacks.md SO-13): a reply of another server or an ORCPT cannot add a field, a line or a part, and no line is longer than 998 octets. Thread: any.
 */
#ifndef KANTOR_MAIL_DELIVERY_REPORT_WRITE_H
#define KANTOR_MAIL_DELIVERY_REPORT_WRITE_H

#include "core/buffer.h"
#include "core/error.h"

enum report_kind {
    REPORT_FAILED,    /* refused for good */
    REPORT_EXPIRED,   /* tried until its time was over */
    REPORT_RETURNED,  /* an administrator gave up */
    REPORT_DELAYED,   /* is tried further */
    REPORT_RELAYED,   /* handed to a server that makes no reports */
    REPORT_DELIVERED, /* in a mailbox here */
    REPORT_EXPANDED   /* sent on to several addresses (RFC 3461 5.2.7.3) */
};

struct report_rcpt {
    struct slice address, orcpt; /* orcpt as given, xtext, or p NULL */
    enum report_kind kind;
    struct slice reply, host; /* as in struct queue_result, or empty */
};

enum { REPORT_RETURNED_MAX = 64 * 1024, REPORT_UTF8 = 1 /* the message went with SMTPUTF8: so does what is said about it */ };

struct report_text {
    const char *hostname, *id; /* this server; the report's own id, one word, unguessable (it parts the parts) */
    struct slice from;         /* a domain: the report comes from its postmaster */
    struct slice sender;       /* whom it goes to */
    struct slice envid;        /* as given, xtext, or p NULL */
    int flags;                 /* REPORT_UTF8 */
    int64_t arrived, now, until;
    struct slice head;     /* the message's, with or without the empty line at its end */
    struct slice whole;    /* all of it, when it is to be returned; or p NULL */
    const char *left_out;  /* a sentence: why the body is not returned though that was asked for; or NULL */
    const struct report_rcpt *rcpts;
    size_t n_rcpts;
};

/* Appends the whole message, with Return-Path and Received. ERROR_MEMORY. */
struct error report_text_write(const struct report_text *r, struct buffer *out);

/* "5.1.1" of a reply; the class is the report's where the reply has none, or another. At least 24 bytes. */
void report_status(const struct report_rcpt *r, char *out, size_t size);
const char *report_action(enum report_kind kind); /* RFC 3464 2.3.3 */

#endif
