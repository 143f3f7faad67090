/* core/account/upgrade.c -- a queue of proved passwords, and the worker's task that makes a verifier of one after the other */
#include "core/account/upgrade.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/log.h"

enum { WAITING_MAX = 64 }; /* passwords that stand in memory; cleaned as soon as they are used or dropped */

struct upgrade {
    struct upgrade *next;
    int64_t account, credential;
    struct slice name, hash, password; /* in text */
    size_t n;
    char text[];
};

struct upgrades {
    struct login_service *service;
    struct store *store;
    login_submit *submit; /* with its arg set before threads */
    void *submit_arg;
    pthread_mutex_t lock;           /* guards what follows */
    struct upgrade *first, *last;   /* the first is the one that is worked on: it stays here meanwhile, so that its account is not taken twice */
    int n;
    enum login_upgrade how;
};

struct upgrades *upgrades_new(struct login_service *s, struct store *store)
{
    struct upgrades *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->service = s;
    u->store = store;
    (void)pthread_mutex_init(&u->lock, NULL);
    return u;
}

static void forget(struct upgrade *x)
{
    OPENSSL_cleanse(x->text, x->n);
    free(x);
}

/* Under the lock. */
static void drop_all(struct upgrades *u)
{
    while (u->first) {
        struct upgrade *x = u->first;
        u->first = x->next;
        forget(x);
    }
    u->last = NULL;
    u->n = 0;
}

void upgrades_free(struct upgrades *u)
{
    if (!u)
        return;
    drop_all(u);
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}

void upgrades_by(struct upgrades *u, login_submit *submit, void *arg)
{
    u->submit = submit;
    u->submit_arg = arg;
}

void upgrades_allow(struct upgrades *u, enum login_upgrade how)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&u->lock);
    (void)held;
    u->how = how;
}

/* --- the work */

struct keys_change {
    const struct upgrade *x;
    const unsigned char *keys;
};

/* The name must still be this account's, since its salt is in the keys. */
static struct error put_keys(struct sql *db, void *arg)
{
    const struct keys_change *c = arg;
    struct account account;
    struct arena a;
    arena_init(&a, 64 * 1024);
    struct error e = account_find(db, c->x->name, &a, &account);
    if (e.code == ERROR_NONE && account.id != c->x->account)
        e = error_make(ERROR_CONFLICT, "the name went to another account");
    arena_free(&a);
    TRY(e);
    return password_add_keys(db, c->x->credential, c->x->hash, c->keys);
}

static void make_one(struct upgrades *u, const struct upgrade *x)
{
    unsigned char keys[SCRAM_KEYS];
    struct keys_change c = {x, keys};
    struct error e = scram_verifier(u->service, x->name, x->password, keys);
    if (e.code == ERROR_NONE)
        e = store_change(u->store, put_keys, &c);
    OPENSSL_cleanse(keys, sizeof keys);
    if (e.code == ERROR_NONE)
        LOG_EVENT(LOG_INFO, "scram-verifier-made", LOG_TEXT("name", x->name));
    else if (e.code != ERROR_CONFLICT && e.code != ERROR_NOT_FOUND) /* the password, the name or the account changed meanwhile: the next login asks again */
        LOG_EVENT(LOG_WARN, "scram-verifier-not-made", LOG_TEXT("name", x->name), LOG_FAILURE(e));
}

/* One a task, so that a school's first morning leaves the worker to others in between. */
static void work(void *arg)
{
    struct upgrades *u = arg;
    (void)pthread_mutex_lock(&u->lock);
    struct upgrade *x = u->first;
    bool wanted = u->how == LOGIN_UPGRADE_YES;
    (void)pthread_mutex_unlock(&u->lock);
    if (wanted)
        make_one(u, x);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&u->lock);
    (void)held;
    u->first = x->next;
    u->n--;
    forget(x);
    if (!u->first)
        u->last = NULL;
    else if (u->submit(u->submit_arg, work, u).code != ERROR_NONE)
        drop_all(u); /* the server stops, or has no room for tasks */
}

/* --- what is asked for */

static struct upgrade *copy(int64_t account, struct slice name, const struct credential *main_password, struct slice password)
{
    size_t n = name.n + main_password->secret.n + password.n;
    struct upgrade *x = malloc(sizeof *x + n);
    if (!x)
        return NULL;
    *x = (struct upgrade){.account = account, .credential = main_password->id, .n = n};
    memcpy(x->text, name.p, name.n);
    memcpy(x->text + name.n, main_password->secret.p, main_password->secret.n);
    memcpy(x->text + name.n + main_password->secret.n, password.p, password.n);
    x->name = slice_make(x->text, name.n);
    x->hash = slice_make(x->text + name.n, main_password->secret.n);
    x->password = slice_make(x->text + name.n + x->hash.n, password.n);
    return x;
}

/* Under the lock. */
static bool waits(const struct upgrades *u, int64_t account)
{
    for (const struct upgrade *x = u->first; x; x = x->next)
        if (x->account == account)
            return true;
    return false;
}

void upgrades_proved(struct upgrades *u, int64_t account, struct slice name, const struct credential *main_password, struct slice password)
{
    if (!u->submit || main_password->keys.n)
        return;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&u->lock);
    (void)held;
    if (u->how != LOGIN_UPGRADE_YES || u->n >= WAITING_MAX || waits(u, account))
        return;
    struct upgrade *x = copy(account, name, main_password, password);
    if (!x)
        return;
    if (u->last)
        u->last->next = x;
    else
        u->first = x;
    u->last = x;
    u->n++;
    if (u->n == 1 && u->submit(u->submit_arg, work, u).code != ERROR_NONE)
        drop_all(u);
}
