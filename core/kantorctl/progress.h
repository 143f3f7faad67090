/* core/kantorctl/progress.h -- one line on a terminal that says how far a long work is: messages, MB/s, what remains */
#ifndef KANTOR_CORE_KANTORCTL_PROGRESS_H
#define KANTOR_CORE_KANTORCTL_PROGRESS_H

#include <stdint.h>

struct progress {
    int shown, lines; /* is standard error a terminal; something stands on its last line */
    int64_t since_ms, last_ms;
    int64_t messages, bytes, of_messages, of_bytes; /* of_…: 0 when not known */
};

void progress_begin(struct progress *p);
/* Writes at most five times a second. */
void progress_show(struct progress *p);
/* Clears the line: before something else is written, and at the end. */
void progress_clear(struct progress *p);

#endif
