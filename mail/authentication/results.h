/* mail/authentication/results.h -- the Authentication-Results field, written and read (RFC 8601)
 *
 * What others said about themselves (HELO, MAIL FROM, d=) goes into a field that programs believe, so no byte of it may end a value: a value is bare only where it
 * is a token or an address of plain words, otherwise in quotes, and `invalid` where it holds control characters, bytes that are no UTF-8 or is too long
 * (attacks.md MA-18). Reading the field again gives the same values.
 *
 *     results_begin(&out, slice_of(hostname));
 *     results_method(&line, "spf", "pass", NULL);
 *     results_property(&line, "smtp.mailfrom", sender);
 *     results_add(&out, buffer_slice(&line));          // folded
 *     results_end(&out);
 *
 * Reading is for fields that came from outside: whose are they, and what did a trusted sealer of ARC say? Strict; bounded. Thread: any.
 */
#ifndef KANTOR_MAIL_AUTHENTICATION_RESULTS_H
#define KANTOR_MAIL_AUTHENTICATION_RESULTS_H

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/slice.h"

enum { RESULTS_VALUE_MAX = 320, RESULTS_METHODS_MAX = 64, RESULTS_PROPERTIES_MAX = 16, RESULTS_FIELD_MAX = 64 * 1024 };

/* The field's name and who says it. */
void results_begin(struct buffer *out, struct slice authserv);
/* One result with its properties, as the three functions below write it; folded at blanks. */
void results_add(struct buffer *out, struct slice text);
/* The line end; `none` before it when nothing was added. */
void results_end(struct buffer *out);

/* "spf=pass reason=..."; reason NULL: none. */
void results_method(struct buffer *line, const char *method, const char *result, const char *reason);
/* " smtp.mailfrom=value"; nothing when value.p is NULL. */
void results_property(struct buffer *line, const char *name, struct slice value);

struct results_property {
    struct slice name, value; /* "smtp.mailfrom"; value without its quotes */
};

struct results_method {
    struct slice method, result, reason; /* reason p NULL: none */
    struct results_property properties[RESULTS_PROPERTIES_MAX];
    size_t n;
};

struct results {
    struct slice authserv; /* without quotes */
    struct results_method *methods;
    size_t n;
};

/* The value of a field, folded as it stands. Slices of it, or of the arena. ERROR_INVALID: it is none, or larger than the limits above; `authserv` is
 * set as far as it could be read. ERROR_MEMORY. */
struct error results_parse(struct slice value, struct arena *a, struct results *out);

/* Does a field of that value claim to be said by `authserv`, in whatever spelling? Also true for one that cannot be read: another reader may read it so. */
bool results_claims(struct slice value, struct slice authserv);

#endif
