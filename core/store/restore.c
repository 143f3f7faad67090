/* core/store/restore.c -- verifying a backup, reading it, and making a data folder of it */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/durable.h"
#include "core/store/backup_internal.h"
#include "core/store/manifest.h"
#include "core/store/schema.h"

enum { UIDS_AHEAD = 1 << 20 };

#define NUMBERS_AHEAD ((int64_t)1 << 40)

/* --- verifying */

struct verifying {
    const char *folder;
    struct arena *arena;
    const _Atomic int *stop;
};

static struct error verify_file(void *arg, const unsigned char hash[32], int64_t size, const char *name)
{
    struct verifying *v = arg;
    unsigned char is[32];
    int64_t n;
    char path[PATH_MAX];
    if (v->stop && *v->stop)
        return error_make(ERROR_CLOSED, "the server is going down");
    (void)snprintf(path, sizeof path, "%s/%s", v->folder, name);
    SCOPED(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_make(ERROR_CORRUPT, arena_printf(v->arena, "the backup is damaged: %s is missing or cannot be opened", name));
    TRY(manifest_hash_file(fd, -1, is, &n));
    return n == size && memcmp(is, hash, 32) == 0 ? OK : error_make(ERROR_CORRUPT, arena_printf(v->arena, "the backup is damaged: %s is not what it was when it was made", name));
}

static struct error open_database(struct store *s, const char *folder, struct sql **db)
{
    char path[PATH_MAX], uri[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/kantor.db", folder);
    TRY(sql_uri(path, uri, sizeof uri));
    return sql_open(s, uri, SQL_READ, db);
}

static struct error verify_database(const char *folder, const struct backup_facts *said, struct arena *a)
{
    struct sql *db;
    struct backup_facts is = {0};
    TRY(open_database(NULL, folder, &db));
    struct error e = backup_count(db, &is);
    if (e.code == ERROR_NONE && is.schema > schema_version())
        e = error_make(ERROR_UNSUPPORTED, "the backup was made by a newer Kantor; install that version or newer");
    if (e.code == ERROR_NONE && (is.accounts != said->accounts || is.messages != said->messages || is.contents != said->contents || is.mailboxes != said->mailboxes || strcmp(is.epoch, said->epoch) != 0))
        e = error_make(ERROR_CORRUPT, arena_printf(a, "the backup is damaged: its database holds %lld messages, its manifest says %lld", (long long)is.messages, (long long)said->messages));
    if (e.code == ERROR_NONE) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "PRAGMA quick_check(1)");
        if (!sql_row(st) || !slice_eq(sql_text(st, 0), SLICE("ok")))
            e = error_make(ERROR_CORRUPT, "the backup is damaged: its database does not pass its own check");
    }
    sql_close(db);
    return e;
}

struct error store_backup_verify(const char *folder, struct arena *a, struct backup_facts *facts, const _Atomic int *stop)
{
    struct verifying v = {folder, a, stop};
    TRY(manifest_read(folder, a, facts, verify_file, &v));
    return verify_database(folder, facts, a);
}

/* --- reading */

struct error store_open_backup(const char *folder, struct store **out)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "no memory for a backup");
    store_begin(s);
    s->path = strdup(folder);
    s->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct sql *db = NULL;
    struct error e = s->path && s->folder_fd >= 0 ? open_database(s, folder, &db) : error_make(ERROR_NOT_FOUND, "the folder of the backup cannot be opened");
    if (e.code == ERROR_NONE) {
        s->readers = db;
        s->n_readers = 1;
        if (setting_number(db, SLICE("schema")) != schema_version())
            e = error_make(ERROR_UNSUPPORTED, "the backup has another schema; restore it whole into an empty folder, open it with this version, and take what you need from there");
    }
    if (e.code == ERROR_NONE)
        *out = s;
    else
        store_close(s);
    return e;
}

/* --- restoring */

static struct error run_with(struct sql *db, const char *literal, int64_t a, int64_t b)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, literal);
    sql_bind_int(st, 1, a);
    sql_bind_int(st, 2, b);
    return sql_run(st);
}

static struct error new_epoch(struct sql *db)
{
    unsigned char random[8];
    char epoch[24];
    if (RAND_bytes(random, sizeof random) != 1)
        return error_make(ERROR_IO, "the system has no random numbers");
    for (int i = 0; i < 8; i++)
        (void)snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    return setting_set(db, 0, SLICE("epoch"), slice_of(epoch));
}

static struct error last_number(struct sql *db, int64_t *last)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT max(m) FROM (SELECT max(modseq) AS m FROM change UNION ALL SELECT max(modseq) FROM collection UNION ALL SELECT max(modseq) FROM account) x");
    *last = sql_row(st) ? sql_int(st, 0) : 0;
    int64_t saved = setting_number(db, SLICE("modseq"));
    if (saved > *last)
        *last = saved;
    return sql_result(st);
}

