/* mail/relay/tls.c -- TLS as a client of other servers: opportunistic (RFC 7435), so certificates are taken as they come */
#include <openssl/ssl.h>

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
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
}

struct ssl_st *relay_tls_new(const char *name)
{
    (void)pthread_once(&once, make_context);
    SSL *ssl = context ? SSL_new(context) : NULL;
    if (ssl)
        (void)SSL_set_tlsext_host_name(ssl, name);
    return ssl;
}
