/* mail/mailbox/mailbox.c -- the tree of mailboxes: names to rows and back, and the three changes of the tree
 *
 * A mailbox's row knows its parent and its own segment; a path is built by walking up. Lists are made from one read of each account's rows, so
 * that ten thousand mailboxes cost one query.
 */
#include "mail/mailbox/mailbox.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "core/account/account.h"
#include "core/store/item.h"

#define NOT_FOUND error_make(ERROR_NOT_FOUND, "no such mailbox")
#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for mailbox names")

/* --- names */

static bool level_is_plain(struct slice level)
{
    for (size_t i = 0; i < level.n; i++)
        if ((unsigned char)level.p[i] < 0x20 || (unsigned char)level.p[i] >= 0x7F)
            return false;
    return true;
}

struct error mailbox_normalise(struct slice name, struct arena *a, struct slice *out)
{
    if (level_is_plain(name)) {
        *out = name;
        return OK;
    }
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)name.p, (utf8proc_ssize_t)name.n, &text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0) {
        free(text);
        return error_make(ERROR_INVALID, "the mailbox name is not valid UTF-8");
    }
    *out = arena_copy(a, slice_make((const char *)text, (size_t)n));
    free(text);
    return out->p ? OK : NO_MEMORY;
}

/* NFC, and nothing that a person could not see or that breaks a terminal (attacks.md IM-12). */
static struct error level_normalise(struct slice level, struct arena *a, struct slice *out)
{
    TRY(mailbox_normalise(level, a, out));
    for (size_t i = 0; i < out->n; i++)
        if ((unsigned char)out->p[i] < 0x20 || out->p[i] == 0x7F)
            return error_make(ERROR_INVALID, "a mailbox name may not hold control characters");
    return OK;
}

struct error mailbox_canonical(struct slice path, struct arena *a, struct slice *out)
{
    struct buffer b = {0};
    struct error e = OK;
    int depth = 0;
    if (path.n && path.p[path.n - 1] == '/') /* clients.md I8: Thunderbird adds the delimiter when it creates a parent */
        path.n--;
    if (path.n == 0)
        return error_make(ERROR_INVALID, "the mailbox name is empty");
    for (size_t at = 0; e.code == ERROR_NONE && at <= path.n;) {
        struct slice rest = slice_after(path, at), level = slice_first(rest, slice_find(rest, '/'));
        at += level.n + 1;
        e = level_normalise(level, a, &level);
        if (e.code == ERROR_NONE && level.n == 0)
            e = error_make(ERROR_INVALID, "a mailbox name may not hold an empty level");
        if (e.code == ERROR_NONE && (level.n > MAILBOX_LEVEL_MAX || ++depth > MAILBOX_DEPTH_MAX))
            e = error_make(ERROR_LIMIT, "the mailbox name is too long (255 bytes a level, 50 levels)");
        if (buffer_length(&b))
            buffer_add_char(&b, '/');
        buffer_add(&b, depth == 1 && slice_eq_nocase(level, SLICE("INBOX")) ? SLICE("INBOX") : level);
    }
    if (e.code == ERROR_NONE)
        *out = arena_copy(a, buffer_slice(&b));
    if (e.code == ERROR_NONE && (b.failed || !out->p))
        e = NO_MEMORY;
    buffer_free(&b);
    return e;
}

/* --- which account a path belongs to */

struct place {
    int64_t account;
    struct slice prefix; /* "Shared/info@kantor.example", empty for one's own */
    struct slice rest;   /* inside that account, empty for its root */
};

static struct error find_foreign(struct sql *db, int64_t actor, struct slice root, struct slice path, struct arena *a, struct place *out)
{
    struct slice rest = slice_after(path, root.n + 1), name = slice_first(rest, slice_find(rest, '/'));
    struct address address;
    struct account account;
    if (name.n == 0 || address_parse(name, a, &address).code != ERROR_NONE)
        return NOT_FOUND;
    const char *text = address_text(&address, a);
    if (!text)
        return NO_MEMORY;
    struct error e = account_find(db, slice_of(text), a, &account);
    if (e.code == ERROR_NOT_FOUND)
        return NOT_FOUND; /* in the same words: which accounts exist is not told here */
    TRY(e);
    int shared = slice_eq(root, SLICE(MAILBOX_SHARED));
    if (account.id == actor || (account.kind == ACCOUNT_PERSON) == shared || account_is_gone(account.state))
        return NOT_FOUND;
    out->account = account.id;
    out->prefix = slice_first(path, root.n + 1 + name.n);
    out->rest = slice_after(rest, name.n + 1);
    return OK;
}

