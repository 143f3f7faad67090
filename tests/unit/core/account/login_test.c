/* Logins: one answer and one cost for every refusal, remembered successes, app passwords, SASL */
#include "tests/unit/core/account/world.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

#include "core/account/credential.h"
#include "core/account/password.h"
#include "core/account/sasl.h"
#include "core/account/scram.h"

#define PEER SLICE("192.0.2.1")

static int open_with_login(void **state)
{
    (void)world_open(state);
    struct world *w = *state;
    assert_int_equal(login_service_new(w->store, &w->login).code, ERROR_NONE);
    return 0;
}

static enum error_code try(struct world *w, const char *name, const char *password, int scope, struct login *out)
{
    return login_password(w->login, slice_of(name), slice_of(password), scope, PEER, &w->arena, out).code;
}

static void the_right_password_opens_and_every_refusal_looks_the_same(void **state)
{
    struct world *w = *state;
    struct login l;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "b@cabang.example", .account = id}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "*@cabang.example", .account = id}), ERROR_NONE);
    (void)add(w, ACCOUNT_PERSON, "nopassword@kantor.example");
    assert_int_equal(try(w, "Budi@KANTOR.example.", "rahasia", SCOPE_IMAP, &l), ERROR_NONE);
    assert_int_equal(l.account, id);
    assert_true(slice_eq(l.name, SLICE("budi@kantor.example")));
    assert_int_equal(try(w, "b@cabang.example", "rahasia", SCOPE_SMTP, &l), ERROR_NONE);
    static const char *const refused[][2] = {
        {"budi@kantor.example", "Rahasia"}, {"budi@kantor.example", ""}, {"nobody@kantor.example", "rahasia"}, {"budi@foreign.example", "rahasia"}, {"budi", "rahasia"}, {"", "rahasia"},
        {"*@cabang.example", "rahasia"}, {"anyone@cabang.example", "rahasia"}, {"budi+x@kantor.example", "rahasia"}, {"nopassword@kantor.example", "rahasia"}, {"nopassword@kantor.example", ""},
        {"' OR 1=1--@kantor.example", "rahasia"}, {"\xEF\xBC\xA2udi@kantor.example", "rahasia"}, {"%{u}@kantor.example", "x"}, {"budi@kantor.example", "rahasia "},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (try(w, refused[i][0], refused[i][1], SCOPE_IMAP, &l) != ERROR_AUTH)
            fail_msg("%s was not refused", refused[i][0]);
    assert_int_equal(login_password(w->login, SLICE("budi@kantor.example"), SLICE("rahasia\0x"), SCOPE_IMAP, PEER, &w->arena, &l).code, ERROR_AUTH);
    assert_int_equal(step(w, (struct step){.what = STATE, .account = id, .number = ACCOUNT_SUSPENDED}), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_AUTH); /* though it was remembered */
}

static struct error suspend_domain(struct sql *db, void *arg)
{
    (void)arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE domain SET state = 1 WHERE name = 'kantor.example'");
    return sql_run(st);
}

static void nobody_of_a_suspended_domain_logs_in(void **state)
{
    struct world *w = *state;
    struct login l;
    (void)add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_NONE);
    assert_int_equal(store_change(w->store, suspend_domain, NULL).code, ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_AUTH);
}

static uint64_t cost(struct world *w, const char *name, const char *password)
{
    struct login l;
    uint64_t before = login_hashes(w->login);
    (void)try(w, name, password, SCOPE_IMAP, &l);
    return login_hashes(w->login) - before;
}

static void an_unknown_name_costs_one_hash_like_a_known_one(void **state)
{
    struct world *w = *state;
    int64_t dewi = add_person(w, "dewi@kantor.example", NULL);
    (void)add_person(w, "budi@kantor.example", NULL);
    (void)add(w, ACCOUNT_PERSON, "nopassword@kantor.example");
    (void)add(w, ACCOUNT_GROUP, "tim@kantor.example");
    assert_int_equal(step(w, (struct step){.what = STATE, .account = dewi, .number = ACCOUNT_SUSPENDED}), ERROR_NONE);
    static const char *const names[] = {"budi@kantor.example", "nobody@kantor.example", "dewi@kantor.example", "nopassword@kantor.example", "tim@kantor.example", "x@foreign.example", "nonsense"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(cost(w, names[i], names[i]), 1);
        assert_int_equal(cost(w, names[i], names[i]), 0); /* the same mistake again costs nobody anything */
    }
}

