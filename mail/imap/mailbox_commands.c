/* mail/imap/mailbox_commands.c -- CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8), and names on the wire */
#include "mail/imap/internal.h"
#include "mail/mailbox/name.h"
#include "mail/mime/imap_text.h"

/* *given: as the client wrote it, in UTF-8. */
static struct error mailbox_arg(struct imap_session *s, struct imap_args *a, struct slice *given, struct slice *path)
{
    struct slice raw;
    struct buffer b = {0};
    TRY(args_astring(a, &raw));
    int eight = 0;
    for (size_t i = 0; i < raw.n; i++)
        eight |= (unsigned char)raw.p[i] >= 0x80;
    if (!eight && !(s->enabled & (ENABLED_UTF8 | ENABLED_REV2))) {
        if (!name_from_utf7(raw, &b)) {
            buffer_free(&b);
            return imap_no("[CANNOT] the mailbox name is not modified UTF-7");
        }
        raw = arena_copy(a->arena, buffer_slice(&b));
        buffer_free(&b);
        if (!raw.p)
            return error_make(ERROR_MEMORY, "no memory for a name");
    }
    *given = raw;
    struct error e = mailbox_canonical(raw, a->arena, path);
    return e.code == ERROR_INVALID ? imap_no(arena_printf(a->arena, "[CANNOT] %s", e.text)) : e;
}

struct error imap_mailbox_arg(struct imap_session *s, struct imap_args *a, struct slice *path)
{
    struct slice given;
    return mailbox_arg(s, a, &given, path);
}

/* RFC 9051 6.3.9.7: the server made another name of what the client said. */
static void tell_oldname(struct connection *c, const struct imap_session *s, struct slice path, struct slice old)
{
    if (!(s->enabled & ENABLED_REV2))
        return;
    buffer_add(&c->out, SLICE("* LIST () \"/\" "));
    imap_mailbox_write(s, path, &c->out);
    buffer_add(&c->out, SLICE(" (\"OLDNAME\" ("));
    imap_mailbox_write(s, old, &c->out);
    buffer_add(&c->out, SLICE("))\r\n"));
}

static bool is_other(struct slice given, struct slice path)
{
    return !slice_eq(slice_ends(given, SLICE("/")) ? slice_first(given, given.n - 1) : given, path);
}

void imap_mailbox_write(const struct imap_session *s, struct slice path, struct buffer *out)
{
    struct buffer b = {0};
    if (s->enabled & (ENABLED_UTF8 | ENABLED_REV2)) {
        buffer_add_char(out, '"'); /* RFC 9051 9: utf8-quoted */
        for (size_t i = 0; i < path.n; i++) {
            if (path.p[i] == '"' || path.p[i] == '\\')
                buffer_add_char(out, '\\');
            buffer_add_char(out, path.p[i]);
        }
        buffer_add_char(out, '"');
        return;
    }
    name_to_utf7(path, &b);
    imap_text_string(buffer_slice(&b), out);
    buffer_free(&b);
}

struct tree_change {
    struct imap_session *s;
    struct arena *arena;
    struct slice path, to;
    enum collection_role role;
    struct mailbox made;
};

static struct error create_change(struct sql *db, void *arg)
{
    struct tree_change *t = arg;
    return mailbox_create(db, imap_actor(t->s), t->path, t->role, t->arena, &t->made);
}

static struct error delete_change(struct sql *db, void *arg)
{
    struct tree_change *t = arg;
    return mailbox_delete(db, imap_actor(t->s), t->path, t->arena);
}

static struct error rename_change(struct sql *db, void *arg)
{
    struct tree_change *t = arg;
    return mailbox_rename(db, imap_actor(t->s), t->path, t->to, t->arena);
}

static struct error subscribe_change(struct sql *db, void *arg)
{
    struct tree_change *t = arg;
    return subscription_add(db, t->s->account, t->path);
}

static struct error unsubscribe_change(struct sql *db, void *arg)
{
    struct tree_change *t = arg;
    return subscription_remove(db, t->s->account, t->path);
}

/* "(USE (\Drafts))" (RFC 6154 3) */
static struct error read_use(struct imap_args *a, enum collection_role *role)
{
    static const struct {
        struct slice word;
        enum collection_role role;
    } words[] = {{{"\\Drafts", 7}, ROLE_DRAFTS}, {{"\\Sent", 5}, ROLE_SENT}, {{"\\Trash", 6}, ROLE_TRASH}, {{"\\Junk", 5}, ROLE_JUNK}, {{"\\Archive", 8}, ROLE_ARCHIVE}, {{"\\Important", 10}, ROLE_IMPORTANT}};
    struct slice *uses;
    size_t n, i = 0;
    if (!args_take(a, '(') || !args_word(a, SLICE("USE")) || !args_take(a, ' ') || a->rest.n == 0 || a->rest.p[0] != '(')
        return imap_bad("only the parameter USE is known");
    TRY(args_flags(a, &uses, &n));
    if (!args_take(a, ')'))
        return imap_bad("a parenthesis is missing");
    if (n == 0)
        return OK;
    while (i < sizeof words / sizeof words[0] && !slice_eq_nocase(uses[0], words[i].word))
        i++;
    if (n > 1 || i == sizeof words / sizeof words[0])
        return imap_no("[USEATTR] that special use is not supported");
    *role = words[i].role;
    return OK;
}

struct error imap_create_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct tree_change t = {.s = s, .arena = &c->arena};
    struct slice given;
    TRY(args_space(a));
    TRY(mailbox_arg(s, a, &given, &t.path));
    if (args_take(a, ' '))
        TRY(read_use(a, &t.role));
    TRY(args_end(a));
    TRY(store_change(s->server->store, create_change, &t));
    if (is_other(given, t.path))
        tell_oldname(c, s, t.path, given);
    return OK;
}

struct error imap_delete_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct tree_change t = {.s = s, .arena = &c->arena};
    TRY(args_space(a));
    TRY(imap_mailbox_arg(s, a, &t.path));
    TRY(args_end(a));
    return store_change(s->server->store, delete_change, &t);
}

struct error imap_rename_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct tree_change t = {.s = s, .arena = &c->arena};
    struct slice old, given;
    TRY(args_space(a));
    TRY(mailbox_arg(s, a, &old, &t.path));
    TRY(args_space(a));
    TRY(mailbox_arg(s, a, &given, &t.to));
    TRY(args_end(a));
    TRY(store_change(s->server->store, rename_change, &t));
    if (is_other(old, t.path) || is_other(given, t.to))
        tell_oldname(c, s, t.to, old);
    return OK;
}

struct error imap_subscribe_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct tree_change t = {.s = s, .arena = &c->arena};
    struct mailbox m;
    TRY(args_space(a));
    TRY(imap_mailbox_arg(s, a, &t.path));
    TRY(args_end(a));
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
        TRY(mailbox_find(db, s->account, t.path, &c->arena, &m));
    }
    return store_change(s->server->store, subscribe_change, &t);
}

struct error imap_unsubscribe_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct tree_change t = {.s = s, .arena = &c->arena};
    TRY(args_space(a));
    TRY(imap_mailbox_arg(s, a, &t.path));
    TRY(args_end(a));
    return store_change(s->server->store, unsubscribe_change, &t);
}
