/* mail/smtp/commands.c -- every SMTP command, once; framing and dispatch
 *
 * LOOP: needs neither disk nor hash. The rows say on which services a verb exists and what must have been said before it.
 */
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mail/smtp/internal.h"

enum { ON_MX = 1 << SMTP_MX, ON_SUBMISSION = 1 << SMTP_SUBMISSION, ON_LMTP = 1 << SMTP_LMTP, ON_ALL = 7 };
enum { NEED_HELO = 1, NEED_MAIL = 2, NEED_RCPT = 4 };
enum { LOOP, WORKER };
enum { TRANSACTION_BYTES = 8 * 1024 * 1024, RECIPIENT_BYTES = 1024 }; /* what a transaction may take of memory */

static enum run run_ehlo(struct connection *c, struct slice args);
static enum run run_helo(struct connection *c, struct slice args);
static enum run run_starttls(struct connection *c, struct slice args);
static enum run run_rset(struct connection *c, struct slice args);
static enum run run_noop(struct connection *c, struct slice args);
static enum run run_vrfy(struct connection *c, struct slice args);
static enum run run_help(struct connection *c, struct slice args);
static enum run run_quit(struct connection *c, struct slice args);

static const struct row {
    struct slice verb;
    enum run (*run)(struct connection *c, struct slice args);
    int services, needs, place;
    const char *specification;
} rows[] = {
    {{"EHLO", 4}, run_ehlo, ON_MX | ON_SUBMISSION, 0, LOOP, "RFC 5321 4.1.1.1"},
    {{"HELO", 4}, run_helo, ON_MX | ON_SUBMISSION, 0, LOOP, "RFC 5321 4.1.1.1"},
    {{"LHLO", 4}, run_ehlo, ON_LMTP, 0, LOOP, "RFC 2033 4.1"},
    {{"STARTTLS", 8}, run_starttls, ON_ALL, NEED_HELO, LOOP, "RFC 3207 4"},
    {{"AUTH", 4}, smtp_auth, ON_SUBMISSION, NEED_HELO, WORKER, "RFC 4954 4"},
    {{"MAIL", 4}, smtp_mail, ON_ALL, NEED_HELO, WORKER, "RFC 5321 4.1.1.2"},
    {{"RCPT", 4}, smtp_rcpt, ON_ALL, NEED_HELO | NEED_MAIL, WORKER, "RFC 5321 4.1.1.3"},
    {{"DATA", 4}, smtp_data, ON_ALL, NEED_HELO | NEED_MAIL, LOOP, "RFC 5321 4.1.1.4"},
    {{"BDAT", 4}, smtp_bdat, ON_ALL, 0, WORKER, "RFC 3030 2"}, /* looks for itself: the octets that follow are swallowed in any state */
    {{"RSET", 4}, run_rset, ON_ALL, 0, LOOP, "RFC 5321 4.1.1.5"},
    {{"NOOP", 4}, run_noop, ON_ALL, 0, LOOP, "RFC 5321 4.1.1.9"},
    {{"VRFY", 4}, run_vrfy, ON_ALL, 0, LOOP, "RFC 5321 3.5.3"},
    {{"HELP", 4}, run_help, ON_ALL, 0, LOOP, "RFC 5321 4.1.1.8"},
    {{"QUIT", 4}, run_quit, ON_ALL, 0, LOOP, "RFC 5321 4.1.1.10"},
};

static const struct row *find_row(struct slice verb)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq_nocase(verb, rows[i].verb))
            return &rows[i];
    return NULL;
}

/* --- session */

void smtp_transaction_reset(struct smtp_session *s)
{
    smtp_filters_reset(s); /* what it knows of the transaction lies in the arena */
    if (s->receiving)
        blob_put_drop(&s->message.put);
    s->receiving = 0;
    buffer_free(&s->head);
    arena_free(&s->arena);
    s->has_sender = s->bdat_started = s->flags = s->wrong = s->head_done = 0;
    s->n_rcpts = s->room_rcpts = s->room_places = s->head_looked = 0;
    s->rcpts = NULL;
    s->places = NULL;
    s->size = s->sent_for = 0;
    s->on_behalf = 0;
    s->envid = slice_make(NULL, 0);
    s->arrived = slice_make(NULL, 0);
    s->body = BODY_7BIT;
    s->received = 0;
}

