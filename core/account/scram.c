/* core/account/scram.c -- keys, proofs and signatures of SCRAM-SHA-256 */
#include "core/account/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static void hmac(const unsigned char key[32], struct slice text, unsigned char out[32])
{
    unsigned n = 32;
    (void)HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, out, &n);
}

struct error scram_keys_make(struct slice password, struct slice salt, int rounds, unsigned char keys[SCRAM_KEYS])
{
    unsigned char salted[32], client[32];
    unsigned n = 32;
    if (PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p, (int)salt.n, rounds, EVP_sha256(), 32, salted) != 1)
        return error_make(ERROR_MEMORY, "no memory for a verifier");
    hmac(salted, SLICE("Client Key"), client);
    (void)EVP_Digest(client, 32, keys, &n, EVP_sha256(), NULL);
    hmac(salted, SLICE("Server Key"), keys + 32);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client, sizeof client);
    return OK;
}

bool scram_proof_fits(const unsigned char keys[SCRAM_KEYS], struct slice auth, const unsigned char proof[32])
{
    unsigned char signature[32], client[32], stored[32];
    unsigned n = 32;
    hmac(keys, auth, signature);
    for (int i = 0; i < 32; i++)
        client[i] = proof[i] ^ signature[i];
    (void)EVP_Digest(client, 32, stored, &n, EVP_sha256(), NULL);
    OPENSSL_cleanse(client, sizeof client);
    return CRYPTO_memcmp(stored, keys, 32) == 0;
}

void scram_sign(const unsigned char keys[SCRAM_KEYS], struct slice auth, unsigned char signature[32])
{
    hmac(keys + 32, auth, signature);
}
