/* mail/authentication/spf.c -- check_host() as a machine that asks (RFC 7208 4)
 *
 * s->frames is the stack of records: "include" puts one on top, "redirect" takes the place of the top. run() goes from phase to phase until a question
 * waits (s->wait) or the end is reached; spf_answer gives the answer to the row of its wait and runs on. Names of the client (PTR) are looked up once, when
 * "ptr" or a %{p} first wants them; the phase that wanted them is then entered again.
 */
#include "mail/authentication/internal.h"

#include <arpa/inet.h>

const char *spf_result_word(enum spf_result r)
{
    static const char *const words[] = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"};
    return words[r];
}

static struct spf_frame *top(struct spf *s) { return &s->frames[s->depth - 1]; }

static void end(struct spf *s, enum spf_result result, const char *problem)
{
    s->result = result;
    s->problem = problem;
    s->phase = SPF_AT_END;
    s->wait = SPF_WAIT_NONE;
}

static void no_memory(struct spf *s) { end(s, SPF_TEMPERROR, "no memory"); }

static void ask(struct spf *s, enum spf_wait wait, enum dns_type type, struct slice name)
{
    s->question = (struct dns_question){type, arena_copy(s->arena, name)};
    s->wait = wait;
    if (!s->question.name.p)
        no_memory(s);
}

static enum dns_type address_type(const struct spf *s) { return s->request.address_bytes == 4 ? DNS_A : DNS_AAAA; }

/* Counts the term that is evaluated, once (4.6.4). False when it is one too many and all is over. */
static bool count_term(struct spf *s)
{
    if (s->counted)
        return true;
    s->counted = true;
    if (++s->terms <= SPF_TERMS_MAX)
        return true;
    end(s, SPF_PERMERROR, "more than 10 terms that ask the DNS");
    return false;
}

/* A term without an answer counts once, however many of its questions had none: "the number of terms" (4.6.4). */
static bool count_void(struct spf *s, const struct dns_answer *x)
{
    if (!dns_is_void(x) || s->voided)
        return true;
    s->voided = true;
    if (++s->voids <= SPF_VOID_MAX)
        return true;
    end(s, SPF_PERMERROR, "more than 2 terms without an answer");
    return false;
}

/* --- results: of a record, of the whole */

static void finish(struct spf *s, enum spf_result result, struct slice mechanism)
{
    while (s->depth > 1) { /* the table of 5.2: an include matches when its record passes */
        s->depth--;
        if (result != SPF_PASS) {
            s->phase = SPF_AT_NEXT;
            return;
        }
        result = top(s)->term.hit;
        mechanism = top(s)->term.text;
    }
    s->result = result;
    s->mechanism = mechanism;
    s->phase = result == SPF_FAIL && top(s)->explain.p ? SPF_AT_EXPLAIN : SPF_AT_END;
}

static void matched(struct spf *s)
{
    const struct spf_term *t = &top(s)->term;
    finish(s, t->hit, t->text);
}

/* --- starting: a record */

static void ask_record(struct spf *s) { ask(s, SPF_WAIT_RECORD, DNS_TXT, top(s)->domain); }

/* No record: nothing is said about the domain; whoever sent us to it made an error (5.2, 6.1). */
static void no_record(struct spf *s)
{
    if (s->depth > 1 || top(s)->redirected)
        end(s, SPF_PERMERROR, "the domain of an include or redirect has no SPF record");
    else
        end(s, SPF_NONE, NULL);
}

/* Any error anywhere in the record is found first (4.6). */
static const char *check_record(struct spf_frame *f)
{
    struct slice rest = f->rest;
    struct spf_term t;
    const char *wrong;
    do {
        wrong = spf_term_next(&rest, &t);
        if (!wrong && (t.kind == SPF_REDIRECT || t.kind == SPF_EXPLAIN)) {
            struct slice *place = t.kind == SPF_REDIRECT ? &f->redirect : &f->explain;
            wrong = place->p ? "redirect or exp stands twice" : NULL;
            *place = t.spec;
        }
    } while (!wrong && t.kind != SPF_END);
    return wrong;
}