static bool is_under(struct slice path, struct slice root)
{
    return slice_starts(path, root) && (path.n == root.n || path.p[root.n] == '/');
}

static struct error find_place(struct sql *db, int64_t actor, struct slice path, struct arena *a, struct place *out)
{
    *out = (struct place){.account = actor, .prefix = SLICE(""), .rest = path};
    if (is_under(path, SLICE(MAILBOX_OTHERS)))
        return find_foreign(db, actor, SLICE(MAILBOX_OTHERS), path, a, out);
    if (is_under(path, SLICE(MAILBOX_SHARED)))
        return find_foreign(db, actor, SLICE(MAILBOX_SHARED), path, a, out);
    return OK;
}

/* The row of `rest` inside an account; *parent is the deepest level that is there and *missing what is not (both for CREATE). */
static struct error walk(struct sql *db, int64_t account, struct slice rest, struct arena *a, struct collection *c, int64_t *parent, struct slice *missing)
{
    *parent = 0;
    *missing = rest;
    while (missing->n) {
        struct slice level = slice_first(*missing, slice_find(*missing, '/'));
        TRY(collection_find(db, account, COLLECTION_MAILBOX, *parent, level, a, c));
        *parent = c->id;
        *missing = slice_after(*missing, level.n + 1);
    }
    return rest.n ? OK : NOT_FOUND;
}

/* Also a level that was deleted. */
static struct error find_name(struct sql *db, int64_t actor, struct slice path, struct arena *a, struct mailbox *out)
{
    struct place place;
    struct slice missing;
    int64_t parent;
    *out = (struct mailbox){.selectable = 1};
    TRY(mailbox_canonical(path, a, &out->path));
    TRY(find_place(db, actor, out->path, a, &place));
    struct error e = walk(db, place.account, place.rest, a, &out->c, &parent, &missing);
    if (e.code == ERROR_NOT_FOUND)
        return NOT_FOUND; /* the same words as for one that the actor may not see (attacks.md IM-16) */
    TRY(e);
    TRY(grant_rights(db, out->c.id, actor, &out->rights));
    out->selectable = out->c.role != ROLE_LEVEL;
    return out->rights & RIGHT_LOOKUP ? OK : NOT_FOUND;
}

struct error mailbox_find(struct sql *db, int64_t actor, struct slice path, struct arena *a, struct mailbox *out)
{
    TRY(find_name(db, actor, path, a, out));
    return out->selectable ? OK : NOT_FOUND;
}

/* --- the list */

struct listing {
    struct sql *db;
    struct arena *arena;
    int64_t actor;
    struct mailbox *all;
    size_t n, size;
};

static struct error list_add(struct listing *l, const struct mailbox *m)
{
    if (l->n == l->size) {
        size_t size = l->size ? l->size * 2 : 32;
        struct mailbox *all = arena_grow(l->arena, l->all, l->n * sizeof *all, size * sizeof *all);
        if (!all)
            return NO_MEMORY;
        l->all = all;
        l->size = size;
    }
    l->all[l->n++] = *m;
    return OK;
}

static int by_id(const void *x, const void *y)
{
    int64_t a = ((const struct collection *)x)->id, b = ((const struct collection *)y)->id;
    return (a > b) - (a < b);
}

/* INBOX first, then by bytes with the delimiter below everything, so that a tree stands together. */
static int by_path(const void *x, const void *y)
{
    struct slice a = ((const struct mailbox *)x)->path, b = ((const struct mailbox *)y)->path;
    int a_inbox = is_under(a, SLICE("INBOX")), b_inbox = is_under(b, SLICE("INBOX"));
    if (a_inbox != b_inbox)
        return b_inbox - a_inbox;
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        int ca = a.p[i] == '/' ? 0 : (unsigned char)a.p[i], cb = b.p[i] == '/' ? 0 : (unsigned char)b.p[i];
        if (ca != cb)
            return ca - cb;
    }
    return (a.n > b.n) - (a.n < b.n);
}

