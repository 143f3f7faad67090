/* mail/relay/content.h -- what a message holds that not every server takes: looked at in pieces, in passing. Thread: any, one owner at a time. */
#ifndef KANTOR_MAIL_RELAY_CONTENT_H
#define KANTOR_MAIL_RELAY_CONTENT_H

#include "core/slice.h"

struct content {
    int holds; /* OUTGOING_* of outgoing.h */
    size_t column; /* octets of the line so far */
    bool cr;       /* the last byte was a CR */
};

/* The bit that 8-bit bytes of this piece set: OUTGOING_UTF8_HEAD or OUTGOING_EIGHT_BIT. */
void content_look(struct content *c, struct slice piece, int eight_bit);
void content_end(struct content *c);

#endif
