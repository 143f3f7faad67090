/* core/store/garbage.c -- what retention has outlived, and content that nobody names
 *
 * There are no reference counts. Who is named is a scan of the narrow rows (some 0.1 s a million) into a bitmap. A blob that nobody names is doomed first:
 * its hash row goes, so no put can find it again. A later look either finds it named after all (a put that was under way) and gives the hash back, or
 * deletes the row; its file goes in a change behind that commit. Each change stays short.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/store/internal.h"

enum { ROWS_A_CHANGE = 500 };

struct bitmap {
    unsigned char *bits;
    int64_t max;
};

/* --- tombstones past retention */

struct expire {
    int64_t before, done;
};

static struct error raise_floor(struct sql *db, int64_t collection, int64_t modseq)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET gonefloor = $2 WHERE id = $1 AND gonefloor < $2");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, modseq);
    return sql_run(st);
}

static struct error expire_some(struct sql *db, void *arg)
{
    struct expire *x = arg;
    int64_t keys[ROWS_A_CHANGE][2];
    int n = 0;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT collection, modseq FROM gone WHERE at < $1 LIMIT 500");
        sql_bind_int(st, 1, x->before);
        for (; n < ROWS_A_CHANGE && sql_row(st); n++) {
            keys[n][0] = sql_int(st, 0);
            keys[n][1] = sql_int(st, 1);
        }
        TRY(sql_result(st));
    }
    for (int i = 0; i < n; i++) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM gone WHERE collection = $1 AND modseq = $2");
        sql_bind_int(st, 1, keys[i][0]);
        sql_bind_int(st, 2, keys[i][1]);
        TRY(sql_run(st));
        TRY(raise_floor(db, keys[i][0], keys[i][1]));
    }
    x->done = n;
    return OK;
}

/* --- who is named */

static struct error mark(struct sql_stmt *st, struct bitmap *b)
{
    while (sql_row(st)) {
        int64_t id = sql_int(st, 0);
        if (id > 0 && id <= b->max)
            b->bits[id / 8] |= (unsigned char)(1 << id % 8);
    }
    return sql_result(st);
}

static struct error find_named(struct store *s, struct bitmap *b)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    SCOPED(sql_done) struct sql_stmt *max = sql_use(db, "SELECT coalesce(max(id), 0) FROM blob");
    b->max = sql_row(max) ? sql_int(max, 0) : 0;
    TRY(sql_result(max));
    b->bits = calloc((size_t)b->max / 8 + 1, 1);
    if (!b->bits)
        return error_make(ERROR_MEMORY, "no memory to collect garbage");
    SCOPED(sql_done) struct sql_stmt *items = sql_use(db, "SELECT blob FROM item");
    TRY(mark(items, b));
    SCOPED(sql_done) struct sql_stmt *gone = sql_use(db, "SELECT blob FROM gone WHERE blob IS NOT NULL");
    TRY(mark(gone, b));
    SCOPED(sql_done) struct sql_stmt *queued = sql_use(db, "SELECT blob FROM queue");
    TRY(mark(queued, b));
    SCOPED(sql_done) struct sql_stmt *uploads = sql_use(db, "SELECT blob FROM upload");
    return mark(uploads, b);
}

static bool is_named(const struct bitmap *b, int64_t id)
{
    return id > b->max || b->bits[id / 8] >> id % 8 & 1; /* newer than the look: not known to be free */
}

/* --- doom, then delete */

struct sweep {
    const struct bitmap *named;
    int64_t after, done;
    char files[ROWS_A_CHANGE][80]; /* names whose rows went */
    int n_files;
};

static struct error doom(struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO doomed (blob, at) VALUES ($1, $2) ON CONFLICT (blob) DO NOTHING");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, clock_now());
    TRY(sql_run(st));
    SCOPED(sql_done) struct sql_stmt *hash = sql_use(db, "DELETE FROM blobhash WHERE hash IN (SELECT hash FROM blob WHERE id = $1) AND blob = $1");
    sql_bind_int(hash, 1, id);
    return sql_run(hash);
}

