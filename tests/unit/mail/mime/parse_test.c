/* The tree of parts: what real and hostile mail does with boundaries, heads and nesting (attacks.md MM-01 to MM-05) */
#include "mail/mime/header.h"
#include "tests/unit/mail/mime/mime_test.h"

static struct slice message;
static struct mime_tree tree;

static void parse(struct arena *a, struct slice text)
{
    message = text;
    assert_int_equal(mime_parse(text, a, &tree).code, ERROR_NONE);
}

/* "0 multipart/mixed(2) ; 1 text/plain "a"": each part's number, parent, type and, of leaves, body. */
static const char *shape(struct arena *a)
{
    struct buffer b = {0};
    for (size_t i = 0; i < tree.n; i++) {
        const struct mime_part *p = &tree.parts[i];
        buffer_printf(&b, "%s%u %.*s/%.*s", i ? "; " : "", p->parent, SLICE_ARG(p->type), SLICE_ARG(p->subtype));
        if (p->kind == MIME_LEAF)
            buffer_printf(&b, " \"%.*s\"", (int)(p->body_end - p->body_start), message.p + p->body_start);
    }
    const char *text = arena_string(a, buffer_slice(&b));
    buffer_free(&b);
    return text;
}

static void shapes_of_messages_are_as_clients_see_them(void **state)
{
    static const struct {
        const char *what, *text, *shape;
    } rows[] = {
        {"an empty message", "", "0 text/plain \"\""},
        {"a head without a body", "Subject: x\r\n", "0 text/plain \"\""},
        {"a head without its last line end", "Subject: x", "0 text/plain \"\""},
        {"a body without a head", "\r\nhello\r\n", "0 text/plain \"hello\r\n\""},
        {"bare LF", "Subject: x\n\nhello\n", "0 text/plain \"hello\n\""},
        {"CR alone ends no line", "A: b\r\rbody\r", "0 text/plain \"\""},
        {"LF and CRLF mixed", "Content-Type: multipart/mixed; boundary=x\n\r\n--x\r\n\na\n--x\n\r\nb\r\n--x--\n", "0 multipart/mixed; 0 text/plain \"a\"; 0 text/plain \"b\""},
        {"preamble and epilogue are no parts", "Content-Type: multipart/mixed; boundary=x\r\n\r\npre\r\n--x\r\n\r\na\r\n--x--\r\npost\r\n--x\r\n\r\nno\r\n", "0 multipart/mixed; 0 text/plain \"a\""},
        {"the last boundary is missing", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n", "0 multipart/mixed; 0 text/plain \"a\r\n\""},
        {"no boundary comes at all: one part, the whole body", "Content-Type: multipart/mixed; boundary=x\r\n\r\na\r\n", "0 multipart/mixed \"a\r\n\""},
        {"boundary parameter missing", "Content-Type: multipart/mixed\r\n\r\n--x\r\n", "0 multipart/mixed \"--x\r\n\""},
        {"boundary empty", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n", "0 multipart/mixed \"--\r\n\""},
        {"blanks behind the boundary", "Content-Type: multipart/mixed; boundary=\"x \"\r\n\r\n--x \t\r\n\r\na\r\n--x-- \r\n", "0 multipart/mixed; 0 text/plain \"a\""},
        {"the closing line says more", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x--y\r\n", "0 multipart/mixed; 0 text/plain \"a\""},
        {"a line that only begins like the boundary", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--xy\r\n--x--\r\n", "0 multipart/mixed; 0 text/plain \"--xy\""},
        {"inner boundary begins like the outer", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\n1\r\n--ab--\r\n--a\r\n\r\n2\r\n--a--\r\n",
         "0 multipart/mixed; 0 multipart/mixed; 1 text/plain \"1\"; 0 text/plain \"2\""},
        {"outer boundary begins like the inner's end", "Content-Type: multipart/mixed; boundary=a--b\r\n\r\n--a--b\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n1\r\n--a--b\r\n\r\n2\r\n--a--b--\r\n",
         "0 multipart/mixed; 0 multipart/mixed; 1 text/plain \"1\"; 0 text/plain \"2\""},
        {"one boundary at two levels: the inner has it", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n1\r\n--x--\r\n--x\r\n\r\n2\r\n--x--\r\n",
         "0 multipart/mixed; 0 multipart/mixed; 1 text/plain \"1\"; 0 text/plain \"2\""},
        {"the outer boundary ends an inner multipart that never ends", "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\n1\r\n--o\r\n\r\n2\r\n--o--\r\n",
         "0 multipart/mixed; 0 multipart/mixed; 1 text/plain \"1\"; 0 text/plain \"2\""},
        {"a message in a multipart", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n--x--\r\n",
         "0 multipart/mixed; 0 message/rfc822; 1 text/plain \"body\""},
        {"a digest's parts are messages", "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: in\r\n\r\nbody\r\n--x--\r\n", "0 multipart/digest; 0 message/rfc822; 1 text/plain \"body\""},
        {"a message in a message", "Content-Type: message/rfc822\r\n\r\nContent-Type: message/global\r\n\r\nA: b\r\n\r\nx", "0 message/rfc822; 0 message/global; 1 text/plain \"x\""},
        {"a message of nothing", "Content-Type: message/rfc822\r\n\r\n", "0 message/rfc822; 0 text/plain \"\""},
        {"a message that the boundary cuts in its head", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nnot a head\r\n--x--\r\n", "0 multipart/mixed; 0 message/rfc822; 1 text/plain \"\""},
        {"an encoded message is opaque", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg==\r\n", "0 message/rfc822 \"QTogYg==\r\n\""},
        {"a multipart is never decoded", "Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: base64\r\n\r\n--x\r\n\r\na\r\n--x--\r\n", "0 multipart/mixed; 0 text/plain \"a\""},
        {"a type that cannot be read", "Content-Type: text\r\n\r\nx", "0 text/plain \"x\""},
        {"a type with blanks and comments", "Content-Type: (c) TEXT / HTML (d); x=y\r\n\r\nx", "0 TEXT/HTML \"x\""},
        {"the first of two fields counts", "Content-Type: text/html\r\nContent-Type: text/css\r\n\r\nx", "0 text/html \"x\""},
        {"a boundary in RFC 2231 pieces", "Content-Type: multipart/mixed; boundary*1=y; boundary*0=x\r\n\r\n--xy\r\n\r\na\r\n--xy--\r\n", "0 multipart/mixed; 0 text/plain \"a\""},
        {"a boundary with escapes", "Content-Type: multipart/mixed; boundary=\"a\\\"b\\\\c\" (x)\r\n\r\n--a\"b\\c\r\n\r\na\r\n--a\"b\\c--\r\n", "0 multipart/mixed; 0 text/plain \"a\""},
        {"empty parts", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n\r\n--x--\r\n", "0 multipart/mixed; 0 text/plain \"\"; 0 text/plain \"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        parse(*state, slice_of(rows[i].text));
        if (strcmp(shape(*state), rows[i].shape) != 0)
            fail_msg("%s: %s", rows[i].what, shape(*state));
    }
}

/* Child inside parent, brothers in order and apart, nothing past the end. */
static void check_invariants(void)
{
    for (size_t i = 0; i < tree.n; i++) {
        const struct mime_part *p = &tree.parts[i], *parent = &tree.parts[p->parent];
        assert_true(p->header_start <= p->body_start && p->body_start <= p->body_end && p->body_end <= message.n);
        if (i)
            assert_true(p->parent < i && p->header_start >= parent->body_start && p->body_end <= parent->body_end);
    }
}

static const char tricky[] = "From: a@b\r\nContent-Type: multipart/mixed; boundary=\"a\"; x*0*=utf-8''%41; x*1=b\r\n\r\npre\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: s (\\\r\n\r\n--a\r\n"
                             "Content-Type: multipart/alternative; boundary=a--\r\nContent-ID: <1>\r\n\r\n--a--\r\n\r\nx\r\n--a----\r\n--a--\r\nend";

static void every_prefix_at_a_guard_page_gives_a_sound_tree(void **state)
{
    for (size_t n = 0; n < sizeof tricky; n++) {
        struct guard g = guard_make(slice_make(tricky, n));
        parse(*state, g.text);
        check_invariants();
        guard_drop(&g);
        arena_reset(*state);
    }
}

static struct slice repeat(struct arena *a, const char *head, const char *piece, size_t n, const char *tail)
{
    struct buffer b = {0};
    buffer_add(&b, slice_of(head));
    for (size_t i = 0; i < n; i++)
        add_numbered(&b, piece, i);
    buffer_add(&b, slice_of(tail));
    struct slice s = arena_copy(a, buffer_slice(&b));
    buffer_free(&b);
    return s;
}

static void nesting_ends_at_fifty_in_one_opaque_part(void **state)
{
    static const char *const pieces[] = {"Content-Type: message/rfc822\r\n\r\n", "Content-Type: multipart/mixed; boundary=b#\r\n\r\n--b#\r\n"};
    for (int i = 0; i < 2; i++) {
        int64_t before = cpu_ms();
        parse(*state, repeat(*state, "", pieces[i], 20000, "x"));
        assert_true(cpu_ms() - before < CPU_MS_A_MEGABYTE);
        assert_int_equal(tree.n, MIME_DEPTH_MAX + 1);
        assert_int_equal(tree.parts[MIME_DEPTH_MAX].kind, MIME_LEAF);
        assert_int_equal(tree.parts[MIME_DEPTH_MAX].body_end, message.n);
        check_invariants();
        arena_reset(*state);
    }
}

static void a_thousand_parts_and_the_rest_is_one_opaque_part(void **state)
{
    const char *head = "Content-Type: multipart/mixed; boundary=x\r\n\r\n";
    for (size_t n = MIME_PARTS_MAX - 2; n <= MIME_PARTS_MAX + 1; n++) {
        parse(*state, repeat(*state, head, "--x\r\n\r\n#\r\n", n, "--x--\r\n"));
        assert_int_equal(tree.n, n + 1 <= MIME_PARTS_MAX ? n + 1 : MIME_PARTS_MAX + 1);
        check_invariants();
        arena_reset(*state);
    }
    parse(*state, repeat(*state, head, "--x\r\n\r\n#\r\n", 60000, "--x\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n--x--\r\n"));
    const struct mime_part *last = &tree.parts[MIME_PARTS_MAX];
    assert_int_equal(tree.n, MIME_PARTS_MAX + 1);
    assert_string_equal(text_of(*state, last->subtype), "octet-stream");
    assert_memory_equal(message.p + last->body_start, "\r\n999", 5);
    assert_int_equal(last->body_end, message.n);
    check_invariants();
}

static void memory_and_time_of_hostile_messages_are_bounded(void **state)
{
    static const char *const pieces[] = {
        "Content-Disposition: a; b=#\r\n", "Content-Type: a/b; x=\"#\r\n", "Content-Description: #\r\n", "A:\r\n", "--\r\n", "(((((#\r\n", "To: a@b\r\n", " ;a#=\"b\r\n",
        "\r\n--b\r\nContent-Type: multipart/mixed; boundary=\"b#\"\r\n", "--x\r\nContent-Type: text/plain; a*#*=b; name=\"c\r\n",
    };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct arena a;
        arena_init(&a, ARENA_REQUEST_MAX);
        struct slice text = repeat(*state, "Content-Type: multipart/mixed; boundary=x;\r\n", pieces[i], 1024 * 1024 / strlen(pieces[i]), "");
        int64_t before = cpu_ms();
        parse(&a, text);
        assert_true(cpu_ms() - before < CPU_MS_A_MEGABYTE);
        assert_true(a.used < 24 * 1024 * 1024);
        arena_free(&a);
        arena_reset(*state);
    }
}

