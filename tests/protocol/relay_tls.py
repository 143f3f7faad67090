"""TLS towards other servers: what DANE or a route asks for is never replaced by clear text, and a password goes to a proven name only (attacks.md SO-02, SO-04, SO-19)."""
import base64
import hashlib
import json
import ssl
import subprocess

import pytest

from kantor import Server
from kantor.sink import Sink, zone
from kantor.wait import until


def openssl(*args, **more):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **more).stdout


class Identity:
    """A certificate for a name by an authority that the server trusts, or by itself."""
    def __init__(self, folder, name, authority=None):
        self.chain, key = str(folder / (name + ".pem")), str(folder / (name + ".key"))
        request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", self.chain, "-days", "3", "-subj", "/CN=" + name]
        if authority:
            request += ["-CA", authority.chain, "-CAkey", authority.key, "-addext", "subjectAltName=DNS:" + name, "-addext", "basicConstraints=critical,CA:FALSE"]
        openssl(*request)
        self.key = key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.chain, key)
        self.public = openssl("pkey", "-pubin", "-pubout", "-outform", "DER", input=openssl("x509", "-in", self.chain, "-noout", "-pubkey"))

    def tlsa(self):
        """3 1 1: this key (RFC 7672 3.1.1)."""
        return "3 1 1 " + hashlib.sha256(self.public).hexdigest()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relay-tls")
    authority = Identity(folder, "authority.example")
    server = Server(str(folder / "demo"), sending=True, start=False, env={"SSL_CERT_FILE": authority.chain})
    port = server.base + 40  # its own: two workers may run this file
    server.configure(relay_port=str(port))
    server.start()
    server.sinks = []

    def peer(domain, identity=None, secure="", tlsa=None, **how):
        """A server for a domain on an address of its own; secure: the mark of signed answers."""
        sink = Sink(address="127.0.1.%d" % (len(server.sinks) + 1), port=port, **how)
        sink.tls = identity.context if identity else None
        server.sinks.append(sink)
        lines = ["%s MX 10 mx.%s %s" % (domain, domain, secure), "mx.%s A 127.0.1.%d %s" % (domain, len(server.sinks), secure)]
        if tlsa:
            lines.append("_%d._tcp.mx.%s TLSA %s !secure" % (port, domain, tlsa))
        zone(server, *lines)
        return sink
    server.peer, server.identity = peer, lambda name, trusted=False: Identity(folder, name, authority if trusted else None)
    yield server
    server.stop()
    for s in server.sinks:
        s.close()


def submit(server, to):
    with server.submission("budi") as c:
        c.deliver("budi@kantor.example", to, b"From: budi@kantor.example\r\nTo: x\r\nSubject: Out\r\n\r\nhello\r\n")


def reply_about(server, recipient):
    """What the queue says why a recipient waits; empty: nothing yet."""
    for entry in json.loads(server.ctl("queue", "list", "--json")):
        text = server.ctl("queue", "show", entry["id"])
        if recipient in text and "4.7." in text:
            return text
    return ""


def delivered(peer, secured):
    until(lambda: peer.messages, "the message")
    assert peer.secured == secured


def stays(server, peer, recipient):
    text = until(lambda: reply_about(server, recipient), "the reason in the queue")
    assert "4.7.5" in text
    assert not peer.messages and not any(line.upper().startswith(b"MAIL") for line in peer.lines)


def test_without_dane_any_certificate_will_do_and_tls_is_used_where_it_is_offered(world):
    own, none = world.peer("any.example", world.identity("any")), world.peer("none.example")
    submit(world, ["x@any.example", "x@none.example"])
    delivered(own, 1)
    delivered(none, 0)


def test_a_key_that_signed_dns_names_needs_no_authority(world):
    me = world.identity("dane")
    peer = world.peer("dane.example", me, "!secure", me.tlsa())
    submit(world, "x@dane.example")
    delivered(peer, 1)


def test_another_key_than_the_named_one_gets_nothing_not_even_in_clear_text(world):
    peer = world.peer("forged.example", world.identity("forged"), "!secure", "3 1 1 " + "00" * 32)
    submit(world, "x@forged.example")
    stays(world, peer, "x@forged.example")


def test_a_server_whose_dns_promises_tls_and_that_offers_none_gets_nothing(world):
    peer = world.peer("stripped.example", None, "!secure", "3 1 1 " + "00" * 32)
    submit(world, "x@stripped.example")
    stays(world, peer, "x@stripped.example")


def test_records_that_nobody_can_use_ask_for_tls_of_whoever_it_is(world):
    peer = world.peer("odd.example", world.identity("odd"), "!secure", "1 1 9 " + "00" * 7)
    bare = world.peer("odder.example", None, "!secure", "1 1 9 " + "00" * 7)
    submit(world, ["x@odd.example", "x@odder.example"])
    delivered(peer, 1)
    stays(world, bare, "x@odder.example")


