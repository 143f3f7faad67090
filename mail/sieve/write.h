/* mail/sieve/write.h -- scripts that are made of what people type into forms
 *
 * The only place where text becomes Sieve (attacks.md SV-08): each value goes in as a quoted string, so that it cannot end it, and what Sieve cannot hold
 * (NUL) is refused. What is written compiles, and means the text again: a test says so for texts that try to get out.
 */
#ifndef KANTOR_MAIL_SIEVE_WRITE_H
#define KANTOR_MAIL_SIEVE_WRITE_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/slice.h"

/* "text" with its quotes and backslashes escaped (RFC 5228 2.4.2). ERROR_INVALID: it holds a NUL. */
struct error sieve_write_string(struct slice text, struct buffer *out);

struct sieve_away {
    struct slice from, until; /* first and last day, YYYY-MM-DD; p NULL: at once, without end */
    struct slice subject;     /* p NULL: made of the message's */
    struct slice text;
};
struct error sieve_write_away(const struct sieve_away *away, struct buffer *out);

#endif
