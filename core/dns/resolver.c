/* core/dns/resolver.c -- one thread that asks libunbound (or the table), watches deadlines and calls back
 *
 * A set of questions (dns_asked) is counted by its owner and by each question that libunbound still has: libunbound's callbacks are never cancelled,
 * they find a set that nobody wants any more and let go of it. So a callback in flight never meets freed memory.
 */
#include "core/dns/resolver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/dns/internal.h"
#include "core/log.h"
#include "core/metrics.h"

enum { UNDER_WAY_MAX = 10000, ANCHOR_MAX = 64 * 1024, ANSWER_MAX = 512 * 1024, RECORDS_MAX = 1000 };

enum stage { STAGE_NEW, STAGE_ASKED, STAGE_CALLING, STAGE_OVER };

struct one {
    struct dns_asked *of;
    struct dns_question question;
    struct dns_answer answer;
    bool answered;
};

struct dns_asked {
    struct resolver *r;
    struct dns_asked *next, *prev;      /* in the resolver's list until it is freed */
    struct dns_asked *later, *earlier;  /* while it waits, by its deadline, which is that of its asking */
    struct dns_asked *behind;           /* in the row of those to begin, or of those to call */
    struct arena arena;
    struct one *all;
    size_t n, unanswered, holders; /* holders: the owner, the resolver while it waits, and each question under way */
    enum stage stage;
    bool forgotten;
    int64_t until_ms;
    void (*done)(void *arg);
    void *arg;
};

struct row {
    struct dns_asked *first, *last;
};

struct resolver {
    struct ub_ctx *unbound; /* or NULL: the table */
    struct table *table;
    int64_t timeout_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below and every set */
    pthread_cond_t called;
    struct dns_asked *first;
    struct row waiting, fresh, ready; /* each step looks at their heads only, however many are under way */
    size_t under_way;
    int wake_fd;
    bool started, stop;
};

static void wake(struct resolver *r)
{
    uint64_t one = 1;
    (void)!write(r->wake_fd, &one, sizeof one);
}

/* Under the lock. */
static void let_go(struct dns_asked *x)
{
    struct resolver *r = x->r;
    if (--x->holders)
        return;
    if (x->prev)
        x->prev->next = x->next;
    else
        r->first = x->next;
    if (x->next)
        x->next->prev = x->prev;
    r->under_way -= x->n;
    arena_free(&x->arena);
    free(x);
}

/* Rows, under the lock. */
static void row_add(struct row *row, struct dns_asked *x)
{
    x->behind = NULL;
    if (row->first)
        row->last->behind = x;
    else
        row->first = x;
    row->last = x;
}

static struct dns_asked *row_take(struct row *row)
{
    struct dns_asked *x = row->first;
    if (x)
        row->first = x->behind;
    return x;
}

static void wait_for(struct resolver *r, struct dns_asked *x)
{
    x->earlier = r->waiting.first ? r->waiting.last : NULL;
    if (x->earlier)
        x->earlier->later = x;
    else
        r->waiting.first = x;
    r->waiting.last = x;
}

static void wait_no_more(struct resolver *r, struct dns_asked *x)
{
    if (x->earlier)
        x->earlier->later = x->later;
    else
        r->waiting.first = x->later;
    if (x->later)
        x->later->earlier = x->earlier;
    else
        r->waiting.last = x->earlier;
}

static enum dns_status status_of(const struct ub_result *result)
{
    if (result->bogus) {
        LOG_EVENT(LOG_WARN, "dns-bogus", LOG_WORD("name", result->qname), LOG_NUMBER("type", result->qtype), LOG_WORD("why", result->why_bogus ? result->why_bogus : ""));
        return DNS_TEMPERROR;
    }
    if (result->nxdomain)
        return DNS_NXDOMAIN;
    if (result->rcode != 0)
        return DNS_TEMPERROR;
    return result->havedata ? DNS_FOUND : DNS_NODATA;
}

