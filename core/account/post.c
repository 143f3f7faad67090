/* core/account/post.c -- rows of posts, and of members whose mail came back */
#include "core/account/list.h"
#include "core/cleanup.h"

enum { DAY_S = 86400 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for posts")
#define POSTS "SELECT id, list, role, state, blob, job, sender, flags, created FROM post "

struct error post_add(struct sql *db, const struct post *post, int64_t *id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO post (list, role, state, blob, job, sender, flags, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    sql_bind_int(st, 1, post->list);
    sql_bind_int(st, 2, post->role);
    sql_bind_int(st, 3, post->state);
    sql_bind_int(st, 4, post->blob);
    sql_bind_text(st, 5, post->job);
    sql_bind_text(st, 6, post->sender);
    sql_bind_int(st, 7, post->flags);
    sql_bind_int(st, 8, post->created);
    TRY(sql_run(st));
    *id = sql_inserted(db);
    return OK;
}

static struct error from_row(struct sql_stmt *st, struct arena *a, struct post *p)
{
    *p = (struct post){.id = sql_int(st, 0), .list = sql_int(st, 1), .role = (enum list_role)sql_int(st, 2), .state = (enum post_state)sql_int(st, 3), .blob = sql_int(st, 4),
                       .job = arena_copy(a, sql_text(st, 5)), .sender = arena_copy(a, sql_text(st, 6)), .flags = (int)sql_int(st, 7), .created = sql_int(st, 8)};
    return p->job.p && p->sender.p ? OK : NO_MEMORY;
}

struct error post_get(struct sql *db, int64_t id, struct arena *a, struct post *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, POSTS "WHERE id = $1");
    sql_bind_int(st, 1, id);
    if (sql_row(st))
        return from_row(st, a, out);
    TRY(sql_result(st));
    return error_make(ERROR_NOT_FOUND, "no such post; `kantorctl list pending` shows all");
}

static struct error read_all(struct sql_stmt *st, size_t most, struct arena *a, struct post **all, size_t *n)
{
    *n = 0;
    *all = arena_alloc(a, most * sizeof **all);
    if (!*all)
        return NO_MEMORY;
    while (*n < most && sql_row(st))
        TRY(from_row(st, a, &(*all)[(*n)++]));
    return sql_result(st);
}

struct error post_list(struct sql *db, enum post_state upto, struct arena *a, struct post **all, size_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, POSTS "WHERE state <= $1 ORDER BY state, id LIMIT 100");
    sql_bind_int(st, 1, upto);
    return read_all(st, 100, a, all, n);
}

struct error post_held(struct sql *db, int64_t list, struct arena *a, struct post **all, size_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, POSTS "WHERE state IN (1, 2) AND ($1 = 0 OR list = $1) ORDER BY id LIMIT 1000");
    sql_bind_int(st, 1, list);
    return read_all(st, 1000, a, all, n);
}

struct error post_set_state(struct sql *db, int64_t id, enum post_state state)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE post SET state = $2 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, state);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such post; `kantorctl list pending` shows all");
}

struct error post_remove(struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM post WHERE id = $1");
    sql_bind_int(st, 1, id);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such post; `kantorctl list pending` shows all");
}

/* --- bounces */

static struct error read_bounce(struct sql *db, int64_t list, struct slice address, struct list_bounce *b)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT bounces, at, suspended FROM listbounce WHERE list = $1 AND address = $2");
    sql_bind_int(st, 1, list);
    sql_bind_text(st, 2, address);
    *b = (struct list_bounce){.address = address};
    if (sql_row(st))
        *b = (struct list_bounce){.address = address, .bounces = sql_int(st, 0), .at = sql_int(st, 1), .suspended = sql_int(st, 2) != 0};
    return sql_result(st);
}

struct error list_is_suspended(struct sql *db, int64_t list, struct slice address, bool *yes)
{
    struct list_bounce b;
    struct error e = read_bounce(db, list, address, &b);
    *yes = b.suspended;
    return e;
}

struct error list_bounce_note(struct sql *db, int64_t list, struct slice address, bool unknown, int64_t now, bool *suspended)
{
    struct list_bounce b;
    TRY(read_bounce(db, list, address, &b));
    *suspended = false;
    if (!unknown && b.bounces && now - b.at < DAY_S)
        return OK; /* one bad day is one */
    if (now - b.at > 30 * DAY_S)
        b.bounces = 0;
    b.bounces++;
    *suspended = !b.suspended && b.bounces >= LIST_BOUNCES_MAX;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO listbounce (list, address, bounces, at, suspended) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (list, address) DO UPDATE SET "
                                                       "bounces = excluded.bounces, at = excluded.at, suspended = excluded.suspended");
    sql_bind_int(st, 1, list);
    sql_bind_text(st, 2, address);
    sql_bind_int(st, 3, b.bounces);
    sql_bind_int(st, 4, now);
    sql_bind_int(st, 5, b.suspended || *suspended);
    return sql_run(st);
}

struct error list_bounce_list(struct sql *db, int64_t list, struct arena *a, struct list_bounce **all, size_t *n)
{
    size_t room = 0;
    *n = 0;
    *all = NULL;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT address, bounces, at, suspended FROM listbounce WHERE list = $1 ORDER BY address");
    sql_bind_int(st, 1, list);
    while (sql_row(st)) {
        if (*n == room) {
            size_t wanted = room ? room * 2 : 16;
            *all = arena_grow(a, *all, room * sizeof **all, wanted * sizeof **all);
            room = wanted;
            if (!*all)
                return NO_MEMORY;
        }
        (*all)[(*n)++] = (struct list_bounce){arena_copy(a, sql_text(st, 0)), sql_int(st, 1), sql_int(st, 2), sql_int(st, 3) != 0};
    }
    return sql_result(st);
}

struct error list_bounce_forget(struct sql *db, int64_t list, struct slice address)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM listbounce WHERE list = $1 AND address = $2");
    sql_bind_int(st, 1, list);
    sql_bind_text(st, 2, address);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "nothing came back from that member");
}
