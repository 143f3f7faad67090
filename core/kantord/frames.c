/* core/kantord/frames.c -- frames of the control socket */
#include "core/kantord/frames.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES = 5, GATHER_BYTES = 128 * 1024 };

void frames_begin(struct frames *f, int fd)
{
    *f = (struct frames){.fd = fd};
}

void frames_end(struct frames *f)
{
    buffer_free(&f->in);
    buffer_free(&f->out);
}

struct error frames_flush(struct frames *f)
{
    while (buffer_length(&f->out)) {
        struct slice s = buffer_slice(&f->out);
        ssize_t n = send(f->fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_make(ERROR_CLOSED, "the other side of the control socket has gone");
        buffer_take(&f->out, (size_t)n);
    }
    return OK;
}

struct error frame_send(struct frames *f, enum frame_kind kind, struct slice bytes)
{
    do { /* longer text goes in several frames; JSON never is that long */
        struct slice piece = slice_first(bytes, FRAME_BYTES_MAX);
        const char head[HEAD_BYTES] = {(char)kind, (char)(piece.n & 0xFF), (char)(piece.n >> 8 & 0xFF),
                                       (char)(piece.n >> 16 & 0xFF), (char)(piece.n >> 24 & 0xFF)};
        buffer_add(&f->out, slice_make(head, HEAD_BYTES));
        buffer_add(&f->out, piece);
        bytes = slice_after(bytes, piece.n);
        if (f->out.failed)
            return error_make(ERROR_MEMORY, "no memory for the control socket");
        if (buffer_length(&f->out) >= GATHER_BYTES)
            TRY(frames_flush(f));
    } while (bytes.n);
    return OK;
}

static struct error fill(struct frames *f, size_t wanted)
{
    while (buffer_length(&f->in) < wanted) {
        char *to = buffer_room(&f->in, GATHER_BYTES);
        if (!to)
            return error_make(ERROR_MEMORY, "no memory for the control socket");
        ssize_t n = read(f->fd, to, GATHER_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_make(ERROR_CLOSED, "the other side of the control socket has gone");
        buffer_added(&f->in, (size_t)n);
    }
    return OK;
}

struct error frame_read(struct frames *f, enum frame_kind *kind, struct slice *bytes)
{
    TRY(fill(f, HEAD_BYTES));
    const unsigned char *head = (const unsigned char *)buffer_slice(&f->in).p;
    size_t n = (size_t)head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 | (size_t)head[4] << 24;
    *kind = (enum frame_kind)head[0];
    if (n > FRAME_BYTES_MAX)
        return error_make(ERROR_INVALID, "that is not the control protocol of this version");
    TRY(fill(f, HEAD_BYTES + n));
    *bytes = slice_make(buffer_slice(&f->in).p + HEAD_BYTES, n);
    buffer_take(&f->in, HEAD_BYTES + n);
    return OK;
}

bool frames_ready(const struct frames *f)
{
    struct pollfd p = {.fd = f->fd, .events = POLLIN};
    return buffer_length(&f->in) >= HEAD_BYTES || poll(&p, 1, 0) > 0;
}
