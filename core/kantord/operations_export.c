/* core/kantord/operations_export.c -- messages out: a mailbox, a tree, a whole person, sent to kantorctl which writes
 * the files
 *
 * Rows are read some dozens at a time and contents in pieces, each under a reader of its own: however slow the disk at
 * the other end is, no snapshot is held while it writes.
 */
#include <jansson.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "core/store/blob.h"
#include "core/store/keyword.h"
#include "mail/mailbox/mailbox.h"

enum { ROWS_A_READ = 64, PIECE_BYTES = 256 * 1024 };

struct row {
    uint32_t uid;
    int64_t flags, blob, size, received;
    struct slice kw;
};

struct exporting {
    struct operation_call *k;
    struct account account;
    struct keyword_map keywords;
    struct arena arena; /* of some rows */
    int64_t messages, bytes;
};

static struct error send_json(struct exporting *x, enum frame_kind kind, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    struct error e = text ? frame_send(x->k->frames, kind, slice_of(text))
                          : error_make(ERROR_MEMORY, "no memory for an export");
    free(text);
    json_decref(value);
    return e;
}

static json_t *text_value(struct slice s)
{
    json_t *v = json_stringn(s.p ? s.p : "", s.n);
    return v ? v : json_string("?");
}

/* --- a message */

static struct error send_content(struct exporting *x, const struct row *r)
{
    for (int64_t at = 0; at < r->size;) {
        struct arena piece;
        struct slice bytes;
        arena_init(&piece, 4 * PIECE_BYTES);
        struct sql *db = store_reader(x->k->server->store);
        struct error e = blob_read(db, r->blob, at, PIECE_BYTES, &piece, &bytes);
        store_reader_return(&db);
        if (e.code == ERROR_NONE && bytes.n == 0)
            e = error_make(ERROR_CORRUPT, "a message is shorter than its row says; `kantorctl check` tells more");
        for (size_t sent = 0; e.code == ERROR_NONE && sent < bytes.n; sent += FRAME_DATA_BYTES)
            e = frame_send(x->k->frames, FRAME_DATA, slice_first(slice_after(bytes, sent), FRAME_DATA_BYTES));
        at += e.code == ERROR_NONE ? (int64_t)bytes.n : 0;
        arena_free(&piece);
        TRY(e);
    }
    return OK;
}

static json_t *flag_names(struct exporting *x, const struct row *r)
{
    struct buffer b = {0};
    json_t *all = json_array();
    keyword_write(&x->keywords, r->flags, r->kw, &b);
    for (struct slice rest = buffer_slice(&b); rest.n;) {
        struct slice one = slice_first(rest, slice_find(rest, ' '));
        rest = slice_after(rest, one.n + 1);
        if (one.n)
            (void)json_array_append_new(all, text_value(one));
    }
    buffer_free(&b);
    return all;
}

static struct error send_message(struct exporting *x, const struct row *r)
{
    TRY(send_json(x, FRAME_MESSAGE,
                  json_pack("{s:I, s:I, s:I, s:o}", "uid", (json_int_t)r->uid, "received", (json_int_t)r->received,
                            "size", (json_int_t)r->size, "flags", flag_names(x, r))));
    TRY(send_content(x, r));
    x->messages++;
    x->bytes += r->size;
    return frame_send(x->k->frames, FRAME_MESSAGE_END, SLICE("{}"));
}

/* --- a mailbox */

/* Up to 64 rows from uid `from` on. */
static struct error read_rows(struct exporting *x, int64_t collection, uint32_t from, struct row *rows, size_t *n)
{
    struct item item;
    *n = 0;
    arena_reset(&x->arena);
    SCOPED(store_reader_return) struct sql *db = store_reader(x->k->server->store);
    SCOPED(item_scan_end) struct item_scan scan;
    item_scan_begin(db, collection, from, UINT32_MAX, -1, &scan);
    while (*n < ROWS_A_READ && item_next(&scan, &item))
        rows[(*n)++] = (struct row){item.uid,  item.flags,    item.blob,
                                    item.size, item.received, arena_copy(&x->arena, item.kw)};
    TRY(item_scan_result(&scan));
    return keyword_map_get(db, x->account.id, &x->arena, &x->keywords); /* a client may give out a new one meanwhile */
}

static struct error send_mailbox(struct exporting *x, const struct mailbox *m)
{
    struct row rows[ROWS_A_READ];
    size_t n;
    uint32_t from = 1;
    TRY(send_json(x, FRAME_FILE,
                  json_pack("{s:o, s:i, s:b, s:I, s:I, s:I, s:I}", "mailbox", text_value(m->path), "role",
                            (int)m->c.role, "subscribed", m->subscribed, "uidvalidity", (json_int_t)m->c.uidvalidity,
                            "uidnext", (json_int_t)m->c.uidnext, "messages", (json_int_t)m->c.n_all, "bytes",
                            (json_int_t)m->c.bytes)));
    do {
        TRY(read_rows(x, m->c.id, from, rows, &n));
        for (size_t i = 0; i < n; i++)
            TRY(send_message(x, &rows[i]));
        from = n ? rows[n - 1].uid + 1 : from;
    } while (n == ROWS_A_READ && from);
    return OK;
}

/* --- what belongs to an account */

