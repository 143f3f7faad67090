/* core/store/view.h -- the uids of a mailbox, at the price of a look where it can be had for one
 *
 * A session numbers the messages of the mailbox it selects, so SELECT needs every uid. A mailbox without a hole is told from its first and last
 * uid; for one with holes the ranges are remembered in memory at the modseq they were read at, and brought up to date by what
 * came and went since. Nothing here is the truth: the rows are, and a store without these memories answers the same.
 */
#ifndef KANTOR_CORE_STORE_VIEW_H
#define KANTOR_CORE_STORE_VIEW_H

#include "core/store/collection.h"
#include "core/store/uid_set.h"

/* `c` was read in the same reading (its counters, uidnext and modseq are those of the snapshot). Thread: any, with a connection of its own. */
struct error view_uids(struct sql *db, const struct collection *c, struct uid_set *out);
/* The lowest uid without \Seen (of the owner); 0: none. */
struct error view_first_unseen(struct sql *db, const struct collection *c, uint32_t *uid);

#endif
