/* core/store/item.c -- adding, flagging and removing items; copies and moves stand in item_copy.c
 *
 * Bulk commands are one statement a range of uids; what changes is first read (that is a scan of narrow rows in key order), so that counters and
 * the answer to the client are exact.
 */
#include "core/store/item.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/store/item_internal.h"

struct error item_owner(struct sql *db, int64_t collection, int64_t *account)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT account FROM collection WHERE id = $1 AND parent >= 0 AND role <> $2");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, ROLE_LEVEL);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such mailbox");
    }
    *account = sql_int(st, 0);
    return OK;
}

struct error item_add(struct sql *db, struct actor who, int64_t collection, const struct item_new *item, uint32_t *uid, int64_t *modseq)
{
    int64_t number, account = item->account, at;
    if (!account)
        TRY(item_owner(db, collection, &account));
    number = change_numbers(db, 1);
    struct touch t = {.who = who, .account = account, .collection = collection, .first = number, .modseq = number, .d_used = item->size, .d_items = 1, .d_uidnext = 1, .d_all = 1,
                      .d_unseen = !(item->flags & FLAG_SEEN), .d_deleted = (item->flags & FLAG_DELETED) != 0, .d_bytes = item->size, .keywords = item->flags, .kind = CHANGE_NEW};
    TRY(change_touch(db, &t, &at));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO item (collection, uid, modseq, flags, kw, blob, size, received, saved, thread, msg, name) "
                                                       "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, at);
    sql_bind_int(st, 3, number);
    sql_bind_int(st, 4, item->flags);
    if (item->kw.n)
        sql_bind_text(st, 5, item->kw);
    sql_bind_int(st, 6, item->blob);
    sql_bind_int(st, 7, item->size);
    sql_bind_int(st, 8, item->received);
    sql_bind_int(st, 9, clock_now());
    sql_bind_int(st, 10, item->thread ? item->thread : number);
    sql_bind_int(st, 11, item->msg ? item->msg : number);
    sql_bind_text(st, 12, item->name);
    TRY(sql_run(st));
    *uid = (uint32_t)at;
    *modseq = number;
    return OK;
}

/* --- flags */

struct storing {
    const struct flag_change *change;
    int64_t unchanged_since;
    struct uid_set *changed, *refused;
    int64_t d_unseen, d_deleted, bits;
    int overflow; /* some row has, or gets, keywords in text */
};

static int64_t new_flags(const struct flag_change *c, int64_t old)
{
    return (old & c->keep) | c->set;
}

/* Which rows of a range change, and by how much the counters do. */
static struct error store_look(struct sql *db, int64_t collection, struct uid_range r, struct storing *s)
{
    int text = s->change->kw_add.n || s->change->kw_remove.n;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT uid, flags, modseq, kw FROM item WHERE collection = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, r.lo);
    sql_bind_int(st, 3, r.hi);
    while (sql_row(st)) {
        uint32_t uid = (uint32_t)sql_int(st, 0);
        int64_t old = sql_int(st, 1), now = new_flags(s->change, old);
        int has_text = !sql_is_null(st, 3);
        if (s->unchanged_since >= 0 && sql_int(st, 2) > s->unchanged_since) {
            uid_set_add(s->refused, uid, uid);
            continue;
        }
        if (now == old && !text && !(has_text && s->change->kw_mode == KW_REPLACE))
            continue;
        s->overflow |= text || (has_text && s->change->kw_mode == KW_REPLACE);
        s->d_unseen += (old & FLAG_SEEN) - (now & FLAG_SEEN);
        s->d_deleted += ((now & FLAG_DELETED) != 0) - ((old & FLAG_DELETED) != 0);
        s->bits |= now;
        uid_set_add(s->changed, uid, uid);
    }
    TRY(sql_result(st));
    return s->changed->failed || s->refused->failed ? error_make(ERROR_MEMORY, "no memory for a set of messages") : OK;
}

static struct error store_range(struct sql *db, int64_t collection, struct uid_range r, const struct flag_change *c, int64_t base)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE item SET flags = (flags & $4) | $5, modseq = $6 + uid WHERE collection = $1 AND uid BETWEEN $2 AND $3");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, r.lo);
    sql_bind_int(st, 3, r.hi);
    sql_bind_int(st, 4, c->keep);
    sql_bind_int(st, 5, c->set);
    sql_bind_int(st, 6, base);
    return sql_run(st);
}

