/* mail/dkim/results.c -- an outcome in the words of Authentication-Results (RFC 8601) */
#include "mail/dkim/verify.h"

const char *dkim_result_word(enum dkim_result result)
{
    static const char *const words[DKIM_RESULTS] = {"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"};
    return words[result];
}

/* What a value may hold without quotes: token and dot-atom, and the '@' of an address. */
static bool is_bare(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && (unsigned char)s.p[i] < 0x80 && !strchr("-._@+", s.p[i]))
            return false;
    return s.n > 0;
}

/* attacks.md MA-18: a sender's text stays within its quotes, on its line. */
static void add_value(struct buffer *out, const char *name, struct slice value)
{
    if (!value.p)
        return;
    buffer_printf(out, " %s=", name);
    bool bare = is_bare(value);
    if (bare && value.p[0] != '-') {
        buffer_add(out, value);
        return;
    }
    buffer_add_char(out, '"');
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c == '"' || c == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    buffer_add_char(out, '"');
}

void dkim_outcome_text(const struct dkim_outcome *o, struct buffer *out)
{
    enum { B_SHOWN = 8 }; /* RFC 6008 3 */
    char shown[B_SHOWN];
    size_t n = 0;
    for (size_t i = 0; i < o->signature.n && n < B_SHOWN; i++)
        if (!ascii_is_space(o->signature.p[i]))
            shown[n++] = o->signature.p[i];
    buffer_printf(out, "dkim=%s", dkim_result_word(o->result));
    if (o->bits)
        buffer_printf(out, " (%u-bit key%s)", o->bits, o->testing ? ", testing" : "");
    if (o->reason)
        add_value(out, "reason", slice_of(o->reason));
    add_value(out, "header.d", o->domain);
    add_value(out, "header.i", o->identity);
    add_value(out, "header.s", o->selector);
    add_value(out, "header.a", o->algorithm);
    if (n)
        add_value(out, "header.b", slice_make(shown, n));
}
