/* core/kantord/nightly.c -- what the server does for its own safety while nobody looks: backups, their verification, a look at the disk
 *
 * A minute's timer asks whether something is due; when it was last done stands in the store, so a server that was down at the hour makes up for it at its next
 * start. A backup is made as NAME.part and renamed when it is whole; older ones go only then. What happened is in the log and in /metrics.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/account/account.h"
#include "core/clock.h"
#include "core/durable.h"
#include "core/kantord/backup_run.h"
#include "core/kantord/internal.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/trace/trace.h"

enum { MINUTE_MS = 60000, SIX_HOURS_MS = 6 * 3600000, DAY_S = 86400, BACKUPS_MAX = 4096, ARENA_BYTES = 1024 * 1024 * 1024 };

static struct {
    struct kantord *k;
    _Atomic int64_t succeeded_at, failed_at, verified_at, damaged_at; /* 0: never */
    int64_t tried_at;                                              /* the timer's own */
    int disk_is_low;
    _Atomic int looking;
} night;

/* --- what is remembered */

static const struct {
    const char *name;
    _Atomic int64_t *value;
} remembered[] = {{"backup.succeeded", &night.succeeded_at}, {"backup.verified", &night.verified_at}};

static struct error remember(struct sql *db, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof remembered / sizeof remembered[0]; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%lld", (long long)*remembered[i].value);
        TRY(setting_set(db, 0, slice_of(remembered[i].name), slice_of(text)));
    }
    return OK;
}

static void recall(struct store *s)
{
    struct arena a;
    struct sql *db = store_reader(s);
    arena_init(&a, 65536);
    for (size_t i = 0; i < sizeof remembered / sizeof remembered[0]; i++) {
        struct slice text;
        uint64_t n;
        if (setting_get(db, 0, slice_of(remembered[i].name), &a, &text).code == ERROR_NONE && slice_number(text, INT64_MAX, &n))
            *remembered[i].value = (int64_t)n;
    }
    arena_free(&a);
    store_reader_return(&db);
}

/* --- the folder of backups */

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *at)
{
    (void)st;
    (void)what;
    (void)at;
    return remove(path);
}

static void remove_backup(const char *folder, const char *name)
{
    char path[PATH_MAX], part[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!strstr(name, ".part")) { /* half removed it must not look whole */
        (void)snprintf(part, sizeof part, "%s/%s.part", folder, name);
        if (rename(path, part) != 0)
            return;
        (void)snprintf(path, sizeof path, "%s", part);
    }
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        LOG_EVENT(LOG_WARN, "backup-not-removed", LOG_WORD("folder", path));
}

/* Names made by this file: 2026-11-25T030000Z, with or without .part. */
static bool is_ours(const char *name)
{
    static const char form[] = "dddd-dd-ddTddddddZ";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? !ascii_is_digit(name[i]) : name[i] != form[i])
            return false;
    return name[sizeof form - 1] == '\0' || strcmp(name + sizeof form - 1, ".part") == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whole backups, oldest first; removes what was cut off. */
static size_t list_backups(const char *folder, struct arena *a, char **names)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    for (struct dirent *e; d && n < BACKUPS_MAX && (e = readdir(d));) {
        if (!is_ours(e->d_name))
            continue;
        if (strstr(e->d_name, ".part"))
            remove_backup(folder, e->d_name);
        else if ((names[n] = arena_string(a, slice_of(e->d_name))))
            n++;
    }
    if (d)
        (void)closedir(d);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    return n;
}

/* --- one night */

static void verify(const struct config *c, const char *folder, struct arena *a)
{
    struct backup_facts facts;
    if (c->backup_verify == 0 || clock_now() - night.verified_at < c->backup_verify / 1000 - DAY_S / 2)
        return;
    struct error e = store_backup_verify(folder, a, &facts, &night.k->stopping);
    if (e.code == ERROR_NONE) {
        night.verified_at = clock_now();
        LOG_EVENT(LOG_INFO, "backup-verified", LOG_WORD("folder", folder), LOG_NUMBER("messages", facts.messages), LOG_NUMBER("bytes", facts.bytes));
    } else if (e.code != ERROR_CLOSED) {
        night.damaged_at = clock_now();
        LOG_EVENT(LOG_ERROR, "backup-damaged", LOG_WORD("folder", folder), LOG_FAILURE(e));
    }
}

