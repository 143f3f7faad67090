/* mail/delivery/rule_rows.c -- the text of a rule, and its rows */
#include "core/cleanup.h"
#include "mail/delivery/rules.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for rules")

enum { RULES_MAX = 1000 };

static struct error read_direction(struct slice value, struct arena *a, struct rule *r)
{
    static const char *const words[] = {[RULE_ANY] = "any", [RULE_IN] = "in", [RULE_OUT] = "out", [RULE_INSIDE] = "inside"};
    (void)a;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (slice_eq(value, slice_of(words[i]))) {
            r->direction = (enum rule_direction)i;
            return OK;
        }
    }
    return error_make(ERROR_INVALID, "the direction is in, out, inside or any");
}

static bool is_field_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':')
            return false;
    return s.n > 0 && s.n < 100;
}

static struct error read_header(struct slice value, struct arena *a, struct rule *r)
{
    (void)a;
    r->header_name = slice_trim(slice_first(value, slice_find(value, ':')));
    r->header_text = slice_trim(slice_after(value, slice_find(value, ':') + 1));
    return is_field_name(r->header_name) && slice_find(value, ':') < value.n ? OK : error_make(ERROR_INVALID, "a header is asked as NAME:TEXT");
}

static struct error read_add_header(struct slice value, struct arena *a, struct rule *r)
{
    size_t colon = slice_find(value, ':');
    struct slice name = slice_first(value, colon);
    if (!is_field_name(name) || colon == value.n || value.n > 900)
        return error_make(ERROR_INVALID, "a header is written as NAME: VALUE");
    if (slice_starts_nocase(name, SLICE("Content-")) || slice_eq_nocase(name, SLICE("MIME-Version")) || slice_eq_nocase(name, SLICE("Return-Path")) || slice_eq_nocase(name, SLICE("From")))
        return error_make(ERROR_INVALID, "that field belongs to the message itself");
    char *text = arena_printf(a, "%.*s: %.*s", SLICE_ARG(name), SLICE_ARG(slice_trim(slice_after(value, colon + 1))));
    r->add_header = slice_of(text);
    return text ? OK : NO_MEMORY;
}

static struct error read_larger(struct slice value, struct arena *a, struct rule *r)
{
    uint64_t n;
    (void)a;
    if (!slice_number(value, INT64_MAX, &n) || n == 0)
        return error_make(ERROR_INVALID, "larger takes a number of bytes");
    r->larger = (int64_t)n;
    return OK;
}

static struct error address_of(struct slice value, struct arena *a, struct slice *out)
{
    struct address x;
    if (address_parse(value, a, &x).code != ERROR_NONE)
        return error_make(ERROR_INVALID, "redirect and journal take an address");
    char *text = address_text(&x, a);
    *out = slice_of(text);
    return text ? OK : NO_MEMORY;
}

static struct error read_redirect(struct slice value, struct arena *a, struct rule *r) { return address_of(value, a, &r->redirect); }
static struct error read_journal(struct slice value, struct arena *a, struct rule *r) { return address_of(value, a, &r->journal); }

static struct error read_sender(struct slice value, struct arena *a, struct rule *r)
{
    (void)a;
    r->sender = value;
    return OK;
}

static struct error read_recipient(struct slice value, struct arena *a, struct rule *r)
{
    (void)a;
    r->recipient = value;
    return OK;
}

static struct error read_reject(struct slice value, struct arena *a, struct rule *r)
{
    (void)a;
    r->reject = value.n ? slice_first(value, 400) : SLICE("not allowed by a rule of this domain");
    return OK;
}

/* "\n" is a new line. */
static struct error read_disclaimer(struct slice value, struct arena *a, struct rule *r)
{
    char *out = arena_alloc(a, value.n + 1);
    size_t n = 0;
    if (!out)
        return NO_MEMORY;
    for (size_t i = 0; i < value.n; i++) {
        bool line = value.p[i] == '\\' && i + 1 < value.n && value.p[i + 1] == 'n';
        out[n++] = line ? '\n' : value.p[i];
        i += line;
    }
    r->disclaimer = slice_make(out, n);
    return OK;
}

