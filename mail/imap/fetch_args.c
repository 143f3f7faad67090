/* mail/imap/fetch_args.c -- what a FETCH asks for (RFC 9051 6.4.5, RFC 3516) */
#include "mail/imap/fetch.h"

static bool same_fields(const struct fetch_item *x, const struct fetch_item *y)
{
    if (x->filter != y->filter || x->n_fields != y->n_fields)
        return false;
    for (size_t i = 0; i < x->n_fields; i++)
        if (!slice_eq_nocase(x->fields[i], y->fields[i]))
            return false;
    return true;
}

static bool same(const struct fetch_item *x, const struct fetch_item *y)
{
    if (x->kind != y->kind || x->kind < FETCH_SECTION)
        return x->kind == y->kind;
    return slice_eq(x->label, y->label) && x->what == y->what && x->n_numbers == y->n_numbers && memcmp(x->numbers, y->numbers, x->n_numbers * sizeof x->numbers[0]) == 0 &&
           x->partial == y->partial && x->offset == y->offset && x->length == y->length && same_fields(x, y);
}

static struct error add(struct fetch *f, const struct fetch_item *x)
{
    for (size_t i = 0; i < f->n; i++) /* equal items once (attacks.md IM-09) */
        if (same(x, &f->items[i]))
            return OK;
    if (f->n == FETCH_ITEMS_MAX)
        return error_make(ERROR_LIMIT, "too many items in one FETCH");
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 8;
        f->items = arena_grow(f->arena, f->items, f->room * sizeof *f->items, room * sizeof *f->items);
        if (!f->items)
            return error_make(ERROR_MEMORY, "no memory for the items of a FETCH");
        f->room = room;
    }
    f->items[f->n++] = *x;
    return OK;
}

static struct error add_kind(struct fetch *f, enum fetch_kind kind)
{
    struct fetch_item x = {.kind = kind};
    if (kind == FETCH_ENVELOPE || kind == FETCH_BODYSTRUCTURE || kind == FETCH_BODY)
        f->parts |= MESSAGE_TEXTS;
    return add(f, &x);
}

static struct error read_fields(struct imap_args *a, struct fetch_item *x)
{
    x->fields = arena_zero(a->arena, FIELDS_MAX, sizeof *x->fields);
    if (!x->fields)
        return error_make(ERROR_MEMORY, "no memory for field names");
    TRY(args_space(a));
    if (!args_take(a, '('))
        return imap_bad("field names stand in parentheses");
    while (!args_take(a, ')')) {
        if (x->n_fields == FIELDS_MAX)
            return error_make(ERROR_LIMIT, "too many field names");
        if (x->n_fields)
            TRY(args_space(a));
        TRY(args_astring(a, &x->fields[x->n_fields++]));
    }
    return x->n_fields ? OK : imap_bad("field names are missing");
}

/* "1.2.HEADER.FIELDS (…)" up to the ']'. */
static struct error read_section(struct imap_args *a, struct fetch_item *x)
{
    uint64_t number;
    x->what = SECTION_WHOLE;
    while (a->rest.n && ascii_is_digit(a->rest.p[0])) {
        if (x->n_numbers == SECTION_DEPTH_MAX)
            return imap_bad("the section is nested too deeply");
        TRY(args_number(a, UINT32_MAX, &number));
        if (number == 0)
            return imap_bad("parts count from 1");
        x->numbers[x->n_numbers++] = (uint32_t)number;
        if (!args_take(a, '.'))
            break;
        if (a->rest.n == 0 || a->rest.p[0] == ']')
            return imap_bad("the section ends with a dot");
    }
    if (args_take(a, ']'))
        return OK;
    if (args_word(a, SLICE("HEADER.FIELDS.NOT"))) {
        x->what = SECTION_HEADER;
        x->filter = FIELDS_NOT;
        TRY(read_fields(a, x));
    } else if (args_word(a, SLICE("HEADER.FIELDS"))) {
        x->what = SECTION_HEADER;
        x->filter = FIELDS_ONLY;
        TRY(read_fields(a, x));
    } else if (slice_starts_nocase(a->rest, SLICE("HEADER]"))) {
        x->what = SECTION_HEADER;
        a->rest = slice_after(a->rest, 6);
    } else if (slice_starts_nocase(a->rest, SLICE("TEXT]"))) {
        x->what = SECTION_TEXT;
        a->rest = slice_after(a->rest, 4);
    } else if (x->n_numbers && slice_starts_nocase(a->rest, SLICE("MIME]"))) {
        x->what = SECTION_MIME;
        a->rest = slice_after(a->rest, 4);
    }
    return args_take(a, ']') ? OK : imap_bad("the section is malformed");
}

static struct error read_partial(struct imap_args *a, struct fetch_item *x)
{
    if (!args_take(a, '<'))
        return OK;
    x->partial = 1;
    TRY(args_number(a, INT64_MAX, &x->offset));
    if (!args_take(a, '.'))
        return imap_bad("a partial is <offset.length>");
    TRY(args_number(a, INT64_MAX, &x->length));
    if (x->length == 0 || !args_take(a, '>'))
        return imap_bad("a partial is <offset.length>");
    return OK;
}

