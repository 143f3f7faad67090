"""Outlook's bytes, for Windows, Mac and Android (clients.md S9 to S11, S20, S21, I6, I29 to I34, P3, P4)."""
import base64
import re

import pytest

from kantor import PASSWORD, Literal
from kantor.programs import everything, quoted
from kantor.replay import say
from kantor.shapes import plain


def b64(text):
    return base64.b64encode(text.encode())


@pytest.mark.parametrize("sender,to", [(b"MAIL FROM: <%s>", b"RCPT TO: <%s>"), (b"MAIL FROM:%s", b"RCPT TO:%s"), (b"mail from:<%s> size=200", b"rcpt to:<%s>"), (b"MAIL FROM:  %s", b"RCPT TO:  %s")])
def test_a_blank_before_the_path_and_a_path_without_brackets(server, person, sender, to):
    """S9: 365 and old software, on submission."""
    c = server.submission(person)
    say(c, sender % person.encode() + b"\r\n", "250 2.1.0 ")
    say(c, to % person.encode() + b"\r\n", "250 2.1.5 ")
    say(c, b"DATA\r\n", "354 ")
    say(c, plain(sender=person) + b".\r\n", "250 2.0.0 ")
    assert len(everything(server, person)["INBOX"]) == 1


def test_login_with_the_name_as_initial_response(server, person):
    """S10: Outlook for Mac and its cloud; PLAIN LOGIN stand first in the offer."""
    c = server.submission()
    assert c.extensions["AUTH"].startswith("PLAIN LOGIN")
    say(c, b"AUTH LOGIN %s\r\n" % b64(person), "334 UGFzc3dvcmQ6$")
    say(c, b64(PASSWORD) + b"\r\n", "235 ")


def test_permanent_faults_are_5xx_with_a_sentence(server, person):
    """S11: a 4xx stays in the Outbox and is tried for ever; the text of a 5xx is shown."""
    c = server.submission(person)
    say(c, b"MAIL FROM:<%s>\r\n" % person.encode(), "250 ")
    (line,) = say(c, b"RCPT TO:<nobody-at-all@kantor.example>\r\n", "550 5.1.1 ")
    assert len(line.split(" ", 2)[2].split()) >= 3
    say(c, b"RSET\r\n", "250 ")
    say(c, b"MAIL FROM:<sari@kantor.example>\r\n", "55[0-9] 5.7.1 ")


def test_special_use_in_list_and_lsub_and_by_xlist(server, person):
    """I29: from plain LIST and LSUB; XLIST is taken and not announced."""
    c = server.imap(person)
    for command, word in ((b'LIST "" "*"', "LIST"), (b'LSUB "" "*"', "LSUB"), (b'XLIST "" "*"', "XLIST")):
        lines = say(c, b"x1 " + command + b"\r\n", "x1 OK")
        for use in ("Sent", "Drafts", "Trash", "Junk", "Archive"):
            flag = "Spam" if (word, use) == ("XLIST", "Junk") else use              # XLIST's own word
            assert any(re.match(r'\* %s \([^)]*\\%s[^)]*\) "/" "%s"$' % (word, flag, use), l) for l in lines), (command, lines)
    assert "XLIST" not in " ".join(say(c, b"x2 CAPABILITY\r\n", "x2 OK"))


def test_modseq_only_after_an_enabling_command(server, person):
    """I6: an old one breaks on a FETCH with MODSEQ that it did not ask for."""
    with server.imap(person, select="INBOX") as c, server.imap(person, select="INBOX") as other:
        c.append("INBOX", plain("one"))
        lines = say(c, b"x1 FETCH 1 (FLAGS)\r\n", "x1 OK") + say(c, b"x2 STORE 1 +FLAGS (\\Seen)\r\n", "x2 OK")
        other.ok("NOOP")
        other.ok("STORE 1 +FLAGS (\\Flagged)")
        lines += say(c, b"x3 NOOP\r\n", r"\* 1 FETCH", "x3 OK")
        assert not any("MODSEQ" in l for l in lines), lines


