/* core/account/login.c -- the check of a password, its cost, its memory
 *
 * Three rules: an unknown name costs a hash like a known one; a success is remembered for some minutes as a keyed digest (never the
 * password); failures are counted by network and name, and only their answer waits.
 */
#include "core/account/login.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/account/credential.h"
#include "core/account/password.h"
#include "core/account/scram.h"
#include "core/account/upgrade.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"

enum { CACHE_SLOTS = 16384, CACHE_WAYS = 4, CACHE_MS = 5 * 60 * 1000, WRONG_MS = 60 * 1000 };
enum { FAIL_SLOTS = 8192, FAIL_MS = 15 * 60 * 1000, FREE_OF_A_NETWORK = 20, FREE_OF_A_NAME = 50, DELAY_FIRST_MS = 250, DELAY_MAX_MS = 30000, DELAY_LOOPBACK_MAX_MS = 100 };
enum { HASHES_AT_ONCE = 2, HASHES_WAITING = 16, USED_SLOTS = 1024, NAME_BYTES_MAX = 512, KNOWN_SLOTS = 8192 };

#define KNOWN_MS (30LL * 86400 * 1000)

/* How many hashes may be under way for a newcomer to be let in: a storm from networks that already failed leaves room for others, and one from thousands of fresh
 * addresses leaves room for people where they usually are (attacks.md AC-12). */
enum places { PLACES_DISTRUSTED = HASHES_AT_ONCE + HASHES_WAITING / 4, PLACES_STRANGER = HASHES_AT_ONCE + HASHES_WAITING / 2, PLACES_KNOWN = HASHES_AT_ONCE + HASHES_WAITING };

enum verdict { NOT_KNOWN, RIGHT, WRONG };

struct remembered {
    unsigned char digest[32];
    int64_t account, until_ms;
    enum verdict verdict;
};

struct failures {
    uint64_t key;
    int64_t until_ms;
    uint32_t count;
};

/* A name that logged in from a network: it is no stranger there. */
struct known {
    uint64_t key;
    int64_t until_ms;
};

struct login_service {
    struct store *store;
    unsigned char cache_key[32], secret[32]; /* cache_key dies with the process; secret is the store's */
    pthread_mutex_t lock;                    /* guards what follows */
    struct remembered cache[CACHE_SLOTS];
    struct failures failures[FAIL_SLOTS];
    struct known known[KNOWN_SLOTS];
    int64_t used[USED_SLOTS][2]; /* credential, time */
    size_t n_used;
    pthread_cond_t permit;
    int hashing, n_flying;
    unsigned char flying[HASHES_AT_ONCE + HASHES_WAITING][32]; /* digests that are hashed or wait for it */
    uint64_t hashes;
    char *dummy; /* a hash that no password fits */
    struct upgrades *upgrades;
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
    s->upgrades = upgrades_new(s, store);
    if (!s->dummy || !s->upgrades || RAND_bytes(s->cache_key, sizeof s->cache_key) != 1 || RAND_bytes(c.secret, sizeof c.secret) != 1) {
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
    upgrades_free(s->upgrades);
    OPENSSL_cleanse(s->cache_key, sizeof s->cache_key);
    OPENSSL_cleanse(s->secret, sizeof s->secret);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->permit);
    OPENSSL_cleanse(s->cache, sizeof s->cache);
    free(s->dummy);
    free(s);
}

void login_upgrade_by(struct login_service *s, login_submit *submit, void *arg)
{
    upgrades_by(s->upgrades, submit, arg);
}

void login_upgrade_allow(struct login_service *s, enum login_upgrade how)
{
    upgrades_allow(s->upgrades, how);
}

/* --- what is remembered */

/* What was checked, as a keyed digest: the stored hash with its salt, and the password. A changed password is another stored hash, so an old success
 * means nothing to it; accounts made with one hash share the result. An unknown name stands for a hash of its own. */
