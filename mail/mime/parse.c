/* mail/mime/parse.c -- one pass over the lines, a stack of open parts */
#include "mail/mime/parse.h"

#include "mail/mime/header.h"
#include "mail/mime/parameters.h"

/* What is kept of one field, and of all fields together: a hostile head must not cost more memory than that (attacks.md MM-05). */
enum { FIELD_MAX = 64 * 1024, FIELDS_MAX = 4 * 1024 * 1024 };

struct open_part {
    uint32_t part;
    struct slice boundary; /* p NULL: not a multipart, or its end was seen */
    uint64_t lines_at_body;
};

struct parser {
    struct slice text;
    struct arena *arena;
    struct mime_tree *tree;
    size_t room;   /* of tree->parts */
    size_t budget; /* of text that may still be unfolded */
    struct open_part stack[MIME_DEPTH_MAX + 1];
    size_t depth;
    uint64_t at, lines; /* the next line's start, and the lines before it */
};

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for the parts of a message")

static uint64_t next_line(const struct parser *p, uint64_t at)
{
    struct slice rest = slice_after(p->text, at);
    size_t n = slice_find(rest, '\n');
    return at + (n < rest.n ? n + 1 : rest.n);
}

/* What follows a boundary on its line: nothing but blanks, "--" and blanks, "--" and whatever, or no delimiter. */
enum ending { ENDS_NOT, ENDS_PART, ENDS_ALL, ENDS_ALL_LOOSELY };

static enum ending ending_of(struct slice rest)
{
    if (slice_trim(rest).n == 0)
        return ENDS_PART;
    if (!slice_starts(rest, SLICE("--")))
        return ENDS_NOT;
    return slice_trim(slice_after(rest, 2)).n == 0 ? ENDS_ALL : ENDS_ALL_LOOSELY;
}

/* Which open multipart does the line at `at` delimit: its place in the stack, or -1. *last: the closing delimiter. The innermost whose boundary
 * fits exactly (RFC 2046 5.1.1: only blanks may follow); else the innermost that is closed with something behind "--", as some mailers do. */
static int match_boundary(const struct parser *p, uint64_t at, int *last)
{
    struct slice line = slice_after(p->text, at);
    int loose = -1;
    if (line.n < 2 || line.p[0] != '-' || line.p[1] != '-')
        return -1;
    line = slice_first(slice_after(line, 2), slice_find(slice_after(line, 2), '\n'));
    for (int i = (int)p->depth - 1; i >= 0; i--) {
        struct slice b = p->stack[i].boundary;
        if (!b.p || !slice_starts(line, b))
            continue;
        enum ending e = ending_of(slice_after(line, b.n));
        *last = e != ENDS_PART;
        if (e == ENDS_PART || e == ENDS_ALL)
            return i;
        if (e == ENDS_ALL_LOOSELY && loose < 0)
            loose = i;
    }
    *last = 1;
    return loose;
}

static enum mime_encoding encoding_of(struct slice s)
{
    static const struct {
        struct slice name;
        enum mime_encoding value;
    } names[] = {{{"7bit", 4}, MIME_7BIT}, {{"8bit", 4}, MIME_8BIT}, {{"binary", 6}, MIME_BINARY}, {{"base64", 6}, MIME_BASE64}, {{"quoted-printable", 16}, MIME_QP}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(s, names[i].name))
            return names[i].value;
    return MIME_UNKNOWN_ENCODING;
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7F || memchr("()<>@,;:\\\"/[]?=", s.p[i], 15))
            return false;
    return s.n > 0;
}

static struct slice unfold(struct parser *p, struct slice value)
{
    size_t most = p->budget < FIELD_MAX ? p->budget : FIELD_MAX;
    value = slice_first(value, most);
    p->budget -= value.n;
    return header_unfold(value, p->arena);
}

static struct error read_type(struct parser *p, struct mime_part *part, struct slice value)
{
    struct slice word;
    TRY(parameters_read(unfold(p, value), p->arena, &word, &part->params));
    size_t slash = slice_find(word, '/');
    struct slice type = slice_trim(slice_first(word, slash)), subtype = slice_trim(slice_after(word, slash + 1));
    if (is_token(type) && is_token(subtype)) { /* else it is text/plain (RFC 2045 5.2); its charset or name are worth keeping */
        part->type = type;
        part->subtype = subtype;
    }
    return OK;
}

