/* core/store/check_content.c -- every content against its hash, its row against its file, what was derived from it against a fresh look */
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/store/check_internal.h"

enum { CONTENTS_A_SLICE = 200, PROGRESS_EVERY = 20000, YOUNG_S = 3600 };
enum { MEND_SIZE = 1, MEND_ASIDE = 2, MEND_HASH_ROW = 4, MEND_DERIVED = 8 };

struct content {
    int64_t id, size, place;
    unsigned char hash[32];
    bool hash_is_whole;
    int mend;
    int64_t real_size;
};

struct slice_of_contents {
    struct content c[CONTENTS_A_SLICE];
    size_t n;
    int64_t after, looked, aside;
    struct arena arena;
};

static struct error read_slice(struct sql *db, struct slice_of_contents *x)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, size, place, hash FROM blob WHERE id > $1 ORDER BY id LIMIT 200");
    sql_bind_int(st, 1, x->after);
    for (x->n = 0; x->n < CONTENTS_A_SLICE && sql_row(st); x->n++) {
        struct slice hash = sql_blob(st, 3);
        struct content *c = &x->c[x->n];
        *c = (struct content){.id = sql_int(st, 0), .size = sql_int(st, 1), .place = sql_int(st, 2), .hash_is_whole = hash.n == 32};
        if (c->hash_is_whole)
            memcpy(c->hash, hash.p, 32);
        x->after = c->id;
    }
    return sql_result(st);
}

/* As many bytes as there are, whatever the row says about the size. */
static struct error read_file_whole(struct store *s, const struct content *c, struct arena *a, struct slice *bytes)
{
    char name[80];
    struct stat st;
    blob_file_name(c->hash, name);
    SCOPED(file_close) int fd = openat(s->folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_make(ERROR_CORRUPT, "its file is missing or cannot be opened");
    char *to = arena_alloc(a, (size_t)st.st_size + 1);
    size_t n = 0;
    if (!to)
        return error_make(ERROR_MEMORY, "no memory to check content");
    while (n < (size_t)st.st_size) {
        ssize_t got = read(fd, to + n, (size_t)st.st_size - n);
        if (got <= 0)
            return error_make(ERROR_CORRUPT, "its file cannot be read");
        n += (size_t)got;
    }
    *bytes = slice_make(to, n);
    return OK;
}

static struct error read_row_whole(struct sql *db, const struct content *c, struct arena *a, struct slice *bytes)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT data FROM blob WHERE id = $1");
    sql_bind_int(st, 1, c->id);
    if (!sql_row(st) || sql_is_null(st, 0))
        return error_make(ERROR_CORRUPT, "its bytes are missing or cannot be read");
    *bytes = arena_copy(a, sql_blob(st, 0));
    return bytes->p ? OK : error_make(ERROR_MEMORY, "no memory to check content");
}

static struct error check_hash_row(struct checking *k, struct sql *db, struct content *c)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT blob FROM blobhash WHERE hash = $1");
    sql_bind_blob(st, 1, slice_make((const char *)c->hash, 32));
    int64_t leads_to = sql_row(st) ? sql_int(st, 0) : 0;
    TRY(sql_result(st));
    if (leads_to == c->id)
        return OK;
    check_found(k, leads_to ? "content %lld: the same content is stored a second time" : "content %lld: it cannot be found by its hash", (long long)c->id);
    c->mend |= MEND_HASH_ROW;
    return OK;
}

static struct error check_derived(struct checking *k, struct sql *db, struct content *c, struct arena *a)
{
    enum derived state = DERIVED_RIGHT;
    if (k->check->derived)
        TRY(k->check->derived(db, c->id, a, &state));
    if (state == DERIVED_RIGHT || (state == DERIVED_MISSING && !bitmap_has(&k->mails, c->id)))
        return OK;
    check_found(k, state == DERIVED_MISSING ? "content %lld: the index of the message is missing" : "content %lld: the index of the message is not what its text says", (long long)c->id);
    c->mend |= MEND_DERIVED;
    return OK;
}

