/* mail/smtp/border.h -- fields of strangers' mail that only this server may write (attacks.md MA-17, RFC 8601 5) */
#ifndef KANTOR_MAIL_SMTP_BORDER_H
#define KANTOR_MAIL_SMTP_BORDER_H

#include <stdbool.h>

#include "mail/mime/header.h"

/* Is this field of a head whose fields are `fields` taken away? Authentication-Results in our name or unreadable, the same of ARC outside a set, Received-SPF,
 * X-Spam-* and X-Kantor-*. Delivered-To stays: it is the mark by which a forward that comes back is known (mail/delivery/forward.h). Thread: any. */
bool border_drops(const struct header_field *f, struct slice fields, struct slice hostname);

#endif
