"""Thunderbird's bytes (clients.md S1, S2, S12, S22, I3, I4, I5, I7, I8, I9, A5, P1)."""
import base64

import pytest

from kantor import PASSWORD, message
from kantor.programs import everything
from kantor.replay import say
from kantor.shapes import plain


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_auth_login_gives_the_challenges_it_compares_with(server, person):
    """S1: it aborts unless they are exactly these."""
    c = server.submission(hello=None)
    say(c, b"EHLO [192.168.1.5]\r\n", "250 ")
    say(c, b"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6$")
    say(c, b64(person).encode() + b"\r\n", "334 UGFzc3dvcmQ6$")
    say(c, b64(PASSWORD).encode() + b"\r\n", "235 2.7.0 ")


@pytest.mark.parametrize("name", ["[192.168.1.5]", "[IPV6:fe80::a00:27ff:fe4e:66a1]", "[IPv6:2001:db8::1]", "localhost", "[127.0.0.1]"])
def test_a_whole_submission_with_every_parameter(server, person, name):
    """S2."""
    mail = plain(sender=person)
    c = server.submission(hello=None)
    say(c, b"EHLO %s\r\n" % name.encode(), "250 ")
    say(c, b"AUTH PLAIN %s\r\n" % b64("\0%s\0%s" % (person, PASSWORD)).encode(), "235 ")
    say(c, b"MAIL FROM:<%s> BODY=8BITMIME SIZE=%d RET=HDRS ENVID=9f4c1a+be=2f@kantor.example\r\n" % (person.encode(), len(mail)), "250 ")
    say(c, b"RCPT TO:<%s> NOTIFY=SUCCESS,DELAY,FAILURE ORCPT=rfc822;%s\r\n" % (person.encode(), person.encode()), "250 ")
    say(c, b"DATA\r\n", "354 ")
    say(c, mail + b".\r\n", "250 2.0.0 ")
    say(c, b"QUIT\r\n", "221 ")
    assert len(everything(server, person)["INBOX"]) == 1


def test_a_message_over_the_limit_is_refused_at_mail_from(server, person):
    """S12: the size is looked at before anything is sent."""
    c = server.submission(person)
    assert c.hello().code == 250 and c.extensions["SIZE"] == "52428800"
    say(c, b"MAIL FROM:<%s> BODY=8BITMIME SIZE=52428801\r\n" % person.encode(), "552 5.3.4 ")
    say(c, b"MAIL FROM:<%s> BODY=8BITMIME SIZE=52428800\r\n" % person.encode(), "250 ")


def test_a_refused_recipient_stops_the_message_and_nobody_has_it(server, person):
    """S22: it says QUIT instead of DATA."""
    c = server.submission(person)
    say(c, b"MAIL FROM:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"RCPT TO:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"RCPT TO:<nobody-at-all@kantor.example>\r\n", "550 5.1.1 ")
    say(c, b"QUIT\r\n", "221 ")
    assert everything(server, person)["INBOX"] == []


def test_the_guesser_sees_what_is_offered_and_goes(server):
    """A5: no login, no harm, on every port; what it looks for stands in the first answer."""
    say(server.imap(), b"1 CAPABILITY\r\n", r"\* CAPABILITY IMAP4rev1.* STARTTLS.* AUTH=PLAIN|\* CAPABILITY .*AUTH=PLAIN.*STARTTLS", "1 OK")
    say(server.pop3(), b"CAPA\r\n", r"\+OK", "STLS", "SASL PLAIN LOGIN", r"\.$")
    lines = say(server.submission(tls=False, hello=None), b"EHLO we-guess.mozilla.org\r\n", "250 ")
    assert any(l[4:] == "STARTTLS" for l in lines) and any(l[4:].startswith("AUTH PLAIN LOGIN") for l in lines)


