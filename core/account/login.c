/* core/account/login.c -- the check of a password, its cost, its memory
 *
 * Three rules: an unknown name costs a hash like a known one; a success is remembered for some minutes as a keyed digest (never the
 * password); failures are counted by network and name, and only their answer waits.
 */
#include "core/account/login.h"

#include <arpa/inet.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/account/credential.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"

enum { CACHE_SLOTS = 4096, CACHE_MS = 5 * 60 * 1000, FAIL_SLOTS = 8192, FAIL_MS = 15 * 60 * 1000, HASHES_AT_ONCE = 2, HASHES_WAITING = 64, USED_SLOTS = 1024, DELAY_FIRST_MS = 250, DELAY_MAX_MS = 30000 };

struct remembered {
    unsigned char digest[32];
    int64_t account, credential, until_ms;
    int scope;
};

struct failures {
    uint64_t key;
    int64_t until_ms;
    uint32_t count;
};

struct login_service {
    struct store *store;
    unsigned char cache_key[32], secret[32]; /* cache_key dies with the process; secret is the store's */
    pthread_mutex_t lock;                    /* guards what follows */
    struct remembered cache[CACHE_SLOTS];
    struct failures failures[FAIL_SLOTS];
    int64_t used[USED_SLOTS][2]; /* credential, time */
    size_t n_used;
    pthread_cond_t permit;
    int hashing, waiting;
    char *dummy; /* a hash that no password fits */
};

/* --- making and freeing */

struct secret_change {
    unsigned char secret[32];
};

static struct error secret_get_or_make(struct sql *db, void *arg)
{
    struct secret_change *c = arg;
    struct arena a;
    struct slice text;
    char hex[65];
    arena_init(&a, 4096);
    struct error e = setting_get(db, 0, SLICE("scram-secret"), &a, &text);
    if (e.code == ERROR_NONE && text.n == 64) {
        for (int i = 0; i < 32; i++)
            c->secret[i] = (unsigned char)(ascii_hex(text.p[2 * i]) << 4 | ascii_hex(text.p[2 * i + 1]));
    } else if (e.code == ERROR_NOT_FOUND) {
        for (int i = 0; i < 32; i++)
            (void)snprintf(hex + 2 * i, 3, "%02x", c->secret[i]);
        e = setting_set(db, 0, SLICE("scram-secret"), slice_of(hex));
    }
    arena_free(&a);
    return e;
}

struct error login_service_new(struct store *store, struct login_service **out)
{
    struct login_service *s = calloc(1, sizeof *s);
    struct secret_change c;
    struct arena a;
    if (!s)
        return error_make(ERROR_MEMORY, "no memory for logins");
    s->store = store;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->permit, NULL);
    arena_init(&a, 64 * 1024);
    char *dummy = password_hash(SLICE("\x01no password fits this\x02"), &a);
    s->dummy = dummy ? strdup(dummy) : NULL;
    arena_free(&a);
    if (!s->dummy || RAND_bytes(s->cache_key, sizeof s->cache_key) != 1 || RAND_bytes(c.secret, sizeof c.secret) != 1) {
        login_service_free(s);
        return error_make(ERROR_MEMORY, "no random numbers or memory for logins");
    }
    struct error e = store_change(store, secret_get_or_make, &c);
    if (e.code != ERROR_NONE) {
        login_service_free(s);
        return e;
    }
    memcpy(s->secret, c.secret, sizeof s->secret);
    *out = s;
    return OK;
}

void login_service_free(struct login_service *s)
{
    if (!s)
        return;
    OPENSSL_cleanse(s->cache_key, sizeof s->cache_key);
    OPENSSL_cleanse(s->secret, sizeof s->secret);
    free(s->dummy);
    free(s);
}

/* --- hashing, a few at a time */

char *password_hash(struct slice password, struct arena *a)
{
    char *text = arena_string(a, password), *salt = crypt_gensalt_ra("$y$", 0, NULL, 0);
    struct crypt_data *data = calloc(1, sizeof *data);
    char *hash = text && salt && data ? crypt_r(text, salt, data) : NULL, *out = NULL;
    if (hash && hash[0] != '*')
        out = arena_string(a, slice_of(hash));
    if (text)
        OPENSSL_cleanse(text, password.n);
    free(salt);
    free(data);
    return out;
}

static bool hash_fits(const char *hash, struct slice password, struct arena *a)
{
    char *text = arena_string(a, password);
    struct crypt_data *data = calloc(1, sizeof *data);
    char *made = text && data ? crypt_r(text, hash, data) : NULL;
    size_t n = strlen(hash);
    bool fits = made && made[0] != '*' && strlen(made) == n && CRYPTO_memcmp(made, hash, n) == 0 && memchr(password.p, 0, password.n) == NULL;
    if (text)
        OPENSSL_cleanse(text, password.n);
    free(data);
    return fits;
}

