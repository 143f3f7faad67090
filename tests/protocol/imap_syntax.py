"""The frame of IMAP: tags, literals, nesting, states, what is malformed (RFC 9051 2.2, 4, 9; RFC 7888; attacks.md IM-01 to IM-08, IM-21)."""
import pytest

from kantor import Literal, message


# --- literals (IM-01, IM-02)

@pytest.mark.parametrize("literal", ["{4294967295}", "{18446744073709551616}", "{99999999999999999999999}", "{70000}"])
def test_a_literal_that_is_too_large_is_refused_before_it_is_sent(server, person, literal):
    c = server.imap(person, select="INBOX")
    c.send("a SEARCH TEXT %s\r\n" % literal)
    answer = c.response()
    assert answer.startswith((b"a NO", b"a BAD", b"* BYE")), answer
    if not answer.startswith(b"* BYE"):
        c.ok("NOOP")


def test_literals_that_add_up_are_refused_before_they_fill_memory(server, person):
    c = server.imap(person, select="INBOX")
    before = server.rss()
    c.send("a SEARCH")
    for n in range(100):
        c.send(" TEXT {4000+}\r\n" + "x" * 4000)
        if n % 20 == 19:
            assert server.rss() - before < 8 * 1024 * 1024
    c.send("\r\n")
    assert c.response().startswith((b"a NO", b"a BAD", b"* BYE"))


def test_before_login_much_less_is_taken(server):
    c = server.imap()
    c.send("a LOGIN {9000}\r\n")
    assert c.response().startswith((b"a NO", b"* BYE"))
    c = server.imap()
    c.send("a LOGIN {9000+}\r\n")
    assert c.response().startswith((b"a NO", b"* BYE"))


@pytest.mark.parametrize("literal", ["{-1}", "{5 +}", "{+}", "{}", "{x}", "{5-}", "{ 5}", "{5}x"])
def test_what_only_looks_like_a_literal_is_not_waited_for(server, literal):
    c = server.imap()
    c.send("a LOGIN %s\r\n" % literal)
    answer = c.response() # BYE where nobody can say what the octets behind it are
    assert answer.startswith((b"a BAD", b"a NO", b"* BYE"))
    if not answer.startswith(b"* BYE"):
        c.ok("NOOP")


@pytest.mark.parametrize("mode", ["sync", "plus"])
def test_a_login_by_literals_with_any_octets_works(server, person, mode):
    c = server.imap()
    assert c.cmd("LOGIN", Literal(person, mode), Literal("demo-password", mode)).status == "OK"
    d = server.imap()
    assert d.cmd("LOGIN", Literal(person, mode), Literal("wrong {5+} \"\\ \xff", mode)).code_name == "AUTHENTICATIONFAILED"