static void a_success_is_remembered_until_the_password_changes(void **state)
{
    struct world *w = *state;
    struct login l;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(cost(w, "budi@kantor.example", "rahasia"), 1);
    assert_int_equal(cost(w, "budi@kantor.example", "rahasia"), 0);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_POP3, &l), ERROR_NONE);
    char *hash = password_hash(SLICE("new"), &w->arena);
    assert_int_equal(step(w, (struct step){.what = PASSWORD, .account = id, .text = hash}), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_AUTH); /* at once, without login_forget */
    assert_int_equal(try(w, "budi@kantor.example", "new", SCOPE_IMAP, &l), ERROR_NONE);
    login_forget(w->login, id);
    assert_int_equal(cost(w, "budi@kantor.example", "new"), 1);
}

static void one_persons_success_is_not_anothers(void **state)
{
    struct world *w = *state;
    struct login l;
    (void)add_person(w, "budi@kantor.example", NULL);
    int64_t sari = add_person(w, "sari@kantor.example", NULL);
    char *hash = password_hash(SLICE("hers"), &w->arena);
    assert_int_equal(step(w, (struct step){.what = PASSWORD, .account = sari, .text = hash}), ERROR_NONE);
    assert_int_equal(try(w, "sari@kantor.example", "hers", SCOPE_IMAP, &l), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "hers", SCOPE_IMAP, &l), ERROR_AUTH);
    assert_int_equal(try(w, "sari@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_AUTH);
}

static void a_password_is_the_same_however_it_is_composed(void **state)
{
    struct world *w = *state;
    struct login l;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    char *hash = password_hash(SLICE("f\xC3\xBCr"), &w->arena);
    assert_int_equal(step(w, (struct step){.what = PASSWORD, .account = id, .text = hash}), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "fu\xCC\x88r", SCOPE_IMAP, &l), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "f\xFCr", SCOPE_IMAP, &l), ERROR_AUTH);
}

static void hashes_of_unfair_cost_are_not_taken(void **state)
{
    (void)state;
    static const struct {
        const char *hash;
        bool fair;
    } table[] = {
        {"$6$rounds=999999999$salt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}, {"$6$rounds=5000$saltsalt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true}, {"$6$saltsalt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
        {"$2b$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}, {"$2b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true}, {"$y$jFT$aaaaaaaaaaaaaaaaaaaaaa$aaaaaaaaaaaaaaaa", false},
        {"$y$j9T$aaaaaaaaaaaaaaaaaaaaaa$aaaaaaaaaaaaaaaa", true}, {"$y$j9T.....$aaaaaaaaaaaaaaaaaaa", false}, {"xxabcdefghijk", false}, {"*0", false}, {"", false}, {"{PLAIN}rahasia123456", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (password_hash_is_fair(slice_of(table[i].hash)) != table[i].fair)
            fail_msg("%s", table[i].hash);
}

static void the_delay_grows_with_each_new_mistake_and_ends_with_a_success(void **state)
{
    struct world *w = *state;
    struct login l;
    struct slice name = SLICE("budi@kantor.example");
    int64_t last = 0;
    (void)add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(login_delay_ms(w->login, name, PEER), 0);
    for (int i = 0; i < 10; i++) {
        login_ended(w->login, i % 2 ? name : SLICE("BUDI@Kantor.example."), PEER, NULL);
        int64_t now = login_delay_ms(w->login, name, PEER);
        assert_true(now > last || now == 30000);
        assert_true(now <= 30000);
        last = now;
    }
    assert_int_equal(last, 30000);
    assert_int_equal(login_delay_ms(w->login, name, SLICE("192.0.2.77")), 30000); /* the same /24 */
    assert_int_equal(login_delay_ms(w->login, name, SLICE("198.51.100.1")), 0);   /* strangers lock nobody out */
    assert_int_equal(login_delay_ms(w->login, SLICE("sari@kantor.example"), PEER), 0);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_NONE); /* nor does it refuse the right one */
    assert_int_equal(login_delay_ms(w->login, name, PEER), 0);
    assert_int_equal(try(w, "budi@kantor.example", "old", SCOPE_IMAP, &l), ERROR_AUTH);
    last = login_delay_ms(w->login, name, PEER);
    for (int i = 0; i < 5; i++)
        assert_int_equal(try(w, "budi@kantor.example", "old", SCOPE_IMAP, &l), ERROR_AUTH);
    assert_int_equal(login_delay_ms(w->login, name, PEER), last); /* one old password tells one thing */
}

static void a_message_without_a_name_does_not_wait_for_the_mistakes_of_others(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 10; i++)
        login_ended(w->login, i % 2 ? SLICE("budi@kantor.example") : SLICE(""), PEER, NULL);
    assert_int_equal(login_delay_ms(w->login, SLICE(""), PEER), 0);
}

static void one_network_that_tries_many_names_is_slowed(void **state)
{
    struct world *w = *state;
    char name[64];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "user%d@kantor.example", i);
        char peer[64];
        (void)snprintf(peer, sizeof peer, "2001:db8::1:%d", i);
        login_ended(w->login, slice_of(name), slice_of(peer), NULL);
        login_ended(w->login, slice_of(name), SLICE("127.0.0.1"), NULL);
    }
    assert_int_equal(login_delay_ms(w->login, SLICE("new@kantor.example"), SLICE("2001:db8::ffff")), 30000);
    assert_int_equal(login_delay_ms(w->login, SLICE("new@kantor.example"), SLICE("2001:db8:0:1::1")), 0);
    assert_int_equal(login_delay_ms(w->login, SLICE("new@kantor.example"), SLICE("127.0.0.1")), 0); /* a proxy of our own */
}

