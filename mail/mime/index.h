/* mail/mime/index.h -- the part tree as a few bytes, kept with the blob, so that BODY[1.2] is a byte range and no body is parsed again
 *
 * What is read back is not trusted (attacks.md SI-16, MM-04): every length and offset is checked, a damaged index is ERROR_CORRUPT and the caller parses
 * the message instead. Thread: any.
 */
#ifndef KANTOR_MAIL_MIME_INDEX_H
#define KANTOR_MAIL_MIME_INDEX_H

#include "core/buffer.h"
#include "mail/mime/parse.h"

struct mime_index_part {
    uint32_t parent;
    enum mime_kind kind;
    enum mime_encoding encoding;
    int text, html; /* text/…, and whether it is text/html */
    uint64_t header_start, body_start, body_end;
    struct slice charset;
};

struct mime_index {
    struct mime_index_part *parts;
    size_t n;
};

void mime_index_write(const struct mime_tree *t, struct buffer *out);
/* `size`: of the message; no part may reach past it. ERROR_CORRUPT, ERROR_MEMORY. */
struct error mime_index_read(struct slice bytes, uint64_t size, struct arena *a, struct mime_index *out);

enum mime_section { SECTION_WHOLE, SECTION_HEADER, SECTION_TEXT, SECTION_MIME };

/* The bytes of a section (RFC 9051 6.4.5.1): numbers "1.2" (n 0: the message itself) and what of it. *part: which part it is (encoding, charset).
 * False: there is no such part; FETCH answers NIL. */
bool mime_index_find(const struct mime_index *t, const uint32_t *numbers, size_t n, enum mime_section what, uint64_t *from, uint64_t *to, uint32_t *part);

#endif