/* Every message of a mailbox gets a number above all that a client can have: it hears of each again, and of what is no more (the floor). */
static struct error renumber_collection(struct sql *db, int64_t id, int64_t uidnext, int64_t *last)
{
    int64_t base = *last;
    *last += uidnext;
    TRY(run_with(db, "UPDATE item SET modseq = $2 + uid WHERE collection = $1", id, base));
    TRY(run_with(db, "UPDATE collection SET modseq = $2, prev = 0, gonefloor = $2 WHERE id = $1", id, *last));
    if (uidnext + UIDS_AHEAD < UINT32_MAX)
        return run_with(db, "UPDATE collection SET uidnext = uidnext + $2 WHERE id = $1", id, UIDS_AHEAD);
    int64_t validity = setting_number(db, SLICE("uidvalidity")) + 1; /* no room: a new life, all uids are forgotten */
    TRY(setting_set_number(db, SLICE("uidvalidity"), validity));
    return run_with(db, "UPDATE collection SET uidvalidity = $2 WHERE id = $1", id, validity);
}

static struct error next_collection(struct sql *db, int64_t *id, int64_t *uidnext)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, uidnext FROM collection WHERE id > $1 ORDER BY id LIMIT 1");
    sql_bind_int(st, 1, *id);
    *id = sql_row(st) ? sql_int(st, 0) : 0;
    *uidnext = *id ? sql_int(st, 1) : 0;
    return sql_result(st);
}

static struct error renumber(struct sql *db, int64_t *held)
{
    int64_t last, id = 0, uidnext;
    TRY(last_number(db, &last));
    last += NUMBERS_AHEAD;
    for (;;) {
        TRY(next_collection(db, &id, &uidnext));
        if (id == 0)
            break;
        TRY(renumber_collection(db, id, uidnext, &last));
    }
    TRY(run_with(db, "UPDATE account SET modseq = $1, prev = 0 WHERE id > $2", ++last, 0));
    TRY(run_with(db, "DELETE FROM change WHERE modseq > $1 AND modseq > $2", 0, 0)); /* the chains begin anew; item rows are the truth */
    TRY(setting_set_number(db, SLICE("modseq"), last));
    TRY(new_epoch(db));
    TRY(run_with(db, "UPDATE rcpt SET state = $1 WHERE state = $2", 1, 0));
    *held = sql_changed(db);
    return OK;
}

static struct error renumber_file(const char *path, int64_t *held)
{
    struct sql *db;
    TRY(sql_open(NULL, path, SQL_WRITE, &db));
    struct error e = sql_exec(db, "BEGIN IMMEDIATE");
    if (e.code == ERROR_NONE)
        e = renumber(db, held);
    if (e.code == ERROR_NONE)
        e = sql_exec(db, "COMMIT");
    if (e.code == ERROR_NONE)
        e = sql_exec(db, "PRAGMA journal_mode = DELETE"); /* one file again: it is renamed */
    sql_close(db);
    return e;
}

struct placing {
    const char *from, *to;
};

/* data/x goes to x, config/ stays together for the administrator to look at. Contents are linked where that works. */
static struct error place_file(void *arg, const unsigned char hash[32], int64_t size, const char *name)
{
    const struct placing *p = arg;
    char from[PATH_MAX];
    unsigned char is[32];
    int64_t n;
    bool linked;
    (void)hash;
    (void)size;
    if (strcmp(name, "kantor.db") == 0)
        return OK;
    if (strncmp(name, "data/", 5) != 0)
        return backup_take_file(p->from, p->to, name, strncmp(name, "blobs/", 6) == 0 ? BACKUP_LINK : BACKUP_COPY, is, &n, &linked);
    (void)snprintf(from, sizeof from, "%s/data", p->from);
    return backup_take_file(from, p->to, name + 5, BACKUP_COPY, is, &n, &linked);
}

static struct error place(const char *from, const char *to, struct arena *a, int64_t *held)
{
    char fresh[PATH_MAX], final[PATH_MAX];
    struct backup_facts ignored;
    struct placing p = {from, to};
    struct sql *source;
    (void)snprintf(final, sizeof final, "%s/kantor.db", to);
    (void)snprintf(fresh, sizeof fresh, "%s/kantor.db.new", to);
    TRY(durable_folder(to, 0700));
    if (access(final, F_OK) == 0)
        return error_make(ERROR_EXISTS, "the folder holds a store already; choose an empty or a new one");
    (void)unlink(fresh); /* of a restore that was cut off */
    TRY(manifest_read(from, a, &ignored, place_file, &p));
    TRY(open_database(NULL, from, &source));
    struct error e = backup_copy_database(source, fresh, NULL);
    sql_close(source);
    TRY(e);
    TRY(renumber_file(fresh, held));
    if (rename(fresh, final) != 0) /* last: before it there is no store in the folder */
        return durable_error("the restored database cannot be renamed");
    return durable_names(to);
}

struct error store_restore(const char *from, const char *to, struct arena *a, struct backup_facts *facts, int64_t *held)
{
    TRY(store_backup_verify(from, a, facts, NULL));
    return place(from, to, a, held);
}
