/* mail/filter/sending.c -- rows of sent; the limits and blocks of accounts */
#include "mail/filter/sending.h"

#include <stdio.h>

#include "core/account/login.h"
#include "core/cleanup.h"
#include "core/clock.h"

enum { SLOT_S = 900, HOUR_SLOTS = 3600 / SLOT_S, DAY_SLOTS = 86400 / SLOT_S };

#define SET_STATE SLICE("sending.state")
#define SET_HOUR SLICE("sending.hour")
#define SET_DAY SLICE("sending.day")

/* A value that an administrator set; false where there is none, or none that can be read (attacks.md SI-16). */
static bool read_limit(struct slice text, int64_t *out)
{
    uint64_t n;
    if (!slice_number(text, INT64_MAX, &n))
        return false;
    *out = (int64_t)n;
    return true;
}

static struct error read_settings(struct sql *db, struct sending_count *s)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT name, value FROM setting WHERE account = $1 AND name >= 'sending.' AND name < 'sending/'");
    sql_bind_int(st, 1, s->account);
    while (sql_row(st)) {
        struct slice name = sql_text(st, 0), value = sql_text(st, 1);
        if (slice_eq(name, SET_STATE))
            s->blocked = slice_eq(value, SLICE("blocked"));
        else if (slice_eq(name, SET_HOUR))
            s->own_limits |= read_limit(value, &s->limit_hour);
        else if (slice_eq(name, SET_DAY))
            s->own_limits |= read_limit(value, &s->limit_day);
    }
    return sql_result(st);
}

struct counts {
    int64_t hour, day, app_hour, app_day;
};

/* The running slot and as many whole ones as the time has: never less than the last hour, or day. */
static struct error read_counts(struct sql *db, const struct sending_count *s, int64_t slot, struct counts *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT coalesce(sum(CASE WHEN slot >= $3 THEN rcpts ELSE 0 END), 0), coalesce(sum(rcpts), 0), "
                                                       "coalesce(sum(CASE WHEN slot >= $3 AND credential = $4 THEN rcpts ELSE 0 END), 0), "
                                                       "coalesce(sum(CASE WHEN credential = $4 THEN rcpts ELSE 0 END), 0) FROM sent WHERE account = $1 AND slot >= $2");
    sql_bind_int(st, 1, s->account);
    sql_bind_int(st, 2, slot - DAY_SLOTS);
    sql_bind_int(st, 3, slot - HOUR_SLOTS);
    sql_bind_int(st, 4, s->credential);
    *n = (struct counts){0};
    if (sql_row(st))
        *n = (struct counts){sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), sql_int(st, 3)};
    return sql_result(st);
}

static void bound(struct sending_count *s, int64_t limit, int64_t used, enum sending_why why)
{
    int64_t left = limit > used ? limit - used : 0;
    if (limit == 0 || left >= s->room)
        return;
    s->room = left;
    s->why = why;
}

struct error sending_look(struct sql *db, const struct config *c, int64_t account, int64_t credential, struct sending_count *s)
{
    struct counts n;
    *s = (struct sending_count){.account = account, .credential = credential, .limit_hour = c->sending_hour, .limit_day = c->sending_day, .room = INT64_MAX};
    TRY(read_settings(db, s));
    TRY(read_counts(db, s, clock_now() / SLOT_S, &n));
    if (credential)
        TRY(login_is_app_password(db, credential, &s->app_password));
    s->hour = n.hour;
    s->day = n.day;
    bound(s, s->limit_day, n.day, SENDING_DAY);
    bound(s, s->limit_hour, n.hour, SENDING_HOUR);
    if (s->app_password && !s->own_limits) {
        bound(s, c->sending_app_day, n.app_day, SENDING_APP_DAY);
        bound(s, c->sending_app_hour, n.app_hour, SENDING_APP_HOUR);
    }
    if (s->blocked) {
        s->room = 0;
        s->why = SENDING_BLOCKED;
    }
    return OK;
}

struct error sending_take(struct sql *db, void *arg)
{
    struct sending_taking *t = arg;
    int64_t slot = clock_now() / SLOT_S;
    TRY(sending_look(db, t->config, t->account, t->credential, &t->now));
    if (t->rcpts > t->now.room)
        return error_make(t->now.why == SENDING_BLOCKED ? ERROR_DENIED : ERROR_LIMIT, sending_sentence(&t->now));
    SCOPED(sql_done) struct sql_stmt *old = sql_use(db, "DELETE FROM sent WHERE account = $1 AND slot < $2");
    sql_bind_int(old, 1, t->account);
    sql_bind_int(old, 2, slot - DAY_SLOTS);
    TRY(sql_run(old));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO sent (account, slot, credential, rcpts) VALUES ($1, $2, $3, $4) "
                                                       "ON CONFLICT (account, slot, credential) DO UPDATE SET rcpts = sent.rcpts + excluded.rcpts");
    sql_bind_int(st, 1, t->account);
    sql_bind_int(st, 2, slot);
    sql_bind_int(st, 3, t->credential);
    sql_bind_int(st, 4, t->rcpts);
    return sql_run(st);
}

const char *sending_sentence(const struct sending_count *s)
{
    static const char *const sentences[] = {
        [SENDING_FREE] = "",
        [SENDING_BLOCKED] = "sending is blocked for this account; ask your administrator",
        [SENDING_HOUR] = "this account has reached its limit of recipients an hour; try again later, or ask your administrator for more",
        [SENDING_DAY] = "this account has reached its limit of recipients a day; try again later, or ask your administrator for more",
        [SENDING_APP_HOUR] = "this app password has reached its limit of recipients an hour; try again later, or ask your administrator for more",
        [SENDING_APP_DAY] = "this app password has reached its limit of recipients a day; try again later, or ask your administrator for more",
    };
    return sentences[s->why];
}

struct error sending_set_state(struct sql *db, int64_t account, enum sending_state state)
{
    return setting_set(db, account, SET_STATE, state == SENDING_NOT_ALLOWED ? SLICE("blocked") : SLICE("allowed"));
}

static struct error set_limit(struct sql *db, int64_t account, struct slice name, int64_t limit)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)limit);
    return setting_set(db, account, name, limit < 0 ? SLICE("default") : slice_make(text, (size_t)n));
}

struct error sending_set_limits(struct sql *db, int64_t account, int64_t hour, int64_t day)
{
    TRY(set_limit(db, account, SET_HOUR, hour));
    return set_limit(db, account, SET_DAY, day);
}
