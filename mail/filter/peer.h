/* mail/filter/peer.h -- one conversation with a program that judges mail (a milter), from a session that never waits with a worker
 *
 * The session puts bytes in and takes bytes out; a connection that the loops drive carries them. Both sides own the peer together, so either may end first.
 * When something came, the way became free, it ended or its deadline passed, `wake` is called. Thread: the session's side is one thread at a time.
 */
#ifndef KANTOR_MAIL_FILTER_PEER_H
#define KANTOR_MAIL_FILTER_PEER_H

#include "core/buffer.h"
#include "core/net/service.h"

enum { PEER_OUT_MAX = 512 * 1024, PEER_IN_MAX = 4 * 1024 * 1024 };

struct peer;

/* `where`: "unix:/path", "inet:127.0.0.1:8891", "inet:[::1]:8891" (addresses only: nobody is asked). ERROR_INVALID, ERROR_IO, ERROR_BUSY, ERROR_MEMORY. */
struct error peer_open(struct net *n, struct slice where, void (*wake)(void *arg), void *wake_arg, struct peer **out);
/* Says goodbye with `last` (sent when it can be), and forgets it: `wake` does not run any more. NULL is allowed. */
void peer_close(struct peer *p, struct slice last);
/* False: the way is full, or it is dead; come again when woken. */
bool peer_send(struct peer *p, struct slice bytes);
/* What came and was not taken; valid until the next call. */
struct slice peer_input(struct peer *p);
void peer_take(struct peer *p, size_t n);
/* It ended, or its deadline passed: what has come is all. */
bool peer_is_over(struct peer *p);
/* How long the answer that is waited for may take; 0: none is waited for. */
void peer_deadline(struct peer *p, int64_t ms);
/* Looks at deadlines; each second by a timer. Thread: worker. */
void peer_tick(void);

#endif
