/* core/kantord/operations_import.c -- messages in: what kantorctl read from files goes into mailboxes, in batches
 *
 * kantorctl opens the files (the server may not, and need not, read them) and sends each message in pieces; memory here
 * is one piece and one batch of small messages, whatever the size of the source. A batch is one change, so group commit
 * writes hundreds of messages with one fsync.
 *
 * There is no journal: the mailbox is it. Before the first message for a mailbox its contents are counted by hash, and
 * as many messages of the same content as stand there (or were moved on from there) are passed over. So an import that
 * was cut off at any instant is resumed by running it again, twins in the source stay twins, and nothing comes twice.
 * It costs 16 bytes a message of the mailbox.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "core/store/keyword.h"
#include "mail/mailbox/index.h"
#include "mail/mailbox/mailbox.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"

enum {
    BATCH_MESSAGES = 256,
    BATCH_BYTES = 8 * 1024 * 1024,
    BATCH_ARENA_MAX = 512 * 1024 * 1024,
    BATCH_FILES = 16,
    KEYWORDS_A_MESSAGE = 128,
    NOTES_MAX = 1000
};

struct known {
    uint64_t key; /* the first bytes of the content's hash */
    uint32_t count;
};

struct target {
    struct slice path; /* as it was asked for */
    int64_t collection;
    struct error usable; /* no such name can be */
    struct known *known; /* sorted */
    size_t n_known, room;
    struct target *next;
};

struct arriving {
    struct message message;
    int64_t number, received;
    struct target *target;
    struct slice *flags;
    size_t n_flags;
    struct error result;
};

struct batch {
    struct importing *x;
    struct arena arena;
    struct arriving *messages;
    size_t n, bytes, files;
    pthread_t thread; /* that waits for its change */
    int under_way;
    struct error result;
};

struct importing {
    struct operation_call *k;
    struct account account;
    struct target *targets;
    struct batch batches[2], *batch; /* one is filled while the other becomes durable */
    struct blob_put put;             /* the message that is coming */
    struct buffer lines;             /* a piece of it with its line ends put right */
    int coming, after_cr, exact;
    struct error put_result;
    int64_t number, imported, there, refused;
};

/* --- what is there already */

static void learn(void *arg, const unsigned char hash[32])
{
    struct target *t = arg;
    if (t->usable.code != ERROR_NONE)
        return;
    if (t->n_known == t->room) {
        size_t room = t->room ? t->room * 2 : 1024;
        struct known *grown = realloc(t->known, room * sizeof *grown);
        if (!grown) {
            t->usable = error_make(ERROR_MEMORY, "no memory for the list of what is there already");
            return;
        }
        t->known = grown;
        t->room = room;
    }
    struct known *one = &t->known[t->n_known++];
    memcpy(&one->key, hash, sizeof one->key);
    one->count = 1;
}