static struct error read_bracketed(struct imap_args *a, struct fetch *f, enum fetch_kind kind, int peek)
{
    struct fetch_item x = {.kind = kind};
    TRY(read_section(a, &x));
    if (kind != FETCH_SECTION && x.what != SECTION_WHOLE)
        return imap_bad("BINARY takes part numbers only");
    if (kind != FETCH_BINARY_SIZE)
        TRY(read_partial(a, &x));
    f->sets_seen |= !peek;
    if (!fetch_is_whole(&x))
        f->parts |= MESSAGE_STRUCTURE;
    return add(f, &x);
}

static struct error add_rfc822(struct fetch *f, const char *label, enum mime_section what, int peek)
{
    struct fetch_item x = {.kind = FETCH_SECTION, .label = slice_of(label), .what = what};
    f->sets_seen |= !peek;
    if (!fetch_is_whole(&x))
        f->parts |= MESSAGE_STRUCTURE;
    return add(f, &x);
}

static bool bracket(struct imap_args *a, struct slice name)
{
    if (!slice_starts_nocase(a->rest, name))
        return false;
    a->rest = slice_after(a->rest, name.n);
    return true;
}

static struct error read_item(struct imap_session *s, struct imap_args *a, struct fetch *f)
{
    static const struct {
        struct slice word;
        enum fetch_kind kind;
    } words[] = {{{"UID", 3}, FETCH_UID}, {{"FLAGS", 5}, FETCH_FLAGS}, {{"INTERNALDATE", 12}, FETCH_INTERNALDATE}, {{"RFC822.SIZE", 11}, FETCH_SIZE}, {{"ENVELOPE", 8}, FETCH_ENVELOPE}, {{"BODYSTRUCTURE", 13}, FETCH_BODYSTRUCTURE}, {{"MODSEQ", 6}, FETCH_MODSEQ}};
    if (bracket(a, SLICE("BODY[")))
        return read_bracketed(a, f, FETCH_SECTION, 0);
    if (bracket(a, SLICE("BODY.PEEK[")))
        return read_bracketed(a, f, FETCH_SECTION, 1);
    if (bracket(a, SLICE("BINARY[")))
        return read_bracketed(a, f, FETCH_BINARY, 0);
    if (bracket(a, SLICE("BINARY.PEEK[")))
        return read_bracketed(a, f, FETCH_BINARY, 1);
    if (bracket(a, SLICE("BINARY.SIZE[")))
        return read_bracketed(a, f, FETCH_BINARY_SIZE, 1);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!args_word(a, words[i].word))
            continue;
        if (words[i].kind == FETCH_MODSEQ)
            s->enabled |= ENABLED_CONDSTORE; /* RFC 7162 3.1 */
        return add_kind(f, words[i].kind);
    }
    if (args_word(a, SLICE("RFC822.HEADER")))
        return add_rfc822(f, "RFC822.HEADER", SECTION_HEADER, 1);
    if (args_word(a, SLICE("RFC822.TEXT")))
        return add_rfc822(f, "RFC822.TEXT", SECTION_TEXT, 0);
    if (args_word(a, SLICE("RFC822")))
        return add_rfc822(f, "RFC822", SECTION_WHOLE, 0);
    if (args_word(a, SLICE("BODY")))
        return add_kind(f, FETCH_BODY);
    return imap_bad("that FETCH item is not known");
}

static struct error read_macro(struct imap_args *a, struct fetch *f, int *found)
{
    static const enum fetch_kind kinds[] = {FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE, FETCH_BODY};
    size_t n = args_word(a, SLICE("ALL")) ? 4 : args_word(a, SLICE("FAST")) ? 3 : args_word(a, SLICE("FULL")) ? 5 : 0;
    *found = n > 0;
    for (size_t i = 0; i < n; i++)
        TRY(add_kind(f, kinds[i]));
    return OK;
}

static struct error read_modifiers(struct imap_session *s, struct imap_args *a, struct fetch *f)
{
    if (!args_take(a, ' '))
        return OK;
    if (!args_take(a, '('))
        return imap_bad("modifiers stand in parentheses");
    for (int n = 0; !args_take(a, ')'); n++) {
        uint64_t since;
        if (n)
            TRY(args_space(a));
        if (args_word(a, SLICE("CHANGEDSINCE"))) {
            TRY(args_space(a));
            TRY(args_number(a, INT64_MAX, &since));
            f->changed_since = (int64_t)since;
            s->enabled |= ENABLED_CONDSTORE;
        } else if (args_word(a, SLICE("VANISHED"))) {
            f->vanished = 1;
        } else {
            return imap_bad("that FETCH modifier is not known");
        }
    }
    if (f->vanished && (!f->by_uid || f->changed_since < 0 || !(s->enabled & ENABLED_QRESYNC)))
        return imap_bad("VANISHED goes with UID FETCH, CHANGEDSINCE and QRESYNC"); /* RFC 7162 3.2.6 */
    return f->changed_since >= 0 ? add_kind(f, FETCH_MODSEQ) : OK;
}

struct error fetch_read_items(struct imap_session *s, struct imap_args *a, struct fetch *f)
{
    int macro;
    f->changed_since = -1;
    if (f->by_uid)
        TRY(add_kind(f, FETCH_UID)); /* first: some clients parse by position (clients.md I38) */
    TRY(read_macro(a, f, &macro));
    if (!macro && args_take(a, '(')) {
        do
            TRY(read_item(s, a, f));
        while (args_take(a, ' '));
        if (!args_take(a, ')'))
            return imap_bad("a parenthesis is missing");
    } else if (!macro) {
        TRY(read_item(s, a, f));
    }
    TRY(read_modifiers(s, a, f));
    return args_end(a);
}
