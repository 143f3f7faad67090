/* mail/delivery/list_mail.c -- mail of a list itself: to moderators, owners, members */
#include <stdio.h>

#include "core/clock.h"
#include "mail/delivery/list_internal.h"
#include "mail/mime/date.h"

enum { CHUNK = 1024 * 1024, FIRST = 256 * 1024 };

struct error list_post_done(struct sql *db, void *list_job)
{
    const struct list_job *j = list_job;
    return post_remove(db, j->post.id);
}

struct error list_post_told(struct sql *db, void *list_job)
{
    const struct list_job *j = list_job;
    return post_set_state(db, j->post.id, POST_HELD);
}

struct error list_read_first(const struct list_job *j, struct slice *bytes)
{
    struct sql *db = store_reader(j->store);
    struct error e = blob_read(db, j->post.blob, 0, FIRST, j->arena, bytes);
    store_reader_return(&db);
    return e;
}

struct error list_copy_from(const struct list_job *j, int64_t from, struct blob_put *put)
{
    struct arena scratch;
    struct slice bytes = SLICE("x");
    struct error e = OK;
    arena_init(&scratch, 4 * CHUNK);
    while (e.code == ERROR_NONE && bytes.n) {
        struct sql *db = store_reader(j->store);
        arena_reset(&scratch);
        e = blob_read(db, j->post.blob, from, CHUNK, &scratch, &bytes);
        store_reader_return(&db);
        if (e.code == ERROR_NONE && bytes.n)
            e = blob_put_add(put, bytes);
        from += (int64_t)bytes.n;
    }
    arena_free(&scratch);
    return e;
}

/* One message to one address, whatever comes of it waits in the queue. */
static struct error send_one(const struct list_job *j, struct message *m, const char *to, struct slice sender, const char *origin, struct error (*also)(struct sql *, void *), void *arg)
{
    struct delivery_rcpt r = {.text = slice_of(to), .orcpt = slice_make(NULL, 0)};
    struct delivery d = {.message = m, .sender = sender, .submitter = j->list.account, .lifetime_s = j->around->lifetime_s, .results = DELIVERY_RESULT_QUEUE, .rcpts = &r, .n_rcpts = 1,
                         .job = arena_string(j->arena, j->post.job), .origin = slice_of(origin), .also = also, .also_arg = arg};
    TRY(address_parse(slice_of(to), j->arena, &r.address));
    TRY(blob_put_end(&m->put));
    TRY(message_prepare(m, j->arena));
    return d.job ? delivery_run(j->store, &d, j->arena) : error_make(ERROR_MEMORY, "no memory for a mail of a list");
}

static void write_notice(const struct list_job *j, const struct list_notice *n, struct buffer *out)
{
    const char *owner = list_address(j, "-owner");
    buffer_printf(out, "Return-Path: <>\r\nReceived: by %s (Kantor) for list %s;\r\n\t", j->around->hostname, j->name);
    date_write(clock_now(), out);
    buffer_printf(out, "\r\nFrom: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: ", owner ? owner : "", n->to, n->subject);
    date_write(clock_now(), out);
    buffer_printf(out, "\r\nMessage-ID: <list-%lld.%llx@%s>\r\nAuto-Submitted: auto-generated\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n", (long long)j->post.id, (unsigned long long)clock_us(), j->around->hostname);
    if (n->reply_to)
        buffer_printf(out, "Reply-To: <%s>\r\n", n->reply_to);
    buffer_add(out, SLICE("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
    for (const char *p = n->text; *p; p++) {
        if (*p == '\n')
            buffer_add_char(out, '\r');
        buffer_add_char(out, *p);
    }
}

struct error list_tell(const struct list_job *j, const struct list_notice *notice)
{
    struct message m = {0};
    struct buffer out = {0};
    write_notice(j, notice, &out);
    blob_put_begin(j->store, &m.put);
    struct error e = out.failed ? error_make(ERROR_MEMORY, "no memory for a mail of a list") : blob_put_add(&m.put, buffer_slice(&out));
    if (e.code == ERROR_NONE)
        e = send_one(j, &m, notice->to, SLICE(""), "a notice of the list, ", notice->also, notice->arg);
    buffer_free(&out);
    blob_put_drop(&m.put);
    return e;
}

struct error list_to_owner(const struct list_job *j)
{
    struct message m = {0};
    const char *owner = list_address(j, "-owner");
    blob_put_begin(j->store, &m.put);
    struct error e = owner ? list_copy_from(j, 0, &m.put) : error_make(ERROR_MEMORY, "no memory for a mail of a list");
    if (e.code == ERROR_NONE)
        e = send_one(j, &m, owner, j->post.sender, "for the owner of the list, ", list_post_done, (void *)(uintptr_t)j);
    blob_put_drop(&m.put);
    return e;
}
