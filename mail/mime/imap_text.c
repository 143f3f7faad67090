/* mail/mime/imap_text.c -- strings, envelopes, structures; iterative, since a tree may be deep */
#include "mail/mime/imap_text.h"

#include "mail/mime/address.h"
#include "mail/mime/header.h"

enum { QUOTED_MAX = 1000, FIELD_MAX = 64 * 1024 };

static bool is_clean(struct slice s)
{
    if (s.n > QUOTED_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || (unsigned char)s.p[i] >= 0x7F)
            return false;
    return true;
}

void imap_text_string(struct slice s, struct buffer *out)
{
    if (is_clean(s)) {
        buffer_add_char(out, '"');
        for (size_t i = 0; i < s.n; i++) {
            if (s.p[i] == '"' || s.p[i] == '\\')
                buffer_add_char(out, '\\');
            buffer_add_char(out, s.p[i]);
        }
        buffer_add_char(out, '"');
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0';
    buffer_add_char(out, '{');
    buffer_add_number(out, n);
    buffer_add(out, SLICE("}\r\n"));
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0')
            buffer_add_char(out, s.p[i]);
}

void imap_text_nstring(struct slice s, struct buffer *out)
{
    if (s.p)
        imap_text_string(s, out);
    else
        buffer_add(out, SLICE("NIL"));
}

/* --- envelope */

static void write_address(const struct mime_address *x, struct buffer *out)
{
    buffer_add_char(out, '(');
    imap_text_nstring(x->name, out);
    buffer_add(out, SLICE(" NIL ")); /* at-domain-list: source routes are not kept */
    imap_text_nstring(x->local, out);
    buffer_add_char(out, ' ');
    imap_text_nstring(x->domain, out);
    buffer_add_char(out, ')');
}

static struct error write_addresses(struct slice value, struct arena *a, struct buffer *out)
{
    struct mime_addresses list;
    TRY(address_list_parse(header_unfold(slice_first(value, FIELD_MAX), a), a, &list));
    if (list.n == 0) {
        buffer_add(out, SLICE("NIL"));
        return OK;
    }
    buffer_add_char(out, '(');
    for (size_t i = 0; i < list.n; i++)
        write_address(&list.all[i], out);
    buffer_add_char(out, ')');
    return OK;
}

struct envelope_fields {
    struct slice date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id;
};

static void collect(struct slice head, struct envelope_fields *e)
{
    const struct {
        struct slice name;
        struct slice *value;
    } rows[] = {{{"Date", 4}, &e->date},        {{"Subject", 7}, &e->subject}, {{"From", 4}, &e->from}, {{"Sender", 6}, &e->sender}, {{"Reply-To", 8}, &e->reply_to}, {{"To", 2}, &e->to},
                {{"Cc", 2}, &e->cc}, {{"Bcc", 3}, &e->bcc},     {{"In-Reply-To", 11}, &e->in_reply_to}, {{"Message-ID", 10}, &e->message_id}};
    struct header_field f;
    while (header_next(&head, &f))
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (!rows[i].value->p && slice_eq_nocase(f.name, rows[i].name))
                *rows[i].value = f.value;
}

struct error imap_text_envelope(struct slice head, struct arena *a, struct buffer *out)
{
    struct envelope_fields e = {0};
    collect(head, &e);
    struct slice sender = e.sender.p && slice_trim(e.sender).n ? e.sender : e.from; /* RFC 9051 7.5.2: the server fills them from From */
    struct slice reply_to = e.reply_to.p && slice_trim(e.reply_to).n ? e.reply_to : e.from;
    buffer_add_char(out, '(');
    imap_text_nstring(header_unfold(slice_first(e.date, FIELD_MAX), a), out);
    buffer_add_char(out, ' ');
    imap_text_nstring(header_unfold(slice_first(e.subject, FIELD_MAX), a), out);
    const struct slice lists[] = {e.from, sender, reply_to, e.to, e.cc, e.bcc};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        buffer_add_char(out, ' ');
        TRY(write_addresses(lists[i], a, out));
    }
    buffer_add_char(out, ' ');
    imap_text_nstring(header_unfold(slice_first(e.in_reply_to, FIELD_MAX), a), out);
    buffer_add_char(out, ' ');
    imap_text_nstring(header_unfold(slice_first(e.message_id, FIELD_MAX), a), out);
    buffer_add_char(out, ')');
    return out->failed ? error_make(ERROR_MEMORY, "no memory for an envelope") : OK;
}

/* --- structure */

static void write_params(const struct mime_params *params, struct buffer *out)
{
    if (params->n == 0) {
        buffer_add(out, SLICE("NIL"));
        return;
    }
    buffer_add_char(out, '(');
    for (size_t i = 0; i < params->n; i++) {
        if (i)
            buffer_add_char(out, ' ');
        imap_text_string(params->all[i].name, out);
        buffer_add_char(out, ' ');
        imap_text_string(params->all[i].value, out);
    }
    buffer_add_char(out, ')');
}

