/* SCRAM verifiers that are made behind a login: once, on a worker, for the password that still counts */
#include "tests/unit/core/account/world.h"

#include "core/account/credential.h"

enum { TASKS = 4 };

/* A worker that waits until the test lets it work. */
static struct {
    void (*task[TASKS])(void *);
    void *arg[TASKS];
    int n;
    enum error_code refuses;
} worker;

static struct error submit(void *arg, void (*task)(void *), void *task_arg)
{
    (void)arg;
    if (worker.refuses != ERROR_NONE)
        return error_make(worker.refuses, "no room");
    assert_true(worker.n < TASKS);
    worker.task[worker.n] = task;
    worker.arg[worker.n++] = task_arg;
    return OK;
}

/* Runs what waits, also what that asks for. How many tasks. */
static int work(void)
{
    int done = 0;
    while (worker.n > 0) {
        worker.n--;
        worker.task[worker.n](worker.arg[worker.n]);
        done++;
    }
    return done;
}

static int open_with_worker(void **state)
{
    (void)world_open(state);
    struct world *w = *state;
    assert_int_equal(login_service_new(w->store, &w->login).code, ERROR_NONE);
    memset(&worker, 0, sizeof worker);
    login_upgrade_by(w->login, submit, NULL);
    login_upgrade_allow(w->login, LOGIN_UPGRADE_YES);
    return 0;
}

static enum error_code try(struct world *w, const char *name, const char *password)
{
    struct login l;
    return login_password(w->login, slice_of(name), slice_of(password), SCOPE_IMAP, SLICE("192.0.2.1"), &w->arena, &l).code;
}

/* The keys that SCRAM would check a proof against; NULL: none, or several. */
static const unsigned char *keys_of(struct world *w, const char *name)
{
    struct scram_keys *all;
    struct slice canonical;
    size_t n;
    assert_int_equal(login_verifiers(w->login, slice_of(name), SCOPE_IMAP, &w->arena, &all, &n, &canonical).code, ERROR_NONE);
    return n == 1 ? all[0].keys : NULL;
}

static bool has_keys_for(struct world *w, const char *name, const char *password)
{
    unsigned char wanted[SCRAM_KEYS];
    assert_int_equal(scram_verifier(w->login, slice_of(name), slice_of(password), wanted).code, ERROR_NONE);
    const unsigned char *keys = keys_of(w, name);
    return keys && memcmp(keys, wanted, sizeof wanted) == 0;
}

static void a_login_is_answered_before_its_verifier_is_made_which_happens_once(void **state)
{
    struct world *w = *state;
    (void)add_person(w, "budi@kantor.example", NULL);
    for (int i = 0; i < 5; i++) /* a phone with five connections */
        assert_int_equal(try(w, "budi@kantor.example", "rahasia"), ERROR_NONE);
    assert_int_equal(worker.n, 1);
    assert_null(keys_of(w, "budi@kantor.example"));
    assert_int_equal(work(), 1);
    assert_true(has_keys_for(w, "budi@kantor.example", "rahasia"));
    uint64_t hashes = login_hashes(w->login);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia"), ERROR_NONE); /* the hash is the same one: it is still remembered */
    assert_int_equal(login_hashes(w->login), hashes);
    assert_int_equal(worker.n, 0);
}

static void accounts_of_one_morning_take_turns(void **state)
{
    struct world *w = *state;
    char name[64];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "user%d@kantor.example", i);
        (void)add_person(w, name, NULL);
        assert_int_equal(try(w, name, "rahasia"), ERROR_NONE);
        assert_int_equal(worker.n, 1); /* never two tasks at a time */
    }
    assert_int_equal(work(), 3);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "user%d@kantor.example", i);
        assert_true(has_keys_for(w, name, "rahasia"));
    }
}

static void a_refused_login_an_app_password_and_a_no_in_the_configuration_make_none(void **state)
{
    struct world *w = *state;
    struct app_password_new made;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(app_password_make(w->login, SLICE("budi@kantor.example"), &made).code, ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = APP, .account = id, .made = &made, .number = SCOPE_ALL}), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "wrong"), ERROR_AUTH);
    assert_int_equal(try(w, "budi@kantor.example", made.text), ERROR_NONE);
    assert_int_equal(worker.n, 0);
    login_upgrade_allow(w->login, LOGIN_UPGRADE_NO);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia"), ERROR_NONE);
    assert_int_equal(worker.n, 0);
    login_upgrade_allow(w->login, LOGIN_UPGRADE_YES);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia"), ERROR_NONE);
    login_upgrade_allow(w->login, LOGIN_UPGRADE_NO); /* a reload between login and worker */
    assert_int_equal(work(), 1);
    assert_true(memcmp(keys_of(w, "budi@kantor.example"), made.keys, SCRAM_KEYS) == 0); /* only those of the app password */
}

static void a_password_that_changed_meanwhile_gets_no_keys_of_the_old_one(void **state)
{
    struct world *w = *state;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia"), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = PASSWORD, .account = id, .text = password_hash(SLICE("baru"), &w->arena)}), ERROR_NONE);
    assert_int_equal(work(), 1);
    assert_null(keys_of(w, "budi@kantor.example"));
    assert_int_equal(try(w, "budi@kantor.example", "baru"), ERROR_NONE);
    assert_int_equal(work(), 1);
    assert_true(has_keys_for(w, "budi@kantor.example", "baru"));
    assert_int_equal(step(w, (struct step){.what = PASSWORD, .account = id, .text = password_hash(SLICE("rahasia"), &w->arena)}), ERROR_NONE);
    assert_null(keys_of(w, "budi@kantor.example")); /* a new password has none of the old one's either */
}

static void an_account_that_is_gone_or_a_worker_without_room_is_no_harm(void **state)
{
    struct world *w = *state;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    (void)add_person(w, "sari@kantor.example", NULL);
    worker.refuses = ERROR_BUSY;
    assert_int_equal(try(w, "budi@kantor.example", "rahasia"), ERROR_NONE);
    worker.refuses = ERROR_NONE;
    assert_int_equal(try(w, "budi@kantor.example", "rahasia"), ERROR_NONE); /* the next login asks again */
    assert_int_equal(try(w, "sari@kantor.example", "rahasia"), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = STATE, .account = id, .number = ACCOUNT_DELETED}), ERROR_NONE);
    assert_int_equal(work(), 2);
    assert_true(has_keys_for(w, "sari@kantor.example", "rahasia"));
}

#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, open_with_worker, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORKER(a_login_is_answered_before_its_verifier_is_made_which_happens_once),
        WITH_WORKER(accounts_of_one_morning_take_turns),
        WITH_WORKER(a_refused_login_an_app_password_and_a_no_in_the_configuration_make_none),
        WITH_WORKER(a_password_that_changed_meanwhile_gets_no_keys_of_the_old_one),
        WITH_WORKER(an_account_that_is_gone_or_a_worker_without_room_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
