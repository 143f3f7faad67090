/* mail/mime/decode.h -- base64 and quoted-printable (RFC 2045 6), strict base64 for SASL (RFC 4648). Thread: any. */
#ifndef KANTOR_MAIL_MIME_DECODE_H
#define KANTOR_MAIL_MIME_DECODE_H

#include "core/buffer.h"
#include "mail/mime/parse.h"

enum decode_result { DECODE_CLEAN, DECODE_BROKEN /* decoded as far as it made sense */, DECODE_UNKNOWN /* encoding not known: nothing written */ };

/* The content of a part: as lenient as mail clients are. Output is never longer than the input. */
enum decode_result decode_part(enum mime_encoding encoding, struct slice body, struct buffer *out);

void base64_encode(struct slice bytes, struct buffer *out);
/* No blanks, correct padding; false otherwise. */
bool base64_decode(struct slice text, struct buffer *out);

#endif
