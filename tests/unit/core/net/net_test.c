/* tests/unit/core/net/net_test.c -- many clients at once on four loops and eight workers; run it under TSan as well */
#include "tests/unit/core/net/toy.h"

#include <signal.h>

enum { CLIENTS = 8, ROUNDS = 6 };

/* Runs `body` on CLIENTS threads at once; each gives 0, or the number of what was wrong. */
struct crowd {
    struct toy_server *server;
    int number;
    int (*body)(struct toy_server *s, int number);
    int result;
};

static void *member(void *arg)
{
    struct crowd *m = arg;
    for (int i = 0; i < ROUNDS && m->result == 0; i++)
        m->result = m->body(m->server, m->number * ROUNDS + i);
    return NULL;
}

static void crowd(void **state, int (*body)(struct toy_server *s, int number))
{
    struct crowd all[CLIENTS];
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        all[i] = (struct crowd){*state, i, body, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, member, &all[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(all[i].result, 0);
}

#define WANT(number, condition)                                                                                                        \
    if (!(condition)) {                                                                                                                \
        client_close(&c);                                                                                                              \
        return (number);                                                                                                               \
    }

static int pipelines(struct toy_server *s, int number)
{
    struct toy_client c;
    char text[64];
    WANT(1, client_open(&c, s->plain_port) && client_hears(&c, "hello"));
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof text, "echo %d-%d\r\nping\r\nask\r\nwait\r\n", number, i);
        WANT(2, client_say(&c, text));
    }
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof text, "%d-%d", number, i);
        WANT(3, client_hears(&c, text) && client_hears(&c, "pong") && client_hears(&c, "answered") && client_hears(&c, "waited"));
    }
    WANT(4, client_say(&c, "bye\r\n") && client_hears(&c, "bye") && !client_hears(&c, ""));
    client_close(&c);
    return 0;
}

static void pipelined_commands_run_in_order_on_loops_and_workers(void **state)
{
    crowd(state, pipelines);
}

static int half_closes(struct toy_server *s, int number)
{
    struct toy_client c;
    char line[64];
    int steps = 0;
    (void)number;
    WANT(1, client_open(&c, s->plain_port) && client_say(&c, "slow\r\necho last\r\n") && shutdown(c.fd, SHUT_WR) == 0 && client_hears(&c, "hello"));
    while (client_line(&c, line, sizeof line) && line[0] == 'x')
        steps++;
    WANT(2, steps == TOY_STEPS && strcmp(line, "last") == 0);
    client_close(&c);
    return 0;
}

static void a_client_that_sends_no_more_still_gets_every_answer(void **state)
{
    crowd(state, half_closes);
}

static int goes_away(struct toy_server *s, int number)
{
    struct linger reset = {1, 0};
    struct toy_client c;
    WANT(1, client_open(&c, number % 2 ? s->plain_port : s->tls_port) && client_say(&c, "slow\r\nslow\r\npark\r\n"));
    if (number % 3 == 0)
        (void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    toy_notice_all();
    client_close(&c);
    return 0;
}

static void clients_that_vanish_in_the_middle_leave_nothing_behind(void **state)
{
    crowd(state, goes_away);
}

static int secures(struct toy_server *s, int number)
{
    struct toy_client c;
    if (number % 2) {
        WANT(1, client_open(&c, s->tls_port) && client_tls(&c) && client_hears(&c, "hello"));
    } else {
        WANT(2, client_open(&c, s->plain_port) && client_hears(&c, "hello") && client_say(&c, "tls\r\n") && client_hears(&c, "go") && client_tls(&c));
    }
    WANT(3, client_say(&c, "ping\r\necho a\r\n") && client_hears(&c, "pong") && client_hears(&c, "a"));
    WANT(4, client_say(&c, "compress\r\n") && client_hears(&c, "go") && client_compress(&c));
    WANT(5, client_say(&c, "echo b\r\nslow\r\n") && client_hears(&c, "b"));
    for (int i = 0; i < TOY_STEPS; i++) {
        char line[8];
        WANT(6, client_line(&c, line, sizeof line) && line[0] == 'x');
    }
    WANT(7, client_say(&c, "bye\r\n") && client_hears(&c, "bye"));
    client_close(&c);
    return 0;
}

static void tls_and_compression_come_and_go_while_others_do_the_same(void **state)
{
    crowd(state, secures);
}

static void *keeps_noticing(void *arg)
{
    const _Atomic int *stop = arg;
    while (!atomic_load(stop)) {
        toy_notice_all();
        (void)poll(NULL, 0, 1);
    }
    return NULL;
}

static int parks(struct toy_server *s, int number)
{
    struct toy_client c;
    WANT(1, client_open(&c, number % 2 ? s->plain_port : s->tls_port) && (number % 2 || client_tls(&c)) && client_hears(&c, "hello"));
    WANT(2, client_say(&c, "park\r\n") && client_hears(&c, "parked"));
    for (int i = 0; i < 5; i++)
        WANT(3, client_hears(&c, "notice"));
    client_close(&c);
    return 0;
}

static void notices_from_any_thread_reach_parked_connections(void **state)
{
    _Atomic int stop = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, keeps_noticing, &stop), 0);
    crowd(state, parks);
    atomic_store(&stop, 1);
    (void)pthread_join(thread, NULL);
}

