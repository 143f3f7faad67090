/* mail/filter/authentication.c -- SPF, iprev, DKIM, ARC and DMARC of mail from outside: asked without a worker waiting, marked, and acted on
 *
 * At MAIL the questions about the envelope leave; nobody waits for them. At the end of the message the rest is asked, the session sleeps until the answers
 * are there, and the verdict becomes fields on top of the message, a line in the log, a note in the trace, and what the policy says:
 * refused as the From's owner wants it, into Junk, or marked only. Mail from this machine, from submitters and from filter.trusted is not looked at.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/cleanup.h"
#include "core/dns/resolver.h"
#include "core/log.h"
#include "core/net/network.h"
#include "mail/authentication/results.h"
#include "mail/filter/filter.h"
#include "mail/filter/network.h"
#include "mail/filter/verify.h"
#include "mail/mime/header.h"

static const char who[] = "authentication";

struct session {
    struct verify *v; /* of the transaction, in its arena; NULL: none */
    struct dns_asked *asked;
    size_t n_asked;
    atomic_bool answered; /* set on the resolver's thread */
    void (*wake)(void *arg);
    void *wake_arg;
    bool at_end;          /* the message was given to v */
    int64_t since_ms;     /* at_end: when the waiting began */
    int64_t cost_us;      /* of our own work */
};

static bool wanted(const struct config *c, const struct filter_mail *m)
{
    return m->source == FILTER_FROM_OUTSIDE && !m->loopback && c->authentication != AUTHENTICATION_OFF && m->server->resolver && m->server->suffixes && !network_has(c->filter_trusted, m->peer);
}

/* --- rounds */

static void on_answers(void *arg)
{
    struct session *s = arg;
    atomic_store(&s->answered, true);
    s->wake(s->wake_arg);
}

static void take_answers(struct session *s)
{
    for (size_t i = 0; i < s->n_asked; i++)
        verify_answer(s->v, i, resolver_answer(s->asked, i));
    resolver_forget(s->asked);
    s->asked = NULL;
    s->n_asked = 0;
}

/* Gives what was answered, asks what is wanted next. True: answers are awaited. */
static bool go_on(struct filter_mail *m, struct session *s)
{
    struct dns_question questions[VERIFY_ROUND_MAX];
    if (s->asked && !atomic_load(&s->answered))
        return true;
    if (s->asked)
        take_answers(s);
    if (s->at_end && clock_ms() - s->since_ms > m->server->config->authentication_timeout)
        verify_give_up(s->v);
    s->n_asked = verify_questions(s->v, questions);
    if (s->n_asked == 0)
        return false;
    atomic_store(&s->answered, false);
    s->wake = m->wake;
    s->wake_arg = m->wake_arg;
    s->asked = resolver_ask(m->server->resolver, questions, s->n_asked, on_answers, s);
    if (s->asked)
        return true;
    static const struct dns_answer unknown = {.status = DNS_TEMPERROR}; /* the resolver has too much to do */
    for (size_t i = 0; i < s->n_asked; i++)
        verify_answer(s->v, i, &unknown);
    verify_give_up(s->v);
    return false;
}

static struct error begin(struct filter_mail *m, struct session *s)
{
    struct spf_request r = {.helo = slice_of(m->helo), .sender = m->sender, .receiver = slice_of(m->server->hostname), .now_at = clock_now()};
    s->at_end = false;
    s->cost_us = 0;
    s->v = arena_zero(m->arena, 1, sizeof *s->v);
    if (!s->v)
        return error_make(ERROR_MEMORY, "no memory for a check");
    bool v4 = network_address(m->peer, r.address) && network_is_ipv4(r.address);
    r.address_bytes = v4 ? 4 : 16;
    if (v4)
        memmove(r.address, r.address + 12, 4);
    return verify_envelope(s->v, m->arena, m->server->suffixes, &r);
}

static struct error begin_message(struct filter_mail *m, struct session *s)
{
    size_t n = header_length(m->content);
    struct slice head = m->head.p ? m->head : slice_first(m->content, n);
    s->at_end = true;
    s->since_ms = clock_ms();
    return verify_message(s->v, head, slice_after(m->content, n), clock_now());
}

/* --- what is done about it */

/* attacks.md MA-26: silence of the DNS is no way past a policy, nor does a broken zone keep its mail out for ever: such a message is put off so many times. */
enum { PUT_OFF_MAX = 3, PLACES = 4096, PUT_OFF_S = 6 * 3600 };

