/* core/kantord/operations_dns.c -- domain dns: every record to publish as a zone file has it, and what the DNS shows instead */
#include "core/kantord/operations_dns.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "core/cleanup.h"
#include "core/options.h"

enum { ADDRESSES_MAX = 16 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for DNS records")

/* Who issues certificates by himself, and the name that CAA gives him. */
static const struct {
    const char *organisation, *name;
} issuers[] = {{"Let's Encrypt", "letsencrypt.org"}, {"ZeroSSL", "sectigo.com"}, {"Sectigo Limited", "sectigo.com"}, {"Google Trust Services", "pki.goog"}, {"DigiCert Inc", "digicert.com"},
               {"Buypass AS-983163327", "buypass.com"}, {"GlobalSign nv-sa", "globalsign.com"}, {"Actalis S.p.A.", "actalis.it"}};

/* The first pair of tls.certificates, or our own. */
static const char *certificate_path(const struct config *c, struct arena *a)
{
    struct slice first = slice_of(c->tls_certificates);
    first = slice_trim(slice_first(first, slice_find(first, ',')));
    if (first.n)
        return arena_string(a, slice_trim(slice_first(first, slice_find(first, ':'))));
    return arena_printf(a, "%s/tls.crt", c->data_dir);
}

static void read_issuer(X509 *cert, struct publish_facts *f, struct arena *a)
{
    char organisation[200] = "";
    if (X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_organizationName, organisation, sizeof organisation) <= 0)
        return;
    for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++)
        if (strcmp(organisation, issuers[i].organisation) == 0)
            f->ca = arena_copy(a, slice_of(issuers[i].name));
}

/* What cannot be read leaves TLSA and CAA out. */
static void read_certificate(const char *path, struct publish_facts *f, struct arena *a)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    unsigned char *der = NULL;
    unsigned n = 0;
    if (cert) {
        int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
        f->has_tlsa = length > 0 && EVP_Digest(der, (size_t)length, f->spki, &n, EVP_sha256(), NULL) == 1 && n == 32;
        read_issuer(cert, f, a);
    }
    ERR_clear_error();
    OPENSSL_free(der);
    X509_free(cert);
    if (file)
        (void)fclose(file);
}

static struct error read_facts(struct operation_call *k, struct publish_facts *f)
{
    struct domain d;
    struct domain_key *keys;
    const struct config *c = k->server->config;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    *f = (struct publish_facts){.host = slice_of(k->server->hostname), .ca = SLICE("")};
    TRY(operation_domain(k, db, k->words[2], &d));
    TRY(domain_key_list(db, d.id, k->arena, &keys, &f->n_keys));
    f->domain = d.name;
    f->keys = keys;
    f->port_base = c ? c->port_base : 0;
    if (c)
        read_certificate(certificate_path(c, k->arena), f, k->arena);
    return OK;
}

static const char *type_word(enum dns_type type)
{
    static const struct {
        enum dns_type type;
        const char *word;
    } words[] = {{DNS_A, "A"}, {DNS_AAAA, "AAAA"}, {DNS_MX, "MX"}, {DNS_TXT, "TXT"}, {DNS_SRV, "SRV"}, {DNS_CNAME, "CNAME"}, {DNS_CAA, "CAA"}, {DNS_TLSA, "TLSA"}, {DNS_PTR, "PTR"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].type == type)
            return words[i].word;
    return "?";
}

