/* core/store/orphan.c -- files under blobs/ that no row names: what a crash between a file and its row leaves
 *
 * A file is judged when it is older than the orphan age and its hash stands in no hash row. Since a damaged hash row must not cost content, the candidates are
 * then compared with every row that lies in a file (one scan, and only when there are candidates). The unlink is a change: the writer alone makes and removes
 * names, so the last look at the hash row and the unlink cannot be split by a put.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/store/internal.h"

enum { FILES_A_ROUND = 500 };

struct candidates {
    unsigned char hashes[FILES_A_ROUND][32];
    size_t n;
    int64_t removed;
};

static bool has_hash_row(struct sql *db, const unsigned char hash[32])
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM blobhash WHERE hash = $1");
    sql_bind_blob(st, 1, slice_make((const char *)hash, 32));
    return sql_row(st) || sql_result(st).code != ERROR_NONE; /* when in doubt it stays */
}

/* Files of one folder. */
static void look_into(struct store *s, struct sql *db, const char *folder, int64_t before, struct candidates *c)
{
    int fd = openat(s->folder_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct stat st;
    for (struct dirent *e; d && c->n < FILES_A_ROUND && (e = readdir(d));)
        if (blob_hash_of_name(slice_of(e->d_name), c->hashes[c->n]) && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_mtime < before &&
            !has_hash_row(db, c->hashes[c->n]))
            c->n++;
    if (d)
        (void)closedir(d);
    else if (fd >= 0)
        (void)close(fd);
}

/* Takes those out that some row names after all. */
static struct error spare_named(struct sql *db, struct candidates *c)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT hash FROM blob WHERE place = 1");
    while (c->n && sql_row(st)) {
        struct slice hash = sql_blob(st, 0);
        for (size_t i = 0; hash.n == 32 && i < c->n; i++)
            if (memcmp(c->hashes[i], hash.p, 32) == 0)
                memmove(c->hashes[i], c->hashes[--c->n], 32);
    }
    return sql_result(st);
}

static struct error remove_files(struct sql *db, void *arg)
{
    struct candidates *c = arg;
    char name[80];
    c->removed = 0;
    for (size_t i = 0; i < c->n; i++) {
        blob_file_name(c->hashes[i], name);
        if (!has_hash_row(db, c->hashes[i]))
            c->removed += unlinkat(sql_store(db)->folder_fd, name, 0) == 0;
    }
    return OK;
}

static struct error sweep_folder(struct store *s, const char *folder, struct candidates *c)
{
    int64_t before = s->options.orphan_age_s < 0 ? INT64_MAX : clock_now() - s->options.orphan_age_s;
    do {
        c->n = 0;
        c->removed = 0;
        {
            SCOPED(store_reader_return) struct sql *db = store_reader(s);
            look_into(s, db, folder, before, c);
            if (c->n)
                TRY(spare_named(db, c));
        }
        if (c->n)
            TRY(store_change(s, remove_files, c));
        if (c->removed)
            LOG_EVENT(LOG_INFO, "orphans-removed", LOG_WORD("folder", folder), LOG_NUMBER("files", c->removed));
    } while (c->removed == FILES_A_ROUND);
    return OK;
}

struct error orphan_sweep(struct store *s)
{
    struct candidates *c = calloc(1, sizeof *c);
    struct error e = c ? OK : error_make(ERROR_MEMORY, "no memory to look for orphans");
    char folder[16];
    for (int i = 0; e.code == ERROR_NONE && i < 256; i++) {
        (void)snprintf(folder, sizeof folder, "blobs/%02x", (unsigned)i);
        e = sweep_folder(s, folder, c);
    }
    free(c);
    return e;
}
