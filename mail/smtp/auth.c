/* mail/smtp/auth.c -- AUTH (RFC 4954) around core/account/sasl.h */
#include "mail/smtp/internal.h"

#include <stdio.h>

#include "mail/mime/decode.h"

int smtp_auth_allowed(const struct connection *c)
{
    const struct smtp_session *s = c->session;
    int policy = s->server->config->auth_cleartext;
    return c->tls || policy == CLEARTEXT_ALWAYS || (policy == CLEARTEXT_LOOPBACK && c->loopback);
}

struct sasl_context smtp_sasl_context(struct connection *c, struct arena *a)
{
    struct sasl_context x = {.scope = SCOPE_SMTP, .peer = slice_of(c->peer), .tls = c->tls, .binding_exporter = SLICE(""), .binding_unique = SLICE(""), .binding_endpoint = SLICE("")};
    if (c->tls)
        connection_bindings(c, a, &x.binding_exporter, &x.binding_unique, &x.binding_endpoint);
    return x;
}

static const char not_base64[] = "that is not base64", cancelled[] = "cancelled";

static enum run finish(struct connection *c, struct error e)
{
    struct smtp_session *s = c->session;
    struct slice name = s->sasl ? sasl_name(s->sasl) : SLICE("");
    enum run next = RUN_NEXT;
    s->mode = MODE_COMMAND;
    if (e.code == ERROR_NONE) {
        const struct login *login = sasl_result(s->sasl);
        e = connection_login(c, login->account, login->name);
        if (e.code == ERROR_NONE) {
            s->account = login->account;
            s->credential = login->credential;
            (void)snprintf(s->login, sizeof s->login, "%.*s", SLICE_ARG(slice_first(login->name, 255)));
            smtp_reply(c, 235, "2.7.0", "welcome");
        } else {
            smtp_reply(c, 421, "4.7.0", "too many connections of this account");
            next = RUN_CLOSE;
        }
    } else if (e.code == ERROR_AUTH) {
        smtp_reply(c, 535, "5.7.8", "wrong name or password"); /* clients.md S6: only this code means "wrong password" */
        c->delay_ms = login_delay_ms(s->server->login, name, slice_of(c->peer));
        next = ++s->bad_commands < BAD_COMMANDS_MAX ? RUN_DELAY : RUN_CLOSE;
    } else if (e.code == ERROR_INVALID) { /* the text says which; past some it is a mistake like others (attacks.md AC-03) */
        const char *enhanced = e.text == not_base64 ? "5.5.2" : "5.7.0";
        if (++s->auth_aborts > AUTH_ABORTS_FREE)
            next = smtp_bad(c, 501, enhanced, e.text);
        else
            smtp_reply(c, 501, enhanced, e.text);
    } else {
        smtp_reply(c, 454, "4.7.0", "passwords cannot be checked right now, try again later");
    }
    s->sasl = NULL;
    arena_free(&s->sasl_arena);
    return next;
}

static enum run step(struct connection *c, struct slice input)
{
    struct smtp_session *s = c->session;
    struct slice challenge;
    enum sasl_state state;
    struct error e = sasl_step(s->sasl, input, &challenge, &state);
    if (e.code != ERROR_NONE)
        return finish(c, e);
    if (state == SASL_DONE && !challenge.p)
        return finish(c, OK);
    if (state == SASL_DONE) { /* SCRAM's last word goes out as a challenge; the client answers it with an empty line */
        s->mode = MODE_AUTH;
        s->sasl_last = 1;
    }
    s->mode = MODE_AUTH;
    buffer_add(&c->out, SLICE("334 "));
    base64_encode(challenge, &c->out);
    buffer_add(&c->out, SLICE("\r\n"));
    return RUN_NEXT;
}

enum run smtp_auth_line(struct connection *c, struct slice line)
{
    struct smtp_session *s = c->session;
    struct buffer bytes = {0};
    if (s->sasl_last) {
        s->sasl_last = 0;
        return finish(c, line.n == 0 ? OK : error_make(ERROR_INVALID, cancelled));
    }
    if (slice_eq(line, SLICE("*")))
        return finish(c, error_make(ERROR_INVALID, cancelled));
    if (!base64_decode(line, &bytes)) {
        buffer_free(&bytes);
        return finish(c, error_make(ERROR_INVALID, not_base64)); /* RFC 4954 4 */
    }
    struct slice input = arena_copy(&s->sasl_arena, buffer_slice(&bytes));
    buffer_free(&bytes);
    return step(c, input.p ? input : SLICE(""));
}

enum run smtp_auth(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    struct slice name = slice_first(args, slice_find(args, ' ')), initial = slice_trim(slice_after(args, name.n + 1));
    if (s->account)
        return smtp_bad(c, 503, "5.5.1", "you are logged in already");
    if (s->has_sender)
        return smtp_bad(c, 503, "5.5.1", "not inside a mail transaction");
    if (!smtp_auth_allowed(c)) /* attacks.md AC-21: nothing is looked at, so a right and a wrong password get one answer */
        return smtp_bad(c, 538, "5.7.11", "encryption is required: say STARTTLS first, or use port 465");
    struct sasl_context context = smtp_sasl_context(c, &s->sasl_arena);
    s->sasl = sasl_new(s->server->login, name, &context, &s->sasl_arena);
    s->sasl_last = 0;
    if (!s->sasl) {
        arena_free(&s->sasl_arena);
        return smtp_bad(c, 504, "5.5.4", "that mechanism is not offered");
    }
    if (initial.n == 0)
        return step(c, slice_make(NULL, 0));
    return slice_eq(initial, SLICE("=")) ? step(c, SLICE("")) : smtp_auth_line(c, initial);
}
