/* core/account/account.c -- rows of domains, accounts, addresses and members */
#include "core/account/account.h"
#include "core/account/list.h"

#include "core/cleanup.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for accounts")

/* Room for one more of `size` bytes behind n. */
static struct error more(struct arena *a, void **all, size_t n, size_t size)
{
    if (n & (n - 1) || n == 1)
        return OK; /* the array doubles at 0, 2, 4, 8 … */
    *all = arena_grow(a, *all, n * size, (n ? n * 2 : 2) * size);
    return *all ? OK : NO_MEMORY;
}

/* --- domains */

static struct error domain_from(struct sql_stmt *st, struct arena *a, struct domain *out)
{
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such domain");
    }
    *out = (struct domain){sql_int(st, 0), (enum domain_state)sql_int(st, 1), arena_copy(a, sql_text(st, 2)), sql_is_null(st, 3) ? SLICE("") : arena_copy(a, sql_text(st, 3))};
    return out->name.p && out->alias_of.p ? OK : NO_MEMORY;
}

struct error domain_row(struct sql *db, struct slice name, struct arena *a, struct domain *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, state, name, data FROM domain WHERE name = $1");
    sql_bind_text(st, 1, name);
    return domain_from(st, a, out);
}

struct error domain_find(struct sql *db, struct slice name, struct arena *a, struct domain *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT t.id, t.state, t.name, t.data FROM domain d JOIN domain t ON t.name = coalesce(d.data, d.name) WHERE d.name = $1");
    sql_bind_text(st, 1, name);
    return domain_from(st, a, out);
}

struct error domain_list(struct sql *db, struct arena *a, struct domain **all, size_t *n)
{
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT id, state, name, data FROM domain ORDER BY name");
    while (sql_row(st)) {
        TRY(more(a, (void **)all, *n, sizeof **all));
        (*all)[(*n)++] = (struct domain){sql_int(st, 0), (enum domain_state)sql_int(st, 1), arena_copy(a, sql_text(st, 2)), sql_is_null(st, 3) ? SLICE("") : arena_copy(a, sql_text(st, 3))};
    }
    return sql_result(st);
}

struct error domain_add(struct sql *db, struct slice name, int64_t *id)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO domain (name, state) VALUES ($1, 0)");
    sql_bind_text(st, 1, name);
    TRY(sql_run(st));
    *id = sql_inserted(db);
    return OK;
}

struct error domain_alias_add(struct sql *db, struct slice name, struct slice target)
{
    struct arena a;
    struct domain domain;
    arena_init(&a, 4096);
    struct error e = domain_row(db, target, &a, &domain);
    int is_alias = e.code == ERROR_NONE && domain.alias_of.n;
    arena_free(&a);
    TRY(e);
    if (is_alias)
        return error_make(ERROR_INVALID, "the second domain is an alias itself; name the domain behind it");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO domain (name, state, data) VALUES ($1, 0, $2)");
    sql_bind_text(st, 1, name);
    sql_bind_text(st, 2, target);
    return sql_run(st);
}

struct error domain_remove(struct sql *db, int64_t id)
{
    SCOPED(sql_done) struct sql_stmt *used = sql_use(db, "SELECT 1 FROM account WHERE domain = $1 AND state <> 2 LIMIT 1");
    sql_bind_int(used, 1, id);
    if (sql_row(used))
        return error_make(ERROR_CONFLICT, "accounts stand in the domain; remove them first with `kantorctl account remove ADDRESS --now`");
    TRY(sql_result(used));
    SCOPED(sql_done) struct sql_stmt *aliases = sql_use(db, "SELECT 1 FROM domain WHERE data = (SELECT name FROM domain WHERE id = $1)");
    sql_bind_int(aliases, 1, id);
    if (sql_row(aliases))
        return error_make(ERROR_CONFLICT, "other domains are aliases of it; remove them first");
    TRY(sql_result(aliases));
    SCOPED(sql_done) struct sql_stmt *names = sql_use(db, "DELETE FROM address WHERE domain = $1"); /* aliases of accounts in other domains, forwards */
    sql_bind_int(names, 1, id);
    TRY(sql_run(names));
    SCOPED(sql_done) struct sql_stmt *rules = sql_use(db, "DELETE FROM rule WHERE domain = $1");
    sql_bind_int(rules, 1, id);
    TRY(sql_run(rules));
    SCOPED(sql_done) struct sql_stmt *keys = sql_use(db, "DELETE FROM domainkey WHERE domain = $1");
    sql_bind_int(keys, 1, id);
    TRY(sql_run(keys));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM domain WHERE id = $1");
    sql_bind_int(st, 1, id);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such domain");
}

