/* core/kantord/operations_sending.c -- what an account may send: limits of its own, block, how much it sent */
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "mail/filter/sending.h"

struct setting {
    struct operation_call *k;
    struct error (*set)(struct sql *db, struct setting *x);
    enum sending_state state;
    int64_t hour, day;
    struct account account;
};

static struct error change(struct sql *db, void *arg)
{
    struct setting *x = arg;
    TRY(operation_account(x->k, db, x->k->words[2], &x->account));
    return x->set(db, x);
}

static struct error set_state(struct sql *db, struct setting *x)
{
    return sending_set_state(db, x->account.id, x->state);
}

static struct error set_limits(struct sql *db, struct setting *x)
{
    return sending_set_limits(db, x->account.id, x->hour, x->day);
}

/* Sessions go on: the next MAIL asks, and so does the change that would take a message. */
struct error run_account_block_sending(struct operation_call *k)
{
    struct setting x = {.k = k, .set = set_state, .state = SENDING_NOT_ALLOWED};
    TRY(store_change(k->server->store, change, &x));
    report_say(&k->report, "%.*s cannot send; what waits in the queue still goes: see `kantorctl queue list`", SLICE_ARG(x.account.name));
    return OK;
}

struct error run_account_allow_sending(struct operation_call *k)
{
    struct setting x = {.k = k, .set = set_state, .state = SENDING_ALLOWED};
    TRY(store_change(k->server->store, change, &x));
    report_say(&k->report, "%.*s can send", SLICE_ARG(x.account.name));
    return OK;
}

static struct error read_limit(struct operation_call *k, const char *name, int64_t *out)
{
    struct slice text = operation_option(k, name);
    uint64_t n;
    if (!text.p || slice_eq(text, SLICE("default"))) {
        *out = -1;
        return OK;
    }
    if (!slice_number(text, 1000000000, &n))
        return error_make(ERROR_INVALID, arena_printf(k->arena, "--%s takes a number of recipients (0: any number), or default", name));
    *out = (int64_t)n;
    return OK;
}

static struct error show(struct operation_call *k)
{
    static const char *const words[] = {[SENDING_FREE] = "free", [SENDING_BLOCKED] = "blocked", [SENDING_HOUR] = "hour", [SENDING_DAY] = "day", [SENDING_APP_HOUR] = "hour", [SENDING_APP_DAY] = "day"};
    struct account x;
    struct sending_count s;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &x));
    TRY(sending_look(db, k->server->config, x.id, 0, &s));
    report_one(&k->report, "address sending recipients_hour limit_hour recipients_day limit_day");
    report_text(&k->report, x.name);
    report_word(&k->report, s.blocked ? "blocked" : s.room == 0 ? words[s.why] : "allowed");
    report_number(&k->report, s.hour);
    report_number(&k->report, s.limit_hour);
    report_number(&k->report, s.day);
    report_number(&k->report, s.limit_day);
    return OK;
}

struct error run_account_sending(struct operation_call *k)
{
    struct setting x = {.k = k, .set = set_limits};
    if (!operation_option(k, "hour").p && !operation_option(k, "day").p)
        return show(k);
    TRY(read_limit(k, "hour", &x.hour));
    TRY(read_limit(k, "day", &x.day));
    TRY(store_change(k->server->store, change, &x));
    report_say(&k->report, "%.*s has its sending limits", SLICE_ARG(x.account.name));
    return OK;
}
