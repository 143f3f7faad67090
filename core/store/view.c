/* core/store/view.c -- see view.h */
#include "core/store/view.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/store/internal.h"
#include "core/store/item.h"

enum { VIEW_SLOTS = 64, VIEW_RANGES_MAX = 65536 /* 512 KB a slot */ };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a set of messages")

/* What one collection looked like at `modseq`. */
struct view {
    int64_t collection, modseq;
    uint32_t uidnext;
    struct uid_set uids;
    int64_t unseen_modseq; /* first_unseen was looked up at this number */
    uint32_t first_unseen;
};

struct view_memory {
    pthread_mutex_t lock; /* guards the slots; held for a copy, never for a statement */
    struct view slots[VIEW_SLOTS];
};

struct view_memory *view_memory_new(void)
{
    struct view_memory *m = calloc(1, sizeof *m);
    if (m)
        (void)pthread_mutex_init(&m->lock, NULL);
    return m;
}

void view_memory_free(struct view_memory *m)
{
    for (size_t i = 0; m && i < VIEW_SLOTS; i++)
        uid_set_free(&m->slots[i].uids);
    free(m);
}

static struct view *slot(struct view_memory *m, int64_t collection)
{
    return &m->slots[(uint64_t)collection % VIEW_SLOTS];
}

/* Takes the slot over for another collection, when it must. Under the lock. */
static struct view *claim(struct view_memory *m, int64_t collection)
{
    struct view *v = slot(m, collection);
    if (v->collection != collection) {
        uid_set_free(&v->uids);
        *v = (struct view){.collection = collection, .modseq = -1, .unseen_modseq = -1};
    }
    return v;
}

/* A copy of what is remembered; false: nothing, or something newer than this snapshot. */
static bool recall(struct view_memory *m, const struct collection *c, struct uid_set *out, int64_t *modseq, uint32_t *uidnext)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&m->lock);
    const struct view *v = slot(m, c->id);
    (void)held;
    if (v->collection != c->id || v->modseq < 0 || v->modseq > c->modseq)
        return false;
    uid_set_copy(out, &v->uids);
    *modseq = v->modseq;
    *uidnext = v->uidnext;
    return !out->failed;
}

static void remember(struct view_memory *m, const struct collection *c, const struct uid_set *uids)
{
    if (uids->n > VIEW_RANGES_MAX)
        return;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&m->lock);
    struct view *v = claim(m, c->id);
    (void)held;
    if (v->modseq >= c->modseq)
        return;
    uid_set_clear(&v->uids);
    uid_set_copy(&v->uids, uids);
    v->modseq = v->uids.failed ? -1 : c->modseq;
    v->uidnext = c->uidnext;
}

static struct error ends(struct sql *db, int64_t collection, uint32_t *first, uint32_t *last)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT (SELECT min(uid) FROM item WHERE collection = $1), (SELECT max(uid) FROM item WHERE collection = $1)");
    sql_bind_int(st, 1, collection);
    *first = *last = 0;
    if (sql_row(st)) {
        *first = (uint32_t)sql_int(st, 0);
        *last = (uint32_t)sql_int(st, 1);
    }
    return sql_result(st);
}

/* What came and what went since the memory was made. A uid that is gone never comes back. */
static struct error bring_up(struct sql *db, const struct collection *c, int64_t since, uint32_t uidnext, struct uid_set *uids)
{
    SCOPED(uid_set_free) struct uid_set gone = {0};
    if (since == c->modseq)
        return OK;
    TRY(item_vanished(db, c->id, since, &gone));
    for (size_t i = 0; i < gone.n; i++)
        uid_set_remove(uids, gone.ranges[i].lo, gone.ranges[i].hi);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT uid FROM item WHERE collection = $1 AND uid >= $2 ORDER BY uid");
    sql_bind_int(st, 1, c->id);
    sql_bind_int(st, 2, uidnext);
    while (sql_row(st))
        uid_set_add(uids, (uint32_t)sql_int(st, 0), (uint32_t)sql_int(st, 0));
    TRY(sql_result(st));
    return uids->failed ? NO_MEMORY : OK;
}

struct error view_uids(struct sql *db, const struct collection *c, struct uid_set *out)
{
    struct view_memory *m = sql_store(db)->views;
    uint32_t first, last, uidnext;
    int64_t since;
    uid_set_clear(out);
    if (c->n_all == 0)
        return OK;
    TRY(ends(db, c->id, &first, &last));
    if (first && (int64_t)last - first + 1 == c->n_all) { /* no hole */
        uid_set_add(out, first, last);
        return out->failed ? NO_MEMORY : OK;
    }
    if (m && recall(m, c, out, &since, &uidnext))
        TRY(bring_up(db, c, since, uidnext, out));
    else
        TRY(item_uids(db, c->id, out));
    if (m)
        remember(m, c, out);
    return OK;
}

struct error view_first_unseen(struct sql *db, const struct collection *c, uint32_t *uid)
{
    struct view_memory *m = sql_store(db)->views;
    *uid = 0;
    if (c->n_unseen == 0)
        return OK;
    if (m) {
        SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&m->lock);
        const struct view *v = slot(m, c->id);
        (void)held;
        if (v->collection == c->id && v->unseen_modseq == c->modseq) {
            *uid = v->first_unseen;
            return OK;
        }
    }
    TRY(item_first_unseen(db, c->id, uid));
    if (m) {
        SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&m->lock);
        struct view *v = claim(m, c->id);
        (void)held;
        v->unseen_modseq = c->modseq;
        v->first_unseen = *uid;
    }
    return OK;
}
