/* core/account/script.c -- rows of script and once */
#include "core/account/script.h"

#include <openssl/evp.h>
#include <utf8proc.h>

#include "core/cleanup.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a script")
#define NOT_FOUND error_make(ERROR_NOT_FOUND, "there is no script of that name")

struct error script_name_check(struct slice name)
{
    if (name.n == 0 || name.n > SCRIPT_NAME_MAX)
        return error_make(ERROR_INVALID, "the name of a script has 1 to 512 bytes");
    for (size_t at = 0; at < name.n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)name.p + at, (utf8proc_ssize_t)(name.n - at), &c);
        if (n <= 0)
            return error_make(ERROR_INVALID, "the name of a script is not valid UTF-8");
        if (c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029)
            return error_make(ERROR_INVALID, "the name of a script may not hold control characters");
        at += (size_t)n;
    }
    return OK;
}

/* The first 63 bits of a SHA-256: nobody makes a script of another's version. */
static int64_t version_of(struct slice source)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    uint64_t v = 0;
    if (!EVP_Digest(source.p, source.n, hash, &n, EVP_sha256(), NULL))
        return 0;
    for (size_t i = 0; i < 8; i++)
        v = v << 8 | hash[i];
    return (int64_t)(v >> 1);
}

static void read_row(struct sql_stmt *st, struct arena *a, struct script *out)
{
    *out = (struct script){.account = sql_int(st, 0), .name = arena_copy(a, sql_text(st, 1)), .state = (enum script_state)sql_int(st, 2), .version = sql_int(st, 3), .size = sql_int(st, 4)};
}

#define COLUMNS "SELECT account, name, active, version, length(source) FROM script "

struct error script_list(struct sql *db, int64_t account, struct arena *a, struct script **all, size_t *n)
{
    *n = 0;
    *all = arena_alloc(a, SCRIPT_COUNT_MAX * sizeof **all);
    if (!*all)
        return NO_MEMORY;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, COLUMNS "WHERE account = $1 AND active < 2 ORDER BY name");
    sql_bind_int(st, 1, account);
    while (*n < SCRIPT_COUNT_MAX && sql_row(st)) {
        read_row(st, a, &(*all)[*n]);
        if (!(*all)[(*n)++].name.p)
            return NO_MEMORY;
    }
    return *n == SCRIPT_COUNT_MAX ? OK : sql_result(st);
}

struct error script_get(struct sql *db, int64_t account, struct slice name, struct arena *a, struct script *out, struct slice *source)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT account, name, active, version, length(source), source FROM script WHERE account = $1 AND name = $2");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return NOT_FOUND;
    }
    read_row(st, a, out);
    *source = arena_copy(a, sql_text(st, 5));
    return out->name.p && source->p ? OK : NO_MEMORY;
}

struct error script_space(struct sql *db, int64_t account, struct slice name, int64_t size)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT count(*), coalesce(sum(length(source)), 0) FROM script WHERE account = $1 AND name <> $2");
    if (size > SCRIPT_SOURCE_MAX)
        return error_make(ERROR_LIMIT, "a script may have 64 KiB");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    int64_t count = 0, bytes = 0;
    if (sql_row(st)) {
        count = sql_int(st, 0);
        bytes = sql_int(st, 1);
    }
    TRY(sql_result(st));
    if (count >= SCRIPT_COUNT_MAX - 1)
        return error_make(ERROR_QUOTA, "an account may have 63 scripts");
    return bytes + size > SCRIPT_TOTAL_MAX ? error_make(ERROR_QUOTA, "the scripts of an account may have 1 MiB together") : OK;
}

struct error script_put(struct sql *db, int64_t account, struct slice name, struct slice source, enum script_state state)
{
    TRY(script_space(db, account, name, (int64_t)source.n));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO script (account, name, active, source, version) VALUES ($1, $2, $3, $4, $5) "
                                                       "ON CONFLICT (account, name) DO UPDATE SET source = excluded.source, version = excluded.version");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    sql_bind_int(st, 3, state);
    sql_bind_text(st, 4, source);
    sql_bind_int(st, 5, version_of(source));
    return sql_run(st);
}

