/* mail/signing/keys.h -- the life of a domain's keys (docs/decisions/0043-domain-keys.md)
 *
 * A domain has two keys in use, RSA-2048 and Ed25519 (many verifiers know RSA only). Their way:
 *   made       a pair stands in the store; its records wait to be published (`kantorctl domain dns`)
 *   published  the record was seen in the DNS
 *   active     both of the pair were seen, or an administrator said so: it signs what leaves, the pair before it retires
 *   retired    signs no more; its record stays in `domain dns` until everything it signed is delivered or over (KEYS_RETIRED_S), then the row goes
 * Rotating is one command, making the next pair; everything else follows when the DNS shows it, or is done by hand.
 *
 * Making an RSA key takes from a tenth of a second to a second of CPU: on a worker, before the change.
 */
#ifndef KANTOR_MAIL_SIGNING_KEYS_H
#define KANTOR_MAIL_SIGNING_KEYS_H

#include "core/account/domain_key.h"

enum {
    KEYS_SIGNED_S = 7 * 86400,   /* x= of our signatures: the queue's five days and two more */
    KEYS_RETIRED_S = 14 * 86400, /* how long a retired key's record must stay */
};

/* A pair that stands in no store yet. */
struct keys_pair {
    struct buffer pem[2];
    struct slice record[2]; /* in the arena */
};
/* Thread: worker. keys_drop clears the secrets, also after a failure. */
struct error keys_make(struct arena *a, struct keys_pair *out);
void keys_drop(struct keys_pair *pair);
/* In a change: gives the pair its selectors (of this day) and enters it in that state. */
struct error keys_enter(struct sql *db, int64_t domain, const struct keys_pair *pair, enum domain_key_state state, struct arena *a);

/* Makes keys for one domain that has none. *more: there may be others. Thread: worker. */
struct error keys_make_missing(struct store *s, enum domain_key_state state, bool *more);

/* Are there no keys that wait? Asked before a new pair is made. ERROR_CONFLICT. */
struct error keys_may_rotate(const struct domain_key *all, size_t n);
/* In a change. What `rotate` does: a new pair, unless one is on its way (ERROR_CONFLICT). */
struct error keys_rotate(struct sql *db, int64_t domain, const struct keys_pair *pair, struct arena *a);
/* In a change: the newest pair signs from now on, the one before it retires. ERROR_CONFLICT: it signs already; or its records were not seen and `seen` is
 * KEYS_MUST_BE_SEEN. */
enum keys_seen { KEYS_MUST_BE_SEEN, KEYS_NEED_NOT_BE_SEEN };
struct error keys_activate(struct sql *db, int64_t domain, enum keys_seen seen, struct arena *a);
/* In a change: the DNS shows this key's record. The last of a pair makes it active; *active then. */
struct error keys_were_seen(struct sql *db, const struct domain_key *key, bool *active, struct arena *a);
/* In a change: removes retired keys whose time is over. *n of them. */
struct error keys_expire(struct sql *db, int64_t now, int64_t *n, struct arena *a);
/* "made", "published", "active", "retired"; "rsa", "ed25519". */
const char *keys_state_word(enum domain_key_state state);
const char *keys_kind_word(enum domain_key_kind kind);

#endif
