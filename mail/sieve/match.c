/* mail/sieve/match.c -- values against keys: comparators, match types, relations (RFC 5228 2.7, RFC 5231, RFC 4790)
 *
 * :contains is linear (memmem over a lower-case copy kept for the value); :matches goes back to its last * only, and counts each
 * byte it looks at inside the loop (attacks.md SV-02).
 */
#include "mail/sieve/internal.h"

#include <stdio.h>

enum comparator comparator_named(struct slice name, bool *known)
{
    *known = true;
    if (slice_eq(name, SLICE("i;octet")))
        return COMPARE_OCTET;
    if (slice_eq(name, SLICE("i;ascii-numeric")))
        return COMPARE_NUMERIC;
    *known = slice_eq(name, SLICE("i;ascii-casemap"));
    return COMPARE_CASEMAP;
}

enum relation relation_named(struct slice name)
{
    static const char names[][3] = {"", "gt", "ge", "lt", "le", "eq", "ne"};
    for (int i = RELATION_GT; i <= RELATION_NE; i++)
        if (slice_eq_nocase(name, slice_of(names[i])))
            return (enum relation)i;
    return RELATION_NONE;
}

struct error matcher_begin(struct sieve_run *r, const struct sieve_node *n, const struct sieve_value *keys, struct matcher *out)
{
    const struct sieve_tag *type = node_tag(n, G_MATCH);
    const struct sieve_value *comparator = node_tag_value(n, G_COMPARATOR), *relation = node_tag_value(n, G_MATCH);
    bool known;
    *out = (struct matcher){.run = r, .type = type ? type->id : TAG_IS, .comparator = COMPARE_CASEMAP};
    if (comparator)
        out->comparator = comparator_named(comparator->strings[0], &known);
    if (relation) {
        struct slice name;
        TRY(value_string(r, relation, &name));
        out->relation = relation_named(name);
        if (out->relation == RELATION_NONE)
            return run_fail(r, n, "A relation is one of gt, ge, lt, le, eq, ne.");
    }
    return value_strings(r, keys, &out->keys);
}

/* RFC 4790 9.1.1: the digits at the front; none is more than any number. */
static int compare_numeric(struct slice a, struct slice b)
{
    size_t n = 0, m = 0;
    while (n < a.n && ascii_is_digit(a.p[n]))
        n++;
    while (m < b.n && ascii_is_digit(b.p[m]))
        m++;
    if (n == 0 || m == 0)
        return (n == 0) - (m == 0);
    a.n = n;
    b.n = m;
    while (a.n > 1 && a.p[0] == '0')
        a = slice_after(a, 1);
    while (b.n > 1 && b.p[0] == '0')
        b = slice_after(b, 1);
    return a.n != b.n ? (a.n > b.n ? 1 : -1) : slice_compare(a, b);
}

static int compare(enum comparator by, struct slice a, struct slice b)
{
    if (by == COMPARE_NUMERIC)
        return compare_numeric(a, b);
    if (by == COMPARE_OCTET)
        return slice_compare(a, b);
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        int d = (unsigned char)ascii_upper(a.p[i]) - (unsigned char)ascii_upper(b.p[i]);
        if (d)
            return d;
    }
    return (a.n > b.n) - (a.n < b.n);
}

static bool holds(enum relation r, int c)
{
    switch (r) {
    case RELATION_GT:
        return c > 0;
    case RELATION_GE:
        return c >= 0;
    case RELATION_LT:
        return c < 0;
    case RELATION_LE:
        return c <= 0;
    case RELATION_EQ:
        return c == 0;
    default:
        return c != 0;
    }
}

static struct error fold(struct sieve_run *r, struct slice s, struct slice *out)
{
    char *to = arena_alloc(r->arena, s.n + 1);
    if (!to)
        return sieve_no_memory();
    for (size_t i = 0; i < s.n; i++)
        to[i] = ascii_lower(s.p[i]);
    *out = slice_make(to, s.n);
    return OK;
}

static struct error contains(struct matcher *m, struct slice value, struct slice key, bool *out)
{
    struct sieve_run *r = m->run;
    if (m->comparator == COMPARE_CASEMAP && key.n <= value.n && key.n) {
        if (r->folded_of.p != value.p || r->folded_of.n != value.n) {
            TRY(fold(r, value, &r->folded));
            r->folded_of = value;
        }
        value = r->folded;
        TRY(fold(r, key, &key));
    }
    *out = key.n == 0 || (key.n <= value.n && memmem(value.p, value.n, key.p, key.n) != NULL);
    return OK;
}

