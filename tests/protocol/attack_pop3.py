"""POP3 under attack and at its limits (attacks.md PO-01 … PO-06, SI-23; clients.md P1 … P12)."""
import base64
import random

import pytest

from kantor import MIXED, PASSWORD, Bystander, message, until
from kantor.configured import configured, finish


def put(server, person, *messages):
    with server.imap(person, select="INBOX") as c:
        for m in messages:
            c.append("INBOX", m)


# --- PO-01: greedy reads

@pytest.mark.parametrize("line,good", [("TOP 1 4294967295", True), ("TOP 1 18446744073709551614", True), ("TOP 1 -1", False), ("TOP 1 99999999999999999999", False), ("UIDL 0", False), ("LIST 99999999999", False),
                                       ("RETR 18446744073709551617", False), ("RETR 1 1", False), ("DELE -1", False), ("LIST 1 2", False), ("TOP 1", False), ("TOP", False), ("RETR +1", False), ("RETR 0x1", False)])
def test_numbers_at_their_limits(server, person, line, good):
    put(server, person, MIXED)
    c = server.pop3(person)
    assert c.cmd(line)[0] is good
    if good:
        assert b"\r\n".join(c.lines()) + b"\r\n" == MIXED
    c.ok("NOOP")


def test_thousands_of_pipelined_reads_that_nobody_takes_cost_bounded_memory(server, person):
    put(server, person, message(body=b"x" * 200000 + b"\r\n"))
    c = server.pop3(person)
    before = server.rss()
    c.socket.settimeout(1)
    with Bystander(server):
        sent = 0
        try:
            for _ in range(40000):
                c.socket.sendall(b"RETR 1\r\n" * 100)
                sent += 100
        except OSError:
            pass
        assert 0 < sent < 4000000
        assert server.rss() - before < 64 * 1048576
    c.reset()


def test_a_maildrop_of_thirty_thousand_messages_opens_and_lists_in_steps(fresh):
    put(fresh, "budi@kantor.example", MIXED)
    with fresh.imap("budi", select="INBOX") as i:
        for _ in range(15):
            i.ok("COPY 1:* INBOX")
    count = 2 ** 15
    before = fresh.rss()
    c = fresh.pop3("budi")
    assert c.ok("STAT") == "%d %d" % (count, count * len(MIXED))
    assert list(c.sizes()) == list(range(1, count + 1))
    ids = c.uidl()
    assert len(set(ids.values())) == count
    c.ok("DELE %d" % count)
    assert fresh.rss() - before < 16 * 1048576
    c.ok("QUIT")
    assert fresh.pop3("budi").ok("STAT").startswith("%d " % (count - 1))


# --- PO-02: dots and line ends

def stuffed(octets):
    """What RETR sends for what is stored: dots doubled behind LF, NUL as 0x80, the blank line and the last line end there."""
    out = octets.replace(b"\0", b"\x80")
    lines = out.split(b"\n")
    head = next((i for i, line in enumerate(lines[:-1]) if line in (b"", b"\r")), None)
    wire = b"\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    if not out.endswith(b"\r\n") and out:  # also behind a bare LF: the last dot stands behind CR LF
        wire += b"\r\n"
    if head is None:
        wire += b"\r\n"
    return wire + b".\r\n"


def raw_retr(c, n, size):
    c.send("RETR %d\r\n" % n)
    assert c.line().startswith(b"+OK")
    return c.exactly(size)


ODD = [b"Subject: a\r\n\r\n\r\n.\r\n..\r\n...x\r\n.", b"Subject: no body\r\n", b"Subject: no end\r\n\r\nx", b"Subject: lf\n\n.\n.x\ny", b"Subject: cr\r\n\r\na\r.\r.\r\n", b"Subject: nul\r\n\r\n\0.\0\r\n.\0\r\n", b"\r\n", b".\r\n",
       b"x: y\r\n\r\n" + b"." * 70000 + b"\r\n", b"x: y\r\n\r\n" + b".\r\n" * 70000]