static int is_killed(struct toy_server *s, int number)
{
    struct toy_client c;
    char line[64], name[32], command[64];
    (void)snprintf(name, sizeof name, "n%d", number);
    (void)snprintf(command, sizeof command, "login %s\r\n", name);
    WANT(1, client_open(&c, s->plain_port) && client_hears(&c, "hello") && client_say(&c, command) && client_hears(&c, "in") && client_say(&c, "park\r\n") && client_hears(&c, "parked"));
    struct arena a;
    struct net_session *all;
    size_t n;
    arena_init(&a, 16 * 1024 * 1024);
    struct error e = net_sessions(s->net, &a, &all, &n);
    for (size_t i = 0; e.code == ERROR_NONE && i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            (void)net_kill(s->net, all[i].id, 0);
    arena_free(&a);
    WANT(2, client_line(&c, line, sizeof line) && strcmp(line, "killed") == 0 && !client_line(&c, line, sizeof line));
    client_close(&c);
    return 0;
}

static void an_administrator_sees_sessions_and_ends_them(void **state)
{
    crowd(state, is_killed);
}

static _Atomic int tasks_run;

static void task(void *arg)
{
    (void)arg;
    atomic_fetch_add(&tasks_run, 1);
}

static int reloads(struct toy_server *s, int number)
{
    struct arena a;
    char chain[80], key[80];
    struct net_options o = {.max_connections = 5000, .max_per_address_loopback = 4000 + number, .max_per_account_loopback = 5000, .max_per_address = 1, .max_per_account = 1};
    arena_init(&a, 65536);
    (void)snprintf(chain, sizeof chain, "%s/c", s->folder);
    (void)snprintf(key, sizeof key, "%s/k", s->folder);
    const struct certificate_files files = {chain, key};
    struct error e = number % 4 ? OK : net_certificates(s->net, &files, 1, &a);
    net_configure(s->net, &o);
    atomic_store(&s->plain.idle_ms, 60000 + number);
    arena_free(&a);
    if (e.code != ERROR_NONE || net_submit(s->net, task, NULL).code != ERROR_NONE)
        return 100;
    (void)net_alive(s->net);
    return number % 2 ? secures(s, number) : pipelines(s, number);
}

static void certificates_limits_and_deadlines_change_under_way(void **state)
{
    crowd(state, reloads);
    assert_int_equal(atomic_load(&tasks_run), CLIENTS * ROUNDS);
}

static void *is_shut(void *arg)
{
    struct crowd *m = arg;
    struct toy_client c;
    char line[64];
    m->result = 1;
    if (client_open(&c, m->server->plain_port) && client_hears(&c, "hello") && client_say(&c, m->number % 2 ? "slow\r\n" : "park\r\n")) {
        while (client_line(&c, line, sizeof line))
            if (strcmp(line, "shutdown") == 0 || strcmp(line, "parked") == 0)
                m->result = 0;
        if (m->number % 2)
            m->result = 0; /* it was cut or finished; what matters is that it ends */
    }
    client_close(&c);
    return NULL;
}

static void the_end_of_the_server_ends_every_connection_whatever_it_does(void **state)
{
    struct crowd all[CLIENTS];
    pthread_t threads[CLIENTS];
    (void)state;
    for (int round = 0; round < 3; round++) {
        void *own = NULL;
        assert_int_equal(toy_start(&own), 0);
        for (int i = 0; i < CLIENTS; i++) {
            all[i] = (struct crowd){own, i, NULL, 0};
            assert_int_equal(pthread_create(&threads[i], NULL, is_shut, &all[i]), 0);
        }
        struct toy_server *s = own;
        while (net_connection_count(s->net) < CLIENTS)
            (void)poll(NULL, 0, 1);
        net_stop(s->net, 20000);
        for (int i = 0; i < CLIENTS; i++)
            (void)pthread_join(threads[i], NULL);
        assert_int_equal(toy_stop(&own), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pipelined_commands_run_in_order_on_loops_and_workers, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(a_client_that_sends_no_more_still_gets_every_answer, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(clients_that_vanish_in_the_middle_leave_nothing_behind, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(tls_and_compression_come_and_go_while_others_do_the_same, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(notices_from_any_thread_reach_parked_connections, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(an_administrator_sees_sessions_and_ends_them, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(certificates_limits_and_deadlines_change_under_way, toy_start, toy_stop),
        cmocka_unit_test(the_end_of_the_server_ends_every_connection_whatever_it_does),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as start.c does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
