/* mail/imap/append.c -- APPEND (RFC 9051 6.3.12): the message streams into a blob, never whole into memory
 *
 * The head of the command is parsed before the "+" is sent, so that a missing mailbox or a message that is too large costs the client nothing. A refused
 * literal that comes without asking (LITERAL+) is swallowed to its last byte, for otherwise it would be read as commands (attacks.md IM-02).
 */
#include "core/account/account.h"
#include "core/clock.h"
#include "mail/imap/internal.h"
#include "mail/mime/date.h"

void imap_append_drop(struct imap_session *s)
{
    if (s->append.active && !s->append.discard)
        blob_put_drop(&s->append.message.put);
    s->append = (struct imap_append){0};
    arena_free(&s->append_arena);
}

static enum run answer(struct connection *c, struct error e)
{
    struct imap_session *s = c->session;
    imap_append_drop(s);
    if (e.code == ERROR_NONE && s->box.collection) {
        struct error synced = imap_sync(c, s, SYNC_ALL);
        e = synced.code == ERROR_NONE ? e : synced;
    }
    imap_tagged(c, e);
    return error_is_temporary(e) ? RUN_CLOSE : RUN_NEXT;
}

/* The change looks again; here it spares the client sending what cannot be kept. */
static struct error room_for(struct sql *db, int64_t id, uint64_t size, struct arena *a)
{
    struct account account;
    TRY(account_get(db, id, a, &account));
    return account.quota && (uint64_t)account.used + size > (uint64_t)account.quota ? error_make(ERROR_QUOTA, "the account's quota is used up") : OK;
}

static struct error read_head(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct imap_append *x = &s->append;
    struct slice path, date;
    struct mailbox m;
    x->received = clock_now();
    TRY(args_space(a));
    TRY(imap_mailbox_arg(s, a, &path));
    TRY(args_space(a));
    if (a->rest.n && a->rest.p[0] == '(') {
        TRY(args_flags(a, &x->flags, &x->n_flags));
        TRY(args_space(a));
    }
    if (a->rest.n && a->rest.p[0] == '"') {
        TRY(args_string(a, &date));
        if (!date_read_imap(date, &x->received))
            return imap_bad("the date is malformed; write it like \"24-Nov-2026 08:00:00 +0700\"");
        TRY(args_space(a));
    }
    if (args_word(a, SLICE("UTF8"))) { /* RFC 6855 4 */
        if (!args_take(a, ' ') || !args_take(a, '('))
            return imap_bad("UTF8 is followed by a literal in parentheses");
        x->utf8 = 1;
    }
    (void)args_take(a, '~');
    if (!args_take(a, '{'))
        return imap_bad("a literal is missing");
    if (s->append_size == 0)
        return imap_no("an empty message is not stored");
    if (s->append_size > (uint64_t)s->server->config->max_message)
        return imap_no("[TOOBIG] the message is larger than this server takes");
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = mailbox_find(db, s->account, path, &c->arena, &m);
    if (e.code == ERROR_NOT_FOUND)
        return imap_no("[TRYCREATE] no such mailbox");
    TRY(e);
    if (!(m.rights & RIGHT_INSERT))
        return error_make(ERROR_DENIED, "you may not put messages there");
    x->collection = m.c.id;
    x->account = m.c.account;
    return room_for(db, m.c.account, s->append_size, &c->arena);
}

enum run imap_append_begin(struct connection *c)
{
    struct imap_session *s = c->session;
    struct slice head = arena_copy(&s->append_arena, slice_first(buffer_slice(&c->in), s->append_head));
    struct imap_args a = {.rest = head, .arena = &s->append_arena};
    struct slice tag = SLICE("*"), verb;
    buffer_take(&c->in, s->append_head);
    s->append_head = s->scanned = s->promised = 0;
    s->ok = NULL;
    s->ok_code = SLICE("");
    if (!head.p)
        return RUN_CLOSE;
    struct error e = args_atom(&a, "]", &tag);
    if (e.code == ERROR_NONE && tag.n > TAG_MAX)
        tag = SLICE("*");
    memcpy(s->tag, tag.p, tag.n);
    s->tag[tag.n] = '\0';
    if (e.code == ERROR_NONE)
        e = args_space(&a);
    if (e.code == ERROR_NONE)
        e = args_atom(&a, NULL, &verb);
    if (e.code == ERROR_NONE)
        e = read_head(c, s, &a);
    if (e.code != ERROR_NONE && s->append_sync)
        return answer(c, e); /* the literal was not asked for and does not come */
    if (e.code != ERROR_NONE && s->append_size / 2 > (uint64_t)s->server->config->max_message) {
        (void)answer(c, e); /* it comes unasked, and is too much to be read for nothing (attacks.md IM-01) */
        buffer_add(&c->out, SLICE("* BYE [TOOBIG] the literal is too large\r\n"));
        return RUN_CLOSE;
    }
    s->append.failed = e;
    s->append.discard = e.code != ERROR_NONE;
    s->append.left = s->append_size;
    s->append.active = 1;
    if (!s->append.discard)
        blob_put_begin(s->server->store, &s->append.message.put);
    if (s->append_sync)
        buffer_add(&c->out, SLICE("+ go ahead\r\n"));
    return RUN_NEXT;
}

