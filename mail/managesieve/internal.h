/* mail/managesieve/internal.h -- one session, its limits, and the answers of the protocol
 *
 * A command is lines joined by literals. What is held of one is bounded: 8 KiB before login, a script and its name after it (attacks.md SV-01); a longer literal of
 * somebody who is logged in is read away and refused by name, a longer one of somebody who is not ends the connection.
 */
#ifndef KANTOR_MAIL_MANAGESIEVE_INTERNAL_H
#define KANTOR_MAIL_MANAGESIEVE_INTERNAL_H

#include "core/account/sasl.h"
#include "core/account/script.h"
#include "core/net/service.h"
#include "core/options.h"
#include "core/server.h"
#include "mail/managesieve/managesieve.h"

enum {
    MS_BEFORE_MAX = 8 * 1024,
    MS_COMMAND_MAX = SCRIPT_SOURCE_MAX + 4 * 1024,
    MS_SKIP_MAX = 16 * 1024 * 1024,
    MS_ARGS_MAX = 3,
    MS_BAD_MAX = 20
};

struct ms_session {
    struct server *server;
    int bad;
    int64_t account; /* 0: not logged in */
    struct slice name;
    char name_bytes[320];
    struct arena sasl_arena;
    struct sasl *sasl; /* an AUTHENTICATE is under way */
    uint64_t skip;     /* bytes of a literal that is too long */
    bool skipping;     /* and the rest of its line */
};

/* A command's words: strings as they mean, or a number's digits. */
struct ms_args {
    struct slice all[MS_ARGS_MAX];
    size_t n;
};

/* --- words.c */
/* Where the command ends that begins here: its length with its last line end; 0: more is needed, *want says how much there must be before it is worth another look.
 * *literal: the size of the literal that ends the bytes looked at, whether or not it is there (for limits). */
size_t ms_command_length(struct slice in, size_t *want, uint64_t *literal);
/* Takes a string ("quoted" or literal) off *rest. */
bool ms_read_string(struct slice *rest, struct arena *a, struct slice *out);
bool ms_read_args(struct slice rest, struct arena *a, struct ms_args *out);
void ms_write_string(struct slice text, struct buffer *out);

/* --- answers; `code` "QUOTA/MAXSIZE" or NULL; the text is made one line of UTF-8, or a literal */
enum run ms_ok(struct connection *c, const char *text);
enum run ms_no(struct connection *c, const char *code, const char *text);
enum run ms_syntax(struct connection *c, const char *text); /* NO, and counted */
enum run ms_fail(struct connection *c, struct error e);

/* --- login.c */
void ms_capabilities(struct connection *c);
enum run ms_authenticate(struct connection *c, const struct ms_args *args);
enum run ms_authenticate_line(struct connection *c, struct slice line);
enum run ms_starttls(struct connection *c, const struct ms_args *args);
enum run ms_unauthenticate(struct connection *c, const struct ms_args *args);

/* --- scripts.c */
enum run ms_havespace(struct connection *c, const struct ms_args *args);
enum run ms_putscript(struct connection *c, const struct ms_args *args);
enum run ms_checkscript(struct connection *c, const struct ms_args *args);
enum run ms_listscripts(struct connection *c, const struct ms_args *args);
enum run ms_setactive(struct connection *c, const struct ms_args *args);
enum run ms_getscript(struct connection *c, const struct ms_args *args);
enum run ms_deletescript(struct connection *c, const struct ms_args *args);
enum run ms_renamescript(struct connection *c, const struct ms_args *args);

#endif
