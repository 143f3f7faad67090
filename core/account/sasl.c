/* core/account/sasl.c -- PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and -PLUS (RFC 5802, 7677) */
#include "core/account/sasl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/account/scram.h"
#include "core/cleanup.h"

enum { INPUT_MAX = 16 * 1024, NAME_MAX_BYTES = 320 };

struct mechanism;

struct sasl {
    const struct mechanism *mechanism;
    struct login_service *service;
    struct sasl_context context;
    struct arena *arena;
    struct login login;
    int step;
    struct slice name;
    /* SCRAM */
    struct slice gs2, first_bare, server_first, nonce;
    struct scram_keys *keys;
    size_t n_keys;
};

struct mechanism {
    struct slice name;
    int client_first, plus;
    struct error (*step)(struct sasl *x, struct slice input, struct slice *challenge, enum sasl_state *state);
};

#define REFUSED error_make(ERROR_AUTH, "wrong name or password")

/* Something to bind to: only then is -PLUS offered, and a client that says "y" was lied to. */
static bool can_bind(const struct sasl_context *c)
{
    return c->tls && c->binding_exporter.n + c->binding_unique.n + c->binding_endpoint.n > 0;
}

/* --- PLAIN and LOGIN */

static struct error plain_step(struct sasl *x, struct slice input, struct slice *challenge, enum sasl_state *state)
{
    if (!input.p) {
        *challenge = SLICE("");
        *state = SASL_MORE;
        return OK;
    }
    size_t one = slice_find(input, '\0');
    struct slice rest = slice_after(input, one + 1);
    size_t two = slice_find(rest, '\0');
    struct slice authzid = slice_first(input, one), name = slice_first(rest, two), password = slice_after(rest, two + 1);
    *state = SASL_DONE;
    x->name = arena_copy(x->arena, slice_first(one == input.n || two == rest.n ? SLICE("") : name, NAME_MAX_BYTES));
    if (!x->name.p)
        return error_make(ERROR_MEMORY, "no memory for a login");
    if (x->name.n == 0 || (authzid.n && !slice_eq_nocase(authzid, name))) {
        login_ended(x->service, x->name, x->context.peer, NULL);
        return REFUSED;
    }
    return login_password(x->service, name, password, x->context.scope, x->context.peer, x->arena, &x->login);
}

static struct error login_step(struct sasl *x, struct slice input, struct slice *challenge, enum sasl_state *state)
{
    *state = SASL_MORE;
    if (!input.p) {
        *challenge = SLICE("Username:"); /* clients.md S1: Thunderbird knows these two words only */
        return OK;
    }
    if (x->step++ == 0) {
        x->name = arena_copy(x->arena, slice_first(input, NAME_MAX_BYTES));
        *challenge = SLICE("Password:");
        return x->name.p ? OK : error_make(ERROR_MEMORY, "no memory for a login");
    }
    *state = SASL_DONE;
    return login_password(x->service, x->name, input, x->context.scope, x->context.peer, x->arena, &x->login);
}

/* --- SCRAM */

static struct slice encode(struct arena *a, const unsigned char *bytes, size_t n)
{
    unsigned char *text = arena_alloc(a, 4 * ((n + 2) / 3) + 1);
    return text ? slice_make((const char *)text, (size_t)EVP_EncodeBlock(text, bytes, (int)n)) : slice_make(NULL, 0);
}

/* Strict: whole groups, padding only at the end. Length, or -1. */
static int decode(struct slice s, unsigned char *out, size_t most)
{
    if (s.n == 0 || s.n % 4 || s.n / 4 * 3 > most)
        return -1;
    int n = EVP_DecodeBlock(out, (const unsigned char *)s.p, (int)s.n);
    if (n < 0)
        return -1;
    return n - (s.p[s.n - 1] == '=') - (s.p[s.n - 2] == '=');
}

/* The value of attribute `name=` at the front of *s up to the next comma. */
static bool attribute(struct slice *s, char name, struct slice *value)
{
    if (s->n < 2 || s->p[0] != name || s->p[1] != '=')
        return false;
    *value = slice_first(slice_after(*s, 2), slice_find(slice_after(*s, 2), ','));
    *s = slice_after(*s, 2 + value->n + 1);
    return true;
}