static void an_app_password_opens_its_scope_only_until_it_is_removed(void **state)
{
    struct world *w = *state;
    struct login l;
    struct app_password_new made;
    struct app_password *all;
    size_t n;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(app_password_make(w->login, SLICE("budi@kantor.example"), &made).code, ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = APP, .account = id, .made = &made, .number = SCOPE_IMAP}), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", made.text, SCOPE_IMAP, &l), ERROR_NONE);
    int64_t credential = l.credential;
    char typed[96];
    size_t k = 0;
    for (const char *p = made.text; *p; p++)
        if (*p == '-')
            typed[k++] = ' ';
        else
            typed[k++] = ascii_upper(*p);
    typed[k] = '\0';
    uint64_t before = login_hashes(w->login);
    assert_int_equal(try(w, "budi@kantor.example", typed, SCOPE_IMAP, &l), ERROR_NONE);
    assert_int_equal(login_hashes(w->login), before);
    before = login_hashes(w->login);
    assert_int_equal(try(w, "budi@kantor.example", made.text, SCOPE_SMTP, &l), ERROR_AUTH);
    assert_int_equal(login_hashes(w->login), before + 1); /* the right one in the wrong place costs what every refusal costs */
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_SMTP, &l), ERROR_NONE);
    login_flush_used(w->login);
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
        assert_int_equal(app_password_list(db, id, &w->arena, &all, &n).code, ERROR_NONE);
    }
    assert_int_equal(n, 1);
    assert_true(all[0].used > 0 && all[0].id == credential && all[0].scope == SCOPE_IMAP && slice_eq(all[0].name, SLICE("phone")));
    assert_int_equal(step(w, (struct step){.what = APP_REMOVE, .account = id, .other = credential}), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", made.text, SCOPE_IMAP, &l), ERROR_AUTH);
    assert_int_equal(step(w, (struct step){.what = APP_REMOVE, .account = id, .other = credential}), ERROR_NOT_FOUND);
}

