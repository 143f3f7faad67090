/* core/net/guard.c -- how many connections an address or an account has; what is no mail program at all
 *
 * An open-addressing table with a random seed, so that nobody can choose addresses that collide (attacks.md CO-15); entries leave with their
 * last connection, so it never holds more than the connections there are. All functions: under net->lock.
 */
#include <arpa/inet.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "core/net/internal.h"

void guard_init(struct guard *g)
{
    *g = (struct guard){0};
    (void)RAND_bytes((unsigned char *)&g->seed, sizeof g->seed);
}

void guard_free(struct guard *g)
{
    free(g->slots);
    g->slots = NULL;
}

static size_t place_of(const struct guard *g, uint64_t key)
{
    uint64_t h = key ^ g->seed;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9U;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebU;
    return (size_t)(h ^ (h >> 31)) & (g->size - 1);
}

static struct guard_slot *find(const struct guard *g, uint64_t key)
{
    size_t i = place_of(g, key);
    while (g->slots[i].count && g->slots[i].key != key)
        i = (i + 1) & (g->size - 1);
    return &g->slots[i];
}

static int grow(struct guard *g)
{
    struct guard old = *g;
    g->size = old.size ? old.size * 2 : 256;
    g->slots = calloc(g->size, sizeof *g->slots);
    if (!g->slots) {
        *g = old;
        return 0;
    }
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].count)
            *find(g, old.slots[i].key) = old.slots[i];
    free(old.slots);
    return 1;
}

uint32_t guard_count(const struct guard *g, uint64_t key)
{
    return g->size ? find(g, key)->count : 0;
}

int guard_enter(struct guard *g, uint64_t key)
{
    if (g->used * 2 >= g->size && !grow(g))
        return 0;
    struct guard_slot *s = find(g, key);
    if (s->count++ == 0) {
        s->key = key;
        g->used++;
    }
    return 1;
}

void guard_leave(struct guard *g, uint64_t key)
{
    struct guard_slot *s = g->size ? find(g, key) : NULL;
    if (!s || s->count == 0 || --s->count > 0)
        return;
    g->used--;
    /* close the gap, so that a search never stops early: move back what could stand here */
    size_t hole = (size_t)(s - g->slots);
    for (size_t i = (hole + 1) & (g->size - 1); g->slots[i].count; i = (i + 1) & (g->size - 1)) {
        size_t home = place_of(g, g->slots[i].key);
        if (((i - home) & (g->size - 1)) >= ((i - hole) & (g->size - 1))) {
            g->slots[hole] = g->slots[i];
            g->slots[i].count = 0;
            hole = i;
        }
    }
}

uint64_t guard_address_key(const char *address)
{
    struct in6_addr six;
    struct in_addr four;
    uint64_t key = 0;
    if (inet_pton(AF_INET, address, &four) == 1)
        return 0x100000000U | four.s_addr;
    if (inet_pton(AF_INET6, address, &six) != 1)
        return 0;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        memcpy(&four, six.s6_addr + 12, 4);
        return 0x100000000U | four.s_addr;
    }
    memcpy(&key, six.s6_addr, 8);
    return key ? key : 1; /* ::1 has an all-zero /64 */
}

bool connection_line_is_http(struct slice line)
{
    static const struct slice words[] = {{"GET ", 4}, {"POST ", 5}, {"HEAD ", 5}, {"CONNECT ", 8}, {"OPTIONS ", 8}, {"PUT ", 4}, {"Host:", 5}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (slice_starts(line, words[i]))
            return true;
    return false;
}
