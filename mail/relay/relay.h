/* mail/relay/relay.h -- sends what stands in the queue to other servers
 *
 * One thread (dispatch.c) knows the destinations that have mail: when each is due, how many sessions it may have, whether it rests after a failure. A session
 * (session.c) is an outgoing connection that takes message after message of its destination. What became of a recipient is written by
 * report_finish, in one change with the reports that are owed; until then only this process knows that somebody is trying, so a crash means: again.
 */
#ifndef KANTOR_MAIL_RELAY_RELAY_H
#define KANTOR_MAIL_RELAY_RELAY_H

#include "core/error.h"

struct server;
struct relay;

/* Starts the thread, which reads what waits. After net_start. */
struct error relay_start(struct server *server, struct relay **out);
/* Takes no new work and forgets the network; before net_stop, which ends the sessions. */
void relay_stop(struct relay *r);
/* After net_stop. NULL is allowed. */
void relay_free(struct relay *r);
/* The configuration changed: looks at the whole queue. Any thread; NULL is allowed. */
void relay_look_again(struct relay *r);
/* The administrator said something new about routes: they are searched again, and who rests is tried again. Any thread. NULL is allowed. */
void relay_routes_changed(struct relay *r);

#endif
