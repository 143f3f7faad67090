/* mail/relay/reply.h -- what another SMTP server answers (RFC 5321 4.2)
 *
 * Looks at bytes only. Lines, length and codes are bounded: a peer that lies or never ends is told apart from one that is slow (attacks.md SO-05).
 */
#ifndef KANTOR_MAIL_RELAY_REPLY_H
#define KANTOR_MAIL_RELAY_REPLY_H

#include "core/arena.h"
#include "core/slice.h"

enum { REPLY_MAX = 64 * 1024, REPLY_LINES_MAX = 200, REPLY_TEXT_MAX = 500 };
enum reply_state { REPLY_MORE, REPLY_WHOLE, REPLY_BROKEN };

struct reply {
    int code;          /* 200 to 599; of the last line where lines differ */
    struct slice text; /* all its text behind codes: one printable line of at most REPLY_TEXT_MAX, beginning with the code ("550 5.1.1 no such user") */
    struct slice raw;  /* its lines as they came: points into the input */
    size_t used;       /* bytes to take from the input */
};

/* Is a whole reply there? Cheap: for `frame`. */
enum reply_state reply_look(struct slice in);
/* Takes it apart; text in the arena. */
enum reply_state reply_read(struct slice in, struct arena *a, struct reply *out);
/* The next line of a reply to EHLO, without "250-": false behind the last. */
bool reply_keyword(struct slice *raw, struct slice *keyword);

#endif
