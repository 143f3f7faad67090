/* The store as its users see it: changes are durable and whole, counters stay exact, readers see snapshots */
#include "tests/unit/core/store/world.h"

#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "core/store/grant.h"
#include "core/store/internal.h"
#include "core/store/keyword.h"
#include "core/store/view.h"
#include "core/store/watch.h"

struct bulk {
    enum { DO_STORE, DO_COPY, DO_MOVE, DO_EXPUNGE } what;
    int64_t from, to, unchanged_since;
    struct uid_set *uids;
    struct flag_change change;
    struct uid_set a, b;
};

static struct error bulk_change(struct sql *db, void *arg)
{
    struct bulk *x = arg;
    struct actor who = {1, 0};
    switch (x->what) {
    case DO_STORE:
        return item_store(db, who, x->from, x->uids, &x->change, x->unchanged_since, &x->a, &x->b);
    case DO_COPY:
        return item_copy(db, who, x->from, x->to, x->uids, -1, &x->a, &x->b);
    case DO_MOVE:
        return item_move(db, who, x->from, x->to, x->uids, -1, &x->a, &x->b);
    default:
        return item_expunge(db, who, x->from, x->uids, 0, &x->a);
    }
}

/* What view.c remembers or concludes is what the rows say. */
static void the_view_is_exact(struct world *w, int64_t collection)
{
    struct arena a;
    struct collection c;
    struct uid_set view = {0}, rows = {0}, difference = {0};
    uint32_t unseen, first;
    arena_init(&a, 1 << 20);
    struct sql *db = store_reader(w->store);
    assert_int_equal(collection_get(db, collection, &a, &c).code, ERROR_NONE);
    assert_int_equal(view_uids(db, &c, &view).code, ERROR_NONE);
    assert_int_equal(item_uids(db, collection, &rows).code, ERROR_NONE);
    assert_int_equal(uid_set_count(&view), uid_set_count(&rows));
    uid_set_subtract(&difference, &view, &rows);
    assert_int_equal(difference.n, 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(view_first_unseen(db, &c, &unseen).code, ERROR_NONE);
        assert_int_equal(item_first_unseen(db, collection, &first).code, ERROR_NONE);
        assert_int_equal(unseen, first);
    }
    store_reader_return(&db);
    uid_set_free(&view);
    uid_set_free(&rows);
    uid_set_free(&difference);
    arena_free(&a);
}

static void random_commands_keep_every_counter_exact(void **state)
{
    struct world *w = *state;
    struct uid_set set = {0};
    int64_t boxes[3] = {w->inbox, w->archive, w->other};
    char text[2000];
    srand(11);
    for (int step = 0; step < 600; step++) {
        struct bulk x = {.what = (int)(rand() % 4), .from = boxes[rand() % 3], .to = boxes[rand() % 3], .uids = &set, .unchanged_since = -1};
        memset(text, 'a' + rand() % 26, sizeof text);
        text[1 + rand() % 1800] = '\0';
        struct error e = add(w, boxes[rand() % 3], text, rand() % 32, NULL);
        assert_true(e.code == ERROR_NONE || e.code == ERROR_QUOTA);
        uid_set_clear(&set);
        for (int i = 0; i < 3; i++) {
            uint32_t lo = 1 + (uint32_t)rand() % 300;
            uid_set_add(&set, lo, lo + (uint32_t)rand() % 10);
        }
        x.change = (struct flag_change){.keep = ~(int64_t)(rand() % 32), .set = rand() % 32, .kw_add = step % 7 ? SLICE("") : SLICE(" extra more "), .kw_remove = step % 5 ? SLICE("") : SLICE(" extra ")};
        if (x.from != x.to || x.what == DO_STORE || x.what == DO_EXPUNGE) {
            e = store_change(w->store, bulk_change, &x);
            assert_true(e.code == ERROR_NONE || e.code == ERROR_QUOTA);
        }
        uid_set_free(&x.a);
        uid_set_free(&x.b);
        the_view_is_exact(w, boxes[step % 3]);
        if (step % 20 == 0)
            for (int i = 0; i < 3; i++)
                counters_are_exact(w, boxes[i]);
    }
    uid_set_free(&set);
}

