/* mail/sieve/actions.c -- what shall happen to the message: each action once, none that contradicts another, none without end
 * (RFC 5228 2.10 and 4; RFC 3894, 5429, 5230, 6131) */
#include "mail/sieve/internal.h"

enum { DAY = 24 * 60 * 60, VACATION_DEFAULT = 7 * DAY, VACATION_LONGEST = 90 * DAY };

static bool delivers(enum sieve_action_kind k) { return k == SIEVE_KEEP || k == SIEVE_FILEINTO || k == SIEVE_REDIRECT || k == SIEVE_VACATION; }
static bool refuses(enum sieve_action_kind k) { return k == SIEVE_REJECT || k == SIEVE_EREJECT; }

static bool into_inbox(const struct sieve_action *a) { return a->kind == SIEVE_KEEP || (a->kind == SIEVE_FILEINTO && !a->special.p && slice_eq_nocase(a->text, SLICE("INBOX"))); }

/* The same thing twice is done once (RFC 5228 2.10.3). */
static bool same(const struct sieve_action *a, const struct sieve_action *b)
{
    if (into_inbox(a) && into_inbox(b))
        return true;
    if (a->kind != b->kind)
        return false;
    if (a->kind == SIEVE_DISCARD)
        return true;
    if (a->kind == SIEVE_REDIRECT) {
        size_t at = slice_find(a->text, '@');
        return slice_eq(slice_first(a->text, at), slice_first(b->text, slice_find(b->text, '@'))) && slice_eq_nocase(slice_after(a->text, at), slice_after(b->text, at));
    }
    return (a->kind == SIEVE_FILEINTO || a->kind == SIEVE_REMEMBER) && slice_eq(a->text, b->text) && slice_eq(a->handle, b->handle) && slice_eq(a->special, b->special);
}

struct error action_add(struct sieve_run *r, const struct sieve_node *n, const struct sieve_action *a)
{
    for (size_t i = 0; i < r->n_actions; i++) {
        struct sieve_action *old = &r->actions[i];
        if (same(old, a)) {
            old->create |= a->create;
            if (a->flags.n) /* the later word about flags counts */
                old->flags = a->flags;
            return OK;
        }
        if (refuses(old->kind) ? refuses(a->kind) || delivers(a->kind) : refuses(a->kind) && delivers(old->kind))
            return run_fail(r, n, "A message cannot be rejected and also kept, filed, redirected, answered or rejected again.");
        if (old->kind == SIEVE_VACATION && a->kind == SIEVE_VACATION)
            return run_fail(r, n, "vacation is used twice for one message.");
    }
    if (r->n_actions == SIEVE_ACTIONS_MAX && !a->implicit)
        return run_fail(r, n, "The script wants more than 32 actions for one message.");
    r->actions[r->n_actions] = *a;
    if (!refuses(a->kind)) /* a rejected message is returned as it came (RFC 5293 6) */
        TRY(head_edited(r, &r->actions[r->n_actions].head));
    r->n_actions++;
    return OK;
}

struct error keep_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct sieve_action a = {.kind = SIEVE_KEEP};
    TRY(action_flags(r, n, &a.flags));
    r->cancelled = true;
    return action_add(r, n, &a);
}

struct error fileinto_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct sieve_action a = {.kind = SIEVE_FILEINTO, .create = node_tag(n, G_CREATE) != NULL};
    const struct sieve_value *special = node_tag_value(n, G_SPECIAL);
    TRY(value_string(r, &n->at[0], &a.text));
    if (special)
        TRY(value_string(r, special, &a.special));
    if (a.text.n == 0 || a.text.n > 1024)
        return run_fail(r, n, "fileinto has no name of a mailbox, or a very long one.");
    TRY(action_flags(r, n, &a.flags));
    r->cancelled |= !node_tag(n, G_COPY);
    return action_add(r, n, &a);
}

struct error redirect_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct sieve_action a = {.kind = SIEVE_REDIRECT};
    struct slice text;
    TRY(value_string(r, &n->at[0], &text));
    if (!sieve_address_read(text, r->arena, &a.text))
        return run_fail(r, n, "redirect has no complete address.");
    size_t before = r->n_actions;
    r->cancelled |= !node_tag(n, G_COPY);
    TRY(action_add(r, n, &a));
    r->redirects += r->n_actions > before;
    return r->redirects > SIEVE_REDIRECTS_MAX ? run_fail(r, n, "The script redirects one message to more than 5 addresses.") : OK;
}

struct error discard_run(struct sieve_run *r, const struct sieve_node *n)
{
    r->cancelled = true;
    return action_add(r, n, &(struct sieve_action){.kind = SIEVE_DISCARD});
}

struct error reject_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct sieve_action a = {.kind = n->row->needs == X_EREJECT ? SIEVE_EREJECT : SIEVE_REJECT};
    TRY(value_string(r, &n->at[0], &a.text));
    r->cancelled = true;
    return action_add(r, n, &a);
}

static struct error optional_string(struct sieve_run *r, const struct sieve_node *n, uint32_t group, struct slice *out)
{
    const struct sieve_value *v = node_tag_value(n, group);
    *out = slice_make(NULL, 0);
    return v ? value_string(r, v, out) : OK;
}

/* At least a day by :days, at most 90 days (RFC 5230 4.1); by :seconds 0 is allowed (RFC 6131 2). */
static int64_t vacation_period(const struct sieve_node *n)
{
    const struct sieve_tag *tag = node_tag(n, G_PERIOD);
    if (!tag)
        return VACATION_DEFAULT;
    uint64_t number = node_tag_value(n, G_PERIOD)->number, most = tag->id == TAG_DAYS ? VACATION_LONGEST / DAY : VACATION_LONGEST;
    if (number > most)
        number = most;
    if (tag->id == TAG_DAYS)
        number = (number ? number : 1) * DAY;
    return (int64_t)number;
}

struct error vacation_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct sieve_vacation *v = arena_zero(r->arena, 1, sizeof *v);
    struct sieve_action a = {.kind = SIEVE_VACATION, .vacation = v};
    const struct sieve_value *addresses = node_tag_value(n, G_ADDRESSES);
    struct slice from;
    if (!v)
        return sieve_no_memory();
    TRY(value_string(r, &n->at[0], &a.text));
    TRY(optional_string(r, n, G_SUBJECT, &v->subject));
    TRY(optional_string(r, n, G_HANDLE, &v->handle));
    TRY(optional_string(r, n, G_FROM, &from));
    if (from.p && !sieve_address_read(from, r->arena, &v->from))
        return run_fail(r, n, "vacation :from has no complete address.");
    if (v->from.p)
        v->from = from; /* with its name */
    for (size_t i = 0; i < v->subject.n; i++)
        if (v->subject.p[i] == '\r' || v->subject.p[i] == '\n')
            return run_fail(r, n, "vacation :subject has more than one line.");
    if (addresses)
        TRY(value_strings(r, addresses, &v->addresses));
    v->seconds = vacation_period(n);
    v->mime = node_tag(n, G_MIME) != NULL;
    return action_add(r, n, &a);
}
