/* core/metrics.c -- counters and gauges in Prometheus' text format */
#include "core/metrics.h"

#include <stdatomic.h>

enum { GAUGES_MAX = 32 };

static _Atomic uint64_t counters[METRIC_COUNT];

static const struct {
    const char *name, *labels, *help;
} rows[METRIC_COUNT] = {
#define METRIC_ROW(id, name, labels, help) {name, labels, help},
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};

static struct gauge {
    const char *name, *help;
    int64_t (*read)(void *arg);
    void *arg;
} gauges[GAUGES_MAX];
static size_t n_gauges;

void metric_add(enum metric m, uint64_t n)
{
    atomic_fetch_add_explicit(&counters[m], n, memory_order_relaxed);
}

uint64_t metric_get(enum metric m)
{
    return atomic_load_explicit(&counters[m], memory_order_relaxed);
}

void metric_gauge(const char *name, const char *help, int64_t (*read)(void *), void *arg)
{
    if (n_gauges < GAUGES_MAX)
        gauges[n_gauges++] = (struct gauge){name, help, read, arg};
}

void metrics_write(struct buffer *out)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (i == 0 || !slice_eq(slice_of(rows[i].name), slice_of(rows[i - 1].name)))
            buffer_printf(out, "# HELP kantor_%s %s\n# TYPE kantor_%s counter\n", rows[i].name, rows[i].help, rows[i].name);
        buffer_printf(out, rows[i].labels[0] ? "kantor_%s{%s} %llu\n" : "kantor_%s%s %llu\n", rows[i].name, rows[i].labels, (unsigned long long)metric_get((enum metric)i));
    }
    for (size_t i = 0; i < n_gauges; i++)
        buffer_printf(out, "# HELP kantor_%s %s\n# TYPE kantor_%s gauge\nkantor_%s %lld\n", gauges[i].name, gauges[i].help, gauges[i].name, gauges[i].name, (long long)gauges[i].read(gauges[i].arg));
}
