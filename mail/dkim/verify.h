/* mail/dkim/verify.h -- the signatures of a message, judged (RFC 6376 6, RFC 8301, RFC 8463)
 *
 * A verification is an object that is fed and asks: the head at its beginning, the body in pieces as they come, the TXT records it names. It opens no
 * socket and reads no clock. Answers may come before, amid or after the body; once both are there a signature has its outcome.
 *
 *     struct dkim_verify *v;
 *     TRY(dkim_verify_begin(arena, head, clock_now(), &dkim_limits_usual, &v));
 *     dkim_verify_body(v, piece);  ...  dkim_verify_body_end(v);
 *     for (size_t i = 0; i < dkim_verify_count(v); i++)
 *         if ((name = dkim_verify_need(v, i)).p)                  // "selector._domainkey.example.org", ASCII
 *             dkim_verify_answer(v, i, DKIM_ANSWER_RECORDS, texts, n);
 *     ... dkim_verify_outcome(v, i) ...
 *     dkim_verify_free(v);                                        // memory of libcrypto; the rest is the arena's
 *
 * What a hostile message can cost is bounded: signatures, fields, names in h=, lengths (below). A body is hashed once for each different pair of
 * canonicalization and l=. Thread: any, one owner at a time.
 */
#ifndef KANTOR_MAIL_DKIM_VERIFY_H
#define KANTOR_MAIL_DKIM_VERIFY_H

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/slice.h"
#include "mail/dkim/key.h"

enum {
    DKIM_EXAMINED_MAX = 5, /* signatures looked at, from the top; RFC 6376 8.4 leaves the number to us */
    DKIM_FIELDS_MAX = 1000, /* fields of a head; beyond it every signature is permerror */
    DKIM_HEAD_MAX = 1 << 20, /* bytes of a head, likewise */
    DKIM_FIELD_MAX = 16 * 1024, /* bytes of a DKIM-Signature field */
    DKIM_NAMES_MAX = 256, /* names in h= */
    DKIM_RECORDS_MAX = 4 /* TXT records tried for one name */
};

/* What is acceptable. Tests with messages of 2006 lower it. */
struct dkim_limits {
    unsigned rsa_bits_min, rsa_bits_max;
    enum dkim_hash weakest; /* DKIM_SHA1: rsa-sha1 is verified (RFC 8301 3.1 forbids it) */
    int64_t slack; /* seconds that clocks may differ */
};
extern const struct dkim_limits dkim_limits_usual; /* 1024, 4096, SHA-256, 300 */

/* The results of RFC 8601 2.7.1. */
enum dkim_result {
    DKIM_PENDING, /* body or record is missing */
    DKIM_PASS,
    DKIM_FAIL, /* hash or signature is wrong, or it has expired */
    DKIM_POLICY, /* not acceptable to us: weak key or hash, a part of the body or a second From: is not signed, t= in the future */
    DKIM_NEUTRAL, /* another version or algorithm, which we cannot judge; or it failed and the key says t=y (RFC 6376 3.6.1) */
    DKIM_TEMPERROR, /* no answer from the DNS */
    DKIM_PERMERROR, /* malformed, no key, revoked key, wrong key */
    DKIM_RESULTS
};
const char *dkim_result_word(enum dkim_result result); /* "pass"; "none" for DKIM_PENDING */

struct dkim_outcome {
    enum dkim_result result;
    const char *reason; /* for people; NULL for a plain pass */
    bool proved; /* both hashes are right, whatever the result is: with DKIM_POLICY the caller may still decide otherwise */
    bool testing; /* the key says t=y */
    bool has_length; /* l= is there */
    uint64_t signed_length, body_length; /* octets of the canonical body: signed by l=, there */
    unsigned bits; /* of the key; 0 when there is none */
    struct slice domain, selector, identity; /* d=, s=, i= (p NULL when absent: "@d"); empty when malformed */
    struct slice algorithm; /* a= */
    struct slice signature; /* b= as it stands, for header.b */
};

struct dkim_verify;

/* head: the fields up to and with the empty line (header_length); its bytes must outlive v. ERROR_MEMORY. A message without signatures has count 0. */
struct error dkim_verify_begin(struct arena *a, struct slice head, int64_t now, const struct dkim_limits *limits, struct dkim_verify **out);
/* The whole message at once. */
struct error dkim_verify_message(struct arena *a, struct slice message, int64_t now, const struct dkim_limits *limits, struct dkim_verify **out);

void dkim_verify_body(struct dkim_verify *v, struct slice piece);
void dkim_verify_body_end(struct dkim_verify *v);

/* Signatures examined, in the order of the head; and how many more there are. */
size_t dkim_verify_count(const struct dkim_verify *v);
size_t dkim_verify_ignored(const struct dkim_verify *v);

/* The name whose TXT records signature i needs; p NULL when it needs none (any more). */
struct slice dkim_verify_need(const struct dkim_verify *v, size_t i);

enum dkim_answer {
    DKIM_ANSWER_RECORDS,
    DKIM_ANSWER_NONE, /* the name or the type does not exist */
    DKIM_ANSWER_FAILED /* SERVFAIL, time-out */
};
/* Strings of one record are joined by the caller. Of several records the first that is a key for this signature counts. Texts are not kept. */
void dkim_verify_answer(struct dkim_verify *v, size_t i, enum dkim_answer answer, const struct slice *texts, size_t n);

const struct dkim_outcome *dkim_verify_outcome(const struct dkim_verify *v, size_t i);
void dkim_verify_free(struct dkim_verify *v);

/* Adds `dkim=pass (2048-bit key) header.d=... header.i=... header.s=... header.a=... header.b=...` (RFC 8601, RFC 6008): no byte of the message can
 * end a value early. One line of visible ASCII and UTF-8; the caller folds. */
void dkim_outcome_text(const struct dkim_outcome *o, struct buffer *out);

#endif
