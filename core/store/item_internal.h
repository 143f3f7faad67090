/* core/store/item_internal.h -- what item.c and item_copy.c share; all in a change */
#ifndef KANTOR_CORE_STORE_ITEM_INTERNAL_H
#define KANTOR_CORE_STORE_ITEM_INTERNAL_H

#include "core/store/internal.h"
#include "core/store/item.h"

struct item_totals {
    int64_t n, unseen, deleted, bytes, flags;
    int overflow; /* some have keywords in text */
};

struct error item_owner(struct sql *db, int64_t collection, int64_t *account);
/* Those of `uids` that are there and have all bits of mask, and their sums. */
struct error item_sum(struct sql *db, int64_t collection, const struct uid_set *uids, int64_t mask, struct uid_set *found, struct item_totals *out);
/* Takes numbers for the span of a set that is not empty, fills first, modseq, lo and hi of t. number of a uid = result + uid. */
int64_t item_numbers(struct sql *db, const struct uid_set *set, struct touch *t);
/* Rows of exactly this set to the tombstones. */
struct error item_bury(struct sql *db, int64_t collection, const struct uid_set *set, int64_t base, enum gone_why why, int64_t dest);

#endif
