/* core/process/notify.h -- what systemd wants to hear, without libsystemd
 *
 * The protocol is a datagram of KEY=VALUE lines to the socket that NOTIFY_SOCKET names (sd_notify(3)). The socket is connected at start, before the
 * sandbox, and the variables are taken out of the environment. Without systemd every function does nothing.
 */
#ifndef KANTOR_CORE_PROCESS_NOTIFY_H
#define KANTOR_CORE_PROCESS_NOTIFY_H

#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them. Main thread, before others exist. */
void notify_open(void);
/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…". Any thread. */
void notify_send(const char *state);
/* RELOADING=1 with the time it must carry (sd_notify(3)); READY=1 ends it. Any thread. */
void notify_reloading(void);
/* How often WATCHDOG=1 must be said at most (half of what systemd waits); 0: it does not watch. */
int64_t notify_watchdog_ms(void);

#endif
