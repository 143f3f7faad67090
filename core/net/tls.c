/* core/net/tls.c -- certificates, SNI, reload, channel binding (RFC 9325 for the choices) */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/net/internal.h"

/* One generation of certificates. Connections hold references to their SSL_CTX, so a generation may go while they live. */
struct tls_set {
    size_t n;
    SSL_CTX *contexts[];
};

static void set_free(struct tls_set *set)
{
    for (size_t i = 0; set && i < set->n; i++)
        SSL_CTX_free(set->contexts[i]);
    free(set);
}

/* Chooses by the name the client asked for; the default certificate when none fits (the client decides whether it likes that). */
static int choose_by_name(SSL *ssl, int *alert, void *arg)
{
    struct net *n = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    size_t length = strlen(name);
    if (length && name[length - 1] == '.') /* clients.md A19: Outlook's cloud sends a trailing dot */
        length--;
    (void)pthread_rwlock_rdlock(&n->tls_lock);
    for (size_t i = 0; n->tls && i < n->tls->n; i++) {
        if (X509_check_host(SSL_CTX_get0_certificate(n->tls->contexts[i]), name, length, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1) {
            (void)SSL_set_SSL_CTX(ssl, n->tls->contexts[i]);
            break;
        }
    }
    (void)pthread_rwlock_unlock(&n->tls_lock);
    return SSL_TLSEXT_ERR_OK;
}

/* attacks.md TL-01: a client that wants another protocol was led here by somebody; one that names none is a mail program of the usual kind. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered, unsigned n, void *arg)
{
    const struct service *service = SSL_get_app_data(ssl);
    struct slice own = slice_of(service->protocol->name);
    (void)arg;
    for (unsigned i = 0; i < n; i += 1U + offered[i]) {
        if (i + 1U + offered[i] > n || !slice_eq(slice_make((const char *)offered + i + 1, offered[i]), own))
            continue;
        *out = offered + i + 1;
        *length = offered[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void set_rules(struct net *n, SSL_CTX *ctx)
{
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL");
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, choose_by_name);
    (void)SSL_CTX_set_tlsext_servername_arg(ctx, n);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
}

/* attacks.md TL-07: at a reload an expired certificate does not take the place of another; the one that is in use already may stay. At start it
 * is better than none: mail from servers that do not look goes on. */
static struct error check_dates(const struct net *n, X509 *cert, const char *path, struct arena *a)
{
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) >= 0)
        return OK;
    int known = n->tls == NULL;
    for (size_t i = 0; n->tls && i < n->tls->n; i++)
        known = known || X509_cmp(SSL_CTX_get0_certificate(n->tls->contexts[i]), cert) == 0;
    if (!known)
        return error_make(ERROR_INVALID, arena_printf(a, "the certificate %s has expired", path));
    LOG_EVENT(LOG_WARN, "certificate-expired", LOG_WORD("file", path));
    return OK;
}

static struct error context_make(struct net *n, const struct certificate_files *files, struct arena *a, SSL_CTX **out)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return error_make(ERROR_MEMORY, "no memory for TLS");
    set_rules(n, ctx);
    ERR_clear_error();
    const char *wrong = NULL;
    if (SSL_CTX_use_certificate_chain_file(ctx, files->chain) != 1)
        wrong = arena_printf(a, "cannot read the certificate chain %s", files->chain);
    else if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
        wrong = arena_printf(a, "cannot read the private key %s", files->key);
    else if (SSL_CTX_check_private_key(ctx) != 1)
        wrong = arena_printf(a, "the private key %s does not belong to the certificate %s", files->key, files->chain);
    if (wrong) {
        const char *why = ERR_reason_error_string(ERR_peek_error());
        SSL_CTX_free(ctx);
        return error_make(ERROR_INVALID, arena_printf(a, "%s (%s)", wrong, why ? why : "is the file there, and may the server read it?"));
    }
    struct error e = check_dates(n, SSL_CTX_get0_certificate(ctx), files->chain, a);
    if (e.code != ERROR_NONE)
        SSL_CTX_free(ctx);
    else
        *out = ctx;
    return e;
}