static void digest_of(const struct login_service *s, const char *hash, struct slice name, struct slice password, unsigned char out[32])
{
    unsigned char parts[32 * 3];
    unsigned n = 32;
    (void)HMAC(EVP_sha256(), s->cache_key, 32, (const unsigned char *)hash, strlen(hash), parts, &n);
    (void)HMAC(EVP_sha256(), s->cache_key, 32, (const unsigned char *)name.p, name.n, parts + 32, &n);
    (void)HMAC(EVP_sha256(), s->cache_key, 32, (const unsigned char *)password.p, password.n, parts + 64, &n);
    (void)HMAC(EVP_sha256(), s->cache_key, 32, parts, sizeof parts, out, &n);
    OPENSSL_cleanse(parts, sizeof parts);
}

/* Four neighbours may hold a digest. */
static struct remembered *set_of(struct login_service *s, const unsigned char digest[32])
{
    uint32_t i;
    memcpy(&i, digest, sizeof i);
    return &s->cache[i % (CACHE_SLOTS / CACHE_WAYS) * CACHE_WAYS];
}

static enum verdict recall(struct login_service *s, const unsigned char digest[32])
{
    struct remembered *r = set_of(s, digest);
    for (int i = 0; i < CACHE_WAYS; i++)
        if (r[i].verdict != NOT_KNOWN && r[i].until_ms >= clock_ms() && CRYPTO_memcmp(r[i].digest, digest, 32) == 0)
            return r[i].verdict;
    return NOT_KNOWN;
}

/* Takes an empty or outlived place, else that of a failure (a storm of wrong passwords must not push out the right ones), else the oldest. */
static void remember(struct login_service *s, int64_t account, const unsigned char digest[32], enum verdict verdict)
{
    struct remembered *r = set_of(s, digest), *place = NULL;
    int64_t now = clock_ms();
    for (int i = 0; i < CACHE_WAYS && !place; i++)
        if (r[i].verdict == NOT_KNOWN || r[i].until_ms < now || CRYPTO_memcmp(r[i].digest, digest, 32) == 0)
            place = &r[i];
    for (int i = 0; i < CACHE_WAYS && !place; i++)
        if (r[i].verdict == WRONG)
            place = &r[i];
    if (!place && verdict == WRONG)
        return;
    if (!place) {
        place = r;
        for (int i = 1; i < CACHE_WAYS; i++)
            if (r[i].until_ms < place->until_ms)
                place = &r[i];
    }
    *place = (struct remembered){.account = account, .until_ms = now + (verdict == RIGHT ? CACHE_MS : WRONG_MS), .verdict = verdict};
    memcpy(place->digest, digest, 32);
}

/* --- hashing, a few at a time */

static bool in_flight(const struct login_service *s, const unsigned char digest[32])
{
    for (int i = 0; i < s->n_flying; i++)
        if (memcmp(s->flying[i], digest, 32) == 0)
            return true;
    return false;
}

static void flight_ends(struct login_service *s, const unsigned char digest[32])
{
    for (int i = 0; i < s->n_flying; i++)
        if (memcmp(s->flying[i], digest, 32) == 0) {
            memcpy(s->flying[i], s->flying[--s->n_flying], 32);
            return;
        }
}

/* RIGHT or WRONG as remembered or as hashed now; NOT_KNOWN: too many wait, or no memory. *again: this very attempt was refused before.
 * Whoever brings what is being hashed already waits for that result, so a phone with six connections costs one hash. */
static enum verdict judge(struct login_service *s, enum places places, int64_t account, const char *hash, struct slice name, struct slice password, struct arena *a, bool *again)
{
    unsigned char digest[32];
    digest_of(s, hash, name, password, digest);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    while (in_flight(s, digest))
        (void)pthread_cond_wait(&s->permit, held);
    enum verdict v = recall(s, digest);
    *again = v == WRONG;
    if (v != NOT_KNOWN || s->n_flying >= (int)places)
        return v;
    memcpy(s->flying[s->n_flying++], digest, 32);
    while (s->hashing >= HASHES_AT_ONCE)
        (void)pthread_cond_wait(&s->permit, held);
    s->hashing++;
    s->hashes++;
    (void)pthread_mutex_unlock(held);
    v = password_fits(hash, password, a) ? RIGHT : WRONG;
    (void)pthread_mutex_lock(held);
    s->hashing--;
    flight_ends(s, digest);
    remember(s, account, digest, v);
    (void)pthread_cond_broadcast(&s->permit);
    return v;
}

uint64_t login_hashes(struct login_service *s)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    (void)held;
    return s->hashes;
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

