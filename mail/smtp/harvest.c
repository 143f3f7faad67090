/* mail/smtp/harvest.c */
#include "mail/smtp/harvest.h"

#include <pthread.h>
#include <stdint.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "mail/filter/network.h"

enum { SLOTS = 4096, WINDOW_MS = 15 * 60 * 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct {
    uint64_t network;
    int64_t until_ms;
    int count;
} slots[SLOTS];

int harvest_note(const char *peer)
{
    unsigned char bytes[16];
    network_of(peer, bytes);
    uint64_t network = network_key(NETWORK_HASH_SECRET, &(struct slice){(const char *)bytes, sizeof bytes}, 1);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    int64_t now = clock_ms();
    size_t i = network % SLOTS;
    if (slots[i].network != network || slots[i].until_ms < now) {
        slots[i].network = network;
        slots[i].until_ms = now + WINDOW_MS;
        slots[i].count = 0;
    }
    return slots[i].count < INT32_MAX ? ++slots[i].count : slots[i].count;
}
