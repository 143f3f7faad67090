/* core/store/backup.c -- a consistent copy of a running store */
#include "core/store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/durable.h"
#include "core/log.h"
#include "core/store/backup_internal.h"
#include "core/store/manifest.h"

enum { PAGES_A_STEP = 2000, DEPTH_MAX = 4 };

struct copying {
    struct store *store;
    struct store_backup *b;
    struct buffer manifest;
    char target[PATH_MAX]; /* resolved: a backup inside the data folder must not copy itself */
};

/* --- pieces that restoring uses, too */

static bool stops(const _Atomic int *stop)
{
    return stop && *stop;
}

static struct error copy_pages(struct sql *from, sqlite3 *to, const struct store_backup *job)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from->handle, "main");
    int code = b ? SQLITE_OK : SQLITE_NOMEM;
    while (code == SQLITE_OK && !(job && stops(job->stop))) { /* small steps of a snapshot: the server goes on beside it */
        code = sqlite3_backup_step(b, PAGES_A_STEP);
        if (job && job->progress)
            job->progress(job->arg, sqlite3_backup_pagecount(b) - sqlite3_backup_remaining(b), sqlite3_backup_pagecount(b));
    }
    if (b)
        (void)sqlite3_backup_finish(b);
    if (code == SQLITE_OK)
        return error_make(ERROR_CLOSED, "the server is going down");
    return code == SQLITE_DONE ? OK : sql_error(code);
}

struct error backup_copy_database(struct sql *from, const char *path, const struct store_backup *job)
{
    sqlite3 *to = NULL;
    struct error e = sql_error(sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    if (e.code == ERROR_NONE) /* nobody reads it before it is synced below: no journal, no sync of its own */
        e = sql_error(sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL));
    if (e.code == ERROR_NONE)
        e = copy_pages(from, to, job);
    if (e.code == ERROR_NONE) /* so that it can be read without a file beside it */
        e = sql_error(sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL));
    (void)sqlite3_close(to);
    TRY(e);
    SCOPED(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? OK : durable_error("the disk does not take the copy of the database");
}

struct error backup_count(struct sql *db, struct backup_facts *out)
{
    struct arena a;
    struct slice epoch;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT (SELECT coalesce(max(modseq), 0) FROM collection), (SELECT count(*) FROM account), (SELECT count(*) FROM collection WHERE parent >= 0), "
                                                       "(SELECT count(*) FROM item), (SELECT count(*) FROM blob)");
    if (!sql_row(st))
        return sql_result(st);
    out->modseq = sql_int(st, 0);
    out->accounts = sql_int(st, 1);
    out->mailboxes = sql_int(st, 2);
    out->messages = sql_int(st, 3);
    out->contents = sql_int(st, 4);
    out->schema = setting_number(db, SLICE("schema"));
    arena_init(&a, 4096);
    struct error e = setting_get(db, 0, SLICE("epoch"), &a, &epoch);
    if (e.code == ERROR_NONE)
        (void)snprintf(out->epoch, sizeof out->epoch, "%.*s", SLICE_ARG(epoch));
    arena_free(&a);
    return e;
}

/* Folders of `name` under root, the last segment is the file's. */
static struct error make_folders(const char *root, const char *name)
{
    char path[PATH_MAX];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(path, sizeof path, "%s/%.*s", root, (int)(slash - name), name);
        TRY(durable_folder(path, 0700));
    }
    return OK;
}

struct error backup_take_file(const char *from, const char *to, const char *name, enum backup_way way, unsigned char hash[32], int64_t *size, bool *linked)
{
    char source[PATH_MAX], target[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(source, sizeof source, "%s/%s", from, name) >= sizeof source || (size_t)snprintf(target, sizeof target, "%s/%s", to, name) >= sizeof target)
        return error_make(ERROR_INVALID, "the path of a file is too long");
    if (lstat(source, &st) != 0 || !S_ISREG(st.st_mode))
        return error_make(ERROR_NOT_FOUND, "a file is missing");
    TRY(make_folders(to, name));
    *size = st.st_size;
    *linked = way == BACKUP_LINK && (link(source, target) == 0 || errno == EEXIST);
    if (*linked)
        return OK;
    SCOPED(file_close) int in = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return error_make(ERROR_IO, "a file cannot be read");
    SCOPED(file_close) int out = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return durable_error("a file cannot be made in the target folder");
    return manifest_hash_file(in, out, hash, size);
}

/* --- contents in files */

static struct error take_content(struct copying *c, const unsigned char hash[32])
{
    struct store_backup *b = c->b;
    unsigned char real[32];
    char name[80];
    int64_t size;
    bool linked = false;
    if (stops(b->stop))
        return error_make(ERROR_CLOSED, "the server is going down");
    blob_file_name(hash, name);
    memcpy(real, hash, 32);
    struct error e = b->previous ? backup_take_file(b->previous, b->to, name, BACKUP_LINK, real, &size, &linked) : error_make(ERROR_NOT_FOUND, "");
    if (e.code == ERROR_NOT_FOUND)
        e = backup_take_file(c->store->path, b->to, name, BACKUP_LINK, real, &size, &linked);
    if (e.code == ERROR_NOT_FOUND) { /* the store itself is damaged: the rest must be saved all the more */
        b->missing++;
        LOG_EVENT(LOG_ERROR, "backup-content-missing", LOG_WORD("file", name));
        return OK;
    }
    TRY(e);
    b->linked += linked;
    b->copied += !linked;
    manifest_add(&c->manifest, real, size, name);
    return c->manifest.failed ? error_make(ERROR_MEMORY, "no memory for a manifest") : OK;
}