def test_an_empty_literal_is_an_empty_string(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", message())
    c.ok("NOOP")
    for mode in ("sync", "plus"):
        assert c.ok("SEARCH SUBJECT", Literal("", mode)).search == [1]


def test_nul_is_refused_in_strings(server):
    for text in (b'a LOGIN "u\0" "p"\r\n', b"a LOGIN {2+}\r\nu\0 p\r\n", b"a LOGIN u\0 p\r\n", b"a NO\0OP\r\n"):
        c = server.imap()
        c.send(text)
        assert c.response().startswith((b"a BAD", b"* BAD"))
        c.ok("NOOP")


@pytest.mark.parametrize("octet", sorted(set(range(256)) - {10, 13}))
def test_no_octet_in_a_login_harms(server, octet):
    c = server.imap()
    o = bytes([octet])
    c.send(b'a%sb LOG%sIN "x%sy" {3+}\r\n%s%s%s\r\n' % (o, o, o, o, o, o))
    c.send(b"z NOOP\r\n")
    seen = c.response()
    while not seen.startswith(b"z OK"):
        assert not seen.startswith(b"* BYE")
        seen = c.response()


# --- nesting (IM-03, IM-04)

@pytest.mark.parametrize("command", ["NOOP", "SEARCH", "FETCH 1", "LIST", "ID", "STATUS INBOX", "SELECT INBOX", "STORE 1 FLAGS", "FETCH 1 BODY[HEADER.FIELDS", "LOGIN", "CREATE x"])
@pytest.mark.parametrize("before_login", [True, False])
def test_a_million_parentheses_end_in_bad_or_bye(server, person, command, before_login):
    c = server.imap() if before_login else server.imap(person, select="INBOX")
    before = server.rss()
    try:
        c.send("a " + command + " " + "(" * 1000000 + "\r\n")
        answer = c.response()
    except OSError:
        answer = b"* BYE"
    assert answer.startswith((b"a BAD", b"a NO", b"* BYE"))
    assert server.rss() - before < 16 * 1024 * 1024
    server.imap(person).ok("NOOP")


# --- states and lines (IM-06, IM-07)

def test_commands_in_the_wrong_state_are_bad(server, person):
    c = server.imap()
    for text in ("SELECT INBOX", "LIST \"\" *", "FETCH 1 UID", "IDLE", "ENABLE CONDSTORE", "CLOSE", "COMPRESS DEFLATE"):
        c.bad(text)
    c = server.imap(person)
    for text in ("LOGIN a b", "AUTHENTICATE PLAIN", "STARTTLS", "FETCH 1 UID", "CLOSE", "UNSELECT", "EXPUNGE", "CHECK", "UID FETCH 1 UID", "SEARCH ALL", "DONE", "UID", "UID NOOP", "UID LOGOUT", "UID UID FETCH 1 UID"):
        c.bad(text)
    c.ok("NOOP")


def test_ten_errors_in_a_row_before_login_end_the_connection(server):
    c = server.imap()
    for _ in range(10):
        c.send("a XYZZY\r\n")
    answers = []
    while not answers or not answers[-1].startswith(b"* BYE"):
        answers.append(c.response())
    assert len(answers) <= 11


@pytest.mark.parametrize("line", ["+ NOOP", "+", "a+b NOOP", "(a) NOOP", "NOOP", "a", " a NOOP", "*", "* NOOP", "\"a\" NOOP", "x" * 2000 + " NOOP", "a  NOOP"])
def test_a_line_without_a_good_tag_is_bad(server, person, line):
    c = server.imap(person)
    c.send(line + "\r\n")
    answer = c.response()
    assert b" BAD " in answer, answer
    c.ok("NOOP")


@pytest.mark.parametrize("text", ["NOOP x", "NOOP ", "CAPABILITY x", "LOGOUT x", "CHECK x", "EXPUNGE x", "IDLE x", "NAMESPACE x", "CLOSE x", "UNSELECT x", "ENABLE", "ENABLE ", "ENABLE  CONDSTORE", "ENABLE (CONDSTORE)", "COMPRESS", "COMPRESS GZIP", "ID", "ID ()x", "ID (\"a\")", "ID (\"a\" b)",
                                  "ID (NIL \"x\")", "SELECT", "SELECT INBOX x", "SELECT INBOX (FOO)", "SELECT INBOX ()", "EXAMINE", "COPY 1", "MOVE 1", "UID EXPUNGE", "FETCH", "FETCH 1", "STORE 1", "COPY x Archive"])
def test_a_malformed_command_is_bad_and_the_session_goes_on(server, person, text):
    c = server.imap(person, select="INBOX")
    c.bad(text)
    assert c.ok("NOOP").untagged == []


def test_empty_lines_between_commands_are_passed_over(server, person):
    c = server.imap(person)
    c.send("\r\n\r\na NOOP\r\n\r\n\nb NOOP\r\n")
    assert c.collect("a").status == "OK" and c.collect("b").status == "OK"


def test_a_bare_line_feed_ends_a_command(server, person):
    c = server.imap(person)
    c.send("a NOOP\nb NOOP\n")
    assert c.collect("a").status == "OK" and c.collect("b").status == "OK"


def test_verbs_and_words_have_no_case(server, person):
    c = server.imap(person)
    c.ok("sElEcT iNbOx")
    c.append("inbox", message())
    c.ok("noop")
    assert c.ok("uid fetch 1 (uid flags body.peek[header.fields (subject)])").fetches[1]["UID"] == 1
    assert c.ok("sEaRcH uNsEeN").search == [1]


def test_a_line_without_end_is_cut_off(server):
    c = server.imap()
    before = server.rss()
    try:
        for _ in range(200):
            c.send("x" * 65536)
        answer = c.response()
    except OSError:
        return
    assert answer.startswith(b"* BYE") and server.rss() - before < 16 * 1024 * 1024


# --- sets (IM-08)

@pytest.mark.parametrize("numbers", ["1:*," * 5000 + "1", ",".join(str(n) for n in range(2, 20000, 2))[:60000].rstrip(","), "1:4294967295", "4294967295:1", "*:1", "*,*:*,1"])
def test_sets_of_any_shape_cost_little(server, box, numbers):
    cpu = server.cpu()
    r = box.ok("UID FETCH %s UID" % numbers)
    assert set(r.by_uid) <= {1, 2, 3, 4, 5} and r.by_uid
    box.ok("UID STORE %s +FLAGS.SILENT (\\Seen)" % numbers)
    box.ok("UID SEARCH UID " + numbers)
    assert server.cpu() - cpu < 2


@pytest.mark.parametrize("numbers", ["0", "1:0", "4294967296", "1:", ":1", "1,,2", ",1", "1,", "a", "1-2", "**", "1:2:3", "$,1", "1,$", "-1", "1 ,2", ""])
def test_a_malformed_set_is_bad_everywhere(box, numbers):
    for command in ("UID FETCH %s (FLAGS)", "FETCH %s FLAGS", "STORE %s FLAGS ()", "UID COPY %s Archive", "UID EXPUNGE %s", "SEARCH UID %s"):
        box.bad(command % numbers)


# --- ENABLE, ID, COMPRESS

def test_enable_names_what_it_switched_on_and_always_answers(server, person):
    c = server.imap(person)
    assert c.ok("ENABLE QRESYNC X-UNKNOWN").one("ENABLED").value == ["QRESYNC"]
    assert c.ok("ENABLE qresync").one("ENABLED").value == []
    assert sorted(c.ok("ENABLE UTF8=ACCEPT imap4rev2 CONDSTORE").one("ENABLED").value) == ["IMAP4rev2", "UTF8=ACCEPT"]


def test_a_malformed_enable_switches_nothing_on(server, box):
    box.bad("ENABLE QRESYNC  CONDSTORE")
    box.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert box.ok("EXPUNGE").expunged == [1]


def test_id_is_answered_before_and_after_login(server, person):
    c = server.imap()
    for text in ("ID NIL", 'ID ("name" "x" "version" NIL)', "ID ()", 'id ("os" "iOS")'):
        assert c.ok(text).one("ID").value[0][1] == b"Kantor"
    c.bad("ID (%s)" % " ".join('"k%d" "v"' % n for n in range(31)))
    c.login(person, "demo-password")
    c.ok("ID NIL")


def test_a_client_may_compress_once(server, person):
    c = server.imap(person)
    assert "COMPRESS=DEFLATE" in c.capabilities()
    c.compress()
    assert "COMPRESS=DEFLATE" not in c.capabilities()
    assert c.no("COMPRESS DEFLATE").code_name == "COMPRESSIONACTIVE"


def test_a_little_that_inflates_to_very_much_meets_the_same_limits(server, person):
    c = server.imap(person)
    c.compress()
    before = server.rss()
    try:
        c.send("a NOOP " + "x" * 4000000 + "\r\n")
        answer = c.response()
    except OSError:
        answer = b"* BYE"
    assert answer.startswith(b"* BYE") and server.rss() - before < 16 * 1024 * 1024
    server.imap(person).ok("NOOP")


def test_capability_is_the_same_in_greeting_login_and_answer(server, person):
    c = server.imap()
    greeted = c.greeting.value[1]
    assert c.greeting.value[0] == "CAPABILITY" and [str(w).upper() for w in greeted] == c.capabilities()
    r = c.login(person, "demo-password")
    assert r.code_name == "CAPABILITY" and [str(w).upper() for w in r.code[1]] == c.capabilities() and "STARTTLS" not in c.capabilities()


def test_logout_says_bye_and_closes(server, person):
    c = server.imap(person, select="INBOX")
    r = c.ok("LOGOUT")
    assert [u.name for u in r.untagged] == ["BYE"]
    with pytest.raises(Exception):
        c.cmd("NOOP")
