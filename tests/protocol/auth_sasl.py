"""Logins: SASL PLAIN, LOGIN and SCRAM-SHA-256, the same answer for every failure (RFC 4616, 5802, 7677; attacks.md AC-01, AC-02, AC-04)."""
import base64

import pytest

from kantor import Bystander, PASSWORD, Scram, login, plain


def test_scram_works_and_the_server_proves_itself(server):
    c, s = server.imap(tls=True), Scram("budi@kantor.example", PASSWORD)
    assert c.sasl("SCRAM-SHA-256", s).status == "OK" and s.verified


def test_scram_with_channel_binding_works_and_a_wrong_binding_does_not(server):
    c = server.imap(tls=True)
    assert "AUTH=SCRAM-SHA-256-PLUS" in c.capabilities()
    assert c.sasl("SCRAM-SHA-256-PLUS", Scram("budi@kantor.example", PASSWORD, binding=("tls-exporter", b"\0" * 32))).status == "NO"


@pytest.mark.parametrize("bend", ["password", "user", "nonce", "downgrade", "proof"])
def test_a_bent_scram_exchange_is_refused(server, bend):
    c, s = server.imap(tls=True), Scram("nobody@kantor.example" if bend == "user" else "budi@kantor.example", "wrong" if bend == "password" else PASSWORD, header=b"y,," if bend == "downgrade" else None)
    if bend == "nonce":
        s.change_nonce = b"other"
    if bend == "proof":
        s.change_proof = b"short"
    assert c.sasl("SCRAM-SHA-256", s).status in ("NO", "BAD")


def test_an_unknown_user_gets_a_stable_salt(server):
    a, b = Scram("nobody@kantor.example", "x"), Scram("nobody@kantor.example", "x")
    server.imap(tls=True).sasl("SCRAM-SHA-256", a)
    server.imap(tls=True).sasl("SCRAM-SHA-256", b)
    assert a.salt == b.salt and a.iterations == b.iterations


def test_plain_and_login_work_with_and_without_initial_response(server):
    assert server.imap().sasl("PLAIN", plain("budi@kantor.example", PASSWORD)).status == "OK"
    assert server.imap().sasl("PLAIN", plain("budi@kantor.example", PASSWORD), initial=False).status == "OK"
    assert server.pop3().auth("PLAIN", plain("budi@kantor.example", PASSWORD))[0]
    c = server.submission()
    assert c.cmd("AUTH LOGIN", 334).lines == ["VXNlcm5hbWU6"]
    assert base64.b64decode(c.cmd(base64.b64encode(b"budi@kantor.example"), 334).lines[0]).lower() == b"password:"
    c.cmd(base64.b64encode(PASSWORD.encode()), 235)


@pytest.mark.parametrize("blob", ["!!!!", "A", "=", "", base64.b64encode(b"u\0p").decode(), base64.b64encode(b"\0\0").decode(), base64.b64encode(b"sari@kantor.example\0budi@kantor.example\0demo-password").decode(),
                                  base64.b64encode(b"\0budi@kantor.example\0").decode(), "QUFB" * 300])
def test_a_malformed_plain_message_is_refused(server, blob):
    c = server.submission()
    reply = c.cmd("AUTH PLAIN " + (blob or "="))
    assert reply.code in (500, 501, 535, 552, 554)


def test_an_aborted_exchange_is_501_and_bad(server):
    c = server.submission()
    c.cmd("AUTH PLAIN", 334)
    c.cmd("*", 501)
    assert server.imap().sasl("PLAIN", lambda got: b"*", initial=False).status == "BAD"


def test_a_login_storm_leaves_others_in_peace(server):
    before = server.rss()
    with Bystander(server, "dewi"):
        for n in range(5):
            c = server.imap()
            assert c.no('LOGIN "rina@cabang.example" "wrong%d"' % n).code_name == "AUTHENTICATIONFAILED"
            c.close()
    assert server.rss() - before < 64 * 1048576


def test_health_and_metrics_are_served(server):
    assert server.http("/healthz")[0] == 200 and server.metrics()
    assert server.http("/nothing")[0] == 404
