/* mail/dkim/sign.h -- signatures for a message of ours (RFC 6376 5, RFC 8301, RFC 8463)
 *
 * One pass over the message gives a DKIM-Signature field for each signer -- two of them, RSA-2048 and Ed25519, as long as many verifiers know RSA only.
 * Head and body are relaxed: relays refold fields and cut blanks at line ends. There is never an l=: whatever is added behind it would be ours
 * (attacks.md MA-01). The result is put in front of the message.
 *
 *     struct dkim_signer signers[] = {{domain, SLICE("r2026"), &rsa}, {domain, SLICE("e2026"), &ed}};
 *     struct dkim_sign *s;
 *     TRY(dkim_sign_begin(arena, head, clock_now(), 7 * 86400, &s));
 *     dkim_sign_body(s, piece); ...
 *     e = dkim_sign_end(s, signers, 2, &out);
 *     dkim_sign_free(s);
 *
 * What is signed: every instance of the fields that say who wrote what to whom, what kind of content it is, and how lists may be left. Names are listed
 * once more than they stand ("oversigned"), so that nobody can put a second From: over ours and keep the signature (MA-02, MA-03):
 *   always              From, To, Cc, Subject, Date, Reply-To, Message-ID, MIME-Version, Content-Type, Content-Transfer-Encoding: a reader believes a
 *                       first one that was not there as much as a second one
 *   when they are there Sender, In-Reply-To, References, List-* (RFC 8058 4 wants List-Unsubscribe and -Post signed), Content-*, Autocrypt: a mailing
 *                       list that changes nothing else may still add its own List-* and Sender to a message that has none, and our signature survives;
 *                       that is what the large senders do
 *   Resent-*            as they stand, never more: the next to resend adds a block
 * Not signed: Received, Return-Path, Authentication-Results, DKIM-Signature: each station adds or removes some.
 * Thread: any; signing with RSA costs a millisecond: worker.
 */
#ifndef KANTOR_MAIL_DKIM_SIGN_H
#define KANTOR_MAIL_DKIM_SIGN_H

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"
#include "mail/dkim/key.h"

struct dkim_signer {
    struct slice domain, selector;
    const struct dkim_key *key;
};

struct dkim_sign;

/* head: the fields up to and with the empty line, as they will be sent; its bytes must outlive the object. lifetime: seconds until x=, 0 for none.
 * ERROR_INVALID: not exactly one From, or a line that is no field. ERROR_LIMIT: more fields than a verifier would look at. */
struct error dkim_sign_begin(struct arena *a, struct slice head, int64_t now, int64_t lifetime, struct dkim_sign **out);
void dkim_sign_body(struct dkim_sign *s, struct slice piece);
/* Adds one field a signer, each with its line end. Once. ERROR_INVALID when a domain or selector is none. On an error out is as it was. */
struct error dkim_sign_end(struct dkim_sign *s, const struct dkim_signer *signers, size_t n, struct buffer *out);
/* The same as one ARC-Message-Signature (RFC 8617 4.1.2) of that instance, instead of dkim_sign_end; for seal.h. */
struct error dkim_sign_end_arc(struct dkim_sign *s, unsigned instance, const struct dkim_signer *signer, struct buffer *out);
void dkim_sign_free(struct dkim_sign *s);

#endif
