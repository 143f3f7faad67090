/* mail/filter/sending.h -- how much an account may send, so that a stolen password does not empty itself into the world (attacks.md SO-18)
 *
 * Counted are the recipients of submissions, by account and by password, in quarters of an hour. The count is a row that the change which takes the message
 * writes along (no commit of its own), and that change decides: a hundred sessions at a time cannot pass the limit together, and a restart forgets
 * nothing. What MAIL and RCPT look at before is the same count, so that a client learns it early. In any hour, and any day, no more than the limit goes.
 *
 * An administrator sets other limits for an account, or blocks its sending; reading mail goes on. Who reaches a limit or is blocked is told in the log,
 * counted, and once a day told by mail to the postmaster of the account's domain.
 */
#ifndef KANTOR_MAIL_FILTER_SENDING_H
#define KANTOR_MAIL_FILTER_SENDING_H

#include <stdbool.h>

#include "core/options.h"
#include "core/server.h"
#include "core/store/store.h"

enum sending_why { SENDING_FREE, SENDING_BLOCKED, SENDING_HOUR, SENDING_DAY, SENDING_APP_HOUR, SENDING_APP_DAY };

struct sending_count {
    int64_t account, credential;
    bool app_password;             /* the credential is one: it has limits of its own */
    bool own_limits;               /* set by an administrator for the account: they count for each of its passwords as well */
    bool blocked;
    int64_t limit_hour, limit_day; /* of the account; 0: none */
    int64_t hour, day;             /* recipients so far */
    int64_t room;                  /* recipients that may still be named now; INT64_MAX: any number */
    enum sending_why why;          /* what stops the next one after `room` */
};

/* How the account stands. credential 0: the account alone. Thread: worker with a reader, or in a change. ERROR_IO. */
struct error sending_look(struct sql *db, const struct config *c, int64_t account, int64_t credential, struct sending_count *out);

/* delivery.also: counts the recipients of one message, in its change. ERROR_DENIED: blocked; ERROR_LIMIT: too many (`now` says which). */
struct sending_taking {
    const struct config *config;
    int64_t account, credential, rcpts;
    struct sending_count now; /* out */
};
struct error sending_take(struct sql *db, void *taking);

/* The sentence for the client; static. */
const char *sending_sentence(const struct sending_count *s);
/* Log, metric, and once a day the mail. `peer` NUL-terminated, `login` the account's name. Thread: worker, no reader in hand. */
void sending_alarm(struct server *server, const struct sending_count *s, const char *id, const char *peer, struct slice login);

/* --- what administrators set; in a change. A limit: -1 takes the configuration's, 0 is none. */
enum sending_state { SENDING_ALLOWED, SENDING_NOT_ALLOWED };
struct error sending_set_state(struct sql *db, int64_t account, enum sending_state state);
struct error sending_set_limits(struct sql *db, int64_t account, int64_t hour, int64_t day);

#endif
