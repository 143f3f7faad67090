/* core/kantord/operations_list.c -- lists: options, posts that wait for a moderator, members whose mail comes back */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "core/options.h"
#include "mail/delivery/list.h"
#include "mail/mime/header.h"
#include "mail/trace/trace.h"

static const char *const posting_words[] = {[LIST_ANYONE] = "anyone", [LIST_MEMBERS] = "members", [LIST_OWNER_ONLY] = "owner"};
static const char *const reply_words[] = {[LIST_REPLY_SENDER] = "sender", [LIST_REPLY_LIST] = "list"};
static const char *const yes_no[] = {"no", "yes"};

static struct error list_named(struct operation_call *k, struct sql *db, struct slice name, struct account *account, struct list *list)
{
    TRY(operation_account(k, db, name, account));
    struct error e = list_get(db, account->id, k->arena, list);
    return e.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, arena_printf(k->arena, "%.*s is no list; `kantorctl list add` makes one", SLICE_ARG(name))) : e;
}

/* One of the words, when the option was given. */
static struct error choose(struct operation_call *k, const char *option, const char *const *words, int n, int *value)
{
    struct slice text = operation_option(k, option);
    if (!text.p)
        return OK;
    for (int i = 0; i < n; i++) {
        if (slice_eq(text, slice_of(words[i]))) {
            *value = i;
            return OK;
        }
    }
    return error_make(ERROR_INVALID, arena_printf(k->arena, "--%s is %s or %s%s%s", option, words[0], words[1], n > 2 ? " or " : "", n > 2 ? words[2] : ""));
}

static struct error read_prefix(struct operation_call *k, struct list *list)
{
    struct slice text = operation_option(k, "prefix");
    if (!text.p)
        return OK;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] > 0x7E)
            return error_make(ERROR_INVALID, "the prefix is ASCII, like [team]");
    if (text.n > LIST_PREFIX_MAX)
        return error_make(ERROR_INVALID, "the prefix is too long");
    list->prefix = slice_trim(text);
    return OK;
}

static struct error read_owner(struct operation_call *k, struct list *list)
{
    struct slice text = operation_option(k, "owner");
    struct address x;
    if (!text.p)
        return OK;
    if (text.n == 0) {
        list->owner = text;
        return OK;
    }
    TRY(address_parse(text, k->arena, &x));
    char *owner = address_text(&x, k->arena);
    list->owner = slice_of(owner ? owner : "");
    return OK;
}

static struct error read_options(struct operation_call *k, struct list *list)
{
    int posting = (int)list->posting, reply = (int)list->reply, moderated = list->moderated;
    TRY(choose(k, "post", posting_words, 3, &posting));
    TRY(choose(k, "reply-to", reply_words, 2, &reply));
    TRY(choose(k, "moderated", yes_no, 2, &moderated));
    list->posting = (enum list_posting)posting;
    list->reply = (enum list_reply)reply;
    list->moderated = moderated != 0;
    TRY(read_prefix(k, list));
    return read_owner(k, list);
}

struct adding {
    struct operation_call *k;
    char secret[11];
};

/* A group that stands becomes a list, its members stay. */
static struct error add_change(struct sql *db, void *arg)
{
    struct adding *x = arg;
    struct operation_call *k = x->k;
    struct account account = {.id = 0};
    struct address address;
    struct list list = {.posting = LIST_MEMBERS, .prefix = SLICE(""), .owner = SLICE(""), .secret = slice_of(x->secret)}, old;
    struct error e = account_find(db, k->words[2], k->arena, &account);
    if (e.code == ERROR_NONE && account.kind != ACCOUNT_GROUP)
        return error_make(ERROR_CONFLICT, "that address belongs to an account which is no group");
    if (e.code == ERROR_NOT_FOUND) {
        TRY(address_parse(k->words[2], k->arena, &address));
        struct slice title = operation_option(k, "title");
        e = account_add(db, (struct actor){0, 0}, ACCOUNT_GROUP, &address, title.p ? title : SLICE(""), &account.id);
    }
    TRY(e);
    if (list_get(db, account.id, k->arena, &old).code == ERROR_NONE)
        return error_make(ERROR_EXISTS, "that is a list already; `kantorctl list set` changes it");
    list.account = account.id;
    TRY(read_options(k, &list));
    return list_set(db, &list);
}

struct error run_list_add(struct operation_call *k)
{
    struct adding x = {.k = k};
    TRY(list_random(x.secret));
    TRY(store_change(k->server->store, add_change, &x));
    report_say(&k->report, "%.*s is a list; members: `kantorctl group join %.*s MEMBER`", SLICE_ARG(k->words[2]), SLICE_ARG(k->words[2]));
    return OK;
}

static struct error set_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account account;
    struct list list;
    TRY(list_named(k, db, k->words[2], &account, &list));
    TRY(read_options(k, &list));
    return list_set(db, &list);
}

struct error run_list_set(struct operation_call *k)
{
    TRY(store_change(k->server->store, set_change, k));
    report_say(&k->report, "changed");
    return OK;
}

static struct error unset_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account account;
    struct list list;
    TRY(list_named(k, db, k->words[2], &account, &list));
    return list_unset(db, account.id);
}

struct error run_list_remove(struct operation_call *k)
{
    TRY(store_change(k->server->store, unset_change, k));
    report_say(&k->report, "%.*s is a plain group now; `kantorctl account remove` removes it", SLICE_ARG(k->words[2]));
    return OK;
}

