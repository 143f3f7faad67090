/* core/store/check_items.c -- mailboxes and accounts against the rows in them */
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/store/check_internal.h"
#include "core/store/item.h"

enum { NAME_SHOWN = 80 };

struct rows {
    int64_t n, unseen, deleted, bytes, keywords;
    int64_t max_uid, max_modseq, no_content, wrong_size;
};

static struct error sum_items(struct sql *db, int64_t collection, struct rows *r)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT i.uid, i.modseq, i.flags, i.size, b.size FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE i.collection = $1 ORDER BY i.uid");
    sql_bind_int(st, 1, collection);
    while (sql_row(st)) {
        int64_t flags = sql_int(st, 2);
        r->n++;
        r->unseen += !(flags & FLAG_SEEN);
        r->deleted += (flags & FLAG_DELETED) != 0;
        r->bytes += sql_int(st, 3);
        r->keywords |= flags;
        r->max_uid = sql_int(st, 0);
        if (sql_int(st, 1) > r->max_modseq)
            r->max_modseq = sql_int(st, 1);
        r->no_content += sql_is_null(st, 4);
        r->wrong_size += !sql_is_null(st, 4) && sql_int(st, 4) != sql_int(st, 3);
    }
    TRY(sql_result(st));
    SCOPED(sql_done) struct sql_stmt *gone = sql_use(db, "SELECT coalesce(max(uid), 0), coalesce(max(modseq), 0) FROM gone WHERE collection = $1");
    sql_bind_int(gone, 1, collection);
    if (sql_row(gone)) {
        r->max_uid = sql_int(gone, 0) > r->max_uid ? sql_int(gone, 0) : r->max_uid;
        r->max_modseq = sql_int(gone, 1) > r->max_modseq ? sql_int(gone, 1) : r->max_modseq;
    }
    return sql_result(gone);
}

/* Uids that stand among the messages and among the removed ones. */
static struct error twice(struct sql *db, int64_t collection, int64_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT count(*) FROM gone g JOIN item i ON i.collection = g.collection AND i.uid = g.uid WHERE g.collection = $1 AND g.why <> 3");
    sql_bind_int(st, 1, collection);
    *n = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}

static void compare(struct checking *k, int64_t id, struct slice name, const char *what, int64_t says, int64_t are)
{
    if (says != are)
        check_found(k, "mailbox %lld (%.*s): it says %lld %s, there are %lld", (long long)id, SLICE_ARG(slice_first(name, NAME_SHOWN)), (long long)says, what, (long long)are);
}

static struct error check_collection(struct checking *k, struct sql *db, int64_t id)
{
    struct rows r = {0};
    int64_t both;
    TRY(sum_items(db, id, &r));
    TRY(twice(db, id, &both));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT name, n_all, n_unseen, n_deleted, bytes, keywords, uidnext, modseq, gonefloor, account, (SELECT a.modseq FROM account a WHERE a.id = c.account) FROM collection c WHERE id = $1");
    sql_bind_int(st, 1, id);
    if (!sql_row(st))
        return sql_result(st);
    struct slice name = sql_text(st, 0), shown = slice_first(name, NAME_SHOWN);
    compare(k, id, name, "messages", sql_int(st, 1), r.n);
    compare(k, id, name, "unseen messages", sql_int(st, 2), r.unseen);
    compare(k, id, name, "messages marked as deleted", sql_int(st, 3), r.deleted);
    compare(k, id, name, "bytes", sql_int(st, 4), r.bytes);
    if (r.keywords & ~sql_int(st, 5))
        check_found(k, "mailbox %lld (%.*s): a message has a flag that the mailbox does not know", (long long)id, SLICE_ARG(shown));
    if (r.max_uid >= sql_int(st, 6))
        check_found(k, "mailbox %lld (%.*s): the next uid is %lld, and %lld is in use", (long long)id, SLICE_ARG(shown), (long long)sql_int(st, 6), (long long)r.max_uid);
    if (r.max_modseq > sql_int(st, 7) || sql_int(st, 8) > sql_int(st, 7))
        check_found(k, "mailbox %lld (%.*s): its number is %lld, and a message has %lld", (long long)id, SLICE_ARG(shown), (long long)sql_int(st, 7), (long long)r.max_modseq);
    if (sql_is_null(st, 10))
        check_found(k, "mailbox %lld (%.*s): its account %lld does not exist", (long long)id, SLICE_ARG(shown), (long long)sql_int(st, 9));
    else if (sql_int(st, 7) > sql_int(st, 10))
        check_found(k, "mailbox %lld (%.*s): its number is above its account's", (long long)id, SLICE_ARG(shown));
    if (r.no_content)
        check_found(k, "mailbox %lld (%.*s): the content of %lld messages is missing", (long long)id, SLICE_ARG(shown), (long long)r.no_content);
    if (r.wrong_size)
        check_found(k, "mailbox %lld (%.*s): %lld messages have another size than their content", (long long)id, SLICE_ARG(shown), (long long)r.wrong_size);
    if (both)
        check_found(k, "mailbox %lld (%.*s): %lld uids are there and were removed", (long long)id, SLICE_ARG(shown), (long long)both);
    return sql_result(st);
}

