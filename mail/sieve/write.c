/* mail/sieve/write.c -- values into scripts */
#include "mail/sieve/write.h"

struct error sieve_write_string(struct slice text, struct buffer *out)
{
    buffer_add_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == 0)
            return error_make(ERROR_INVALID, "a text may not hold a NUL");
        if (text.p[i] == '"' || text.p[i] == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, text.p[i]);
    }
    buffer_add_char(out, '"');
    return OK;
}

static struct error write_limit(const char *relation, struct slice date, struct buffer *out)
{
    buffer_printf(out, "currentdate :value \"%s\" \"date\" ", relation);
    return sieve_write_string(date, out);
}

struct error sieve_write_away(const struct sieve_away *away, struct buffer *out)
{
    bool limited = away->from.p || away->until.p;
    buffer_add(out, limited ? SLICE("require [\"vacation\", \"date\", \"relational\"];\r\nif allof(") : SLICE("require \"vacation\";\r\n"));
    if (away->from.p)
        TRY(write_limit("ge", away->from, out));
    if (away->from.p && away->until.p)
        buffer_add(out, SLICE(", "));
    if (away->until.p)
        TRY(write_limit("le", away->until, out));
    buffer_add(out, limited ? SLICE(") {\r\nvacation") : SLICE("vacation"));
    if (away->subject.p) {
        buffer_add(out, SLICE(" :subject "));
        TRY(sieve_write_string(away->subject, out));
    }
    buffer_add_char(out, ' ');
    TRY(sieve_write_string(away->text, out));
    buffer_add(out, limited ? SLICE(";\r\n}\r\n") : SLICE(";\r\n"));
    return OK;
}
