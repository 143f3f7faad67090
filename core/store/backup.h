/* core/store/backup.h -- copies of a running store, checking them, and the ways back
 *
 * A backup is a folder: kantor.db (one consistent state), blobs/ (contents that lie in files), data/ (what else stands in the data folder: certificates, keys),
 * config/ (files the caller names), and, written last, manifest: SHA-256 and size of every file, what the database holds, and a sum over itself. Without a whole
 * manifest it is no backup. A content's file never changes, so it is linked from an earlier backup or from the store where they share a file system, else copied.
 *
 *     struct store_backup b = {.to = "/backup/2026-11-25", .previous = "/backup/2026-11-24"};
 *     TRY(store_backup(store, &b));
 *     TRY(store_backup_verify(b.to, &arena, &facts, NULL));         // reads every byte
 *     TRY(store_open_backup(b.to, &old));                     // read-only, for taking single mailboxes out of it
 */
#ifndef KANTOR_CORE_STORE_BACKUP_H
#define KANTOR_CORE_STORE_BACKUP_H

#include "core/store/store.h"

struct store_backup_file {
    const char *path, *name; /* name: under config/ */
};

struct backup_facts {
    int64_t schema, created_at, modseq, accounts, mailboxes, messages, contents;
    int64_t files, bytes; /* of the manifest */
    char epoch[24];
};

struct store_backup {
    const char *to;       /* made, 0700; refused when it holds something */
    const char *previous; /* an earlier backup or NULL */
    const struct store_backup_file *files; /* configuration, certificates; those that cannot be read are left out and counted */
    size_t n_files;
    void (*progress)(void *arg, int64_t done, int64_t total); /* pages of the database; or NULL */
    void *arg;
    const _Atomic int *stop; /* or NULL; becomes 1: end with ERROR_CLOSED */
    struct backup_facts facts;                /* out */
    int64_t linked, copied, missing, unread; /* out: contents; contents whose file is gone in the store itself; files that could not be read */
};

/* While the server runs. Garbage is not collected meanwhile. ERROR_EXISTS, ERROR_FULL, ERROR_IO; what was begun is left for the caller to remove. Thread: any worker. */
struct error store_backup(struct store *s, struct store_backup *b);
/* Reads the backup whole and compares it with its manifest; opens its database and counts. The error says which file is wrong. Texts in the arena. `stop` as above. */
struct error store_backup_verify(const char *folder, struct arena *a, struct backup_facts *facts, const _Atomic int *stop);
/* Verifies `from`, then makes a data folder of it in `to` (absent, or without a store). No number, uid or token of the time after the backup comes again: the epoch
 * is new, the store's number and every uidnext are raised, every message gets a number above all that clients know, and the tombstones' floor too, so that
 * QRESYNC clients are told what they hold and is no more. uidvalidity stays (clients.md rule 4). Mail of the queue is held: it may have been sent since.
 * *held: how many recipients. No server may run on `to`. Texts in the arena. */
struct error store_restore(const char *from, const char *to, struct arena *a, struct backup_facts *facts, int64_t *held);
/* A backup as a store that can only be read (store_reader, no changes). Close with store_close. Older schemas: ERROR_UNSUPPORTED. */
struct error store_open_backup(const char *folder, struct store **out);

#endif
