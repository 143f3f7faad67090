/* mail/delivery/filter_vacation.c -- who gets an automatic answer (RFC 3834 2, RFC 5230 4.5 and 4.6; attacks.md SV-07) */
#include "core/clock.h"
#include "mail/delivery/filter_internal.h"
#include "mail/mime/address.h"
#include "mail/mime/header.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for an answer")

static bool contains(struct slice s, struct slice part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (slice_eq_nocase(slice_make(s.p + i, part.n), part))
            return true;
    return false;
}

/* The names of programs. */
static bool is_program(struct slice sender)
{
    static const struct slice whole[] = {{"mailer-daemon", 13}, {"listserv", 8}, {"majordomo", 9}, {"noreply", 7}, {"no-reply", 8}, {"donotreply", 10}, {"do-not-reply", 12},
                                         {"postmaster", 10}, {"bounce", 6}, {"bounces", 7}};
    static const struct slice begins[] = {{"owner-", 6}, {"bounce-", 7}, {"bounces-", 8}, {"bounces+", 8}, {"noreply-", 8}, {"noreply+", 8}};
    static const struct slice ends[] = {{"-request", 8}, {"-owner", 6}, {"-bounces", 8}, {"-noreply", 8}};
    struct slice local = slice_first(sender, slice_find(sender, '@'));
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (slice_eq_nocase(local, whole[i]))
            return true;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (slice_starts_nocase(local, begins[i]))
            return true;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (local.n >= ends[i].n && slice_eq_nocase(slice_after(local, local.n - ends[i].n), ends[i]))
            return true;
    return contains(local, SLICE("-bounces-"));
}

/* A field by which a message says that no person waits for an answer. */
static bool is_automatic(const struct header_field *f)
{
    struct slice value = slice_trim(f->value);
    if (slice_starts_nocase(f->name, SLICE("List-")))
        return true;
    if (slice_eq_nocase(f->name, SLICE("Auto-Submitted")))
        return !slice_eq_nocase(slice_trim(slice_first(value, slice_find(value, ';'))), SLICE("no"));
    if (slice_eq_nocase(f->name, SLICE("Precedence")))
        return slice_eq_nocase(value, SLICE("bulk")) || slice_eq_nocase(value, SLICE("list")) || slice_eq_nocase(value, SLICE("junk"));
    if (slice_eq_nocase(f->name, SLICE("X-Auto-Response-Suppress")))
        return contains(value, SLICE("OOF")) || contains(value, SLICE("All")) || contains(value, SLICE("AutoReply"));
    if (slice_eq_nocase(f->name, SLICE("X-Spam-Flag")))
        return slice_starts_nocase(value, SLICE("yes"));
    if (slice_eq_nocase(f->name, SLICE("Authentication-Results")))
        return contains(value, SLICE("dmarc=fail")); /* whoever sent it is not who it says */
    return slice_eq_nocase(f->name, SLICE("X-Loop"));
}

bool answer_allowed(const struct filter_plan *p, struct arena *a)
{
    struct address sender;
    struct header_field f;
    struct slice head = slice_first(p->in->bytes, header_length(p->in->bytes));
    if (p->in->d->sender.n == 0 || p->in->d->junk || is_program(p->in->d->sender) || address_parse(p->in->d->sender, a, &sender).code != ERROR_NONE)
        return false;
    while (header_next(&head, &f))
        if (is_automatic(&f))
            return false;
    return true;
}

/* --- is it to the owner (RFC 5230 4.5)? */

struct own {
    struct slice *all;
    size_t n;
};

static struct error own_addresses(struct sql *db, const struct filter_plan *p, const struct sieve_action *a, struct arena *arena, struct own *own)
{
    struct address_row *rows;
    size_t n;
    TRY(address_list(db, p->owner.id, arena, &rows, &n));
    own->all = arena_alloc(arena, (n + 2 + a->vacation->addresses.n) * sizeof *own->all);
    if (!own->all)
        return NO_MEMORY;
    own->n = 0;
    own->all[own->n++] = p->owner.name;
    own->all[own->n++] = slice_of(p->own);
    for (size_t i = 0; i < n; i++)
        if (!slice_starts(rows[i].address, SLICE("*@")))
            own->all[own->n++] = rows[i].address;
    for (size_t i = 0; i < a->vacation->addresses.n; i++)
        own->all[own->n++] = slice_trim(a->vacation->addresses.all[i]);
    return OK;
}