static struct error doom_some(struct sql *db, void *arg)
{
    struct sweep *x = arg;
    int64_t ids[ROWS_A_CHANGE];
    int n = 0;
    int64_t last = x->after;
    x->done = 0;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id FROM blob WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 20000");
        sql_bind_int(st, 1, x->after);
        sql_bind_int(st, 2, x->named->max);
        while (n < ROWS_A_CHANGE && sql_row(st)) {
            last = sql_int(st, 0);
            x->done++;
            if (!is_named(x->named, last))
                ids[n++] = last;
        }
        TRY(sql_result(st));
    }
    for (int i = 0; i < n; i++)
        TRY(doom(db, ids[i]));
    x->after = last;
    return OK;
}

static struct error delete_one(struct sql *db, struct sweep *x, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM blob WHERE id = $1 RETURNING place, hash");
    sql_bind_int(st, 1, id);
    if (sql_row(st) && sql_int(st, 0) == 1) {
        struct slice hash = sql_blob(st, 1);
        if (hash.n == 32)
            blob_file_name((const unsigned char *)hash.p, x->files[x->n_files++]);
    }
    TRY(sql_run(st));
    SCOPED(sql_done) struct sql_stmt *mail = sql_use(db, "DELETE FROM mail WHERE blob = $1");
    sql_bind_int(mail, 1, id);
    return sql_run(mail);
}

static struct error pardon(struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO blobhash (hash, blob) SELECT hash, id FROM blob WHERE id = $1 ON CONFLICT (hash) DO NOTHING");
    sql_bind_int(st, 1, id);
    return sql_run(st);
}

static struct error delete_some(struct sql *db, void *arg)
{
    struct sweep *x = arg;
    int64_t ids[ROWS_A_CHANGE];
    int n = 0;
    x->n_files = 0;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT blob FROM doomed WHERE blob > $1 ORDER BY blob LIMIT 500");
        sql_bind_int(st, 1, x->after);
        while (n < ROWS_A_CHANGE && sql_row(st))
            ids[n++] = sql_int(st, 0);
        TRY(sql_result(st));
    }
    for (int i = 0; i < n; i++) {
        TRY(is_named(x->named, ids[i]) ? pardon(db, ids[i]) : delete_one(db, x, ids[i]));
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM doomed WHERE blob = $1");
        sql_bind_int(st, 1, ids[i]);
        TRY(sql_run(st));
        x->after = ids[i];
    }
    x->done = n;
    return OK;
}

/* Behind the commit that removed the rows; on the writer, so that no put links the same name meanwhile. A file whose content came again keeps its name. */
static struct error unlink_files(struct sql *db, void *arg)
{
    struct sweep *x = arg;
    struct store *s = sql_store(db);
    for (int i = 0; i < x->n_files; i++) {
        unsigned char hash[32];
        const char *hex = strrchr(x->files[i], '/') + 1;
        for (int k = 0; k < 32; k++)
            hash[k] = (unsigned char)(ascii_hex(hex[2 * k]) << 4 | ascii_hex(hex[2 * k + 1]));
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM blobhash WHERE hash = $1");
        sql_bind_blob(st, 1, slice_make((const char *)hash, sizeof hash));
        if (!sql_row(st))
            (void)unlinkat(s->folder_fd, x->files[i], 0);
        TRY(sql_result(st));
    }
    return OK;
}

static struct error sweep(struct store *s, struct sweep *x, store_change_fn step)
{
    x->after = 0;
    do {
        TRY(store_change(s, step, x));
        if (x->n_files)
            TRY(store_change(s, unlink_files, x));
    } while (x->done > 0);
    return OK;
}

struct error store_collect_garbage(struct store *s)
{
    struct expire old = {.before = clock_now() - s->options.retention_s};
    struct bitmap first = {0}, second = {0};
    struct sweep *x = calloc(1, sizeof *x);
    if (!x)
        return error_make(ERROR_MEMORY, "no memory to collect garbage");
    struct error e = OK;
    do
        e = store_change(s, expire_some, &old);
    while (e.code == ERROR_NONE && old.done > 0);
    if (e.code == ERROR_NONE)
        e = find_named(s, &first);
    x->named = &first;
    if (e.code == ERROR_NONE)
        e = sweep(s, x, doom_some);
    if (e.code == ERROR_NONE)
        e = find_named(s, &second); /* after the doom: whoever had found the hash before is seen now */
    x->named = &second;
    if (e.code == ERROR_NONE && atomic_load(&s->puts_open) == 0)
        e = sweep(s, x, delete_some);
    free(first.bits);
    free(second.bits);
    free(x);
    return e;
}
