/* mail/mailbox/name.h -- modified UTF-7 (RFC 3501 5.1.3), for clients that did not say UTF8=ACCEPT. Thread: any. */
#ifndef KANTOR_MAIL_MAILBOX_NAME_H
#define KANTOR_MAIL_MAILBOX_NAME_H

#include "core/buffer.h"

/* False: not well-formed (also needless or overlong shifts): the name cannot exist. */
bool name_from_utf7(struct slice text, struct buffer *out);
void name_to_utf7(struct slice utf8, struct buffer *out);

#endif