static bool put_off(const struct filter_mail *m, struct slice domain)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
    static struct {
        uint64_t key;
        int64_t since;
        int times;
    } places[PLACES];
    unsigned char network[16];
    network_of(m->peer, network);
    struct slice pieces[] = {slice_make((const char *)network, sizeof network), m->sender, domain};
    uint64_t key = network_key(NETWORK_HASH_SECRET, pieces, 3);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    size_t i = key % PLACES;
    int64_t now = clock_now();
    if (places[i].key != key || now - places[i].since > PUT_OFF_S) {
        places[i].key = key;
        places[i].since = now;
        places[i].times = 0;
    }
    return places[i].times++ < PUT_OFF_MAX;
}

static bool list_has(const char *list, struct slice word)
{
    struct slice rest = slice_of(list);
    while (rest.n) {
        struct slice one = slice_first(rest, slice_find(rest, ','));
        rest = slice_after(rest, one.n + 1);
        if (slice_eq_nocase(slice_trim(one), word))
            return true;
    }
    return false;
}

/* RFC 7489 appendix C, attacks.md MA-23: a whole chain whose newest sealer is one of those that the administrator trusts, and who says it was good when it came to him. */
static bool is_vouched_for(const struct filter_mail *m, const struct verify *v)
{
    size_t n = arc_sets(v->arc);
    struct results found;
    if (arc_result(v->arc) != ARC_PASS || !list_has(m->server->config->authentication_sealers, arc_sealer(v->arc, n)))
        return false;
    if (results_parse(arc_findings(v->arc, n), m->arena, &found).code != ERROR_NONE)
        return false;
    for (size_t i = 0; i < found.n; i++)
        if (slice_eq_nocase(found.methods[i].method, SLICE("dmarc")))
            return slice_eq_nocase(found.methods[i].result, SLICE("pass"));
    return false;
}

/* RFC 7489 6.6.1, attacks.md MA-02 and MA-13: what no reader can be told the author of. */
static bool refuse_authorless(struct filter_mail *m, const struct verify *v)
{
    static const char *const texts[] = {
        [DMARC_FROM_TWICE] = "the message has more than one From field", [DMARC_FROM_NO_DOMAIN] = "From holds no address", [DMARC_FROM_MISSING] = "the message has no From field",
    };
    enum dmarc_from from = v->dmarc.from;
    if (from != DMARC_FROM_TWICE && from != DMARC_FROM_NO_DOMAIN && from != DMARC_FROM_MISSING)
        return false;
    filter_refuse(m, who, 550, "5.6.0", texts[from]);
    return true;
}

static void refuse_by_dmarc(struct filter_mail *m, const struct verify *v)
{
    struct slice domain = v->verdict.author->domain;
    filter_refuse(m, who, 550, "5.7.1", arena_printf(m->arena, "%.*s asks to refuse mail that it does not vouch for (DMARC): neither SPF nor a signature of that domain passed", SLICE_ARG(domain)));
}

static void act_on_dmarc(struct filter_mail *m, const struct verify *v)
{
    const struct dmarc_verdict *x = &v->verdict;
    if (x->result == DMARC_RESULT_TEMPERROR && (x->author->discovery == DMARC_UNKNOWN || x->published != DMARC_NONE)) {
        if (put_off(m, x->author->domain))
            filter_refuse(m, who, 451, "4.7.0", "the DNS does not say whether this mail is genuine (DMARC), try again later");
        else
            filter_junk(m, who, "the DNS was silent about DMARC three times: taken, not believed");
    }
    if (x->result != DMARC_RESULT_FAIL || x->disposition == DMARC_NONE)
        return;
    if (is_vouched_for(m, v))
        filter_note(m, who, "DMARC failed; a trusted sealer (ARC) says the message was good when it came to him");
    else if (x->disposition == DMARC_REJECT)
        refuse_by_dmarc(m, v);
    else
        filter_junk(m, who, "DMARC: the owner of the author's domain asks for quarantine");
}

static void act(struct filter_mail *m, const struct verify *v)
{
    const struct config *c = m->server->config;
    const struct spf *spf = verify_spf(v);
    if (c->authentication != AUTHENTICATION_ENFORCE || refuse_authorless(m, v))
        return;
    act_on_dmarc(m, v);
    if (spf->result != SPF_FAIL || v->verdict.result == DMARC_RESULT_PASS)
        return;
    if (c->authentication_spf == SPF_FAIL_REFUSE)
        filter_refuse(m, who, 550, "5.7.23", "the domain of the sender does not let your address send for it (SPF)"); /* RFC 7372 3.2 */
    else if (c->authentication_spf == SPF_FAIL_JUNK)
        filter_junk(m, who, "SPF: the sender's domain does not know the address that it came from");
}

