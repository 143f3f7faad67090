/* core/store/item_copy.c -- COPY and MOVE: same content, same message identity, new uids */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/store/item_internal.h"
#include "core/store/keyword.h"

struct copying {
    struct actor who;
    int64_t source, target, source_account, target_account;
    int64_t keep; /* flags that go along; keywords in text go with the bits of keywords */
    struct item_totals sum;
    int64_t first_uid;
    int move;
};

static struct error insert_ranges(struct sql *db, const struct copying *c, const struct uid_set *from, int64_t number)
{
    int64_t done = 0;
    for (size_t i = 0; i < from->n; i++) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO item (collection, uid, modseq, flags, kw, blob, size, received, saved, thread, msg, name) "
                                                           "SELECT $4, $5 + row_number() OVER (ORDER BY uid), $6 + row_number() OVER (ORDER BY uid), flags & $8, CASE WHEN $9 = 1 THEN kw END, blob, size, received, $7, thread, msg, NULL "
                                                           "FROM item WHERE collection = $1 AND uid BETWEEN $2 AND $3");
        sql_bind_int(st, 1, c->source);
        sql_bind_int(st, 2, from->ranges[i].lo);
        sql_bind_int(st, 3, from->ranges[i].hi);
        sql_bind_int(st, 4, c->target);
        sql_bind_int(st, 5, c->first_uid + done - 1);
        sql_bind_int(st, 6, number + done - 1);
        sql_bind_int(st, 7, clock_now());
        sql_bind_int(st, 8, c->keep);
        sql_bind_int(st, 9, c->keep >> KEYWORD_FIRST_OWN & 1);
        TRY(sql_run(st));
        done += (int64_t)from->ranges[i].hi - from->ranges[i].lo + 1;
    }
    return OK;
}

/* --- another account has other bits for its own keywords */

static struct error set_keywords(struct sql *db, int64_t collection, int64_t uid, int64_t flags, struct slice kw)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE item SET flags = $3, kw = $4 WHERE collection = $1 AND uid = $2");
    sql_bind_int(st, 1, collection);
    sql_bind_int(st, 2, uid);
    sql_bind_int(st, 3, flags);
    if (kw.n)
        sql_bind_text(st, 4, kw);
    return sql_run(st);
}

static struct error map_row(struct sql *db, const struct copying *c, const struct keyword_map *map, const struct item *item, int64_t *bits)
{
    struct slice names[128];
    size_t n = 0;
    struct buffer kw = {0};
    int64_t flags = 0;
    for (int bit = KEYWORD_FIRST_OWN; bit <= KEYWORD_LAST_OWN; bit++)
        if (item->flags >> bit & 1 && map->own[bit].p)
            names[n++] = map->own[bit];
    for (struct slice rest = item->kw; rest.n && n < sizeof names / sizeof names[0];) {
        struct slice word = slice_first(rest, slice_find(rest, ' '));
        if (word.n)
            names[n++] = word;
        rest = slice_after(rest, word.n + 1);
    }
    struct error e = keyword_resolve(db, c->target_account, names, n, &flags, &kw);
    if (e.code == ERROR_NONE)
        e = set_keywords(db, c->target, item->uid, (item->flags & 0xFFFFFFFF) | flags, buffer_slice(&kw));
    *bits |= flags;
    buffer_free(&kw);
    return e;
}

static struct error map_keywords(struct sql *db, struct copying *c)
{
    struct arena a;
    struct keyword_map map;
    struct item item;
    arena_init(&a, ARENA_REQUEST_MAX);
    struct error e = keyword_map_get(db, c->source_account, &a, &map);
    int64_t bits = 0;
    for (int64_t uid = c->first_uid; e.code == ERROR_NONE && uid < c->first_uid + c->sum.n; uid++) {
        e = item_get(db, c->target, (uint32_t)uid, &a, &item);
        if (e.code == ERROR_NONE && (item.flags >> KEYWORD_FIRST_OWN || item.kw.n))
            e = map_row(db, c, &map, &item, &bits);
    }
    arena_free(&a);
    if (e.code != ERROR_NONE)
        return e;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE collection SET keywords = keywords | $2 WHERE id = $1");
    sql_bind_int(st, 1, c->target);
    sql_bind_int(st, 2, bits);
    return sql_run(st);
}

/* What the target's counters get: without the flags that stay behind. */
static struct item_totals arriving(const struct copying *c)
{
    struct item_totals sum = c->sum;
    sum.unseen = c->keep & FLAG_SEEN ? sum.unseen : sum.n;
    sum.deleted = c->keep & FLAG_DELETED ? sum.deleted : 0;
    sum.flags &= c->keep;
    sum.overflow = sum.overflow && c->keep >> KEYWORD_FIRST_OWN & 1;
    return sum;
}

static struct error copy(struct sql *db, struct copying *c, const struct uid_set *uids, struct uid_set *from, struct uid_set *assigned)
{
    uid_set_clear(assigned);
    TRY(item_owner(db, c->source, &c->source_account));
    TRY(item_owner(db, c->target, &c->target_account));
    TRY(item_sum(db, c->source, uids, 0, from, &c->sum));
    if (from->n == 0)
        return OK;
    int same = c->source_account == c->target_account, stays = c->move && same;
    struct item_totals sum = arriving(c);
    int foreign = !same && (sum.overflow || sum.flags >> KEYWORD_FIRST_OWN);
    int64_t number = change_numbers(db, c->sum.n);
    struct touch t = {.who = c->who, .account = c->target_account, .collection = c->target, .first = number, .modseq = number + c->sum.n - 1, .d_used = stays ? 0 : c->sum.bytes,
                      .d_items = stays ? 0 : c->sum.n, .d_uidnext = c->sum.n, .d_all = c->sum.n, .d_unseen = sum.unseen, .d_deleted = sum.deleted, .d_bytes = c->sum.bytes,
                      .keywords = foreign ? sum.flags & 0xFFFFFFFF : sum.flags, .kind = same ? CHANGE_ARRIVED : CHANGE_NEW};
    TRY(change_touch(db, &t, &c->first_uid));
    TRY(insert_ranges(db, c, from, number));
    if (foreign)
        TRY(map_keywords(db, c));
    uid_set_add(assigned, (uint32_t)c->first_uid, (uint32_t)(c->first_uid + c->sum.n - 1));
    return OK;
}

struct error item_copy(struct sql *db, struct actor who, int64_t source, int64_t target, const struct uid_set *uids, int64_t keep, struct uid_set *from, struct uid_set *assigned)
{
    struct copying c = {.who = who, .source = source, .target = target, .keep = keep};
    return copy(db, &c, uids, from, assigned);
}

struct error item_move(struct sql *db, struct actor who, int64_t source, int64_t target, const struct uid_set *uids, int64_t keep, struct uid_set *from, struct uid_set *assigned)
{
    struct copying c = {.who = who, .source = source, .target = target, .keep = keep, .move = 1};
    int64_t ignored;
    TRY(copy(db, &c, uids, from, assigned));
    if (from->n == 0)
        return OK;
    int stays = c.source_account == c.target_account;
    struct touch t = {.who = who, .account = c.source_account, .collection = source, .d_used = stays ? 0 : -c.sum.bytes, .d_items = stays ? 0 : -c.sum.n, .d_all = -c.sum.n, .d_unseen = -c.sum.unseen,
                      .d_deleted = -c.sum.deleted, .d_bytes = -c.sum.bytes, .kind = CHANGE_GONE};
    int64_t base = item_numbers(db, from, &t);
    TRY(item_bury(db, source, from, base, GONE_MOVED, target));
    return change_touch(db, &t, &ignored);
}
