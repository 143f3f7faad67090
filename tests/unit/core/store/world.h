/* A store in a temporary folder with two accounts and three mailboxes, for the tests of this folder */
#ifndef TESTS_CORE_STORE_WORLD_H
#define TESTS_CORE_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "core/store/blob.h"
#include "core/store/item.h"

struct world {
    char path[64];
    struct store *store;
    struct arena arena;
    int64_t inbox, archive, other;
};

static inline struct error make_account(struct sql *db, int64_t id, int64_t quota)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO account (id, kind, domain, name, quota) VALUES ($1, 1, 1, 'x', $2)");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, quota);
    return sql_run(st);
}

static inline struct error build(struct sql *db, void *arg)
{
    struct world *w = arg;
    struct actor who = {1, 0};
    TRY(make_account(db, 1, 100000));
    TRY(make_account(db, 2, 0));
    TRY(collection_create(db, who, 1, COLLECTION_MAILBOX, 0, SLICE("INBOX"), ROLE_INBOX, &w->inbox));
    TRY(collection_create(db, who, 1, COLLECTION_MAILBOX, 0, SLICE("Archive"), ROLE_ARCHIVE, &w->archive));
    return collection_create(db, who, 2, COLLECTION_MAILBOX, 0, SLICE("INBOX"), ROLE_INBOX, &w->other);
}

static inline int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    strcpy(w->path, "/tmp/kantor-store-XXXXXX");
    assert_non_null(mkdtemp(w->path));
    arena_init(&w->arena, ARENA_REQUEST_MAX);
    struct store_options o = {.path = w->path, .readers = 2, .blob_file_bytes = 1000};
    assert_int_equal(store_open(&o, &w->store).code, ERROR_NONE);
    assert_int_equal(store_change(w->store, build, w).code, ERROR_NONE);
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];
    store_close(w->store);
    arena_free(&w->arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", w->path);
    (void)!system(command);
    free(w);
    return 0;
}

struct adding {
    int64_t collection, flags, size;
    const char *text;
    uint32_t uid;
    struct blob_put put;
};

static inline struct error add_change(struct sql *db, void *arg)
{
    struct adding *a = arg;
    enum blob_fresh fresh;
    int64_t modseq, blob;
    TRY(blob_enter(db, &a->put, &blob, &fresh));
    struct item_new item = {.blob = blob, .size = a->size ? a->size : a->put.size, .flags = a->flags, .received = 1000};
    return item_add(db, (struct actor){1, 0}, a->collection, &item, &a->uid, &modseq);
}

static inline struct error add(struct world *w, int64_t collection, const char *text, int64_t flags, uint32_t *uid)
{
    struct adding a = {.collection = collection, .flags = flags};
    blob_put_begin(w->store, &a.put);
    TRY(blob_put_add(&a.put, slice_of(text)));
    TRY(blob_put_end(&a.put));
    struct error e = store_change(w->store, add_change, &a);
    blob_put_drop(&a.put);
    if (uid)
        *uid = a.uid;
    return e;
}

/* Counters of the collection and the account against the rows themselves. */
static inline void counters_are_exact(struct world *w, int64_t collection)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct collection c;
    assert_int_equal(collection_get(db, collection, &w->arena, &c).code, ERROR_NONE);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT count(*), coalesce(sum(1 - (flags & 1)), 0), coalesce(sum(flags >> 3 & 1), 0), coalesce(sum(size), 0), coalesce(max(modseq), 0) FROM item WHERE collection = $1");
    sql_bind_int(st, 1, collection);
    assert_true(sql_row(st));
    assert_int_equal(c.n_all, sql_int(st, 0));
    assert_int_equal(c.n_unseen, sql_int(st, 1));
    assert_int_equal(c.n_deleted, sql_int(st, 2));
    assert_int_equal(c.bytes, sql_int(st, 3));
    assert_true(c.modseq >= sql_int(st, 4));
    SCOPED(sql_done) struct sql_stmt *all = sql_use(db, "SELECT a.used, a.items, coalesce(sum(i.size), 0), count(i.uid) FROM account a LEFT JOIN collection c ON c.account = a.id LEFT JOIN item i ON i.collection = c.id WHERE a.id = $1 GROUP BY a.id");
    sql_bind_int(all, 1, c.account);
    assert_true(sql_row(all));
    assert_int_equal(sql_int(all, 0), sql_int(all, 2));
    assert_int_equal(sql_int(all, 1), sql_int(all, 3));
}

#endif