/* One field "Content-…"; of several of one name the first counts, as for every reader of a head. */
static struct error read_field(struct parser *p, struct mime_part *part, struct slice name, struct slice value, unsigned *seen)
{
    static const struct slice names[] = {{"Type", 4}, {"Transfer-Encoding", 17}, {"Disposition", 11}, {"ID", 2}, {"Description", 11}, {"MD5", 3}, {"Language", 8}, {"Location", 8}};
    struct slice *const texts[] = {NULL, NULL, NULL, &part->id, &part->description, &part->md5, &part->language, &part->location};
    unsigned i = 0;
    while (i < sizeof names / sizeof names[0] && !slice_eq_nocase(name, names[i]))
        i++;
    if (i == sizeof names / sizeof names[0] || (*seen & 1u << i))
        return OK;
    *seen |= 1u << i;
    if (i == 0)
        return read_type(p, part, value);
    if (i == 2)
        return parameters_read(unfold(p, value), p->arena, &part->disposition, &part->disposition_params);
    struct slice text = unfold(p, value);
    if (!text.p)
        return NO_MEMORY;
    if (i > 2) {
        *texts[i] = text;
        return OK;
    }
    part->encoding_text = slice_trim(slice_first(text, slice_find(slice_first(text, slice_find(text, ';')), '(')));
    part->encoding = encoding_of(part->encoding_text);
    return OK;
}

/* The fields that describe a part. */
static struct error read_fields(struct parser *p, struct mime_part *part)
{
    struct slice head = slice_make(p->text.p + part->header_start, part->body_start - part->header_start);
    struct header_field f;
    unsigned seen = 0;
    while (header_next(&head, &f))
        if (f.name.n >= 10 && slice_starts_nocase(f.name, SLICE("Content-")))
            TRY(read_field(p, part, slice_after(f.name, 8), f.value, &seen));
    if (part->encoding_text.n == 0) {
        part->encoding_text = SLICE("7BIT");
        part->encoding = MIME_7BIT;
    }
    return OK;
}

/* The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1). */
static uint64_t before_line_end(const struct parser *p, uint64_t at)
{
    if (at && p->text.p[at - 1] == '\n')
        at--;
    if (at && p->text.p[at - 1] == '\r')
        at--;
    return at;
}

/* The head from p->at on: up to its empty line, an open boundary or the end. Where its body begins; p->at is there, too, or at that boundary. */
static uint64_t skip_head(struct parser *p)
{
    uint64_t from = p->at, end;
    while (p->at < p->text.n) {
        int last;
        uint64_t next = next_line(p, p->at);
        struct slice line = slice_make(p->text.p + p->at, next - p->at);
        int empty = slice_eq(line, SLICE("\r\n")) || slice_eq(line, SLICE("\n"));
        if (!empty && match_boundary(p, p->at, &last) >= 0) {
            end = before_line_end(p, p->at); /* the next loop of lines finds it */
            return end > from ? end : from;
        }
        p->at = next;
        p->lines += line.p[line.n - 1] == '\n';
        if (empty)
            break;
    }
    return p->at;
}

static bool identity(const struct mime_part *part)
{
    return part->encoding == MIME_7BIT || part->encoding == MIME_8BIT || part->encoding == MIME_BINARY || part->encoding == MIME_UNKNOWN_ENCODING;
}

/* What a part is, once its fields are read: decides what may be open inside it. */
static struct slice classify(const struct parser *p, struct mime_part *part)
{
    int room = p->depth < MIME_DEPTH_MAX && p->tree->n < MIME_PARTS_MAX;
    if (slice_eq_nocase(part->type, SLICE("multipart"))) {
        struct slice boundary = mime_param(&part->params, SLICE("boundary"));
        while (boundary.n && ascii_is_space(boundary.p[boundary.n - 1]))
            boundary.n--;
        if (room && boundary.n) {
            part->kind = MIME_MULTIPART;
            return boundary;
        }
    } else if (room && identity(part) && slice_eq_nocase(part->type, SLICE("message")) && (slice_eq_nocase(part->subtype, SLICE("rfc822")) || slice_eq_nocase(part->subtype, SLICE("global")))) {
        part->kind = MIME_MESSAGE;
    }
    return slice_make(NULL, 0);
}

