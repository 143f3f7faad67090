/* core/kantord/certificate.c -- certificates from the configuration, or one of our own for a first start */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/kantord/internal.h"

enum { DAYS = 3650 };

static struct error add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = x && X509_add_ext(cert, x, -1) == 1;
    X509_EXTENSION_free(x);
    return ok ? OK : error_make(ERROR_IO, "cannot make a certificate");
}

static struct error fill(X509 *cert, EVP_PKEY *key, const char *hostname, struct arena *a)
{
    X509_NAME *name = X509_get_subject_name(cert);
    const char *names = arena_printf(a, "DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1", hostname);
    if (!names || X509_set_version(cert, 2) != 1 || !ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) || !X509_gmtime_adj(X509_getm_notBefore(cert), -3600) ||
        !X509_gmtime_adj(X509_getm_notAfter(cert), (long)DAYS * 86400) || X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)hostname, -1, -1, 0) != 1 ||
        X509_set_issuer_name(cert, name) != 1 || X509_set_pubkey(cert, key) != 1)
        return error_make(ERROR_IO, "cannot make a certificate");
    TRY(add_extension(cert, NID_subject_alt_name, names));
    TRY(add_extension(cert, NID_basic_constraints, "CA:FALSE"));
    return X509_sign(cert, key, EVP_sha256()) ? OK : error_make(ERROR_IO, "cannot sign a certificate");
}

/* What was written into a memory BIO, durably. The key is written before the chain: where there is a chain there is its key, also after a power cut. */
static struct error save(BIO *pem, const char *path, mode_t mode, struct arena *a)
{
    char *bytes;
    long n = BIO_get_mem_data(pem, &bytes);
    struct error e = durable_file(path, slice_make(bytes, n > 0 ? (size_t)n : 0), mode);
    return e.code == ERROR_NONE ? OK : error_make(e.code, arena_printf(a, "cannot write %s: %m", path));
}

static struct error self_sign(const char *chain, const char *key_path, const char *hostname, struct arena *a)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    struct error e = key && cert ? fill(cert, key, hostname, a) : error_make(ERROR_MEMORY, "no memory for a certificate");
    BIO *k = BIO_new(BIO_s_mem()), *c = BIO_new(BIO_s_mem());
    if (e.code == ERROR_NONE && (!k || !c || PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) != 1 || PEM_write_bio_X509(c, cert) != 1))
        e = error_make(ERROR_MEMORY, "no memory for a certificate");
    if (e.code == ERROR_NONE)
        e = save(k, key_path, 0600, a);
    if (e.code == ERROR_NONE)
        e = save(c, chain, 0644, a);
    BIO_free(k);
    BIO_free(c);
    EVP_PKEY_free(key);
    X509_free(cert);
    return e;
}

struct error certificate_files_of(const struct config *config, const char *hostname, struct arena *a, struct certificate_files **files, size_t *n)
{
    struct slice rest = slice_of(config->tls_certificates);
    *n = 0;
    *files = arena_zero(a, 64, sizeof **files);
    if (!*files)
        return error_make(ERROR_MEMORY, "no memory for certificates");
    while (rest.n && *n < 64) {
        struct slice one = slice_first(rest, slice_find(rest, ','));
        rest = slice_after(rest, one.n + 1);
        one = slice_trim(one);
        size_t colon = slice_find(one, ':');
        if (one.n == 0)
            continue;
        if (colon == one.n)
            return error_make(ERROR_INVALID, "tls.certificates: write each pair as chain.pem:key.pem");
        (*files)[(*n)++] = (struct certificate_files){arena_string(a, slice_first(one, colon)), arena_string(a, slice_after(one, colon + 1))};
    }
    if (*n)
        return OK;
    (*files)[0] = (struct certificate_files){arena_printf(a, "%s/tls.crt", config->data_dir), arena_printf(a, "%s/tls.key", config->data_dir)};
    *n = 1;
    return access((*files)[0].chain, F_OK) == 0 ? OK : self_sign((*files)[0].chain, (*files)[0].key, hostname, a);
}
