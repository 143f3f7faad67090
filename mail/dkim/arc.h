/* mail/dkim/arc.h -- the chain of who passed a message on, judged (RFC 8617 5.2)
 *
 * Each station that changed a message may have added a set: what it had found (ARC-Authentication-Results), a signature of the message (ARC-Message-Signature)
 * and a seal over all sets so far (ARC-Seal). The chain is whole when every seal is right and the newest message signature fits. A whole chain says only
 * that the sealers said so: whom to believe is the administrator's to name. Like verify.h: fed, asks for keys, opens no socket.
 *
 * Bounded (attacks.md MA-23): 50 sets, ARC_BYTES_MAX of their fields, each key asked for once; a chain that is broken in its form, or whose body was
 * changed, asks for nothing. Thread: any, one owner at a time.
 */
#ifndef KANTOR_MAIL_DKIM_ARC_H
#define KANTOR_MAIL_DKIM_ARC_H

#include "mail/dkim/verify.h"

enum { ARC_SETS_MAX = 50, ARC_BYTES_MAX = 256 * 1024 };

enum arc_result { ARC_PENDING, ARC_NONE, ARC_PASS, ARC_FAIL, ARC_TEMPERROR };
const char *arc_result_word(enum arc_result r); /* "none" for ARC_PENDING; a temporary error is a "fail" (RFC 8617 5.2 knows no other) */

struct arc;

/* head: up to and with the empty line; its bytes must outlive the object. ERROR_MEMORY. */
struct error arc_begin(struct arena *a, struct slice head, int64_t now, struct arc **out);
/* The whole body, once. */
void arc_body(struct arc *x, struct slice body);

/* Names whose TXT records are wanted, each once. p NULL: not (any more). */
size_t arc_needs(const struct arc *x);
struct slice arc_need(const struct arc *x, size_t i);
void arc_answer(struct arc *x, size_t i, enum dkim_answer answer, const struct slice *texts, size_t n);

enum arc_result arc_result(const struct arc *x);
const char *arc_reason(const struct arc *x); /* of a fail; or NULL */
size_t arc_sets(const struct arc *x);
/* Of set i, from 1: who sealed it, and what it had found: the value of its ARC-Authentication-Results behind "i=N;". Empty where the chain is broken. */
struct slice arc_sealer(const struct arc *x, size_t i);
struct slice arc_findings(const struct arc *x, size_t i);
/* NULL is allowed. */
void arc_free(struct arc *x);

#endif
