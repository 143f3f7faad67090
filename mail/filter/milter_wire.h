/* mail/filter/milter_wire.h -- packets of the milter protocol, version 6 (Sendmail's libmilter): length, command, data
 *
 * What a milter answers is bytes from outside: a packet's length is bounded, texts end within it, and what does not fit its command is refused. Thread: any.
 */
#ifndef KANTOR_MAIL_FILTER_MILTER_WIRE_H
#define KANTOR_MAIL_FILTER_MILTER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"

enum { MILTER_VERSION = 6, MILTER_PACKET_MAX = 1024 * 1024, MILTER_CHUNK = 65535 };
enum { MILTER_ACTIONS = 0xFF }; /* ADDHDRS CHGBODY ADDRCPT DELRCPT CHGHDRS QUARANTINE CHGFROM ADDRCPT_PAR */
enum { /* what it need not be sent, and what it does not answer */
    MILTER_NO_CONNECT = 1, MILTER_NO_HELO = 2, MILTER_NO_MAIL = 4, MILTER_NO_RCPT = 8, MILTER_NO_BODY = 0x10, MILTER_NO_HEADERS = 0x20, MILTER_NO_EOH = 0x40, MILTER_MUTE_HEADER = 0x80,
    MILTER_NO_DATA = 0x200, MILTER_SKIP = 0x400, MILTER_MUTE_CONNECT = 0x1000, MILTER_MUTE_HELO = 0x2000, MILTER_MUTE_MAIL = 0x4000, MILTER_MUTE_RCPT = 0x8000, MILTER_MUTE_DATA = 0x10000,
    MILTER_MUTE_EOH = 0x40000, MILTER_MUTE_BODY = 0x80000, MILTER_LEADING_SPACE = 0x100000,
    MILTER_OFFER = 0x1FFFFF
};

struct milter_packet {
    char command;
    struct slice data;
};

/* The packet at the front of what came: bytes it takes; 0: not whole yet; -1: it is none (too long, or empty). */
int64_t milter_packet_read(struct slice in, struct milter_packet *out);
/* Takes a text up to its NUL off *data. False: there is none. */
bool milter_text(struct slice *data, struct slice *text);
bool milter_number(struct slice *data, uint32_t *number);
/* "550 5.7.1 text", one or more lines ("550-…"): the first line's code and texts; enhanced empty where there is none. False: it is no refusal. Slices of `text`. */
bool milter_reply(struct slice text, int *code, struct slice *enhanced, struct slice *sentence);

/* A packet of a command and pieces, put together in `out`. */
void milter_begin(struct buffer *out, char command);
void milter_put_text(struct buffer *out, struct slice text); /* with its NUL; NULs inside are left out */
void milter_put_number(struct buffer *out, uint32_t number);
void milter_end(struct buffer *out); /* writes the length of all that milter_begin's packet got: one packet a buffer */

#endif
