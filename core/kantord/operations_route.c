/* core/kantord/operations_route.c -- where mail for other domains goes, when not as the DNS says */
#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "mail/relay/relay.h"
#include "mail/relay/transport.h"

enum { PORT_MAX = 65535, CREDENTIAL_MAX = 256 };

/* "kantor.example", "*.kantor.example", "*": as it is kept. */
static struct error read_pattern(struct operation_call *k, struct slice text, struct slice *out)
{
    struct address x;
    *out = text;
    if (slice_eq(text, SLICE("*")))
        return OK;
    bool below = slice_starts(text, SLICE("*."));
    char *probe = arena_printf(k->arena, "x@%.*s", SLICE_ARG(slice_first(slice_after(text, below ? 2 : 0), 300)));
    struct error e = probe ? address_parse(slice_of(probe), k->arena, &x) : error_make(ERROR_MEMORY, "no memory for a route");
    if (e.code == ERROR_INVALID)
        return error_make(ERROR_INVALID, arena_printf(k->arena, "\"%.*s\" is no domain; write kantor.example, *.kantor.example or *", SLICE_ARG(slice_first(text, 100))));
    TRY(e);
    *out = below ? slice_of(arena_printf(k->arena, "*.%.*s", SLICE_ARG(x.domain))) : x.domain;
    return out->p ? OK : error_make(ERROR_MEMORY, "no memory for a route");
}

static struct error read_host(struct operation_call *k, struct slice text, struct slice *out)
{
    struct address x;
    *out = text.p ? text : SLICE("");
    if (out->n == 0)
        return OK;
    char *probe = arena_printf(k->arena, "x@%.*s", SLICE_ARG(slice_first(text, 300)));
    struct error e = probe ? address_parse(slice_of(probe), k->arena, &x) : error_make(ERROR_MEMORY, "no memory for a route");
    if (e.code == ERROR_INVALID)
        return error_make(ERROR_INVALID, "--host takes a name, or an address as [192.0.2.1] or [IPv6:2001:db8::1]; the port is --port");
    *out = x.domain;
    return e;
}

static struct error read_tls(struct slice word, enum transport_tls *out)
{
    *out = TRANSPORT_TLS_DEFAULT;
    if (!word.p)
        return OK;
    for (*out = TRANSPORT_TLS_NONE; *out <= TRANSPORT_TLS_DEFAULT; ++*out)
        if (slice_eq(word, slice_of(transport_tls_words[*out])))
            return OK;
    return error_make(ERROR_INVALID, "--tls takes none, may, encrypt, dane or verify");
}

static struct error read_route(struct operation_call *k, struct transport *t)
{
    struct slice port = operation_option(k, "port"), user = operation_option(k, "user"), password = operation_option(k, "password");
    uint64_t n = 0;
    TRY(read_pattern(k, k->words[2], &t->domain));
    TRY(read_host(k, operation_option(k, "host"), &t->host));
    TRY(read_tls(operation_option(k, "tls"), &t->tls));
    if (port.p && (!slice_number(port, PORT_MAX, &n) || n == 0))
        return error_make(ERROR_INVALID, "--port takes a number from 1 to 65535");
    t->port = (unsigned)n;
    t->user = user.p ? user : SLICE("");
    t->password = user.p && password.p ? password : user.p && k->secret.p ? k->secret : SLICE("");
    if (user.p && t->password.n == 0)
        return error_make(ERROR_INVALID, "a --user needs a password: on a terminal it is asked for, otherwise give it with --password-stdin");
    return t->user.n > CREDENTIAL_MAX || t->password.n > CREDENTIAL_MAX ? error_make(ERROR_INVALID, "user and password have at most 256 bytes") : OK;
}

static struct error set(struct sql *db, void *arg)
{
    return transport_set(db, arg);
}

struct error run_route_set(struct operation_call *k)
{
    struct transport t;
    TRY(read_route(k, &t));
    TRY(store_change(k->server->store, set, &t));
    relay_routes_changed(k->server->relay);
    report_say(&k->report, "mail for %.*s goes %s%.*s", SLICE_ARG(t.domain), t.host.n ? "to " : "as the DNS says", SLICE_ARG(t.host));
    return OK;
}

static struct error delete(struct sql *db, void *arg)
{
    return transport_delete(db, *(const struct slice *)arg);
}

struct error run_route_delete(struct operation_call *k)
{
    struct slice domain;
    TRY(read_pattern(k, k->words[2], &domain));
    TRY(store_change(k->server->store, delete, &domain));
    relay_routes_changed(k->server->relay);
    report_say(&k->report, "the route of %.*s is gone", SLICE_ARG(domain));
    return OK;
}

struct error run_route_list(struct operation_call *k)
{
    struct transport *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    TRY(transport_list(db, k->arena, &all, &n));
    report_list(&k->report, "domain host port tls user");
    for (size_t i = 0; i < n; i++) { /* the password is shown to nobody */
        report_text(&k->report, all[i].domain);
        report_text(&k->report, all[i].host);
        report_number(&k->report, all[i].port);
        report_word(&k->report, transport_tls_words[all[i].tls]);
        report_text(&k->report, all[i].user);
    }
    return OK;
}