static void a_nul_is_a_byte_like_another(void **state)
{
    parse(*state, SLICE("Subject: a\0b\r\nContent-Type: text/html\0\r\n\r\nx\0y"));
    assert_int_equal(tree.n, 1);
    assert_int_equal(tree.parts[0].body_end - tree.parts[0].body_start, 3);
}

static void fields_of_a_part_are_read(void **state)
{
    parse(*state, SLICE("content-type: image/png; name=\"a\r\n b.png\"\r\nContent-ID:  <1@x> \r\nContent-Description: two\r\n words\r\nContent-MD5: abc\r\nContent-Language: id, en\r\nContent-Location: http://x\r\n"
                        "Content-Disposition: attachment; filename=f\r\nContent-Transfer-Encoding: BASE64 (c)\r\n\r\nYQ==\r\n\r\n"));
    const struct mime_part *p = &tree.parts[0];
    assert_string_equal(text_of(*state, p->id), "<1@x>");
    assert_string_equal(text_of(*state, p->description), "two words");
    assert_string_equal(text_of(*state, p->md5), "abc");
    assert_string_equal(text_of(*state, p->language), "id, en");
    assert_string_equal(text_of(*state, p->location), "http://x");
    assert_string_equal(text_of(*state, p->disposition), "attachment");
    assert_string_equal(text_of(*state, mime_param(&p->disposition_params, SLICE("FILENAME"))), "f");
    assert_string_equal(text_of(*state, mime_param(&p->params, SLICE("name"))), "a b.png");
    assert_null(mime_param(&p->params, SLICE("x")).p);
    assert_int_equal(p->encoding, MIME_BASE64);
    assert_int_equal(p->lines, 2);
}