/* The path of a row by walking up through the sorted rows; p NULL for one whose parent is gone. */
static struct slice path_of(const struct listing *l, const struct collection *rows, size_t n, const struct collection *row, struct slice prefix)
{
    struct slice levels[MAILBOX_DEPTH_MAX + 1];
    size_t depth = 0, bytes = prefix.n;
    for (const struct collection *c = row; c; ) {
        if (depth > MAILBOX_DEPTH_MAX)
            return slice_make(NULL, 0);
        levels[depth++] = c->name;
        bytes += c->name.n + 1;
        if (c->parent == 0)
            break;
        struct collection key = {.id = c->parent};
        c = bsearch(&key, rows, n, sizeof *rows, by_id);
        if (!c)
            return slice_make(NULL, 0);
    }
    char *text = arena_alloc(l->arena, bytes), *to = text;
    if (!text)
        return slice_make(NULL, 0);
    memcpy(to, prefix.p, prefix.n);
    to += prefix.n;
    while (depth--) {
        if (to != text)
            *to++ = '/';
        memcpy(to, levels[depth].p, levels[depth].n);
        to += levels[depth].n;
    }
    return slice_make(text, (size_t)(to - text));
}

static struct error list_account(struct listing *l, int64_t account, struct slice prefix, const struct grant *grants, size_t n_grants)
{
    struct collection *rows;
    size_t n;
    TRY(collection_list(l->db, account, COLLECTION_MAILBOX, l->arena, &rows, &n));
    qsort(rows, n, sizeof *rows, by_id);
    for (size_t i = 0; i < n; i++) {
        struct mailbox m = {.c = rows[i], .rights = account == l->actor ? RIGHT_ALL : 0, .selectable = rows[i].role != ROLE_LEVEL};
        for (size_t g = 0; g < n_grants; g++)
            if (grants[g].account == account && (grants[g].collection == 0 || grants[g].collection == rows[i].id))
                m.rights |= grants[g].rights;
        if (!(m.rights & RIGHT_LOOKUP))
            continue;
        m.path = path_of(l, rows, n, &rows[i], prefix);
        if (m.path.p)
            TRY(list_add(l, &m));
    }
    return OK;
}

static struct error list_shared(struct listing *l)
{
    struct grant *grants;
    size_t n;
    TRY(grant_list_to(l->db, l->actor, l->arena, &grants, &n));
    for (size_t i = 0; i < n; i++) {
        struct account account;
        size_t first = 0;
        while (grants[first].account != grants[i].account)
            first++;
        if (first < i || grants[i].account == l->actor)
            continue; /* this account was listed with its first grant */
        if (account_get(l->db, grants[i].account, l->arena, &account).code != ERROR_NONE || account_is_gone(account.state))
            continue;
        const char *root = account.kind == ACCOUNT_PERSON ? MAILBOX_OTHERS : MAILBOX_SHARED;
        char *prefix = arena_printf(l->arena, "%s/%.*s", root, SLICE_ARG(account.name));
        if (!prefix)
            return NO_MEMORY;
        TRY(list_account(l, account.id, slice_of(prefix), grants, n));
    }
    return OK;
}

static bool has_path(const struct mailbox *all, size_t n, struct slice path)
{
    struct mailbox key = {.path = path};
    return bsearch(&key, all, n, sizeof *all, by_path) != NULL;
}

/* Levels that exist only because something stands below them: namespace roots, accounts, parents that the actor may not see. */
static struct error add_levels(struct listing *l, size_t from)
{
    size_t known = l->n;
    for (size_t i = from; i < known; i++) {
        for (size_t at = l->all[i].path.n; at-- > 0;) {
            struct mailbox level = {.path = slice_first(l->all[i].path, at)};
            if (l->all[i].path.p[at] != '/')
                continue;
            if (has_path(l->all, from ? from : known, level.path) || (l->n > known && slice_eq(l->all[l->n - 1].path, level.path)))
                break; /* its own parents were or will be added with it */
            TRY(list_add(l, &level));
        }
    }
    return OK;
}

