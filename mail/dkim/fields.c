/* mail/dkim/fields.c -- the fields of a head, and those that a signature names */
#include "mail/dkim/internal.h"

struct error dkim_fields_read(struct arena *a, struct slice head, struct dkim_fields *out)
{
    struct slice rest = head;
    const char *end = head.p;
    size_t room = 0;
    struct header_field f;
    memset(out, 0, sizeof *out);
    if (head.n > DKIM_HEAD_MAX) {
        out->wrong = "the head is too long";
        rest = slice_first(head, DKIM_HEAD_MAX); /* its signatures are told nevertheless */
    }
    while (header_next(&rest, &f)) {
        if (f.whole.p != end && !out->wrong)
            out->wrong = "the head holds a line that is no field"; /* attacks.md MA-05 */
        end = f.whole.p + f.whole.n;
        if (out->n == DKIM_FIELDS_MAX) {
            out->wrong = "the head has too many fields";
            return OK;
        }
        if (out->n == room) {
            size_t wanted = room ? 2 * room : 32;
            struct header_field *grown = arena_grow(a, out->fields, room * sizeof f, wanted * sizeof f);
            if (!grown)
                return error_make(ERROR_MEMORY, "out of memory");
            out->fields = grown;
            room = wanted;
        }
        out->fields[out->n++] = f;
    }
    bool blank_first = head.n && (head.p[0] == ' ' || head.p[0] == '\t'); /* would continue whatever is put in front of it (MA-02) */
    if ((blank_first || rest.p != end) && !out->wrong)
        out->wrong = "the head holds a line that is no field";
    return OK;
}

void dkim_fields_canon(const struct dkim_fields *f, enum dkim_canon canon, const struct slice *names, size_t n, unsigned char *used, struct buffer *out)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = f->n; k-- > 0;) {
            if (used[k] || !slice_eq_nocase(f->fields[k].name, names[i]))
                continue;
            used[k] = 1;
            dkim_canon_field(canon, f->fields[k].whole, slice_make(NULL, 0), out);
            buffer_add(out, SLICE("\r\n"));
            break;
        }
    }
}
