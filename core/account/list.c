/* core/account/list.c -- rows of lists, their addresses, who may post */
#include "core/account/list.h"

#include <openssl/rand.h>

#include "core/cleanup.h"

enum { DAY_S = 86400 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a list")

struct error list_get(struct sql *db, int64_t account, struct arena *a, struct list *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT posting, moderated, reply, prefix, owner, secret FROM list WHERE account = $1");
    sql_bind_int(st, 1, account);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "that account is no list");
    }
    *out = (struct list){.account = account, .posting = (enum list_posting)sql_int(st, 0), .moderated = sql_int(st, 1) != 0, .reply = (enum list_reply)sql_int(st, 2),
                         .prefix = arena_copy(a, sql_text(st, 3)), .owner = arena_copy(a, sql_text(st, 4)), .secret = arena_copy(a, sql_text(st, 5))};
    return out->prefix.p && out->owner.p && out->secret.p ? OK : NO_MEMORY;
}

struct error list_set(struct sql *db, const struct list *list)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO list (account, posting, moderated, reply, prefix, owner, secret) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account) DO UPDATE SET "
                                                       "posting = excluded.posting, moderated = excluded.moderated, reply = excluded.reply, prefix = excluded.prefix, owner = excluded.owner");
    sql_bind_int(st, 1, list->account);
    sql_bind_int(st, 2, list->posting);
    sql_bind_int(st, 3, list->moderated);
    sql_bind_int(st, 4, list->reply);
    sql_bind_text(st, 5, list->prefix);
    sql_bind_text(st, 6, list->owner);
    sql_bind_text(st, 7, list->secret);
    return sql_run(st);
}

struct error list_unset(struct sql *db, int64_t account)
{
    SCOPED(sql_done) struct sql_stmt *posts = sql_use(db, "DELETE FROM post WHERE list = $1");
    sql_bind_int(posts, 1, account);
    TRY(sql_run(posts));
    SCOPED(sql_done) struct sql_stmt *bounces = sql_use(db, "DELETE FROM listbounce WHERE list = $1");
    sql_bind_int(bounces, 1, account);
    TRY(sql_run(bounces));
    SCOPED(sql_done) struct sql_stmt *leaving = sql_use(db, "DELETE FROM listleave WHERE list = $1");
    sql_bind_int(leaving, 1, account);
    TRY(sql_run(leaving));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM list WHERE account = $1");
    sql_bind_int(st, 1, account);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "that account is no list");
}

struct error list_all(struct sql *db, struct arena *a, int64_t **accounts, size_t *n)
{
    size_t room = 0;
    *n = 0;
    *accounts = NULL;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT l.account FROM list l JOIN account a ON a.id = l.account WHERE a.state < 2 ORDER BY a.name");
    while (sql_row(st)) {
        if (*n == room) {
            size_t wanted = room ? room * 2 : 16;
            *accounts = arena_grow(a, *accounts, room * sizeof **accounts, wanted * sizeof **accounts);
            room = wanted;
            if (!*accounts)
                return NO_MEMORY;
        }
        (*accounts)[(*n)++] = sql_int(st, 0);
    }
    return sql_result(st);
}

/* --- addresses of a list besides its own */

static struct error list_of(struct sql *db, int64_t domain, struct slice local, struct arena *a, struct list *list)
{
    int64_t account;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT l.account FROM address x JOIN list l ON l.account = x.account JOIN account a ON a.id = l.account WHERE x.domain = $1 AND x.local = $2 AND a.state = 0");
        sql_bind_int(st, 1, domain);
        sql_bind_text(st, 2, local);
        account = sql_row(st) ? sql_int(st, 0) : 0;
        TRY(sql_result(st));
    }
    return account ? list_get(db, account, a, list) : error_make(ERROR_NOT_FOUND, "no list");
}

/* Where the last such word begins; n: nowhere. */
static size_t word_at(struct slice local, struct slice word)
{
    for (size_t i = local.n; i-- > 1;)
        if (slice_starts(slice_after(local, i), word))
            return i;
    return local.n;
}

struct error list_service(struct sql *db, int64_t domain, struct slice local, struct arena *a, struct list *list, enum list_role *role, struct slice *token)
{
    static const struct {
        struct slice word;
        enum list_role role;
        bool ends; /* else a secret or token follows */
    } words[] = {{{"-bounces-", 9}, LIST_BOUNCES, false}, {{"-leave-", 7}, LIST_LEFT, false}, {{"-owner", 6}, LIST_OWNER, true}, {{"-leave", 6}, LIST_LEAVE, true}};
    *role = LIST_NONE;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t at = word_at(local, words[i].word);
        if (at == local.n || (words[i].ends && at + words[i].word.n != local.n))
            continue;
        struct error e = list_of(db, domain, slice_first(local, at), a, list);
        if (e.code == ERROR_NOT_FOUND)
            continue;
        TRY(e);
        *token = slice_after(local, at + words[i].word.n);
        if (words[i].role != LIST_BOUNCES || slice_eq(*token, list->secret))
            *role = words[i].role;
        return OK;
    }
    return OK;
}

/* --- leaving */

struct error list_random(char text[11])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32 of them */
    unsigned char random[10];
    if (RAND_bytes(random, sizeof random) != 1)
        return error_make(ERROR_IO, "no random bytes");
    for (size_t i = 0; i < sizeof random; i++)
        text[i] = letters[random[i] & 31];
    text[10] = '\0';
    return OK;
}

