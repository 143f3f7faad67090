"""STARTTLS: nothing said before the handshake counts after it (attacks.md SI-09 to SI-11; RFC 3207 4.2, RFC 9051 6.2.1, RFC 2595 4)."""
import socket
import ssl

import pytest

from kantor.service import wait_for
from kantor.dialogue import tls_context

SMTP, IMAP, POP3, LMTP = "submission", "imap", "pop3", "lmtp"
# service: opening words, STARTTLS, its answer, a command after TLS, how its only answer begins, an injected command
TABLE = {
    SMTP: (b"EHLO evil.example\r\n", b"STARTTLS\r\n", b"220 ", b"NOOP\r\n", b"250 ", b"MAIL FROM:<evil@x.example>\r\n"),
    LMTP: (b"LHLO evil.example\r\n", b"STARTTLS\r\n", b"220 ", b"NOOP\r\n", b"250 ", b"MAIL FROM:<evil@x.example>\r\n"),
    IMAP: (b"", b"a STARTTLS\r\n", b"a OK", b"n NOOP\r\n", b"n OK", b"b LOGIN evil secret\r\n"),
    POP3: (b"", b"STLS\r\n", b"+OK", b"CAPA\r\n", b"+OK", b"USER evil@kantor.example\r\n"),
}


class Wire:
    """A clear-text socket, and TLS through memory on top of it: what is on the wire is decided here."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls_context().wrap_bio(self.incoming, self.outgoing, server_hostname="kantor.example")

    def clear_line(self):
        line = b""
        while not line.endswith(b"\n"):
            got = self.socket.recv(1)
            if not got:
                return line
            line += got
        return line

    def clear_answer(self):
        """One reply in the clear, SMTP's continuation lines passed over; b"" when the server closed."""
        while True:
            try:
                line = self.clear_line()
            except ConnectionResetError:
                return b""
            if line[3:4] != b"-":
                return line

    def pump(self, step):
        """Runs a step of TLS until it is done; None: the server ended the connection."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                try:
                    data = self.socket.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return None
                self.incoming.write(data)
            except ssl.SSLError:
                return None

    def flush(self):
        if self.outgoing.pending:
            try:
                self.socket.sendall(self.outgoing.read())
            except OSError:
                pass

    def client_hello(self):
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def handshake(self):
        done = self.pump(lambda: self.tls.do_handshake() or True)
        self.flush()
        return done

    def say(self, data):
        self.tls.write(data)
        self.flush()
        return self.pump(lambda: self.tls.read(65536))

    def close(self):
        self.socket.close()


def opened(server, service):
    opening, starttls, answer, _, _, _ = TABLE[service]
    w = Wire(server.port(service))
    w.clear_answer()
    if opening:
        w.socket.sendall(opening)
        w.clear_answer()
    return w


@pytest.mark.parametrize("service", TABLE)
def test_a_command_in_the_segment_of_starttls_ends_the_connection(server, service):
    _, starttls, answer, _, _, injected = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls + injected)
    first = w.clear_answer()
    assert first == b"" or first.startswith(answer)
    assert w.handshake() is None
    w.close()


@pytest.mark.parametrize("service", TABLE)
def test_a_command_between_starttls_and_the_handshake_ends_the_connection(server, service):
    _, starttls, answer, _, _, injected = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls)
    assert w.clear_answer().startswith(answer)
    w.socket.sendall(injected)
    assert w.handshake() is None
    w.close()


@pytest.mark.parametrize("service", TABLE)
def test_a_command_in_the_segment_of_the_client_hello_ends_the_connection(server, service):
    _, starttls, answer, _, _, injected = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls)
    assert w.clear_answer().startswith(answer)
    w.socket.sendall(injected + w.client_hello())
    assert w.handshake() is None
    w.close()


@pytest.mark.parametrize("service", TABLE)
def test_a_clear_command_behind_the_client_hello_never_becomes_a_command(server, service):
    _, starttls, answer, command, good, injected = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls)
    assert w.clear_answer().startswith(answer)
    w.socket.sendall(w.client_hello() + injected)
    assert w.handshake() is None or w.say(command) in (None, b"")
    w.close()


@pytest.mark.parametrize("service", TABLE)
def test_a_handshake_in_the_segment_of_starttls_is_refused_like_any_early_byte(server, service):
    _, starttls, _, _, _, _ = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls + w.client_hello())
    w.clear_answer()
    assert w.handshake() is None
    w.close()


@pytest.mark.parametrize("service", TABLE)
def test_after_a_clean_handshake_one_command_has_exactly_one_answer(server, service):
    _, starttls, answer, command, good, _ = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls)
    assert w.clear_answer().startswith(answer)
    assert w.handshake()
    got = w.say(command)
    assert got.startswith(good) and (service == POP3 or got.count(b"\r\n") == 1), got
    w.close()


@pytest.mark.parametrize("service", [SMTP, LMTP])
def test_what_was_said_before_tls_is_forgotten(server, service):
    opening, starttls, answer, _, _, _ = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls)
    assert w.clear_answer().startswith(answer)
    assert w.handshake()
    assert w.say(b"MAIL FROM:<a@x.example>\r\n").startswith(b"503")
    assert b"STARTTLS" not in w.say(opening.replace(b"evil", b"good"))
    w.close()


def test_imap_forgets_nothing_it_must_not_and_offers_no_second_tls(server):
    with server.imap() as c:
        assert "LOGINDISABLED" not in c.capabilities()
        c.starttls()
        assert "STARTTLS" not in c.capabilities()
        c.bad("STARTTLS")


@pytest.mark.parametrize("body", ["data", "bdat", "auth", "literal"])
def test_close_notify_in_the_middle_ends_the_connection_and_clear_bytes_behind_it_are_never_read(server, body):
    service = IMAP if body == "literal" else LMTP if body in ("data", "bdat") else SMTP
    opening, starttls, answer, _, _, _ = TABLE[service]
    w = opened(server, service)
    w.socket.sendall(starttls)
    assert w.clear_answer().startswith(answer)
    assert w.handshake()
    if opening:
        w.say(opening)
    if body == "data":
        w.say(b"MAIL FROM:<>\r\n"), w.say(b"RCPT TO:<dewi@kantor.example>\r\n"), w.say(b"DATA\r\n")
        w.tls.write(b"Subject: half\r\n\r\nnever ended")
    elif body == "bdat":
        w.say(b"MAIL FROM:<>\r\n"), w.say(b"RCPT TO:<dewi@kantor.example>\r\n")
        w.tls.write(b"BDAT 100 LAST\r\n0123456789")
    elif body == "auth":
        assert w.say(b"AUTH PLAIN\r\n").startswith(b"334")
    else:
        w.tls.write(b"x LOGIN {10+}\r\nabc")
    try:
        w.tls.unwrap()
    except ssl.SSLError:
        pass
    w.flush()
    w.socket.sendall(b"A" * 90 + b"\r\n.\r\nQUIT\r\n")
    rest = b""
    try:
        while True:
            got = w.socket.recv(65536)
            if not got:
                break
            rest += got
    except ConnectionResetError:
        pass
    assert b"250" not in rest and b"221" not in rest
    with server.imap("dewi", "INBOX") as c:
        assert not [f for f in c.ok("FETCH 1:* BODY.PEEK[]").fetches.values() if b"AAAA" in f["BODY[]"] or b"never ended" in f["BODY[]"]] if c.exists else True
    w.close()


def test_the_log_names_bytes_before_the_handshake(server):
    w = opened(server, SMTP)
    before = len(server.log())
    w.socket.sendall(b"STARTTLS\r\nNOOP\r\n")
    wait_for(lambda: "bytes-before-handshake" in server.log()[before:], "a line in the log")
    w.close()
