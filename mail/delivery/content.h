/* mail/delivery/content.h -- other bytes of a message: a field more, a disclaimer, a journal's report
 *
 * A disclaimer is never written into what the author wrote: the whole body becomes the first part of a multipart/mixed, byte for byte and with its own
 * Content fields, and the disclaimer is the second. So a signed or encrypted part stays as it is.
 */
#ifndef KANTOR_MAIL_DELIVERY_CONTENT_H
#define KANTOR_MAIL_DELIVERY_CONTENT_H

#include "mail/delivery/deliver.h"

struct content_change {
    struct slice fields;     /* whole lines with CR LF, put behind our own Received; or empty */
    struct slice disclaimer; /* UTF-8, lines with LF; or empty */
};
/* A prepared message of these bytes, changed; `out` is zeroed first, blob_put_drop(&out->put) in any case. Texts in the arena. */
struct error content_change(struct store *s, struct slice bytes, const struct content_change *c, struct arena *a, struct message *out);

/* A message that says who sent what to whom, with the original as message/rfc822. */
struct content_journal {
    const char *from, *to, *job;
    struct slice sender, message_id;
    const struct delivery_rcpt *rcpts;
    size_t n_rcpts;
};
struct error content_journal(struct store *s, struct slice bytes, const struct content_journal *j, struct arena *a, struct message *out);

#endif
