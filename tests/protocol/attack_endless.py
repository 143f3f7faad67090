"""Endless lines, endless literals, garbage: what a client sends without end costs little and hurts nobody (attacks.md IM-01 to IM-04, SI-11, PO-05)."""
import random
import socket

import pytest

from kantor import Bystander, message

MEGABYTE = 1048576


@pytest.fixture
def opened(server, person):
    """A connection of each kind, not dribbled: a hundred megabytes byte by byte would test the feeder."""
    def open_(service, login):
        if service == "imap":
            return server.imap(person if login else None, dribble=False)
        if service == "pop3":
            return server.pop3(person if login else None, dribble=False)
        return server.submission(person, dribble=False) if login else getattr(server, service)(dribble=False)
    return open_


@pytest.mark.parametrize("login", [False, True], ids=["stranger", "logged-in"])
@pytest.mark.parametrize("service", ["imap", "pop3", "smtp", "lmtp"])
def test_a_hundred_megabytes_without_a_line_end_are_cut_off(server, opened, service, login):
    with Bystander(server), server.bounded(32):
        c = opened(service, login)
        sent = 0
        while sent < 100 and c.send_what_goes(b"a" * MEGABYTE):
            sent += 1
        c.rest()
        assert sent < 100, "all of it was read"
        c.close()


@pytest.mark.parametrize("login", [False, True], ids=["stranger", "logged-in"])
def test_a_hundred_megabytes_of_empty_lines_are_cut_off_or_cost_nothing(server, opened, login):
    with Bystander(server), server.bounded(32):
        for service in ("imap", "pop3", "smtp"):
            c = opened(service, login)
            for _ in range(20):
                if not c.send_what_goes(b"\r\n" * 100000):
                    break
                c.pour_away()
            c.close()


@pytest.mark.parametrize("login", [False, True], ids=["stranger", "logged-in"])
def test_endless_literals_in_one_command_are_cut_off(server, opened, login):
    """Each literal is small and of the kind that need not be waited for; their sum is bounded."""
    with Bystander(server), server.bounded(32):
        c = opened("imap", login)
        goes = c.send_what_goes(b"a SEARCH " if login else b"a LOGIN ")
        pieces = 0
        while goes and pieces < 20000:
            goes = c.send_what_goes(b"{1000+}\r\n" + b"x" * 1000 + b" ")
            pieces += 1
        c.rest()
        assert pieces < 20000
        c.close()


def test_a_synchronising_literal_is_asked_for_only_while_the_command_is_small(server, person):
    c = server.imap(person, dribble=False)
    c.send(b"a SEARCH OR ")
    given = 0
    while given < 1000:
        c.send(b"SUBJECT {60000}\r\n")
        line = c.response()
        if not line.startswith(b"+"):
            break
        c.send(b"y" * 60000 + b" OR ")
        given += 1
    assert given < 20 and line.startswith((b"a NO [TOOBIG]", b"* BYE [TOOBIG]")), (given, line)


@pytest.mark.parametrize("size", [51 * MEGABYTE, 4294967295, 4294967296, 99999999999999999999])
def test_a_message_larger_than_the_limit_is_refused_before_it_is_sent(server, person, size):
    with server.bounded(16):
        c = server.imap(person)
        c.send("a APPEND INBOX {%d}\r\n" % size)
        line = c.response()
        assert line.startswith((b"a NO [TOOBIG]", b"a BAD", b"* BYE [TOOBIG]")), line


def test_a_message_larger_than_the_limit_that_comes_unasked_is_not_kept(server, person):
    """LITERAL+: it comes whether it was wanted or not. It is read past or the connection ends; nothing of it stays."""
    with Bystander(server), server.bounded(32):
        c = server.imap(person, dribble=False)
        c.send_what_goes(b"a APPEND INBOX {%d+}\r\n" % (60 * MEGABYTE))
        for _ in range(60):
            if not c.send_what_goes(b"m" * MEGABYTE):
                break
        c.send_what_goes(b"\r\n")
        said = c.line()
        assert said.startswith((b"a NO [TOOBIG]", b"* BYE [TOOBIG]")), said
    assert server.imap(person, select="INBOX").exists == 0


