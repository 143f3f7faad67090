/* tests/unit/core/net/outgoing_test.c -- connections that we open, to the toy's listeners in the same process */
#include "tests/unit/core/net/toy.h"

#include <semaphore.h>
#include <signal.h>

#include "core/net/outgoing.h"

/* One dialogue: says "echo N", hears it, says "tls" and "echo" again behind the handshake, and says good-bye. */
struct caller {
    int said, secured, heard;
    char why[160];
    sem_t over;
};

static struct error call_open(struct connection *c)
{
    (void)c;
    return OK;
}

static enum frame call_frame(struct connection *c)
{
    struct slice in = buffer_slice(&c->in);
    return slice_find(in, '\n') == in.n ? FRAME_MORE : FRAME_LOOP;
}

static enum run call_run(struct connection *c)
{
    struct caller *k = c->session;
    struct slice in = buffer_slice(&c->in), line = slice_first(in, slice_find(in, '\n'));
    int hello = slice_starts(line, SLICE("hello")), go = slice_starts(line, SLICE("go")), echo = slice_starts(line, SLICE("over TLS"));
    buffer_take(&c->in, line.n + 1);
    k->heard++;
    if (hello && c->tls)
        buffer_add(&c->out, SLICE("echo over TLS\r\n"));
    else if (hello)
        buffer_add(&c->out, SLICE("tls\r\n"));
    if (go)
        return RUN_TLS;
    if (echo)
        return RUN_CLOSE;
    return RUN_NEXT;
}

static struct ssl_st *call_tls(struct connection *c)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context ? SSL_new(context) : NULL;
    (void)c;
    SSL_CTX_free(context);
    return ssl;
}

static void call_secured(struct connection *c)
{
    struct caller *k = c->session;
    k->secured = c->tls;
    buffer_add(&c->out, SLICE("echo over TLS\r\n"));
}

static void call_close(struct connection *c)
{
    struct caller *k = c->session;
    (void)snprintf(k->why, sizeof k->why, "%s", c->why);
    (void)sem_post(&k->over);
}

static const struct protocol caller_protocol = {.name = "caller", .open = call_open, .frame = call_frame, .run = call_run, .secured = call_secured, .close = call_close, .tls = call_tls};
static const struct service caller_service = {.name = "caller", .tls = TLS_STARTTLS, .protocol = &caller_protocol, .idle_ms = 60000};
static const struct service caller_tls_service = {.name = "caller", .tls = TLS_IMPLICIT, .protocol = &caller_protocol, .idle_ms = 60000};
static const struct listener clear = {.service = &caller_service, .fd = -1}, secure = {.service = &caller_tls_service, .fd = -1};

static struct outgoing_peer to_port(int port, const struct listener *listener)
{
    struct outgoing_peer o = {.listener = listener, .to_length = sizeof(struct sockaddr_in)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(&o.to, &to, sizeof to);
    return o;
}

static void call(struct toy_server *s, struct caller *k, struct outgoing_peer o)
{
    *k = (struct caller){0};
    (void)sem_init(&k->over, 0, 0);
    assert_int_equal(outgoing_open(s->net, &o, k).code, ERROR_NONE);
    while (sem_wait(&k->over) != 0) { /* a signal */
    }
}

static void a_dialogue_runs_in_clear_text_and_goes_on_under_tls(void **state)
{
    struct toy_server *s = *state;
    struct caller k;
    call(s, &k, to_port(s->plain_port, &clear));
    assert_int_equal(k.heard, 3);
    assert_true(k.secured);
    assert_string_equal(k.why, "");
}

static void tls_may_come_first(void **state)
{
    struct toy_server *s = *state;
    struct caller k;
    call(s, &k, to_port(s->tls_port, &secure));
    assert_int_equal(k.heard, 2);
}

static void a_port_where_nobody_listens_ends_with_the_kernels_reason(void **state)
{
    struct toy_server *s = *state;
    struct caller k;
    int port, fd = toy_listener(&port);
    (void)close(fd);
    call(s, &k, to_port(port, &clear));
    assert_int_equal(k.heard, 0);
    assert_string_equal(k.why, "Connection refused");
}

static void a_server_that_does_not_speak_tls_ends_with_a_reason(void **state)
{
    struct toy_server *s = *state;
    struct caller k;
    call(s, &k, to_port(s->plain_port, &secure));
    assert_non_null(strstr(k.why, "TLS handshake failed"));
}

static void a_peer_that_never_answers_ends_at_the_deadline(void **state)
{
    struct toy_server *s = *state;
    struct caller k;
    int port, fd = toy_listener(&port); /* accepts in the kernel, says nothing */
    struct outgoing_peer o = to_port(port, &clear);
    o.idle_ms = 50;
    call(s, &k, o);
    assert_string_equal(k.why, "no answer in time");
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dialogue_runs_in_clear_text_and_goes_on_under_tls, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(tls_may_come_first, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(a_port_where_nobody_listens_ends_with_the_kernels_reason, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(a_server_that_does_not_speak_tls_ends_with_a_reason, toy_start, toy_stop),
        cmocka_unit_test_setup_teardown(a_peer_that_never_answers_ends_at_the_deadline, toy_start, toy_stop),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as start.c does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
