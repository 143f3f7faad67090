/* mail/smtp/filters.c -- the table of filters, and who calls them when (mail/filter/filter.h)
 *
 * A filter that waits leaves the command where it is: the session's run calls smtp_filters_go_on, which runs the same filter again, then those behind it, then
 * the command's own second half.
 */
#include "core/log.h"
#include "core/metrics.h"
#include "mail/smtp/internal.h"
#include "mail/trace/trace.h"

/* In this order at each stage. */
static const struct filter *const filters[] = {
    &filter_rate,
    &filter_dnsbl,
    &filter_authentication,
    &filter_milter,
};
enum { N_FILTERS = sizeof filters / sizeof filters[0] };
_Static_assert((int)N_FILTERS <= (int)SMTP_FILTERS_MAX, "smtp_session holds a state for each filter");

static void wake(void *arg)
{
    connection_answered(arg);
}

static void describe(struct connection *c, struct filter_mail *m)
{
    static const enum filter_source sources[] = {[SMTP_MX] = FILTER_FROM_OUTSIDE, [SMTP_SUBMISSION] = FILTER_FROM_SUBMITTER, [SMTP_LMTP] = FILTER_FROM_LMTP};
    struct smtp_session *s = c->session;
    *m = (struct filter_mail){.server = s->server, .source = sources[s->kind], .id = c->id, .job = s->job, .peer = c->peer, .helo = s->helo, .peer_port = c->peer_port, .loopback = c->loopback,
                              .esmtp = s->esmtp, .account = s->account, .login = s->login, .arena = &s->arena, .sender = s->sender, .size = s->size, .flags = s->flags, .wake = wake, .wake_arg = c};
}

static void choose(struct connection *c)
{
    struct smtp_session *s = c->session;
    const struct config *config = s->server->config;
    describe(c, &s->mail);
    s->filters = 0;
    for (size_t i = 0; i < N_FILTERS; i++)
        if (filters[i]->wanted(config, &s->mail))
            s->filters |= 1U << i;
    if (s->filters)
        s->mail.tls = connection_tls_text(c, &s->arena);
}

/* A refusal is told by reply, log and trace; the recipient where there is one. */
void smtp_filter_refuse(struct connection *c, struct slice rcpt)
{
    struct smtp_session *s = c->session;
    const struct filter_mail *m = &s->mail;
    const char *why = arena_printf(&c->arena, "%d %s %s (%s; asked by %s [%s])", m->code, m->enhanced, m->text, m->who, s->helo, c->peer);
    metric_add(METRIC_MAIL_FILTERED, 1);
    LOG_EVENT(LOG_INFO, "filter-refused", LOG_ID(s->job), LOG_WORD("filter", m->who), LOG_TEXT("from", s->sender), LOG_TEXT("to", rcpt), LOG_WORD("peer", c->peer), LOG_NUMBER("code", m->code), LOG_WORD("text", m->text));
    trace_later(TRACE_REFUSED, slice_of(s->job), SLICE(""), s->sender, rcpt, slice_of(why ? why : ""));
}

static enum run ended(struct connection *c, enum run next)
{
    struct smtp_session *s = c->session;
    struct filter_mail *m = &s->mail;
    int64_t delay = m->delay_ms;
    bool end = m->close;
    m->code = 0;
    m->delay_ms = 0;
    m->close = false;
    if (next != RUN_NEXT)
        return next;
    if (end)
        return RUN_CLOSE;
    c->delay_ms = delay;
    return delay ? RUN_DELAY : RUN_NEXT;
}

enum run smtp_filters_go_on(struct connection *c)
{
    struct smtp_session *s = c->session;
    for (; s->filter_at < N_FILTERS && !s->mail.code; s->filter_at++) {
        if (!(s->filters >> s->filter_at & 1) || filters[s->filter_at]->run(&s->mail, s->filter_stage, &s->filter_states[s->filter_at]) == FILTER_DONE)
            continue;
        s->filter_waits = 1;
        return RUN_WAIT;
    }
    s->filter_waits = 0;
    return ended(c, s->filtered(c));
}

enum run smtp_filters(struct connection *c, enum filter_stage stage, enum run (*then)(struct connection *c))
{
    struct smtp_session *s = c->session;
    if (stage == FILTER_MAIL)
        choose(c);
    s->filter_stage = stage;
    s->filter_at = s->filters ? 0 : N_FILTERS;
    s->filtered = then;
    return smtp_filters_go_on(c);
}

void smtp_filters_reset(struct smtp_session *s)
{
    for (size_t i = 0; s->filters && i < N_FILTERS; i++)
        if (s->filter_states[i] && filters[i]->reset)
            filters[i]->reset(s->filter_states[i]);
    s->filters = 0;
    s->filter_waits = 0;
}

void smtp_filters_close(struct smtp_session *s)
{
    for (size_t i = 0; i < N_FILTERS; i++)
        if (s->filter_states[i])
            filters[i]->close(s->filter_states[i]);
}