struct append_change {
    struct imap_session *s;
    uint32_t uid, uidvalidity;
};

static struct error append_change(struct sql *db, void *arg)
{
    struct append_change *y = arg;
    struct imap_append *x = &y->s->append;
    struct buffer kw = {0};
    struct collection c;
    int64_t flags = 0, blob, modseq;
    int rights;
    TRY(grant_check(db, x->collection, y->s->account, RIGHT_INSERT));
    TRY(grant_rights(db, x->collection, y->s->account, &rights));
    TRY(collection_get(db, x->collection, &y->s->append_arena, &c));
    y->uidvalidity = c.uidvalidity;
    TRY(message_enter(db, &x->message, &blob));
    struct error e = keyword_resolve(db, x->account, x->flags, x->n_flags, &flags, &kw);
    if (!(rights & RIGHT_SEEN))
        flags &= ~(int64_t)FLAG_SEEN;
    if (!(rights & RIGHT_DELETE))
        flags &= ~(int64_t)FLAG_DELETED;
    if (!(rights & RIGHT_WRITE))
        flags &= FLAG_SEEN | FLAG_DELETED;
    struct slice words = rights & RIGHT_WRITE ? buffer_slice(&kw) : SLICE("");
    struct item_new item = {.blob = blob, .size = x->message.put.size, .flags = flags, .kw = words, .received = x->received};
    if (e.code == ERROR_NONE)
        e = item_add(db, imap_actor(y->s), x->collection, &item, &y->uid, &modseq);
    buffer_free(&kw);
    return e;
}

static enum run finish(struct connection *c)
{
    struct imap_session *s = c->session;
    struct append_change y = {.s = s};
    struct error e = s->append.failed;
    if (e.code == ERROR_NONE)
        e = blob_put_end(&s->append.message.put);
    if (e.code == ERROR_NONE)
        e = message_prepare(&s->append.message, &s->append_arena);
    if (e.code == ERROR_NONE)
        e = store_change(s->server->store, append_change, &y);
    if (e.code == ERROR_NOT_FOUND)
        e = imap_no("[TRYCREATE] no such mailbox"); /* it was deleted meanwhile */
    if (e.code == ERROR_NONE)
        s->ok_code = slice_of(arena_printf(&c->arena, "[APPENDUID %u %u] ", y.uidvalidity, y.uid));
    return answer(c, e);
}

enum run imap_append_more(struct connection *c)
{
    struct imap_session *s = c->session;
    struct imap_append *x = &s->append;
    struct slice in = buffer_slice(&c->in);
    if (in.n == 0) {
        imap_append_drop(s); /* the peer closed in the middle: nothing is kept */
        return RUN_CLOSE;
    }
    struct slice bytes = slice_first(in, x->left);
    if (!x->discard && x->left) {
        struct error e = blob_put_add(&x->message.put, bytes);
        if (e.code != ERROR_NONE) {
            blob_put_drop(&x->message.put);
            x->discard = 1;
            x->failed = e;
        }
    }
    buffer_take(&c->in, bytes.n);
    x->left -= bytes.n;
    if (x->left)
        return RUN_NEXT;
    in = buffer_slice(&c->in);
    size_t line = slice_find(in, '\n');
    if (line == in.n) {
        if (in.n > LINE_END_MAX) { /* a client that wrote more than it announced; where its next command begins cannot be known */
            (void)answer(c, imap_bad("the line end behind the literal is missing"));
            return RUN_CLOSE;
        }
        return c->input_ended ? RUN_CLOSE : RUN_NEXT;
    }
    struct slice rest = slice_trim(slice_first(in, line));
    buffer_take(&c->in, line + 1);
    if (!slice_eq(rest, x->utf8 ? SLICE(")") : SLICE("")))
        return answer(c, imap_bad("one message an APPEND; something stands behind its literal"));
    return finish(c);
}
