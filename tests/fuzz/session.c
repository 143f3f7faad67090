/* tests/fuzz/session.c */
#include "tests/fuzz/session.h"

#include <crypt.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "core/account/login.h"
#include "core/log.h"
#include "core/net/internal.h"
#include "core/options.h"
#include "core/server.h"
#include "mail/delivery/deliver.h"
#include "tests/fuzz/target.h"

enum { SESSIONS_A_STORE = 300, STEPS_MAX = 200000, OUTPUT_MAX = 64 * 1024 * 1024 };

static struct {
    char path[64];
    int sessions;
    struct arena arena;
    struct config config;
    struct server server;
    char hash[128];
} world;

static struct error fill(struct sql *db, void *arg)
{
    struct actor who = {0, 0};
    struct address u = {SLICE("u"), SLICE("k.example")}, v = {SLICE("v"), SLICE("k.example")};
    int64_t id;
    (void)arg;
    TRY(domain_add(db, SLICE("k.example"), &id));
    TRY(account_add(db, who, ACCOUNT_PERSON, &v, SLICE("v"), &id));
    TRY(account_add(db, who, ACCOUNT_PERSON, &u, SLICE("u"), &id));
    return password_set(db, id, slice_of(world.hash), NULL);
}

static void deliver(struct slice text)
{
    struct message m = {0};
    struct delivery_rcpt rcpt = {.address = {SLICE("u"), SLICE("k.example")}};
    struct delivery d = {.message = &m, .sender = SLICE("x@e.example"), .rcpts = &rcpt, .n_rcpts = 1, .job = "fuzz"};
    struct arena a;
    arena_init(&a, ARENA_REQUEST_MAX);
    blob_put_begin(world.server.store, &m.put);
    promise(blob_put_add(&m.put, text).code == ERROR_NONE && blob_put_end(&m.put).code == ERROR_NONE && message_prepare(&m, &a).code == ERROR_NONE);
    promise(delivery_run(world.server.store, &d, &a).code == ERROR_NONE && rcpt.result.code == ERROR_NONE);
    blob_put_drop(&m.put);
    arena_free(&a);
}

static void remove_world(void)
{
    char command[128];
    if (!world.server.store)
        return;
    login_service_free(world.server.login);
    store_close(world.server.store);
    (void)snprintf(command, sizeof command, "rm -rf %s", world.path);
    (void)!system(command);
    world.server.store = NULL;
}

static void make_store(void)
{
    (void)snprintf(world.path, sizeof world.path, "%s/kantor-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    struct store_options o = {.path = world.path, .readers = 2};
    promise(mkdtemp(world.path) && store_open(&o, &world.server.store).code == ERROR_NONE && login_service_new(world.server.store, &world.server.login).code == ERROR_NONE);
    promise(store_change(world.server.store, fill, NULL).code == ERROR_NONE);
    deliver(SLICE("From: a@b\r\nTo: u@k.example\r\nSubject: =?utf-8?q?h=C3=A9?=\r\nDate: Tue, 24 Nov 2026 08:00:00 +0700\r\n\r\nhello\r\n"));
    deliver(SLICE("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--x--\r\n"));
    deliver(SLICE("no head at all\r\n.\r\n..dots\r\n"));
}

static void make_world(void)
{
    static const struct net_options options = {.loops = 1, .workers = 4, .max_per_address = 1000, .max_per_account = 1000, .max_per_address_loopback = 1000, .max_per_account_loopback = 1000};
    log_setup(2, LOG_ERROR);
    arena_init(&world.arena, 1024 * 1024);
    promise(config_defaults(&world.arena, &world.config).code == ERROR_NONE);
    struct crypt_data data = {0};
    (void)snprintf(world.hash, sizeof world.hash, "%s", crypt_r("p", "$1$saltsalt$", &data));
    world.server.config = &world.config;
    world.server.hostname = "k.example";
    promise(net_new(&options, &world.server.net).code == ERROR_NONE);
    net_set_user(world.server.net, &world.server);
    (void)atexit(remove_world);
}

/* One look at the input as core/net/drive.c does it. False: the session ended, or waits for more input. */
static bool step(struct connection *c, bool *more, bool *parked)
{
    enum run r;
    promise(!c->out.failed && buffer_length(&c->out) < OUTPUT_MAX);
    buffer_clear(&c->out);
    if (!*more) {
        if (!*parked)
            arena_reset(&c->arena);
        c->want = 0;
        enum frame f = c->protocol->frame(c);
        if (f == FRAME_MORE || f == FRAME_CLOSE) {
            c->inner->killed = f == FRAME_CLOSE;
            return false;
        }
    }
    r = c->protocol->run(c);
    *more = r == RUN_MORE;
    *parked = r == RUN_PARK;
    c->want = 0;
    if (r == RUN_TLS) {
        c->tls = 1;
        buffer_clear(&c->in); /* drive.c closes when something is left */
        if (c->protocol->secured)
            c->protocol->secured(c);
    }
    c->inner->killed = r == RUN_CLOSE;
    return r != RUN_CLOSE;
}

static void converse(struct connection *c, const struct session_input *in)
{
    struct slice parts[] = {in->before, in->input};
    bool more = false, parked = false;
    int steps = 0;
    c->inner->killed = 0;
    for (size_t i = 0; i < 2; i++) {
        while (parts[i].n && !c->inner->killed) {
            size_t room = CONNECTION_INPUT_MAX - buffer_length(&c->in), n = in->piece && i ? in->piece : parts[i].n;
            if (room == 0)
                return; /* drive.c closes: the protocol takes nothing */
            struct slice piece = slice_first(slice_first(parts[i], n), room);
            buffer_add(&c->in, piece);
            parts[i] = slice_after(parts[i], piece.n);
            while ((more || buffer_length(&c->in)) && step(c, &more, &parked))
                promise(++steps < STEPS_MAX);
        }
    }
    c->input_ended = 1;
    while (!c->inner->killed && (more || buffer_length(&c->in)) && step(c, &more, &parked))
        promise(++steps < STEPS_MAX);
    if (!c->inner->killed && c->protocol->notice)
        (void)c->protocol->notice(c);
    if (c->protocol->farewell)
        c->protocol->farewell(c, CLOSE_SHUTDOWN);
}

void session_feed(const struct session_input *in)
{
    if (!world.server.net)
        make_world();
    if (world.sessions++ % SESSIONS_A_STORE == 0) {
        remove_world();
        make_store();
    }
    struct listener listener = {.service = in->service, .fd = -1, .port = in->service->port};
    struct connection_inner inner = {.fd = -1, .posts = POST_NOTICE /* no loop runs: a notice must not be queued */};
    struct connection c = {.protocol = in->service->protocol, .listener = &listener, .net = world.server.net, .peer = "127.0.0.1", .id = "fuzz", .loopback = 1, .tls = in->tls, .inner = &inner};
    arena_init(&c.arena, ARENA_REQUEST_MAX);
    promise(c.protocol->open(&c).code == ERROR_NONE);
    converse(&c, in);
    c.protocol->close(&c);
    (void)connection_login(&c, 0, SLICE(""));
    arena_free(&c.arena);
    buffer_free(&c.in);
    buffer_free(&c.out);
}
