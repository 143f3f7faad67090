/* mail/delivery/deliver.c -- recipients to mailboxes and queue, in one change */
#include "mail/delivery/deliver.h"

#include <stdatomic.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/delivery/filter.h"
#include "mail/delivery/forward.h"
#include "mail/delivery/report.h"
#include "mail/delivery/list.h"
#include "mail/delivery/rules.h"
#include "mail/delivery/sender.h"
#include "mail/mime/header.h"
#include "mail/queue/queue.h"
#include "mail/trace/trace.h"

enum { RETRY_S = 15 * 60, SIGHT = 1024 * 1024 }; /* a mailbox that was full is tried again then, later by the plan of the queue; what scripts see of a message that waited */

struct delivering {
    struct delivery *d;     /* the part that is being delivered */
    struct delivery *whole; /* what was handed in */
    struct ruled ruled;     /* its parts */
    struct trace rules_trace;
    size_t all_queued;
    struct arena *arena;   /* what lives until the change is over */
    struct arena scratch;  /* of one recipient */
    int64_t blob;
    int64_t *done; /* INBOXes that have it, as a table of ids, at most half full: a person named twice, or by two groups, gets one */
    size_t n_done, room;
    struct queue_rcpt *queued;
    const struct delivery_rcpt **leaves_for; /* beside each: on whose behalf it leaves; NULL: for itself */
    size_t n_queued, room_queued;
    uint32_t *places; /* finds a queued address, as its number + 1: 2 * room_queued of them */
    struct copy {
        struct slice account, mailbox;
        uint32_t uid;
    } *copies; /* what was put where: for the log */
    size_t room_copies;
    uint64_t delivered; /* of them */
    struct slice *marks; /* Delivered-To of the message */
    size_t n_marks;
    bool automatic; /* an answer of a program */
    bool posted;    /* a list has to work */
    struct trace trace;
    struct filter *filter; /* what scripts want */
    bool filter_queued;    /* they sent something */
};

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for delivery")

/* The place of an account in the table: it holds 0 or that account. */
static int64_t *place_of(struct delivering *x, int64_t account)
{
    size_t i = (size_t)((uint64_t)account * 0x9E3779B97F4A7C15U >> 20) & (x->room - 1);
    while (x->done[i] && x->done[i] != account)
        i = (i + 1) & (x->room - 1);
    return &x->done[i];
}

static struct error make_room(struct delivering *x)
{
    if (2 * x->n_done < x->room)
        return OK;
    struct delivering old = *x;
    x->room = old.room ? old.room * 2 : 32;
    x->done = arena_zero(x->arena, x->room, sizeof *x->done);
    if (!x->done)
        return NO_MEMORY;
    for (size_t i = 0; i < old.room; i++)
        if (old.done[i])
            *place_of(x, old.done[i]) = old.done[i];
    return OK;
}

static struct error account_name(struct sql *db, int64_t account, struct arena *a, struct slice *name)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT name FROM account WHERE id = $1");
    sql_bind_int(st, 1, account);
    *name = sql_row(st) ? arena_copy(a, sql_text(st, 0)) : SLICE("");
    TRY(sql_result(st));
    return name->p ? OK : NO_MEMORY;
}

static struct error note_copy(struct sql *db, struct delivering *x, int64_t account, struct slice mailbox, uint32_t uid)
{
    if (x->delivered == x->room_copies) {
        size_t room = x->room_copies ? x->room_copies * 2 : 8;
        x->copies = arena_grow(x->arena, x->copies, x->room_copies * sizeof *x->copies, room * sizeof *x->copies);
        x->room_copies = x->copies ? room : 0;
        if (!x->copies)
            return NO_MEMORY;
    }
    struct copy *c = &x->copies[x->delivered++];
    c->uid = uid;
    c->mailbox = slice_eq(mailbox, SLICE("INBOX")) ? SLICE("INBOX") : arena_copy(x->arena, mailbox);
    return account_name(db, account, x->arena, &c->account);
}