static void read_result(struct one *q, const struct ub_result *result)
{
    struct arena *a = &q->of->arena;
    size_t n = 0;
    q->answer.status = status_of(result);
    q->answer.secure = result->secure && q->answer.status != DNS_TEMPERROR;
    if (q->answer.status != DNS_FOUND)
        return;
    while (n < RECORDS_MAX && result->data[n])
        n++;
    struct dns_record *records = arena_zero(a, n ? n : 1, sizeof *records);
    q->answer.canonical = result->canonname ? arena_copy(a, dns_name_bare(slice_of(result->canonname))) : q->question.name;
    if (!records || !q->answer.canonical.p) {
        q->answer = (struct dns_answer){.status = DNS_TEMPERROR};
        return;
    }
    for (size_t i = 0; i < n; i++)
        q->answer.n += record_read(q->question.type, slice_make(result->data[i], (size_t)result->len[i]), a, &records[q->answer.n]);
    q->answer.records = records;
}

static void answered(struct one *q)
{
    struct dns_asked *x = q->of;
    q->answered = true;
    if (--x->unanswered == 0 && x->stage == STAGE_ASKED)
        row_add(&x->r->ready, x);
}

/* libunbound's, on our thread, out of ub_process. */
static void on_result(void *arg, int error, struct ub_result *result)
{
    struct one *q = arg;
    struct resolver *r = q->of->r;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    if (!q->answered) {
        if (error || !result)
            q->answer.status = DNS_TEMPERROR;
        else
            read_result(q, result);
        answered(q);
    }
    ub_resolve_free(result);
    let_go(q->of);
}

/* Names in the way libunbound reads them: every byte that could mean something else becomes \DDD. */
static struct error presentation(struct slice name, struct arena *a, const char **out)
{
    struct buffer b = {0};
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (ascii_is_alnum((char)c) || c == '-' || c == '_' || c == '.')
            buffer_add_char(&b, (char)c);
        else
            buffer_printf(&b, "\\%03u", c);
    }
    *out = b.failed ? NULL : arena_string(a, buffer_slice(&b));
    buffer_free(&b);
    return *out ? OK : error_make(ERROR_MEMORY, "no memory for a name");
}

/* Under the lock. */
static void ask_unbound(struct resolver *r, struct one *q)
{
    const char *name;
    int id;
    q->of->holders++;
    if (presentation(q->question.name, &q->of->arena, &name).code == ERROR_NONE && ub_resolve_async(r->unbound, name, (int)q->question.type, 1, q, on_result, &id) == 0)
        return;
    q->of->holders--;
    q->answer.status = DNS_TEMPERROR;
    answered(q);
}

static void ask_table(struct resolver *r, struct one *q)
{
    bool silent = false;
    q->answer = table_answer(r->table, &q->question, &q->of->arena, &silent);
    if (!silent)
        answered(q);
}

/* Under the lock. */
static void begin(struct resolver *r, struct dns_asked *x)
{
    x->stage = STAGE_ASKED;
    if (x->n == 0 || x->forgotten)
        row_add(&r->ready, x);
    for (size_t i = 0; i < x->n && !x->forgotten; i++) {
        struct one *q = &x->all[i];
        if (!dns_name_fits(q->question.name)) {
            q->answer.status = DNS_NXDOMAIN;
            answered(q);
        } else if (r->unbound) {
            ask_unbound(r, q);
        } else {
            ask_table(r, q);
        }
    }
}

/* Under the lock, which it leaves while it calls. */
static void call(struct resolver *r, struct dns_asked *x)
{
    wait_no_more(r, x);
    x->stage = STAGE_CALLING;
    metric_add(METRIC_DNS_QUESTIONS, x->n);
    for (size_t i = 0; i < x->n; i++) {
        if (!x->all[i].answered) {
            x->all[i].answer = (struct dns_answer){.status = DNS_TEMPERROR};
            answered(&x->all[i]);
        }
        metric_add(METRIC_DNS_FAILURES, x->all[i].answer.status == DNS_TEMPERROR);
    }
    if (!x->forgotten) {
        (void)pthread_mutex_unlock(&r->lock);
        x->done(x->arg);
        (void)pthread_mutex_lock(&r->lock);
    }
    x->stage = STAGE_OVER;
    (void)pthread_cond_broadcast(&r->called);
    let_go(x);
}

