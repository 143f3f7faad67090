/* mail/authentication/dmarc_judge.c -- alignment, policy and sampling (RFC 7489 3.1, 6.3, 6.6.2, 6.6.4) */
#include "mail/authentication/dmarc.h"

const char *dmarc_result_word(enum dmarc_result r)
{
    static const char *const words[] = {"none", "pass", "fail", "temperror", "permerror"};
    return words[r];
}

struct dmarc_identity dmarc_identity_of_spf(const struct spf *spf, enum dmarc_wide wide)
{
    struct dmarc_identity out = {spf->domain, DMARC_PROOF_FAIL};
    if (spf->result == SPF_PASS && !(spf->wide && wide == DMARC_WIDE_IS_NEUTRAL))
        out.proof = DMARC_PROOF_PASS;
    else if (spf->result == SPF_TEMPERROR)
        out.proof = DMARC_PROOF_TEMPERROR;
    return out;
}

/* The same name is aligned even where it is a public suffix: only who owns that can vouch for it. */
static bool aligned(const struct dmarc *d, const struct dmarc_author *x, struct slice domain, enum dmarc_mode mode)
{
    domain = dns_name_bare(domain);
    if (slice_eq_nocase(domain, x->domain))
        return true;
    return mode == DMARC_RELAXED && suffix_same_organization(d->suffixes, domain, x->domain);
}

/* Adds what one identity says to the verdict of an author; true when it is an aligned temporary error. */
static bool weigh(const struct dmarc *d, const struct dmarc_author *x, struct dmarc_identity identity, enum dmarc_mode mode, bool *pass)
{
    if (identity.proof == DMARC_PROOF_FAIL || !aligned(d, x, identity.domain, mode))
        return false;
    if (identity.proof == DMARC_PROOF_PASS)
        *pass = true;
    return identity.proof == DMARC_PROOF_TEMPERROR;
}

static enum dmarc_policy policy_for(const struct dmarc_author *x)
{
    if (slice_eq_nocase(x->published_at, x->domain))
        return x->record.p;
    return x->absent ? x->record.np : x->record.sp;
}

/* 6.6.4: who is not in the sample gets the next milder policy. */
static void dispose(const struct dmarc_author *x, unsigned sample, struct dmarc_verdict *out)
{
    out->disposition = out->published;
    if (sample < x->record.pct || out->published == DMARC_NONE)
        return;
    out->disposition = out->published == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
    out->sampled_out = true;
}

static struct dmarc_verdict judge_author(const struct dmarc *d, const struct dmarc_author *x, const struct dmarc_evidence *e)
{
    struct dmarc_verdict out = {.author = x};
    bool passing = false; /* a temporary error */
    if (x->discovery != DMARC_RECORD) {
        out.result = x->discovery == DMARC_UNKNOWN ? DMARC_RESULT_TEMPERROR : x->discovery == DMARC_BROKEN_RECORD ? DMARC_RESULT_PERMERROR : DMARC_RESULT_NONE;
        return out;
    }
    out.published = policy_for(x);
    passing |= weigh(d, x, e->spf, x->record.aspf, &out.spf_aligned);
    for (size_t i = 0; i < e->n; i++)
        passing |= weigh(d, x, e->signatures[i], x->record.adkim, &out.dkim_aligned);
    if (out.spf_aligned || out.dkim_aligned) {
        out.result = DMARC_RESULT_PASS;
    } else if (passing) {
        out.result = DMARC_RESULT_TEMPERROR;
    } else {
        out.result = DMARC_RESULT_FAIL;
        dispose(x, e->sample, &out);
    }
    return out;
}

/* Which of two authors' verdicts counts: failures by what they ask for, then what is not known, a pass last. */
static int badness(const struct dmarc_verdict *v)
{
    static const int rank[] = {
        [DMARC_RESULT_PASS] = 0, [DMARC_RESULT_NONE] = 1, [DMARC_RESULT_PERMERROR] = 2, [DMARC_RESULT_TEMPERROR] = 3, [DMARC_RESULT_FAIL] = 4,
    };
    return rank[v->result] + (v->result == DMARC_RESULT_FAIL ? (int)v->disposition * 3 + (int)v->published : 0);
}

void dmarc_judge(const struct dmarc *d, const struct dmarc_evidence *evidence, struct dmarc_verdict *out)
{
    *out = (struct dmarc_verdict){.result = DMARC_RESULT_NONE};
    for (size_t i = 0; i < d->n; i++) {
        struct dmarc_verdict v = judge_author(d, &d->authors[i], evidence);
        if (i == 0 || badness(&v) > badness(out))
            *out = v;
    }
    bool whole = (d->from == DMARC_FROM_ONE || d->from == DMARC_FROM_SEVERAL) && d->strays == 0;
    if ((out->result == DMARC_RESULT_PASS && !whole) || (out->result != DMARC_RESULT_FAIL && d->from == DMARC_FROM_MANY))
        out->result = DMARC_RESULT_PERMERROR; /* a second From, an address that nothing vouches for, a domain that was not judged */
}