static struct error check_content(struct checking *k, struct sql *db, struct content *c, struct arena *a)
{
    struct slice bytes;
    unsigned char digest[32];
    unsigned n = 32;
    struct error e = !c->hash_is_whole ? error_make(ERROR_CORRUPT, "its row is damaged") : c->place == PLACE_FILE ? read_file_whole(k->store, c, a, &bytes) : read_row_whole(db, c, a, &bytes);
    if (e.code == ERROR_NONE && (EVP_Digest(bytes.p, bytes.n, digest, &n, EVP_sha256(), NULL) != 1 || memcmp(digest, c->hash, 32) != 0))
        e = error_make(ERROR_CORRUPT, "its bytes do not have its hash");
    if (e.code != ERROR_NONE && e.code != ERROR_CORRUPT)
        return e;
    if (e.code == ERROR_CORRUPT) {
        check_found(k, "content %lld: %s", (long long)c->id, e.text);
        c->mend |= MEND_ASIDE;
        return OK;
    }
    if ((int64_t)bytes.n != c->size) {
        check_found(k, "content %lld: its row says %lld bytes, there are %zu", (long long)c->id, (long long)c->size, bytes.n);
        c->mend |= MEND_SIZE;
        c->real_size = (int64_t)bytes.n;
    }
    TRY(check_hash_row(k, db, c));
    arena_reset(a);
    return c->mend & MEND_SIZE ? OK : check_derived(k, db, c, a);
}

static struct error mend(struct checking *k, const struct content *c)
{
    if (c->mend & MEND_ASIDE)
        return repair_set_aside(k->store, c->id);
    if (c->mend & MEND_SIZE)
        TRY(repair_size(k->store, c->id, c->real_size));
    if (c->mend & MEND_HASH_ROW)
        TRY(repair_hash_row(k->store, c->id));
    if (c->mend & (MEND_DERIVED | MEND_SIZE) && k->check->derive) {
        struct error e = k->check->derive(k->store, c->id);
        return e.code == ERROR_NOT_FOUND ? OK : e; /* it was one of two, and is gone */
    }
    return OK;
}

static struct error check_slice(struct checking *k, struct slice_of_contents *x)
{
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(k->store);
        TRY(read_slice(db, x));
        for (size_t i = 0; i < x->n; i++) {
            if (x->c[i].place == PLACE_ASIDE)
                x->aside++;
            else
                TRY(check_content(k, db, &x->c[i], &x->arena));
            arena_reset(&x->arena);
        }
    }
    for (size_t i = 0; check_mends(k) && i < x->n; i++)
        if (x->c[i].mend)
            TRY(mend(k, &x->c[i]));
    return OK;
}

struct error check_contents(struct checking *k)
{
    struct slice_of_contents *x = calloc(1, sizeof *x);
    if (!x)
        return error_make(ERROR_MEMORY, "no memory to check content");
    arena_init(&x->arena, (size_t)4 << 30);
    struct error e;
    do {
        if (x->looked % PROGRESS_EVERY == 0)
            check_progress(k, "checked %lld contents", (long long)x->looked);
        e = check_slice(k, x);
        x->looked += CONTENTS_A_SLICE;
    } while (e.code == ERROR_NONE && x->n > 0);
    if (x->aside)
        check_progress(k, "%lld contents were set aside by an earlier repair", (long long)x->aside);
    arena_free(&x->arena);
    free(x);
    return e;
}

/* --- files without a row: no damage, a crash leaves them and garbage collection takes them; told so that the numbers add up */

static void count_folder(struct checking *k, struct sql *db, const char *folder, int64_t *files, int64_t *bytes)
{
    int fd = openat(k->store->folder_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned char hash[32];
    struct stat st;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_mtime > clock_now() - YOUNG_S)
            continue;
        SCOPED(sql_done) struct sql_stmt *row = sql_use(db, "SELECT 1 FROM blobhash WHERE hash = $1");
        if (blob_hash_of_name(slice_of(e->d_name), hash))
            sql_bind_blob(row, 1, slice_make((const char *)hash, 32));
        if (sql_row(row))
            continue;
        ++*files;
        *bytes += st.st_size;
    }
    if (d)
        (void)closedir(d);
    else if (fd >= 0)
        (void)close(fd);
}

struct error check_files(struct checking *k)
{
    int64_t files = 0, bytes = 0;
    char folder[16];
    for (unsigned i = 0; i < 256; i++) {
        SCOPED(store_reader_return) struct sql *db = store_reader(k->store);
        (void)snprintf(folder, sizeof folder, "blobs/%02x", i);
        count_folder(k, db, folder, &files, &bytes);
    }
    if (files)
        check_progress(k, "%lld files (%lld bytes) belong to no content; `kantorctl gc` removes them when they are a day old", (long long)files, (long long)bytes);
    return OK;
}
