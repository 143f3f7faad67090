/* tests/lib/kantor/faults.c -- a disk that fails on command, preloaded into the server under test (see faults.py)
 *
 * KANTOR_FAULTS names a file of one page that the test writes and we map: its first byte says how files fail now. 'f': fsync and fdatasync fail with EIO;
 * 'n': writes fail with ENOSPC; 'r': writes and new files fail with EROFS; 's': writes stop half-way, then ENOSPC; anything else: nothing fails. Sockets,
 * pipes and the log (descriptors 0 to 2) never fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const volatile char *page;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("KANTOR_FAULTS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (p != MAP_FAILED)
        page = p;
    if (fd >= 0)
        (void)close(fd);
}

static char mode(int fd)
{
    struct stat st;
    char m = page ? page[0] : 0;
    return m && fd > 2 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) ? m : 0;
}

/* -1: the call fails, errno is set; else how many bytes may be written. */
static ssize_t allowed(int fd, size_t n)
{
    char m = mode(fd);
    if (m == 's' && n > 1)
        return (ssize_t)(n / 2);
    if (m != 'n' && m != 's' && m != 'r')
        return (ssize_t)n;
    errno = m == 'r' ? EROFS : ENOSPC;
    return -1;
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, #name))

#define SYNC(name)                                                                                                                     \
    int name(int fd)                                                                                                                   \
    {                                                                                                                                  \
        if (mode(fd) == 'f') {                                                                                                         \
            errno = EIO;                                                                                                               \
            return -1;                                                                                                                 \
        }                                                                                                                              \
        return REAL(name, int (*)(int))(fd);                                                                                           \
    }
SYNC(fsync)
SYNC(fdatasync)

ssize_t write(int fd, const void *p, size_t n)
{
    ssize_t most = allowed(fd, n);
    return most < 0 ? -1 : REAL(write, ssize_t(*)(int, const void *, size_t))(fd, p, (size_t)most);
}

#define PWRITE(name, offset)                                                                                                           \
    ssize_t name(int fd, const void *p, size_t n, offset at)                                                                           \
    {                                                                                                                                  \
        ssize_t most = allowed(fd, n);                                                                                                 \
        return most < 0 ? -1 : REAL(name, ssize_t(*)(int, const void *, size_t, offset))(fd, p, (size_t)most, at);                     \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define OPENAT(name)                                                                                                                   \
    int name(int folder, const char *path, int flags, ...)                                                                             \
    {                                                                                                                                  \
        va_list args;                                                                                                                  \
        va_start(args, flags);                                                                                                         \
        mode_t bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;                                                        \
        va_end(args);                                                                                                                  \
        if (page && page[0] == 'r' && flags & O_CREAT) {                                                                               \
            errno = EROFS;                                                                                                             \
            return -1;                                                                                                                 \
        }                                                                                                                              \
        return REAL(name, int (*)(int, const char *, int, ...))(folder, path, flags, bits);                                            \
    }
OPENAT(openat)
OPENAT(openat64)
