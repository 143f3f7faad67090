/* mail/smtp/sending.c -- what an account may send: asked at MAIL and RCPT, so that a client learns it early; the delivery's change decides */
#include "core/cleanup.h"
#include "mail/smtp/internal.h"

void smtp_sending_refuse(struct connection *c, const struct sending_count *now)
{
    struct smtp_session *s = c->session;
    bool blocked = now->why == SENDING_BLOCKED;
    sending_alarm(s->server, now, s->has_sender ? s->job : c->id, c->peer, slice_of(s->login));
    smtp_reply(c, blocked ? 550 : 452, blocked ? "5.7.1" : "4.7.1", sending_sentence(now));
}

static struct error look(struct smtp_session *s)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    return sending_look(db, s->server->config, s->account, s->credential, &s->sending);
}

bool smtp_sending_mail(struct connection *c)
{
    struct smtp_session *s = c->session;
    s->sending.room = INT64_MAX;
    s->sending_told = 0;
    if (s->kind != SMTP_SUBMISSION)
        return true;
    struct error e = look(s);
    if (e.code != ERROR_NONE)
        smtp_reply_error(c, e);
    else if (s->sending.room == 0)
        smtp_sending_refuse(c, &s->sending);
    return e.code == ERROR_NONE && s->sending.room > 0;
}

/* The recipients of a transaction wait in the session; what was counted stands in the store. */
bool smtp_sending_rcpt(struct connection *c)
{
    struct smtp_session *s = c->session;
    if ((int64_t)s->n_rcpts < s->sending.room)
        return true;
    if (!s->sending_told++) /* one line and one look a message, however long its list */
        smtp_sending_refuse(c, &s->sending);
    else
        smtp_reply(c, 452, "4.7.1", sending_sentence(&s->sending));
    return false;
}
