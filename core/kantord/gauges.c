/* core/kantord/gauges.c -- numbers that are read when somebody asks: connections, workers, queue, disk, accounts'
 * logins */
#include <stdio.h>
#include <sys/statvfs.h>

#include "core/clock.h"
#include "core/kantord/internal.h"
#include "core/metrics.h"
#include "mail/queue/queue.h"

enum { SERVICES_MAX = 24 };

/* One for each service: lives as long as the process. */
static struct service_gauge {
    struct net *net;
    const char *name;
    char labels[40];
} service_gauges[SERVICES_MAX];

static int64_t started_at;

static int64_t read_service(void *arg)
{
    const struct service_gauge *g = arg;
    return net_service_count(g->net, g->name);
}

static int64_t read_workers(void *arg)
{
    const struct kantord *k = arg;
    return k->config.workers;
}

static int64_t read_busy(void *arg)
{
    return net_workers_busy(arg);
}

/* -1: it cannot be read now. */
static int64_t read_queue(void *arg)
{
    const struct kantord *k = arg;
    int64_t n = -1;
    struct sql *db = store_reader(k->server.store);
    if (queue_waiting(db, &n).code != ERROR_NONE)
        n = -1;
    store_reader_return(&db);
    return n;
}

static int64_t read_free(void *arg)
{
    const struct kantord *k = arg;
    struct statvfs s;
    return statvfs(k->config.data_dir, &s) == 0 ? (int64_t)((uint64_t)s.f_bavail * s.f_frsize) : -1;
}

static int64_t read_started(void *arg)
{
    (void)arg;
    return started_at;
}

void gauges_register(struct kantord *k)
{
    const char *name;
    started_at = clock_now();
    for (size_t i = 0; i < SERVICES_MAX && (name = services_name(i)); i++) {
        struct service_gauge *g = &service_gauges[i];
        *g = (struct service_gauge){.net = k->server.net, .name = name};
        (void)snprintf(g->labels, sizeof g->labels, "service=\"%s\"", name);
        metric_gauge("connections", g->labels, "live client connections", read_service, g);
    }
    metric_gauge("workers", "", "worker threads", read_workers, k);
    metric_gauge("workers_busy", "", "worker threads that run a command now", read_busy, k->server.net);
    metric_gauge("queue_recipients", "", "recipients that wait for other servers; -1: not known", read_queue, k);
    metric_gauge("disk_free_bytes", "", "bytes free for the data folder; -1: not known", read_free, k);
    metric_gauge("start_time_seconds", "", "when the server started, seconds since the epoch", read_started, k);
}
