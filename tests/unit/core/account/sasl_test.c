/* The SASL mechanisms, spoken to by a client written here from the RFCs */
#include "tests/unit/core/account/world.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/account/credential.h"
#include "core/account/sasl.h"
#include "core/account/scram.h"

static const struct sasl_context plain_context = {.scope = SCOPE_IMAP, .peer = {"192.0.2.1", 9}, .binding_exporter = {"", 0}, .binding_unique = {"", 0}, .binding_endpoint = {"", 0}};
static const struct sasl_context tls_context = {.scope = SCOPE_IMAP, .peer = {"192.0.2.1", 9}, .tls = 1, .binding_exporter = {"exporter-bytes", 14}, .binding_unique = {"", 0}, .binding_endpoint = {"end", 3}};

static int open_with_login(void **state)
{
    (void)world_open(state);
    struct world *w = *state;
    unsigned char keys[SCRAM_KEYS];
    assert_int_equal(login_service_new(w->store, &w->login).code, ERROR_NONE);
    assert_int_equal(scram_verifier(w->login, SLICE("budi@kantor.example"), SLICE("rahasia"), keys).code, ERROR_NONE);
    (void)add_person(w, "budi@kantor.example", keys);
    (void)add_person(w, "sari@kantor.example", NULL);
    return 0;
}

static const char *base64(struct world *w, struct slice s)
{
    unsigned char *out = arena_alloc(&w->arena, 4 * (s.n / 3 + 2));
    (void)EVP_EncodeBlock(out, (const unsigned char *)s.p, (int)s.n);
    return (const char *)out;
}

/* --- the arithmetic */

