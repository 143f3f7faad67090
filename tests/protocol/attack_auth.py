"""Logins under attack, on every protocol (attacks.md AC-01 … AC-04, AC-06 … AC-11, AC-13, AC-14, AC-21)."""
import base64
import re

import pytest

from kantor import PASSWORD, Bystander, ProtocolError, Scram
from kantor.configured import configured, finish, stranger
from kantor.scram import plain
from kantor.server import MEMORY_SCALE

BUDI = "budi@kantor.example"
SERVICES = ("smtp", "imap", "pop3")


def b64(octets):
    return base64.b64encode(octets).decode()


def start_plain(server, service, octets, tls=True):
    """Sends one SASL PLAIN message; `said` reads the answer, so that several can wait at once."""
    c = server.submission(tls=tls) if service == "smtp" else getattr(server, service)(tls=tls)
    blob = b64(octets) or "="
    if service == "imap":
        return c, c.start("AUTHENTICATE PLAIN " + blob)
    c.send("AUTH PLAIN " + blob + "\r\n")
    return c, None


def answer(service, c, tag):
    """(opened, what was said)"""
    if service == "smtp":
        reply = c.reply()
        return reply.code == 235, "%d %s %s" % (reply.code, reply.enhanced, reply.text)
    if service == "imap":
        got = c.collect(tag)
        return got.status == "OK", "%s %s %s" % (got.status, got.code_name, got.text)
    return c.reply()


def plain_login(server, service, octets, tls=True):
    c, tag = start_plain(server, service, octets, tls)
    return (c,) + tuple(answer(service, c, tag))


def opens(server, service, name, password, **more):
    c, good, said = plain_login(server, service, b"\0" + name.encode() + b"\0" + (password if isinstance(password, bytes) else password.encode()), **more)
    c.close()
    return good, said


# --- AC-01, AC-03: what is not base64, what is given up

@pytest.mark.parametrize("blob,code", [("!!!!", "5.5.2"), ("=", "5.7.8"), ("A", "5.5.2"), ("QQ=", "5.5.2"), ("QQ==QQ==", "5.5.2"), ("QUFB QUFB", "5.5.2"), ("*", "5.7.0"), ("QUFB" * 2900, "5.7.8")])
def test_what_is_not_base64_is_refused_and_hurts_nobody_else(server, blob, code):
    with Bystander(server):
        c = server.submission()
        assert c.cmd("AUTH PLAIN " + blob).enhanced == code
        assert c.login(BUDI, PASSWORD).code == 235


def test_a_megabyte_of_base64_is_cut(server):
    for opening in ("AUTH PLAIN ", "AUTH PLAIN\r\n"):
        c = server.submission()
        c.send(opening)
        if opening.endswith("\n"):
            assert c.reply().code == 334
        c.send_what_goes(b"QUFB" * 262144 + b"\r\n")
        assert c.reply().code == 500
        c.rest()