static void drop_doubles(struct listing *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++)
        if (kept == 0 || !slice_eq(l->all[kept - 1].path, l->all[i].path))
            l->all[kept++] = l->all[i];
        else
            l->all[kept - 1].subscribed |= l->all[i].subscribed;
    l->n = kept;
}

static int by_bytes(const void *x, const void *y)
{
    return slice_compare(*(const struct slice *)x, *(const struct slice *)y);
}

static void sort(struct listing *l)
{
    if (l->n)
        qsort(l->all, l->n, sizeof *l->all, by_path);
}

static struct error list(struct listing *l, struct slice **names, size_t *n_names)
{
    TRY(list_account(l, l->actor, SLICE(""), NULL, 0));
    TRY(list_shared(l));
    sort(l);
    TRY(add_levels(l, 0));
    sort(l);
    drop_doubles(l);
    TRY(subscription_list(l->db, l->actor, l->arena, names, n_names));
    if (*n_names)
        qsort(*names, *n_names, sizeof **names, by_bytes);
    for (size_t i = 0; i < l->n; i++) {
        struct mailbox *m = &l->all[i];
        m->children = i + 1 < l->n && l->all[i + 1].path.n > m->path.n && is_under(l->all[i + 1].path, m->path);
        m->subscribed = *n_names && bsearch(&m->path, *names, *n_names, sizeof **names, by_bytes) != NULL;
    }
    return OK;
}

struct error mailbox_list(struct sql *db, int64_t actor, struct arena *a, struct mailbox **all, size_t *n)
{
    struct listing l = {.db = db, .arena = a, .actor = actor};
    struct slice *names;
    size_t n_names;
    TRY(list(&l, &names, &n_names));
    *all = l.all;
    *n = l.n;
    return OK;
}

struct error mailbox_list_subscribed(struct sql *db, int64_t actor, struct arena *a, struct mailbox **all, size_t *n)
{
    struct listing l = {.db = db, .arena = a, .actor = actor};
    struct slice *names;
    size_t n_names;
    TRY(list(&l, &names, &n_names));
    size_t there = l.n;
    for (size_t i = 0; i < n_names; i++) {
        struct mailbox missing = {.path = names[i], .subscribed = 1};
        if (!has_path(l.all, there, names[i]))
            TRY(list_add(&l, &missing));
    }
    if (there && l.n > there)
        TRY(add_levels(&l, there));
    sort(&l);
    drop_doubles(&l);
    *all = l.all;
    *n = l.n;
    return OK;
}

/* --- changes of the tree */

/* The right to make something at the end of `rest`: `k` on the deepest parent that is there; at the top of an account on the account. */
static struct error may_create(struct sql *db, int64_t actor, const struct place *place, int64_t parent)
{
    int rights = RIGHT_ALL;
    if (parent)
        TRY(grant_rights(db, parent, actor, &rights));
    else if (place->account != actor)
        TRY(grant_account_rights(db, place->account, actor, &rights));
    if (!(rights & RIGHT_LOOKUP))
        return NOT_FOUND;
    return rights & RIGHT_CREATE ? OK : error_make(ERROR_DENIED, "you may not create mailboxes there");
}

static struct error create_levels(struct sql *db, struct actor who, const struct place *place, int64_t parent, struct slice missing, enum collection_role role, int64_t *id)
{
    int64_t count;
    TRY(collection_count(db, place->account, COLLECTION_MAILBOX, &count));
    while (missing.n) {
        struct slice level = slice_first(missing, slice_find(missing, '/'));
        missing = slice_after(missing, level.n + 1);
        if (count++ >= MAILBOX_COUNT_MAX)
            return error_make(ERROR_LIMIT, "the account has too many mailboxes");
        TRY(collection_create(db, who, place->account, COLLECTION_MAILBOX, parent, level, missing.n ? ROLE_NONE : role, id));
        if (parent)
            TRY(grant_inherit(db, parent, *id)); /* RFC 4314 4, CREATE: else who may create would not see what he made */
        parent = *id;
    }
    return OK;
}