def login(server, person):
    """I3: the chain before the first mailbox."""
    c = server.imap(tls=True)
    say(c, b"1 capability\r\n", r"\* CAPABILITY ", "1 OK")
    say(c, b"2 authenticate PLAIN\r\n", r"\+ $")
    say(c, b64("\0%s\0%s" % (person, PASSWORD)).encode() + b"\r\n", r"2 OK \[CAPABILITY [^]]*LIST-EXTENDED")
    say(c, b"3 capability\r\n", r"\* CAPABILITY ", "3 OK")
    say(c, b'4 ID ("name" "Thunderbird" "version" "140.2.0")\r\n', r"\* ID ", "4 OK")
    say(c, b"5 ENABLE UTF8=ACCEPT\r\n", r"\* ENABLED UTF8=ACCEPT", "5 OK")
    say(c, b"6 namespace\r\n", r'\* NAMESPACE \(\("" "/"\)\) ', "6 OK")
    c.utf8 = True
    return c


def test_the_login_chain_and_the_list_of_subscribed_mailboxes(server, person):
    """I3, I4: what is made at the start is subscribed and carries its special use; XLIST is not advertised."""
    c = login(server, person)
    lines = say(c, b'7 list (subscribed) "" "*" return (special-use)\r\n', "7 OK")
    for use, name in (("Drafts", "Drafts"), ("Sent", "Sent"), ("Trash", "Trash"), ("Junk", "Junk"), ("Archive", "Archive")):
        assert any("\\%s" % use in l and "\\Subscribed" in l and l.endswith('"%s"' % name) for l in lines), lines
    assert any(l.endswith('"INBOX"') for l in lines)
    assert not any("XLIST" in l for l in say(c, b"8 capability\r\n", "8 OK"))
    lines = say(c, b'9 lsub "" "*"\r\n', "9 OK")
    assert len([l for l in lines if l.startswith("* LSUB ")]) == 6
    say(c, b"10 COMPRESS DEFLATE\r\n", "10 OK")


def test_select_full_flags_then_only_what_is_new(server, person):
    """I5: all flags at the first opening, later from the highest UID on."""
    with server.imap(person) as c:
        for i in range(5):
            c.append("INBOX", plain("t %d" % i), "\\Seen" if i % 2 else "")
    c = login(server, person)
    say(c, b'7 select "INBOX"\r\n', r"\* 5 EXISTS", r"\* OK \[UIDVALIDITY ", r"7 OK \[READ-WRITE\]")
    lines = say(c, b"8 UID fetch 1:* (FLAGS)\r\n", "8 OK")
    assert lines[:-1] == ["* %d FETCH (UID %d FLAGS (%s))" % (i + 1, i + 1, "\\Seen" if i % 2 else "") for i in range(5)]
    lines = say(c, b"9 UID fetch 6:* (FLAGS)\r\n", "9 OK")
    assert [l for l in lines if "FETCH" in l] == ["* 5 FETCH (UID 5 FLAGS ())"]             # n:* is never empty
    lines = say(c, b"10 UID fetch 1:5 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type "
                b"Reply-To)])\r\n", "10 OK")
    assert len([l for l in lines if re_fetch(l)]) == 5


def re_fetch(line):
    return " FETCH (UID " in line and "RFC822.SIZE" in line and "BODY[HEADER.FIELDS (" in line


def test_an_expunge_raises_highestmodseq(server, person):
    """I5: with CONDSTORE on it believes HIGHESTMODSEQ and counts for expunges."""
    with server.imap(person, select="INBOX") as other:
        for i in range(3):
            other.append("INBOX", plain("t %d" % i))
        def highest():
            with server.imap(person) as c:
                return int(c.select("INBOX", more=" (CONDSTORE)").codes()["HIGHESTMODSEQ"][0])
        first = highest()
        other.ok("UID STORE 2 +FLAGS (\\Deleted)")
        second = highest()
        other.ok("EXPUNGE")
        assert first < second < highest()


