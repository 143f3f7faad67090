/* Messages of a SASL client: the first byte picks mechanism and connection, lines are its messages. "%N" in a message stands for the nonce that the
 * server gave, so that the last step of SCRAM is reached, too. */
#include <stdio.h>
#include <stdlib.h>

#include "core/account/sasl.h"
#include "core/buffer.h"
#include "core/log.h"
#include "tests/fuzz/target.h"

static struct login_service *service;

static struct error fill(struct sql *db, void *arg)
{
    int64_t id;
    struct address x = {SLICE("u"), SLICE("k.example")};
    const unsigned char *keys = arg;
    TRY(domain_add(db, SLICE("k.example"), &id));
    TRY(account_add(db, (struct actor){0, 0}, ACCOUNT_PERSON, &x, SLICE("u"), &id));
    return password_set(db, id, SLICE("$6$saltsalt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), keys);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char path[] = "/tmp/kantor-sasl-fuzz-XXXXXX";
    static unsigned char keys[SCRAM_KEYS];
    struct store *store;
    (void)argc;
    (void)argv;
    log_setup(2, LOG_ERROR);
    if (!mkdtemp(path) || store_open(&(struct store_options){.path = path, .readers = 1}, &store).code != ERROR_NONE || login_service_new(store, &service).code != ERROR_NONE ||
        scram_verifier(service, SLICE("u@k.example"), SLICE("p"), keys).code != ERROR_NONE || store_change(store, fill, keys).code != ERROR_NONE)
        abort();
    return 0;
}

static void add_message(struct buffer *b, struct slice line, struct slice nonce)
{
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '%' && i + 1 < line.n && line.p[i + 1] == 'N') {
            buffer_add(b, nonce);
            i++;
        } else {
            buffer_add_char(b, line.p[i]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const mechanisms[] = {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}; /* PLAIN and LOGIN hash: too slow to try often */
    if (size == 0)
        return 0;
    struct sasl_context context = {.scope = SCOPE_ALL, .peer = SLICE("192.0.2.1"), .tls = data[0] >> 1 & 1, .binding_exporter = SLICE("exporter"), .binding_unique = SLICE(""), .binding_endpoint = SLICE("end")};
    struct slice rest = slice_make((const char *)data + 1, size - 1), nonce = SLICE("");
    struct arena a;
    arena_init(&a, 1024 * 1024);
    struct sasl *x = sasl_new(service, slice_of(mechanisms[data[0] & 1]), &context, &a);
    enum sasl_state state = SASL_MORE;
    while (x && rest.n && state == SASL_MORE) {
        struct buffer message = {0};
        struct slice challenge, line = slice_first(rest, slice_find(rest, '\n'));
        rest = slice_after(rest, line.n + 1);
        add_message(&message, line, nonce);
        struct slice input = arena_copy(&a, buffer_slice(&message));
        buffer_free(&message);
        if (!input.p || sasl_step(x, input, &challenge, &state).code != ERROR_NONE)
            break;
        if (state == SASL_DONE && sasl_result(x)->account <= 0)
            abort();
        nonce = slice_starts(challenge, SLICE("r=")) ? slice_after(slice_first(challenge, slice_find(challenge, ',')), 2) : nonce;
    }
    arena_free(&a);
    return 0;
}
