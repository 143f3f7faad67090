/* mail/filter/filter.c -- what filters say, kept until it is done */
#include "mail/filter/filter.h"

enum { NOTES_MAX = 32, VALUE_MAX = 64 * 1024 };

static const char *printable(struct filter_mail *m, const char *text)
{
    char *copy = arena_string(m->arena, slice_first(slice_of(text), 400));
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7E)
            *p = '?';
    return copy ? copy : "refused";
}

void filter_refuse(struct filter_mail *m, const char *who, int code, const char *enhanced, const char *text)
{
    if (m->code)
        return;
    m->code = code / 100 == 4 || code / 100 == 5 ? code : 451;
    m->enhanced = enhanced && enhanced[0] == (char)('0' + m->code / 100) ? printable(m, enhanced) : m->code / 100 == 4 ? "4.7.1" : "5.7.1"; /* attacks.md SI-29 */
    m->text = printable(m, text && text[0] ? text : "refused");
    m->who = who;
}

void filter_note(struct filter_mail *m, const char *who, const char *text)
{
    if (!m->notes)
        m->notes = arena_alloc(m->arena, NOTES_MAX * sizeof *m->notes);
    char *line = arena_printf(m->arena, "%s: %s", who, text);
    if (m->notes && line && m->n_notes < NOTES_MAX)
        m->notes[m->n_notes++] = slice_of(line);
}

void filter_junk(struct filter_mail *m, const char *who, const char *why)
{
    m->junk = true;
    filter_note(m, who, why);
}

void filter_discard(struct filter_mail *m, const char *who, const char *why)
{
    m->discard = true;
    m->who = who;
    filter_note(m, who, why);
}

/* --- edits */

static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= 0x20 || (unsigned char)name.p[i] > 0x7E || name.p[i] == ':')
            return false;
    return name.n > 0 && name.n < 256;
}

/* Each line end is one CR LF with a blank behind it: whatever a value holds, it is one field (SI-03: line ends around it stay as they are). */
static struct slice clean(struct filter_mail *m, struct slice value)
{
    struct buffer b = {0};
    value = slice_trim(slice_first(value, VALUE_MAX));
    for (size_t i = 0; i < value.n; i++) {
        unsigned char ch = (unsigned char)value.p[i];
        if (ch == '\n') {
            for (size_t k = i; k < value.n && ascii_is_space(value.p[k]); k++) /* a line of blanks alone would end the head for some readers */
                i = value.p[k] == '\n' ? k : i;
            bool folded = i + 1 < value.n && (value.p[i + 1] == ' ' || value.p[i + 1] == '\t');
            buffer_add(&b, folded ? SLICE("\r\n") : SLICE("\r\n\t"));
        } else if (ch != '\r' && ch != '\0') {
            buffer_add_char(&b, (char)ch);
        }
    }
    struct slice out = b.failed ? slice_make(NULL, 0) : arena_copy(m->arena, buffer_slice(&b));
    buffer_free(&b);
    return out;
}

static bool edit(struct filter_mail *m, struct filter_edit e)
{
    struct filter_edit *x = arena_alloc(m->arena, sizeof *x);
    struct slice name = arena_copy(m->arena, e.name);
    if (!x || !name.p || !is_name(name))
        return false;
    *x = e;
    x->name = name;
    x->next = NULL;
    x->value = clean(m, e.value);
    if (!x->value.p)
        return false;
    if (m->last_edit)
        m->last_edit->next = x;
    else
        m->edits = x;
    m->last_edit = x;
    return true;
}

bool filter_add_field(struct filter_mail *m, struct slice name, struct slice value)
{
    return edit(m, (struct filter_edit){.how = EDIT_ADD, .name = name, .value = value});
}

bool filter_insert_field(struct filter_mail *m, uint32_t before, struct slice name, struct slice value)
{
    return edit(m, (struct filter_edit){.how = EDIT_INSERT, .n = before, .name = name, .value = value});
}

bool filter_change_field(struct filter_mail *m, uint32_t nth, struct slice name, struct slice value)
{
    return edit(m, (struct filter_edit){.how = slice_trim(value).n ? EDIT_CHANGE : EDIT_DELETE, .n = nth ? nth : 1, .name = name, .value = value});
}