static int by_key(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void join_equal(struct target *t)
{
    size_t n = 0;
    if (t->n_known)
        qsort(t->known, t->n_known, sizeof *t->known, by_key);
    for (size_t i = 0; i < t->n_known; i++) {
        if (n && t->known[n - 1].key == t->known[i].key)
            t->known[n - 1].count++;
        else
            t->known[n++] = t->known[i];
    }
    t->n_known = n;
}

static bool is_there(struct target *t, const unsigned char hash[32])
{
    struct known wanted = {.count = 0};
    memcpy(&wanted.key, hash, sizeof wanted.key);
    struct known *found = t->n_known ? bsearch(&wanted, t->known, t->n_known, sizeof wanted, by_key) : NULL;
    if (!found || found->count == 0)
        return false;
    found->count--;
    return true;
}

/* --- mailboxes */

struct making {
    struct importing *x;
    struct slice path;
    enum collection_role role;
    int subscribe;
    struct mailbox mailbox;
};

static struct error find_or_make(struct sql *db, void *arg)
{
    struct making *m = arg;
    struct arena *a = m->x->k->arena;
    int64_t id = m->x->account.id;
    struct slice path;
    TRY(mailbox_canonical(m->path, a, &path));
    struct error e = mailbox_find(db, id, path, a, &m->mailbox);
    if (e.code == ERROR_NOT_FOUND) {
        TRY(mailbox_create(db, (struct actor){id, 0}, path, m->role, a, &m->mailbox));
        e = m->subscribe ? subscription_add(db, id, path) : OK;
    }
    if (e.code == ERROR_NONE && m->mailbox.c.account != id)
        return error_make(ERROR_DENIED, "the mailbox belongs to another account");
    return e;
}

static struct error find_target(struct importing *x, struct slice path, struct target **out)
{
    for (struct target *t = x->targets; t; t = t->next)
        if (slice_eq(t->path, path)) {
            *out = t;
            return OK;
        }
    struct target *t = arena_zero(x->k->arena, 1, sizeof *t);
    if (!t)
        return error_make(ERROR_MEMORY, "no memory for an import");
    t->path = arena_copy(x->k->arena, path);
    t->next = x->targets;
    x->targets = *out = t;
    struct making m = {.x = x, .path = t->path, .subscribe = 1};
    struct error e = store_change(x->k->server->store, find_or_make, &m);
    if (e.code == ERROR_NONE) {
        t->collection = m.mailbox.c.id;
        SCOPED(store_reader_return) struct sql *db = store_reader(x->k->server->store);
        e = item_contents(db, t->collection, learn, t);
        join_equal(t);
    }
    if (e.code != ERROR_NONE)
        t->usable = e;
    return error_is_temporary(t->usable) ? t->usable : OK;
}

/* --- a batch */

static struct error add_one(struct sql *db, struct importing *x, struct arriving *m)
{
    struct buffer kw = {0};
    int64_t blob, modseq, flags = 0;
    uint32_t uid;
    struct error e = keyword_resolve(db, x->account.id, m->flags, m->n_flags, &flags, &kw);
    if (e.code == ERROR_NONE)
        e = message_enter(db, &m->message, &blob);
    if (e.code == ERROR_NONE) {
        struct item_new item = {.blob = blob,
                                .size = m->message.put.size,
                                .flags = flags,
                                .kw = buffer_slice(&kw),
                                .received = m->received};
        e = item_add(db, (struct actor){x->account.id, 0}, m->target->collection, &item, &uid, &modseq);
    }
    buffer_free(&kw);
    return e;
}

/* A quota that is used up refuses the message; a store that fails refuses the batch. */
static struct error add_batch(struct sql *db, void *arg)
{
    struct batch *b = arg;
    for (size_t i = 0; i < b->n; i++) {
        struct arriving *m = &b->messages[i];
        m->result = add_one(db, b->x, m);
        if (error_is_temporary(m->result))
            return m->result;
    }
    return OK;
}

static void *batch_main(void *arg)
{
    struct batch *b = arg;
    b->result = store_change(b->x->k->server->store, add_batch, b);
    return NULL;
}

static struct error note(struct importing *x, int64_t number, struct error why)
{
    struct buffer b = {0};
    if (x->refused++ >= NOTES_MAX)
        return OK;
    buffer_printf(&b, "{\"number\": %lld, \"why\": ", (long long)number);
    report_json_text(
        slice_of(why.code == ERROR_QUOTA
                     ? "the account's quota is used up; raise it with `kantorctl account quota` and import again"
                 : why.text ? why.text
                            : error_word(why.code)),
        &b);
    buffer_add_char(&b, '}');
    struct error e = frame_send(x->k->frames, FRAME_NOTE, buffer_slice(&b));
    buffer_free(&b);
    return e;
}

static void drop_batch(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        blob_put_drop(&b->messages[i].message.put);
    b->n = b->bytes = b->files = 0;
    arena_reset(&b->arena);
}

static struct error tell_progress(struct importing *x)
{
    struct buffer b = {0};
    buffer_printf(&b, "{\"imported\": %lld, \"there\": %lld, \"refused\": %lld}", (long long)x->imported,
                  (long long)x->there, (long long)x->refused);
    struct error e = frame_send(x->k->frames, FRAME_PROGRESS, buffer_slice(&b));
    buffer_free(&b);
    TRY(e);
    return frames_flush(x->k->frames);
}

/* Waits until a batch is durable (or has failed), counts it and empties it. */
static struct error settle(struct importing *x, struct batch *b)
{
    if (!b->under_way)
        return OK;
    (void)pthread_join(b->thread, NULL);
    b->under_way = 0;
    struct error e = b->result;
    for (size_t i = 0; e.code == ERROR_NONE && i < b->n; i++) {
        if (b->messages[i].result.code == ERROR_NONE)
            x->imported++;
        else
            e = note(x, b->messages[i].number, b->messages[i].result);
    }
    drop_batch(b);
    TRY(e);
    return tell_progress(x);
}

/* Sends the batch on its way and goes on with the other: what comes is parsed while the disk works. */
static struct error flush(struct importing *x)
{
    struct batch *b = x->batch, *other = b == x->batches ? x->batches + 1 : x->batches;
    if (b->n && pthread_create(&b->thread, NULL, batch_main, b) != 0)
        return error_make(ERROR_MEMORY, "a thread could not be started");
    b->under_way = b->n > 0;
    x->batch = other;
    return settle(x, other);
}

/* --- a message */

/* Bare line feeds become CR LF; what is there already stays. The piece before may have ended with the CR. One put a
 * piece: a large message's is a write. */
static struct error put_lines(struct importing *x, struct slice s)
{
    if (x->exact)
        return blob_put_add(&x->put, s);
    buffer_clear(&x->lines);
    while (s.n) {
        size_t n = slice_find(s, '\n');
        int bare = n < s.n && (n == 0 ? !x->after_cr : s.p[n - 1] != '\r');
        buffer_add(&x->lines, slice_first(s, bare ? n : n + 1));
        if (bare)
            buffer_add(&x->lines, SLICE("\r\n"));
        x->after_cr = n == s.n && s.p[s.n - 1] == '\r';
        s = slice_after(s, n + 1);
    }
    return x->lines.failed ? error_make(ERROR_MEMORY, "no memory for an import")
                           : blob_put_add(&x->put, buffer_slice(&x->lines));
}

/* When it came, by the newest Received field, else by Date. */
static int64_t received_of(struct slice bytes)
{
    struct slice head = slice_first(bytes, header_length(bytes)), trace = header_find(head, SLICE("Received")),
                 date = header_find(head, SLICE("Date"));
    int64_t at;
    size_t semicolon = trace.p ? trace.n : 0;
    while (semicolon && trace.p[semicolon - 1] != ';')
        semicolon--;
    if (semicolon && date_read(slice_after(trace, semicolon), &at, NULL))
        return at;
    return date.p && date_read(date, &at, NULL) ? at : clock_now();
}

static struct error take_meta(struct importing *x, const json_t *meta, struct arriving *m)
{
    const json_t *flags = json_object_get(meta, "flags");
    size_t n = json_array_size(flags);
    n = n < KEYWORDS_A_MESSAGE ? n : KEYWORDS_A_MESSAGE;
    const char *path = json_string_value(json_object_get(meta, "mailbox"));
    m->received = json_integer_value(json_object_get(meta, "received"));
    m->number = x->number;
    struct arena *a = &x->batch->arena;
    m->flags = arena_alloc(a, (n + 1) * sizeof *m->flags);
    if (!m->flags)
        return error_make(ERROR_MEMORY, "no memory for an import");
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(flags, i));
        m->flags[m->n_flags] = arena_copy(a, slice_of(name ? name : ""));
        m->n_flags += m->flags[m->n_flags].n > 0;
    }
    return find_target(x, slice_of(path ? path : "INBOX"), &m->target);
}

