/* mail/sieve/message.c -- the fields of the head, tests on them, and editheader (RFC 5228 5.5 to 5.9, RFC 5260 6, RFC 5293) */
#include "mail/mime/charset.h"
#include "mail/mime/decode.h"
#include "mail/mime/header.h"
#include "mail/mime/words.h"
#include "mail/sieve/internal.h"

enum { LINE_MAX_LENGTH = 998 /* RFC 5322 2.1.1 */, WORD_BYTES = 42 /* of an encoded word: 68 characters */ };

static struct error field_add(struct sieve_run *r, size_t at, const struct sieve_field *f)
{
    if (r->n_fields == r->room_fields) {
        size_t room = r->room_fields ? 2 * r->room_fields : 64;
        r->fields = arena_grow(r->arena, r->fields, r->room_fields * sizeof *r->fields, room * sizeof *r->fields);
        if (!r->fields)
            return sieve_no_memory();
        r->room_fields = room;
    }
    memmove(r->fields + at + 1, r->fields + at, (r->n_fields - at) * sizeof *r->fields);
    r->fields[at] = *f;
    r->n_fields++;
    return OK;
}

struct error fields_read(struct sieve_run *r)
{
    struct slice rest = slice_first(r->m->head, header_length(r->m->head));
    const char *end = rest.p;
    struct header_field f;
    while (header_next(&rest, &f)) {
        if (f.whole.p > end) /* lines that are no field stay in an edited head, under no name */
            TRY(field_add(r, r->n_fields, &(struct sieve_field){.name = SLICE(""), .whole = slice_make(end, (size_t)(f.whole.p - end))}));
        TRY(field_add(r, r->n_fields, &(struct sieve_field){.name = f.name, .raw = f.value, .whole = f.whole}));
        end = f.whole.p + f.whole.n;
    }
    return run_steps(r, r->m->head.n);
}

struct slice field_value(struct sieve_run *r, struct sieve_field *f)
{
    struct buffer b = {0};
    if (f->value.p)
        return f->value;
    struct slice flat = header_unfold(f->raw, r->arena);
    if (!memmem(flat.p, flat.n, "=?", 2)) {
        f->value = flat;
        return flat;
    }
    words_decode(flat, &b);
    f->value = arena_copy(r->arena, buffer_slice(&b));
    buffer_free(&b);
    return f->value;
}

bool index_wanted(const struct sieve_node *n, size_t i, size_t total)
{
    const struct sieve_value *index = node_tag_value(n, G_INDEX);
    if (!index)
        return true;
    return node_tag(n, G_LAST) ? total - i == index->number : i + 1 == index->number;
}

static size_t count_fields(const struct sieve_run *r, struct slice name)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_fields; i++)
        n += slice_eq_nocase(r->fields[i].name, name);
    return n;
}

struct error header_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct matcher m;
    struct sieve_list names;
    TRY(matcher_begin(r, n, &n->at[1], &m));
    TRY(value_strings(r, &n->at[0], &names));
    for (size_t k = 0; k < names.n && !m.found; k++) {
        size_t seen = 0, total = count_fields(r, names.all[k]);
        TRY(run_steps(r, 4 * r->n_fields));
        for (size_t i = 0; i < r->n_fields && !m.found && seen < total; i++)
            if (names.all[k].n && slice_eq_nocase(r->fields[i].name, names.all[k]) && index_wanted(n, seen++, total))
                TRY(matcher_value(&m, field_value(r, &r->fields[i])));
    }
    return matcher_end(&m, out);
}

struct error exists_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct sieve_list names;
    TRY(value_strings(r, &n->at[0], &names));
    *out = true;
    for (size_t k = 0; k < names.n && *out; k++) {
        TRY(run_steps(r, 4 * r->n_fields));
        *out = names.all[k].n && count_fields(r, names.all[k]) > 0;
    }
    return OK;
}

struct error size_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    *out = node_tag(n, G_SIZE)->id == TAG_OVER ? r->m->size > n->at[0].number : r->m->size < n->at[0].number;
    return OK;
}

