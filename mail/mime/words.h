/* mail/mime/words.h -- encoded words (RFC 2047) to UTF-8. Thread: any. */
#ifndef KANTOR_MAIL_MIME_WORDS_H
#define KANTOR_MAIL_MIME_WORDS_H

#include "core/buffer.h"

/* Appends an unfolded header value with its encoded words decoded; blanks between two of them vanish, a character that was split over two
 * words of one charset is joined. What is not an encoded word stays (8-bit is taken for UTF-8, bad bytes become U+FFFD). Linear. */
void words_decode(struct slice value, struct buffer *out);

#endif
