/* core/store/manifest.h -- the list of what a backup holds; inside core/store
 *
 *     kantor backup 2
 *     schema 1 … epoch 00ff… created 1795… modseq 7 accounts 5 mailboxes 30 messages 9 contents 9
 *     file SHA-256 SIZE NAME
 *     sum SHA-256 of everything above
 */
#ifndef KANTOR_CORE_STORE_MANIFEST_H
#define KANTOR_CORE_STORE_MANIFEST_H

#include "core/buffer.h"
#include "core/store/backup.h"

void manifest_begin(struct buffer *b);
void manifest_add(struct buffer *b, const unsigned char hash[32], int64_t size, const char *name);
/* Facts, the sum, and onto the disk as folder/manifest. */
struct error manifest_write(struct buffer *b, const struct backup_facts *facts, const char *folder);
/* Reads it, checks its sum and form. Calls `file` for each file; its error ends it. */
struct error manifest_read(const char *folder, struct arena *a, struct backup_facts *facts, struct error (*file)(void *arg, const unsigned char hash[32], int64_t size, const char *name), void *arg);

/* SHA-256 and size of a file, read whole; copies it to `to` (synced) when that is not -1. */
struct error manifest_hash_file(int from, int to, unsigned char hash[32], int64_t *size);

#endif
