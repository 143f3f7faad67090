/* mail/managesieve/login.c -- capabilities, STARTTLS, AUTHENTICATE (RFC 5804 1.7, 2.1, 2.2) */
#include "core/log.h"
#include "mail/managesieve/internal.h"
#include "mail/mime/decode.h"
#include "mail/sieve/sieve.h"

static bool login_allowed(const struct connection *c)
{
    const struct ms_session *s = c->session;
    int policy = s->server->config->auth_cleartext;
    return c->tls || policy == CLEARTEXT_ALWAYS || (policy == CLEARTEXT_LOOPBACK && c->loopback);
}

static struct sasl_context context_of(struct connection *c, struct arena *a)
{
    struct sasl_context x = {.scope = SCOPE_IMAP, .peer = slice_of(c->peer), .tls = c->tls, .binding_exporter = SLICE(""), .binding_unique = SLICE(""), .binding_endpoint = SLICE("")};
    if (c->tls)
        connection_bindings(c, a, &x.binding_exporter, &x.binding_unique, &x.binding_endpoint);
    return x;
}

void ms_capabilities(struct connection *c)
{
    const struct ms_session *s = c->session;
    struct sasl_context context = context_of(c, &c->arena);
    struct buffer names = {0}, extensions = {0};
    if (login_allowed(c))
        sasl_names(&context, SLICE(" "), &names);
    sieve_extensions(&extensions);
    struct slice mechanisms = slice_trim(buffer_slice(&names));
    buffer_printf(&c->out, "\"IMPLEMENTATION\" \"Kantor\"\r\n\"SASL\" \"%.*s\"\r\n\"SIEVE\" \"%.*s\"\r\n", SLICE_ARG(mechanisms), SLICE_ARG(buffer_slice(&extensions)));
    if (!c->tls && c->listener->service->tls == TLS_STARTTLS)
        buffer_add(&c->out, SLICE("\"STARTTLS\"\r\n"));
    buffer_printf(&c->out, "\"MAXREDIRECTS\" \"%d\"\r\n\"UNAUTHENTICATE\"\r\n\"VERSION\" \"1.0\"\r\n", SIEVE_REDIRECTS_MAX);
    if (s->account) {
        buffer_add(&c->out, SLICE("\"OWNER\" "));
        ms_write_string(s->name, &c->out);
        buffer_add(&c->out, SLICE("\r\n"));
    }
    c->out.failed |= names.failed || extensions.failed;
    buffer_free(&names);
    buffer_free(&extensions);
}

enum run ms_starttls(struct connection *c, const struct ms_args *args)
{
    (void)args;
    if (c->tls || c->listener->service->tls != TLS_STARTTLS)
        return ms_no(c, NULL, "TLS is active already");
    buffer_add(&c->out, SLICE("OK \"begin TLS negotiation\"\r\n"));
    return RUN_TLS;
}

enum run ms_unauthenticate(struct connection *c, const struct ms_args *args)
{
    struct ms_session *s = c->session;
    (void)args;
    s->account = 0;
    (void)connection_login(c, 0, SLICE(""));
    return ms_ok(c, "nobody is logged in");
}

/* --- AUTHENTICATE */

static enum run refused(struct connection *c, struct error e, struct slice name)
{
    const struct ms_session *s = c->session;
    if (e.code == ERROR_AUTH) {
        c->delay_ms = login_delay_ms(s->server->login, name, slice_of(c->peer));
        return ms_syntax(c, "wrong name or password") == RUN_CLOSE ? RUN_CLOSE : RUN_DELAY;
    }
    if (e.code == ERROR_INVALID)
        return ms_syntax(c, "the login was cancelled, or is not base64");
    return ms_no(c, "TRYLATER", e.code == ERROR_LIMIT ? "too many sessions of this account" : "a temporary fault on our side, try again");
}

static enum run logged_in(struct connection *c, const struct login *login, struct slice last)
{
    struct ms_session *s = c->session;
    struct error e = connection_login(c, login->account, login->name);
    if (e.code != ERROR_NONE)
        return refused(c, e, login->name);
    s->account = login->account;
    s->name = slice_first(login->name, sizeof s->name_bytes);
    memcpy(s->name_bytes, s->name.p, s->name.n);
    s->name.p = s->name_bytes;
    c->idle_ms = s->server->config->idle_managesieve;
    if (!last.p)
        return ms_ok(c, "you are logged in");
    buffer_add(&c->out, SLICE("OK (SASL \"")); /* the server's last word rides on the OK (RFC 5804 2.1) */
    base64_encode(last, &c->out);
    buffer_add(&c->out, SLICE("\")\r\n"));
    return RUN_NEXT;
}

static enum run step(struct connection *c, struct slice input)
{
    struct ms_session *s = c->session;
    struct sasl *x = s->sasl;
    struct slice challenge;
    enum sasl_state state;
    struct error e = sasl_step(x, input, &challenge, &state);
    if (e.code == ERROR_NONE && state != SASL_DONE) {
        struct buffer code = {0};
        base64_encode(challenge, &code);
        ms_write_string(buffer_slice(&code), &c->out);
        buffer_add(&c->out, SLICE("\r\n"));
        c->out.failed |= code.failed;
        buffer_free(&code);
        return RUN_NEXT;
    }
    s->sasl = NULL;
    enum run r = e.code == ERROR_NONE ? logged_in(c, sasl_result(x), challenge) : refused(c, e, sasl_name(x));
    arena_free(&s->sasl_arena);
    return r;
}

static enum run coded_step(struct connection *c, struct slice code)
{
    struct ms_session *s = c->session;
    struct buffer bytes = {0};
    bool fine = base64_decode(code, &bytes);
    struct slice input = arena_copy(&s->sasl_arena, buffer_slice(&bytes));
    buffer_free(&bytes);
    if (fine && input.p)
        return step(c, input);
    s->sasl = NULL;
    arena_free(&s->sasl_arena);
    return refused(c, error_make(ERROR_INVALID, NULL), SLICE(""));
}

enum run ms_authenticate_line(struct connection *c, struct slice line)
{
    struct slice text;
    if (!ms_read_string(&line, &c->arena, &text) || slice_trim(line).n)
        text = SLICE("*");
    return coded_step(c, text); /* "*" is no base64: cancelled */
}

enum run ms_authenticate(struct connection *c, const struct ms_args *args)
{
    struct ms_session *s = c->session;
    if (!login_allowed(c))
        return ms_no(c, "ENCRYPT-NEEDED", "encryption is required: say STARTTLS first");
    if (args->n < 1 || args->n > 2)
        return ms_syntax(c, "syntax: AUTHENTICATE \"mechanism\" [\"initial response\"]");
    struct sasl_context context = context_of(c, &s->sasl_arena);
    s->sasl = sasl_new(s->server->login, args->all[0], &context, &s->sasl_arena);
    if (!s->sasl)
        return ms_no(c, NULL, "that mechanism is not offered");
    return args->n == 2 ? coded_step(c, args->all[1]) : step(c, slice_make(NULL, 0));
}