/* INBOX by its key, since RENAME leaves an INBOX (RFC 9051 6.3.6); Junk by its role: without one the message is not hidden. */
static struct error find_target(struct sql *db, struct delivering *x, int64_t account, struct collection *out)
{
    if (x->d->junk) {
        struct error e = collection_find_role(db, account, COLLECTION_MAILBOX, ROLE_JUNK, &x->scratch, out);
        if (e.code != ERROR_NOT_FOUND)
            return e;
    }
    return collection_find(db, account, COLLECTION_MAILBOX, 0, SLICE("INBOX"), &x->scratch, out);
}

/* As the scripts of its owner want it (filter.h). */
static struct error put_filtered(struct sql *db, struct delivering *x, int64_t account, const struct delivery_rcpt *r, const struct filter_plan *plan)
{
    struct filter_doing doing = {.blob = x->blob, .r = r, .trace = &x->trace, .arena = x->arena};
    TRY(filter_apply(db, plan, &doing));
    x->filter_queued |= doing.queued;
    for (size_t i = 0; i < doing.n_stored; i++)
        TRY(note_copy(db, x, account, doing.stored[i].mailbox, doing.stored[i].uid));
    *place_of(x, account) = account;
    x->n_done++;
    return OK;
}

static struct error put(struct sql *db, struct delivering *x, int64_t account, const struct delivery_rcpt *r)
{
    TRY(make_room(x));
    if (*place_of(x, account))
        return OK;
    const struct filter_plan *plan = filter_find(x->filter, x->d, account);
    if (plan)
        return put_filtered(db, x, account, r, plan);
    struct collection inbox;
    uint32_t uid;
    int64_t modseq;
    TRY(find_target(db, x, account, &inbox));
    struct item_new item = {.account = account, .blob = x->blob, .size = x->d->message->put.size, .received = clock_now()};
    TRY(item_add(db, (struct actor){0, 0}, inbox.id, &item, &uid, &modseq));
    *place_of(x, account) = account;
    x->n_done++;
    TRY(note_copy(db, x, account, inbox.name, uid));
    trace_addf(&x->trace, TRACE_STORED, r->text, "in %.*s of %.*s as uid %u", SLICE_ARG(inbox.name), SLICE_ARG(x->copies[x->delivered - 1].account), uid);
    return OK;
}

/* The place of an address in the table: it holds 0, or the number of an equal one. */
static uint32_t *queued_place_of(const struct delivering *x, struct slice address)
{
    uint64_t h = 1469598103934665603U; /* FNV-1a: addresses of people that may submit, and of groups */
    for (size_t i = 0; i < address.n; i++)
        h = (h ^ (unsigned char)address.p[i]) * 1099511628211U;
    size_t mask = 2 * x->room_queued - 1, i = (size_t)(h ^ h >> 29) & mask;
    while (x->places[i] && !slice_eq(x->queued[x->places[i] - 1].address, address))
        i = (i + 1) & mask;
    return &x->places[i];
}

static struct error make_queue_room(struct delivering *x)
{
    if (x->n_queued < x->room_queued)
        return OK;
    size_t room = x->room_queued ? x->room_queued * 2 : 8;
    x->queued = arena_grow(x->arena, x->queued, x->room_queued * sizeof *x->queued, room * sizeof *x->queued);
    x->leaves_for = arena_grow(x->arena, x->leaves_for, x->room_queued * sizeof *x->leaves_for, room * sizeof *x->leaves_for);
    x->places = arena_zero(x->arena, 2 * room, sizeof *x->places);
    x->room_queued = room;
    if (!x->queued || !x->places || !x->leaves_for) {
        x->room_queued = x->n_queued = 0;
        return NO_MEMORY;
    }
    for (size_t i = 0; i < x->n_queued; i++)
        *queued_place_of(x, x->queued[i].address) = (uint32_t)i + 1;
    return OK;
}