/* saslname (RFC 5802 5.1): =2C and =3D. */
static bool unescape(struct slice s, struct arena *a, struct slice *out)
{
    char *to = arena_alloc(a, s.n + 1);
    size_t n = 0;
    if (!to)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '=') {
            to[n++] = s.p[i];
        } else if (slice_starts(slice_after(s, i), SLICE("=2C"))) {
            to[n++] = ',';
            i += 2;
        } else if (slice_starts(slice_after(s, i), SLICE("=3D"))) {
            to[n++] = '=';
            i += 2;
        } else {
            return false;
        }
    }
    *out = slice_make(to, n);
    return n > 0 && n <= NAME_MAX_BYTES;
}

static struct error scram_first(struct sasl *x, struct slice input, struct slice *challenge)
{
    struct slice rest = input, name, nonce, canonical;
    unsigned char random[18], salt[16];
    int plus = x->mechanism->plus;
    /* gs2-header: n, y or p=type, then an optional authzid */
    size_t comma = slice_find(rest, ',');
    struct slice flag = slice_first(rest, comma);
    rest = slice_after(rest, comma + 1);
    if (plus ? !slice_starts(flag, SLICE("p=")) : !slice_eq(flag, SLICE("n")) && !slice_eq(flag, SLICE("y")))
        return REFUSED;
    if (slice_eq(flag, SLICE("y")) && can_bind(&x->context))
        return REFUSED; /* RFC 5802 6: the client believes that we offer no binding, but we did: somebody stands between */
    comma = slice_find(rest, ',');
    if (comma == rest.n || (comma && !slice_starts(rest, SLICE("a="))))
        return REFUSED;
    struct slice authzid = slice_after(slice_first(rest, comma), 2);
    rest = slice_after(rest, comma + 1);
    x->gs2 = arena_copy(x->arena, slice_first(input, input.n - rest.n));
    x->first_bare = arena_copy(x->arena, rest);
    struct slice raw;
    if (!attribute(&rest, 'n', &raw) || !attribute(&rest, 'r', &nonce) || nonce.n == 0 || nonce.n > 256 || !unescape(raw, x->arena, &name))
        return REFUSED;
    if (authzid.n && !(unescape(authzid, x->arena, &authzid) && slice_eq_nocase(authzid, name)))
        return REFUSED; /* nobody may be somebody else here */
    x->name = name;
    TRY(login_verifiers(x->service, name, x->context.scope, x->arena, &x->keys, &x->n_keys, &canonical));
    login_salt(x->service, canonical, salt);
    if (RAND_bytes(random, sizeof random) != 1)
        return error_make(ERROR_BUSY, "no random numbers");
    struct slice ours = encode(x->arena, random, sizeof random), salt_text = encode(x->arena, salt, sizeof salt);
    char *all = ours.p && salt_text.p ? arena_printf(x->arena, "r=%.*s%.*s,s=%.*s,i=%d", SLICE_ARG(nonce), SLICE_ARG(ours), SLICE_ARG(salt_text), SCRAM_ROUNDS) : NULL;
    if (!all || !x->gs2.p || !x->first_bare.p)
        return error_make(ERROR_MEMORY, "no memory for a login");
    x->server_first = slice_of(all);
    x->nonce = slice_make(all + 2, nonce.n + ours.n);
    *challenge = x->server_first;
    return OK;
}

/* c= must hold the gs2 header and, for -PLUS, the binding data of the type the client named. */
static bool binding_fits(const struct sasl *x, struct slice c)
{
    unsigned char got[1024];
    int n = decode(c, got, sizeof got);
    struct slice data = SLICE("");
    if (x->mechanism->plus) {
        struct slice type = slice_first(slice_after(x->gs2, 2), slice_find(slice_after(x->gs2, 2), ','));
        if (slice_eq(type, SLICE("tls-exporter")))
            data = x->context.binding_exporter;
        else if (slice_eq(type, SLICE("tls-unique")))
            data = x->context.binding_unique;
        else if (slice_eq(type, SLICE("tls-server-end-point")))
            data = x->context.binding_endpoint;
        if (data.n == 0)
            return false;
    }
    return n >= 0 && (size_t)n == x->gs2.n + data.n && memcmp(got, x->gs2.p, x->gs2.n) == 0 && CRYPTO_memcmp(got + x->gs2.n, data.p, data.n) == 0;
}

