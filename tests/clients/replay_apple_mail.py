"""Apple Mail on macOS and iOS (clients.md S13, I7, I10, I22 to I28, X2)."""
import pytest

from kantor import Literal, PASSWORD
from kantor.programs import everything
from kantor.replay import say
from kantor.shapes import plain


def test_no_challenge_mechanisms_that_a_hashed_store_cannot_serve(server):
    """S13: it takes CRAM-MD5 if it is offered and fails."""
    for words in (server.submission().extensions["AUTH"].split(), [w[5:] for w in server.imap(tls=True).capabilities() if w.startswith("AUTH=")], server.pop3(tls=True).capabilities()["SASL"]):
        assert "PLAIN" in words and not {"CRAM-MD5", "DIGEST-MD5", "NTLM", "APOP"} & set(words)


def phone(server, person):
    c = server.imap(tls=True)
    say(c, b'A1 ID ("name" "iPhone Mail" "version" "22A3354" "os" "iOS" "os-version" "18.0 (22A3354)")\r\n', r"\* ID ", "A1 OK")
    say(c, b"A2 AUTHENTICATE PLAIN\r\n", r"\+ $")
    import base64
    say(c, base64.b64encode(("\0%s\0%s" % (person, PASSWORD)).encode()) + b"\r\n", r"A2 OK \[CAPABILITY ")
    say(c, b'A3 LIST "" "*"\r\n', r"\* LIST ", "A3 OK")
    say(c, b'A4 LIST "" ""\r\n', r'\* LIST \(\\Noselect\) "/" ""', "A4 OK")
    return c


def test_done_and_the_next_commands_in_one_packet(server, person):
    """I22: iOS 18 hangs when the rest of the packet is dropped."""
    with server.imap(person) as o:
        o.append("INBOX", plain("one"))
    c = phone(server, person)
    say(c, b"A5 SELECT INBOX\r\n", r"\* 1 EXISTS", "A5 OK")
    say(c, b"A6 IDLE\r\n", r"\+ ")
    for i in range(3):
        say(c, b"DONE\r\nA%d UID FETCH 1 (FLAGS)\r\nA%d IDLE\r\n" % (7 + 2 * i, 8 + 2 * i), "A%d OK" % (6 + 2 * i), r"\* 1 FETCH \(UID 1 FLAGS ", "A%d OK" % (7 + 2 * i), r"\+ ")
    say(c, b"DONE\r\n", "A12 OK")


def test_an_empty_line_before_a_tag(server, person):
    """I23."""
    with server.imap(person) as o:
        o.append("INBOX", plain("one"))
    c = phone(server, person)
    say(c, b"A5 SELECT INBOX\r\n", "A5 OK")
    say(c, b'\r\nB41 UID MOVE 1 "Trash"\r\n', r"\* OK \[COPYUID ", r"\* 1 EXPUNGE", "B41 OK")
    say(c, b"\r\n\r\nB42 NOOP\r\n", "!.*BAD", "B42 OK")
    say(c, b'A9 APPEND "INBOX" {%d}\r\n' % len(plain()), r"\+ ")
    say(c, plain() + b"\r\n\r\nA10 NOOP\r\n", "A9 OK", "A10 OK")


def test_numbers_past_the_end(server, person):
    """I24: nothing is found there; it is not a mistake in SEARCH."""
    with server.imap(person) as o:
        o.append("INBOX", plain("one"))
    c = phone(server, person)
    say(c, b"A5 SELECT INBOX\r\n", "A5 OK")
    assert say(c, b"A6 SEARCH 5:9 ALL\r\n", "A6 OK")[:-1] in (["* SEARCH"], [])
    assert say(c, b"A7 SEARCH 1:20 NOT DELETED\r\n", "A7 OK")[0] == "* SEARCH 1"
    assert [l for l in say(c, b"A8 UID FETCH 1:1000000000 (FLAGS)\r\n", "A8 OK") if "FETCH" in l] == ["* 1 FETCH (UID 1 FLAGS ())"]