def test_records_of_a_domain_that_is_not_signed_count_for_nothing(world):
    peer = world.peer("unsigned.example", world.identity("unsigned"), "", "3 1 1 " + "00" * 32)
    submit(world, "x@unsigned.example")
    delivered(peer, 1)


def test_a_route_that_asks_for_a_proven_name_takes_no_other(world):
    good, wrong = world.peer("proven.example", world.identity("mx.proven.example", trusted=True)), world.peer("unproven.example", world.identity("mx.other.example", trusted=True))
    world.ctl("route", "set", "proven.example", "--tls", "verify")
    world.ctl("route", "set", "unproven.example", "--tls", "verify")
    submit(world, ["x@proven.example", "x@unproven.example"])
    delivered(good, 1)
    stays(world, wrong, "x@unproven.example")


def test_a_route_without_tls_never_asks_for_it(world):
    peer = world.peer("clear.example", world.identity("clear"))
    world.ctl("route", "set", "clear.example", "--tls", "none")
    submit(world, "x@clear.example")
    delivered(peer, 0)


@pytest.mark.parametrize("methods,exchange", [("AUTH LOGIN PLAIN", "plain"), ("AUTH LOGIN", "login")])
def test_a_smart_host_gets_name_and_password_once_its_name_is_proven(world, methods, exchange):
    name, answers = "smart-%s.example" % exchange, iter([b"334 VXNlcm5hbWU6", b"334 UGFzc3dvcmQ6", b"235 2.7.0 welcome"])
    plain = base64.b64encode(b"\0office\0s3cret").decode()
    peer = world.peer(name, world.identity("mx." + name, trusted=True), keywords=("PIPELINING", methods),
                      answers={"AUTH": lambda line: b"235 2.7.0 welcome" if line == ("AUTH PLAIN " + plain).encode() else next(answers) if line == b"AUTH LOGIN" else b"535 5.7.8 no",
                               base64.b64encode(b"office").decode().upper(): lambda line: next(answers), base64.b64encode(b"s3cret").decode().upper(): lambda line: next(answers)})
    world.ctl("route", "set", "*.by-%s.example" % exchange, "--host", "mx." + name, "--user", "office", "--password-stdin", stdin=b"s3cret\n")
    submit(world, "x@far.by-%s.example" % exchange)
    delivered(peer, 1)
    assert any(line.startswith(b"AUTH") for line in peer.lines)
    listed = world.ctl("route", "list")
    assert "office" in listed and "s3cret" not in listed


def test_a_smart_host_without_a_proven_name_gets_neither_password_nor_mail(world):
    peer = world.peer("thief.example", world.identity("mx.someone.example", trusted=True), keywords=("AUTH PLAIN",))
    bare = world.peer("barethief.example", None, keywords=("AUTH PLAIN",))
    for name in ("thief", "barethief"):
        world.ctl("route", "set", "by-%s.example" % name, "--host", "mx.%s.example" % name, "--user", "office", "--password-stdin", stdin=b"s3cret\n")
        submit(world, "x@by-%s.example" % name)
    stays(world, peer, "x@by-thief.example")
    stays(world, bare, "x@by-barethief.example")
    assert not any(line.startswith(b"AUTH") for line in peer.lines + bare.lines)


def test_a_route_to_a_host_without_an_address_delays_mail_and_its_correction_sends_it(world):
    peer = world.peer("there.example")
    world.ctl("route", "set", "mistyped.example", "--host", "mx.ther.example")
    submit(world, "x@mistyped.example")
    until(lambda: "4.3.5" in "".join(world.ctl("queue", "show", e["id"]) for e in json.loads(world.ctl("queue", "list", "--json"))), "the reason in the queue")
    world.ctl("route", "set", "mistyped.example", "--host", "mx.there.example")
    for entry in json.loads(world.ctl("queue", "list", "--json")):
        world.ctl("queue", "retry", entry["id"])
    delivered(peer, 0)


def test_what_makes_no_sense_in_a_route_is_said(world):
    for args, word in ((["not_a_domain!"], "no domain"), (["a.example", "--tls", "much"], "none, may"), (["a.example", "--port", "0"], "65535"), (["a.example", "--host", "b.example:25"], "--port"),
                       (["a.example", "--user", "u", "--password", "p"], "--host"), (["a.example", "--host", "b.example", "--tls", "may", "--user", "u", "--password", "p"], "proved its name")):
        world.ctl("route", "set", *args, check=False)
        assert world.ctl_status != 0 and word in world.ctl_errors, (args, world.ctl_errors)
    world.ctl("route", "delete", "nothing.example", check=False)
    assert "no route" in world.ctl_errors
