"""Logins: SASL PLAIN, LOGIN and SCRAM-SHA-256, the same answer for every failure (RFC 4616, 5802, 7677; attacks.md AC-01, AC-02, AC-04)."""
import base64
import hashlib

import pytest

from kantor import PASSWORD, Scram, login, plain, until


# People made by --count have no SCRAM keys (60,000 rounds each); the demo's five have. Nobody fails a login as budi, so his answers never wait.
BUDI = "budi@kantor.example"


def test_scram_works_and_the_server_proves_itself(server):
    c, s = server.imap(tls=True), Scram(BUDI, PASSWORD)
    assert c.sasl("SCRAM-SHA-256", s).status == "OK" and s.verified
    c.select("INBOX")
    s = Scram(BUDI, PASSWORD)
    c = server.pop3(tls=True)
    assert c.auth("SCRAM-SHA-256", s)[0] and s.verified
    c.ok("STAT")
    c.ok("QUIT")


def test_scram_over_submission_ends_with_the_servers_proof_and_an_empty_answer(server):
    c, s = server.submission(), Scram(BUDI, PASSWORD)
    first = c.cmd("AUTH SCRAM-SHA-256 " + base64.b64encode(s(None)).decode(), 334)
    final = c.cmd(base64.b64encode(s(base64.b64decode(first.lines[0]))), 334)
    s(base64.b64decode(final.lines[0]))
    c.cmd("", 235)
    assert s.verified


def test_an_answer_that_is_not_empty_to_the_servers_proof_is_no_login(server):
    c, s = server.imap(tls=True), Scram(BUDI, PASSWORD)
    assert c.sasl("SCRAM-SHA-256", lambda got: b"x" if got and got.startswith(b"v=") else s(got)).status == "BAD"
    c.bad("SELECT INBOX")


def test_scram_with_channel_binding_works_and_a_wrong_binding_does_not(server, person):
    c = server.imap(tls=True)
    assert "AUTH=SCRAM-SHA-256-PLUS" in c.capabilities()
    assert c.sasl("SCRAM-SHA-256-PLUS", Scram(person, PASSWORD, binding=("tls-exporter", b"\0" * 32))).status == "NO"
    c = server.imap()
    assert "AUTH=SCRAM-SHA-256-PLUS" not in c.capabilities()


def test_scram_plus_binds_to_the_certificate(server):
    c = server.imap(tls=True)
    certificate = hashlib.sha256(c.socket.getpeercert(binary_form=True)).digest()  # RFC 5929 4.1: an ECDSA-SHA256 certificate
    s = Scram(BUDI, PASSWORD, binding=("tls-server-end-point", certificate))
    assert c.sasl("SCRAM-SHA-256-PLUS", s).status == "OK" and s.verified


BENT = "dewi@kantor.example"


@pytest.mark.parametrize("bend", ["password", "user", "nonce", "downgrade", "proof"])
def test_a_bent_scram_exchange_is_refused(server, bend):
    c = server.imap(tls=True)
    s = Scram("nobody@kantor.example" if bend == "user" else BENT, "wrong" if bend == "password" else PASSWORD, header=b"y,," if bend == "downgrade" else None)
    if bend == "nonce":
        s.change_nonce = b"other"
    if bend == "proof":
        s.change_proof = b"short"
    assert c.sasl("SCRAM-SHA-256", s).status == "NO"
    c.bad("SELECT INBOX")


def test_an_unknown_user_gets_a_stable_salt(server):
    a, b = Scram("nobody@kantor.example", "x"), Scram("nobody@kantor.example", "x")
    server.imap(tls=True).sasl("SCRAM-SHA-256", a)
    server.imap(tls=True).sasl("SCRAM-SHA-256", b)
    assert a.salt == b.salt and a.iterations == b.iterations


def test_plain_and_login_work_with_and_without_initial_response(server, person):
    assert server.imap().sasl("PLAIN", plain(person, PASSWORD)).status == "OK"
    assert server.imap().sasl("PLAIN", plain(person, PASSWORD), initial=False).status == "OK"
    assert server.pop3().auth("PLAIN", plain(person, PASSWORD))[0]
    c = server.submission()
    assert c.cmd("AUTH LOGIN", 334).lines == ["VXNlcm5hbWU6"]
    assert base64.b64decode(c.cmd(base64.b64encode(person.encode()), 334).lines[0]).lower() == b"password:"
    c.cmd(base64.b64encode(PASSWORD.encode()), 235)


