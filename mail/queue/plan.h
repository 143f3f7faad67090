/* mail/queue/plan.h -- when a recipient is tried again, and when nobody tries any more
 *
 * Pure: times and numbers in, times and numbers out. The waits come from the option queue.retry ("1m,5m,15m,30m,1h,2h,4h"; the last one repeats) and are
 * spread by up to a tenth, so that what failed together does not come back together.
 *
 * Giving up needs both age and tries (attacks.md SO-17): after a jump of the clock, or a week in which this server was switched off, every message is old,
 * but none was tried often; so it goes on until half of the tries that the plan has for that age were made.
 */
#ifndef KANTOR_MAIL_QUEUE_PLAN_H
#define KANTOR_MAIL_QUEUE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

enum { PLAN_STEPS_MAX = 16 };

struct plan {
    int64_t waits[PLAN_STEPS_MAX]; /* seconds, behind the first, second … try; the last one repeats */
    size_t n;                      /* at least 1 */
};

/* Reads the option: times of at least a second, parted by commas ("90s", "5m", "4h", "1d"). False: what is wrong with it, and *out is the standard plan. */
bool plan_read(struct slice text, struct plan *out);
/* Seconds to wait after a try that failed, when `tries` were made before it. `random`: any number; it decides the jitter (0 to +10 %). */
int64_t plan_wait(const struct plan *p, int64_t tries, uint64_t random);
/* The longest wait that the plan can give. */
int64_t plan_longest(const struct plan *p);
/* How many tries must have been made before age counts, for a lifetime in seconds; at least 1. */
int64_t plan_tries(const struct plan *p, int64_t lifetime_s);
/* Is it over for a message that came at `created` and would live until `expires`, after `tries` tries? */
bool plan_over(const struct plan *p, int64_t created, int64_t expires, int64_t now, int64_t tries);

#endif
