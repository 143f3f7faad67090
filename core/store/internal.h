/* core/store/internal.h -- what the files of this folder share */
#ifndef KANTOR_CORE_STORE_INTERNAL_H
#define KANTOR_CORE_STORE_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "core/store/blob.h"
#include "core/store/collection.h"
#include "core/store/watch.h"

/* --- sql.c */

struct sql_stmt {
    struct sql *db;
    sqlite3_stmt *stmt; /* NULL: could not be prepared */
    const char *text;   /* the literal: the key of the cache */
    struct sql_stmt *next;
    int result; /* SQLite's code */
    int in_use, transient;
};

enum { SQL_SLOTS = 256 };

struct sql {
    sqlite3 *handle;
    struct store *store;
    struct sql_stmt *slots[SQL_SLOTS];
    struct sql_stmt broken; /* answers for a statement that had no memory */
    struct sql *next_free;  /* in the pool of readers */
    int writes;
};

enum sql_mode { SQL_READ, SQL_WRITE };
struct error sql_open(struct store *s, const char *path, enum sql_mode mode, struct sql **out);
void sql_close(struct sql *db);
/* The name under which a file that nobody writes is opened for reading: no lock, no file beside it. */
struct error sql_uri(const char *path, char *out, size_t size);
/* A statement without results, prepared once like all others: BEGIN, COMMIT, SAVEPOINT stand around every change and every reading. */
struct error sql_do(struct sql *db, const char *literal);
/* One statement or several without results; for PRAGMA and the schema. */
struct error sql_exec(struct sql *db, const char *text);
struct error sql_error(int code);

/* --- store.c */

struct note { /* a collection changed in this batch */
    int64_t collection, modseq;
};

struct job {
    store_change_fn change;
    void *arg;
    struct error result;
    sem_t *done; /* the waiting thread's own: it outlives the job, which is gone when its thread goes on */
    struct job *next;
};

struct cell;
struct view_memory;

/* A bit for each id of a blob. */
struct bitmap {
    unsigned char *bits;
    int64_t max;
};

struct store {
    struct store_options options;
    char *path;
    int folder_fd, lock_fd;
    char epoch[24];
    struct sql *writer;
    int64_t modseq; /* writer's thread: the last number given out */

    /* readers */
    pthread_mutex_t reader_lock;
    pthread_cond_t reader_free;
    struct sql *readers;
    int n_readers;

    /* writer.c: the queue */
    pthread_mutex_t queue_lock;
    pthread_cond_t queue_some;
    struct job *first, *last;
    int waiting, stop, writer_started;
    pthread_t writer_thread;

    /* writer's thread: what the running batch changed, published after the commit */
    struct note *notes;
    size_t n_notes, size_notes;

    struct view_memory *views; /* view.c; NULL: no memory for it, and SELECT reads more rows */

    /* watch.c */
    pthread_mutex_t watch_lock;
    struct cell **cells;
    size_t n_cells, size_cells;

    unsigned char unsynced[256]; /* writer's thread: folders under blobs/ that got a name since their last sync */
    _Atomic uint64_t temp_number; /* blob.c: names of temporary files */

    /* one at a time: collecting garbage, backing up (what its snapshot names must stay), repairing */
    pthread_mutex_t maintenance;
    struct bitmap entered; /* writer's thread: while garbage is collected (bits not NULL), the known content that puts found */

    /* where kantor.db was when it was opened: a folder that was moved away or replaced takes no changes (DB-06) */
    dev_t device;
    ino_t inode;
    enum error_code failing; /* writer's thread: the failure that was logged last; ERROR_NONE: it works */
};

/* --- blob.c: before a commit; writer's thread. ERROR_IO, ERROR_FULL: the batch must not be committed. */
struct error blob_sync_names(struct store *s);
/* "blobs/ab/abcd…" under the data folder */
void blob_file_name(const unsigned char hash[32], char out[80]);
bool blob_hash_of_name(struct slice name, unsigned char hash[32]); /* 64 hex digits */
enum { PLACE_ROW, PLACE_FILE, PLACE_ASIDE }; /* ASIDE: damaged, found by check --repair; never served */

/* --- garbage.c */
struct error bitmap_make(struct bitmap *b, int64_t max);
void bitmap_set(struct bitmap *b, int64_t id); /* nothing when it has no bits */
bool bitmap_has(const struct bitmap *b, int64_t id);

/* --- retention.c, orphan.c: what outlived the retention time; files that no row names. Any worker, under `maintenance`. */
struct error retention_expire(struct store *s);
struct error retention_cut_log(struct store *s);
struct error orphan_sweep(struct store *s);

/* --- store.c */
void store_begin(struct store *s); /* locks and empty values, so that store_close may follow */
/* Is the data folder still where it was opened? Checked before each batch. */
struct error store_in_place(const struct store *s);
int64_t setting_number(struct sql *db, struct slice name); /* 0 when absent */
struct error setting_set_number(struct sql *db, struct slice name, int64_t value);

/* --- view.c */
struct view_memory *view_memory_new(void);
void view_memory_free(struct view_memory *m); /* NULL allowed */

/* --- writer.c */
struct error writer_start(struct store *s);
void writer_stop(struct store *s);

/* --- watch.c: writer's thread */
void watch_publish(struct store *s);
void watch_free(struct store *s);

/* --- item.c and collection.c, in a change: the next `count` numbers; the first of them */
int64_t change_numbers(struct sql *db, int64_t count);

/* Kinds of change rows (schema note, section 3); stored, never renumbered. */
enum change_kind { CHANGE_NEW = 1, CHANGE_FLAGS, CHANGE_GONE, CHANGE_ARRIVED, CHANGE_CONTENT, CHANGE_COLLECTION, CHANGE_GRANT };

/* What one command does to one collection: counters, number, log row. */
struct touch {
    struct actor who;
    int64_t account, collection;
    int64_t first, modseq; /* the numbers it took: first … modseq */
    int64_t d_used, d_items;
    int64_t d_uidnext, d_all, d_unseen, d_deleted, d_bytes, keywords;
    enum change_kind kind;
    int64_t lo, hi;      /* uids; 0, 0 when none */
    struct slice uids;   /* the set as text when it has holes */
};
/* Writes account, collection and log; *uid is uidnext before. ERROR_QUOTA, ERROR_NOT_FOUND. */
struct error change_touch(struct sql *db, const struct touch *t, int64_t *uid);

/* why of a tombstone */
enum gone_why { GONE_EXPUNGED = 1, GONE_MOVED, GONE_REPLACED };


#endif
