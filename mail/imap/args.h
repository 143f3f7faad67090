/* mail/imap/args.h -- reading the arguments of a command (RFC 9051 9), one after the other
 *
 * The command is whole in memory, literals included ("{5}\r\nINBOX"). Each function takes one thing off the front or answers ERROR_INVALID, which the
 * dispatcher makes BAD. Slices point into the command or the arena. Nothing recurses by input depth.
 */
#ifndef KANTOR_MAIL_IMAP_ARGS_H
#define KANTOR_MAIL_IMAP_ARGS_H

#include "core/arena.h"
#include "core/error.h"
#include "core/slice.h"

struct imap_args {
    struct slice rest;
    struct arena *arena;
};

struct error args_space(struct imap_args *a);
struct error args_end(const struct imap_args *a);
/* One character, if it is there. */
bool args_take(struct imap_args *a, char c);
/* A run of atom characters; with `more` also those (like "[]" or "*%"). Not empty. */
struct error args_atom(struct imap_args *a, const char *more, struct slice *out);
/* A word that must be there next, ASCII case does not count. */
bool args_word(struct imap_args *a, struct slice word);
struct error args_string(struct imap_args *a, struct slice *out);  /* quoted or literal */
struct error args_astring(struct imap_args *a, struct slice *out); /* also an atom */
struct error args_list_mailbox(struct imap_args *a, struct slice *out); /* also with % and * */
struct error args_number(struct imap_args *a, uint64_t max, uint64_t *out);
/* "(\Seen mine)" or, without parentheses, a list to the end: flags and keywords. */
struct error args_flags(struct imap_args *a, struct slice **flags, size_t *n);

#endif
