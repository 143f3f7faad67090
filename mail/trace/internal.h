/* mail/trace/internal.h -- the form of a row, shared by who writes and who reads it
 *
 * events: a line for each, "what TAB recipient TAB detail LF". No field holds a TAB or a line end.
 */
#ifndef KANTOR_MAIL_TRACE_INTERNAL_H
#define KANTOR_MAIL_TRACE_INTERNAL_H

#include "mail/trace/trace.h"

enum { HOUR_S = 3600 };

extern const char *const trace_words[];
extern const size_t trace_n_words;

/* Takes the next line off *rest; false at the end. */
bool trace_next(struct slice *rest, struct slice *what, struct slice *recipient, struct slice *detail);
/* What stands in the table for a text: 63 bits, without ASCII case. */
int64_t trace_word(struct slice text);
/* The newest row that has its words. */
struct error trace_indexed(struct sql *db, int64_t *id);
struct error trace_set_indexed(struct sql *db, int64_t id);

#endif