static void record_answer(struct spf *s, const struct dns_answer *x)
{
    struct spf_frame *f = top(s);
    struct slice terms, record = {NULL, 0};
    size_t n = 0;
    if (x->status == DNS_TEMPERROR) {
        end(s, SPF_TEMPERROR, "the record could not be looked up");
        return;
    }
    for (size_t i = 0; x->status == DNS_FOUND && i < x->n; i++)
        if (spf_record_is(x->records[i].data, &terms)) {
            record = x->records[i].data;
            n++;
        }
    if (n != 1) {
        if (n)
            end(s, SPF_PERMERROR, "there is more than one SPF record");
        else
            no_record(s);
        return;
    }
    f->record = arena_copy(s->arena, record);
    if (!f->record.p) {
        no_memory(s);
        return;
    }
    (void)spf_record_is(f->record, &f->rest);
    const char *wrong = check_record(f);
    if (wrong)
        end(s, SPF_PERMERROR, wrong);
    else
        s->phase = SPF_AT_NEXT;
}

/* --- names of the client (5.5) */

static void ask_names(struct spf *s)
{
    struct spf_text name;
    spf_reverse_name(s, &name);
    ask(s, SPF_WAIT_PTR, DNS_PTR, slice_make(name.bytes, name.n));
}

/* Copies the names of an MX or PTR answer; at most SPF_HOSTS_MAX, what cannot be asked is left out. */
static bool keep_hosts(struct spf *s, const struct dns_answer *x)
{
    s->n_hosts = s->at_host = 0;
    for (size_t i = 0; x->status == DNS_FOUND && i < x->n && i < SPF_HOSTS_MAX; i++) {
        struct slice name = dns_name_bare(x->records[i].data);
        if (!dns_name_fits(name))
            continue;
        struct slice kept = arena_copy(s->arena, name);
        if (!kept.p) {
            no_memory(s);
            return false;
        }
        s->hosts[s->n_hosts++] = kept;
    }
    return true;
}

/* Asks for the addresses of the next host; false when all were asked. */
static bool ask_host(struct spf *s, enum spf_wait wait)
{
    if (s->at_host == s->n_hosts)
        return false;
    ask(s, wait, address_type(s), s->hosts[s->at_host++]);
    return true;
}

static bool explaining(const struct spf *s) { return s->phase == SPF_AT_EXPLAIN || s->phase == SPF_AT_TEXT; }

static void ptr_answer(struct spf *s, const struct dns_answer *x)
{
    if (!explaining(s) && !count_void(s, x)) /* the limits are of the evaluation, which is over then */
        return;
    if (keep_hosts(s, x))
        s->names_known = !ask_host(s, SPF_WAIT_PTR_ADDRESS);
}

/* Is the client's address among these, in a network of so many bits? */
static bool has_address(const struct spf *s, const struct dns_answer *x, unsigned prefix4, unsigned prefix6);

static void ptr_address_answer(struct spf *s, const struct dns_answer *x)
{
    if (has_address(s, x, 32, 128)) /* an error: that name is skipped */
        s->names[s->n_names++] = s->hosts[s->at_host - 1];
    s->names_known = !ask_host(s, SPF_WAIT_PTR_ADDRESS);
}

/* Is the validated name there, when the spec wants it? If not, it is asked for, and the phase entered again. */
static bool names_ready(struct spf *s, struct slice spec)
{
    if (s->names_known || !spf_macros_want_name(spec))
        return true;
    ask_names(s);
    return false;
}

/* --- mechanisms (5) */

static bool network_has(const unsigned char *client, const unsigned char *network, unsigned bits)
{
    unsigned whole = bits / 8, left = bits % 8;
    if (memcmp(client, network, whole) != 0)
        return false;
    return left == 0 || (client[whole] ^ network[whole]) >> (8 - left) == 0;
}

