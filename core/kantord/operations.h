/* core/kantord/operations.h -- what an administrator can do: one table for kantorctl, over the socket of a running
 * server or on a stopped server's files
 *
 * A row says name, words, options, what it is for, and how it runs; help, `kantorctl help …`, the checks of the command
 * line and kantorctl(1) come from it. An operation gets its words ("account", "add", …) and options, says what it has
 * to say in a report, and answers with an error whose text says what to do next. Adding one is adding a row and a
 * function.
 */
#ifndef KANTOR_CORE_KANTORD_OPERATIONS_H
#define KANTOR_CORE_KANTORD_OPERATIONS_H

#include "core/account/login.h"
#include "core/buffer.h"
#include "core/kantord/frames.h"
#include "core/kantord/report.h"
#include "core/server.h"

enum { OPERATION_WORDS_MAX = 32, OPERATION_EXIT_FAILED = 1, OPERATION_EXIT_USAGE = 2 };

enum {
    OPERATION_RUNNING = 1,         /* only with a running server */
    OPERATION_PASSWORD = 2,        /* takes a password: from a terminal it is asked for */
    OPERATION_PASSWORD_NEEDED = 4, /* … and without a terminal the first line of standard input is it */
    OPERATION_MESSAGES_IN = 8,     /* kantorctl reads files and sends messages */
    OPERATION_MESSAGES_OUT = 16,   /* kantorctl receives messages and writes files */
    OPERATION_LOCAL = 32,          /* kantorctl does it by itself (restore, top) */
    OPERATION_QUIET = 64,          /* asked each second: not worth a line in the log */
    OPERATION_PASSWORD_OF_USER = 256, /* a password only where --user is given */
    OPERATION_TEXT = 128           /* without --text, standard input is its text; comes as `secret` */
};

struct operation_call {
    struct server *server; /* net NULL: the server does not run */
    struct arena *arena;
    struct report report;
    struct frames *frames;                   /* for messages; NULL: none */
    struct slice words[OPERATION_WORDS_MAX]; /* without options */
    size_t n_words;
    struct slice options[OPERATION_WORDS_MAX][2]; /* --name value */
    size_t n_options;
    struct slice secret; /* a password; p NULL: none was given */
};

struct operation {
    const char *group;          /* of the help */
    const char *first, *second; /* second NULL: one word */
    size_t least, most;         /* words, with these */
    int flags;
    struct error (*run)(struct operation_call *k);
    const char *arguments, *help, *more;
};

extern const struct operation operations[];
extern const size_t n_operations;

/* Splits a command line into words and options, finds its row and checks both against it. ERROR_INVALID: the text says
 * what is wrong and what to write. The option --json is taken everywhere. `call` is reset first, but for server and
 * arena. */
struct error operation_parse(struct operation_call *call, const struct slice *args, size_t n,
                             const struct operation **row);
/* The value of --name; p NULL when it was not given. */
struct slice operation_option(const struct operation_call *k, const char *name);
/* Runs a parsed call. Worker or a thread of its own. */
struct error operation_run(const struct operation *row, struct operation_call *call);

/* One line for each operation; everything about those that begin with `first` (false: there is none). */
void operations_write_help(struct buffer *out);
bool operations_write_help_of(struct slice first, struct slice second, struct buffer *out);
/* The rows as man source for kantorctl(1). */
void operations_write_man(struct buffer *out);

#endif
