/* mail/imap/session.c -- the life of a session: greeting, dispatch, IDLE, end */
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/metrics.h"
#include "mail/imap/internal.h"

struct actor imap_actor(const struct imap_session *s)
{
    return (struct actor){s->account, 0};
}

void imap_box_close(struct imap_session *s)
{
    watch_leave(s->box.watch);
    uid_set_free(&s->box.view);
    uid_set_free(&s->box.told);
    uid_set_free(&s->saved);
    s->box = (struct imap_box){0};
    if (s->state == STATE_SELECTED)
        s->state = STATE_LOGGED_IN;
}

static struct error session_open(struct connection *c)
{
    struct imap_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_make(ERROR_MEMORY, "no memory for a session");
    c->session = s;
    s->server = net_user(c->net);
    s->state = STATE_GREETED;
    arena_init(&s->sasl_arena, 1024 * 1024);
    arena_init(&s->append_arena, ARENA_REQUEST_MAX);
    arena_init(&s->walking_row, ARENA_REQUEST_MAX);
    buffer_add(&c->out, SLICE("* OK [CAPABILITY "));
    imap_capabilities(c, &c->out);
    buffer_printf(&c->out, "] %s Kantor ready\r\n", s->server->hostname);
    return OK;
}

static void session_close(struct connection *c)
{
    struct imap_session *s = c->session;
    imap_append_drop(s);
    search_drop(s);
    imap_box_close(s);
    uid_set_free(&s->walking);
    arena_free(&s->walking_row);
    arena_free(&s->sasl_arena);
    free(s);
}

static void session_farewell(struct connection *c, int reason)
{
    buffer_printf(&c->out, "* BYE %s\r\n", reason == CLOSE_IDLE ? "Autologout; you were silent for too long" : reason == CLOSE_SHUTDOWN ? "[UNAVAILABLE] the server is going down" : "[UNAVAILABLE] the session was ended by an administrator");
}

/* A fault that closes: the reply said BYE. */
static int closes(const struct imap_session *s, struct error e)
{
    return error_is_temporary(e) && s->state != STATE_GREETED;
}

/* The first CONDSTORE enabling command is answered with HIGHESTMODSEQ (RFC 7162 3.1); what has been shown, nothing that waits. */
static void tell_condstore(struct connection *c, struct imap_session *s)
{
    if (!(s->enabled & ENABLED_CONDSTORE) || s->condstore_told)
        return;
    s->condstore_told = 1;
    if (s->box.collection && !s->box.gone_pending)
        buffer_printf(&c->out, "* OK [HIGHESTMODSEQ %lld] highest\r\n", (long long)(s->box.modseq ? s->box.modseq : 1));
}

static enum run finish(struct connection *c, struct error e)
{
    struct imap_session *s = c->session;
    enum run next = RUN_NEXT;
    s->more = NULL;
    if (e.code == ERROR_NONE && s->box.collection) {
        struct error synced = imap_sync(c, s, s->row && s->row->expunge == EXPUNGE_OK && !s->hold_expunge ? SYNC_ALL : SYNC_NO_EXPUNGE);
        if (synced.code != ERROR_NONE)
            e = synced;
    }
    tell_condstore(c, s);
    imap_tagged(c, e);
    if (e.code == ERROR_CLOSED || closes(s, e))
        next = RUN_CLOSE;
    else if (e.code == ERROR_AUTH)
        next = c->delay_ms > 0 ? RUN_DELAY : RUN_NEXT;
    if (e.code == ERROR_INVALID && s->state == STATE_GREETED && ++s->bad >= BAD_BEFORE_LOGIN_MAX) {
        buffer_add(&c->out, SLICE("* BYE too many errors\r\n"));
        next = RUN_CLOSE;
    }
    s->row = NULL;
    return next;
}

static enum run call(struct connection *c, imap_handler handler, struct imap_args *a)
{
    struct imap_session *s = c->session;
    struct error e = handler(c, s, a);
    if (e.code == ERROR_NONE && s->more)
        return RUN_MORE;
    if (s->logged_out)
        return RUN_CLOSE;
    if (e.code == ERROR_NONE && (s->idling || s->sasl))
        return s->idling ? RUN_PARK : RUN_NEXT;
    return finish(c, e);
}

/* --- IDLE (RFC 2177, RFC 9051 6.3.13) */

struct error imap_idle_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    TRY(args_end(a));
    s->idling = 1;
    buffer_add(&c->out, SLICE("+ idling\r\n"));
    return s->box.collection ? imap_sync(c, s, SYNC_ALL) : OK;
}