/* RFC 7677 3: user "user", password "pencil". */
static void the_example_of_rfc_7677_is_met(void **state)
{
    (void)state;
    unsigned char salt[64], keys[SCRAM_KEYS], proof[64], signature[32], text[64];
    const char *salt64 = "W22ZaJ0SNY7soEsUEjb6gQ==", *proof64 = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    struct slice auth = SLICE("n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
                              "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    assert_int_equal(EVP_DecodeBlock(salt, (const unsigned char *)salt64, 24), 18);
    assert_int_equal(EVP_DecodeBlock(proof, (const unsigned char *)proof64, 44), 33);
    assert_int_equal(scram_keys_make(SLICE("pencil"), slice_make((const char *)salt, 16), 4096, keys).code, ERROR_NONE);
    assert_true(scram_proof_fits(keys, auth, proof));
    scram_sign(keys, auth, signature);
    (void)EVP_EncodeBlock(text, signature, 32);
    assert_string_equal((char *)text, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    proof[31] ^= 1;
    assert_false(scram_proof_fits(keys, auth, proof));
}

/* --- PLAIN and LOGIN */

static enum error_code plain(struct world *w, struct slice message)
{
    struct sasl *x = sasl_new(w->login, SLICE("plain"), &plain_context, &w->arena);
    struct slice challenge;
    enum sasl_state state;
    return sasl_step(x, message, &challenge, &state).code;
}

static void plain_takes_the_three_fields_and_no_other_identity(void **state)
{
    struct world *w = *state;
    assert_int_equal(plain(w, SLICE("\0budi@kantor.example\0rahasia")), ERROR_NONE);
    assert_int_equal(plain(w, SLICE("Budi@kantor.example\0budi@kantor.example\0rahasia")), ERROR_NONE);
    assert_int_equal(plain(w, SLICE("sari@kantor.example\0budi@kantor.example\0rahasia")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("budi@kantor.example\0rahasia")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("\0budi@kantor.example\0rahasia\0")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("\0budi@kantor.example\0rahasia\0x")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("\0\0rahasia")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("\0budi@kantor.example\0")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("\0budi@kantor.example\0\xFF\xFE")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("\0")), ERROR_AUTH);
    assert_int_equal(plain(w, SLICE("\0\0")), ERROR_AUTH);
    char *large = arena_zero(&w->arena, 17 * 1024, 1);
    assert_int_equal(plain(w, slice_make(large, 17 * 1024)), ERROR_AUTH);
}

static void plain_without_initial_response_is_asked_with_an_empty_challenge(void **state)
{
    struct world *w = *state;
    struct sasl *x = sasl_new(w->login, SLICE("PLAIN"), &plain_context, &w->arena);
    struct slice challenge;
    enum sasl_state step_state;
    assert_true(sasl_client_first(x));
    assert_int_equal(sasl_step(x, slice_make(NULL, 0), &challenge, &step_state).code, ERROR_NONE);
    assert_true(step_state == SASL_MORE && challenge.p && challenge.n == 0);
    assert_int_equal(sasl_step(x, SLICE("\0budi@kantor.example\0rahasia"), &challenge, &step_state).code, ERROR_NONE);
    assert_int_equal(step_state, SASL_DONE);
    assert_true(slice_eq(sasl_result(x)->name, SLICE("budi@kantor.example")));
    assert_true(slice_eq(sasl_name(x), SLICE("budi@kantor.example")));
}

static void login_asks_its_two_words_and_takes_the_name_as_initial_response(void **state)
{
    struct world *w = *state;
    struct slice challenge;
    enum sasl_state step_state;
    for (int initial = 0; initial < 2; initial++) {
        struct sasl *x = sasl_new(w->login, SLICE("LOGIN"), &plain_context, &w->arena);
        if (!initial) {
            assert_int_equal(sasl_step(x, slice_make(NULL, 0), &challenge, &step_state).code, ERROR_NONE);
            assert_true(slice_eq(challenge, SLICE("Username:")) && step_state == SASL_MORE);
        }
        assert_int_equal(sasl_step(x, SLICE("budi@kantor.example"), &challenge, &step_state).code, ERROR_NONE);
        assert_true(slice_eq(challenge, SLICE("Password:")) && step_state == SASL_MORE);
        assert_int_equal(sasl_step(x, initial ? SLICE("rahasia") : SLICE("wrong"), &challenge, &step_state).code, initial ? ERROR_NONE : ERROR_AUTH);
        assert_int_equal(step_state, SASL_DONE);
    }
}

static void names_of_mechanisms_fit_the_connection(void **state)
{
    struct world *w = *state;
    struct buffer b = {0};
    sasl_names(&plain_context, SLICE(" "), &b);
    assert_true(slice_eq(buffer_slice(&b), SLICE(" PLAIN LOGIN SCRAM-SHA-256")));
    buffer_clear(&b);
    sasl_names(&tls_context, SLICE(" AUTH="), &b);
    assert_true(slice_eq(buffer_slice(&b), SLICE(" AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS")));
    buffer_free(&b);
    static const char *const none[] = {"SCRAM-SHA-256-PLUS", "CRAM-MD5", "NTLM", "ANONYMOUS", "EXTERNAL", "", "PLAIN "};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_null(sasl_new(w->login, slice_of(none[i]), &plain_context, &w->arena));
}

/* --- SCRAM */

struct client {
    const char *mechanism, *gs2, *name, *password;
    struct slice binding;         /* appended to the gs2 header in c= */
    const char *nonce_end;        /* appended to the nonce, NULL: the nonce as it is */
    const char *proof_end;        /* appended to the last message */
    const struct sasl_context *context;
    char server_first[256];
};

static void hmac(const unsigned char *key, struct slice text, unsigned char out[32])
{
    unsigned n = 32;
    (void)HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, out, &n);
}

static enum error_code scram(struct world *w, struct client *c, struct login *login)
{
    struct sasl *x = sasl_new(w->login, slice_of(c->mechanism), c->context ? c->context : &plain_context, &w->arena);
    struct slice challenge;
    enum sasl_state state;
    unsigned char salt[64], salted[32], key[32], stored[32], signature[32], proof[32];
    unsigned n = 32;
    assert_non_null(x);
    char *bare = arena_printf(&w->arena, "n=%s,r=abcdefgh", c->name);
    char *first = arena_printf(&w->arena, "%s%s", c->gs2, bare);
    struct error e = sasl_step(x, slice_of(first), &challenge, &state);
    if (e.code != ERROR_NONE)
        return e.code;
    assert_int_equal(state, SASL_MORE);
    struct slice server = arena_copy(&w->arena, challenge);
    (void)snprintf(c->server_first, sizeof c->server_first, "%.*s", SLICE_ARG(server));
    size_t comma = slice_find(server, ',');
    struct slice nonce = slice_after(slice_first(server, comma), 2), rest = slice_after(server, comma + 3);
    struct slice salt64 = slice_first(rest, slice_find(rest, ','));
    assert_true(slice_starts(nonce, SLICE("abcdefgh")));
    assert_true(slice_ends(server, SLICE(",i=60000")));
    assert_int_equal(salt64.n, 24);
    (void)EVP_DecodeBlock(salt, (const unsigned char *)salt64.p, 24);
    (void)PKCS5_PBKDF2_HMAC(c->password, (int)strlen(c->password), salt, 16, 60000, EVP_sha256(), 32, salted);
    struct buffer cbind = {0};
    buffer_add(&cbind, slice_of(c->gs2));
    if (c->binding.p)
        buffer_add(&cbind, c->binding);
    char *without = arena_printf(&w->arena, "c=%s,r=%.*s%s", base64(w, buffer_slice(&cbind)), SLICE_ARG(nonce), c->nonce_end ? c->nonce_end : "");
    buffer_free(&cbind);
    char *auth = arena_printf(&w->arena, "%s,%.*s,%s", bare, SLICE_ARG(server), without);
    hmac(salted, SLICE("Client Key"), key);
    (void)EVP_Digest(key, 32, stored, &n, EVP_sha256(), NULL);
    hmac(stored, slice_of(auth), signature);
    for (int i = 0; i < 32; i++)
        proof[i] = key[i] ^ signature[i];
    char *final = arena_printf(&w->arena, "%s,p=%s%s", without, base64(w, slice_make((char *)proof, 32)), c->proof_end ? c->proof_end : "");
    e = sasl_step(x, slice_of(final), &challenge, &state);
    assert_int_equal(state, SASL_DONE);
    if (e.code != ERROR_NONE)
        return e.code;
    hmac(salted, SLICE("Server Key"), key);
    hmac(key, slice_of(auth), signature);
    char *expected = arena_printf(&w->arena, "v=%s", base64(w, slice_make((char *)signature, 32)));
    assert_true(slice_eq(challenge, slice_of(expected))); /* the server proves itself, too */
    *login = *sasl_result(x);
    return ERROR_NONE;
}

static void scram_opens_with_the_right_password_only(void **state)
{
    struct world *w = *state;
    struct login l;
    struct client right = {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "Budi@kantor.example", .password = "rahasia"};
    assert_int_equal(scram(w, &right, &l), ERROR_NONE);
    assert_true(slice_eq(l.name, SLICE("budi@kantor.example")));
    struct client variants[] = {
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "budi@kantor.example", .password = "wrong"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "sari@kantor.example", .password = "rahasia"}, /* no verifier */
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "nobody@kantor.example", .password = "rahasia"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "budi@kantor.example", .password = "rahasia", .nonce_end = "x"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "budi@kantor.example", .password = "rahasia", .proof_end = ",x=y"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "budi@kantor.example", .password = "rahasia", .binding = SLICE("x")},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,a=sari@kantor.example,", .name = "budi@kantor.example", .password = "rahasia"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "p=tls-exporter,,", .name = "budi@kantor.example", .password = "rahasia"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,m=ext,", .name = "budi@kantor.example", .password = "rahasia"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "budi=40kantor.example", .password = "rahasia"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "", .password = "rahasia"},
        {.mechanism = "SCRAM-SHA-256", .gs2 = "", .name = "budi@kantor.example", .password = "rahasia"},
    };
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
        if (scram(w, &variants[i], &l) != ERROR_AUTH)
            fail_msg("variant %zu was let in", i);
    struct client same = {.mechanism = "scram-sha-256", .gs2 = "y,a=budi@kantor.example,", .name = "budi@kantor.example", .password = "rahasia"};
    assert_int_equal(scram(w, &same, &l), ERROR_NONE);
}

