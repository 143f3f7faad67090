/* mail/dkim/canon.h -- the forms of fields and bodies that are hashed (RFC 6376 3.4)
 *
 * A body goes through piece by piece, cut anywhere, in constant memory; a field is short and goes into a buffer. A line ends with CR LF only:
 * a CR or LF alone is a byte of the line, as it is for whoever signed. Thread: any, one owner at a time.
 *
 *     struct dkim_body b;
 *     TRY(dkim_body_begin(&b, DKIM_RELAXED, DKIM_SHA256, UINT64_MAX));
 *     dkim_body_add(&b, piece);                       // as often as pieces come
 *     size_t n = dkim_body_end(&b, digest);           // 0 when libcrypto failed
 */
#ifndef KANTOR_MAIL_DKIM_CANON_H
#define KANTOR_MAIL_DKIM_CANON_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/slice.h"

enum dkim_canon { DKIM_SIMPLE,
                  DKIM_RELAXED };
enum dkim_hash { DKIM_SHA256,
                 DKIM_SHA1 };
enum { DKIM_DIGEST_MAX = 32 };

struct evp_md_ctx_st;

struct dkim_body {
    enum dkim_canon canon;
    struct evp_md_ctx_st *md;
    uint64_t limit; /* l=: what comes behind is counted, not hashed */
    uint64_t total; /* octets of the canonical body so far */
    uint64_t lines; /* line ends held back: those at the end of the body are dropped */
    bool cr, blank; /* held back: a CR, a run of blanks */
    bool failed;
    size_t n;
    char held[2048];
};

/* ERROR_MEMORY when libcrypto gives no context. */
struct error dkim_body_begin(struct dkim_body *b, enum dkim_canon canon, enum dkim_hash hash, uint64_t limit);
void dkim_body_add(struct dkim_body *b, struct slice piece);
/* The digest's length, 0 on failure; b->total is the canonical length then. Frees the context. */
size_t dkim_body_end(struct dkim_body *b, unsigned char digest[DKIM_DIGEST_MAX]);
/* For a body that is given up. */
void dkim_body_drop(struct dkim_body *b);

/* Adds a field's canonical form without line end. `field` runs from its name to its line end; the bytes of `cut`, a part of it, count as absent (b=). */
void dkim_canon_field(enum dkim_canon canon, struct slice field, struct slice cut, struct buffer *out);

/* Digest of bytes at once; its length, 0 on failure. */
size_t dkim_digest(enum dkim_hash hash, struct slice bytes, unsigned char digest[DKIM_DIGEST_MAX]);

#endif
