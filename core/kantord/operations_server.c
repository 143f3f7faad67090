/* core/kantord/operations_server.c -- sessions, queue, and the store as a whole */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "core/metrics.h"
#include "core/net/service.h"
#include "core/store/blob.h"
#include "mail/delivery/deliver.h"
#include "mail/mime/header.h"
#include "mail/queue/queue.h"

/* --- sessions */

struct error run_sessions_list(struct operation_call *k)
{
    struct net_session *all;
    size_t n;
    TRY(net_sessions(k->server->net, k->arena, &all, &n));
    report_list(&k->report, "id service peer account since idle_seconds");
    for (size_t i = 0; i < n; i++) {
        report_word(&k->report, all[i].id);
        report_word(&k->report, all[i].service);
        report_word(&k->report, all[i].peer);
        report_word(&k->report, all[i].name[0] ? all[i].name : NULL);
        report_date(&k->report, all[i].since_at);
        report_number(&k->report, all[i].idle_s);
    }
    report_say(&k->report, "%zu session%s", n, n == 1 ? "" : "s");
    return OK;
}

struct error run_sessions_kill(struct operation_call *k)
{
    struct account account;
    int by_name = slice_find(k->words[2], '@') < k->words[2].n;
    if (by_name)
        TRY(operation_account_now(k, k->words[2], &account));
    int n = by_name ? net_kill(k->server->net, NULL, account.id) : net_kill(k->server->net, arena_string(k->arena, k->words[2]), 0);
    report_say(&k->report, "%d ended", n);
    return n || by_name ? OK : error_make(ERROR_NOT_FOUND, "no session has that id; `kantorctl sessions list` shows all");
}

/* --- the queue */

static const char *const state_words[] = {[QUEUE_WAITING] = "waiting", [QUEUE_HELD] = "held", [QUEUE_DELIVERED] = "delivered", [QUEUE_FAILED] = "failed"};

static void report_rcpt(struct operation_call *k, const struct queue_entry *e, const struct queue_rcpt *r)
{
    report_number(&k->report, e->id);
    report_text(&k->report, e->job);
    report_text(&k->report, e->sender.n ? e->sender : SLICE("<>"));
    report_text(&k->report, r->address);
    report_word(&k->report, state_words[r->state & 3]);
    report_number(&k->report, r->tries);
    report_date(&k->report, e->created);
    report_size(&k->report, e->size);
    report_text(&k->report, r->reply);
}

#define QUEUE_COLUMNS "id message from to state tries since size last_reply"

struct error run_queue_list(struct operation_call *k)
{
    struct queue_entry *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(queue_list(db, k->arena, &all, &n));
    report_list(&k->report, QUEUE_COLUMNS);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < all[i].n_rcpts; r++)
            report_rcpt(k, &all[i], &all[i].rcpts[r]);
    report_say(&k->report, "%zu message%s", n, n == 1 ? "" : "s");
    return OK;
}

static struct error id_of(struct operation_call *k, int64_t *id)
{
    uint64_t n;
    if (!slice_number(k->words[2], INT64_MAX, &n))
        return error_make(ERROR_INVALID, "the id is the number that `kantorctl queue list` shows");
    *id = (int64_t)n;
    return OK;
}

static struct error header_lines(struct operation_call *k, struct slice header, struct slice **lines, size_t *n)
{
    size_t most = 1;
    for (size_t i = 0; i < header.n; i++)
        most += header.p[i] == '\n';
    *n = 0;
    *lines = arena_alloc(k->arena, most * sizeof **lines);
    if (!*lines)
        return error_make(ERROR_MEMORY, "no memory for a header");
    while (header.n) {
        struct slice line = slice_first(header, slice_find(header, '\n'));
        header = slice_after(header, line.n + 1);
        if (slice_trim(line).n)
            (*lines)[(*n)++] = slice_trim(line);
    }
    return OK;
}

/* What the sender asked for (RFC 3461, 6152, 6531, 8689), as the sending side will pass it on; *n of at most 8 words. */
static void wishes_of(struct operation_call *k, const struct queue_entry *e, struct slice *out, size_t *n)
{
    static const struct {
        int flag;
        const char *word;
    } words[] = {{DELIVERY_RET_FULL, "RET=FULL"}, {DELIVERY_RET_HDRS, "RET=HDRS"}, {DELIVERY_REQUIRETLS, "REQUIRETLS"}, {DELIVERY_SMTPUTF8, "SMTPUTF8"}, {DELIVERY_8BIT, "BODY=8BITMIME"},
                 {DELIVERY_BINARY, "BODY=BINARYMIME"}, {DELIVERY_TLS_OPTIONAL, "TLS-Required: No"}};
    *n = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (e->flags & words[i].flag)
            out[(*n)++] = slice_of(words[i].word);
    if (e->envid.p)
        out[(*n)++] = slice_of(arena_printf(k->arena, "ENVID=%.*s", SLICE_ARG(e->envid)));
}

