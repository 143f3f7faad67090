/* core/account/login.h -- is it really him
 *
 * One entry for all protocols: SASL mechanisms drive it, POP3 USER/PASS, IMAP LOGIN and HTTP Basic call login_password. Hashing is slow on purpose
 * (yescrypt 15 ms, 16 MB), so it runs in its own few threads' worth of permits, an unknown name costs the same as a known one, and a
 * success is remembered for a few minutes by a keyed digest in memory, so that a phone that reconnects every minute costs nothing.
 * Failed logins are counted by address and account with growing delay (guard.h of core/net asks login_delay_ms); nobody is locked out by
 * strangers (attacks.md AC-12/13). Thread: worker.
 */
#ifndef KANTOR_CORE_ACCOUNT_LOGIN_H
#define KANTOR_CORE_ACCOUNT_LOGIN_H

#include "core/account/account.h"

/* What an app password may be used for; a main password has all. */
enum { SCOPE_IMAP = 1, SCOPE_POP3 = 2, SCOPE_SMTP = 4, SCOPE_DAV = 8, SCOPE_ALL = 15 };

struct login {
    int64_t account;
    int64_t credential; /* which credential opened it */
    struct slice name;  /* canonical primary address; in the arena given */
};

struct login_service; /* the cache and the permits; one for the process */
struct error login_service_new(struct store *store, struct login_service **out);
void login_service_free(struct login_service *s);

/* `peer` is the client's address as text (for the counters and the log). ERROR_AUTH for every kind of refusal (unknown, wrong, suspended, scope); ERROR_BUSY and
 * ERROR_IO when it could not be looked up: [UNAVAILABLE], 454, never a password prompt. */
struct error login_password(struct login_service *s, struct slice name, struct slice password, int scope, struct slice peer, struct arena *a, struct login *out);

/* How long an answer to a failed login of this peer and name waits now (0 to 30,000 ms, doubling). The connection waits on a timer, no worker sleeps. Thread: any. */
int64_t login_delay_ms(struct login_service *s, struct slice name, struct slice peer);
/* The password or state of an account changed: forget what is remembered. Thread: any. */
void login_forget(struct login_service *s, int64_t account);

/* --- credentials (writing: in a change; hashes are made before, on a worker) */
/* crypt(3) with yescrypt into the arena; NULL when memory is out. */
char *password_hash(struct slice password, struct arena *a);
struct error password_set(struct sql *db, int64_t account, struct slice hash); /* any crypt(3) form: imports keep theirs */

struct app_password {
    int64_t id;
    struct slice name;
    int scope;
    int64_t created, used; /* used 0: never */
};
/* Makes 128 random bits as text in groups of four (shown once, in the arena), and its rows: lookup digest and SCRAM-SHA-256 verifier. */
struct app_password_new {
    char text[48];
    unsigned char lookup[32];
    char verifier[256]; /* RFC 5803 form, 4,096 rounds are enough for 128 random bits */
};
struct error app_password_make(struct app_password_new *out); /* worker */
struct error app_password_add(struct sql *db, int64_t account, const struct app_password_new *made, struct slice name, int scope, int64_t *id);
struct error app_password_list(struct sql *db, int64_t account, struct arena *a, struct app_password **all, size_t *n);
struct error app_password_remove(struct sql *db, int64_t account, int64_t id);

#endif
