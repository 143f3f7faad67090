/* core/account/script.h -- Sieve scripts of accounts, of domains and of the server, and what their runs remember
 *
 * A row is a name and its source. A person has any number of scripts under names of RFC 5804 1.6 of which one may be active, and besides them at most one part
 * that the server wrote (the answer while he is away, SCRIPT_AWAY). Domains and the server have the names "before" and "after", which run before and
 * after every person's own. `version` is made of the source alone: equal versions are equal scripts, whoever owns them, and a cache may go by it.
 * Names are keys and never paths (attacks.md SV-05). Functions that write run in a change.
 */
#ifndef KANTOR_CORE_ACCOUNT_SCRIPT_H
#define KANTOR_CORE_ACCOUNT_SCRIPT_H

#include "core/store/store.h"

enum { SCRIPT_NAME_MAX = 512, SCRIPT_SOURCE_MAX = 64 * 1024, SCRIPT_COUNT_MAX = 64, SCRIPT_TOTAL_MAX = 1024 * 1024, SCRIPT_RUNNING_MAX = 6 };
#define SCRIPT_AWAY SLICE("\x7F" "away") /* no client can name it */
#define SCRIPT_BEFORE SLICE("before")
#define SCRIPT_AFTER SLICE("after")

enum script_state { SCRIPT_OFF, SCRIPT_ACTIVE, SCRIPT_BESIDES /* runs besides the active one; not listed */ };

struct script {
    int64_t account; /* 0: the server; negative: a domain */
    struct slice name;
    enum script_state state;
    int64_t version;
    int64_t size;
};

static inline int64_t script_of_domain(int64_t domain) { return -domain; }

/* RFC 5804 1.6: UTF-8, 1 to 512 bytes, no control characters, no line or paragraph separators. ERROR_INVALID with a sentence. */
struct error script_name_check(struct slice name);
/* What a client sees, by name. */
struct error script_list(struct sql *db, int64_t account, struct arena *a, struct script **all, size_t *n);
/* ERROR_NOT_FOUND. */
struct error script_get(struct sql *db, int64_t account, struct slice name, struct arena *a, struct script *out, struct slice *source);
/* Would a script of this size fit? ERROR_QUOTA: too many scripts or bytes; ERROR_LIMIT: the script is too large. */
struct error script_space(struct sql *db, int64_t account, struct slice name, int64_t size);
/* In place of one of that name, whose state stays. ERROR_QUOTA, ERROR_LIMIT. `state`: of a new one. */
struct error script_put(struct sql *db, int64_t account, struct slice name, struct slice source, enum script_state state);
/* The others are off then; an empty name: none is active. ERROR_NOT_FOUND. */
struct error script_activate(struct sql *db, int64_t account, struct slice name);
/* ERROR_NOT_FOUND; ERROR_CONFLICT: it is active. */
struct error script_delete(struct sql *db, int64_t account, struct slice name);
/* Also one that the server wrote, and of domains. No error where there is none. */
struct error script_drop(struct sql *db, int64_t account, struct slice name);
/* ERROR_NOT_FOUND; ERROR_EXISTS: the new name is taken. An active one stays active. */
struct error script_rename(struct sql *db, int64_t account, struct slice from, struct slice to);

/* Does any script run on this server at all? */
struct error script_any(struct sql *db, bool *any);
/* What runs for a message to this account, without sources, in the order: server before, domain before, own, away, domain after, server after.
 * One statement: most accounts have none. */
struct error script_running(struct sql *db, int64_t account, struct script out[SCRIPT_RUNNING_MAX], size_t *n, struct arena *a);

/* --- what was done once, until a date (vacation, duplicate, notes to the owner) */
struct error once_seen(struct sql *db, int64_t account, struct slice key, int64_t now, bool *seen);
/* In a change; forgets what is over. */
struct error once_note(struct sql *db, int64_t account, struct slice key, int64_t now, int64_t expires);

#endif
