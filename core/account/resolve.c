/* core/account/resolve.c -- from an address to mailboxes, and whose address may be sent with */
#include <stdio.h>

#include "core/account/account.h"
#include "core/account/internal.h"
#include "core/account/list.h"
#include "core/cleanup.h"
#include "core/store/grant.h"

enum { DEPTH_MAX = 10, RESULT_MAX = 10000, GROUPS_MAX = 1000 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for recipients")

struct follow {
    struct slice address;
    int depth; /* forwards before it */
};

struct resolving {
    struct sql *db;
    struct arena *arena;
    struct resolved *out;
    size_t room_accounts, room_foreign, room_lists;
    int64_t *groups; /* that were unfolded: a cycle is cut */
    size_t n_groups;
    struct follow *local; /* targets of forwards and foreign members that turned out to be ours: resolved one after the other */
    size_t n_local, room_local;
    int depth;            /* of the one that is being followed */
    struct resolve_watch watch;
    bool came_back;
};

static char separators[16] = "+"; /* set once, before threads are */

void address_set_separators(const char *text)
{
    (void)snprintf(separators, sizeof separators, "%s", text);
}

/* The length of the local part before its detail; all of it when it has none. */
static size_t detail_begins(struct slice local)
{
    for (size_t i = 1; i < local.n; i++)
        if (local.p[i] != '\0' && strchr(separators, local.p[i]))
            return i;
    return local.n;
}

static struct error grow(struct resolving *r, void **all, size_t n, size_t *room, size_t size)
{
    if (n >= RESULT_MAX) /* not ERROR_LIMIT: it is this one recipient's fault, the others of the mail must not suffer */
        return error_make(ERROR_DENIED, "the group has too many members");
    if (n < *room)
        return OK;
    size_t wanted = *room ? *room * 2 : 8;
    void *grown = arena_grow(r->arena, *all, n * size, wanted * size);
    if (!grown)
        return NO_MEMORY;
    *all = grown;
    *room = wanted;
    return OK;
}

static struct error add_account(struct resolving *r, int64_t id)
{
    for (size_t i = 0; i < r->out->n_accounts; i++)
        if (r->out->accounts[i] == id)
            return OK;
    TRY(grow(r, (void **)&r->out->accounts, r->out->n_accounts, &r->room_accounts, sizeof(int64_t)));
    r->out->accounts[r->out->n_accounts++] = id;
    return OK;
}

/* Mail for ourselves never goes to the queue, also where an admin wrote one of our addresses as if it were foreign. */
static struct error add_local(struct resolving *r, struct slice address)
{
    for (size_t i = 0; i < r->n_local; i++)
        if (slice_eq(r->local[i].address, address))
            return OK;
    if (r->n_local >= GROUPS_MAX || r->depth >= DEPTH_MAX) /* attacks.md SO-09 */
        return error_make(ERROR_LOOP, "too many forwards follow each other");
    TRY(grow(r, (void **)&r->local, r->n_local, &r->room_local, sizeof(struct follow)));
    r->local[r->n_local++] = (struct follow){address, r->depth + 1};
    return OK;
}

static struct error add_foreign(struct resolving *r, struct slice address)
{
    struct address x;
    struct domain domain;
    if (!address.p)
        return NO_MEMORY;
    if (address_parse(address, r->arena, &x).code != ERROR_NONE)
        return OK; /* not an address: nobody could be written to */
    struct error e = domain_find(r->db, x.domain, r->arena, &domain);
    if (e.code == ERROR_NONE)
        return add_local(r, address);
    if (e.code != ERROR_NOT_FOUND)
        return e;
    for (size_t i = 0; i < r->out->n_foreign; i++)
        if (slice_eq(r->out->foreign[i], address))
            return OK;
    TRY(grow(r, (void **)&r->out->foreign, r->out->n_foreign, &r->room_foreign, sizeof(struct slice)));
    r->out->foreign[r->out->n_foreign++] = address;
    return OK;
}

static struct error kind_of(struct sql *db, int64_t id, int64_t *kind, int64_t *state)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT kind, state FROM account WHERE id = $1");
    sql_bind_int(st, 1, id);
    *kind = 0;
    *state = ACCOUNT_DELETED;
    if (sql_row(st)) {
        *kind = sql_int(st, 0);
        *state = sql_int(st, 1);
    }
    return sql_result(st);
}

