/* core/store/item_read.c -- rows of items, and what changed since a number */
#include "core/cleanup.h"
#include "core/store/internal.h"
#include "core/store/item.h"

#define COLUMNS "uid, modseq, flags, blob, size, received, saved, thread, msg, kw, name"

static void from_row(struct sql_stmt *st, struct item *i)
{
    *i = (struct item){.uid = (uint32_t)sql_int(st, 0),
                       .modseq = sql_int(st, 1),
                       .flags = sql_int(st, 2),
                       .blob = sql_int(st, 3),
                       .size = sql_int(st, 4),
                       .received = sql_int(st, 5),
                       .saved = sql_is_null(st, 6) ? sql_int(st, 5) : sql_int(st, 6),
                       .thread = sql_int(st, 7),
                       .msg = sql_int(st, 8),
                       .kw = sql_is_null(st, 9) ? SLICE("") : sql_text(st, 9),
                       .name = sql_is_null(st, 10) ? slice_make(NULL, 0) : sql_text(st, 10)};
}

void item_scan_begin(struct sql *db, int64_t collection, uint32_t lo, uint32_t hi, int64_t after, struct item_scan *scan)
{
    scan->st = sql_use(db, "SELECT " COLUMNS " FROM item WHERE collection = $1 AND uid BETWEEN $2 AND $3 AND modseq > $4 ORDER BY uid");
    sql_bind_int(scan->st, 1, collection);
    sql_bind_int(scan->st, 2, lo);
    sql_bind_int(scan->st, 3, hi);
    sql_bind_int(scan->st, 4, after);
}

bool item_next(struct item_scan *scan, struct item *out)
{
    if (!sql_row(scan->st))
        return false;
    from_row(scan->st, out);
    return true;
}

struct error item_scan_result(struct item_scan *scan)
{
    return sql_result(scan->st);
}

void item_scan_end(struct item_scan *scan)
{
    sql_done(&scan->st);
}

struct error item_get(struct sql *db, int64_t collection, uint32_t uid, struct arena *a, struct item *out)
{
    SCOPED(item_scan_end) struct item_scan scan;
    item_scan_begin(db, collection, uid, uid, -1, &scan);
    if (!item_next(&scan, out)) {
        TRY(item_scan_result(&scan));
        return error_make(ERROR_NOT_FOUND, "no such item");
    }
    out->kw = arena_copy(a, out->kw);
    if (out->name.p)
        out->name = arena_copy(a, out->name);
    return out->kw.p ? OK : error_make(ERROR_MEMORY, "no memory for an item");
}

static struct error collect(struct sql_stmt *st, struct uid_set *out)
{
    while (sql_row(st)) {
        uint32_t uid = (uint32_t)sql_int(st, 0);
        uid_set_add(out, uid, uid);
    }
    TRY(sql_result(st));
    return out->failed ? error_make(ERROR_MEMORY, "no memory for a set of messages") : OK;
}

struct error item_uids(struct sql *db, int64_t collection, struct uid_set *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT uid FROM item WHERE collection = $1 ORDER BY uid");
    sql_bind_int(st, 1, collection);
    uid_set_clear(out);
    return collect(st, out);
}

struct error item_first_unseen(struct sql *db, int64_t collection, uint32_t *uid)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT uid FROM item WHERE collection = $1 AND (flags & 1) = 0 ORDER BY uid LIMIT 1");
    sql_bind_int(st, 1, collection);
    *uid = sql_row(st) ? (uint32_t)sql_int(st, 0) : 0;
    return sql_result(st);
}

/* --- since a number */

static struct error heads(struct sql *db, int64_t collection, int64_t *modseq, int64_t *gonefloor, int64_t *n_all, uint32_t *uidnext)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT modseq, gonefloor, n_all, uidnext FROM collection WHERE id = $1");
    sql_bind_int(st, 1, collection);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such collection");
    }
    *modseq = sql_int(st, 0);
    *gonefloor = sql_int(st, 1);
    *n_all = sql_int(st, 2);
    *uidnext = (uint32_t)sql_int(st, 3);
    return OK;
}

