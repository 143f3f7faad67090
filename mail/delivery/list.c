/* mail/delivery/list.c -- what is taken for a list; the worker that distributes it */
#include "mail/delivery/list.h"

#include <stdatomic.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "mail/delivery/list_internal.h"
#include "mail/mime/header.h"

enum { MEMBERS_MAX = 10000 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a list")

/* --- in the delivery's change */

struct error list_check(struct sql *db, const struct resolved_list *to, struct slice sender, int64_t submitter, struct arena *a)
{
    struct list list;
    if (to->role != LIST_POST)
        return OK;
    TRY(list_get(db, to->account, a, &list));
    return list_may_post(db, &list, sender, submitter, a);
}

/* He answered, or he logged in: nobody has to be asked. */
static struct error leave_now(struct sql *db, const struct list_arrival *x, const struct resolved_list *to)
{
    struct error e = OK;
    struct account account;
    if (to->role == LIST_LEFT) {
        e = list_leave_answered(db, to->account, to->token, x->scratch);
    } else {
        TRY(account_get(db, x->d->submitter, x->scratch, &account));
        e = list_member_remove(db, to->account, account.name, x->scratch);
    }
    if (e.code == ERROR_NOT_FOUND)
        return error_make(ERROR_DENIED, "no member of the list asked for that");
    TRY(e);
    trace_add(x->trace, TRACE_FILTERED, x->r->text, SLICE("the list: a member left"));
    return OK;
}

struct error list_take(struct sql *db, const struct list_arrival *x, const struct resolved_list *to)
{
    struct list list;
    struct post post = {.list = to->account, .role = to->role, .state = POST_READY, .blob = x->blob, .job = slice_of(x->d->job), .sender = x->d->sender,
                        .flags = x->d->flags & (DELIVERY_REQUIRETLS | DELIVERY_SMTPUTF8 | DELIVERY_8BIT | DELIVERY_BINARY | DELIVERY_TLS_OPTIONAL), .created = clock_now()};
    int64_t id;
    if (to->role == LIST_LEFT || (to->role == LIST_LEAVE && x->d->submitter))
        return leave_now(db, x, to);
    TRY(list_get(db, to->account, x->scratch, &list));
    if (to->role == LIST_POST) {
        if (x->marked)
            return error_make(ERROR_LOOP, "the list has distributed this message: it is in a loop");
        TRY(list_may_post(db, &list, x->d->sender, x->d->submitter, x->scratch));
        if (x->automatic) {
            trace_add(x->trace, TRACE_DROPPED, x->r->text, SLICE("an automatic answer is not distributed by a list"));
            return OK;
        }
        post.state = list.moderated && !(list.owner.n && slice_eq_nocase(list.owner, x->d->sender)) ? POST_UNTOLD : POST_READY;
    }
    TRY(post_add(db, &post, &id));
    trace_addf(x->trace, post.state == POST_READY ? TRACE_QUEUED : TRACE_HELD, x->r->text, post.state == POST_READY ? "for the list, as post %lld" : "for the list's moderator, as post %lld", (long long)id);
    return OK;
}

/* --- who distributes */

static struct {
    void (*wake)(void *arg);
    void *arg;
    _Atomic int asked; /* times; one works while it is above 0 */
} work;

void list_wake_by(void (*wake)(void *arg), void *arg)
{
    work.wake = wake;
    work.arg = arg;
}

void list_wake(void)
{
    if (work.wake)
        work.wake(work.arg);
}

static struct error add_recipient(struct list_job *j, struct sql *db, struct delivery *d, struct slice address)
{
    bool suspended;
    struct delivery_rcpt r = {.text = arena_copy(j->arena, address), .orcpt = slice_make(NULL, 0), .notify = NOTIFY_FAILURE};
    TRY(list_is_suspended(db, j->list.account, address, &suspended));
    if (suspended || address_parse(address, j->arena, &r.address).code != ERROR_NONE)
        return OK;
    if (!r.text.p)
        return NO_MEMORY;
    d->rcpts[d->n_rcpts++] = r;
    return OK;
}

/* A member that is a group or a list stands there with its own address. */
static struct error members_of(struct list_job *j, struct delivery *d)
{
    struct member_row *members;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(j->store);
    TRY(member_list(db, j->list.account, j->arena, &members, &n));
    d->rcpts = arena_alloc(j->arena, (n + 1) * sizeof *d->rcpts);
    if (!d->rcpts)
        return NO_MEMORY;
    if (n > MEMBERS_MAX)
        return error_make(ERROR_DENIED, "the list has too many members");
    for (size_t i = 0; i < n; i++) {
        struct account account = {.name = members[i].foreign};
        if (members[i].member)
            TRY(account_get(db, members[i].member, j->arena, &account));
        if (!members[i].member || account.state == ACCOUNT_ACTIVE)
            TRY(add_recipient(j, db, d, account.name));
    }
    return OK;
}

static struct error make_message(struct list_job *j, struct message *m)
{
    struct slice first;
    struct buffer out = {0};
    blob_put_begin(j->store, &m->put);
    TRY(list_read_first(j, &first));
    TRY(list_author(j, slice_first(first, header_length(first))));
    size_t head = header_length(first), fields = head;
    while (fields && (first.p[fields - 1] == '\n' || first.p[fields - 1] == '\r')) /* the empty line is written anew */
        fields--;
    list_head_write(j, slice_first(first, fields < head ? fields + 2 : fields), &out);
    buffer_add(&out, SLICE("\r\n"));
    struct error e = out.failed ? NO_MEMORY : blob_put_add(&m->put, buffer_slice(&out));
    buffer_free(&out);
    TRY(e);
    TRY(list_copy_from(j, (int64_t)head, &m->put));
    TRY(blob_put_end(&m->put));
    return message_prepare(m, j->arena);
}

static struct error distribute(struct list_job *j)
{
    struct message m = {0};
    char *sender = list_sender(j), *job = arena_string(j->arena, j->post.job), *origin = arena_printf(j->arena, "by the list %s, ", j->name);
    if (!sender || !job || !origin)
        return NO_MEMORY;
    struct delivery d = {.message = &m, .sender = slice_of(sender), .flags = j->post.flags | DELIVERY_RET_HDRS, .submitter = j->list.account, .lifetime_s = j->around->lifetime_s,
                         .results = DELIVERY_RESULT_QUEUE, .job = job, .origin = slice_of(origin), .also = list_post_done, .also_arg = j};
    struct error e = members_of(j, &d);
    if (e.code == ERROR_NONE)
        e = make_message(j, &m);
    if (e.code == ERROR_NONE)
        e = delivery_run(j->store, &d, j->arena);
    blob_put_drop(&m.put);
    if (e.code == ERROR_NONE)
        LOG_EVENT(LOG_INFO, "list-distributed", LOG_ID(job), LOG_WORD("list", j->name), LOG_NUMBER("members", d.n_rcpts));
    return e;
}

/* The moderator reads who, what about, and what to type. */
static struct error tell_moderator(struct list_job *j)
{
    struct slice first;
    TRY(list_read_first(j, &first));
    struct slice subject = header_unfold(header_find(slice_first(first, header_length(first)), SLICE("Subject")), j->arena);
    subject = subject.p ? slice_first(subject, 200) : SLICE("(none)");
    struct list_notice notice = {.to = list_address(j, "-owner"), .subject = arena_printf(j->arena, "%s: a post waits for you", j->name),
                                 .text = arena_printf(j->arena, "A post to %s waits until you decide.\n\nFrom: %.*s\nSubject: %.*s\nPost: %lld\n\n  kantorctl list approve %lld\n  kantorctl list reject %lld --reason TEXT\n", j->name,
                                                      SLICE_ARG(j->post.sender), SLICE_ARG(subject), (long long)j->post.id, (long long)j->post.id, (long long)j->post.id),
                                 .also = list_post_told, .arg = j};
    return notice.to && notice.subject && notice.text ? list_tell(j, &notice) : NO_MEMORY;
}

static struct error read_job(struct list_job *j)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(j->store);
    TRY(list_get(db, j->post.list, j->arena, &j->list));
    TRY(account_get(db, j->post.list, j->arena, &j->account));
    TRY(address_parse(j->account.name, j->arena, &j->own));
    j->name = address_text(&j->own, j->arena);
    return j->name ? OK : NO_MEMORY;
}

