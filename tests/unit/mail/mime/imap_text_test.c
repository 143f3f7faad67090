/* ENVELOPE, BODY and BODYSTRUCTURE as IMAP sends them (RFC 9051 7.5.2); nothing of a mail can write a line of ours (attacks.md IM-26) */
#include "mail/mime/header.h"
#include "mail/mime/imap_text.h"
#include "mail/mime/index.h"
#include "tests/unit/mail/mime/mime_test.h"

static const char *kept(struct arena *a, struct buffer *b)
{
    const char *text = arena_string(a, buffer_slice(b));
    buffer_free(b);
    return text;
}

static const char *envelope(struct arena *a, struct slice head)
{
    struct buffer b = {0};
    assert_int_equal(imap_text_envelope(head, a, &b).code, ERROR_NONE);
    return kept(a, &b);
}

static const char *structure(struct arena *a, struct slice message, enum imap_text_form form)
{
    struct buffer b = {0};
    struct mime_tree t;
    assert_int_equal(mime_parse(message, a, &t).code, ERROR_NONE);
    assert_int_equal(imap_text_structure(&t, message, form, a, &b).code, ERROR_NONE);
    return kept(a, &b);
}

static void strings_are_quoted_or_literal(void **state)
{
    static const struct {
        struct slice s;
        const char *text;
    } rows[] = {{{NULL, 0}, "NIL"}, {{"", 0}, "\"\""}, {{"a \"b\" \\", 7}, "\"a \\\"b\\\" \\\\\""}, {{"a\tb", 3}, "\"a\tb\""}, {{"\xc3\xa9", 2}, "{2}\r\n\xc3\xa9"}, {{"a\r\nb\0c", 6}, "{3}\r\nabc"}, {{"\x01", 1}, "{1}\r\n\x01"},
                {{"\r\n", 2}, "{0}\r\n"}, {{"\x7f", 1}, "{1}\r\n\x7f"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer b = {0};
        imap_text_nstring(rows[i].s, &b);
        assert_string_equal(kept(*state, &b), rows[i].text);
    }
}

static void an_envelope_has_ten_fields_whatever_the_head(void **state)
{
    static const struct {
        const char *head, *text;
    } rows[] = {
        {"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"Date: d\r\nSubject: =?utf-8?q?s=C3=A9?=\r\nFrom: A <a@b>\r\nTo: c@d\r\nCc: g: e@f;\r\nBcc: h\r\nIn-Reply-To: <1>\r\nMessage-ID: <2>\r\n",
         "(\"d\" \"=?utf-8?q?s=C3=A9?=\" ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"g\" NIL)(NIL NIL \"e\" \"f\")(NIL NIL NIL NIL)) ((NIL NIL \"h\" \"\")) \"<1>\" \"<2>\")"},
        {"From: a@b\r\nSender: \r\nReply-To: c@d\r\n", "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) NIL NIL NIL NIL NIL)"},
        {"Subject:\r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"subject: a\r\n\tb\r\nSUBJECT: second\r\n", "(NIL \"a\tb\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"Subject: x\r\n* 1 FETCH\r\n", "(NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"Subject: \xc3\xa9\r\n", "(NIL {2}\r\n\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(envelope(*state, slice_of(rows[i].head)), rows[i].text);
}

static void structures_have_all_their_fields(void **state)
{
    static const struct {
        const char *message, *body, *extended;
    } rows[] = {
        {"\r\na\r\n", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 3 1)", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 3 1 NIL NIL NIL NIL)"},
        {"Content-Type: IMAGE/png; name=x\r\nContent-ID: <1>\r\nContent-Description: d\r\nContent-Transfer-Encoding: base64\r\nContent-MD5: m\r\nContent-Disposition: inline; filename*=utf-8''a\r\nContent-Language: id, en\r\nContent-Location: l\r\n\r\nYQ==",
         "(\"IMAGE\" \"png\" (\"name\" \"x\") \"<1>\" \"d\" \"base64\" 4)", "(\"IMAGE\" \"png\" (\"name\" \"x\") \"<1>\" \"d\" \"base64\" 4 \"m\" (\"inline\" (\"filename*\" \"utf-8''a\")) (\"id\" \"en\") \"l\")"},
        {"Content-Type: multipart/mixed; boundary=x\r\nContent-Disposition: inline\r\n\r\n--x\r\n\r\na\r\n--x\r\nContent-Type: text/html\r\n\r\n--x--\r\n",
         "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 1 0)(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 0 0) \"mixed\")",
         "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 1 0 NIL NIL NIL NIL)(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"x\") (\"inline\" NIL) NIL NIL)"},
        {"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n",
         "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 18 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 3 1) 3)",
         "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 18 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 3 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)"},
        {"Content-Type: multipart/mixed; boundary=x\r\n\r\nno part\r\n", "(\"application\" \"octet-stream\" (\"boundary\" \"x\") NIL NIL \"7BIT\" 9)", NULL},
        {"Content-Type: text/plain; a=\"b\\\"c\\\\\"\r\n\r\n", "(\"text\" \"plain\" (\"a\" \"b\\\"c\\\\\") NIL NIL \"7BIT\" 0 0)", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(structure(*state, slice_of(rows[i].message), IMAP_TEXT_BODY), rows[i].body);
        const char *whole = structure(*state, slice_of(rows[i].message), IMAP_TEXT_BODYSTRUCTURE);
        if (rows[i].extended)
            assert_string_equal(whole, rows[i].extended);
        struct buffer b = {0};
        assert_true(imap_text_body(slice_of(whole), &b));
        assert_string_equal(kept(*state, &b), rows[i].body);
    }
}

static void a_damaged_structure_gives_no_body(void **state)
{
    static const char *const bad[] = {"", "(", ")", "()", "(\"a\" \"b\")", "(\"a\" \"b\" NIL NIL NIL \"7BIT\" 1", "((\"a\" \"b\" NIL NIL NIL \"7BIT\" 1)", "(\"a\" \"b\" NIL NIL NIL {9}\r\nx 1)", "(\"a", "{1}\r\n", "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 1 (NIL) 3)",
                                      "(\"a\" \"b\" NIL NIL NIL \"7BIT\" 1) ", "(\"text\" \"b\" NIL NIL NIL \"7BIT\" 1)", "(\"a\"  \"b\" NIL NIL NIL \"7BIT\" 1)"};
    struct buffer b = {0};
    (void)state;
    buffer_add(&b, SLICE("x"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct guard g = guard_make(slice_of(bad[i]));
        if (imap_text_body(g.text, &b) || buffer_length(&b) != 1)
            fail_msg("%s", bad[i]);
        guard_drop(&g);
    }
    buffer_free(&b);
    b = (struct buffer){0};
    for (int i = 0; i < 1000; i++)
        buffer_add_char(&b, '(');
    struct buffer out = {0};
    assert_false(imap_text_body(buffer_slice(&b), &out));
    buffer_free(&b);
    buffer_free(&out);
}

/* --- the stored index */

static const char forest[] = "A: b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\nin one\r\n--y\r\n"
                             "Content-Type: text/html; charset=utf-8\r\n\r\nin two\r\n--y--\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: flat\r\n\r\nflat body\r\n--x--\r\n";

static const char *section(struct arena *a, const struct mime_index *x, struct slice message, enum mime_section what, size_t n, uint32_t n1, uint32_t n2, uint32_t n3)
{
    uint32_t numbers[] = {n1, n2, n3}, part;
    uint64_t from, to;
    if (!mime_index_find(x, numbers, n, what, &from, &to, &part))
        return "NIL";
    return arena_string(a, slice_make(message.p + from, to - from));
}

static void sections_are_found_in_an_index_that_was_stored(void **state)
{
    struct slice message = slice_of(forest);
    struct mime_tree t;
    struct mime_index x;
    struct buffer b = {0};
    assert_int_equal(mime_parse(message, *state, &t).code, ERROR_NONE);
    mime_index_write(&t, &b);
    assert_int_equal(mime_index_read(buffer_slice(&b), message.n, *state, &x).code, ERROR_NONE);
    static const struct {
        enum mime_section what;
        size_t n;
        uint32_t numbers[3];
        const char *text;
    } rows[] = {
        {SECTION_WHOLE, 1, {1}, "one"},
        {SECTION_MIME, 1, {1}, "\r\n"},
        {SECTION_HEADER, 1, {1}, "NIL"},
        {SECTION_TEXT, 1, {1}, "NIL"},
        {SECTION_WHOLE, 2, {1, 1}, "NIL"},
        {SECTION_MIME, 1, {2}, "Content-Type: message/rfc822\r\n\r\n"},
        {SECTION_HEADER, 1, {2}, "Subject: in\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n"},
        {SECTION_WHOLE, 2, {2, 1}, "in one"},
        {SECTION_WHOLE, 2, {2, 2}, "in two"},
        {SECTION_MIME, 2, {2, 2}, "Content-Type: text/html; charset=utf-8\r\n\r\n"},
        {SECTION_WHOLE, 2, {2, 3}, "NIL"},
        {SECTION_WHOLE, 2, {3, 1}, "flat body"},
        {SECTION_TEXT, 1, {3}, "flat body"},
        {SECTION_HEADER, 1, {3}, "Subject: flat\r\n\r\n"},
        {SECTION_WHOLE, 2, {3, 2}, "NIL"},
        {SECTION_WHOLE, 1, {4}, "NIL"},
        {SECTION_WHOLE, 1, {0}, "NIL"},
        {SECTION_WHOLE, 1, {UINT32_MAX}, "NIL"},
        {SECTION_MIME, 0, {0}, "NIL"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(section(*state, &x, message, rows[i].what, rows[i].n, rows[i].numbers[0], rows[i].numbers[1], rows[i].numbers[2]), rows[i].text);
    assert_string_equal(section(*state, &x, message, SECTION_WHOLE, 0, 0, 0, 0), forest);
    buffer_free(&b);
}

static void a_message_that_is_no_multipart_has_part_one(void **state)
{
    struct slice message = SLICE("A: b\r\n\r\nbody");
    struct mime_tree t;
    struct mime_index x;
    struct buffer b = {0};
    assert_int_equal(mime_parse(message, *state, &t).code, ERROR_NONE);
    mime_index_write(&t, &b);
    assert_int_equal(mime_index_read(buffer_slice(&b), message.n, *state, &x).code, ERROR_NONE);
    buffer_free(&b);
    assert_string_equal(section(*state, &x, message, SECTION_WHOLE, 1, 1, 0, 0), "body");
    assert_string_equal(section(*state, &x, message, SECTION_MIME, 1, 1, 0, 0), "A: b\r\n\r\n");
    assert_string_equal(section(*state, &x, message, SECTION_WHOLE, 2, 1, 1, 0), "NIL");
    assert_string_equal(section(*state, &x, message, SECTION_WHOLE, 1, 2, 0, 0), "NIL");
    assert_string_equal(section(*state, &x, message, SECTION_TEXT, 0, 0, 0, 0), "body");
    assert_string_equal(section(*state, &x, message, SECTION_HEADER, 0, 0, 0, 0), "A: b\r\n\r\n");
}

static void a_damaged_index_is_refused_and_never_reaches_past_the_message(void **state)
{
    struct slice message = slice_of(forest);
    struct mime_tree t;
    struct buffer b = {0};
    assert_int_equal(mime_parse(message, *state, &t).code, ERROR_NONE);
    mime_index_write(&t, &b);
    struct slice good = buffer_slice(&b);
    struct mime_index x;
    for (size_t n = 0; n < good.n; n++) { /* cut short */
        struct guard g = guard_make(slice_first(good, n));
        assert_int_equal(mime_index_read(g.text, message.n, *state, &x).code, ERROR_CORRUPT);
        guard_drop(&g);
    }
    assert_int_equal(mime_index_read(good, message.n - 30, *state, &x).code, ERROR_CORRUPT); /* of a longer message */
    for (size_t i = 0; i < good.n; i++) { /* every byte wrong in some way */
        static const char masks[] = {1, 2, 0x40, (char)0x80, (char)0xFF};
        for (size_t k = 0; k < sizeof masks; k++) {
            char *copy = arena_string(*state, good);
            copy[i] = (char)(copy[i] ^ masks[k]);
            struct guard g = guard_make(slice_make(copy, good.n));
            if (mime_index_read(g.text, message.n, *state, &x).code == ERROR_NONE)
                for (size_t p = 0; p < x.n; p++)
                    assert_true(x.parts[p].header_start <= x.parts[p].body_start && x.parts[p].body_start <= x.parts[p].body_end && x.parts[p].body_end <= message.n);
            guard_drop(&g);
            arena_reset(*state);
            assert_int_equal(mime_parse(message, *state, &t).code, ERROR_NONE);
        }
    }
    static const struct slice bad[] = {{"", 0}, {"\xff", 1}, {"\x01\xff\xff\xff\xff\x0f", 6}, {"\x01\x00", 2}, {"\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mime_index_read(bad[i], message.n, *state, &x).code, ERROR_CORRUPT);
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(strings_are_quoted_or_literal),
        TEST(an_envelope_has_ten_fields_whatever_the_head),
        TEST(structures_have_all_their_fields),
        TEST(a_damaged_structure_gives_no_body),
        TEST(sections_are_found_in_an_index_that_was_stored),
        TEST(a_message_that_is_no_multipart_has_part_one),
        TEST(a_damaged_index_is_refused_and_never_reaches_past_the_message),
    };
    return cmocka_run_group_tests_name("mail/mime/imap_text", tests, NULL, NULL);
}