static void scram_plus_is_bound_to_its_connection(void **state)
{
    struct world *w = *state;
    struct login l;
    const struct client base = {.mechanism = "SCRAM-SHA-256-PLUS", .gs2 = "p=tls-exporter,,", .name = "budi@kantor.example", .password = "rahasia", .binding = SLICE("exporter-bytes"), .context = &tls_context};
    struct client c = base;
    assert_int_equal(scram(w, &c, &l), ERROR_NONE);
    c.gs2 = "p=tls-server-end-point,,";
    c.binding = SLICE("end");
    assert_int_equal(scram(w, &c, &l), ERROR_NONE);
    c.gs2 = "p=tls-unique,,"; /* not for TLS 1.3: there is none */
    c.binding = SLICE("");
    assert_int_equal(scram(w, &c, &l), ERROR_AUTH);
    c = base;
    c.binding = SLICE("exporter-other"); /* somebody stands between */
    assert_int_equal(scram(w, &c, &l), ERROR_AUTH);
    c = base;
    c.gs2 = "n,,";
    assert_int_equal(scram(w, &c, &l), ERROR_AUTH);
    c = base;
    c.mechanism = "SCRAM-SHA-256";
    c.gs2 = "y,,"; /* the list of mechanisms was changed on its way: RFC 5802 6 */
    c.binding = SLICE("");
    assert_int_equal(scram(w, &c, &l), ERROR_AUTH);
    c.gs2 = "n,,";
    assert_int_equal(scram(w, &c, &l), ERROR_NONE);
}