/* Each address once. `reply`: why it waits, p NULL for mail that was not tried yet. */
static struct error enqueue(struct delivering *x, struct slice address, const struct delivery_rcpt *r, struct slice reply)
{
    TRY(make_queue_room(x));
    if (*queued_place_of(x, address))
        return OK;
    address = arena_copy(x->arena, address);
    if (!address.p)
        return NO_MEMORY;
    size_t at = address.n;
    while (at && address.p[at - 1] != '@')
        at--;
    *queued_place_of(x, address) = (uint32_t)x->n_queued + 1;
    if (!slice_eq(address, r->text))
        trace_add(&x->trace, TRACE_FORWARDED, r->text, address);
    trace_add(&x->trace, TRACE_QUEUED, address, reply);
    x->leaves_for[x->n_queued] = NULL;
    x->queued[x->n_queued++] = (struct queue_rcpt){.address = address, .dest = slice_after(address, at), .orcpt = r->orcpt, .notify = r->notify, .due = clock_now() + (reply.p ? RETRY_S : 0), .reply = reply};
    return OK;
}

/* To an address elsewhere on behalf of a recipient of ours, one of so many. */
static struct error enqueue_leaving(struct delivering *x, struct slice address, const struct delivery_rcpt *r, size_t targets)
{
    struct delivery_rcpt on = *r;
    size_t before = x->n_queued;
    on.notify = forward_notify(r->notify, targets);
    on.orcpt = forward_orcpt(r, x->arena);
    TRY(enqueue(x, address, &on, slice_make(NULL, 0)));
    if (x->n_queued > before)
        x->leaves_for[before] = r;
    return OK;
}

/* Where a rule sends it, outside. */
static struct error enqueue_sent_on(struct delivering *x, const struct delivery_rcpt *r)
{
    size_t before = x->n_queued;
    if (!r->sent_on_for)
        return enqueue(x, r->text, r, slice_make(NULL, 0));
    if (forward_was_here(x->marks, x->n_marks, r->sent_on_for, &x->scratch))
        return error_make(ERROR_LOOP, "the message left here for this address before: it is in a loop");
    TRY(enqueue(x, r->text, r, slice_make(NULL, 0)));
    if (x->n_queued > before)
        x->leaves_for[before] = r->sent_on_for;
    return OK;
}

/* A mailbox that could not take the message while others did. */
static struct error enqueue_refused(struct sql *db, struct delivering *x, int64_t id, const struct delivery_rcpt *r, struct error why)
{
    struct account account;
    TRY(account_get(db, id, &x->scratch, &account));
    return enqueue(x, account.name, r, slice_of(why.text ? why.text : "refused"));
}

/* A list takes it once, by whatever name. */
static struct error put_list(struct sql *db, struct delivering *x, const struct resolved_list *to, const struct delivery_rcpt *r)
{
    TRY(make_room(x));
    if (to->role == LIST_POST && *place_of(x, to->account))
        return OK;
    struct list_arrival arrival = {.d = x->d, .r = r, .blob = x->blob, .marked = forward_was_here(x->marks, x->n_marks, r, &x->scratch), .automatic = x->automatic, .trace = &x->trace, .scratch = &x->scratch};
    TRY(list_take(db, &arrival, to));
    x->posted = true;
    if (to->role == LIST_POST) {
        *place_of(x, to->account) = to->account;
        x->n_done++;
    }
    return OK;
}

static bool is_hard(struct error e)
{
    return e.code == ERROR_IO || e.code == ERROR_FULL || e.code == ERROR_MEMORY || e.code == ERROR_CORRUPT || e.code == ERROR_BUSY || e.code == ERROR_LIMIT;
}

/* Whoever the address stands for. A quota that is used up refuses a person; a group's other members must not suffer, so that member's copy waits. */
static struct error put_all(struct sql *db, struct delivering *x, const struct resolved *to, const struct delivery_rcpt *r)
{
    struct error refused = OK;
    size_t got = to->n_foreign, n_refused = 0;
    int64_t *later = arena_alloc(&x->scratch, (to->n_accounts + 1) * sizeof *later);
    if (!later)
        return NO_MEMORY;
    for (size_t i = 0; i < to->n_accounts; i++) {
        struct error e = put(db, x, to->accounts[i], r);
        if (is_hard(e))
            return e;
        if (e.code == ERROR_NONE) {
            got++;
        } else {
            refused = e;
            later[n_refused++] = to->accounts[i];
        }
    }
    for (size_t i = 0; i < to->n_lists; i++) {
        struct error e = put_list(db, x, &to->lists[i], r);
        if (is_hard(e))
            return e;
        if (e.code != ERROR_NONE)
            refused = e;
        got += e.code == ERROR_NONE;
    }
    if (!got)
        return refused;
    for (size_t i = 0; i < n_refused; i++)
        TRY(enqueue_refused(db, x, later[i], r, refused));
    for (size_t i = 0; i < to->n_foreign; i++)
        TRY(enqueue_leaving(x, to->foreign[i], r, to->n_foreign + to->n_accounts));
    return OK;
}

