/* core/dns/table.c -- a file that is the whole DNS: the demonstration's and the tests'
 *
 * A line is `name type data`, data as in a zone file: an address, `10 mx.example.`, `"v=spf1 -all"` (strings, joined), `_25._tcp` TLSA `3 1 1 HEX`,
 * `0 5 5060 host.` for SRV. `!secure` at the end of a line makes the answer validated; `!servfail`, `!nodata` and `!timeout` in the place of data are those
 * answers. "*.name" answers for every name below it that has no line. '#' and ';' begin a comment. The file is read again when it changed.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/buffer.h"
#include "core/dns/internal.h"

enum { TABLE_MAX = 16 * 1024 * 1024, ALIASES_MAX = 8 };

struct table {
    const char *path;
    struct timespec changed;
    off_t size;
    char *text; /* the file */
    struct slice bytes;
};

static const struct {
    const char *name;
    enum dns_type type;
} types[] = {{"A", DNS_A}, {"NS", DNS_NS}, {"CNAME", DNS_CNAME}, {"PTR", DNS_PTR}, {"MX", DNS_MX}, {"TXT", DNS_TXT}, {"AAAA", DNS_AAAA}, {"SRV", DNS_SRV}, {"TLSA", DNS_TLSA}, {"CAA", DNS_CAA}};

struct table *table_new(const char *path)
{
    struct table *t = calloc(1, sizeof *t);
    if (t)
        t->path = path;
    return t;
}

void table_free(struct table *t)
{
    if (t)
        free(t->text);
    free(t);
}

static void read_again(struct table *t)
{
    struct stat is;
    if (stat(t->path, &is) != 0 || is.st_size > TABLE_MAX) {
        t->bytes = slice_make("", 0);
        t->size = 0;
        return;
    }
    if (t->text && is.st_size == t->size && is.st_mtim.tv_sec == t->changed.tv_sec && is.st_mtim.tv_nsec == t->changed.tv_nsec)
        return;
    FILE *f = fopen(t->path, "re");
    char *text = malloc((size_t)is.st_size + 1);
    if (f && text) {
        size_t n = fread(text, 1, (size_t)is.st_size, f);
        free(t->text);
        t->text = text;
        t->bytes = slice_make(text, n);
        t->size = is.st_size;
        t->changed = is.st_mtim;
        text = NULL;
    }
    free(text);
    if (f)
        (void)fclose(f);
}

/* The next word; a word in quotes keeps its blanks, without the quotes. */
static struct slice word(struct slice *line)
{
    while (line->n && (line->p[0] == ' ' || line->p[0] == '\t'))
        *line = slice_after(*line, 1);
    if (line->n && line->p[0] == '"') {
        struct slice inside = slice_first(slice_after(*line, 1), slice_find(slice_after(*line, 1), '"'));
        *line = slice_after(*line, inside.n + 2);
        return inside;
    }
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
        n++;
    struct slice w = slice_first(*line, n);
    *line = slice_after(*line, n);
    return w;
}

static unsigned number(struct slice *line)
{
    uint64_t n = 0;
    (void)slice_number(word(line), 65535, &n);
    return (unsigned)n;
}

static bool address_of(struct slice text, int family, size_t size, struct arena *a, struct dns_record *out)
{
    char *bytes = arena_alloc(a, 16), *end = arena_string(a, text);
    if (!bytes || !end || inet_pton(family, end, bytes) != 1)
        return false;
    out->data = slice_make(bytes, size);
    return true;
}

static bool read_hex(struct slice *line, struct buffer *b)
{
    struct slice w;
    while ((w = word(line)).n) {
        if (w.n % 2)
            return false;
        for (size_t i = 0; i < w.n; i += 2) {
            int high = ascii_hex(w.p[i]), low = ascii_hex(w.p[i + 1]);
            if (high < 0 || low < 0)
                return false;
            buffer_add_char(b, (char)(high << 4 | low));
        }
    }
    return true;
}

/* TLSA: `usage selector matching HEX`; CAA: `flags tag "value"`. */
static bool read_bytes(enum dns_type type, struct slice line, struct arena *a, struct dns_record *out)
{
    struct buffer b = {0};
    bool good = true;
    buffer_add_char(&b, (char)number(&line));
    if (type == DNS_TLSA) {
        buffer_add_char(&b, (char)number(&line));
        buffer_add_char(&b, (char)number(&line));
        good = read_hex(&line, &b);
    } else {
        struct slice tag = word(&line);
        buffer_add_char(&b, (char)tag.n);
        buffer_add(&b, tag);
        buffer_add(&b, word(&line));
    }
    good = good && !b.failed && record_read(type, buffer_slice(&b), a, out);
    buffer_free(&b);
    return good;
}

