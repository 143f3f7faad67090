/* core/store/check.c -- is the store what it should be? Pages, contents, mailboxes, accounts, references, in this order: each part builds on the one before */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/store/check_internal.h"

enum { LINE_BYTES = 512 };

void check_found(struct checking *k, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    k->findings++;
    k->check->finding(k->check->arg, line);
}

void check_progress(struct checking *k, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    if (!k->check->progress)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    k->check->progress(k->check->arg, line);
}

bool check_mends(const struct checking *k)
{
    return k->check->mode == STORE_CHECK_REPAIR;
}

/* SQLite's own look at its pages and indexes. A damaged index is made anew from its table. */
static struct error check_pages(struct checking *k)
{
    bool index = false;
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(k->store);
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "PRAGMA integrity_check(100)");
        while (sql_row(st)) {
            struct slice line = sql_text(st, 0);
            if (slice_eq(line, SLICE("ok")))
                continue;
            check_found(k, "database: %.*s", SLICE_ARG(slice_first(line, 400)));
            index |= memmem(line.p, line.n, "index", 5) != NULL;
        }
        TRY(sql_result(st));
    }
    return index && check_mends(k) ? repair_indexes(k->store) : OK;
}

/* Numbers of the store as a whole: epoch, schema, the last uidvalidity, the last number. */
static struct error check_settings(struct checking *k)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(k->store);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT coalesce(max(uidvalidity), 0), coalesce(max(modseq), 0) FROM collection");
    if (sql_row(st) && sql_int(st, 0) > setting_number(db, SLICE("uidvalidity")))
        check_found(k, "server: a mailbox has a higher uidvalidity than was ever given out");
    TRY(sql_result(st));
    if (strlen(k->store->epoch) != 16)
        check_found(k, "server: the epoch of the sync tokens is missing");
    return OK;
}

static struct error set_uidvalidity(struct sql *db, void *arg)
{
    (void)arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT coalesce(max(uidvalidity), 0) FROM collection");
    int64_t highest = sql_row(st) ? sql_int(st, 0) : 0;
    TRY(sql_result(st));
    return highest > setting_number(db, SLICE("uidvalidity")) ? setting_set_number(db, SLICE("uidvalidity"), highest) : OK;
}

static struct error find_mails(struct checking *k)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(k->store);
    SCOPED(sql_done) struct sql_stmt *max = sql_use(db, "SELECT coalesce(max(id), 0) FROM blob");
    TRY(bitmap_make(&k->mails, sql_row(max) ? sql_int(max, 0) : 0));
    TRY(sql_result(max));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT i.blob FROM collection c JOIN item i ON i.collection = c.id WHERE c.kind = 1");
    while (sql_row(st))
        bitmap_set(&k->mails, sql_int(st, 0));
    return sql_result(st);
}

static struct error check_store(struct checking *k)
{
    TRY(check_settings(k));
    return check_mends(k) ? store_change(k->store, set_uidvalidity, NULL) : OK;
}

static const struct part {
    const char *name;
    struct error (*run)(struct checking *k);
} parts[] = {
    {"pages of the database", check_pages}, {"which contents are messages", find_mails}, {"contents", check_contents},     {"files of contents", check_files},
    {"mailboxes", check_collections},       {"accounts", check_accounts},               {"numbers of the server", check_store}, {"references", check_references},
};

/* A page that cannot be read ends a part, not the check: the others may say more. */
static struct error run(struct checking *k)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        check_progress(k, "checking %s", parts[i].name);
        struct error e = parts[i].run(k);
        if (e.code == ERROR_CORRUPT)
            check_found(k, "%s: cannot be read to the end (%s); save what can be read (kantorctl backup, export), then restore the last good backup", parts[i].name, e.text);
        else if (e.code != ERROR_NONE)
            return e;
    }
    return OK;
}

struct error store_check(struct store *s, struct store_check *check)
{
    struct checking k = {.store = s, .check = check};
    int alone = check->mode == STORE_CHECK_REPAIR;
    if (alone)
        (void)pthread_mutex_lock(&s->maintenance);
    struct error e = run(&k);
    if (alone)
        (void)pthread_mutex_unlock(&s->maintenance);
    free(k.mails.bits);
    check->findings = k.findings;
    return e;
}
