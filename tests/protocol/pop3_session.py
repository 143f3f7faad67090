"""POP3 (RFC 1939, 2449, 2595, 5034, 6856; attacks.md PO-01 to PO-06)."""
import pytest

from kantor import MIXED, PASSWORD, message, until


def login_again(server, user):
    """A session after one whose connection broke: the server sees the break on its own time and says [IN-USE] until then."""
    def attempt():
        c = server.pop3()
        c.ok("USER " + user)
        good, text = c.cmd("PASS " + PASSWORD)
        assert good or text.startswith("[IN-USE]"), text
        return c if good else c.close()
    return until(attempt, "the lock of a broken session was not freed")


@pytest.fixture
def filled(server, person):
    c = server.imap(person, select="INBOX")
    for m in (message("one"), b"Subject: dots\r\n\r\n.\r\n..two\r\n.three\r\n", MIXED):
        c.append("INBOX", m)
    return person


def test_messages_come_out_byte_for_byte_and_as_long_as_listed(server, filled):
    c = server.pop3(filled)
    assert c.retr(2) == b"Subject: dots\r\n\r\n.\r\n..two\r\n.three\r\n" and c.retr(3) == MIXED
    sizes = c.sizes()
    assert {n: len(c.retr(n)) for n in sizes} == sizes


def test_equal_messages_have_different_and_lasting_uidls(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", MIXED)
    c.append("INBOX", MIXED)
    first, again = server.pop3(person), None
    ids = first.uidl()
    first.ok("QUIT")
    again = server.pop3(person).uidl()
    assert len(set(ids.values())) == 2 and ids == again


def test_deletes_happen_at_quit_only(server, filled):
    c = server.pop3(filled)
    c.ok("DELE 1")
    c.err("RETR 1")
    c.reset()
    c = login_again(server, filled)
    assert len(c.sizes()) == 3
    c.ok("DELE 1")
    c.ok("RSET")
    c.ok("DELE 2")
    c.ok("QUIT")
    assert sorted(server.pop3(filled).sizes()) == [1, 2] and server.imap(filled, select="INBOX").uids() == [1, 3]


def test_a_session_sees_a_frozen_mailbox(server, filled):
    c = server.pop3(filled)
    i = server.imap(filled, select="INBOX")
    i.append("INBOX", message("new"))
    i.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    i.ok("EXPUNGE")
    assert sorted(c.sizes()) == [1, 2, 3]
    assert c.cmd("RETR 1")[0] in (True, False)


def test_a_second_session_is_told_in_use_until_the_first_is_gone(server, filled):
    c = server.pop3(filled)
    c.ok("DELE 1")
    other = server.pop3()
    other.ok("USER " + filled)
    assert other.err("PASS demo-password").startswith("[IN-USE]")
    c.close()
    assert len(login_again(server, filled).sizes()) == 3


def test_capa_announces_what_there_is(server):
    have = server.pop3().capabilities()
    assert {"TOP", "UIDL", "STLS", "SASL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8", "LANG", "USER"} <= set(have)


@pytest.mark.parametrize("line", ["RETR 0", "RETR 4", "TOP 1 -1", "UIDL 0", "LIST 99999999999", "RETR", "XYZZY", "DELE x", "LAST", "TOP 1"])
def test_wrong_commands_get_err_and_the_session_goes_on(server, filled, line):
    c = server.pop3(filled)
    c.err(line)
    c.ok("NOOP")


def test_top_gives_the_head_and_that_many_lines(server, filled):
    c = server.pop3(filled)
    assert c.multi("TOP 2 1") == [b"Subject: dots", b"", b"."]
    assert b"\r\n".join(c.multi("TOP 3 99999999")) + b"\r\n" == MIXED


def test_unknown_and_known_users_get_the_same_answers(server, person):
    a, b = server.pop3(), server.pop3()
    assert a.cmd("USER nobody@kantor.example")[0] is b.cmd("USER " + person)[0] is True
    x, y = a.err("PASS wrong"), b.err("PASS wrong")
    assert x == y and x.startswith("[AUTH]")


def test_a_bare_auth_lists_the_mechanisms(server):
    assert b"PLAIN" in server.pop3().multi("AUTH")


def test_a_continuation_without_end_is_cut(server):
    c = server.pop3()
    c.send("AUTH PLAIN\r\n")
    assert c.line().startswith(b"+ ")
    before = server.rss()
    c.send_what_goes(b"A" * 10485760)
    assert server.rss() - before < 32 * 1048576


def test_stls_then_login(server, person):
    c = server.pop3()
    c.starttls()
    c.login(person, "demo-password")
    c.ok("QUIT")