static struct error print(struct operation_call *k, const struct publish_facts *f, const struct publish_record *all, size_t n)
{
    SCOPED(buffer_free)
    struct buffer zone = {0};
    publish_zone(f, all, n, &zone);
    k->report.only_said = 1;
    report_list(&k->report, "name type data");
    for (size_t i = 0; i < n; i++) {
        if (!all[i].data.n)
            continue;
        report_text(&k->report, all[i].name);
        report_word(&k->report, type_word(all[i].type));
        report_text(&k->report, all[i].data);
    }
    struct slice text = buffer_slice(&zone);
    if (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    report_say(&k->report, "%.*s", SLICE_ARG(text));
    return zone.failed ? NO_MEMORY : OK;
}

/* --- --check */

/* Is what is missing needed so that mail works and is believed? The rest is said in a milder way. */
static bool is_needed(enum publish_kind kind)
{
    return kind == PUBLISH_MX || kind == PUBLISH_SPF || kind == PUBLISH_DKIM || kind == PUBLISH_DMARC || kind == PUBLISH_PTR;
}

static void tell(struct operation_call *k, const struct publish_record *r, const struct publish_verdict *v)
{
    struct slice write = v->state == PUBLISH_FINE ? SLICE("") : r->data.n ? r->data : r->text;
    report_word(&k->report, publish_state_word(v->state));
    report_text(&k->report, r->name);
    report_word(&k->report, type_word(r->type));
    report_text(&k->report, v->found);
    report_text(&k->report, write);
    report_word(&k->report, v->advice);
    report_say(&k->report, "%-8s%-6s%.*s%s%s", publish_state_word(v->state), type_word(r->type), SLICE_ARG(r->name), v->advice ? ": " : "", v->advice ? v->advice : "");
    if (v->state == PUBLISH_FINE)
        return;
    if (v->found.n)
        report_say(&k->report, "              there is: %.*s", SLICE_ARG(slice_first(v->found, 1000)));
    if (write.n)
        report_say(&k->report, "              write:    %.*s", SLICE_ARG(write));
}

struct checking {
    size_t wrong, missing, optional, unknown;
};

static void count(struct checking *c, const struct publish_record *r, enum publish_state state)
{
    c->wrong += state == PUBLISH_WRONG;
    c->unknown += state == PUBLISH_UNKNOWN;
    if (state == PUBLISH_MISSING)
        *(is_needed(r->kind) ? &c->missing : &c->optional) += 1;
}

/* The names of the host's addresses. */
static struct error check_pointers(struct operation_call *k, const struct publish_facts *f, const struct publish_record *pointers, size_t n, struct checking *c)
{
    struct dns_asked *asked = NULL;
    (void)f;
    if (!n)
        return OK;
    TRY(operation_ask(k, pointers, n, &asked));
    for (size_t i = 0; i < n; i++) {
        struct publish_verdict v = publish_judge(&pointers[i], resolver_answer(asked, i), k->arena);
        count(c, &pointers[i], v.state);
        tell(k, &pointers[i], &v);
    }
    resolver_forget(asked);
    return OK;
}

static struct error judge_all(struct operation_call *k, const struct publish_facts *f, const struct publish_record *all, size_t n, const struct dns_asked *asked, struct checking *c)
{
    struct publish_record pointers[ADDRESSES_MAX];
    size_t n_pointers = 0;
    for (size_t i = 0; i < n; i++) {
        const struct dns_answer *x = resolver_answer(asked, i);
        struct publish_verdict v = publish_judge(&all[i], x, k->arena);
        if (all[i].kind == PUBLISH_ADDRESS) {
            for (size_t a = 0; x->status == DNS_FOUND && a < x->n && n_pointers < ADDRESSES_MAX; a++)
                TRY(publish_ptr(f, x->records[a].data, k->arena, &pointers[n_pointers++]));
            if (v.state == PUBLISH_MISSING && all[i].type == DNS_AAAA)
                continue; /* a server without IPv6 is one, too */
        }
        count(c, &all[i], v.state);
        tell(k, &all[i], &v);
    }
    return check_pointers(k, f, pointers, n_pointers, c);
}

static struct error check(struct operation_call *k, const struct publish_facts *f, const struct publish_record *all, size_t n)
{
    struct dns_asked *asked = NULL;
    struct checking c = {0};
    TRY(operation_ask(k, all, n, &asked));
    k->report.only_said = 1;
    report_list(&k->report, "state name type found write advice");
    struct error e = judge_all(k, f, all, n, asked, &c);
    if (e.code == ERROR_NONE)
        e = operation_note_keys(k, all, n, asked);
    resolver_forget(asked);
    TRY(e);
    if (c.wrong + c.missing + c.optional + c.unknown == 0)
        report_say(&k->report, "everything is published");
    else
        report_say(&k->report, "%zu wrong, %zu missing, %zu more would be good, %zu without an answer; `kantorctl domain dns %.*s` prints all", c.wrong, c.missing, c.optional, c.unknown,
                   SLICE_ARG(f->domain));
    return OK;
}

struct error run_domain_dns(struct operation_call *k)
{
    struct publish_facts f;
    struct publish_record *all = arena_zero(k->arena, PUBLISH_MAX, sizeof *all);
    size_t n;
    if (!all)
        return NO_MEMORY;
    TRY(read_facts(k, &f));
    TRY(publish_list(&f, k->arena, all, &n));
    return operation_option(k, "check").p ? check(k, &f, all, n) : print(k, &f, all, n);
}
