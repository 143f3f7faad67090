/* core/process/privilege.h -- from root or from ambient capabilities to a plain user
 *
 * Ports below 1024 are bound first, as root or with CAP_NET_BIND_SERVICE; behind that the process needs neither (attacks.md PS-01). All functions: the main
 * thread, before any other exists, because the kernel keeps these per thread.
 */
#ifndef KANTOR_CORE_PROCESS_PRIVILEGE_H
#define KANTOR_CORE_PROCESS_PRIVILEGE_H

#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

/* Makes the folder when it is absent, owned by `user` where we are root (user "": by whoever runs). Only this folder, never what is in it. */
struct error privilege_make_folder(const char *path, const char *user, struct arena *a);

/* As root: becomes `user` with its groups (user "": stays root). Whoever we are then, all capabilities go unless we stay root. */
struct error privilege_drop(const char *user, struct arena *a);

/* A tool run by root on the files of another user becomes that user, so that nothing it makes is root's, and keeps the right to read and write what root
 * could (the administrator's files of import and export). Not root, or root's own folder: nothing happens. */
struct error privilege_become_owner(const char *folder, struct arena *a);

/* No new privileges by execve, and no core file that could hold passwords (attacks.md CO-12). */
void privilege_seal(void);

/* Raises the limit of open descriptors to `wanted`, or as far as it goes; what it is now. */
int64_t privilege_raise_descriptors(int64_t wanted);

#endif
