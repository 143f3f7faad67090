"""K-9 / Thunderbird for Android (clients.md S3 to S7, I7, I11 to I14, P5, P6)."""
import base64
import re

from kantor import PASSWORD
from kantor.programs import everything
from kantor.replay import say
from kantor.shapes import plain


def b64(text):
    return base64.b64encode(text.encode())


def test_ehlo_with_a_loopback_literal_and_a_login_at_once(server, person):
    """S3, S7: always this name, always an initial response."""
    c = server.submission(hello=None)
    say(c, b"EHLO [127.0.0.1]\r\n", "250 ")
    say(c, b"AUTH PLAIN %s\r\n" % b64("\0%s\0%s" % (person, PASSWORD)), "235 2.7.0 ")
    say(c, b"MAIL FROM:<%s> BODY=8BITMIME\r\nRCPT TO:<%s>\r\nDATA\r\n" % (person.encode(), person.encode()), "250 2.1.0 ", "250 2.1.5 ", "354 ")
    say(c, plain(sender=person) + b".\r\n", "250 2.0.0 ")
    assert len(everything(server, person)["INBOX"]) == 1


def test_the_answer_to_ehlo_suits_a_strict_parser(server, person):
    """S4: keyword of letters, digits and hyphens, one a line, parameters not empty, no `AUTH=`."""
    for c in (server.submission(tls=False, hello=None), server.submission(hello=None), server.smtp(hello=None)):
        lines = say(c, b"EHLO [127.0.0.1]\r\n", "250 ")
        for line in lines[1:]:
            assert re.fullmatch(r"250[ -][A-Za-z0-9][A-Za-z0-9-]*( [!-~]+)*", line), line
        words = [l[4:].split(" ")[0].upper() for l in lines[1:]]
        assert len(words) == len(set(words)) and not any(w.startswith("AUTH=") for w in words)


def test_every_enhanced_code_is_of_the_class_of_its_reply(server, person):
    """S5, over the whole table of replies that a client can draw; the library asserts it for each line."""
    c = server.submission(person)
    for line in ("NOOP", "VRFY x", "HELP", "EXPN x", "MAIL", "MAIL FROM:<>", "RCPT TO:<a@b>", "RSET", "MAIL FROM:<sari@kantor.example>", "MAIL FROM:<%s> FOO=1" % person, "MAIL FROM:<%s>" % person,
                 "MAIL FROM:<%s>" % person, "RCPT TO:<nobody-at-all@kantor.example>", "RCPT TO:x", "RCPT TO:<%s> X=1" % person, "DATA", "BDAT", ):
        r = c.cmd(line)
        assert r.enhanced is None or r.enhanced[0] == str(r.code)[0], (line, r)
        if r.code == 501 and line == "BDAT":
            break


def test_only_a_wrong_password_is_535(server, person):
    """S6: 535 makes it ask the user; TLS missing is 530 or 538, a mechanism that is not offered 504."""
    c = server.submission()
    say(c, b"AUTH PLAIN %s\r\n" % b64("\0%s\0wrong" % person), "535 5.7.8 ")
    c = server.submission()
    say(c, b"AUTH XOAUTH2 %s\r\n" % b64("user=%s\1auth=Bearer x\1\1" % person), "504 5.5.4 ")
    say(c, b"MAIL FROM:<%s>\r\n" % person.encode(), "530 5.7.0 ")


def test_an_empty_challenge_has_its_blank(server, person):
    """S7, P6, I40: msmtp, neomutt and others wait for exactly this."""
    say(server.submission(), b"AUTH PLAIN\r\n", "334 $")
    say(server.pop3(tls=True), b"AUTH PLAIN\r\n", r"\+ $")
    say(server.imap(tls=True), b"a AUTHENTICATE PLAIN\r\n", r"\+ $")


def login(server, person):
    c = server.imap(tls=True)
    assert re.search(r"SASL-IR", str(c.greeting.value)) and "AUTH=PLAIN" in str(c.greeting.value)
    say(c, b"1 AUTHENTICATE PLAIN %s\r\n" % b64("\0%s\0%s" % (person, PASSWORD)), r"1 OK \[CAPABILITY [^]]*SPECIAL-USE")
    say(c, b'2 ID ("name" "Thunderbird for Android" "version" "11.1")\r\n', r"\* ID ", "2 OK")
    say(c, b"3 NAMESPACE\r\n", r"\* NAMESPACE ", "3 OK")
    return c


