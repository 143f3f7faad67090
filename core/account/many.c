/* core/account/many.c -- many accounts at once, for benches and for a school's first day */
#include <stdio.h>

#include "core/account/login.h"

enum { BATCH = 50 }; /* accounts a change: the writer is held for some milliseconds, not for seconds */

struct adding {
    struct slice prefix, domain, hash;
    int64_t from, to, added;
    struct arena arena;
};

/* One name; one that stands already is passed over, so that the command can be given again with a larger count. */
static struct error add_one(struct sql *db, struct adding *x, int64_t number)
{
    struct address address;
    struct account there;
    int64_t id;
    char *name = arena_printf(&x->arena, "%.*s%lld@%.*s", SLICE_ARG(x->prefix), (long long)number, SLICE_ARG(x->domain));
    if (!name)
        return error_make(ERROR_MEMORY, "no memory for accounts");
    TRY(address_parse(slice_of(name), &x->arena, &address));
    struct error e = account_find(db, slice_of(name), &x->arena, &there);
    if (e.code != ERROR_NOT_FOUND)
        return e;
    TRY(account_add(db, (struct actor){0, 0}, ACCOUNT_PERSON, &address, slice_first(slice_of(name), slice_find(slice_of(name), '@')), &id));
    x->added++;
    return x->hash.n ? password_set(db, id, x->hash, NULL) : OK;
}

static struct error add_batch(struct sql *db, void *arg)
{
    struct adding *x = arg;
    x->added = 0;
    arena_reset(&x->arena);
    for (int64_t i = x->from; i <= x->to; i++)
        TRY(add_one(db, x, i));
    return OK;
}

struct error account_add_many(struct store *store, struct slice prefix, int64_t count, struct slice domain, struct slice hash, int64_t *added)
{
    struct adding x = {.prefix = prefix, .domain = domain, .hash = hash};
    struct error e = OK;
    *added = 0;
    if (prefix.n > 64 || domain.n > 255 || count < 1 || count > 1000000)
        return error_make(ERROR_INVALID, "the count is 1 to 1,000,000, the prefix at most 64 bytes");
    arena_init(&x.arena, 1024 * 1024);
    for (x.from = 1; x.from <= count && e.code == ERROR_NONE; x.from += BATCH) {
        x.to = x.from + BATCH - 1 < count ? x.from + BATCH - 1 : count;
        e = store_change(store, add_batch, &x);
        *added += e.code == ERROR_NONE ? x.added : 0;
    }
    arena_free(&x.arena);
    return e;
}