static struct error work_on(struct list_job *j)
{
    TRY(read_job(j));
    if (j->post.role == LIST_BOUNCES)
        return list_bounced(j);
    if (j->post.role == LIST_LEAVE)
        return list_leave(j);
    return j->post.state == POST_UNTOLD ? tell_moderator(j) : distribute(j);
}

/* *done: how many are over; what fails is looked at again later. */
static struct error work_through(struct store *s, const struct list_around *around, size_t *done)
{
    struct arena all, one;
    struct post *posts;
    size_t n;
    arena_init(&all, ARENA_REQUEST_MAX);
    arena_init(&one, ARENA_REQUEST_MAX);
    struct sql *db = store_reader(s);
    struct error e = post_list(db, POST_UNTOLD, &all, &posts, &n);
    store_reader_return(&db);
    *done = 0;
    for (size_t i = 0; e.code == ERROR_NONE && i < n; i++) {
        struct list_job j = {.store = s, .around = around, .arena = &one, .post = posts[i]};
        struct error worked = work_on(&j);
        *done += worked.code == ERROR_NONE;
        if (worked.code != ERROR_NONE && worked.code != ERROR_NOT_FOUND)
            LOG_EVENT(LOG_ERROR, "list-post-waits", LOG_TEXT("id", posts[i].job), LOG_NUMBER("post", posts[i].id), LOG_FAILURE(worked));
        arena_reset(&one);
    }
    arena_free(&one);
    arena_free(&all);
    return e;
}

