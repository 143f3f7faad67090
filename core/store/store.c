/* core/store/store.c -- opening, the lock, migration, the pool of readers, settings */
#include "core/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/durable.h"
#include "core/store/schema.h"

/* --- settings */

struct error setting_get(struct sql *db, int64_t account, struct slice name, struct arena *a, struct slice *value)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT value FROM setting WHERE account = $1 AND name = $2");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such setting");
    }
    *value = arena_copy(a, sql_text(st, 0));
    return value->p ? OK : error_make(ERROR_MEMORY, "no memory for a setting");
}

struct error setting_set(struct sql *db, int64_t account, struct slice name, struct slice value)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO setting (account, name, value) VALUES ($1, $2, $3) ON CONFLICT (account, name) DO UPDATE SET value = excluded.value");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    sql_bind_text(st, 3, value);
    return sql_run(st);
}

int64_t setting_number(struct sql *db, struct slice name)
{
    struct arena a;
    struct slice text;
    uint64_t value = 0;
    arena_init(&a, 4096);
    if (setting_get(db, 0, name, &a, &text).code == ERROR_NONE)
        (void)slice_number(text, INT64_MAX, &value);
    arena_free(&a);
    return (int64_t)value;
}

struct error setting_set_number(struct sql *db, struct slice name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return setting_set(db, 0, name, slice_of(text));
}

/* --- opening */

static struct error open_folder(struct store *s)
{
    if (durable_folder(s->path, 0700).code != ERROR_NONE)
        return error_make(ERROR_IO, "cannot make the data folder; does its parent exist, and may this user write there?");
    s->folder_fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder_fd < 0)
        return error_make(ERROR_IO, "cannot open the data folder; may this user read it?");
    if ((mkdirat(s->folder_fd, "blobs", 0700) != 0 && errno != EEXIST) || (mkdirat(s->folder_fd, "temp", 0700) != 0 && errno != EEXIST))
        return error_make(ERROR_IO, "cannot write into the data folder");
    s->lock_fd = openat(s->folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return error_make(ERROR_IO, "cannot write into the data folder");
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_make(ERROR_BUSY, "another process uses this data folder; talk to the running server with kantorctl, or stop it first");
    return OK;
}

static bool has_tables(struct sql *db)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM sqlite_schema WHERE name = 'setting'");
    return sql_row(st);
}

static struct error create(struct sql *db)
{
    unsigned char random[8];
    char epoch[24];
    if (RAND_bytes(random, sizeof random) != 1)
        return error_make(ERROR_IO, "the system has no random numbers");
    for (int i = 0; i < 8; i++)
        (void)snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    TRY(setting_set(db, 0, SLICE("epoch"), slice_of(epoch)));
    return setting_set_number(db, SLICE("created"), clock_now());
}

static struct error migrate_steps(struct sql *db, int from)
{
    for (int step = from + 1; step <= schema_version(); step++)
        TRY(schema_step(db, step));
    if (from == 0)
        TRY(create(db));
    return setting_set_number(db, SLICE("schema"), schema_version());
}

/* A copy beside the database before an upgrade, so that an admin can go back. */
static struct error copy_before(struct store *s, int from)
{
    char name[64];
    struct sql *copy;
    (void)snprintf(name, sizeof name, "before-schema-%d.db", from + 1);
    size_t n = strlen(s->path) + sizeof name + 2;
    char *path = malloc(n);
    if (!path)
        return error_make(ERROR_MEMORY, "no memory");
    (void)snprintf(path, n, "%s/%s", s->path, name);
    struct error e = sql_open(s, path, SQL_WRITE, &copy);
    free(path);
    if (e.code != ERROR_NONE)
        return e;
    sqlite3_backup *b = sqlite3_backup_init(copy->handle, "main", s->writer->handle, "main");
    int code = b ? sqlite3_backup_step(b, -1) : SQLITE_NOMEM;
    if (b)
        (void)sqlite3_backup_finish(b);
    sql_close(copy);
    return sql_error(code);
}

/* What an upgrade must not change. */
struct rows {
    int64_t accounts, collections, items, gone, blobs, queued;
};

static struct error count_rows(struct sql *db, struct rows *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM collection), (SELECT count(*) FROM item), (SELECT count(*) FROM gone), "
                                                       "(SELECT count(*) FROM blob), (SELECT count(*) FROM queue)");
    if (sql_row(st))
        *out = (struct rows){sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), sql_int(st, 3), sql_int(st, 4), sql_int(st, 5)};
    return sql_result(st);
}

static struct error migrate(struct store *s)
{
    struct sql *db = s->writer;
    int from = has_tables(db) ? (int)setting_number(db, SLICE("schema")) : 0;
    if (from > schema_version())
        return error_make(ERROR_UNSUPPORTED, "this data folder was written by a newer Kantor; install that version or newer (nothing was changed)");
    if (from == schema_version())
        return OK;
    struct rows before = {0}, after = {0};
    if (from > 0) {
        TRY(copy_before(s, from));
        TRY(count_rows(db, &before));
    }
    TRY(sql_do(db, "BEGIN IMMEDIATE"));
    struct error e = migrate_steps(db, from);
    if (e.code == ERROR_NONE && from > 0)
        e = count_rows(db, &after);
    if (e.code == ERROR_NONE && memcmp(&before, &after, sizeof before) != 0)
        e = error_make(ERROR_CORRUPT, "rows would be lost");
    if (e.code == ERROR_NONE)
        e = sql_do(db, "COMMIT");
    if (e.code != ERROR_NONE)
        (void)sql_do(db, "ROLLBACK");
    if (e.code != ERROR_NONE && e.code != ERROR_FULL)
        return error_make(e.code, "the upgrade of the data folder failed and was taken back: nothing was changed; run the earlier version, and tell us");
    if (e.code != ERROR_NONE)
        return error_make(e.code, "the disk is too full to upgrade the data folder: nothing was changed; make room and start again");
    return durable_names(s->path); /* the first commit after a file was made needs its folder synced, too */
}