@pytest.mark.parametrize("octets", ODD, ids=lambda o: repr(o[:30]))
def test_dots_and_line_ends_go_out_exactly_once(server, person, octets):
    put(server, person, octets)
    c = server.pop3(person)
    wire = stuffed(octets)
    assert raw_retr(c, 1, len(wire)) == wire
    c.ok("NOOP")
    if octets.endswith(b"\r\n") and b"\r\n\r\n" in octets:
        assert c.sizes()[1] == len(octets)


def test_random_octets_of_dots_and_line_ends_survive_every_boundary(server, person):
    random.seed(939)
    messages = [b"S: x\r\n\r\n" + bytes(random.choice(b"\r\n..a\0") for _ in range(random.randrange(1, 300))) for _ in range(40)]
    messages += [b"S: " + b"x" * (131072 - 3 - cut) + b"\r\n\r\n.\r\nbody\r\n" for cut in range(0, 8)]  # the head ends around the step of reading
    put(server, person, *messages)
    c = server.pop3(person)
    for n, m in enumerate(messages, 1):
        wire = stuffed(m)
        assert raw_retr(c, n, len(wire)) == wire, m
    for n in range(41, 49):
        assert c.multi("TOP %d 1" % n)[-1] == b"." and c.multi("TOP %d 0" % n)[-1] == b""
    c.ok("NOOP")


# --- PO-03: deletion and two sessions

def test_nothing_goes_without_quit_however_the_session_ends(server, person):
    put(server, person, MIXED, MIXED)
    for end in ("close", "reset"):
        c = server.pop3(person)
        c.ok("DELE 1")
        getattr(c, end)()
        until(lambda: "pop3" not in server.ctl("sessions", "list") or person not in [w for line in server.ctl("sessions", "list").splitlines() if "pop3" in line for w in line.split()], "the session did not end")
    c = server.pop3(person)
    assert c.sizes() == {1: len(MIXED), 2: len(MIXED)}


def test_what_imap_expunged_meanwhile_is_still_numbered_and_quit_does_not_mind(server, person):
    put(server, person, message("one"), message("two"), message("three"))
    c = server.pop3(person)
    ids = c.uidl()
    with server.imap(person, select="INBOX") as i:
        i.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        i.ok("EXPUNGE")
    assert c.uidl() == ids
    for n in (1, 2, 3):
        c.ok("DELE %d" % n)
    c.ok("QUIT")
    with server.imap(person, select="INBOX") as i:
        assert i.exists == 0


def test_marks_rset_and_the_counts_agree(server, person):
    put(server, person, message("one"), message("two"), message("three"))
    c = server.pop3(person)
    all_ = c.ok("STAT")
    sizes = c.sizes()
    c.ok("DELE 2")
    assert c.ok("STAT") == "2 %d" % (sizes[1] + sizes[3])
    assert c.sizes() == {1: sizes[1], 3: sizes[3]} and sorted(c.uidl()) == [1, 3]
    for line in ("DELE 2", "RETR 2", "TOP 2 0", "LIST 2", "UIDL 2"):
        c.err(line)
    c.ok("RSET")
    assert c.ok("STAT") == all_


def test_a_silent_session_loses_the_mailbox_to_the_next_and_its_marks_with_it():
    s = configured("timeout.pop3_takeover = 300ms")
    try:
        put(s, "budi@kantor.example", MIXED)
        phone = s.pop3("budi")
        phone.ok("DELE 1")

        def attempt():
            c = s.pop3()
            c.ok("USER budi@kantor.example")
            good, text = c.cmd("PASS " + PASSWORD)
            assert good or text.startswith("[IN-USE]"), text
            return c if good else c.close()
        second = until(attempt, "a silent session keeps the mailbox")
        assert phone.err("QUIT").startswith("[SYS/TEMP]")
        phone.assert_closed()
        assert second.sizes() == {1: len(MIXED)}
        second.ok("NOOP")
        third = s.pop3()
        third.ok("USER budi@kantor.example")
        assert third.cmd("PASS " + PASSWORD)[0] is False
    finally:
        finish(s)


# --- PO-04: UIDL

