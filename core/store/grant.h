/* core/store/grant.h -- who may do what
 *
 * One rights model, seen as IMAP ACL (RFC 4314), WebDAV ACL (RFC 3744) and shares. Everything is denied unless the collection's account is the
 * actor's own, or a grant on the collection (or on the whole account: collection 0) names the actor or a group he is in (nested, depth 10).
 * A mailbox without RIGHT_LOOKUP answers like one that does not exist.
 */
#ifndef KANTOR_CORE_STORE_GRANT_H
#define KANTOR_CORE_STORE_GRANT_H

#include "core/buffer.h"
#include "core/store/collection.h"

enum {
    RIGHT_LOOKUP = 1 << 0,  /* l */
    RIGHT_READ = 1 << 1,    /* r */
    RIGHT_SEEN = 1 << 2,    /* s */
    RIGHT_WRITE = 1 << 3,   /* w */
    RIGHT_INSERT = 1 << 4,  /* i */
    RIGHT_POST = 1 << 5,    /* p */
    RIGHT_CREATE = 1 << 6,  /* k */
    RIGHT_REMOVE = 1 << 7,  /* x */
    RIGHT_DELETE = 1 << 8,  /* t */
    RIGHT_EXPUNGE = 1 << 9, /* e */
    RIGHT_ADMIN = 1 << 10,  /* a */
    RIGHT_SEND_AS = 1 << 11,
    RIGHT_SEND_ON_BEHALF = 1 << 12,
    RIGHT_ALL = (1 << 13) - 1
};

/* What the actor may do there: 0 when nothing. Works with a reader and in a change. actor 0 (the server) may all. */
struct error grant_rights(struct sql *db, int64_t collection, int64_t actor, int *rights);
struct error grant_account_rights(struct sql *db, int64_t account, int64_t actor, int *rights); /* grants on the whole account */
/* ERROR_NOT_FOUND when the actor lacks even RIGHT_LOOKUP, ERROR_DENIED when he lacks one of `needed`. */
struct error grant_check(struct sql *db, int64_t collection, int64_t actor, int needed);

struct grant {
    int64_t account, collection, grantee;
    int rights;
};
/* Grants of an account; grants made to the actor (directly or through his groups) by others. */
struct error grant_list(struct sql *db, int64_t account, struct arena *a, struct grant **all, size_t *n);
struct error grant_list_to(struct sql *db, int64_t actor, struct arena *a, struct grant **all, size_t *n);
/* In a change; rights 0 removes it. */
struct error grant_set(struct sql *db, struct actor who, int64_t account, int64_t collection, int64_t grantee, int rights);

/* In a change: a new collection takes over the grants on its parent (those on the whole account hold for it in any case). */
struct error grant_inherit(struct sql *db, int64_t parent, int64_t collection);

/* The groups an account is in, itself first, nested to depth 10; in the arena. */
struct error grant_identities(struct sql *db, int64_t account, struct arena *a, int64_t **ids, size_t *n);

/* "lrswipkxtea" to bits (c and d as RFC 4314 2.1.1 says) and back. */
struct error rights_read(struct slice text, int *rights);
void rights_write(int rights, struct buffer *out);

#endif