/* Is " word " in a list? */
static bool has_word(struct slice list, struct slice word)
{
    return list.n >= word.n && memmem(list.p, list.n, word.p, word.n) != NULL;
}

/* The words of `list` (" a b ") that are not in `not_in`, each with one space before; the end space is the caller's. */
static void add_words(struct buffer *out, struct slice list, struct slice not_in)
{
    for (size_t at = 1; at < list.n;) {
        size_t n = slice_find(slice_after(list, at), ' ');
        if (n && !has_word(not_in, slice_make(list.p + at - 1, n + 2)))
            buffer_add(out, slice_make(list.p + at - 1, n + 1));
        at += n + 1;
    }
}

static struct error store_one(struct sql *db, int64_t collection, uint32_t uid, const struct flag_change *c, int64_t base, struct buffer *kw)
{
    SCOPED(sql_done) struct sql_stmt *get = sql_use(db, "SELECT kw FROM item WHERE collection = $1 AND uid = $2");
    sql_bind_int(get, 1, collection);
    sql_bind_int(get, 2, uid);
    struct slice old = sql_row(get) && !sql_is_null(get, 0) ? sql_text(get, 0) : SLICE("");
    TRY(sql_result(get));
    buffer_clear(kw);
    if (c->kw_mode == KW_EDIT)
        add_words(kw, old, c->kw_remove);
    struct slice kept = c->kw_mode == KW_EDIT ? old : SLICE("");
    add_words(kw, c->kw_add, kept);
    if (buffer_length(kw))
        buffer_add_char(kw, ' ');
    if (kw->failed)
        return error_make(ERROR_MEMORY, "no memory for keywords");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE item SET flags = (flags & $3) | $4, modseq = $5 + uid, kw = $6 WHERE collection = $1 AND uid = $2");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, uid);
    sql_bind_int(st, 3, c->keep);
    sql_bind_int(st, 4, c->set);
    sql_bind_int(st, 5, base);
    if (buffer_length(kw))
        sql_bind_text(st, 6, buffer_slice(kw));
    return sql_run(st);
}

static struct error store_write(struct sql *db, int64_t collection, const struct storing *s, int64_t base)
{
    struct buffer kw = {0};
    struct error e = OK;
    for (size_t i = 0; e.code == ERROR_NONE && i < s->changed->n; i++) {
        struct uid_range r = s->changed->ranges[i];
        if (!s->overflow)
            e = store_range(db, collection, r, s->change, base);
        for (uint32_t uid = r.lo; s->overflow && e.code == ERROR_NONE; uid++) {
            e = store_one(db, collection, uid, s->change, base, &kw);
            if (uid == r.hi)
                break;
        }
    }
    buffer_free(&kw);
    return e;
}

/* Numbers for a set: one for each uid of its span (gaps are free). The base to which a uid is added. */
int64_t item_numbers(struct sql *db, const struct uid_set *set, struct touch *t)
{
    uint32_t lo = set->ranges[0].lo, hi = uid_set_max(set);
    t->first = change_numbers(db, (int64_t)hi - lo + 1);
    t->modseq = t->first + hi - lo;
    t->lo = lo;
    t->hi = hi;
    return t->first - lo;
}

static struct error store_run(struct sql *db, struct actor who, int64_t collection, const struct uid_set *uids, struct storing *s)
{
    int64_t account, ignored;
    TRY(item_owner(db, collection, &account));
    for (size_t i = 0; i < uids->n; i++)
        TRY(store_look(db, collection, uids->ranges[i], s));
    if (s->changed->n == 0)
        return OK;
    struct touch t = {.who = who, .account = account, .collection = collection, .d_unseen = s->d_unseen, .d_deleted = s->d_deleted, .keywords = s->bits, .kind = CHANGE_FLAGS};
    int64_t base = item_numbers(db, s->changed, &t);
    TRY(store_write(db, collection, s, base));
    t.modseq = base + uid_set_max(s->changed);
    return change_touch(db, &t, &ignored);
}