static struct error deliver_one(struct sql *db, struct delivering *x, struct delivery_rcpt *r)
{
    struct resolved to;
    struct slice first;
    arena_reset(&x->scratch);
    struct error e = forward_sender_back(db, r->text, x->d->sender, &x->scratch, &first);
    if (e.code == ERROR_NONE && forward_was_here(x->marks, x->n_marks, r, &x->scratch))
        return error_make(ERROR_LOOP, "the report went back through this address before: it is in a loop");
    if (e.code != ERROR_NOT_FOUND)
        return e.code == ERROR_NONE ? enqueue_leaving(x, first, r, 1) : e;
    e = address_resolve(db, &r->address, &x->scratch, &to);
    if (e.code == ERROR_NONE && to.n_foreign && forward_was_here(x->marks, x->n_marks, r, &x->scratch))
        return error_make(ERROR_LOOP, "the message left here for this address before: it is in a loop");
    if (e.code == ERROR_UNSUPPORTED && r->sent_on)
        return enqueue_sent_on(x, r);
    if (e.code == ERROR_UNSUPPORTED && (x->d->submitter || x->d->flags & DELIVERY_OWN))
        return enqueue(x, r->text, r, slice_make(NULL, 0));
    TRY(e);
    return put_all(db, x, &to, r);
}

/* One answer for all: somebody has the message, so those who could not take it are not forgotten. */
static struct error queue_refused(struct delivering *x)
{
    for (size_t i = 0; i < x->d->n_rcpts; i++) {
        struct delivery_rcpt *r = &x->d->rcpts[i];
        if (r->result.code == ERROR_NONE || (r->result.code == ERROR_LOOP && x->d->results == DELIVERY_RESULT_QUEUE))
            continue;
        TRY(enqueue(x, r->text, r, slice_of(r->result.text ? r->result.text : "refused")));
        r->result = OK;
    }
    return OK;
}

/* The recipients that leave for the same of ours, as an entry of their own: it has its mark in front. */
static struct error enter_some(struct sql *db, struct delivering *x, struct queue_entry entry, const struct delivery_rcpt *leaves_for)
{
    int64_t id;
    entry.n_rcpts = 0;
    entry.rcpts = arena_alloc(x->arena, (x->n_queued + 1) * sizeof *entry.rcpts);
    entry.head = leaves_for ? forward_head(leaves_for, x->arena) : slice_make(NULL, 0);
    if (leaves_for)
        TRY(forward_sender(db, entry.sender, leaves_for->address.domain, x->arena, &entry.sender));
    if (!entry.rcpts || (leaves_for && !entry.head.p))
        return NO_MEMORY;
    for (size_t i = 0; i < x->n_queued; i++)
        if (x->leaves_for[i] == leaves_for)
            entry.rcpts[entry.n_rcpts++] = x->queued[i];
    return entry.n_rcpts ? queue_enter(db, &entry, &id) : OK;
}

/* Those that leave for one recipient stand behind each other, with others between that leave for themselves. */
static struct error enter_all(struct sql *db, struct delivering *x, const struct queue_entry *entry)
{
    const struct delivery_rcpt *last = NULL;
    TRY(enter_some(db, x, *entry, NULL));
    for (size_t i = 0; i < x->n_queued; i++) {
        if (!x->leaves_for[i] || x->leaves_for[i] == last)
            continue;
        last = x->leaves_for[i];
        TRY(enter_some(db, x, *entry, last));
    }
    return OK;
}