/* Groups and forwarding accounts are passed through once. */
static bool was_here(const struct resolving *r, int64_t id)
{
    size_t i = 0;
    while (i < r->n_groups && r->groups[i] != id)
        i++;
    return i < r->n_groups;
}

static struct error note_here(struct resolving *r, int64_t id)
{
    if (!r->groups && !(r->groups = arena_alloc(r->arena, GROUPS_MAX * sizeof *r->groups)))
        return NO_MEMORY;
    if (r->n_groups >= GROUPS_MAX)
        return error_make(ERROR_LOOP, "too many groups and forwards follow each other");
    r->groups[r->n_groups++] = id;
    return OK;
}

/* His mailbox, his forwards, or both. */
static struct error add_person(struct resolving *r, int64_t id)
{
    struct slice *targets;
    enum forward_copy copy;
    size_t n;
    r->came_back |= id == r->watch.account;
    TRY(forward_list(r->db, id, r->arena, &targets, &n, &copy));
    if (n == 0 || copy == FORWARD_KEEP_COPY)
        TRY(add_account(r, id));
    if (n == 0 || was_here(r, id))
        return OK;
    TRY(note_here(r, id));
    for (size_t i = 0; i < n; i++)
        TRY(add_foreign(r, targets[i]));
    return OK;
}

static struct error add_list(struct resolving *r, int64_t id, enum list_role role, struct slice token)
{
    for (size_t i = 0; i < r->out->n_lists; i++)
        if (r->out->lists[i].account == id && r->out->lists[i].role == role)
            return OK;
    TRY(grow(r, (void **)&r->out->lists, r->out->n_lists, &r->room_lists, sizeof *r->out->lists));
    r->out->lists[r->out->n_lists++] = (struct resolved_list){id, role, token};
    return OK;
}

/* A list takes the mail itself; its members get the list's own. */
static struct error add_if_list(struct resolving *r, int64_t id, bool *is_list)
{
    struct list list;
    struct error e = list_get(r->db, id, r->arena, &list);
    *is_list = e.code == ERROR_NONE;
    return *is_list ? add_list(r, id, LIST_POST, SLICE("")) : e.code == ERROR_NOT_FOUND ? OK : e;
}

/* team-owner, team-leave, team-bounces-SECRET where no address has that name. */
static struct error look_up_service(struct resolving *r, int64_t domain, struct slice local, int *found)
{
    struct list list;
    struct account account;
    struct address own;
    enum list_role role;
    struct slice token = SLICE("");
    TRY(list_service(r->db, domain, local, r->arena, &list, &role, &token));
    if (role == LIST_NONE)
        return OK;
    *found = 1;
    if (role != LIST_OWNER)
        return add_list(r, list.account, role, token);
    if (list.owner.n)
        return add_foreign(r, list.owner);
    TRY(account_get(r->db, list.account, r->arena, &account));
    TRY(address_parse(account.name, r->arena, &own));
    char *postmaster = arena_printf(r->arena, "postmaster@%.*s", SLICE_ARG(own.domain));
    return postmaster ? add_local(r, slice_of(postmaster)) : NO_MEMORY;
}

/* Groups are unfolded level by level: one list is read while the next is gathered. */
static struct error unfold(struct resolving *r, int64_t first)
{
    int64_t *level = arena_alloc(r->arena, sizeof *level);
    size_t n = 1;
    if (!level)
        return NO_MEMORY;
    level[0] = first;
    for (int depth = 0; n && depth <= DEPTH_MAX; depth++) {
        int64_t *next = NULL;
        size_t n_next = 0, room = 0;
        for (size_t i = 0; i < n; i++) {
            int64_t kind, state;
            TRY(kind_of(r->db, level[i], &kind, &state));
            if (state != ACCOUNT_ACTIVE)
                continue;
            if (kind != ACCOUNT_GROUP) {
                TRY(add_person(r, level[i]));
                continue;
            }
            struct member_row *members;
            size_t n_members;
            bool is_list;
            TRY(add_if_list(r, level[i], &is_list));
            if (is_list || was_here(r, level[i]))
                continue;
            if (depth == DEPTH_MAX || r->n_groups >= GROUPS_MAX) /* leaving members out in silence would lose their mail */
                return error_make(ERROR_DENIED, "the groups are nested too deeply");
            TRY(note_here(r, level[i]));
            TRY(member_list(r->db, level[i], r->arena, &members, &n_members));
            for (size_t m = 0; m < n_members; m++) {
                if (!members[m].member) {
                    TRY(add_foreign(r, members[m].foreign));
                    continue;
                }
                TRY(grow(r, (void **)&next, n_next, &room, sizeof *next));
                next[n_next++] = members[m].member;
            }
        }
        level = next;
        n = n_next;
    }
    return OK;
}

