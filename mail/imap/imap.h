/* mail/imap/imap.h -- IMAP4rev1 and IMAP4rev2 (RFC 3501, 9051) as a protocol on connections */
#ifndef KANTOR_MAIL_IMAP_IMAP_H
#define KANTOR_MAIL_IMAP_IMAP_H

#include "core/net/connection.h"

extern const struct protocol imap_protocol;

#endif