/* Where a pattern stands, and what its wildcards took. */
struct glob {
    struct slice text, pattern;
    enum comparator by;
    struct slice taken[MATCH_VARIABLES]; /* 1 to 9 */
    size_t wildcards;
};

/* The character at i: i;octet counts octets, the others UTF-8 characters. */
static size_t char_length(const struct glob *g, size_t i)
{
    size_t n = 1;
    if (g->by != COMPARE_OCTET && (g->text.p[i] & 0xC0) == 0xC0)
        while (n < 4 && i + n < g->text.n && (g->text.p[i + n] & 0xC0) == 0x80)
            n++;
    return n;
}

static void take(struct glob *g, size_t wildcard, size_t from, size_t to)
{
    if (wildcard < MATCH_VARIABLES)
        g->taken[wildcard] = slice_make(g->text.p + from, to - from);
}

/* One step of the pattern at *p over the text at *t: 1 done, 0 does not fit. */
static bool glob_step(struct glob *g, size_t *p, size_t *t)
{
    char c = g->pattern.p[*p];
    if (*t >= g->text.n)
        return false;
    if (c == '?') {
        size_t n = char_length(g, *t);
        take(g, ++g->wildcards, *t, *t + n);
        *t += n;
        ++*p;
        return true;
    }
    size_t escape = c == '\\' && *p + 1 < g->pattern.n;
    c = g->pattern.p[*p + escape];
    if (g->by == COMPARE_OCTET ? c != g->text.p[*t] : ascii_lower(c) != ascii_lower(g->text.p[*t]))
        return false;
    *p += 1 + escape;
    ++*t;
    return true;
}

static struct error glob_match(struct sieve_run *r, struct glob *g, bool *out)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_t = 0, star_from = 0, star_wildcard = 0;
    uint64_t steps = 0;
    *out = false;
    for (;;) {
        if (++steps == 4096) {
            TRY(run_steps(r, steps));
            steps = 0;
        }
        if (p < g->pattern.n && g->pattern.p[p] == '*') {
            star = ++p;
            star_from = star_t = t;
            star_wildcard = ++g->wildcards;
            take(g, star_wildcard, t, t);
            continue;
        }
        if (p == g->pattern.n && (t == g->text.n || star == p)) {
            if (star == p)
                take(g, star_wildcard, star_from, g->text.n);
            *out = true;
            break;
        }
        if (p < g->pattern.n && glob_step(g, &p, &t))
            continue;
        if (star == SIZE_MAX || star_t >= g->text.n)
            break;
        star_t += char_length(g, star_t); /* the last * takes one character more */
        take(g, star_wildcard, star_from, star_t);
        t = star_t;
        p = star;
        g->wildcards = star_wildcard;
    }
    return run_steps(r, steps);
}

static struct error matches(struct matcher *m, struct slice value, struct slice key, bool *out)
{
    struct sieve_run *r = m->run;
    struct glob g = {.text = value, .pattern = key, .by = m->comparator};
    TRY(glob_match(r, &g, out));
    if (!*out || m->keep_variables || !(r->script->extensions & X_VARIABLES))
        return OK;
    g.taken[0] = value;
    r->n_matched = g.wildcards + 1 < MATCH_VARIABLES ? g.wildcards + 1 : MATCH_VARIABLES;
    memcpy(r->matched, g.taken, r->n_matched * sizeof r->matched[0]);
    return OK;
}

struct error matcher_value(struct matcher *m, struct slice value)
{
    m->count++;
    if (m->type == TAG_COUNT)
        return OK;
    for (size_t i = 0; i < m->keys.n && !m->found; i++) {
        struct slice key = m->keys.all[i];
        TRY(run_steps(m->run, 16 + key.n + (m->type == TAG_CONTAINS ? value.n : 0)));
        if (m->type == TAG_IS)
            m->found = m->comparator == COMPARE_OCTET ? slice_eq(value, key) : m->comparator == COMPARE_CASEMAP ? slice_eq_nocase(value, key) : compare_numeric(value, key) == 0;
        else if (m->type == TAG_VALUE)
            m->found = holds(m->relation, compare(m->comparator, value, key));
        else if (m->type == TAG_CONTAINS)
            TRY(contains(m, value, key, &m->found));
        else
            TRY(matches(m, value, key, &m->found));
    }
    return OK;
}

struct error matcher_end(struct matcher *m, bool *out)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)m->count);
    for (size_t i = 0; m->type == TAG_COUNT && i < m->keys.n && !m->found; i++)
        m->found = holds(m->relation, compare(m->comparator, slice_make(text, (size_t)n), m->keys.all[i]));
    *out = m->found;
    return OK;
}
