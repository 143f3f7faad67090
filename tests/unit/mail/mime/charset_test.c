/* Charsets to UTF-8, the folded form, transfer encodings (attacks.md MM-08, MM-09) */
#include "mail/mime/charset.h"
#include "mail/mime/decode.h"
#include "tests/unit/mail/mime/mime_test.h"

static const char *converted(struct arena *a, const char *charset, struct slice bytes)
{
    struct buffer b = {0};
    charset_to_utf8(slice_of(charset), bytes, &b);
    const char *out = arena_string(a, buffer_slice(&b));
    buffer_free(&b);
    return out;
}

static void bytes_become_utf8(void **state)
{
    static const struct {
        const char *charset;
        struct slice bytes;
        const char *expected;
    } rows[] = {
        {"", {"a\xc3\xa9", 3}, "a\xc3\xa9"},
        {"utf-8", {"a\xc3", 2}, "a\xef\xbf\xbd"},
        {"UTF8", {"\xc0\xaf", 2}, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"utf-8", {"\xed\xa0\x80", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"us-ascii", {"a\xff", 2}, "a\xef\xbf\xbd"},
        {"iso-8859-1", {"\xe9\x80", 2}, "\xc3\xa9\xe2\x82\xac"},
        {"ISO-8859-15", {"\xa4", 1}, "\xe2\x82\xac"},
        {"latin1", {"\xe9", 1}, "\xc3\xa9"},
        {"windows-1252", {"\x93\x81", 2}, "\xe2\x80\x9c\xef\xbf\xbd"},
        {"cp1250", {"\x9a", 1}, "\xc5\xa1"},
        {"koi8-r", {"\xc1", 1}, "\xd0\xb0"},
        {"gb2312", {"\xc4\xe3", 2}, "\xe4\xbd\xa0"},
        {"gbk", {"\x81\x40", 2}, "\xe4\xb8\x82"},
        {"big5", {"\xa4\xa4", 2}, "\xe4\xb8\xad"},
        {"big5-hkscs", {"\x88\x66", 2}, "\xc3\x8a"},
        {"euc-kr", {"\xb0\xa1", 2}, "\xea\xb0\x80"},
        {"ks_c_5601-1987", {"\xb0\xa1", 2}, "\xea\xb0\x80"},
        {"shift_jis", {"\x82\xa0", 2}, "\xe3\x81\x82"},
        {"iso-2022-jp", {"\x1b$B$\"\x1b(B", 8}, "\xe3\x81\x82"},
        {"iso-2022-jp", {"a\x1b$B$", 5}, "a\xef\xbf\xbd"},
        {"utf-16be", {"\0a\xd8\x00\0b", 6}, NULL},
        {"utf-16le", {"a\0", 2}, "a"},
        {"utf-16", {"\xff\xfe" "a\0", 4}, "a"},
        {"utf-8", {"a\0b", 3}, "ab"},
        {"x-unknown", {"a\xe9\0", 3}, "a\xc3\xa9"},
        {"x-unknown", {"a\xc3\xa9", 3}, "a\xc3\xa9"},
        {"utf-7", {"+AGE-", 5}, "+AGE-"},
        {"UTF7", {"+AGE-", 5}, "+AGE-"},
        {"utf-7-imap", {"&AGE-", 5}, "&AGE-"},
        {"iso-8859-8-i", {"\xe0", 1}, "\xd7\x90"},
        {"x-mac-cyrillic", {"\x80", 1}, "\xd0\x90"},
        {"x-mac-\xff", {"a", 1}, "a"},
        {"../../etc/x", {"\xe9", 1}, "\xc3\xa9"},
        {"utf-8//IGNORE", {"\xe9", 1}, "\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard g = guard_make(rows[i].bytes);
        const char *text = converted(*state, rows[i].charset, g.text);
        guard_drop(&g);
        if (rows[i].expected && strcmp(text, rows[i].expected) != 0)
            fail_msg("%zu %s: %s", i, rows[i].charset, text);
    }
}

/* Every name that the corpus of the world's mail holds (text/… charset parameters and encoded words). */
static void charsets_of_real_mail_are_known(void **state)
{
    static const char *const names[] = {
        "ansi_x3.110-1983", "big5", "cp1252", "cp850", "euc-jp", "euc-kr", "gb18030", "gb2312", "gbk", "iso-2022-jp", "iso-2022-kr", "iso-8859-1", "iso-8859-2", "iso-8859-3", "iso-8859-4", "iso-8859-5",
        "iso-8859-6", "iso-8859-7", "iso-8859-8", "iso-8859-8-i", "iso-8859-9", "iso-8859-10", "iso-8859-13", "iso-8859-14", "iso-8859-15", "iso-8859-16", "koi8-r", "koi8-u", "ks_c_5601-1987", "macintosh", "shift_jis",
        "tis-620", "unicode-1-1-utf-8", "us-ascii", "ascii", "utf-16", "utf-16be", "utf-16le", "utf-32", "utf-8", "utf8", "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1255",
        "windows-1256", "windows-1257", "windows-1258", "windows-874", "windows-31j", "windows-936", "x-sjis", "x-gbk", "iso8859-1", "iso_8859-1", "latin1", "cp-850", "8859_1", "ansi_x3.4-1968", "x-mac-roman",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!charset_known(slice_of(names[i])))
            fail_msg("%s", names[i]);
    assert_false(charset_known(SLICE("x-unknown")));
    assert_false(charset_known(SLICE("utf-7")) || charset_known(SLICE("UTF7")) || charset_known(SLICE("utf-7-imap")) || charset_known(SLICE("unicode-1-1-utf-7")));
    assert_false(charset_known(SLICE("")) != charset_known(SLICE("utf-8")));
    assert_false(charset_known(SLICE("aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee")));
}

static void characters_across_the_windows_of_a_long_text_stay_whole(void **state)
{
    struct buffer text = {0}, out = {0};
    for (int shift = 0; shift < 2; shift++) {
        buffer_clear(&text);
        buffer_clear(&out);
        buffer_add(&text, slice_first(SLICE("a"), (size_t)shift));
        for (int i = 0; i < 10000; i++)
            buffer_add(&text, SLICE("\xc4\xe3"));
        charset_to_utf8(SLICE("gb2312"), buffer_slice(&text), &out);
        assert_int_equal(buffer_length(&out), 30000 + shift);
        for (size_t i = (size_t)shift; i < buffer_length(&out); i += 3)
            assert_memory_equal(out.bytes + out.start + i, "\xe4\xbd\xa0", 3);
    }
    buffer_free(&text);
    buffer_free(&out);
    (void)state;
}

static void charset_bombs_cost_what_they_weigh(void **state)
{
    static const struct {
        const char *charset, *piece;
    } rows[] = {{"iso-2022-jp", "\x1b$B\x1b(B"}, {"utf-16", "\xd8"}, {"gb2312", "\xff"}, {"utf-8", "\xff"}, {"iso-2022-kr", "\x1b$)C\x0e!"}, {"big5-hkscs", "\x88\x62"}, {"utf-32", "\xff"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer b = {0}, out = {0};
        while (buffer_length(&b) < 1024 * 1024)
            buffer_add(&b, slice_of(rows[i].piece));
        int64_t before = cpu_ms();
        charset_to_utf8(slice_of(rows[i].charset), buffer_slice(&b), &out);
        assert_true(cpu_ms() - before < CPU_MS_A_MEGABYTE);
        assert_true(buffer_length(&out) <= 4 * buffer_length(&b) + 16);
        buffer_free(&b);
        buffer_free(&out);
    }
    (void)state;
}

static void folded_text_finds_what_people_mean(void **state)
{
    static const struct {
        const char *text, *folded;
    } rows[] = {{"ABC", "abc"}, {"\xc3\x89" "clair", "eclair"}, {"e\xcc\x81", "e"}, {"Stra\xc3\x9f" "e", "strasse"}, {"\xef\xac\x81", "fi"}, {"\xef\xbc\xa1", "a"}, {"\xc4\xb0", "i"}, {"\xff", "\xef\xbf\xbd"}, {"", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer b = {0};
        charset_fold(slice_of(rows[i].text), 100, &b);
        assert_string_equal(arena_string(*state, buffer_slice(&b)), rows[i].folded);
        buffer_free(&b);
    }
    struct buffer b = {0};
    charset_fold(SLICE("abcdefgh"), 3, &b);
    assert_int_equal(buffer_length(&b), 3);
    buffer_free(&b);
}

static void transfer_encodings_are_undone_as_far_as_they_go(void **state)
{
    static const struct {
        enum mime_encoding how;
        const char *text, *bytes;
        enum decode_result result;
    } rows[] = {
        {MIME_7BIT, "a=\r\n", "a=\r\n", DECODE_CLEAN},
        {MIME_BASE64, "YWJj", "abc", DECODE_CLEAN},
        {MIME_BASE64, " Y W\r\nJj \r\n", "abc", DECODE_CLEAN},
        {MIME_BASE64, "YWI=", "ab", DECODE_CLEAN},
        {MIME_BASE64, "YQ==", "a", DECODE_CLEAN},
        {MIME_BASE64, "YQ==YWI=", "aab", DECODE_CLEAN},
        {MIME_BASE64, "YQ", "a", DECODE_BROKEN},
        {MIME_BASE64, "YWI", "ab", DECODE_BROKEN},
        {MIME_BASE64, "Y", "", DECODE_BROKEN},
        {MIME_BASE64, "Y===", "", DECODE_BROKEN},
        {MIME_BASE64, "YW!Jj", "abc", DECODE_BROKEN},
        {MIME_BASE64, "YWJj\r\n--junk--", "abc\x8e\xe9\xe4", DECODE_BROKEN},
        {MIME_BASE64, "", "", DECODE_CLEAN},
        {MIME_QP, "a=3Db", "a=b", DECODE_CLEAN},
        {MIME_QP, "=e9=E9", "\xe9\xe9", DECODE_CLEAN},
        {MIME_QP, "a=\r\nb", "ab", DECODE_CLEAN},
        {MIME_QP, "a=\nb", "ab", DECODE_CLEAN},
        {MIME_QP, "a= \t\r\nb", "ab", DECODE_CLEAN},
        {MIME_QP, "a=", "a", DECODE_CLEAN},
        {MIME_QP, "a=\r", "a", DECODE_CLEAN},
        {MIME_QP, "a=4", "a=4", DECODE_BROKEN},
        {MIME_QP, "a=ZZ=", "a=ZZ", DECODE_BROKEN},
        {MIME_QP, "\xe9", "\xe9", DECODE_CLEAN},
        {MIME_UNKNOWN_ENCODING, "begin 644 a\r\n", "", DECODE_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard g = guard_make(slice_of(rows[i].text));
        struct buffer b = {0};
        enum decode_result r = decode_part(rows[i].how, g.text, &b);
        if (r != rows[i].result || strcmp(arena_string(*state, buffer_slice(&b)), rows[i].bytes) != 0)
            fail_msg("%s: %d %s", rows[i].text, (int)r, arena_string(*state, buffer_slice(&b)));
        buffer_free(&b);
        guard_drop(&g);
    }
}

static void base64_of_logins_is_strict_and_goes_both_ways(void **state)
{
    static const char *const bad[] = {"YQ", "YQ=", "Y===", "YQ==YQ==", "Y Q=", "YQ==\r\n", "====", "Y=Q=", "YQ=A"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buffer b = {0};
        if (base64_decode(slice_of(bad[i]), &b))
            fail_msg("%s", bad[i]);
        buffer_free(&b);
    }
    for (size_t n = 0; n < 70; n++) {
        char bytes[70];
        struct buffer text = {0}, again = {0};
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(i * 37 + n);
        base64_encode(slice_make(bytes, n), &text);
        assert_int_equal(buffer_length(&text), (n + 2) / 3 * 4);
        assert_true(base64_decode(buffer_slice(&text), &again));
        assert_true(slice_eq(buffer_slice(&again), slice_make(bytes, n)));
        buffer_free(&text);
        buffer_free(&again);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_become_utf8),
        TEST(charsets_of_real_mail_are_known),
        TEST(characters_across_the_windows_of_a_long_text_stay_whole),
        TEST(charset_bombs_cost_what_they_weigh),
        TEST(folded_text_finds_what_people_mean),
        TEST(transfer_encodings_are_undone_as_far_as_they_go),
        TEST(base64_of_logins_is_strict_and_goes_both_ways),
    };
    return cmocka_run_group_tests_name("mail/mime/charset", tests, NULL, NULL);
}
