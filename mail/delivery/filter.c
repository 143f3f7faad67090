/* mail/delivery/filter.c -- plans for the mailboxes of a delivery, and the messages that they need, made before the change */
#include "mail/delivery/filter.h"

#include <pthread.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "mail/delivery/filter_internal.h"
#include "mail/delivery/forward.h"
#include "mail/mime/header.h"

enum { CHUNK = 1024 * 1024, REFUSAL_MAX = 400 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a filter")

static struct {
    pthread_mutex_t lock; /* of options */
    struct filter_options options;
    void (*wake)(void *arg); /* set before threads start */
    void *arg;
} set = {.lock = PTHREAD_MUTEX_INITIALIZER, .options = {"localhost", 5 * FILTER_DAY, 1000}};

void filter_configure(const struct filter_options *o)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&set.lock);
    set.options = *o;
}

void filter_options_get(struct filter_options *out)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&set.lock);
    *out = set.options;
}

void filter_wake_by(void (*wake)(void *arg), void *arg)
{
    set.wake = wake;
    set.arg = arg;
}

void filter_wake(void)
{
    if (set.wake)
        set.wake(set.arg);
}

struct slice filter_head(const struct filter_plan *p)
{
    struct slice before = p->in->head.p ? p->in->head : SLICE("");
    const struct delivery_rcpt r = {.address = p->rcpt};
    return forward_head_after(before, &r, p->arena);
}

const struct filter_plan *filter_find(const struct filter *f, const struct delivery *d, int64_t account)
{
    for (const struct filter_plan *p = f ? f->first : NULL; p; p = p->next)
        if (p->in->d == d && p->owner.id == account)
            return p;
    return NULL;
}

void filter_drop(struct filter *f)
{
    for (struct filter_plan *p = f ? f->first : NULL; p; p = p->next) {
        for (size_t i = 0; i < p->n_acts; i++)
            if (p->acts[i].message)
                blob_put_drop(&p->acts[i].message->put);
        if (p->note)
            blob_put_drop(&p->note->put);
        for (size_t i = 0; i < SCRIPT_RUNNING_MAX; i++)
            compiled_return(&p->lent[i]);
    }
}

/* --- messages, without a reader */

static struct message *message_new(struct filter *f)
{
    struct message *m = arena_zero(f->arena, 1, sizeof *m);
    if (m)
        blob_put_begin(f->store, &m->put);
    return m;
}

static struct error message_done(struct filter *f, struct message *m)
{
    TRY(blob_put_end(&m->put));
    return message_prepare(m, f->arena);
}

static struct error copy_rest(struct filter *f, const struct filter_input *in, struct blob_put *put)
{
    struct arena scratch;
    struct error e = OK;
    int64_t at = (int64_t)in->bytes.n;
    arena_init(&scratch, 4 * CHUNK);
    while (e.code == ERROR_NONE && in->blob && at < in->d->message->put.size) {
        struct slice more;
        struct sql *db = store_reader(f->store);
        arena_reset(&scratch);
        e = blob_read(db, in->blob, at, CHUNK, &scratch, &more);
        store_reader_return(&db);
        if (e.code == ERROR_NONE && more.n == 0)
            e = error_make(ERROR_IO, "a message is shorter than it was");
        if (e.code == ERROR_NONE)
            e = blob_put_add(put, more);
        at += (int64_t)more.n;
    }
    arena_free(&scratch);
    return e;
}

/* The message with its head as the script edited it (RFC 5293). */
static struct error make_edited(struct filter *f, const struct filter_plan *p, struct filter_act *act)
{
    struct slice bytes = p->in->bytes;
    act->message = message_new(f);
    if (!act->message)
        return NO_MEMORY;
    TRY(blob_put_add(&act->message->put, act->a.head));
    TRY(blob_put_add(&act->message->put, slice_after(bytes, header_length(bytes))));
    TRY(copy_rest(f, p->in, &act->message->put));
    return message_done(f, act->message);
}

static struct error make_text(struct filter *f, struct buffer *text, struct message **out)
{
    struct message *m = *out = message_new(f);
    struct error e = !m || text->failed ? NO_MEMORY : blob_put_add(&m->put, buffer_slice(text));
    buffer_free(text);
    TRY(e);
    return message_done(f, m);
}

