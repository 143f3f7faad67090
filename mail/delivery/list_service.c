/* mail/delivery/list_service.c -- what comes back from members (RFC 3464), and members who leave */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "mail/delivery/list_internal.h"
#include "mail/mime/address.h"
#include "mail/mime/header.h"

enum { FAILED_MAX = 100 };

struct failed {
    struct slice address;
    bool unknown; /* 5.1.x: it does not exist */
};

struct bounce {
    const struct list_job *job;
    struct failed all[FAILED_MAX];
    size_t n;
    struct slice suspended; /* out: one that gets nothing more from now on */
};

/* "rfc822; x@y" → x@y */
static struct slice typed_address(struct slice value)
{
    size_t semicolon = slice_find(value, ';');
    struct slice s = slice_trim(slice_after(value, semicolon < value.n ? semicolon + 1 : 0));
    return s.n > 1 && s.p[0] == '<' && s.p[s.n - 1] == '>' ? slice_make(s.p + 1, s.n - 2) : s;
}

/* Groups of fields of message/delivery-status (RFC 3464 2.1.1): its parts are 7bit, so their lines stand in the message as they are. */
static void read_status(struct slice bytes, struct bounce *b)
{
    struct slice original = {0}, final = {0}, action = {0}, status = {0};
    while (bytes.n && b->n < FAILED_MAX) {
        struct slice line = slice_first(bytes, slice_find(bytes, '\n'));
        bytes = slice_after(bytes, line.n + 1);
        line = slice_trim(line);
        struct slice name = slice_first(line, slice_find(line, ':')), value = slice_trim(slice_after(line, name.n + 1));
        original = slice_eq_nocase(name, SLICE("Original-Recipient")) ? typed_address(value) : original;
        final = slice_eq_nocase(name, SLICE("Final-Recipient")) ? typed_address(value) : final;
        action = slice_eq_nocase(name, SLICE("Action")) ? value : action;
        status = slice_eq_nocase(name, SLICE("Status")) ? value : status;
        if (line.n && bytes.n)
            continue;
        if (final.n && slice_eq_nocase(action, SLICE("failed")))
            b->all[b->n++] = (struct failed){original.n ? original : final, slice_starts(status, SLICE("5.1."))};
        original = final = action = status = slice_make("", 0);
    }
}

static struct error bounce_change(struct sql *db, void *arg)
{
    struct bounce *b = arg;
    const struct list_job *j = b->job;
    b->suspended = slice_make("", 0);
    for (size_t i = 0; i < b->n; i++) {
        struct address x;
        bool member, suspended;
        TRY(list_has_member(db, j->list.account, b->all[i].address, j->arena, &member));
        if (!member || address_parse(b->all[i].address, j->arena, &x).code != ERROR_NONE)
            continue; /* a member that left, or a member of a member */
        char *text = address_text(&x, j->arena);
        if (!text)
            return error_make(ERROR_MEMORY, "no memory for a bounce");
        TRY(list_bounce_note(db, j->list.account, slice_of(text), b->all[i].unknown, clock_now(), &suspended));
        if (suspended)
            b->suspended = slice_of(text);
    }
    return post_remove(db, j->post.id);
}

struct error list_bounced(const struct list_job *j)
{
    struct bounce *b = arena_zero(j->arena, 1, sizeof *b);
    struct slice bytes;
    if (!b)
        return error_make(ERROR_MEMORY, "no memory for a bounce");
    TRY(list_read_first(j, &bytes));
    b->job = j;
    if (memmem(bytes.p, bytes.n, "delivery-status", 15))
        read_status(slice_after(bytes, header_length(bytes)), b);
    if (b->n == 0)
        return list_to_owner(j); /* a person, or a program that knows no reports: RFC 3461 5.2.7.1 (a) */
    TRY(store_change(j->store, bounce_change, b));
    if (b->suspended.n == 0)
        return OK;
    LOG_EVENT(LOG_WARN, "list-member-suspended", LOG_WORD("list", j->name), LOG_TEXT("member", b->suspended));
    struct list_notice notice = {.to = list_address(j, "-owner"), .subject = arena_printf(j->arena, "%s: a member's mail comes back", j->name),
                                 .text = arena_printf(j->arena, "Mail for %.*s came back %d times. This member gets nothing from the list until\n\n  kantorctl list resume %s %.*s\n\nor leaves with\n\n  kantorctl group leave %s %.*s\n",
                                                      SLICE_ARG(b->suspended), LIST_BOUNCES_MAX, j->name, SLICE_ARG(b->suspended), j->name, SLICE_ARG(b->suspended))};
    return notice.to && notice.subject && notice.text ? list_tell(j, &notice) : error_make(ERROR_MEMORY, "no memory for a notice");
}

