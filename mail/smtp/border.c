/* mail/smtp/border.c */
#include "mail/smtp/border.h"

#include "mail/authentication/results.h"

/* "i=N" of an ARC field, as text. */
static struct slice instance(struct slice value)
{
    struct slice first = slice_trim(slice_first(value, slice_find(value, ';')));
    return slice_starts_nocase(first, SLICE("i")) ? slice_trim(slice_after(first, slice_find(first, '=') + 1)) : slice_make(NULL, 0);
}

/* RFC 8617: our own findings of an earlier passage come back within a sealed set, and without them the chain would be broken. Nobody but ARC reads them. */
static bool is_sealed(struct slice value, struct slice fields)
{
    struct header_field f;
    struct slice i = instance(value);
    while (i.n && header_next(&fields, &f))
        if (slice_eq_nocase(f.name, SLICE("ARC-Seal")) && slice_eq(instance(f.value), i))
            return true;
    return false;
}

bool border_drops(const struct header_field *f, struct slice fields, struct slice hostname)
{
    if (slice_eq_nocase(f->name, SLICE("Authentication-Results")))
        return results_claims(f->value, hostname);
    if (slice_eq_nocase(f->name, SLICE("ARC-Authentication-Results")))
        return results_claims(slice_after(f->value, slice_find(f->value, ';') + 1), hostname) && !is_sealed(f->value, fields);
    return slice_eq_nocase(f->name, SLICE("Received-SPF")) || slice_starts_nocase(f->name, SLICE("X-Spam-")) || slice_starts_nocase(f->name, SLICE("X-Kantor-"));
}
