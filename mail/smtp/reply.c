/* mail/smtp/reply.c -- one well-formed reply, whatever the text (attacks.md SI-29) */
#include "core/log.h"
#include "mail/smtp/internal.h"

void smtp_reply(struct connection *c, int code, const char *enhanced, const char *text)
{
    buffer_printf(&c->out, "%d ", code);
    if (enhanced)
        buffer_printf(&c->out, "%s ", enhanced);
    for (const char *p = text; *p; p++)
        buffer_add_char(&c->out, (unsigned char)*p < 0x20 ? ' ' : *p);
    buffer_add(&c->out, SLICE("\r\n"));
}

/* A code for each kind of failure. Passing ones are 4xx: never an answer that reads as "it is gone". */
static const struct {
    enum error_code code;
    int reply;
    const char *enhanced;
} replies[] = {
    {ERROR_NOT_FOUND, 550, "5.1.1"}, {ERROR_DENIED, 550, "5.7.1"}, {ERROR_UNSUPPORTED, 550, "5.7.1"}, {ERROR_QUOTA, 452, "4.2.2"},
    {ERROR_INVALID, 501, "5.1.3"},   {ERROR_LIMIT, 452, "4.5.3"},  {ERROR_FULL, 452, "4.3.1"},        {ERROR_AUTH, 535, "5.7.8"},
    {ERROR_LOOP, 554, "5.4.6"},
};

void smtp_reply_error(struct connection *c, struct error e)
{
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        if (replies[i].code == e.code) {
            smtp_reply(c, replies[i].reply, replies[i].enhanced, e.text ? e.text : "refused");
            return;
        }
    }
    LOG_EVENT(LOG_ERROR, "smtp-failure", LOG_ID(c->id), LOG_FAILURE(e));
    smtp_reply(c, 451, "4.3.0", "a temporary fault on our side, try again later");
}
