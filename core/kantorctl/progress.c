/* core/kantorctl/progress.c -- the progress line */
#include "core/kantorctl/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"

enum { EVERY_MS = 200 };

void progress_begin(struct progress *p)
{
    *p = (struct progress){.shown = isatty(2), .since_ms = clock_ms()};
}

static void write_remaining(const struct progress *p, int64_t took_ms)
{
    if (p->of_bytes <= 0 || p->bytes <= 0 || took_ms < 1000)
        return;
    int64_t left = p->of_bytes > p->bytes ? (p->of_bytes - p->bytes) * (took_ms / 100) / (p->bytes / 100 + 1) / 10 : 0;
    (void)fprintf(stderr, ", %lld%%, %lld:%02lld remaining", (long long)(p->bytes * 100 / p->of_bytes),
                  (long long)(left / 60), (long long)(left % 60));
}

void progress_show(struct progress *p)
{
    if (!p->shown)
        return;
    int64_t now = clock_ms(), took = now - p->since_ms;
    if (now - p->last_ms < EVERY_MS)
        return;
    p->last_ms = now;
    p->lines = 1;
    (void)fprintf(stderr, "\r\033[K%lld messages", (long long)p->messages);
    if (took > 0)
        (void)fprintf(stderr, ", %.1f MB/s, %lld/s", (double)p->bytes / 1048576.0 / ((double)took / 1000.0),
                      (long long)(p->messages * 1000 / took));
    write_remaining(p, took);
    (void)fflush(stderr);
}

void progress_clear(struct progress *p)
{
    if (p->lines)
        (void)fputs("\r\033[K", stderr);
    p->lines = 0;
}
