/* mail/relay/transfer.c -- the bytes of a message as DATA wants them: head and blob (outgoing.h), dots doubled, a last line end, the final dot
 *
 * Lines of a stored message end with CR LF; one that holds others is not sent this way (session.c looks at what outgoing says of it).
 */
#include "core/cleanup.h"
#include "core/store/blob.h"
#include "mail/relay/internal.h"

enum { PIECE = 48 * 1024 };

void transfer_begin(struct transfer *x, const struct job *j)
{
    *x = (struct transfer){.at = j->out.from, .line_start = 1, .ended_by_line = 1};
}

/* RFC 5321 4.5.2. */
static void add_lines(struct transfer *x, struct slice bytes, struct buffer *out)
{
    while (bytes.n) {
        if (x->line_start && bytes.p[0] == '.')
            buffer_add_char(out, '.');
        size_t n = slice_find(bytes, '\n');
        x->line_start = n < bytes.n;
        struct slice line = slice_first(bytes, n + (size_t)x->line_start);
        buffer_add(out, line);
        bytes = slice_after(bytes, line.n);
        x->ended_by_line = x->line_start;
    }
}

struct error transfer_more(struct transfer *x, struct server *server, const struct job *j, struct buffer *out, bool *over)
{
    struct buffer piece = {0};
    *over = false;
    if (!x->head_sent)
        add_lines(x, j->out.head, out);
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(server->store);
        struct error e = blob_append(db, j->entry.blob, x->at, PIECE, &piece);
        if (e.code != ERROR_NONE) {
            buffer_free(&piece);
            return e;
        }
    }
    struct slice bytes = buffer_slice(&piece);
    x->at += (int64_t)bytes.n;
    bool last = bytes.n < PIECE;
    add_lines(x, bytes, out);
    x->head_sent = 1;
    buffer_free(&piece);
    if (last) {
        if (!x->ended_by_line)
            buffer_add(out, SLICE("\r\n"));
        buffer_add(out, SLICE(".\r\n"));
        *over = true;
    }
    return out->failed ? error_make(ERROR_MEMORY, "no memory for a message") : OK;
}