def test_uidls_are_nothing_a_sender_can_choose_and_survive_restart_and_expunge(fresh):
    one, two = message("same"), None
    two = one.replace(b"Apa kabar", b"other one")
    put(fresh, "budi@kantor.example", one, one, two, message("fourth"))
    c = fresh.pop3("budi")
    ids = c.uidl()
    assert len(set(ids.values())) == 4
    c.ok("DELE 2")
    c.ok("QUIT")
    fresh.kill()
    fresh.start()
    again = fresh.pop3("budi").uidl()
    assert list(again.values()) == [ids[1], ids[3], ids[4]] and all(0x21 <= b <= 0x7E for v in again.values() for b in v.encode()) and max(map(len, again.values())) <= 70


# --- PO-05: names and passwords

def test_names_are_not_told_and_passwords_keep_their_blanks(server):
    server.ctl("account", "add", "blank@kantor.example", "--password", " two  blanks ", check=False)
    c = server.pop3()
    for n in range(100):
        assert c.cmd("USER nobody%d@kantor.example" % n) == c.cmd("USER budi@kantor.example")
    c.ok("USER blank@kantor.example")
    c.ok("PASS  two  blanks ")
    c = server.pop3()
    for line in ("APOP budi@kantor.example c4c9334bac560ecc979e58001b3e22fb", "AUTH CRAM-MD5", "AUTH NTLM", "AUTH X-", "LAST", "XTND", "PASS x", "STAT"):
        c.err(line)


def test_clear_text_logins_are_refused_alike_where_tls_is_asked_for():
    s = configured(cleartext="never")
    try:
        answers = set()
        for password in (PASSWORD, "wrong"):
            c = s.pop3()
            assert "USER" not in c.capabilities() and "SASL" not in c.capabilities() and "STLS" in c.capabilities()
            answers |= {c.err("USER budi@kantor.example"), c.err("AUTH PLAIN " + base64.b64encode(b"\0budi@kantor.example\0" + password.encode()).decode())}
            c.err("PASS " + password)
            c.starttls()
            assert "USER" in c.capabilities()
        assert len(answers) == 1 and answers.pop().startswith("[AUTH]")
        assert "login" not in s.log().split("ready")[-1]
    finally:
        finish(s)


def test_what_was_said_before_tls_is_forgotten_and_utf8_comes_after_it(server):
    c = server.pop3()
    c.ok("USER budi@kantor.example")
    c.starttls()
    c.err("PASS " + PASSWORD)
    c.err("STLS")
    c = server.pop3()
    c.ok("UTF8")
    c.err("STLS")
    c.err("UTF8 x")


# --- PO-06 and others

@pytest.mark.parametrize("blob", ["!!!!", "A", "A=", "QQ==QQ==", "QQ ==", "*", "=", "AGJ1ZGkA", "A" * 12000])
def test_bad_base64_hurts_only_its_own_session(server, blob):
    with Bystander(server):
        c = server.pop3()
        assert c.cmd("AUTH PLAIN " + blob)[0] is False
        assert c.multi("CAPA")


def test_an_endless_continuation_is_cut(server):
    c = server.pop3()
    c.send("AUTH PLAIN\r\n")
    assert c.line() == b"+ "
    before = server.rss()
    c.send_what_goes(b"A" * 10485760)
    assert server.rss() - before < 32 * 1048576
    assert b"+OK" not in c.rest()


def test_http_is_sent_away(server):
    c = server.pop3()
    c.send(b"POST / HTTP/1.1\r\nHost: k\r\n\r\nUSER x\r\n")
    assert c.reply()[0] is False
    c.assert_closed()


def test_a_pipelined_session_is_answered_in_order(server, person):
    put(server, person, MIXED)
    c = server.pop3()
    c.send("USER %s\r\nPASS %s\r\nSTAT\r\nUIDL 1\r\nRETR 1\r\nDELE 1\r\nRSET\r\nNOOP\r\nQUIT\r\n" % (person, PASSWORD))
    assert [c.reply()[0] for _ in range(5)] == [True] * 5
    assert b"\r\n".join(c.lines()) + b"\r\n" == MIXED
    assert [c.reply()[0] for _ in range(4)] == [True] * 4
    c.assert_closed()


def test_languages_are_listed_chosen_and_refused(server):
    c = server.pop3()
    assert any(line.startswith(b"en ") for line in c.multi("LANG"))
    assert c.ok("LANG en").startswith("en ") and c.ok("LANG *").startswith("en ")
    c.err("LANG uga")