def test_the_list_with_special_use(server, person):
    """I11, I12: SASL-IR, and LIST-EXTENDED together with SPECIAL-USE."""
    c = login(server, person)
    lines = say(c, b'4 LIST "" "*" RETURN (SPECIAL-USE)\r\n', "4 OK")
    assert {re.search(r"\\(Drafts|Sent|Trash|Junk|Archive)", l).group(1) for l in lines if re.search(r"\\(Drafts|Sent|Trash|Junk|Archive)", l)} == {"Drafts", "Sent", "Trash", "Junk", "Archive"}
    say(c, b'5 LIST "" ""\r\n', r'\* LIST \(\\Noselect\) "/" ""$', "5 OK")


def test_searches_of_an_empty_and_a_full_mailbox(server, person):
    """I13: the highest UID is asked by *:*."""
    c = login(server, person)
    say(c, b'4 SELECT "INBOX"\r\n', r"\* 0 EXISTS", "4 OK")
    assert [l for l in say(c, b"5 UID SEARCH *:*\r\n", "5 OK") if "SEARCH" in l] in (["* SEARCH"], [])
    say(c, b"6 SEARCH 1:* UNSEEN NOT DELETED\r\n", "6 OK")
    with server.imap(person) as other:
        for i in range(3):
            other.append("INBOX", plain("k %d" % i), "\\Seen" if i == 1 else "")
    say(c, b"7 NOOP\r\n", r"\* 3 EXISTS", "7 OK")
    say(c, b"8 UID SEARCH *:*\r\n", r"\* SEARCH 3$", "8 OK")
    say(c, b"9 SEARCH 1:* UNSEEN NOT DELETED\r\n", r"\* SEARCH 1 3$", "9 OK")
    say(c, b"10 UID SEARCH 1:* FLAGGED NOT DELETED\r\n", r"\* SEARCH$", "10 OK")


def test_a_large_message_is_read_in_parts_and_delete_is_marked_then_expunged(server, person):
    """I7, I14."""
    mail = plain("big", 60000)
    with server.imap(person) as other:
        other.append("INBOX", mail)
    c = login(server, person)
    say(c, b'4 SELECT "INBOX"\r\n', "4 OK")
    say(c, b"5 UID FETCH 1 (UID BODY.PEEK[]<0.32768>)\r\n", r"\* 1 FETCH \(UID 1 BODY\[\]<0> \{32768\}", "5 OK")
    say(c, b"6 UID FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe "
           b"X-K9mail-Identity Chat-Version)])\r\n", r"\* 1 FETCH \(UID 1 FLAGS \(\) INTERNALDATE ", "6 OK")
    say(c, b"7 UID STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "7 OK")
    say(c, b"8 UID EXPUNGE 1\r\n", r"\* 1 EXPUNGE", "8 OK")


def test_move_of_what_is_gone_is_ok(server, person):
    c = login(server, person)
    say(c, b'4 SELECT "INBOX"\r\n', "4 OK")
    say(c, b'5 UID MOVE 4711 "Trash"\r\n', "5 OK")


def test_pop3_as_it_reads(server, person):
    """P5, P6: the SASL line decides, TOP is used because CAPA names it."""
    for i in range(2):
        with server.imap(person) as other:
            other.append("INBOX", plain("p %d" % i))
    c = server.pop3(tls=True)
    lines = say(c, b"CAPA\r\n", r"\+OK", r"\.$")
    for word in ("TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"):
        assert word in lines, lines
    assert any(l.startswith("SASL PLAIN LOGIN") for l in lines)
    assert "STLS" in say(server.pop3(), b"CAPA\r\n", r"\.$")
    say(c, b"AUTH PLAIN\r\n", r"\+ $")
    say(c, b64("\0%s\0%s" % (person, PASSWORD)) + b"\r\n", r"\+OK")
    say(c, b"STAT\r\n", r"\+OK 2 ")
    say(c, b"UIDL 1\r\nUIDL 2\r\n", r"\+OK 1 ", r"\+OK 2 ")
    lines = say(c, b"TOP 1 0\r\n", r"\+OK", "Subject: p 0$", "$", r"\.$")
    assert not any("terhormat" in l for l in lines)
