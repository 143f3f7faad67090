/* mail/mime/header.h -- the fields at the head of a message or part
 *
 * One definition of where a head ends, for everybody (attacks.md MA-05): the first empty line (CRLF or bare LF), or the end. A field is a line with a
 * name before ':' and its folded continuations; a line that is neither is skipped. Nothing is copied. Thread: any.
 */
#ifndef KANTOR_MAIL_MIME_HEADER_H
#define KANTOR_MAIL_MIME_HEADER_H

#include "core/arena.h"
#include "core/slice.h"

/* The length of the head including the empty line that ends it; all of it when there is none. */
size_t header_length(struct slice message);

struct header_field {
    struct slice name;  /* without blanks before the ':' */
    struct slice value; /* behind the ':', folded as it stands, without its last line end */
    struct slice whole; /* name to last line end: what FETCH HEADER.FIELDS gives */
};

/* Takes the next field off *rest; false at the end of the head. Linear over all calls. */
bool header_next(struct slice *rest, struct header_field *out);
/* The value of the first field of that name (ASCII case does not count); p NULL when there is none. */
struct slice header_find(struct slice head, struct slice name);
/* Without CR, LF and NUL (RFC 5322 2.2.3 unfolding), blanks at both ends cut. In the arena; value.p NULL stays so. */
struct slice header_unfold(struct slice value, struct arena *a);

#endif
