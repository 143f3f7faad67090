"""Gmail's fetcher, fetchmail, neomutt and phones by POP3 (clients.md P2, P7 to P12)."""

import pytest

from kantor import Literal, PASSWORD
from kantor.programs import everything
from kantor.replay import say
from kantor.shapes import plain
from kantor.wait import until


def test_the_same_mail_twice_has_two_uidls(server, person):
    """P2: or one of them is never fetched."""
    mail = plain("twice")
    with server.lmtp() as l:
        for _ in range(2):
            l.deliver("a@elsewhere.example", person, mail)
    with server.imap(person) as c:
        for _ in range(2):
            c.append("INBOX", mail)
    with server.pop3(person) as p:
        assert len(set(p.uidl().values())) == 4


def test_gmail_polls_every_minute_and_sees_the_same_list(server, person):
    """P7: ascending without gaps, one line each, the same UIDLs each time."""
    with server.imap(person, select="INBOX") as c:
        for i in range(60):
            c.append("INBOX", plain("g %d" % i))
        c.ok("STORE 7,11 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
    seen = None
    for _ in range(5):
        p = server.pop3(tls=True)
        say(p, b"CAPA\r\n", r"\+OK", r"\.$")
        say(p, b"USER %s\r\nPASS %s\r\n" % (person.encode(), PASSWORD.encode()), r"\+OK", r"\+OK")
        say(p, b"STAT\r\n", r"\+OK 58 \d+$")
        sizes, uidls = p.sizes(), p.uidl()
        assert list(sizes) == list(uidls) == list(range(1, 59)) and seen in (None, (sizes, uidls))
        seen = sizes, uidls
        say(p, b"QUIT\r\n", r"\+OK")


def test_fetchmail_reads_by_top_with_a_huge_count(server, person):
    """P8: the whole message, the sizes it was told, -ERR to LAST; nothing becomes seen by TOP."""
    mail = plain("f", 3000)
    with server.imap(person) as c:
        c.append("INBOX", mail)
    p = server.pop3(person)
    ok, _ = p.cmd("LAST")
    assert not ok
    assert p.sizes() == {1: len(mail)}
    assert b"".join(l + b"\r\n" for l in p.multi("TOP 1 99999999")) == mail
    p.ok("QUIT")
    assert everything(server, person)["INBOX"][0].flags == frozenset()


@pytest.mark.parametrize("mail", [b"Subject: x\r\n\r\nends", b"Subject: x\r\n\r\n", b"Subject: x\r\n\r\n.\r\n..\r\n", b"Subject: only a head\r\n"])
def test_the_size_of_list_is_what_retr_sends(server, person, mail):
    """P8: octets with CR LF, before dots are doubled."""
    with server.imap(person) as c:
        c.append("INBOX", mail)
    added = 2 if not mail.endswith(b"\r\n") or b"\r\n\r\n" not in mail else 0     # the line end or separator that POP3 needs (P4) is in no size, as in Dovecot
    with server.pop3(person) as p:
        assert p.sizes()[1] == len(mail) == len(p.retr(1)) - added == int(p.ok("STAT").split()[1])


def test_mail_over_quota_is_452_and_never_552_or_553(fresh):
    """P9: fetchmail deletes the only copy on 552 and 553."""
    fresh.ctl("account", "quota", "andi@kantor.example", "20000")
    l = fresh.lmtp()
    l.deliver("a@elsewhere.example", "andi@kantor.example", plain("q", 15000))
    code = None
    for _ in range(3):
        l.cmd("RSET", 250)
        l.cmd("MAIL FROM:<a@elsewhere.example>", 250)
        r = l.cmd("RCPT TO:<andi@kantor.example>")
        if r.code != 250:
            code = r.code
            break
        (r,) = l.data(plain("q", 15000))
        if r.code != 250:
            code = r.code
            break
    assert code == 452, r


def test_a_phone_that_vanishes_deletes_nothing_and_leaves_no_lock(server, person):
    """P10."""
    with server.imap(person) as c:
        for i in range(3):
            c.append("INBOX", plain("v %d" % i))
    p = server.pop3(person)
    p.ok("DELE 1")
    second = server.pop3()
    second.ok("USER " + person)
    assert second.err("PASS " + PASSWORD).startswith("[IN-USE]")
    p.reset()

    def login():
        q = server.pop3()
        q.ok("USER " + person)
        good, text = q.cmd("PASS " + PASSWORD)
        if good:
            return q
        assert text.startswith("[IN-USE]")
        q.close()
    q = until(login, "the freed maildrop")
    assert q.ok("STAT").startswith("3 ")
    q.ok("QUIT")
    assert len(everything(server, person)["INBOX"]) == 3


@pytest.mark.parametrize("password", ["two words inside", " begins with a blank", "ends with a blank ", "p%@ss w\u00f6rd", "  "*5 + "x"])
def test_everything_behind_the_first_blank_is_the_password(server, person, password):
    """P11."""
    server.ctl("account", "password", person, "--password", password)
    p = server.pop3()
    say(p, b"USER %s\r\n" % person.encode(), r"\+OK")
    say(p, b"PASS %s\r\n" % password.encode(), r"\+OK")


def test_only_bad_credentials_are_auth(server, person):
    """P12: a plain -ERR opens a password prompt."""
    p = server.pop3()
    p.ok("USER " + person)
    assert p.err("PASS wrong").startswith("[AUTH]")
    p.ok("USER nobody%at@kantor.example")
    assert p.err("PASS x").startswith("[AUTH]")


def test_a_mailbox_of_two_thousand_is_listed(server, person):
    """P7."""
    with server.imap(person) as c:
        for _ in range(10):
            for i in range(200):
                c.start("APPEND INBOX", Literal(b"Subject: %d\r\n\r\nx\r\n" % i, "plus"))
            last = c.count
            for i in range(200):
                assert c.collect("t%d" % (last - 199 + i)).status == "OK"
    p = server.pop3(person)
    assert p.ok("STAT").startswith("2000 ") and len(p.uidl()) == 2000 and len(p.sizes()) == 2000
