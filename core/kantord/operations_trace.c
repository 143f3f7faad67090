/* core/kantord/operations_trace.c -- what became of a message: a question to mail/trace, told as a story */
#include <stdlib.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "mail/trace/trace.h"

/* "90s", "30m", "2h", "3d": so long ago; 0: not of that form. */
static int64_t age_of(struct slice text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    uint64_t n;
    if (text.n < 2 || !slice_number(slice_first(text, text.n - 1), 100000000, &n))
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (text.p[text.n - 1] == units[i].unit)
            return (int64_t)n * units[i].seconds;
    return 0;
}

/* A date, or a date and a time, UTC. */
static bool date_of(const char *text, int64_t *at)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"};
    for (size_t i = 0; text && i < sizeof forms / sizeof forms[0]; i++) {
        struct tm t = {0};
        const char *end = strptime(text, forms[i], &t);
        if (end && *end == '\0') {
            *at = timegm(&t);
            return true;
        }
    }
    return false;
}

static struct error time_of(struct operation_call *k, const char *option, int64_t *at)
{
    struct slice text = operation_option(k, option);
    *at = 0;
    if (!text.p)
        return OK;
    int64_t age = age_of(text);
    if (age) {
        *at = clock_now() - age;
        return OK;
    }
    return date_of(arena_string(k->arena, text), at) ? OK : error_make(ERROR_INVALID, arena_printf(k->arena, "--%s takes an age (30m, 2h, 3d) or a date (2026-11-25, 2026-11-25T14:00), UTC", option));
}

/* Texts from outside on a terminal: no control characters. */
static struct slice shown(struct operation_call *k, struct slice text)
{
    char *copy = arena_string(k->arena, text);
    for (size_t i = 0; copy && i < text.n; i++) {
        unsigned char ch = (unsigned char)copy[i];
        if (ch < 0x20 || ch == 0x7F || (ch == 0xC2 && i + 1 < text.n && (unsigned char)copy[i + 1] < 0xA0))
            copy[i] = '?';
    }
    return copy ? slice_make(copy, text.n) : SLICE("");
}

static void say_message(struct operation_call *k, const struct trace_line *l)
{
    struct slice sender = l->sender.n ? shown(k, l->sender) : SLICE("<>"), id = shown(k, l->message_id);
    report_say(&k->report, "%.*s  from %.*s%s%.*s", SLICE_ARG(l->job), SLICE_ARG(sender), id.n ? "  " : "", SLICE_ARG(id));
}

static void say_line(struct operation_call *k, const struct trace_line *l)
{
    char at[32];
    struct tm t;
    time_t when = (time_t)l->at;
    struct slice recipient = shown(k, l->recipient), detail = shown(k, l->detail);
    (void)gmtime_r(&when, &t);
    at[strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &t)] = '\0';
    if (slice_eq(slice_of(l->what), SLICE("forwarded")))
        detail = slice_of(arena_printf(k->arena, "to %.*s", SLICE_ARG(detail)));
    report_say(&k->report, "  %s  %-9s %.*s%s%.*s", at, l->what, SLICE_ARG(recipient), recipient.n && detail.n ? ": " : "", SLICE_ARG(detail));
}

static void report_line(struct operation_call *k, const struct trace_line *l)
{
    report_date(&k->report, l->at);
    report_text(&k->report, l->job);
    report_word(&k->report, l->what);
    report_text(&k->report, l->recipient);
    report_text(&k->report, l->detail);
    report_text(&k->report, l->sender.n ? l->sender : SLICE("<>"));
    report_text(&k->report, l->message_id);
}

struct error run_trace(struct operation_call *k)
{
    struct trace_query q = {.message = operation_option(k, "message"), .sender = operation_option(k, "sender"), .recipient = operation_option(k, "recipient")};
    struct trace_line *lines;
    size_t n;
    bool cut;
    TRY(time_of(k, "since", &q.since));
    TRY(time_of(k, "until", &q.until));
    if (!q.message.n && !q.sender.n && !q.recipient.n && !q.since)
        return error_make(ERROR_INVALID, "of what? write `kantorctl trace --message ID`, `--sender ADDRESS`, `--recipient ADDRESS` or `--since 1h`");
    trace_flush(k->server->store);
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(trace_find(db, &q, k->arena, &lines, &n, &cut));
    report_list(&k->report, "at message event recipient detail sender message_id");
    k->report.only_said = 1;
    for (size_t i = 0; i < n; i++) {
        report_line(k, &lines[i]);
        if (i == 0 || !slice_eq(lines[i].job, lines[i - 1].job))
            say_message(k, &lines[i]);
        say_line(k, &lines[i]);
    }
    if (n == 0)
        report_say(&k->report, "nothing is known of that; what is kept: `trace.keep` of kantor.conf");
    if (cut)
        report_say(&k->report, "there is more; ask with --since and --until");
    return OK;
}
