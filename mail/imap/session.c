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

static enum run finish(struct connection *c, struct error e)
{
    struct imap_session *s = c->session;
    enum run next = RUN_NEXT;
    s->more = NULL;
    if (e.code == ERROR_NONE && s->box.collection) {
        struct error synced = imap_sync(c, s, s->row && s->row->expunge == EXPUNGE_OK ? SYNC_ALL : SYNC_NO_EXPUNGE);
        if (synced.code != ERROR_NONE)
            e = synced;
    }
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

static struct error idle_run(struct connection *c, struct imap_session *s, struct imap_args *a)
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
    buffer_add(&c->out, SLICE("* BYE [UNAVAILABLE] the mailbox is gone or cannot be read right now\r\n"));
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
    s->ok = NULL;
    s->ok_code = SLICE("");
    s->row = NULL;
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

/* --- commands of a line or two */

static struct error capability_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)s;
    TRY(args_end(a));
    buffer_add(&c->out, SLICE("* CAPABILITY "));
    imap_capabilities(c, &c->out);
    buffer_add(&c->out, SLICE("\r\n"));
    return OK;
}

static struct error noop_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)c;
    (void)s;
    return args_end(a); /* the news come from the dispatcher */
}

static struct error logout_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    TRY(args_end(a));
    imap_box_close(s);
    buffer_add(&c->out, SLICE("* BYE goodbye\r\n"));
    buffer_printf(&c->out, "%s OK done\r\n", s->tag);
    s->logged_out = 1;
    return OK;
}

static struct error id_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    /* RFC 2971; at most 30 pairs, and what a client says about itself is only logged */
    struct slice key, value;
    int pairs = 0;
    (void)s;
    TRY(args_space(a));
    if (!args_word(a, SLICE("NIL"))) {
        if (!args_take(a, '('))
            return imap_bad("a list or NIL is missing");
        while (!args_take(a, ')')) {
            if (pairs++)
                TRY(args_space(a));
            TRY(args_string(a, &key));
            TRY(args_space(a));
            value = SLICE("");
            if (!args_word(a, SLICE("NIL")))
                TRY(args_string(a, &value));
            if (pairs > 30)
                return imap_bad("at most 30 pairs");
            if (slice_eq_nocase(key, SLICE("name")))
                LOG_EVENT(LOG_INFO, "client", LOG_ID(c->id), LOG_TEXT("name", value));
        }
    }
    TRY(args_end(a));
    buffer_add(&c->out, SLICE("* ID (\"name\" \"Kantor\" \"version\" \"" KANTOR_VERSION "\")\r\n"));
    return OK;
}

static struct error enable_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    static const struct {
        struct slice word;
        int bits;
    } words[] = {{{"CONDSTORE", 9}, ENABLED_CONDSTORE}, {{"QRESYNC", 7}, ENABLED_QRESYNC | ENABLED_CONDSTORE}, {{"UTF8=ACCEPT", 11}, ENABLED_UTF8}, {{"IMAP4rev2", 9}, ENABLED_REV2}};
    int count = 0;
    buffer_add(&c->out, SLICE("* ENABLED")); /* always, also when nothing is new (clients.md I19) */
    while (args_take(a, ' ')) {
        struct slice word;
        TRY(args_atom(a, NULL, &word));
        count++;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (slice_eq_nocase(word, words[i].word) && (s->enabled & words[i].bits) != words[i].bits) {
                s->enabled |= words[i].bits;
                buffer_add_char(&c->out, ' ');
                buffer_add(&c->out, words[i].word);
            }
        }
    }
    buffer_add(&c->out, SLICE("\r\n"));
    return count ? args_end(a) : imap_bad("ENABLE names at least one capability");
}

static struct error starttls_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    TRY(args_end(a));
    if (c->tls)
        return imap_bad("TLS is active already");
    s->want_tls = 1;
    s->ok = "begin TLS negotiation now";
    return OK;
}

static struct error compress_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct slice how;
    (void)c;
    TRY(args_space(a));
    TRY(args_atom(a, NULL, &how));
    TRY(args_end(a));
    if (!slice_eq_nocase(how, SLICE("DEFLATE")))
        return imap_bad("only DEFLATE is offered");
    if (s->compressed)
        return imap_no("[COMPRESSIONACTIVE] DEFLATE is active already");
    s->want_compress = 1;
    return OK;
}

