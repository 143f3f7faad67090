/* core/kantord/report.c -- cells to aligned text or JSON */
#include "core/kantord/report.h"

#include <stdio.h>
#include <time.h>
#include <utf8proc.h>

enum kind { TEXT, NUMBER, SIZE, DATE, TEXTS, NOTHING };
enum { COLUMNS_MAX = 24 };

struct report_cell {
    enum kind kind;
    int64_t number;
    struct slice text;
    const struct slice *texts;
    size_t n;
};

void report_begin(struct report *r, struct arena *a)
{
    *r = (struct report){.arena = a};
}

void report_end(struct report *r)
{
    buffer_free(&r->said);
}

static void shape(struct report *r, const char *columns, int one)
{
    r->columns = columns;
    r->one = one;
    r->n_columns = 1;
    for (const char *p = columns; *p; p++)
        r->n_columns += *p == ' ';
}

void report_list(struct report *r, const char *columns)
{
    shape(r, columns, 0);
}

void report_one(struct report *r, const char *columns)
{
    shape(r, columns, 1);
}

static struct report_cell *add(struct report *r, enum kind kind)
{
    static struct report_cell lost;
    if (r->n == r->room) {
        size_t room = r->room ? r->room * 2 : 64;
        struct report_cell *grown = arena_grow(r->arena, r->cells, r->n * sizeof *grown, room * sizeof *grown);
        if (!grown) {
            r->failed = 1;
            return &lost;
        }
        r->cells = grown;
        r->room = room;
    }
    r->cells[r->n] = (struct report_cell){.kind = kind};
    return &r->cells[r->n++];
}

void report_text(struct report *r, struct slice text)
{
    struct report_cell *c = add(r, text.p ? TEXT : NOTHING);
    c->text = text.p ? arena_copy(r->arena, text) : text;
}

void report_word(struct report *r, const char *word)
{
    report_text(r, slice_of(word));
}

void report_number(struct report *r, int64_t number)
{
    add(r, NUMBER)->number = number;
}

void report_size(struct report *r, int64_t bytes)
{
    add(r, SIZE)->number = bytes;
}

void report_date(struct report *r, int64_t at)
{
    add(r, DATE)->number = at;
}

void report_texts(struct report *r, const struct slice *texts, size_t n)
{
    struct report_cell *c = add(r, TEXTS);
    struct slice *copy = arena_alloc(r->arena, (n + 1) * sizeof *copy);
    if (!copy) {
        r->failed = 1;
        return;
    }
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_copy(r->arena, texts[i]);
    c->texts = copy;
    c->n = n;
}

void report_say(struct report *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (buffer_length(&r->said))
        buffer_add_char(&r->said, '\n');
    buffer_vprintf(&r->said, format, args);
    va_end(args);
}

/* --- pieces of text */

void report_write_size(int64_t bytes, struct buffer *out)
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
    double v = (double)bytes;
    int unit = 0;
    while (v >= 1023.95 && unit < 4) {
        v /= 1024;
        unit++;
    }
    buffer_printf(out, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
}

static void write_time(int64_t at, enum report_form form, struct buffer *out)
{
    struct tm t;
    char text[40];
    time_t when = (time_t)at;
    (void)gmtime_r(&when, &t);
    buffer_add(out, slice_make(text, form == REPORT_JSON ? strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &t)
                                                         : strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &t)));
}

void report_write_date(int64_t at, struct buffer *out)
{
    if (at)
        write_time(at, REPORT_FOR_PEOPLE, out);
    else
        buffer_add(out, SLICE("never"));
}

/* The code point at the front; its length. What is not UTF-8 is one byte of U+FFFD. */
static size_t next_point(struct slice s, utf8proc_int32_t *point)
{
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, point);
    if (n > 0)
        return (size_t)n;
    *point = 0xFFFD;
    return 1;
}

