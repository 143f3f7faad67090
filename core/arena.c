/* core/arena.c -- blocks in a list, the newest first; a piece never moves unless arena_grow says so */
#include "core/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_FIRST = 4096 - 64, BLOCK_MAX = 1024 * 1024, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ALIGN) char bytes[];
};

void arena_init(struct arena *a, size_t ceiling)
{
    *a = (struct arena){.ceiling = ceiling};
}

static struct arena_block *block_for(struct arena *a, size_t n)
{
    size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_FIRST;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < n)
        size = n;
    struct arena_block *b = malloc(sizeof *b + size);
    if (!b)
        return NULL;
    b->size = size;
    b->used = 0;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGN)
        return NULL;
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n == 0)
        n = ALIGN;
    if (n > a->ceiling || a->used > a->ceiling - n)
        return NULL;
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < n)
        b = block_for(a, n);
    if (!b)
        return NULL;
    void *p = b->bytes + b->used;
    b->used += n;
    a->used += n;
    return p;
}

void *arena_zero(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    void *p = arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

void *arena_grow(struct arena *a, void *piece, size_t old, size_t wanted)
{
    if (!piece)
        return arena_alloc(a, wanted);
    struct arena_block *b = a->blocks;
    size_t held = (old + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (held == 0)
        held = ALIGN;
    if (wanted <= held)
        return piece;
    if (wanted > SIZE_MAX - ALIGN)
        return NULL;
    size_t more = ((wanted + ALIGN - 1) & ~(size_t)(ALIGN - 1)) - held;
    if (b && (char *)piece + held == b->bytes + b->used && b->size - b->used >= more && a->used <= a->ceiling && more <= a->ceiling - a->used) {
        b->used += more;
        a->used += more;
        return piece;
    }
    void *p = arena_alloc(a, wanted);
    if (p)
        memcpy(p, piece, old);
    return p;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    char *p = arena_string(a, s);
    return p ? slice_make(p, s.n) : slice_make(NULL, 0);
}

char *arena_string(struct arena *a, struct slice s)
{
    if (s.n == SIZE_MAX)
        return NULL;
    char *p = arena_alloc(a, s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

char *arena_vprintf(struct arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        (void)vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return p;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *p = arena_vprintf(a, format, args);
    va_end(args);
    return p;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (!keep && b->size == BLOCK_FIRST)
            keep = b;
        else
            free(b);
    }
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->blocks = keep;
    a->used = 0;
}

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    a->blocks = NULL;
    a->used = 0;
}