static bool is_own(const struct own *own, struct slice address)
{
    for (size_t i = 0; i < own->n; i++)
        if (slice_eq_nocase(own->all[i], address))
            return true;
    return false;
}

static struct error names_owner(const struct header_field *f, const struct own *own, struct arena *a, bool *yes)
{
    struct mime_addresses list;
    struct slice value = header_unfold(f->value, a);
    if (!value.p)
        return NO_MEMORY;
    TRY(address_list_parse(value, a, &list));
    for (size_t i = 0; i < list.n && !*yes; i++) {
        struct address one;
        const char *text = NULL;
        if (!list.all[i].local.p || !list.all[i].domain.p)
            continue;
        const char *written = arena_printf(a, "%.*s@%.*s", SLICE_ARG(list.all[i].local), SLICE_ARG(list.all[i].domain));
        if (written && address_parse(slice_of(written), a, &one).code == ERROR_NONE)
            text = address_text(&one, a);
        *yes = text && is_own(own, slice_of(text));
    }
    return OK;
}

static struct error is_to_owner(const struct filter_plan *p, const struct own *own, struct arena *a, bool *yes)
{
    static const struct slice names[] = {{"To", 2}, {"Cc", 2}, {"Bcc", 3}, {"Resent-To", 9}, {"Resent-Cc", 9}, {"Resent-Bcc", 10}};
    struct header_field f;
    struct slice head = slice_first(p->in->bytes, header_length(p->in->bytes));
    *yes = false;
    while (!*yes && header_next(&head, &f))
        for (size_t i = 0; i < sizeof names / sizeof names[0] && !*yes; i++)
            if (slice_eq_nocase(f.name, names[i]))
                TRY(names_owner(&f, own, a, yes));
    return OK;
}

const char *vacation_key(const struct filter_plan *p, const struct sieve_action *a, struct arena *arena)
{
    const struct sieve_vacation *v = a->vacation;
    char *sender = arena_string(arena, p->in->d->sender);
    for (char *c = sender; c && *c; c++)
        *c = ascii_lower(*c);
    struct slice none = SLICE(""), given[] = {sender ? slice_of(sender) : none, SLICE("h"), v->handle};
    struct slice made[] = {given[0], v->subject.p ? v->subject : none, v->from.p ? v->from : none, v->mime ? SLICE("m") : none, a->text};
    if (!sender)
        return NULL;
    return v->handle.p ? filter_key("vac", given, 3, arena) : filter_key("vac", made, 5, arena);
}

struct error vacation_sender(struct sql *db, const struct filter_plan *p, struct sieve_action *a, struct arena *arena)
{
    struct mime_addresses list;
    struct address from;
    if (!a->vacation->from.p)
        return OK;
    TRY(address_list_parse(a->vacation->from, arena, &list));
    const char *text = list.n == 1 && list.all[0].local.p && list.all[0].domain.p ? arena_printf(arena, "%.*s@%.*s", SLICE_ARG(list.all[0].local), SLICE_ARG(list.all[0].domain)) : NULL;
    if (text && address_parse(slice_of(text), arena, &from).code == ERROR_NONE) {
        struct error e = address_owned(db, p->owner.id, &from);
        if (e.code == ERROR_NONE || error_is_temporary(e))
            return e;
    }
    struct sieve_vacation *own = arena_alloc(arena, sizeof *own);
    if (!own)
        return NO_MEMORY;
    *own = *a->vacation;
    own->from = slice_make(NULL, 0);
    a->vacation = own;
    return OK;
}

struct error vacation_wanted(struct sql *db, const struct filter_plan *p, const struct sieve_action *a, struct arena *arena, bool *yes)
{
    struct own own;
    bool seen;
    *yes = false;
    if (!answer_allowed(p, arena))
        return OK;
    TRY(own_addresses(db, p, a, arena, &own));
    if (is_own(&own, p->in->d->sender))
        return OK;
    TRY(is_to_owner(p, &own, arena, yes));
    if (!*yes)
        return OK;
    const char *key = vacation_key(p, a, arena);
    if (!key)
        return NO_MEMORY;
    TRY(once_seen(db, p->owner.id, slice_of(key), clock_now(), &seen));
    *yes = !seen;
    return OK;
}
