/* mail/delivery/deliver.c -- recipients to mailboxes and queue, in one change */
#include "mail/delivery/deliver.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/queue/queue.h"

enum { LIFETIME_S = 5 * 86400 }; /* until the sending side reads queue.lifetime */

struct delivering {
    struct delivery *d;
    struct arena *arena;
    int64_t blob;
    int64_t *done; /* INBOXes that have it: a person named twice, or by two groups, gets one */
    size_t n_done, room;
    struct queue_rcpt *queued;
    size_t n_queued, room_queued;
    uint64_t delivered;
};

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for delivery")

static struct error put(struct sql *db, struct delivering *x, int64_t account)
{
    for (size_t i = 0; i < x->n_done; i++)
        if (x->done[i] == account)
            return OK;
    if (x->n_done == x->room) {
        size_t room = x->room ? x->room * 2 : 16;
        x->done = arena_grow(x->arena, x->done, x->room * sizeof *x->done, room * sizeof *x->done);
        x->room = room;
        if (!x->done)
            return NO_MEMORY;
    }
    struct collection inbox;
    uint32_t uid;
    int64_t modseq;
    TRY(collection_find_role(db, account, COLLECTION_MAILBOX, ROLE_INBOX, x->arena, &inbox));
    struct item_new item = {.blob = x->blob, .size = x->d->message->put.size, .received = clock_now()};
    TRY(item_add(db, (struct actor){0, 0}, inbox.id, &item, &uid, &modseq));
    x->done[x->n_done++] = account;
    x->delivered++;
    return OK;
}

static struct error enqueue(struct delivering *x, struct slice address, const struct delivery_rcpt *r)
{
    if (x->n_queued == x->room_queued) {
        size_t room = x->room_queued ? x->room_queued * 2 : 8;
        x->queued = arena_grow(x->arena, x->queued, x->room_queued * sizeof *x->queued, room * sizeof *x->queued);
        x->room_queued = room;
        if (!x->queued)
            return NO_MEMORY;
    }
    size_t at = address.n;
    while (at && address.p[at - 1] != '@')
        at--;
    x->queued[x->n_queued++] = (struct queue_rcpt){.address = address, .dest = slice_after(address, at), .orcpt = r->orcpt, .notify = r->notify, .due = clock_now()};
    return OK;
}

static bool is_hard(struct error e)
{
    return e.code == ERROR_IO || e.code == ERROR_FULL || e.code == ERROR_MEMORY || e.code == ERROR_CORRUPT || e.code == ERROR_BUSY || e.code == ERROR_LIMIT;
}

/* One recipient. A quota that is used up refuses a person; of a group it skips that member, as the others must not suffer. */
static struct error deliver_one(struct sql *db, struct delivering *x, struct delivery_rcpt *r)
{
    struct resolved to;
    struct error e = address_resolve(db, &r->address, x->arena, &to);
    if (e.code == ERROR_UNSUPPORTED && x->d->submitter) {
        char *text = address_text(&r->address, x->arena);
        return text ? enqueue(x, slice_of(text), r) : NO_MEMORY;
    }
    TRY(e);
    struct error refused = OK;
    size_t got = 0;
    for (size_t i = 0; i < to.n_accounts; i++) {
        e = put(db, x, to.accounts[i]);
        if (is_hard(e))
            return e;
        if (e.code != ERROR_NONE)
            refused = e;
        else
            got++;
    }
    for (size_t i = 0; i < to.n_foreign; i++, got++)
        TRY(enqueue(x, to.foreign[i], r));
    return got ? OK : refused;
}

static struct error deliver_change(struct sql *db, void *arg)
{
    struct delivering *x = arg;
    int64_t id;
    x->n_done = x->n_queued = 0; /* it may run again */
    x->delivered = 0;
    TRY(message_enter(db, x->d->message, &x->blob));
    for (size_t i = 0; i < x->d->n_rcpts; i++) {
        x->d->rcpts[i].result = deliver_one(db, x, &x->d->rcpts[i]);
        if (is_hard(x->d->rcpts[i].result))
            return x->d->rcpts[i].result;
    }
    if (x->n_queued == 0)
        return OK;
    struct queue_entry entry = {.blob = x->blob, .account = x->d->submitter, .sender = x->d->sender, .envid = x->d->envid, .job = slice_of(x->d->job), .flags = x->d->flags, .created = clock_now(),
                                .expires = clock_now() + LIFETIME_S, .rcpts = x->queued, .n_rcpts = x->n_queued};
    return queue_enter(db, &entry, &id);
}

static void tell(const struct delivery *d, struct arena *a)
{
    for (size_t i = 0; i < d->n_rcpts; i++) {
        const struct delivery_rcpt *r = &d->rcpts[i];
        const char *to = address_text(&r->address, a);
        if (r->result.code == ERROR_NONE) {
            LOG_EVENT(LOG_INFO, "delivered", LOG_ID(d->job), LOG_WORD("to", to), LOG_NUMBER("size", d->message->put.size));
        } else {
            metric_add(METRIC_MAIL_REFUSED, 1);
            LOG_EVENT(LOG_WARN, "refused", LOG_ID(d->job), LOG_WORD("to", to), LOG_FAILURE(r->result));
        }
    }
}

struct error delivery_check(struct sql *db, const struct address *address, int64_t size, struct arena *a)
{
    struct resolved to;
    TRY(address_resolve(db, address, a, &to));
    if (to.n_accounts == 0 && to.n_foreign == 0)
        return error_make(ERROR_DENIED, "nobody receives mail for this address");
    for (size_t i = 0; i < to.n_accounts; i++) {
        struct account account;
        TRY(account_get(db, to.accounts[i], a, &account));
        if (account.quota == 0 || account.used + size <= account.quota)
            return OK; /* somebody has room */
    }
    return to.n_foreign ? OK : error_make(ERROR_QUOTA, "the mailbox is full");
}

struct error delivery_run(struct store *s, struct delivery *d, struct arena *a)
{
    struct delivering x = {.d = d, .arena = a};
    TRY(store_change(s, deliver_change, &x));
    metric_add(METRIC_MAIL_DELIVERED, x.delivered);
    if (x.n_queued) {
        metric_add(METRIC_MAIL_QUEUED, 1);
        LOG_EVENT(LOG_INFO, "queued", LOG_ID(d->job), LOG_NUMBER("recipients", x.n_queued));
    }
    tell(d, a);
    return OK;
}
