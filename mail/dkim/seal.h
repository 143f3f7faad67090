/* mail/dkim/seal.h -- an ARC set for a message that is passed on (RFC 8617 5.1)
 *
 * Who passes a message on says what he had found when it came (ARC-Authentication-Results, from the Authentication-Results field that this server put on top),
 * signs the message as it leaves (ARC-Message-Signature) and seals all sets so far (ARC-Seal). The set goes in front of the message.
 *
 *     TRY(dkim_seal_look(arena, head, authserv, &seal));
 *     if (seal.instance) { dkim_sign_begin(...), dkim_sign_body ..., dkim_seal_end(sign, &seal, &signer, now, &out); }
 *
 * No set is added (instance 0) when nothing is known: no Authentication-Results of ours, or a chain without our verdict; nor to a chain that is
 * broken already by its own word (cv=fail in its newest seal) or has 50 sets. Thread: any; costs two RSA signatures.
 */
#ifndef KANTOR_MAIL_DKIM_SEAL_H
#define KANTOR_MAIL_DKIM_SEAL_H

#include "mail/dkim/sign.h"

enum { SEAL_SETS_MAX = 50 };

struct dkim_seal_set {
    struct slice findings, message, seal; /* whole fields */
};

struct dkim_seal {
    unsigned instance;     /* of the set to add; 0: none */
    const char *verdict;   /* cv=: "none", "pass", "fail" */
    struct slice findings; /* the value of our Authentication-Results */
    struct dkim_seal_set sets[SEAL_SETS_MAX + 1]; /* those that are there, from 1 */
};

/* head: as for dkim_sign_begin. authserv: the name under which this server writes Authentication-Results. ERROR_MEMORY. */
struct error dkim_seal_look(struct arena *a, struct slice head, struct slice authserv, struct dkim_seal **out);
/* Instead of dkim_sign_end: adds the set's three fields. */
struct error dkim_seal_end(struct dkim_sign *s, const struct dkim_seal *seal, const struct dkim_signer *signer, int64_t now, struct buffer *out);

#endif