/* Only direct members: who is there through a group is the group's. */
static struct error is_direct(struct sql *db, int64_t list, int64_t account, struct slice foreign, bool *yes)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM member WHERE account = $1 AND ((member <> 0 AND member = $2) OR (member = 0 AND address = $3)) LIMIT 1");
    sql_bind_int(st, 1, list);
    sql_bind_int(st, 2, account);
    sql_bind_text(st, 3, foreign);
    *yes = sql_row(st);
    return sql_result(st);
}

struct error list_leave_ask(struct sql *db, int64_t list, struct slice address, struct slice token, int64_t now, struct arena *a)
{
    struct account account = {.id = 0};
    bool member;
    struct error e = account_find(db, address, a, &account);
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND)
        return e;
    TRY(is_direct(db, list, account.id, address, &member));
    if (!member)
        return error_make(ERROR_NOT_FOUND, "no such member");
    {
        SCOPED(sql_done) struct sql_stmt *asked = sql_use(db, "SELECT 1 FROM listleave WHERE list = $1 AND address = $2 AND at > $3");
        sql_bind_int(asked, 1, list);
        sql_bind_text(asked, 2, address);
        sql_bind_int(asked, 3, now - DAY_S);
        bool again = sql_row(asked);
        TRY(sql_result(asked));
        if (again)
            return error_make(ERROR_CONFLICT, "he was asked within a day");
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO listleave (list, address, token, at) VALUES ($1, $2, $3, $4) ON CONFLICT (list, address) DO UPDATE SET token = excluded.token, at = excluded.at");
    sql_bind_int(st, 1, list);
    sql_bind_text(st, 2, address);
    sql_bind_text(st, 3, token);
    sql_bind_int(st, 4, now);
    return sql_run(st);
}

struct error list_member_remove(struct sql *db, int64_t list, struct slice address, struct arena *a)
{
    struct account account;
    struct error e = account_find(db, address, a, &account);
    if (e.code == ERROR_NONE)
        e = member_remove(db, list, account.id, SLICE(""));
    return e.code == ERROR_NOT_FOUND ? member_remove(db, list, 0, address) : e;
}

struct error list_leave_answered(struct sql *db, int64_t list, struct slice token, struct arena *a)
{
    struct slice address = slice_make(NULL, 0);
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT address FROM listleave WHERE list = $1 AND token = $2");
        sql_bind_int(st, 1, list);
        sql_bind_text(st, 2, token);
        if (sql_row(st))
            address = arena_copy(a, sql_text(st, 0));
        TRY(sql_result(st));
    }
    if (!address.p)
        return error_make(ERROR_NOT_FOUND, "that answer is not known here (any more)");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM listleave WHERE list = $1 AND address = $2");
    sql_bind_int(st, 1, list);
    sql_bind_text(st, 2, address);
    TRY(sql_run(st));
    return list_member_remove(db, list, address, a);
}

/* --- who may post */

static struct error is_inside(struct sql *db, int64_t list, int64_t account, struct slice foreign, bool *yes)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "WITH RECURSIVE inside (id) AS (SELECT account FROM list WHERE account = $1 UNION SELECT m.member FROM member m JOIN inside i ON m.account = i.id WHERE m.member <> 0) "
                                                       "SELECT 1 FROM member m JOIN inside i ON m.account = i.id WHERE (m.member <> 0 AND m.member = $2) OR (m.member = 0 AND m.address = $3) LIMIT 1");
    sql_bind_int(st, 1, list);
    sql_bind_int(st, 2, account);
    sql_bind_text(st, 3, foreign);
    *yes = sql_row(st);
    return sql_result(st);
}

struct error list_has_member(struct sql *db, int64_t list, struct slice address, struct arena *a, bool *yes)
{
    struct account account = {.id = 0};
    struct address x;
    *yes = false;
    if (address_parse(address, a, &x).code != ERROR_NONE)
        return OK;
    char *text = address_text(&x, a);
    struct error e = account_find(db, address, a, &account);
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND)
        return e;
    return text ? is_inside(db, list, account.id, slice_of(text), yes) : NO_MEMORY;
}

static struct error is_owner(struct sql *db, const struct list *list, struct slice sender, int64_t submitter, struct arena *a, bool *yes)
{
    struct account owner, account;
    *yes = list->owner.n && slice_eq_nocase(sender, list->owner);
    if (*yes || !list->owner.n || account_find(db, list->owner, a, &owner).code != ERROR_NONE)
        return OK;
    *yes = owner.id == submitter || (sender.n && account_find(db, sender, a, &account).code == ERROR_NONE && account.id == owner.id);
    return OK;
}

/* A list that this one is a member of passes its posts on. */
static struct error is_above(struct sql *db, const struct list *list, int64_t submitter, bool *yes)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT 1 FROM member m JOIN list l ON l.account = m.account WHERE m.account = $1 AND m.member = $2");
    sql_bind_int(st, 1, submitter);
    sql_bind_int(st, 2, list->account);
    *yes = sql_row(st);
    return sql_result(st);
}

struct error list_may_post(struct sql *db, const struct list *list, struct slice sender, int64_t submitter, struct arena *a)
{
    bool yes = false;
    if (sender.n == 0)
        return error_make(ERROR_DENIED, "reports and bounces are not taken for a list");
    if (list->posting == LIST_ANYONE)
        return OK;
    TRY(is_owner(db, list, sender, submitter, a, &yes));
    if (!yes && submitter)
        TRY(is_above(db, list, submitter, &yes));
    if (yes)
        return OK;
    if (list->posting == LIST_OWNER_ONLY)
        return error_make(ERROR_DENIED, "only its owner may post to this list");
    if (submitter)
        TRY(is_inside(db, list->account, submitter, SLICE(""), &yes));
    if (!yes)
        TRY(list_has_member(db, list->account, sender, a, &yes));
    return yes ? OK : error_make(ERROR_DENIED, "only members may post to this list");
}