void list_work(struct store *s, const struct list_around *around)
{
    if (atomic_fetch_add(&work.asked, 1) > 0)
        return; /* whoever works looks again */
    do {
        size_t done;
        atomic_store(&work.asked, 1);
        do {
            struct error e = work_through(s, around, &done);
            if (e.code != ERROR_NONE)
                LOG_EVENT(LOG_ERROR, "lists-not-distributed", LOG_FAILURE(e));
        } while (done);
    } while (atomic_fetch_sub(&work.asked, 1) > 1);
}

struct error list_reject(struct store *s, const struct list_around *around, int64_t post, struct slice reason)
{
    struct arena a;
    struct list_job j = {.store = s, .around = around, .arena = &a};
    arena_init(&a, ARENA_REQUEST_MAX);
    struct sql *db = store_reader(s);
    struct error e = post_get(db, post, &a, &j.post);
    store_reader_return(&db);
    if (e.code == ERROR_NONE)
        e = read_job(&j);
    if (e.code == ERROR_NONE && (!reason.p || j.post.sender.n == 0)) {
        e = store_change(s, list_post_done, &j);
    } else if (e.code == ERROR_NONE) {
        struct list_notice notice = {.to = arena_string(&a, j.post.sender), .subject = arena_printf(&a, "%s: your post was not distributed", j.name),
                                     .text = arena_printf(&a, "The moderator of %s did not distribute your post.\n\n%.*s\n", j.name, SLICE_ARG(slice_first(reason, 2000))), .also = list_post_done, .arg = &j};
        e = notice.to && notice.subject && notice.text ? list_tell(&j, &notice) : NO_MEMORY;
    }
    arena_free(&a);
    return e;
}
