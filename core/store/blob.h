/* core/store/blob.h -- immutable bytes, kept once, addressed by their hash
 *
 * A put is prepared by a worker (SHA-256; from blob_file_bytes on into a temporary file that is synced with its folder), then entered by the
 * change that makes an item of it. Content below that size stands in the database row.
 *
 *     struct blob_put put;
 *     blob_put_begin(store, &put);
 *     TRY(blob_put_add(&put, chunk)) ...;             // chunks of any size; memory stays below blob_file_bytes
 *     TRY(blob_put_end(&put));                        // hash known, file synced
 *     TRY(store_change(store, change, &d));           // in it: TRY(blob_enter(db, &put, &id)), then item_add
 *     blob_put_drop(&put);                            // always; removes the temporary file when it was not entered
 */
#ifndef KANTOR_CORE_STORE_BLOB_H
#define KANTOR_CORE_STORE_BLOB_H

#include "core/buffer.h"
#include "core/store/store.h"

struct blob_put {
    struct store *store;
    struct buffer memory; /* until it is too large */
    int fd;               /* -1, or the temporary file */
    char name[40];        /* its name */
    int64_t size;
    unsigned char hash[32];
    void *digest; /* EVP_MD_CTX */
    void *map;    /* of the file, once its bytes were asked for */
};

void blob_put_begin(struct store *s, struct blob_put *put);
struct error blob_put_add(struct blob_put *put, struct slice bytes); /* ERROR_FULL, ERROR_IO, ERROR_MEMORY */
/* Puts bytes in between, before blob_put_end: what stands on top of a message is known when its end was read. Memory: moved. A file: copied by the kernel into a
 * fresh one, read again for the hash. ERROR_FULL, ERROR_IO, ERROR_MEMORY. */
struct error blob_put_insert(struct blob_put *put, size_t at, struct slice bytes);
struct error blob_put_end(struct blob_put *put);
void blob_put_drop(struct blob_put *put);
/* The bytes while they are prepared: memory, or a mapping of the file that blob_put_drop ends. For parsing before the change. Valid until more is added or
 * inserted. */
struct error blob_put_bytes(struct blob_put *put, struct slice *bytes);

/* In a change: the id of this content, new or known already (*fresh tells which: derived rows are written once). May run again. */
enum blob_fresh { BLOB_KNOWN, BLOB_FRESH };
struct error blob_enter(struct sql *db, struct blob_put *put, int64_t *id, enum blob_fresh *fresh);

/* Reading. Whole content, or a range (past the end: shorter or empty), into the arena; ERROR_NOT_FOUND, ERROR_IO, ERROR_CORRUPT. */
struct error blob_size(struct sql *db, int64_t id, int64_t *size);
struct error blob_read(struct sql *db, int64_t id, int64_t offset, int64_t length, struct arena *a, struct slice *bytes);
/* The same appended to a buffer: the way of FETCH BODY[] and RETR, one copy. */
struct error blob_append(struct sql *db, int64_t id, int64_t offset, int64_t length, struct buffer *out);
/* A large blob lies in a file: a descriptor open for reading (caller closes), or -1 when it stands in the database. */
struct error blob_file(struct sql *db, int64_t id, int *fd);

#endif