static bool has_address(const struct spf *s, const struct dns_answer *x, unsigned prefix4, unsigned prefix6)
{
    size_t bytes = s->request.address_bytes;
    for (size_t i = 0; x->status == DNS_FOUND && i < x->n; i++)
        if (x->records[i].data.n == bytes &&
            network_has(s->request.address, (const unsigned char *)x->records[i].data.p, bytes == 4 ? prefix4 : prefix6))
            return true;
    return false;
}

static bool term_is_wide(const struct spf *s, const struct spf_term *t)
{
    switch (t->kind) {
    case SPF_ALL:
        return true;
    case SPF_IP4:
    case SPF_IP6:
    case SPF_ADDRESS:
    case SPF_EXCHANGER:
        return s->request.address_bytes == 4 ? t->prefix4 < 16 : t->prefix6 < 32;
    default:
        return false;
    }
}

static void term_result(struct spf *s, bool match)
{
    if (match) {
        s->wide = term_is_wide(s, &top(s)->term);
        matched(s);
    } else {
        s->phase = SPF_AT_NEXT;
    }
}

static bool in_network(const struct spf *s, const struct spf_term *t)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char network[16];
    bool four = t->kind == SPF_IP4;
    if (s->request.address_bytes != (four ? 4u : 16u) || t->spec.n >= sizeof text)
        return false;
    memcpy(text, t->spec.p, t->spec.n);
    text[t->spec.n] = 0;
    if (inet_pton(four ? AF_INET : AF_INET6, text, network) != 1)
        return false;
    return network_has(s->request.address, network, four ? t->prefix4 : t->prefix6);
}

/* 5.5: the target is a validated name or above one. */
static bool reverse_matches(const struct spf *s, struct slice target)
{
    for (size_t i = 0; i < s->n_names; i++)
        if (dns_name_within(s->names[i], target))
            return true;
    return false;
}

static void push(struct spf *s, struct slice target)
{
    struct slice name = arena_copy(s->arena, target);
    if (!name.p) {
        no_memory(s);
        return;
    }
    s->frames[s->depth++] = (struct spf_frame){.domain = name}; /* count_term bounds the depth */
    s->phase = SPF_AT_RECORD;
}

/* A mechanism with a target whose name is known. */
static void ask_target(struct spf *s, const struct spf_term *t, struct slice target)
{
    if (t->kind == SPF_REVERSE) {
        term_result(s, reverse_matches(s, target));
    } else if (t->kind == SPF_INCLUDE) {
        push(s, target);
    } else if (!dns_name_fits(target)) {
        term_result(s, false); /* no such name can exist (4.8) */
    } else if (t->kind == SPF_EXISTS) {
        ask(s, SPF_WAIT_EXISTS, DNS_A, target); /* A, whatever the client uses */
    } else if (t->kind == SPF_EXCHANGER) {
        ask(s, SPF_WAIT_MX, DNS_MX, target);
    } else {
        ask(s, SPF_WAIT_ADDRESS, address_type(s), target);
    }
}

static void evaluate_target(struct spf *s)
{
    struct spf_frame *f = top(s);
    struct spf_text name = {.n = 0};
    struct slice target = f->domain;
    if (!count_term(s) || !names_ready(s, f->term.kind == SPF_REVERSE ? SLICE("%{p}") : f->term.spec))
        return;
    if (f->term.spec.n) {
        spf_expand_name(s, f->term.spec, f->domain, &name);
        target = slice_make(name.bytes, name.n);
    }
    ask_target(s, &f->term, target);
}

static void at_term(struct spf *s)
{
    const struct spf_term *t = &top(s)->term;
    switch (t->kind) {
    case SPF_ALL:
        term_result(s, true);
        break;
    case SPF_IP4:
    case SPF_IP6:
        term_result(s, in_network(s, t));
        break;
    case SPF_INCLUDE:
    case SPF_ADDRESS:
    case SPF_EXCHANGER:
    case SPF_REVERSE:
    case SPF_EXISTS:
        evaluate_target(s);
        break;
    default: /* modifiers were read before */
        s->phase = SPF_AT_NEXT;
    }
}

