/* core/store/uid_set.c -- ranges in an array; appending at the end is the usual way */
#include "core/store/uid_set.h"

#include <stdlib.h>

enum { TEXT_MAX = 64 * 1024 };

void uid_set_free(struct uid_set *s)
{
    free(s->ranges);
    *s = (struct uid_set){0};
}

void uid_set_clear(struct uid_set *s)
{
    s->n = 0;
    s->failed = false;
}

static bool reserve(struct uid_set *s, size_t n)
{
    if (n <= s->size)
        return true;
    size_t size = s->size ? s->size * 2 : 8;
    while (size < n)
        size *= 2;
    struct uid_range *ranges = realloc(s->ranges, size * sizeof *ranges);
    if (!ranges) {
        s->failed = true;
        return false;
    }
    s->ranges = ranges;
    s->size = size;
    return true;
}

/* The first range that ends at or behind uid: where it is, or would be. */
static size_t place(const struct uid_set *s, uint32_t uid)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->ranges[mid].hi < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void replace(struct uid_set *s, size_t at, size_t drop, const struct uid_range *with, size_t n)
{
    if (!reserve(s, s->n - drop + n))
        return;
    memmove(s->ranges + at + n, s->ranges + at + drop, (s->n - at - drop) * sizeof *s->ranges);
    for (size_t i = 0; i < n; i++)
        s->ranges[at + i] = with[i];
    s->n = s->n - drop + n;
}

void uid_set_add(struct uid_set *s, uint32_t lo, uint32_t hi)
{
    if (lo > hi || lo == 0)
        return;
    if (s->n == 0 || s->ranges[s->n - 1].hi < lo - 1) {
        replace(s, s->n, 0, &(struct uid_range){lo, hi}, 1);
        return;
    }
    size_t from = place(s, lo - 1 ? lo - 1 : 1), to = from; /* a neighbour that ends just before is joined */
    while (to < s->n && (hi == UINT32_MAX || s->ranges[to].lo <= hi + 1)) {
        if (s->ranges[to].lo < lo)
            lo = s->ranges[to].lo;
        if (s->ranges[to].hi > hi)
            hi = s->ranges[to].hi;
        to++;
    }
    replace(s, from, to - from, &(struct uid_range){lo, hi}, 1);
}

void uid_set_remove(struct uid_set *s, uint32_t lo, uint32_t hi)
{
    struct uid_range rest[2];
    size_t n = 0;
    if (lo > hi)
        return;
    size_t from = place(s, lo), to = from;
    while (to < s->n && s->ranges[to].lo <= hi)
        to++;
    if (to == from)
        return;
    if (s->ranges[from].lo < lo)
        rest[n++] = (struct uid_range){s->ranges[from].lo, lo - 1};
    if (s->ranges[to - 1].hi > hi)
        rest[n++] = (struct uid_range){hi + 1, s->ranges[to - 1].hi};
    replace(s, from, to - from, rest, n);
}

void uid_set_copy(struct uid_set *to, const struct uid_set *from)
{
    uid_set_clear(to);
    if (from->failed || !reserve(to, from->n)) {
        to->failed = true;
        return;
    }
    if (from->n)
        memcpy(to->ranges, from->ranges, from->n * sizeof *from->ranges);
    to->n = from->n;
}

void uid_set_intersect(struct uid_set *to, const struct uid_set *a, const struct uid_set *b)
{
    uid_set_clear(to);
    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        uint32_t lo = a->ranges[i].lo > b->ranges[j].lo ? a->ranges[i].lo : b->ranges[j].lo;
        uint32_t hi = a->ranges[i].hi < b->ranges[j].hi ? a->ranges[i].hi : b->ranges[j].hi;
        uid_set_add(to, lo, hi);
        if (a->ranges[i].hi < b->ranges[j].hi)
            i++;
        else
            j++;
    }
}

void uid_set_subtract(struct uid_set *to, const struct uid_set *a, const struct uid_set *b)
{
    uid_set_clear(to);
    size_t j = 0;
    for (size_t i = 0; i < a->n; i++) {
        uint64_t lo = a->ranges[i].lo;
        while (j < b->n && b->ranges[j].hi < lo)
            j++;
        for (size_t k = j; k < b->n && b->ranges[k].lo <= a->ranges[i].hi && lo <= a->ranges[i].hi; k++) {
            if (b->ranges[k].lo > lo)
                uid_set_add(to, (uint32_t)lo, b->ranges[k].lo - 1);
            lo = (uint64_t)b->ranges[k].hi + 1;
        }
        if (lo <= a->ranges[i].hi)
            uid_set_add(to, (uint32_t)lo, a->ranges[i].hi);
    }
}

