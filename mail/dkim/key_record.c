/* mail/dkim/key_record.c -- a TXT record into a public key (RFC 6376 3.6.1, 6.1.2) */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/cleanup.h"
#include "mail/dkim/internal.h"
#include "mail/dkim/key.h"
#include "mail/dkim/tags.h"
#include "mail/mime/decode.h"

/* attacks.md MA-06: odd, 3 to 2^32: a huge exponent is only there to cost time. */
static bool exponent_is_sane(const EVP_PKEY *pkey)
{
    BIGNUM *e = NULL;
    bool sane = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 32;
    BN_free(e);
    return sane;
}

/* SubjectPublicKeyInfo as everybody publishes it, or the bare RSAPublicKey that the RFC's text names (erratum 3017 knows both). */
static const char *read_rsa(struct slice der, struct dkim_record *out)
{
    const unsigned char *p = (const unsigned char *)der.p, *end = p + der.n;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)der.n);
    if (!pkey) {
        p = (const unsigned char *)der.p;
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)der.n);
    }
    ERR_clear_error();
    if (!pkey)
        return "the key's data are no RSA public key";
    out->key.pkey = pkey;
    if (p != end || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
        return "the key's data are no RSA public key";
    int bits = EVP_PKEY_get_bits(pkey);
    out->bits = bits > 0 ? (unsigned)bits : 0;
    return exponent_is_sane(pkey) ? NULL : "the key's exponent is absurd";
}

static const char *read_ed25519(struct slice raw, struct dkim_record *out)
{
    out->bits = 256;
    if (raw.n == 32)
        out->key.pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)raw.p, raw.n);
    ERR_clear_error();
    return out->key.pkey ? NULL : "the key's data are no Ed25519 public key";
}

static const char *read_public(struct slice text, struct dkim_record *out)
{
    SCOPED(buffer_free)
    struct buffer bytes = {0};
    if (!dkim_base64(text, &bytes))
        return "the key's data are no base64";
    struct slice raw = buffer_slice(&bytes);
    if (raw.n == 0) {
        out->revoked = true;
        return NULL;
    }
    return out->key.kind == DKIM_ED25519 ? read_ed25519(raw, out) : read_rsa(raw, out);
}

static struct slice value_of(const struct dkim_tags *tags, const char *name)
{
    const struct dkim_tag *tag = dkim_tags_find(tags, name);
    return tag ? tag->value : slice_make(NULL, 0);
}

static const char *read_record(struct slice text, struct dkim_record *out)
{
    struct dkim_tags tags;
    if (text.n > DKIM_RECORD_MAX || !dkim_tags_parse(text, &tags))
        return "the key record is malformed";
    struct slice version = value_of(&tags, "v"), kind = value_of(&tags, "k"), data = value_of(&tags, "p");
    struct slice flags = value_of(&tags, "t"), services = value_of(&tags, "s");
    if (version.p && (!slice_eq(version, SLICE("DKIM1")) || !slice_eq(tags.tags[0].name, SLICE("v"))))
        return "the key record's version is not DKIM1";
    if (kind.p && !slice_eq_nocase(kind, SLICE("rsa")) && !slice_eq_nocase(kind, SLICE("ed25519")))
        return "the key record's type of key is unknown";
    if (!data.p)
        return "the key record holds no key";
    out->key.kind = kind.p && slice_eq_nocase(kind, SLICE("ed25519")) ? DKIM_ED25519 : DKIM_RSA;
    out->testing = flags.p && dkim_list_has(flags, SLICE("y"));
    out->same_domain = flags.p && dkim_list_has(flags, SLICE("s"));
    out->email = !services.p || dkim_list_has(services, SLICE("*")) || dkim_list_has(services, SLICE("email"));
    out->hashes = value_of(&tags, "h");
    return read_public(data, out);
}

const char *dkim_record_parse(struct slice text, struct dkim_record *out)
{
    memset(out, 0, sizeof *out);
    const char *wrong = read_record(text, out);
    if (wrong)
        dkim_key_free(&out->key);
    return wrong;
}
