/* core/kantord/restore_account.c -- mailbox by mailbox, in small changes */
#include "core/kantord/restore_account.h"

#include <stdlib.h>

#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "mail/mailbox/index.h"
#include "mail/mailbox/mailbox.h"

enum { MESSAGES_A_SLICE = 50, MESSAGE_ARENA = 1024 * 1024 * 1024 };

struct old_message {
    struct item item;
    struct arena arena; /* its names, its index */
    struct message message;
    int prepared, unreadable;
};

struct restoring {
    struct account_restore *r;
    struct store *live, *backup;
    struct arena *arena;
    int64_t account; /* live */
    int64_t collection;
    struct keyword_map keywords; /* the backup's */
    int64_t *there; /* contents of the live mailbox, ascending */
    size_t n_there;
    struct old_message batch[MESSAGES_A_SLICE];
    size_t n;
    int64_t added, were_there; /* before the slice: its change may run again */
};

static void tell(const struct restoring *x, const char *line)
{
    if (x->r->progress && line)
        x->r->progress(x->r->arg, line);
}

/* --- the mailbox here */

struct making {
    struct restoring *x;
    const struct mailbox *old;
    struct mailbox made;
};

static struct error make_mailbox(struct sql *db, void *arg)
{
    struct making *m = arg;
    struct collection has_role;
    struct actor who = {m->x->account, 0};
    enum collection_role role = m->old->c.role;
    struct error e = mailbox_find(db, m->x->account, m->old->path, m->x->arena, &m->made);
    if (e.code != ERROR_NOT_FOUND)
        return e;
    if (role && collection_find_role(db, m->x->account, COLLECTION_MAILBOX, role, m->x->arena, &has_role).code == ERROR_NONE)
        role = ROLE_NONE;
    return mailbox_create(db, who, m->old->path, role, m->x->arena, &m->made);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static struct error find_what_is_there(struct restoring *x)
{
    struct item item;
    size_t room = 0;
    SCOPED(store_reader_return) struct sql *db = store_reader(x->live);
    SCOPED(item_scan_end) struct item_scan scan;
    item_scan_begin(db, x->collection, 1, UINT32_MAX, -1, &scan);
    for (x->n_there = 0; item_next(&scan, &item); x->n_there++) {
        if (x->n_there == room) {
            room = room ? room * 2 : 1024;
            int64_t *more = realloc(x->there, room * sizeof *more);
            if (!more)
                return error_make(ERROR_MEMORY, "no memory to restore a mailbox");
            x->there = more;
        }
        x->there[x->n_there] = item.blob;
    }
    if (x->n_there)
        qsort(x->there, x->n_there, sizeof *x->there, by_number);
    return item_scan_result(&scan);
}

/* --- messages of the backup */

static struct error read_slice(struct restoring *x, int64_t collection, uint32_t after)
{
    struct item item;
    SCOPED(store_reader_return) struct sql *db = store_reader(x->backup);
    SCOPED(item_scan_end) struct item_scan scan;
    item_scan_begin(db, collection, after + 1, UINT32_MAX, -1, &scan);
    for (x->n = 0; x->n < MESSAGES_A_SLICE && item_next(&scan, &item); x->n++) {
        struct old_message *m = &x->batch[x->n];
        *m = (struct old_message){.item = item};
        arena_init(&m->arena, MESSAGE_ARENA);
        m->item.kw = arena_copy(&m->arena, item.kw);
        if (!m->item.kw.p)
            return error_make(ERROR_MEMORY, "no memory to restore a message");
    }
    return item_scan_result(&scan);
}

/* Its bytes become a put of the live store: hashed, on the disk when large, parsed, all before the change. */
static struct error prepare(struct restoring *x, struct old_message *m)
{
    struct slice bytes;
    struct error e;
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(x->backup);
        e = blob_read(db, m->item.blob, 0, INT64_MAX, &m->arena, &bytes);
    }
    if (e.code == ERROR_CORRUPT || e.code == ERROR_NOT_FOUND) {
        m->unreadable = 1; /* the backup was made of a store that was damaged already */
        return OK;
    }
    TRY(e);
    blob_put_begin(x->live, &m->message.put);
    m->prepared = 1;
    TRY(blob_put_add(&m->message.put, bytes));
    TRY(blob_put_end(&m->message.put));
    return message_prepare(&m->message, &m->arena);
}

/* Bits of the backup's account to names to bits of ours. */
static struct error map_flags(struct sql *db, const struct restoring *x, const struct old_message *m, int64_t *flags, struct buffer *kw)
{
    struct slice names[256];
    size_t n = 0;
    int64_t own;
    for (int bit = KEYWORD_FIRST_OWN; bit <= KEYWORD_LAST_OWN; bit++)
        if (m->item.flags >> bit & 1 && x->keywords.own[bit].p)
            names[n++] = x->keywords.own[bit];
    for (struct slice rest = m->item.kw; rest.n && n < sizeof names / sizeof names[0];) {
        struct slice word = slice_first(rest, slice_find(rest, ' '));
        if (word.n)
            names[n++] = word;
        rest = slice_after(rest, word.n + 1);
    }
    TRY(keyword_resolve(db, x->account, names, n, &own, kw));
    *flags = (m->item.flags & (((int64_t)1 << KEYWORD_FIRST_OWN) - 1) & ~(int64_t)FLAG_DELETED) | own;
    return OK;
}