/* Its members read there what was sent in its name. A full mailbox or one without Sent keeps nobody from sending. */
static struct error put_sent(struct sql *db, struct delivering *x)
{
    struct collection sent;
    struct slice name;
    uint32_t uid = 0;
    int64_t modseq;
    arena_reset(&x->scratch);
    TRY(account_name(db, x->d->sent_for, &x->scratch, &name));
    struct error e = collection_find_role(db, x->d->sent_for, COLLECTION_MAILBOX, ROLE_SENT, &x->scratch, &sent);
    struct item_new item = {.account = x->d->sent_for, .blob = x->blob, .size = x->d->message->put.size, .received = clock_now(), .flags = FLAG_SEEN};
    if (e.code == ERROR_NONE)
        e = item_add(db, (struct actor){x->d->submitter, 0}, sent.id, &item, &uid, &modseq);
    if (is_hard(e))
        return e;
    if (e.code == ERROR_NONE)
        trace_addf(&x->trace, TRACE_STORED, name, "the copy of what was sent, in %.*s as uid %u", SLICE_ARG(sent.name), uid);
    else
        trace_addf(&x->trace, TRACE_REFUSED, name, "the copy of what was sent: %s", e.text ? e.text : error_word(e.code));
    return OK;
}

/* What one variant of the message leaves for the queue, while the others are delivered. */
struct part {
    int64_t blob;
    struct queue_rcpt *queued;
    const struct delivery_rcpt **leaves_for;
    uint32_t *places;
    size_t n_queued, room_queued, good;
};

static void begin_queue(struct delivering *x)
{
    x->n_queued = x->room_queued = 0;
    x->queued = NULL;
    x->leaves_for = NULL;
    x->places = NULL;
}

static struct error deliver_part(struct sql *db, struct delivering *x, struct delivery *d, struct part *p)
{
    x->d = d;
    begin_queue(x);
    TRY(message_enter(db, d->message, &x->blob));
    for (size_t i = 0; i < d->n_rcpts; i++) {
        struct error e = d->rcpts[i].result = deliver_one(db, x, &d->rcpts[i]);
        if (is_hard(e))
            return e;
        p->good += e.code == ERROR_NONE;
        if (e.code != ERROR_NONE)
            trace_add(&x->trace, TRACE_REFUSED, d->rcpts[i].text, slice_of(e.text ? e.text : error_word(e.code)));
    }
    *p = (struct part){x->blob, x->queued, x->leaves_for, x->places, x->n_queued, x->room_queued, p->good};
    return OK;
}

/* `good`: how many of all variants have it. */
static struct error queue_part(struct sql *db, struct delivering *x, struct delivery *d, const struct part *p, size_t good)
{
    x->d = d;
    x->blob = p->blob;
    x->queued = p->queued;
    x->leaves_for = p->leaves_for;
    x->places = p->places;
    x->n_queued = p->n_queued;
    x->room_queued = p->room_queued;
    if ((good && d->results == DELIVERY_RESULT_ONE) || d->results == DELIVERY_RESULT_QUEUE)
        TRY(queue_refused(x));
    x->all_queued += x->n_queued;
    if (x->n_queued == 0)
        return OK;
    struct queue_entry entry = {.blob = x->blob, .account = d->submitter, .sender = d->sender, .envid = d->envid, .job = slice_of(d->job), .flags = d->flags, .created = clock_now(),
                                .expires = clock_now() + d->lifetime_s};
    return enter_all(db, x, &entry);
}

/* The results of the variants, where the caller looks for them. */
static void give_results(const struct delivering *x)
{
    for (size_t p = 0; p < x->ruled.n_first; p++)
        for (size_t i = 0; x->ruled.from[p] && i < x->ruled.parts[p]->n_rcpts; i++)
            x->whole->rcpts[x->ruled.from[p][i]].result = x->ruled.parts[p]->rcpts[i].result;
}