/* Rows of one local part; *found how many. */
static struct error look_up_one(struct resolving *r, int64_t domain, struct slice local, int *found)
{
    int64_t accounts[64];
    int n = 0;
    *found = 0;
    r->came_back |= domain == r->watch.domain && slice_eq(local, r->watch.local);
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(r->db, "SELECT account, kind, target FROM address WHERE domain = $1 AND local = $2");
        sql_bind_int(st, 1, domain);
        sql_bind_text(st, 2, local);
        while (sql_row(st)) {
            ++*found;
            if (sql_int(st, 1) == ADDRESS_FORWARD)
                TRY(add_foreign(r, arena_copy(r->arena, sql_text(st, 2))));
            else if (n < 64)
                accounts[n++] = sql_int(st, 0);
        }
        TRY(sql_result(st));
    }
    for (int i = 0; i < n; i++) {
        int64_t kind, state;
        TRY(kind_of(r->db, accounts[i], &kind, &state));
        if (state == ACCOUNT_SUSPENDED)
            return error_make(ERROR_DENIED, "the account is suspended");
        if (state == ACCOUNT_REMOVED) { /* its address is reserved, but nobody is there */
            --*found;
            continue;
        }
        TRY(unfold(r, accounts[i]));
    }
    return OK;
}

/* The address itself, without its detail, the catch-all. */
static struct error look_up(struct resolving *r, int64_t domain, struct slice local, struct slice *detail, int *found)
{
    *detail = SLICE("");
    TRY(look_up_one(r, domain, local, found));
    size_t plus = detail_begins(local);
    if (!*found && plus < local.n) {
        *detail = slice_after(local, plus + 1);
        TRY(look_up_one(r, domain, slice_first(local, plus), found));
    }
    if (!*found)
        TRY(look_up_service(r, domain, local, found));
    return *found ? OK : look_up_one(r, domain, SLICE("*"), found);
}

/* RFC 5321 4.5.1: it must exist; the first account of the domain answers until an admin names another. */
static struct error add_postmaster(struct resolving *r, int64_t domain, int *found)
{
    int64_t id = 0;
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(r->db, "SELECT id FROM account WHERE kind = 1 AND state = 0 ORDER BY domain <> $1, id LIMIT 1");
        sql_bind_int(st, 1, domain);
        id = sql_row(st) ? sql_int(st, 0) : 0;
        TRY(sql_result(st));
    }
    *found = id != 0;
    return id ? add_person(r, id) : OK;
}

static struct error follow_local(struct resolving *r)
{
    for (size_t i = 0; i < r->n_local; i++) {
        struct address x;
        struct domain domain;
        struct slice detail;
        int found;
        r->depth = r->local[i].depth;
        TRY(address_parse(r->local[i].address, r->arena, &x));
        TRY(domain_find(r->db, x.domain, r->arena, &domain));
        found = 0;
        struct error e = domain.state == DOMAIN_ACTIVE ? look_up(r, domain.id, x.local, &detail, &found) : OK;
        if (e.code == ERROR_NONE && !found && slice_eq(x.local, SLICE("postmaster")))
            e = add_postmaster(r, domain.id, &found);
        if (e.code != ERROR_NONE && e.code != ERROR_DENIED)
            return e;
    }
    return OK;
}

