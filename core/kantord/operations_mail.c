/* core/kantord/operations_mail.c -- the queue; messages in from mbox, Maildir and .eml, and out as mbox
 *
 * Names that come from files are only ever labels; links are not followed; a message is bounded by mail.max_message_size. Lines get CR LF on the way
 * in. Importing the same file again adds nothing: a message whose content stands in the mailbox already is skipped, so an import that was cut off is resumed
 * by running it again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/kantord/operations_internal.h"
#include "core/options.h"
#include "mail/delivery/deliver.h"
#include "mail/mailbox/index.h"
#include "mail/mailbox/mailbox.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"
#include "mail/queue/queue.h"

/* --- queue */

static const char *const state_words[] = {[QUEUE_WAITING] = "waiting", [QUEUE_HELD] = "held", [QUEUE_DELIVERED] = "delivered", [QUEUE_FAILED] = "failed"};

static void write_entry(struct operation_call *k, const struct queue_entry *e)
{
    buffer_printf(k->out, "%-8lld %-24.*s from <%.*s> %lld bytes, since ", (long long)e->id, SLICE_ARG(e->job), SLICE_ARG(e->sender), (long long)e->size);
    operation_date(e->created, k->out);
    buffer_add(k->out, SLICE("\n"));
    for (size_t i = 0; i < e->n_rcpts; i++)
        buffer_printf(k->out, "         to <%.*s> %s, %lld tries%s%.*s\n", SLICE_ARG(e->rcpts[i].address), state_words[e->rcpts[i].state], (long long)e->rcpts[i].tries, e->rcpts[i].reply.n ? ": " : "",
                      SLICE_ARG(e->rcpts[i].reply));
}

struct error run_queue_list(struct operation_call *k)
{
    struct queue_entry *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(queue_list(db, k->arena, &all, &n));
    for (size_t i = 0; i < n; i++)
        write_entry(k, &all[i]);
    buffer_printf(k->out, "%zu messages\n", n);
    return OK;
}

static struct error id_of(struct operation_call *k, int64_t *id)
{
    uint64_t n;
    if (!slice_number(k->words[2], INT64_MAX, &n))
        return error_make(ERROR_INVALID, "the id is the number that `kantorctl queue list` shows");
    *id = (int64_t)n;
    return OK;
}

/* What the sender asked for (RFC 3461, 6152, 6531, 8689), as the sending side will pass it on. */
static void write_wishes(struct operation_call *k, const struct queue_entry *e)
{
    static const struct {
        int flag;
        const char *word;
    } words[] = {{DELIVERY_RET_FULL, "RET=FULL"}, {DELIVERY_RET_HDRS, "RET=HDRS"}, {DELIVERY_REQUIRETLS, "REQUIRETLS"}, {DELIVERY_SMTPUTF8, "SMTPUTF8"}, {DELIVERY_8BIT, "BODY=8BITMIME"},
                 {DELIVERY_BINARY, "BODY=BINARYMIME"}, {DELIVERY_TLS_OPTIONAL, "TLS-Required: No"}};
    buffer_add(k->out, SLICE("         expires "));
    operation_date(e->expires, k->out);
    buffer_add(k->out, SLICE("\n         options"));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (e->flags & words[i].flag)
            buffer_printf(k->out, " %s", words[i].word);
    if (e->envid.p)
        buffer_printf(k->out, " ENVID=%.*s", SLICE_ARG(e->envid));
    buffer_add(k->out, SLICE("\n"));
    for (size_t i = 0; i < e->n_rcpts; i++) {
        const struct queue_rcpt *r = &e->rcpts[i];
        if (!r->notify && !r->orcpt.p)
            continue;
        buffer_printf(k->out, "         <%.*s>", SLICE_ARG(r->address));
        if (r->notify)
            buffer_printf(k->out, " NOTIFY=%s%s%s%s", r->notify & NOTIFY_NEVER ? "NEVER" : "", r->notify & NOTIFY_SUCCESS ? "SUCCESS," : "", r->notify & NOTIFY_FAILURE ? "FAILURE," : "", r->notify & NOTIFY_DELAY ? "DELAY" : "");
        if (r->orcpt.p)
            buffer_printf(k->out, " ORCPT=%.*s", SLICE_ARG(r->orcpt));
        buffer_add(k->out, SLICE("\n"));
    }
}