static struct error add_part(struct parser *p, uint32_t parent, uint64_t start, uint32_t *index)
{
    struct mime_tree *t = p->tree;
    if (t->n == p->room) {
        size_t room = p->room ? p->room * 2 : 8;
        struct mime_part *parts = arena_grow(p->arena, t->parts, t->n * sizeof *parts, room * sizeof *parts);
        if (!parts)
            return NO_MEMORY;
        t->parts = parts;
        p->room = room;
    }
    *index = (uint32_t)t->n++;
    int digest = *index && t->parts[parent].kind == MIME_MULTIPART && slice_eq_nocase(t->parts[parent].subtype, SLICE("digest"));
    t->parts[*index] = (struct mime_part){.parent = parent, .header_start = start, .type = digest ? SLICE("message") : SLICE("text"), .subtype = digest ? SLICE("rfc822") : SLICE("plain")};
    if (*index)
        t->parts[parent].n_children++;
    return OK;
}

/* Opens a part whose head starts at p->at, and what a message part holds. */
static struct error open_part(struct parser *p, uint32_t parent)
{
    for (uint64_t start = p->at;;) {
        uint32_t index;
        TRY(add_part(p, parent, start, &index));
        start = skip_head(p);
        struct mime_part *part = &p->tree->parts[index];
        part->body_start = part->body_end = start;
        TRY(read_fields(p, part));
        struct slice boundary = classify(p, part);
        p->stack[p->depth++] = (struct open_part){index, boundary, p->lines};
        if (part->kind != MIME_MESSAGE || p->depth > MIME_DEPTH_MAX)
            return OK;
        parent = index;
    }
}

/* A part without a head, up to the end of its parent. */
static struct error open_opaque(struct parser *p, uint32_t parent)
{
    uint32_t index;
    TRY(add_part(p, parent, p->at, &index));
    struct mime_part *part = &p->tree->parts[index];
    part->body_start = part->body_end = p->at;
    part->type = SLICE("application");
    part->subtype = SLICE("octet-stream");
    part->encoding = MIME_BINARY;
    part->encoding_text = SLICE("BINARY");
    p->stack[p->depth++] = (struct open_part){index, slice_make(NULL, 0), p->lines};
    return OK;
}

/* Closes everything above stack place `keep`; bodies end at `end`. */
static void close_above(struct parser *p, size_t keep, uint64_t end, uint64_t lines)
{
    while (p->depth > keep) {
        struct open_part *o = &p->stack[--p->depth];
        struct mime_part *part = &p->tree->parts[o->part];
        end = end > part->body_start ? end : part->body_start; /* an empty body behind the empty line: what holds it ends there, too */
        part->body_end = end;
        if (part->kind == MIME_MULTIPART && part->n_children == 0)
            part->kind = MIME_LEAF; /* no delimiter came: BODYSTRUCTURE shows one part, and BODY[1] has to find it */
        part->lines = lines > o->lines_at_body ? lines - o->lines_at_body : 0;
    }
}

static struct error at_delimiter(struct parser *p, int level, int last)
{
    close_above(p, (size_t)level + 1, before_line_end(p, p->at), p->lines ? p->lines - 1 : 0);
    p->at = next_line(p, p->at);
    p->lines++;
    struct open_part *o = &p->stack[level];
    if (last) {
        o->boundary = slice_make(NULL, 0); /* what follows is the epilogue */
        return OK;
    }
    if (p->tree->n < MIME_PARTS_MAX)
        return open_part(p, o->part);
    o->boundary = slice_make(NULL, 0); /* attacks.md MM-02: the rest of this multipart is one opaque part, of later ones nothing */
    return p->tree->n == MIME_PARTS_MAX ? open_opaque(p, o->part) : OK;
}

struct error mime_parse(struct slice message, struct arena *a, struct mime_tree *out)
{
    struct parser p = {.text = message, .arena = a, .tree = out, .budget = FIELDS_MAX};
    *out = (struct mime_tree){0};
    TRY(open_part(&p, 0));
    while (p.at < message.n) {
        int last, level = match_boundary(&p, p.at, &last);
        if (level >= 0) {
            TRY(at_delimiter(&p, level, last));
            continue;
        }
        uint64_t next = next_line(&p, p.at);
        p.lines += message.p[next - 1] == '\n';
        p.at = next;
    }
    close_above(&p, 0, message.n, p.lines);
    return OK;
}

struct slice mime_param(const struct mime_params *params, struct slice name)
{
    for (size_t i = 0; i < params->n; i++)
        if (slice_eq_nocase(params->all[i].name, name))
            return params->all[i].value;
    return slice_make(NULL, 0);
}