# RFC 4954 4: what is not base64 is 501; RFC 4616 2: a message that is not `[authzid] NUL authcid NUL passwd` fails the exchange like a wrong password
MALFORMED = {"not-base64": ("!!!!", 501), "half-a-group": ("A", 501), "empty": ("=", 535), "one-nul": (base64.b64encode(b"u\0p").decode(), 535), "no-name": (base64.b64encode(b"\0\0").decode(), 535),
             "somebody-else": (base64.b64encode(b"sari@kantor.example\0%s\0demo-password").decode(), 535), "no-password": (base64.b64encode(b"\0%s\0").decode(), 535), "long": ("QUFB" * 300, 535)}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_plain_message_is_refused_at_once(server, person, what):
    blob, code = MALFORMED[what]
    if what in ("somebody-else", "no-password"):
        blob = base64.b64encode(base64.b64decode(blob) % person.encode()).decode()
    c = server.submission()
    c.cmd("AUTH PLAIN " + blob, code)
    c.cmd("MAIL FROM:<%s>" % person, 530)


@pytest.mark.slow
def test_a_message_that_names_nobody_is_not_delayed_by_the_failures_of_others(server):
    """The network's counter is not a name's: it grows with every failure of an office behind one address."""
    storm = [server.imap() for n in range(12)]
    for n, c in enumerate(storm):
        c.storm = c.start("AUTHENTICATE PLAIN " + base64.b64encode(plain("nobody%d@kantor.example" % n, "wrong")(None)).decode())
    assert all(c.collect(c.storm).status == "NO" for c in storm)
    c = server.submission(timeout=5)
    c.cmd("AUTH PLAIN =", 535)


def test_wrong_passwords_and_unknown_names_get_the_same_answer(server, person):
    c = server.imap()
    wrong, unknown = c.no('LOGIN "%s" nonsense' % person), c.no('LOGIN "nobody-%s" nonsense' % person)
    assert (wrong.code, wrong.text) == (unknown.code, unknown.text) and wrong.code_name == "AUTHENTICATIONFAILED"
    c.login(person, PASSWORD)


def test_an_aborted_exchange_is_501_and_bad(server):
    c = server.submission()
    c.cmd("AUTH PLAIN", 334)
    c.cmd("*", 501)
    assert server.imap().sasl("PLAIN", lambda got: b"*", initial=False).status == "BAD"


def test_a_suspended_account_loses_its_sessions_and_its_login(server, person):
    c = server.imap(person, select="INBOX")
    server.ctl("account", "suspend", person)
    assert c.untagged().name == "BYE"
    assert server.imap().no('LOGIN "%s" %s' % (person, PASSWORD)).code_name == "AUTHENTICATIONFAILED"
    server.ctl("account", "resume", person)
    server.imap(person)


# --- a verifier for whoever has none (docs/decisions/0010-scram.md)


def scram_opens(server, who, password=PASSWORD):
    s = Scram(who, password)
    return server.imap(tls=True).sasl("SCRAM-SHA-256", s).status == "OK" and s.verified


def test_an_account_made_in_bulk_uses_scram_after_its_first_login_by_plain_also_after_a_restart(fresh):
    fresh.make_people(1, "murid")
    who = "murid1@kantor.example"
    assert not scram_opens(fresh, who)
    assert fresh.imap(tls=True).sasl("PLAIN", plain(who, "wrong")).status == "NO"
    assert not scram_opens(fresh, who)
    assert fresh.imap(tls=True).sasl("PLAIN", plain(who, PASSWORD)).status == "OK"
    until(lambda: "scram-verifier-made name=%s" % who in fresh.log(), "the verifier")
    assert scram_opens(fresh, who)
    assert not scram_opens(fresh, who, "wrong")
    fresh.stop()
    fresh.start()
    assert scram_opens(fresh, who)
    assert fresh.log().count("scram-verifier-made") == 1
    fresh.ctl("account", "password", who, "--password", "another password")
    assert not scram_opens(fresh, who)
    assert scram_opens(fresh, who, "another password")


@pytest.mark.parametrize("how", ["imap-login", "pop3-pass", "sasl-login"])
def test_every_way_to_prove_a_password_leads_to_a_verifier(server, person, how):
    before = server.log_size()
    if how == "imap-login":
        server.imap(person)
    elif how == "pop3-pass":
        server.pop3(person)
    else:
        c = server.submission()
        c.cmd("AUTH LOGIN", 334)
        c.cmd(base64.b64encode(person.encode()), 334)
        c.cmd(base64.b64encode(PASSWORD.encode()), 235)
    until(lambda: "scram-verifier-made name=%s" % person in server.log(before), "the verifier")
    assert scram_opens(server, person)