static bool read_text(struct slice line, struct arena *a, struct dns_record *out)
{
    struct buffer b = {0};
    for (;;) {
        while (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
            line = slice_after(line, 1);
        if (line.n == 0)
            break;
        buffer_add(&b, word(&line));
    }
    out->data = arena_copy(a, b.bytes ? buffer_slice(&b) : SLICE(""));
    bool good = !b.failed && out->data.p;
    buffer_free(&b);
    return good;
}

static bool read_data(enum dns_type type, struct slice line, struct arena *a, struct dns_record *out)
{
    *out = (struct dns_record){0};
    switch (type) {
    case DNS_A:
        return address_of(word(&line), AF_INET, 4, a, out);
    case DNS_AAAA:
        return address_of(word(&line), AF_INET6, 16, a, out);
    case DNS_TXT:
        return read_text(line, a, out);
    case DNS_TLSA:
    case DNS_CAA:
        return read_bytes(type, line, a, out);
    case DNS_SRV:
        out->preference = number(&line);
        out->weight = number(&line);
        out->port = number(&line);
        break;
    case DNS_MX:
        out->preference = number(&line);
        break;
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
        break;
    }
    out->data = arena_copy(a, dns_name_bare(word(&line)));
    return out->data.p != NULL;
}

/* What the lines of one name say about one type. */
struct found {
    struct dns_answer answer;
    struct dns_record *records;
    size_t room;
    bool name, silent; /* the name has a line of any type; nobody answers */
    struct slice alias;
};

static void add_record(struct found *f, enum dns_type type, struct slice line, struct arena *a)
{
    if (f->answer.n == f->room) {
        size_t room = f->room ? f->room * 2 : 4;
        f->records = arena_grow(a, f->records, f->room * sizeof *f->records, room * sizeof *f->records);
        f->room = f->records ? room : 0;
        if (!f->records)
            return;
    }
    if (read_data(type, line, a, &f->records[f->answer.n]))
        f->answer.n++;
}

static void take_line(struct found *f, enum dns_type wanted, enum dns_type type, struct slice line, struct arena *a)
{
    struct slice trimmed = slice_trim(line);
    f->name = true;
    if (type != wanted && type != DNS_CNAME)
        return;
    if (slice_ends(trimmed, SLICE("!secure"))) {
        f->answer.secure = true;
        trimmed = slice_trim(slice_first(trimmed, trimmed.n - 7));
    }
    if (slice_eq(trimmed, SLICE("!servfail")))
        f->answer.status = DNS_TEMPERROR;
    else if (slice_eq(trimmed, SLICE("!timeout")))
        f->silent = true;
    else if (slice_eq(trimmed, SLICE("!nodata")))
        return;
    else if (type == DNS_CNAME && wanted != DNS_CNAME)
        f->alias = dns_name_bare(word(&trimmed));
    else
        add_record(f, wanted, trimmed, a);
}

static bool name_fits(struct slice pattern, struct slice name, bool wild)
{
    if (!wild)
        return slice_eq_nocase(pattern, name);
    return pattern.n > 2 && pattern.p[0] == '*' && pattern.p[1] == '.' && name.n >= pattern.n && slice_eq_nocase(slice_after(name, name.n - (pattern.n - 1)), slice_after(pattern, 1));
}

static void look(struct table *t, struct slice name, enum dns_type wanted, bool wild, struct arena *a, struct found *f)
{
    *f = (struct found){.answer.status = DNS_NODATA};
    for (struct slice rest = t->bytes; rest.n;) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        rest = slice_after(rest, line.n + 1);
        line = slice_trim(line);
        if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
            continue;
        struct slice who = dns_name_bare(word(&line)), kind = word(&line);
        if (!name_fits(who, name, wild))
            continue;
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
            if (slice_eq_nocase(kind, slice_of(types[i].name)))
                take_line(f, wanted, types[i].type, line, a);
    }
    f->answer.records = f->records;
    if (f->answer.n && f->answer.status == DNS_NODATA)
        f->answer.status = DNS_FOUND;
    if (!f->name)
        f->answer.status = DNS_NXDOMAIN;
}

struct dns_answer table_answer(struct table *t, const struct dns_question *q, struct arena *a, bool *silent)
{
    struct found f;
    struct slice name = q->name;
    bool secure = true;
    read_again(t);
    for (int i = 0; i < ALIASES_MAX; i++) {
        look(t, name, q->type, false, a, &f);
        if (!f.name)
            look(t, name, q->type, true, a, &f);
        secure = secure && f.answer.secure;
        if (f.alias.n == 0 || f.answer.n)
            break;
        name = f.alias;
    }
    *silent = f.silent;
    f.answer.secure = secure;
    f.answer.canonical = arena_copy(a, name);
    return f.answer;
}
