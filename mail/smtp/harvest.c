/* mail/smtp/harvest.c */
#include "mail/smtp/harvest.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"

enum { SLOTS = 4096, WINDOW_MS = 15 * 60 * 1000, KEY_BYTES = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static unsigned char key[KEY_BYTES];
static int keyed;
static struct {
    uint64_t network;
    int64_t until_ms;
    int count;
} slots[SLOTS];

/* /24 of IPv4, also where it is written as ::ffff:192.0.2.1, and /64 of IPv6. */
static void network_of(const char *peer, unsigned char out[16])
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    memset(out, 0, 16);
    if (inet_pton(AF_INET, peer, out + 12) == 1)
        memcpy(out, mapped, sizeof mapped);
    else if (inet_pton(AF_INET6, peer, out) != 1)
        return;
    if (memcmp(out, mapped, sizeof mapped) == 0)
        out[15] = 0;
    else
        memset(out + 8, 0, 8);
}

int harvest_note(const char *peer)
{
    unsigned char text[KEY_BYTES + 16], hash[32];
    unsigned n = sizeof hash;
    uint64_t network;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    if (!keyed)
        keyed = RAND_bytes(key, sizeof key) == 1;
    memcpy(text, key, KEY_BYTES);
    network_of(peer, text + KEY_BYTES);
    if (EVP_Digest(text, sizeof text, hash, &n, EVP_sha256(), NULL) != 1)
        return 0;
    memcpy(&network, hash, sizeof network);
    int64_t now = clock_ms();
    size_t i = network % SLOTS;
    if (slots[i].network != network || slots[i].until_ms < now) {
        slots[i].network = network;
        slots[i].until_ms = now + WINDOW_MS;
        slots[i].count = 0;
    }
    return slots[i].count < INT32_MAX ? ++slots[i].count : slots[i].count;
}
