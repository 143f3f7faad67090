/* mail/filter/rate.c -- how much mail may come in a minute from one address, one network, with one sender
 *
 * Token buckets kept as one number each (the time at which all that was taken is paid), in a table of fixed size with a secret hash: a million strangers cost
 * what one costs, a full bucket is as good as none, and where all places of a set are in use the one that is nearest to full is forgotten.
 * Who is too fast is answered late and with 450; who goes on in spite of it is sent away.
 */
#include <pthread.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/cleanup.h"
#include "core/net/network.h"
#include "mail/filter/filter.h"
#include "mail/filter/network.h"

enum { SETS = 4096, WAYS = 4, MINUTE_US = 60000000, DELAY_MS = 2000, PATIENCE = 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct {
    uint64_t key;
    int64_t paid_us; /* 0: free place */
} buckets[SETS][WAYS];

struct session {
    int refused;
};

/* True: there was one left. Nothing is taken otherwise. */
static bool take(uint64_t key, int64_t per_minute)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    int64_t now = clock_us(), full = now - MINUTE_US;
    size_t set = key % SETS, best = 0;
    for (size_t i = 0; i < WAYS; i++) {
        if (buckets[set][i].key == key) {
            best = i;
            break;
        }
        if (buckets[set][i].paid_us < buckets[set][best].paid_us)
            best = i;
    }
    if (buckets[set][best].key != key || buckets[set][best].paid_us < full) {
        buckets[set][best].key = key;
        buckets[set][best].paid_us = full;
    }
    int64_t paid = buckets[set][best].paid_us + MINUTE_US / per_minute;
    if (paid > now)
        return false;
    buckets[set][best].paid_us = paid;
    return true;
}

static bool is_free(const char *what, struct slice name, int64_t per_minute)
{
    struct slice pieces[] = {slice_of(what), name};
    return per_minute == 0 || take(network_key(NETWORK_HASH_SECRET, pieces, 2), per_minute);
}

static enum filter_run too_fast(struct filter_mail *m, struct session *s, const char *text)
{
    filter_refuse(m, "rate", 450, "4.7.1", text);
    m->delay_ms = DELAY_MS;
    m->close = ++s->refused >= PATIENCE;
    return FILTER_DONE;
}

static bool wanted(const struct config *c, const struct filter_mail *m)
{
    return m->source == FILTER_FROM_OUTSIDE && !m->loopback && (c->rate_address || c->rate_network || c->rate_recipients || c->rate_sender) && !network_has(c->filter_trusted, m->peer);
}

static enum filter_run run(struct filter_mail *m, enum filter_stage stage, void **state)
{
    const struct config *c = m->server->config;
    unsigned char bytes[16];
    if (stage == FILTER_END)
        return FILTER_DONE;
    struct session *s = *state ? *state : calloc(1, sizeof *s);
    if (!s)
        return FILTER_DONE; /* a passing fault must not refuse mail */
    *state = s;
    network_of(m->peer, bytes);
    struct slice network = slice_make((const char *)bytes, sizeof bytes);
    if (stage == FILTER_RCPT)
        return is_free("recipients", network, c->rate_recipients) ? FILTER_DONE : too_fast(m, s, "too many recipients from your network in a minute, try again later");
    if (!is_free("address", slice_of(m->peer), c->rate_address))
        return too_fast(m, s, "too many messages from your address in a minute, try again later");
    if (!is_free("network", network, c->rate_network))
        return too_fast(m, s, "too many messages from your network in a minute, try again later");
    if (m->sender.n && !is_free("sender", m->sender, c->rate_sender))
        return too_fast(m, s, "too many messages with this sender in a minute, try again later");
    return FILTER_DONE;
}

const struct filter filter_rate = {.name = "rate", .wanted = wanted, .run = run, .close = free};