static struct slice rcpt_text(struct operation_call *k, const struct queue_rcpt *r)
{
    struct buffer b = {0};
    buffer_printf(&b, "%.*s: %s, %lld tries", SLICE_ARG(r->address), state_words[r->state & 3], (long long)r->tries);
    if (r->notify)
        buffer_printf(&b, " NOTIFY=%s%s%s%s", r->notify & NOTIFY_NEVER ? "NEVER" : "", r->notify & NOTIFY_SUCCESS ? "SUCCESS," : "", r->notify & NOTIFY_FAILURE ? "FAILURE," : "", r->notify & NOTIFY_DELAY ? "DELAY" : "");
    if (r->orcpt.p)
        buffer_printf(&b, " ORCPT=%.*s", SLICE_ARG(r->orcpt));
    if (r->reply.n)
        buffer_printf(&b, ", last reply: %.*s", SLICE_ARG(r->reply));
    struct slice text = arena_copy(k->arena, buffer_slice(&b));
    buffer_free(&b);
    return text;
}

struct error run_queue_show(struct operation_call *k)
{
    struct queue_entry e;
    int64_t id;
    struct slice bytes, *lines, wishes[8];
    size_t n_lines, n_wishes;
    TRY(id_of(k, &id));
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    struct error got = queue_get(db, id, k->arena, &e);
    TRY(got.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, "no such message in the queue; `kantorctl queue list` shows all") : got);
    TRY(blob_read(db, e.blob, 0, 65536, k->arena, &bytes));
    bytes = slice_of(arena_printf(k->arena, "%.*s%.*s", SLICE_ARG(e.head), SLICE_ARG(slice_first(bytes, header_length(bytes))))); /* as it leaves */
    TRY(header_lines(k, bytes, &lines, &n_lines));
    struct slice *rcpts = arena_alloc(k->arena, (e.n_rcpts + 1) * sizeof *rcpts);
    for (size_t i = 0; rcpts && i < e.n_rcpts; i++)
        rcpts[i] = rcpt_text(k, &e.rcpts[i]);
    wishes_of(k, &e, wishes, &n_wishes);
    report_one(&k->report, "id message from size since expires options recipients header");
    report_number(&k->report, e.id);
    report_text(&k->report, e.job);
    report_text(&k->report, e.sender.n ? e.sender : SLICE("<>"));
    report_size(&k->report, e.size);
    report_date(&k->report, e.created);
    report_date(&k->report, e.expires);
    report_texts(&k->report, wishes, n_wishes);
    report_texts(&k->report, rcpts, rcpts ? e.n_rcpts : 0);
    report_texts(&k->report, lines, n_lines);
    return OK;
}

static struct error hurry_change(struct sql *db, void *arg)
{
    return queue_hurry(db, *(int64_t *)arg);
}

struct error run_queue_retry(struct operation_call *k)
{
    int64_t id;
    TRY(id_of(k, &id));
    TRY(store_change(k->server->store, hurry_change, &id));
    delivery_retry(k->server);
    report_say(&k->report, "tried");
    return OK;
}

static struct error delete_change(struct sql *db, void *arg)
{
    return queue_delete(db, *(int64_t *)arg);
}

struct error run_queue_delete(struct operation_call *k)
{
    int64_t id;
    TRY(id_of(k, &id));
    struct error e = store_change(k->server->store, delete_change, &id);
    TRY(e.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, "no such message in the queue; `kantorctl queue list` shows all") : e);
    report_say(&k->report, "deleted");
    return OK;
}

/* --- the process */

struct error run_reload(struct operation_call *k)
{
    if (kill(getpid(), SIGHUP) != 0)
        return error_make(ERROR_IO, "the server could not be told");
    report_say(&k->report, "reload asked for; the log says what came of it");
    return OK;
}

struct error run_counters(struct operation_call *k)
{
    struct buffer b = {0};
    metrics_write(&b);
    report_list(&k->report, "value name");
    for (struct slice rest = buffer_slice(&b); rest.n;) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        rest = slice_after(rest, line.n + 1);
        if (slice_starts(line, SLICE("#")))
            continue;
        size_t blank = line.n;
        while (blank && line.p[blank - 1] != ' ')
            blank--;
        report_text(&k->report, slice_after(line, blank));
        report_text(&k->report, slice_first(line, blank ? blank - 1 : 0));
    }
    buffer_free(&b);
    return OK;
}
