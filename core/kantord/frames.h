/* core/kantord/frames.h -- how kantorctl and the server talk over the control socket
 *
 * Both sides send frames: one byte that says what it is, four bytes of length (little endian), the bytes. A request is
 * one FRAME_REQUEST; what follows depends on the operation. Messages travel as FRAME_MESSAGE (JSON about it),
 * FRAME_DATA as often as needed, FRAME_MESSAGE_END: neither side ever holds a whole one. The last frame of an answer is
 * FRAME_RESULT. Calls block; a worker or a thread of its own makes them, never a loop.
 */
#ifndef KANTOR_CORE_KANTORD_FRAMES_H
#define KANTOR_CORE_KANTORD_FRAMES_H

#include "core/buffer.h"
#include "core/error.h"

enum { FRAME_BYTES_MAX = 1024 * 1024, FRAME_DATA_BYTES = 65536 };

enum frame_kind {
    FRAME_REQUEST = 'Q',  /* JSON: {"words": […], "json": bool, "secret": "…"} */
    FRAME_TEXT = 'T',     /* for standard output */
    FRAME_NOTE = 'N',     /* JSON: one message of an import that was refused, {"number": n, "why": "…"} */
    FRAME_PROGRESS = 'P', /* JSON: what is durable so far */
    FRAME_FILE = 'F',     /* JSON: an export goes on with another mailbox, or a text of its own */
    FRAME_MESSAGE = 'M',  /* JSON: mailbox, flags, keywords, received */
    FRAME_DATA = 'D',
    FRAME_MESSAGE_END = 'E',
    FRAME_END = 'Z',   /* no more messages come */
    FRAME_RESULT = 'R' /* JSON: {"status": 0, "code": "…", "error": "…"} */
};

struct frames {
    int fd;
    struct buffer in, out;
};

void frames_begin(struct frames *f, int fd);
void frames_end(struct frames *f); /* the descriptor stays the caller's */

/* Small frames are gathered; frames_flush sends them. ERROR_CLOSED when the other side is gone. */
struct error frame_send(struct frames *f, enum frame_kind kind, struct slice bytes);
struct error frames_flush(struct frames *f);
/* The bytes are valid until the next call. ERROR_CLOSED: the other side has gone. */
struct error frame_read(struct frames *f, enum frame_kind *kind, struct slice *bytes);
/* Is something there to be read without waiting? */
bool frames_ready(const struct frames *f);

#endif
