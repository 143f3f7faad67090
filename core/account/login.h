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
/* Behind a login that proved a main password without a SCRAM verifier one is made, by a task on a worker that `submit` starts (net_submit; ERROR_BUSY: not now). Without
 * it, as in kantorctl, none is made. Before threads; login_upgrade_allow (option auth.scram_upgrade; no before it is called): any thread. */
typedef struct error login_submit(void *arg, void (*task)(void *task_arg), void *task_arg);
enum login_upgrade { LOGIN_UPGRADE_NO, LOGIN_UPGRADE_YES };
void login_upgrade_by(struct login_service *s, login_submit *submit, void *arg);
void login_upgrade_allow(struct login_service *s, enum login_upgrade how);
/* The password or state of an account changed: forget what is remembered. Thread: any. */
void login_forget(struct login_service *s, int64_t account);

/* --- credentials (writing: in a change; hashes are made before, on a worker) */

/* SCRAM verifier: StoredKey and ServerKey (RFC 5802 3). The salt is derived from the account's name and the server's secret, the same for all
 * passwords of an account, so one exchange can be checked against each of them (docs/decisions/0010-scram.md). */
enum { SCRAM_ROUNDS = 60000, SCRAM_KEYS = 64 }; /* libsasl refuses to compute more than 65,536 */

/* crypt(3) with yescrypt into the arena, of the password in NFC. NULL: memory is out, or it is empty, longer than 256 bytes or holds a NUL. */
char *password_hash(struct slice password, struct arena *a);
/* `name` is the canonical primary address: its salt is the account's. ERROR_MEMORY. Worker: 60,000 rounds. */
struct error scram_verifier(struct login_service *s, struct slice name, struct slice password, unsigned char keys[SCRAM_KEYS]);
/* Replaces the main password; crypt(3) forms of imports are kept: yescrypt (to 64 MB), bcrypt (to cost 14), sha256-crypt and
 * sha512-crypt (to 1,000,000 rounds), md5-crypt; ERROR_INVALID for others. `keys` NULL: no SCRAM for it (the default: a verifier is weaker than a yescrypt hash). */
struct error password_set(struct sql *db, int64_t account, struct slice hash, const unsigned char keys[SCRAM_KEYS]);
/* Puts SCRAM keys beside the hash of a main password, if that is still this hash and has none. ERROR_CONFLICT: it is not. */
struct error password_add_keys(struct sql *db, int64_t credential, struct slice hash, const unsigned char keys[SCRAM_KEYS]);

struct app_password {
    int64_t id;
    struct slice name;
    int scope;
    int64_t created, used; /* used 0: never */
};
struct app_password_new {
    char text[48]; /* 128 random bits in groups of four, shown once */
    unsigned char lookup[32], keys[SCRAM_KEYS];
};
struct error app_password_make(struct login_service *s, struct slice account_name, struct app_password_new *out); /* worker: 60,000 rounds */
struct error app_password_add(struct sql *db, int64_t account, const struct app_password_new *made, struct slice name, int scope, int64_t *id);
struct error app_password_list(struct sql *db, int64_t account, struct arena *a, struct app_password **all, size_t *n);
/* Is the credential that opened a session an app password? Gone: no. */
struct error login_is_app_password(struct sql *db, int64_t credential, bool *yes);
struct error app_password_remove(struct sql *db, int64_t account, int64_t id);

/* Writes the times of last use that were gathered since the last call. Worker, by a timer. */
void login_flush_used(struct login_service *s);

/* --- for sasl.c */
/* The salt SCRAM shows for a name, known or not. */
void login_salt(struct login_service *s, struct slice name, unsigned char salt[16]);
/* The verifiers that may answer for a name and scope (at most 64); n 0 also for an unknown name. */
struct scram_keys {
    int64_t account, credential;
    unsigned char keys[SCRAM_KEYS];
};
struct error login_verifiers(struct login_service *s, struct slice name, int scope, struct arena *a, struct scram_keys **all, size_t *n, struct slice *canonical);
/* Counts, logs and remembers how an exchange ended. */
void login_ended(struct login_service *s, struct slice name, struct slice peer, const struct login *login);

#endif
