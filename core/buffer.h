/* core/buffer.h -- bytes that grow at the end and are taken from the front
 *
 * A connection's input and output, and every text that is built piece by piece. Writing never fails in the middle of a sentence: when
 * memory is out the buffer remembers it (`failed`), ignores what follows, and the owner looks once, at the end.
 *
 *     struct buffer b = {0};
 *     buffer_printf(&b, "* %u EXISTS\r\n", n);
 *     buffer_take(&b, written);      // the peer has it
 *     buffer_free(&b);
 */
#ifndef KANTOR_CORE_BUFFER_H
#define KANTOR_CORE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

struct buffer {
    char *bytes;
    size_t start, end, size; /* what is held: bytes[start..end) */
    bool failed;
};

static inline size_t buffer_length(const struct buffer *b) { return b->end - b->start; }
static inline struct slice buffer_slice(const struct buffer *b) { return slice_make(b->bytes ? b->bytes + b->start : "", b->end - b->start); }

/* Room for n more bytes at the end; the place to write them, or NULL (and failed). Commit with buffer_added. */
char *buffer_room(struct buffer *b, size_t n);
static inline void buffer_added(struct buffer *b, size_t n) { b->end += n; }

void buffer_add(struct buffer *b, struct slice s);
void buffer_add_char(struct buffer *b, char c);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Decimal digits, without printf: hot paths of FETCH. */
void buffer_add_number(struct buffer *b, uint64_t value);

/* Drops n bytes from the front. */
void buffer_take(struct buffer *b, size_t n);
/* Drops all, keeps the memory. */
void buffer_clear(struct buffer *b);
/* Gives the memory back; the buffer is empty and usable. */
void buffer_free(struct buffer *b);

#endif
