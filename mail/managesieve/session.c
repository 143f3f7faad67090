/* mail/managesieve/session.c -- framing, the table of commands, answers (RFC 5804 1.3, 2) */
#include <stdlib.h>

#include "core/log.h"
#include "mail/managesieve/internal.h"

enum { BEFORE = 1, AFTER = 2 };
enum { LOOP, WORKER };

/* --- answers */

static void answer(struct connection *c, const char *word, const char *code, const char *text)
{
    buffer_printf(&c->out, code ? "%s (%s) " : "%s ", word, code);
    ms_write_string(slice_of(text), &c->out);
    buffer_add(&c->out, SLICE("\r\n"));
}

enum run ms_ok(struct connection *c, const char *text)
{
    answer(c, "OK", NULL, text);
    return RUN_NEXT;
}

enum run ms_no(struct connection *c, const char *code, const char *text)
{
    answer(c, "NO", code, text);
    return RUN_NEXT;
}

enum run ms_syntax(struct connection *c, const char *text)
{
    struct ms_session *s = c->session;
    if (++s->bad < MS_BAD_MAX)
        return ms_no(c, NULL, text);
    answer(c, "BYE", NULL, "too many mistakes");
    return RUN_CLOSE;
}

static const struct {
    enum error_code code;
    const char *word; /* RFC 5804 1.3 */
} codes[] = {
    {ERROR_NOT_FOUND, "NONEXISTENT"}, {ERROR_EXISTS, "ALREADYEXISTS"}, {ERROR_CONFLICT, "ACTIVE"}, {ERROR_QUOTA, "QUOTA/MAXSCRIPTS"}, {ERROR_LIMIT, "QUOTA/MAXSIZE"},
};

enum run ms_fail(struct connection *c, struct error e)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == e.code)
            return ms_no(c, codes[i].word, e.text ? e.text : "no");
    LOG_EVENT(LOG_ERROR, "managesieve-failure", LOG_ID(c->id), LOG_FAILURE(e));
    return ms_no(c, "TRYLATER", "a temporary fault on our side, try again later");
}

/* --- commands */

static enum run run_capability(struct connection *c, const struct ms_args *args)
{
    (void)args;
    ms_capabilities(c);
    return ms_ok(c, "these are the capabilities");
}

/* The tag of a client that counts its answers (RFC 5804 2.13). */
static enum run run_noop(struct connection *c, const struct ms_args *args)
{
    if (args->n == 0)
        return ms_ok(c, "fine");
    buffer_add(&c->out, SLICE("OK (TAG "));
    ms_write_string(args->all[0], &c->out);
    buffer_add(&c->out, SLICE(") \"fine\"\r\n"));
    return RUN_NEXT;
}

static enum run run_logout(struct connection *c, const struct ms_args *args)
{
    (void)args;
    (void)ms_ok(c, "goodbye");
    return RUN_CLOSE;
}

static const struct row {
    struct slice verb;
    enum run (*run)(struct connection *c, const struct ms_args *args);
    int states, place;
    const char *specification;
} rows[] = {
    {{"AUTHENTICATE", 12}, ms_authenticate, BEFORE, WORKER, "RFC 5804 2.1"},      {{"STARTTLS", 8}, ms_starttls, BEFORE, LOOP, "RFC 5804 2.2"},
    {{"LOGOUT", 6}, run_logout, BEFORE | AFTER, LOOP, "RFC 5804 2.3"},            {{"CAPABILITY", 10}, run_capability, BEFORE | AFTER, LOOP, "RFC 5804 2.4"},
    {{"HAVESPACE", 9}, ms_havespace, AFTER, WORKER, "RFC 5804 2.5"},              {{"PUTSCRIPT", 9}, ms_putscript, AFTER, WORKER, "RFC 5804 2.6"},
    {{"LISTSCRIPTS", 11}, ms_listscripts, AFTER, WORKER, "RFC 5804 2.7"},         {{"SETACTIVE", 9}, ms_setactive, AFTER, WORKER, "RFC 5804 2.8"},
    {{"GETSCRIPT", 9}, ms_getscript, AFTER, WORKER, "RFC 5804 2.9"},              {{"DELETESCRIPT", 12}, ms_deletescript, AFTER, WORKER, "RFC 5804 2.10"},
    {{"RENAMESCRIPT", 12}, ms_renamescript, AFTER, WORKER, "RFC 5804 2.11.1"},    {{"CHECKSCRIPT", 11}, ms_checkscript, AFTER, WORKER, "RFC 5804 2.12"},
    {{"NOOP", 4}, run_noop, BEFORE | AFTER, LOOP, "RFC 5804 2.13"},               {{"UNAUTHENTICATE", 14}, ms_unauthenticate, AFTER, LOOP, "RFC 5804 2.14.1"},
};

