/* mail/pop3/session.c -- commands of POP3, once; framing and dispatch (RFC 1939, 2449, 2595, 5034, 6856, 3206) */
#include <stdlib.h>

#include "core/log.h"
#include "core/metrics.h"
#include "mail/mime/decode.h"
#include "mail/pop3/internal.h"

enum { BEFORE = 1, AFTER = 2 };
enum { LOOP, WORKER };

void pop3_ok(struct connection *c, const char *text)
{
    buffer_printf(&c->out, "+OK %s\r\n", text);
}

enum run pop3_err(struct connection *c, const char *text)
{
    struct pop3_session *s = c->session;
    buffer_printf(&c->out, "-ERR %s\r\n", text);
    return ++s->bad < POP3_BAD_MAX ? RUN_NEXT : RUN_CLOSE;
}

static int login_allowed(const struct connection *c)
{
    const struct pop3_session *s = c->session;
    int policy = s->server->config->auth_cleartext;
    return c->tls || policy == CLEARTEXT_ALWAYS || (policy == CLEARTEXT_LOOPBACK && c->loopback);
}

static struct sasl_context sasl_context_of(struct connection *c, struct arena *a)
{
    struct sasl_context x = {.scope = SCOPE_POP3, .peer = slice_of(c->peer), .tls = c->tls, .binding_exporter = SLICE(""), .binding_unique = SLICE(""), .binding_endpoint = SLICE("")};
    if (c->tls)
        connection_bindings(c, a, &x.binding_exporter, &x.binding_unique, &x.binding_endpoint);
    return x;
}

/* The message of an argument "7"; NULL: none such, or deleted. */
static struct pop3_message *message_of(struct pop3_session *s, struct slice number)
{
    uint64_t n;
    if (!slice_number(number, s->n, &n) || n == 0 || s->messages[n - 1].deleted)
        return NULL;
    return &s->messages[n - 1];
}

/* --- login */

static enum run logged_in(struct connection *c, struct error e, const struct login *login, struct slice name)
{
    struct pop3_session *s = c->session;
    if (e.code == ERROR_NONE) {
        e = connection_login(c, login->account, login->name);
        s->account = e.code == ERROR_NONE ? login->account : 0;
        if (e.code == ERROR_NONE)
            e = maildrop_open(s, &c->arena);
        if (e.code == ERROR_NONE) {
            buffer_printf(&c->out, "+OK %zu messages\r\n", s->n);
            c->idle_ms = s->server->config->idle_pop3;
            return RUN_NEXT;
        }
        s->account = 0;
        (void)connection_login(c, 0, SLICE(""));
    }
    if (e.code == ERROR_AUTH) {
        c->delay_ms = login_delay_ms(s->server->login, name, slice_of(c->peer));
        return pop3_err(c, "[AUTH] wrong name or password") == RUN_CLOSE ? RUN_CLOSE : RUN_DELAY;
    }
    if (e.text && e.text[0] == '[')
        return pop3_err(c, e.text);
    return pop3_err(c, "[SYS/TEMP] a temporary fault on our side, try again"); /* clients.md P12: no password prompt for our faults */
}

static enum run run_user(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    if (!login_allowed(c))
        return pop3_err(c, "[AUTH] encryption is required: say STLS first, or use port 995");
    if (args.n == 0 || args.n > sizeof s->user_bytes)
        return pop3_err(c, "a name is missing or too long");
    memcpy(s->user_bytes, args.p, args.n);
    s->user = slice_make(s->user_bytes, args.n);
    pop3_ok(c, "send the password"); /* the same for every name */
    return RUN_NEXT;
}

static enum run run_pass(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    struct login login;
    if (s->user.n == 0)
        return pop3_err(c, "say USER first");
    struct slice name = s->user;
    s->user.n = 0;
    struct error e = login_password(s->server->login, name, args, SCOPE_POP3, slice_of(c->peer), &c->arena, &login);
    return logged_in(c, e, &login, name);
}

static enum run auth_finish(struct connection *c, struct error e)
{
    struct pop3_session *s = c->session;
    struct sasl *x = s->sasl;
    s->sasl = NULL;
    enum run r = e.code == ERROR_INVALID ? pop3_err(c, "cancelled, or not base64") : logged_in(c, e, sasl_result(x), sasl_name(x));
    arena_free(&s->sasl_arena);
    return r;
}