def test_search_matches_parts_of_words(server, person):
    """I25."""
    with server.imap(person) as o:
        o.append("INBOX", plain("Rapatnya ditunda"))
    c = phone(server, person)
    say(c, b"A5 SELECT INBOX\r\n", "A5 OK")
    say(c, b'A6 UID SEARCH CHARSET UTF-8 OR OR SUBJECT "apatn" FROM "apatn" TEXT "apatn"\r\n', r"\* SEARCH 1$", "A6 OK")


def test_no_inbox_in_the_inbox(server, person):
    """I26: Apple's clients try to make it."""
    c = phone(server, person)
    (line,) = say(c, b'A5 CREATE "INBOX/INBOX"\r\n', r"A5 NO|A5 OK")
    assert line.startswith("A5 NO"), line


def test_pipelined_commands_are_answered_in_their_order(server, person):
    """I27."""
    c = phone(server, person)
    data = b"".join(b"P%d %s\r\n" % (i, (b"NOOP", b"SELECT INBOX", b'STATUS "Sent" (MESSAGES)', b"SEARCH ALL")[i % 4]) for i in range(4, 40))
    say(c, data, *["P%d OK" % i for i in range(4, 40)])


def test_a_partial_read_of_a_part(server, person):
    """I7."""
    mail = plain("big", 500000)
    with server.imap(person) as o:
        o.append("INBOX", mail)
    with server.imap(person, select="INBOX") as c:
        got = [bytes(c.ok("UID FETCH 1 (BODY.PEEK[1]<%d.393216>)" % at).by_uid[1]["BODY[1]<%d>" % at]) for at in (0, 393216, 786432)]
        assert b"".join(got) == mail.split(b"\r\n\r\n", 1)[1] and got[2] == b""


def test_mac_drafts_are_replaced_every_half_minute(server, person):
    """I10: APPENDUID and UID EXPUNGE, or dozens stay."""
    c = server.imap(person, select="Drafts")
    last = None
    for i in range(12):
        uid = c.append("Drafts", plain("draft %d" % i), "\\Seen \\Draft $NotJunk")
        if last:
            c.ok("UID STORE %d +FLAGS.SILENT (\\Deleted)" % last)
            c.ok("UID EXPUNGE %d" % last)
        last = uid
    assert len(everything(server, person)["Drafts"]) == 1


def test_the_mac_chain_and_a_move_of_what_is_gone(server, person):
    """I28."""
    with server.imap(person) as o:
        for i in range(3):
            o.append("INBOX", plain("m %d" % i))
    c = server.imap(tls=True)
    say(c, b'1.1 ID ("name" "Mac OS X Mail" "version" "16.0" "os" "Mac OS X" "os-version" "15.0" "vendor" "Apple Inc.")\r\n', r"\* ID ", r"1\.1 OK")
    say(c, b'2.1 LOGIN "%s" "%s"\r\n' % (person.encode(), PASSWORD.encode()), r"2\.1 OK")
    say(c, b"3.1 SELECT INBOX\r\n", r"\* 3 EXISTS", r"3\.1 OK")
    lines = say(c, b"4.1 FETCH 1:3 (FLAGS UID)\r\n", r"4\.1 OK")
    assert len([l for l in lines if "FETCH" in l]) == 3
    say(c, b'5.1 LSUB "" *\r\n', r"\* LSUB ", r"5\.1 OK")
    say(c, b'6.1 UID MOVE 99 "Trash"\r\n', r"6\.1 OK")
    say(c, b'7.1 UID COPY 99 "Trash"\r\n', r"7\.1 OK")


def test_push_is_not_advertised_without_apples_certificate(server, person):
    """X2."""
    c = server.imap(person)
    assert "XAPPLEPUSHSERVICE" not in c.capabilities()
    c.bad('XAPPLEPUSHSERVICE aps-version 2 aps-account-id a aps-device-token b aps-subtopic com.apple.mobilemail mailboxes ("INBOX")')
    c.ok("NOOP")


@pytest.mark.parametrize("how", ["plus", "sync"])
def test_a_large_attachment_is_appended_to_sent(server, person, how):
    mail = plain("large", 3000000)
    with server.imap(person) as c:
        c.ok('APPEND "Sent" (\\Seen)', Literal(mail, how))
    assert [s.content for s in everything(server, person)["Sent"]] == [mail]
