/* mail/mime/charset.h -- any charset to UTF-8, and one folded form for searching
 *
 * Bytes that do not belong to the charset become U+FFFD; an unknown charset is read as UTF-8 where that fits, else as latin-1; UTF-7 never is UTF-7 (attacks.md MM-08). The
 * output is at most four times the input. Thread: any.
 */
#ifndef KANTOR_MAIL_MIME_CHARSET_H
#define KANTOR_MAIL_MIME_CHARSET_H

#include "core/buffer.h"

/* Appends `bytes` as UTF-8 without NUL. */
void charset_to_utf8(struct slice charset, struct slice bytes, struct buffer *out);
bool charset_known(struct slice charset);
/* Appends text (UTF-8; bad bytes become U+FFFD) in the form in which texts are compared: compatibility-decomposed, case folded, without accents (stripping marks finds
 * "eclair" in "Éclair" as users expect), as i;unicode-casemap of RFC 5051 at least. At most `most` bytes. */
void charset_fold(struct slice text, size_t most, struct buffer *out);

#endif