struct error item_store(struct sql *db, struct actor who, int64_t collection, const struct uid_set *uids, const struct flag_change *change, int64_t unchanged_since, struct uid_set *changed, struct uid_set *refused)
{
    SCOPED(uid_set_free) struct uid_set own_changed = {0};
    SCOPED(uid_set_free) struct uid_set own_refused = {0};
    struct storing s = {.change = change, .unchanged_since = unchanged_since, .changed = changed ? changed : &own_changed, .refused = refused ? refused : &own_refused};
    uid_set_clear(s.changed);
    uid_set_clear(s.refused);
    return store_run(db, who, collection, uids, &s);
}

/* --- removing */

struct error item_bury(struct sql *db, int64_t collection, const struct uid_set *set, int64_t base, enum gone_why why, int64_t dest)
{
    for (size_t i = 0; i < set->n; i++) {
        SCOPED(sql_done) struct sql_stmt *bury = sql_use(db, "INSERT INTO gone (collection, modseq, uid, flags, kw, blob, size, received, saved, thread, msg, name, why, dest, at) "
                                                             "SELECT collection, $4 + uid, uid, flags, kw, blob, size, received, saved, thread, msg, name, $5, $6, $7 "
                                                             "FROM item WHERE collection = $1 AND uid BETWEEN $2 AND $3");
        sql_bind_int(bury, 1, collection);
        sql_bind_int(bury, 2, set->ranges[i].lo);
        sql_bind_int(bury, 3, set->ranges[i].hi);
        sql_bind_int(bury, 4, base);
        sql_bind_int(bury, 5, why);
        sql_bind_int(bury, 6, dest);
        sql_bind_int(bury, 7, clock_now());
        TRY(sql_run(bury));
        SCOPED(sql_done) struct sql_stmt *drop = sql_use(db, "DELETE FROM item WHERE collection = $1 AND uid BETWEEN $2 AND $3");
        sql_bind_int(drop, 1, collection);
        sql_bind_int(drop, 2, set->ranges[i].lo);
        sql_bind_int(drop, 3, set->ranges[i].hi);
        TRY(sql_run(drop));
    }
    return OK;
}

struct error item_sum(struct sql *db, int64_t collection, const struct uid_set *uids, int64_t mask, struct uid_set *found, struct item_totals *out)
{
    *out = (struct item_totals){0};
    uid_set_clear(found);
    for (size_t i = 0; i < uids->n; i++) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT uid, flags, size, kw IS NOT NULL FROM item WHERE collection = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid");
        sql_bind_int(st, 1, collection);
        sql_bind_int(st, 2, uids->ranges[i].lo);
        sql_bind_int(st, 3, uids->ranges[i].hi);
        while (sql_row(st)) {
            int64_t flags = sql_int(st, 1);
            if ((flags & mask) != mask)
                continue;
            uid_set_add(found, (uint32_t)sql_int(st, 0), (uint32_t)sql_int(st, 0));
            out->n++;
            out->unseen += !(flags & FLAG_SEEN);
            out->deleted += (flags & FLAG_DELETED) != 0;
            out->bytes += sql_int(st, 2);
            out->flags |= flags;
            out->overflow |= (int)sql_int(st, 3);
        }
        TRY(sql_result(st));
    }
    return found->failed ? error_make(ERROR_MEMORY, "no memory for a set of messages") : OK;
}

struct error item_expunge(struct sql *db, struct actor who, int64_t collection, const struct uid_set *uids, int64_t flags, struct uid_set *gone)
{
    SCOPED(uid_set_free) struct uid_set own = {0};
    SCOPED(uid_set_free) struct uid_set everything = {0};
    struct item_totals sum;
    int64_t account, ignored;
    if (!gone)
        gone = &own;
    if (!uids) {
        uid_set_add(&everything, 1, UINT32_MAX);
        uids = &everything;
    }
    TRY(item_owner(db, collection, &account));
    TRY(item_sum(db, collection, uids, flags, gone, &sum));
    if (gone->n == 0)
        return OK;
    struct touch t = {.who = who, .account = account, .collection = collection, .d_used = -sum.bytes, .d_items = -sum.n, .d_all = -sum.n, .d_unseen = -sum.unseen, .d_deleted = -sum.deleted, .d_bytes = -sum.bytes,
                      .kind = CHANGE_GONE};
    int64_t base = item_numbers(db, gone, &t);
    TRY(item_bury(db, collection, gone, base, GONE_EXPUNGED, 0));
    return change_touch(db, &t, &ignored);
}
