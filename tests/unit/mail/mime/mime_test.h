/* What the tests of this folder share: an arena for a test, texts to compare, input at the end of a page so that a byte too far is a fault */
#ifndef TESTS_MAIL_MIME_TEST_H
#define TESTS_MAIL_MIME_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "mail/mime/parse.h"

static inline int arena_open(void **state)
{
    struct arena *a = malloc(sizeof *a);
    arena_init(a, ARENA_REQUEST_MAX);
    *state = a;
    return 0;
}

static inline int arena_end(void **state)
{
    arena_free(*state);
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_open, arena_end)

static inline const char *text_of(struct arena *a, struct slice s)
{
    return s.p ? arena_string(a, s) : "(none)";
}

/* A copy whose last byte is the last of a readable page; guard_drop when done. */
struct guard {
    char *pages;
    size_t size;
    struct slice text;
};

static inline struct guard guard_make(struct slice s)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (s.n + page - 1) / page * page + page;
    struct guard g = {.size = size};
    g.pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.pages != MAP_FAILED);
    assert_int_equal(mprotect(g.pages + size - page, page, PROT_NONE), 0);
    g.text = slice_make(g.pages + size - page - s.n, s.n);
    if (s.n)
        memcpy(g.pages + size - page - s.n, s.p, s.n);
    return g;
}

static inline void guard_drop(struct guard *g)
{
    (void)munmap(g->pages, g->size);
}

/* Appends a piece of a long text; each '#' becomes the number. */
static inline void add_numbered(struct buffer *b, const char *piece, size_t number)
{
    for (; *piece; piece++) {
        if (*piece == '#')
            buffer_add_number(b, number);
        else
            buffer_add_char(b, *piece);
    }
}

/* CPU milliseconds of this thread. */
static inline int64_t cpu_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Twenty times what it takes here, sanitizers included: only what grows faster than its input is caught. */
enum { CPU_MS_A_MEGABYTE = 2000 };

#endif
