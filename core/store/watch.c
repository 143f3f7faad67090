/* core/store/watch.c -- cells by collection, watchers by cell; one lock, held for a few pointers at a time */
#include "core/store/watch.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/store/internal.h"

struct cell {
    int64_t collection;
    _Atomic int64_t modseq;
    struct watch *watchers;
    struct cell *next;
};

struct watch {
    struct store *store;
    struct cell *cell;
    void (*call)(void *);
    void *arg;
    struct watch *next, *prev;
};

static struct cell **slot(struct store *s, int64_t collection)
{
    return &s->cells[(uint64_t)collection * 0x9E3779B97F4A7C15U >> 32 & (s->size_cells - 1)];
}

static bool grow(struct store *s)
{
    size_t size = s->size_cells ? s->size_cells * 2 : 256, old_size = s->size_cells;
    struct cell **old = s->cells, **cells = calloc(size, sizeof *cells);
    if (!cells)
        return s->size_cells > 0;
    s->cells = cells;
    s->size_cells = size;
    for (size_t i = 0; i < old_size; i++) {
        for (struct cell *c = old[i], *next; c; c = next) {
            next = c->next;
            struct cell **to = slot(s, c->collection);
            c->next = *to;
            *to = c;
        }
    }
    free(old);
    return true;
}

static struct cell *find(struct store *s, int64_t collection)
{
    struct cell *c = s->size_cells ? *slot(s, collection) : NULL;
    while (c && c->collection != collection)
        c = c->next;
    return c;
}

static struct cell *find_or_make(struct store *s, int64_t collection)
{
    struct cell *c = find(s, collection);
    if (c || (s->n_cells >= s->size_cells && !grow(s)))
        return c;
    c = calloc(1, sizeof *c);
    if (c) {
        struct cell **to = slot(s, collection);
        c->collection = collection;
        c->next = *to;
        *to = c;
        s->n_cells++;
    }
    return c;
}

struct watch *watch_join(struct store *s, int64_t collection, void (*call)(void *), void *arg)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->watch_lock);
    (void)held;
    struct cell *c = find_or_make(s, collection);
    if (!c) {
        free(w);
        return NULL;
    }
    *w = (struct watch){.store = s, .cell = c, .call = call, .arg = arg, .next = c->watchers};
    if (c->watchers)
        c->watchers->prev = w;
    c->watchers = w;
    return w;
}

void watch_leave(struct watch *w)
{
    if (!w)
        return;
    struct store *s = w->store;
    struct cell *c = w->cell;
    (void)pthread_mutex_lock(&s->watch_lock);
    if (w->prev)
        w->prev->next = w->next;
    else
        c->watchers = w->next;
    if (w->next)
        w->next->prev = w->prev;
    if (!c->watchers) {
        struct cell **at = slot(s, c->collection);
        while (*at != c)
            at = &(*at)->next;
        *at = c->next;
        s->n_cells--;
        free(c);
    }
    (void)pthread_mutex_unlock(&s->watch_lock);
    free(w);
}

int64_t watch_modseq(const struct watch *w)
{
    return atomic_load(&w->cell->modseq);
}

void watch_note(struct sql *db, int64_t collection, int64_t modseq)
{
    struct store *s = sql_store(db);
    if (s->n_notes == s->size_notes) {
        size_t size = s->size_notes ? s->size_notes * 2 : 256;
        struct note *notes = realloc(s->notes, size * sizeof *notes);
        if (!notes)
            return; /* a watcher sleeps a little longer; nothing is lost: the rows are the truth */
        s->notes = notes;
        s->size_notes = size;
    }
    s->notes[s->n_notes++] = (struct note){collection, modseq};
}

void watch_publish(struct store *s)
{
    if (s->n_notes == 0)
        return;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&s->watch_lock);
    (void)held;
    for (size_t i = 0; i < s->n_notes; i++) {
        struct cell *c = find(s, s->notes[i].collection);
        if (!c || atomic_load(&c->modseq) >= s->notes[i].modseq)
            continue;
        atomic_store(&c->modseq, s->notes[i].modseq);
        for (struct watch *w = c->watchers; w; w = w->next)
            w->call(w->arg);
    }
    s->n_notes = 0;
}

void watch_free(struct store *s)
{
    for (size_t i = 0; i < s->size_cells; i++)
        for (struct cell *c = s->cells[i], *next; c; c = next) {
            next = c->next;
            free(c);
        }
    free(s->cells);
}