struct error run_queue_show(struct operation_call *k)
{
    struct queue_entry e;
    int64_t id;
    struct slice bytes;
    TRY(id_of(k, &id));
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(queue_get(db, id, k->arena, &e));
    write_entry(k, &e);
    write_wishes(k, &e);
    TRY(blob_read(db, e.blob, 0, 65536, k->arena, &bytes));
    buffer_add(k->out, SLICE("\n"));
    buffer_add(k->out, slice_first(bytes, header_length(bytes)));
    return OK;
}

static struct error delete_change(struct sql *db, void *arg)
{
    return queue_delete(db, *(int64_t *)arg);
}

struct error run_queue_delete(struct operation_call *k)
{
    int64_t id;
    TRY(id_of(k, &id));
    return store_change(k->server->store, delete_change, &id);
}

/* --- import */

struct importing {
    struct operation_call *k;
    struct account account;
    struct mailbox target;
    int64_t imported, skipped;
    /* one message */
    struct message message;
    int64_t flags, received;
    int known;
};

static struct error find_or_make(struct sql *db, void *arg)
{
    struct importing *x = arg;
    struct slice path = operation_option(x->k, "mailbox");
    if (!path.p)
        path = SLICE("INBOX");
    struct error e = mailbox_find(db, x->account.id, path, x->k->arena, &x->target);
    return e.code == ERROR_NOT_FOUND ? mailbox_create(db, (struct actor){x->account.id, 0}, path, ROLE_NONE, x->k->arena, &x->target) : e;
}

static struct error import_begin(struct operation_call *k, struct importing *x)
{
    *x = (struct importing){.k = k};
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
        TRY(operation_account(k, db, k->words[2], &x->account));
    }
    return store_change(k->server->store, find_or_make, x);
}

static struct error import_change(struct sql *db, void *arg)
{
    struct importing *x = arg;
    uint32_t uid;
    int64_t blob, modseq;
    TRY(message_enter(db, &x->message, &blob));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM item WHERE collection = $1 AND blob = $2");
    sql_bind_int(st, 1, x->target.c.id);
    sql_bind_int(st, 2, blob);
    x->known = sql_row(st);
    TRY(sql_result(st));
    if (x->known)
        return OK;
    struct item_new item = {.blob = blob, .size = x->message.put.size, .flags = x->flags, .received = x->received};
    return item_add(db, (struct actor){x->account.id, 0}, x->target.c.id, &item, &uid, &modseq);
}

/* Bare line feeds become CR LF; what is there already stays. */
static struct error put_lines(struct blob_put *put, struct slice s)
{
    while (s.n) {
        size_t n = slice_find(s, '\n');
        int bare = n < s.n && (n == 0 || s.p[n - 1] != '\r');
        TRY(blob_put_add(put, slice_first(s, bare ? n : n + 1)));
        if (bare)
            TRY(blob_put_add(put, SLICE("\r\n")));
        s = slice_after(s, n + 1);
    }
    return OK;
}

static struct error import_message(struct importing *x, struct slice bytes, int64_t flags, int64_t received)
{
    struct arena a;
    arena_init(&a, ARENA_REQUEST_MAX);
    int64_t sent;
    struct slice date = header_find(slice_first(bytes, header_length(bytes)), SLICE("Date"));
    x->message = (struct message){0};
    x->flags = flags;
    x->received = received ? received : date.p && date_read(date, &sent, NULL) ? sent : clock_now();
    blob_put_begin(x->k->server->store, &x->message.put);
    struct error e = put_lines(&x->message.put, bytes);
    if (e.code == ERROR_NONE)
        e = blob_put_end(&x->message.put);
    if (e.code == ERROR_NONE)
        e = message_prepare(&x->message, &a);
    if (e.code == ERROR_NONE)
        e = store_change(x->k->server->store, import_change, x);
    blob_put_drop(&x->message.put);
    arena_free(&a);
    if (e.code == ERROR_NONE)
        x->known ? x->skipped++ : x->imported++;
    return e;
}

