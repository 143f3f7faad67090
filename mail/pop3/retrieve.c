/* mail/pop3/retrieve.c -- RETR and TOP: bytes of the blob with lines' first dots doubled, in steps
 *
 * Stored messages have CR LF. A bare LF of an APPEND is sent as it is stored, so that what went in comes out and LIST's size is what is sent; a dot behind it is
 * doubled too, since there are clients (Python's poplib) for which a bare LF ends a line, and a lone dot the message. NUL goes out as 0x80 (clients.md P4), the
 * blank line behind the head is always there, and the end is one CR LF . CR LF.
 */
#include "core/store/blob.h"
#include "mail/pop3/internal.h"

enum { STEP_BYTES = 128 * 1024 };

static void write_bytes(struct slice line, struct buffer *out)
{
    if (!memchr(line.p, 0, line.n)) {
        buffer_add(out, line);
        return;
    }
    for (size_t i = 0; i < line.n; i++)
        buffer_add_char(out, line.p[i] ? line.p[i] : (char)0x80);
}

/* The body of a RETR, where no line needs a look of its own: stretches up to the next line that begins with a dot. `piece` is not empty and holds no NUL. */
static void write_body(struct pop3_session *s, struct slice piece, struct buffer *out)
{
    char last = piece.p[piece.n - 1];
    int cr = piece.n > 1 ? piece.p[piece.n - 2] == '\r' : s->ending == ENDING_CR;
    s->ending = last == '\r' ? ENDING_CR : last == '\n' && cr ? ENDING_CRLF : ENDING_NONE;
    if (s->line == LINE_EMPTY && piece.p[0] == '.')
        buffer_add_char(out, '.');
    for (const char *dot; (dot = memmem(piece.p, piece.n, "\n.", 2)) != NULL;) {
        size_t n = (size_t)(dot - piece.p) + 1;
        buffer_add(out, slice_first(piece, n));
        buffer_add_char(out, '.');
        piece = slice_after(piece, n);
    }
    buffer_add(out, piece);
    s->line = last == '\n' ? LINE_EMPTY : LINE_TEXT;
}

/* Writes a piece of the message; false: TOP has all its lines. */
static bool write_piece(struct pop3_session *s, struct slice piece, struct buffer *out)
{
    bool plain = s->body_lines == UINT64_MAX && !memchr(piece.p, 0, piece.n);
    while (piece.n) {
        if (plain && !s->in_head) {
            write_body(s, piece, out);
            break;
        }
        struct slice line = slice_first(piece, slice_find(piece, '\n'));
        int ends = line.n < piece.n;
        if (s->line == LINE_EMPTY) {
            if (!s->in_head && s->body_lines != UINT64_MAX && s->body_lines-- == 0)
                return false;
            if (line.n && line.p[0] == '.')
                buffer_add_char(out, '.');
        }
        if (line.n) {
            write_bytes(line, out);
            s->line = s->line == LINE_EMPTY && line.n == 1 && line.p[0] == '\r' ? LINE_CR : LINE_TEXT;
        }
        int cr = line.n ? line.p[line.n - 1] == '\r' : s->ending == ENDING_CR;
        s->ending = cr ? (ends ? ENDING_CRLF : ENDING_CR) : ENDING_NONE;
        if (ends) {
            buffer_add_char(out, '\n');
            if (s->line != LINE_TEXT)
                s->in_head = 0;
            s->line = LINE_EMPTY;
        }
        piece = slice_after(piece, line.n + 1);
    }
    return true;
}

static struct error read_piece(struct connection *c, struct slice *piece)
{
    struct pop3_session *s = c->session;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(blob_read(db, s->messages[s->sending - 1].blob, s->offset, STEP_BYTES, &c->arena, piece));
    s->offset += (int64_t)piece->n;
    return OK;
}

static enum run send_piece(struct connection *c, struct slice piece)
{
    struct pop3_session *s = c->session;
    bool more = write_piece(s, piece, &c->out) && piece.n && s->offset < s->messages[s->sending - 1].size;
    arena_reset(&c->arena);
    if (more)
        return RUN_MORE;
    if (s->ending != ENDING_CRLF) /* also behind a bare LF: the dot that ends stands behind a CR LF (RFC 1939 3) */
        buffer_add(&c->out, SLICE("\r\n"));
    if (s->in_head)
        buffer_add(&c->out, SLICE("\r\n"));
    buffer_add(&c->out, SLICE(".\r\n"));
    s->sending = 0;
    return RUN_NEXT;
}

enum run retrieve_begin(struct connection *c, const struct pop3_message *m, uint64_t body_lines)
{
    struct pop3_session *s = c->session;
    struct slice piece;
    s->sending = (size_t)(m - s->messages) + 1;
    s->offset = 0;
    s->body_lines = body_lines;
    s->in_head = 1;
    s->ending = ENDING_CRLF;
    s->line = LINE_EMPTY;
    struct error e = read_piece(c, &piece);
    if (e.code != ERROR_NONE) {
        s->sending = 0;
        return pop3_err(c, e.code == ERROR_NOT_FOUND ? "that message was removed meanwhile" : "[SYS/TEMP] the message cannot be read right now");
    }
    buffer_printf(&c->out, "+OK %lld octets\r\n", (long long)m->size);
    return send_piece(c, piece);
}

enum run retrieve_step(struct connection *c)
{
    struct slice piece;
    if (read_piece(c, &piece).code != ERROR_NONE)
        return RUN_CLOSE; /* the answer has begun: only the end of the connection tells that it is not whole */
    return send_piece(c, piece);
}
