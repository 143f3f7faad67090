/* mail/signing/signers.c -- private keys from rows, kept */
#include "mail/signing/signers.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "core/cleanup.h"
#include "core/log.h"

enum { KEPT = 256 };

static struct {
    pthread_mutex_t lock; /* guards the rest */
    struct kept {
        char epoch[24]; /* of the store: another one has other rows */
        int64_t id;
        struct dkim_key key;
    } slots[KEPT]; /* by id; another one of the same place takes it over */
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool find_kept(const struct store *s, int64_t id, struct dkim_key *out)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&kept.lock);
    (void)held;
    const struct kept *k = &kept.slots[id % KEPT];
    if (strcmp(k->epoch, store_epoch(s)) != 0 || k->id != id || EVP_PKEY_up_ref(k->key.pkey) != 1)
        return false;
    *out = k->key;
    return true;
}

static void keep(const struct store *s, int64_t id, const struct dkim_key *key)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&kept.lock);
    (void)held;
    struct kept *k = &kept.slots[id % KEPT];
    if (EVP_PKEY_up_ref(key->pkey) != 1)
        return;
    dkim_key_free(&k->key);
    k->id = id;
    k->key = *key;
    (void)snprintf(k->epoch, sizeof k->epoch, "%s", store_epoch(s));
}

static struct error read_key(struct sql *db, int64_t id, struct dkim_key *out)
{
    struct buffer pem = {0};
    if (find_kept(sql_store(db), id, out))
        return OK;
    struct error e = domain_key_secret(db, id, &pem);
    if (e.code == ERROR_NONE)
        e = dkim_key_read(buffer_slice(&pem), out);
    if (pem.bytes)
        explicit_bzero(pem.bytes, pem.size);
    buffer_free(&pem);
    if (e.code == ERROR_NONE)
        keep(sql_store(db), id, out);
    return e;
}

struct error signers_load(struct sql *db, const struct domain *d, struct arena *a, struct signers *out)
{
    struct domain_key *all;
    size_t n;
    out->n = 0;
    TRY(domain_key_list(db, d->id, a, &all, &n));
    for (size_t i = 0; i < n && out->n < SIGNERS_MAX; i++) {
        struct dkim_key key;
        if (all[i].state != DOMAIN_KEY_ACTIVE)
            continue;
        struct error e = read_key(db, all[i].id, &key);
        if (e.code == ERROR_INVALID || e.code == ERROR_NOT_FOUND) {
            LOG_EVENT(LOG_ERROR, "domain-key-unreadable", LOG_TEXT("domain", d->name), LOG_TEXT("selector", all[i].selector), LOG_FAILURE(e));
            continue;
        }
        if (e.code != ERROR_NONE) {
            signers_free(out);
            return e;
        }
        out->keys[out->n] = key;
        out->all[out->n] = (struct dkim_signer){d->name, all[i].selector, &out->keys[out->n]};
        out->n++;
    }
    return OK;
}

void signers_free(struct signers *s)
{
    for (size_t i = 0; i < s->n; i++)
        dkim_key_free(&s->keys[i]);
    s->n = 0;
}
