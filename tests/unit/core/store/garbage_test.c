/* What is named stays whatever happens beside it; what nobody names goes, rows and files; the old ends are cut and every answer stays right */
#include "tests/unit/core/store/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <utime.h>

#include "core/store/internal.h"

static char large[1500]; /* a file of its own */

static struct error expunge_all(struct sql *db, void *arg)
{
    return item_expunge(db, (struct actor){1, 0}, *(int64_t *)arg, NULL, 0, NULL);
}

static int64_t ask(struct world *w, const char *literal)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, literal);
    int64_t n = sql_row(st) ? sql_int(st, 0) : -1;
    assert_int_equal(sql_result(st).code, ERROR_NONE);
    return n;
}

/* Retention that is over at once. */
static int set_up_short(void **state)
{
    memset(large, 'l', sizeof large - 1);
    int failed = set_up(state);
    struct world *w = *state;
    w->store->options.retention_s = -1;
    w->store->options.orphan_age_s = -1;
    return failed;
}

static int count_files(struct world *w)
{
    char path[128];
    int n = 0;
    for (int i = 0; i < 256; i++) {
        (void)snprintf(path, sizeof path, "%s/blobs/%02x", w->path, (unsigned)i);
        DIR *d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d));)
            n += e->d_name[0] != '.';
        if (d)
            (void)closedir(d);
    }
    return n;
}

static void content_that_nobody_names_goes_with_its_file_and_shared_content_stays(void **state)
{
    struct world *w = *state;
    assert_int_equal(add(w, w->inbox, large, 0, NULL).code, ERROR_NONE);
    assert_int_equal(add(w, w->inbox, "only here", 0, NULL).code, ERROR_NONE);
    assert_int_equal(add(w, w->inbox, "shared", 0, NULL).code, ERROR_NONE);
    assert_int_equal(add(w, w->other, "shared", 0, NULL).code, ERROR_NONE);
    assert_int_equal(count_files(w), 1);
    assert_int_equal(store_change(w->store, expunge_all, &w->inbox).code, ERROR_NONE);
    assert_int_equal(store_collect_garbage(w->store).code, ERROR_NONE);
    assert_int_equal(ask(w, "SELECT count(*) FROM blob"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM blobhash"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM gone"), 0);
    assert_int_equal(count_files(w), 0);
}

static void kept_versions_keep_their_content_until_retention_is_over(void **state)
{
    struct world *w = *state;
    w->store->options.retention_s = 86400;
    assert_int_equal(add(w, w->inbox, large, 0, NULL).code, ERROR_NONE);
    assert_int_equal(store_change(w->store, expunge_all, &w->inbox).code, ERROR_NONE);
    assert_int_equal(store_collect_garbage(w->store).code, ERROR_NONE);
    assert_int_equal(ask(w, "SELECT count(*) FROM blob"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM gone"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM change WHERE kind = 3"), 1);
    assert_int_equal(count_files(w), 1);
}

/* The clean-up of the test below may run while any of these steps does. */
struct putter {
    struct world *w;
    pthread_t thread;
    int64_t box;
    int number, failed;
};

static void *put_and_expunge(void *arg)
{
    struct putter *me = arg;
    char text[sizeof large + 16];
    for (int i = 0; i < 120; i++) {
        (void)snprintf(text, sizeof text, "%d %s", i % 5, i % 2 ? large : "small"); /* the same few contents from everybody */
        me->failed += add(me->w, me->box, text, 0, NULL).code != ERROR_NONE;
        if (i % 7 == me->number)
            me->failed += store_change(me->w->store, expunge_all, &me->box).code != ERROR_NONE;
    }
    return NULL;
}

static struct error unlimited(struct sql *db, void *arg)
{
    (void)arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE account SET quota = 0");
    return sql_run(st);
}

static void puts_of_the_same_content_beside_a_collection_lose_nothing(void **state)
{
    struct world *w = *state;
    struct putter putters[4];
    assert_int_equal(store_change(w->store, unlimited, w).code, ERROR_NONE);
    for (int i = 0; i < 4; i++) {
        putters[i] = (struct putter){.w = w, .box = i % 2 ? w->other : w->archive, .number = i};
        assert_int_equal(pthread_create(&putters[i].thread, NULL, put_and_expunge, &putters[i]), 0);
    }
    for (int i = 0; i < 40; i++)
        assert_int_equal(store_collect_garbage(w->store).code, ERROR_NONE);
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(putters[i].thread, NULL);
        assert_int_equal(putters[i].failed, 0);
    }
    assert_int_equal(ask(w, "SELECT count(*) FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE b.id IS NULL"), 0);
    assert_int_equal(ask(w, "SELECT count(*) FROM blob b LEFT JOIN blobhash h ON h.hash = b.hash AND h.blob = b.id WHERE h.blob IS NULL"), 0);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id FROM blob");
    struct slice bytes;
    while (sql_row(st))
        assert_int_equal(blob_read(db, sql_int(st, 0), 0, INT64_MAX, &w->arena, &bytes).code, ERROR_NONE); /* each file is there */
}

/* A put between the look and the delete: the collection must see that its content is named again. */
static void content_that_a_put_finds_after_the_look_is_not_taken(void **state)
{
    struct world *w = *state;
    assert_int_equal(add(w, w->inbox, large, 0, NULL).code, ERROR_NONE);
    assert_int_equal(store_change(w->store, expunge_all, &w->inbox).code, ERROR_NONE);
    assert_int_equal(retention_expire(w->store).code, ERROR_NONE);
    assert_int_equal(bitmap_make(&w->store->entered, 10).code, ERROR_NONE); /* as after garbage.c's begin() */
    assert_int_equal(add(w, w->inbox, large, 0, NULL).code, ERROR_NONE);
    assert_true(bitmap_has(&w->store->entered, 1));
}

