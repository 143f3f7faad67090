/* core/store/repair.c -- the changes of `check --repair`: what is derived is made anew, what cannot be read is set aside, no mail is deleted */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/store/check_internal.h"
#include "core/store/item.h"

static struct error run_with(struct sql *db, const char *literal, int64_t a, int64_t b)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, literal);
    sql_bind_int(st, 1, a);
    if (b)
        sql_bind_int(st, 2, b);
    return sql_run(st);
}

/* --- one content */

/* Two rows of one hash: everything that names the second names the first from now on. */
static struct error merge(struct sql *db, int64_t blob, int64_t other)
{
    TRY(run_with(db, "UPDATE item SET blob = $2 WHERE blob = $1", blob, other));
    TRY(run_with(db, "UPDATE gone SET blob = $2 WHERE blob = $1", blob, other));
    TRY(run_with(db, "UPDATE queue SET blob = $2 WHERE blob = $1", blob, other));
    TRY(run_with(db, "DELETE FROM upload WHERE blob = $1", blob, 0));
    TRY(run_with(db, "DELETE FROM mail WHERE blob = $1", blob, 0));
    return run_with(db, "DELETE FROM blob WHERE id = $1", blob, 0);
}

static struct error hash_row(struct sql *db, void *arg)
{
    int64_t blob = *(int64_t *)arg, other;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT h.blob FROM blob b JOIN blobhash h ON h.hash = b.hash JOIN blob o ON o.id = h.blob AND o.hash = b.hash WHERE b.id = $1");
        sql_bind_int(st, 1, blob);
        other = sql_row(st) ? sql_int(st, 0) : 0;
        TRY(sql_result(st));
    }
    if (other == blob)
        return OK;
    if (other)
        return merge(db, blob, other);
    TRY(run_with(db, "DELETE FROM blobhash WHERE hash IN (SELECT hash FROM blob WHERE id = $1)", blob, 0));
    return run_with(db, "INSERT INTO blobhash (hash, blob) SELECT hash, id FROM blob WHERE id = $1", blob, 0);
}

struct error repair_hash_row(struct store *s, int64_t blob)
{
    return store_change(s, hash_row, &blob);
}

struct resizing {
    int64_t blob, size;
};

static struct error resize(struct sql *db, void *arg)
{
    const struct resizing *x = arg;
    return run_with(db, "UPDATE blob SET size = $2 WHERE id = $1", x->blob, x->size);
}

struct error repair_size(struct store *s, int64_t blob, int64_t size)
{
    struct resizing x = {blob, size};
    return store_change(s, resize, &x);
}

/* The file goes to damaged/ under the content's number: an administrator may want what is left of it. */
static void move_file(struct store *s, int64_t blob, struct slice hash)
{
    char from[80], to[64];
    if (hash.n != 32)
        return;
    blob_file_name((const unsigned char *)hash.p, from);
    (void)mkdirat(s->folder_fd, "damaged", 0700);
    (void)snprintf(to, sizeof to, "damaged/%lld", (long long)blob);
    if (renameat(s->folder_fd, from, s->folder_fd, to) == 0)
        LOG_EVENT(LOG_WARN, "content-set-aside", LOG_NUMBER("content", blob), LOG_WORD("file", to));
}

/* Messages that name it: one scan, for there is no index on what an item's content is. */
static struct error bury(struct sql *db, int64_t blob)
{
    for (;;) {
        SCOPED(uid_set_free) struct uid_set one = {0};
        int64_t collection = 0;
        {
            SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT collection, uid FROM item WHERE blob = $1 LIMIT 1");
            sql_bind_int(st, 1, blob);
            if (sql_row(st)) {
                collection = sql_int(st, 0);
                uid_set_add(&one, (uint32_t)sql_int(st, 1), (uint32_t)sql_int(st, 1));
            }
            TRY(sql_result(st));
        }
        if (!collection)
            return OK;
        TRY(item_expunge(db, (struct actor){0, 0}, collection, &one, 0, NULL));
    }
}

static struct error set_aside(struct sql *db, void *arg)
{
    int64_t blob = *(int64_t *)arg;
    TRY(bury(db, blob));
    TRY(run_with(db, "DELETE FROM blobhash WHERE blob = $1", blob, 0));
    TRY(run_with(db, "DELETE FROM mail WHERE blob = $1", blob, 0));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT place, hash FROM blob WHERE id = $1");
    sql_bind_int(st, 1, blob);
    if (sql_row(st) && sql_int(st, 0) == PLACE_FILE)
        move_file(sql_store(db), blob, sql_blob(st, 1));
    TRY(sql_result(st));
    return run_with(db, "UPDATE blob SET place = 2 WHERE id = $1", blob, 0);
}

struct error repair_set_aside(struct store *s, int64_t blob)
{
    return store_change(s, set_aside, &blob);
}

/* --- mailboxes and accounts */

