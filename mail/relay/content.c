/* mail/relay/content.c -- 8-bit bytes, long lines, line ends that are none */
#include "mail/relay/content.h"

#include "mail/relay/outgoing.h"

enum { LINE_MAX_OCTETS = 998 };

static bool has_eight_bit(struct slice s)
{
    uint64_t all = 0;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t word;
        memcpy(&word, s.p + i, 8);
        all |= word;
    }
    for (; i < s.n; i++)
        all |= (unsigned char)s.p[i];
    return (all & 0x8080808080808080U) != 0;
}

/* A line, or a part of one. */
static void look_at_line(struct content *c, struct slice line, bool ended)
{
    size_t cr = slice_find(line, '\r');
    if (c->cr && !(ended && line.n == 0))
        c->holds |= OUTGOING_BARE; /* a CR before something else */
    if (line.n)
        c->cr = line.p[line.n - 1] == '\r';
    if (cr + 1 < line.n)
        c->holds |= OUTGOING_BARE;
    c->column += line.n;
    if (c->column - c->cr > LINE_MAX_OCTETS)
        c->holds |= OUTGOING_LONG_LINES;
    if (!ended)
        return;
    if (!c->cr)
        c->holds |= OUTGOING_BARE;
    c->cr = false;
    c->column = 0;
}

void content_look(struct content *c, struct slice s, int eight_bit)
{
    if (has_eight_bit(s))
        c->holds |= eight_bit;
    if (s.n && memchr(s.p, 0, s.n))
        c->holds |= OUTGOING_BARE;
    while (s.n) {
        size_t n = slice_find(s, '\n');
        look_at_line(c, slice_first(s, n), n < s.n);
        s = slice_after(s, n < s.n ? n + 1 : n);
    }
}

void content_end(struct content *c)
{
    if (c->cr)
        c->holds |= OUTGOING_BARE;
    if (c->column)
        c->holds |= OUTGOING_OPEN_END;
}
