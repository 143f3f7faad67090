/* core/store/item.h -- messages, events, cards, tasks, files: one narrow row each, in key order
 *
 * The row says where an item stands and how it is marked; its content is a blob, what is derived from the content belongs to the blob.
 * Flags are bits: system flags and well-known keywords have fixed ones, an account's own keywords get bits 32 to 62 on first use, further
 * ones stand in `kw` as text (sorted, one space before and after each).
 * Every function that writes takes the store's next number(s), adds its row to the change log, keeps the counters of collection and
 * account exact, checks quota, and tells the watchers after the commit. Rights: the caller, inside the same change.
 */
#ifndef KANTOR_CORE_STORE_ITEM_H
#define KANTOR_CORE_STORE_ITEM_H

#include "core/store/collection.h"
#include "core/store/uid_set.h"

enum {
    FLAG_SEEN = 1 << 0,
    FLAG_ANSWERED = 1 << 1,
    FLAG_FLAGGED = 1 << 2,
    FLAG_DELETED = 1 << 3,
    FLAG_DRAFT = 1 << 4,
    KEYWORD_FIRST_FIXED = 5, /* bits 5 to 31: keyword_fixed[] in keyword.h */
    KEYWORD_FIRST_OWN = 32,
    KEYWORD_LAST_OWN = 62
};

struct item {
    uint32_t uid;
    int64_t modseq, flags, blob, size, received, saved, thread, msg;
    struct slice kw, name; /* valid until the next item_next */
};

/* --- reading */

struct item_scan {
    struct sql_stmt *st;
};

/* Rows with lo <= uid <= hi and modseq > after, ascending by uid. Close with item_scan_end (fits SCOPED). */
void item_scan_begin(struct sql *db, int64_t collection, uint32_t lo, uint32_t hi, int64_t after, struct item_scan *scan);
bool item_next(struct item_scan *scan, struct item *out);
struct error item_scan_result(struct item_scan *scan);
void item_scan_end(struct item_scan *scan);

struct error item_get(struct sql *db, int64_t collection, uint32_t uid, struct arena *a, struct item *out);
/* All uids of a collection, as ranges. */
struct error item_uids(struct sql *db, int64_t collection, struct uid_set *out);
/* The lowest uid without \Seen, 0 when there is none (SELECT's UNSEEN). */
struct error item_first_unseen(struct sql *db, int64_t collection, uint32_t *uid);
/* What left the collection after number `since` (expunged or moved), as uids: exact from tombstones, or, when since < gonefloor, every uid
 * below uidnext that is not there (RFC 7162 5.3). */
struct error item_vanished(struct sql *db, int64_t collection, int64_t since, struct uid_set *out);
/* The uids whose row changed (or came) after `since`; walks the log when short, else scans. */
struct error item_changed(struct sql *db, int64_t collection, int64_t since, struct uid_set *out);

/* The hash of each content that stands in the collection, or was moved out of it to another (not expunged: that may be brought in again): what an import knows already. */
struct error item_contents(struct sql *db, int64_t collection, void (*each)(void *arg, const unsigned char hash[32]), void *arg);

/* --- writing, in a change */

struct item_new {
    int64_t account;   /* the collection's, from its row read in this change; 0: looked up */
    int64_t blob, size;
    int64_t flags;
    struct slice kw;   /* overflow keywords or empty */
    int64_t received;  /* INTERNALDATE, seconds UTC */
    struct slice name; /* DAV resource name; p NULL for mail */
    int64_t thread, msg; /* 0: a new message identity (= its number) */
};

/* Adds one. ERROR_QUOTA (of the collection's account), ERROR_NOT_FOUND (collection gone), ERROR_LIMIT (uidnext at its end). */
struct error item_add(struct sql *db, struct actor who, int64_t collection, const struct item_new *item, uint32_t *uid, int64_t *modseq);

/* What a STORE does to flags: new = (old & keep) | set; overflow keywords by name lists (each with a space before and after). */
struct flag_change {
    int64_t keep, set;
    struct slice kw_add, kw_remove; /* "" for none */
    enum { KW_EDIT, KW_REPLACE } kw_mode;
};

/* Applies it to those of `uids` that are there and, where unchanged_since >= 0, whose modseq is not above it (the others go to *refused,
 * RFC 7162 3.1.3). Rows whose flags are already so keep their modseq. *changed gets those that changed. Both may be NULL. */
struct error item_store(struct sql *db, struct actor who, int64_t collection, const struct uid_set *uids, const struct flag_change *change, int64_t unchanged_since, struct uid_set *changed, struct uid_set *refused);

/* Copies those that are there. *from and *assigned get source uids and, in the same order, uids in the target. Keywords are mapped when the
 * target belongs to another account; of the flags only those in `keep` (-1: all) go along. Quota as in item_add. */
struct error item_copy(struct sql *db, struct actor who, int64_t source, int64_t target, const struct uid_set *uids, int64_t keep, struct uid_set *from, struct uid_set *assigned);
/* One change: they stand in the target and no longer in the source. Inside one account no quota is needed. */
struct error item_move(struct sql *db, struct actor who, int64_t source, int64_t target, const struct uid_set *uids, int64_t keep, struct uid_set *from, struct uid_set *assigned);
/* Expunges those of `uids` (NULL: all) that have all bits of `flags` (FLAG_DELETED, or 0 for any). */
struct error item_expunge(struct sql *db, struct actor who, int64_t collection, const struct uid_set *uids, int64_t flags, struct uid_set *gone);

#endif