/* body-fld-dsp, body-fld-lang, body-fld-loc: the same for every kind of part. */
static void write_extension(const struct mime_part *p, struct buffer *out)
{
    if (p->disposition.p && p->disposition.n) {
        buffer_add(out, SLICE(" ("));
        imap_text_string(p->disposition, out);
        buffer_add_char(out, ' ');
        write_params(&p->disposition_params, out);
        buffer_add_char(out, ')');
    } else {
        buffer_add(out, SLICE(" NIL"));
    }
    if (p->language.p && p->language.n) {
        struct slice rest = p->language;
        buffer_add(out, SLICE(" ("));
        for (int first = 1; rest.n; first = 0) {
            struct slice one = slice_first(rest, slice_find(rest, ','));
            rest = slice_after(rest, one.n + 1);
            if (!first)
                buffer_add_char(out, ' ');
            imap_text_string(slice_trim(one), out);
        }
        buffer_add_char(out, ')');
    } else {
        buffer_add(out, SLICE(" NIL"));
    }
    buffer_add_char(out, ' ');
    imap_text_nstring(p->location, out);
}

/* type subtype params id description encoding size */
static void write_common(const struct mime_part *p, struct slice type, struct slice subtype, struct buffer *out)
{
    buffer_add_char(out, '(');
    imap_text_string(type, out);
    buffer_add_char(out, ' ');
    imap_text_string(subtype, out);
    buffer_add_char(out, ' ');
    if (p->params.n == 0 && slice_eq_nocase(type, SLICE("text")))
        buffer_add(out, SLICE("(\"charset\" \"us-ascii\")")); /* RFC 2045 5.2 */
    else
        write_params(&p->params, out);
    buffer_add_char(out, ' ');
    imap_text_nstring(p->id, out);
    buffer_add_char(out, ' ');
    imap_text_nstring(p->description, out);
    buffer_add_char(out, ' ');
    imap_text_string(p->encoding_text, out);
    buffer_add_char(out, ' ');
    buffer_add_number(out, p->body_end - p->body_start);
}

/* What stands before a part's children. */
static struct error write_open(const struct mime_tree *t, uint32_t i, struct slice message, enum imap_text_form form, struct arena *a, struct buffer *out)
{
    const struct mime_part *p = &t->parts[i];
    if (p->kind == MIME_MULTIPART && p->n_children) {
        buffer_add_char(out, '(');
        return OK;
    }
    if (p->kind == MIME_MESSAGE) {
        const struct mime_part *inner = &t->parts[i + 1];
        write_common(p, p->type, p->subtype, out);
        buffer_add_char(out, ' ');
        TRY(imap_text_envelope(slice_make(message.p + inner->header_start, inner->body_start - inner->header_start), a, out));
        buffer_add_char(out, ' ');
        return OK;
    }
    /* a multipart or message that was not taken apart is opaque: announcing its type would promise parts */
    int opaque = slice_eq_nocase(p->type, SLICE("multipart")) || (slice_eq_nocase(p->type, SLICE("message")) && (slice_eq_nocase(p->subtype, SLICE("rfc822")) || slice_eq_nocase(p->subtype, SLICE("global"))));
    int text = !opaque && slice_eq_nocase(p->type, SLICE("text"));
    write_common(p, opaque ? SLICE("application") : p->type, opaque ? SLICE("octet-stream") : p->subtype, out);
    if (text) {
        buffer_add_char(out, ' ');
        buffer_add_number(out, p->lines);
    }
    if (form == IMAP_TEXT_BODYSTRUCTURE) {
        buffer_add_char(out, ' ');
        imap_text_nstring(p->md5, out);
        write_extension(p, out);
    }
    buffer_add_char(out, ')');
    return OK;
}

/* What stands behind a part's children. */
static void write_close(const struct mime_part *p, enum imap_text_form form, struct buffer *out)
{
    if (p->kind == MIME_MULTIPART && p->n_children) {
        buffer_add_char(out, ' ');
        imap_text_string(p->subtype, out);
        if (form == IMAP_TEXT_BODYSTRUCTURE) {
            buffer_add_char(out, ' ');
            write_params(&p->params, out);
            write_extension(p, out);
        }
        buffer_add_char(out, ')');
    } else if (p->kind == MIME_MESSAGE) {
        buffer_add_char(out, ' ');
        buffer_add_number(out, p->lines);
        if (form == IMAP_TEXT_BODYSTRUCTURE) {
            buffer_add_char(out, ' ');
            imap_text_nstring(p->md5, out);
            write_extension(p, out);
        }
        buffer_add_char(out, ')');
    }
}

struct error imap_text_structure(const struct mime_tree *t, struct slice message, enum imap_text_form form, struct arena *a, struct buffer *out)
{
    uint32_t stack[2 * MIME_DEPTH_MAX + 4];
    size_t depth = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        while (depth && stack[depth - 1] != t->parts[i].parent)
            write_close(&t->parts[stack[--depth]], form, out);
        TRY(write_open(t, i, message, form, a, out));
        if (t->parts[i].n_children && depth < sizeof stack / sizeof stack[0])
            stack[depth++] = i;
    }
    while (depth)
        write_close(&t->parts[stack[--depth]], form, out);
    return out->failed ? error_make(ERROR_MEMORY, "no memory for a structure") : OK;
}
