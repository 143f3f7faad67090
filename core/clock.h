/* core/clock.h -- all time in Kantor
 *
 * Nobody else asks the system for the time: tests put a fake clock here (clock_set_fake), and a jump of the wall clock never shortens a
 * deadline, because deadlines are counted by the monotonic one. Thread: any.
 */
#ifndef KANTOR_CORE_CLOCK_H
#define KANTOR_CORE_CLOCK_H

#include <stdint.h>

/* Seconds since the epoch, UTC. */
int64_t clock_now(void);
/* Milliseconds and microseconds of a clock that never goes back; only differences mean anything. */
int64_t clock_ms(void);
int64_t clock_us(void);
/* Tests: the wall clock stands at `at` until it is set again; 0 gives the real one back. */
void clock_set_fake(int64_t at);

#endif