/* The next id of a table's rows; 0 at the end. */
static struct error next_id(struct store *s, const char *literal, int64_t *id)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, literal);
    sql_bind_int(st, 1, *id);
    *id = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}

struct error check_collections(struct checking *k)
{
    for (int64_t id = 0;;) {
        TRY(next_id(k->store, "SELECT id FROM collection WHERE id > $1 ORDER BY id LIMIT 1", &id));
        if (id == 0)
            return OK;
        int64_t before = k->findings;
        struct sql *db = store_reader(k->store);
        struct error e = check_collection(k, db, id);
        store_reader_return(&db);
        TRY(e);
        if (k->findings > before && check_mends(k))
            TRY(repair_collection(k->store, id));
        if (id % 1000 == 0)
            check_progress(k, "checked mailboxes up to number %lld", (long long)id);
    }
}

static struct error check_account(struct checking *k, struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT a.name, a.used, a.items, a.modseq, coalesce(sum(i.size), 0), count(i.uid), coalesce(max(c.modseq), 0), "
                                                       "(SELECT d.id FROM domain d WHERE d.id = a.domain) FROM account a LEFT JOIN collection c ON c.account = a.id LEFT JOIN item i ON i.collection = c.id "
                                                       "WHERE a.id = $1 GROUP BY a.id, a.name, a.used, a.items, a.modseq, a.domain");
    sql_bind_int(st, 1, id);
    if (!sql_row(st))
        return sql_result(st);
    struct slice name = slice_first(sql_text(st, 0), NAME_SHOWN);
    if (sql_int(st, 1) != sql_int(st, 4) || sql_int(st, 2) != sql_int(st, 5))
        check_found(k, "account %lld (%.*s): it says %lld bytes in %lld messages, there are %lld in %lld", (long long)id, SLICE_ARG(name), (long long)sql_int(st, 1), (long long)sql_int(st, 2),
                    (long long)sql_int(st, 4), (long long)sql_int(st, 5));
    if (sql_int(st, 6) > sql_int(st, 3))
        check_found(k, "account %lld (%.*s): a mailbox has a higher number", (long long)id, SLICE_ARG(name));
    return sql_result(st);
}

struct error check_accounts(struct checking *k)
{
    for (int64_t id = 0;;) {
        TRY(next_id(k->store, "SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT 1", &id));
        if (id == 0)
            return OK;
        int64_t before = k->findings;
        struct sql *db = store_reader(k->store);
        struct error e = check_account(k, db, id);
        store_reader_return(&db);
        TRY(e);
        if (k->findings > before && check_mends(k))
            TRY(repair_account(k->store, id));
    }
}