bool uid_set_has(const struct uid_set *s, uint32_t uid)
{
    size_t i = place(s, uid);
    return i < s->n && s->ranges[i].lo <= uid;
}

uint64_t uid_set_count(const struct uid_set *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += (uint64_t)s->ranges[i].hi - s->ranges[i].lo + 1;
    return n;
}

uint32_t uid_set_max(const struct uid_set *s)
{
    return s->n ? s->ranges[s->n - 1].hi : 0;
}

uint32_t uid_set_number_of(const struct uid_set *s, uint32_t uid)
{
    uint64_t before = 0;
    for (size_t i = 0; i < s->n && s->ranges[i].lo <= uid; i++) {
        if (uid <= s->ranges[i].hi)
            return (uint32_t)(before + uid - s->ranges[i].lo + 1);
        before += (uint64_t)s->ranges[i].hi - s->ranges[i].lo + 1;
    }
    return 0;
}

uint32_t uid_set_uid_of(const struct uid_set *s, uint32_t number)
{
    uint64_t before = 0;
    for (size_t i = 0; number && i < s->n; i++) {
        uint64_t n = (uint64_t)s->ranges[i].hi - s->ranges[i].lo + 1;
        if (number <= before + n)
            return (uint32_t)(s->ranges[i].lo + (number - before - 1));
        before += n;
    }
    return 0;
}

void uid_set_write(const struct uid_set *s, struct buffer *out)
{
    for (size_t i = 0; i < s->n; i++) {
        if (i)
            buffer_add_char(out, ',');
        buffer_add_number(out, s->ranges[i].lo);
        if (s->ranges[i].hi != s->ranges[i].lo) {
            buffer_add_char(out, ':');
            buffer_add_number(out, s->ranges[i].hi);
        }
    }
}

static bool read_number(struct slice s, uint32_t star, uint32_t *out)
{
    uint64_t value;
    if (slice_eq(s, SLICE("*"))) {
        *out = star;
        return true;
    }
    if (!slice_number(s, UINT32_MAX, &value) || value == 0)
        return false;
    *out = (uint32_t)value;
    return true;
}

static int by_lo(const void *x, const void *y)
{
    const struct uid_range *a = x, *b = y;
    return (a->lo > b->lo) - (a->lo < b->lo);
}

struct error uid_set_read(struct uid_set *s, struct slice text, uint32_t star)
{
    struct error bad = error_make(ERROR_INVALID, "the set of numbers is malformed; write it like 1:5,7 or 1:*");
    uid_set_clear(s);
    if (text.n == 0 || text.n > TEXT_MAX)
        return bad;
    size_t commas = 1;
    for (size_t i = 0; i < text.n; i++)
        commas += text.p[i] == ',';
    struct uid_range *all = malloc(commas * sizeof *all);
    size_t n = 0;
    if (!all)
        return error_make(ERROR_MEMORY, "no memory for a set");
    for (size_t at = 0; at <= text.n; n++) {
        struct slice rest = slice_after(text, at), one = slice_first(rest, slice_find(rest, ','));
        size_t colon = slice_find(one, ':');
        uint32_t lo, hi;
        at += one.n + 1;
        if (!read_number(slice_first(one, colon), star, &lo) || (colon < one.n ? !read_number(slice_after(one, colon + 1), star, &hi) : (hi = lo, false))) {
            free(all);
            return bad;
        }
        all[n] = lo <= hi ? (struct uid_range){lo, hi} : (struct uid_range){hi, lo}; /* RFC 9051 9: seq-range in any order */
    }
    qsort(all, n, sizeof *all, by_lo); /* so that each is added at the end: linear also for 2,4,6,… */
    for (size_t i = 0; i < n; i++)
        if (all[i].hi) /* "*" of an empty mailbox is nothing */
            uid_set_add(s, all[i].lo ? all[i].lo : 1, all[i].hi);
    free(all);
    return s->failed ? error_make(ERROR_MEMORY, "no memory for a set") : OK;
}