/* The network counts, not the address: /24 and /64 (attacks.md AC-13). */
static void network_of(struct slice peer, unsigned char net[16], bool *loopback)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, one[16] = {[15] = 1};
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(slice_first(peer, 60)));
    memset(net, 0, 16);
    *loopback = false;
    if (inet_pton(AF_INET, text, net + 12) == 1)
        memcpy(net, mapped, 12);
    else if (inet_pton(AF_INET6, text, net) != 1)
        return;
    *loopback = memcmp(net, one, 16) == 0 || (memcmp(net, mapped, 12) == 0 && net[12] == 127);
    if (memcmp(net, mapped, 12) == 0)
        net[15] = 0;
    else
        memset(net + 8, 0, 8);
}

static uint64_t key_of(const struct login_service *s, struct slice name, const unsigned char net[16])
{
    unsigned char hash[32], all[16 + 512];
    unsigned n = 32;
    size_t m = name.n < 512 ? name.n : 512;
    memcpy(all, net, 16);
    for (size_t i = 0; i < m; i++)
        all[16 + i] = (unsigned char)ascii_lower(name.p[i]);
    (void)HMAC(EVP_sha256(), s->cache_key, 32, all, 16 + m, hash, &n);
    uint64_t id;
    memcpy(&id, hash, sizeof id);
    return id;
}

/* The counter of a network and a name ("" for all names of that network, `everywhere` for all networks of a name). A collision evicts: the table never grows. */
static const unsigned char everywhere[16] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

static struct failures *failures_of(struct login_service *s, struct slice name, const unsigned char net[16])
{
    uint64_t id = key_of(s, name, net);
    struct failures *f = &s->failures[id % FAIL_SLOTS];
    if (f->key != id || f->until_ms < clock_ms())
        *f = (struct failures){.key = id};
    return f;
}

static bool is_known(const struct login_service *s, struct slice name, const unsigned char net[16])
{
    uint64_t id = key_of(s, name, net);
    const struct known *k = &s->known[id % KNOWN_SLOTS];
    return k->key == id && k->until_ms >= clock_ms();
}

static void make_known(struct login_service *s, struct slice name, const unsigned char net[16])
{
    uint64_t id = key_of(s, name, net);
    s->known[id % KNOWN_SLOTS] = (struct known){id, clock_ms() + KNOWN_MS};
}

/* The name as it is counted: canonical where it can be, so that "Budi@KANTOR.example." has no counter of its own. */
static struct slice counted_name(struct slice name, struct arena *a)
{
    struct address x;
    const char *text = name.n <= 512 && address_parse(name, a, &x).code == ERROR_NONE ? address_text(&x, a) : NULL;
    return text ? slice_of(text) : name;
}

static int64_t delay_of(uint32_t count)
{
    int64_t delay = count ? DELAY_FIRST_MS : 0;
    for (uint32_t i = 1; i < count && delay < DELAY_MAX_MS; i++)
        delay *= 2;
    return delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS;
}

int64_t login_delay_ms(struct login_service *s, struct slice name, struct slice peer)
{
    struct arena a;
    unsigned char net[16];
    bool loopback;
    arena_init(&a, 16 * 1024);
    name = counted_name(name, &a);
    network_of(peer, net, &loopback);
    (void)pthread_mutex_lock(&s->lock);
    /* without a name (a SASL message that cannot be read) only the network's counter speaks, which is the one of "" */
    int64_t one = name.n ? delay_of(failures_of(s, name, net)->count) : 0, all = 0;
    if (!loopback) { /* one password tried on ten thousand names, and ten thousand tried on one name from a thousand networks (AC-12) */
        uint32_t count = failures_of(s, SLICE(""), net)->count, named = name.n && !is_known(s, name, net) ? failures_of(s, name, everywhere)->count : 0;
        all = delay_of(count > FREE_OF_A_NETWORK ? count - FREE_OF_A_NETWORK : 0);
        int64_t of_name = delay_of(named > FREE_OF_A_NAME ? named - FREE_OF_A_NAME : 0);
        all = of_name > all ? of_name : all;
    }
    (void)pthread_mutex_unlock(&s->lock);
    arena_free(&a);
    int64_t delay = one > all ? one : all;
    return loopback && delay > DELAY_LOOPBACK_MAX_MS ? DELAY_LOOPBACK_MAX_MS : delay; /* whoever is on this machine may be a proxy for many */
}

