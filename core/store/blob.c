/* core/store/blob.c -- content by hash: small in the database, large in files
 *
 * A put writes its own temporary file, synced with its folder; the change links it to the hash's name (or drops it where row *and* file
 * stand). Only the writer makes or removes names under blobs/, so the two cannot race.
 */
#include "core/store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/metrics.h"
#include "core/store/internal.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for content")

static struct error disk_error(void)
{
    return errno == ENOSPC || errno == EDQUOT ? error_make(ERROR_FULL, "the disk is full") : error_make(ERROR_IO, "the disk refused a file of content");
}

/* --- putting: worker */

void blob_put_begin(struct store *s, struct blob_put *put)
{
    *put = (struct blob_put){.store = s, .fd = -1, .digest = EVP_MD_CTX_new()};
    if (put->digest && EVP_DigestInit_ex(put->digest, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(put->digest);
        put->digest = NULL;
    }
}

static struct error write_all(int fd, struct slice s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return disk_error();
        s = slice_after(s, (size_t)n);
    }
    return OK;
}

static struct error open_temporary(struct blob_put *put)
{
    struct store *s = put->store;
    (void)snprintf(put->name, sizeof put->name, "temp/%llu", (unsigned long long)atomic_fetch_add(&s->temp_number, 1U));
    put->fd = openat(s->folder_fd, put->name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return put->fd < 0 ? disk_error() : OK;
}

static struct error to_file(struct blob_put *put)
{
    TRY(open_temporary(put));
    TRY(write_all(put->fd, buffer_slice(&put->memory)));
    buffer_free(&put->memory);
    return OK;
}

struct error blob_put_add(struct blob_put *put, struct slice bytes)
{
    if (!put->digest || EVP_DigestUpdate(put->digest, bytes.p, bytes.n) != 1)
        return NO_MEMORY;
    put->size += (int64_t)bytes.n;
    if (put->fd < 0 && put->size >= put->store->options.blob_file_bytes)
        TRY(to_file(put));
    if (put->fd >= 0)
        return write_all(put->fd, bytes);
    buffer_add(&put->memory, bytes);
    return put->memory.failed ? NO_MEMORY : OK;
}

static void drop_file(struct blob_put *put)
{
    if (put->map)
        (void)munmap(put->map, (size_t)put->size);
    put->map = NULL;
    if (put->fd >= 0) {
        (void)unlinkat(put->store->folder_fd, put->name, 0); /* entered: it has its name under blobs/ as well */
        (void)close(put->fd);
    }
    put->fd = -1;
}

static struct error copy_range(int from, int to, size_t n)
{
    while (n) {
        ssize_t done = copy_file_range(from, NULL, to, NULL, n, 0);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return disk_error();
        n -= (size_t)done;
    }
    return OK;
}

static struct error insert_in_file(struct blob_put *put, size_t at, struct slice bytes)
{
    struct blob_put old = *put;
    put->map = NULL;
    struct error e = open_temporary(put);
    if (e.code == ERROR_NONE && lseek(old.fd, 0, SEEK_SET) != 0)
        e = disk_error();
    if (e.code == ERROR_NONE)
        e = copy_range(old.fd, put->fd, at);
    if (e.code == ERROR_NONE)
        e = write_all(put->fd, bytes);
    if (e.code == ERROR_NONE)
        e = copy_range(old.fd, put->fd, (size_t)old.size - at);
    drop_file(&old);
    put->size += (int64_t)bytes.n;
    return e;
}

static struct error insert_in_memory(struct blob_put *put, size_t at, struct slice bytes)
{
    if (!buffer_room(&put->memory, bytes.n))
        return NO_MEMORY;
    char *place = put->memory.bytes + put->memory.start + at;
    memmove(place + bytes.n, place, (size_t)put->size - at);
    memcpy(place, bytes.p, bytes.n);
    buffer_added(&put->memory, bytes.n);
    put->size += (int64_t)bytes.n;
    return put->size >= put->store->options.blob_file_bytes ? to_file(put) : OK;
}

struct error blob_put_insert(struct blob_put *put, size_t at, struct slice bytes)
{
    struct slice all;
    if (bytes.n == 0)
        return OK;
    TRY(put->fd >= 0 ? insert_in_file(put, at, bytes) : insert_in_memory(put, at, bytes));
    TRY(blob_put_bytes(put, &all));
    if (!put->digest || EVP_DigestInit_ex(put->digest, EVP_sha256(), NULL) != 1 || EVP_DigestUpdate(put->digest, all.p, all.n) != 1)
        return NO_MEMORY;
    return OK;
}

struct error blob_put_end(struct blob_put *put)
{
    unsigned n = 0;
    if (!put->digest || EVP_DigestFinal_ex(put->digest, put->hash, &n) != 1)
        return NO_MEMORY;
    return put->fd >= 0 && fdatasync(put->fd) != 0 ? disk_error() : OK;
}

struct error blob_put_bytes(struct blob_put *put, struct slice *bytes)
{
    if (put->fd < 0) {
        *bytes = buffer_slice(&put->memory);
        return OK;
    }
    if (!put->map) {
        put->map = mmap(NULL, (size_t)put->size, PROT_READ, MAP_PRIVATE, put->fd, 0);
        if (put->map == MAP_FAILED) {
            put->map = NULL;
            return NO_MEMORY;
        }
    }
    *bytes = slice_make(put->map, (size_t)put->size);
    return OK;
}

void blob_put_drop(struct blob_put *put)
{
    if (!put->store)
        return;
    drop_file(put);
    buffer_free(&put->memory);
    EVP_MD_CTX_free(put->digest);
    put->store = NULL;
}

/* --- entering: writer */

void blob_file_name(const unsigned char hash[32], char out[80])
{
    int at = snprintf(out, 80, "blobs/%02x/", hash[0]);
    for (int i = 0; i < 32; i++)
        at += snprintf(out + at, (size_t)(80 - at), "%02x", hash[i]);
}

bool blob_hash_of_name(struct slice name, unsigned char hash[32])
{
    for (size_t i = 0; name.n == 64 && i < 32; i++) {
        int high = ascii_hex(name.p[2 * i]), low = ascii_hex(name.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        hash[i] = (unsigned char)(high << 4 | low);
    }
    return name.n == 64;
}

static struct error sync_folder(struct store *s, const char *name)
{
    int fd = openat(s->folder_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0;
    if (fd >= 0)
        (void)close(fd);
    return bad ? disk_error() : OK;
}

struct error blob_sync_names(struct store *s)
{
    for (int i = 0; i < 256; i++) {
        char folder[16];
        if (!s->unsynced[i])
            continue;
        (void)snprintf(folder, sizeof folder, "blobs/%02x", i);
        TRY(sync_folder(s, folder));
        s->unsynced[i] = 0;
    }
    return OK;
}

/* Gives the synced temporary file its name, which blob_sync_names makes durable before the commit of the row: the folders of a whole batch
 * are synced together, the first of which lets a journaling file system write what all of them wait for. */
static struct error link_file(struct store *s, struct blob_put *put)
{
    char name[80], folder[16];
    blob_file_name(put->hash, name);
    (void)snprintf(folder, sizeof folder, "blobs/%02x", put->hash[0]);
    s->unsynced[put->hash[0]] = 1;
    if (linkat(s->folder_fd, put->name, s->folder_fd, name, 0) == 0)
        return OK;
    if (errno == EEXIST) {
        /* an orphan of a crash, perhaps torn: ours is known to be whole */
        if (unlinkat(s->folder_fd, name, 0) != 0 || linkat(s->folder_fd, put->name, s->folder_fd, name, 0) != 0)
            return disk_error();
        return OK;
    }
    if (errno != ENOENT || mkdirat(s->folder_fd, folder, 0700) != 0)
        return disk_error();
    TRY(sync_folder(s, "blobs"));
    return linkat(s->folder_fd, put->name, s->folder_fd, name, 0) == 0 ? OK : disk_error();
}

static struct error find_hash(struct sql *db, struct slice hash, int64_t *id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT blob FROM blobhash WHERE hash = $1");
    sql_bind_blob(st, 1, hash);
    *id = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}

struct error blob_enter(struct sql *db, struct blob_put *put, int64_t *id, enum blob_fresh *fresh)
{
    struct slice hash = slice_make((const char *)put->hash, sizeof put->hash);
    TRY(find_hash(db, hash, id));
    *fresh = *id ? BLOB_KNOWN : BLOB_FRESH;
    if (*id) {
        bitmap_set(&sql_store(db)->entered, *id); /* it will be named: a collection that looked before must not take it */
        return OK;
    }
    if (put->fd >= 0)
        TRY(link_file(sql_store(db), put));
    SCOPED(sql_done) struct sql_stmt *row = sql_use(db, "INSERT INTO blob (size, place, hash, data) VALUES ($1, $2, $3, $4)");
    sql_bind_int(row, 1, put->size);
    sql_bind_int(row, 2, put->fd >= 0 ? PLACE_FILE : PLACE_ROW);
    sql_bind_blob(row, 3, hash);
    if (put->fd < 0)
        sql_bind_blob(row, 4, buffer_slice(&put->memory));
    TRY(sql_run(row));
    *id = sql_inserted(db);
    SCOPED(sql_done) struct sql_stmt *name = sql_use(db, "INSERT INTO blobhash (hash, blob) VALUES ($1, $2)");
    sql_bind_blob(name, 1, hash);
    sql_bind_int(name, 2, *id);
    return sql_run(name);
}

/* --- reading */

/* A row of blob in use: the bytes of a small one are valid until sql_done. */
struct found {
    int64_t size, place;
    unsigned char hash[32];
    struct slice data;
};

static struct error look(struct sql_stmt *st, int64_t id, struct found *out)
{
    sql_bind_int(st, 1, id);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such content");
    }
    struct slice hash = sql_blob(st, 2);
    out->size = sql_int(st, 0);
    out->place = sql_int(st, 1);
    out->data = SLICE("");
    if (hash.n != sizeof out->hash || out->size < 0)
        return error_make(ERROR_CORRUPT, "a content row is damaged");
    memcpy(out->hash, hash.p, sizeof out->hash);
    return OK;
}

static struct error find(struct sql *db, int64_t id, struct found *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT size, place, hash FROM blob WHERE id = $1");
    return look(st, id, out);
}

struct error blob_size(struct sql *db, int64_t id, int64_t *size)
{
    struct found f;
    TRY(find(db, id, &f));
    *size = f.size;
    return OK;
}

static struct error open_file(struct store *s, const struct found *f, int *fd)
{
    char name[80];
    blob_file_name(f->hash, name);
    *fd = openat(s->folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *fd >= 0 ? OK : error_make(errno == ENOENT ? ERROR_CORRUPT : ERROR_IO, "a file of content cannot be read");
}

struct error blob_file(struct sql *db, int64_t id, int *fd)
{
    struct found f;
    *fd = -1;
    TRY(find(db, id, &f));
    return f.place == PLACE_FILE ? open_file(sql_store(db), &f, fd) : OK;
}

static struct error read_file(struct store *s, const struct found *f, int64_t offset, size_t n, char *to)
{
    SCOPED(file_close) int fd = -1;
    TRY(open_file(s, f, &fd));
    while (n) {
        ssize_t got = pread(fd, to, n, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_make(got == 0 ? ERROR_CORRUPT : ERROR_IO, "a file of content is too short or unreadable");
        to += got;
        offset += got;
        n -= (size_t)got;
    }
    return OK;
}

/* Cuts the range to what is there. */
static size_t cut(int64_t size, int64_t *offset, int64_t length)
{
    if (*offset < 0 || *offset >= size || length <= 0) {
        *offset = 0;
        return 0;
    }
    return (size_t)(length > size - *offset ? size - *offset : length);
}

static struct error read_into(struct sql *db, const struct found *f, int64_t offset, size_t n, char *to)
{
    if (n == 0)
        return OK;
    metric_add(METRIC_STORE_BLOB_READS, 1); /* listing a mailbox must not move it */
    if (f->place == PLACE_ASIDE)
        return error_make(ERROR_CORRUPT, "the content was damaged and was set aside by a repair");
    if (f->place == PLACE_FILE)
        return read_file(sql_store(db), f, offset, n, to);
    if (f->data.n < (size_t)offset + n)
        return error_make(ERROR_CORRUPT, "a content row is too short");
    memcpy(to, f->data.p + offset, n);
    return OK;
}

/* Size, place and bytes in one look: most reads are of a whole small message. */
static struct error open_row(struct sql *db, int64_t id, struct found *f, struct sql_stmt **st)
{
    *st = sql_use(db, "SELECT size, place, hash, data FROM blob WHERE id = $1");
    TRY(look(*st, id, f));
    if (f->place != PLACE_FILE)
        f->data = sql_blob(*st, 3);
    return OK;
}

struct error blob_read(struct sql *db, int64_t id, int64_t offset, int64_t length, struct arena *a, struct slice *bytes)
{
    struct found f;
    SCOPED(sql_done) struct sql_stmt *st = NULL;
    TRY(open_row(db, id, &f, &st));
    size_t n = cut(f.size, &offset, length);
    char *to = arena_alloc(a, n + 1);
    if (!to)
        return NO_MEMORY;
    TRY(read_into(db, &f, offset, n, to));
    *bytes = slice_make(to, n);
    return OK;
}

struct error blob_append(struct sql *db, int64_t id, int64_t offset, int64_t length, struct buffer *out)
{
    struct found f;
    SCOPED(sql_done) struct sql_stmt *st = NULL;
    TRY(open_row(db, id, &f, &st));
    size_t n = cut(f.size, &offset, length);
    char *to = buffer_room(out, n ? n : 1);
    if (!to)
        return NO_MEMORY;
    TRY(read_into(db, &f, offset, n, to));
    buffer_added(out, n);
    return OK;
}