/* Whole and hashed: is it wanted, and what is derived from it? *there: it stands in the mailbox already. *refused: why
 * not. */
static struct error look_at(struct importing *x, const json_t *meta, struct arriving *m, int *there,
                            struct error *refused)
{
    struct slice bytes;
    TRY(blob_put_end(&m->message.put));
    TRY(take_meta(x, meta, m));
    *refused = m->target->usable;
    if (refused->code == ERROR_NONE && m->message.put.size == 0)
        *refused = error_make(ERROR_INVALID, "it is empty");
    *there = refused->code == ERROR_NONE && is_there(m->target, m->message.put.hash);
    if (refused->code != ERROR_NONE || *there)
        return OK;
    TRY(blob_put_bytes(&m->message.put, &bytes));
    m->received = m->received ? m->received : received_of(bytes);
    *refused = message_prepare(&m->message, &x->batch->arena);
    return OK;
}

/* The message is whole: known, refused, or one more of the batch. */
static struct error message_ends(struct importing *x, const json_t *meta)
{
    struct batch *b = x->batch;
    struct arriving *m = &b->messages[b->n];
    struct error refused = OK, e = x->put_result;
    int there = 0;
    *m = (struct arriving){.message.put = x->put};
    x->coming = 0;
    if (json_is_true(json_object_get(meta, "drop"))) { /* kantorctl saw that it is none, and has said so */
        blob_put_drop(&m->message.put);
        return OK;
    }
    if (e.code == ERROR_NONE)
        e = look_at(x, meta, m, &there, &refused);
    if (e.code != ERROR_NONE || refused.code != ERROR_NONE || there) {
        blob_put_drop(&m->message.put);
        x->there += there;
        return e.code == ERROR_NONE && !there ? note(x, x->number, refused) : e;
    }
    b->n++;
    b->files += m->message.put.fd >= 0;
    b->bytes += m->message.put.fd >= 0 ? 0 : (size_t)m->message.put.size;
    return b->n == BATCH_MESSAGES || b->bytes >= BATCH_BYTES || b->files == BATCH_FILES ? flush(x) : OK;
}