static struct error make_one(const struct config *c, struct arena *a, char **final)
{
    char **names = arena_zero(a, BACKUPS_MAX, sizeof *names), stamp[32];
    struct tm t;
    time_t now = (time_t)clock_now();
    if (!names)
        return error_make(ERROR_MEMORY, "no memory for a backup");
    TRY(durable_folder(c->backup_folder, 0700));
    size_t n = list_backups(c->backup_folder, a, names);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H%M%SZ", gmtime_r(&now, &t));
    struct store_backup b = {.to = arena_printf(a, "%s/%s.part", c->backup_folder, stamp), .previous = n ? arena_printf(a, "%s/%s", c->backup_folder, names[n - 1]) : NULL, .stop = &night.k->stopping};
    *final = arena_printf(a, "%s/%s", c->backup_folder, stamp);
    if (!b.to || !*final)
        return error_make(ERROR_MEMORY, "no memory for a backup");
    struct error e = backup_run(&night.k->server, &b, a);
    if (e.code == ERROR_NONE && rename(b.to, *final) != 0)
        e = durable_error("the backup cannot be renamed");
    if (e.code == ERROR_NONE)
        e = durable_names(c->backup_folder);
    if (e.code != ERROR_NONE) {
        (void)nftw(b.to, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        return e;
    }
    LOG_EVENT(b.missing ? LOG_ERROR : LOG_INFO, "backup-made", LOG_WORD("folder", *final), LOG_NUMBER("messages", b.facts.messages), LOG_NUMBER("linked", b.linked), LOG_NUMBER("copied", b.copied),
              LOG_NUMBER("contents-missing", b.missing), LOG_NUMBER("files-unread", b.unread));
    for (size_t i = 0; i + (size_t)c->backup_keep <= n; i++)
        remove_backup(c->backup_folder, names[i]);
    return OK;
}

static void backup(const struct config *c)
{
    struct arena a;
    char *folder;
    arena_init(&a, ARENA_BYTES);
    night.tried_at = clock_now();
    struct error e = make_one(c, &a, &folder);
    if (e.code == ERROR_NONE) {
        night.succeeded_at = clock_now();
        verify(c, folder, &a);
        e = store_change(night.k->server.store, remember, NULL);
    }
    if (e.code != ERROR_NONE && e.code != ERROR_CLOSED) {
        night.failed_at = clock_now();
        LOG_EVENT(LOG_ERROR, "backup-failed", LOG_WORD("folder", c->backup_folder), LOG_FAILURE(e));
    }
    arena_free(&a);
}

/* The last instant at which the clock of this machine showed backup.at. */
static int64_t last_due(const char *at, int64_t now_at)
{
    struct tm t;
    time_t now = (time_t)now_at;
    (void)localtime_r(&now, &t);
    t.tm_hour = (at[0] - '0') * 10 + at[1] - '0'; /* checked by config_check */
    t.tm_min = (at[3] - '0') * 10 + at[4] - '0';
    t.tm_sec = 0;
    t.tm_isdst = -1;
    int64_t today = mktime(&t);
    return today <= now_at ? today : today - DAY_S;
}

static void look_at_disk(const struct config *c)
{
    struct statvfs v;
    if (c->disk_alarm == 0 || statvfs(c->data_dir, &v) != 0)
        return;
    int64_t left = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    int low = left < c->disk_alarm;
    if (low && !night.disk_is_low)
        LOG_EVENT(LOG_ERROR, "disk-nearly-full", LOG_WORD("folder", c->data_dir), LOG_NUMBER("free", left), LOG_NUMBER("store.disk_alarm", c->disk_alarm),
                  LOG_WORD("why", "when nothing is left, mail is refused with temporary errors until space returns"));
    else if (!low && night.disk_is_low)
        LOG_EVENT(LOG_WARN, "disk-has-room-again", LOG_WORD("folder", c->data_dir), LOG_NUMBER("free", left));
    night.disk_is_low = low;
}

static void every_minute(void *arg)
{
    struct kantord *k = arg;
    const struct config *c = k->server.config;
    int64_t now = clock_now();
    if (atomic_exchange(&night.looking, 1)) /* the look at the start still makes a backup */
        return;
    look_at_disk(c);
    int64_t due = c->backup_folder[0] ? last_due(c->backup_at, now) : 0;
    if (due && night.succeeded_at < due && night.tried_at < due)
        backup(c);
    night.looking = 0;
}

static void collect(void *arg)
{
    struct kantord *k = arg;
    int64_t purged;
    struct error e = account_purge(k->server.store, 0, &purged);
    if (e.code == ERROR_NONE)
        e = store_collect_garbage(k->server.store);
    const struct config *c = k->server.config;
    if (e.code == ERROR_NONE)
        e = trace_sweep(k->server.store, clock_now() - c->trace_keep / 1000);
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "garbage-not-collected", LOG_FAILURE(e));
}

/* --- metrics */

static int64_t read_value(void *arg)
{
    return *(_Atomic int64_t *)arg;
}

static int64_t read_wal(void *arg)
{
    char path[PATH_MAX];
    struct stat st;
    const struct kantord *k = arg;
    (void)snprintf(path, sizeof path, "%s/kantor.db-wal", k->config.data_dir);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

void nightly_gauges(struct kantord *k)
{
    metric_gauge("backup_last_success_timestamp_seconds", "", "when the last nightly backup was finished; 0: never", read_value, &night.succeeded_at);
    metric_gauge("backup_last_failure_timestamp_seconds", "", "when a nightly backup failed last, since the start; 0: never", read_value, &night.failed_at);
    metric_gauge("backup_last_verified_timestamp_seconds", "", "when a nightly backup was last read whole and found right; 0: never", read_value, &night.verified_at);
    metric_gauge("backup_last_damaged_timestamp_seconds", "", "when a nightly backup was last found damaged, since the start; 0: never", read_value, &night.damaged_at);
    metric_gauge("store_log_bytes", "", "size of the database's write-ahead log", read_wal, k);
}

struct error nightly_start(struct kantord *k)
{
    night.k = k;
    recall(k->server.store);
    TRY(net_submit(k->server.net, every_minute, k)); /* a server that was down at the hour makes up for it */
    TRY(net_timer(k->server.net, MINUTE_MS, every_minute, k));
    return net_timer(k->server.net, SIX_HOURS_MS, collect, k);
}