/* --- accounts */

#define COLUMNS "a.id, a.domain, a.kind, a.state, a.name, a.used, a.items, a.quota, a.quota_items, a.data, a.until"

static void from_row(struct sql_stmt *st, struct arena *a, struct account *out)
{
    *out = (struct account){.id = sql_int(st, 0), .domain = sql_int(st, 1), .kind = (enum account_kind)sql_int(st, 2), .state = (enum account_state)sql_int(st, 3), .name = arena_copy(a, sql_text(st, 4)),
                            .title = sql_is_null(st, 9) ? SLICE("") : arena_copy(a, sql_text(st, 9)), .used = sql_int(st, 5), .items = sql_int(st, 6), .quota = sql_int(st, 7), .quota_items = sql_int(st, 8), .until = sql_int(st, 10)};
}

static struct error one(struct sql_stmt *st, struct arena *a, struct account *out)
{
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "no such account");
    }
    from_row(st, a, out);
    return out->name.p && out->title.p ? OK : NO_MEMORY;
}

struct error account_get(struct sql *db, int64_t id, struct arena *a, struct account *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT " COLUMNS " FROM account a WHERE a.id = $1");
    sql_bind_int(st, 1, id);
    return one(st, a, out);
}

struct error account_find(struct sql *db, struct slice address, struct arena *a, struct account *out)
{
    struct address x;
    TRY(address_parse(address, a, &x));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT " COLUMNS " FROM domain d JOIN domain t ON t.name = coalesce(d.data, d.name) JOIN address x ON x.domain = t.id JOIN account a ON a.id = x.account "
                                                       "WHERE d.name = $1 AND x.local = $2 AND x.local <> '*' AND x.kind < 2");
    sql_bind_text(st, 1, x.domain);
    sql_bind_text(st, 2, x.local);
    return one(st, a, out);
}

struct error account_list(struct sql *db, int64_t domain, struct arena *a, struct account **all, size_t *n)
{
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT " COLUMNS " FROM account a WHERE ($1 = 0 OR a.domain = $1) AND a.state <> 2 ORDER BY a.name");
    sql_bind_int(st, 1, domain);
    while (sql_row(st)) {
        TRY(more(a, (void **)all, *n, sizeof **all));
        from_row(st, a, &(*all)[(*n)++]);
    }
    return sql_result(st);
}

static struct error default_mailboxes(struct sql *db, struct actor who, int64_t account)
{
    static const struct {
        struct slice name;
        enum collection_role role;
    } boxes[] = {{{"INBOX", 5}, ROLE_INBOX}, {{"Drafts", 6}, ROLE_DRAFTS}, {{"Sent", 4}, ROLE_SENT}, {{"Trash", 5}, ROLE_TRASH}, {{"Junk", 4}, ROLE_JUNK}, {{"Archive", 7}, ROLE_ARCHIVE}};
    for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++) {
        int64_t id;
        TRY(collection_create(db, who, account, COLLECTION_MAILBOX, 0, boxes[i].name, boxes[i].role, &id));
        TRY(subscription_add(db, account, boxes[i].name));
    }
    return OK;
}

struct error account_add(struct sql *db, struct actor who, enum account_kind kind, const struct address *primary, struct slice title, int64_t *id)
{
    struct arena a;
    struct domain domain;
    if (slice_eq(primary->local, SLICE("*")))
        return error_make(ERROR_INVALID, "an account needs a name of its own; the catch-all is an alias of it");
    arena_init(&a, 64 * 1024);
    char *name = address_text(primary, &a);
    struct error e = name ? domain_find(db, primary->domain, &a, &domain) : NO_MEMORY;
    if (e.code == ERROR_NOT_FOUND)
        e = error_make(ERROR_NOT_FOUND, "the domain is not served here; add it first with `kantorctl domain add`");
    if (e.code == ERROR_NONE) {
        SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO account (kind, domain, name, data) VALUES ($1, $2, $3, $4)");
        sql_bind_int(st, 1, kind);
        sql_bind_int(st, 2, domain.id);
        sql_bind_text(st, 3, slice_of(name));
        sql_bind_text(st, 4, title);
        e = sql_run(st);
        *id = sql_inserted(db);
    }
    if (e.code == ERROR_NONE)
        e = address_add(db, primary, *id, ADDRESS_PRIMARY, SLICE(""));
    if (e.code == ERROR_NONE && kind != ACCOUNT_GROUP)
        e = default_mailboxes(db, who, *id);
    arena_free(&a);
    return e;
}