static struct error scram_final(struct sasl *x, struct slice input, struct slice *challenge)
{
    static const unsigned char nobody[SCRAM_KEYS] = {0};
    struct slice rest = input, c, r, p;
    unsigned char proof[48], signature[32];
    const struct scram_keys *fits = NULL;
    if (!attribute(&rest, 'c', &c) || !attribute(&rest, 'r', &r))
        return REFUSED;
    while (rest.n && rest.p[0] != 'p') /* extensions */
        rest = slice_after(rest, slice_find(rest, ',') + 1);
    struct slice without = slice_first(input, input.n - rest.n - (rest.n ? 1 : 0));
    if (!attribute(&rest, 'p', &p) || rest.n || decode(p, proof, sizeof proof) != 32 || !slice_eq(r, x->nonce) || !binding_fits(x, c))
        return REFUSED;
    char *auth = arena_printf(x->arena, "%.*s,%.*s,%.*s", SLICE_ARG(x->first_bare), SLICE_ARG(x->server_first), SLICE_ARG(without));
    if (!auth)
        return error_make(ERROR_MEMORY, "no memory for a login");
    struct slice message = slice_of(auth);
    for (size_t i = 0; i < x->n_keys; i++)
        if (scram_proof_fits(x->keys[i].keys, message, proof))
            fits = &x->keys[i];
    if (x->n_keys == 0)
        (void)scram_proof_fits(nobody, message, proof);
    if (!fits)
        return REFUSED;
    scram_sign(fits->keys, message, signature);
    struct slice v = encode(x->arena, signature, 32);
    char *text = v.p ? arena_printf(x->arena, "v=%.*s", SLICE_ARG(v)) : NULL;
    struct slice canonical;
    struct scram_keys *again;
    size_t n_again, still = 0;
    TRY(login_verifiers(x->service, x->name, x->context.scope, x->arena, &again, &n_again, &canonical));
    while (still < n_again && again[still].credential != fits->credential)
        still++;
    if (still == n_again)
        return REFUSED; /* revoked while the client was thinking */
    if (!text)
        return error_make(ERROR_MEMORY, "no memory for a login");
    x->login = (struct login){fits->account, fits->credential, canonical};
    *challenge = slice_of(text);
    return OK;
}

static struct error scram_step(struct sasl *x, struct slice input, struct slice *challenge, enum sasl_state *state)
{
    *state = SASL_MORE;
    if (!input.p) {
        *challenge = SLICE("");
        return OK;
    }
    if (x->step++ == 0)
        return scram_first(x, input, challenge);
    *state = SASL_DONE;
    struct error e = scram_final(x, input, challenge);
    if (e.code == ERROR_NONE || e.code == ERROR_AUTH)
        login_ended(x->service, x->name, x->context.peer, e.code == ERROR_NONE ? &x->login : NULL);
    return e;
}

static const struct mechanism mechanisms[] = {
    {{"PLAIN", 5}, 1, 0, plain_step},
    {{"LOGIN", 5}, 0, 0, login_step},
    {{"SCRAM-SHA-256", 13}, 1, 0, scram_step},
    {{"SCRAM-SHA-256-PLUS", 18}, 1, 1, scram_step},
};

enum { N_MECHANISMS = sizeof mechanisms / sizeof mechanisms[0] };

void sasl_names(const struct sasl_context *context, struct slice before, struct buffer *out)
{
    for (size_t i = 0; i < N_MECHANISMS; i++) {
        if (mechanisms[i].plus && !can_bind(context))
            continue;
        buffer_add(out, before);
        buffer_add(out, mechanisms[i].name);
    }
}

struct sasl *sasl_new(struct login_service *service, struct slice name, const struct sasl_context *context, struct arena *a)
{
    for (size_t i = 0; i < N_MECHANISMS; i++) {
        if (!slice_eq_nocase(name, mechanisms[i].name) || (mechanisms[i].plus && !can_bind(context)))
            continue;
        struct sasl *x = arena_zero(a, 1, sizeof *x);
        if (x) {
            x->mechanism = &mechanisms[i];
            x->service = service;
            x->context = *context;
            x->arena = a;
            x->name = SLICE("");
        }
        return x;
    }
    return NULL;
}

int sasl_client_first(const struct sasl *x)
{
    return x->mechanism->client_first;
}

struct error sasl_step(struct sasl *x, struct slice input, struct slice *challenge, enum sasl_state *state)
{
    *challenge = slice_make(NULL, 0);
    if (input.n > INPUT_MAX)
        return REFUSED;
    return x->mechanism->step(x, input, challenge, state);
}

const struct login *sasl_result(const struct sasl *x)
{
    return &x->login;
}

struct slice sasl_name(const struct sasl *x)
{
    return x->name;
}
