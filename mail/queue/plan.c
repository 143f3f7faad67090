/* mail/queue/plan.c -- waits, jitter, the end */
#include "mail/queue/plan.h"

static const struct plan standard = {{60, 300, 900, 1800, 3600, 7200, 14400}, 7};

static bool read_wait(struct slice text, int64_t *seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t n;
    if (text.n < 2 || !slice_number(slice_first(text, text.n - 1), 1000000, &n) || n == 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (text.p[text.n - 1] == units[i].unit) {
            *seconds = (int64_t)n * units[i].seconds;
            return true;
        }
    return false;
}

bool plan_read(struct slice text, struct plan *out)
{
    struct plan p = {.n = 0};
    *out = standard;
    while (text.n) {
        struct slice one = slice_first(text, slice_find(text, ','));
        text = slice_after(text, one.n + 1);
        if (p.n == PLAN_STEPS_MAX || !read_wait(slice_trim(one), &p.waits[p.n++]))
            return false;
    }
    if (p.n == 0)
        return false;
    *out = p;
    return true;
}

int64_t plan_wait(const struct plan *p, int64_t tries, uint64_t random)
{
    size_t step = tries < 0 ? 0 : (uint64_t)tries < p->n ? (size_t)tries : p->n - 1;
    return p->waits[step] + (int64_t)(random % (uint64_t)(p->waits[step] / 10 + 1));
}

int64_t plan_longest(const struct plan *p)
{
    int64_t most = 0;
    for (size_t i = 0; i < p->n; i++)
        most = p->waits[i] > most ? p->waits[i] : most;
    return most + most / 10;
}

int64_t plan_tries(const struct plan *p, int64_t lifetime_s)
{
    int64_t tries = 1, at = 0; /* the first try is made at once */
    for (size_t i = 0; i < p->n && at + p->waits[i] <= lifetime_s; i++, tries++)
        at += p->waits[i];
    if (tries > (int64_t)p->n)
        tries += (lifetime_s - at) / p->waits[p->n - 1];
    return tries / 2 ? tries / 2 : 1;
}

bool plan_over(const struct plan *p, int64_t created, int64_t expires, int64_t now, int64_t tries)
{
    return now >= expires && tries >= plan_tries(p, expires - created);
}
