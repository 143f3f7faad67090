/* mail/relay/dane.c -- which TLSA records count */
#include "mail/relay/dane.h"

enum { DATA_AT = 3, SHA256_BYTES = 32, SHA512_BYTES = 64 };

bool dane_usable(struct slice rdata)
{
    if (rdata.n <= DATA_AT)
        return false;
    unsigned char usage = (unsigned char)rdata.p[0], selector = (unsigned char)rdata.p[1], matching = (unsigned char)rdata.p[2];
    size_t n = rdata.n - DATA_AT;
    if ((usage != 2 && usage != 3) || selector > 1) /* PKIX-TA and PKIX-EE are not for mail: RFC 7672 3.1.3 */
        return false;
    switch (matching) {
    case 0: /* whole certificates and keys: DER, at least a tag and a length */
        return n > 2;
    case 1:
        return n == SHA256_BYTES;
    case 2:
        return n == SHA512_BYTES;
    default:
        return false;
    }
}