static struct error changed_one(struct sql *db, struct sql_stmt *st)
{
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such account");
}

struct error account_set_state(struct sql *db, int64_t id, enum account_state state)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE account SET state = $2 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, state);
    TRY(changed_one(db, st));
    if (state != ACCOUNT_DELETED)
        return OK;
    SCOPED(sql_done) struct sql_stmt *names = sql_use(db, "DELETE FROM address WHERE account = $1");
    sql_bind_int(names, 1, id);
    TRY(sql_run(names));
    SCOPED(sql_done) struct sql_stmt *secrets = sql_use(db, "DELETE FROM credential WHERE account = $1");
    sql_bind_int(secrets, 1, id);
    TRY(sql_run(secrets));
    SCOPED(sql_done) struct sql_stmt *groups = sql_use(db, "DELETE FROM member WHERE member = $1 OR account = $1");
    sql_bind_int(groups, 1, id);
    TRY(sql_run(groups));
    struct error list = list_unset(db, id);
    if (list.code != ERROR_NOT_FOUND)
        TRY(list);
    SCOPED(sql_done) struct sql_stmt *forwards = sql_use(db, "DELETE FROM forward WHERE account = $1");
    sql_bind_int(forwards, 1, id);
    TRY(sql_run(forwards));
    SCOPED(sql_done) struct sql_stmt *grants = sql_use(db, "DELETE FROM acl WHERE grantee = $1 OR account = $1");
    sql_bind_int(grants, 1, id);
    return sql_run(grants);
}

struct error account_set_quota(struct sql *db, int64_t id, int64_t bytes, int64_t items)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE account SET quota = $2, quota_items = $3 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, bytes);
    sql_bind_int(st, 3, items);
    return changed_one(db, st);
}

struct error account_set_title(struct sql *db, int64_t id, struct slice title)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "UPDATE account SET data = $2 WHERE id = $1");
    sql_bind_int(st, 1, id);
    sql_bind_text(st, 2, title);
    return changed_one(db, st);
}

/* --- addresses */

struct error address_add(struct sql *db, const struct address *address, int64_t account, enum address_kind kind, struct slice target)
{
    struct arena a;
    struct domain domain;
    arena_init(&a, 4096);
    struct error e = domain_find(db, address->domain, &a, &domain);
    arena_free(&a);
    if (e.code != ERROR_NONE)
        return e;
    SCOPED(sql_done) struct sql_stmt *taken = sql_use(db, "SELECT 1 FROM address WHERE domain = $1 AND local = $2 AND kind < 2");
    sql_bind_int(taken, 1, domain.id);
    sql_bind_text(taken, 2, address->local);
    if (kind != ADDRESS_FORWARD && sql_row(taken))
        return error_make(ERROR_EXISTS, "the address is in use (also by an account that was removed, until its date: `kantorctl account list --removed`)");
    TRY(sql_result(taken));
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO address (domain, local, account, kind, target) VALUES ($1, $2, $3, $4, $5)");
    sql_bind_int(st, 1, domain.id);
    sql_bind_text(st, 2, address->local);
    sql_bind_int(st, 3, account);
    sql_bind_int(st, 4, kind);
    sql_bind_text(st, 5, target);
    return sql_run(st);
}

struct error address_remove(struct sql *db, const struct address *address, int64_t account)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM address WHERE domain IN (SELECT t.id FROM domain d JOIN domain t ON t.name = coalesce(d.data, d.name) WHERE d.name = $1) AND local = $2 "
                                                       "AND ($3 = -1 OR account = $3 OR ($3 = 0 AND kind = 2)) AND kind <> 0");
    sql_bind_text(st, 1, address->domain);
    sql_bind_text(st, 2, address->local);
    sql_bind_int(st, 3, account);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such alias; `kantorctl alias list` shows all (an account's own address goes with the account)");
}

struct error address_list_aliases(struct sql *db, struct arena *a, struct address_row **all, size_t *n)
{
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT x.local, d.name, x.kind, coalesce(a.name, x.target) FROM address x JOIN domain d ON d.id = x.domain LEFT JOIN account a ON a.id = x.account "
                                                       "WHERE x.kind <> 0 ORDER BY d.name, x.local");
    while (sql_row(st)) {
        struct address x = {sql_text(st, 0), sql_text(st, 1)};
        TRY(more(a, (void **)all, *n, sizeof **all));
        char *text = address_text(&x, a);
        if (!text)
            return NO_MEMORY;
        (*all)[(*n)++] = (struct address_row){slice_of(text), (enum address_kind)sql_int(st, 2), arena_copy(a, sql_text(st, 3))};
    }
    return sql_result(st);
}

