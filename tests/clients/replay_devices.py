"""Scanners, drives, cron jobs, PHP and Gmail as a sender (clients.md S8, S14 to S19)."""
import base64
import re
import socket

import pytest

from kantor import PASSWORD, ProtocolError
from kantor.programs import everything
from kantor.replay import say
from kantor.shapes import plain


def b64(text):
    return base64.b64encode(text.encode())


HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(190))


@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_a_client_hello_on_a_plain_port_ends_quickly_and_is_named_in_the_log(server, service):
    """S15: HP scanners speak TLS at once; it is no row of garbage commands."""
    with socket.create_connection(("127.0.0.1", server.port(service)), 10) as s:
        s.settimeout(10)
        s.sendall(HELLO)
        got = b""
        while True:
            try:
                data = s.recv(4096)
            except ConnectionResetError:
                break
            if not data:
                break
            got += data
    assert len(re.findall(rb"(?m)^5\d\d ", got)) <= 1, got
    assert re.search(r"tls-on-clear-port", server.log()), server.log()[-1500:]


@pytest.mark.parametrize("hello", [b"HELO NPIF65E56", b"HELO", b"HELO ", b"EHLO", b"HELO 2001:db8::17", b"EHLO SCAN_ROOM 3", b"HELO \xc3\xbcber", b"EHLO [10.0.0.7", b"HELO drucker.local."])
def test_names_that_no_rule_allows_are_taken_after_which_a_login_works(server, person, hello):
    """S16: NetBIOS names, none at all, bare IPv6."""
    c = server.submission(hello=None)
    say(c, hello + b"\r\n", "250 ")
    say(c, b"AUTH LOGIN\r\n", "334 ")
    say(c, b64(person) + b"\r\n", "334 ")
    say(c, b64(PASSWORD) + b"\r\n", "235 ")
    say(c, b"MAIL FROM:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"RCPT TO:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"DATA\r\n", "354 ")
    say(c, plain(sender=person) + b".\r\n", "250 ")
    (s,) = everything(server, person)["INBOX"]
    assert s.content.count(b"Received: from ") == 1


@pytest.mark.parametrize("order", [(b"EHLO a", b"HELO a"), (b"EHLO a", b"EHLO a"), (b"HELO a", b"EHLO b"), (b"EHLO a", b"MAIL FROM:<x@elsewhere.example>", b"EHLO a")])
def test_a_second_greeting_resets_and_is_never_503(server, person, order):
    """S17."""
    c = server.smtp(hello=None)
    for line in order:
        say(c, line + b"\r\n", "250 ")
    say(c, b"MAIL FROM:<x@elsewhere.example>\r\n", "250 ")
    say(c, b"RCPT TO:<%s>\r\n" % person.encode(), "250 ")


def test_an_old_device_sends_on_port_25_without_anything(server, person):
    """S18: HELO, no TLS, no login, to a person of the house, from this machine's own network."""
    c = server.smtp(hello=None)
    say(c, b"HELO printer\r\n", "250 ")
    say(c, b"MAIL FROM:<scanner@kantor.example>\r\n", "250 ")
    say(c, b"RCPT TO:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"DATA\r\n", "354 ")
    say(c, b"Subject: scan\r\n\r\nsee attachment\r\n.\r\n", "250 ")
    assert b" with SMTP id " in everything(server, person)["INBOX"][0].content


def test_a_bare_submission_is_mended_and_not_cut(server, person):
    """S19: no Date, no Message-ID, no To, bare LF, 8-bit fields, lines over 998 octets."""
    body = b"Subject: \xe9t\xe9 8 bit\nX-Long: " + b"x" * 1500 + b"\n\n" + b"y" * 5000 + b"\nlast"
    c = server.submission(person)
    say(c, b"MAIL FROM:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"RCPT TO:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"DATA\r\n", "354 ")
    say(c, body + b"\r\n.\r\n", "250 ")
    (s,) = everything(server, person)["INBOX"]
    assert s.content.endswith(body.replace(b"\n", b"\r\n") + b"\r\n")
    head = s.content.split(b"\r\n\r\n")[0] + b"\r\n"
    for field in (b"Date: ", b"Message-ID: <", b"From: <%s>" % person.encode()):
        assert len(re.findall(rb"(?m)^" + re.escape(field), head)) == 1, head


def test_a_dot_between_bare_line_ends_never_ends_the_message(server, person):
    """S19: LF.LF and LF.CRLF on submission are content."""
    c = server.submission(person)
    say(c, b"MAIL FROM:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"RCPT TO:<%s>\r\n" % person.encode(), "250 ")
    say(c, b"DATA\r\n", "354 ")
    c.send(b"Subject: dots\n\na\n.\nMAIL FROM:<x@y.example>\n")
    assert not c.waiting(0.3)
    say(c, b"\r\n.\r\n", "250 ")
    (s,) = everything(server, person)["INBOX"]
    assert b"\r\nMAIL FROM:<x@y.example>\r\n" in s.content


def test_xoauth2_and_oauthbearer_failures_end_in_the_session_going_on(server, person):
    """S8: as long as they are not offered, 504 at once; the session can go on with a password."""
    c = server.submission()
    for name in (b"XOAUTH2", b"OAUTHBEARER"):
        assert name.decode() not in c.extensions["AUTH"]
        say(c, b"AUTH %s %s\r\n" % (name, b64("user=%s\1auth=Bearer x\1\1" % person)), "504 ")
    say(c, b"AUTH PLAIN %s\r\n" % b64("\0%s\0%s" % (person, PASSWORD)), "235 ")


def test_an_alias_of_the_person_may_be_the_sender(server, person):
    """S14: Gmail's "send mail as" logs in as the person and sends as the alias; someone else's alias is refused."""
    local = person.split("@")[0]
    server.ctl("alias", "add", "%s-sales@kantor.example" % local, person)
    alias = "%s-sales@kantor.example" % local
    c = server.submission(person)
    c.deliver(alias, alias, plain(sender=alias))
    (s,) = everything(server, person)["INBOX"]
    assert s.content.startswith(b"Return-Path: <%s>" % alias.encode())
    stranger = server.submission("andi")
    say(stranger, b"MAIL FROM:<%s>\r\n" % alias.encode(), "55[0-9] 5.7.1 ")


def test_no_session_ticket_on_port_25(server):
    """S24: tickets led Microsoft's senders to defer."""
    import ssl
    from kantor.dialogue import tls_context
    context = tls_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", server.port("smtp")), 10) as raw:
        raw.recv(1000)
        for line in (b"EHLO a\r\n", b"STARTTLS\r\n"):
            raw.sendall(line)
            raw.recv(2000)
        with context.wrap_socket(raw, server_hostname="kantor.example") as s:
            assert s.session is None or not s.session.has_ticket
            s.sendall(b"QUIT\r\n")
            try:
                s.recv(100)
            except (OSError, ProtocolError):
                pass
