/* core/net/network.h -- addresses and lists of networks, as options write them */
#ifndef KANTOR_CORE_NET_NETWORK_H
#define KANTOR_CORE_NET_NETWORK_H

#include <stdbool.h>

/* Is the address (IPv4, IPv6, or IPv4 as ::ffff:192.0.2.1) in one of the networks, parted by commas ("10.0.0.0/8, ::1")? What is no network is passed over. Thread: any. */
bool network_has(const char *networks, const char *address);

#endif
