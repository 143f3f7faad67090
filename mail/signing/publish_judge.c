/* mail/signing/publish_judge.c -- what the DNS shows beside what it should */
#include <arpa/inet.h>

#include "core/buffer.h"
#include "mail/dkim/tags.h"
#include "mail/signing/publish.h"

enum { SHOWN_MAX = 1000 };

const char *publish_state_word(enum publish_state state)
{
    static const char *const words[] = {[PUBLISH_FINE] = "fine", [PUBLISH_MISSING] = "missing", [PUBLISH_WRONG] = "wrong", [PUBLISH_UNKNOWN] = "unknown"};
    return words[state];
}

/* --- one record as text */

static void show(const struct publish_record *r, const struct dns_record *d, struct buffer *out)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (r->type == DNS_A || r->type == DNS_AAAA) {
        (void)inet_ntop(r->type == DNS_A ? AF_INET : AF_INET6, d->data.p, text, sizeof text);
        buffer_printf(out, "%s", text);
    } else if (r->type == DNS_TLSA || r->type == DNS_CAA) {
        for (size_t i = 0; i < d->data.n && i < 300; i++) {
            unsigned char c = (unsigned char)d->data.p[i];
            if (r->type == DNS_CAA && i > 1)
                buffer_add_char(out, c > 0x20 && c < 0x7F ? (char)c : '?');
            else if (r->type == DNS_TLSA)
                buffer_printf(out, i < 3 ? "%u " : "%02x", c);
        }
    } else {
        if (r->type == DNS_MX)
            buffer_printf(out, "%u ", d->preference);
        if (r->type == DNS_SRV)
            buffer_printf(out, "%u %u %u ", d->preference, d->weight, d->port);
        for (size_t i = 0; i < d->data.n; i++) /* a stranger's bytes, for a terminal */
            buffer_add_char(out, d->data.p[i] >= 0x20 && d->data.p[i] < 0x7F ? d->data.p[i] : '?');
    }
}

static struct slice show_all(const struct publish_record *r, const struct dns_answer *x, struct arena *a)
{
    struct buffer b = {0};
    for (size_t i = 0; i < x->n && buffer_length(&b) < SHOWN_MAX; i++) {
        if (i)
            buffer_add(&b, SLICE(" | "));
        show(r, &x->records[i], &b);
    }
    struct slice s = arena_copy(a, slice_first(buffer_slice(&b), 4 * SHOWN_MAX));
    buffer_free(&b);
    return s.p ? s : SLICE("");
}

/* --- judges */

static bool same_name(struct slice a, struct slice b)
{
    return slice_eq_nocase(dns_name_bare(a), dns_name_bare(b));
}

static bool has_version(struct slice text, const char *version)
{
    struct slice v = slice_of(version);
    return slice_starts_nocase(text, v) && (text.n == v.n || text.p[v.n] == ';' || text.p[v.n] == ' ' || text.p[v.n] == '\t');
}

/* The records of a TXT answer that are of this version; *first: one of them. */
static size_t of_version(const struct dns_answer *x, const char *version, struct slice *first)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        if (has_version(slice_trim(x->records[i].data), version) && n++ == 0)
            *first = slice_trim(x->records[i].data);
    return n;
}

/* Does a term allow this server: mx, a:HOST, or an include or address that only its owner can judge? */
static const char *judge_spf(const struct publish_record *r, struct slice text)
{
    bool server = false, open = false, other = false;
    (void)r;
    while (text.n) {
        struct slice term = slice_first(text, slice_find(text, ' '));
        text = slice_after(text, term.n + 1);
        if (term.n && term.p[0] == '+')
            term = slice_after(term, 1);
        server |= slice_eq_nocase(term, SLICE("mx")) || slice_starts_nocase(term, SLICE("mx:")) || slice_starts_nocase(term, SLICE("mx/"));
        other |= slice_starts_nocase(term, SLICE("a")) || slice_starts_nocase(term, SLICE("ip")) || slice_starts_nocase(term, SLICE("include:")) || slice_starts_nocase(term, SLICE("redirect="));
        open |= slice_eq_nocase(term, SLICE("all"));
    }
    if (open)
        return "\"+all\" lets everybody send for the domain";
    return server || other ? NULL : "no term names this server";
}

static struct publish_verdict judge_version(const struct publish_record *r, const struct dns_answer *x, const char *version)
{
    struct slice text = SLICE("");
    struct dkim_tags tags;
    size_t n = of_version(x, version, &text);
    if (n == 0)
        return (struct publish_verdict){PUBLISH_MISSING, .advice = NULL};
    if (n > 1)
        return (struct publish_verdict){PUBLISH_WRONG, .advice = "there are several; only one may stand, or none counts"};
    if (r->kind == PUBLISH_SPF) {
        const char *wrong = judge_spf(r, text);
        return (struct publish_verdict){wrong ? PUBLISH_WRONG : PUBLISH_FINE, .advice = wrong};
    }
    if (!dkim_tags_parse(text, &tags))
        return (struct publish_verdict){PUBLISH_WRONG, .advice = "it is malformed"};
    if (r->kind == PUBLISH_DMARC) {
        const struct dkim_tag *p = dkim_tags_find(&tags, "p");
        if (!p || (!slice_eq_nocase(p->value, SLICE("none")) && !slice_eq_nocase(p->value, SLICE("quarantine")) && !slice_eq_nocase(p->value, SLICE("reject"))))
            return (struct publish_verdict){PUBLISH_WRONG, .advice = "p= must be none, quarantine or reject"};
        return (struct publish_verdict){PUBLISH_FINE, .advice = slice_eq_nocase(p->value, SLICE("none")) ? "p=none only watches: nobody is stopped from writing in the domain's name" : NULL};
    }
    bool whole = dkim_tags_find(&tags, r->kind == PUBLISH_MTA_STS ? "id" : "rua") != NULL;
    return (struct publish_verdict){whole ? PUBLISH_FINE : PUBLISH_WRONG, .advice = whole ? NULL : r->kind == PUBLISH_MTA_STS ? "id= is missing" : "rua= is missing"};
}