def test_bodies_come_in_pieces_of_64_kib(server, person):
    """I7: past the end an empty piece, not an error."""
    mail = plain("large", 200000)
    with server.imap(person) as c:
        c.append("INBOX", mail)
    with server.imap(person, select="INBOX") as c:
        got, at = b"", 0
        while True:
            items = c.ok("UID fetch 1 (UID RFC822.SIZE BODY.PEEK[]<%d.65536>)" % at).by_uid[1]
            piece = bytes(items["BODY[]<%d>" % at])
            assert int(items["RFC822.SIZE"]) == len(mail)
            if not piece:
                break
            got, at = got + piece, at + 65536
        assert got == mail
        assert bytes(c.ok("UID fetch 1 (BODY.PEEK[1]<9999999.65536>)").by_uid[1]["BODY[1]<9999999>"]) == b""


def test_create_with_a_delimiter_at_the_end_and_subscriptions_that_follow_a_rename(server, person):
    """I8."""
    c = login(server, person)
    say(c, b'7 create "Proyek/"\r\n', "7 OK")
    say(c, b'8 create "Proyek/2025"\r\n', "8 OK")
    say(c, b'9 subscribe "Proyek"\r\n', "9 OK")
    say(c, b'10 subscribe "Proyek/2025"\r\n', "10 OK")
    say(c, b'11 rename "Proyek" "Lama"\r\n', "11 OK")
    lines = say(c, b'12 list (subscribed) "" "Lama*" return (special-use)\r\n', "12 OK")
    assert sorted(l.rsplit(" ", 1)[1] for l in lines if "LIST" in l and "\\NonExistent" not in l) == ['"Lama"', '"Lama/2025"']
    assert not [l for l in say(c, b'13 lsub "" "Proyek*"\r\n', "13 OK") if "LSUB" in l]


def test_a_draft_is_found_by_the_code_of_its_append_and_replaced(server, person):
    """I9: APPENDUID and COPYUID, so that it need not search for its own message."""
    c = login(server, person)
    draft = plain("draft")
    say(c, b'7 append "Drafts" (\\Seen \\Draft) "24-Nov-2025 10:00:00 +0700" {%d+}\r\n%s\r\n' % (len(draft), draft), r"7 OK \[APPENDUID \d+ 1\]")
    say(c, b'8 select "Drafts"\r\n', r"8 OK")
    say(c, b"9 uid store 1 +FLAGS (\\Deleted)\r\n", r"\* 1 FETCH \(UID 1 FLAGS \([^)]*\\Deleted", "9 OK")
    say(c, b"10 uid expunge 1\r\n", r"\* 1 EXPUNGE", "10 OK")
    say(c, b'11 append "Drafts" (\\Draft) {%d+}\r\n%s\r\n' % (len(draft), draft), r"11 OK \[APPENDUID \d+ 2\]")
    say(c, b'12 uid copy 2 "Sent"\r\n', r"12 OK \[COPYUID \d+ 2 1\]")
    say(c, b'13 uid move 2 "Trash"\r\n', r"\* OK \[COPYUID \d+ 2 1\]", r"\* 1 EXPUNGE", "13 OK")


def test_pop3_as_it_reads(server, person):
    """P1."""
    mail = plain("pop", 5000)
    with server.imap(person) as c:
        c.append("INBOX", mail)
    for _ in range(2):
        c = server.pop3(tls=True)
        say(c, b"CAPA\r\n", r"\+OK", "UIDL", r"\.$")
        say(c, b"AUTH PLAIN\r\n", r"\+ $")
        say(c, b64("\0%s\0%s" % (person, PASSWORD)).encode() + b"\r\n", r"\+OK")
        say(c, b"STAT\r\n", r"\+OK 1 %d$" % len(mail))
        say(c, b"LIST\r\n", r"\+OK", "1 %d$" % len(mail), r"\.$")
        say(c, b"UIDL\r\n", r"\+OK", r"1 [!-~]{1,70}$", r"\.$")
        say(c, b"NOOP\r\n", r"\+OK")
        assert c.retr(1) == mail
        say(c, b"QUIT\r\n", r"\+OK")