static enum places places_of(struct login_service *s, struct slice name, struct slice peer, struct arena *a)
{
    unsigned char net[16];
    bool loopback;
    name = counted_name(name, a);
    network_of(peer, net, &loopback);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->lock);
    (void)held;
    if (loopback || is_known(s, name, net))
        return PLACES_KNOWN;
    return failures_of(s, SLICE(""), net)->count ? PLACES_DISTRUSTED : PLACES_STRANGER;
}

static void count_failure(struct login_service *s, struct slice name, const unsigned char net[16], int64_t for_ms)
{
    struct failures *f = failures_of(s, name, net);
    f->count += f->count < 1000;
    f->until_ms = clock_ms() + for_ms;
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

static void ended(struct login_service *s, struct slice name, struct slice peer, const struct login *login, bool again)
{
    struct arena a;
    unsigned char net[16];
    bool loopback;
    metric_add(login ? METRIC_LOGINS_OK : METRIC_LOGINS_FAILED, 1);
    LOG_EVENT(login ? LOG_INFO : LOG_WARN, login ? "login" : "login-failed", LOG_TEXT("name", slice_first(name, 320)), LOG_TEXT("peer", peer));
    arena_init(&a, 16 * 1024);
    name = counted_name(name, &a);
    network_of(peer, net, &loopback);
    (void)pthread_mutex_lock(&s->lock);
    if (login) {
        *failures_of(s, name, net) = (struct failures){0};
        make_known(s, name, net);
        note_used(s, login->credential);
    } else if (!again) { /* a phone with last week's password tells one thing, however often */
        if (name.n)
            count_failure(s, name, net, FAIL_MS);
        if (name.n && !loopback)
            count_failure(s, name, everywhere, FAIL_MS);
        count_failure(s, SLICE(""), net, FAIL_MS);
    }
    (void)pthread_mutex_unlock(&s->lock);
    arena_free(&a);
}

void login_ended(struct login_service *s, struct slice name, struct slice peer, const struct login *login)
{
    ended(s, name, peer, login, false);
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

static struct error domain_state_of(struct sql *db, int64_t domain, enum domain_state *state)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT state FROM domain WHERE id = $1");
    sql_bind_int(st, 1, domain);
    *state = sql_row(st) ? (enum domain_state)sql_int(st, 0) : DOMAIN_SUSPENDED;
    return sql_result(st);
}

/* *open: may log in at all. account->id 0: no such name. */
static struct error read_account(struct login_service *s, struct slice name, struct arena *a, struct account *account, struct credential **all, size_t *n, bool *open)
{
    enum domain_state state;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->store);
    *n = 0;
    *open = false;
    *account = (struct account){.name = SLICE("")};
    struct error e = name.n <= NAME_BYTES_MAX ? account_find(db, name, a, account) : error_make(ERROR_NOT_FOUND, "no such account");
    if (e.code == ERROR_NOT_FOUND || e.code == ERROR_INVALID) {
        account->id = 0;
        return OK;
    }
    TRY(e);
    TRY(domain_state_of(db, account->domain, &state));
    *open = account->state == ACCOUNT_ACTIVE && account->kind != ACCOUNT_GROUP && state == DOMAIN_ACTIVE;
    return credential_list(db, account->id, a, all, n);
}

/* The app password among the credentials, or NULL. All are compared, whichever fits. */
static const struct credential *find_app_password(const struct credential *all, size_t n, struct slice password)
{
    const struct credential *fits = NULL;
    unsigned char lookup[32];
    app_password_lookup(password, lookup);
    for (size_t i = 0; i < n; i++)
        if (all[i].kind == CREDENTIAL_APP_PASSWORD && all[i].secret.n == 32 && CRYPTO_memcmp(all[i].secret.p, lookup, 32) == 0)
            fits = &all[i];
    return fits;
}