/* False: too many wait. */
static bool permit_take(struct login_service *s)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    if (s->waiting >= HASHES_WAITING)
        return false;
    s->waiting++;
    while (s->hashing >= HASHES_AT_ONCE)
        (void)pthread_cond_wait(&s->permit, held);
    s->waiting--;
    s->hashing++;
    return true;
}

static void permit_give(struct login_service *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->hashing--;
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_cond_signal(&s->permit);
}

/* --- what is remembered */

static void digest_of(const struct login_service *s, int64_t account, struct slice password, unsigned char out[32])
{
    unsigned n = 32;
    unsigned char key[40];
    memcpy(key, s->cache_key, 32);
    memcpy(key + 32, &account, 8);
    (void)HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)password.p, password.n, out, &n);
    OPENSSL_cleanse(key, sizeof key);
}

static struct remembered *slot_of(struct login_service *s, const unsigned char digest[32])
{
    uint32_t i;
    memcpy(&i, digest, sizeof i);
    return &s->cache[i % CACHE_SLOTS];
}

static bool recall(struct login_service *s, int64_t account, struct slice password, int scope, int64_t *credential)
{
    unsigned char digest[32];
    digest_of(s, account, password, digest);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    (void)held;
    struct remembered *r = slot_of(s, digest);
    if (r->account != account || r->until_ms < clock_ms() || !(r->scope & scope) || CRYPTO_memcmp(r->digest, digest, 32) != 0)
        return false;
    *credential = r->credential;
    return true;
}

static void remember(struct login_service *s, int64_t account, struct slice password, int scope, int64_t credential)
{
    struct remembered r = {.account = account, .credential = credential, .until_ms = clock_ms() + CACHE_MS, .scope = scope};
    digest_of(s, account, password, r.digest);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    (void)held;
    *slot_of(s, r.digest) = r;
}

void login_forget(struct login_service *s, int64_t account)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    (void)held;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (s->cache[i].account == account)
            s->cache[i] = (struct remembered){0};
}

/* --- failures */

static struct failures *failures_of(struct login_service *s, struct slice name, struct slice peer)
{
    /* the network counts, not the address: /24 and /64 (attacks.md SI-35) */
    unsigned char hash[32], key[16] = {0};
    unsigned n = 32;
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(slice_first(peer, 60)));
    if (inet_pton(AF_INET, text, key) == 1)
        key[3] = 0;
    else if (inet_pton(AF_INET6, text, key) == 1)
        memset(key + 8, 0, 8);
    unsigned char all[16 + 256];
    size_t m = name.n < 256 ? name.n : 256;
    memcpy(all, key, 16);
    for (size_t i = 0; i < m; i++)
        all[16 + i] = (unsigned char)ascii_lower(name.p[i]);
    (void)HMAC(EVP_sha256(), s->cache_key, 32, all, 16 + m, hash, &n);
    uint64_t id;
    memcpy(&id, hash, sizeof id);
    struct failures *f = &s->failures[id % FAIL_SLOTS]; /* a collision evicts: the table never grows */
    if (f->key != id || f->until_ms < clock_ms())
        *f = (struct failures){.key = id};
    return f;
}

int64_t login_delay_ms(struct login_service *s, struct slice name, struct slice peer)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    (void)held;
    uint32_t count = failures_of(s, name, peer)->count;
    int64_t delay = count ? DELAY_FIRST_MS : 0;
    for (uint32_t i = 1; i < count && delay < DELAY_MAX_MS; i++)
        delay *= 2;
    return delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS;
}

static void note_used(struct login_service *s, int64_t credential)
{
    for (size_t i = 0; i < s->n_used; i++)
        if (s->used[i][0] == credential) {
            s->used[i][1] = clock_now();
            return;
        }
    if (s->n_used < USED_SLOTS) {
        s->used[s->n_used][0] = credential;
        s->used[s->n_used++][1] = clock_now();
    }
}

void login_ended(struct login_service *s, struct slice name, struct slice peer, const struct login *login)
{
    metric_add(login ? METRIC_LOGINS_OK : METRIC_LOGINS_FAILED, 1);
    LOG_EVENT(login ? LOG_INFO : LOG_WARN, login ? "login" : "login-failed", LOG_TEXT("name", slice_first(name, 320)), LOG_TEXT("peer", peer));
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    (void)held;
    struct failures *f = failures_of(s, name, peer);
    f->count = login ? 0 : f->count + 1;
    f->until_ms = clock_ms() + FAIL_MS;
    if (login)
        note_used(s, login->credential);
}

struct used_change {
    int64_t (*used)[2];
    size_t n;
};

static struct error write_used(struct sql *db, void *arg)
{
    struct used_change *c = arg;
    for (size_t i = 0; i < c->n; i++)
        TRY(credential_used(db, c->used[i][0], c->used[i][1]));
    return OK;
}

