/* core/kantord/operations_server.c -- sessions, and the process as a whole */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/kantord/operations_internal.h"
#include "core/metrics.h"
#include "core/net/service.h"

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
