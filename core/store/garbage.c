/* core/store/garbage.c -- content that nobody names
 *
 * There are no reference counts. Who is named is a scan of the narrow rows (some 0.1 s a million) into a bitmap, on a reader. Between that look and the delete a
 * put may find the content by its hash and name it again: from before the look the writer marks every known content that a put finds (blob_enter), and what is
 * marked stays. Everything else can only be named by who named it already. Rows go in short changes, a file in a change behind that commit: a crash between
 * leaves a file without a row, which orphan.c finds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/store/internal.h"

enum { ROWS_A_CHANGE = 500, IDS_A_CHANGE = 1000000 };

void bitmap_set(struct bitmap *b, int64_t id)
{
    if (b->bits && id > 0 && id <= b->max)
        b->bits[id / 8] |= (unsigned char)(1 << id % 8);
}

bool bitmap_has(const struct bitmap *b, int64_t id)
{
    return b->bits && id > 0 && id <= b->max && b->bits[id / 8] >> id % 8 & 1;
}

struct error bitmap_make(struct bitmap *b, int64_t max)
{
    b->max = max;
    b->bits = calloc((size_t)max / 8 + 1, 1);
    return b->bits ? OK : error_make(ERROR_MEMORY, "no memory to collect garbage");
}

struct collecting {
    struct bitmap named;
    int64_t max, after, next;
    char files[ROWS_A_CHANGE][80]; /* names whose rows went */
    int n_files;
};

/* --- what an upgrade or an older Kantor left: doomed content gets its hash back and is judged anew */

static struct error pardon_some(struct sql *db, void *arg)
{
    int64_t ids[ROWS_A_CHANGE], *n = arg;
    *n = 0;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT blob FROM doomed ORDER BY blob LIMIT 500");
        while (*n < ROWS_A_CHANGE && sql_row(st))
            ids[(*n)++] = sql_int(st, 0);
        TRY(sql_result(st));
    }
    for (int64_t i = 0; i < *n; i++) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO blobhash (hash, blob) SELECT hash, id FROM blob WHERE id = $1 ON CONFLICT (hash) DO NOTHING");
        sql_bind_int(st, 1, ids[i]);
        TRY(sql_run(st));
        SCOPED(sql_done) struct sql_stmt *doomed = sql_use(db, "DELETE FROM doomed WHERE blob = $1");
        sql_bind_int(doomed, 1, ids[i]);
        TRY(sql_run(doomed));
    }
    return OK;
}

/* --- the look */

/* From here on puts mark what they find. */
static struct error begin(struct sql *db, void *arg)
{
    struct collecting *x = arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT coalesce(max(id), 0) FROM blob");
    struct bitmap *entered = &sql_store(db)->entered;
    x->max = sql_row(st) ? sql_int(st, 0) : 0;
    TRY(sql_result(st));
    free(entered->bits); /* of an earlier collection that was cut off */
    return bitmap_make(entered, x->max);
}

static struct error end(struct sql *db, void *arg)
{
    (void)arg;
    free(sql_store(db)->entered.bits);
    sql_store(db)->entered = (struct bitmap){0};
    return OK;
}

static struct error mark(struct sql_stmt *st, struct bitmap *b)
{
    while (sql_row(st))
        bitmap_set(b, sql_int(st, 0));
    return sql_result(st);
}

static struct error find_named(struct store *s, struct collecting *x)
{
    TRY(bitmap_make(&x->named, x->max));
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    SCOPED(sql_done) struct sql_stmt *items = sql_use(db, "SELECT blob FROM item");
    TRY(mark(items, &x->named));
    SCOPED(sql_done) struct sql_stmt *gone = sql_use(db, "SELECT blob FROM gone WHERE blob IS NOT NULL");
    TRY(mark(gone, &x->named));
    SCOPED(sql_done) struct sql_stmt *queued = sql_use(db, "SELECT blob FROM queue");
    TRY(mark(queued, &x->named));
    SCOPED(sql_done) struct sql_stmt *posts = sql_use(db, "SELECT blob FROM post");
    TRY(mark(posts, &x->named));
    SCOPED(sql_done) struct sql_stmt *uploads = sql_use(db, "SELECT blob FROM upload");
    return mark(uploads, &x->named);
}

/* --- the delete */

static struct error delete_one(struct sql *db, struct collecting *x, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *name = sql_use(db, "DELETE FROM blobhash WHERE hash IN (SELECT hash FROM blob WHERE id = $1) AND blob = $1");
    sql_bind_int(name, 1, id);
    TRY(sql_run(name));
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

/* The next ids on the writer: only whether they are there is asked, content is not read. */
static struct error delete_some(struct sql *db, void *arg)
{
    struct collecting *x = arg;
    const struct bitmap *entered = &sql_store(db)->entered;
    int64_t ids[ROWS_A_CHANGE];
    int n = 0;
    x->n_files = 0;
    x->next = x->after;
    while (x->next < x->max && x->next - x->after < IDS_A_CHANGE && n < ROWS_A_CHANGE) {
        x->next++;
        if (!bitmap_has(&x->named, x->next) && !bitmap_has(entered, x->next))
            ids[n++] = x->next;
    }
    for (int i = 0; i < n; i++)
        TRY(delete_one(db, x, ids[i]));
    return OK;
}

/* Behind the commit that removed the rows; on the writer, so that no put links the same name meanwhile. A file whose content came again keeps its name. */
static struct error unlink_files(struct sql *db, void *arg)
{
    struct collecting *x = arg;
    struct store *s = sql_store(db);
    for (int i = 0; i < x->n_files; i++) {
        unsigned char hash[32];
        if (!blob_hash_of_name(slice_of(strrchr(x->files[i], '/') + 1), hash))
            continue;
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM blobhash WHERE hash = $1");
        sql_bind_blob(st, 1, slice_make((const char *)hash, sizeof hash));
        if (!sql_row(st))
            (void)unlinkat(s->folder_fd, x->files[i], 0);
        TRY(sql_result(st));
    }
    return OK;
}

static struct error collect(struct store *s, struct collecting *x)
{
    int64_t n;
    do
        TRY(store_change(s, pardon_some, &n));
    while (n > 0);
    TRY(store_change(s, begin, x));
    struct error e = find_named(s, x);
    while (e.code == ERROR_NONE && x->after < x->max) {
        e = store_change(s, delete_some, x);
        if (e.code == ERROR_NONE && x->n_files)
            e = store_change(s, unlink_files, x);
        x->after = x->next;
    }
    struct error ended = store_change(s, end, NULL); /* when it fails the next collection ends it */
    return e.code == ERROR_NONE ? ended : e;
}

struct error store_collect_garbage(struct store *s)
{
    if (pthread_mutex_trylock(&s->maintenance) != 0)
        return error_make(ERROR_BUSY, "a backup, a repair or another collection runs; try again later");
    struct error e = retention_expire(s);
    if (e.code == ERROR_NONE)
        e = retention_cut_log(s);
    struct collecting *x = e.code == ERROR_NONE ? calloc(1, sizeof *x) : NULL;
    if (x) {
        e = collect(s, x);
        free(x->named.bits);
        free(x);
    }
    if (e.code == ERROR_NONE)
        e = orphan_sweep(s);
    (void)pthread_mutex_unlock(&s->maintenance);
    return e;
}