static struct error find_domain(struct sql *db, const struct address *address, struct arena *a, struct domain *domain)
{
    if (address->domain.n)
        return domain_find(db, address->domain, a, domain);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, state FROM domain ORDER BY id LIMIT 1"); /* <postmaster> (RFC 5321 4.5.1) */
    if (!sql_row(st))
        return error_make(ERROR_NOT_FOUND, "no domain is served here");
    *domain = (struct domain){.id = sql_int(st, 0), .state = (enum domain_state)sql_int(st, 1)};
    return OK;
}

struct error address_resolve(struct sql *db, const struct address *address, struct arena *a, struct resolved *out)
{
    struct resolving r = {.db = db, .arena = a, .out = out};
    struct domain domain;
    int found;
    *out = (struct resolved){.detail = SLICE("")};
    struct error e = find_domain(db, address, a, &domain);
    if (e.code == ERROR_NOT_FOUND)
        return error_make(ERROR_UNSUPPORTED, "the domain is not served here");
    TRY(e);
    if (domain.state != DOMAIN_ACTIVE)
        return error_make(ERROR_DENIED, "the domain is suspended");
    TRY(look_up(&r, domain.id, address->local, &out->detail, &found));
    if (!found && slice_eq(address->local, SLICE("postmaster")))
        TRY(add_postmaster(&r, domain.id, &found));
    TRY(follow_local(&r));
    if (!found)
        return error_make(ERROR_NOT_FOUND, "no such user here");
    return out->n_accounts || out->n_foreign || out->n_lists ? OK : error_make(ERROR_DENIED, "nobody receives mail for this address");
}

struct error resolve_comes_back(struct sql *db, const struct address *target, struct resolve_watch watch, struct arena *a, bool *back)
{
    struct resolved out = {.detail = SLICE("")};
    struct resolving r = {.db = db, .arena = a, .out = &out, .watch = watch};
    struct domain domain;
    struct slice detail;
    int found;
    *back = false;
    struct error e = domain_find(db, target->domain, a, &domain);
    if (e.code == ERROR_NOT_FOUND)
        return OK; /* elsewhere */
    TRY(e);
    e = look_up(&r, domain.id, target->local, &detail, &found);
    if (e.code == ERROR_NONE)
        e = follow_local(&r);
    *back = r.came_back;
    return e.code == ERROR_DENIED ? OK : e; /* a suspended account on the way is no circle */
}

static struct error how_to_send(struct sql *db, int64_t account, struct slice domain, struct slice local, struct sending *out)
{
    *out = (struct sending){.how = SEND_NOT};
    {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT x.account, a.kind FROM domain d JOIN domain t ON t.name = coalesce(d.data, d.name) JOIN address x ON x.domain = t.id JOIN account a ON a.id = x.account "
                                                           "WHERE d.name = $1 AND x.local = $2 AND x.local <> '*' AND x.kind < 2 AND a.state < 2");
        sql_bind_text(st, 1, domain);
        sql_bind_text(st, 2, local);
        if (sql_row(st))
            *out = (struct sending){SEND_NOT, sql_int(st, 0), (enum account_kind)sql_int(st, 1)};
        TRY(sql_result(st));
    }
    int rights = 0;
    if (out->owner && out->owner != account)
        TRY(grant_account_rights(db, out->owner, account, &rights));
    if (out->owner)
        out->how = out->owner == account ? SEND_OWN : rights & RIGHT_SEND_AS ? SEND_AS : rights & RIGHT_SEND_ON_BEHALF ? SEND_ON_BEHALF : SEND_NOT;
    return OK;
}

struct error address_sending(struct sql *db, int64_t account, const struct address *address, struct sending *out)
{
    TRY(how_to_send(db, account, address->domain, address->local, out));
    size_t plus = detail_begins(address->local);
    if (out->how == SEND_NOT && plus < address->local.n)
        TRY(how_to_send(db, account, address->domain, slice_first(address->local, plus), out));
    return out->how == SEND_NOT ? error_make(ERROR_DENIED, "you may not send with this address") : OK;
}

struct error address_owned(struct sql *db, int64_t account, const struct address *address)
{
    struct sending s;
    TRY(address_sending(db, account, address, &s));
    return s.how == SEND_ON_BEHALF ? error_make(ERROR_DENIED, "you may send on behalf of this address only: your own stands in Sender") : OK;
}
