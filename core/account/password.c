/* core/account/password.c -- making and checking crypt(3) hashes */
#include "core/account/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <utf8proc.h>

struct slice password_prepare(struct slice typed, struct arena *a)
{
    bool eight = false;
    for (size_t i = 0; i < typed.n; i++)
        eight |= (unsigned char)typed.p[i] >= 0x80;
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t n = eight ? utf8proc_map((const utf8proc_uint8_t *)typed.p, (utf8proc_ssize_t)typed.n, &nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE) : 0;
    struct slice out = arena_copy(a, n > 0 ? slice_make((const char *)nfc, (size_t)n) : typed);
    if (nfc && n > 0)
        OPENSSL_cleanse(nfc, (size_t)n);
    free(nfc);
    return out;
}

void password_forget(struct slice prepared)
{
    if (prepared.p)
        OPENSSL_cleanse((char *)(uintptr_t)prepared.p, prepared.n);
}

/* crypt_r in memory of its own, which holds the password until it is cleaned. */
static char *run(const char *text, const char *setting, struct arena *a)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    char *hash = data ? crypt_r(text, setting, data) : NULL, *out = NULL;
    if (hash && hash[0] != '*') /* "*0" is libxcrypt's failure */
        out = arena_string(a, slice_of(hash));
    if (data)
        OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return out;
}

char *password_hash(struct slice password, struct arena *a)
{
    struct slice text = password_prepare(password, a);
    char *salt = crypt_gensalt_ra("$y$", 0, NULL, 0);
    char *out = text.p && text.n && text.n <= PASSWORD_MAX && !memchr(text.p, 0, text.n) && salt ? run(text.p, salt, a) : NULL; /* arena_copy sets a NUL behind */
    password_forget(text);
    free(salt);
    return out;
}

bool password_fits(const char *hash, struct slice password, struct arena *a)
{
    struct slice text = arena_copy(a, password);
    char *made = text.p ? run(text.p, hash, a) : NULL;
    size_t n = strlen(hash);
    bool fits = made && strlen(made) == n && CRYPTO_memcmp(made, hash, n) == 0 && password.n && !memchr(password.p, 0, password.n);
    password_forget(text);
    return fits;
}

/* The number between `from` and the next '$'. */
static bool cost_within(struct slice s, size_t from, uint64_t most)
{
    struct slice rest = slice_after(s, from);
    uint64_t value;
    return slice_number(slice_first(rest, slice_find(rest, '$')), most, &value);
}

bool password_hash_is_fair(struct slice h)
{
    if (h.n < 13 || h.n > 384 || memchr(h.p, 0, h.n))
        return false;
    if (slice_starts(h, SLICE("$5$")) || slice_starts(h, SLICE("$6$")))
        return !slice_starts(slice_after(h, 3), SLICE("rounds=")) || cost_within(h, 10, 1000000);
    if (slice_starts(h, SLICE("$2a$")) || slice_starts(h, SLICE("$2b$")) || slice_starts(h, SLICE("$2y$")))
        return h.n == 60 && cost_within(h, 4, 14);
    /* yescrypt's "j", log2 N as a letter of ./0-9A-Za-z (9 is 2^12, B is 2^14: 64 MB), r as one letter; longer parameters mean more lanes or time */
    if (slice_starts(h, SLICE("$y$")) || slice_starts(h, SLICE("$gy$"))) {
        struct slice p = slice_after(h, slice_starts(h, SLICE("$y$")) ? 3 : 4);
        return p.n > 4 && p.p[0] == 'j' && p.p[1] >= '5' && p.p[1] <= 'B' && (ascii_is_digit(p.p[1]) || p.p[1] >= 'A') && (p.p[2] == '5' || p.p[2] == 'T') && p.p[3] == '$';
    }
    return slice_starts(h, SLICE("$1$")); /* md5crypt: weak, but many imported users have nothing else */
}