static struct error deliver_parts(struct sql *db, struct delivering *x)
{
    struct part *parts = arena_zero(x->arena, x->ruled.n_parts + 1, sizeof *parts);
    size_t good = 0;
    if (!parts)
        return NO_MEMORY;
    for (size_t p = 0; p < x->ruled.n_first; p++) {
        TRY(deliver_part(db, x, x->ruled.parts[p], &parts[p]));
        good += parts[p].good;
        if (p == 0 && good && x->d->sent_for)
            TRY(put_sent(db, x));
    }
    for (size_t p = x->ruled.n_first; good && p < x->ruled.n_parts; p++) /* journals: in the same change, when somebody has it */
        TRY(deliver_part(db, x, x->ruled.parts[p], &parts[p]));
    for (size_t p = 0; p < x->ruled.n_parts && (p < x->ruled.n_first || good); p++)
        TRY(queue_part(db, x, x->ruled.parts[p], &parts[p], good));
    give_results(x);
    return OK;
}

static struct error deliver_change(struct sql *db, void *arg)
{
    struct delivering *x = arg;
    const struct delivery *d = x->whole;
    if (d->also)
        TRY(d->also(db, d->also_arg));
    x->posted = x->filter_queued = false; /* it may run again */
    x->n_done = x->room = 0;
    x->done = NULL;
    x->delivered = x->all_queued = 0;
    trace_begin(&x->trace, x->arena, slice_of(d->job), d->message_id, d->sender);
    trace_addf(&x->trace, d->results == DELIVERY_RESULT_QUEUE && !(d->flags & DELIVERY_OWN) ? TRACE_DISTRIBUTED : TRACE_RECEIVED, SLICE(""), "%.*s%lld bytes", SLICE_ARG(d->origin), (long long)d->message->put.size);
    for (size_t i = 0; i < d->n_notes; i++)
        trace_add(&x->trace, TRACE_FILTERED, SLICE(""), d->notes[i]);
    trace_append(&x->trace, &x->rules_trace);
    TRY(deliver_parts(db, x));
    return trace_put(db, &x->trace);
}