void login_flush_used(struct login_service *s)
{
    int64_t used[USED_SLOTS][2];
    (void)pthread_mutex_lock(&s->lock);
    struct used_change c = {used, s->n_used};
    memcpy(used, s->used, sizeof used);
    s->n_used = 0;
    (void)pthread_mutex_unlock(&s->lock);
    if (c.n)
        (void)store_change(s->store, write_used, &c); /* only a time for people to look at: losing one is no harm */
}

/* --- the check */

static struct error read_account(struct login_service *s, struct slice name, struct arena *a, struct account *account, struct credential **all, size_t *n)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s->store);
    *n = 0;
    *account = (struct account){0};
    struct error e = account_find(db, name, a, account);
    if (e.code == ERROR_NOT_FOUND || e.code == ERROR_INVALID) {
        account->id = 0;
        return OK;
    }
    TRY(e);
    return credential_list(db, account->id, a, all, n);
}

struct error login_password(struct login_service *s, struct slice name, struct slice password, int scope, struct slice peer, struct arena *a, struct login *out)
{
    struct account account;
    struct credential *all = NULL;
    size_t n;
    unsigned char lookup[32];
    TRY(read_account(s, name, a, &account, &all, &n));
    bool open = account.id && account.state == ACCOUNT_ACTIVE && account.kind != ACCOUNT_GROUP;
    *out = (struct login){.account = account.id, .name = account.name};
    if (open && recall(s, account.id, password, scope, &out->credential)) {
        login_ended(s, name, peer, out);
        return OK;
    }
    app_password_lookup(password, lookup);
    const char *hash = s->dummy;
    int64_t main_credential = 0;
    bool fits = false;
    for (size_t i = 0; i < n; i++) {
        if (all[i].kind == CREDENTIAL_PASSWORD) {
            hash = arena_string(a, all[i].secret);
            main_credential = all[i].id;
        } else if (all[i].kind == CREDENTIAL_APP_PASSWORD && all[i].secret.n == 32 && CRYPTO_memcmp(all[i].secret.p, lookup, 32) == 0 && all[i].scope & scope) {
            fits = true;
            out->credential = all[i].id;
        }
    }
    if (!fits) {
        if (!hash)
            return error_make(ERROR_MEMORY, "no memory for a login");
        if (!permit_take(s))
            return error_make(ERROR_BUSY, "too many logins at once, try again");
        fits = hash_fits(hash, password, a);
        permit_give(s);
        out->credential = main_credential;
    }
    fits = fits && open;
    if (fits)
        remember(s, account.id, password, out->credential == main_credential ? SCOPE_ALL : scope, out->credential);
    login_ended(s, name, peer, fits ? out : NULL);
    return fits ? OK : error_make(ERROR_AUTH, "wrong name or password");
}

/* --- SCRAM */

void login_salt(struct login_service *s, struct slice name, unsigned char salt[16])
{
    unsigned char hash[32];
    unsigned n = 32;
    (void)HMAC(EVP_sha256(), s->secret, 32, (const unsigned char *)name.p, name.n, hash, &n);
    memcpy(salt, hash, 16);
}

struct error scram_verifier(struct login_service *s, struct slice name, struct slice password, unsigned char keys[SCRAM_KEYS])
{
    unsigned char salt[16], salted[32], client[32];
    unsigned n = 32;
    login_salt(s, name, salt);
    if (PKCS5_PBKDF2_HMAC(password.p, (int)password.n, salt, 16, SCRAM_ROUNDS, EVP_sha256(), 32, salted) != 1)
        return error_make(ERROR_MEMORY, "no memory for a verifier");
    (void)HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, client, &n);
    (void)EVP_Digest(client, 32, keys, &n, EVP_sha256(), NULL);
    (void)HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Server Key", 10, keys + 32, &n);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client, sizeof client);
    return OK;
}

struct error login_verifiers(struct login_service *s, struct slice name, int scope, struct arena *a, struct scram_keys **out, size_t *n_out, struct slice *canonical)
{
    struct account account;
    struct credential *all = NULL;
    size_t n;
    TRY(read_account(s, name, a, &account, &all, &n));
    *n_out = 0;
    *canonical = account.id ? account.name : arena_copy(a, name);
    *out = arena_zero(a, n + 1, sizeof **out);
    if (!*out || !canonical->p)
        return error_make(ERROR_MEMORY, "no memory for a login");
    if (!account.id || account.state != ACCOUNT_ACTIVE || account.kind == ACCOUNT_GROUP)
        return OK;
    for (size_t i = 0; i < n; i++) {
        if (all[i].keys.n != SCRAM_KEYS || !(all[i].scope & scope))
            continue;
        struct scram_keys *k = &(*out)[(*n_out)++];
        k->account = account.id;
        k->credential = all[i].id;
        memcpy(k->keys, all[i].keys.p, SCRAM_KEYS);
    }
    return OK;
}
