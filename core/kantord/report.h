/* core/kantord/report.h -- what an operation answers: said once, shown as an aligned table to people and as JSON to
 * scripts
 *
 *     report_list(r, "address state used");           // the columns: also the keys of the JSON objects
 *     report_text(r, account.name); report_word(r, "active"); report_size(r, account.used);      // a row is as many
 * cells as there are columns report_say(r, "%zu accounts", n);                // a sentence behind it, for people only
 *
 * report_one() is the same for a single thing: one "key  value" a line, one JSON object. An operation that only does
 * something says one sentence; in JSON that is {"message": "…"}. All memory is the arena's.
 */
#ifndef KANTOR_CORE_KANTORD_REPORT_H
#define KANTOR_CORE_KANTORD_REPORT_H

#include "core/arena.h"
#include "core/buffer.h"

struct report_cell;

struct report {
    struct arena *arena;
    const char *columns; /* NULL: only sentences */
    size_t n_columns;
    int one;       /* a single thing */
    int only_said; /* people see the sentences alone */
    struct report_cell *cells;
    size_t n, room;
    int failed;
    struct buffer said;
};

void report_begin(struct report *r, struct arena *a);
void report_end(struct report *r);

/* `columns` static, names separated by one blank, '_' where people see a blank. */
void report_list(struct report *r, const char *columns);
void report_one(struct report *r, const char *columns);
void report_text(struct report *r, struct slice text);
void report_word(struct report *r, const char *word); /* NULL: nothing */
void report_number(struct report *r, int64_t number);
void report_size(struct report *r, int64_t bytes); /* people: 1.5 MB; JSON: bytes */
void report_date(struct report *r, int64_t at);    /* people: 2026-11-24 15:00 UTC; JSON: RFC 3339, null for 0 */
void report_texts(struct report *r, const struct slice *texts, size_t n); /* JSON: an array */
void report_say(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum report_form { REPORT_FOR_PEOPLE, REPORT_JSON };
void report_write(const struct report *r, enum report_form form, struct buffer *out);

/* A JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void report_json_text(struct slice text, struct buffer *out);
/* "1.5 MB"; "2026-11-24 15:00 UTC" ("never" for 0). */
void report_write_size(int64_t bytes, struct buffer *out);
void report_write_date(int64_t at, struct buffer *out);

#endif
