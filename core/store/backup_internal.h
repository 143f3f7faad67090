/* core/store/backup_internal.h -- what backup.c, restore.c and verify share */
#ifndef KANTOR_CORE_STORE_BACKUP_INTERNAL_H
#define KANTOR_CORE_STORE_BACKUP_INTERNAL_H

#include "core/store/backup.h"
#include "core/store/internal.h"

/* One consistent state of `from` (a reader inside its snapshot, or a backup) as a database file at `path`, whole and synced, without a log beside it. */
struct error backup_copy_database(struct sql *from, const char *path, const struct store_backup *job); /* of whom: progress and stop; or NULL */
/* What a database holds. */
struct error backup_count(struct sql *db, struct backup_facts *out);
/* from/name to to/name, folders made: linked where that works, else copied. ERROR_NOT_FOUND: `from` has none. *linked tells. */
enum backup_way { BACKUP_LINK, BACKUP_COPY };
struct error backup_take_file(const char *from, const char *to, const char *name, enum backup_way way, unsigned char hash[32], int64_t *size, bool *linked);

#endif
