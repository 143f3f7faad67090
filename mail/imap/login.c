/* mail/imap/login.c -- LOGIN and AUTHENTICATE (RFC 9051 6.2.2, 6.2.3, RFC 4959) */
#include <stdio.h>

#include "mail/imap/internal.h"
#include "mail/mime/decode.h"

int imap_login_allowed(const struct connection *c)
{
    const struct imap_session *s = c->session;
    int policy = s->server->config->auth_cleartext;
    return c->tls || policy == CLEARTEXT_ALWAYS || (policy == CLEARTEXT_LOOPBACK && c->loopback);
}

struct sasl_context imap_sasl_context(struct connection *c, struct arena *a)
{
    struct sasl_context x = {.scope = SCOPE_IMAP, .peer = slice_of(c->peer), .tls = c->tls, .binding_exporter = SLICE(""), .binding_unique = SLICE(""), .binding_endpoint = SLICE("")};
    if (c->tls)
        connection_bindings(c, a, &x.binding_exporter, &x.binding_unique, &x.binding_endpoint);
    return x;
}

static struct error logged_in(struct connection *c, struct imap_session *s, const struct login *login)
{
    struct buffer b = {0};
    struct error e = connection_login(c, login->account, login->name);
    if (e.code != ERROR_NONE)
        return e; /* clients.md I33: [LIMIT], never AUTHENTICATIONFAILED */
    s->account = login->account;
    (void)snprintf(s->login, sizeof s->login, "%.*s", SLICE_ARG(slice_first(login->name, 255)));
    s->state = STATE_LOGGED_IN;
    s->bad = 0;
    c->idle_ms = s->server->config->idle_imap;
    buffer_add(&b, SLICE("[CAPABILITY "));
    imap_capabilities(c, &b);
    buffer_add(&b, SLICE("] "));
    s->ok_code = arena_copy(&c->arena, buffer_slice(&b));
    buffer_free(&b);
    s->ok = "welcome";
    return OK;
}

static struct error refused(struct connection *c, struct imap_session *s, struct slice name, struct error e)
{
    if (e.code == ERROR_AUTH)
        c->delay_ms = login_delay_ms(s->server->login, name, slice_of(c->peer));
    return e;
}

struct error imap_login_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct slice name, password;
    struct login login;
    TRY(args_space(a));
    TRY(args_astring(a, &name));
    TRY(args_space(a));
    TRY(args_astring(a, &password));
    TRY(args_end(a));
    if (!imap_login_allowed(c))
        return imap_no("[PRIVACYREQUIRED] encryption is required: say STARTTLS first, or use port 993");
    struct error e = login_password(s->server->login, name, password, SCOPE_IMAP, slice_of(c->peer), &c->arena, &login);
    return e.code == ERROR_NONE ? logged_in(c, s, &login) : refused(c, s, name, e);
}

static struct error finish(struct connection *c, struct imap_session *s, struct error e)
{
    struct sasl *x = s->sasl;
    s->sasl = NULL;
    if (e.code == ERROR_NONE)
        e = logged_in(c, s, sasl_result(x));
    else if (e.code == ERROR_INVALID)
        e = imap_bad("cancelled, or not base64");
    else
        e = refused(c, s, sasl_name(x), e);
    arena_free(&s->sasl_arena);
    return e;
}

static struct error step(struct connection *c, struct imap_session *s, struct slice input)
{
    struct slice challenge;
    enum sasl_state state;
    struct error e = sasl_step(s->sasl, input, &challenge, &state);
    if (e.code != ERROR_NONE || (state == SASL_DONE && !challenge.p))
        return finish(c, s, e);
    s->sasl_last = state == SASL_DONE; /* SCRAM's last word; the client answers with an empty line */
    buffer_add(&c->out, SLICE("+ "));
    base64_encode(challenge, &c->out);
    buffer_add(&c->out, SLICE("\r\n"));
    return OK;
}

struct error imap_authenticate_line(struct connection *c, struct imap_session *s, struct slice line)
{
    struct buffer bytes = {0};
    if (s->sasl_last)
        return finish(c, s, line.n == 0 ? OK : error_make(ERROR_INVALID, "cancelled"));
    if (slice_eq(line, SLICE("*")) || !base64_decode(line, &bytes)) {
        buffer_free(&bytes);
        return finish(c, s, error_make(ERROR_INVALID, "cancelled"));
    }
    struct slice input = arena_copy(&s->sasl_arena, buffer_slice(&bytes));
    buffer_free(&bytes);
    return step(c, s, input.p ? input : SLICE(""));
}

struct error imap_authenticate_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct slice mechanism, initial = slice_make(NULL, 0);
    TRY(args_space(a));
    TRY(args_atom(a, NULL, &mechanism));
    if (args_take(a, ' ')) {
        initial = a->rest;
        a->rest = slice_after(a->rest, a->rest.n);
    }
    if (!imap_login_allowed(c))
        return imap_no("[PRIVACYREQUIRED] encryption is required: say STARTTLS first, or use port 993");
    struct sasl_context context = imap_sasl_context(c, &s->sasl_arena);
    s->sasl_last = 0;
    s->sasl = sasl_new(s->server->login, mechanism, &context, &s->sasl_arena);
    if (!s->sasl)
        return imap_no("that mechanism is not offered");
    if (!initial.p)
        return step(c, s, slice_make(NULL, 0));
    return slice_eq(initial, SLICE("=")) ? step(c, s, SLICE("")) : imap_authenticate_line(c, s, initial);
}