void report_json_text(struct slice s, struct buffer *out)
{
    buffer_add_char(out, '"');
    while (s.n) {
        utf8proc_int32_t point;
        size_t n = next_point(s, &point);
        if (point == '"' || point == '\\')
            buffer_printf(out, "\\%c", (char)point);
        else if (point == '\n')
            buffer_add(out, SLICE("\\n"));
        else if (point < 0x20 || point == 0x7F)
            buffer_printf(out, "\\u%04x", (unsigned)point);
        else if (point == 0xFFFD)
            buffer_add(out, SLICE("\xEF\xBF\xBD"));
        else
            buffer_add(out, slice_first(s, n));
        s = slice_after(s, n);
    }
    buffer_add_char(out, '"');
}

/* What a terminal may be given: no control character, nothing that is not UTF-8. */
static void shown(struct slice s, struct buffer *out)
{
    while (s.n) {
        utf8proc_int32_t point;
        size_t n = next_point(s, &point);
        if (point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0xFFFD)
            buffer_add_char(out, '?');
        else
            buffer_add(out, slice_first(s, n));
        s = slice_after(s, n);
    }
}

static size_t columns_of(struct slice s)
{
    size_t width = 0;
    while (s.n) {
        utf8proc_int32_t point;
        size_t n = next_point(s, &point);
        int w = utf8proc_charwidth(point);
        width += w > 0 ? (size_t)w : 0;
        s = slice_after(s, n);
    }
    return width;
}

static void cell_text(const struct report_cell *c, struct buffer *out)
{
    switch (c->kind) {
    case TEXT:
        shown(c->text, out);
        break;
    case NUMBER:
        buffer_printf(out, "%lld", (long long)c->number);
        break;
    case SIZE:
        report_write_size(c->number, out);
        break;
    case DATE:
        report_write_date(c->number, out);
        break;
    case TEXTS:
        for (size_t i = 0; i < c->n; i++) {
            buffer_add(out, i ? SLICE(", ") : SLICE(""));
            shown(c->texts[i], out);
        }
        break;
    default:
        buffer_add_char(out, '-');
    }
}

static void cell_json(const struct report_cell *c, struct buffer *out)
{
    if (c->kind == NUMBER || c->kind == SIZE) {
        buffer_printf(out, "%lld", (long long)c->number);
    } else if (c->kind == DATE && c->number) {
        buffer_add_char(out, '"');
        write_time(c->number, REPORT_JSON, out);
        buffer_add_char(out, '"');
    } else if (c->kind == TEXT) {
        report_json_text(c->text, out);
    } else if (c->kind == TEXTS) {
        buffer_add_char(out, '[');
        for (size_t i = 0; i < c->n; i++) {
            buffer_add(out, i ? SLICE(", ") : SLICE(""));
            report_json_text(c->texts[i], out);
        }
        buffer_add_char(out, ']');
    } else {
        buffer_add(out, SLICE("null"));
    }
}

/* --- the whole */

static void names_of(const struct report *r, struct slice names[COLUMNS_MAX])
{
    struct slice rest = slice_of(r->columns);
    for (size_t i = 0; i < r->n_columns && i < COLUMNS_MAX; i++) {
        names[i] = slice_first(rest, slice_find(rest, ' '));
        rest = slice_after(rest, names[i].n + 1);
    }
}

static void heading(struct slice name, struct buffer *out)
{
    for (size_t i = 0; i < name.n; i++)
        buffer_add_char(out, name.p[i] == '_' ? ' ' : ascii_upper(name.p[i]));
}

static void pad(size_t n, struct buffer *out)
{
    for (size_t i = 0; i < n; i++)
        buffer_add_char(out, ' ');
}

static void write_row(const struct report *r, const struct report_cell *cells, const size_t *widths, struct buffer *out)
{
    struct buffer b = {0};
    for (size_t i = 0; i < r->n_columns; i++) {
        buffer_clear(&b);
        cell_text(&cells[i], &b);
        size_t n = columns_of(buffer_slice(&b));
        int right = cells[i].kind == NUMBER || cells[i].kind == SIZE, last = i + 1 == r->n_columns;
        pad(right ? widths[i] - n : 0, out);
        buffer_add(out, buffer_slice(&b));
        pad(last ? 0 : (right ? 0 : widths[i] - n) + 2, out);
    }
    buffer_add_char(out, '\n');
    buffer_free(&b);
}

