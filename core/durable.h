/* core/durable.h -- files and folders whose names outlive a power cut
 *
 * A new name is on the disk only when its folder was synced, and bytes only when their file was: whoever makes a file that must be there tomorrow makes it here.
 * A file appears whole or not at all (written beside, synced, renamed). Errors: ERROR_FULL, ERROR_IO. Thread: any.
 */
#ifndef KANTOR_CORE_DURABLE_H
#define KANTOR_CORE_DURABLE_H

#include <sys/types.h>

#include "core/error.h"
#include "core/slice.h"

/* mkdir with its parent synced. An existing folder is fine. Parents are not made. */
struct error durable_folder(const char *path, mode_t mode);
/* Makes `path` hold these bytes, in place of what it held. */
struct error durable_file(const char *path, struct slice bytes, mode_t mode);
/* Syncs the folder: names made in it before are on the disk. */
struct error durable_names(const char *folder);
/* Syncs the folder in which `path` stands. */
struct error durable_name(const char *path);
/* What errno says: ERROR_FULL for no space or quota, else ERROR_IO with this text (static). */
struct error durable_error(const char *text);

#endif