static void each_app_password_proves_itself_and_its_scope(void **state)
{
    struct world *w = *state;
    struct login l;
    struct account budi;
    struct app_password_new phone, laptop, other;
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
        assert_int_equal(account_find(db, SLICE("budi@kantor.example"), &w->arena, &budi).code, ERROR_NONE);
    }
    assert_int_equal(app_password_make(w->login, budi.name, &phone).code, ERROR_NONE);
    assert_int_equal(app_password_make(w->login, budi.name, &laptop).code, ERROR_NONE);
    assert_int_equal(app_password_make(w->login, budi.name, &other).code, ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = APP, .account = budi.id, .made = &phone, .number = SCOPE_IMAP}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = APP, .account = budi.id, .made = &laptop, .number = SCOPE_IMAP}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = APP, .account = budi.id, .made = &other, .number = SCOPE_DAV}), ERROR_NONE);
    int64_t seen[3] = {0};
    const char *const passwords[] = {"rahasia", phone.text, laptop.text};
    for (int i = 0; i < 3; i++) {
        struct client c = {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "budi@kantor.example", .password = passwords[i]};
        assert_int_equal(scram(w, &c, &l), ERROR_NONE);
        seen[i] = l.credential;
    }
    assert_true(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2]);
    struct client c = {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "budi@kantor.example", .password = other.text};
    assert_int_equal(scram(w, &c, &l), ERROR_AUTH);
}

static void unknown_names_get_a_steady_salt_like_known_ones(void **state)
{
    struct world *w = *state;
    struct login l;
    static const char *const pairs[][2] = {
        {"budi@kantor.example", "BUDI@Kantor.Example"}, {"nobody@kantor.example", "Nobody@KANTOR.example"}, {"sari@kantor.example", "\"sari\"@kantor.example"}, {"n@foreign.example", "N@foreign.example"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct client a = {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = pairs[i][0], .password = "x"}, b = a;
        b.name = pairs[i][1];
        assert_int_equal(scram(w, &a, &l), ERROR_AUTH);
        assert_int_equal(scram(w, &b, &l), ERROR_AUTH);
        assert_string_equal(strstr(a.server_first, ",s="), strstr(b.server_first, ",s="));
        assert_string_not_equal(a.server_first, b.server_first); /* the nonce is new */
    }
}

#define WITH_LOGIN(test) cmocka_unit_test_setup_teardown(test, open_with_login, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_7677_is_met),
        WITH_LOGIN(plain_takes_the_three_fields_and_no_other_identity),
        WITH_LOGIN(plain_without_initial_response_is_asked_with_an_empty_challenge),
        WITH_LOGIN(login_asks_its_two_words_and_takes_the_name_as_initial_response),
        WITH_LOGIN(names_of_mechanisms_fit_the_connection),
        WITH_LOGIN(scram_opens_with_the_right_password_only),
        WITH_LOGIN(scram_plus_is_bound_to_its_connection),
        WITH_LOGIN(each_app_password_proves_itself_and_its_scope),
        WITH_LOGIN(unknown_names_get_a_steady_salt_like_known_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