static void the_main_password_survives_a_full_list_of_app_passwords(void **state)
{
    struct world *w = *state;
    struct login l;
    struct app_password_new made = {.text = "x"};
    int64_t id = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    for (int i = 0; i < 64; i++) {
        made.lookup[0] = (unsigned char)i;
        assert_int_equal(step(w, (struct step){.what = APP, .account = id, .made = &made, .number = SCOPE_IMAP}), ERROR_NONE);
    }
    made.lookup[0] = 64;
    assert_int_equal(step(w, (struct step){.what = APP, .account = id, .made = &made, .number = SCOPE_IMAP}), ERROR_LIMIT);
    assert_int_equal(step(w, (struct step){.what = PASSWORD, .account = id, .text = password_hash(SLICE("late"), &w->arena)}), ERROR_NONE);
    assert_int_equal(try(w, "budi@kantor.example", "late", SCOPE_SMTP, &l), ERROR_NONE);
}

struct thread_try {
    struct world *w;
    int number, right, auth, busy;
    pthread_barrier_t *start;
};

static void *log_in_often(void *arg)
{
    struct thread_try *t = arg;
    struct arena a;
    arena_init(&a, 1024 * 1024);
    (void)pthread_barrier_wait(t->start);
    for (int i = 0; i < 200; i++) {
        struct login l;
        char password[32];
        arena_reset(&a);
        (void)snprintf(password, sizeof password, i % 50 == 49 ? "wrong" : "rahasia");
        enum error_code code = login_password(t->w->login, SLICE("budi@kantor.example"), slice_of(password), SCOPE_IMAP, PEER, &a, &l).code;
        t->right += code == ERROR_NONE;
        t->auth += code == ERROR_AUTH;
        t->busy += code == ERROR_BUSY;
        (void)login_delay_ms(t->w->login, SLICE("budi@kantor.example"), PEER);
        if (i % 64 == 0)
            login_flush_used(t->w->login);
    }
    arena_free(&a);
    return NULL;
}

static void thirty_threads_with_one_password_cost_one_hash(void **state)
{
    struct world *w = *state;
    enum { THREADS = 30 };
    pthread_t threads[THREADS];
    struct thread_try tries[THREADS] = {{0}};
    (void)add_person(w, "budi@kantor.example", NULL);
    uint64_t before = login_hashes(w->login);
    pthread_barrier_t start;
    (void)pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        tries[i] = (struct thread_try){.w = w, .number = i, .start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, log_in_often, &tries[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(tries[i].right, 196);
        assert_int_equal(tries[i].auth, 4);
        assert_int_equal(tries[i].busy, 0);
    }
    (void)pthread_barrier_destroy(&start);
    assert_int_equal(login_hashes(w->login) - before, 2); /* the right one and the wrong one */
}

static void *log_in_once(void *arg)
{
    struct thread_try *t = arg;
    struct login l;
    struct arena a;
    char name[64];
    arena_init(&a, 1024 * 1024);
    (void)snprintf(name, sizeof name, "user%d@kantor.example", t->number);
    enum error_code code = login_password(t->w->login, slice_of(name), SLICE("guess"), SCOPE_IMAP, PEER, &a, &l).code;
    t->auth = code == ERROR_AUTH;
    t->busy = code == ERROR_BUSY;
    arena_free(&a);
    return NULL;
}

static void a_storm_of_logins_is_told_to_come_back_later(void **state)
{
    struct world *w = *state;
    enum { THREADS = 80 };
    pthread_t threads[THREADS];
    struct thread_try tries[THREADS];
    int auth = 0, busy = 0;
    for (int i = 0; i < THREADS; i++) {
        tries[i] = (struct thread_try){.w = w, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, log_in_once, &tries[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        auth += tries[i].auth;
        busy += tries[i].busy;
    }
    assert_int_equal(auth + busy, THREADS);
    assert_int_equal(auth, login_hashes(w->login));
}

static void a_spray_over_a_thousand_networks_slows_strangers_and_not_the_owner_where_he_usually_is(void **state)
{
    struct world *w = *state;
    struct login l;
    struct slice name = SLICE("budi@kantor.example"), home = SLICE("198.51.100.7");
    char peer[64];
    (void)add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(login_password(w->login, name, SLICE("rahasia"), SCOPE_IMAP, home, &w->arena, &l).code, ERROR_NONE);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(peer, sizeof peer, "10.%d.%d.1", i / 250, i % 250);
        login_ended(w->login, name, slice_of(peer), NULL);
    }
    assert_int_equal(login_delay_ms(w->login, name, SLICE("203.0.113.1")), 30000);
    assert_int_equal(login_delay_ms(w->login, name, SLICE("198.51.100.99")), 0);
    assert_int_equal(login_password(w->login, name, SLICE("rahasia"), SCOPE_IMAP, home, &w->arena, &l).code, ERROR_NONE);
    assert_int_equal(login_password(w->login, name, SLICE("rahasia"), SCOPE_IMAP, SLICE("203.0.113.1"), &w->arena, &l).code, ERROR_NONE); /* no lock: the right one opens anywhere */
}

static void a_machine_of_our_own_waits_little_however_many_mistakes_come_through_it(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 20; i++)
        login_ended(w->login, SLICE("budi@kantor.example"), SLICE("127.0.0.1"), NULL);
    int64_t delay = login_delay_ms(w->login, SLICE("budi@kantor.example"), SLICE("::1"));
    assert_int_equal(delay, 0); /* another address of this machine is another network */
    delay = login_delay_ms(w->login, SLICE("budi@kantor.example"), SLICE("127.0.0.1"));
    assert_true(delay > 0 && delay <= 500);
}

static void *guess_on(void *arg)
{
    struct thread_try *t = arg;
    struct login l;
    struct arena a;
    char name[64], peer[64];
    arena_init(&a, 1024 * 1024);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof name, "user%d-%d@kantor.example", t->number, i);
        (void)snprintf(peer, sizeof peer, "10.9.%d.1", t->number); /* each from a network of its own */
        (void)login_password(t->w->login, slice_of(name), SLICE("guess"), SCOPE_IMAP, slice_of(peer), &a, &l);
        arena_reset(&a);
    }
    arena_free(&a);
    return NULL;
}

