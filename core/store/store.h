/* core/store/store.h -- opening the store, reading it, changing it
 *
 * Everything a user owns is an item in a collection, every change takes the next number, every protocol is a view of that. Reads run in
 * parallel on snapshots; all changes go through one writer thread that commits once for everybody who waits (group commit), so
 * "returned OK" means "on the disk".
 *
 *     SCOPED(store_reader_return) struct sql *db = store_reader(store);        // a snapshot; give it back before writing
 *     TRY(collection_get(db, id, &arena, &c));
 *
 *     struct deliver d = {...};
 *     TRY(store_change(store, deliver_change, &d));                            // durable now, also after a power cut
 *
 * A change function gets the writer's connection; it runs on the writer's thread while its caller sleeps and everybody behind it waits. It
 * may use SQL and its argument, nothing else: no socket, no hash, no parsing of a body; all that is prepared before. It may be run again
 * from its start (when another change of the batch met a full disk), so it first resets what it gives back, and it looks again
 * at rights, quota and existence itself.
 */
#ifndef KANTOR_CORE_STORE_STORE_H
#define KANTOR_CORE_STORE_STORE_H

#include "core/error.h"
#include "core/store/sql.h"

struct store_options {
    const char *path;        /* the data folder; made when absent (0700) */
    int readers;             /* read-only connections, lent out; default 8 */
    int64_t blob_file_bytes; /* content from this size on lies in a file of its own; default 131072 */
    int64_t retention_s;     /* expunged items are kept so long; 0: 30 days, negative: not at all */
    int64_t orphan_age_s;    /* files of content that no row names go when they are older; 0: 1 day, negative: any */
};

/* Opens or makes the store, migrates an older schema (one transaction, after a copy), starts the writer thread. Refuses a newer schema
 * and a folder that another process has open, with a sentence. Errors: ERROR_IO, ERROR_CORRUPT, ERROR_BUSY, ERROR_UNSUPPORTED. */
struct error store_open(const struct store_options *options, struct store **out);
/* Ends the writer after the changes that wait, checkpoints, closes. No reader may be lent any more. */
void store_close(struct store *s);
const char *store_path(const struct store *s);

/* A read-only connection inside one snapshot. Waits when all are lent. Thread: worker. Never NULL. */
struct sql *store_reader(struct store *s);
/* Ends the snapshot and gives the connection back; for SCOPED (takes NULL inside). */
void store_reader_return(struct sql **db);

typedef struct error (*store_change_fn)(struct sql *db, void *arg);

/* Runs one change and returns when it is durable or has failed (then nothing of it is there).
 * Errors: what the change returned; ERROR_FULL; ERROR_IO; ERROR_BUSY (too many wait). Thread: worker, without a reader in hand. Never a loop. */
struct error store_change(struct store *s, store_change_fn change, void *arg);

/* The random word made when the store was created; a restore makes a new one. Part of sync tokens. Static for the store's life. */
const char *store_epoch(const struct store *s);

/* --- settings: small named values of an account (0: the server) */
struct error setting_get(struct sql *db, int64_t account, struct slice name, struct arena *a, struct slice *value); /* ERROR_NOT_FOUND */
struct error setting_set(struct sql *db, int64_t account, struct slice name, struct slice value);                    /* in a change */

/* Removes what retention has outlived: expunged rows, the old end of the change log, blobs nobody names (row first, file after that
 * commit), orphaned files, in steps of at most 50 ms on the writer. ERROR_BUSY: a backup or another collection runs; nothing was done.
 * Thread: any worker; called by a timer and by `kantorctl gc`. */
struct error store_collect_garbage(struct store *s);

/* Verifies the store: SQLite's own check, every content against its hash and its file, what is derived against a fresh look, counters and numbers of mailboxes
 * and accounts against the rows, every reference. Each finding is one sentence. With STORE_CHECK_REPAIR what is derived is made anew, content that cannot be
 * read is set aside (its messages go to the tombstones), rows that name nothing go; no mail is deleted, and a second check finds nothing (but what the
 * sentences leave to an administrator). Reads in short snapshots and mends in short changes: the server goes on beside it. Thread: any worker. */
enum store_check_mode { STORE_CHECK_ONLY, STORE_CHECK_REPAIR };
enum derived { DERIVED_RIGHT, DERIVED_MISSING, DERIVED_WRONG };

struct store_check {
    enum store_check_mode mode;
    void (*finding)(void *arg, const char *line);
    void (*progress)(void *arg, const char *line); /* how far it is, notes; NULL: not wanted */
    void *arg;
    /* Of the domain whose derived rows belong to contents (mail: message_index_look, message_index_mend); NULL: not looked at. The second runs outside a change
     * and makes its own. ERROR_NOT_FOUND: the content is gone. */
    struct error (*derived)(struct sql *db, int64_t blob, struct arena *a, enum derived *state);
    struct error (*derive)(struct store *s, int64_t blob);
    int64_t findings; /* out */
};
struct error store_check(struct store *s, struct store_check *check);

#endif