/* Begins what is new, calls what is over; milliseconds until the next deadline, -1: none. */
static int64_t look(struct resolver *r)
{
    int64_t now = clock_ms();
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    for (;;) {
        struct dns_asked *x = row_take(&r->fresh), *first = r->waiting.first;
        if (x)
            begin(r, x);
        else if ((x = row_take(&r->ready)))
            call(r, x);
        else if (first && now >= first->until_ms)
            call(r, first);
        else
            return first ? first->until_ms - now : -1;
    }
}

static void *resolver_main(void *arg)
{
    struct resolver *r = arg;
    (void)pthread_setname_np(pthread_self(), "kantor-dns");
    for (;;) {
        struct pollfd fds[2] = {{.fd = r->wake_fd, .events = POLLIN}, {.fd = r->unbound ? ub_fd(r->unbound) : -1, .events = POLLIN}};
        int64_t ms = look(r);
        uint64_t n;
        (void)pthread_mutex_lock(&r->lock);
        bool stop = r->stop;
        (void)pthread_mutex_unlock(&r->lock);
        if (stop)
            return NULL;
        (void)poll(fds, 2, ms < 0 ? -1 : ms > 60000 ? 60000 : (int)ms);
        if (fds[0].revents)
            (void)!read(r->wake_fd, &n, sizeof n);
        if (r->unbound && fds[1].revents)
            (void)ub_process(r->unbound);
    }
}

static struct error add_anchors(struct ub_ctx *unbound, const char *path, struct arena *a)
{
    char line[4096];
    int added = 0;
    FILE *f = path[0] ? fopen(path, "re") : NULL;
    if (path[0] && !f)
        return error_make(ERROR_IO, arena_printf(a, "dns.trust_anchor: cannot read %s (%m); install the package dns-root-data, or write dns.trust_anchor = with nothing behind it to live without DNSSEC", path));
    while (f && fgets(line, sizeof line, f)) {
        struct slice s = slice_trim(slice_of(line));
        if (s.n == 0 || s.p[0] == ';' || s.p[0] == '#')
            continue;
        added += ub_ctx_add_ta(unbound, arena_string(a, s)) == 0;
    }
    if (f)
        (void)fclose(f);
    return path[0] && !added ? error_make(ERROR_INVALID, arena_printf(a, "dns.trust_anchor: %s holds no DS or DNSKEY record", path)) : OK;
}

static struct error add_forwards(struct ub_ctx *unbound, const char *list, struct arena *a)
{
    struct slice rest = slice_of(list);
    while (rest.n) {
        struct slice word = slice_first(rest, slice_find(rest, ','));
        rest = slice_after(rest, word.n + 1);
        word = slice_trim(word);
        if (word.n && ub_ctx_set_fwd(unbound, arena_string(a, word)) != 0)
            return error_make(ERROR_INVALID, arena_printf(a, "dns.forward: %.*s is no address; write 192.0.2.53 or 192.0.2.53@5353", SLICE_ARG(word)));
    }
    return OK;
}