static struct error message_begins(struct importing *x, struct slice about)
{
    if (x->coming)
        return error_make(ERROR_INVALID, "a message began inside another");
    blob_put_begin(x->k->server->store, &x->put);
    x->put_result = OK;
    x->coming = 1;
    x->after_cr = 0;
    x->exact = slice_eq(about, SLICE("exact")); /* an export of ours: as it stood in the store */
    x->number++;
    return OK;
}

/* --- a mailbox of an account's export: made also when it is empty */

static struct error mailbox_comes(struct importing *x, const json_t *about)
{
    const char *path = json_string_value(json_object_get(about, "mailbox"));
    struct making m = {.x = x,
                       .path = slice_of(path ? path : ""),
                       .role = (enum collection_role)json_integer_value(json_object_get(about, "role")),
                       .subscribe = json_is_true(json_object_get(about, "subscribed"))};
    struct error e = store_change(x->k->server->store, find_or_make, &m);
    return error_is_temporary(e) ? e : OK; /* a name that cannot be is said at its messages */
}

/* One frame of kantorctl. *more 0: all has come. */
static struct error take_frame(struct importing *x, int *more)
{
    enum frame_kind kind;
    struct slice bytes;
    struct error e = OK;
    TRY(frame_read(x->k->frames, &kind, &bytes));
    if (kind == FRAME_MESSAGE)
        return message_begins(x, bytes);
    if (kind == FRAME_DATA && x->coming) {
        if (x->put_result.code == ERROR_NONE)
            x->put_result = put_lines(x, bytes);
        return OK;
    }
    json_t *json = kind == FRAME_MESSAGE_END || kind == FRAME_FILE ? json_loadb(bytes.p, bytes.n, 0, NULL) : NULL;
    if (kind == FRAME_MESSAGE_END && x->coming && json)
        e = message_ends(x, json);
    else if (kind == FRAME_FILE && json)
        e = mailbox_comes(x, json);
    else if (kind == FRAME_END)
        *more = 0;
    else
        e = error_make(ERROR_INVALID, "that is not the control protocol of this version");
    json_decref(json);
    return e;
}