static void in_a_storm_people_where_they_usually_are_find_a_place(void **state)
{
    struct world *w = *state;
    enum { THREADS = 40 };
    pthread_t threads[THREADS];
    struct thread_try tries[THREADS];
    struct login l;
    int64_t id = add_person(w, "budi@kantor.example", NULL);
    assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_NONE);
    for (int i = 0; i < THREADS; i++) {
        tries[i] = (struct thread_try){.w = w, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, guess_on, &tries[i]), 0);
    }
    for (int i = 0; i < 10; i++) {
        login_forget(w->login, id); /* so that it must be hashed again */
        assert_int_equal(try(w, "budi@kantor.example", "rahasia", SCOPE_IMAP, &l), ERROR_NONE);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
}

#define WITH_LOGIN(test) cmocka_unit_test_setup_teardown(test, open_with_login, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOGIN(the_right_password_opens_and_every_refusal_looks_the_same),
        WITH_LOGIN(nobody_of_a_suspended_domain_logs_in),
        WITH_LOGIN(an_unknown_name_costs_one_hash_like_a_known_one),
        WITH_LOGIN(a_success_is_remembered_until_the_password_changes),
        WITH_LOGIN(one_persons_success_is_not_anothers),
        WITH_LOGIN(a_password_is_the_same_however_it_is_composed),
        cmocka_unit_test(hashes_of_unfair_cost_are_not_taken),
        WITH_LOGIN(the_delay_grows_with_each_new_mistake_and_ends_with_a_success),
        WITH_LOGIN(a_message_without_a_name_does_not_wait_for_the_mistakes_of_others),
        WITH_LOGIN(one_network_that_tries_many_names_is_slowed),
        WITH_LOGIN(an_app_password_opens_its_scope_only_until_it_is_removed),
        WITH_LOGIN(the_main_password_survives_a_full_list_of_app_passwords),
        WITH_LOGIN(thirty_threads_with_one_password_cost_one_hash),
        WITH_LOGIN(a_storm_of_logins_is_told_to_come_back_later),
        WITH_LOGIN(a_spray_over_a_thousand_networks_slows_strangers_and_not_the_owner_where_he_usually_is),
        WITH_LOGIN(a_machine_of_our_own_waits_little_however_many_mistakes_come_through_it),
        WITH_LOGIN(in_a_storm_people_where_they_usually_are_find_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
