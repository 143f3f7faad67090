/* core/account/domain_key.h -- the keys that sign for a domain (DKIM, RFC 6376; ARC, RFC 8617), as rows
 *
 * Each domain has an RSA key and an Ed25519 one in use, and while they are changed the next or the last two. What a key is made of is mail/dkim's, how it goes from
 * one state to the next mail/signing's. Private keys leave the store through domain_key_secret only: no list, log, export or JSON has them.
 */
#ifndef KANTOR_CORE_ACCOUNT_DOMAIN_KEY_H
#define KANTOR_CORE_ACCOUNT_DOMAIN_KEY_H

#include "core/account/account.h"
#include "core/buffer.h"

enum domain_key_kind { DOMAIN_KEY_RSA = 1, DOMAIN_KEY_ED25519 }; /* stored, never renumbered */
enum domain_key_state {
    DOMAIN_KEY_MADE = 1,  /* nobody can find it yet: it does not sign */
    DOMAIN_KEY_PUBLISHED, /* its record was seen in the DNS */
    DOMAIN_KEY_ACTIVE,    /* signs */
    DOMAIN_KEY_RETIRED    /* signs no more; its record has to stay until what it signed is old */
};

struct domain_key {
    int64_t id, domain;
    enum domain_key_kind kind;
    enum domain_key_state state;
    struct slice selector, record; /* record: the text of selector._domainkey.domain, TXT */
    int64_t created, changed;      /* changed: when it came into its state */
};

/* Keys of a domain (0: of all) in the order in which they were made. */
struct error domain_key_list(struct sql *db, int64_t domain, struct arena *a, struct domain_key **all, size_t *n);
/* The private key as PEM: clear the buffer with explicit_bzero. ERROR_NOT_FOUND. */
struct error domain_key_secret(struct sql *db, int64_t id, struct buffer *pem);
/* The first domain without any key; ERROR_NOT_FOUND: all have some. */
struct error domain_key_missing(struct sql *db, struct arena *a, struct domain *out);

/* In a change. ERROR_EXISTS: the domain has such a selector. */
struct error domain_key_add(struct sql *db, const struct domain_key *key, struct slice pem);
struct error domain_key_set_state(struct sql *db, int64_t id, enum domain_key_state state);
struct error domain_key_delete(struct sql *db, int64_t id);

#endif
