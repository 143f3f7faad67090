/* mail/relay/dane.h -- which TLSA records count for mail (RFC 7672 3.1, RFC 6698 2.1) */
#ifndef KANTOR_MAIL_RELAY_DANE_H
#define KANTOR_MAIL_RELAY_DANE_H

#include "core/slice.h"

/* Is it DANE-TA(2) or DANE-EE(3), of a selector and matching type that we know, with data of the right length? Anything else is unusable, which is not
 * the same as absent: TLS is asked for then, without a name (RFC 7672 2.2). `rdata`: any bytes, as on the wire. Thread: any. */
bool dane_usable(struct slice rdata);

#endif