/* An error of the DNS ends the evaluation (5). */
static bool usable(struct spf *s, const struct dns_answer *x)
{
    if (x->status == DNS_TEMPERROR)
        end(s, SPF_TEMPERROR, "a name could not be looked up");
    return x->status != DNS_TEMPERROR && count_void(s, x);
}

static void address_answer(struct spf *s, const struct dns_answer *x)
{
    const struct spf_term *t = &top(s)->term;
    if (usable(s, x))
        term_result(s, has_address(s, x, t->prefix4, t->prefix6));
}

static void exists_answer(struct spf *s, const struct dns_answer *x)
{
    if (usable(s, x))
        term_result(s, !dns_is_void(x));
}

static void mx_answer(struct spf *s, const struct dns_answer *x)
{
    if (!usable(s, x))
        return;
    if (x->status == DNS_FOUND && x->n > SPF_HOSTS_MAX)
        end(s, SPF_PERMERROR, "a domain of mx has more than 10 exchangers");
    else if (keep_hosts(s, x) && !ask_host(s, SPF_WAIT_MX_ADDRESS))
        term_result(s, false);
}

static void mx_address_answer(struct spf *s, const struct dns_answer *x)
{
    const struct spf_term *t = &top(s)->term;
    if (!usable(s, x))
        return;
    if (has_address(s, x, t->prefix4, t->prefix6))
        term_result(s, true);
    else if (!ask_host(s, SPF_WAIT_MX_ADDRESS))
        term_result(s, false);
}

/* --- between terms and after the last one */

static void at_next(struct spf *s)
{
    struct spf_frame *f = top(s);
    (void)spf_term_next(&f->rest, &f->term); /* check_record saw them all */
    s->counted = s->voided = false;
    if (f->term.kind != SPF_END) {
        s->phase = SPF_AT_TERM;
    } else if (f->redirect.p) {
        s->phase = SPF_AT_REDIRECT;
    } else {
        s->wide = false;
        finish(s, SPF_NEUTRAL, SLICE("default")); /* 4.7 */
    }
}

/* 6.1: another record in place of this one; its exp, not ours. */
static void at_redirect(struct spf *s)
{
    struct spf_frame *f = top(s);
    struct spf_text name;
    if (!count_term(s) || !names_ready(s, f->redirect))
        return;
    spf_expand_name(s, f->redirect, f->domain, &name);
    s->depth--;
    push(s, slice_make(name.bytes, name.n));
    f->redirected = true;
}

static void at_record(struct spf *s)
{
    if (dns_name_fits(top(s)->domain))
        ask_record(s);
    else
        no_record(s);
}

/* --- the explanation (6.2): whatever is wrong with it, there is none */

static void at_explain(struct spf *s)
{
    struct spf_frame *f = top(s);
    struct spf_text name;
    if (!names_ready(s, f->explain))
        return;
    spf_expand_name(s, f->explain, f->domain, &name);
    if (dns_name_fits(slice_make(name.bytes, name.n)))
        ask(s, SPF_WAIT_EXPLANATION, DNS_TXT, slice_make(name.bytes, name.n));
    else
        s->phase = SPF_AT_END;
}

static void explanation_answer(struct spf *s, const struct dns_answer *x)
{
    s->phase = SPF_AT_END;
    if (x->status != DNS_FOUND || x->n != 1 || !spf_macros_valid(x->records[0].data, SPF_MACROS_ALL, true))
        return;
    s->text = arena_copy(s->arena, x->records[0].data);
    if (s->text.p)
        s->phase = SPF_AT_TEXT;
}