/* Tombstones below the floor are gone: every uid that was given out and is not there (RFC 7162 5.3 needs no stored ones). */
static struct error complement(struct sql *db, int64_t collection, uint32_t uidnext, struct uid_set *out)
{
    struct uid_set there = {0}, given = {0};
    struct error e = item_uids(db, collection, &there);
    if (uidnext > 1)
        uid_set_add(&given, 1, uidnext - 1);
    uid_set_subtract(out, &given, &there);
    uid_set_free(&there);
    uid_set_free(&given);
    return e;
}

struct error item_vanished(struct sql *db, int64_t collection, int64_t since, struct uid_set *out)
{
    int64_t modseq, gonefloor, n_all;
    uint32_t uidnext;
    TRY(heads(db, collection, &modseq, &gonefloor, &n_all, &uidnext));
    uid_set_clear(out);
    if (since < gonefloor)
        return complement(db, collection, uidnext, out);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT uid FROM gone WHERE collection = $1 AND modseq > $2 AND why <> 3 ORDER BY uid");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, since);
    return collect(st, out);
}

/* Follows the collection's chain in the log. *whole: every row down to `since` was there. */
static struct error walk(struct sql *db, int64_t from, int64_t since, int64_t steps, struct uid_set *out, bool *whole)
{
    *whole = true;
    while (from > since) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT cprev, kind, lo, hi FROM change WHERE modseq = $1");
        sql_bind_int(st, 1, from);
        if (steps-- == 0 || !sql_row(st)) {
            *whole = false;
            return sql_result(st);
        }
        int64_t kind = sql_int(st, 1);
        if (sql_int(st, 2) > 0 && (kind == CHANGE_NEW || kind == CHANGE_FLAGS || kind == CHANGE_ARRIVED || kind == CHANGE_CONTENT))
            uid_set_add(out, (uint32_t)sql_int(st, 2), (uint32_t)sql_int(st, 3));
        from = sql_int(st, 0);
    }
    return OK;
}

static struct error changed_in(struct sql *db, int64_t collection, uint32_t lo, uint32_t hi, int64_t since, struct uid_set *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT uid FROM item WHERE collection = $1 AND uid BETWEEN $2 AND $3 AND modseq > $4 ORDER BY uid");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, lo);
    sql_bind_int(st, 3, hi);
    sql_bind_int(st, 4, since);
    return collect(st, out);
}

struct error item_changed(struct sql *db, int64_t collection, int64_t since, struct uid_set *out)
{
    int64_t modseq, gonefloor, n_all;
    uint32_t uidnext;
    bool whole;
    TRY(heads(db, collection, &modseq, &gonefloor, &n_all, &uidnext));
    uid_set_clear(out);
    if (modseq <= since)
        return OK;
    struct uid_set candidates = {0};
    struct error e = walk(db, modseq, since, 16 + n_all / 150, &candidates, &whole); /* past that a scan is cheaper */
    if (e.code == ERROR_NONE && !whole)
        e = changed_in(db, collection, 1, UINT32_MAX, since, out);
    for (size_t i = 0; e.code == ERROR_NONE && whole && i < candidates.n; i++)
        e = changed_in(db, collection, candidates.ranges[i].lo, candidates.ranges[i].hi, since, out);
    uid_set_free(&candidates);
    return e;
}

struct error item_contents(struct sql *db, int64_t collection, void (*each)(void *arg, const unsigned char hash[32]), void *arg)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT b.hash FROM item i JOIN blob b ON b.id = i.blob WHERE i.collection = $1 UNION ALL "
                                                       "SELECT b.hash FROM gone g JOIN blob b ON b.id = g.blob WHERE g.collection = $1 AND g.why = $2");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, GONE_MOVED);
    while (sql_row(st)) {
        struct slice hash = sql_blob(st, 0);
        if (hash.n == 32)
            each(arg, (const unsigned char *)hash.p);
    }
    return sql_result(st);
}
