/* mail/filter/verify.c -- the rounds of questions */
#include "mail/filter/verify.h"

#include <arpa/inet.h>

#include "mail/mime/header.h"

enum { FROM_FIELDS_MAX = 8 };
/* SPF twice, DMARC, iprev, keys: what can be asked in one round fits. */
_Static_assert((int)VERIFY_ROUND_MAX > 3 + (int)VERIFY_PTR_MAX + 1 + (int)DKIM_EXAMINED_MAX + (int)ARC_SETS_MAX + 1, "a slot for each question of a round");

struct error verify_envelope(struct verify *v, struct arena *a, const struct suffix_list *suffixes, const struct spf_request *request)
{
    struct spf_request hello = *request;
    *v = (struct verify){.arena = a, .suffixes = suffixes, .request = *request, .has_sender = request->sender.n > 0};
    hello.sender = SLICE("");
    TRY(spf_begin(&v->helo, a, &hello));
    return v->has_sender ? spf_begin(&v->sender, a, request) : OK;
}

static struct error begin_dmarc(struct verify *v, struct slice head)
{
    struct slice from[FROM_FIELDS_MAX];
    struct header_field f;
    size_t n = 0;
    while (n < FROM_FIELDS_MAX && header_next(&head, &f))
        if (slice_eq_nocase(f.name, SLICE("From")))
            from[n++] = f.value;
    return dmarc_begin(&v->dmarc, v->arena, v->suffixes, from, n);
}

struct error verify_message(struct verify *v, struct slice head, struct slice body, int64_t now)
{
    TRY(begin_dmarc(v, head));
    TRY(dkim_verify_begin(v->arena, head, now, &dkim_limits_usual, &v->dkim));
    TRY(arc_begin(v->arena, head, now, &v->arc));
    dkim_verify_body(v->dkim, body);
    dkim_verify_body_end(v->dkim);
    arc_body(v->arc, body);
    v->has_message = true;
    return OK;
}

/* --- iprev (RFC 8601 3): a name of the address that leads back to it */

static struct slice reverse_question(const struct verify *v)
{
    const unsigned char *x = v->request.address;
    if (v->request.address_bytes == 4)
        return slice_of(arena_printf(v->arena, "%u.%u.%u.%u.in-addr.arpa", x[3], x[2], x[1], x[0]));
    char *text = arena_alloc(v->arena, 80);
    for (size_t i = 0; text && i < 16; i++) {
        text[4 * i] = "0123456789abcdef"[x[15 - i] & 15];
        text[4 * i + 2] = "0123456789abcdef"[x[15 - i] >> 4];
        text[4 * i + 1] = text[4 * i + 3] = '.';
    }
    if (text)
        memcpy(text + 64, "ip6.arpa", 9);
    return slice_of(text);
}

/* attacks.md DN-06: only what every host is called is looked up and shown. */
static bool is_host_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= DNS_NAME_MAX;
}

static void take_names(struct verify *v, const struct dns_answer *x)
{
    v->reverse = x->status == DNS_TEMPERROR ? REVERSE_TEMPERROR : REVERSE_PERMERROR;
    for (size_t i = 0; x->status == DNS_FOUND && i < x->n && v->n_names < VERIFY_PTR_MAX; i++) {
        struct slice name = dns_name_bare(x->records[i].data);
        if (!is_host_name(name) || !(name = arena_copy(v->arena, name)).p)
            continue;
        v->names[v->n_names++] = name;
        v->reverse = REVERSE_FORWARD;
    }
    v->names_left = v->n_names;
}

static void take_address(struct verify *v, size_t which, const struct dns_answer *x)
{
    v->name_unknown |= x->status == DNS_TEMPERROR;
    for (size_t i = 0; x->status == DNS_FOUND && i < x->n; i++) {
        struct slice address = x->records[i].data;
        if (v->reverse != REVERSE_PASS && address.n == v->request.address_bytes && memcmp(address.p, v->request.address, address.n) == 0) {
            v->reverse = REVERSE_PASS;
            v->reverse_name = v->names[which];
        }
    }
    if (--v->names_left == 0 && v->reverse == REVERSE_FORWARD)
        v->reverse = v->name_unknown ? REVERSE_TEMPERROR : REVERSE_FAIL;
}

/* --- rounds */

struct round {
    struct verify *v;
    struct dns_question *out;
};

/* False: too many were asked, or no memory: it was answered with a temporary error. */
static bool want(struct round *r, enum verify_kind kind, size_t which, struct dns_question q)
{
    static const struct dns_answer unknown = {.status = DNS_TEMPERROR};
    struct verify *v = r->v;
    size_t i = v->n_slots;
    v->slots[i] = (struct verify_slot){kind, which};
    if (q.name.p && v->questions < VERIFY_QUESTIONS_MAX && !v->gave_up) {
        r->out[i] = q;
        v->n_slots++;
        v->questions++;
        return true;
    }
    verify_answer(v, i, &unknown);
    return false;
}

static void want_spf(struct round *r, enum verify_kind kind, struct spf *s)
{
    struct dns_question q;
    while (spf_step(s, &q) == SPF_NEED && !want(r, kind, 0, q))
        continue;
}

static void want_dmarc(struct round *r)
{
    struct dns_question q;
    while (dmarc_step(&r->v->dmarc, &q) == DMARC_NEED && !want(r, VERIFY_DMARC, 0, q))
        continue;
}