static enum run idle_done(struct connection *c, struct slice line)
{
    struct imap_session *s = c->session;
    s->idling = 0;
    if (!slice_eq_nocase(line, SLICE("DONE")))
        return finish(c, imap_bad("DONE was expected"));
    return finish(c, OK);
}

static enum run session_notice(struct connection *c)
{
    struct imap_session *s = c->session;
    if (!s->idling || !s->box.collection)
        return s->idling ? RUN_PARK : RUN_NEXT; /* shown with the next command */
    struct error e = imap_sync(c, s, SYNC_ALL);
    if (e.code == ERROR_NONE)
        return RUN_PARK;
    if (e.code != ERROR_CLOSED) /* that one has said BYE */
        buffer_add(&c->out, SLICE("* BYE [UNAVAILABLE] the mailbox cannot be read right now\r\n"));
    return RUN_CLOSE;
}

/* --- dispatch */

static bool read_tag(struct imap_session *s, struct imap_args *a)
{
    struct slice tag;
    if (args_atom(a, "]", &tag).code != ERROR_NONE || tag.n > TAG_MAX || memchr(tag.p, '+', tag.n))
        return false;
    memcpy(s->tag, tag.p, tag.n);
    s->tag[tag.n] = '\0';
    return args_take(a, ' ');
}

static enum run unreadable(struct connection *c)
{
    struct imap_session *s = c->session;
    buffer_add(&c->out, SLICE("* BAD a command is: tag, blank, verb\r\n"));
    if (s->state != STATE_GREETED || ++s->bad < BAD_BEFORE_LOGIN_MAX)
        return RUN_NEXT;
    buffer_add(&c->out, SLICE("* BYE too many errors\r\n"));
    return RUN_CLOSE;
}

static enum run dispatch(struct connection *c, struct slice command)
{
    struct imap_session *s = c->session;
    struct imap_args a = {.rest = command, .arena = &c->arena};
    struct slice verb, second = SLICE("");
    metric_add(METRIC_IMAP_COMMANDS, 1);
    connection_command(c);
    s->ok = NULL;
    s->ok_code = SLICE("");
    s->row = NULL;
    s->hold_expunge = 0;
    c->delay_ms = 0;
    if (!read_tag(s, &a))
        return unreadable(c);
    if (args_atom(&a, NULL, &verb).code != ERROR_NONE)
        return finish(c, imap_bad("a verb is missing"));
    if (slice_eq_nocase(verb, SLICE("UID")) && (!args_take(&a, ' ') || args_atom(&a, NULL, &second).code != ERROR_NONE))
        return finish(c, imap_bad("UID is followed by a command"));
    s->row = imap_row_find(verb, second);
    if (!s->row)
        return finish(c, imap_bad("that command is not known"));
    if (!(s->row->states & s->state))
        return finish(c, imap_bad(s->state == STATE_GREETED ? "log in first" : s->state == STATE_LOGGED_IN ? "select a mailbox first, or you are logged in already" : "not in this state"));
    if (s->row->states == STATE_SELECTED && s->box.account != s->account) {
        struct error e = imap_still_allowed(c, s);
        if (e.code != ERROR_NONE)
            return finish(c, e);
    }
    return s->row->run ? call(c, s->row->run, &a) : finish(c, imap_bad("APPEND ends with a literal"));
}

static enum run session_run(struct connection *c)
{
    struct imap_session *s = c->session;
    if (s->more) {
        struct imap_args none = {.arena = &c->arena};
        return call(c, s->more, &none);
    }
    if (s->append.active)
        return imap_append_more(c);
    if (s->append_head)
        return imap_append_begin(c);
    struct slice command = arena_copy(&c->arena, slice_first(buffer_slice(&c->in), s->scanned)); /* a step may outlive the input */
    buffer_take(&c->in, s->scanned);
    s->scanned = s->promised = 0;
    if (!command.p)
        return RUN_CLOSE;
    while (command.n && (command.p[command.n - 1] == '\n' || command.p[command.n - 1] == '\r'))
        command.n--;
    if (s->idling)
        return idle_done(c, command);
    if (s->sasl) {
        struct error e = imap_authenticate_line(c, s, command);
        return e.code == ERROR_NONE && s->sasl ? RUN_NEXT : finish(c, e);
    }
    enum run r = dispatch(c, command);
    if (r == RUN_NEXT && s->want_tls) {
        s->want_tls = 0;
        return RUN_TLS;
    }
    if (r == RUN_NEXT && s->want_compress) {
        s->want_compress = 0;
        s->compressed = 1;
        return RUN_COMPRESS;
    }
    return r;
}

const struct protocol imap_protocol = {
    .name = "imap",
    .open = session_open,
    .frame = imap_frame,
    .run = session_run,
    .notice = session_notice,
    .farewell = session_farewell,
    .close = session_close,
};
