/* mail/relay/tls.c -- TLS as a client of other servers: what a host's certificate must show (RFC 7435, RFC 7672, RFC 3207)
 *
 * Every certificate is checked against the host's name, or its TLSA records, and what is wrong is noted; only DANE and VERIFY end the handshake for it. So
 * a message or a password that needs a proven name can look, and opportunistic TLS works with any certificate.
 */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "mail/relay/internal.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static SSL_CTX *context;

static void make_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return;
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_default_verify_paths(context); /* the system's; SSL_CERT_FILE names others */
    (void)SSL_CTX_dane_enable(context);
}

static int on_certificate(int ok, X509_STORE_CTX *x)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct relay_proof *proof = SSL_get_app_data(ssl);
    if (!ok && !proof->wrong)
        proof->wrong = X509_STORE_CTX_get_error(x);
    return ok || !proof->needed;
}

static bool add_tlsa(SSL *ssl, const struct route_host *h)
{
    bool usable = false;
    for (size_t i = 0; i < h->n_tlsa; i++) {
        struct slice r = h->tlsa[i].data;
        const unsigned char *b = (const unsigned char *)r.p;
        usable = SSL_dane_tlsa_add(ssl, b[0], b[1], b[2], b + 3, r.n - 3) == 1 || usable;
    }
    return usable;
}

static bool set_name(SSL *ssl, struct slice name, struct arena *a)
{
    char *text = arena_string(a, name);
    if (!text || name.n == 0)
        return false;
    if (text[0] != '[')
        return SSL_set1_host(ssl, text) == 1 && SSL_set_tlsext_host_name(ssl, text) == 1;
    text[name.n - 1] = '\0'; /* a literal has no SNI (RFC 6066 3) */
    char *address = slice_starts_nocase(name, SLICE("[IPv6:")) ? text + 6 : text + 1;
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address) == 1;
}

static bool set_dane(SSL *ssl, const struct route_host *h, struct arena *a)
{
    const char *base = arena_string(a, h->base), *next_hop = arena_string(a, h->next_hop);
    if (!base || !next_hop || SSL_dane_enable(ssl, base) != 1)
        return false;
    (void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS); /* RFC 7672 3.1.1 */
    return h->next_hop.n == 0 || SSL_add1_host(ssl, next_hop) == 1;
}

struct ssl_st *relay_tls_new(const struct route_host *h, struct relay_proof *proof)
{
    struct arena a;
    (void)pthread_once(&once, make_context);
    SSL *ssl = context ? SSL_new(context) : NULL;
    if (!ssl)
        return NULL;
    arena_init(&a, 4096);
    bool dane = h->tls == TRANSPORT_TLS_DANE;
    bool good = dane ? set_dane(ssl, h, &a) : set_name(ssl, h->name, &a);
    arena_free(&a);
    /* Records that OpenSSL cannot use, all of them: TLS is a must, the name is not (RFC 7672 2.2). */
    *proof = (struct relay_proof){.needed = h->tls == TRANSPORT_TLS_VERIFY || (dane && good && add_tlsa(ssl, h))};
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    (void)SSL_set_app_data(ssl, proof);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, on_certificate);
    if (good)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

const char *relay_tls_wrong(const struct relay_proof *proof)
{
    return X509_verify_cert_error_string(proof->wrong);
}

bool relay_tls_must(const struct route_host *h)
{
    return h->tls == TRANSPORT_TLS_ENCRYPT || h->tls == TRANSPORT_TLS_DANE || h->tls == TRANSPORT_TLS_VERIFY;
}