static struct error add_one(struct sql *db, struct restoring *x, struct old_message *m)
{
    struct buffer kw = {0};
    int64_t blob, flags, modseq;
    uint32_t uid;
    TRY(message_enter(db, &m->message, &blob));
    if (x->n_there && bsearch(&blob, x->there, x->n_there, sizeof blob, by_number)) {
        x->r->were_there++;
        return OK;
    }
    struct error e = map_flags(db, x, m, &flags, &kw);
    struct item_new item = {.blob = blob, .size = m->message.put.size, .flags = flags, .kw = buffer_slice(&kw), .received = m->item.received};
    if (e.code == ERROR_NONE)
        e = item_add(db, (struct actor){0, 0}, x->collection, &item, &uid, &modseq);
    buffer_free(&kw);
    x->r->added += e.code == ERROR_NONE;
    return e;
}

static struct error add_slice(struct sql *db, void *arg)
{
    struct restoring *x = arg;
    x->r->added = x->added;
    x->r->were_there = x->were_there;
    for (size_t i = 0; i < x->n; i++)
        if (x->batch[i].prepared)
            TRY(add_one(db, x, &x->batch[i]));
    return OK;
}

static void drop_slice(struct restoring *x)
{
    for (size_t i = 0; i < x->n; i++) {
        if (x->batch[i].prepared)
            blob_put_drop(&x->batch[i].message.put);
        arena_free(&x->batch[i].arena);
    }
    x->n = 0;
}

static struct error restore_slice(struct restoring *x)
{
    struct error e = OK;
    x->added = x->r->added;
    x->were_there = x->r->were_there;
    for (size_t i = 0; e.code == ERROR_NONE && i < x->n; i++) {
        e = prepare(x, &x->batch[i]);
        x->r->unreadable += x->batch[i].unreadable;
    }
    if (e.code == ERROR_NONE)
        e = store_change(x->live, add_slice, x);
    if (e.code != ERROR_NONE) { /* nothing of the slice is there */
        x->r->added = x->added;
        x->r->were_there = x->were_there;
    }
    drop_slice(x);
    return e;
}

static struct error restore_mailbox(struct restoring *x, const struct mailbox *old)
{
    struct making m = {.x = x, .old = old};
    uint32_t last = 0;
    TRY(store_change(x->live, make_mailbox, &m));
    x->collection = m.made.c.id;
    TRY(find_what_is_there(x));
    for (;;) {
        struct error e = read_slice(x, old->c.id, last);
        if (e.code != ERROR_NONE)
            drop_slice(x);
        TRY(e);
        if (x->n == 0)
            break;
        last = x->batch[x->n - 1].item.uid;
        TRY(restore_slice(x));
    }
    x->r->mailboxes++;
    tell(x, arena_printf(x->arena, "%.*s: %lld messages added so far", SLICE_ARG(old->path), (long long)x->r->added));
    return OK;
}

static struct error run(struct restoring *x)
{
    struct account old, live;
    struct mailbox *all;
    struct slice wanted = x->r->mailbox;
    size_t n;
    if (wanted.p)
        TRY(mailbox_canonical(wanted, x->arena, &wanted));
    struct sql *db = store_reader(x->live);
    struct error e = account_find(db, x->r->address, x->arena, &live);
    store_reader_return(&db);
    if (e.code == ERROR_NOT_FOUND)
        return error_make(ERROR_NOT_FOUND, "no account has that address here; make it first with `kantorctl account add`");
    TRY(e);
    db = store_reader(x->backup);
    e = account_find(db, x->r->address, x->arena, &old);
    if (e.code == ERROR_NONE)
        e = keyword_map_get(db, old.id, x->arena, &x->keywords);
    if (e.code == ERROR_NONE)
        e = mailbox_list(db, old.id, x->arena, &all, &n);
    store_reader_return(&db);
    if (e.code == ERROR_NOT_FOUND)
        return error_make(ERROR_NOT_FOUND, "the backup has no account with that address");
    TRY(e);
    x->account = live.id;
    for (size_t i = 0; i < n; i++)
        if (all[i].selectable && all[i].c.account == old.id && (!wanted.p || slice_eq(all[i].path, wanted)))
            TRY(restore_mailbox(x, &all[i]));
    return x->r->mailboxes ? OK : error_make(ERROR_NOT_FOUND, "the account has no such mailbox in the backup");
}

struct error account_restore_run(struct store *s, struct account_restore *r, struct arena *a)
{
    struct backup_facts facts;
    struct restoring *x = calloc(1, sizeof *x);
    if (!x)
        return error_make(ERROR_MEMORY, "no memory to restore");
    *x = (struct restoring){.r = r, .live = s, .arena = a};
    r->mailboxes = r->added = r->were_there = r->unreadable = 0;
    struct error e = store_backup_verify(r->from, a, &facts, NULL);
    if (e.code == ERROR_NONE)
        e = store_open_backup(r->from, &x->backup);
    if (e.code == ERROR_NONE)
        e = run(x);
    store_close(x->backup);
    LOG_EVENT(LOG_INFO, "account-restored", LOG_TEXT("account", r->address), LOG_WORD("from", r->from), LOG_NUMBER("added", r->added), LOG_WORD("result", error_word(e.code)));
    free(x->there);
    free(x);
    return e;
}
