/* mail/imap/fetch_body.c -- sections: byte ranges of the blob, found through the part index that was made at delivery */
#include "mail/imap/fetch.h"
#include "mail/mime/decode.h"
#include "mail/mime/header.h"
#include "mail/mime/imap_text.h"

struct section {
    int there; /* 0: no such part: NIL */
    uint64_t from, to;
    const struct mime_index_part *part;
};

/* The index of a message that has none yet, or a damaged one: from its bytes. */
static struct error index_from_blob(struct sql *db, const struct item *item, struct arena *a, struct mime_index *index)
{
    struct slice bytes;
    struct mime_tree tree;
    struct buffer b = {0};
    TRY(blob_read(db, item->blob, 0, INT64_MAX, a, &bytes));
    TRY(mime_parse(bytes, a, &tree));
    mime_index_write(&tree, &b);
    struct slice text = arena_copy(a, buffer_slice(&b));
    buffer_free(&b);
    return text.p ? mime_index_read(text, bytes.n, a, index) : error_make(ERROR_MEMORY, "no memory for a part index");
}

static struct error find(struct sql *db, const struct item *item, struct slice structure, const struct fetch_item *x, struct arena *a, struct section *out)
{
    *out = (struct section){0};
    if (fetch_is_whole(x)) {
        out->there = 1; /* no need to look at parts */
        out->to = (uint64_t)item->size;
        return OK;
    }
    struct mime_index *index = arena_zero(a, 1, sizeof *index);
    int64_t size;
    uint32_t part;
    if (!index)
        return error_make(ERROR_MEMORY, "no memory for a part index");
    TRY(blob_size(db, item->blob, &size));
    if (!structure.p || mime_index_read(structure, (uint64_t)size, a, index).code != ERROR_NONE)
        TRY(index_from_blob(db, item, a, index));
    out->there = mime_index_find(index, x->numbers, x->n_numbers, x->what, &out->from, &out->to, &part);
    if (out->there)
        out->part = &index->parts[part];
    return OK;
}

static void write_label(const struct fetch_item *x, struct buffer *out)
{
    static const char *const names[] = {[SECTION_WHOLE] = "", [SECTION_HEADER] = "HEADER", [SECTION_TEXT] = "TEXT", [SECTION_MIME] = "MIME"};
    if (x->label.n) {
        buffer_add(out, x->label);
        return;
    }
    buffer_add(out, x->kind == FETCH_BINARY ? SLICE("BINARY[") : x->kind == FETCH_BINARY_SIZE ? SLICE("BINARY.SIZE[") : SLICE("BODY["));
    for (size_t i = 0; i < x->n_numbers; i++) {
        if (i)
            buffer_add_char(out, '.');
        buffer_add_number(out, x->numbers[i]);
    }
    if (x->n_numbers && x->what != SECTION_WHOLE)
        buffer_add_char(out, '.');
    buffer_add(out, slice_of(names[x->what]));
    if (x->filter != FIELDS_ALL) {
        buffer_add(out, x->filter == FIELDS_ONLY ? SLICE(".FIELDS (") : SLICE(".FIELDS.NOT ("));
        for (size_t i = 0; i < x->n_fields; i++) {
            if (i)
                buffer_add_char(out, ' ');
            imap_text_string(x->fields[i], out);
        }
        buffer_add_char(out, ')');
    }
    buffer_add_char(out, ']');
    if (x->partial && x->kind != FETCH_BINARY_SIZE)
        buffer_printf(out, "<%llu>", (unsigned long long)x->offset);
}

static bool wanted(const struct fetch_item *x, struct slice name)
{
    for (size_t i = 0; i < x->n_fields; i++)
        if (slice_eq_nocase(name, x->fields[i]))
            return x->filter == FIELDS_ONLY;
    return x->filter == FIELDS_NOT;
}

/* A NUL may stand in a literal8 only: in BODY[…] of a binary message it goes out as 0x80, and BINARY[…] has it as it is (RFC 9051 4.3). */
static void mask_nul(struct buffer *out, size_t n)
{
    char *end = out->bytes + out->end;
    for (char *at = n ? memchr(end - n, 0, n) : NULL; at; at = memchr(at, 0, (size_t)(end - at)))
        *at = (char)0x80;
}