static void at_text(struct spf *s)
{
    struct spf_text out;
    if (!names_ready(s, s->text))
        return;
    spf_expand_text(s, s->text, top(s)->domain, &out);
    s->explanation = arena_copy(s->arena, slice_make(out.bytes, out.n));
    s->phase = SPF_AT_END;
}

/* --- the machine */

static void run(struct spf *s)
{
    static void (*const phases[])(struct spf *) = {
        [SPF_AT_RECORD] = at_record,     [SPF_AT_NEXT] = at_next,       [SPF_AT_TERM] = at_term,
        [SPF_AT_REDIRECT] = at_redirect, [SPF_AT_EXPLAIN] = at_explain, [SPF_AT_TEXT] = at_text,
    };
    while (s->wait == SPF_WAIT_NONE && s->phase != SPF_AT_END)
        phases[s->phase](s);
}

enum spf_step spf_step(const struct spf *s, struct dns_question *q)
{
    if (s->wait == SPF_WAIT_NONE)
        return SPF_DONE;
    *q = s->question;
    return SPF_NEED;
}

void spf_answer(struct spf *s, const struct dns_answer *answer)
{
    static void (*const waits[])(struct spf *, const struct dns_answer *) = {
        [SPF_WAIT_RECORD] = record_answer, [SPF_WAIT_ADDRESS] = address_answer,
        [SPF_WAIT_EXISTS] = exists_answer, [SPF_WAIT_MX] = mx_answer,
        [SPF_WAIT_MX_ADDRESS] = mx_address_answer, [SPF_WAIT_PTR] = ptr_answer,
        [SPF_WAIT_PTR_ADDRESS] = ptr_address_answer, [SPF_WAIT_EXPLANATION] = explanation_answer,
    };
    enum spf_wait wait = s->wait;
    if (wait == SPF_WAIT_NONE)
        return;
    s->wait = SPF_WAIT_NONE;
    waits[wait](s, answer);
    run(s);
}

void spf_give_up(struct spf *s)
{
    if (s->wait == SPF_WAIT_NONE)
        return;
    if (explaining(s)) { /* the result stands */
        s->wait = SPF_WAIT_NONE;
        s->phase = SPF_AT_END;
    } else {
        end(s, SPF_TEMPERROR, "the look-ups took too long");
    }
}

/* ::ffff:192.0.2.1 is 192.0.2.1 (5). */
static void unmap(struct spf_request *r)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (r->address_bytes == 16 && memcmp(r->address, mapped, sizeof mapped) == 0) {
        memmove(r->address, r->address + 12, 4);
        r->address_bytes = 4;
    }
}

/* 2.4 and 4.3: no sender is postmaster at HELO; no local part is postmaster. */
static void split_sender(struct spf *s)
{
    struct slice sender = s->request.sender;
    size_t at = sender.n;
    while (at && sender.p[at - 1] != '@')
        at--;
    s->of_helo = sender.n == 0;
    s->local = at > 1 ? slice_first(sender, at - 1) : SLICE("postmaster");
    s->sender_domain = s->of_helo ? s->request.helo : slice_after(sender, at);
}

struct error spf_begin(struct spf *s, struct arena *a, const struct spf_request *request)
{
    struct slice domain;
    *s = (struct spf){.arena = a, .request = *request, .depth = 1, .phase = SPF_AT_RECORD};
    s->request.helo = arena_copy(a, request->helo);
    s->request.sender = arena_copy(a, request->sender);
    s->request.receiver = arena_copy(a, request->receiver);
    if (!s->request.helo.p || !s->request.sender.p || !s->request.receiver.p)
        return error_make(ERROR_MEMORY, "no memory for SPF");
    unmap(&s->request);
    split_sender(s);
    TRY(dns_name_canonical(s->sender_domain, a, &domain));
    if (domain.n == 0) { /* 4.3: not a domain to ask for */
        end(s, SPF_NONE, NULL);
        return OK;
    }
    s->domain = s->sender_domain = s->frames[0].domain = domain;
    run(s);
    return OK;
}