struct error net_certificates(struct net *n, const struct certificate_files *files, size_t count, struct arena *a)
{
    struct tls_set *set = calloc(1, sizeof *set + count * sizeof(SSL_CTX *));
    if (!set)
        return error_make(ERROR_MEMORY, "no memory for certificates");
    for (; set->n < count; set->n++) {
        struct error e = context_make(n, &files[set->n], a, &set->contexts[set->n]);
        if (e.code != ERROR_NONE) {
            set_free(set);
            return e;
        }
    }
    (void)pthread_rwlock_wrlock(&n->tls_lock);
    struct tls_set *old = n->tls;
    n->tls = set;
    (void)pthread_rwlock_unlock(&n->tls_lock);
    set_free(old);
    return OK;
}

void tls_free(struct net *n)
{
    set_free(n->tls);
    n->tls = NULL;
}

static SSL *accept_new(struct net *n, const struct service *service)
{
    SSL *ssl = NULL;
    (void)pthread_rwlock_rdlock(&n->tls_lock);
    if (n->tls && n->tls->n)
        ssl = SSL_new(n->tls->contexts[0]);
    (void)pthread_rwlock_unlock(&n->tls_lock);
    if (!ssl)
        return NULL;
    (void)SSL_set_app_data(ssl, (void *)(uintptr_t)service);
    /* attacks.md TL-02: a ticket is good for the service that gave it */
    (void)SSL_set_session_id_context(ssl, (const unsigned char *)service->name, (unsigned)strlen(service->name));
    if (service->port == 25) { /* clients.md S24: session tickets made senders fall back or defer */
        (void)SSL_set_options(ssl, SSL_OP_NO_TICKET);
        (void)SSL_set_num_tickets(ssl, 0);
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

SSL *tls_new(struct connection *c)
{
    SSL *ssl = c->outgoing ? (c->protocol->tls ? c->protocol->tls(c) : NULL) : accept_new(c->net, c->listener->service);
    if (!ssl || SSL_set_fd(ssl, c->inner->fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (c->outgoing)
        SSL_set_connect_state(ssl);
    return ssl;
}

static struct slice end_point(SSL *ssl, struct arena *a)
{
    /* RFC 5929 4.1: the hash of the certificate's signature, SHA-256 in place of MD5 and SHA-1 */
    X509 *cert = SSL_get_certificate(ssl);
    int digest = NID_undef;
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!cert || X509_get_signature_info(cert, &digest, NULL, NULL, NULL) != 1 || digest == NID_undef || digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(digest);
    if (!cert || !md || X509_digest(cert, md, bytes, &n) != 1)
        return SLICE("");
    return arena_copy(a, slice_make((const char *)bytes, n));
}

void connection_bindings(struct connection *c, struct arena *a, struct slice *exporter, struct slice *unique, struct slice *endpoint)
{
    SSL *ssl = c->inner->ssl;
    unsigned char bytes[64];
    *exporter = *unique = *endpoint = SLICE("");
    if (!ssl)
        return;
    *endpoint = end_point(ssl, a);
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 4.2 */
    if (SSL_version(ssl) >= TLS1_3_VERSION) {
        if (SSL_export_keying_material(ssl, bytes, 32, label, sizeof label - 1, (const unsigned char *)"", 0, 1) == 1)
            *exporter = arena_copy(a, slice_make((const char *)bytes, 32));
    } else if (SSL_get_extms_support(ssl) == 1) {
        size_t n = SSL_session_reused(ssl) ? SSL_get_finished(ssl, bytes, sizeof bytes) : SSL_get_peer_finished(ssl, bytes, sizeof bytes);
        *unique = arena_copy(a, slice_make((const char *)bytes, n < sizeof bytes ? n : sizeof bytes)); /* RFC 5929 3.1 */
    }
}

const char *connection_tls_text(struct connection *c, struct arena *a)
{
    SSL *ssl = c->inner->ssl;
    if (!ssl)
        return NULL;
    return arena_printf(a, "%s with cipher %s (%d bits)", SSL_get_version(ssl), SSL_get_cipher_name(ssl), SSL_get_cipher_bits(ssl, NULL));
}
