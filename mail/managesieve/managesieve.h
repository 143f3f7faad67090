/* mail/managesieve/managesieve.h -- ManageSieve (RFC 5804) as a protocol on connections */
#ifndef KANTOR_MAIL_MANAGESIEVE_MANAGESIEVE_H
#define KANTOR_MAIL_MANAGESIEVE_MANAGESIEVE_H

#include "core/net/connection.h"

extern const struct protocol managesieve_protocol;

#endif
