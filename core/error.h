/* core/error.h -- how a failure travels
 *
 * A function that can fail returns a struct error by value: a code that says what kind of failure it is, and a text for the log or
 * for the person, which is static or lives in the request's arena. Outputs come through pointers and are only valid after OK.
 * A protocol turns the code into its own reply in one table (mail/imap/reply.c, mail/smtp/reply.c, ...), never by looking at the text.
 *
 *     TRY(collection_get(db, id, &c));
 *     return error_make(ERROR_QUOTA, "the mailbox is full");
 */
#ifndef KANTOR_CORE_ERROR_H
#define KANTOR_CORE_ERROR_H

enum error_code {
    ERROR_NONE = 0,
    ERROR_INVALID,     /* the request is malformed: BAD, 501, 400 */
    ERROR_DENIED,      /* no right to do it: NO [NOPERM], 550, 403 */
    ERROR_AUTH,        /* wrong name or password: NO [AUTHENTICATIONFAILED], 535, 401 */
    ERROR_NOT_FOUND,   /* no such thing, or it must not be known: NO [NONEXISTENT], 550 5.1.1, 404 */
    ERROR_EXISTS,      /* the name is taken: NO [ALREADYEXISTS], 409 */
    ERROR_CONFLICT,    /* somebody was faster; the caller may look again: 412 */
    ERROR_QUOTA,       /* the account's quota: NO [OVERQUOTA], 452 4.2.2, 507 */
    ERROR_LIMIT,       /* a limit of ours: NO [LIMIT], 552, 413 */
    ERROR_UNSUPPORTED, /* legal, but not offered: NO [CANNOT], 504, 501 */
    ERROR_BUSY,        /* passing: try again later: 4xx, * BYE [UNAVAILABLE], 503 */
    ERROR_FULL,        /* the disk is full; passing, nothing was stored */
    ERROR_IO,          /* the disk or a peer failed; passing */
    ERROR_MEMORY,      /* an allocation failed; passing */
    ERROR_CORRUPT,     /* stored data do not make sense; `kantorctl check` tells more */
    ERROR_CLOSED,      /* the connection or the server is going away */
    ERROR_LOOP,        /* mail goes round in circles: 554 5.4.6 */
    ERROR_CODES
};

struct error {
    enum error_code code;
    const char *text;
};

#define OK ((struct error){ERROR_NONE, NULL})

static inline struct error error_make(enum error_code code, const char *text) { return (struct error){code, text}; }

/* Passing faults: the same request may succeed later, and no answer may read as "it is gone" or "it is forbidden". */
static inline int error_is_temporary(struct error e)
{
    return e.code == ERROR_BUSY || e.code == ERROR_FULL || e.code == ERROR_IO || e.code == ERROR_MEMORY || e.code == ERROR_CORRUPT || e.code == ERROR_CLOSED;
}

/* A short word for the log: "quota", "not-found". Static. */
const char *error_word(enum error_code code);

/* Hands a failure on. The only macro in Kantor that returns. */
#define TRY(call)                                                                                                                      \
    do {                                                                                                                               \
        struct error try_error_ = (call);                                                                                              \
        if (try_error_.code != ERROR_NONE)                                                                                             \
            return try_error_;                                                                                                         \
    } while (0)

#endif