static struct error take_contents(struct copying *c, struct sql *copy)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(copy, "SELECT hash FROM blob WHERE place = 1");
    while (sql_row(st)) {
        struct slice hash = sql_blob(st, 0);
        if (hash.n != 32)
            return error_make(ERROR_CORRUPT, "a content row is damaged; run kantorctl check");
        TRY(take_content(c, (const unsigned char *)hash.p));
    }
    return sql_result(st);
}

/* --- other files */

static struct error take_other(struct copying *c, const char *path, const char *name)
{
    char target[PATH_MAX];
    unsigned char hash[32];
    int64_t size;
    SCOPED(file_close) int in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (in < 0 || fstat(in, &st) != 0 || !S_ISREG(st.st_mode) || strchr(name, '\n')) {
        c->b->unread++;
        LOG_EVENT(LOG_WARN, "backup-file-left-out", LOG_WORD("file", path));
        return OK;
    }
    TRY(make_folders(c->b->to, name));
    (void)snprintf(target, sizeof target, "%s/%s", c->b->to, name);
    SCOPED(file_close) int out = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return durable_error("a file cannot be made in the backup");
    TRY(manifest_hash_file(in, out, hash, &size));
    manifest_add(&c->manifest, hash, size, name);
    return OK;
}

static bool is_stores_own(const char *name)
{
    static const char *const own[] = {"blobs", "temp", "lock", "damaged", "control.sock"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return name[0] == '.' || strncmp(name, "kantor.db", 9) == 0 || strncmp(name, "before-schema-", 14) == 0;
}

/* Certificates, keys: everything of the data folder that is not the store's. */
static struct error take_data(struct copying *c, const char *path, const char *name, int depth)
{
    DIR *d = opendir(path);
    char below[PATH_MAX], below_name[PATH_MAX], real[PATH_MAX];
    struct error e = OK;
    struct stat st;
    for (struct dirent *x; d && e.code == ERROR_NONE && (x = readdir(d));) {
        if (is_stores_own(x->d_name) || (size_t)snprintf(below, sizeof below, "%s/%s", path, x->d_name) >= sizeof below || (size_t)snprintf(below_name, sizeof below_name, "%s/%s", name, x->d_name) >= sizeof below_name ||
            lstat(below, &st) != 0)
            continue;
        if (S_ISREG(st.st_mode))
            e = take_other(c, below, below_name);
        else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX && realpath(below, real) && strncmp(c->target, real, strlen(real)) != 0)
            e = take_data(c, below, below_name, depth + 1);
    }
    if (d)
        (void)closedir(d);
    return e;
}

static struct error take_files(struct copying *c)
{
    char name[PATH_MAX];
    TRY(take_data(c, c->store->path, "data", 0));
    for (size_t i = 0; i < c->b->n_files; i++) {
        (void)snprintf(name, sizeof name, "config/%s", c->b->files[i].name);
        TRY(take_other(c, c->b->files[i].path, name));
    }
    return OK;
}

/* --- the whole */

static struct error make_target(const char *path)
{
    TRY(durable_folder(path, 0700));
    DIR *d = opendir(path);
    int n = 0;
    if (!d)
        return durable_error("the folder of the backup cannot be opened");
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n ? error_make(ERROR_EXISTS, "the folder holds something already; choose an empty or a new one") : OK;
}

static struct error take_database(struct copying *c, struct sql **copy)
{
    char path[PATH_MAX], uri[PATH_MAX];
    unsigned char hash[32];
    int64_t size;
    (void)snprintf(path, sizeof path, "%s/kantor.db", c->b->to);
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(c->store);
        TRY(backup_copy_database(db, path, c->b));
    }
    SCOPED(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_make(ERROR_IO, "the copy of the database cannot be opened");
    TRY(manifest_hash_file(fd, -1, hash, &size));
    manifest_add(&c->manifest, hash, size, "kantor.db");
    TRY(sql_uri(path, uri, sizeof uri));
    return sql_open(c->store, uri, SQL_READ, copy);
}

static struct error sync_blob_folders(const char *to)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < 256; i++) {
        (void)snprintf(path, sizeof path, "%s/blobs/%02x", to, i);
        if (access(path, F_OK) == 0)
            TRY(durable_names(path));
    }
    return durable_names(to);
}

static struct error run(struct copying *c)
{
    struct sql *copy = NULL;
    TRY(make_target(c->b->to));
    if (!realpath(c->b->to, c->target))
        return error_make(ERROR_IO, "the folder of the backup cannot be found after it was made");
    (void)snprintf(c->target + strlen(c->target), sizeof c->target - strlen(c->target), "/");
    manifest_begin(&c->manifest);
    struct error e = take_database(c, &copy);
    if (e.code == ERROR_NONE)
        e = take_contents(c, copy);
    if (e.code == ERROR_NONE)
        e = backup_count(copy, &c->b->facts);
    if (copy)
        sql_close(copy);
    TRY(e);
    TRY(take_files(c));
    TRY(sync_blob_folders(c->b->to));
    c->b->facts.created_at = clock_now();
    return manifest_write(&c->manifest, &c->b->facts, c->b->to);
}

struct error store_backup(struct store *s, struct store_backup *b)
{
    struct copying *c = calloc(1, sizeof *c);
    if (!c)
        return error_make(ERROR_MEMORY, "no memory for a backup");
    c->store = s;
    c->b = b;
    b->facts = (struct backup_facts){0};
    b->linked = b->copied = b->missing = b->unread = 0;
    (void)pthread_mutex_lock(&s->maintenance); /* what the copied state names must not be collected before its files are taken */
    struct error e = run(c);
    (void)pthread_mutex_unlock(&s->maintenance);
    buffer_free(&c->manifest);
    free(c);
    return e;
}
