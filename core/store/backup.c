/* core/store/backup.c -- a consistent copy of a running store, and the way back */
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/store/internal.h"

enum { PAGES_A_STEP = 2000, PATH_BYTES = 4096, NUMBERS_AHEAD = 1 << 20 };

#define CANNOT(text) error_make(ERROR_IO, text)

static struct error make_empty_folder(const char *path)
{
    char name[PATH_BYTES];
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return CANNOT("cannot make the folder; does its parent exist, and may this user write there?");
    (void)snprintf(name, sizeof name, "%s/kantor.db", path);
    if (access(name, F_OK) == 0)
        return error_make(ERROR_EXISTS, "the folder holds a store or a backup already; choose an empty one");
    (void)snprintf(name, sizeof name, "%s/blobs", path);
    return mkdir(name, 0700) == 0 || errno == EEXIST ? OK : CANNOT("cannot write into the folder");
}

static struct error copy_file(int from, int to)
{
    char piece[65536];
    for (;;) {
        ssize_t n = read(from, piece, sizeof piece);
        if (n == 0)
            return fsync(to) == 0 ? OK : CANNOT("the disk does not take the copy");
        if (n < 0 || write(to, piece, (size_t)n) != n)
            return errno == ENOSPC ? error_make(ERROR_FULL, "the disk is full") : CANNOT("the disk does not take the copy");
    }
}

/* A blob's file by hard link where both stand on one file system (it never changes), else by copy. */
static struct error copy_blob(const char *from_root, const char *to_root, const char *name)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    (void)snprintf(from, sizeof from, "%s/%s", from_root, name);
    (void)snprintf(to, sizeof to, "%s/%.8s", to_root, name); /* blobs/ab */
    if (mkdir(to, 0700) != 0 && errno != EEXIST)
        return CANNOT("cannot write into the folder");
    (void)snprintf(to, sizeof to, "%s/%s", to_root, name);
    if (link(from, to) == 0 || errno == EEXIST)
        return OK;
    SCOPED(file_close) int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    SCOPED(file_close) int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return in >= 0 && out >= 0 ? copy_file(in, out) : CANNOT("a file of content cannot be copied");
}

/* Every file that the copied database names. */
static struct error copy_blobs(struct sql *db, const char *from, const char *to)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT hash FROM blob WHERE place = 1");
    while (sql_row(st)) {
        struct slice hash = sql_blob(st, 0);
        char name[80];
        if (hash.n != 32)
            return error_make(ERROR_CORRUPT, "a content row is damaged");
        blob_file_name((const unsigned char *)hash.p, name);
        TRY(copy_blob(from, to, name));
    }
    return sql_result(st);
}

static struct error copy_database(struct sql *from, struct sql *to, void (*progress)(void *arg, int64_t done, int64_t total), void *arg)
{
    sqlite3_backup *b = sqlite3_backup_init(to->handle, "main", from->handle, "main");
    int code = b ? SQLITE_OK : SQLITE_NOMEM;
    while (code == SQLITE_OK) { /* small steps of a snapshot: the server goes on beside it */
        code = sqlite3_backup_step(b, PAGES_A_STEP);
        if (progress)
            progress(arg, sqlite3_backup_pagecount(b) - sqlite3_backup_remaining(b), sqlite3_backup_pagecount(b));
    }
    if (b)
        (void)sqlite3_backup_finish(b);
    return code == SQLITE_DONE ? OK : sql_error(code);
}

static struct error write_manifest(const char *folder)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/manifest", folder);
    FILE *f = fopen(path, "wxe");
    if (!f)
        return CANNOT("cannot write the manifest");
    (void)fprintf(f, "kantor backup 1\n");
    int bad = fflush(f) != 0 || fsync(fileno(f)) != 0;
    return fclose(f) == 0 && !bad ? OK : CANNOT("cannot write the manifest");
}

struct error store_backup(struct store *s, const char *to, void (*progress)(void *arg, int64_t done, int64_t total), void *arg)
{
    char path[PATH_BYTES];
    struct sql *copy;
    TRY(make_empty_folder(to));
    (void)snprintf(path, sizeof path, "%s/kantor.db", to);
    TRY(sql_open(s, path, SQL_WRITE, &copy));
    struct sql *db = store_reader(s);
    struct error e = copy_database(db, copy, progress, arg);
    if (e.code == ERROR_NONE)
        e = copy_blobs(copy, s->path, to); /* while the snapshot is held: nothing it names is collected */
    store_reader_return(&db);
    sql_close(copy);
    return e.code == ERROR_NONE ? write_manifest(to) : e; /* last: a backup without it is not whole */
}

/* New epoch, and numbers far above any that were given out after the backup (clients must never see one twice). */
static struct error renumber(struct sql *db)
{
    unsigned char random[8];
    char epoch[24], number[24];
    if (RAND_bytes(random, sizeof random) != 1)
        return CANNOT("the system has no random numbers");
    for (int i = 0; i < 8; i++)
        (void)snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    SCOPED(sql_done) struct sql_stmt *max = sql_use(db, "SELECT coalesce(max(modseq), 0) FROM change");
    int64_t last = sql_row(max) ? sql_int(max, 0) : 0;
    TRY(sql_result(max));
    (void)snprintf(number, sizeof number, "%lld", (long long)last + NUMBERS_AHEAD);
    TRY(setting_set(db, 0, SLICE("epoch"), slice_of(epoch)));
    TRY(setting_set(db, 0, SLICE("modseq"), slice_of(number)));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET uidnext = uidnext + $1 WHERE uidnext + $1 <= 4294967295");
    sql_bind_int(st, 1, NUMBERS_AHEAD);
    return sql_run(st);
}

struct error store_restore(const char *from, const char *to)
{
    char path[PATH_BYTES];
    struct sql *source = NULL, *target = NULL;
    (void)snprintf(path, sizeof path, "%s/manifest", from);
    if (access(path, F_OK) != 0)
        return error_make(ERROR_NOT_FOUND, "there is no whole backup in that folder (its manifest is missing)");
    TRY(make_empty_folder(to));
    (void)snprintf(path, sizeof path, "%s/kantor.db", from);
    TRY(sql_open(NULL, path, SQL_WRITE, &source));
    (void)snprintf(path, sizeof path, "%s/kantor.db", to);
    struct error e = sql_open(NULL, path, SQL_WRITE, &target);
    if (e.code == ERROR_NONE)
        e = copy_database(source, target, NULL, NULL);
    if (e.code == ERROR_NONE)
        e = copy_blobs(target, from, to);
    if (e.code == ERROR_NONE)
        e = sql_exec(target, "BEGIN IMMEDIATE");
    if (e.code == ERROR_NONE)
        e = renumber(target);
    if (e.code == ERROR_NONE)
        e = sql_exec(target, "COMMIT");
    sql_close(source);
    if (target)
        sql_close(target);
    return e;
}
