/* mail/filter/rewrite.c -- a message with its edits done: fields as a list, each its own bytes or ours; every other byte stays as it came */
#include "mail/filter/filter.h"
#include "mail/mime/header.h"

enum { FIELDS_MAX = 100000 };

/* A field, or the bytes between two that are none. */
struct piece {
    struct slice whole;       /* as it came; p NULL: name and value below */
    struct slice name, value; /* name empty: no field */
    bool gone;
};

struct pieces {
    struct piece *all;
    size_t n, room;
    struct arena *arena;
};

static bool insert(struct pieces *p, size_t at, struct piece x)
{
    if (p->n == p->room) {
        size_t room = p->room ? p->room * 2 : 64;
        p->all = room > FIELDS_MAX ? NULL : arena_grow(p->arena, p->all, p->room * sizeof *p->all, room * sizeof *p->all);
        if (!p->all)
            return false;
        p->room = room;
    }
    memmove(p->all + at + 1, p->all + at, (p->n - at) * sizeof *p->all);
    p->all[at] = x;
    p->n++;
    return true;
}

static bool take_apart(struct slice head, struct pieces *p)
{
    struct slice rest = head;
    struct header_field f;
    const char *at = head.p, *end = head.p + head.n;
    while (header_next(&rest, &f)) {
        if (f.whole.p > at && !insert(p, p->n, (struct piece){.whole = slice_make(at, (size_t)(f.whole.p - at))}))
            return false;
        if (!insert(p, p->n, (struct piece){.whole = f.whole, .name = f.name}))
            return false;
        at = f.whole.p + f.whole.n;
    }
    return at == end || insert(p, p->n, (struct piece){.whole = slice_make(at, (size_t)(end - at))});
}

/* Where the n-th field stands (counted from 1; of that name where one is given); p->n: nowhere. What was deleted still counts, as in Sendmail: a milter numbers what it was sent. */
static size_t find(const struct pieces *p, struct slice name, uint32_t nth)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->all[i].name.n && (!name.n || slice_eq_nocase(p->all[i].name, name)) && --nth == 0)
            return i;
    return p->n;
}

/* Behind the last field, in front of what follows it. */
static size_t end_of_fields(const struct pieces *p)
{
    size_t i = p->n;
    while (i && !p->all[i - 1].name.n)
        i--;
    return i;
}

static bool apply(struct pieces *p, const struct filter_edit *e)
{
    struct piece fresh = {.name = e->name, .value = e->value};
    size_t at;
    switch (e->how) {
    case EDIT_INSERT:
        at = e->n <= 1 ? 0 : find(p, SLICE(""), e->n);
        return insert(p, at == p->n ? end_of_fields(p) : at, fresh);
    case EDIT_CHANGE:
        at = find(p, e->name, e->n);
        if (at == p->n)
            break;
        p->all[at] = fresh;
        return true;
    case EDIT_DELETE:
        at = find(p, e->name, e->n);
        if (at < p->n)
            p->all[at].gone = true;
        return true;
    case EDIT_ADD:
        break;
    }
    return insert(p, end_of_fields(p), fresh);
}

static void write_pieces(const struct pieces *p, struct buffer *out)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct piece *x = &p->all[i];
        if (x->gone)
            continue;
        if (x->whole.p) {
            buffer_add(out, x->whole);
            if (x->name.n && !slice_ends(x->whole, SLICE("\n"))) /* the last line of a message without a body */
                buffer_add(out, SLICE("\r\n"));
        } else {
            buffer_add(out, x->name);
            buffer_add(out, SLICE(": "));
            buffer_add(out, x->value);
            buffer_add(out, SLICE("\r\n"));
        }
    }
}

/* The head ends with its empty line, which is nobody's field; a message without one, or whose first line is no field, gets one. */
struct error filter_rewrite(const struct filter_mail *m, struct buffer *out)
{
    struct slice head = slice_first(m->content, header_length(m->content)), body = slice_after(m->content, head.n);
    struct pieces p = {.arena = m->arena};
    struct header_field f;
    struct slice probe = head, empty = SLICE("");
    bool fields = header_next(&probe, &f) && f.whole.p == head.p;
    if (slice_ends(head, SLICE("\r\n")) && (head.n == 2 || slice_ends(head, SLICE("\r\n\r\n"))))
        empty = SLICE("\r\n");
    if (!fields && head.n > 2) { /* a body without a head: our fields come in front of it */
        body = m->content;
        head = SLICE("");
        empty = SLICE("\r\n");
    }
    bool ok = take_apart(slice_first(head, head.n - (head.n ? empty.n : 0)), &p);
    for (const struct filter_edit *e = m->edits; ok && e; e = e->next)
        ok = apply(&p, e);
    if (!ok)
        return error_make(ERROR_MEMORY, "no memory for a changed message");
    write_pieces(&p, out);
    buffer_add(out, empty.n || !m->body.p ? empty : SLICE("\r\n"));
    buffer_add(out, m->body.p ? m->body : body);
    return out->failed ? error_make(ERROR_MEMORY, "no memory for a changed message") : OK;
}
