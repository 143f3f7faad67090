/* core/kantorctl/secret.h -- a password from a terminal or standard input, never only from the command line */
#ifndef KANTOR_CORE_KANTORCTL_SECRET_H
#define KANTOR_CORE_KANTORCTL_SECRET_H

#include "core/arena.h"
#include "core/error.h"

/* Asked for twice on a terminal, unseen. ERROR_INVALID: the two differ; empty is "none". */
struct error secret_ask(const char *what, struct arena *a, struct slice *out);
/* The first line of standard input. */
struct error secret_read(struct arena *a, struct slice *out);

/* All of standard input, at most 64 KiB: a text and no secret, but on the same way. ERROR_LIMIT, ERROR_INVALID: not UTF-8. */
struct error secret_read_text(struct arena *a, struct slice *out);

#endif
