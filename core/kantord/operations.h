/* core/kantord/operations.h -- what an administrator can do: one table for kantorctl, over the socket of a running server or on a stopped server's files
 *
 * An operation gets its words ("account", "add", …) and options, writes lines for people into `out`, and answers with an error whose text says what to do next.
 */
#ifndef KANTOR_CORE_KANTORD_OPERATIONS_H
#define KANTOR_CORE_KANTORD_OPERATIONS_H

#include "core/account/login.h"
#include "core/buffer.h"
#include "core/server.h"

enum { OPERATION_WORDS_MAX = 32 };

struct operation_call {
    struct server *server; /* net NULL: the server does not run */
    struct arena *arena;
    struct buffer *out;
    struct slice words[OPERATION_WORDS_MAX]; /* without options */
    size_t n_words;
    struct slice options[OPERATION_WORDS_MAX][2]; /* --name value */
    size_t n_options;
};

/* Splits arguments into words and options and runs the row that fits. ERROR_INVALID: no such operation; the text is the usage. Worker. */
struct error operation_run(struct server *server, const struct slice *args, size_t n, struct arena *a, struct buffer *out);
/* One line for each operation. */
void operations_write_help(struct buffer *out);

#endif