def test_expunge_takes_what_another_connection_marked(server, person):
    """I30."""
    with server.imap(person, select="INBOX") as c, server.imap(person, select="INBOX") as other:
        for i in range(4):
            c.append("INBOX", plain("m %d" % i))
        other.ok("NOOP")
        c.ok("STORE 1 +FLAGS (\\Deleted)")
        other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
        say(c, b"x1 EXPUNGE\r\n", r"\* \d EXPUNGE", r"\* \d EXPUNGE", "x1 OK")
        say(other, b"x2 NOOP\r\n", r"\* \d EXPUNGE", r"\* \d EXPUNGE", "x2 OK")
    assert len(everything(server, person)["INBOX"]) == 2


def test_a_date_with_a_one_digit_day(server, person):
    """I32: Outlook for Android, with and without the blank."""
    with server.imap(person, select="INBOX") as c:
        for date in ("7-Feb-1994 21:52:25 -0800", " 7-Feb-1994 21:52:25 -0800", "07-Feb-1994 21:52:25 -0800"):
            c.ok('APPEND INBOX (\\Seen) "%s"' % date, Literal(plain("d")))
        assert {i["INTERNALDATE"] for i in c.ok("FETCH 1:* (INTERNALDATE)").fetches.values()} == {" 8-Feb-1994 05:52:25 +0000"}


def test_twenty_five_sessions_of_one_person(server, person):
    """I33: one connection a mailbox, IDLE on the inbox."""
    sessions = [server.imap(person, select="INBOX") for _ in range(25)]
    for c in sessions:
        say(c, b"x1 IDLE\r\n", r"\+ ")
    with server.lmtp() as l:
        l.deliver("a@elsewhere.example", person, plain("to all"))
    for c in sessions:
        say(c, b"", r"\* 1 EXISTS")
        say(c, b"DONE\r\n", "x1 OK")
        c.close()


def test_a_wrong_password_and_nothing_else_is_authenticationfailed(server, person):
    """I34."""
    c = server.imap()
    say(c, b'x1 LOGIN "%s" "wrong"\r\n' % person.encode(), r"x1 NO \[AUTHENTICATIONFAILED\]")
    say(c, b'x2 LOGIN "%s" "%s"\r\n' % (person.encode(), PASSWORD.encode()), r"x2 OK \[CAPABILITY ")


def test_sent_mail_is_appended_by_the_client_and_stands_there_once(server, person):
    """S20, S21: the server files nothing itself, so each APPEND is one copy."""
    mail = plain(sender=person)
    c = server.submission(person)
    c.deliver(person, person, mail)
    assert everything(server, person)["Sent"] == []
    with server.imap(person) as i:
        i.append('"Sent"', mail, "\\Seen")
        i.select('"Sent"')
        message_id = re.search(rb"Message-ID: (<[^>]*>)", mail).group(1).decode()
        assert i.ok("UID SEARCH HEADER Message-ID %s" % quoted(message_id)).search == [1]
    assert [s.content for s in everything(server, person)["Sent"]] == [mail]


@pytest.mark.parametrize("line", [b"AUTH\r\n", b"AUTH \r\n"])
def test_pop3_auth_with_nothing_lists_the_mechanisms(server, line):
    """P3."""
    c = server.pop3()
    say(c, line, r"\+OK", "PLAIN$", "LOGIN$", r"\.$")


def test_pop3_gives_the_blank_line_and_no_nul(server, person):
    """P4: it hangs on NUL, and needs the separator though there is no body."""
    with server.imap(person) as c:
        c.append("INBOX", b"Subject: no separator\r\nFrom: a@x.example\r\n")
        assert c.cmd("APPEND INBOX", Literal(b"Subject: nul\r\n\r\na\0b\r\n", "binary")).status == "OK"
    with server.pop3(person) as p:
        assert p.retr(1).endswith(b"\r\n\r\n")
        assert b"\0" not in p.retr(2) and p.retr(2).endswith(b"a\x80b\r\n")
