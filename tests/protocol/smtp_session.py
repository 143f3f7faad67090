"""SMTP and LMTP: states, chunks that cannot be read, what TLS forgets, what is refused at the end of a message (RFC 5321, 3030, 3207, 2033)."""
import pytest

from kantor import message


@pytest.mark.parametrize("line", ["BDAT x", "BDAT -1", "BDAT 99999999999999999999", "BDAT 5 LASTX"])
def test_a_chunk_whose_size_cannot_be_read_closes(server, person, line):
    """What follows could be the chunk or commands: nobody can know, so nobody reads on (attacks.md SI-05)."""
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    c.cmd(line, 501)
    c.assert_closed()


def test_bytes_behind_starttls_are_never_commands(server):
    c = server.submission(tls=False)
    c.send("STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n")
    assert c.reply().code == 220
    c.assert_closed()


def test_knowledge_from_before_tls_is_forgotten(server, person):
    c = server.submission(tls=False, hello="evil.example")
    c.starttls(hello=None)
    assert c.cmd("MAIL FROM:<%s>" % person).code == 503
    c.hello("good.example")
    assert "REQUIRETLS" in c.extensions and "STARTTLS" not in c.extensions


def test_a_nul_in_a_message_is_refused_at_its_end_and_the_session_goes_on(server, person):
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    assert (lambda r: (r.code, r.enhanced))(c.data(b"Subject: x\r\n\r\na\0b\r\n")) == (554, "5.6.0")
    assert c.cmd("MAIL FROM:<a@stranger.example> SIZE=99999999999", 552).enhanced == "5.3.4"
    c.deliver("a@stranger.example", person, message())
    assert server.imap(person, select="INBOX").exists == 1


def test_a_full_mailbox_is_a_passing_fault_of_its_recipient_only(server, person, another):
    server.ctl("account", "quota", another, 100)
    c = server.lmtp()
    c.envelope("a@stranger.example", [person, another])
    first, second = c.data(message(body=b"x" * 200 + b"\r\n"), 2)
    assert first.code == 250 and (second.code, second.enhanced) == (452, "4.2.2")
    assert server.imap(person, select="INBOX").exists == 1 and server.imap(another, select="INBOX").exists == 0


def test_a_browser_is_sent_away(server):
    c = server.smtp(hello=None)
    c.cmd("GET / HTTP/1.1", 421)
    c.assert_closed()


def test_a_command_line_that_is_too_long_is_refused(server):
    c = server.smtp(hello=None)
    c.send_what_goes(b"x" * 100000)
    assert c.reply().code == 500


def test_chunks_keep_every_octet_and_an_unfinished_one_delivers_nothing(server, person):
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    c.send(b"BDAT 14\r\nSubject: x\r\n\r\n")
    assert c.reply().code == 250
    c.send(b"BDAT 10 LAST\r\n.\r\n.\r\nend\r")
    c.close()
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    c.send(b"BDAT 14\r\nSubject: x\r\n\r\nBDAT 12 LAST\r\n.\r\n..\r\nend\r\n")
    assert c.reply().code == 250 and c.reply().code == 250
    i = server.imap(person, select="INBOX")
    assert i.exists == 1 and i.body(1).endswith(b"Subject: x\r\n\r\n.\r\n..\r\nend\r\n")


def test_dsn_parameters_are_kept_with_the_queued_message(server, person):
    c = server.submission(person)
    c.cmd("MAIL FROM:<%s> ENVID=abc RET=HDRS" % person, 250)
    c.cmd("RCPT TO:<dsn@else.where> NOTIFY=FAILURE,DELAY ORCPT=rfc822;x@else.where", 250)
    assert c.data(message(sender=person)).code == 250
    assert "dsn@else.where" in server.ctl("queue", "list")


def test_after_a_refused_from_field_nothing_of_the_transaction_is_left(server, person):
    c = server.submission(person)
    c.envelope(person, "andi@kantor.example")
    assert c.data(message(sender="sari@kantor.example")).enhanced == "5.7.1"
    c.cmd("RCPT TO:<andi@kantor.example>", 503)
