/* mail/delivery/filter_apply.c -- a plan inside the change: first the copies, then what leaves, then what is remembered */
#include <stdio.h>

#include "core/clock.h"
#include "core/log.h"
#include "mail/delivery/filter_internal.h"
#include "mail/delivery/forward.h"
#include "mail/delivery/sender.h"
#include "mail/mailbox/mailbox.h"
#include "mail/queue/queue.h"

enum { STORED_MAX = FILTER_ACTS_MAX + 2 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a filter")

struct applying {
    struct sql *db;
    const struct filter_plan *p;
    struct filter_doing *doing;
    int64_t into[STORED_MAX]; /* collections that have it */
    size_t n_into;
};

static bool is_hard(struct error e) { return error_is_temporary(e) || e.code == ERROR_LIMIT; }

static const char *rule_of(const struct applying *x)
{
    return x->p->script.p && x->p->script.n < 128 ? arena_printf(x->doing->arena, "%.*s", SLICE_ARG(x->p->script)) : "sieve";
}

/* --- copies */

/* Each by itself: one that cannot be is left out (RFC 5232 2). */
static struct error flags_of(struct applying *x, int64_t account, const struct sieve_list *names, struct item_new *item)
{
    struct buffer kw = {0};
    struct error e = OK;
    for (size_t i = 0; !is_hard(e) && i < names->n; i++) {
        int64_t one = 0;
        e = keyword_resolve(x->db, account, &names->all[i], 1, &one, &kw);
        if (e.code == ERROR_LIMIT)
            e = OK;
        item->flags |= e.code == ERROR_NONE ? one : 0;
    }
    item->kw = arena_copy(x->doing->arena, buffer_slice(&kw));
    bool failed = kw.failed || !item->kw.p;
    buffer_free(&kw);
    if (is_hard(e))
        return e;
    return failed ? NO_MEMORY : OK;
}

static struct error message_of(struct applying *x, const struct filter_act *act, int64_t *blob, int64_t *size)
{
    *blob = x->doing->blob;
    *size = x->p->in->d->message->put.size;
    if (!act->message)
        return OK;
    *size = act->message->put.size;
    return message_enter(x->db, act->message, blob);
}

static struct error store_in(struct applying *x, const struct filter_act *act, const struct collection *c, struct slice path)
{
    struct item_new item = {.account = c->account, .received = clock_now()};
    struct filter_stored *done = &x->doing->stored[x->doing->n_stored];
    int64_t modseq;
    for (size_t i = 0; i < x->n_into; i++)
        if (x->into[i] == c->id)
            return OK;
    if (x->n_into == STORED_MAX)
        return OK;
    TRY(message_of(x, act, &item.blob, &item.size));
    TRY(flags_of(x, c->account, &act->a.flags, &item));
    TRY(item_add(x->db, (struct actor){0, 0}, c->id, &item, &done->uid, &modseq));
    x->into[x->n_into++] = c->id;
    done->mailbox = arena_copy(x->doing->arena, path);
    x->doing->n_stored++;
    trace_addf(x->doing->trace, TRACE_STORED, x->doing->r->text, "in %.*s of %.*s as uid %u, by script %s", SLICE_ARG(slice_first(path, 200)),
               SLICE_ARG(x->p->owner.name), done->uid, rule_of(x));
    return done->mailbox.p ? OK : NO_MEMORY;
}

/* What the filters of the server hold for junk goes there, unless a script said keep. */
static struct error store_in_junk(struct applying *x, const struct filter_act *act)
{
    struct collection junk;
    TRY(collection_find_role(x->db, x->p->owner.id, COLLECTION_MAILBOX, ROLE_JUNK, x->doing->arena, &junk));
    return store_in(x, act, &junk, junk.name);
}

static struct error store_in_inbox(struct applying *x, const struct filter_act *act)
{
    struct collection inbox;
    if (act->a.kind == SIEVE_KEEP && act->a.implicit && x->p->in->d->junk) {
        struct error e = store_in_junk(x, act);
        if (e.code != ERROR_NOT_FOUND)
            return e;
    }
    TRY(collection_find(x->db, x->p->owner.id, COLLECTION_MAILBOX, 0, SLICE("INBOX"), x->doing->arena, &inbox));
    return store_in(x, act, &inbox, SLICE("INBOX"));
}

/* With the owner's rights, as if he put it there himself (attacks.md SV-09). */
static struct error find_mailbox(struct applying *x, const struct sieve_action *a, struct mailbox *m)
{
    struct slice path;
    struct actor owner = {x->p->owner.id, 0};
    if (a->special.p && filter_role(a->special) != ROLE_NONE) {
        struct error e = collection_find_role(x->db, owner.account, COLLECTION_MAILBOX, filter_role(a->special), x->doing->arena, &m->c);
        m->path = m->c.name;
        m->selectable = 1;
        m->rights = RIGHT_ALL;
        if (e.code != ERROR_NOT_FOUND)
            return e;
    }
    TRY(mailbox_canonical(a->text, x->doing->arena, &path));
    struct error e = mailbox_find(x->db, owner.account, path, x->doing->arena, m);
    if (a->create && (e.code == ERROR_NOT_FOUND || (e.code == ERROR_NONE && !m->selectable)))
        e = mailbox_create(x->db, owner, path, filter_role(a->special), x->doing->arena, m);
    TRY(e);
    if (!m->selectable)
        return error_make(ERROR_NOT_FOUND, "no such mailbox");
    return m->rights & RIGHT_INSERT ? OK : error_make(ERROR_DENIED, "no right to put messages there");
}

static struct error file_into(struct applying *x, const struct filter_act *act)
{
    struct mailbox m;
    struct error e = find_mailbox(x, &act->a, &m);
    if (e.code == ERROR_NONE)
        e = store_in(x, act, &m.c, m.path);
    if (e.code == ERROR_NONE || is_hard(e))
        return e;
    trace_addf(x->doing->trace, TRACE_FILTERED, x->doing->r->text, "script %s: into INBOX instead of %.*s: %s", rule_of(x), SLICE_ARG(slice_first(act->a.text, 100)),
               e.text ? e.text : error_word(e.code));
    return store_in_inbox(x, act);
}

/* --- what leaves */

/* One more automatic message of this account today? The count of a day is one setting, "DAY COUNT". */
static struct error take_one(struct applying *x, bool *allowed)
{
    struct filter_options o;
    struct slice value;
    unsigned long long day = 0, count = 0, today = (unsigned long long)(clock_now() / FILTER_DAY);
    char text[48];
    filter_options_get(&o);
    struct error e = setting_get(x->db, x->p->owner.id, SLICE("sieve-sent"), x->doing->arena, &value);
    if (e.code == ERROR_NONE) {
        char *own = arena_string(x->doing->arena, value);
        if (!own || sscanf(own, "%llu %llu", &day, &count) != 2 || day != today)
            count = 0;
    } else if (e.code != ERROR_NOT_FOUND) {
        return e;
    }
    *allowed = o.per_day == 0 || (int64_t)count < o.per_day;
    if (!*allowed) {
        LOG_EVENT(LOG_WARN, "sieve-limit", LOG_ID(x->p->in->d->job), LOG_TEXT("account", x->p->owner.name), LOG_NUMBER("limit", o.per_day));
        return OK;
    }
    int n = snprintf(text, sizeof text, "%llu %llu", today, count + 1);
    return setting_set(x->db, x->p->owner.id, SLICE("sieve-sent"), slice_make(text, (size_t)n));
}

/* What goes elsewhere for somebody of ours has a sender of ours (SRS); for people of ours it stays what it was. */
static struct error sender_for(struct applying *x, struct slice to, struct slice *sender)
{
    struct domain domain;
    struct error e = domain_find(x->db, slice_after(to, slice_find(to, '@') + 1), x->doing->arena, &domain);
    *sender = x->p->in->d->sender;
    return e.code == ERROR_NOT_FOUND ? forward_sender(x->db, *sender, x->p->rcpt.domain, x->doing->arena, sender) : e;
}

static struct error enter(struct applying *x, int64_t blob, struct slice sender, struct slice to, struct slice head, int notify)
{
    struct filter_options o;
    const struct delivery *d = x->p->in->d;
    int64_t id, now = clock_now();
    size_t at = to.n;
    filter_options_get(&o);
    while (at && to.p[at - 1] != '@')
        at--;
    struct queue_rcpt r = {.address = to, .dest = slice_after(to, at), .orcpt = slice_make(NULL, 0), .notify = notify, .due = now, .reply = slice_make(NULL, 0)};
    struct queue_entry entry = {.blob = blob, .account = head.p ? d->submitter : 0, .sender = sender, .envid = slice_make(NULL, 0), .job = slice_of(d->job), .head = head,
                                .flags = head.p ? d->flags : DELIVERY_OWN, .created = now, .expires = now + o.lifetime_s, .rcpts = &r, .n_rcpts = 1};
    x->doing->queued = true;
    trace_addf(x->doing->trace, TRACE_QUEUED, to, "by script %s", rule_of(x));
    return queue_enter(x->db, &entry, &id);
}

static struct error may_redirect(struct applying *x, const struct filter_act *act, struct address *to, const char **why)
{
    const struct filter_input *in = x->p->in;
    bool allowed;
    *why = NULL;
    if (address_parse(act->a.text, x->doing->arena, to).code != ERROR_NONE)
        *why = "the address cannot be";
    else if (slice_eq(to->local, x->p->rcpt.local) && slice_eq(to->domain, x->p->rcpt.domain))
        *why = "it is the address that it came by";
    else if (in->n_marks >= FILTER_MARKS_MAX || forward_was_here(in->marks, in->n_marks, x->doing->r, x->doing->arena))
        *why = "it left here for this address before: it is in a loop";
    if (*why)
        return OK;
    TRY(take_one(x, &allowed));
    *why = allowed ? NULL : "the account sent too much by script today";
    return OK;
}

static struct error redirect(struct applying *x, const struct filter_act *act)
{
    struct address to;
    const char *why;
    int64_t blob, size;
    TRY(may_redirect(x, act, &to, &why));
    if (why) {
        trace_addf(x->doing->trace, TRACE_FILTERED, x->doing->r->text, "script %s: not redirected to %.*s: %s", rule_of(x), SLICE_ARG(slice_first(act->a.text, 200)), why);
        return x->doing->n_stored ? OK : store_in_inbox(x, act);
    }
    const char *text = address_text(&to, x->doing->arena);
    struct slice head = filter_head(x->p);
    if (!text || !head.p)
        return NO_MEMORY;
    TRY(message_of(x, act, &blob, &size));
    trace_add(x->doing->trace, TRACE_FORWARDED, x->doing->r->text, slice_of(text));
    struct slice sender;
    TRY(sender_for(x, slice_of(text), &sender));
    return enter(x, blob, sender, slice_of(text), head, forward_notify(x->doing->r->notify, 2));
}

static struct error answer(struct applying *x, const struct filter_act *act, const char *what)
{
    int64_t blob, size;
    bool allowed = false;
    if (!act->message)
        return OK;
    TRY(take_one(x, &allowed));
    if (!allowed)
        return OK;
    TRY(message_of(x, act, &blob, &size));
    trace_addf(x->doing->trace, TRACE_FILTERED, x->doing->r->text, "script %s: %s to its sender", rule_of(x), what);
    return enter(x, blob, SLICE(""), x->p->in->d->sender, slice_make(NULL, 0), 1 /* NOTIFY=NEVER */);
}

static struct error vacation(struct applying *x, const struct filter_act *act)
{
    bool seen;
    int64_t now = clock_now();
    TRY(once_seen(x->db, x->p->owner.id, slice_of(act->key), now, &seen)); /* others may have been faster */
    if (seen)
        return OK;
    if (act->a.vacation->seconds)
        TRY(once_note(x->db, x->p->owner.id, slice_of(act->key), now, now + act->a.vacation->seconds));
    return answer(x, act, "an answer");
}

static struct error leave(struct applying *x, const struct filter_act *act)
{
    switch (act->a.kind) {
    case SIEVE_REDIRECT:
        return redirect(x, act);
    case SIEVE_REJECT:
    case SIEVE_EREJECT:
        return answer(x, act, "a rejection");
    case SIEVE_VACATION:
        return vacation(x, act);
    case SIEVE_REMEMBER:
        return once_note(x->db, x->p->owner.id, slice_of(act->key), clock_now(), clock_now() + act->a.seconds);
    default:
        return OK;
    }
}

/* A script's fault, in its owner's INBOX, once a day. */
static struct error tell_owner(struct applying *x)
{
    struct collection inbox;
    struct item_new item = {.account = x->p->owner.id, .received = clock_now()};
    uint32_t uid;
    int64_t modseq, now = clock_now();
    bool seen;
    TRY(once_seen(x->db, x->p->owner.id, SLICE("sieve-fault"), now, &seen));
    if (seen)
        return OK;
    TRY(once_note(x->db, x->p->owner.id, SLICE("sieve-fault"), now, now + FILTER_DAY));
    TRY(message_enter(x->db, x->p->note, &item.blob));
    item.size = x->p->note->put.size;
    TRY(collection_find(x->db, x->p->owner.id, COLLECTION_MAILBOX, 0, SLICE("INBOX"), x->doing->arena, &inbox));
    struct error e = item_add(x->db, (struct actor){0, 0}, inbox.id, &item, &uid, &modseq);
    return is_hard(e) ? e : OK; /* a full mailbox gets no note */
}

struct error filter_apply(struct sql *db, const struct filter_plan *p, struct filter_doing *doing)
{
    struct applying x = {.db = db, .p = p, .doing = doing};
    doing->n_stored = 0;
    doing->queued = false;
    if (p->refusal.p)
        return error_make(ERROR_DENIED, p->refusal.p);
    doing->stored = arena_alloc(doing->arena, (STORED_MAX + 1) * sizeof *doing->stored);
    if (!doing->stored)
        return NO_MEMORY;
    for (size_t i = 0; i < p->n_acts; i++) {
        const struct filter_act *act = &p->acts[i];
        struct error e = act->a.kind == SIEVE_KEEP ? store_in_inbox(&x, act) : act->a.kind == SIEVE_FILEINTO ? file_into(&x, act) : OK;
        if (e.code == ERROR_NONE)
            continue;
        if (is_hard(e) || doing->n_stored == 0)
            return e;
        trace_addf(doing->trace, TRACE_FILTERED, doing->r->text, "script %s: one copy less: %s", rule_of(&x), e.text ? e.text : error_word(e.code));
    }
    for (size_t i = 0; i < p->n_acts; i++)
        TRY(leave(&x, &p->acts[i]));
    if (!doing->n_stored && !doing->queued)
        trace_addf(doing->trace, TRACE_DROPPED, doing->r->text, "discarded by script %s", rule_of(&x));
    return p->note ? tell_owner(&x) : OK;
}
