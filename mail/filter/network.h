/* mail/filter/network.h -- whom a client's address stands for, and keys of tables that strangers fill (attacks.md SI-35, SI-15)
 *
 * An IPv4 /24 and an IPv6 /64 is one: whoever has one address of it has the others. Thread: any.
 */
#ifndef KANTOR_MAIL_FILTER_NETWORK_H
#define KANTOR_MAIL_FILTER_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

/* Its 16 bytes as IPv6, also where it is written as ::ffff:192.0.2.1. False: it is no address. */
bool network_address(const char *peer, unsigned char out[16]);
/* The same without the bits of the host; zeros when it is no address. */
void network_of(const char *peer, unsigned char out[16]);
bool network_is_ipv4(const unsigned char address[16]);

/* A key of 64 bits for pieces of any bytes. SECRET: with a key of this process, so that nobody can choose pieces that collide. FIXED: the same after a restart. */
enum network_hash { NETWORK_HASH_SECRET, NETWORK_HASH_FIXED };
uint64_t network_key(enum network_hash how, const struct slice *pieces, size_t n);

#endif