static struct error bury_without_content(struct sql *db, int64_t collection)
{
    SCOPED(uid_set_free) struct uid_set lost = {0};
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT i.uid FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE i.collection = $1 AND b.id IS NULL");
        sql_bind_int(st, 1, collection);
        while (sql_row(st))
            uid_set_add(&lost, (uint32_t)sql_int(st, 0), (uint32_t)sql_int(st, 0));
        TRY(sql_result(st));
    }
    struct error e = lost.n ? item_expunge(db, (struct actor){0, 0}, collection, &lost, 0, NULL) : OK;
    return e.code == ERROR_NOT_FOUND ? OK : e; /* a mailbox that was removed itself */
}

static struct error raise_number(struct sql *db)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT max(m) FROM (SELECT max(modseq) AS m FROM item UNION ALL SELECT max(modseq) FROM collection UNION ALL SELECT max(modseq) FROM account) x");
    int64_t highest = sql_row(st) ? sql_int(st, 0) : 0;
    struct store *s = sql_store(db);
    if (highest > s->modseq)
        s->modseq = highest;
    return sql_result(st);
}

static struct error mend_collection(struct sql *db, void *arg)
{
    int64_t id = *(int64_t *)arg;
    TRY(raise_number(db));
    TRY(bury_without_content(db, id));
    TRY(run_with(db, "UPDATE item SET size = (SELECT b.size FROM blob b WHERE b.id = item.blob) WHERE collection = $1 AND EXISTS (SELECT 1 FROM blob b WHERE b.id = item.blob AND b.size <> item.size)", id, 0));
    TRY(run_with(db, "DELETE FROM gone WHERE collection = $1 AND why <> 3 AND uid IN (SELECT uid FROM item WHERE collection = $1)", id, 0)); /* the message is there: it was not removed */
    TRY(run_with(db, "UPDATE collection SET (n_all, n_unseen, n_deleted, bytes) = (SELECT count(*), coalesce(sum(1 - (flags & 1)), 0), coalesce(sum((flags >> 3) & 1), 0), coalesce(sum(size), 0) "
                     "FROM item WHERE item.collection = $1) WHERE id = $1", id, 0));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT coalesce((SELECT max(uid) FROM item WHERE collection = $1), 0), coalesce((SELECT max(uid) FROM gone WHERE collection = $1), 0), "
                                                       "coalesce((SELECT max(modseq) FROM item WHERE collection = $1), 0), coalesce((SELECT max(modseq) FROM gone WHERE collection = $1), 0)");
    sql_bind_int(st, 1, id);
    if (!sql_row(st))
        return sql_result(st);
    int64_t uid = sql_int(st, 0) > sql_int(st, 1) ? sql_int(st, 0) : sql_int(st, 1), modseq = sql_int(st, 2) > sql_int(st, 3) ? sql_int(st, 2) : sql_int(st, 3);
    TRY(run_with(db, "UPDATE collection SET uidnext = $2 WHERE id = $1 AND uidnext < $2", id, uid + 1));
    TRY(run_with(db, "UPDATE collection SET modseq = $2, prev = 0 WHERE id = $1 AND modseq < $2", id, modseq));
    TRY(run_with(db, "UPDATE collection SET gonefloor = modseq WHERE id = $1 AND gonefloor > modseq", id, 0));
    TRY(run_with(db, "UPDATE account SET modseq = (SELECT c.modseq FROM collection c WHERE c.id = $1), prev = 0 WHERE id IN (SELECT account FROM collection WHERE id = $1) "
                     "AND modseq < (SELECT c.modseq FROM collection c WHERE c.id = $1)", id, 0));
    SCOPED(sql_done) struct sql_stmt *flags = sql_use(db, "SELECT DISTINCT flags FROM item WHERE collection = $1");
    sql_bind_int(flags, 1, id);
    int64_t all = 0;
    while (sql_row(flags))
        all |= sql_int(flags, 0);
    TRY(sql_result(flags));
    return all ? run_with(db, "UPDATE collection SET keywords = keywords | $2 WHERE id = $1", id, all) : OK;
}

struct error repair_collection(struct store *s, int64_t collection)
{
    return store_change(s, mend_collection, &collection);
}

static struct error mend_account(struct sql *db, void *arg)
{
    int64_t id = *(int64_t *)arg;
    TRY(raise_number(db));
    TRY(run_with(db, "UPDATE account SET (used, items) = (SELECT coalesce(sum(i.size), 0), count(i.uid) FROM collection c JOIN item i ON i.collection = c.id WHERE c.account = $1) WHERE id = $1", id, 0));
    return run_with(db, "UPDATE account SET modseq = (SELECT max(modseq) FROM collection WHERE account = $1), prev = 0 WHERE id = $1 AND modseq < (SELECT max(modseq) FROM collection WHERE account = $1)", id, 0);
}

struct error repair_account(struct store *s, int64_t account)
{
    return store_change(s, mend_account, &account);
}

static struct error reindex(struct sql *db, void *arg)
{
    (void)arg;
    return sql_exec(db, "REINDEX");
}

struct error repair_indexes(struct store *s)
{
    return store_change(s, reindex, NULL);
}
