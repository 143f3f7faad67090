/* mail/relay/outgoing.h -- a message of the queue as it leaves: what is put in front of the stored bytes, and where those begin
 *
 * The blob is shared with local recipients and begins with this server's own Return-Path line, which stays here (RFC 5321 4.4). In front go, in this
 * order: DKIM-Signature fields of the From domain's active keys (mail/signing), an ARC set when the message is passed on for somebody, and the
 * entry's own head (Delivered-To of a forward). Blind copies are gone already: mail/smtp takes Bcc out of what is submitted (RFC 5322 3.6.3).
 *
 *     struct outgoing out;
 *     TRY(outgoing_head(store, hostname, &entry, arena, &out));   // reads the message once, in pieces; the second time from memory
 *     MAIL FROM:<...> SIZE=out.size; send out.head, then the blob's bytes from out.from to its end
 *
 * Who may be signed for: From names one mailbox of a domain of ours, and the submitter may send with it (attacks.md MA-28); or the message was made
 * by this server (DELIVERY_OWN) or is a list's. A message that cannot be signed (no key yet, a broken head) leaves without a signature.
 *
 * The dialogue looks at `holds` before it sends: 8-bit content to a server without 8BITMIME, UTF-8 in the head to one without SMTPUTF8, bytes that
 * DATA cannot carry to one without BINARYMIME. Thread: worker, without a reader in hand; signing costs a millisecond (RSA).
 */
#ifndef KANTOR_MAIL_RELAY_OUTGOING_H
#define KANTOR_MAIL_RELAY_OUTGOING_H

#include "core/store/store.h"
#include "mail/queue/queue.h"

enum {
    OUTGOING_EIGHT_BIT = 1,  /* the body has bytes above 127: BODY=8BITMIME (RFC 6152) */
    OUTGOING_UTF8_HEAD = 2,  /* the head has them: SMTPUTF8 (RFC 6531), or 5.6.7 when the other side lacks it */
    OUTGOING_BARE = 4,       /* a CR or LF that is no line end, or a NUL: only BDAT with BINARYMIME carries it (RFC 3030), else 5.6.1 */
    OUTGOING_LONG_LINES = 8, /* a line of more than 998 octets (RFC 5322 2.1.1): sent as it is, most servers take it */
    OUTGOING_OPEN_END = 16   /* no line end at the end: DATA adds one, which no signature of ours minds */
};

struct outgoing {
    struct slice head;      /* in the arena; may be empty */
    int64_t from;           /* the blob's first byte that is sent */
    int64_t size;           /* head and blob, for SIZE= */
    int holds;              /* OUTGOING_* */
    int signatures;         /* how many DKIM-Signature fields of ours are in head */
    struct slice signed_by; /* their domain, for the log; empty: none */
};

/* ERROR_NOT_FOUND, ERROR_IO, ERROR_CORRUPT: the content cannot be read (passing: try later); ERROR_MEMORY. Remembered for a while, by the entry's id. */
struct error outgoing_head(struct store *s, const char *hostname, const struct queue_entry *entry, struct arena *a, struct outgoing *out);

#endif
