/* tests/fuzz/words_fuzz.c -- encoded words, parameters (RFC 2231), charsets and transfer encodings. The first byte says which. */
#include <utf8proc.h>

#include "mail/mime/charset.h"
#include "mail/mime/decode.h"
#include "mail/mime/parameters.h"
#include "mail/mime/words.h"
#include "tests/fuzz/target.h"

static void check_utf8(struct slice s)
{
    while (s.n) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
        promise(n > 0 && c != 0);
        s = slice_after(s, (size_t)n);
    }
}

static void parameters(struct slice text)
{
    struct mime_params params;
    struct slice word;
    struct arena a;
    size_t bytes = 0;
    arena_init(&a, 64 * 1024 * 1024);
    promise(parameters_read(text, &a, &word, &params).code == ERROR_NONE && params.n <= MIME_PARAMS_MAX);
    for (size_t i = 0; i < params.n; i++) {
        promise(params.all[i].name.n > 0);
        bytes += params.all[i].name.n + params.all[i].value.n;
    }
    promise(bytes <= 3 * text.n + MIME_PARAMS_MAX);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice charsets[] = {{"utf-8", 5}, {"iso-2022-jp", 11}, {"gb2312", 6}, {"utf-16", 6}, {"big5-hkscs", 10}, {"euc-kr", 6}, {"iso-2022-kr", 11}, {"windows-1255", 12}};
    struct buffer b = {0};
    if (size == 0)
        return 0;
    struct slice text = target_slice(data + 1, size - 1);
    switch (data[0] & 7) {
    case 0:
        words_decode(text, &b);
        check_utf8(buffer_slice(&b));
        break;
    case 1:
        parameters(text);
        break;
    case 2: { /* the charset's name is the fuzzer's */
        size_t n = slice_find(text, '\n');
        (void)charset_known(slice_first(text, n));
        charset_to_utf8(slice_first(text, n), slice_after(text, n + 1), &b);
        check_utf8(buffer_slice(&b));
        promise(buffer_length(&b) <= 4 * size + 4096 + 16);
        break;
    }
    case 3:
        charset_to_utf8(charsets[data[0] >> 3 & 7], text, &b);
        check_utf8(buffer_slice(&b));
        break;
    case 4:
        charset_fold(text, 4 * size, &b);
        check_utf8(buffer_slice(&b));
        break;
    default:
        if (decode_part((enum mime_encoding)(data[0] >> 3 & 7), text, &b) != DECODE_UNKNOWN)
            promise(buffer_length(&b) <= size);
        (void)base64_decode(text, &b);
    }
    buffer_free(&b);
    return 0;
}
