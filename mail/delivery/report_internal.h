/* mail/delivery/report_internal.h -- what the two files that write a report share */
#ifndef KANTOR_MAIL_DELIVERY_REPORT_INTERNAL_H
#define KANTOR_MAIL_DELIVERY_REPORT_INTERNAL_H

#include "mail/delivery/report_write.h"

/* The first part, lines with CRLF. */
void report_sentences(const struct report_text *r, struct buffer *out);
/* Printable text: control characters become blanks, what is not UTF-8 (or not ASCII, where flags lack REPORT_UTF8) '?'; at most `most` bytes. */
void report_clean(struct slice s, size_t most, int flags, struct buffer *out);
/* Words of a clean text, folded at blanks before column 76; a new line begins with CRLF and `indent`. `column`: where it begins. */
void report_folded(struct slice clean, size_t column, const char *indent, struct buffer *out);

#endif
