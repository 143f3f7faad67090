"""The PROXY protocol: only from configured peers, then always; malformed headers end the connection (attacks.md SI-22)."""
import socket
import struct

import pytest

from kantor.service import Service
from kantor.dialogue import tls_context

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(scope="module")
def behind():
    """127.0.0.2 is the proxy; 127.0.0.1 and ::1 are not."""
    with Service({"process.user": "", "listen.addresses": "127.0.0.1, ::1", "proxy.trusted": "127.0.0.2/32, 10.0.0.0/8", "limit.per_address": 3, "limit.loopback": 100, "log.level": "debug"}) as s:
        s.add_people("budi")
        yield s
        s.stop()


def connect(s, service, source="127.0.0.2"):
    return socket.create_connection(("127.0.0.1", s.port(service)), 20, (source, 0))


def v2(source, target="127.0.0.1", port=4711, command=0x21, family=None, tlvs=b""):
    six = ":" in source
    kind = socket.AF_INET6 if six else socket.AF_INET
    body = socket.inet_pton(kind, source) + socket.inet_pton(kind, "::1" if six else target) + struct.pack(">HH", port, 25) + tlvs
    return SIGNATURE + bytes([command, (0x21 if six else 0x11) if family is None else family]) + struct.pack(">H", len(body)) + body


def line(c):
    return c.makefile("rb").readline()


def answer(s, header, service="imap", source="127.0.0.2"):
    """The first line after a header, b"" when the server closed."""
    with connect(s, service, source) as c:
        c.sendall(header)
        try:
            return line(c)
        except ConnectionResetError:
            return b""


def received_from(s, header):
    """The Received field that a message of a client behind the proxy gets."""
    with connect(s, "smtp") as c:
        f = c.makefile("rwb")
        f.write(header + b"EHLO client.example\r\nMAIL FROM:<x@elsewhere.example>\r\nRCPT TO:<budi@kantor.example>\r\nDATA\r\n")
        f.flush()
        while not f.readline().startswith(b"354"):
            pass
        f.write(b"From: a@stranger.example\r\nSubject: via a proxy\r\n\r\nx\r\n.\r\nQUIT\r\n")
        f.flush()
        assert f.readline().startswith(b"250")
    with s.imap("budi", "INBOX") as c:
        return c.body(c.uids()[-1])


CRC = b"\x03\0\4\0\0\0\0"
AUTHORITY = b"\x02\0\x14mail.kantor.example."
NOOP = b"\x04\0\x03\0\0\0"


@pytest.mark.parametrize("header,peer", [(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n", "192.0.2.7"), (b"PROXY TCP6 2001:db8::7 ::1 4711 25\r\n", "2001:db8::7"), (v2("192.0.2.8"), "192.0.2.8"),
                                         (v2("2001:db8::8"), "2001:db8::8"), (v2("192.0.2.9", tlvs=NOOP + AUTHORITY + CRC), "192.0.2.9"), (v2("2001:db8::9", tlvs=AUTHORITY), "2001:db8::9")],
                         ids=["v1_four", "v1_six", "v2_four", "v2_six", "v2_tlvs", "v2_six_tlvs"])
def test_the_clients_address_stands_in_the_received_field(behind, header, peer):
    assert peer.encode() in received_from(behind, header).split(b"Subject")[0]


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", SIGNATURE + b"\x20\0\0\0", SIGNATURE + b"\x21\0\0\0", SIGNATURE + b"\x20\0\0\3abc", SIGNATURE + b"\x21\0\0\x0c" + b"a" * 12],
                         ids=["v1_unknown", "v1_unknown_with_addresses", "v2_local", "v2_unspec", "v2_local_with_tlvs", "v2_unspec_with_addresses"])
def test_local_and_unspecified_headers_keep_the_real_address(behind, header):
    assert b"127.0.0.2" in received_from(behind, header).split(b"Subject")[0]


