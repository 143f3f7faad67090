/* mail/delivery/filter_cache.c -- compiled scripts, kept while they are used
 *
 * An entry belongs to a version, which is made of the script's source: who puts another script has another version, and equal scripts of a thousand people are one
 * entry. The least recently used ones go when together they have more than CACHE_BYTES; one that is lent goes when it comes back.
 */
#include <pthread.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "mail/delivery/filter_internal.h"

enum { CACHE_PLACES = 1024, CACHE_BYTES = 64 * 1024 * 1024, SCRIPT_MEMORY_MAX = 16 * 1024 * 1024 };

struct entry {
    struct compiled compiled; /* first: a borrower has a pointer to it */
    int64_t version;
    struct arena arena;
    uint64_t used;
    int lent;
    bool kept; /* stands in the table */
};

/* All under lock; `compiled` and `arena` of an entry do not change while it is lent. */
static struct {
    pthread_mutex_t lock;
    struct entry *all[CACHE_PLACES];
    uint64_t clock;
    size_t bytes;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void entry_free(struct entry *e)
{
    arena_free(&e->arena);
    free(e);
}

/* Out of the table; the last borrower frees it. */
static void forget(struct entry **place)
{
    struct entry *e = *place;
    *place = NULL;
    e->kept = false;
    cache.bytes -= e->arena.used;
    if (e->lent == 0)
        entry_free(e);
}

static struct entry **place_of(int64_t version) { return &cache.all[(uint64_t)version % CACHE_PLACES]; }

static struct entry *find(int64_t version)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&cache.lock);
    struct entry *e = *place_of(version);
    if (!e || e->version != version)
        return NULL;
    e->lent++;
    e->used = ++cache.clock;
    return e;
}

static void make_room(size_t bytes)
{
    while (cache.bytes + bytes > CACHE_BYTES) {
        struct entry **oldest = NULL;
        for (size_t i = 0; i < CACHE_PLACES; i++)
            if (cache.all[i] && (!oldest || cache.all[i]->used < (*oldest)->used))
                oldest = &cache.all[i];
        if (!oldest)
            return;
        forget(oldest);
    }
}

static void keep(struct entry *e)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&cache.lock);
    struct entry **place = place_of(e->version);
    if (*place)
        forget(place);
    make_room(e->arena.used);
    *place = e;
    e->kept = true;
    e->used = ++cache.clock;
    cache.bytes += e->arena.used;
}

static struct error compile(struct sql *db, const struct script *row, struct entry *e)
{
    struct script now;
    struct slice source;
    struct sieve_script *script;
    TRY(script_get(db, row->account, row->name, &e->arena, &now, &source));
    e->version = now.version;
    struct error failed = sieve_compile(source, &e->arena, &script, &e->compiled.fault);
    e->compiled.script = failed.code == ERROR_NONE ? script : NULL;
    return failed.code == ERROR_MEMORY ? failed : OK;
}

struct error compiled_lend(struct sql *db, const struct script *row, const struct compiled **out)
{
    struct entry *e = find(row->version);
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e)
            return error_make(ERROR_MEMORY, "no memory for a script");
        arena_init(&e->arena, SCRIPT_MEMORY_MAX);
        struct error failed = compile(db, row, e);
        if (failed.code != ERROR_NONE) {
            entry_free(e);
            return failed;
        }
        e->lent = 1;
        keep(e);
    }
    *out = &e->compiled;
    return OK;
}

void compiled_return(const struct compiled **c)
{
    struct entry *e = (struct entry *)(uintptr_t)*c;
    if (!e)
        return;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&cache.lock);
    if (--e->lent == 0 && !e->kept)
        entry_free(e);
}