/* --- leaving */

struct leaving {
    const struct list_job *job;
    struct slice author; /* who wrote: canonical */
    char token[11];
};

static struct error ask_change(struct sql *db, void *arg)
{
    struct leaving *l = arg;
    TRY(list_leave_ask(db, l->job->list.account, l->author, slice_of(l->token), clock_now(), l->job->arena));
    return post_remove(db, l->job->post.id);
}

static struct error done_change(struct sql *db, void *arg)
{
    return list_post_done(db, arg);
}

static struct error is_ours(struct list_job *j, const struct address *x)
{
    struct domain domain;
    SCOPED(store_reader_return) struct sql *db = store_reader(j->store);
    struct error e = domain_find(db, x->domain, j->arena, &domain);
    j->author_ours = e.code == ERROR_NONE;
    return e.code == ERROR_NOT_FOUND ? OK : e;
}

struct error list_author(struct list_job *j, struct slice head)
{
    struct mime_addresses from;
    struct address x;
    struct slice value = header_find(head, SLICE("From"));
    j->author = j->author_name = slice_make("", 0);
    if (!value.p)
        return OK;
    TRY(address_list_parse(header_unfold(value, j->arena), j->arena, &from));
    if (from.n != 1 || !from.all[0].domain.n)
        return OK;
    char *text = arena_printf(j->arena, "%.*s@%.*s", SLICE_ARG(from.all[0].local), SLICE_ARG(from.all[0].domain));
    if (!text || address_parse(slice_of(text), j->arena, &x).code != ERROR_NONE)
        return OK;
    text = address_text(&x, j->arena);
    j->author = slice_of(text ? text : "");
    j->author_name = from.all[0].name.p ? from.all[0].name : slice_make("", 0);
    return is_ours(j, &x);
}

/* Whoever writes is asked whether it was he: an envelope and a From are soon forged. Once a day; a program's answer or a stranger asks for nothing. */
struct error list_leave(struct list_job *j)
{
    struct leaving l = {.job = j};
    struct slice bytes;
    TRY(list_read_first(j, &bytes));
    struct slice head = slice_first(bytes, header_length(bytes)), automatic = header_find(head, SLICE("Auto-Submitted"));
    TRY(list_author(j, head));
    l.author = j->author;
    if (j->post.sender.n == 0 || !slice_eq_nocase(l.author, j->post.sender) || (automatic.p && !slice_eq_nocase(slice_trim(automatic), SLICE("no"))))
        return store_change(j->store, done_change, j);
    TRY(list_random(l.token));
    char *ending = arena_printf(j->arena, "-leave-%s", l.token);
    struct list_notice notice = {.to = arena_string(j->arena, l.author), .subject = arena_printf(j->arena, "Do you want to leave %s?", j->name), .reply_to = ending ? list_address(j, ending) : NULL,
                                 .text = arena_printf(j->arena, "Somebody, perhaps you, asked that you leave the list %s.\n\nIf it was you, answer this mail. If it was not, do nothing: you stay.\n", j->name), .also = ask_change, .arg = &l};
    struct error e = notice.to && notice.subject && notice.text && notice.reply_to ? list_tell(j, &notice) : error_make(ERROR_MEMORY, "no memory for a notice");
    return e.code == ERROR_NOT_FOUND || e.code == ERROR_CONFLICT ? store_change(j->store, done_change, j) : e;
}
