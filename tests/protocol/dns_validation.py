"""The real resolver against real name servers on loopback: signed, unsigned and spoiled zones, no such name, refusals, silence (attacks.md DN-01, DN-02)."""
import hashlib
import json
import os
import socket
import ssl
import subprocess

import pytest

from kantor import Server
from kantor.names import LyingServer, NameServer
from kantor.sink import Sink, certificate
from kantor.wait import until

PORT = 25300 + os.getpid() % 400  # two workers may run this file
WRONG = "3 1 1 " + "00" * 32
ZONES = ("signed.example", "forged.example", "plain.example", "spoiled.example")


class World:
    def __init__(self, folder, forward, anchors, timeout="5s"):
        anchor = str(folder / "anchor")
        with open(anchor, "w") as f:
            f.write(anchors)
        self.server = Server(str(folder / "demo"), sending=True, start=False)
        self.server.configure(relay_port=str(PORT), dns_table="", dns_forward="127.0.0.1@%d" % forward, dns_trust_anchor=anchor, dns_timeout=timeout)
        self.server.start()

    def submit(self, to):
        with self.server.submission("budi") as c:
            c.deliver("budi@kantor.example", to, b"From: budi@kantor.example\r\nTo: x\r\nSubject: Out\r\n\r\nhello\r\n")

    def waits(self, recipient, code, times=1):
        """Until the queue says with that code, so many times, why the recipient and others of its message wait."""
        def look():
            shown = [self.server.ctl("queue", "show", i) for i in {e["id"] for e in json.loads(self.server.ctl("queue", "list", "--json"))}]
            return [x for x in shown if recipient in x and x.count(code) >= times]
        return until(look, "%s waits with %s" % (recipient, code))

    def bodies(self):
        with self.server.imap("budi", select="INBOX") as c:
            return [c.body(u).decode("utf-8", "replace") for u in c.uids()]


@pytest.fixture(scope="module")
def sinks():
    folder = certificate()
    public = subprocess.run("openssl x509 -in %s/c -noout -pubkey | openssl pkey -pubin -pubout -outform DER" % folder, shell=True, check=True, capture_output=True).stdout
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/c", folder + "/k")
    made = {}
    for i, zone in enumerate(ZONES + ("lied.example",), 1):
        made[zone] = Sink(address="127.0.2.%d" % i, port=PORT)
        made[zone].tls = context
    made["tlsa"] = "3 1 1 " + hashlib.sha256(public).hexdigest()
    yield made
    for zone in ZONES:
        made[zone].close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, sinks):
    zones = {z: ["@ MX 10 mx", "mx A 127.0.2.%d" % i, "_%d._tcp.mx TLSA %s" % (PORT, sinks["tlsa"] if z == "signed.example" else WRONG)] for i, z in enumerate(ZONES, 1)}
    zones["signed.example"] += ["null MX 0 .", "far MX 10 mx.refused.example."]
    names = NameServer(zones, signed=("signed.example", "forged.example"), spoiled=("spoiled.example",))
    w = World(tmp_path_factory.mktemp("names"), names.port, names.anchors)
    yield w
    w.server.stop()
    names.close()


def test_what_is_signed_is_obeyed_and_the_named_key_gets_the_mail(world, sinks):
    world.submit(["x@signed.example", "x@forged.example"])
    until(lambda: sinks["signed.example"].messages, "the message")
    assert sinks["signed.example"].secured == 1
    world.waits("x@forged.example", "4.7.5")
    assert not sinks["forged.example"].messages


def test_what_is_not_signed_says_nothing_about_keys(world, sinks):
    world.submit("x@plain.example")
    until(lambda: sinks["plain.example"].messages, "the message")


def test_a_zone_whose_signatures_are_wrong_gets_nothing_and_the_mail_waits(world, sinks):
    world.submit("x@spoiled.example")
    world.waits("x@spoiled.example", "4.4.3")
    assert not sinks["spoiled.example"].connections
    assert "dns-bogus name=mx.spoiled.example" in world.server.log() and world.server.metrics()["kantor_dns_failures_total"] > 0


def test_a_name_that_is_not_there_is_told_to_the_sender_and_a_refusal_of_the_name_server_is_not(world):
    world.submit(["x@nobody.signed.example", "x@null.signed.example", "x@elsewhere.example", "x@far.signed.example"])
    until(lambda: any("x@nobody.signed.example" in b and "5.1.2" in b for b in world.bodies()), "the report about a domain that does not exist")
    until(lambda: any("x@null.signed.example" in b and "5.1.10" in b for b in world.bodies()), "the report about a null MX")
    world.waits("x@elsewhere.example", "4.4.3")
    world.waits("x@far.signed.example", "4.4.3")


def name(text):
    return b"".join(bytes([len(x)]) + x.encode() for x in text.split(".")) + b"\0"


def test_the_word_of_another_resolver_that_an_answer_is_authentic_counts_for_nothing(tmp_path, sinks):
    liar = LyingServer({("lied.example", 15): [b"\0\x0a" + name("mx.lied.example")], ("mx.lied.example", 1): [socket.inet_aton("127.0.2.5")], ("_%d._tcp.mx.lied.example" % PORT, 52): [b"\3\1\1" + bytes(32)]})
    w = World(tmp_path, liar.port, "signed.example. IN DS 1 13 2 " + "ab" * 32 + "\n")
    w.submit("x@lied.example")
    until(lambda: sinks["lied.example"].messages, "the message: the forged record did not stop it")
    w.server.stop()
    liar.close()


def test_a_dead_resolver_delays_mail_for_others_and_nothing_else(tmp_path):
    silent = LyingServer(None)
    w = World(tmp_path, silent.port, "signed.example. IN DS 1 13 2 " + "ab" * 32 + "\n", timeout="500ms")
    w.submit(["x@a%d.example" % i for i in range(20)] + ["sari@kantor.example"])
    with w.server.imap("sari", select="INBOX") as c:  # a bystander
        until(lambda: c.cmd("NOOP") is not None and c.uids(), "her copy")
    w.waits("x@a19.example", "4.4.3", times=20)
    assert silent.asked and w.server.alive()
    w.server.stop()
    silent.close()
