/* core/store/sql.h -- a connection to the database and its prepared statements
 *
 * The one place where Kantor speaks to SQLite; a PostgreSQL driver can stand behind the same calls later. Statements are string literals
 * with $1 … $n in the subset that both engines share (notes in core/store/README.md); each connection prepares a literal once and keeps it.
 *
 *     SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, name FROM domain WHERE state = $1");
 *     sql_bind_int(st, 1, DOMAIN_ACTIVE);
 *     while (sql_row(st))
 *         use(sql_int(st, 0), sql_text(st, 1));     // the text is valid until the next sql_row: copy what you keep
 *     TRY(sql_result(st));                           // a failure in use, bind or row shows here, once
 *
 * Only the writer's connection writes; every other one is opened read-only. A connection belongs to one thread at a time.
 */
#ifndef KANTOR_CORE_STORE_SQL_H
#define KANTOR_CORE_STORE_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/slice.h"

struct sql;      /* a connection */
struct sql_stmt; /* a statement in use */
struct store;

/* The store that a connection belongs to. */
struct store *sql_store(const struct sql *db);

/* The statement of this literal, reset and with all parameters NULL. `text` must be a string literal (it is the key of the cache).
 * Never NULL: a statement that could not be prepared gives no rows and says why in sql_result. Using a literal that is in use already
 * (a nested scan with the same text) gives a second instance. */
struct sql_stmt *sql_use(struct sql *db, const char *text);

void sql_bind_int(struct sql_stmt *st, int parameter, int64_t value);
/* The bytes must stay until sql_done. A slice with p NULL binds NULL. */
void sql_bind_text(struct sql_stmt *st, int parameter, struct slice value);
void sql_bind_blob(struct sql_stmt *st, int parameter, struct slice value);

/* Steps: true when there is a row. */
bool sql_row(struct sql_stmt *st);
/* Columns count from 0. NULL reads as 0 and as the slice with p NULL. */
int64_t sql_int(struct sql_stmt *st, int column);
struct slice sql_text(struct sql_stmt *st, int column);
struct slice sql_blob(struct sql_stmt *st, int column);
bool sql_is_null(struct sql_stmt *st, int column);

/* What happened so far: OK, ERROR_FULL, ERROR_IO, ERROR_CORRUPT, ERROR_EXISTS (a unique key), ERROR_MEMORY, ERROR_BUSY. */
struct error sql_result(struct sql_stmt *st);
/* Steps to the end and gives sql_result: for statements without rows. */
struct error sql_run(struct sql_stmt *st);
/* Rows that the last INSERT, UPDATE or DELETE of this connection changed. */
int64_t sql_changed(struct sql *db);
/* The id that the last INSERT into a table with an AUTOINCREMENT key gave. */
int64_t sql_inserted(struct sql *db);

/* Ends the use; the statement goes back to the cache. For SCOPED. */
void sql_done(struct sql_stmt **st);

#endif
