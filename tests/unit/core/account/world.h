/* A store in a temporary folder with two domains, for the tests of this folder */
#ifndef TESTS_CORE_ACCOUNT_WORLD_H
#define TESTS_CORE_ACCOUNT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/account/login.h"
#include "core/cleanup.h"
#include "core/log.h"

struct world {
    char path[64];
    struct store *store;
    struct arena arena;
    struct sql *db; /* a change's connection, inside IN_CHANGE */
    struct login_service *login;
};

static inline struct error add_domains(struct sql *db, void *arg)
{
    int64_t id;
    (void)arg;
    TRY(domain_add(db, SLICE("kantor.example"), &id));
    return domain_add(db, SLICE("cabang.example"), &id);
}

static inline int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    (void)snprintf(w->path, sizeof w->path, "/tmp/kantor-account-XXXXXX");
    assert_non_null(mkdtemp(w->path));
    arena_init(&w->arena, ARENA_REQUEST_MAX);
    struct store_options o = {.path = w->path, .readers = 4};
    assert_int_equal(store_open(&o, &w->store).code, ERROR_NONE);
    assert_int_equal(store_change(w->store, add_domains, NULL).code, ERROR_NONE);
    log_setup(2, LOG_ERROR);
    *state = w;
    return 0;
}

static inline int world_close(void **state)
{
    struct world *w = *state;
    char command[128];
    login_service_free(w->login);
    store_close(w->store);
    arena_free(&w->arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", w->path);
    (void)!system(command);
    free(w);
    return 0;
}

static inline struct address address_of(struct world *w, const char *text)
{
    struct address x;
    assert_int_equal(address_parse(slice_of(text), &w->arena, &x).code, ERROR_NONE);
    return x;
}

/* --- single changes, as a test writes them */

struct step {
    struct world *w;
    enum { ADD, ALIAS, FORWARD, MEMBER, FOREIGN, STATE, PASSWORD, APP, APP_REMOVE } what;
    const char *text, *target;
    int64_t account, other;
    int number;
    const unsigned char *keys;
    const struct app_password_new *made;
};

static inline struct error step_change(struct sql *db, void *arg)
{
    struct step *s = arg;
    struct address x = {0};
    if (s->what <= FORWARD)
        x = address_of(s->w, s->text);
    switch (s->what) {
    case ADD:
        return account_add(db, (struct actor){0, 0}, (enum account_kind)s->number, &x, slice_of(s->text), &s->account);
    case ALIAS:
        return address_add(db, &x, s->account, ADDRESS_ALIAS, SLICE(""));
    case FORWARD:
        return address_add(db, &x, s->account, ADDRESS_FORWARD, slice_of(s->target));
    case MEMBER:
        return member_add(db, s->account, s->other, SLICE(""));
    case FOREIGN:
        return member_add(db, s->account, 0, slice_of(s->text));
    case STATE:
        return account_set_state(db, s->account, (enum account_state)s->number);
    case PASSWORD:
        return password_set(db, s->account, slice_of(s->text), s->keys);
    case APP:
        return app_password_add(db, s->account, s->made, SLICE("phone"), s->number, &s->other);
    case APP_REMOVE:
        return app_password_remove(db, s->account, s->other);
    }
    return error_make(ERROR_INVALID, "no such step");
}

static inline enum error_code step(struct world *w, struct step s)
{
    s.w = w;
    return store_change(w->store, step_change, &s).code;
}

static inline int64_t add(struct world *w, enum account_kind kind, const char *name)
{
    struct step s = {.w = w, .what = ADD, .text = name, .number = (int)kind};
    assert_int_equal(store_change(w->store, step_change, &s).code, ERROR_NONE);
    return s.account;
}

/* A person with the password "rahasia"; the slow hash is made once for the whole program. */
static inline int64_t add_person(struct world *w, const char *name, const unsigned char *keys)
{
    static char hash[512];
    int64_t id = add(w, ACCOUNT_PERSON, name);
    if (!hash[0])
        (void)snprintf(hash, sizeof hash, "%s", password_hash(SLICE("rahasia"), &w->arena));
    assert_int_equal(step(w, (struct step){.what = PASSWORD, .account = id, .text = hash, .keys = keys}), ERROR_NONE);
    return id;
}

#endif
