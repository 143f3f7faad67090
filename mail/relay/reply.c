/* mail/relay/reply.c -- replies of other servers */
#include "mail/relay/reply.h"

static bool is_code(struct slice line)
{
    return line.n >= 3 && line.p[0] >= '2' && line.p[0] <= '5' && ascii_is_digit(line.p[1]) && ascii_is_digit(line.p[2]) && (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-');
}

static struct slice next_line(struct slice *rest)
{
    size_t n = slice_find(*rest, '\n');
    struct slice line = slice_first(*rest, n);
    *rest = slice_after(*rest, n + 1);
    return slice_ends(line, SLICE("\r")) ? slice_first(line, line.n - 1) : line;
}

/* How many bytes the reply has; 0: it is not whole. */
static enum reply_state measure(struct slice in, size_t *used)
{
    struct slice rest = in;
    for (int lines = 0; lines < REPLY_LINES_MAX; lines++) {
        if (slice_find(rest, '\n') == rest.n)
            return in.n > REPLY_MAX ? REPLY_BROKEN : REPLY_MORE;
        struct slice line = next_line(&rest);
        if (!is_code(line))
            return REPLY_BROKEN;
        if (line.n == 3 || line.p[3] == ' ') {
            *used = in.n - rest.n;
            return *used > REPLY_MAX ? REPLY_BROKEN : REPLY_WHOLE;
        }
    }
    return REPLY_BROKEN;
}

enum reply_state reply_look(struct slice in)
{
    size_t used;
    return measure(in, &used);
}

static void add_printable(char *to, size_t *n, struct slice s)
{
    for (size_t i = 0; i < s.n && *n < REPLY_TEXT_MAX; i++)
        to[(*n)++] = s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?';
}

enum reply_state reply_read(struct slice in, struct arena *a, struct reply *out)
{
    *out = (struct reply){0};
    enum reply_state state = measure(in, &out->used);
    if (state != REPLY_WHOLE)
        return state;
    char *text = arena_alloc(a, REPLY_TEXT_MAX + 1);
    if (!text)
        return REPLY_BROKEN;
    struct slice rest = out->raw = slice_first(in, out->used), status = SLICE("");
    size_t n = 4;
    while (rest.n) {
        struct slice line = next_line(&rest), words = slice_trim(slice_after(line, 4));
        out->code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
        struct slice first = slice_first(words, slice_find(words, ' '));
        if (n > 4 && status.n && slice_eq(first, status)) /* the enhanced code once */
            words = slice_trim(slice_after(words, first.n));
        if (n == 4)
            status = first;
        else if (words.n)
            add_printable(text, &n, SLICE(" "));
        add_printable(text, &n, words);
    }
    text[0] = (char)('0' + out->code / 100);
    text[1] = (char)('0' + out->code / 10 % 10);
    text[2] = (char)('0' + out->code % 10);
    text[3] = ' ';
    out->text = slice_trim(slice_make(text, n));
    return REPLY_WHOLE;
}

bool reply_keyword(struct slice *raw, struct slice *keyword)
{
    if (raw->n == 0)
        return false;
    *keyword = slice_trim(slice_after(next_line(raw), 4));
    return true;
}