static void an_account_over_quota_gets_nothing_and_loses_nothing(void **state)
{
    struct world *w = *state;
    struct adding a = {.collection = w->inbox, .size = 100001};
    blob_put_begin(w->store, &a.put);
    assert_int_equal(blob_put_add(&a.put, SLICE("big")).code, ERROR_NONE);
    assert_int_equal(blob_put_end(&a.put).code, ERROR_NONE);
    assert_int_equal(store_change(w->store, add_change, &a).code, ERROR_QUOTA);
    blob_put_drop(&a.put);
    counters_are_exact(w, w->inbox);
}

static void equal_content_is_stored_once_and_read_back_in_ranges(void **state)
{
    struct world *w = *state;
    char large[5000];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i % 26);
    large[sizeof large - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        assert_int_equal(add(w, w->inbox, large, 0, NULL).code, ERROR_NONE);
        assert_int_equal(add(w, w->other, "small", 0, NULL).code, ERROR_NONE);
    }
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, size, place FROM blob ORDER BY id");
    int n = 0;
    for (; sql_row(st); n++) {
        struct slice bytes;
        int64_t size = sql_int(st, 1);
        assert_int_equal(sql_int(st, 2), size >= 1000);
        assert_int_equal(blob_read(db, sql_int(st, 0), 2, 3, &w->arena, &bytes).code, ERROR_NONE);
        assert_true(slice_eq(bytes, size == 5 ? SLICE("all") : SLICE("cde")));
        assert_int_equal(blob_read(db, sql_int(st, 0), size - 1, 100, &w->arena, &bytes).code, ERROR_NONE);
        assert_int_equal(bytes.n, 1);
        assert_int_equal(blob_read(db, sql_int(st, 0), size + 7, 100, &w->arena, &bytes).code, ERROR_NONE);
        assert_int_equal(bytes.n, 0);
    }
    assert_int_equal(n, 2);
}

static void store_unchanged_since_refuses_those_that_moved_on(void **state)
{
    struct world *w = *state;
    struct uid_set set = {0};
    uint32_t uid;
    for (int i = 0; i < 3; i++)
        assert_int_equal(add(w, w->inbox, "x", 0, &uid).code, ERROR_NONE);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct collection c;
    assert_int_equal(collection_get(db, w->inbox, &w->arena, &c).code, ERROR_NONE);
    store_reader_return(&db);
    uid_set_add(&set, 2, 2);
    struct bulk x = {.what = DO_STORE, .from = w->inbox, .uids = &set, .unchanged_since = -1, .change = {.keep = -1, .set = FLAG_FLAGGED, .kw_add = SLICE(""), .kw_remove = SLICE("")}};
    assert_int_equal(store_change(w->store, bulk_change, &x).code, ERROR_NONE);
    uid_set_add(&set, 1, 9);
    x.unchanged_since = c.modseq;
    x.change.set = FLAG_SEEN;
    assert_int_equal(store_change(w->store, bulk_change, &x).code, ERROR_NONE);
    assert_true(uid_set_has(&x.a, 1) && uid_set_has(&x.a, 3) && uid_set_count(&x.a) == 2);
    assert_true(uid_set_has(&x.b, 2) && uid_set_count(&x.b) == 1);
    uid_set_free(&x.a);
    uid_set_free(&x.b);
    uid_set_free(&set);
}

