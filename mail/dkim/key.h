/* mail/dkim/key.h -- keys and the records that publish them (RFC 6376 3.6, RFC 8301, RFC 8463)
 *
 * A private key is made, kept as PEM (PKCS #8) and read again; its public half is told as the text of a TXT record. A record from the DNS is read
 * into a public key. Keys hold memory of libcrypto: SCOPED(dkim_key_free). Thread: any, one owner at a time.
 */
#ifndef KANTOR_MAIL_DKIM_KEY_H
#define KANTOR_MAIL_DKIM_KEY_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/slice.h"
#include "mail/dkim/canon.h"

enum dkim_key_kind { DKIM_RSA,
                     DKIM_ED25519 };
enum { DKIM_SIGNATURE_MAX = 1024,
       DKIM_RSA_BITS = 2048,
       DKIM_RECORD_MAX = 8192 };

struct evp_pkey_st;

struct dkim_key {
    enum dkim_key_kind kind;
    struct evp_pkey_st *pkey; /* NULL: no key */
};

/* "rsa" or "ed25519". */
const char *dkim_key_word(enum dkim_key_kind kind);

/* RSA of 2048 bits, or Ed25519. Takes up to a second for RSA: worker. ERROR_IO when libcrypto has no randomness. */
struct error dkim_key_generate(enum dkim_key_kind kind, struct dkim_key *out);
/* ERROR_INVALID when it is no private key of these kinds, encrypted, or RSA below 1024 or above 4096 bits. */
struct error dkim_key_read(struct slice pem, struct dkim_key *out);
/* Adds the private key as PEM. The buffer holds a secret: clear it with explicit_bzero before freeing it. */
struct error dkim_key_pem(const struct dkim_key *key, struct buffer *out);
/* Adds the TXT record's text: "v=DKIM1; k=rsa; p=...". */
struct error dkim_key_record(const struct dkim_key *key, struct buffer *out);
/* Adds a TXT record's text as zone files have it: quoted strings of at most 255 octets with a blank between. */
void dkim_zone_text(struct slice record, struct buffer *out);
void dkim_key_free(struct dkim_key *key);

/* Signs a digest (RSA: PKCS #1 v1.5; Ed25519: of the digest's bytes, RFC 8463 3); *n is the room before and the length after. */
struct error dkim_key_sign(const struct dkim_key *key, enum dkim_hash hash, struct slice digest, unsigned char *signature, size_t *n);
bool dkim_key_verify(const struct dkim_key *key, enum dkim_hash hash, struct slice digest, struct slice signature);

/* A key record as read; slices point into the record's text. */
struct dkim_record {
    struct dkim_key key; /* to be freed */
    bool revoked; /* p= is empty */
    unsigned bits; /* RSA: of the modulus; Ed25519: 256 */
    bool testing; /* t=y */
    bool same_domain; /* t=s: i= may name no subdomain */
    bool email; /* s= allows mail */
    struct slice hashes; /* h=; p NULL: all */
};

/* NULL when it is a good record, else what is wrong with it (static text). */
const char *dkim_record_parse(struct slice text, struct dkim_record *out);

#endif