/* Blanks between tags and inside p= do not count. */
static bool same_key(struct slice a, struct slice b)
{
    struct dkim_tags one, two;
    if (!dkim_tags_parse(a, &one) || !dkim_tags_parse(b, &two))
        return false;
    const struct dkim_tag *p = dkim_tags_find(&one, "p"), *q = dkim_tags_find(&two, "p");
    if (!p || !q)
        return false;
    size_t i = 0, k = 0;
    for (;;) {
        while (i < p->value.n && ascii_is_space(p->value.p[i]))
            i++;
        while (k < q->value.n && ascii_is_space(q->value.p[k]))
            k++;
        if (i == p->value.n || k == q->value.n)
            return i == p->value.n && k == q->value.n;
        if (p->value.p[i++] != q->value.p[k++])
            return false;
    }
}

static struct publish_verdict judge_dkim(const struct publish_record *r, const struct dns_answer *x)
{
    if (x->n > 1)
        return (struct publish_verdict){PUBLISH_WRONG, .advice = "there are several records; a verifier takes any of them"};
    bool same = same_key(r->text, x->records[0].data);
    return (struct publish_verdict){same ? PUBLISH_FINE : PUBLISH_WRONG, .advice = same ? NULL : "it is another key, or was cut: a TXT string holds 255 octets, a longer text is several strings"};
}

static struct publish_verdict judge_hosts(const struct publish_record *r, const struct dns_answer *x)
{
    size_t ours = 0;
    bool right_port = true;
    for (size_t i = 0; i < x->n; i++) {
        bool same = same_name(x->records[i].data, r->text);
        ours += same;
        right_port &= !same || r->type != DNS_SRV || x->records[i].port == r->port;
    }
    if (!ours)
        return (struct publish_verdict){PUBLISH_WRONG, .advice = r->kind == PUBLISH_PTR ? "large providers refuse mail from an address whose name is another; whoever gives you the address sets it" : "it leads elsewhere"};
    if (!right_port)
        return (struct publish_verdict){PUBLISH_WRONG, .advice = "it names another port"};
    return (struct publish_verdict){PUBLISH_FINE, .advice = r->kind == PUBLISH_MX && ours < x->n ? "other servers take the domain's mail as well" : NULL};
}

/* CAA: flags, length of tag, tag, value (RFC 8659 4.1). */
static struct publish_verdict judge_caa(const struct publish_record *r, const struct dns_answer *x)
{
    bool any = false;
    for (size_t i = 0; i < x->n; i++) {
        struct slice d = x->records[i].data;
        size_t tag = d.n > 1 ? (unsigned char)d.p[1] : 0;
        if (d.n < 2 + tag || !slice_eq_nocase(slice_make(d.p + 2, tag), SLICE("issue")))
            continue;
        struct slice value = slice_after(d, 2 + tag);
        any = true;
        if (slice_eq_nocase(slice_trim(slice_first(value, slice_find(value, ';'))), r->text))
            return (struct publish_verdict){PUBLISH_FINE, .advice = NULL};
    }
    return (struct publish_verdict){any ? PUBLISH_WRONG : PUBLISH_MISSING, .advice = any ? "it does not allow the one who issued the certificate in use: the next one will be refused" : NULL};
}

static struct publish_verdict judge_tlsa(const struct publish_record *r, const struct dns_answer *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (slice_eq(x->records[i].data, r->text))
            return (struct publish_verdict){PUBLISH_FINE, .advice = x->secure ? NULL : "DNSSEC does not sign it (as far as this server's resolver can tell): nobody uses it"};
    return (struct publish_verdict){PUBLISH_WRONG, .advice = x->secure ? "it is of another key: servers that check DANE refuse to deliver here" : "it is of another key"};
}

static struct publish_verdict judge_found(const struct publish_record *r, const struct dns_answer *x)
{
    switch (r->kind) {
    case PUBLISH_SPF:
        return judge_version(r, x, "v=spf1");
    case PUBLISH_DMARC:
        return judge_version(r, x, "v=DMARC1");
    case PUBLISH_MTA_STS:
        return judge_version(r, x, "v=STSv1");
    case PUBLISH_TLS_RPT:
        return judge_version(r, x, "v=TLSRPTv1");
    case PUBLISH_DKIM:
        return judge_dkim(r, x);
    case PUBLISH_CAA:
        return judge_caa(r, x);
    case PUBLISH_TLSA:
        return judge_tlsa(r, x);
    case PUBLISH_ADDRESS:
        return (struct publish_verdict){PUBLISH_FINE, .advice = NULL};
    default:
        return judge_hosts(r, x);
    }
}

struct publish_verdict publish_judge(const struct publish_record *r, const struct dns_answer *x, struct arena *a)
{
    struct publish_verdict v;
    if (x->status == DNS_TEMPERROR)
        return (struct publish_verdict){PUBLISH_UNKNOWN, SLICE(""), "the DNS did not answer; try again later"};
    if (r->kind == PUBLISH_CNAME && x->status == DNS_NODATA)
        return (struct publish_verdict){PUBLISH_FINE, SLICE(""), "the name has records of its own instead of a CNAME"};
    if (dns_is_void(x))
        return (struct publish_verdict){PUBLISH_MISSING, SLICE(""), NULL};
    v = judge_found(r, x);
    v.found = show_all(r, x, a);
    return v;
}
