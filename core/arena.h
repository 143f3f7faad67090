/* core/arena.h -- the memory of one request
 *
 * Everything that belongs to one request is taken from its arena and dies with it in one call; nobody frees a single piece. An arena
 * has a ceiling: past it an allocation gives NULL, and the request ends with ERROR_MEMORY (or ERROR_LIMIT where the client is at
 * fault), not the server.
 *
 *     struct arena a;
 *     arena_init(&a, ARENA_REQUEST_MAX);
 *     char *text = arena_printf(&a, "%d messages", n);
 *     arena_reset(&a);           // keeps the first block for the next request
 *     arena_free(&a);
 *
 * Not for sharing between threads: one owner at a time.
 */
#ifndef KANTOR_CORE_ARENA_H
#define KANTOR_CORE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "core/slice.h"

enum { ARENA_REQUEST_MAX = 64 * 1024 * 1024 };

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    size_t used;                /* in all blocks, bytes given out and lost to alignment */
    size_t ceiling;
};

/* Takes no memory yet. */
void arena_init(struct arena *a, size_t ceiling);

/* n bytes, aligned for any type, not cleared. NULL when the ceiling is reached or the machine has no memory. */
void *arena_alloc(struct arena *a, size_t n);

/* count * size bytes set to zero; NULL also when the product overflows. */
void *arena_zero(struct arena *a, size_t count, size_t size);

/* A larger copy of a piece of `old` bytes; in place where it was the last piece. The old piece must not be used again. NULL as above. */
void *arena_grow(struct arena *a, void *piece, size_t old, size_t wanted);

/* A copy; its p is NULL when there was no memory. A NUL stands behind the bytes and is not counted. */
struct slice arena_copy(struct arena *a, struct slice s);

/* A NUL-terminated copy; NULL when there was no memory. Bytes after a NUL in s are copied but not seen by C strings. */
char *arena_string(struct arena *a, struct slice s);

char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Forgets all pieces, keeps one small block for the next request. */
void arena_reset(struct arena *a);

/* Gives all memory back; the arena may be used again. */
void arena_free(struct arena *a);

#endif