/* Where each copy lies: with IMAP's uid an administrator finds it, or the change log says what became of it. */
static void tell_copies(const struct delivering *x)
{
    for (uint64_t i = 0; i < x->delivered; i++)
        LOG_EVENT(LOG_INFO, "stored", LOG_ID(x->whole->job), LOG_TEXT("account", x->copies[i].account), LOG_TEXT("mailbox", x->copies[i].mailbox), LOG_NUMBER("uid", x->copies[i].uid));
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

struct error delivery_check(struct sql *db, const struct address *address, const struct delivery_asked *asked, struct arena *a)
{
    struct resolved to;
    struct error refused = OK;
    int64_t size = asked->size;
    const char *text = address_text(address, a);
    struct slice first;
    refused = text ? forward_sender_back(db, slice_of(text), asked->sender, a, &first) : NO_MEMORY;
    if (refused.code != ERROR_NOT_FOUND)
        return refused;
    refused = OK;
    TRY(address_resolve(db, address, a, &to));
    if (to.n_accounts == 0 && to.n_foreign == 0 && to.n_lists == 0)
        return error_make(ERROR_DENIED, "nobody receives mail for this address");
    for (size_t i = 0; i < to.n_lists; i++) {
        refused = list_check(db, &to.lists[i], asked->sender, asked->submitter, a);
        if (refused.code == ERROR_NONE)
            return OK;
    }
    if (to.n_accounts == 0 && to.n_foreign == 0)
        return refused;
    for (size_t i = 0; i < to.n_accounts; i++) {
        struct account account;
        TRY(account_get(db, to.accounts[i], a, &account));
        if ((account.quota == 0 || account.used + size <= account.quota) && (account.quota_items == 0 || account.items < account.quota_items))
            return OK; /* somebody has room */
    }
    return to.n_foreign ? OK : error_make(ERROR_QUOTA, "the mailbox is full");
}

/* The sender's own name for the message (what people search for; empty where there is none), and where it was before. */
static struct error look_at_head(struct delivering *x)
{
    struct slice bytes, id;
    TRY(blob_put_bytes(&x->d->message->put, &bytes));
    struct slice head = slice_first(bytes, header_length(bytes));
    id = slice_trim(header_find(head, SLICE("Message-ID")));
    if (!x->d->message_id.p)
        x->d->message_id = id.p ? id : SLICE("");
    struct slice automatic = slice_trim(header_find(head, SLICE("Auto-Submitted")));
    x->automatic = automatic.p && slice_starts_nocase(automatic, SLICE("auto-replied"));
    return forward_marks(head, x->arena, &x->marks, &x->n_marks);
}

/* A rule refused it for everybody: nothing was stored. */
static void tell_refused(const struct delivery *d)
{
    for (size_t i = 0; i < d->n_rcpts; i++)
        trace_later(TRACE_REFUSED, slice_of(d->job), d->message_id, d->sender, d->rcpts[i].text, slice_of(d->rcpts[i].result.text ? d->rcpts[i].result.text : ""));
}

static struct error plan_parts(struct store *s, struct delivering *x)
{
    for (size_t i = 0; i < x->ruled.n_parts; i++) {
        const struct delivery *d = x->ruled.parts[i];
        struct filter_input in = {.d = d, .marks = x->marks, .n_marks = x->n_marks, .head = slice_make(NULL, 0), .refusing = FILTER_MAY_REFUSE};
        TRY(blob_put_bytes(&d->message->put, &in.bytes));
        TRY(filter_prepare(s, &in, x->arena, &x->filter));
    }
    return OK;
}

static struct error run_change(struct store *s, struct delivering *x)
{
    TRY(plan_parts(s, x));
    arena_init(&x->scratch, ARENA_REQUEST_MAX);
    struct error e = store_change(s, deliver_change, x);
    arena_free(&x->scratch);
    TRY(e);
    metric_add(METRIC_MAIL_DELIVERED, x->delivered);
    if (x->all_queued) {
        metric_add(METRIC_MAIL_QUEUED, 1);
        LOG_EVENT(LOG_INFO, "queued", LOG_ID(x->whole->job), LOG_NUMBER("recipients", x->all_queued));
    }
    if (x->posted)
        list_wake();
    if (x->filter_queued)
        filter_wake();
    tell_copies(x);
    return OK;
}

struct error delivery_run(struct store *s, struct delivery *d, struct arena *a)
{
    struct delivering x = {.d = d, .whole = d, .arena = a};
    TRY(look_at_head(&x));
    trace_begin(&x.rules_trace, a, slice_of(d->job), d->message_id, d->sender);
    struct error e = rules_apply(s, d, &x.rules_trace, a, &x.ruled);
    if (e.code == ERROR_NONE && x.ruled.refused)
        tell_refused(d);
    else if (e.code == ERROR_NONE)
        e = run_change(s, &x);
    filter_drop(x.filter);
    rules_done(&x.ruled, d);
    TRY(e);
    tell(d, a);
    return OK;
}

/* --- who could not take it before */

struct retrying {
    const struct queue_due *due;
    struct delivering *x;
    struct queue_entry entry;
    struct message message;
    struct delivery_rcpt r;
    struct delivery d;
    struct error result;
};

/* What scripts need of a message that waited: a sight of it, and where it has been. */
static struct error read_waiting(struct store *s, struct retrying *t, struct filter_input *in)
{
    struct delivering *x = t->x;
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    TRY(queue_get(db, t->due->queue, x->arena, &t->entry));
    TRY(blob_read(db, t->entry.blob, 0, SIGHT, x->arena, &in->bytes));
    struct slice head = slice_first(in->bytes, header_length(in->bytes)), before = t->entry.head.p ? t->entry.head : SLICE("");
    const char *all = arena_printf(x->arena, "%.*s%.*s", SLICE_ARG(before), SLICE_ARG(head));
    return all ? forward_marks(slice_of(all), x->arena, &x->marks, &x->n_marks) : NO_MEMORY;
}

static struct error plan_waiting(struct store *s, struct retrying *t)
{
    struct filter_input in = {.d = &t->d, .refusing = FILTER_MUST_REPLY};
    struct delivering *x = t->x;
    TRY(read_waiting(s, t, &in));
    t->message.put.size = t->entry.size;
    char *job = t->entry.job.p ? arena_string(x->arena, t->entry.job) : NULL;
    t->r = (struct delivery_rcpt){.text = t->due->address, .orcpt = slice_make(NULL, 0)};
    t->d = (struct delivery){.message = &t->message, .submitter = t->entry.account, .sender = t->entry.sender, .flags = t->entry.flags, .job = job ? job : "", .results = DELIVERY_RESULT_QUEUE, .rcpts = &t->r, .n_rcpts = 1};
    if (address_parse(t->due->address, x->arena, &t->r.address).code != ERROR_NONE)
        return OK; /* retry_change says so */
    in.blob = t->entry.blob;
    in.head = t->entry.head;
    in.marks = x->marks;
    in.n_marks = x->n_marks;
    return filter_prepare(s, &in, x->arena, &x->filter);
}

static struct error retry_change(struct sql *db, void *arg)
{
    struct retrying *t = arg;
    struct delivering *x = t->x;
    t->result = queue_get(db, t->due->queue, x->arena, &t->entry);
    if (t->result.code == ERROR_NOT_FOUND) { /* an administrator deleted it meanwhile */
        t->result = OK;
        return OK;
    }
    TRY(t->result);
    x->n_done = x->n_queued = x->room = x->room_queued = 0;
    x->done = NULL;
    x->queued = NULL;
    x->leaves_for = NULL;
    x->delivered = 0;
    x->filter_queued = false;
    x->d = &t->d;
    x->blob = t->entry.blob;
    trace_begin(&x->trace, x->arena, t->entry.job, SLICE(""), t->entry.sender);
    t->result = address_parse(t->due->address, x->arena, &t->r.address);
    if (t->result.code == ERROR_NONE)
        t->result = deliver_one(db, x, &t->r);
    if (is_hard(t->result))
        return t->result;
    if (t->result.code != ERROR_NONE)
        return OK; /* report_finish writes that */
    if (x->n_queued) /* a group of which some still cannot, or a forward that was made meanwhile */
        TRY(enter_all(db, x, &t->entry));
    TRY(trace_put(db, &x->trace));
    return queue_delivered(db, t->due);
}

static struct error due_now(struct store *s, struct arena *a, struct queue_due **all, size_t *n)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    return queue_due_here(db, clock_now(), a, all, n);
}