static void one_place_ends_a_head_for_everybody(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {{"A: b\r\n\r\nx", 8}, {"A: b\n\nx", 6}, {"A: b\r\n \r\n\r\nx", 11}, {"\r\nx", 2}, {"x", 1}, {"A: b\r\n\r", 7}, {"junk\r\n\r\n", 8}, {"A: b\r\r\n\r\n", 9}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(header_length(slice_of(rows[i].text)), rows[i].n);
        parse(*state, slice_of(rows[i].text));
        assert_int_equal(tree.parts[0].body_start, rows[i].n);
    }
}

static void fields_are_found_between_lines_that_are_none(void **state)
{
    struct slice head = SLICE("From x Mon\r\nTo : a\r\n b\r\n: none\r\nno colon\r\n\tfolded\r\nCc:\r\nSubject:x:y\r\n\r\nBcc: no");
    struct header_field f;
    assert_true(header_next(&head, &f));
    assert_string_equal(text_of(*state, f.name), "To");
    assert_string_equal(text_of(*state, header_unfold(f.value, *state)), "a b");
    assert_string_equal(text_of(*state, f.whole), "To : a\r\n b\r\n");
    assert_true(header_next(&head, &f) && f.value.n == 0 && slice_eq(f.name, SLICE("Cc")));
    assert_true(header_next(&head, &f) && slice_eq(f.value, SLICE("x:y")));
    assert_false(header_next(&head, &f));
    assert_false(header_next(&head, &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shapes_of_messages_are_as_clients_see_them),
        TEST(every_prefix_at_a_guard_page_gives_a_sound_tree),
        TEST(nesting_ends_at_fifty_in_one_opaque_part),
        TEST(a_thousand_parts_and_the_rest_is_one_opaque_part),
        TEST(memory_and_time_of_hostile_messages_are_bounded),
        TEST(a_nul_is_a_byte_like_another),
        TEST(fields_of_a_part_are_read),
        TEST(one_place_ends_a_head_for_everybody),
        TEST(fields_are_found_between_lines_that_are_none),
    };
    return cmocka_run_group_tests_name("mail/mime/parse", tests, NULL, NULL);
}