static int64_t last_number(struct sql *db)
{
    int64_t saved = setting_number(db, SLICE("modseq"));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT max(modseq) FROM change");
    int64_t logged = sql_row(st) ? sql_int(st, 0) : 0;
    return saved > logged ? saved : logged;
}

static struct error read_identity(struct store *s)
{
    struct arena a;
    struct slice epoch;
    arena_init(&a, 4096);
    struct error e = setting_get(s->writer, 0, SLICE("epoch"), &a, &epoch);
    if (e.code == ERROR_NONE)
        (void)snprintf(s->epoch, sizeof s->epoch, "%.*s", SLICE_ARG(epoch));
    arena_free(&a);
    s->modseq = last_number(s->writer);
    return e;
}

static struct error remember_place(struct store *s, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_make(ERROR_IO, "the database cannot be found after it was opened");
    s->device = st.st_dev;
    s->inode = st.st_ino;
    return OK;
}

struct error store_in_place(const struct store *s)
{
    char path[PATH_MAX];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/kantor.db", s->path);
    if (stat(path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
        return OK;
    return error_make(ERROR_IO, "the data folder was moved, unmounted or replaced; put it back, or restart the server on the new one");
}

/* Temporary files of puts that a crash cut off: nobody can name them any more. */
static void sweep_temp(struct store *s)
{
    int fd = openat(s->folder_fd, "temp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        (void)closedir(d);
}

static struct error open_all(struct store *s)
{
    size_t n = strlen(s->path) + sizeof "/kantor.db";
    char *path = malloc(n);
    if (!path)
        return error_make(ERROR_MEMORY, "no memory for the store");
    (void)snprintf(path, n, "%s/kantor.db", s->path);
    mode_t before = umask(077);
    struct error e = sql_open(s, path, SQL_WRITE, &s->writer);
    (void)umask(before);
    if (e.code == ERROR_NONE)
        e = migrate(s);
    if (e.code == ERROR_NONE)
        e = read_identity(s);
    if (e.code == ERROR_NONE)
        e = remember_place(s, path);
    for (int i = 0; e.code == ERROR_NONE && i < s->options.readers; i++) {
        struct sql *db;
        e = sql_open(s, path, SQL_READ, &db);
        if (e.code == ERROR_NONE) {
            db->next_free = s->readers;
            s->readers = db;
            s->n_readers++;
        }
    }
    free(path);
    return e;
}

void store_begin(struct store *s)
{
    s->folder_fd = s->lock_fd = -1;
    (void)pthread_mutex_init(&s->reader_lock, NULL);
    (void)pthread_cond_init(&s->reader_free, NULL);
    (void)pthread_mutex_init(&s->queue_lock, NULL);
    (void)pthread_cond_init(&s->queue_some, NULL);
    (void)pthread_mutex_init(&s->watch_lock, NULL);
    (void)pthread_mutex_init(&s->maintenance, NULL);
}

struct error store_open(const struct store_options *options, struct store **out)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "no memory for the store");
    s->options = *options;
    if (s->options.readers <= 0)
        s->options.readers = 8;
    if (s->options.blob_file_bytes <= 0)
        s->options.blob_file_bytes = 131072;
    if (s->options.retention_s == 0)
        s->options.retention_s = 30 * 86400;
    if (s->options.orphan_age_s == 0)
        s->options.orphan_age_s = 86400;
    store_begin(s);
    s->path = strdup(options->path);
    s->views = view_memory_new();
    struct error e = s->path ? open_folder(s) : error_make(ERROR_MEMORY, "no memory for the store");
    if (e.code == ERROR_NONE)
        e = open_all(s);
    if (e.code == ERROR_NONE)
        sweep_temp(s);
    if (e.code == ERROR_NONE)
        e = writer_start(s);
    if (e.code != ERROR_NONE) {
        store_close(s);
        return e;
    }
    *out = s;
    return OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    writer_stop(s);
    while (s->readers) {
        struct sql *db = s->readers;
        s->readers = db->next_free;
        sql_close(db);
    }
    if (s->writer) {
        (void)sqlite3_wal_checkpoint_v2(s->writer->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        sql_close(s->writer);
    }
    watch_free(s);
    view_memory_free(s->views);
    free(s->notes);
    free(s->entered.bits);
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd);
    if (s->folder_fd >= 0)
        (void)close(s->folder_fd);
    free(s->path);
    free(s);
}

const char *store_path(const struct store *s)
{
    return s->path;
}

const char *store_epoch(const struct store *s)
{
    return s->epoch;
}

/* --- readers */

struct sql *store_reader(struct store *s)
{
    (void)pthread_mutex_lock(&s->reader_lock);
    while (!s->readers)
        (void)pthread_cond_wait(&s->reader_free, &s->reader_lock);
    struct sql *db = s->readers;
    s->readers = db->next_free;
    (void)pthread_mutex_unlock(&s->reader_lock);
    (void)sql_do(db, "BEGIN"); /* one snapshot for all statements until it is given back */
    return db;
}

void store_reader_return(struct sql **held)
{
    struct sql *db = *held;
    if (!db)
        return;
    *held = NULL;
    (void)sql_do(db, "COMMIT");
    struct store *s = db->store;
    (void)pthread_mutex_lock(&s->reader_lock);
    db->next_free = s->readers;
    s->readers = db;
    (void)pthread_mutex_unlock(&s->reader_lock);
    (void)pthread_cond_signal(&s->reader_free);
}
