/* core/net/outgoing.h -- connections that we open, driven like those that we accept
 *
 * The protocol is the client's side of a dialogue: `frame` sees whether a whole reply is there, `run` takes it and writes the next command. `open` is called
 * once the connection stands (behind the handshake where the service begins with TLS), RUN_TLS makes the handshake with the SSL that `tls` gives,
 * `secured` follows it, and `close` is the last call in any case: also when nothing was ever connected, with the reason in c->why.
 *
 *     static const struct service relay = {.name = "relay", .tls = TLS_STARTTLS, .protocol = &relay_protocol, .idle_ms = 300000};
 *     TRY(outgoing_open(net, &(struct outgoing_peer){.listener = &listener, .to = address, .to_length = n}, session));
 */
#ifndef KANTOR_CORE_NET_OUTGOING_H
#define KANTOR_CORE_NET_OUTGOING_H

#include "core/net/service.h"

struct outgoing_peer {
    const struct listener *listener; /* of no port: its service says name, protocol, deadlines, and whether TLS comes first; lives as long as the net */
    struct sockaddr_storage to, from; /* from: the source address, family 0: the system's choice. AF_UNIX is allowed for `to` */
    socklen_t to_length;
    int64_t idle_ms; /* deadline without input while it connects and later; 0: the service's */
};

/* Begins to connect; never waits. After OK the session belongs to the connection: c->session from the first call on. Otherwise it stays the caller's.
 * ERROR_BUSY: we stop or have too many connections; ERROR_IO: no socket, no route (text says why, static). Any thread. */
struct error outgoing_open(struct net *n, const struct outgoing_peer *o, void *session);

#endif