static void want_keys(struct round *r)
{
    struct verify *v = r->v;
    for (size_t i = 0; i < dkim_verify_count(v->dkim); i++) {
        struct slice name = dkim_verify_need(v->dkim, i);
        if (name.p)
            (void)want(r, VERIFY_DKIM, i, (struct dns_question){DNS_TXT, name});
    }
    for (size_t i = 0; i < arc_needs(v->arc); i++) {
        struct slice name = arc_need(v->arc, i);
        if (name.p)
            (void)want(r, VERIFY_ARC, i, (struct dns_question){DNS_TXT, name});
    }
}

static void want_reverse(struct round *r)
{
    struct verify *v = r->v;
    if (v->reverse == REVERSE_ASKED)
        (void)want(r, VERIFY_REVERSE, 0, (struct dns_question){DNS_PTR, reverse_question(v)});
    if (v->reverse != REVERSE_FORWARD)
        return;
    enum dns_type type = v->request.address_bytes == 4 ? DNS_A : DNS_AAAA;
    for (size_t i = 0; i < v->n_names; i++)
        (void)want(r, VERIFY_REVERSE_ADDRESS, i, (struct dns_question){type, v->names[i]});
}

size_t verify_questions(struct verify *v, struct dns_question *out)
{
    struct round r = {v, out};
    v->n_slots = 0;
    want_spf(&r, VERIFY_HELO, &v->helo);
    if (v->has_sender)
        want_spf(&r, VERIFY_SENDER, &v->sender);
    want_reverse(&r);
    if (v->has_message) {
        want_dmarc(&r);
        want_keys(&r);
    }
    v->rounds += v->n_slots > 0;
    return v->n_slots;
}

enum { TEXTS_MAX = 16 };

static void answer_key(struct verify *v, const struct verify_slot *slot, const struct dns_answer *x)
{
    struct slice texts[TEXTS_MAX];
    size_t n = 0;
    for (; x->status == DNS_FOUND && n < x->n && n < TEXTS_MAX; n++)
        texts[n] = x->records[n].data;
    enum dkim_answer how = x->status == DNS_TEMPERROR ? DKIM_ANSWER_FAILED : n ? DKIM_ANSWER_RECORDS : DKIM_ANSWER_NONE;
    if (slot->kind == VERIFY_DKIM)
        dkim_verify_answer(v->dkim, slot->which, how, texts, n);
    else
        arc_answer(v->arc, slot->which, how, texts, n);
}

void verify_answer(struct verify *v, size_t i, const struct dns_answer *x)
{
    const struct verify_slot *slot = &v->slots[i];
    switch (slot->kind) {
    case VERIFY_HELO:
        spf_answer(&v->helo, x);
        break;
    case VERIFY_SENDER:
        spf_answer(&v->sender, x);
        break;
    case VERIFY_REVERSE:
        take_names(v, x);
        break;
    case VERIFY_REVERSE_ADDRESS:
        take_address(v, slot->which, x);
        break;
    case VERIFY_DMARC:
        (void)dmarc_answer(&v->dmarc, x); /* without memory it stays unknown: a temporary error */
        break;
    case VERIFY_DKIM:
    case VERIFY_ARC:
        answer_key(v, slot, x);
        break;
    }
}

void verify_give_up(struct verify *v)
{
    struct dns_question scratch[VERIFY_ROUND_MAX];
    v->gave_up = true;
    spf_give_up(&v->helo);
    if (v->has_sender)
        spf_give_up(&v->sender);
    while (verify_questions(v, scratch) > 0)
        continue;
}

/* --- judging */

const struct spf *verify_spf(const struct verify *v)
{
    return v->has_sender ? &v->sender : &v->helo;
}

void verify_judge(struct verify *v, unsigned sample, enum dmarc_wide wide)
{
    struct dmarc_identity signatures[DKIM_EXAMINED_MAX];
    size_t n = dkim_verify_count(v->dkim);
    for (size_t i = 0; i < n; i++) {
        const struct dkim_outcome *o = dkim_verify_outcome(v->dkim, i);
        signatures[i] = (struct dmarc_identity){o->domain, o->result == DKIM_PASS        ? DMARC_PROOF_PASS
                                                           : o->result == DKIM_TEMPERROR ? DMARC_PROOF_TEMPERROR
                                                                                         : DMARC_PROOF_FAIL};
    }
    struct dmarc_evidence evidence = {.spf = dmarc_identity_of_spf(verify_spf(v), wide), .signatures = signatures, .n = n, .sample = sample};
    dmarc_judge(&v->dmarc, &evidence, &v->verdict);
}

size_t verify_dkim_count(const struct verify *v, enum dkim_result result, struct slice *first)
{
    size_t n = 0;
    for (size_t i = 0; v->dkim && i < dkim_verify_count(v->dkim); i++) {
        const struct dkim_outcome *o = dkim_verify_outcome(v->dkim, i);
        if (o->result != result)
            continue;
        if (n++ == 0)
            *first = o->domain;
    }
    return n;
}

void verify_free(struct verify *v)
{
    dkim_verify_free(v->dkim);
    arc_free(v->arc);
    v->dkim = NULL;
    v->arc = NULL;
}
