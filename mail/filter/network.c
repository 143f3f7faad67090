/* mail/filter/network.c */
#include "mail/filter/network.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

enum { KEY_BYTES = 16 };

static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned char secret[KEY_BYTES]; /* made once */

bool network_address(const char *peer, unsigned char out[16])
{
    memset(out, 0, 16);
    if (inet_pton(AF_INET, peer, out + 12) == 1) {
        memcpy(out, mapped, sizeof mapped);
        return true;
    }
    return inet_pton(AF_INET6, peer, out) == 1;
}

bool network_is_ipv4(const unsigned char address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

void network_of(const char *peer, unsigned char out[16])
{
    if (!network_address(peer, out))
        memset(out, 0, 16);
    else if (network_is_ipv4(out))
        out[15] = 0;
    else
        memset(out + 8, 0, 8);
}

static void make_secret(void)
{
    (void)RAND_bytes(secret, sizeof secret);
}

uint64_t network_key(enum network_hash how, const struct slice *pieces, size_t n)
{
    unsigned char hash[32] = {0};
    unsigned length = sizeof hash;
    uint64_t key;
    EVP_MD_CTX *x = EVP_MD_CTX_new();
    (void)pthread_once(&once, make_secret);
    int ok = x && EVP_DigestInit_ex(x, EVP_sha256(), NULL) && (how == NETWORK_HASH_FIXED || EVP_DigestUpdate(x, secret, sizeof secret));
    for (size_t i = 0; ok && i < n; i++) {
        uint64_t length_of = pieces[i].n; /* "ab","c" is not "a","bc" */
        ok = EVP_DigestUpdate(x, &length_of, sizeof length_of) && EVP_DigestUpdate(x, pieces[i].p, pieces[i].n);
    }
    if (ok)
        (void)EVP_DigestFinal_ex(x, hash, &length);
    EVP_MD_CTX_free(x);
    memcpy(&key, hash, sizeof key);
    return key;
}
