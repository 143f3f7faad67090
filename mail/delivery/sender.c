/* mail/delivery/sender.c -- SRS addresses, made and read */
#include "mail/delivery/sender.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "core/clock.h"

enum { KEY_TEXT = 32, HASH_CHARS = 8, DAY_CHARS = 2, DAY_S = 86400, DAYS = 1024 };

#define SETTING SLICE("srs.key")
#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a sender")

/* Survives servers that change the case of a local part. */
static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

static struct error read_key(struct sql *db, struct arena *a, struct slice *key)
{
    struct error e = setting_get(db, 0, SETTING, a, key);
    return e.code == ERROR_NONE && key->n < KEY_TEXT ? error_make(ERROR_CORRUPT, "the key of SRS is too short") : e;
}

static struct error make_key(struct sql *db, struct arena *a, struct slice *key)
{
    unsigned char random[KEY_TEXT];
    char *text = arena_alloc(a, KEY_TEXT);
    if (!text)
        return NO_MEMORY;
    if (RAND_bytes(random, sizeof random) != 1)
        return error_make(ERROR_IO, "no random bytes");
    for (size_t i = 0; i < KEY_TEXT; i++)
        text[i] = digits[random[i] & 31];
    OPENSSL_cleanse(random, sizeof random);
    *key = slice_make(text, KEY_TEXT);
    return setting_set(db, 0, SETTING, *key);
}

/* Over all behind the hash, in lower case. */
static bool make_hash(struct slice key, struct slice text, struct arena *a, char out[HASH_CHARS])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char *lower = arena_alloc(a, text.n + 1);
    if (!lower)
        return false;
    for (size_t i = 0; i < text.n; i++)
        lower[i] = ascii_lower(text.p[i]);
    if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)lower, text.n, mac, &n) || n < HASH_CHARS)
        return false;
    for (size_t i = 0; i < HASH_CHARS; i++)
        out[i] = digits[mac[i] & 31];
    return true;
}

/* An address taken apart; the local part of an unquoted one keeps its case. */
static bool read_address(struct slice text, struct arena *a, struct address *out)
{
    if (address_parse(text, a, out).code != ERROR_NONE)
        return false;
    if (text.p[0] != '"') {
        size_t at = text.n;
        while (at && text.p[at - 1] != '@')
            at--;
        out->local = slice_first(text, at - 1);
    }
    return true;
}

/* "SRS0" and a separator, whatever the case. */
static bool has_mark(struct slice local, struct slice mark)
{
    return local.n > mark.n && slice_starts_nocase(local, mark) && memchr("=+-", local.p[mark.n], 3) != NULL;
}

/* Takes what stands before the next '=' off *rest. */
static bool take_part(struct slice *rest, struct slice *part)
{
    size_t n = slice_find(*rest, '=');
    if (n == rest->n || n == 0)
        return false;
    *part = slice_first(*rest, n);
    *rest = slice_after(*rest, n + 1);
    return true;
}

static int64_t today(void)
{
    return clock_now() / DAY_S % DAYS;
}

/* SRS1=HASH=server==REST from SRS0=REST@server, or from SRS1=…=server==REST with another hash. */
static const char *text_again(const struct address *x, struct arena *a)
{
    struct slice rest = slice_after(x->local, 5), hash, server = x->domain;
    if (has_mark(x->local, SLICE("SRS0")))
        return arena_printf(a, "%.*s=%.*s", SLICE_ARG(server), SLICE_ARG(slice_after(x->local, 4)));
    if (!take_part(&rest, &hash) || !take_part(&rest, &server))
        return NULL;
    return arena_printf(a, "%.*s=%.*s", SLICE_ARG(server), SLICE_ARG(rest));
}

