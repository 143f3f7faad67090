/* mail/imap/frame.c -- where a command ends: lines joined by literals (RFC 9051 4.3, RFC 7888)
 *
 * Looks only at bytes that are new since the last look. A synchronising literal gets its "+" when its size is acceptable; the sum of all literals of a command
 * is bounded (attacks.md IM-01). The message of an APPEND is not waited for: the command is handed on at its literal (append.c).
 */
#include "mail/imap/internal.h"

/* "{123}" or "{123+}", for literal8 with '~' before, at the end of a line without its line end. */
static bool literal_at_end(struct slice line, uint64_t *n, int *sync, bool *malformed)
{
    size_t open = line.n;
    *malformed = false;
    if (line.n < 3 || line.p[line.n - 1] != '}')
        return false;
    while (open && line.p[open - 1] != '{')
        open--;
    if (open == 0)
        return false;
    struct slice number = slice_make(line.p + open, line.n - open - 1);
    *sync = !slice_ends(number, SLICE("+"));
    if (!*sync)
        number.n--;
    if (number.n == 0 || !ascii_is_digit(number.p[0]))
        return false; /* a '}' of a quoted string */
    *malformed = !slice_number(number, UINT32_MAX, n);
    return true;
}

/* The word behind the tag. */
static struct slice verb_of(struct slice in)
{
    struct slice rest = slice_after(in, slice_find(in, ' ') + 1);
    size_t n = 0;
    while (n < rest.n && (ascii_is_alnum(rest.p[n]) || rest.p[n] == '-'))
        n++;
    return slice_first(rest, n);
}

static enum frame close_with(struct connection *c, const char *text)
{
    buffer_printf(&c->out, "* BYE %s\r\n", text);
    return FRAME_CLOSE;
}

/* Is the literal that begins here the message of an APPEND: there is more than the mailbox before it. */
static bool is_append_message(const struct imap_session *s, struct slice head)
{
    if (s->state == STATE_GREETED || !slice_eq_nocase(verb_of(head), SLICE("APPEND")))
        return false;
    struct slice args = slice_after(head, slice_find(head, ' ') + 1);
    args = slice_after(args, slice_find(args, ' ') + 1);
    size_t open = args.n;
    while (open && args.p[open - 1] != '{')
        open--;
    return slice_trim(slice_first(args, open ? open - 1 : 0)).n > 0;
}

static enum frame at_literal(struct connection *c, struct slice in, size_t line_end, uint64_t n, int sync)
{
    struct imap_session *s = c->session;
    size_t most = s->state == STATE_GREETED ? COMMAND_MAX_BEFORE_LOGIN : COMMAND_MAX;
    if (is_append_message(s, slice_first(in, line_end))) {
        s->append_head = line_end;
        s->append_size = n;
        s->append_sync = sync;
        return FRAME_WORKER;
    }
    if (line_end + n > most) {
        if (!sync) /* its bytes come in any case: too many to read them all for nothing */
            return close_with(c, "[TOOBIG] the literal is too large");
        struct slice tag = slice_first(in, slice_find(in, ' '));
        buffer_printf(&c->out, "%.*s NO [TOOBIG] the literal is too large\r\n", SLICE_ARG(slice_first(tag, TAG_MAX)));
        buffer_take(&c->in, line_end);
        s->scanned = s->promised = 0;
        return imap_frame(c);
    }
    if (sync && s->promised < line_end) {
        buffer_add(&c->out, SLICE("+ go ahead\r\n"));
        s->promised = line_end;
    }
    s->scanned = line_end + n;
    return FRAME_MORE;
}

static enum frame place_of(struct connection *c, struct slice command)
{
    struct imap_session *s = c->session;
    if (s->idling)
        return FRAME_WORKER;
    if (s->sasl)
        return FRAME_WORKER;
    struct slice verb = verb_of(command);
    struct slice rest = slice_after(command, (size_t)(verb.p - command.p) + verb.n + 1);
    const struct imap_row *row = imap_row_find(verb, verb_of(slice_make(verb.p + verb.n, rest.n + (rest.p > verb.p + verb.n))));
    if (!row || row->place == ON_WORKER)
        return row ? FRAME_WORKER : FRAME_LOOP;
    return imap_has_news(s) ? FRAME_WORKER : FRAME_LOOP; /* NOOP on the loop is one atomic comparison */
}

enum frame imap_frame(struct connection *c)
{
    struct imap_session *s = c->session;
    struct slice in = buffer_slice(&c->in);
    size_t most = s->state == STATE_GREETED ? COMMAND_MAX_BEFORE_LOGIN : COMMAND_MAX;
    if (s->append.active) { /* a piece worth a worker; or the line end behind it */
        int whole = s->append.left ? in.n > 0 : slice_find(in, '\n') < in.n || in.n > LINE_END_MAX;
        c->want = s->append.left ? (s->append.left + 2 < COMMAND_MAX ? s->append.left + 2 : COMMAND_MAX) : 0;
        return (whole && in.n >= c->want) || c->input_ended ? FRAME_WORKER : FRAME_MORE;
    }
    /* clients.md I23: iOS sends empty lines between commands; within AUTHENTICATE an empty line is an answer (RFC 5802's last one) */
    while (!s->sasl && s->scanned == 0 && in.n && (in.p[0] == '\r' || in.p[0] == '\n')) {
        buffer_take(&c->in, 1);
        in = buffer_slice(&c->in);
        if (++s->bad > 100000)
            return close_with(c, "too many empty lines");
    }
    for (;;) {
        struct slice rest = slice_after(in, s->scanned);
        size_t n = slice_find(rest, '\n');
        uint64_t size;
        int sync;
        bool malformed;
        if (s->scanned > in.n)
            return FRAME_MORE; /* inside a literal */
        if (n == rest.n)
            return in.n > most ? close_with(c, "[TOOBIG] the command is too long") : FRAME_MORE;
        size_t line_end = s->scanned + n + 1;
        if (line_end > most)
            return close_with(c, "[TOOBIG] the command is too long");
        struct slice line = slice_first(rest, n && rest.p[n - 1] == '\r' ? n - 1 : n);
        if (s->idling || s->sasl || !literal_at_end(line, &size, &sync, &malformed)) {
            s->scanned = line_end;
            return place_of(c, slice_first(in, line_end));
        }
        if (malformed)
            return close_with(c, "[TOOBIG] the size of a literal cannot be read");
        enum frame f = at_literal(c, in, line_end, size, sync);
        if (f != FRAME_MORE || s->scanned == 0)
            return f;
    }
}
