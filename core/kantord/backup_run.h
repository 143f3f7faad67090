/* core/kantord/backup_run.h -- one backup with everything that belongs to it: for the night and for `kantorctl backup` */
#ifndef KANTOR_CORE_KANTORD_BACKUP_RUN_H
#define KANTOR_CORE_KANTORD_BACKUP_RUN_H

#include "core/server.h"
#include "core/store/backup.h"

/* Fills in the configuration file and the certificates it names, and makes the backup; to, previous, progress and stop are the caller's. */
struct error backup_run(struct server *server, struct store_backup *b, struct arena *a);

#endif