static void report_options(struct operation_call *k, const struct account *account, const struct list *list)
{
    report_text(&k->report, account->name);
    report_word(&k->report, posting_words[list->posting]);
    report_word(&k->report, yes_no[list->moderated]);
    report_word(&k->report, reply_words[list->reply]);
    report_text(&k->report, list->prefix.n ? list->prefix : slice_make(NULL, 0));
    report_text(&k->report, list->owner.n ? list->owner : slice_make(NULL, 0));
}

struct error run_list_list(struct operation_call *k)
{
    int64_t *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(list_all(db, k->arena, &all, &n));
    report_list(&k->report, "list post moderated reply_to prefix owner");
    for (size_t i = 0; i < n; i++) {
        struct account account;
        struct list list;
        TRY(account_get(db, all[i], k->arena, &account));
        TRY(list_get(db, all[i], k->arena, &list));
        report_options(k, &account, &list);
    }
    return OK;
}

/* --- members whose mail comes back */

struct error run_list_bounces(struct operation_call *k)
{
    struct account account;
    struct list list;
    struct list_bounce *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(list_named(k, db, k->words[2], &account, &list));
    TRY(list_bounce_list(db, account.id, k->arena, &all, &n));
    report_list(&k->report, "member bounces last suspended");
    for (size_t i = 0; i < n; i++) {
        report_text(&k->report, all[i].address);
        report_number(&k->report, all[i].bounces);
        report_date(&k->report, all[i].at);
        report_word(&k->report, yes_no[all[i].suspended]);
    }
    return OK;
}

static struct error resume_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account account;
    struct list list;
    struct address x;
    TRY(list_named(k, db, k->words[2], &account, &list));
    TRY(address_parse(k->words[3], k->arena, &x));
    char *text = address_text(&x, k->arena);
    return list_bounce_forget(db, account.id, slice_of(text ? text : ""));
}

struct error run_list_resume(struct operation_call *k)
{
    TRY(store_change(k->server->store, resume_change, k));
    report_say(&k->report, "%.*s gets mail of the list again", SLICE_ARG(k->words[3]));
    return OK;
}

/* --- moderation */

static struct slice subject_of(struct operation_call *k, struct sql *db, int64_t blob)
{
    struct slice bytes;
    if (blob_read(db, blob, 0, 65536, k->arena, &bytes).code != ERROR_NONE)
        return SLICE("");
    struct slice subject = header_unfold(header_find(slice_first(bytes, header_length(bytes)), SLICE("Subject")), k->arena);
    return subject.p ? slice_first(subject, 100) : SLICE("");
}

struct error run_list_pending(struct operation_call *k)
{
    struct account account = {.id = 0};
    struct list list;
    struct post *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    if (k->n_words > 2)
        TRY(list_named(k, db, k->words[2], &account, &list));
    TRY(post_held(db, account.id, k->arena, &all, &n));
    report_list(&k->report, "id list from since subject message");
    for (size_t i = 0; i < n; i++) {
        struct account of;
        TRY(account_get(db, all[i].list, k->arena, &of));
        report_number(&k->report, all[i].id);
        report_text(&k->report, of.name);
        report_text(&k->report, all[i].sender);
        report_date(&k->report, all[i].created);
        report_text(&k->report, subject_of(k, db, all[i].blob));
        report_text(&k->report, all[i].job);
    }
    return OK;
}

struct deciding {
    struct operation_call *k;
    int64_t id;
    enum trace_what what;
};

static struct error post_id(struct operation_call *k, int64_t *id)
{
    uint64_t n;
    if (!slice_number(k->words[2], INT64_MAX, &n))
        return error_make(ERROR_INVALID, "the id is the number that `kantorctl list pending` shows");
    *id = (int64_t)n;
    return OK;
}

static struct error tell_trace(struct sql *db, struct deciding *x, const char *detail)
{
    struct post post;
    struct account list;
    struct trace t;
    TRY(post_get(db, x->id, x->k->arena, &post));
    if (post.state == POST_READY)
        return error_make(ERROR_NOT_FOUND, "that post does not wait for a moderator; `kantorctl list pending` shows all");
    TRY(account_get(db, post.list, x->k->arena, &list));
    trace_begin(&t, x->k->arena, post.job, SLICE(""), post.sender);
    trace_add(&t, x->what, list.name, slice_of(detail));
    return trace_put(db, &t);
}

static struct error approve_change(struct sql *db, void *arg)
{
    struct deciding *x = arg;
    TRY(tell_trace(db, x, "by the list's moderator"));
    return post_set_state(db, x->id, POST_READY);
}

struct error run_list_approve(struct operation_call *k)
{
    struct deciding x = {.k = k, .what = TRACE_RELEASED};
    TRY(post_id(k, &x.id));
    TRY(store_change(k->server->store, approve_change, &x));
    list_wake();
    report_say(&k->report, "distributed");
    return OK;
}

static struct error reject_change(struct sql *db, void *arg)
{
    return tell_trace(db, arg, "the list's moderator said no");
}

struct error run_list_reject(struct operation_call *k)
{
    struct deciding x = {.k = k, .what = TRACE_DROPPED};
    const struct config *c = k->server->config;
    struct list_around around = {k->server->hostname ? k->server->hostname : "localhost", c ? c->queue_lifetime / 1000 : 5 * 86400};
    struct slice reason = operation_option(k, "reason");
    TRY(post_id(k, &x.id));
    TRY(store_change(k->server->store, reject_change, &x));
    TRY(list_reject(k->server->store, &around, x.id, reason));
    report_say(&k->report, reason.p ? "not distributed; its sender is told" : "not distributed; its sender is not told");
    return OK;
}