static struct error unbound_new(const struct resolver_options *o, struct arena *a, struct ub_ctx **out)
{
    struct ub_ctx *u = ub_ctx_create();
    if (!u)
        return error_make(ERROR_MEMORY, "no memory for the DNS");
    *out = u;
    static const char *const settings[][2] = {
        {"use-syslog:", "no"}, {"verbosity:", "0"}, {"do-not-query-localhost:", "no"}, {"num-threads:", "1"}, {"msg-cache-size:", "8m"}, {"rrset-cache-size:", "16m"},
        {"qname-minimisation:", "yes"}, {"harden-glue:", "yes"}, {"harden-dnssec-stripped:", "yes"}, {"use-caps-for-id:", "no"}, {"cache-max-negative-ttl:", "900"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        (void)ub_ctx_set_option(u, settings[i][0], settings[i][1]);
    (void)ub_ctx_debugout(u, NULL);
    if (ub_ctx_async(u, 1) != 0)
        return error_make(ERROR_IO, "the DNS library cannot run in a thread");
    TRY(add_forwards(u, o->forward, a));
    return add_anchors(u, o->trust_anchor, a);
}

struct error resolver_new(const struct resolver_options *o, struct arena *a, struct resolver **out)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (!r)
        return error_make(ERROR_MEMORY, "no memory for the DNS");
    *out = r;
    r->timeout_ms = o->timeout_ms;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->called, NULL);
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (r->wake_fd < 0)
        return error_make(ERROR_IO, "no descriptor for the DNS");
    if (!o->table[0])
        return unbound_new(o, a, &r->unbound);
    r->table = table_new(o->table);
    return r->table ? OK : error_make(ERROR_MEMORY, "no memory for the DNS");
}

struct error resolver_start(struct resolver *r)
{
    if (pthread_create(&r->thread, NULL, resolver_main, r) != 0)
        return error_make(ERROR_MEMORY, "cannot start the thread of the DNS");
    r->started = true;
    return OK;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    (void)pthread_mutex_lock(&r->lock);
    r->stop = true;
    (void)pthread_mutex_unlock(&r->lock);
    wake(r);
    if (r->started)
        (void)pthread_join(r->thread, NULL);
    if (r->unbound)
        ub_ctx_delete(r->unbound); /* behind it no callback comes */
    while (r->first) {
        r->first->holders = 1;
        let_go(r->first);
    }
    table_free(r->table);
    if (r->wake_fd >= 0)
        (void)close(r->wake_fd);
    (void)pthread_cond_destroy(&r->called);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

static struct error copy_questions(struct dns_asked *x, const struct dns_question *questions, size_t n)
{
    x->all = arena_zero(&x->arena, n, sizeof *x->all);
    if (!x->all)
        return error_make(ERROR_MEMORY, "no memory for questions");
    for (size_t i = 0; i < n; i++) {
        struct slice name = arena_copy(&x->arena, dns_name_bare(questions[i].name));
        if (!name.p)
            return error_make(ERROR_MEMORY, "no memory for questions");
        x->all[i] = (struct one){.of = x, .question = {questions[i].type, name}};
    }
    return OK;
}

struct dns_asked *resolver_ask(struct resolver *r, const struct dns_question *questions, size_t n, void (*done)(void *arg), void *arg)
{
    struct dns_asked *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    *x = (struct dns_asked){.r = r, .n = n, .unanswered = n, .holders = 2, .done = done, .arg = arg};
    arena_init(&x->arena, ANSWER_MAX * (n ? n : 1));
    if (copy_questions(x, questions, n).code != ERROR_NONE) {
        arena_free(&x->arena);
        free(x);
        return NULL;
    }
    (void)pthread_mutex_lock(&r->lock);
    bool fits = r->under_way + n <= UNDER_WAY_MAX && !r->stop;
    if (fits) {
        r->under_way += n;
        x->next = r->first;
        if (r->first)
            r->first->prev = x;
        r->first = x;
        x->until_ms = clock_ms() + r->timeout_ms;
        wait_for(r, x);
        row_add(&r->fresh, x);
    }
    (void)pthread_mutex_unlock(&r->lock);
    if (!fits) {
        arena_free(&x->arena);
        free(x);
        return NULL;
    }
    wake(r);
    return x;
}

const struct dns_answer *resolver_answer(const struct dns_asked *asked, size_t i)
{
    return &asked->all[i].answer;
}

void resolver_forget(struct dns_asked *x)
{
    if (!x)
        return;
    struct resolver *r = x->r;
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&r->lock);
    (void)held;
    x->forgotten = true;
    while (x->stage == STAGE_CALLING && !pthread_equal(pthread_self(), r->thread))
        (void)pthread_cond_wait(&r->called, &r->lock);
    let_go(x);
}
