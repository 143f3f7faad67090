/* core/store/check_internal.h -- what the files of the check share
 *
 * check.c runs the parts in order; check_content.c looks at contents, check_items.c at mailboxes and accounts, check_references.c at rows that name other rows;
 * repair.c holds the changes that mend. A part reads in slices, each in a snapshot of its own that is given back before anything is mended.
 */
#ifndef KANTOR_CORE_STORE_CHECK_INTERNAL_H
#define KANTOR_CORE_STORE_CHECK_INTERNAL_H

#include "core/store/internal.h"

struct checking {
    struct store *store;
    struct store_check *check;
    int64_t findings;
    struct bitmap mails; /* contents that some message of a mailbox names */
};

void check_found(struct checking *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_progress(struct checking *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool check_mends(const struct checking *k);

struct error check_contents(struct checking *k);
struct error check_files(struct checking *k);
struct error check_collections(struct checking *k);
struct error check_accounts(struct checking *k);
struct error check_references(struct checking *k);

/* --- repair.c: each in a change of its own */
struct error repair_hash_row(struct store *s, int64_t blob);   /* its hash leads to it, or to the other content of the same hash, which takes its place */
struct error repair_size(struct store *s, int64_t blob, int64_t size);
/* The bytes are kept (file: in damaged/), messages that name it go to the tombstones, its hash is free for the same content from a backup. */
struct error repair_set_aside(struct store *s, int64_t blob);
struct error repair_collection(struct store *s, int64_t collection); /* counters, sizes, uidnext, numbers; messages without content to the tombstones */
struct error repair_account(struct store *s, int64_t account);
struct error repair_indexes(struct store *s); /* SQLite's own, from the tables */

#endif
