/* mail/delivery/forward.c -- the mark of what leaves on behalf of a recipient, and its wishes for reports */
#include "mail/delivery/forward.h"

#include <stdio.h>

#include "mail/mime/header.h"

enum { MARKS_MAX = 50 };

struct error forward_marks(struct slice head, struct arena *a, struct slice **marks, size_t *n)
{
    struct header_field f;
    *n = 0;
    *marks = NULL;
    while (*n < MARKS_MAX && header_next(&head, &f)) {
        if (!slice_eq_nocase(f.name, SLICE("Delivered-To")))
            continue;
        if (!*marks && !(*marks = arena_alloc(a, MARKS_MAX * sizeof **marks)))
            return error_make(ERROR_MEMORY, "no memory for a head");
        struct slice value = slice_trim(f.value);
        if (value.n > 1 && value.p[0] == '<' && value.p[value.n - 1] == '>')
            value = slice_make(value.p + 1, value.n - 2);
        (*marks)[(*n)++] = value;
    }
    return OK;
}

bool forward_was_here(const struct slice *marks, size_t n, const struct delivery_rcpt *r, struct arena *a)
{
    const char *own = n ? address_text(&r->address, a) : NULL;
    for (size_t i = 0; own && i < n; i++)
        if (slice_eq_nocase(marks[i], slice_of(own)))
            return true;
    return false;
}

struct slice forward_head(const struct delivery_rcpt *r, struct arena *a)
{
    const char *own = address_text(&r->address, a);
    const char *head = own ? arena_printf(a, "Delivered-To: %s\r\n", own) : NULL;
    return head ? slice_of(head) : slice_make(NULL, 0);
}

struct slice forward_head_after(struct slice before, const struct delivery_rcpt *r, struct arena *a)
{
    struct slice own = forward_head(r, a);
    const char *head = own.p ? arena_printf(a, "%.*s%.*s", SLICE_ARG(own), SLICE_ARG(before)) : NULL;
    return head ? slice_of(head) : slice_make(NULL, 0);
}

int forward_notify(int notify, size_t targets)
{
    return targets < 2 ? notify : notify == NOTIFY_SUCCESS ? NOTIFY_NEVER : notify & ~NOTIFY_SUCCESS;
}

struct slice forward_orcpt(const struct delivery_rcpt *r, struct arena *a)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *own = r->orcpt.p ? NULL : address_text(&r->address, a);
    char *out = own ? arena_alloc(a, 8 + 3 * strlen(own)) : NULL;
    size_t n = 0;
    if (!out)
        return r->orcpt;
    memcpy(out, "rfc822;", 7);
    for (n = 7; *own; own++) {
        unsigned char c = (unsigned char)*own;
        if (c >= 0x80)
            return r->orcpt; /* RFC 6533 would want utf-8 there */
        if (c > 0x20 && c < 0x7F && c != '+' && c != '=') {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '+';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    return n <= 500 ? slice_make(out, n) : r->orcpt;
}