static json_t *grants_of(struct exporting *x, struct sql *db, const struct mailbox *boxes, size_t n_boxes)
{
    struct grant *all;
    size_t n;
    json_t *out = json_array();
    if (grant_list(db, x->account.id, x->k->arena, &all, &n).code != ERROR_NONE)
        return out;
    for (size_t i = 0; i < n; i++) {
        struct account grantee;
        size_t b = 0;
        while (b < n_boxes && boxes[b].c.id != all[i].collection)
            b++;
        if (account_get(db, all[i].grantee, x->k->arena, &grantee).code != ERROR_NONE ||
            (all[i].collection && b == n_boxes))
            continue;
        (void)json_array_append_new(out, json_pack("{s:o, s:i, s:o}", "grantee", text_value(grantee.name), "rights",
                                                   all[i].rights, "mailbox",
                                                   text_value(all[i].collection ? boxes[b].path : SLICE(""))));
    }
    return out;
}

static struct error describe(struct exporting *x, const struct mailbox *boxes, size_t n_boxes, json_t **out)
{
    struct address_row *rows;
    struct slice *names;
    int64_t *ids;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(x->k->server->store);
    json_t *aliases = json_array(), *subscriptions = json_array(), *groups = json_array();
    *out = json_pack("{s:i, s:o, s:o, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "kantor_export", 1, "address",
                     text_value(x->account.name), "name", text_value(x->account.title), "kind",
                     operation_kind_words[x->account.kind], "quota", (json_int_t)x->account.quota, "quota_items",
                     (json_int_t)x->account.quota_items, "aliases", aliases, "groups", groups, "subscriptions",
                     subscriptions, "grants", grants_of(x, db, boxes, n_boxes));
    if (!*out)
        return error_make(ERROR_MEMORY, "no memory for an export");
    TRY(address_list(db, x->account.id, x->k->arena, &rows, &n));
    for (size_t i = 0; i < n; i++)
        if (rows[i].kind == ADDRESS_ALIAS)
            (void)json_array_append_new(aliases, text_value(rows[i].address));
    TRY(subscription_list(db, x->account.id, x->k->arena, &names, &n));
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(subscriptions, text_value(names[i]));
    TRY(grant_identities(db, x->account.id, x->k->arena, &ids, &n));
    for (size_t i = 0; i < n; i++) {
        struct account group;
        if (ids[i] != x->account.id && account_get(db, ids[i], x->k->arena, &group).code == ERROR_NONE)
            (void)json_array_append_new(groups, text_value(group.name));
    }
    return OK;
}

/* --- the whole */

static struct error own_mailboxes(struct exporting *x, struct slice only, struct mailbox **out, size_t *n)
{
    struct mailbox *all;
    size_t n_all;
    SCOPED(store_reader_return) struct sql *db = store_reader(x->k->server->store);
    *n = 0;
    if (only.p) {
        *out = arena_zero(x->k->arena, 1, sizeof **out);
        if (!*out)
            return error_make(ERROR_MEMORY, "no memory for an export");
        struct error e = mailbox_find(db, x->account.id, only, x->k->arena, *out);
        *n = 1;
        return e.code == ERROR_NOT_FOUND
                   ? error_make(ERROR_NOT_FOUND,
                                arena_printf(x->k->arena, "%.*s has no mailbox \"%.*s\"", SLICE_ARG(x->account.name),
                                             SLICE_ARG(slice_first(only, 200))))
                   : e;
    }
    TRY(mailbox_list(db, x->account.id, x->k->arena, &all, &n_all));
    for (size_t i = 0; i < n_all; i++)
        if (all[i].selectable && all[i].c.account == x->account.id)
            all[(*n)++] = all[i];
    *out = all;
    return OK;
}

static struct error send_all(struct exporting *x, const struct mailbox *all, size_t n)
{
    int64_t messages = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        messages += all[i].c.n_all;
        bytes += all[i].c.bytes;
    }
    TRY(send_json(x, FRAME_PROGRESS,
                  json_pack("{s:I, s:I}", "messages", (json_int_t)messages, "bytes", (json_int_t)bytes)));
    for (size_t i = 0; i < n; i++)
        TRY(send_mailbox(x, &all[i]));
    return OK;
}

static struct error export_account(struct operation_call *k, struct slice address, struct slice only, int whole)
{
    struct exporting x = {.k = k};
    struct mailbox *all;
    size_t n;
    TRY(operation_account_now(k, address, &x.account));
    TRY(own_mailboxes(&x, only, &all, &n));
    if (whole) {
        json_t *about = NULL;
        struct error e = describe(&x, all, n, &about);
        if (e.code != ERROR_NONE) {
            json_decref(about);
            return e;
        }
        TRY(send_json(&x, FRAME_FILE, json_pack("{s:o}", "account", about)));
    }
    arena_init(&x.arena, 16 * 1024 * 1024);
    struct error e = send_all(&x, all, n);
    arena_free(&x.arena);
    report_one(&k->report, "exported bytes");
    report_number(&k->report, x.messages);
    report_size(&k->report, x.bytes);
    k->report.only_said = 1;
    report_say(&k->report, "%lld exported", (long long)x.messages);
    return e;
}

struct error run_export(struct operation_call *k)
{
    struct slice only = operation_option(k, "mailbox");
    if (!only.p && slice_eq(k->words[1], SLICE("mbox")))
        only = SLICE("INBOX");
    return export_account(k, k->words[2], only, 0);
}

struct error run_account_export(struct operation_call *k)
{
    return export_account(k, k->words[2], slice_make(NULL, 0), 1);
}
