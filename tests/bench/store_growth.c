/* tests/bench/store_growth.c -- does delivering and opening a mailbox cost more when the store is large?
 *
 *     store_growth FOLDER SMALL LARGE        e.g. store_growth /var/tmp/growth 10000 1000000
 *
 * Fills a store with small messages for 50 accounts (in large changes, not measured) to SMALL, measures, fills on to LARGE, measures again. Measured: durable
 * deliveries of 4 KB by 10 threads to all accounts (rate, and CPU seconds of the process for each), and what SELECT reads (CPU) of one mailbox that has
 * 1,000 messages both times. Alternating rounds are not possible here (a store only grows), so each measure is the best of five.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/store/item.h"
#include "mail/mailbox/index.h"

enum { ACCOUNTS = 50, THREADS = 10, A_CHANGE = 500, ROUNDS = 5, EACH = 300, SELECTS = 200, FIXED = 1000 };

static struct store *store;
static int64_t inboxes[ACCOUNTS + 1]; /* the last has FIXED messages */
static _Atomic int64_t serial;

static void must(struct error e, const char *what)
{
    if (e.code != ERROR_NONE) {
        (void)fprintf(stderr, "%s: %s\n", what, e.text ? e.text : error_word(e.code));
        exit(1);
    }
}

static struct error make_accounts(struct sql *db, void *arg)
{
    (void)arg;
    for (int i = 0; i <= ACCOUNTS; i++) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO account (id, kind, domain, name) VALUES ($1, 1, 1, 'x')");
        sql_bind_int(st, 1, i + 1);
        TRY(sql_run(st));
        TRY(collection_create(db, (struct actor){0, 0}, i + 1, COLLECTION_MAILBOX, 0, SLICE("INBOX"), ROLE_INBOX, &inboxes[i]));
    }
    return OK;
}

struct delivery_of_many {
    struct message messages[A_CHANGE];
    int64_t boxes[A_CHANGE];
    size_t n;
};

static struct error enter(struct sql *db, void *arg)
{
    struct delivery_of_many *d = arg;
    int64_t blob, modseq;
    uint32_t uid;
    for (size_t i = 0; i < d->n; i++) {
        TRY(message_enter(db, &d->messages[i], &blob));
        struct item_new item = {.blob = blob, .size = d->messages[i].put.size, .received = 1700000000};
        TRY(item_add(db, (struct actor){0, 0}, d->boxes[i], &item, &uid, &modseq));
    }
    return OK;
}

static void prepare(struct message *m, size_t body, struct arena *a)
{
    static const char filler[8192] = {[0 ... 8191] = 'x'};
    long long n = ++serial;
    char head[300];
    int length = snprintf(head, sizeof head, "From: someone%lld@elsewhere.example\r\nTo: x@kantor.example\r\nSubject: number %lld\r\nMessage-ID: <%lld@elsewhere.example>\r\nDate: Mon, 24 Nov 2025 10:00:00 +0700\r\n\r\n", n % 1000, n, n);
    blob_put_begin(store, &m->put);
    must(blob_put_add(&m->put, slice_make(head, (size_t)length)), "put");
    must(blob_put_add(&m->put, slice_make(filler, body)), "put");
    must(blob_put_end(&m->put), "put");
    must(message_prepare(m, a), "prepare");
}

static void deliver(struct delivery_of_many *d, size_t n, size_t body, const int64_t *boxes, size_t n_boxes)
{
    struct arena a;
    arena_init(&a, 256 * 1024 * 1024);
    d->n = n;
    for (size_t i = 0; i < n; i++) {
        prepare(&d->messages[i], body, &a);
        d->boxes[i] = boxes[(size_t)serial % n_boxes];
    }
    must(store_change(store, enter, d), "deliver");
    for (size_t i = 0; i < n; i++)
        blob_put_drop(&d->messages[i].put);
    arena_free(&a);
}

static void *deliver_some(void *arg)
{
    struct delivery_of_many *d = calloc(1, sizeof *d);
    for (int i = 0; d && i < EACH; i++)
        deliver(d, 1, 4000, inboxes, ACCOUNTS);
    free(d);
    return arg;
}

static double cpu(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void measure_delivery(double *rate, double *cpu_us)
{
    *rate = 0;
    *cpu_us = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        int64_t since = clock_us();
        double c = cpu();
        for (int i = 0; i < THREADS; i++)
            (void)pthread_create(&threads[i], NULL, deliver_some, NULL);
        for (int i = 0; i < THREADS; i++)
            (void)pthread_join(threads[i], NULL);
        double r = THREADS * EACH / ((double)(clock_us() - since) / 1e6), each = (cpu() - c) * 1e6 / (THREADS * EACH);
        *rate = r > *rate ? r : *rate;
        *cpu_us = each < *cpu_us ? each : *cpu_us;
    }
}

static double thread_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* What SELECT reads: the row, the numbering, the first unseen. */
static double measure_select(void)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double since = thread_us();
        for (int i = 0; i < SELECTS; i++) {
            struct arena a;
            struct collection c;
            struct uid_set uids = {0};
            uint32_t unseen;
            arena_init(&a, 65536);
            struct sql *db = store_reader(store);
            must(collection_get(db, inboxes[ACCOUNTS], &a, &c), "select");
            must(item_uids(db, c.id, &uids), "select");
            must(item_first_unseen(db, c.id, &unseen), "select");
            store_reader_return(&db);
            uid_set_free(&uids);
            arena_free(&a);
        }
        double each = (thread_us() - since) / SELECTS;
        best = each < best ? each : best;
    }
    return best;
}

static void grow(int64_t to)
{
    struct delivery_of_many *d = calloc(1, sizeof *d);
    int64_t since = clock_us();
    while (d && serial < to)
        deliver(d, to - serial < A_CHANGE ? (size_t)(to - serial) : A_CHANGE, 100, inboxes, ACCOUNTS);
    free(d);
    (void)printf("filled to %lld messages in %.0f s\n", (long long)serial, (double)(clock_us() - since) / 1e6);
}

static void report(const char *name)
{
    double rate, each;
    measure_delivery(&rate, &each);
    (void)printf("%-9s  %8.0f deliveries/s  %6.1f us CPU each  SELECT %6.1f us CPU\n", name, rate, each, measure_select());
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct store_options o = {.path = argc > 1 ? argv[1] : "", .readers = 2};
    if (argc != 4) {
        (void)fprintf(stderr, "store_growth FOLDER SMALL LARGE\n");
        return 2;
    }
    must(store_open(&o, &store), "open");
    must(store_change(store, make_accounts, NULL), "accounts");
    struct delivery_of_many *d = calloc(1, sizeof *d);
    deliver(d, A_CHANGE, 100, &inboxes[ACCOUNTS], 1);
    deliver(d, FIXED - A_CHANGE, 100, &inboxes[ACCOUNTS], 1);
    free(d);
    grow(atoll(argv[2]));
    report(argv[2]);
    grow(atoll(argv[3]));
    report(argv[3]);
    store_close(store);
    return 0;
}
