/* core/slice.h -- bytes with a length
 *
 * All bytes that come from outside travel as a slice: a pointer and a length, never a NUL-terminated string. A slice does not own
 * its bytes; they belong to the request's arena, to a connection's input or to the program text. The functions here are ASCII only
 * and free of the locale (isalpha and friends are not used anywhere in Kantor).
 *
 *     struct slice verb = SLICE("MAIL FROM:");
 *     if (slice_starts_nocase(line, verb)) line = slice_after(line, verb.n);
 */
#ifndef KANTOR_CORE_SLICE_H
#define KANTOR_CORE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *p;
    size_t n;
};

/* The slice of a string literal. */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
/* For printf: "%.*s". Only for text that is known to be short and printable. */
#define SLICE_ARG(s) (int)(s).n, (s).p

static inline struct slice slice_of(const char *text) { return (struct slice){text, text ? strlen(text) : 0}; }
static inline struct slice slice_make(const char *p, size_t n) { return (struct slice){p, n}; }

static inline bool ascii_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool ascii_is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline bool ascii_is_alnum(char c) { return ascii_is_digit(c) || ascii_is_alpha(c); }
static inline bool ascii_is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
static inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static inline char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }
/* 0 to 15, or -1. */
static inline int ascii_hex(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool slice_eq(struct slice a, struct slice b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }

static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

/* Orders by bytes, as the store does; a prefix comes first. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* The bytes from `from` on; empty when there are fewer. */
static inline struct slice slice_after(struct slice s, size_t from)
{
    return from < s.n ? slice_make(s.p + from, s.n - from) : slice_make(s.p + s.n, 0);
}

/* At most the first n bytes. */
static inline struct slice slice_first(struct slice s, size_t n) { return slice_make(s.p, n < s.n ? n : s.n); }

static inline bool slice_starts(struct slice s, struct slice prefix) { return s.n >= prefix.n && slice_eq(slice_first(s, prefix.n), prefix); }
static inline bool slice_starts_nocase(struct slice s, struct slice prefix) { return s.n >= prefix.n && slice_eq_nocase(slice_first(s, prefix.n), prefix); }
static inline bool slice_ends(struct slice s, struct slice end) { return s.n >= end.n && slice_eq(slice_make(s.p + s.n - end.n, end.n), end); }

/* The position of c, or s.n when it is not there. */
static inline size_t slice_find(struct slice s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

/* Without blanks, tabs and line ends at both ends. */
static inline struct slice slice_trim(struct slice s)
{
    while (s.n && ascii_is_space(s.p[0]))
        s = slice_make(s.p + 1, s.n - 1);
    while (s.n && ascii_is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Reads digits only (no sign, no blank, at least one). False on anything else and on a value above max. */
static inline bool slice_number(struct slice s, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (v > max)
        return false;
    *value = v;
    return true;
}

#endif
