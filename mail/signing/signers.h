/* mail/signing/signers.h -- the active keys of a domain, ready to sign
 *
 *     struct signers with;
 *     TRY(signers_load(db, &domain, arena, &with));       // none: with.n is 0
 *     ... dkim_sign_end(s, with.all, with.n, out) ...
 *     signers_free(&with);
 *
 * Reading a private key from its text costs as much as a signature, so read keys are kept for the process's life, by the id of their row (at most
 * 256 of them; a row's key never changes). Thread: any; one owner of a struct at a time.
 */
#ifndef KANTOR_MAIL_SIGNING_SIGNERS_H
#define KANTOR_MAIL_SIGNING_SIGNERS_H

#include "core/account/domain_key.h"
#include "mail/dkim/sign.h"

enum { SIGNERS_MAX = 4 };

struct signers {
    struct dkim_signer all[SIGNERS_MAX];
    struct dkim_key keys[SIGNERS_MAX];
    size_t n;
};

/* The domain's name and the selectors lie in the arena. An unreadable key is passed over and told in the log. */
struct error signers_load(struct sql *db, const struct domain *d, struct arena *a, struct signers *out);
void signers_free(struct signers *s);

#endif