static struct error import_end(struct importing *x)
{
    buffer_printf(x->k->out, "%lld imported, %lld were there already\n", (long long)x->imported, (long long)x->skipped);
    return OK;
}

static struct error read_whole(struct importing *x, int folder, const char *name, struct buffer *out)
{
    SCOPED(file_close) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return error_make(ERROR_UNSUPPORTED, "not a plain file");
    if (st.st_size > x->k->server->config->max_message)
        return error_make(ERROR_LIMIT, "larger than mail.max_message_size");
    while (buffer_length(out) < (size_t)st.st_size) {
        char *to = buffer_room(out, 65536);
        ssize_t n = to ? read(fd, to, 65536) : -1;
        if (n <= 0)
            return n == 0 ? OK : error_make(ERROR_IO, "cannot be read");
        buffer_added(out, (size_t)n);
    }
    return OK;
}

/* Maildir's ":2,FRS" behind the name. */
static int64_t maildir_flags(const char *name)
{
    const char *info = strstr(name, ":2,");
    int64_t flags = 0;
    for (const char *p = info ? info + 3 : ""; *p; p++)
        flags |= *p == 'S' ? FLAG_SEEN : *p == 'R' ? FLAG_ANSWERED : *p == 'F' ? FLAG_FLAGGED : *p == 'T' ? FLAG_DELETED : *p == 'D' ? FLAG_DRAFT : 0;
    return flags;
}

static struct error import_folder(struct importing *x, const char *path, const char *ending, int flags)
{
    DIR *d = opendir(path);
    struct error e = OK;
    if (!d)
        return error_make(ERROR_NOT_FOUND, arena_printf(x->k->arena, "cannot open the folder %s: %m", path));
    for (struct dirent *entry; e.code == ERROR_NONE && (entry = readdir(d));) {
        struct buffer b = {0};
        if (entry->d_name[0] == '.' || !slice_ends(slice_of(entry->d_name), slice_of(ending)))
            continue;
        struct error r = read_whole(x, dirfd(d), entry->d_name, &b);
        if (r.code == ERROR_NONE && buffer_length(&b))
            e = import_message(x, buffer_slice(&b), flags ? maildir_flags(entry->d_name) : 0, 0);
        else if (r.code != ERROR_NONE)
            buffer_printf(x->k->out, "skipped a file: %s\n", r.text);
        buffer_free(&b);
    }
    (void)closedir(d);
    return e;
}

struct error run_import_eml(struct operation_call *k)
{
    struct importing x;
    TRY(import_begin(k, &x));
    TRY(import_folder(&x, arena_string(k->arena, k->words[3]), ".eml", 0));
    return import_end(&x);
}

struct error run_import_maildir(struct operation_call *k)
{
    struct importing x;
    TRY(import_begin(k, &x));
    TRY(import_folder(&x, arena_printf(k->arena, "%.*s/cur", SLICE_ARG(k->words[3])), "", 1));
    TRY(import_folder(&x, arena_printf(k->arena, "%.*s/new", SLICE_ARG(k->words[3])), "", 1));
    return import_end(&x);
}

/* "From sender Tue Nov 24 15:00:00 2026": only a line like this begins a message, and only behind an empty line. */
static bool is_from_line(struct slice line)
{
    struct slice rest = slice_after(line, 5);
    if (!slice_starts(line, SLICE("From ")))
        return false;
    rest = slice_after(rest, slice_find(rest, ' ') + 1);
    size_t colons = 0;
    for (size_t i = 0; i < rest.n; i++)
        colons += rest.p[i] == ':';
    return colons >= 1 && rest.n >= 16 && ascii_is_digit(slice_trim(rest).p[slice_trim(rest).n - 1]);
}

