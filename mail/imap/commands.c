/* mail/imap/commands.c -- the table of commands: who may say what when, where it runs, what it announces
 *
 * The dispatcher (session.c), the framer (frame.c) and the CAPABILITY string read it. A capability is announced when its command is whole.
 */
#include "mail/imap/internal.h"

enum { ANY = STATE_GREETED | STATE_LOGGED_IN | STATE_SELECTED, AUTH = STATE_LOGGED_IN | STATE_SELECTED };

/*    name             states           handler                by         place      EXPUNGE      capability      specification */
static const struct imap_row imap_rows[] = {
    {{"CAPABILITY", 10},   ANY,            imap_capability_run,   BY_NUMBER, ON_LOOP,   EXPUNGE_OK,  NULL,           "RFC 9051 6.1.1"},
    {{"NOOP", 4},          ANY,            imap_noop_run,         BY_NUMBER, ON_LOOP,   EXPUNGE_OK,  NULL,           "RFC 9051 6.1.2"},
    {{"LOGOUT", 6},        ANY,            imap_logout_run,       BY_NUMBER, ON_WORKER, EXPUNGE_NO,  NULL,           "RFC 9051 6.1.3"},
    {{"ID", 2},            ANY,            imap_id_run,           BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  "ID",           "RFC 2971 3.1"},
    {{"STARTTLS", 8},      STATE_GREETED,  imap_starttls_run,     BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  NULL,           "RFC 9051 6.2.1"},
    {{"AUTHENTICATE", 12}, STATE_GREETED,  imap_authenticate_run, BY_NUMBER, ON_WORKER, EXPUNGE_NO,  "SASL-IR",      "RFC 9051 6.2.2"},
    {{"LOGIN", 5},         STATE_GREETED,  imap_login_run,        BY_NUMBER, ON_WORKER, EXPUNGE_NO,  NULL,           "RFC 9051 6.2.3"},
    {{"ENABLE", 6},        AUTH,           imap_enable_run,       BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  "ENABLE",       "RFC 9051 6.3.1"},
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
    {{"IDLE", 4},          AUTH,           imap_idle_run,         BY_NUMBER, ON_WORKER, EXPUNGE_OK,  "IDLE",         "RFC 9051 6.3.13"},
    {{"CHECK", 5},         STATE_SELECTED, imap_noop_run,         BY_NUMBER, ON_WORKER, EXPUNGE_OK,  NULL,           "RFC 3501 6.4.1"},
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
    {{"COMPRESS", 8},      AUTH,           imap_compress_run,     BY_NUMBER, ON_LOOP,   EXPUNGE_NO,  NULL,           "RFC 4978 3"},
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
