/* A DNS of a test: rows of a table, and the cases that stand beside them
 *
 * A file has lines of fields between tabs; \xHH in a field is a byte. "scenario TITLE" forgets all names; "zone NAME TYPE VALUE" adds a record (A, AAAA,
 * PTR, MX "10 host", TXT), "zone NAME EMPTY" a name without, "zone NAME TIMEOUT" makes every other question for the name a temperror; "case ..." is the
 * test's own. Lines with # in front are for people.
 */
#ifndef TESTS_MAIL_AUTHENTICATION_ZONE_H
#define TESTS_MAIL_AUTHENTICATION_ZONE_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/arena.h"
#include "core/dns/dns.h"

enum { ZONE_ROWS_MAX = 400, ZONE_FIELDS_MAX = 8, ZONE_LINE_MAX = 70000 };

struct zone_row {
    struct slice name;
    unsigned type; /* 0: EMPTY, 255: TIMEOUT */
    struct dns_record record;
};

struct zone {
    struct arena arena;
    struct zone_row rows[ZONE_ROWS_MAX];
    size_t n, asked;
    struct dns_record found[ZONE_ROWS_MAX];
    const char *scenario;
};

static inline struct slice zone_unescape(struct arena *a, struct slice s)
{
    char *to = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\\' && i + 3 < s.n && s.p[i + 1] == 'x') {
            to[n++] = (char)(ascii_hex(s.p[i + 2]) * 16 + ascii_hex(s.p[i + 3]));
            i += 3;
        } else {
            to[n++] = s.p[i];
        }
    return slice_make(to, n);
}

static inline void zone_add(struct zone *z, struct slice name, struct slice type, struct slice value)
{
    static const struct {
        const char *name;
        unsigned type;
    } types[] = {{"A", DNS_A}, {"AAAA", DNS_AAAA}, {"PTR", DNS_PTR}, {"MX", DNS_MX}, {"TXT", DNS_TXT}, {"EMPTY", 0}, {"TIMEOUT", 255}};
    struct zone_row row = {dns_name_bare(name), 999, {.data = value}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (slice_eq(type, slice_of(types[i].name)))
            row.type = types[i].type;
    assert_true(row.type != 999 && z->n < ZONE_ROWS_MAX);
    if (row.type == DNS_A || row.type == DNS_AAAA) {
        char *address = arena_alloc(&z->arena, 16);
        assert_int_equal(inet_pton(row.type == DNS_A ? AF_INET : AF_INET6, arena_string(&z->arena, value), address), 1);
        row.record.data = slice_make(address, row.type == DNS_A ? 4 : 16);
    } else if (row.type == DNS_MX) {
        size_t blank = slice_find(value, ' ');
        row.record.data = slice_after(value, blank + 1);
    }
    z->rows[z->n++] = row;
}

static inline struct dns_answer zone_answer(struct zone *z, struct dns_question q)
{
    struct dns_answer out = {.status = DNS_NXDOMAIN, .records = z->found};
    enum dns_status without = DNS_NXDOMAIN;
    z->asked++;
    assert_true(dns_name_fits(q.name));
    for (size_t i = 0; i < z->n; i++) {
        if (!slice_eq_nocase(z->rows[i].name, q.name))
            continue;
        if (without != DNS_TEMPERROR)
            without = z->rows[i].type == 255 ? DNS_TEMPERROR : DNS_NODATA;
        if (z->rows[i].type == q.type)
            z->found[out.n++] = z->rows[i].record;
    }
    out.status = out.n ? DNS_FOUND : without;
    return out;
}

/* Reads all lines; every "case" goes to `run` with its fields. The number of cases. */
static inline size_t zone_read(struct zone *z, FILE *f, void (*run)(struct zone *z, const struct slice *fields, size_t n))
{
    static char line[ZONE_LINE_MAX];
    size_t cases = 0;
    arena_init(&z->arena, 64 * 1024 * 1024);
    while (fgets(line, sizeof line, f)) {
        struct slice rest = arena_copy(&z->arena, slice_first(slice_of(line), slice_find(slice_of(line), '\n')));
        struct slice fields[ZONE_FIELDS_MAX];
        size_t n = 0;
        for (bool more = true; more && n < ZONE_FIELDS_MAX; n++) {
            size_t tab = slice_find(rest, '\t');
            more = tab < rest.n;
            fields[n] = zone_unescape(&z->arena, slice_first(rest, tab));
            rest = slice_after(rest, tab + 1);
        }
        if (slice_eq(fields[0], SLICE("scenario"))) {
            z->n = 0;
            z->scenario = arena_string(&z->arena, fields[1]);
        } else if (slice_eq(fields[0], SLICE("zone"))) {
            zone_add(z, fields[1], fields[2], n > 3 ? fields[3] : SLICE(""));
        } else if (slice_eq(fields[0], SLICE("case"))) {
            run(z, fields + 1, n - 1);
            cases++;
        }
    }
    arena_free(&z->arena);
    return cases;
}

#endif
