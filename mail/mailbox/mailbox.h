/* mail/mailbox/mailbox.h -- the tree of mailboxes as clients name it
 *
 * A path is UTF-8, NFC, levels separated by '/'. The personal namespace has no prefix; what others share stands under "Other Users/ADDRESS/…" (a
 * person's) and "Shared/ADDRESS/…" (a shared mailbox; its INBOX is "Shared/ADDRESS/INBOX"). Modified UTF-7 exists on the wire only (name.h).
 * A mailbox that the actor may not look up is ERROR_NOT_FOUND, exactly as if it were not there.
 */
#ifndef KANTOR_MAIL_MAILBOX_MAILBOX_H
#define KANTOR_MAIL_MAILBOX_MAILBOX_H

#include "core/store/collection.h"
#include "core/store/grant.h"

enum { MAILBOX_DEPTH_MAX = 50, MAILBOX_LEVEL_MAX = 255, MAILBOX_COUNT_MAX = 10000 };

#define MAILBOX_OTHERS "Other Users"
#define MAILBOX_SHARED "Shared"

struct mailbox {
    struct collection c;
    struct slice path; /* canonical, with namespace */
    int rights;        /* the actor's */
    int selectable;    /* 0: only a level of the tree (namespace roots, an account's root) */
    int children;
    int subscribed;
};

/* One canonical form (NFC, INBOX in capitals at the first level, ASCII only); checks each level. ERROR_INVALID with a sentence. */
struct error mailbox_canonical(struct slice path, struct arena *a, struct slice *out);
struct error mailbox_find(struct sql *db, int64_t actor, struct slice path, struct arena *a, struct mailbox *out);
/* Every mailbox that the actor may look up, own and shared, ordered so that a parent stands before its children; `subscribed` and `children` filled. */
struct error mailbox_list(struct sql *db, int64_t actor, struct arena *a, struct mailbox **all, size_t *n);

/* The same with the names that the actor subscribed to and that are no mailbox (any more), and the levels above them: c.id 0. */
struct error mailbox_list_subscribed(struct sql *db, int64_t actor, struct arena *a, struct mailbox **all, size_t *n);
/* NFC of a pattern or of part of a name; ERROR_INVALID when it is not UTF-8. */
struct error mailbox_normalise(struct slice text, struct arena *a, struct slice *out);

/* In a change; rights are checked inside. CREATE makes missing parents (RFC 9051 6.3.4). */
struct error mailbox_create(struct sql *db, struct actor who, struct slice path, enum collection_role role, struct arena *a, struct mailbox *out);
/* INBOX: its messages move to the new mailbox, it stays, its children stay (6.3.6). Subscriptions of the tree follow (clients.md I8). */
struct error mailbox_rename(struct sql *db, struct actor who, struct slice from, struct slice to, struct arena *a);
/* Children stay: the name is then a level without messages (\Noselect, RFC 9051 6.3.5), which goes with its last child. ERROR_CONFLICT [HASCHILDREN] for such a
 * level. INBOX: ERROR_UNSUPPORTED. */
struct error mailbox_delete(struct sql *db, struct actor who, struct slice path, struct arena *a);

#endif