static struct error session_open(struct connection *c)
{
    struct smtp_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "no memory for a session");
    c->session = s;
    s->server = net_user(c->net);
    s->kind = (enum smtp_kind)c->listener->service->kind;
    s->stage_ms = clock_ms();
    arena_init(&s->arena, TRANSACTION_BYTES + (size_t)s->server->config->max_recipients * RECIPIENT_BYTES);
    arena_init(&s->sasl_arena, 1024 * 1024);
    if (c->early_input && s->kind == SMTP_MX) { /* RFC 5321 3.1: the server speaks first; who does not wait is a worm or confused */
        smtp_reply(c, 554, "5.5.0", "you spoke before the greeting");
        return OK; /* frame closes */
    }
    buffer_printf(&c->out, "220 %s %s Kantor ready\r\n", s->server->hostname, s->kind == SMTP_LMTP ? "LMTP" : "ESMTP");
    return OK;
}

static void session_close(struct connection *c)
{
    struct smtp_session *s = c->session;
    smtp_filters_close(s);
    s->filters = 0;
    smtp_transaction_reset(s);
    arena_free(&s->sasl_arena);
    free(s);
}

static void session_secured(struct connection *c)
{
    struct smtp_session *s = c->session;
    smtp_transaction_reset(s); /* RFC 3207 4.2: forget what was said in the clear, who it was too (attacks.md SI-11) */
    s->greeted = s->esmtp = 0;
    s->helo[0] = '\0';
    s->account = s->credential = 0;
    s->login[0] = '\0';
    (void)connection_login(c, 0, SLICE(""));
}

static void session_farewell(struct connection *c, int reason)
{
    smtp_reply(c, 421, reason == CLOSE_IDLE ? "4.4.2" : "4.3.2", reason == CLOSE_IDLE ? "you were silent for too long, closing" : "the server is going down, try again later");
}

/* Past a number of mistakes the other side is a guesser, not a mailer. */
enum run smtp_bad(struct connection *c, int code, const char *enhanced, const char *text)
{
    struct smtp_session *s = c->session;
    smtp_reply(c, code, enhanced, text);
    if (++s->bad_commands < BAD_COMMANDS_MAX)
        return RUN_NEXT;
    smtp_reply(c, 421, "4.7.0", "too many errors, closing");
    return RUN_CLOSE;
}

/* --- framing */

static struct slice take_line(struct connection *c)
{
    struct slice in = buffer_slice(&c->in), line = slice_first(in, slice_find(in, '\n'));
    buffer_take(&c->in, line.n + 1); /* the bytes stay where they are until something is read */
    return line;
}

/* A stage that goes on byte by byte is over after some idle times, however alive the other side seems (attacks.md SI-28). */
static bool is_too_slow(struct connection *c, int64_t bytes)
{
    const struct smtp_session *s = c->session;
    return clock_ms() - s->stage_ms > STAGE_IDLE_TIMES * c->idle_ms + bytes * 1000 / SLOWEST_BYTES_A_SECOND;
}

enum run smtp_slow(struct connection *c, int64_t bytes)
{
    if (!is_too_slow(c, bytes))
        return RUN_NEXT;
    smtp_reply(c, 421, "4.4.2", "this takes too long, closing");
    return RUN_CLOSE;
}

/* Nothing whole is there yet. */
static enum frame wait_for_line(struct connection *c)
{
    return smtp_slow(c, 0) == RUN_NEXT ? FRAME_MORE : FRAME_CLOSE;
}