static void what_changed_and_what_vanished_since_a_number_is_exact(void **state)
{
    struct world *w = *state;
    struct uid_set set = {0}, out = {0};
    struct collection c;
    for (int i = 0; i < 10; i++)
        assert_int_equal(add(w, w->inbox, "x", 0, NULL).code, ERROR_NONE);
    struct sql *db = store_reader(w->store);
    assert_int_equal(collection_get(db, w->inbox, &w->arena, &c).code, ERROR_NONE);
    store_reader_return(&db);
    uid_set_add(&set, 4, 5);
    struct bulk x = {.what = DO_EXPUNGE, .from = w->inbox, .uids = &set};
    assert_int_equal(store_change(w->store, bulk_change, &x).code, ERROR_NONE);
    uid_set_clear(&set);
    uid_set_add(&set, 7, 8);
    x = (struct bulk){.what = DO_STORE, .a = x.a, .b = x.b, .from = w->inbox, .uids = &set, .unchanged_since = -1, .change = {.keep = -1, .set = FLAG_SEEN, .kw_add = SLICE(""), .kw_remove = SLICE("")}};
    assert_int_equal(store_change(w->store, bulk_change, &x).code, ERROR_NONE);
    assert_int_equal(add(w, w->inbox, "y", 0, NULL).code, ERROR_NONE);
    db = store_reader(w->store);
    assert_int_equal(item_changed(db, w->inbox, c.modseq, &out).code, ERROR_NONE);
    assert_int_equal(uid_set_count(&out), 3);
    assert_true(uid_set_has(&out, 7) && uid_set_has(&out, 8) && uid_set_has(&out, 11));
    assert_int_equal(item_vanished(db, w->inbox, c.modseq, &out).code, ERROR_NONE);
    assert_int_equal(uid_set_count(&out), 2);
    assert_true(uid_set_has(&out, 4) && uid_set_has(&out, 5));
    store_reader_return(&db);
    uid_set_free(&set);
    uid_set_free(&out);
    uid_set_free(&x.a);
    uid_set_free(&x.b);
}

/* --- group commit */

struct worker {
    struct world *w;
    pthread_t thread;
    int failed;
};

static void *deliver_many(void *arg)
{
    struct worker *me = arg;
    for (int i = 0; i < 50; i++)
        me->failed += add(me->w, me->w->other, "group", 0, NULL).code != ERROR_NONE;
    return NULL;
}

static void a_failing_change_does_not_hurt_its_neighbours_in_the_batch(void **state)
{
    struct world *w = *state;
    struct worker workers[8];
    for (int i = 0; i < 8; i++) {
        workers[i] = (struct worker){.w = w};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, deliver_many, &workers[i]), 0);
    }
    for (int i = 0; i < 100; i++) {
        struct adding a = {.collection = w->inbox, .size = 200000};
        blob_put_begin(w->store, &a.put);
        assert_int_equal(blob_put_end(&a.put).code, ERROR_NONE);
        assert_int_equal(store_change(w->store, add_change, &a).code, ERROR_QUOTA);
        blob_put_drop(&a.put);
    }
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failed, 0);
    }
    counters_are_exact(w, w->other);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct collection c;
    assert_int_equal(collection_get(db, w->other, &w->arena, &c).code, ERROR_NONE);
    assert_int_equal(c.n_all, 400);
}

/* Ends SQLite's whole transaction, as a full disk or an I/O error does inside a change. */
static struct error ruin(struct sql *db, void *arg)
{
    (void)arg;
    return sql_exec(db, "INSERT OR ROLLBACK INTO setting (account, name, value) VALUES (0, 'epoch', 'x')");
}

struct hold {
    sem_t taken, released;
};

static struct error hold_the_writer(struct sql *db, void *arg)
{
    struct hold *h = arg;
    (void)db;
    (void)sem_post(&h->taken);
    while (sem_wait(&h->released) != 0) {
    }
    return OK;
}

struct queued {
    struct world *w;
    pthread_t thread;
    store_change_fn change;
    void *arg;
    struct error result;
};

static void *run_queued(void *arg)
{
    struct queued *q = arg;
    q->result = q->change ? store_change(q->w->store, q->change, q->arg) : add(q->w, q->w->other, "a neighbour", 0, NULL);
    return NULL;
}

static void wait_until_queued(struct world *w, int n)
{
    for (int waiting = -1; waiting != n;) {
        (void)pthread_mutex_lock(&w->store->queue_lock);
        waiting = w->store->waiting;
        (void)pthread_mutex_unlock(&w->store->queue_lock);
        (void)sched_yield();
    }
}