def test_a_large_message_goes_through_in_little_memory(server, person):
    large = message("large", body=b"0123456789abcdef0123456789abcdef0123456789abcdef\r\n" * 400000)  # 20 MB
    with server.bounded(24):
        c = server.imap(person, select="INBOX", dribble=False)
        uid = c.append("INBOX", large, mode="plus")
        assert c.ok("UID FETCH %d (RFC822.SIZE BODY.PEEK[]<19000000.20>)" % uid).by_uid[uid]["RFC822.SIZE"] == len(large)
        server.submission(person, dribble=False).deliver(person, person, large.replace(b"budi@kantor.example", person.encode(), 1))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("service", ["imap", "pop3", "smtp", "lmtp", "submission"])
def test_pipelined_garbage_is_answered_or_cut_off(server, service, seed):
    """Random octets, random lines of the protocol's own words, and halves of commands, all in one go."""
    rnd = random.Random("%s-%d" % (service, seed))
    words = [b"LOGIN", b"USER", b"EHLO", b"MAIL FROM:<", b"{5+}", b"{", b"\"", b"(", b"\\", b" ", b"\0", b"\r", b"a", b"*", b"AUTH", b"AUTHENTICATE PLAIN", b"=", b"BDAT 3", b"DATA", b"APPEND x", b"LIST \"\" ", b"%", b"TOP 1", b"UIDL"]
    lines = [b"".join(rnd.choice(words) if rnd.random() < 0.8 else rnd.randbytes(rnd.randrange(40)) for _ in range(rnd.randrange(8))) + rnd.choice([b"\r\n", b"\r\n", b"\n"]) for _ in range(400)]
    with Bystander(server), server.bounded(16):
        c = getattr(server, service)(tls=False, greet=False) if service == "submission" else getattr(server, service)(greet=False)
        for line in lines:
            if not c.send_what_goes(line):
                break
            c.pour_away()
        c.close()
    assert server.alive()


@pytest.mark.parametrize("octets", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 4096, b"\xff" * 4096, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x80\x2e\x01\x03\x01"], ids=["tls", "nul", "ff", "http", "ssl2"])
@pytest.mark.parametrize("service", ["imap", "pop3", "smtp", "imaps", "submissions"])
def test_another_protocol_on_the_port_ends_only_itself(server, service, octets):
    with Bystander(server):
        with socket.create_connection(("127.0.0.1", server.port(service)), 20) as s:
            try:
                s.sendall(octets * 4)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass  # it was reset before we were through: ended is ended


def test_a_command_of_many_small_arguments_is_bounded(server, person):
    with server.bounded(32):
        c = server.imap(person, select="INBOX")
        c.append("INBOX", message())
        for text in ("FETCH 1 (" + "FLAGS " * 9000 + "UID)", "SEARCH " + "1,2,3," * 8000 + "1", "STORE 1 +FLAGS (%s)" % " ".join("k%d" % n for n in range(8000)), "ENABLE" + " X" * 20000, 'LIST "" (%s)' % " ".join("a%d" % n for n in range(8000)),
                     "STATUS INBOX (%s)" % " ".join(["MESSAGES"] * 7000), "ID (%s)" % " ".join(['"a" "b"'] * 5000)):
            assert c.cmd(text).status in ("OK", "NO", "BAD"), text[:40]
        c.ok("NOOP")


def test_a_literal_behind_an_append_is_no_second_message(server, person):
    c = server.imap(person, select="INBOX")
    c.send(b"a APPEND INBOX {5+}\r\nhello {9+}\r\nb LOGOUT\n\r\n")
    said = c.response()
    assert said.startswith((b"a BAD", b"* BYE")), said
    assert server.imap(person, select="INBOX").exists == 0
