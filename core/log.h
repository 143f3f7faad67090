/* core/log.h -- one line an event, keys from one vocabulary, every value escaped
 *
 *     LOG_EVENT(LOG_INFO, "delivered", LOG_ID(job), LOG_TEXT("to", address), LOG_NUMBER("size", n));
 *     2026-11-24T15:30:00Z info delivered id=4f2a to=budi@kantor.example size=4096
 *
 * A value is escaped (control bytes, quotes, 8-bit that is not UTF-8) and cut at 1 KiB, so that no bytes from outside can forge a line.
 * Passwords, tokens and the text of mails are never passed to it. `id` is one word from connection to delivery: a session's id, and
 * the message's id (the same word that stands in the Received field). Thread: any; a line is written with one write().
 */
#ifndef KANTOR_CORE_LOG_H
#define KANTOR_CORE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *key;
    struct slice text; /* p NULL: the number counts */
    int64_t number;
};

#define LOG_TEXT(key_, slice_) ((struct log_field){.key = (key_), .text = (slice_)})
#define LOG_WORD(key_, cstring_) ((struct log_field){.key = (key_), .text = slice_of(cstring_)})
#define LOG_NUMBER(key_, number_) ((struct log_field){.key = (key_), .number = (int64_t)(number_)})
#define LOG_ID(cstring_) LOG_WORD("id", cstring_)
#define LOG_FAILURE(error_) LOG_WORD("error", error_word((error_).code)), LOG_WORD("why", (error_).text)
#define LOG_EVENT(level_, event_, ...)                                                                                                 \
    log_event((level_), (event_), (const struct log_field[]){__VA_ARGS__}, sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n);

/* Lines go to this descriptor (default 2); below `level` nothing is written. At start and at reload. */
void log_setup(int fd, enum log_level level);

#endif
