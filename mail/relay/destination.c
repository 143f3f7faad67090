/* mail/relay/destination.c -- the table of destinations, and the heap that says which to look at next */
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "mail/relay/internal.h"

static size_t place_of(const struct relay *r, struct slice name)
{
    uint64_t h = 1469598103934665603U; /* FNV-1a: chains are walked by the relay's one thread */
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 1099511628211U;
    return (size_t)(h ^ h >> 29) & (r->n_table - 1);
}

static bool make_room(struct relay *r)
{
    if (r->n_destinations < r->n_table)
        return true;
    struct relay old = *r;
    r->n_table = old.n_table ? old.n_table * 2 : 256;
    r->table = calloc(r->n_table, sizeof(struct destination *));
    if (!r->table) {
        r->table = old.table;
        r->n_table = old.n_table;
        return old.n_table > 0;
    }
    for (size_t i = 0; i < old.n_table; i++) {
        for (struct destination *d = old.table[i], *next; d; d = next) {
            size_t at = place_of(r, d->name);
            next = d->next;
            d->next = r->table[at];
            r->table[at] = d;
        }
    }
    free(old.table);
    return true;
}

struct destination *destination_find(struct relay *r, struct slice name, bool make)
{
    if (!make_room(r))
        return NULL;
    size_t at = place_of(r, name);
    struct destination *d = r->table[at];
    while (d && !slice_eq(d->name, name))
        d = d->next;
    if (d || !make)
        return d;
    d = calloc(1, sizeof *d + name.n);
    if (!d)
        return NULL;
    memcpy(d + 1, name.p, name.n);
    d->relay = r;
    d->name = slice_make((const char *)(d + 1), name.n);
    d->window = WINDOW_FIRST;
    d->next = r->table[at];
    r->table[at] = d;
    r->n_destinations++;
    return d;
}

static void put(struct relay *r, size_t at, struct destination *d)
{
    r->heap[at] = d;
    d->heap_at = at;
}

static void sift_up(struct relay *r, struct destination *d)
{
    size_t at = d->heap_at;
    while (at > 1 && r->heap[at / 2]->look_ms > d->look_ms) {
        put(r, at, r->heap[at / 2]);
        at /= 2;
    }
    put(r, at, d);
}

static void sift_down(struct relay *r, struct destination *d)
{
    size_t at = d->heap_at;
    for (size_t child; (child = at * 2) <= r->n_heap; at = child) {
        if (child < r->n_heap && r->heap[child + 1]->look_ms < r->heap[child]->look_ms)
            child++;
        if (r->heap[child]->look_ms >= d->look_ms)
            break;
        put(r, at, r->heap[child]);
    }
    put(r, at, d);
}

void destination_look_at(struct destination *d, int64_t ms)
{
    struct relay *r = d->relay;
    if (d->heap_at) {
        if (ms >= d->look_ms)
            return;
        d->look_ms = ms;
        sift_up(r, d);
        return;
    }
    if (r->n_heap + 2 > r->room_heap) {
        size_t room = r->room_heap ? r->room_heap * 2 : 256;
        struct destination **heap = realloc(r->heap, room * sizeof(struct destination *));
        if (!heap)
            return; /* the next whole look at the queue finds it */
        r->heap = heap;
        r->room_heap = room;
    }
    d->look_ms = ms;
    d->heap_at = ++r->n_heap;
    sift_up(r, d);
}

static void take_out(struct relay *r, struct destination *d)
{
    struct destination *last = r->heap[r->n_heap--];
    size_t at = d->heap_at;
    d->heap_at = 0;
    if (last == d)
        return;
    put(r, at, last);
    sift_up(r, last);
    sift_down(r, last);
}

struct destination *destination_due(struct relay *r, int64_t now)
{
    if (r->n_heap == 0 || r->heap[1]->look_ms > now)
        return NULL;
    struct destination *d = r->heap[1];
    take_out(r, d);
    return d;
}

int64_t destination_first_ms(const struct relay *r)
{
    return r->n_heap ? r->heap[1]->look_ms : INT64_MAX;
}

static void free_one(struct destination *d)
{
    if (d->routing == ROUTING_ASKED || d->routing == ROUTING_ANSWERED)
        resolver_forget(d->asked);
    if (d->routing != ROUTING_NONE)
        route_end(&d->route);
    free(d);
}

void destination_forget(struct destination *d)
{
    struct relay *r = d->relay;
    struct destination **at = &r->table[place_of(r, d->name)];
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    r->n_destinations--;
    if (d->heap_at)
        take_out(r, d);
    free_one(d);
}

void relay_routes_changed(struct relay *r)
{
    if (!r)
        return;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    for (size_t i = 0; i < r->n_table; i++) {
        for (struct destination *d = r->table[i]; d; d = d->next) {
            d->route_until_ms = d->blocked_until_ms = 0;
            destination_look_at(d, clock_ms());
        }
    }
    relay_wake(r);
}

void destinations_free(struct relay *r)
{
    for (size_t i = 0; i < r->n_table; i++) {
        for (struct destination *d = r->table[i], *next; d; d = next) {
            next = d->next;
            free_one(d);
        }
    }
    free(r->table);
    free(r->heap);
}