struct error script_activate(struct sql *db, int64_t account, struct slice name)
{
    SCOPED(sql_done) struct sql_stmt *off = sql_use(db, "UPDATE script SET active = 0 WHERE account = $1 AND active = 1");
    sql_bind_int(off, 1, account);
    TRY(sql_run(off));
    if (name.n == 0)
        return OK;
    SCOPED(sql_done) struct sql_stmt *on = sql_use(db, "UPDATE script SET active = 1 WHERE account = $1 AND name = $2 AND active = 0");
    sql_bind_int(on, 1, account);
    sql_bind_text(on, 2, name);
    TRY(sql_run(on));
    return sql_changed(db) ? OK : NOT_FOUND;
}

static struct error state_of(struct sql *db, int64_t account, struct slice name, enum script_state *state)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT active FROM script WHERE account = $1 AND name = $2 AND active < 2");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    bool there = sql_row(st);
    *state = there ? (enum script_state)sql_int(st, 0) : SCRIPT_OFF;
    TRY(sql_result(st));
    return there ? OK : NOT_FOUND;
}

struct error script_drop(struct sql *db, int64_t account, struct slice name)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM script WHERE account = $1 AND name = $2");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, name);
    return sql_run(st);
}

struct error script_delete(struct sql *db, int64_t account, struct slice name)
{
    enum script_state state;
    TRY(state_of(db, account, name, &state));
    return state == SCRIPT_ACTIVE ? error_make(ERROR_CONFLICT, "the script is active: make another one active first, or none") : script_drop(db, account, name);
}

struct error script_rename(struct sql *db, int64_t account, struct slice from, struct slice to)
{
    enum script_state state;
    TRY(state_of(db, account, from, &state));
    struct error taken = state_of(db, account, to, &state);
    if (taken.code == ERROR_NONE)
        return error_make(ERROR_EXISTS, "there is a script of that name already");
    if (taken.code != ERROR_NOT_FOUND)
        return taken;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE script SET name = $3 WHERE account = $1 AND name = $2");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, from);
    sql_bind_text(st, 3, to);
    return sql_run(st);
}

/* --- what runs */

/* Its place in the order of script.h. */
static int place_of(const struct script *s)
{
    bool after = slice_eq(s->name, SCRIPT_AFTER);
    if (s->account > 0)
        return s->state == SCRIPT_BESIDES ? 3 : 2;
    return s->account < 0 ? (after ? 4 : 1) : (after ? 5 : 0);
}

struct error script_any(struct sql *db, bool *any)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM script WHERE active > 0 LIMIT 1");
    *any = sql_row(st);
    return sql_result(st);
}

struct error script_running(struct sql *db, int64_t account, struct script out[SCRIPT_RUNNING_MAX], size_t *n, struct arena *a)
{
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, COLUMNS "WHERE account IN ($1, 0, (SELECT -domain FROM account WHERE id = $1)) AND active > 0");
    sql_bind_int(st, 1, account);
    while (*n < SCRIPT_RUNNING_MAX && sql_row(st)) {
        struct script one;
        size_t at = *n;
        read_row(st, a, &one);
        if (!one.name.p)
            return NO_MEMORY;
        for (; at && place_of(&out[at - 1]) > place_of(&one); at--)
            out[at] = out[at - 1];
        out[at] = one;
        ++*n;
    }
    return *n == SCRIPT_RUNNING_MAX ? OK : sql_result(st);
}

/* --- once */

struct error once_seen(struct sql *db, int64_t account, struct slice key, int64_t now, bool *seen)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT expires FROM once WHERE account = $1 AND key = $2");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, key);
    *seen = sql_row(st) && sql_int(st, 0) > now;
    return sql_result(st);
}

struct error once_note(struct sql *db, int64_t account, struct slice key, int64_t now, int64_t expires)
{
    SCOPED(sql_done) struct sql_stmt *over = sql_use(db, "DELETE FROM once WHERE account = $1 AND expires <= $2");
    sql_bind_int(over, 1, account);
    sql_bind_int(over, 2, now);
    TRY(sql_run(over));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO once (account, key, expires) VALUES ($1, $2, $3) ON CONFLICT (account, key) DO UPDATE SET expires = excluded.expires");
    sql_bind_int(st, 1, account);
    sql_bind_text(st, 2, key);
    sql_bind_int(st, 3, expires);
    return sql_run(st);
}
