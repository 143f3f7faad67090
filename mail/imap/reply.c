/* mail/imap/reply.c -- the tagged reply, and the response code of each kind of failure (RFC 9051 7.1, RFC 5530) */
#include "core/log.h"
#include "mail/imap/internal.h"

static const struct {
    enum error_code code;
    const char *condition, *response;
} rows[] = {
    {ERROR_INVALID, "BAD", ""},
    {ERROR_DENIED, "NO", "[NOPERM] "},
    {ERROR_AUTH, "NO", "[AUTHENTICATIONFAILED] "},
    {ERROR_NOT_FOUND, "NO", "[NONEXISTENT] "},
    {ERROR_EXISTS, "NO", "[ALREADYEXISTS] "},
    {ERROR_CONFLICT, "NO", "[HASCHILDREN] "},
    {ERROR_QUOTA, "NO", "[OVERQUOTA] "},
    {ERROR_LIMIT, "NO", "[LIMIT] "},
    {ERROR_UNSUPPORTED, "NO", "[CANNOT] "},
};

struct error imap_no(const char *text)
{
    return error_make(ERROR_UNSUPPORTED, text);
}

struct error imap_bad(const char *text)
{
    return error_make(ERROR_INVALID, text);
}

static void text_line(struct buffer *out, const char *text)
{
    for (const char *p = text; *p; p++)
        buffer_add_char(out, (unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7F ? '?' : *p);
    buffer_add(out, SLICE("\r\n"));
}

void imap_tagged(struct connection *c, struct error e)
{
    struct imap_session *s = c->session;
    const char *text = e.text ? e.text : "refused";
    if (e.code == ERROR_CLOSED)
        return; /* whoever gave it has said BYE */
    if (e.code == ERROR_NONE) {
        buffer_printf(&c->out, "%s OK ", s->tag);
        buffer_add(&c->out, s->ok_code);
        text_line(&c->out, s->ok ? s->ok : "done");
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code != e.code)
            continue;
        buffer_printf(&c->out, "%s %s %s", s->tag, rows[i].condition, text[0] == '[' ? "" : rows[i].response);
        text_line(&c->out, text);
        return;
    }
    /* A passing fault: a tagged NO makes some clients drop the user's change (clients.md I15), a closed connection does not. */
    LOG_EVENT(LOG_ERROR, "imap-failure", LOG_ID(c->id), LOG_FAILURE(e));
    if (s->state == STATE_GREETED)
        buffer_printf(&c->out, "%s NO [UNAVAILABLE] a temporary fault on our side, try again\r\n", s->tag);
    else
        buffer_add(&c->out, SLICE("* BYE [UNAVAILABLE] a temporary fault on our side, try again\r\n"));
}
