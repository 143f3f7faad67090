/* core/store/log_file.c -- see log_file.h */
#include "core/store/log_file.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { GATHER_BYTES = 124 * 1024 }; /* SQLite's own write takes no 128 KB: it masks the length */

struct log_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct, in the memory that SQLite gave */
    char *gathered;     /* NULL: not the log */
    sqlite3_int64 at;   /* where the gathered bytes go */
    int n;
};

static struct log_file *ours(sqlite3_file *f)
{
    return (struct log_file *)f;
}

/* The bytes are given up when they cannot be written: the commit fails, and the next one writes these places anew. */
static int let_go(struct log_file *f)
{
    int n = f->n;
    f->n = 0;
    return n ? f->real->pMethods->xWrite(f->real, f->gathered, n, f->at) : SQLITE_OK;
}

static int log_close(sqlite3_file *file)
{
    struct log_file *f = ours(file);
    int code = let_go(f), closed = f->real->pMethods->xClose(f->real);
    free(f->gathered);
    f->gathered = NULL;
    return code != SQLITE_OK ? code : closed;
}

static int log_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    struct log_file *f = ours(file);
    int code = let_go(f);
    return code != SQLITE_OK ? code : f->real->pMethods->xRead(f->real, to, n, at);
}

static int log_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    struct log_file *f = ours(file);
    if (!f->gathered)
        return f->real->pMethods->xWrite(f->real, from, n, at);
    if (f->n && (at != f->at + f->n || n > GATHER_BYTES - f->n)) {
        int code = let_go(f);
        if (code != SQLITE_OK)
            return code;
    }
    if (n > GATHER_BYTES)
        return f->real->pMethods->xWrite(f->real, from, n, at);
    if (f->n == 0)
        f->at = at;
    memcpy(f->gathered + f->n, from, (size_t)n);
    f->n += n;
    return SQLITE_OK;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct log_file *f = ours(file);
    int code = let_go(f);
    return code != SQLITE_OK ? code : f->real->pMethods->xTruncate(f->real, size);
}

static int log_sync(sqlite3_file *file, int flags)
{
    struct log_file *f = ours(file);
    int code = let_go(f);
    return code != SQLITE_OK ? code : f->real->pMethods->xSync(f->real, flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct log_file *f = ours(file);
    int code = let_go(f);
    return code != SQLITE_OK ? code : f->real->pMethods->xFileSize(f->real, size);
}

/* --- what passes through */

static int log_lock(sqlite3_file *file, int how) { return ours(file)->real->pMethods->xLock(ours(file)->real, how); }
static int log_unlock(sqlite3_file *file, int how) { return ours(file)->real->pMethods->xUnlock(ours(file)->real, how); }
static int log_reserved(sqlite3_file *file, int *out) { return ours(file)->real->pMethods->xCheckReservedLock(ours(file)->real, out); }
static int log_control(sqlite3_file *file, int what, void *arg) { return ours(file)->real->pMethods->xFileControl(ours(file)->real, what, arg); }
static int log_sector(sqlite3_file *file) { return ours(file)->real->pMethods->xSectorSize(ours(file)->real); }
static int log_device(sqlite3_file *file) { return ours(file)->real->pMethods->xDeviceCharacteristics(ours(file)->real); }
static int log_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) { return ours(file)->real->pMethods->xShmMap(ours(file)->real, page, size, extend, out); }
static int log_shm_lock(sqlite3_file *file, int offset, int n, int flags) { return ours(file)->real->pMethods->xShmLock(ours(file)->real, offset, n, flags); }
static void log_barrier(sqlite3_file *file) { ours(file)->real->pMethods->xShmBarrier(ours(file)->real); }
static int log_unmap(sqlite3_file *file, int remove) { return ours(file)->real->pMethods->xShmUnmap(ours(file)->real, remove); }

/* Version 2: no xFetch, since mmap is never used (an I/O error would be a signal). */
static const sqlite3_io_methods methods = {2, log_close, log_read, log_write, log_truncate, log_sync, log_size, log_lock, log_unlock, log_reserved, log_control, log_sector, log_device, log_map, log_shm_lock, log_barrier, log_unmap, NULL, NULL};

static int log_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    sqlite3_vfs *system = vfs->pAppData;
    struct log_file *f = ours(file);
    memset(f, 0, sizeof *f);
    f->real = (sqlite3_file *)(void *)(f + 1);
    int code = system->xOpen(system, name, f->real, flags, out);
    if (code != SQLITE_OK)
        return code;
    f->base.pMethods = &methods;
    if (flags & SQLITE_OPEN_WAL)
        f->gathered = malloc(GATHER_BYTES); /* without memory every write goes at once */
    return SQLITE_OK;
}

static sqlite3_vfs vfs;
static int registered;

static void make(void)
{
    sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    if (!system)
        return;
    vfs = *system; /* names, time and randomness are the system's */
    vfs.szOsFile = (int)sizeof(struct log_file) + system->szOsFile;
    vfs.zName = "kantor-log";
    vfs.pAppData = system;
    vfs.pNext = NULL;
    vfs.xOpen = log_open;
    registered = sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
}

const char *log_file_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make);
    return registered ? vfs.zName : NULL;
}