static struct error begin_batches(struct importing *x)
{
    for (int i = 0; i < 2; i++) {
        struct batch *b = &x->batches[i];
        b->x = x;
        b->messages = arena_alloc(x->k->arena, BATCH_MESSAGES * sizeof *b->messages);
        arena_init(&b->arena, BATCH_ARENA_MAX);
        if (!b->messages)
            return error_make(ERROR_MEMORY, "no memory for an import");
    }
    x->batch = x->batches;
    return OK;
}

static struct error import_into(struct operation_call *k, struct importing *x)
{
    if (x->account.kind == ACCOUNT_GROUP)
        return error_make(ERROR_CONFLICT, "a group has no mailboxes; import into a person or a shared mailbox");
    struct error e = begin_batches(x);
    for (int more = 1; more && e.code == ERROR_NONE;)
        e = take_frame(x, &more);
    for (int i = 0; i < 2 && e.code == ERROR_NONE; i++)
        e = flush(x); /* twice: the last batch, then what is still under way */
    if (x->coming)
        blob_put_drop(&x->put);
    for (int i = 0; i < 2; i++) {
        if (x->batches[i].under_way)
            (void)pthread_join(x->batches[i].thread, NULL);
        drop_batch(&x->batches[i]);
        arena_free(&x->batches[i].arena);
    }
    for (struct target *t = x->targets; t; t = t->next)
        free(t->known);
    buffer_free(&x->lines);
    report_one(&k->report, "imported already_there refused");
    report_number(&k->report, x->imported);
    report_number(&k->report, x->there);
    report_number(&k->report, x->refused);
    k->report.only_said = 1;
    report_say(&k->report, "%lld imported, %lld were there already%s", (long long)x->imported, (long long)x->there, "");
    return e.code == ERROR_NONE && x->refused
               ? error_make(ERROR_CONFLICT, arena_printf(k->arena, "%lld refused; the lines above say which and why",
                                                         (long long)x->refused))
               : e;
}

struct error run_import(struct operation_call *k)
{
    struct importing x = {.k = k};
    TRY(operation_account_now(k, k->words[2], &x.account));
    TRY(account_is_gone(x.account.state)
            ? error_make(ERROR_CONFLICT, "the account is removed; bring it back first with `kantorctl account restore`")
            : OK);
    TRY(frame_send(k->frames, FRAME_PROGRESS, SLICE("{}"))); /* go on */
    TRY(frames_flush(k->frames));
    return import_into(k, &x);
}

/* --- a whole person */

struct person {
    struct operation_call *k;
    const json_t *about;
    struct slice name;
    struct account account;
    int64_t left_out;
};

static struct slice member(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return json_is_string(v) ? slice_make(json_string_value(v), json_string_length(v)) : SLICE("");
}

static enum account_kind kind_of(struct slice word)
{
    for (int i = ACCOUNT_PERSON; i <= ACCOUNT_EQUIPMENT; i++)
        if (slice_eq(word, slice_of(operation_kind_words[i])))
            return (enum account_kind)i;
    return ACCOUNT_PERSON;
}

static void left_out(struct person *p, struct error e)
{
    p->left_out += e.code != ERROR_NONE && e.code != ERROR_EXISTS;
}

static struct error add_grants(struct sql *db, struct person *p)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(p->about, "grants"), i, one)
    {
        struct account grantee;
        struct mailbox m = {0};
        struct slice path = member(one, "mailbox");
        struct error e = account_find(db, member(one, "grantee"), p->k->arena, &grantee);
        if (e.code == ERROR_NONE && path.n) {
            e = mailbox_find(db, p->account.id, path, p->k->arena, &m);
            if (e.code == ERROR_NOT_FOUND)
                e = mailbox_create(db, (struct actor){p->account.id, 0}, path, ROLE_NONE, p->k->arena, &m);
        }
        if (e.code == ERROR_NONE)
            e = grant_set(db, (struct actor){0, 0}, p->account.id, m.c.id, grantee.id,
                          (int)json_integer_value(json_object_get(one, "rights")) & RIGHT_ALL);
        if (error_is_temporary(e))
            return e;
        left_out(p, e);
    }
    return OK;
}