static struct slice verb_of(struct slice in)
{
    size_t n = 0;
    while (n < in.n && ascii_is_alpha(in.p[n]))
        n++;
    return slice_first(in, n);
}

static const struct row *find_row(struct slice verb)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq_nocase(verb, rows[i].verb))
            return &rows[i];
    return NULL;
}

/* --- framing */

static enum frame too_long(struct connection *c)
{
    answer(c, "BYE", NULL, "the command is too long");
    return FRAME_CLOSE;
}

static enum frame session_frame(struct connection *c)
{
    struct ms_session *s = c->session;
    struct slice in = buffer_slice(&c->in);
    size_t want, most = s->account ? MS_COMMAND_MAX : MS_BEFORE_MAX;
    uint64_t literal;
    if (s->skipping)
        return in.n ? FRAME_LOOP : FRAME_MORE;
    size_t n = ms_command_length(in, &want, &literal);
    if (n > most)
        return too_long(c);
    if (n) {
        const struct row *row = s->sasl ? NULL : find_row(verb_of(in));
        return s->sasl || (row && row->place == WORKER) ? FRAME_WORKER : FRAME_LOOP;
    }
    if (want > most) { /* somebody we know gets an answer; what he sends meanwhile is thrown away */
        if (!s->account || literal > MS_SKIP_MAX)
            return too_long(c);
        s->skipping = true;
        s->skip = want - 1;
        return FRAME_LOOP;
    }
    if (in.n > most)
        return too_long(c);
    c->want = want;
    return FRAME_MORE;
}

/* The bytes of a literal that is too long, then its line. */
static enum run skip(struct connection *c)
{
    struct ms_session *s = c->session;
    struct slice in = buffer_slice(&c->in);
    size_t n = in.n < s->skip ? in.n : (size_t)s->skip;
    s->skip -= n;
    buffer_take(&c->in, n);
    in = buffer_slice(&c->in);
    size_t line = slice_find(in, '\n');
    if (s->skip || line == in.n) {
        buffer_take(&c->in, s->skip ? 0 : in.n);
        return RUN_NEXT;
    }
    buffer_take(&c->in, line + 1);
    s->skipping = false;
    return ms_no(c, "QUOTA/MAXSIZE", "a script may have 64 KiB");
}

static enum run run_command(struct connection *c, struct slice command)
{
    const struct ms_session *s = c->session;
    struct slice verb = verb_of(command);
    const struct row *row = find_row(verb);
    struct ms_args args;
    if (!row && connection_line_is_http(slice_trim(slice_first(command, slice_find(command, '\n'))))) {
        answer(c, "BYE", NULL, "this is a server for Sieve scripts");
        return RUN_CLOSE;
    }
    if (!row)
        return ms_syntax(c, "that command is not known");
    if (!(row->states & (s->account ? AFTER : BEFORE)))
        return ms_syntax(c, s->account ? "you are logged in already" : "log in first");
    if (!ms_read_args(slice_after(command, verb.n), &c->arena, &args))
        return ms_syntax(c, "the arguments are not strings or numbers, each behind one blank");
    return row->run(c, &args);
}

static enum run session_run(struct connection *c)
{
    struct ms_session *s = c->session;
    size_t want;
    uint64_t literal;
    if (s->skipping)
        return skip(c);
    size_t n = ms_command_length(buffer_slice(&c->in), &want, &literal);
    struct slice command = arena_copy(&c->arena, slice_first(buffer_slice(&c->in), n));
    buffer_take(&c->in, n);
    if (!command.p)
        return ms_fail(c, error_make(ERROR_MEMORY, "no memory for a command"));
    if (s->sasl)
        return ms_authenticate_line(c, command);
    connection_command(c);
    return run_command(c, command);
}

/* --- the session */

static struct error session_open(struct connection *c)
{
    struct ms_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "no memory for a session");
    c->session = s;
    s->server = net_user(c->net);
    arena_init(&s->sasl_arena, 1024 * 1024);
    ms_capabilities(c);
    (void)ms_ok(c, "Kantor ready");
    return OK;
}

static void session_close(struct connection *c)
{
    struct ms_session *s = c->session;
    arena_free(&s->sasl_arena);
    free(s);
}

/* RFC 5804 2.2: the capabilities come again, unasked. */
static void session_secured(struct connection *c)
{
    ms_capabilities(c);
    (void)ms_ok(c, "TLS is active");
}

static void session_farewell(struct connection *c, int reason)
{
    if (reason == CLOSE_IDLE)
        answer(c, "BYE", NULL, "you were silent for too long");
    else
        answer(c, "BYE", "TRYLATER", "the server is going down");
}

const struct protocol managesieve_protocol = {.name = "managesieve", .open = session_open, .frame = session_frame, .run = session_run, .secured = session_secured,
                                              .farewell = session_farewell, .close = session_close};
