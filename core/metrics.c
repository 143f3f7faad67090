/* core/metrics.c -- counters, gauges and histograms in Prometheus' text format */
#include "core/metrics.h"

#include <stdatomic.h>
#include <string.h>

enum { GAUGES_MAX = 64, BUCKETS = 14 };

static _Atomic uint64_t counters[METRIC_COUNT];

static const struct {
    const char *name, *labels, *help;
} rows[METRIC_COUNT] = {
#define METRIC_ROW(id, name, labels, help) {name, labels, help},
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};

static struct gauge {
    const char *name, *labels, *help;
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

/* Upper bounds in microseconds: from a fast disk's commit to what makes a person call. */
static const struct {
    int64_t us;
    const char *text;
} bounds[BUCKETS] = {{100, "0.0001"}, {250, "0.00025"}, {500, "0.0005"}, {1000, "0.001"}, {2500, "0.0025"}, {5000, "0.005"}, {10000, "0.01"},
                     {25000, "0.025"}, {50000, "0.05"}, {100000, "0.1"}, {250000, "0.25"}, {1000000, "1"}, {5000000, "5"}, {30000000, "30"}};

static struct {
    _Atomic uint64_t buckets[BUCKETS + 1]; /* each alone; the page adds them up. The last: above all bounds */
    _Atomic uint64_t sum_us;
} histograms[HISTOGRAM_COUNT];

static const struct {
    const char *name, *help;
} histogram_rows[HISTOGRAM_COUNT] = {
#define HISTOGRAM_ROW(id, name, help) {name, help},
    HISTOGRAMS(HISTOGRAM_ROW)
#undef HISTOGRAM_ROW
};

void metric_observe(enum histogram h, int64_t us)
{
    size_t i = 0;
    us = us > 0 ? us : 0;
    while (i < BUCKETS && us > bounds[i].us)
        i++;
    atomic_fetch_add_explicit(&histograms[h].buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histograms[h].sum_us, (uint64_t)us, memory_order_relaxed);
}

void metric_gauge(const char *name, const char *labels, const char *help, int64_t (*read)(void *), void *arg)
{
    if (n_gauges < GAUGES_MAX)
        gauges[n_gauges++] = (struct gauge){name, labels, help, read, arg};
}

static void write_head(const char *name, const char *help, const char *type, struct buffer *out)
{
    buffer_printf(out, "# HELP kantor_%s %s\n# TYPE kantor_%s %s\n", name, help, name, type);
}

static void write_value(const char *name, const char *labels, int64_t value, struct buffer *out)
{
    buffer_printf(out, labels[0] ? "kantor_%s{%s} %lld\n" : "kantor_%s%s %lld\n", name, labels, (long long)value);
}

static void write_histogram(size_t h, struct buffer *out)
{
    const char *name = histogram_rows[h].name;
    uint64_t below = 0, sum = atomic_load_explicit(&histograms[h].sum_us, memory_order_relaxed);
    write_head(name, histogram_rows[h].help, "histogram", out);
    for (size_t i = 0; i < BUCKETS; i++) {
        below += atomic_load_explicit(&histograms[h].buckets[i], memory_order_relaxed);
        buffer_printf(out, "kantor_%s_bucket{le=\"%s\"} %llu\n", name, bounds[i].text, (unsigned long long)below);
    }
    below += atomic_load_explicit(&histograms[h].buckets[BUCKETS], memory_order_relaxed);
    buffer_printf(out, "kantor_%s_bucket{le=\"+Inf\"} %llu\nkantor_%s_sum %llu.%06llu\nkantor_%s_count %llu\n", name, (unsigned long long)below, name, (unsigned long long)(sum / 1000000),
                  (unsigned long long)(sum % 1000000), name, (unsigned long long)below);
}

/* All lines of a name stand together (the format wants it): rows of the tables do, too. */
void metrics_write(struct buffer *out)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
            write_head(rows[i].name, rows[i].help, "counter", out);
        write_value(rows[i].name, rows[i].labels, (int64_t)metric_get((enum metric)i), out);
    }
    for (size_t h = 0; h < HISTOGRAM_COUNT; h++)
        write_histogram(h, out);
    for (size_t i = 0; i < n_gauges; i++) {
        if (i == 0 || strcmp(gauges[i].name, gauges[i - 1].name) != 0)
            write_head(gauges[i].name, gauges[i].help, "gauge", out);
        write_value(gauges[i].name, gauges[i].labels, gauges[i].read(gauges[i].arg), out);
    }
}
