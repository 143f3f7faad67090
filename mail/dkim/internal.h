/* mail/dkim/internal.h -- a DKIM-Signature field as read, and what verifying and signing share in this folder */
#ifndef KANTOR_MAIL_DKIM_INTERNAL_H
#define KANTOR_MAIL_DKIM_INTERNAL_H

#include "core/arena.h"
#include "mail/dkim/tags.h"
#include "mail/dkim/verify.h"
#include "mail/mime/header.h"

struct dkim_signature {
    struct slice field; /* name to line end */
    struct slice cut; /* the value of b=, left out of the hash */
    enum dkim_key_kind kind;
    enum dkim_hash hash;
    enum dkim_canon head_canon, body_canon;
    struct slice domain, selector, identity, identity_domain, algorithm, text; /* text: b= */
    struct slice *names; /* h= */
    size_t names_n;
    struct slice body_hash, bytes; /* bh=, b=, decoded */
    bool has_length, has_time, has_expiry;
    uint64_t length;
    int64_t signed_at, expires_at;
    struct slice query; /* selector._domainkey.domain */
};

/* What a step of judging says: DKIM_PENDING goes on. */
struct dkim_verdict {
    enum dkim_result result;
    const char *reason;
};
static inline struct dkim_verdict dkim_verdict(enum dkim_result result, const char *reason)
{
    return (struct dkim_verdict){result, reason};
}

/* The fields that are written like a DKIM-Signature. */
enum dkim_field { DKIM_FIELD_SIGNATURE, DKIM_FIELD_ARC_MESSAGE, DKIM_FIELD_ARC_SEAL };
/* Reads such a field (RFC 6376 3.5, 6.1.1; RFC 8617 4.1). What was understood until an error is in *out. */
struct dkim_verdict dkim_signature_parse(struct arena *a, enum dkim_field kind, struct slice field, struct dkim_signature *out);

/* Fields of a head in their order; n and whether all of it was fields. */
struct dkim_fields {
    struct header_field *fields;
    size_t n;
    const char *wrong; /* a reason to judge no signature; NULL */
};
struct error dkim_fields_read(struct arena *a, struct slice head, struct dkim_fields *out);

/* Adds the fields named, each instance once and from the bottom (RFC 6376 5.4.2), in canonical form with line ends.
 * `used` has a byte for each field, 0 at first. */
void dkim_fields_canon(const struct dkim_fields *f, enum dkim_canon canon, const struct slice *names, size_t n, unsigned char *used, struct buffer *out);

/* Adds text in lines of at most 76 columns behind "b=", folded with a tab. */
void dkim_add_folded(struct slice text, struct buffer *out);

/* Base64 with blanks and folds anywhere; otherwise strict. */
bool dkim_base64(struct slice text, struct buffer *out);

/* Labels of letters, digits, '-', '_' and UTF-8, at most 63 octets each (attacks.md MA-08). */
bool dkim_domain_is_legal(struct slice domain);
/* "selector._domainkey.domain" in ASCII (RFC 8616); p NULL when it is no name that can be asked for. */
struct slice dkim_query_name(struct arena *a, struct slice selector, struct slice domain);

#endif