static enum run auth_step(struct connection *c, struct slice input)
{
    struct pop3_session *s = c->session;
    struct slice challenge;
    enum sasl_state state;
    struct error e = sasl_step(s->sasl, input, &challenge, &state);
    if (e.code != ERROR_NONE || (state == SASL_DONE && !challenge.p))
        return auth_finish(c, e);
    s->sasl_last = state == SASL_DONE;
    buffer_add(&c->out, SLICE("+ ")); /* with the blank, also when empty (clients.md P6) */
    base64_encode(challenge, &c->out);
    buffer_add(&c->out, SLICE("\r\n"));
    return RUN_NEXT;
}

static enum run auth_line(struct connection *c, struct slice line)
{
    struct pop3_session *s = c->session;
    struct buffer bytes = {0};
    if (s->sasl_last)
        return auth_finish(c, line.n == 0 ? OK : error_make(ERROR_INVALID, "cancelled"));
    if (slice_eq(line, SLICE("*")) || !base64_decode(line, &bytes)) {
        buffer_free(&bytes);
        return auth_finish(c, error_make(ERROR_INVALID, "cancelled"));
    }
    struct slice input = arena_copy(&s->sasl_arena, buffer_slice(&bytes));
    buffer_free(&bytes);
    return auth_step(c, input.p ? input : SLICE(""));
}

static enum run run_auth(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    struct slice name = slice_first(args, slice_find(args, ' ')), initial = slice_trim(slice_after(args, name.n + 1));
    if (args.n == 0) { /* clients.md P3: Outlook asks for the list */
        struct sasl_context shown = sasl_context_of(c, &c->arena);
        buffer_add(&c->out, SLICE("+OK mechanisms follow"));
        sasl_names(&shown, SLICE("\r\n"), &c->out);
        buffer_add(&c->out, SLICE("\r\n.\r\n"));
        return RUN_NEXT;
    }
    if (!login_allowed(c))
        return pop3_err(c, "[AUTH] encryption is required: say STLS first, or use port 995");
    struct sasl_context context = sasl_context_of(c, &s->sasl_arena);
    s->sasl_last = 0;
    s->sasl = sasl_new(s->server->login, name, &context, &s->sasl_arena);
    if (!s->sasl)
        return pop3_err(c, "that mechanism is not offered");
    if (initial.n == 0)
        return auth_step(c, slice_make(NULL, 0));
    return slice_eq(initial, SLICE("=")) ? auth_step(c, SLICE("")) : auth_line(c, initial);
}

/* --- the maildrop */

static enum run run_stat(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    (void)args;
    buffer_printf(&c->out, "+OK %zu %lld\r\n", s->n_left, (long long)s->bytes_left);
    return RUN_NEXT;
}

enum listed { LISTED_SIZE, LISTED_UID };

static void write_row(struct connection *c, const struct pop3_session *s, size_t i, enum listed what)
{
    buffer_add_number(&c->out, i + 1);
    buffer_add_char(&c->out, ' ');
    if (what == LISTED_SIZE) {
        buffer_add_number(&c->out, (uint64_t)s->messages[i].size);
    } else { /* attacks.md PO-04: nothing a sender could choose */
        buffer_add_number(&c->out, s->uidvalidity);
        buffer_add_char(&c->out, '.');
        buffer_add_number(&c->out, s->messages[i].uid);
    }
    buffer_add(&c->out, SLICE("\r\n"));
}

/* A hundred thousand rows go out as the client takes them. */
static enum run list_step(struct connection *c)
{
    struct pop3_session *s = c->session;
    size_t i = s->listing - 1;
    for (; i < s->n && buffer_length(&c->out) < CONNECTION_OUTPUT_HIGH; i++)
        if (!s->messages[i].deleted)
            write_row(c, s, i, s->list_uids ? LISTED_UID : LISTED_SIZE);
    s->listing = i + 1;
    if (i < s->n)
        return RUN_MORE;
    s->listing = 0;
    buffer_add(&c->out, SLICE(".\r\n"));
    return RUN_NEXT;
}

static enum run list(struct connection *c, struct slice args, enum listed what)
{
    struct pop3_session *s = c->session;
    if (args.n) {
        const struct pop3_message *m = message_of(s, args);
        if (!m)
            return pop3_err(c, "no such message");
        buffer_add(&c->out, SLICE("+OK "));
        write_row(c, s, (size_t)(m - s->messages), what);
        return RUN_NEXT;
    }
    pop3_ok(c, "the list follows");
    s->listing = 1;
    s->list_uids = what == LISTED_UID;
    return list_step(c);
}

static enum run run_list(struct connection *c, struct slice args)
{
    return list(c, args, LISTED_SIZE);
}

static enum run run_uidl(struct connection *c, struct slice args)
{
    return list(c, args, LISTED_UID);
}