static enum frame session_frame(struct connection *c)
{
    struct smtp_session *s = c->session;
    struct slice in = buffer_slice(&c->in);
    if (c->early_input && s->kind == SMTP_MX)
        return FRAME_CLOSE;
    if (s->mode == MODE_DATA || s->mode == MODE_BDAT)
        return in.n || c->input_ended ? FRAME_WORKER : FRAME_MORE;
    size_t n = slice_find(in, '\n'), most = s->mode == MODE_AUTH ? AUTH_LINE_MAX : LINE_MAX_BYTES;
    if (n == in.n || n > most) {
        if (in.n <= most && n == in.n)
            return wait_for_line(c);
        if (s->mode != MODE_AUTH && n <= AUTH_LINE_MAX && in.n <= CONNECTION_INPUT_MAX && slice_starts_nocase(in, SLICE("AUTH ")))
            return n == in.n ? wait_for_line(c) : FRAME_WORKER; /* an initial response may be long (RFC 4954 4) */
        smtp_reply(c, 500, s->mode == MODE_AUTH ? "5.5.6" : "5.5.2", "the line is too long");
        return FRAME_CLOSE;
    }
    if (s->mode == MODE_AUTH)
        return FRAME_WORKER;
    struct slice line = slice_trim(slice_first(in, n));
    const struct row *row = find_row(slice_first(line, slice_find(line, ' ')));
    return row && row->place == WORKER ? FRAME_WORKER : FRAME_LOOP;
}

static enum run dispatch(struct connection *c, struct slice line)
{
    struct smtp_session *s = c->session;
    struct slice verb = slice_first(line, slice_find(line, ' ')), args = slice_trim(slice_after(line, verb.n + 1));
    const struct row *row = find_row(verb);
    metric_add(METRIC_SMTP_COMMANDS, 1);
    connection_command(c);
    if (!row && connection_line_is_http(line)) { /* attacks.md SI-23: a browser was sent here */
        smtp_reply(c, 421, "4.7.0", "this is a mail server");
        return RUN_CLOSE;
    }
    if (!row || !(row->services >> s->kind & 1))
        return smtp_bad(c, row || slice_eq_nocase(verb, SLICE("ETRN")) || slice_eq_nocase(verb, SLICE("EXPN")) || slice_eq_nocase(verb, SLICE("TURN")) ? 502 : 500, "5.5.1", "command not recognised");
    if (memchr(line.p, 0, line.n) && row->run != smtp_bdat)
        return smtp_bad(c, 501, "5.5.4", "a NUL byte stands in the command");
    if (row->needs & NEED_HELO && !s->greeted)
        return smtp_bad(c, 503, "5.5.1", s->kind == SMTP_LMTP ? "say LHLO first" : "say EHLO first");
    if (row->needs & NEED_MAIL && !s->has_sender)
        return smtp_bad(c, 503, "5.5.1", "say MAIL first");
    if (row->place == LOOP && row->run != smtp_data && s->kind == SMTP_MX && ++s->idle_commands > IDLE_COMMANDS_MAX) {
        smtp_reply(c, 421, "4.7.0", "too many commands without mail, closing");
        return RUN_CLOSE;
    }
    return row->run(c, args);
}

/* Commands, too, are lines that end in CR LF: what reads a bare LF as an end can be made to read a message as commands (attacks.md SI-01). Programs that log in
 * are not so exact and not strangers. */
static enum run bare_line_end(struct connection *c)
{
    LOG_EVENT(LOG_WARN, "bare-line-end", LOG_ID(c->id), LOG_WORD("peer", c->peer));
    smtp_reply(c, 521, "5.5.2", "a CR or LF that is not part of a line end; closing");
    return RUN_CLOSE;
}

static enum run session_run(struct connection *c)
{
    struct smtp_session *s = c->session;
    if (s->filter_waits)
        return smtp_filters_go_on(c);
    if (s->mode == MODE_DATA)
        return smtp_data_more(c);
    if (s->mode == MODE_BDAT)
        return smtp_bdat_more(c);
    struct slice line = take_line(c);
    s->stage_ms = clock_ms();
    int whole = line.n && line.p[line.n - 1] == '\r';
    line.n -= (size_t)whole;
    if (s->kind != SMTP_SUBMISSION && (!whole || memchr(line.p, '\r', line.n)) && !connection_line_is_http(line))
        return bare_line_end(c);
    return s->mode == MODE_AUTH ? smtp_auth_line(c, line) : dispatch(c, line);
}

const struct protocol smtp_protocol = {
    .name = "smtp",
    .open = session_open,
    .frame = session_frame,
    .run = session_run,
    .secured = session_secured,
    .farewell = session_farewell,
    .close = session_close,
};

