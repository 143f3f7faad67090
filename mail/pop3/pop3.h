/* mail/pop3/pop3.h -- POP3 (RFC 1939) with CAPA, STLS, SASL, UTF8 and LANG as a protocol on connections */
#ifndef KANTOR_MAIL_POP3_POP3_H
#define KANTOR_MAIL_POP3_POP3_H

#include "core/net/connection.h"

extern const struct protocol pop3_protocol;

#endif