static struct error check(struct login_service *s, struct slice name, struct slice password, int scope, struct slice peer, struct arena *a, struct login *out)
{
    struct account account;
    struct credential *all = NULL;
    size_t n;
    bool open, again = false, fits = false;
    TRY(read_account(s, name, a, &account, &all, &n, &open));
    const struct credential *main_password = NULL, *app = find_app_password(all, n, password);
    for (size_t i = 0; i < n; i++)
        if (all[i].kind == CREDENTIAL_PASSWORD)
            main_password = &all[i];
    *out = (struct login){.account = account.id, .name = account.name};
    if (app && app->scope & scope && open) { /* 128 random bits need no slow hash */
        fits = true;
        out->credential = app->id;
    } else { /* also for the right app password in the wrong place: its refusal costs what every refusal costs (attacks.md AC-07) */
        const char *hash = main_password ? arena_string(a, main_password->secret) : s->dummy;
        if (!hash)
            return error_make(ERROR_MEMORY, "no memory for a login");
        enum verdict v = judge(s, places_of(s, name, peer, a), account.id, hash, main_password ? SLICE("") : name, password, a, &again);
        if (v == NOT_KNOWN)
            return error_make(ERROR_BUSY, "too many logins at once, try again");
        fits = v == RIGHT && main_password && main_password->scope & scope;
        out->credential = main_password ? main_password->id : 0;
    }
    fits = fits && open;
    ended(s, name, peer, fits ? out : NULL, again);
    if (fits && main_password && out->credential == main_password->id)
        upgrades_proved(s->upgrades, account.id, account.name, main_password, password);
    return fits ? OK : error_make(ERROR_AUTH, "wrong name or password");
}

struct error login_password(struct login_service *s, struct slice name, struct slice password, int scope, struct slice peer, struct arena *a, struct login *out)
{
    *out = (struct login){.name = SLICE("")};
    if (password.n == 0 || password.n > PASSWORD_MAX || memchr(password.p, 0, password.n)) { /* nobody has such a password, so its cost tells nothing */
        ended(s, name, peer, NULL, false);
        return error_make(ERROR_AUTH, "wrong name or password");
    }
    struct slice prepared = password_prepare(password, a);
    if (!prepared.p)
        return error_make(ERROR_MEMORY, "no memory for a login");
    struct error e = check(s, name, prepared, scope, peer, a, out);
    password_forget(prepared);
    return e;
}

/* --- SCRAM */

/* The name whose salt a name has: an account that was renamed keeps the salt of its first name, as its verifiers do. */
static struct slice salt_name(struct login_service *s, struct slice name, struct arena *a)
{
    struct account account;
    struct slice salt = name;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->store);
    if (name.n <= NAME_BYTES_MAX && account_find(db, name, a, &account).code == ERROR_NONE && account_salt_name(db, &account, a, &salt).code != ERROR_NONE)
        salt = name;
    return salt;
}

void login_salt(struct login_service *s, struct slice name, unsigned char salt[16])
{
    unsigned char hash[32];
    unsigned n = 32;
    struct arena a;
    arena_init(&a, 16 * 1024);
    name = salt_name(s, name, &a);
    (void)HMAC(EVP_sha256(), s->secret, 32, (const unsigned char *)name.p, name.n, hash, &n);
    memcpy(salt, hash, 16);
    arena_free(&a);
}

struct error scram_verifier(struct login_service *s, struct slice name, struct slice password, unsigned char keys[SCRAM_KEYS])
{
    unsigned char salt[16];
    struct arena a;
    arena_init(&a, 16 * 1024);
    struct slice prepared = password_prepare(password, &a);
    login_salt(s, name, salt);
    struct error e = prepared.p ? scram_keys_make(prepared, slice_make((const char *)salt, sizeof salt), SCRAM_ROUNDS, keys) : error_make(ERROR_MEMORY, "no memory for a verifier");
    password_forget(prepared);
    arena_free(&a);
    return e;
}

struct error login_verifiers(struct login_service *s, struct slice name, int scope, struct arena *a, struct scram_keys **out, size_t *n_out, struct slice *canonical)
{
    struct account account;
    struct credential *all = NULL;
    size_t n;
    bool open;
    TRY(read_account(s, name, a, &account, &all, &n, &open));
    *n_out = 0;
    *canonical = account.id ? account.name : counted_name(name, a); /* "Budi@" and "budi@" get one salt, known or not */
    *out = arena_zero(a, n + 1, sizeof **out);
    if (!*out || !canonical->p)
        return error_make(ERROR_MEMORY, "no memory for a login");
    if (!open)
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
