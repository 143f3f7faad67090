/* core/log.c -- a line is built on the stack and written with one write() */
#include "core/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

enum { LINE_MAX_BYTES = 8192, VALUE_MAX_BYTES = 1024 };

static _Atomic int log_fd = 2;
static _Atomic int log_level_now = LOG_INFO;

static const char *const level_words[] = {"error", "warn", "info", "debug"};

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t n;
};

static void put(struct line *l, const char *p, size_t n)
{
    if (n > sizeof l->bytes - 1 - l->n)
        n = sizeof l->bytes - 1 - l->n;
    memcpy(l->bytes + l->n, p, n);
    l->n += n;
}

/* The length of a well-formed UTF-8 sequence at p that is safe to show, or 0. C1 controls and U+2028/2029 are not. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t k = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
    if (k == 0 || k > n)
        return 0;
    for (size_t i = 1; i < k; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] >= 0xA0) || (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    if ((p[0] == 0xC2 && p[1] < 0xA0) || (p[0] == 0xE2 && p[1] == 0x80 && (p[2] >= 0xA8 || p[2] <= 0x8F)))
        return 0; /* also U+2000…200F: marks of direction */
    return k;
}

static int needs_quotes(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=' || (unsigned char)s.p[i] >= 0x7F)
            return 1;
    return s.n == 0;
}

static void put_value(struct line *l, struct slice s)
{
    char hex[8];
    int cut = s.n > VALUE_MAX_BYTES;
    s = slice_first(s, VALUE_MAX_BYTES);
    if (!needs_quotes(s)) {
        put(l, s.p, s.n);
        return;
    }
    put(l, "\"", 1);
    for (size_t i = 0; i < s.n;) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        size_t k = *p < 0x80 ? 0 : utf8_length(p, s.n - i);
        if (k == 0 && *p >= 0x20 && *p < 0x7F && *p != '"' && *p != '\\')
            k = 1;
        if (k) {
            put(l, s.p + i, k);
            i += k;
            continue;
        }
        put(l, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02x", *p));
        i++;
    }
    put(l, cut ? "…\"" : "\"", cut ? strlen("…\"") : 1);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    if ((int)level > atomic_load_explicit(&log_level_now, memory_order_relaxed))
        return;
    struct line l;
    struct tm t;
    time_t now = (time_t)clock_now();
    l.n = 0;
    (void)gmtime_r(&now, &t);
    l.n = strftime(l.bytes, 32, "%Y-%m-%dT%H:%M:%SZ ", &t);
    put(&l, level_words[level], strlen(level_words[level]));
    put(&l, " ", 1);
    put(&l, event, strlen(event));
    for (size_t i = 0; i < n; i++) {
        char number[24];
        put(&l, " ", 1);
        put(&l, fields[i].key, strlen(fields[i].key));
        put(&l, "=", 1);
        if (fields[i].text.p)
            put_value(&l, fields[i].text);
        else
            put(&l, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)fields[i].number));
    }
    l.bytes[l.n++] = '\n';
    (void)!write(atomic_load_explicit(&log_fd, memory_order_relaxed), l.bytes, l.n);
}

void log_setup(int fd, enum log_level level)
{
    atomic_store(&log_fd, fd);
    atomic_store(&log_level_now, (int)level);
}