static void orphans_go_when_they_are_old_and_named_files_never(void **state)
{
    struct world *w = *state;
    char old[160], young[160];
    struct utimbuf long_ago = {1000000, 1000000};
    assert_int_equal(add(w, w->inbox, large, 0, NULL).code, ERROR_NONE);
    w->store->options.orphan_age_s = 3600;
    (void)snprintf(old, sizeof old, "%s/blobs/ab", w->path);
    (void)mkdir(old, 0700);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(i ? young : old, sizeof old, "%s/blobs/ab/ab%062d", w->path, i);
        int fd = open(i ? young : old, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    assert_int_equal(utime(old, &long_ago), 0);
    assert_int_equal(store_collect_garbage(w->store).code, ERROR_NONE);
    assert_int_not_equal(access(old, F_OK), 0);
    assert_int_equal(access(young, F_OK), 0);
    assert_int_equal(count_files(w), 2);
}

static struct error lose_hash_rows(struct sql *db, void *arg)
{
    (void)arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM blobhash");
    return sql_run(st);
}

static void a_lost_hash_row_does_not_make_an_orphan_of_a_named_file(void **state)
{
    struct world *w = *state;
    assert_int_equal(add(w, w->inbox, large, 0, NULL).code, ERROR_NONE);
    assert_int_equal(store_change(w->store, lose_hash_rows, NULL).code, ERROR_NONE);
    assert_int_equal(store_collect_garbage(w->store).code, ERROR_NONE);
    assert_int_equal(count_files(w), 1);
}

static void after_the_log_is_cut_numbers_go_on_and_answers_stay_right(void **state)
{
    struct world *w = *state;
    struct uid_set out = {0};
    struct collection c;
    uint32_t uid;
    for (int i = 0; i < 5; i++)
        assert_int_equal(add(w, w->archive, "x", 0, &uid).code, ERROR_NONE);
    int64_t middle = ask(w, "SELECT max(modseq) FROM change"), floor;
    assert_int_equal(store_change(w->store, expunge_all, &w->archive).code, ERROR_NONE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(add(w, w->archive, "y", 0, &uid).code, ERROR_NONE);
    int64_t last = ask(w, "SELECT max(modseq) FROM change");
    assert_int_equal(store_collect_garbage(w->store).code, ERROR_NONE);
    assert_int_equal(ask(w, "SELECT count(*) FROM change"), 0);
    struct sql *db = store_reader(w->store);
    assert_int_equal(collection_get(db, w->archive, &w->arena, &c).code, ERROR_NONE);
    floor = c.gonefloor;
    assert_true(floor > middle && floor < last);
    assert_int_equal(item_changed(db, w->archive, middle, &out).code, ERROR_NONE); /* by scan: the log is not there */
    assert_int_equal(uid_set_count(&out), 3);
    assert_int_equal(item_vanished(db, w->archive, middle, &out).code, ERROR_NONE); /* by complement */
    assert_int_equal(uid_set_count(&out), 5);
    assert_true(uid_set_has(&out, 1) && uid_set_has(&out, 5) && !uid_set_has(&out, 6));
    assert_int_equal(item_vanished(db, w->archive, last, &out).code, ERROR_NONE);
    assert_int_equal(uid_set_count(&out), 0);
    store_reader_return(&db);
    uid_set_free(&out);
    store_close(w->store); /* and the number is not given out again after a restart */
    struct store_options o = {.path = w->path, .readers = 2, .blob_file_bytes = 1000};
    assert_int_equal(store_open(&o, &w->store).code, ERROR_NONE);
    assert_int_equal(add(w, w->archive, "z", 0, &uid).code, ERROR_NONE);
    assert_true(ask(w, "SELECT max(modseq) FROM change") > last);
}

static struct error reader_stands_at(struct sql *db, void *arg)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO reader (device, collection, key_now, seq_now) VALUES (1, 1, 'a', $1)");
    sql_bind_int(st, 1, *(int64_t *)arg);
    return sql_run(st);
}

static void the_log_is_not_cut_before_a_follower_has_read_it(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(add(w, w->archive, "x", 0, NULL).code, ERROR_NONE);
    int64_t all = ask(w, "SELECT count(*) FROM change"), second = ask(w, "SELECT modseq FROM change ORDER BY modseq LIMIT 1 OFFSET 1");
    assert_int_equal(store_change(w->store, reader_stands_at, &second).code, ERROR_NONE);
    assert_int_equal(store_collect_garbage(w->store).code, ERROR_NONE);
    assert_int_equal(ask(w, "SELECT count(*) FROM change"), all - 2);
}

static void no_connection_but_the_writers_can_checkpoint_or_write(void **state)
{
    struct world *w = *state;
    int frames = 0, done = 0;
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    (void)sql_exec(db, "COMMIT");
    assert_int_not_equal(sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done), SQLITE_OK);
    assert_int_not_equal(sql_exec(db, "PRAGMA query_only = OFF; DELETE FROM setting").code, ERROR_NONE);
    (void)sql_exec(db, "BEGIN");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_short, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(content_that_nobody_names_goes_with_its_file_and_shared_content_stays),
        TEST(kept_versions_keep_their_content_until_retention_is_over),
        TEST(puts_of_the_same_content_beside_a_collection_lose_nothing),
        TEST(content_that_a_put_finds_after_the_look_is_not_taken),
        TEST(orphans_go_when_they_are_old_and_named_files_never),
        TEST(a_lost_hash_row_does_not_make_an_orphan_of_a_named_file),
        TEST(after_the_log_is_cut_numbers_go_on_and_answers_stay_right),
        TEST(the_log_is_not_cut_before_a_follower_has_read_it),
        TEST(no_connection_but_the_writers_can_checkpoint_or_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