/* --- what is told */

static void tell(struct filter_mail *m, const struct session *s)
{
    const struct verify *v = s->v;
    const struct spf *spf = verify_spf(v);
    struct slice signer = SLICE(""), from = v->verdict.author ? v->verdict.author->domain : SLICE("");
    size_t passed = verify_dkim_count(v, DKIM_PASS, &signer), all = dkim_verify_count(v->dkim);
    LOG_EVENT(LOG_INFO, "authenticated", LOG_ID(m->job), LOG_TEXT("from", m->sender), LOG_WORD("peer", m->peer), LOG_WORD("spf", spf_result_word(spf->result)),
              LOG_WORD("helo", spf_result_word(v->helo.result)), LOG_WORD("iprev", verify_reverse_word(v)), LOG_NUMBER("signatures", all), LOG_NUMBER("signed", passed),
              LOG_TEXT("signer", signer), LOG_WORD("arc", arc_result_word(arc_result(v->arc))), LOG_TEXT("author", from), LOG_WORD("dmarc", dmarc_result_word(v->verdict.result)),
              LOG_WORD("policy", dmarc_policy_word(v->verdict.published)), LOG_WORD("wide", spf->wide ? "yes" : "no"), LOG_NUMBER("questions", v->questions),
              LOG_NUMBER("rounds", v->rounds), LOG_NUMBER("waited_ms", clock_ms() - s->since_ms), LOG_NUMBER("cost_us", s->cost_us));
    const char *note = arena_printf(m->arena, "spf=%s, %zu of %zu signatures right, dmarc=%s (p=%s)", spf_result_word(spf->result), passed, all, dmarc_result_word(v->verdict.result),
                                    dmarc_policy_word(v->verdict.published));
    if (note)
        filter_note(m, who, note);
}

static enum filter_run conclude(struct filter_mail *m, struct session *s, int64_t since_us)
{
    struct verify *v = s->v;
    SCOPED(buffer_free) struct buffer fields = {0};
    struct slice job = slice_of(m->job);
    verify_judge(v, (unsigned)(network_key(NETWORK_HASH_SECRET, &job, 1) % 100), m->server->config->authentication_wide == WIDE_SPF_NEUTRAL ? DMARC_WIDE_IS_NEUTRAL : DMARC_WIDE_PASSES);
    verify_fields(v, slice_of(m->server->hostname), slice_of(m->peer), &fields);
    m->front = fields.failed ? slice_make(NULL, 0) : arena_copy(m->arena, buffer_slice(&fields));
    if (!m->front.p)
        filter_refuse(m, who, 451, "4.3.0", "no memory, try again later");
    m->authentication = v;
    act(m, v);
    s->cost_us += clock_us() - since_us;
    tell(m, s);
    return FILTER_DONE;
}

static enum filter_run run(struct filter_mail *m, enum filter_stage stage, void **state)
{
    int64_t since_us = clock_us();
    struct session *s = *state ? *state : calloc(1, sizeof *s);
    *state = s;
    struct error e = s ? OK : error_make(ERROR_MEMORY, "no memory for a check");
    if (s && stage == FILTER_MAIL)
        e = begin(m, s);
    else if (s && stage == FILTER_END && !s->at_end)
        e = begin_message(m, s);
    if (e.code != ERROR_NONE) {
        filter_refuse(m, who, 451, "4.3.0", "no memory, try again later");
        return FILTER_DONE;
    }
    bool waits = go_on(m, s);
    if (verify_spf(s->v)->result == SPF_PASS)
        m->known |= FILTER_SPF_PASS;
    if (stage == FILTER_END && !waits)
        return conclude(m, s, since_us);
    s->cost_us += clock_us() - since_us;
    return stage == FILTER_END ? FILTER_WAIT : FILTER_DONE;
}

static void reset(void *state)
{
    struct session *s = state;
    resolver_forget(s->asked);
    if (s->v)
        verify_free(s->v);
    s->asked = NULL;
    s->n_asked = 0;
    s->v = NULL;
    s->at_end = false;
}

static void close_session(void *state)
{
    reset(state);
    free(state);
}

const struct filter filter_authentication = {.name = who, .wanted = wanted, .run = run, .reset = reset, .close = close_session};
