/* mail/mime/text.h -- what a person would find in a message: decoded, folded text for SEARCH. Thread: any. */
#ifndef KANTOR_MAIL_MIME_TEXT_H
#define KANTOR_MAIL_MIME_TEXT_H

#include "core/buffer.h"
#include "mail/mime/parse.h"

/* Appends the folded text of all text parts (HTML without its tags); one NUL between parts, so that nothing matches across them. */
struct error text_of_bodies(struct slice message, struct arena *a, struct buffer *out);
/* Appends the folded, decoded head: each field as "name: value" and a NUL. */
void text_of_head(struct slice head, struct arena *a, struct buffer *out);

#endif