/* --- the table */

enum { ANY = STATE_GREETED | STATE_LOGGED_IN | STATE_SELECTED, AUTH = STATE_LOGGED_IN | STATE_SELECTED };

/*    name             states           handler                by         place      EXPUNGE      capability      specification */
const struct imap_row imap_rows[] = {
    {{"CAPABILITY", 10},   ANY,            capability_run,        BY_NUMBER, ON_LOOP,   EXPUNGE_OK,  NULL,           "RFC 9051 6.1.1"},
    {{"NOOP", 4},          ANY,            noop_run,              BY_NUMBER, ON_LOOP,   EXPUNGE_OK,  NULL,           "RFC 9051 6.1.2"},
    {{"LOGOUT", 6},        ANY,            logout_run,            BY_NUMBER, ON_WORKER, EXPUNGE_NO,  NULL,           "RFC 9051 6.1.3"},
    {{"ID", 2},            ANY,            id_run,                BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  "ID",           "RFC 2971 3.1"},
    {{"STARTTLS", 8},      STATE_GREETED,  starttls_run,          BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  NULL,           "RFC 9051 6.2.1"},
    {{"AUTHENTICATE", 12}, STATE_GREETED,  imap_authenticate_run, BY_NUMBER, ON_WORKER, EXPUNGE_NO,  "SASL-IR",      "RFC 9051 6.2.2"},
    {{"LOGIN", 5},         STATE_GREETED,  imap_login_run,        BY_NUMBER, ON_WORKER, EXPUNGE_NO,  NULL,           "RFC 9051 6.2.3"},
    {{"ENABLE", 6},        AUTH,           enable_run,            BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  "ENABLE",       "RFC 9051 6.3.1"},
    {{"SELECT", 6},        AUTH,           imap_select_run,       BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.3.2"},
    {{"EXAMINE", 7},       AUTH,           imap_select_run,       BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.3.3"},
    {{"CREATE", 6},        AUTH,           imap_create_run,       BY_NUMBER, ON_WORKER, EXPUNGE_OK,  "CREATE-SPECIAL-USE", "RFC 9051 6.3.4"},
    {{"DELETE", 6},        AUTH,           imap_delete_run,       BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.3.5"},
    {{"RENAME", 6},        AUTH,           imap_rename_run,       BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.3.6"},
    {{"SUBSCRIBE", 9},     AUTH,           imap_subscribe_run,    BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.3.7"},
    {{"UNSUBSCRIBE", 11},  AUTH,           imap_unsubscribe_run,  BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.3.8"},
    {{"LIST", 4},          AUTH,           imap_list_run,         BY_NUMBER, ON_WORKER, EXPUNGE_OK,  "LIST-EXTENDED LIST-STATUS CHILDREN SPECIAL-USE", "RFC 9051 6.3.9"},
    {{"LSUB", 4},          AUTH,           imap_lsub_run,         BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 3501 6.3.9"},
    {{"XLIST", 5},         AUTH,           imap_list_run,         BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "clients.md I29: accepted, never announced"},
    {{"NAMESPACE", 9},     AUTH,           imap_namespace_run,    BY_NUMBER, ON_LOOP,   EXPUNGE_OK,  "NAMESPACE",    "RFC 9051 6.3.10"},
    {{"STATUS", 6},        AUTH,           imap_status_run,       BY_NUMBER, ON_WORKER, EXPUNGE_OK,  "STATUS=SIZE",  "RFC 9051 6.3.11"},
    {{"APPEND", 6},        AUTH,           NULL,                  BY_NUMBER, ON_WORKER, EXPUNGE_OK,  "LITERAL+", "RFC 9051 6.3.12"},
    {{"IDLE", 4},          AUTH,           idle_run,              BY_NUMBER, ON_WORKER, EXPUNGE_OK,  "IDLE",         "RFC 9051 6.3.13"},
    {{"CHECK", 5},         STATE_SELECTED, noop_run,              BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 3501 6.4.1"},
    {{"CLOSE", 5},         STATE_SELECTED, imap_close_run,        BY_NUMBER, ON_WORKER, EXPUNGE_NO,  NULL,           "RFC 9051 6.4.1"},
    {{"UNSELECT", 8},      STATE_SELECTED, imap_unselect_run,     BY_NUMBER, ON_WORKER, EXPUNGE_NO,  "UNSELECT",     "RFC 9051 6.4.2"},
    {{"EXPUNGE", 7},       STATE_SELECTED, imap_expunge_run,      BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.4.3"},
    {{"SEARCH", 6},        STATE_SELECTED, imap_search_run,       BY_NUMBER, ON_WORKER, EXPUNGE_NO,  "ESEARCH SEARCHRES", "RFC 9051 6.4.4"},
    {{"FETCH", 5},         STATE_SELECTED, imap_fetch_run,        BY_NUMBER, ON_WORKER, EXPUNGE_NO,  "BINARY CONDSTORE QRESYNC", "RFC 9051 6.4.5"},
    {{"STORE", 5},         STATE_SELECTED, imap_store_run,        BY_NUMBER, ON_WORKER, EXPUNGE_NO,  NULL,           "RFC 9051 6.4.6"},
    {{"COPY", 4},          STATE_SELECTED, imap_copy_run,         BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.4.7"},
    {{"MOVE", 4},          STATE_SELECTED, imap_move_run,         BY_NUMBER, ON_WORKER, EXPUNGE_OK,  "MOVE",         "RFC 9051 6.4.8"},
    {{"UID FETCH", 9},     STATE_SELECTED, imap_fetch_run,        BY_UID,    ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.4.9"},
    {{"UID SEARCH", 10},   STATE_SELECTED, imap_search_run,       BY_UID,    ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.4.9"},
    {{"UID STORE", 9},     STATE_SELECTED, imap_store_run,        BY_UID,    ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.4.9"},
    {{"UID COPY", 8},      STATE_SELECTED, imap_copy_run,         BY_UID,    ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.4.9"},
    {{"UID MOVE", 8},      STATE_SELECTED, imap_move_run,         BY_UID,    ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 9051 6.4.9"},
    {{"UID EXPUNGE", 11},  STATE_SELECTED, imap_expunge_run,      BY_UID,    ON_WORKER, EXPUNGE_OK,  "UIDPLUS",      "RFC 9051 6.4.9"},
    {{"COMPRESS", 8},      AUTH,           compress_run,          BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  NULL,           "RFC 4978 3"},
};

enum { N_ROWS = sizeof imap_rows / sizeof imap_rows[0] };

const struct imap_row *imap_row_find(struct slice verb, struct slice second)
{
    int uid = slice_eq_nocase(verb, SLICE("UID"));
    for (size_t i = 0; i < N_ROWS; i++) {
        struct slice name = imap_rows[i].name;
        if (uid ? name.n == second.n + 4 && slice_starts(name, SLICE("UID ")) && slice_eq_nocase(slice_after(name, 4), second) : slice_eq_nocase(name, verb))
            return &imap_rows[i];
    }
    return NULL;
}

void imap_capabilities(struct connection *c, struct buffer *out)
{
    struct imap_session *s = c->session;
    buffer_add(out, SLICE("IMAP4rev1 IMAP4rev2 UTF8=ACCEPT"));
    for (size_t i = 0; i < N_ROWS; i++)
        if (imap_rows[i].capability)
            buffer_printf(out, " %s", imap_rows[i].capability);
    buffer_printf(out, " APPENDLIMIT=%lld", (long long)s->server->config->max_message); /* RFC 7889 2 */
    if (!s->compressed)
        buffer_add(out, SLICE(" COMPRESS=DEFLATE"));
    if (s->state != STATE_GREETED)
        return;
    if (!c->tls)
        buffer_add(out, SLICE(" STARTTLS"));
    if (!imap_login_allowed(c)) {
        buffer_add(out, SLICE(" LOGINDISABLED"));
        return;
    }
    struct sasl_context context = imap_sasl_context(c, &c->arena);
    sasl_names(&context, SLICE(" AUTH="), out);
}
