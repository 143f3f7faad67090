/* core/kantorctl/top.c -- what the server does, each second
 *
 * Each look asks for the counters of /metrics and takes the difference to the look before; times are read from the
 * histograms' differences. The rows are one table: the screen and the JSON come from it.
 */
#include "core/kantorctl/top.h"

#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/kantord/operations.h"
#include "core/kantord/report.h"
#include "core/kantorctl/terminal.h"

enum { SAMPLES_MAX = 400, NAME_BYTES = 120, PERIOD_MS = 1000 };

struct look {
    int64_t at_ms;
    size_t n;
    struct sample {
        char name[NAME_BYTES];
        double value;
    } samples[SAMPLES_MAX];
};

enum kind { RATE, BYTES_RATE, NOW, MEAN_MS, BATCH };

/*  key for JSON            label               kind        counter (PREFIX: all labels of it) */
static const struct {
    const char *key, *label;
    enum kind kind;
    const char *name;
} rows[] = {
    {"logins_per_second", "logins/s", RATE, "kantor_logins_total{result=\"ok\"}"},
    {"failed_logins_per_second", "failed logins/s", RATE, "kantor_logins_total{result=\"failed\"}"},
    {"messages_in_per_second", "SMTP messages in/s", RATE, "kantor_mail_received_total"},
    {"deliveries_per_second", "copies delivered/s", RATE, "kantor_mail_delivered_total"},
    {"refused_per_second", "refused/s", RATE, "kantor_mail_refused_total"},
    {"imap_commands_per_second", "IMAP commands/s", RATE, "kantor_commands_total{service=\"imap\"}"},
    {"smtp_commands_per_second", "SMTP commands/s", RATE, "kantor_commands_total{service=\"smtp\"}"},
    {"pop3_commands_per_second", "POP3 commands/s", RATE, "kantor_commands_total{service=\"pop3\"}"},
    {"bytes_in_per_second", "bytes in/s", BYTES_RATE, "kantor_bytes_total{direction=\"in\"}"},
    {"bytes_out_per_second", "bytes out/s", BYTES_RATE, "kantor_bytes_total{direction=\"out\"}"},
    {"changes_per_second", "changes/s", RATE, "kantor_store_changes_total"},
    {"commits_per_second", "commits/s", RATE, "kantor_store_commits_total"},
    {"changes_per_commit", "changes in a commit", BATCH, "kantor_store_commits_total"},
    {"commit_ms", "commit, mean ms", MEAN_MS, "kantor_store_commit_seconds"},
    {"delivery_ms", "delivery, mean ms", MEAN_MS, "kantor_mail_delivery_seconds"},
    {"workers_busy", "workers busy", NOW, "kantor_workers_busy"},
    {"workers", "workers", NOW, "kantor_workers"},
    {"queue_recipients", "queue, recipients", NOW, "kantor_queue_recipients"},
    {"disk_free_bytes", "disk free, bytes", NOW, "kantor_disk_free_bytes"},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

/* --- a look */

static void take_samples(struct look *l, struct slice text)
{
    json_t *all = json_loadb(text.p, text.n, 0, NULL), *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name")),
                   *value = json_string_value(json_object_get(one, "value"));
        if (!name || !value || l->n == SAMPLES_MAX)
            continue;
        (void)snprintf(l->samples[l->n].name, NAME_BYTES, "%s", name);
        l->samples[l->n++].value = strtod(value, NULL);
    }
    json_decref(all);
}

/* One call for each look: the control protocol has one answer for one request. */
static struct error look(const struct config *c, struct arena *a, struct look *l)
{
    static char *words[] = {(char *)"counters", (char *)"--json"};
    struct call call;
    struct buffer text = {0};
    l->n = 0;
    l->at_ms = clock_ms();
    struct error e = call_open(c, a, &call);
    if (e.code == ERROR_NONE && call.started)
        e = error_make(ERROR_UNSUPPORTED,
                       "the server does not run (any more); start it (systemctl start kantor), then ask again");
    if (e.code == ERROR_NONE) {
        call.text = &text;
        e = call_request(&call, words, 2, slice_make(NULL, 0));
        if (e.code == ERROR_NONE && call_finish(&call) != 0)
            e = error_make(ERROR_CLOSED, "the server gave no counters");
    }
    call_close(&call);
    take_samples(l, buffer_slice(&text));
    buffer_free(&text);
    return e;
}

static double value_of(const struct look *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->samples[i].name, name) == 0)
            return l->samples[i].value;
    return 0;
}

static double difference(const struct look *before, const struct look *now, const char *name, const char *suffix)
{
    char whole[NAME_BYTES];
    (void)snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return value_of(now, whole) - value_of(before, whole);
}

