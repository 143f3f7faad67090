"""SMTP smuggling and command states (attacks.md SI-01, SI-04, SI-05, SI-06, SI-10, SI-12)."""

import pytest

from kantor import Bystander, ProtocolError, message

ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\r", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]


def smuggle(c, end, person, cut=None):
    c.envelope("a@stranger.example", person)
    c.cmd("DATA", 354)
    data = b"Subject: outer\r\n\r\nx" + end + b"MAIL FROM:<b@stranger.example>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: smuggled\r\n\r\ny\r\n.\r\nQUIT\r\n" % person.encode()
    if cut is None:
        c.send_what_goes(data)
    else:
        c.send_what_goes(data[:cut])
        c.send_what_goes(data[cut:])
    return c.rest()


@pytest.mark.parametrize("service", ["smtp", "lmtp"])
@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_only_crlf_dot_crlf_ends_a_message(server, person, service, end):
    with getattr(server, service)() as c:
        said = smuggle(c, end, person)
    assert b"\r\n354" not in said and not said.startswith(b"354"), said
    c = server.imap(person, select="INBOX")
    subjects = c.ok("UID SEARCH SUBJECT smuggled").search if c.exists else []
    assert subjects == []


def test_a_smuggling_attempt_is_refused_wherever_the_segments_are_cut(server, person):
    for cut in range(18, 27):
        with server.smtp() as c:
            smuggle(c, b"\n.\r\n", person, cut)
    assert server.imap(person, select="INBOX").exists == 0


def test_a_bare_line_feed_on_submission_is_mended_but_never_ends_the_message(server, person):
    c = server.submission(person)
    c.envelope(person, person)
    c.cmd("DATA", 354)
    c.send(b"From: <%s>\r\nSubject: old printer\r\n\r\none\n.\ntwo\r\n.\r\n" % person.encode())
    assert c.reply().code == 250
    i = server.imap(person, select="INBOX")
    assert i.exists == 1 and b"one\r\n.\r\ntwo\r\n" in i.body(i.uids()[0])


def test_data_after_a_chunk_is_refused_and_resets(server, person):
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    c.send(b"BDAT 5\r\nabcde")
    assert c.reply().code == 250
    c.cmd("DATA", 503)


def test_a_dot_line_in_a_chunk_is_content(server, person):
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    body = b"Subject: dots\r\n\r\na\r\n.\r\nb\r\n"
    c.send(b"BDAT %d LAST\r\n" % len(body) + body)
    assert c.reply().code == 250
    i = server.imap(person, select="INBOX")
    assert i.body(i.uids()[0]).endswith(body)


@pytest.mark.parametrize("command", ["BDAT x", "BDAT -1", "BDAT 5 LASTX", "BDAT", "BDAT 99999999999999999999"])
def test_a_malformed_chunk_leaves_no_state_behind(server, person, command):
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    assert c.cmd(command).code in (500, 501, 552, 521, 554)
    try:
        c.cmd("RSET", 250)
    except (ProtocolError, OSError):
        c = server.smtp()
    c.deliver("a@stranger.example", person, message())


def test_the_octets_of_a_chunk_without_a_transaction_are_not_commands(server):
    c = server.smtp()
    c.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    assert c.reply().code == 503
    assert c.reply().code == 250


def test_a_bare_line_feed_in_a_chunk_without_binarymime_is_refused(server, person):
    c = server.smtp()
    c.envelope("a@stranger.example", person, "BODY=8BITMIME")
    body = b"Subject: x\r\n\r\na\n.\nb\r\n"
    c.send(b"BDAT %d LAST\r\n" % len(body) + body)
    assert c.reply().code in (554, 521)
    assert server.imap(person, select="INBOX").exists == 0


def test_after_a_refusal_at_the_end_of_data_a_new_transaction_is_needed(server, person):
    c = server.smtp()
    c.envelope("a@stranger.example", person)
    c.send(b"BDAT 3 LAST\r\na\nb")
    c.reply()
    c.cmd("RCPT TO:<%s>" % person, 503)
    assert c.cmd("DATA").code in (503, 554)


@pytest.mark.parametrize("service,first", [("smtp", b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n"), ("imap", b"a STARTTLS\r\nb LOGIN x y\r\n"), ("pop3", b"STLS\r\nUSER x\r\n")])
def test_bytes_in_front_of_the_handshake_never_become_commands(server, service, first):
    c = getattr(server, service)()
    c.send(first)
    line = c.line()
    try:
        c.start_tls()
    except (ProtocolError, OSError):
        return
    assert line
    c.send({"smtp": b"NOOP\r\n", "imap": b"z NOOP\r\n", "pop3": b"QUIT\r\n"}[service])
    answer = c.line()
    assert {"smtp": b"250", "imap": b"z OK", "pop3": b"+OK"}[service] in answer


def test_a_client_that_never_ends_its_line_is_cut_off_and_others_are_served(server):
    before = server.rss()
    with Bystander(server), server.smtp() as c:
        for _ in range(64):
            if not c.send_what_goes(b"a" * 1048576):
                break
        c.rest() if not c.send_what_goes(b"\r\n") else None
    assert server.rss() - before < 64 * 1048576