/* What the way of a message writes may be neither forged nor removed (RFC 5293 6, attacks.md SV-10): such an edit does nothing. */
static bool protected_field(struct slice name)
{
    static const char *const names[] = {"Received", "Auto-Submitted", "Return-Path", "Delivered-To", "Authentication-Results", "DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(name, slice_of(names[i])))
            return true;
    return false;
}

static bool value_writable(struct slice name, struct slice value)
{
    for (size_t i = 0; i < value.n; i++)
        if ((value.p[i] >= 0 && value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 127)
            return false;
    return name.n + value.n + 2 <= LINE_MAX_LENGTH;
}

/* Other characters than ASCII go as encoded words, one a line (RFC 5293 4, RFC 2047 2). */
static void write_value(struct slice value, struct buffer *out)
{
    struct buffer utf8 = {0};
    size_t i = 0;
    while (i < value.n && value.p[i] >= 0)
        i++;
    if (i == value.n) {
        buffer_add(out, value);
        return;
    }
    charset_to_utf8(SLICE("utf-8"), value, &utf8);
    for (struct slice rest = buffer_slice(&utf8); rest.n;) {
        size_t n = rest.n < WORD_BYTES ? rest.n : WORD_BYTES;
        while (n > 1 && n < rest.n && (rest.p[n] & 0xC0) == 0x80)
            n--;
        buffer_add(out, SLICE("=?utf-8?b?"));
        base64_encode(slice_first(rest, n), out);
        buffer_add(out, n < rest.n ? SLICE("?=\r\n ") : SLICE("?="));
        rest = slice_after(rest, n);
    }
    out->failed |= utf8.failed;
    buffer_free(&utf8);
}

struct error addheader_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct slice name, value;
    struct buffer b = {0};
    TRY(value_string(r, &n->at[0], &name));
    TRY(value_string(r, &n->at[1], &value));
    if (!field_name_valid(name) || name.n > 256)
        return run_fail(r, n, "addheader would write a field that cannot be called so.");
    if (!value_writable(name, value))
        return run_fail(r, n, "addheader would write a value of several lines, or a very long one.");
    if (protected_field(name))
        return OK;
    buffer_add(&b, name);
    buffer_add(&b, SLICE(": "));
    write_value(value, &b);
    buffer_add(&b, SLICE("\r\n"));
    struct slice whole = arena_copy(r->arena, buffer_slice(&b));
    bool failed = b.failed || !whole.p;
    buffer_free(&b);
    if (failed)
        return sieve_no_memory();
    struct sieve_field f = {.name = slice_first(whole, name.n), .whole = whole, .raw = slice_make(whole.p + name.n + 2, whole.n - name.n - 4)};
    r->dirty = true;
    TRY(run_steps(r, 64 * r->n_fields + whole.n));
    return field_add(r, node_tag(n, G_LAST) ? r->n_fields : 0, &f);
}

struct error deleteheader_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct slice name;
    TRY(value_string(r, &n->at[0], &name));
    if (protected_field(name) || name.n == 0)
        return OK;
    size_t kept = 0, seen = 0, total = count_fields(r, name);
    TRY(run_steps(r, 8 * r->n_fields));
    for (size_t i = 0; i < r->n_fields; i++) {
        bool gone = slice_eq_nocase(r->fields[i].name, name) && index_wanted(n, seen++, total);
        if (gone && n->at[1].kind != VALUE_NONE) {
            struct matcher m;
            TRY(matcher_begin(r, n, &n->at[1], &m));
            TRY(matcher_value(&m, field_value(r, &r->fields[i])));
            TRY(matcher_end(&m, &gone));
        }
        r->dirty |= gone;
        if (!gone)
            r->fields[kept++] = r->fields[i];
    }
    r->n_fields = kept;
    return OK;
}

struct error head_edited(struct sieve_run *r, struct slice *out)
{
    if (r->dirty) {
        struct buffer b = {0};
        for (size_t i = 0; i < r->n_fields; i++)
            buffer_add(&b, r->fields[i].whole);
        buffer_add(&b, SLICE("\r\n"));
        r->edited = arena_copy(r->arena, buffer_slice(&b));
        bool failed = b.failed || !r->edited.p;
        buffer_free(&b);
        if (failed)
            return sieve_no_memory();
        r->dirty = false;
    }
    *out = r->edited;
    return OK;
}
