/* mail/filter/alarm.c -- somebody has to know: an account that sends more than it may */
#include <stdio.h>

#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/delivery/deliver.h"
#include "mail/filter/sending.h"
#include "mail/mime/date.h"

enum { DAY_S = 86400, ARENA_BYTES = 1024 * 1024 };

static const char *const why_words[] = {[SENDING_FREE] = "",         [SENDING_BLOCKED] = "blocked",           [SENDING_HOUR] = "hour", [SENDING_DAY] = "day",
                                        [SENDING_APP_HOUR] = "hour of an app password", [SENDING_APP_DAY] = "day of an app password"};

struct alarm {
    struct server *server;
    const struct sending_count *sending;
    const char *peer;
    struct slice login, domain;
    struct arena *arena;
};

static struct error was_told(struct sql *db, int64_t account, int64_t now, bool *told)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM once WHERE account = $1 AND key = 'sending.alarm' AND expires > $2");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, now);
    *told = sql_row(st);
    return sql_result(st);
}

/* In the change that delivers the mail. ERROR_EXISTS: another session was faster. */
static struct error tell_once(struct sql *db, void *arg)
{
    const struct sending_count *s = ((struct alarm *)arg)->sending;
    bool told;
    TRY(was_told(db, s->account, clock_now(), &told));
    if (told)
        return error_make(ERROR_EXISTS, "it was told today");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO once (account, key, expires) VALUES ($1, 'sending.alarm', $2) "
                                                       "ON CONFLICT (account, key) DO UPDATE SET expires = excluded.expires");
    sql_bind_int(st, 1, s->account);
    sql_bind_int(st, 2, clock_now() + DAY_S);
    return sql_run(st);
}

static void write_mail(const struct alarm *x, const char *job, struct buffer *out)
{
    const struct sending_count *s = x->sending;
    buffer_add(out, SLICE("Return-Path: <>\r\nFrom: Kantor <postmaster@"));
    buffer_add(out, x->domain);
    buffer_printf(out, ">\r\nTo: postmaster@%.*s\r\nSubject: %.*s %s\r\nDate: ", SLICE_ARG(x->domain), SLICE_ARG(x->login), s->blocked ? "tries to send and is blocked" : "has reached its sending limit");
    date_write(clock_now(), out);
    buffer_printf(out, "\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", job, x->server->hostname);
    buffer_printf(out, "The account %.*s was stopped from sending: %s.\r\n\r\n", SLICE_ARG(x->login), sending_sentence(s));
    buffer_printf(out, "Recipients in the last hour: %lld (limit %lld), in the last day: %lld (limit %lld; 0 is none).\r\n", (long long)s->hour, (long long)s->limit_hour, (long long)s->day, (long long)s->limit_day);
    buffer_printf(out, "The last attempt came from %s, logged in with %s.\r\n\r\n", x->peer, s->app_password ? "an app password" : "the main password");
    buffer_add(out, SLICE("If that is not what its owner does, the password is known to somebody else:\r\n\r\n"));
    buffer_printf(out, "  kantorctl account block-sending %.*s     stops it at once; mail can still be read\r\n", SLICE_ARG(x->login));
    buffer_printf(out, "  kantorctl account password %.*s          a new password ends its sessions\r\n", SLICE_ARG(x->login));
    buffer_printf(out, "  kantorctl app-password list %.*s         which devices log in\r\n", SLICE_ARG(x->login));
    buffer_printf(out, "  kantorctl trace --sender %.*s            what went out\r\n\r\n", SLICE_ARG(x->login));
    buffer_printf(out, "If it is: kantorctl account sending %.*s --hour N --day N allows more.\r\nThis is told once a day for an account.\r\n", SLICE_ARG(x->login));
}

static struct error deliver(struct alarm *x, struct message *m)
{
    char job[40];
    struct buffer text = {0};
    (void)snprintf(job, sizeof job, "sending.%lld.%llx", (long long)x->sending->account, (unsigned long long)clock_us() & 0xFFFFFFFFFU);
    write_mail(x, job, &text);
    struct error e = text.failed ? error_make(ERROR_MEMORY, "no memory for an alarm") : blob_put_add(&m->put, buffer_slice(&text));
    buffer_free(&text);
    TRY(e);
    TRY(blob_put_end(&m->put));
    TRY(message_prepare(m, x->arena));
    struct delivery_rcpt to = {.address = {SLICE("postmaster"), x->domain}, .text = slice_of(arena_printf(x->arena, "postmaster@%.*s", SLICE_ARG(x->domain))), .orcpt = slice_make(NULL, 0)};
    struct delivery d = {.message = m, .sender = SLICE(""), .envid = slice_make(NULL, 0), .results = DELIVERY_RESULT_ONE, .rcpts = &to, .n_rcpts = 1, .job = job,
                         .origin = SLICE("from the server itself, "), .also = tell_once, .also_arg = x};
    TRY(delivery_run(x->server->store, &d, x->arena));
    return to.result;
}

static void send_mail(struct alarm *x)
{
    struct message m = {0};
    blob_put_begin(x->server->store, &m.put);
    struct error e = deliver(x, &m);
    blob_put_drop(&m.put);
    if (e.code != ERROR_NONE && e.code != ERROR_EXISTS)
        LOG_EVENT(LOG_ERROR, "alarm-not-sent", LOG_TEXT("account", x->login), LOG_FAILURE(e));
}

static bool is_told(struct store *store, int64_t account)
{
    bool told;
    SCOPED(store_reader_return) struct sql *db = store_reader(store);
    return was_told(db, account, clock_now(), &told).code != ERROR_NONE || told;
}

void sending_alarm(struct server *server, const struct sending_count *s, const char *id, const char *peer, struct slice login)
{
    struct arena a;
    metric_add(METRIC_SENDING_REFUSED, 1);
    LOG_EVENT(LOG_WARN, "sending-refused", LOG_ID(id), LOG_TEXT("account", login), LOG_WORD("peer", peer), LOG_WORD("limit", why_words[s->why]), LOG_NUMBER("hour", s->hour), LOG_NUMBER("day", s->day));
    if (is_told(server->store, s->account))
        return;
    LOG_EVENT(LOG_ERROR, "sending-alarm", LOG_ID(id), LOG_TEXT("account", login), LOG_WORD("peer", peer), LOG_WORD("limit", why_words[s->why]),
              LOG_WORD("why", "an account reached its sending limit or is blocked and goes on: perhaps its password is stolen; `kantorctl account block-sending` stops it"));
    arena_init(&a, ARENA_BYTES);
    struct alarm x = {.server = server, .sending = s, .peer = peer, .login = login, .domain = slice_after(login, slice_find(login, '@') + 1), .arena = &a};
    send_mail(&x);
    arena_free(&a);
}
