/* mail/authentication/dmarc.c -- authors, discovery of their policies (RFC 7489 6.6) */
#include "mail/authentication/dmarc.h"
#include "mail/mime/address.h"
#include "mail/mime/header.h"

static struct error no_memory(void) { return error_make(ERROR_MEMORY, "no memory for DMARC"); }

/* --- authors (6.6.1) */

static void add_author(struct dmarc *d, struct slice domain)
{
    for (size_t i = 0; i < d->n; i++)
        if (slice_eq(d->authors[i].domain, domain))
            return;
    if (d->n == DMARC_AUTHORS_MAX) {
        d->from = DMARC_FROM_MANY;
        return;
    }
    d->authors[d->n++] = (struct dmarc_author){
        .domain = domain,
        .organizational = suffix_organizational(d->suffixes, domain),
        .discovery = DMARC_UNKNOWN,
    };
}

static struct error read_field(struct dmarc *d, struct slice value)
{
    struct mime_addresses list;
    value = header_unfold(value, d->arena);
    if (!value.p)
        return no_memory();
    TRY(address_list_parse(value, d->arena, &list));
    for (size_t i = 0; i < list.n && d->from != DMARC_FROM_MANY; i++) {
        struct slice domain;
        if (!list.all[i].domain.p) /* the start or the end of a group */
            continue;
        TRY(dns_name_canonical(list.all[i].domain, d->arena, &domain));
        if (domain.n)
            add_author(d, domain);
        else
            d->strays++;
    }
    return OK;
}

static struct error read_authors(struct dmarc *d, const struct slice *from, size_t n)
{
    for (size_t i = 0; i < n && d->from != DMARC_FROM_MANY; i++)
        TRY(read_field(d, from[i]));
    if (d->from == DMARC_FROM_MANY)
        return OK;
    if (n != 1)
        d->from = n ? DMARC_FROM_TWICE : DMARC_FROM_MISSING;
    else if (d->n == 0)
        d->from = DMARC_FROM_NO_DOMAIN;
    else
        d->from = d->n > 1 || d->strays ? DMARC_FROM_SEVERAL : DMARC_FROM_ONE;
    return OK;
}

/* --- questions */

static struct error ask(struct dmarc *d, enum dmarc_stage stage)
{
    static const enum dns_type types[] = {DNS_TXT, DNS_TXT, DNS_A, DNS_AAAA, DNS_MX};
    const struct dmarc_author *x = &d->authors[d->at];
    struct slice domain = stage == DMARC_ASKS_ORGANIZATION ? x->organizational : x->domain;
    const char *name = arena_printf(d->arena, stage <= DMARC_ASKS_ORGANIZATION ? "_dmarc.%.*s" : "%.*s", SLICE_ARG(domain));
    d->stage = stage;
    d->question = (struct dns_question){types[stage], slice_of(name)};
    return name ? OK : no_memory();
}

/* The next author whose name can be asked for; at the end d->at is d->n. */
static struct error next_author(struct dmarc *d)
{
    for (; d->at < d->n; d->at++) {
        struct dmarc_author *x = &d->authors[d->at];
        if (x->domain.n + sizeof "_dmarc." - 1 <= DNS_NAME_MAX)
            return ask(d, DMARC_ASKS_DOMAIN);
        if (x->organizational.n && x->organizational.n + sizeof "_dmarc." - 1 <= DNS_NAME_MAX)
            return ask(d, DMARC_ASKS_ORGANIZATION);
        x->discovery = DMARC_NO_RECORD;
    }
    return OK;
}

struct error dmarc_begin(struct dmarc *d, struct arena *a, const struct suffix_list *suffixes, const struct slice *from, size_t n)
{
    *d = (struct dmarc){.arena = a, .suffixes = suffixes};
    TRY(read_authors(d, from, n));
    return next_author(d);
}

enum dmarc_step dmarc_step(const struct dmarc *d, struct dns_question *q)
{
    if (d->at == d->n)
        return DMARC_DONE;
    *q = d->question;
    return DMARC_NEED;
}

/* --- answers (6.6.3) */

/* Reads the one DMARC record of an answer; *n counts how many there are. */
static struct error read_record(struct dmarc *d, const struct dns_answer *answer, size_t *n)
{
    struct dmarc_author *x = &d->authors[d->at];
    struct dmarc_record record;
    struct slice text = {NULL, 0};
    *n = 0;
    for (size_t i = 0; answer->status == DNS_FOUND && i < answer->n; i++)
        if (dmarc_record_parse(answer->records[i].data, &record) != DMARC_NOT_A_RECORD) {
            text = answer->records[i].data;
            ++*n;
        }
    if (*n != 1)
        return OK;
    text = arena_copy(d->arena, text);
    if (!text.p)
        return no_memory();
    x->discovery = dmarc_record_parse(text, &x->record) == DMARC_VALID ? DMARC_RECORD : DMARC_BROKEN_RECORD;
    x->published_at = d->stage == DMARC_ASKS_ORGANIZATION ? x->organizational : x->domain;
    return OK;
}

static bool below_record(const struct dmarc_author *x) { return !slice_eq_nocase(x->published_at, x->domain); }

/* What to ask next about this author. */
static struct error record_answer(struct dmarc *d, const struct dns_answer *answer, enum dmarc_stage *next)
{
    struct dmarc_author *x = &d->authors[d->at];
    size_t n = 0;
    *next = DMARC_ASKS_END;
    if (answer->status == DNS_TEMPERROR)
        return OK; /* stays DMARC_UNKNOWN */
    TRY(read_record(d, answer, &n));
    if (n == 0 && d->stage == DMARC_ASKS_DOMAIN && x->organizational.n && !slice_eq_nocase(x->organizational, x->domain))
        *next = DMARC_ASKS_ORGANIZATION;
    else if (n != 1)
        x->discovery = DMARC_NO_RECORD; /* several are none */
    else if (x->discovery == DMARC_RECORD && x->record.has_np && below_record(x))
        *next = DMARC_ASKS_ADDRESS;
    return OK;
}

/* RFC 9091 2.6: a name without A, AAAA and MX does not exist. An error says nothing, so the milder reading stands. */
static enum dmarc_stage existence_answer(struct dmarc *d, const struct dns_answer *answer)
{
    if (!dns_is_void(answer))
        return DMARC_ASKS_END;
    d->authors[d->at].absent = d->stage == DMARC_ASKS_EXCHANGER || answer->status == DNS_NXDOMAIN;
    return d->authors[d->at].absent ? DMARC_ASKS_END : (enum dmarc_stage)(d->stage + 1);
}

struct error dmarc_answer(struct dmarc *d, const struct dns_answer *answer)
{
    enum dmarc_stage next;
    if (d->at == d->n)
        return OK;
    if (d->stage <= DMARC_ASKS_ORGANIZATION)
        TRY(record_answer(d, answer, &next));
    else
        next = existence_answer(d, answer);
    if (next != DMARC_ASKS_END)
        return ask(d, next);
    d->at++;
    return next_author(d);
}
