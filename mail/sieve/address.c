/* mail/sieve/address.c -- addresses of fields and of the envelope, and their parts (RFC 5228 2.7.4, 5.1, 5.4; RFC 5233) */
#include "mail/mime/address.h"
#include "mail/mime/header.h"
#include "mail/sieve/internal.h"

/* What of an address the test looks at; false: the address has no such part. */
static bool address_part(const struct sieve_node *n, struct slice whole, struct slice local, struct slice domain, struct slice *out)
{
    const struct sieve_tag *part = node_tag(n, G_PART);
    size_t plus = slice_find(local, '+');
    switch (part ? part->id : TAG_ALL) {
    case TAG_LOCALPART:
        *out = local;
        return true;
    case TAG_DOMAIN:
        *out = domain;
        return true;
    case TAG_USER:
        *out = slice_first(local, plus);
        return true;
    case TAG_DETAIL:
        *out = slice_after(local, plus + 1);
        return plus < local.n; /* without a separator there is nothing to match (RFC 5233 4) */
    default:
        *out = whole;
        return true;
    }
}

/* The addresses of a field, read once a run: a hundred rules ask for the same sender. */
static struct error read_addresses(struct sieve_run *r, struct sieve_field *f)
{
    struct mime_addresses list;
    TRY(address_list_parse(header_unfold(f->raw, r->arena), r->arena, &list));
    struct field_address *all = arena_alloc(r->arena, (list.n + 1) * sizeof *all);
    size_t n = 0;
    for (size_t i = 0; all && i < list.n; i++) {
        const struct mime_address *x = &list.all[i];
        if (!x->domain.p) /* a group's start or end */
            continue;
        char *whole = x->domain.n ? arena_printf(r->arena, "%.*s@%.*s", SLICE_ARG(x->local), SLICE_ARG(x->domain)) : arena_string(r->arena, x->local);
        if (!whole)
            return sieve_no_memory();
        all[n++] = (struct field_address){slice_of(whole), x->local, x->domain};
    }
    if (!all)
        return sieve_no_memory();
    f->addresses = all;
    f->n_addresses = n;
    return OK;
}

static struct error match_field(struct matcher *m, const struct sieve_node *n, struct sieve_field *f)
{
    struct slice part;
    TRY(run_steps(m->run, f->raw.n));
    if (!f->addresses)
        TRY(read_addresses(m->run, f));
    for (size_t i = 0; i < f->n_addresses && !m->found; i++)
        if (address_part(n, f->addresses[i].whole, f->addresses[i].local, f->addresses[i].domain, &part))
            TRY(matcher_value(m, part));
    return OK;
}

struct error address_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct matcher m;
    struct sieve_list names;
    TRY(matcher_begin(r, n, &n->at[1], &m));
    TRY(value_strings(r, &n->at[0], &names));
    for (size_t k = 0; k < names.n && !m.found; k++) {
        size_t seen = 0, total = 0;
        TRY(run_steps(r, 4 * r->n_fields));
        for (size_t i = 0; i < r->n_fields; i++)
            total += slice_eq_nocase(r->fields[i].name, names.all[k]);
        for (size_t i = 0; i < r->n_fields && !m.found; i++)
            if (names.all[k].n && slice_eq_nocase(r->fields[i].name, names.all[k]) && index_wanted(n, seen++, total))
                TRY(match_field(&m, n, &r->fields[i]));
    }
    return matcher_end(&m, out);
}

struct error envelope_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct matcher m;
    struct sieve_list names;
    TRY(matcher_begin(r, n, &n->at[1], &m));
    TRY(value_strings(r, &n->at[0], &names));
    for (size_t k = 0; k < names.n && !m.found; k++) {
        bool from = slice_eq_nocase(names.all[k], SLICE("from"));
        if (!from && !slice_eq_nocase(names.all[k], SLICE("to")))
            return run_fail(r, n, "The envelope has \"from\" and \"to\" only.");
        struct slice whole = from ? r->m->from : r->m->to, part;
        size_t at = whole.n;
        while (at > 0 && whole.p[at - 1] != '@')
            at--;
        struct slice local = at ? slice_first(whole, at - 1) : whole, domain = at ? slice_after(whole, at) : SLICE("");
        if (m.type == TAG_COUNT && whole.n == 0) /* the null sender is no address (RFC 5231 6) */
            continue;
        if (address_part(n, whole.p ? whole : SLICE(""), local, domain, &part))
            TRY(matcher_value(&m, part));
    }
    return matcher_end(&m, out);
}