static void write_table(const struct report *r, struct buffer *out)
{
    struct slice names[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    struct buffer b = {0};
    names_of(r, names);
    for (size_t i = 0; i < r->n_columns; i++)
        widths[i] = names[i].n;
    for (size_t i = 0; i < r->n; i++) {
        buffer_clear(&b);
        cell_text(&r->cells[i], &b);
        size_t n = columns_of(buffer_slice(&b));
        widths[i % r->n_columns] = n > widths[i % r->n_columns] ? n : widths[i % r->n_columns];
    }
    for (size_t i = 0; i < r->n_columns && r->n; i++) {
        int right = r->cells[i].kind == NUMBER || r->cells[i].kind == SIZE;
        pad(right ? widths[i] - names[i].n : 0, out);
        heading(names[i], out);
        if (i + 1 < r->n_columns)
            pad((right ? 0 : widths[i] - names[i].n) + 2, out);
    }
    if (r->n)
        buffer_add_char(out, '\n');
    for (size_t i = 0; i + r->n_columns <= r->n; i += r->n_columns)
        write_row(r, r->cells + i, widths, out);
    buffer_free(&b);
}

/* Several texts of a single thing: one below the other. */
static void write_below(const struct report_cell *c, size_t indent, struct buffer *out)
{
    for (size_t i = 0; i < c->n; i++) {
        pad(i ? indent : 0, out);
        shown(c->texts[i], out);
        buffer_add_char(out, '\n');
    }
    buffer_add(out, c->n ? SLICE("") : SLICE("-\n"));
}

static void write_lines(const struct report *r, struct buffer *out)
{
    struct slice names[COLUMNS_MAX];
    size_t width = 0;
    names_of(r, names);
    for (size_t i = 0; i < r->n_columns; i++)
        width = names[i].n > width ? names[i].n : width;
    for (size_t i = 0; i < r->n; i++) {
        size_t column = i % r->n_columns;
        for (size_t k = 0; k < names[column].n; k++)
            buffer_add_char(out, names[column].p[k] == '_' ? ' ' : names[column].p[k]);
        pad(width - names[column].n + 2, out);
        if (r->cells[i].kind == TEXTS) {
            write_below(&r->cells[i], width + 2, out);
            continue;
        }
        cell_text(&r->cells[i], out);
        buffer_add_char(out, '\n');
    }
}

static void write_object(const struct report *r, const struct report_cell *cells, const struct slice *names,
                         struct buffer *out)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        buffer_printf(out, "%s\"%.*s\": ", i ? ", " : "{", SLICE_ARG(names[i]));
        cell_json(&cells[i], out);
    }
    buffer_add_char(out, '}');
}

static void write_json(const struct report *r, struct buffer *out)
{
    struct slice names[COLUMNS_MAX];
    if (!r->columns) {
        buffer_add(out, SLICE("{\"message\": "));
        report_json_text(buffer_slice(&r->said), out);
        buffer_add(out, SLICE("}\n"));
        return;
    }
    names_of(r, names);
    if (!r->one)
        buffer_add_char(out, '[');
    for (size_t i = 0; i + r->n_columns <= r->n; i += r->n_columns) {
        buffer_add(out, i ? SLICE(",\n ") : SLICE(""));
        write_object(r, r->cells + i, names, out);
    }
    buffer_add(out, r->one ? SLICE("\n") : SLICE("]\n"));
}

void report_write(const struct report *r, enum report_form form, struct buffer *out)
{
    if (form == REPORT_JSON) {
        write_json(r, out);
        return;
    }
    if (r->columns && !r->only_said)
        (r->one ? write_lines : write_table)(r, out);
    if (buffer_length(&r->said)) {
        buffer_add(out, buffer_slice(&r->said));
        buffer_add_char(out, '\n');
    }
}
