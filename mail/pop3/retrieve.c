/* mail/pop3/retrieve.c -- RETR and TOP: bytes of the blob with lines' first dots doubled, in steps
 *
 * Stored messages have CR LF (a bare LF of an import or an APPEND is sent as it is stored, so that LIST's size is exactly what is sent); NUL goes out as 0x80
 * (clients.md P4), the blank line behind the head is always there, and the end is one CR LF . CR LF.
 */
#include "core/store/blob.h"
#include "mail/pop3/internal.h"

enum { STEP_BYTES = 128 * 1024 };

/* Writes a piece of the message; false: TOP has all its lines. */
static bool write_piece(struct pop3_session *s, struct slice piece, struct buffer *out)
{
    while (piece.n) {
        struct slice line = slice_first(piece, slice_find(piece, '\n'));
        int ends = line.n < piece.n;
        if (s->line_start && s->in_head && ends && (line.n == 0 || (line.n == 1 && line.p[0] == '\r')))
            s->in_head = 0;
        else if (s->line_start && !s->in_head && s->body_lines != UINT64_MAX && s->body_lines-- == 0)
            return false;
        if (s->line_start && line.n && line.p[0] == '.')
            buffer_add_char(out, '.');
        if (memchr(line.p, 0, line.n)) {
            for (size_t i = 0; i < line.n; i++)
                buffer_add_char(out, line.p[i] ? line.p[i] : (char)0x80);
        } else {
            buffer_add(out, line);
        }
        s->line_start = ends;
        if (ends)
            buffer_add_char(out, '\n');
        piece = slice_after(piece, line.n + 1);
    }
    return true;
}

enum run retrieve_step(struct connection *c)
{
    struct pop3_session *s = c->session;
    struct pop3_message *m = &s->messages[s->sending - 1];
    struct slice piece;
    struct error e;
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
        e = blob_read(db, m->blob, s->offset, STEP_BYTES, &c->arena, &piece);
    }
    if (e.code != ERROR_NONE)
        return RUN_CLOSE; /* the answer has begun: only the end of the connection tells that it is not whole */
    s->offset += (int64_t)piece.n;
    bool more = write_piece(s, piece, &c->out) && s->offset < m->size;
    arena_reset(&c->arena);
    if (more)
        return RUN_MORE;
    if (!s->line_start)
        buffer_add(&c->out, SLICE("\r\n"));
    if (s->in_head)
        buffer_add(&c->out, SLICE("\r\n"));
    buffer_add(&c->out, SLICE(".\r\n"));
    s->sending = 0;
    return RUN_NEXT;
}