static struct error read_attachment(struct slice value, struct arena *a, struct rule *r)
{
    (void)a;
    (void)value;
    r->attachment = true;
    return OK;
}

static struct error read_stop(struct slice value, struct arena *a, struct rule *r)
{
    (void)a;
    (void)value;
    r->stop = true;
    return OK;
}

static const struct {
    struct slice key;
    struct error (*read)(struct slice value, struct arena *a, struct rule *r);
} keys[] = {
    {{"direction", 9}, read_direction}, {{"sender", 6}, read_sender},           {{"recipient", 9}, read_recipient}, {{"header", 6}, read_header},
    {{"larger", 6}, read_larger},       {{"attachment", 10}, read_attachment},  {{"disclaimer", 10}, read_disclaimer}, {{"add-header", 10}, read_add_header},
    {{"redirect", 8}, read_redirect},   {{"reject", 6}, read_reject},           {{"journal", 7}, read_journal},     {{"stop", 4}, read_stop},
};

struct error rule_read(struct slice body, struct arena *a, struct rule *out)
{
    while (body.n) {
        struct slice line = slice_first(body, slice_find(body, '\n')), key = slice_first(line, slice_find(line, ' '));
        size_t i = 0, n = sizeof keys / sizeof keys[0];
        body = slice_after(body, line.n + 1);
        while (i < n && !slice_eq(keys[i].key, key))
            i++;
        if (i == n)
            return error_make(ERROR_INVALID, "a rule has a word that is not known");
        TRY(keys[i].read(slice_after(line, key.n + 1), a, out));
    }
    if (!out->disclaimer.p && !out->add_header.p && !out->redirect.p && !out->reject.p && !out->journal.p && !out->stop)
        return error_make(ERROR_INVALID, "the rule does nothing: name an action (disclaimer, add-header, redirect, reject, journal, stop)");
    return OK;
}

/* --- rows */

struct error rule_add(struct sql *db, const struct rule *r, int64_t *id)
{
    {
        SCOPED(sql_done) struct sql_stmt *count = sql_use(db, "SELECT count(*) FROM rule");
        int64_t n = sql_row(count) ? sql_int(count, 0) : 0;
        TRY(sql_result(count));
        if (n >= RULES_MAX)
            return error_make(ERROR_LIMIT, "there are too many rules");
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO rule (domain, place, name, body) VALUES ($1, $2, $3, $4)");
    sql_bind_int(st, 1, r->domain);
    sql_bind_int(st, 2, r->place);
    sql_bind_text(st, 3, r->name);
    sql_bind_text(st, 4, r->body);
    TRY(sql_run(st));
    *id = sql_inserted(db);
    return OK;
}

struct error rule_delete(struct sql *db, int64_t domain, struct slice name)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM rule WHERE domain = $1 AND name = $2");
    sql_bind_int(st, 1, domain);
    sql_bind_text(st, 2, name);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such rule; `kantorctl rule list` shows all");
}

struct error rule_list(struct sql *db, int64_t domain, struct arena *a, struct rule **all, size_t *n)
{
    *n = 0;
    *all = arena_zero(a, RULES_MAX, sizeof **all);
    if (!*all)
        return NO_MEMORY;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, domain, place, name, body FROM rule WHERE ($1 = 0 OR domain = $1) ORDER BY domain, place, id LIMIT 1000");
    sql_bind_int(st, 1, domain);
    while (sql_row(st)) {
        struct rule *r = &(*all)[(*n)++], read = {.id = sql_int(st, 0), .domain = sql_int(st, 1), .place = sql_int(st, 2), .name = arena_copy(a, sql_text(st, 3)), .body = arena_copy(a, sql_text(st, 4))};
        if (!read.name.p || !read.body.p)
            return NO_MEMORY;
        *r = read;
        if (rule_read(read.body, a, &read).code == ERROR_NONE)
            *r = read;
    }
    return sql_result(st);
}
