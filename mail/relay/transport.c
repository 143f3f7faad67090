/* mail/relay/transport.c -- rows of transport */
#include "mail/relay/transport.h"

#include "core/cleanup.h"

const char *const transport_tls_words[] = {"none", "may", "encrypt", "dane", "verify", "default"};

static enum transport_tls read_tls(struct slice word)
{
    enum transport_tls tls = TRANSPORT_TLS_NONE;
    while (tls < TRANSPORT_TLS_DEFAULT && !slice_eq(word, slice_of(transport_tls_words[tls])))
        tls++;
    return tls;
}

static struct error read_row(struct sql_stmt *st, struct arena *a, struct transport *out)
{
    *out = (struct transport){.domain = arena_copy(a, sql_text(st, 0)), .host = arena_copy(a, sql_text(st, 1)), .port = (unsigned)sql_int(st, 2),
                         .tls = read_tls(sql_text(st, 3)), .user = arena_copy(a, sql_text(st, 4)), .password = arena_copy(a, sql_text(st, 5))};
    bool whole = out->domain.p && out->host.p && out->user.p && out->password.p;
    return whole ? OK : error_make(ERROR_MEMORY, "no memory for a route");
}

static struct error find_one(struct sql *db, struct slice domain, struct arena *a, struct transport *out, bool *found)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT domain, host, port, tls, login, secret FROM transport WHERE domain = $1");
    sql_bind_text(st, 1, domain);
    *found = sql_row(st);
    if (*found)
        TRY(read_row(st, a, out));
    return sql_result(st);
}

struct error transport_find(struct sql *db, struct slice destination, struct arena *a, struct transport *out, bool *found)
{
    TRY(find_one(db, destination, a, out, found));
    struct slice rest = destination;
    bool literal = rest.n && rest.p[0] == '[';
    while (!*found && !literal && slice_find(rest, '.') < rest.n) { /* at most 127 labels: queue_enter takes no longer domain */
        rest = slice_after(rest, slice_find(rest, '.') + 1);
        const char *below = arena_printf(a, "*.%.*s", SLICE_ARG(rest));
        if (!below)
            return error_make(ERROR_MEMORY, "no memory for a route");
        TRY(find_one(db, slice_of(below), a, out, found));
    }
    return *found ? OK : find_one(db, SLICE("*"), a, out, found);
}

struct error transport_list(struct sql *db, struct arena *a, struct transport **all, size_t *n)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT domain, host, port, tls, login, secret FROM transport ORDER BY domain");
    size_t room = 0;
    *all = NULL;
    *n = 0;
    while (sql_row(st)) {
        if (*n == room) {
            *all = arena_grow(a, *all, room * sizeof **all, (room ? 2 * room : 16) * sizeof **all);
            room = room ? 2 * room : 16;
            if (!*all)
                return error_make(ERROR_MEMORY, "no memory for routes");
        }
        TRY(read_row(st, a, &(*all)[(*n)++]));
    }
    return sql_result(st);
}

struct error transport_set(struct sql *db, const struct transport *r)
{
    if (r->user.n && r->host.n == 0)
        return error_make(ERROR_INVALID, "credentials belong to a host of your choice: name it with --host");
    if (r->user.n && r->tls != TRANSPORT_TLS_VERIFY && r->tls != TRANSPORT_TLS_DANE && r->tls != TRANSPORT_TLS_DEFAULT)
        return error_make(ERROR_INVALID, "a password is sent only to a server that proved its name: leave --tls out, or write --tls verify or --tls dane");
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO transport (domain, host, port, tls, login, secret) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (domain) DO UPDATE "
                                                       "SET host = excluded.host, port = excluded.port, tls = excluded.tls, login = excluded.login, secret = excluded.secret");
    sql_bind_text(st, 1, r->domain);
    sql_bind_text(st, 2, r->host);
    sql_bind_int(st, 3, r->port);
    sql_bind_text(st, 4, slice_of(transport_tls_words[r->tls]));
    sql_bind_text(st, 5, r->user);
    sql_bind_text(st, 6, r->password);
    return sql_run(st);
}

struct error transport_delete(struct sql *db, struct slice domain)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "DELETE FROM transport WHERE domain = $1");
    sql_bind_text(st, 1, domain);
    TRY(sql_run(st));
    return sql_changed(db) ? OK : error_make(ERROR_NOT_FOUND, "there is no route for that domain; `kantorctl route list` shows all");
}
