/* core/process/landlock.c -- Landlock by raw system calls: Debian 12's C library has no wrappers */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/cleanup.h"
#include "core/process/sandbox.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* Linking from temp/ to blobs/ needs the right to refer, which the first version lacked (Linux 5.13 to 5.18). */
enum { VERSION_REFER = 2, VERSION_TRUNCATE = 3 };

static const __u64 on_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
static const __u64 to_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const __u64 to_write = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
                              LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                              LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_REFER;
static const __u64 never = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;

static struct error allow(int ruleset, const struct sandbox_path *p, __u64 known, struct arena *a)
{
    SCOPED(file_close) int fd = open(p->path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return OK; /* not there: nothing to allow */
    __u64 rights = (p->access == SANDBOX_WRITE ? to_write : to_read) & known;
    if (!S_ISDIR(st.st_mode))
        rights &= on_files;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return error_make(ERROR_IO, arena_printf(a, "Landlock does not take %s: %m", p->path));
    return OK;
}

struct error sandbox_files(const struct sandbox_path *paths, size_t n, struct arena *a)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < VERSION_REFER)
        return error_make(ERROR_UNSUPPORTED, "this kernel has no Landlock of version 2 (Linux 5.19 with lsm=landlock): files are kept apart by their rights only");
    __u64 known = to_write | never;
    if (version < VERSION_TRUNCATE)
        known &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
    struct landlock_ruleset_attr all = {.handled_access_fs = known};
    SCOPED(file_close) int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
    if (ruleset < 0)
        return error_make(ERROR_UNSUPPORTED, arena_printf(a, "Landlock cannot be used: %m"));
    for (size_t i = 0; i < n; i++)
        TRY(allow(ruleset, &paths[i], known, a));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return error_make(ERROR_UNSUPPORTED, arena_printf(a, "Landlock cannot be switched on: %m"));
    return OK;
}
