/* mail/signing/publish.c -- the table of records, and their text for a zone file */
#include "mail/signing/publish.h"

#include "mail/dkim/key.h"

enum { TTL = 3600 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for DNS records")

/* %H the host, %D the domain. */
static const struct {
    enum publish_kind kind;
    enum dns_type type;
    const char *below; /* name under the domain; "" for the domain itself */
    const char *text;
    unsigned priority, port;
    const char *purpose;
} rows[] = {
    {PUBLISH_MX, DNS_MX, "", "%H", 10, 0, "mail for the domain comes to this server"},
    {PUBLISH_SPF, DNS_TXT, "", "v=spf1 mx -all", 0, 0, "who sends for the domain: its mail servers, nobody else (SPF)"},
    {PUBLISH_DMARC, DNS_TXT, "_dmarc", "v=DMARC1; p=quarantine; rua=mailto:postmaster@%D", 0, 0, "what others do with mail that fails both, and where reports go (DMARC)"},
    {PUBLISH_MTA_STS, DNS_TXT, "_mta-sts", "v=STSv1; id=1", 0, 0, "there is a policy file (MTA-STS, see below); another id whenever it changes"},
    {PUBLISH_TLS_RPT, DNS_TXT, "_smtp._tls", "v=TLSRPTv1; rua=mailto:postmaster@%D", 0, 0, "where reports of failed TLS go"},
    {PUBLISH_SRV, DNS_SRV, "_submissions._tcp", "%H", 0, 465, "clients find their settings (RFC 6186, RFC 8314)"},
    {PUBLISH_SRV, DNS_SRV, "_submission._tcp", "%H", 10, 587, NULL},
    {PUBLISH_SRV, DNS_SRV, "_imaps._tcp", "%H", 0, 993, NULL},
    {PUBLISH_SRV, DNS_SRV, "_imap._tcp", "%H", 10, 143, NULL},
    {PUBLISH_SRV, DNS_SRV, "_pop3s._tcp", "%H", 20, 995, NULL},
    {PUBLISH_SRV, DNS_SRV, "_pop3._tcp", "%H", 30, 110, NULL},
    {PUBLISH_CNAME, DNS_CNAME, "autoconfig", "%H", 0, 0, "Thunderbird and others look there"},
    {PUBLISH_CNAME, DNS_CNAME, "autodiscover", "%H", 0, 0, "Outlook looks there"},
    {PUBLISH_CNAME, DNS_CNAME, "mta-sts", "%H", 0, 0, "the policy file's host"},
};

static struct slice filled(const char *pattern, const struct publish_facts *f, struct arena *a)
{
    struct slice p = slice_of(pattern);
    size_t at = slice_find(p, '%');
    if (at == p.n)
        return p;
    struct slice name = p.p[at + 1] == 'H' ? f->host : f->domain;
    return slice_of(arena_printf(a, "%.*s%.*s%s", (int)at, p.p, SLICE_ARG(name), pattern + at + 2));
}

static struct slice quoted(struct slice text, struct arena *a)
{
    struct buffer b = {0};
    dkim_zone_text(text, &b);
    struct slice s = b.failed ? slice_make(NULL, 0) : arena_copy(a, buffer_slice(&b));
    buffer_free(&b);
    return s;
}

static struct slice data_of(const struct publish_record *r, unsigned priority, struct arena *a)
{
    switch (r->type) {
    case DNS_MX:
        return slice_of(arena_printf(a, "%u %.*s.", priority, SLICE_ARG(r->text)));
    case DNS_SRV:
        return slice_of(arena_printf(a, "%u 1 %u %.*s.", priority, r->port, SLICE_ARG(r->text)));
    case DNS_CNAME:
        return slice_of(arena_printf(a, "%.*s.", SLICE_ARG(r->text)));
    case DNS_CAA:
        return slice_of(arena_printf(a, "0 issue \"%.*s\"", SLICE_ARG(r->text)));
    default:
        return quoted(r->text, a);
    }
}

/* Adds a record whose kind, type, text, port, key and purpose stand there. */
static struct error add(const struct publish_facts *f, const char *below, unsigned priority, struct arena *a, struct publish_record *r)
{
    r->name = *below ? slice_of(arena_printf(a, "%s.%.*s", below, SLICE_ARG(f->domain))) : f->domain;
    if (r->text.p && !r->data.p)
        r->data = data_of(r, priority, a);
    return r->name.p && r->data.p ? OK : NO_MEMORY;
}

static struct error add_keys(const struct publish_facts *f, struct arena *a, struct publish_record *out, size_t *n)
{
    for (size_t i = 0; i < f->n_keys && *n < PUBLISH_MAX / 2; i++) {
        const struct domain_key *k = &f->keys[i];
        const char *below = arena_printf(a, "%.*s._domainkey", SLICE_ARG(k->selector));
        out[*n] = (struct publish_record){.kind = PUBLISH_DKIM, .type = DNS_TXT, .text = k->record, .key = k,
                                          .purpose = k->state == DOMAIN_KEY_RETIRED ? "signed until lately (DKIM): leave it until it is gone from here" : "signs what the domain sends (DKIM)"};
        if (!below)
            return NO_MEMORY;
        TRY(add(f, below, 0, a, &out[(*n)++]));
    }
    return OK;
}

static struct error add_certificate(const struct publish_facts *f, struct arena *a, struct publish_record *out, size_t *n)
{
    if (f->ca.n) {
        out[*n] = (struct publish_record){.kind = PUBLISH_CAA, .type = DNS_CAA, .text = f->ca, .purpose = "who may issue certificates"};
        TRY(add(f, "", 0, a, &out[(*n)++]));
    }
    if (!f->has_tlsa)
        return OK;
    char *wire = arena_alloc(a, 35), *hex = arena_alloc(a, 65);
    if (!wire || !hex)
        return NO_MEMORY;
    memcpy(wire, "\3\1\1", 3); /* DANE-EE, public key, SHA-256 (RFC 7672 3.1.1) */
    memcpy(wire + 3, f->spki, 32);
    for (size_t i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[f->spki[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[f->spki[i] & 15];
    }
    struct publish_record *r = &out[(*n)++];
    *r = (struct publish_record){.kind = PUBLISH_TLSA, .type = DNS_TLSA, .text = slice_make(wire, 35), .purpose = "the key of this server's certificate (DANE); of use only where DNSSEC signs the zone"};
    r->name = slice_of(arena_printf(a, "_25._tcp.%.*s", SLICE_ARG(f->host)));
    r->data = slice_of(arena_printf(a, "3 1 1 %.64s", hex));
    return r->name.p && r->data.p ? OK : NO_MEMORY;
}

struct error publish_list(const struct publish_facts *f, struct arena *a, struct publish_record out[PUBLISH_MAX], size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned port = rows[i].port ? rows[i].port + (unsigned)f->port_base : 0;
        out[*n] = (struct publish_record){.kind = rows[i].kind, .type = rows[i].type, .text = filled(rows[i].text, f, a), .port = port, .purpose = rows[i].purpose};
        if (!out[*n].text.p)
            return NO_MEMORY;
        TRY(add(f, rows[i].below, rows[i].priority, a, &out[(*n)++]));
        if (rows[i].kind == PUBLISH_SPF)
            TRY(add_keys(f, a, out, n));
    }
    TRY(add_certificate(f, a, out, n));
    out[(*n)++] = (struct publish_record){.kind = PUBLISH_ADDRESS, .type = DNS_A, .name = f->host, .data = SLICE(""), .text = SLICE("")};
    out[(*n)++] = (struct publish_record){.kind = PUBLISH_ADDRESS, .type = DNS_AAAA, .name = f->host, .data = SLICE(""), .text = SLICE("")};
    return OK;
}

struct error publish_ptr(const struct publish_facts *f, struct slice address, struct arena *a, struct publish_record *out)
{
    const unsigned char *b = (const unsigned char *)address.p;
    char *name = arena_alloc(a, 80), *to = name;
    if (!name)
        return NO_MEMORY;
    if (address.n == 4) {
        name = arena_printf(a, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
    } else {
        for (size_t i = address.n; i-- > 0;) {
            *to++ = "0123456789abcdef"[b[i] & 15];
            *to++ = '.';
            *to++ = "0123456789abcdef"[b[i] >> 4];
            *to++ = '.';
        }
        memcpy(to, "ip6.arpa", 9);
    }
    *out = (struct publish_record){.kind = PUBLISH_PTR, .type = DNS_PTR, .name = slice_of(name), .data = SLICE(""), .text = f->host};
    return name ? OK : NO_MEMORY;
}

static const char *type_word(enum dns_type type)
{
    return type == DNS_MX ? "MX" : type == DNS_TXT ? "TXT" : type == DNS_SRV ? "SRV" : type == DNS_CNAME ? "CNAME" : type == DNS_CAA ? "CAA" : "TLSA";
}

static void write_record(const struct publish_record *r, struct buffer *out)
{
    if (r->purpose)
        buffer_printf(out, "; %s\n", r->purpose);
    buffer_printf(out, "%.*s. %d IN %s ", SLICE_ARG(r->name), TTL, type_word(r->type));
    buffer_add(out, r->data);
    buffer_add_char(out, '\n');
}

void publish_zone(const struct publish_facts *f, const struct publish_record *all, size_t n, struct buffer *out)
{
    bool elsewhere = false;
    buffer_printf(out, "; %.*s, served by %.*s\n", SLICE_ARG(f->domain), SLICE_ARG(f->host));
    for (size_t i = 0; i < n; i++) {
        if (!all[i].data.n)
            continue;
        if (!dns_name_within(all[i].name, f->domain) && !elsewhere) {
            buffer_printf(out, "; in the zone of %.*s:\n", SLICE_ARG(f->host));
            elsewhere = true;
        }
        write_record(&all[i], out);
    }
    if (!f->ca.n)
        buffer_printf(out, "; CAA: add %.*s. IN CAA 0 issue \"...\" with the name of whoever issues your certificate\n", SLICE_ARG(f->domain));
    buffer_printf(out, "; MTA-STS: https://mta-sts.%.*s/.well-known/mta-sts.txt must say, with a certificate for that name:\n", SLICE_ARG(f->domain));
    buffer_printf(out, ";   version: STSv1\n;   mode: testing\n;   mx: %.*s\n;   max_age: 604800\n; (mode: enforce, once the reports are quiet)\n", SLICE_ARG(f->host));
    buffer_printf(out, "; Address and name of the server: %.*s needs A and AAAA, and each address a PTR that names %.*s\n", SLICE_ARG(f->host), SLICE_ARG(f->host));
    buffer_printf(out, "; (whoever gives you the address sets it). Calendars and address books are not served yet: no _caldavs and _carddavs.\n");
}
