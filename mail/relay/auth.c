/* mail/relay/auth.c -- AUTH with a smart host: PLAIN (RFC 4616), LOGIN where it has nothing else. Only behind a proven name: passwords are sent as they are */
#include "mail/mime/decode.h"
#include "mail/relay/internal.h"

int auth_keywords(struct slice methods)
{
    int found = 0;
    while (methods.n) {
        struct slice word = slice_first(methods, slice_find(methods, ' '));
        methods = slice_after(methods, word.n + 1);
        if (slice_eq_nocase(word, SLICE("PLAIN")))
            found |= HAS_AUTH_PLAIN;
        else if (slice_eq_nocase(word, SLICE("LOGIN")))
            found |= HAS_AUTH_LOGIN;
    }
    return found;
}

static void add_encoded(struct slice bytes, struct buffer *out)
{
    base64_encode(bytes, out);
    buffer_add(out, SLICE("\r\n"));
}

bool auth_begin(const struct route_host *h, int keywords, struct buffer *out)
{
    struct buffer plain = {0};
    if (!(keywords & HAS_AUTH_PLAIN)) {
        buffer_add(out, SLICE("AUTH LOGIN\r\n"));
        return (keywords & HAS_AUTH_LOGIN) != 0;
    }
    buffer_add_char(&plain, '\0');
    buffer_add(&plain, h->user);
    buffer_add_char(&plain, '\0');
    buffer_add(&plain, h->password);
    buffer_add(out, SLICE("AUTH PLAIN "));
    add_encoded(buffer_slice(&plain), out);
    bool whole = !plain.failed;
    buffer_free(&plain);
    return whole;
}

bool auth_step(const struct route_host *h, int keywords, int n, struct buffer *out)
{
    if (keywords & HAS_AUTH_PLAIN || n > 1)
        return false;
    add_encoded(n == 0 ? h->user : h->password, out);
    return true;
}