struct error mailbox_create(struct sql *db, struct actor who, struct slice path, enum collection_role role, struct arena *a, struct mailbox *out)
{
    struct place place;
    struct slice missing;
    int64_t parent, id;
    TRY(mailbox_canonical(path, a, &path));
    TRY(find_place(db, who.account, path, a, &place));
    if (slice_eq(path, SLICE(MAILBOX_OTHERS)) || slice_eq(path, SLICE(MAILBOX_SHARED)) || place.rest.n == 0)
        return error_make(ERROR_UNSUPPORTED, "that name is a namespace of the server");
    if (slice_eq_nocase(place.rest, SLICE("INBOX/INBOX")))
        return error_make(ERROR_UNSUPPORTED, "a mailbox INBOX inside INBOX confuses clients"); /* clients.md I26 */
    struct error e = walk(db, place.account, place.rest, a, &out->c, &parent, &missing);
    if (e.code == ERROR_NONE && out->c.role != ROLE_LEVEL) {
        TRY(grant_check(db, out->c.id, who.account, RIGHT_LOOKUP));
        return error_make(ERROR_EXISTS, "the mailbox exists already");
    }
    if (e.code != ERROR_NOT_FOUND && e.code != ERROR_NONE)
        return e;
    TRY(may_create(db, who.account, &place, e.code == ERROR_NONE ? out->c.parent : parent));
    if (e.code == ERROR_NONE) /* the level takes messages again; its uids go on where they were */
        TRY(collection_set_role(db, who, out->c.id, role));
    else
        TRY(create_levels(db, who, &place, parent, missing, role, &id));
    return mailbox_find(db, who.account, path, a, out);
}

static struct error rename_subscriptions(struct sql *db, int64_t account, struct slice from, struct slice to, struct arena *a)
{
    struct slice *names;
    size_t n;
    TRY(subscription_list(db, account, a, &names, &n));
    for (size_t i = 0; i < n; i++) {
        if (!is_under(names[i], from))
            continue;
        struct slice rest = slice_after(names[i], from.n);
        char *name = arena_printf(a, "%.*s%.*s", SLICE_ARG(to), SLICE_ARG(rest));
        if (!name)
            return NO_MEMORY;
        TRY(subscription_remove(db, account, names[i]));
        TRY(subscription_add(db, account, slice_of(name)));
    }
    return OK;
}

/* RFC 9051 6.3.6: INBOX keeps standing, empty; what it held is in the new mailbox. */
static struct error rename_inbox(struct sql *db, struct actor who, const struct mailbox *inbox, struct slice to, struct arena *a)
{
    struct mailbox target;
    struct uid_set all = {0}, from = {0}, assigned = {0};
    TRY(grant_check(db, inbox->c.id, who.account, RIGHT_DELETE | RIGHT_EXPUNGE | RIGHT_READ));
    TRY(mailbox_create(db, who, to, ROLE_NONE, a, &target));
    struct error e = item_uids(db, inbox->c.id, &all);
    if (e.code == ERROR_NONE && all.n)
        e = item_move(db, who, inbox->c.id, target.c.id, &all, -1, &from, &assigned);
    uid_set_free(&all);
    uid_set_free(&from);
    uid_set_free(&assigned);
    return e;
}

/* The deepest name below `top`, counted in levels under it. */
static struct error height(struct sql *db, const struct collection *top, struct arena *a, int *levels, int *children)
{
    struct collection *rows;
    size_t n;
    *levels = *children = 0;
    TRY(collection_list(db, top->account, COLLECTION_MAILBOX, a, &rows, &n));
    qsort(rows, n, sizeof *rows, by_id);
    for (size_t i = 0; i < n; i++) {
        int depth = 0;
        *children += rows[i].parent == top->id;
        for (const struct collection *c = &rows[i]; c && c->id != top->id && depth <= MAILBOX_DEPTH_MAX; depth++) {
            struct collection key = {.id = c->parent};
            c = c->parent ? bsearch(&key, rows, n, sizeof *rows, by_id) : NULL;
            if (c && c->id == top->id && depth + 1 > *levels)
                *levels = depth + 1;
        }
    }
    return OK;
}