@pytest.mark.parametrize("header", [b"a1 NOOP\r\n", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\n", b"PROXY TCP4 192.0.2.777 127.0.0.1 4711 25\r\n", b"PROXY TCP4 2001:db8::7 ::1 4711 25\r\n",
                                    b"PROXY TCP4 192.0.2.7 127.0.0.1 99999 25\r\n", b"PROXY TCP5 192.0.2.7 127.0.0.1 1 25\r\n", b"PROXY " + b"x" * 200, b"PROXY UNKNOWNED\r\n", b"proxy TCP4 192.0.2.7 127.0.0.1 4711 25\r\n",
                                    SIGNATURE + b"\x31\x11\0\x0c" + b"a" * 12, SIGNATURE + b"\x22\x11\0\x0c" + b"a" * 12, SIGNATURE + b"\x21\x11\0\x04" + b"a" * 4, SIGNATURE + b"\x21\x21\0\x0c" + b"a" * 12, SIGNATURE + b"\x21\x11\xff\xff" + b"a" * 4096,
                                    SIGNATURE[:-1] + b"\r\x21\x11\0\x0c" + b"a" * 12, b"\x16\x03\x01\x02\0", b"\0" * 64],
                         ids=["none", "v1_short", "v1_bare_lf", "v1_no_address", "v1_wrong_family", "v1_port", "v1_tcp5", "v1_endless", "v1_unknowned", "v1_lower_case", "v2_version_3", "v2_command", "v2_too_short", "v2_six_too_short", "v2_too_long", "v2_signature", "tls", "zeros"])
def test_a_malformed_header_ends_the_connection_without_a_word(behind, header):
    assert answer(behind, header) == b""
    assert answer(behind, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n").startswith(b"* OK")


def test_a_header_that_comes_byte_by_byte_is_taken(behind):
    for header in (v2("192.0.2.10", tlvs=NOOP), b"PROXY TCP4 192.0.2.10 127.0.0.1 1 2\r\n"):
        with connect(behind, "imap") as c:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header:
                c.sendall(bytes([byte]))
            assert line(c).startswith(b"* OK")


def test_tls_begins_right_behind_the_header(behind):
    with connect(behind, "imaps") as c:
        c.sendall(v2("192.0.2.11"))
        with tls_context().wrap_socket(c, server_hostname="mail.kantor.example") as t:
            assert t.recv(4096).startswith(b"* OK")


@pytest.mark.parametrize("header", [v2("192.0.2.7"), b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n"], ids=["v2", "v1"])
def test_a_peer_that_is_not_configured_is_not_believed(behind, header):
    with connect(behind, "smtp", "127.0.0.3") as c:
        assert line(c).startswith(b"220") or header.startswith(b"\r\n")
        c.sendall(header)
        got = c.recv(4096)
        assert got.startswith((b"500", b"502", b"554", b"421")), got
    with socket.create_connection(("::1", behind.port("imap")), 20) as c:
        assert line(c).startswith(b"* OK")


def test_a_client_behind_a_proxy_on_this_machine_is_no_local_client(behind):
    with connect(behind, "imap") as c:
        f = c.makefile("rwb")
        f.write(b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 143\r\na1 CAPABILITY\r\n")
        f.flush()
        assert b"LOGINDISABLED" in f.readline()


def test_the_limit_counts_for_the_clients_address_and_not_for_the_proxy(behind):
    header = b"PROXY TCP4 192.0.2.%d 127.0.0.1 4711 25\r\n"
    held = []
    try:
        for client in (20, 21, 22):
            for _ in range(3):
                c = connect(behind, "imap")
                held.append(c)
                c.sendall(header % client)
                assert line(c).startswith(b"* OK")
        fourth = connect(behind, "imap")
        held.append(fourth)
        fourth.sendall(header % 20)
        assert line(fourth).startswith(b"* BYE [UNAVAILABLE] Too many")
    finally:
        for c in held:
            c.close()
