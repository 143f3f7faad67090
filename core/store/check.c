/* core/store/check.c -- is the store what it should be: SQLite's own check, counters against rows, content against hashes */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/store/internal.h"

struct checking {
    struct store *store;
    void (*report)(void *arg, const char *line);
    void *arg;
    int64_t findings;
};

static void found(struct checking *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void found(struct checking *k, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    k->findings++;
    k->report(k->arg, line);
}

static struct error check_pages(struct checking *k, struct sql *db)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "PRAGMA quick_check(100)");
    while (sql_row(st)) {
        struct slice line = sql_text(st, 0);
        if (!slice_eq(line, SLICE("ok")))
            found(k, "database: %.*s", SLICE_ARG(slice_first(line, 400)));
    }
    return sql_result(st);
}

static struct error check_counters(struct checking *k, struct sql *db)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT c.id, c.n_all, c.n_unseen, c.n_deleted, c.bytes, count(i.uid), coalesce(sum(1 - (i.flags & 1)), 0), coalesce(sum(i.flags >> 3 & 1), 0), coalesce(sum(i.size), 0), "
                                                       "c.uidnext, coalesce(max(i.uid), 0), c.modseq, coalesce(max(i.modseq), 0) FROM collection c LEFT JOIN item i ON i.collection = c.id GROUP BY c.id");
    while (sql_row(st)) {
        for (int i = 1; i <= 4; i++)
            if (sql_int(st, i) != sql_int(st, i + 4))
                found(k, "mailbox %lld: a counter says %lld, the rows say %lld", (long long)sql_int(st, 0), (long long)sql_int(st, i), (long long)sql_int(st, i + 4));
        if (sql_int(st, 10) >= sql_int(st, 9) || sql_int(st, 12) > sql_int(st, 11))
            found(k, "mailbox %lld: a message's uid or number is above the mailbox's", (long long)sql_int(st, 0));
    }
    TRY(sql_result(st));
    SCOPED(sql_done) struct sql_stmt *all = sql_use(db, "SELECT a.id, a.used, a.items, coalesce(sum(i.size), 0), count(i.uid) FROM account a LEFT JOIN collection c ON c.account = a.id LEFT JOIN item i ON i.collection = c.id GROUP BY a.id");
    while (sql_row(all))
        if (sql_int(all, 1) != sql_int(all, 3) || sql_int(all, 2) != sql_int(all, 4))
            found(k, "account %lld: counters say %lld bytes in %lld items, the rows say %lld in %lld", (long long)sql_int(all, 0), (long long)sql_int(all, 1), (long long)sql_int(all, 2), (long long)sql_int(all, 3),
                  (long long)sql_int(all, 4));
    return sql_result(all);
}

static struct error check_blob(struct checking *k, struct sql *db, int64_t id, struct slice hash, struct arena *a)
{
    struct slice bytes;
    unsigned char digest[32];
    unsigned n = 32;
    struct error e = blob_read(db, id, 0, INT64_MAX, a, &bytes);
    if (e.code == ERROR_MEMORY)
        return e;
    if (e.code != ERROR_NONE)
        found(k, "content %lld: %s", (long long)id, e.text);
    else if (EVP_Digest(bytes.p, bytes.n, digest, &n, EVP_sha256(), NULL) != 1 || hash.n != 32 || memcmp(digest, hash.p, 32) != 0)
        found(k, "content %lld: its bytes do not have its hash", (long long)id);
    return OK;
}

static struct error check_content(struct checking *k, struct sql *db)
{
    struct arena a;
    struct error e = OK;
    arena_init(&a, 1024 * 1024 * 1024);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, hash FROM blob ORDER BY id");
    while (e.code == ERROR_NONE && sql_row(st)) {
        e = check_blob(k, db, sql_int(st, 0), sql_blob(st, 1), &a);
        arena_reset(&a);
    }
    arena_free(&a);
    TRY(e);
    TRY(sql_result(st));
    SCOPED(sql_done) struct sql_stmt *lost = sql_use(db, "SELECT i.collection, i.uid FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE b.id IS NULL LIMIT 100");
    while (sql_row(lost))
        found(k, "mailbox %lld, message %lld: its content is missing", (long long)sql_int(lost, 0), (long long)sql_int(lost, 1));
    return sql_result(lost);
}

/* Counters from the rows, which are the truth. */
static struct error repair_counters(struct sql *db, void *arg)
{
    (void)arg;
    SCOPED(sql_done) struct sql_stmt *c = sql_use(db, "UPDATE collection SET (n_all, n_unseen, n_deleted, bytes) = (SELECT count(*), coalesce(sum(1 - (flags & 1)), 0), coalesce(sum(flags >> 3 & 1), 0), coalesce(sum(size), 0) "
                                                      "FROM item WHERE item.collection = collection.id)");
    TRY(sql_run(c));
    SCOPED(sql_done) struct sql_stmt *a = sql_use(db, "UPDATE account SET (used, items) = (SELECT coalesce(sum(i.size), 0), count(i.uid) FROM collection c JOIN item i ON i.collection = c.id WHERE c.account = account.id)");
    return sql_run(a);
}

struct error store_check(struct store *s, enum store_check_mode mode, void (*report)(void *arg, const char *line), void *arg, int64_t *findings)
{
    struct checking k = {.store = s, .report = report, .arg = arg};
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(s);
        TRY(check_pages(&k, db));
        TRY(check_counters(&k, db));
        TRY(check_content(&k, db));
    }
    *findings = k.findings;
    return mode == STORE_CHECK_REPAIR && k.findings ? store_change(s, repair_counters, NULL) : OK;
}
