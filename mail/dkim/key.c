/* mail/dkim/key.c -- private keys, signing and verifying of digests */
#include "mail/dkim/key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/cleanup.h"
#include "mail/mime/decode.h"

enum { RSA_BITS_MIN = 1024,
       RSA_BITS_MAX = 4096,
       STRING_MAX = 255 };

static void context_free(EVP_PKEY_CTX **c)
{
    EVP_PKEY_CTX_free(*c);
}

static void bio_free(BIO **b)
{
    (void)BIO_free(*b);
}

const char *dkim_key_word(enum dkim_key_kind kind)
{
    return kind == DKIM_ED25519 ? "ed25519" : "rsa";
}

struct error dkim_key_generate(enum dkim_key_kind kind, struct dkim_key *out)
{
    out->kind = kind;
    out->pkey = kind == DKIM_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)DKIM_RSA_BITS);
    ERR_clear_error();
    return out->pkey ? OK : error_make(ERROR_IO, "the key could not be made");
}

/* No terminal is asked for a passphrase. */
static int no_passphrase(char *to, int size, int writing, void *context)
{
    (void)to, (void)size, (void)writing, (void)context;
    return -1;
}

struct error dkim_key_read(struct slice pem, struct dkim_key *out)
{
    out->pkey = NULL;
    if (pem.n > 16384)
        return error_make(ERROR_INVALID, "a DKIM key is no longer than 16 KiB");
    SCOPED(bio_free)
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    ERR_clear_error();
    if (!pkey)
        return error_make(ERROR_INVALID, "not a private key in PEM form without a passphrase");
    int id = EVP_PKEY_get_base_id(pkey), bits = EVP_PKEY_get_bits(pkey);
    if (id != EVP_PKEY_ED25519 && (id != EVP_PKEY_RSA || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) {
        EVP_PKEY_free(pkey);
        return error_make(ERROR_INVALID, "a DKIM key is Ed25519, or RSA of 1024 to 4096 bits");
    }
    *out = (struct dkim_key){id == EVP_PKEY_ED25519 ? DKIM_ED25519 : DKIM_RSA, pkey};
    return OK;
}

struct error dkim_key_pem(const struct dkim_key *key, struct buffer *out)
{
    SCOPED(bio_free)
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return error_make(ERROR_MEMORY, "the key could not be written");
    long n = BIO_get_mem_data(bio, &text);
    buffer_add(out, slice_make(text, n > 0 ? (size_t)n : 0));
    return out->failed ? error_make(ERROR_MEMORY, "out of memory") : OK;
}

struct error dkim_key_record(const struct dkim_key *key, struct buffer *out)
{
    unsigned char raw[32], *der = raw;
    size_t n = sizeof raw;
    if (key->kind == DKIM_ED25519) { /* RFC 8463 4: the 32 octets, no ASN.1 around them */
        if (EVP_PKEY_get_raw_public_key(key->pkey, raw, &n) != 1)
            return error_make(ERROR_INVALID, "the key has no public half");
    } else {
        unsigned char *made = NULL;
        int length = i2d_PUBKEY(key->pkey, &made);
        if (length <= 0)
            return error_make(ERROR_MEMORY, "the public key could not be written");
        der = made;
        n = (size_t)length;
    }
    buffer_printf(out, "v=DKIM1; k=%s; p=", dkim_key_word(key->kind));
    base64_encode(slice_make((const char *)der, n), out);
    if (der != raw)
        OPENSSL_free(der);
    return out->failed ? error_make(ERROR_MEMORY, "out of memory") : OK;
}

void dkim_zone_text(struct slice record, struct buffer *out)
{
    do {
        struct slice string = slice_first(record, STRING_MAX);
        buffer_add_char(out, '"');
        for (size_t i = 0; i < string.n; i++) {
            if (string.p[i] == '"' || string.p[i] == '\\')
                buffer_add_char(out, '\\');
            buffer_add_char(out, string.p[i]);
        }
        buffer_add_char(out, '"');
        record = slice_after(record, string.n);
        if (record.n)
            buffer_add_char(out, ' ');
    } while (record.n);
}

void dkim_key_free(struct dkim_key *key)
{
    EVP_PKEY_free(key->pkey);
    key->pkey = NULL;
}

static bool padding_set(EVP_PKEY_CTX *c, enum dkim_hash hash)
{
    return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(c, hash == DKIM_SHA1 ? EVP_sha1() : EVP_sha256()) == 1;
}

static struct error sign_ed25519(EVP_PKEY *pkey, struct slice digest, unsigned char *signature, size_t *n)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool done = md && EVP_DigestSignInit(md, NULL, NULL, NULL, pkey) == 1 &&
                EVP_DigestSign(md, signature, n, (const unsigned char *)digest.p, digest.n) == 1;
    EVP_MD_CTX_free(md);
    return done ? OK : error_make(ERROR_IO, "signing failed");
}

struct error dkim_key_sign(const struct dkim_key *key, enum dkim_hash hash, struct slice digest, unsigned char *signature, size_t *n)
{
    if (key->kind == DKIM_ED25519)
        return sign_ed25519(key->pkey, digest, signature, n);
    SCOPED(context_free)
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key->pkey, NULL);
    bool done = c && EVP_PKEY_sign_init(c) == 1 && padding_set(c, hash) &&
                EVP_PKEY_sign(c, signature, n, (const unsigned char *)digest.p, digest.n) == 1;
    ERR_clear_error();
    return done ? OK : error_make(ERROR_IO, "signing failed");
}

bool dkim_key_verify(const struct dkim_key *key, enum dkim_hash hash, struct slice digest, struct slice signature)
{
    const unsigned char *s = (const unsigned char *)signature.p, *d = (const unsigned char *)digest.p;
    bool right = false;
    if (key->kind == DKIM_ED25519) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        right = md && EVP_DigestVerifyInit(md, NULL, NULL, NULL, key->pkey) == 1 && EVP_DigestVerify(md, s, signature.n, d, digest.n) == 1;
        EVP_MD_CTX_free(md);
    } else {
        SCOPED(context_free)
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key->pkey, NULL);
        right = c && EVP_PKEY_verify_init(c) == 1 && padding_set(c, hash) && EVP_PKEY_verify(c, s, signature.n, d, digest.n) == 1;
    }
    ERR_clear_error();
    return right;
}