static void a_change_that_ends_the_whole_transaction_fails_alone(void **state)
{
    struct world *w = *state;
    struct hold held;
    (void)sem_init(&held.taken, 0, 0);
    (void)sem_init(&held.released, 0, 0);
    struct queued first = {.w = w, .change = hold_the_writer, .arg = &held}, rest[7];
    assert_int_equal(pthread_create(&first.thread, NULL, run_queued, &first), 0);
    (void)sem_wait(&held.taken);
    for (int i = 0; i < 7; i++) { /* neighbours before and behind, two bad ones */
        rest[i] = (struct queued){.w = w, .change = i == 2 || i == 5 ? ruin : NULL};
        assert_int_equal(pthread_create(&rest[i].thread, NULL, run_queued, &rest[i]), 0);
        wait_until_queued(w, i + 1);
    }
    (void)sem_post(&held.released);
    (void)pthread_join(first.thread, NULL);
    for (int i = 0; i < 7; i++) {
        (void)pthread_join(rest[i].thread, NULL);
        assert_int_equal(rest[i].result.code == ERROR_NONE, i != 2 && i != 5);
    }
    counters_are_exact(w, w->other);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct collection c;
    assert_int_equal(collection_get(db, w->other, &w->arena, &c).code, ERROR_NONE);
    assert_int_equal(c.n_all, 5); /* each once: nothing lost, nothing twice */
}

static void what_was_acknowledged_before_kill_9_is_there_afterwards(void **state)
{
    struct world *w = *state;
    char path[96];
    int told[2];
#if defined(__SANITIZE_THREAD__)
    skip(); /* a child that starts threads is beyond what TSan watches */
#endif
    (void)snprintf(path, sizeof path, "%s/killed", w->path);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(pipe(told), 0);
        pid_t child = fork();
        if (child == 0) {
            struct world mine = {0};
            struct store_options o = {.path = path, .readers = 1, .blob_file_bytes = 1000};
            arena_init(&mine.arena, ARENA_REQUEST_MAX);
            if (store_open(&o, &mine.store).code != ERROR_NONE || (round == 0 && store_change(mine.store, build, &mine).code != ERROR_NONE))
                _exit(1);
            for (int i = 0;; i++)
                if (add(&mine, 3, i % 2 ? "small" : "a text", 0, NULL).code == ERROR_NONE)
                    (void)!write(told[1], "x", 1);
        }
        char got[40];
        size_t n = 0;
        while (n < sizeof got) {
            ssize_t k = read(told[0], got + n, sizeof got - n);
            assert_true(k > 0);
            n += (size_t)k;
        }
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        (void)close(told[0]);
        (void)close(told[1]);
        struct world mine = {0};
        struct store_options o = {.path = path, .readers = 1};
        struct collection c;
        arena_init(&mine.arena, ARENA_REQUEST_MAX);
        assert_int_equal(store_open(&o, &mine.store).code, ERROR_NONE);
        counters_are_exact(&mine, 3);
        struct sql *db = store_reader(mine.store);
        assert_int_equal(collection_get(db, 3, &mine.arena, &c).code, ERROR_NONE);
        store_reader_return(&db);
        assert_true(c.n_all >= 40 * (round + 1));
        store_close(mine.store);
        arena_free(&mine.arena);
    }
}

static void a_second_process_is_refused_with_a_sentence(void **state)
{
    struct world *w = *state;
    struct store *second = NULL;
    struct store_options o = {.path = w->path};
    struct error e = store_open(&o, &second);
    assert_int_equal(e.code, ERROR_BUSY);
    assert_non_null(strstr(e.text, "another process"));
}

/* --- rights, keywords, watchers */

static struct error share(struct sql *db, void *arg)
{
    struct world *w = arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO member (account, member, role) VALUES (10, 2, 0), (11, 10, 0), (10, 11, 0)");
    TRY(sql_run(st));
    return grant_set(db, (struct actor){1, 0}, 1, w->archive, 11, RIGHT_LOOKUP | RIGHT_READ);
}

