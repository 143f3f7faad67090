/* core/net/rate.c -- how many commands an account or an address may give in a second
 *
 * A token bucket kept as one number (the "virtual scheduling" of ATM's GCRA): the time at which all commands taken so far are paid. Each command moves it on by one
 * interval; it is never further back than a whole burst. Whoever finds it in the future waits so long before the next command, so many connections of one owner
 * take turns. The table has a fixed size and a random seed: a bucket outlives its connections (who comes anew finds it as it was), a full one is as good as none and
 * gives its place away, and where four are in use the one that is nearest to full is forgotten.
 */
#include <openssl/rand.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/net/internal.h"

enum { SHARDS = 16, SETS = 256, WAYS = 4 }; /* 16,384 owners with commands in the last seconds; 256 KB */

struct bucket {
    uint64_t key;
    int64_t paid_us; /* 0: free place */
};

struct shard {
    pthread_mutex_t lock;
    struct bucket buckets[SETS][WAYS];
};

struct rates {
    uint64_t seed;
    struct shard shards[SHARDS];
};

struct rates *rates_new(void)
{
    struct rates *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    (void)RAND_bytes((unsigned char *)&r->seed, sizeof r->seed);
    for (int i = 0; i < SHARDS; i++)
        (void)pthread_mutex_init(&r->shards[i].lock, NULL);
    return r;
}

void rates_free(struct rates *r)
{
    if (!r)
        return;
    for (int i = 0; i < SHARDS; i++)
        (void)pthread_mutex_destroy(&r->shards[i].lock);
    free(r);
}

static uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9U;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebU;
    return h ^ (h >> 31);
}

/* Its own bucket, or the place of the one that is nearest to full. */
static struct bucket *place_of(struct bucket *set, uint64_t key)
{
    struct bucket *least = &set[0];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].paid_us < least->paid_us)
            least = &set[i];
    }
    *least = (struct bucket){.key = key};
    return least;
}

int64_t rate_take(struct rates *r, enum rate_owner owner, uint64_t id, int64_t per_second, int64_t burst)
{
    uint64_t key = mix(mix(id ^ r->seed) + (owner == RATE_ACCOUNT ? r->seed | 1 : 0));
    struct shard *s = &r->shards[key % SHARDS];
    int64_t now = clock_us(), full = now - burst * 1000000 / per_second;
    (void)pthread_mutex_lock(&s->lock);
    struct bucket *b = place_of(s->buckets[key / SHARDS % SETS], key);
    if (b->paid_us < full)
        b->paid_us = full;
    b->paid_us += 1000000 / per_second;
    int64_t wait = b->paid_us - now;
    (void)pthread_mutex_unlock(&s->lock);
    return wait > 0 ? wait : 0;
}

void connection_command(struct connection *c)
{
    struct net *n = c->net;
    struct connection_inner *in = c->inner;
    int64_t per_second = atomic_load_explicit(c->loopback ? &n->commands_loopback : &n->commands, memory_order_relaxed);
    int64_t burst = atomic_load_explicit(c->loopback ? &n->burst_loopback : &n->burst, memory_order_relaxed), wait = 0;
    if (per_second <= 0)
        return;
    if (in->account) /* only the owner writes these two */
        wait = rate_take(n->rates, RATE_ACCOUNT, (uint64_t)in->account, per_second, burst);
    else if (in->address_key)
        wait = rate_take(n->rates, RATE_ADDRESS, in->address_key, per_second, burst);
    if (wait)
        in->hold_until_ms = clock_ms() + wait / 1000 + 1;
}
