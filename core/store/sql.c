/* core/store/sql.c -- SQLite behind sql.h
 *
 * A statement's text is a literal, so its address is its name: the cache is a small table of lists keyed by the pointer. "$3" is rewritten to
 * "?3", because SQLite numbers named parameters by first appearance (a trap that bound values to the wrong place in silence).
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/store/internal.h"
#include "core/store/log_file.h"

struct error sql_error(int code)
{
    switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_FULL:
        return error_make(ERROR_FULL, "the disk is full");
    case SQLITE_CONSTRAINT:
        return error_make(ERROR_EXISTS, "it exists already");
    case SQLITE_NOMEM:
        return error_make(ERROR_MEMORY, "no memory for the database");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_make(ERROR_BUSY, "the database is busy");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_make(ERROR_CORRUPT, "the database is damaged; run kantorctl check");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return error_make(ERROR_IO, "the disk does not answer as it should");
    default:
        return error_make(ERROR_IO, "the database refused a statement");
    }
}

struct store *sql_store(const struct sql *db)
{
    return db->store;
}

struct error sql_do(struct sql *db, const char *literal)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, literal);
    return sql_run(st);
}

struct error sql_exec(struct sql *db, const char *text)
{
    return sql_error(sqlite3_exec(db->handle, text, NULL, NULL, NULL));
}

static struct error configure(struct sql *db)
{
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_timeout(db->handle, 10000);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    TRY(sql_exec(db, "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"));
    if (db->writes) /* the page size counts before the first table is made */
        return sql_exec(db, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
                            "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536; PRAGMA secure_delete = OFF;");
    /* opened read-only, which no pragma undoes: only the writer's connection may commit or checkpoint (attacks.md DB-01) */
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return sql_exec(db, "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -8192;");
}

/* SQLite counts every allocation under one lock for all threads unless it is told not to. */
static void configure_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct error sql_open(struct store *s, const char *path, enum sql_mode mode, struct sql **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, configure_library);
    struct sql *db = calloc(1, sizeof *db);
    if (!db)
        return error_make(ERROR_MEMORY, "no memory for a database connection");
    db->store = s;
    db->writes = mode == SQL_WRITE;
    db->broken = (struct sql_stmt){.db = db, .result = SQLITE_NOMEM};
    int flags = (mode == SQL_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_URI;
    struct error e = sql_error(sqlite3_open_v2(path, &db->handle, flags, mode == SQL_WRITE ? log_file_vfs() : NULL));
    if (e.code == ERROR_NONE)
        e = configure(db);
    if (e.code != ERROR_NONE) {
        sql_close(db);
        return e;
    }
    *out = db;
    return OK;
}

struct error sql_uri(const char *path, char *out, size_t size)
{
    size_t at = (size_t)snprintf(out, size, "file:");
    for (const char *p = path; *p; p++) {
        if (at + 32 > size)
            return error_make(ERROR_INVALID, "the path of a database is too long");
        int plain = ascii_is_alnum(*p) || strchr("/._-", *p);
        at += (size_t)snprintf(out + at, size - at, plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
    (void)snprintf(out + at, size - at, "?immutable=1");
    return OK;
}

void sql_close(struct sql *db)
{
    for (size_t i = 0; i < SQL_SLOTS; i++) {
        for (struct sql_stmt *st = db->slots[i], *next; st; st = next) {
            next = st->next;
            (void)sqlite3_finalize(st->stmt);
            free(st);
        }
    }
    (void)sqlite3_close(db->handle);
    free(db);
}

static int prepare(struct sql *db, const char *text, sqlite3_stmt **out)
{
    size_t n = strlen(text);
    char *copy = malloc(n + 1);
    if (!copy)
        return SQLITE_NOMEM;
    for (size_t i = 0; i <= n; i++)
        copy[i] = text[i] == '$' ? '?' : text[i];
    int code = sqlite3_prepare_v3(db->handle, copy, (int)n + 1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    free(copy);
    return code;
}

struct sql_stmt *sql_use(struct sql *db, const char *text)
{
    size_t slot = ((uintptr_t)text >> 3) % SQL_SLOTS;
    struct sql_stmt *st = db->slots[slot];
    while (st && (st->text != text || st->in_use))
        st = st->next;
    if (!st) {
        st = calloc(1, sizeof *st);
        if (!st)
            return &db->broken;
        st->db = db;
        st->text = text;
        st->next = db->slots[slot];
        db->slots[slot] = st;
    }
    if (!st->stmt) {
        st->result = prepare(db, text, &st->stmt);
        if (!st->stmt && st->result == SQLITE_OK)
            st->result = SQLITE_MISUSE;
    } else {
        st->result = SQLITE_OK;
    }
    st->in_use = 1;
    return st;
}

static void bound(struct sql_stmt *st, int code)
{
    if (code != SQLITE_OK && st->result == SQLITE_OK)
        st->result = code;
}

void sql_bind_int(struct sql_stmt *st, int parameter, int64_t value)
{
    if (st->stmt)
        bound(st, sqlite3_bind_int64(st->stmt, parameter, value));
}

void sql_bind_text(struct sql_stmt *st, int parameter, struct slice value)
{
    if (st->stmt && value.p)
        bound(st, sqlite3_bind_text64(st->stmt, parameter, value.p, value.n, SQLITE_STATIC, SQLITE_UTF8));
}

void sql_bind_blob(struct sql_stmt *st, int parameter, struct slice value)
{
    if (st->stmt && value.p)
        bound(st, sqlite3_bind_blob64(st->stmt, parameter, value.p, value.n, SQLITE_STATIC));
}

bool sql_row(struct sql_stmt *st)
{
    if (!st->stmt || (st->result != SQLITE_OK && st->result != SQLITE_ROW))
        return false;
    st->result = sqlite3_step(st->stmt);
    return st->result == SQLITE_ROW;
}

int64_t sql_int(struct sql_stmt *st, int column)
{
    return sqlite3_column_int64(st->stmt, column);
}

struct slice sql_text(struct sql_stmt *st, int column)
{
    const unsigned char *p = sqlite3_column_text(st->stmt, column);
    return slice_make((const char *)p, p ? (size_t)sqlite3_column_bytes(st->stmt, column) : 0);
}

struct slice sql_blob(struct sql_stmt *st, int column)
{
    if (sqlite3_column_type(st->stmt, column) == SQLITE_NULL)
        return slice_make(NULL, 0);
    const void *p = sqlite3_column_blob(st->stmt, column);
    return p ? slice_make(p, (size_t)sqlite3_column_bytes(st->stmt, column)) : SLICE("");
}

bool sql_is_null(struct sql_stmt *st, int column)
{
    return sqlite3_column_type(st->stmt, column) == SQLITE_NULL;
}

struct error sql_result(struct sql_stmt *st)
{
    return sql_error(st->result);
}

struct error sql_run(struct sql_stmt *st)
{
    while (sql_row(st)) {
    }
    return sql_result(st);
}

int64_t sql_changed(struct sql *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t sql_inserted(struct sql *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

void sql_done(struct sql_stmt **held)
{
    struct sql_stmt *st = *held;
    if (!st || !st->stmt) {
        if (st)
            st->in_use = 0;
        return;
    }
    (void)sqlite3_reset(st->stmt);
    (void)sqlite3_clear_bindings(st->stmt);
    st->in_use = 0;
}
