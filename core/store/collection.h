/* core/store/collection.h -- mailboxes, calendars, address books, task lists, folders of files: one table, one kind column
 *
 * A collection belongs to an account and may stand under a parent of the same kind; `name` is its own segment (NFC UTF-8, no NUL, no '/').
 * Counters are exact: they are changed in the same transaction as the rows. All functions that write take the actor (for the log and the
 * history) and run inside a change; rights are checked by the caller inside the same change with grant_check.
 */
#ifndef KANTOR_CORE_STORE_COLLECTION_H
#define KANTOR_CORE_STORE_COLLECTION_H

#include "core/store/store.h"

enum collection_kind { COLLECTION_MAILBOX = 1, COLLECTION_CALENDAR, COLLECTION_ADDRESSBOOK, COLLECTION_TASKS, COLLECTION_FILES };

/* RFC 6154, the inbox, and a level that was deleted while something stands below it (it holds nothing and takes nothing); stored, never renumbered. */
enum collection_role { ROLE_NONE, ROLE_INBOX, ROLE_DRAFTS, ROLE_SENT, ROLE_TRASH, ROLE_JUNK, ROLE_ARCHIVE, ROLE_ALL, ROLE_FLAGGED, ROLE_IMPORTANT, ROLE_LEVEL };

/* Who does it: goes into the change row. `origin` is a device's or session's number, 0 when unknown. */
struct actor {
    int64_t account; /* 0: the server itself (delivery, admin) */
    int64_t origin;
};

struct collection {
    int64_t id, account, parent; /* parent 0: top */
    enum collection_kind kind;
    enum collection_role role;
    struct slice name, title;
    uint32_t uidvalidity, uidnext;
    int64_t modseq; /* the last number that touched it: HIGHESTMODSEQ */
    int64_t n_all, n_unseen, n_deleted, bytes;
    int64_t keywords;  /* OR of all flags ever stored in it */
    int64_t gonefloor; /* tombstones at or below this number were purged */
    int64_t born;      /* its first number: MAILBOXID */
};

struct error collection_get(struct sql *db, int64_t id, struct arena *a, struct collection *out);
struct error collection_find(struct sql *db, int64_t account, enum collection_kind kind, int64_t parent, struct slice name, struct arena *a, struct collection *out);
struct error collection_find_role(struct sql *db, int64_t account, enum collection_kind kind, enum collection_role role, struct arena *a, struct collection *out);
/* All of one account and kind, in no order; the array is the arena's. */
struct error collection_list(struct sql *db, int64_t account, enum collection_kind kind, struct arena *a, struct collection **all, size_t *n);
/* Number of collections of an account and kind (limit). */
struct error collection_count(struct sql *db, int64_t account, enum collection_kind kind, int64_t *n);

/* In a change. ERROR_EXISTS when the name is taken. */
struct error collection_create(struct sql *db, struct actor who, int64_t account, enum collection_kind kind, int64_t parent, struct slice name, enum collection_role role, int64_t *id);
/* Renames and moves a whole tree with one row. ERROR_EXISTS; ERROR_INVALID when the new parent is inside it. */
struct error collection_rename(struct sql *db, struct actor who, int64_t id, int64_t parent, struct slice name);
struct error collection_set_role(struct sql *db, struct actor who, int64_t id, enum collection_role role);
/* Its items go to the tombstones (undelete can bring them back); children keep standing: the caller decides about them. The row stays
 * with parent = -id, so the name is free and the id is never used again. */
struct error collection_remove(struct sql *db, struct actor who, int64_t id);

/* IMAP subscriptions are names, they outlive the mailbox (RFC 9051 6.3.7). */
struct error subscription_list(struct sql *db, int64_t account, struct arena *a, struct slice **names, size_t *n);
struct error subscription_add(struct sql *db, int64_t account, struct slice name);
struct error subscription_remove(struct sql *db, int64_t account, struct slice name);

#endif
