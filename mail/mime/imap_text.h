/* mail/mime/imap_text.h -- ENVELOPE, BODY and BODYSTRUCTURE as IMAP sends them (RFC 9051 7.5.2), and its strings
 *
 * Written once at delivery and kept with the blob: listing a mailbox copies these bytes. A string goes out quoted when it is short, 7-bit and
 * clean, else as a literal; CR, LF and NUL never reach the wire (clients.md I39), so nothing in a mail can write a line of ours (attacks.md IM-26). Thread: any.
 */
#ifndef KANTOR_MAIL_MIME_IMAP_TEXT_H
#define KANTOR_MAIL_MIME_IMAP_TEXT_H

#include "core/buffer.h"
#include "mail/mime/parse.h"

/* NIL for p NULL. */
void imap_text_nstring(struct slice s, struct buffer *out);
void imap_text_string(struct slice s, struct buffer *out);

/* "(date subject from sender reply-to to cc bcc in-reply-to message-id)" of a head. */
struct error imap_text_envelope(struct slice head, struct arena *a, struct buffer *out);

enum imap_text_form { IMAP_TEXT_BODY, IMAP_TEXT_BODYSTRUCTURE };
/* The tree's structure; `message` are the bytes it was parsed from (envelopes of nested messages). */
struct error imap_text_structure(const struct mime_tree *t, struct slice message, enum imap_text_form form, struct arena *a, struct buffer *out);

/* BODY, made of a BODYSTRUCTURE that was kept. False: it is damaged, nothing was added. */
bool imap_text_body(struct slice bodystructure, struct buffer *out);

#endif
