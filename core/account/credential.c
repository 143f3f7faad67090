/* core/account/credential.c -- rows of credentials: main password, app passwords */
#include "core/account/credential.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/account/password.h"
#include "core/cleanup.h"
#include "core/clock.h"

enum { APP_PASSWORDS_MAX = 64 };

struct error credential_list(struct sql *db, int64_t account, struct arena *a, struct credential **all, size_t *n)
{
    *n = 0;
    *all = arena_zero(a, APP_PASSWORDS_MAX + 2, sizeof **all);
    if (!*all)
        return error_make(ERROR_MEMORY, "no memory for credentials");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, kind, scope, secret, lookup, name, created, used, data FROM credential WHERE account = $1 ORDER BY kind, id LIMIT 66");
    sql_bind_int(st, 1, account);
    while (*n < APP_PASSWORDS_MAX + 2 && sql_row(st)) {
        struct credential *c = &(*all)[(*n)++];
        *c = (struct credential){.id = sql_int(st, 0), .kind = (int)sql_int(st, 1), .scope = (int)sql_int(st, 2), .name = arena_copy(a, sql_text(st, 5)), .created = sql_int(st, 6), .used = sql_int(st, 7)};
        struct slice secret = sql_blob(st, 3);
        size_t keys = secret.n >= SCRAM_KEYS && !sql_is_null(st, 8) ? SCRAM_KEYS : 0; /* data says that keys stand behind the secret */
        c->keys = arena_copy(a, slice_after(secret, secret.n - keys));
        c->secret = c->kind == CREDENTIAL_APP_PASSWORD ? arena_copy(a, sql_blob(st, 4)) : arena_copy(a, slice_first(secret, secret.n - keys));
    }
    return sql_result(st);
}

struct error credential_used(struct sql *db, int64_t id, int64_t at)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE credential SET used = $2 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, at);
    return sql_run(st);
}

static struct error insert(struct sql *db, int64_t account, int kind, struct slice lookup, struct slice secret, const unsigned char *keys, struct slice name, int scope)
{
    char both[512];
    size_t n = secret.n < sizeof both - SCRAM_KEYS ? secret.n : sizeof both - SCRAM_KEYS;
    memcpy(both, secret.p, n);
    if (keys)
        memcpy(both + n, keys, SCRAM_KEYS);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO credential (account, kind, lookup, secret, scope, name, created, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, kind);
    sql_bind_blob(st, 3, lookup);
    sql_bind_blob(st, 4, slice_make(both, n + (keys ? SCRAM_KEYS : 0)));
    sql_bind_int(st, 5, scope);
    sql_bind_text(st, 6, name);
    sql_bind_int(st, 7, clock_now());
    if (keys)
        sql_bind_text(st, 8, SLICE("scram-sha-256"));
    return sql_run(st);
}

struct error password_set(struct sql *db, int64_t account, struct slice hash, const unsigned char keys[SCRAM_KEYS])
{
    if (!password_hash_is_fair(hash))
        return error_make(ERROR_INVALID, "that form or cost of a password hash is not taken; yescrypt, bcrypt to cost 14, sha512-crypt to 1,000,000 rounds are");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM credential WHERE account = $1 AND kind = 1");
    sql_bind_int(st, 1, account);
    TRY(sql_run(st));
    return insert(db, account, CREDENTIAL_PASSWORD, slice_make(NULL, 0), hash, keys, slice_make(NULL, 0), SCOPE_ALL);
}

struct error password_add_keys(struct sql *db, int64_t credential, struct slice hash, const unsigned char keys[SCRAM_KEYS])
{
    char both[512];
    if (hash.n > sizeof both - SCRAM_KEYS)
        return error_make(ERROR_INVALID, "a hash that long has no keys");
    memcpy(both, hash.p, hash.n);
    memcpy(both + hash.n, keys, SCRAM_KEYS);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE credential SET secret = $2, data = $4 WHERE id = $1 AND kind = 1 AND data IS NULL AND secret = $3");
    sql_bind_int(st, 1, credential);
    sql_bind_blob(st, 2, slice_make(both, hash.n + SCRAM_KEYS));
    sql_bind_blob(st, 3, hash);
    sql_bind_text(st, 4, SLICE("scram-sha-256"));
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_CONFLICT, "the password has changed, or has keys");
}

/* --- app passwords */

void app_password_lookup(struct slice typed, unsigned char out[32])
{
    char plain[64];
    size_t n = 0;
    unsigned k = 32;
    for (size_t i = 0; i < typed.n && n < sizeof plain; i++)
        if (typed.p[i] != ' ' && typed.p[i] != '-')
            plain[n++] = ascii_lower(typed.p[i]);
    (void)EVP_Digest(plain, n, out, &k, EVP_sha256(), NULL);
    OPENSSL_cleanse(plain, sizeof plain);
}

struct error app_password_make(struct login_service *s, struct slice account_name, struct app_password_new *out)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32, none that is mistaken for another */
    unsigned char random[26];
    size_t at = 0;
    if (RAND_bytes(random, sizeof random) != 1)
        return error_make(ERROR_IO, "the system has no random numbers");
    for (size_t i = 0; i < sizeof random; i++) {
        if (i && i % 4 == 0)
            out->text[at++] = '-';
        out->text[at++] = letters[random[i] & 31];
    }
    out->text[at] = '\0';
    OPENSSL_cleanse(random, sizeof random);
    app_password_lookup(slice_of(out->text), out->lookup);
    return scram_verifier(s, account_name, slice_of(out->text), out->keys);
}

struct error app_password_add(struct sql *db, int64_t account, const struct app_password_new *made, struct slice name, int scope, int64_t *id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT count(*) FROM credential WHERE account = $1 AND kind = 2");
    sql_bind_int(st, 1, account);
    if (sql_row(st) && sql_int(st, 0) >= APP_PASSWORDS_MAX)
        return error_make(ERROR_LIMIT, "the account has too many app passwords; remove one first");
    TRY(sql_result(st));
    struct slice lookup = slice_make((const char *)made->lookup, 32);
    TRY(insert(db, account, CREDENTIAL_APP_PASSWORD, lookup, SLICE(""), made->keys, name, scope));
    *id = sql_inserted(db);
    return OK;
}

struct error app_password_list(struct sql *db, int64_t account, struct arena *a, struct app_password **all, size_t *n)
{
    struct credential *rows;
    size_t n_rows;
    *n = 0;
    TRY(credential_list(db, account, a, &rows, &n_rows));
    *all = arena_zero(a, n_rows + 1, sizeof **all);
    if (!*all)
        return error_make(ERROR_MEMORY, "no memory for app passwords");
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].kind == CREDENTIAL_APP_PASSWORD)
            (*all)[(*n)++] = (struct app_password){rows[i].id, rows[i].name, rows[i].scope, rows[i].created, rows[i].used};
    return OK;
}

struct error app_password_remove(struct sql *db, int64_t account, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM credential WHERE account = $1 AND id = $2 AND kind = 2");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, id);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such app password");
}

struct error login_is_app_password(struct sql *db, int64_t credential, bool *yes)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT kind FROM credential WHERE id = $1");
    sql_bind_int(st, 1, credential);
    *yes = sql_row(st) && sql_int(st, 0) == CREDENTIAL_APP_PASSWORD;
    return sql_result(st);
}