struct error run_import_mbox(struct operation_call *k)
{
    struct importing x;
    struct buffer message = {0};
    char *line = NULL;
    size_t size = 0;
    int empty_before = 1, inside = 0;
    struct error e = import_begin(k, &x);
    FILE *f = e.code == ERROR_NONE ? fopen(arena_string(k->arena, k->words[3]), "re") : NULL;
    if (e.code == ERROR_NONE && !f)
        return error_make(ERROR_NOT_FOUND, arena_printf(k->arena, "cannot open the file: %m"));
    for (ssize_t n; e.code == ERROR_NONE && (n = getline(&line, &size, f)) >= 0;) {
        struct slice s = slice_make(line, (size_t)n), text = slice_trim(s);
        if (empty_before && is_from_line(text)) {
            if (inside && buffer_length(&message))
                e = import_message(&x, buffer_slice(&message), 0, 0);
            buffer_clear(&message);
            inside = 1;
            empty_before = 0;
            continue;
        }
        empty_before = text.n == 0;
        size_t quotes = 0;
        while (quotes < s.n && s.p[quotes] == '>')
            quotes++;
        if (quotes && slice_starts(slice_after(s, quotes), SLICE("From ")))
            s = slice_after(s, 1); /* mboxrd */
        if (inside && buffer_length(&message) + s.n > (size_t)k->server->config->max_message)
            e = error_make(ERROR_LIMIT, "a message of the file is larger than mail.max_message_size");
        else if (inside)
            buffer_add(&message, s);
    }
    if (e.code == ERROR_NONE && inside && buffer_length(&message))
        e = import_message(&x, buffer_slice(&message), 0, 0);
    free(line);
    buffer_free(&message);
    if (f)
        (void)fclose(f);
    return e.code == ERROR_NONE ? import_end(&x) : e;
}

/* --- export (mboxrd) */

static void write_mbox(FILE *f, struct slice bytes, int64_t received)
{
    struct buffer date = {0};
    date_write(received, &date);
    (void)fprintf(f, "From MAILER-DAEMON %.*s\n", (int)buffer_length(&date), date.bytes);
    buffer_free(&date);
    while (bytes.n) {
        struct slice line = slice_first(bytes, slice_find(bytes, '\n'));
        bytes = slice_after(bytes, line.n + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        size_t quotes = 0;
        while (quotes < line.n && line.p[quotes] == '>')
            quotes++;
        if (slice_starts(slice_after(line, quotes), SLICE("From ")))
            (void)fputc('>', f);
        (void)fwrite(line.p, 1, line.n, f);
        (void)fputc('\n', f);
    }
    (void)fputc('\n', f);
}

struct error run_export_mbox(struct operation_call *k)
{
    struct account account;
    struct mailbox m;
    struct item item;
    struct arena row;
    int64_t n = 0;
    struct slice path = operation_option(k, "mailbox");
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(operation_account(k, db, k->words[2], &account));
    TRY(mailbox_find(db, account.id, path.p ? path : SLICE("INBOX"), k->arena, &m));
    FILE *f = fopen(arena_string(k->arena, k->words[3]), "wxe");
    if (!f)
        return error_make(ERROR_IO, arena_printf(k->arena, "cannot write the file: %m (an existing file is not overwritten)"));
    arena_init(&row, 512 * 1024 * 1024);
    SCOPED(item_scan_end) struct item_scan scan;
    struct error e = OK;
    item_scan_begin(db, m.c.id, 1, UINT32_MAX, -1, &scan);
    while (e.code == ERROR_NONE && item_next(&scan, &item)) {
        struct slice bytes;
        e = blob_read(db, item.blob, 0, INT64_MAX, &row, &bytes);
        if (e.code == ERROR_NONE)
            write_mbox(f, bytes, item.received);
        arena_reset(&row);
        n++;
    }
    arena_free(&row);
    int bad = fflush(f) != 0 || fsync(fileno(f)) != 0;
    if (fclose(f) != 0 || bad)
        e = error_make(ERROR_IO, "the disk does not take the file");
    if (e.code == ERROR_NONE)
        buffer_printf(k->out, "%lld exported\n", (long long)n);
    return e;
}
