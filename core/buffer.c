/* core/buffer.c -- grows by doubling, moves to the front when that is enough */
#include "core/buffer.h"

#include <stdio.h>
#include <stdlib.h>

char *buffer_room(struct buffer *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (b->size - b->end >= n && b->bytes)
        return b->bytes + b->end;
    size_t held = buffer_length(b);
    if (b->start && b->size - held >= n && b->start >= held / 2) {
        memmove(b->bytes, b->bytes + b->start, held);
        b->start = 0;
        b->end = held;
        return b->bytes + b->end;
    }
    size_t size = b->size ? b->size : 256;
    while (size - held < n || size < held) {
        if (size > SIZE_MAX / 2) {
            b->failed = true;
            return NULL;
        }
        size *= 2;
    }
    char *bytes = malloc(size);
    if (!bytes) {
        b->failed = true;
        return NULL;
    }
    if (held)
        memcpy(bytes, b->bytes + b->start, held);
    free(b->bytes);
    b->bytes = bytes;
    b->size = size;
    b->start = 0;
    b->end = held;
    return b->bytes + b->end;
}

void buffer_add(struct buffer *b, struct slice s)
{
    if (s.n == 0)
        return;
    char *to = buffer_room(b, s.n);
    if (to) {
        memcpy(to, s.p, s.n);
        b->end += s.n;
    }
}

void buffer_add_char(struct buffer *b, char c)
{
    char *to = buffer_room(b, 1);
    if (to) {
        *to = c;
        b->end++;
    }
}

void buffer_add_number(struct buffer *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    buffer_add(b, slice_make(digits + at, sizeof digits - at));
}

void buffer_vprintf(struct buffer *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char small[256];
    int n = vsnprintf(small, sizeof small, format, args);
    if (n >= 0 && (size_t)n < sizeof small) {
        buffer_add(b, slice_make(small, (size_t)n));
    } else if (n >= 0) {
        char *to = buffer_room(b, (size_t)n + 1);
        if (to) {
            (void)vsnprintf(to, (size_t)n + 1, format, again);
            b->end += (size_t)n;
        }
    } else {
        b->failed = true;
    }
    va_end(again);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buffer_vprintf(b, format, args);
    va_end(args);
}

void buffer_take(struct buffer *b, size_t n)
{
    b->start += n;
    if (b->start >= b->end)
        b->start = b->end = 0;
}

void buffer_clear(struct buffer *b)
{
    b->start = b->end = 0;
    b->failed = false;
}

void buffer_free(struct buffer *b)
{
    free(b->bytes);
    *b = (struct buffer){0};
}