static void write_bytes(const struct fetch_item *x, struct slice bytes, struct buffer *out)
{
    if (x->partial)
        bytes = slice_first(slice_after(bytes, x->offset), x->length);
    buffer_printf(out, " {%zu}\r\n", bytes.n);
    size_t before = buffer_length(out);
    buffer_add(out, bytes);
    mask_nul(out, buffer_length(out) - before);
}

static struct error write_fields(struct sql *db, const struct item *item, const struct section *sec, const struct fetch_item *x, struct arena *a, struct buffer *out)
{
    struct slice head;
    struct header_field f;
    struct buffer b = {0};
    TRY(blob_read(db, item->blob, (int64_t)sec->from, (int64_t)(sec->to - sec->from), a, &head));
    while (header_next(&head, &f))
        if (wanted(x, f.name))
            buffer_add(&b, f.whole);
    buffer_add(&b, SLICE("\r\n")); /* RFC 9051 6.4.5.1: the delimiting blank line is always included */
    write_bytes(x, buffer_slice(&b), out);
    buffer_free(&b);
    return OK;
}

static struct error write_binary(struct sql *db, const struct item *item, const struct section *sec, const struct fetch_item *x, struct arena *a, struct buffer *out)
{
    struct slice body;
    struct buffer b = {0};
    TRY(blob_read(db, item->blob, (int64_t)sec->from, (int64_t)(sec->to - sec->from), a, &body));
    enum decode_result r = x->n_numbers ? decode_part(sec->part->encoding, body, &b) : DECODE_CLEAN;
    if (!x->n_numbers)
        buffer_add(&b, body);
    if (r == DECODE_UNKNOWN || (r == DECODE_BROKEN && sec->part->encoding == MIME_BASE64)) {
        buffer_free(&b);
        return imap_no("[UNKNOWN-CTE] the part cannot be decoded"); /* RFC 3516 4.3 */
    }
    struct slice bytes = buffer_slice(&b);
    if (x->kind == FETCH_BINARY_SIZE) {
        buffer_printf(out, " %zu", bytes.n);
    } else {
        if (x->partial)
            bytes = slice_first(slice_after(bytes, x->offset), x->length);
        buffer_printf(out, memchr(bytes.p, 0, bytes.n) ? " ~{%zu}\r\n" : " {%zu}\r\n", bytes.n);
        buffer_add(out, bytes);
    }
    buffer_free(&b);
    return OK;
}

struct error fetch_write_rest(struct sql *db, struct fetch_rest *rest, struct buffer *out)
{
    int64_t piece = rest->left < CONNECTION_OUTPUT_HIGH ? rest->left : CONNECTION_OUTPUT_HIGH;
    size_t before = buffer_length(out);
    TRY(blob_append(db, rest->blob, rest->offset, piece, out));
    mask_nul(out, buffer_length(out) - before);
    rest->offset += piece;
    rest->left -= piece;
    return buffer_length(out) - before == (size_t)piece ? OK : error_make(ERROR_CORRUPT, "a message is shorter than its index says");
}

struct error fetch_write_section(struct sql *db, const struct item *item, struct slice structure, const struct fetch_item *x, struct arena *a, struct fetch_rest *rest, struct buffer *out)
{
    struct section sec;
    TRY(find(db, item, structure, x, a, &sec));
    write_label(x, out);
    if (!sec.there) {
        buffer_add(out, x->kind == FETCH_BINARY_SIZE ? SLICE(" 0") : SLICE(" NIL"));
        return OK;
    }
    if (x->kind != FETCH_SECTION)
        return write_binary(db, item, &sec, x, a, out);
    if (x->filter != FIELDS_ALL)
        return write_fields(db, item, &sec, x, a, out);
    uint64_t size = sec.to - sec.from, offset = 0, length = size;
    if (x->partial) { /* past the end: an empty literal, not an error (clients.md I7) */
        offset = x->offset < size ? x->offset : size;
        length = x->length < size - offset ? x->length : size - offset;
    }
    buffer_add(out, SLICE(" {"));
    buffer_add_number(out, length);
    buffer_add(out, SLICE("}\r\n"));
    *rest = (struct fetch_rest){.blob = item->blob, .offset = (int64_t)(sec.from + offset), .left = (int64_t)length};
    return fetch_write_rest(db, rest, out);
}