static enum run run_retr(struct connection *c, struct slice args)
{
    const struct pop3_message *m = message_of(c->session, args);
    return m ? retrieve_begin(c, m, UINT64_MAX) : pop3_err(c, "no such message");
}

static enum run run_top(struct connection *c, struct slice args)
{
    struct slice number = slice_first(args, slice_find(args, ' '));
    const struct pop3_message *m = message_of(c->session, number);
    uint64_t lines;
    if (!slice_number(slice_trim(slice_after(args, number.n)), UINT64_MAX - 1, &lines))
        return pop3_err(c, "syntax: TOP message lines");
    return m ? retrieve_begin(c, m, lines) : pop3_err(c, "no such message");
}

static enum run run_dele(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    struct pop3_message *m = message_of(s, args);
    if (!m)
        return pop3_err(c, "no such message");
    m->deleted = 1;
    s->n_left--;
    s->bytes_left -= m->size;
    pop3_ok(c, "marked; it goes at QUIT");
    return RUN_NEXT;
}

static enum run run_rset(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    (void)args;
    for (size_t i = 0; i < s->n; i++) {
        s->bytes_left += s->messages[i].deleted ? s->messages[i].size : 0;
        s->messages[i].deleted = 0;
    }
    s->n_left = s->n;
    pop3_ok(c, "nothing is marked");
    return RUN_NEXT;
}

static enum run run_quit(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    (void)args;
    struct error e = s->account ? maildrop_update(s) : OK;
    if (e.code == ERROR_NONE)
        pop3_ok(c, "goodbye");
    else
        buffer_add(&c->out, SLICE("-ERR [SYS/TEMP] some messages were not removed, try again\r\n"));
    maildrop_close(s);
    return RUN_CLOSE;
}

/* --- the rest */

static enum run run_noop(struct connection *c, struct slice args)
{
    (void)args;
    pop3_ok(c, "fine");
    return RUN_NEXT;
}

static enum run run_utf8(struct connection *c, struct slice args)
{
    struct pop3_session *s = c->session;
    if (args.n)
        return pop3_err(c, "UTF8 takes no argument");
    s->utf8 = 1;
    pop3_ok(c, "UTF-8 it is"); /* messages go out as they are stored, also to clients that did not ask (2.1 would have them refused: nobody could read his mail) */
    return RUN_NEXT;
}

static enum run run_lang(struct connection *c, struct slice args)
{
    if (args.n == 0) {
        buffer_add(&c->out, SLICE("+OK languages follow\r\nen English\r\n.\r\n"));
        return RUN_NEXT;
    }
    if (!slice_eq_nocase(args, SLICE("en")) && !slice_eq(args, SLICE("*")))
        return pop3_err(c, "that language is not available");
    pop3_ok(c, "en English it is");
    return RUN_NEXT;
}

static enum run run_capa(struct connection *c, struct slice args)
{
    struct sasl_context context = sasl_context_of(c, &c->arena);
    (void)args;
    buffer_add(&c->out, SLICE("+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nLANG\r\nEXPIRE NEVER\r\nIMPLEMENTATION Kantor\r\n"));
    if (!c->tls)
        buffer_add(&c->out, SLICE("STLS\r\n"));
    if (login_allowed(c)) {
        buffer_add(&c->out, SLICE("USER\r\nSASL"));
        sasl_names(&context, SLICE(" "), &c->out);
        buffer_add(&c->out, SLICE("\r\n"));
    }
    buffer_add(&c->out, SLICE(".\r\n"));
    return RUN_NEXT;
}

static enum run run_stls(struct connection *c, struct slice args)
{
    const struct pop3_session *s = c->session;
    if (s->utf8)
        return pop3_err(c, "STLS comes before UTF8");
    if (args.n || c->tls || c->listener->service->tls != TLS_STARTTLS)
        return pop3_err(c, "TLS is active already, or STLS takes no argument");
    pop3_ok(c, "begin TLS negotiation");
    return RUN_TLS;
}