struct error forward_sender(struct sql *db, struct slice sender, struct slice domain, struct arena *a, struct slice *out)
{
    struct address x;
    struct domain ours;
    struct slice key;
    char hash[HASH_CHARS];
    *out = sender;
    if (sender.n == 0 || domain.n == 0 || !read_address(sender, a, &x))
        return OK;
    struct error e = domain_find(db, x.domain, a, &ours);
    if (e.code != ERROR_NOT_FOUND)
        return e;
    bool again = has_mark(x.local, SLICE("SRS0")) || has_mark(x.local, SLICE("SRS1"));
    int64_t day = today();
    const char *text = again ? text_again(&x, a) : NULL;
    if (!text) {
        again = false;
        text = arena_printf(a, "%c%c=%.*s=%.*s", digits[day >> 5], digits[day & 31], SLICE_ARG(x.domain), SLICE_ARG(x.local));
    }
    e = read_key(db, a, &key);
    TRY(e.code == ERROR_NOT_FOUND ? make_key(db, a, &key) : e);
    if (!text || !make_hash(key, slice_of(text), a, hash))
        return NO_MEMORY;
    const char *local = arena_printf(a, "SRS%c=%.*s=%s", again ? '1' : '0', HASH_CHARS, hash, text);
    if (!local)
        return NO_MEMORY;
    const char *made = address_text(&(struct address){slice_of(local), domain}, a);
    if (!made)
        return NO_MEMORY;
    *out = slice_of(made);
    return OK;
}

/* --- the way back */

#define FORGED error_make(ERROR_DENIED, "this address was not made here: nothing is returned through it")

static int place_of(char c)
{
    const char *at = memchr(digits, ascii_lower(c), 32);
    return at ? (int)(at - digits) : -1;
}

static bool day_is_near(struct slice day)
{
    if (day.n != DAY_CHARS || place_of(day.p[0]) < 0 || place_of(day.p[1]) < 0)
        return false;
    int64_t made = place_of(day.p[0]) * 32 + place_of(day.p[1]);
    return (today() - made + DAYS) % DAYS <= SRS_DAYS;
}

static struct error checked(struct sql *db, struct slice hash, struct slice text, struct arena *a)
{
    struct slice key;
    char right[HASH_CHARS], given[HASH_CHARS];
    struct error e = read_key(db, a, &key);
    if (e.code == ERROR_NOT_FOUND || hash.n != HASH_CHARS)
        return FORGED;
    TRY(e);
    if (!make_hash(key, text, a, right))
        return NO_MEMORY;
    for (size_t i = 0; i < HASH_CHARS; i++)
        given[i] = ascii_lower(hash.p[i]);
    return CRYPTO_memcmp(right, given, HASH_CHARS) == 0 ? OK : FORGED;
}

static struct error first_of(struct slice text, bool again, struct arena *a, struct slice *first)
{
    struct slice day, domain;
    struct address x;
    const char *made;
    if (again) {
        if (!take_part(&text, &domain))
            return FORGED;
        made = arena_printf(a, "SRS0%.*s@%.*s", SLICE_ARG(text), SLICE_ARG(domain));
    } else {
        if (!take_part(&text, &day) || !take_part(&text, &domain))
            return FORGED;
        if (!day_is_near(day))
            return error_make(ERROR_DENIED, "this address is over: the message that it was made for is too old");
        made = address_text(&(struct address){text, domain}, a);
    }
    if (!made)
        return NO_MEMORY;
    *first = slice_of(made);
    return address_parse(*first, a, &x).code == ERROR_NONE ? OK : FORGED;
}

struct error forward_sender_back(struct sql *db, struct slice recipient, struct slice sender, struct arena *a, struct slice *first)
{
    struct address x;
    struct domain ours;
    struct slice rest, hash;
    if (!read_address(recipient, a, &x))
        return error_make(ERROR_NOT_FOUND, "no address");
    bool again = has_mark(x.local, SLICE("SRS1"));
    if ((!again && !has_mark(x.local, SLICE("SRS0"))) || domain_find(db, x.domain, a, &ours).code != ERROR_NONE)
        return error_make(ERROR_NOT_FOUND, "no rewritten sender");
    rest = slice_after(x.local, 5);
    if (!take_part(&rest, &hash))
        return FORGED;
    TRY(checked(db, hash, rest, a));
    if (sender.n)
        return error_make(ERROR_DENIED, "only reports with the null sender go back through this address");
    return first_of(rest, again, a, first);
}
