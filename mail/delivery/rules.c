/* mail/delivery/rules.c -- which rules act on a delivery, and the parts that they make of it */
#include "mail/delivery/rules.h"

#include <pthread.h>

#include "core/cleanup.h"
#include "mail/delivery/content.h"
#include "mail/mime/header.h"
#include "mail/mime/words.h"

enum { KEEP_BYTES = 16 * 1024 * 1024, PARTS_MAX = 64 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for rules")

/* --- rules as they are kept */

static struct {
    pthread_rwlock_t lock;
    bool loaded; /* under lock, with all below */
    struct arena arena;
    struct rule *all;
    size_t n;
} kept = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static void leave(pthread_rwlock_t **lock)
{
    (void)pthread_rwlock_unlock(*lock);
}

void rules_changed(void)
{
    (void)pthread_rwlock_wrlock(&kept.lock);
    kept.loaded = false;
    (void)pthread_rwlock_unlock(&kept.lock);
}

static struct error load(struct sql *db)
{
    struct error e = OK;
    (void)pthread_rwlock_wrlock(&kept.lock);
    if (!kept.loaded) {
        arena_free(&kept.arena);
        arena_init(&kept.arena, KEEP_BYTES);
        e = rule_list(db, 0, &kept.arena, &kept.all, &kept.n);
        kept.loaded = e.code == ERROR_NONE;
    }
    (void)pthread_rwlock_unlock(&kept.lock);
    return e;
}

/* --- what is asked of a message */

struct asking {
    const struct delivery *d;
    struct arena *arena;
    struct slice bytes, head;
    int64_t from_domain; /* of ours, of a sender that logged in; 0: he comes from outside */
};

struct verdict {
    struct slice fields, disclaimer, redirect, reject; /* p NULL: none */
    const char *variant;                               /* which content rules: recipients with the same text share a message */
};

/* ASCII case does not count; `*` is any number of characters. Linear but for a step back to the last star. */
static bool matches(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.n && ascii_lower(pattern.p[p]) == ascii_lower(text.p[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool contains(struct slice text, struct slice wanted)
{
    for (size_t i = 0; i + wanted.n <= text.n; i++)
        if (slice_eq_nocase(slice_make(text.p + i, wanted.n), wanted))
            return true;
    return false;
}

static bool has_header(const struct asking *x, const struct rule *r)
{
    struct header_field f;
    struct slice head = x->head;
    while (header_next(&head, &f)) {
        struct buffer text = {0};
        if (!slice_eq_nocase(f.name, r->header_name))
            continue;
        words_decode(header_unfold(slice_first(f.value, 8192), x->arena), &text);
        bool has = contains(buffer_slice(&text), r->header_text);
        buffer_free(&text);
        if (has)
            return true;
    }
    return false;
}

/* A part that its sender calls an attachment, or one that no program shows (a signature is none). */
static bool has_attachment(const struct delivery *d)
{
    struct slice s = d->message->index.bodystructure;
    if (contains(s, SLICE("(\"attachment\"")))
        return true;
    for (size_t i = 0; i + 16 < s.n; i++)
        if (slice_starts_nocase(slice_after(s, i), SLICE("(\"application\" \"")) && !slice_starts_nocase(slice_after(s, i + 16), SLICE("pkcs7")) && !slice_starts_nocase(slice_after(s, i + 16), SLICE("pgp")))
            return true;
    return false;
}

static bool fits(const struct asking *x, const struct rule *r, const struct delivery_rcpt *to, int64_t to_domain)
{
    enum rule_direction direction = !x->from_domain ? RULE_IN : to_domain ? RULE_INSIDE : RULE_OUT;
    if (r->domain != (direction == RULE_IN ? to_domain : x->from_domain) || (r->direction != RULE_ANY && r->direction != direction))
        return false;
    return (!r->sender.p || matches(r->sender, x->d->sender)) && (!r->recipient.p || matches(r->recipient, to->text)) && (!r->larger || x->d->message->put.size > r->larger) &&
           (!r->attachment || has_attachment(x->d)) && (!r->header_name.p || has_header(x, r));
}

static struct error join(struct arena *a, struct slice *to, struct slice more, const char *between)
{
    char *text = arena_printf(a, "%.*s%s%.*s", SLICE_ARG(*to), to->n ? between : "", SLICE_ARG(more));
    *to = slice_of(text);
    return text ? OK : NO_MEMORY;
}

static struct error act(const struct asking *x, const struct rule *r, const struct delivery_rcpt *to, struct verdict *v, struct trace *t)
{
    if (r->add_header.p) {
        char *line = arena_printf(x->arena, "%.*s\r\n", SLICE_ARG(r->add_header));
        TRY(line ? join(x->arena, &v->fields, slice_of(line), "") : NO_MEMORY);
    }
    if (r->disclaimer.p)
        TRY(join(x->arena, &v->disclaimer, r->disclaimer, "\n\n"));
    if (r->add_header.p || r->disclaimer.p)
        v->variant = arena_printf(x->arena, "%s,%lld", v->variant, (long long)r->id);
    if (r->redirect.p && !v->redirect.p)
        v->redirect = arena_copy(x->arena, r->redirect);
    if (r->reject.p && !v->reject.p)
        v->reject = arena_copy(x->arena, r->reject);
    trace_addf(t, TRACE_FILTERED, to->text, "rule %.*s:%s%s%s%s%s%.*s", SLICE_ARG(r->name), r->add_header.p ? " adds a field" : "", r->disclaimer.p ? " adds the disclaimer" : "", r->reject.p ? " rejects" : "",
               r->journal.p ? " journal" : "", r->redirect.p ? " redirects to " : r->stop ? " stop" : "", r->redirect.p ? (int)r->redirect.n : 0, r->redirect.p ? r->redirect.p : "");
    return v->variant ? OK : NO_MEMORY;
}

/* --- the domain of an address, when it is ours */

static struct error own_domain(struct sql *db, const struct address *x, struct arena *a, int64_t *id)
{
    struct domain d;
    struct error e = x->domain.n ? domain_find(db, x->domain, a, &d) : error_make(ERROR_NOT_FOUND, "");
    *id = e.code == ERROR_NONE ? d.id : 0;
    return e.code == ERROR_NOT_FOUND ? OK : e;
}

static struct error sender_domain(struct sql *db, struct asking *x)
{
    struct address sender;
    struct account account;
    x->from_domain = 0;
    if (!x->d->submitter)
        return OK;
    if (x->d->sender.n && address_parse(x->d->sender, x->arena, &sender).code == ERROR_NONE)
        TRY(own_domain(db, &sender, x->arena, &x->from_domain));
    if (x->from_domain)
        return OK;
    TRY(account_get(db, x->d->submitter, x->arena, &account));
    x->from_domain = account.domain;
    return OK;
}

/* --- parts */

struct making {
    struct store *store;
    struct asking asking;
    struct verdict *verdicts; /* of each recipient */
    struct slice journals[PARTS_MAX];
    const char *journal_from[PARTS_MAX];
    size_t n_journals;
    bool acts;
};

static void note_journal(struct making *m, const struct rule *r, const struct domain *d)
{
    if (!r->journal.p || m->n_journals == PARTS_MAX)
        return;
    for (size_t i = 0; i < m->n_journals; i++)
        if (slice_eq(m->journals[i], r->journal))
            return;
    m->journals[m->n_journals] = arena_copy(m->asking.arena, r->journal);
    m->journal_from[m->n_journals] = arena_printf(m->asking.arena, "postmaster@%.*s", SLICE_ARG(d->name));
    if (m->journals[m->n_journals].p && m->journal_from[m->n_journals])
        m->n_journals++;
}

static struct error domain_of_rule(struct sql *db, int64_t id, struct arena *a, struct domain *out)
{
    struct domain *all;
    size_t n;
    TRY(domain_list(db, a, &all, &n));
    for (size_t i = 0; i < n; i++) {
        if (all[i].id == id) {
            *out = all[i];
            return OK;
        }
    }
    return error_make(ERROR_NOT_FOUND, "no such domain");
}

/* With the lock: rules may change behind it, so what is kept is copied. */
static struct error judge_one(struct making *m, struct sql *db, const struct delivery_rcpt *to, struct verdict *v, struct trace *t)
{
    int64_t domain;
    TRY(own_domain(db, &to->address, m->asking.arena, &domain));
    for (size_t i = 0; i < kept.n; i++) {
        const struct rule *r = &kept.all[i];
        struct domain of;
        if (!fits(&m->asking, r, to, domain))
            continue;
        m->acts = true;
        TRY(act(&m->asking, r, to, v, t));
        if (r->journal.p && domain_of_rule(db, r->domain, m->asking.arena, &of).code == ERROR_NONE)
            note_journal(m, r, &of);
        if (r->stop)
            break;
    }
    return OK;
}

static struct error judge(struct making *m, struct delivery *d, struct trace *t, bool *any)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(m->store);
    TRY(load(db));
    (void)pthread_rwlock_rdlock(&kept.lock);
    SCOPED(leave) pthread_rwlock_t *held = &kept.lock;
    *any = kept.n > 0;
    if (!*any)
        return OK;
    TRY(sender_domain(db, &m->asking));
    m->verdicts = arena_zero(m->asking.arena, d->n_rcpts + 1, sizeof *m->verdicts);
    if (!m->verdicts)
        return NO_MEMORY;
    for (size_t i = 0; i < d->n_rcpts; i++) {
        m->verdicts[i].variant = "";
        TRY(judge_one(m, db, &d->rcpts[i], &m->verdicts[i], t));
    }
    return OK;
}

/* One answer for all: whoever is refused refuses the message. */
static bool refuse(const struct making *m, struct delivery *d)
{
    size_t n = 0;
    struct error first = OK;
    for (size_t i = 0; i < d->n_rcpts; i++) {
        d->rcpts[i].result = OK;
        if (!m->verdicts[i].reject.p)
            continue;
        d->rcpts[i].result = error_make(ERROR_DENIED, m->verdicts[i].reject.p); /* a copy of the arena: it ends with a NUL */
        first = n++ ? first : d->rcpts[i].result;
    }
    for (size_t i = 0; n && d->results == DELIVERY_RESULT_ONE && i < d->n_rcpts; i++)
        d->rcpts[i].result = first;
    return n == d->n_rcpts || (n && d->results == DELIVERY_RESULT_ONE);
}

/* Like a forward of the recipient: his mark in front, his domain's sender. */
static struct error redirect(const struct verdict *v, const struct delivery_rcpt *of, struct delivery_rcpt *r, struct arena *a)
{
    if (!v->redirect.p)
        return OK;
    r->sent_on_for = of;
    TRY(address_parse(v->redirect, a, &r->address));
    r->text = v->redirect;
    r->orcpt = slice_make(NULL, 0);
    r->sent_on = true;
    return OK;
}

/* The recipients of one variant, from the first that has it. */
static struct error add_part(struct making *m, struct delivery *d, size_t first, struct ruled *out)
{
    struct arena *a = m->asking.arena;
    struct delivery *part = arena_alloc(a, sizeof *part);
    size_t *from = arena_alloc(a, (d->n_rcpts + 1) * sizeof *from);
    const struct verdict *v = &m->verdicts[first];
    if (!part || !from)
        return NO_MEMORY;
    *part = *d;
    part->n_rcpts = 0;
    part->rcpts = arena_alloc(a, (d->n_rcpts + 1) * sizeof *part->rcpts);
    if (!part->rcpts)
        return NO_MEMORY;
    for (size_t i = first; i < d->n_rcpts; i++) {
        if (m->verdicts[i].reject.p || strcmp(m->verdicts[i].variant, v->variant) != 0)
            continue;
        from[part->n_rcpts] = i;
        part->rcpts[part->n_rcpts] = d->rcpts[i];
        TRY(redirect(&m->verdicts[i], &d->rcpts[i], &part->rcpts[part->n_rcpts++], a));
    }
    if (v->variant[0]) {
        struct content_change change = {v->fields, v->disclaimer};
        struct message *made = arena_zero(a, 1, sizeof *made);
        if (!made)
            return NO_MEMORY;
        part->message = made;
        out->parts[out->n_parts] = part; /* also when it fails: its message is dropped */
        out->from[out->n_parts++] = from;
        return content_change(m->store, m->asking.bytes, &change, a, made);
    }
    out->parts[out->n_parts] = part;
    out->from[out->n_parts++] = from;
    return OK;
}

static bool is_first(const struct making *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!m->verdicts[k].reject.p && strcmp(m->verdicts[k].variant, m->verdicts[i].variant) == 0)
            return false;
    return true;
}

static struct error add_journal(struct making *m, struct delivery *d, size_t i, struct ruled *out)
{
    struct arena *a = m->asking.arena;
    struct delivery *part = arena_alloc(a, sizeof *part);
    struct delivery_rcpt *to = arena_zero(a, 1, sizeof *to);
    struct content_journal j = {.from = m->journal_from[i], .to = arena_string(a, m->journals[i]), .job = d->job, .sender = d->sender, .message_id = d->message_id, .rcpts = d->rcpts, .n_rcpts = d->n_rcpts};
    struct message *made = arena_zero(a, 1, sizeof *made);
    if (!part || !to || !made || !j.to)
        return NO_MEMORY;
    to->text = m->journals[i];
    to->orcpt = slice_make(NULL, 0);
    to->sent_on = true;
    TRY(address_parse(to->text, a, &to->address));
    *part = (struct delivery){.message = made, .sender = slice_of(j.from), .flags = DELIVERY_OWN, .lifetime_s = d->lifetime_s, .results = DELIVERY_RESULT_QUEUE, .rcpts = to, .n_rcpts = 1, .job = d->job, .message_id = d->message_id};
    out->parts[out->n_parts] = part;
    out->from[out->n_parts++] = NULL;
    return content_journal(m->store, m->asking.bytes, &j, a, made);
}

static struct error one_part(struct delivery *d, struct arena *a, struct ruled *out)
{
    out->parts = arena_alloc(a, sizeof *out->parts);
    out->from = arena_zero(a, 1, sizeof *out->from);
    if (!out->parts || !out->from)
        return NO_MEMORY;
    out->parts[0] = d;
    out->n_parts = out->n_first = 1;
    return OK;
}

static struct error make_parts(struct making *m, struct delivery *d, struct ruled *out)
{
    struct arena *a = m->asking.arena;
    out->parts = arena_alloc(a, (2 * PARTS_MAX) * sizeof *out->parts);
    out->from = arena_zero(a, 2 * PARTS_MAX, sizeof *out->from);
    if (!out->parts || !out->from)
        return NO_MEMORY;
    for (size_t i = 0; i < d->n_rcpts; i++) {
        if (m->verdicts[i].reject.p || !is_first(m, i))
            continue;
        if (out->n_parts == PARTS_MAX)
            return error_make(ERROR_LIMIT, "rules make too many variants of one message; send it to fewer at a time");
        TRY(add_part(m, d, i, out));
    }
    out->n_first = out->n_parts;
    for (size_t i = 0; i < m->n_journals; i++)
        TRY(add_journal(m, d, i, out));
    return OK;
}

struct error rules_apply(struct store *s, struct delivery *d, struct trace *t, struct arena *a, struct ruled *out)
{
    struct making m = {.store = s, .asking = {.d = d, .arena = a}};
    bool any = false;
    *out = (struct ruled){0};
    if (d->results == DELIVERY_RESULT_QUEUE || d->flags & DELIVERY_OWN) /* our own writing */
        return one_part(d, a, out);
    (void)pthread_rwlock_rdlock(&kept.lock);
    bool none = kept.loaded && kept.n == 0;
    (void)pthread_rwlock_unlock(&kept.lock);
    if (none)
        return one_part(d, a, out);
    TRY(blob_put_bytes(&d->message->put, &m.asking.bytes));
    m.asking.head = slice_first(m.asking.bytes, header_length(m.asking.bytes));
    TRY(judge(&m, d, t, &any));
    if (!any || !m.acts)
        return one_part(d, a, out);
    out->refused = refuse(&m, d);
    return out->refused ? OK : make_parts(&m, d, out);
}

void rules_done(struct ruled *r, const struct delivery *d)
{
    for (size_t i = 0; i < r->n_parts; i++)
        if (r->parts[i]->message != d->message)
            blob_put_drop(&r->parts[i]->message->put);
}