/* --- the small commands */

/* What goes into the Received field: printable, without what has a meaning there. */
static void set_helo(struct smtp_session *s, struct slice name)
{
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < sizeof s->helo - 1; i++)
        s->helo[n++] = (unsigned char)name.p[i] > 0x20 && (unsigned char)name.p[i] < 0x7F && !memchr("()<>;,\"\\", name.p[i], 8) ? name.p[i] : '?';
    s->helo[n] = '\0';
}

static enum run greet(struct connection *c, struct slice name)
{
    struct smtp_session *s = c->session;
    smtp_transaction_reset(s); /* clients.md S17: EHLO twice is a reset, never 503 */
    set_helo(s, name);
    s->greeted = 1;
    return RUN_NEXT;
}

/* clients.md S16: what logs in may call itself as it likes, or not at all. */
static bool lacks_name(const struct connection *c, struct slice args)
{
    const struct smtp_session *s = c->session;
    return args.n == 0 && s->kind != SMTP_SUBMISSION;
}

static enum run run_helo(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    if (lacks_name(c, args))
        return smtp_bad(c, 501, "5.5.4", "syntax: HELO name");
    (void)greet(c, args);
    s->esmtp = 0;
    smtp_reply(c, 250, NULL, s->server->hostname);
    return RUN_NEXT;
}

static enum run run_ehlo(struct connection *c, struct slice args)
{
    struct smtp_session *s = c->session;
    if (lacks_name(c, args))
        return smtp_bad(c, 501, "5.5.4", s->kind == SMTP_LMTP ? "syntax: LHLO name" : "syntax: EHLO name");
    (void)greet(c, args);
    s->esmtp = 1;
    buffer_printf(&c->out, "250-%s\r\n250-PIPELINING\r\n250-SIZE %lld\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n", s->server->hostname, (long long)s->server->config->max_message);
    if (!c->tls && c->listener->service->tls == TLS_STARTTLS)
        buffer_add(&c->out, SLICE("250-STARTTLS\r\n"));
    if (c->tls)
        buffer_add(&c->out, SLICE("250-REQUIRETLS\r\n"));
    if (s->kind == SMTP_SUBMISSION && smtp_auth_allowed(c) && !s->account) {
        struct sasl_context context = smtp_sasl_context(c, &c->arena);
        buffer_add(&c->out, SLICE("250-AUTH"));
        sasl_names(&context, SLICE(" "), &c->out);
        buffer_add(&c->out, SLICE("\r\n"));
    }
    buffer_add(&c->out, SLICE("250 ENHANCEDSTATUSCODES\r\n"));
    return RUN_NEXT;
}

static enum run run_starttls(struct connection *c, struct slice args)
{
    if (args.n)
        return smtp_bad(c, 501, "5.5.4", "STARTTLS takes no argument");
    if (c->tls || c->listener->service->tls != TLS_STARTTLS)
        return smtp_bad(c, 503, "5.5.1", "TLS is active already, or not offered here");
    smtp_reply(c, 220, "2.0.0", "go ahead");
    return RUN_TLS;
}

static enum run run_rset(struct connection *c, struct slice args)
{
    (void)args;
    smtp_transaction_reset(c->session);
    smtp_reply(c, 250, "2.0.0", "forgotten");
    return RUN_NEXT;
}

static enum run run_noop(struct connection *c, struct slice args)
{
    (void)args;
    smtp_reply(c, 250, "2.0.0", "fine");
    return RUN_NEXT;
}

static enum run run_vrfy(struct connection *c, struct slice args)
{
    (void)args;
    smtp_reply(c, 252, "2.0.0", "send it and see"); /* RFC 5321 7.3: names are not told to strangers */
    return RUN_NEXT;
}

static enum run run_help(struct connection *c, struct slice args)
{
    (void)args;
    smtp_reply(c, 214, "2.0.0", "RFC 5321 says it all");
    return RUN_NEXT;
}

static enum run run_quit(struct connection *c, struct slice args)
{
    (void)args;
    smtp_reply(c, 221, "2.0.0", "goodbye");
    return RUN_CLOSE;
}
