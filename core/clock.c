/* core/clock.c -- the one caller of clock_gettime */
#include "core/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fake_at;

static int64_t read_us(clockid_t which)
{
    struct timespec t;
    (void)clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now(void)
{
    int64_t fake = atomic_load_explicit(&fake_at, memory_order_relaxed);
    return fake ? fake : read_us(CLOCK_REALTIME) / 1000000;
}

int64_t clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

void clock_set_fake(int64_t at)
{
    atomic_store(&fake_at, at);
}