/* No name of the tree may become deeper than names may be: nobody could reach it. */
static struct error fits(struct sql *db, const struct collection *top, struct slice to, struct arena *a)
{
    int below, children, levels = 1;
    for (size_t i = 0; i < to.n; i++)
        levels += to.p[i] == '/';
    TRY(height(db, top, a, &below, &children));
    return levels + below > MAILBOX_DEPTH_MAX ? error_make(ERROR_LIMIT, "names of the tree would have more than 50 levels") : OK;
}

struct error mailbox_rename(struct sql *db, struct actor who, struct slice from, struct slice to, struct arena *a)
{
    struct mailbox source;
    struct place place, source_place;
    struct collection c;
    struct slice missing;
    int64_t parent;
    TRY(find_name(db, who.account, from, a, &source));
    TRY(mailbox_canonical(to, a, &to));
    if (slice_eq(source.path, SLICE("INBOX")))
        return rename_inbox(db, who, &source, to, a);
    if (source.c.role == ROLE_INBOX)
        return error_make(ERROR_UNSUPPORTED, "the INBOX of a shared mailbox cannot be renamed");
    if (is_under(to, source.path) && to.n > source.path.n)
        return error_make(ERROR_UNSUPPORTED, "a mailbox cannot be moved into itself");
    TRY(find_place(db, who.account, source.path, a, &source_place));
    struct error e = find_place(db, who.account, to, a, &place);
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND)
        return e;
    if (e.code == ERROR_NOT_FOUND || place.account != source.c.account) /* one answer: which accounts exist is nobody's to find out */
        return error_make(ERROR_UNSUPPORTED, "a mailbox cannot be renamed into another account; copy its messages");
    if (!(source.rights & RIGHT_REMOVE))
        return error_make(ERROR_DENIED, "you may not rename this mailbox"); /* RFC 4314 4: x on the old, k on the new parent */
    e = walk(db, place.account, place.rest, a, &c, &parent, &missing);
    if (e.code == ERROR_NONE) {
        TRY(grant_check(db, c.id, who.account, RIGHT_LOOKUP));
        return error_make(ERROR_EXISTS, "a mailbox of that name exists already");
    }
    if (e.code != ERROR_NOT_FOUND)
        return e;
    TRY(may_create(db, who.account, &place, parent));
    TRY(fits(db, &source.c, place.rest, a));
    struct slice level = missing;
    for (size_t at = slice_find(level, '/'); at < level.n; at = slice_find(level, '/'))
        level = slice_after(level, at + 1);
    if (level.n < missing.n) /* 6.3.6: superior names that are missing are made */
        TRY(create_levels(db, who, &place, parent, slice_first(missing, missing.n - level.n - 1), ROLE_NONE, &parent));
    TRY(collection_rename(db, who, source.c.id, parent, level));
    return rename_subscriptions(db, who.account, source.path, to, a);
}

/* A level that was deleted goes when nothing stands below it any more, and so upwards. */
static struct error drop_empty_levels(struct sql *db, struct actor who, int64_t id, struct arena *a)
{
    struct collection c;
    int levels, children;
    while (id) {
        TRY(collection_get(db, id, a, &c));
        TRY(height(db, &c, a, &levels, &children));
        if (c.role != ROLE_LEVEL || children)
            return OK;
        TRY(collection_remove(db, who, c.id));
        id = c.parent;
    }
    return OK;
}

struct error mailbox_delete(struct sql *db, struct actor who, struct slice path, struct arena *a)
{
    struct mailbox m;
    int levels, children;
    TRY(find_name(db, who.account, path, a, &m));
    if (m.c.role == ROLE_INBOX)
        return error_make(ERROR_UNSUPPORTED, "INBOX cannot be deleted");
    if (!(m.rights & RIGHT_REMOVE))
        return error_make(ERROR_DENIED, "you may not delete this mailbox");
    TRY(height(db, &m.c, a, &levels, &children));
    if (children && !m.selectable)
        return error_make(ERROR_CONFLICT, "the name has inferiors and holds no messages; delete them first");
    if (!children) {
        TRY(collection_remove(db, who, m.c.id));
        return drop_empty_levels(db, who, m.c.parent, a);
    }
    TRY(item_expunge(db, who, m.c.id, NULL, 0, NULL));
    return collection_set_role(db, who, m.c.id, ROLE_LEVEL);
}
