/* core/account/list.h -- lists: groups whose mail is distributed as the list's own
 *
 * A group becomes a list by its row of options. Besides its own addresses a list answers to LOCAL-owner (its owner), LOCAL-leave (whoever writes there is asked whether it
 * was he), LOCAL-leave-TOKEN (his answer) and LOCAL-bounces-SECRET (what comes back from members; the secret stands in the mail they got, so that strangers cannot make reports up); an address
 * of that name that exists goes first. Posts stand in a table until they are distributed or a moderator has decided. How they are distributed:
 * mail/delivery/list.h. Functions that write run in a change.
 */
#ifndef KANTOR_CORE_ACCOUNT_LIST_H
#define KANTOR_CORE_ACCOUNT_LIST_H

#include "core/account/account.h"

enum list_posting { LIST_ANYONE, LIST_MEMBERS, LIST_OWNER_ONLY };
enum list_reply { LIST_REPLY_SENDER, LIST_REPLY_LIST };
enum { LIST_PREFIX_MAX = 64, LIST_BOUNCES_MAX = 3 };

struct list {
    int64_t account;
    enum list_posting posting;
    bool moderated;
    enum list_reply reply;
    struct slice prefix; /* of the subject, ASCII; or empty */
    struct slice owner;  /* address; empty: the domain's postmaster */
    struct slice secret;
};

/* ERROR_NOT_FOUND: no list. */
struct error list_get(struct sql *db, int64_t account, struct arena *a, struct list *out);
/* Makes a list of a group, or sets its options; the secret of a new one is made of `fresh_secret` (LOCAL characters). */
struct error list_set(struct sql *db, const struct list *list);
/* It is a plain group again; its posts and counts go. ERROR_NOT_FOUND. */
struct error list_unset(struct sql *db, int64_t account);
/* All accounts that are lists. */
struct error list_all(struct sql *db, struct arena *a, int64_t **accounts, size_t *n);
/* Which list, and as what, a local part that is no address stands for. role LIST_NONE: none. */
struct error list_service(struct sql *db, int64_t domain, struct slice local, struct arena *a, struct list *list, enum list_role *role, struct slice *token);
/* Ten letters and digits for secrets and tokens. ERROR_IO: no random bytes. */
struct error list_random(char text[11]);
/* The member is asked: his token from now on. ERROR_CONFLICT: he was asked within a day; ERROR_NOT_FOUND: no direct member of the list. */
struct error list_leave_ask(struct sql *db, int64_t list, struct slice address, struct slice token, int64_t now, struct arena *a);
/* The answer: the member goes. ERROR_NOT_FOUND: nobody has that token, or he left meanwhile. */
struct error list_leave_answered(struct sql *db, int64_t list, struct slice token, struct arena *a);
/* A direct member, by an address of his. ERROR_NOT_FOUND. */
struct error list_member_remove(struct sql *db, int64_t list, struct slice address, struct arena *a);
/* OK, or ERROR_DENIED with a sentence. `sender` is the envelope's; submitter: the account that logged in (or a list that this one is a member of), or 0. */
struct error list_may_post(struct sql *db, const struct list *list, struct slice sender, int64_t submitter, struct arena *a);
/* A member, directly or through groups: an account (by any of its addresses) or a foreign address. */
struct error list_has_member(struct sql *db, int64_t list, struct slice address, struct arena *a, bool *yes);

/* --- posts */
enum post_state { POST_READY, POST_UNTOLD, POST_HELD };
struct post {
    int64_t id, list;
    enum list_role role;
    enum post_state state;
    int64_t blob;
    struct slice job, sender;
    int flags; /* DELIVERY_* */
    int64_t created;
};
struct error post_add(struct sql *db, const struct post *post, int64_t *id);
struct error post_get(struct sql *db, int64_t id, struct arena *a, struct post *out);       /* ERROR_NOT_FOUND */
struct error post_list(struct sql *db, enum post_state upto, struct arena *a, struct post **all, size_t *n); /* in these states: 0 to `upto`; oldest first, at most 100 */
struct error post_held(struct sql *db, int64_t list, struct arena *a, struct post **all, size_t *n);         /* list 0: of all; at most 1,000 */
struct error post_set_state(struct sql *db, int64_t id, enum post_state state); /* ERROR_NOT_FOUND */
struct error post_remove(struct sql *db, int64_t id);                          /* ERROR_NOT_FOUND: somebody else did it */

/* --- members whose mail comes back */
struct list_bounce {
    struct slice address;
    int64_t bounces, at;
    bool suspended;
};
/* Counts one, at most one a day unless the address does not exist; at the third the member gets nothing more. *suspended: just now. */
struct error list_bounce_note(struct sql *db, int64_t list, struct slice address, bool unknown, int64_t now, bool *suspended);
struct error list_bounce_list(struct sql *db, int64_t list, struct arena *a, struct list_bounce **all, size_t *n);
struct error list_bounce_forget(struct sql *db, int64_t list, struct slice address); /* ERROR_NOT_FOUND */
struct error list_is_suspended(struct sql *db, int64_t list, struct slice address, bool *yes);

#endif
