/* mail/smtp/path.h -- paths and parameters of MAIL and RCPT (RFC 5321 4.1.2), strict where a mistake would open a relay. Thread: any. */
#ifndef KANTOR_MAIL_SMTP_PATH_H
#define KANTOR_MAIL_SMTP_PATH_H

#include "core/account/account.h"

enum path_kind { PATH_ADDRESS, PATH_EMPTY /* <> */, PATH_POSTMASTER /* <postmaster> */ };
enum path_rule { PATH_STRICT, PATH_LENIENT /* submission: also without <>, clients.md S9 */ };

struct path {
    enum path_kind kind;
    struct address address; /* canonical: what is looked up and compared */
    struct slice text;      /* what is passed on: the local part as it was written (RFC 5321 2.4: its case is its owner's affair), the domain canonical; "" for <> */
};

/* Reads a path at the front of *s and takes it off with the blanks behind it. A source route is dropped, the last domain counts. ERROR_INVALID. */
struct error path_read(struct slice *s, enum path_rule rule, struct arena *a, struct path *out);
/* The next "KEYWORD" or "KEYWORD=value" of the rest; false at its end. ERROR-free: what is no parameter comes out as a key that nobody knows. */
bool path_parameter(struct slice *s, struct slice *key, struct slice *value);
/* xtext (RFC 3461 4) without control characters after decoding, at most `most` bytes as written. */
bool path_xtext_ok(struct slice text, size_t most);
/* Printable ASCII as xtext, for what a client forgot to encode. p NULL: it holds something else, or no memory. */
struct slice path_xtext_of(struct slice text, struct arena *a);

#endif