def test_given_up_exchanges_cost_no_memory_and_are_mistakes_after_ten(server):
    before = server.rss()
    for _ in range(30):
        c = server.submission(tls=False)
        done = 0
        while done < 40:
            c.send("AUTH SCRAM-SHA-256\r\n")
            assert c.reply().code == 334
            c.send("*\r\n")
            assert c.reply().code == 501
            done += 1
            if c.waiting(0) and c.reply().code == 421:
                break
            if done == 29:
                break
        c.close()
    with pytest.raises((ProtocolError, AssertionError, OSError)):
        c = server.submission()
        for _ in range(31):
            c.cmd("AUTH PLAIN", 334)
            c.cmd("*", 501)
    assert server.rss() - before < 16 * 1048576 * MEMORY_SCALE


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_connection_that_breaks_inside_an_exchange_does_no_harm(server, cut):
    line = b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=%s,r=abcdef" % BUDI.encode()) + b"\r\n"
    c = server.submission(tls=bool(cut % 2))
    c.send_what_goes(line[:len(line) * cut // 11])
    c.reset()
    assert server.submission().login(BUDI, PASSWORD).code == 235


# --- AC-02: PLAIN

BAD_PLAIN = {"no fields": b"budi", "two fields": b"budi@kantor.example\0demo-password", "four fields": b"\0budi@kantor.example\0demo-password\0x", "another authzid": b"sari@kantor.example\0budi@kantor.example\0demo-password",
             "authzid of an account that is shared": b"info@kantor.example\0sari@kantor.example\0demo-password", "no name": b"\0\0demo-password", "no password": b"\0budi@kantor.example\0", "only zeros": b"\0\0", "nothing": b"",
             "zero in the password": b"\0budi@kantor.example\0demo\0password", "invalid utf-8 in the name": b"\0budi\xff@kantor.example\0demo-password", "invalid utf-8 in the password": b"\0budi@kantor.example\0\xff\xfe",
             "overlong utf-8": b"\0bud\xc1\xa9@kantor.example\0demo-password", "a long password": b"\0budi@kantor.example\0" + b"x" * 6000, "a long name": b"\0" + b"x" * 6000 + b"@kantor.example\0demo-password",
             "blanks": b"\0 budi@kantor.example\0demo-password", "a line end": b"\0budi@kantor.example\r\n\0demo-password", "sql": b"\0' OR 1=1--\0x", "ldap": b"\0*)(uid=*\0x", "path": b"\0../../etc/x@..\0x", "percent": b"\0%{user}%s%n\0x",
             "a group": b"\0tim@kantor.example\0demo-password", "a shared mailbox": b"\0info@kantor.example\0demo-password", "no domain": b"\0budi\0demo-password", "detail": b"\0budi+x@kantor.example\0demo-password"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_message_of_plain_that_proves_nothing_opens_nothing(server, service):
    kinds = list(BAD_PLAIN)
    for i in range(0, len(kinds), 6):  # no more at once than are checked at once
        for kind, (c, tag) in [(k, start_plain(server, service, BAD_PLAIN[k], tls=False)) for k in kinds[i:i + 6]]:
            good, said = answer(service, c, tag)
            assert not good and PASSWORD not in said, kind
            assert re.search(r"535 5\.7\.8|AUTHENTICATIONFAILED|\[AUTH\]|BAD|not base64|cancelled", said), (kind, said)
            c.close()


@pytest.mark.parametrize("service", SERVICES)
def test_the_same_authzid_as_the_name_is_taken(server, service):
    assert plain_login(server, service, b"budi@kantor.example\0budi@kantor.example\0demo-password")[1]


@pytest.mark.parametrize("n,good", [(72, True), (73, True), (255, True), (256, True), (257, False), (511, False), (512, False), (100000, False)])
def test_passwords_have_a_length_at_which_they_still_count_whole(server, n, good):
    name = "long%d@kantor.example" % n
    server.ctl("account", "add", name)
    server.ctl("account", "password", name, "--password", "x" * n, check=False)
    assert (server.ctl_status == 0) is good
    if good:
        assert opens(server, "pop3", name, "x" * n)[0]
        assert not opens(server, "pop3", name, "x" * (n - 1) + "y")[0]
    elif n < 9000:
        assert not opens(server, "smtp", BUDI, "x" * n)[0]


# --- AC-04: SCRAM

def bent(name, password=PASSWORD, **changes):
    s = Scram(name, password, header=changes.pop("header", None), nonce=changes.pop("nonce", None))
    for key, value in changes.items():
        setattr(s, key, value)
    return s


BENT = {"wrong password": dict(password="wrong"), "another nonce": dict(change_nonce=b"other"), "downgrade": dict(header=b"y,,"), "another header at the end": dict(change_header=b"y,,"),
        "a short proof": dict(change_proof=b"short"), "a long proof": dict(change_proof=b"x" * 64), "somebody else": dict(header=b"n,a=sari@kantor.example,"), "no header": dict(header=b""),
        "plus without plus": dict(header=b"p=tls-exporter,,"), "an unknown flag": dict(header=b"x,,"), "a mandatory extension": dict(header=b"n,,m=x,")}


@pytest.mark.parametrize("kind", BENT)
@pytest.mark.parametrize("service", SERVICES)
def test_a_bent_exchange_is_refused(server, service, kind):
    s = bent(BUDI, **dict(BENT[kind]))
    assert not sasl(server, service, "SCRAM-SHA-256", s)


def sasl(server, service, mechanism, steps, tls=True):
    if service == "imap":
        return server.imap(tls=tls).sasl(mechanism, steps).status == "OK"
    if service == "pop3":
        return server.pop3(tls=tls).auth(mechanism, steps)[0]
    c = server.submission(tls=tls)
    reply = c.cmd("AUTH %s %s" % (mechanism, b64(steps(None)) or "="))
    while reply.code == 334:
        try:
            answer = steps(base64.b64decode(reply.lines[0]))
        except AssertionError:
            return False
        reply = c.cmd(b64(answer))
    return reply.code == 235


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("tls", [True, False])
def test_scram_opens_with_the_right_password_and_proves_the_server(server, service, tls):
    s = Scram(BUDI, PASSWORD)
    assert sasl(server, service, "SCRAM-SHA-256", s, tls=tls) and s.verified and s.iterations >= 4096


def test_plus_wants_the_binding_of_this_very_connection(server):
    for binding in (("tls-exporter", b"\0" * 32), ("tls-unique", b"\0" * 12), ("tls-server-end-point", b"\0" * 32), ("x", b"")):
        assert not sasl(server, "smtp", "SCRAM-SHA-256-PLUS", Scram(BUDI, PASSWORD, binding=binding))
    assert "SCRAM-SHA-256-PLUS" not in server.submission(tls=False).extensions["AUTH"]
    assert server.submission(tls=False).cmd("AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YSxyPWI=").code == 504


def test_unknown_names_get_a_steady_salt_and_the_same_rounds(server):
    seen = {}
    for name in ("nobody@kantor.example", BUDI, "x@else.where"):
        for _ in range(2):
            s = Scram(name, "wrong")
            assert not sasl(server, "smtp", "SCRAM-SHA-256", s)
            assert seen.setdefault(name, (s.salt, s.iterations)) == (s.salt, s.iterations)
    assert len({i for _, i in seen.values()}) == 1 and len({s for s, _ in seen.values()}) == 3 and len({len(s) for s, _ in seen.values()}) == 1


# --- AC-06, AC-07, AC-21: what is offered, what is said

def test_only_four_mechanisms_are_offered_and_taken(server):
    for tls in (False, True):
        offered = set(server.submission(tls=tls).extensions["AUTH"].split())
        assert offered == {"PLAIN", "LOGIN", "SCRAM-SHA-256"} | ({"SCRAM-SHA-256-PLUS"} if tls else set())
    for name in ("NTLM", "CRAM-MD5", "DIGEST-MD5", "ANONYMOUS", "EXTERNAL", "XOAUTH2", "OAUTHBEARER", "GSSAPI", "SCRAM-SHA-1", "X-", "", "PLAIN\0"):
        assert server.submission().cmd(("AUTH " + name).encode()).code in (501, 504)
        if "\0" not in name and name:
            assert server.imap().cmd("AUTHENTICATE " + name).status in ("NO", "BAD")
            assert server.pop3().cmd("AUTH " + name)[0] is False


@pytest.mark.parametrize("service", SERVICES)
def test_every_refusal_reads_the_same(server, service):
    server.ctl("account", "add", "shut@kantor.example", "--password", PASSWORD, check=False)
    server.ctl("account", "suspend", "shut@kantor.example")
    server.ctl("account", "add", "nopass@kantor.example", check=False)
    app = re.search(r"[a-z2-9]{4}(-[a-z2-9]{2,4}){6}", server.ctl("app-password", "add", "andi@kantor.example", "dav", "--scope", "dav")).group(0)
    refused = (("nobody@kantor.example", "x"), (BUDI, "wrong"), ("shut@kantor.example", PASSWORD), ("shut@kantor.example", "wrong"), ("nopass@kantor.example", "x"), ("andi@kantor.example", app), ("tim@kantor.example", "x"), ("x@else.where", "x"))
    started = [start_plain(server, service, b"\0%s\0%s" % (name.encode(), password.encode()), tls=False) for name, password in refused]
    said = {tuple(answer(service, c, tag)) for c, tag in started}
    assert len(said) == 1 and not said.pop()[0]


def test_passwords_in_the_clear_are_refused_unseen_where_tls_is_asked_for():
    s = configured(cleartext="never")
    try:
        answers = set()
        for password in (PASSWORD, "wrong"):
            c = s.submission(tls=False)
            assert "AUTH" not in c.extensions and "STARTTLS" in c.extensions
            for line in ("AUTH PLAIN " + b64(b"\0budi@kantor.example\0" + password.encode()), "AUTH PLAIN", "AUTH LOGIN", "AUTH SCRAM-SHA-256"):
                reply = c.cmd(line)
                answers.add((reply.code, reply.enhanced, reply.text))
            assert c.cmd("MAIL FROM:<budi@kantor.example>").code == 530
            c.starttls()
            assert "PLAIN" in c.extensions["AUTH"]
        assert len(answers) == 1 and answers.pop()[:2] == (538, "5.7.11")
        assert PASSWORD not in s.log()
    finally:
        finish(s)


def test_a_stranger_without_tls_is_asked_for_it_under_the_package_s_configuration():
    s = configured("proxy.trusted = 127.0.0.1")
    try:
        c = stranger(s, "submission")
        assert "AUTH" not in c.extensions
        assert c.cmd("AUTH PLAIN " + b64(b"\0budi@kantor.example\0demo-password")).code == 538
    finally:
        finish(s)


def test_login_once_only_and_not_inside_a_transaction(server):
    c = server.submission("budi")
    c.cmd("AUTH PLAIN " + b64(plain("sari@kantor.example", PASSWORD)(None)), 503)
    c.cmd("MAIL FROM:<budi@kantor.example>", 250)
    c.cmd("AUTH PLAIN", 503)
    assert "AUTH" not in c.extensions or c.hello() and "AUTH" not in c.extensions
    assert server.smtp().cmd("AUTH PLAIN").code == 502


def test_outlooks_login_with_its_name_in_front(server):
    c = server.submission()
    assert c.cmd("AUTH LOGIN " + b64(BUDI.encode()), 334).lines == [b64(b"Password:")]
    c.cmd(b64(PASSWORD.encode()), 235)
    c = server.submission()
    c.cmd("AUTH LOGIN", 334)
    c.cmd(b64(BUDI.encode()), 334)
    c.cmd(b64(b"wrong"), 535)


# --- AC-09: what is remembered

def test_a_remembered_success_is_no_ones_else_and_ends_with_the_password(fresh):
    fresh.ctl("account", "password", "sari@kantor.example", "--password", "sari-secret")
    assert opens(fresh, "imap", BUDI, PASSWORD)[0] and opens(fresh, "imap", BUDI, PASSWORD)[0]
    assert not opens(fresh, "imap", "sari@kantor.example", PASSWORD)[0]
    fresh.ctl("account", "password", BUDI, "--password", "fresh-secret")
    for service in SERVICES:
        assert not opens(fresh, service, BUDI, PASSWORD)[0] and opens(fresh, service, BUDI, "fresh-secret")[0]
    assert not opens(fresh, "imap", "later@kantor.example", "later-secret")[0]
    fresh.ctl("account", "add", "later@kantor.example", "--password", "later-secret")
    assert opens(fresh, "imap", "later@kantor.example", "later-secret")[0]


# --- AC-11: forms of a name

@pytest.mark.parametrize("name,good", [("Budi@KANTOR.example", True), ("budi@kantor.example.", True), ("ｂudi@kantor.example", False), ("b\u0075\u0501i@kantor.example", False), ("budi@kаntor.example", False), (" budi@kantor.example", False),
                                       ("budi@kantor.example ", False), ("budi@ｋantor.example", True), ("budi@xn--kantor.example", False), ("BUDI@kantor.example", True)])
def test_forms_of_one_name(server, name, good):
    assert opens(server, "imap", name, PASSWORD)[0] is good


def test_names_in_another_alphabet_are_one_in_every_composition(fresh):
    fresh.ctl("domain", "add", "bücher.example")
    fresh.ctl("account", "add", "josé@bücher.example", "--password", "pässword")
    for name in ("josé@bücher.example", "jose\u0301@bücher.example", "José@xn--bcher-kva.example", "josé@BÜCHER.example"):
        for password in ("pässword", "pa\u0308ssword"):
            assert opens(fresh, "smtp", name, password)[0], (name, password)
    fresh.ctl("account", "add", "jose\u0301@xn--bcher-kva.example", check=False)
    assert fresh.ctl_status != 0


# --- AC-14: app passwords

SCOPES = ("imap", "pop3", "smtp", "dav")


@pytest.mark.parametrize("scope", SCOPES)
def test_an_app_password_opens_its_scope_and_nothing_else(server, scope):
    made = re.search(r"[a-z2-9]{4}(-[a-z2-9]{2,4}){6}", server.ctl("app-password", "add", "rina@cabang.example", scope, "--scope", scope)).group(0)
    for service in SERVICES:
        assert opens(server, service, "rina@cabang.example", made)[0] is (service == scope)
        assert sasl(server, service, "SCRAM-SHA-256", Scram("rina@cabang.example", made)) is (service == scope)
    assert not opens(server, scope if scope != "dav" else "imap", BUDI, made)[0]


def test_a_revoked_app_password_ends_its_sessions_and_opens_nothing(fresh):
    made = re.search(r"[a-z2-9]{4}(-[a-z2-9]{2,4}){6}", fresh.ctl("app-password", "add", BUDI, "phone")).group(0)
    c = fresh.submission()
    assert c.login(BUDI, made).code == 235
    i = fresh.imap()
    i.login(BUDI, made)
    number = [line.split()[0] for line in fresh.ctl("app-password", "list", BUDI).splitlines() if "phone" in line][0]
    fresh.ctl("app-password", "remove", BUDI, number)
    for gone in (c, i):
        gone.rest()
    for service in SERVICES:
        assert not opens(fresh, service, BUDI, made)[0]


@pytest.mark.parametrize("what", ["password", "suspend", "remove"])
def test_sessions_end_when_the_person_may_no_longer_be_there(fresh, what):
    c = fresh.submission("budi")
    c.cmd("MAIL FROM:<budi@kantor.example>", 250)
    fresh.ctl("account", what, BUDI, *(["--password", "new-secret"] if what == "password" else []))
    c.send_what_goes("RCPT TO:<sari@kantor.example>\r\n")
    assert b"250" not in c.rest()


# --- AC-13: one counter for all

def test_failures_on_one_protocol_count_on_the_others_and_across_connections():
    s = configured("proxy.trusted = 127.0.0.1", cleartext="always")
    try:
        for n in range(2):
            c = stranger(s, "submission", address="198.51.100.%d" % (n + 1))
            c.cmd("AUTH PLAIN " + b64(b"\0budi@kantor.example\0wrong%d" % n), 535)
        p = stranger(s, "pop3", address="198.51.100.99")
        p.ok("USER " + BUDI)
        p.send("PASS wrong3\r\n")
        assert not p.waiting(0.4)  # the answer waits, for there were two before
        assert p.reply()[0] is False
        other = stranger(s, "submission", address="203.0.113.4")
        assert other.login(BUDI, PASSWORD).code == 235
    finally:
        finish(s)


def test_many_wrong_logins_on_one_connection_end_it(server):
    c = server.submission()
    codes = []
    for n in range(25):
        c.send("AUTH PLAIN " + b64(b"\0nobody@kantor.example\0x") + "\r\n")
        reply = c.reply()
        codes.append(reply.code)
        if len(codes) == 20:
            break
    assert codes == [535] * 20
    c.assert_closed()
