/* mail/relay/route_host.h -- the addresses of one host, for route.c */
#ifndef KANTOR_MAIL_RELAY_ROUTE_HOST_H
#define KANTOR_MAIL_RELAY_ROUTE_HOST_H

#include "mail/relay/route.h"

struct route_address {
    struct sockaddr_storage to; /* with the port */
    socklen_t length;
};

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321 4.1.3): false when it is none. */
bool route_literal(struct slice text, struct route_address *out, unsigned port);
/* Loopback, unspecified, link-local, multicast, or this machine's own where that is not wanted. */
bool route_refused(const struct route *r, const struct route_address *x, unsigned port);
/* Gives a host the addresses of its answers, IPv6 first, at most `most`; notes in the route what was unknown or ours. ERROR_MEMORY. */
struct error route_host_addresses(struct route *r, struct route_host *h, const struct dns_answer *six, const struct dns_answer *four, size_t most);

#endif