/* What a rejection says in the dialogue: one line of ASCII (RFC 5429 2.1.1). */
static struct slice refusal_of(struct slice text, struct arena *a)
{
    text = slice_first(slice_trim(text), REFUSAL_MAX);
    char *line = arena_string(a, text);
    for (size_t i = 0; line && i < text.n; i++) {
        if ((unsigned char)line[i] >= 0x7F)
            return SLICE("the recipient does not take this message");
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    }
    return line && text.n ? slice_of(line) : SLICE("the recipient does not take this message");
}

/* In the dialogue where one answer is one recipient's and nobody else got it by that address; else by mail, later. */
static struct error make_rejection(struct filter *f, struct filter_plan *p, struct filter_act *act)
{
    struct buffer text = {0};
    bool one = p->in->d->results == DELIVERY_RESULT_EACH || (p->in->d->results == DELIVERY_RESULT_ONE && p->in->d->n_rcpts == 1);
    if (p->in->refusing == FILTER_MAY_REFUSE && one && p->alone && p->n_acts == 1) {
        p->refusal = refusal_of(act->a.text, f->arena);
        return OK;
    }
    if (!answer_allowed(p, f->arena))
        return OK;
    reply_rejection(p, &act->a, f->arena, &text);
    return make_text(f, &text, &act->message);
}

static struct error make_messages(struct filter *f, struct filter_plan *p)
{
    struct buffer text = {0};
    for (size_t i = 0; i < p->n_acts; i++) {
        struct filter_act *act = &p->acts[i];
        if (act->a.kind == SIEVE_REJECT || act->a.kind == SIEVE_EREJECT) {
            TRY(make_rejection(f, p, act));
        } else if (act->a.kind == SIEVE_VACATION) {
            reply_vacation(p, &act->a, f->arena, &text);
            TRY(make_text(f, &text, &act->message));
            text = (struct buffer){0};
        } else if (act->a.head.p && act->a.kind != SIEVE_REMEMBER && act->a.kind != SIEVE_DISCARD) {
            TRY(make_edited(f, p, act));
        }
    }
    if (!p->fault.text)
        return OK;
    reply_fault(p, &text);
    return make_text(f, &text, &p->note);
}

/* --- plans, with a reader */

static struct error plan_account(struct sql *db, struct filter *f, const struct filter_input *in, const struct delivery_rcpt *r, int64_t account, bool alone)
{
    struct script rows[SCRIPT_RUNNING_MAX];
    size_t n;
    if (filter_find(f, in->d, account))
        return OK;
    TRY(script_running(db, account, rows, &n, f->arena));
    if (n == 0)
        return OK;
    struct filter_plan *p = arena_zero(f->arena, 1, sizeof *p);
    if (!p)
        return NO_MEMORY;
    *p = (struct filter_plan){.next = f->first, .in = in, .arena = f->arena, .rcpt = r->address, .own = address_text(&r->address, f->arena), .alone = alone};
    if (!p->own)
        return NO_MEMORY;
    TRY(account_get(db, account, f->arena, &p->owner));
    f->first = p; /* from here on filter_drop knows it */
    return filter_run(db, p, rows, n, f->arena);
}

static struct error plan_all(struct sql *db, struct filter *f, const struct filter_input *in, bool *any)
{
    TRY(script_any(db, any));
    for (size_t i = 0; *any && i < in->d->n_rcpts; i++) {
        const struct delivery_rcpt *r = &in->d->rcpts[i];
        struct resolved to;
        struct error e = address_resolve(db, &r->address, f->arena, &to);
        if (error_is_temporary(e))
            return e;
        bool alone = e.code == ERROR_NONE && to.n_accounts == 1 && to.n_foreign == 0 && to.n_lists == 0;
        for (size_t k = 0; e.code == ERROR_NONE && k < to.n_accounts; k++)
            TRY(plan_account(db, f, in, r, to.accounts[k], alone));
    }
    return OK;
}

struct error filter_prepare(struct store *s, const struct filter_input *in, struct arena *a, struct filter **filter)
{
    bool any;
    struct filter_input *kept = arena_alloc(a, sizeof *kept);
    struct filter *f = *filter ? *filter : arena_zero(a, 1, sizeof *f);
    if (!f || !kept)
        return NO_MEMORY;
    *kept = *in;
    f->store = s;
    f->arena = a;
    struct filter_plan *before = f->first;
    struct sql *db = store_reader(s);
    struct error e = plan_all(db, f, kept, &any);
    store_reader_return(&db);
    if (f->first)
        *filter = f;
    for (struct filter_plan *p = f->first; e.code == ERROR_NONE && p != before; p = p->next)
        e = make_messages(f, p);
    return e;
}
