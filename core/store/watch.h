/* core/store/watch.h -- who wants to know when a collection changes
 *
 * Nobody polls. A watcher joins a cell that all watchers of a collection share; after a commit, and only then, the writer stores the new
 * number in the cell and calls each watcher. NOOP compares watch_modseq with what the session has shown: one atomic read, no SQL.
 */
#ifndef KANTOR_CORE_STORE_WATCH_H
#define KANTOR_CORE_STORE_WATCH_H

#include "core/store/store.h"

struct watch; /* one watcher's seat */

/* `call` runs on the writer's thread after the commit: it may only post to a loop. After watch_leave returns it will not be called again.
 * Join first, then read the mailbox: what is committed between is published to the cell, what was committed before is in the snapshot. NULL: no memory. */
struct watch *watch_join(struct store *s, int64_t collection, void (*call)(void *arg), void *arg);
void watch_leave(struct watch *w); /* Thread: any but the writer's; takes NULL */
/* The last number published for it since somebody began to watch; 0: none yet. Thread: any. */
int64_t watch_modseq(const struct watch *w);

/* In a change: this collection got this number; published when the batch is durable. item.c and collection.c call it. */
void watch_note(struct sql *db, int64_t collection, int64_t modseq);

#endif
