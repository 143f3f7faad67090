/* mail/mime/date.h -- dates of header fields (RFC 5322 3.3 and 4.3) and of IMAP. Thread: any. */
#ifndef KANTOR_MAIL_MIME_DATE_H
#define KANTOR_MAIL_MIME_DATE_H

#include "core/buffer.h"
#include "core/slice.h"

/* "Tue, 24 Nov 2026 15:00:00 +0700 (WIB)", old zones, two-digit years, missing seconds or zone. Seconds UTC, between 1970 and 9999; *zone (minutes east, may be NULL).
 * False when it cannot be read. */
bool date_read(struct slice value, int64_t *at, int *zone);
/* "Tue, 24 Nov 2026 08:00:00 +0000" */
void date_write(int64_t at, struct buffer *out);
/* IMAP: "24-Nov-2026 08:00:00 +0000" (RFC 9051 9 date-time), without quotes. */
void date_write_imap(int64_t at, struct buffer *out);
/* IMAP date-time as APPEND has it, also with a one-digit day without its blank (clients.md I32). */
bool date_read_imap(struct slice text, int64_t *at);
/* IMAP date "24-Nov-2026" of SEARCH: days since the epoch. */
bool date_read_day(struct slice text, int64_t *day);
/* The civil day of a moment in a zone: what SENTON compares (RFC 9051 6.4.4: disregarding time and zone). */
int64_t date_day(int64_t at, int zone);

#endif