static struct error add_names(struct sql *db, struct person *p)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(p->about, "aliases"), i, one)
    {
        struct address alias;
        struct error e = operation_read_alias(p->k, slice_of(json_string_value(one)), &alias);
        if (e.code == ERROR_NONE)
            e = address_add(db, &alias, p->account.id, ADDRESS_ALIAS, SLICE(""));
        left_out(p, e);
    }
    json_array_foreach(json_object_get(p->about, "groups"), i, one)
    {
        struct account group;
        struct error e = account_find(db, slice_of(json_string_value(one)), p->k->arena, &group);
        if (e.code == ERROR_NONE)
            e = member_add(db, group.id, p->account.id, SLICE(""));
        left_out(p, e);
    }
    json_array_foreach(json_object_get(p->about, "subscriptions"), i, one)
        if (json_string_length(one))
            TRY(subscription_add(db, p->account.id, slice_of(json_string_value(one))));
    return OK;
}

/* A new account has mailboxes and subscriptions of its own; all but INBOX come anew, as the export has them. */
static struct error empty_tree(struct sql *db, struct person *p, int64_t id)
{
    struct collection *all;
    struct slice *names;
    size_t n;
    TRY(collection_list(db, id, COLLECTION_MAILBOX, p->k->arena, &all, &n));
    for (size_t i = 0; i < n; i++)
        if (all[i].role != ROLE_INBOX)
            TRY(collection_remove(db, (struct actor){id, 0}, all[i].id));
    TRY(subscription_list(db, id, p->k->arena, &names, &n));
    for (size_t i = 0; i < n; i++)
        TRY(subscription_remove(db, id, names[i]));
    return OK;
}

static struct error make_person(struct sql *db, void *arg)
{
    struct person *p = arg;
    struct address address;
    int64_t id;
    p->left_out = 0;
    struct error e = account_find(db, p->name, p->k->arena, &p->account);
    if (e.code == ERROR_NOT_FOUND) {
        TRY(address_parse(p->name, p->k->arena, &address));
        TRY(account_add(db, (struct actor){0, 0}, kind_of(member(p->about, "kind")), &address, member(p->about, "name"),
                        &id));
        TRY(account_set_quota(db, id, json_integer_value(json_object_get(p->about, "quota")),
                              json_integer_value(json_object_get(p->about, "quota_items"))));
        TRY(empty_tree(db, p, id));
        e = account_get(db, id, p->k->arena, &p->account);
    }
    TRY(e);
    TRY(add_names(db, p));
    return add_grants(db, p);
}

struct error run_account_import(struct operation_call *k)
{
    enum frame_kind kind;
    struct slice bytes, as = operation_option(k, "as");
    TRY(frame_send(k->frames, FRAME_PROGRESS, SLICE("{}")));
    TRY(frames_flush(k->frames));
    TRY(frame_read(k->frames, &kind, &bytes));
    json_t *about = kind == FRAME_FILE ? json_loadb(bytes.p, bytes.n, 0, NULL) : NULL;
    struct person p = {.k = k, .about = about, .name = as.p ? as : arena_copy(k->arena, member(about, "address"))};
    struct error e = about ? store_change(k->server->store, make_person, &p)
                           : error_make(ERROR_INVALID, "account.json of the export cannot be read");
    json_decref(about);
    TRY(e);
    struct importing x = {.k = k, .account = p.account};
    if (p.left_out)
        report_say(&k->report,
                   "%lld aliases, groups or grants were left out: another account has the address, or the other side "
                   "is not here",
                   (long long)p.left_out);
    e = import_into(k, &x);
    report_say(&k->report, "%.*s is in; `kantorctl account password` sets a password", SLICE_ARG(p.account.name));
    return e;
}
