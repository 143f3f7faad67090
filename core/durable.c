/* core/durable.c -- written beside, synced, renamed, folder synced */
#include "core/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct error durable_error(const char *text)
{
    return errno == ENOSPC || errno == EDQUOT ? error_make(ERROR_FULL, "the disk is full") : error_make(ERROR_IO, text);
}

struct error durable_names(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0;
    struct error e = bad ? durable_error("the disk does not keep the names of a folder") : OK;
    if (fd >= 0)
        (void)close(fd);
    return e;
}

struct error durable_name(const char *path)
{
    char parent[PATH_MAX];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(n ? n : 1), n ? path : ".");
    return durable_names(parent);
}

struct error durable_folder(const char *path, mode_t mode)
{
    if (mkdir(path, mode) != 0)
        return errno == EEXIST ? OK : durable_error("a folder cannot be made; does its parent exist, and may this user write there?");
    return durable_name(path);
}

static struct error write_whole(int fd, struct slice bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return durable_error("a file cannot be written");
        bytes = slice_after(bytes, (size_t)n);
    }
    return fsync(fd) == 0 ? OK : durable_error("the disk does not take a file");
}

struct error durable_file(const char *path, struct slice bytes, mode_t mode)
{
    char beside[PATH_MAX];
    if ((size_t)snprintf(beside, sizeof beside, "%s.new", path) >= sizeof beside)
        return error_make(ERROR_INVALID, "the path of a file is too long");
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return durable_error("a file cannot be made; may this user write there?");
    struct error e = write_whole(fd, bytes);
    (void)close(fd);
    if (e.code == ERROR_NONE && rename(beside, path) != 0)
        e = durable_error("a file cannot be renamed");
    if (e.code != ERROR_NONE)
        (void)unlink(beside);
    return e.code == ERROR_NONE ? durable_name(path) : e;
}
