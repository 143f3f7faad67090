/* A store with a domain, two people and a queue, and a server around it, for the tests of queue and reports */
#ifndef TESTS_MAIL_DELIVERY_QUEUE_WORLD_H
#define TESTS_MAIL_DELIVERY_QUEUE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/options.h"
#include "core/server.h"
#include "mail/delivery/deliver.h"
#include "mail/queue/queue.h"

enum { NOW = 1800000000, HOUR = 3600, DAY = 86400 };

struct queue_world {
    char path[64];
    struct server server;
    struct config config;
    struct arena arena;
    int64_t budi, blob;
};

static inline struct error person(struct sql *db, const char *name, struct arena *a, int64_t *id)
{
    struct address x;
    TRY(address_parse(slice_of(name), a, &x));
    return account_add(db, (struct actor){0, 0}, ACCOUNT_PERSON, &x, slice_of(name), id);
}

static inline struct error build_world(struct sql *db, void *arg)
{
    struct queue_world *w = arg;
    int64_t id;
    TRY(domain_add(db, SLICE("kantor.example"), &id));
    TRY(person(db, "budi@kantor.example", &w->arena, &w->budi));
    return person(db, "sari@kantor.example", &w->arena, &id);
}

static inline int queue_set_up(void **state)
{
    struct queue_world *w = calloc(1, sizeof *w);
    strcpy(w->path, "/tmp/kantor-queue-XXXXXX");
    assert_non_null(mkdtemp(w->path));
    arena_init(&w->arena, ARENA_REQUEST_MAX);
    assert_int_equal(config_defaults(&w->arena, &w->config).code, ERROR_NONE);
    struct store_options o = {.path = w->path, .readers = 2};
    assert_int_equal(store_open(&o, &w->server.store).code, ERROR_NONE);
    assert_int_equal(store_change(w->server.store, build_world, w).code, ERROR_NONE);
    w->server.config = &w->config;
    w->server.hostname = "mail.kantor.example";
    log_setup(2, LOG_ERROR);
    clock_set_fake(NOW);
    *state = w;
    return 0;
}

static inline int queue_tear_down(void **state)
{
    struct queue_world *w = *state;
    char command[128];
    clock_set_fake(0);
    store_close(w->server.store);
    arena_free(&w->arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", w->path);
    (void)!system(command);
    free(w);
    return 0;
}

struct entering {
    struct queue_world *w;
    struct queue_entry entry;
    struct blob_put put;
    int64_t id;
};

static inline struct error enter_change(struct sql *db, void *arg)
{
    struct entering *e = arg;
    enum blob_fresh fresh;
    TRY(blob_enter(db, &e->put, &e->entry.blob, &fresh));
    e->w->blob = e->entry.blob;
    return queue_enter(db, &e->entry, &e->id);
}

/* A message of these bytes to these people, from budi unless the entry names another sender. */
static inline int64_t enter(struct queue_world *w, struct queue_entry entry, const char *bytes)
{
    struct entering e = {.w = w, .entry = entry};
    e.entry.created = entry.created ? entry.created : NOW;
    e.entry.expires = e.entry.created + 5 * DAY;
    e.entry.job = SLICE("job.1");
    if (!entry.sender.p) {
        e.entry.sender = SLICE("budi@kantor.example");
        e.entry.account = w->budi;
    }
    blob_put_begin(w->server.store, &e.put);
    assert_int_equal(blob_put_add(&e.put, slice_of(bytes)).code, ERROR_NONE);
    assert_int_equal(blob_put_end(&e.put).code, ERROR_NONE);
    assert_int_equal(store_change(w->server.store, enter_change, &e).code, ERROR_NONE);
    blob_put_drop(&e.put);
    return e.id;
}

/* The messages of the queue as they stand now. */
static inline size_t queued(struct queue_world *w, struct queue_entry **all)
{
    size_t n;
    struct sql *db = store_reader(w->server.store);
    assert_int_equal(queue_list(db, &w->arena, all, &n).code, ERROR_NONE);
    store_reader_return(&db);
    return n;
}

/* What stands in an INBOX, newest first; "" when there are fewer. */
static inline struct slice mail_of(struct queue_world *w, int64_t account, size_t newest)
{
    struct collection inbox;
    struct slice bytes = SLICE("");
    int64_t blobs[64];
    size_t n = 0;
    SCOPED(store_reader_return) struct sql *db = store_reader(w->server.store);
    assert_int_equal(collection_find(db, account, COLLECTION_MAILBOX, 0, SLICE("INBOX"), &w->arena, &inbox).code, ERROR_NONE);
    struct sql_stmt *st = sql_use(db, "SELECT blob FROM item WHERE collection = $1 ORDER BY uid");
    sql_bind_int(st, 1, inbox.id);
    while (n < 64 && sql_row(st))
        blobs[n++] = sql_int(st, 0);
    sql_done(&st);
    if (newest < n)
        assert_int_equal(blob_read(db, blobs[n - 1 - newest], 0, 1 << 20, &w->arena, &bytes).code, ERROR_NONE);
    return bytes;
}

#endif