static const struct row {
    struct slice verb;
    enum run (*run)(struct connection *c, struct slice args);
    int states, place;
    const char *specification;
} rows[] = {
    {{"CAPA", 4}, run_capa, BEFORE | AFTER, LOOP, "RFC 2449 5"}, {{"STLS", 4}, run_stls, BEFORE, LOOP, "RFC 2595 4"},
    {{"USER", 4}, run_user, BEFORE, LOOP, "RFC 1939 7"},         {{"PASS", 4}, run_pass, BEFORE, WORKER, "RFC 1939 7"},
    {{"AUTH", 4}, run_auth, BEFORE, WORKER, "RFC 5034 4"},       {{"STAT", 4}, run_stat, AFTER, LOOP, "RFC 1939 5"},
    {{"LIST", 4}, run_list, AFTER, WORKER, "RFC 1939 5"},        {{"UIDL", 4}, run_uidl, AFTER, WORKER, "RFC 1939 7"},
    {{"RETR", 4}, run_retr, AFTER, WORKER, "RFC 1939 5"},        {{"TOP", 3}, run_top, AFTER, WORKER, "RFC 1939 7"},
    {{"DELE", 4}, run_dele, AFTER, LOOP, "RFC 1939 5"},          {{"RSET", 4}, run_rset, AFTER, LOOP, "RFC 1939 5"},
    {{"NOOP", 4}, run_noop, AFTER, LOOP, "RFC 1939 5"},          {{"UTF8", 4}, run_utf8, BEFORE, LOOP, "RFC 6856 2"},
    {{"LANG", 4}, run_lang, BEFORE | AFTER, LOOP, "RFC 6856 3"}, {{"QUIT", 4}, run_quit, BEFORE | AFTER, WORKER, "RFC 1939 6"},
};

static const struct row *find_row(struct slice verb)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq_nocase(verb, rows[i].verb))
            return &rows[i];
    return NULL;
}

static struct error session_open(struct connection *c)
{
    struct pop3_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "no memory for a session");
    c->session = s;
    s->server = net_user(c->net);
    arena_init(&s->sasl_arena, 1024 * 1024);
    pop3_ok(c, "Kantor ready");
    return OK;
}

static void session_close(struct connection *c)
{
    struct pop3_session *s = c->session;
    maildrop_close(s); /* without QUIT nothing is removed */
    arena_free(&s->sasl_arena);
    free(s);
}

/* RFC 2595 4: what was said in the clear is forgotten. */
static void session_secured(struct connection *c)
{
    struct pop3_session *s = c->session;
    s->user.n = 0;
}

static enum frame session_frame(struct connection *c)
{
    struct pop3_session *s = c->session;
    struct slice in = buffer_slice(&c->in), line = slice_first(in, slice_find(in, '\n'));
    if (line.n > (s->sasl || slice_starts_nocase(in, SLICE("AUTH ")) ? POP3_AUTH_MAX : POP3_LINE_MAX)) {
        buffer_add(&c->out, SLICE("-ERR the line is too long\r\n"));
        return FRAME_CLOSE;
    }
    if (line.n == in.n)
        return FRAME_MORE;
    if (s->sasl)
        return FRAME_WORKER;
    line = slice_trim(line);
    const struct row *row = find_row(slice_first(line, slice_find(line, ' ')));
    return row && row->place == WORKER ? FRAME_WORKER : FRAME_LOOP;
}

static enum run session_run(struct connection *c)
{
    struct pop3_session *s = c->session;
    if (s->account && !maildrop_alive(s)) {
        buffer_add(&c->out, s->sending || s->listing ? SLICE("") : SLICE("-ERR [SYS/TEMP] you were silent for long, and another session has the mailbox now; nothing was removed\r\n"));
        return RUN_CLOSE;
    }
    if (s->sending)
        return retrieve_step(c);
    if (s->listing)
        return list_step(c);
    struct slice in = buffer_slice(&c->in), line = slice_first(in, slice_find(in, '\n'));
    buffer_take(&c->in, line.n + 1);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (s->sasl)
        return auth_line(c, line);
    metric_add(METRIC_POP3_COMMANDS, 1);
    connection_command(c);
    struct slice verb = slice_first(line, slice_find(line, ' ')), args = slice_after(line, verb.n + 1);
    const struct row *row = find_row(verb);
    if (!row && connection_line_is_http(line)) {
        buffer_add(&c->out, SLICE("-ERR this is a mail server\r\n"));
        return RUN_CLOSE;
    }
    if (!row)
        return pop3_err(c, "that command is not known");
    if (memchr(line.p, 0, line.n))
        return pop3_err(c, "a NUL byte stands in the command");
    if (!(row->states & (s->account ? AFTER : BEFORE)))
        return pop3_err(c, s->account ? "you are logged in already" : "log in first");
    return row->run(c, slice_eq_nocase(verb, SLICE("PASS")) ? args : slice_trim(args)); /* clients.md P11: blanks belong to the password */
}

static void session_farewell(struct connection *c, int reason)
{
    buffer_add(&c->out, reason == CLOSE_IDLE ? SLICE("-ERR you were silent for too long\r\n") : SLICE("-ERR [SYS/TEMP] the server is going down\r\n"));
}

const struct protocol pop3_protocol = {.name = "pop3", .open = session_open, .frame = session_frame, .run = session_run, .secured = session_secured, .farewell = session_farewell, .close = session_close};