static double row_value(size_t i, const struct look *before, const struct look *now)
{
    double seconds = (double)(now->at_ms - before->at_ms) / 1000.0, n;
    switch (rows[i].kind) {
    case NOW:
        return value_of(now, rows[i].name);
    case MEAN_MS:
        n = difference(before, now, rows[i].name, "_count");
        return n > 0 ? difference(before, now, rows[i].name, "_sum") * 1000.0 / n : 0;
    case BATCH:
        n = difference(before, now, rows[i].name, "");
        return n > 0 ? difference(before, now, "kantor_store_changes_total", "") / n : 0;
    default:
        return seconds > 0 ? difference(before, now, rows[i].name, "") / seconds : 0;
    }
}

/* --- showing */

static void write_value(size_t i, double v, struct buffer *out)
{
    if (rows[i].kind == BYTES_RATE || strcmp(rows[i].key, "disk_free_bytes") == 0)
        report_write_size((int64_t)v, out);
    else
        buffer_printf(out, rows[i].kind == NOW ? "%.0f" : "%.1f", v);
}

static void write_connections(const struct look *now, int json, struct buffer *out)
{
    static const struct slice prefix = {"kantor_connections{service=\"", 28};
    int some = 0;
    for (size_t i = 0; i < now->n; i++) {
        struct slice name = slice_of(now->samples[i].name);
        if (!slice_starts(name, prefix))
            continue;
        name = slice_after(name, prefix.n);
        name = slice_first(name, slice_find(name, '"'));
        buffer_printf(out, json ? "%s\"%.*s\": %.0f" : "%s%.*s %.0f", some++ ? (json ? ", " : "  ") : "",
                      SLICE_ARG(name), now->samples[i].value);
    }
}

static void write_json(const struct look *before, const struct look *now, struct buffer *out)
{
    buffer_add_char(out, '{');
    for (size_t i = 0; i < N_ROWS; i++)
        buffer_printf(out, "\"%s\": %.3f, ", rows[i].key, row_value(i, before, now));
    buffer_add(out, SLICE("\"connections\": {"));
    write_connections(now, 1, out);
    buffer_add(out, SLICE("}}\n"));
}

/* Two columns of rows, the connections below. */
static void write_screen(const struct look *before, const struct look *now, struct buffer *out)
{
    size_t half = (N_ROWS + 1) / 2;
    struct buffer v = {0};
    buffer_printf(out, "kantor, up %.0f s\n\n", (double)clock_now() - value_of(now, "kantor_start_time_seconds"));
    for (size_t i = 0; i < half; i++) {
        for (size_t k = i; k < N_ROWS; k += half) {
            buffer_clear(&v);
            write_value(k, row_value(k, before, now), &v);
            buffer_printf(out, "%-20s %12.*s%s", rows[k].label, SLICE_ARG(buffer_slice(&v)), k == i ? "    " : "");
        }
        buffer_add_char(out, '\n');
    }
    buffer_add(out, SLICE("\nconnections: "));
    write_connections(now, 0, out);
    buffer_add_char(out, '\n');
    buffer_free(&v);
}

/* A second, or until a key is pressed. True: it was q (or the input has ended). */
static int wait_for_key(int terminal)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    char c = 0;
    if (!terminal) {
        (void)poll(NULL, 0, PERIOD_MS);
        return 0;
    }
    if (poll(&p, 1, PERIOD_MS) <= 0)
        return 0;
    return read(0, &c, 1) != 1 || c == 'q' || c == 'Q';
}

static void show(const struct look *before, const struct look *now, int json, int screen)
{
    struct buffer b = {0};
    if (screen)
        buffer_add(&b, SLICE("\033[H\033[J"));
    json ? write_json(before, now, &b) : write_screen(before, now, &b);
    if (screen)
        buffer_add(&b, SLICE("\nq ends\n"));
    (void)fwrite(b.bytes, 1, buffer_length(&b), stdout);
    (void)fflush(stdout);
    buffer_free(&b);
}

static struct error watch(const struct config *c, struct arena *a, struct look *before, struct look *now, int once,
                          int json, int terminal)
{
    TRY(look(c, a, before));
    for (int shown = 0; !(once && shown); shown++) {
        if (wait_for_key(terminal))
            return OK;
        TRY(look(c, a, now));
        show(before, now, json, terminal && !json);
        struct look *swap = before;
        before = now;
        now = swap;
    }
    return OK;
}

int top_run(const struct config *c, struct arena *a, int once, int json)
{
    struct look *looks = calloc(2, sizeof *looks);
    int terminal = !once && isatty(0) && isatty(1) && terminal_set(TERMINAL_KEYS);
    struct error e = looks ? watch(c, a, &looks[0], &looks[1], once, json, terminal)
                           : error_make(ERROR_MEMORY, "no memory");
    terminal_restore();
    free(looks);
    if (e.code == ERROR_NONE)
        return 0;
    (void)fprintf(stderr, "kantorctl: %s\n", e.text ? e.text : error_word(e.code));
    return OPERATION_EXIT_FAILED;
}