static struct error retry_one(struct server *server, const struct queue_due *due, struct arena *a)
{
    struct delivering x = {.arena = a};
    struct retrying t = {.due = due, .x = &x};
    arena_init(&x.scratch, ARENA_REQUEST_MAX);
    struct error e = plan_waiting(server->store, &t);
    bool there = e.code != ERROR_NOT_FOUND; /* deleted meanwhile */
    if (e.code == ERROR_NONE)
        e = store_change(server->store, retry_change, &t);
    if (e.code == ERROR_NONE && x.filter_queued)
        filter_wake();
    filter_drop(x.filter);
    arena_free(&x.scratch);
    LOG_EVENT(LOG_INFO, "tried-again", LOG_TEXT("to", due->address), LOG_FAILURE(e.code == ERROR_NONE ? t.result : e));
    if (!there)
        return OK;
    TRY(e);
    struct queue_result r = {.n = due->n, .state = QUEUE_WAITING, .reply = slice_of(t.result.text ? t.result.text : "refused")};
    return t.result.code == ERROR_NONE ? OK : report_finish(server, due->queue, &r, 1);
}

static void retry_due(struct server *server)
{
    struct arena a, one;
    struct queue_due *all;
    size_t n = 0;
    arena_init(&a, ARENA_REQUEST_MAX);
    arena_init(&one, ARENA_REQUEST_MAX);
    struct error e = due_now(server->store, &a, &all, &n);
    for (size_t i = 0; e.code == ERROR_NONE && i < n; i++) {
        e = retry_one(server, &all[i], &one);
        arena_reset(&one);
    }
    arena_free(&one);
    arena_free(&a);
}

void delivery_retry(struct server *server)
{
    static _Atomic int asked; /* one works while it is above 0, and looks again when others asked meanwhile: nobody gets a message twice */
    if (atomic_fetch_add(&asked, 1) > 0)
        return;
    do {
        atomic_store(&asked, 1);
        retry_due(server);
    } while (atomic_fetch_sub(&asked, 1) > 1);
}