static void everything_is_denied_unless_a_grant_allows_it(void **state)
{
    struct world *w = *state;
    struct sql *db = store_reader(w->store);
    assert_int_equal(grant_check(db, w->archive, 2, RIGHT_READ).code, ERROR_NOT_FOUND);
    assert_int_equal(grant_check(db, w->archive, 1, RIGHT_ALL).code, ERROR_NONE);
    assert_int_equal(grant_check(db, 999, 1, RIGHT_READ).code, ERROR_NOT_FOUND);
    store_reader_return(&db);
    assert_int_equal(store_change(w->store, share, w).code, ERROR_NONE); /* to a group in a group, which is a cycle */
    db = store_reader(w->store);
    assert_int_equal(grant_check(db, w->archive, 2, RIGHT_READ).code, ERROR_NONE);
    assert_int_equal(grant_check(db, w->archive, 2, RIGHT_WRITE).code, ERROR_DENIED);
    assert_int_equal(grant_check(db, w->inbox, 2, RIGHT_READ).code, ERROR_NOT_FOUND);
    store_reader_return(&db);
}

static struct error keywords(struct sql *db, void *arg)
{
    struct buffer *kw = arg;
    struct slice names[40];
    char text[40][8];
    int64_t flags;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text[i], sizeof text[i], "Own%d", i);
        names[i] = slice_of(text[i]);
    }
    buffer_clear(kw);
    TRY(keyword_resolve(db, 1, names, 40, &flags, kw));
    assert_int_equal(flags, (int64_t)0x7FFFFFFF00000000);
    names[0] = SLICE("\\seen");
    names[1] = SLICE("$JUNK");
    names[2] = SLICE("own3");
    TRY(keyword_resolve(db, 1, names, 3, &flags, kw));
    assert_int_equal(flags, FLAG_SEEN | 1 << 7 | (int64_t)1 << 35);
    names[0] = SLICE("\\Nonsense");
    assert_int_equal(keyword_resolve(db, 1, names, 1, &flags, kw).code, ERROR_INVALID);
    return OK;
}

static void keywords_past_the_bits_stand_as_text(void **state)
{
    struct world *w = *state;
    struct buffer kw = {0};
    assert_int_equal(store_change(w->store, keywords, &kw).code, ERROR_NONE);
    assert_true(slice_starts(buffer_slice(&kw), SLICE(" own31 own32 ")));
    buffer_free(&kw);
}

static void count_call(void *arg)
{
    ++*(_Atomic int *)arg;
}

static void a_watcher_hears_of_commits_and_of_nothing_else(void **state)
{
    struct world *w = *state;
    _Atomic int calls = 0;
    struct watch *watch = watch_join(w->store, w->inbox, count_call, &calls);
    assert_int_equal(add(w, w->archive, "elsewhere", 0, NULL).code, ERROR_NONE);
    assert_int_equal(calls, 0);
    assert_int_equal(add(w, w->inbox, "here", 0, NULL).code, ERROR_NONE);
    assert_int_equal(calls, 1);
    assert_true(watch_modseq(watch) > 0);
    watch_leave(watch);
    assert_int_equal(add(w, w->inbox, "again", 0, NULL).code, ERROR_NONE);
    assert_int_equal(calls, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(random_commands_keep_every_counter_exact),
        T(an_account_over_quota_gets_nothing_and_loses_nothing),
        T(equal_content_is_stored_once_and_read_back_in_ranges),
        T(store_unchanged_since_refuses_those_that_moved_on),
        T(what_changed_and_what_vanished_since_a_number_is_exact),
        T(a_failing_change_does_not_hurt_its_neighbours_in_the_batch),
        T(a_change_that_ends_the_whole_transaction_fails_alone),
        T(what_was_acknowledged_before_kill_9_is_there_afterwards),
        T(a_second_process_is_refused_with_a_sentence),
        T(everything_is_denied_unless_a_grant_allows_it),
        T(keywords_past_the_bits_stand_as_text),
        T(a_watcher_hears_of_commits_and_of_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