struct error domain_facts(struct sql *db, int64_t domain, struct arena *a, struct slice *catch_all, int64_t *accounts)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT coalesce(a.name, x.target) FROM address x LEFT JOIN account a ON a.id = x.account WHERE x.domain = $1 AND x.local = '*'");
    sql_bind_int(st, 1, domain);
    *catch_all = sql_row(st) ? arena_copy(a, sql_text(st, 0)) : slice_make(NULL, 0);
    TRY(sql_result(st));
    SCOPED(sql_done) struct sql_stmt *count = sql_use(db, "SELECT count(*) FROM account WHERE domain = $1 AND state < 2");
    sql_bind_int(count, 1, domain);
    *accounts = sql_row(count) ? sql_int(count, 0) : 0;
    return sql_result(count);
}

struct error address_list(struct sql *db, int64_t account, struct arena *a, struct address_row **all, size_t *n)
{
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT x.local, d.name, x.kind, x.target FROM address x JOIN domain d ON d.id = x.domain WHERE x.account = $1 ORDER BY x.kind, d.name, x.local");
    sql_bind_int(st, 1, account);
    while (sql_row(st)) {
        struct address x = {sql_text(st, 0), sql_text(st, 1)};
        TRY(more(a, (void **)all, *n, sizeof **all));
        char *text = address_text(&x, a);
        if (!text)
            return NO_MEMORY;
        (*all)[(*n)++] = (struct address_row){slice_of(text), (enum address_kind)sql_int(st, 2), arena_copy(a, sql_text(st, 3))};
    }
    return sql_result(st);
}

/* --- members */

/* Is `group` a member of `member`, at whatever depth? Then the membership would close a circle. */
static struct error leads_to(struct sql *db, int64_t member, int64_t group, int *yes)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "WITH RECURSIVE inside (id) AS (SELECT member FROM member WHERE account = $1 UNION SELECT m.member FROM member m JOIN inside i ON m.account = i.id) "
                                                       "SELECT 1 FROM inside WHERE id = $2 LIMIT 1");
    sql_bind_int(st, 1, member);
    sql_bind_int(st, 2, group);
    *yes = sql_row(st);
    return sql_result(st);
}

struct error member_add(struct sql *db, int64_t group, int64_t member, struct slice foreign)
{
    int circle = 0;
    SCOPED(sql_done) struct sql_stmt *there = sql_use(db, "SELECT count(*) FROM account WHERE state < 2 AND ((id = $1 AND kind = 2) OR (id = $2 AND id <> $1))");
    sql_bind_int(there, 1, group);
    sql_bind_int(there, 2, member);
    int64_t found = sql_row(there) ? sql_int(there, 0) : 0;
    TRY(sql_result(there));
    if (found != (member ? 2 : 1))
        return error_make(ERROR_NOT_FOUND, "no such group or member");
    if (!member && foreign.n == 0)
        return error_make(ERROR_INVALID, "a member is an account or an address");
    if (member)
        TRY(leads_to(db, member, group, &circle));
    if (circle)
        return error_make(ERROR_CONFLICT, "the group would contain itself: it is a member of that group already, directly or through others");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO member (account, member, address, role) VALUES ($1, $2, $3, 0) ON CONFLICT (account, member, address) DO NOTHING");
    sql_bind_int(st, 1, group);
    sql_bind_int(st, 2, member);
    sql_bind_text(st, 3, foreign);
    return sql_run(st);
}

struct error member_remove(struct sql *db, int64_t group, int64_t member, struct slice foreign)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM member WHERE account = $1 AND member = $2 AND address = $3");
    sql_bind_int(st, 1, group);
    sql_bind_int(st, 2, member);
    sql_bind_text(st, 3, foreign);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "no such member");
}

struct error member_list(struct sql *db, int64_t group, struct arena *a, struct member_row **all, size_t *n)
{
    *all = NULL;
    *n = 0;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT member, address FROM member WHERE account = $1 ORDER BY member, address");
    sql_bind_int(st, 1, group);
    while (sql_row(st)) {
        TRY(more(a, (void **)all, *n, sizeof **all));
        (*all)[(*n)++] = (struct member_row){sql_int(st, 0), arena_copy(a, sql_text(st, 1))};
    }
    return sql_result(st);
}
