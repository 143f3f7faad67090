"""Limits by address and account, deadlines, clear-text logins, the end of the server: with small numbers in a written configuration."""
import os
import socket
import subprocess
import time

import pytest

from kantor.service import Service, wait_for
from kantor.server import PASSWORD, Server


def greeting(s, service, source="127.0.0.1"):
    c = socket.create_connection(("127.0.0.1", s.port(service)), 20, (source, 0))
    return c, c.makefile("rb").readline()


@pytest.mark.parametrize("service,word", [("smtp", b"421 4.7.0 "), ("imap", b"* BYE [UNAVAILABLE] "), ("pop3", b"-ERR [SYS/TEMP] ")])
def test_past_the_limit_by_address_a_sentence_is_said_and_another_address_is_served(service, word):
    with Service({"process.user": "", "limit.loopback": 3}) as s:
        held = [greeting(s, service) for _ in range(3)]
        fourth, said = greeting(s, service)
        assert said.startswith(word) and b"Too many connections" in said
        other, said = greeting(s, service, "127.0.0.9")
        assert not said.startswith(word)
        held.pop()[0].close()

        def served():
            c, said = greeting(s, service)
            c.close()
            return not said.startswith(word)

        wait_for(served, "the place of a connection that ended")
        for c, _ in held + [(fourth, b""), (other, b"")]:
            c.close()
        s.stop()


@pytest.mark.slow
def test_past_the_limit_by_account_a_login_is_refused_with_limit_and_never_as_a_wrong_password():
    with Service({"process.user": "", "limit.loopback": 2}, start=False) as s:
        s.start()
        s.add_people("budi", "sari")
        sessions = []
        for source in ("127.0.0.2", "127.0.0.3"):
            sessions.append(login(s, source))
            assert sessions[-1][1].startswith(b"a1 OK"), sessions[-1][1]
        _, said = login(s, "127.0.0.4")
        assert said.startswith(b"a1 NO [LIMIT]"), said
        _, said = login(s, "127.0.0.4", "sari")
        assert said.startswith(b"a1 OK")
        s.stop()


def login(s, source, user="budi", password=PASSWORD, service="imap", from_outside=None):
    c = socket.create_connection(("127.0.0.1", s.port(service)), 30, (source, 0))
    f = c.makefile("rwb")
    if from_outside:
        f.write(b"PROXY TCP4 %s 127.0.0.1 4711 143\r\n" % from_outside.encode())
        f.flush()
    f.readline()
    f.write(b"a1 LOGIN %s@kantor.example %s\r\n" % (user.encode(), password.encode()))
    f.flush()
    return c, f.readline()


def test_the_number_of_all_connections_is_bounded_and_the_server_goes_on():
    with Service({"process.user": "", "limit.connections": 16}) as s:
        held = [greeting(s, "imap", "127.0.0.%d" % (i + 2)) for i in range(16)]
        assert all(said.startswith(b"* OK") for _, said in held)
        _, said = greeting(s, "imap")
        assert said.startswith(b"* BYE [UNAVAILABLE]")
        for c, _ in held:
            c.close()
        wait_for(lambda: greeting(s, "imap")[1].startswith(b"* OK"), "a free place")
        s.stop()


@pytest.mark.slow
def test_failed_logins_wait_longer_each_time_while_others_are_served():
    """From outside, by way of a proxy: on this machine the delay is small, since whoever is here may be a proxy for many."""
    with Service({"process.user": "", "proxy.trusted": "127.0.0.5, 127.0.0.6", "auth.cleartext": "always"}) as s:
        s.add_people("budi", "sari")
        delays = []
        for n in range(4):
            since = time.monotonic()
            _, said = login(s, "127.0.0.5", password="wrong-%d" % n, from_outside="203.0.113.5")  # the same one again would be a device with an old password
            assert said.startswith(b"a1 NO [AUTHENTICATIONFAILED]")
            delays.append(time.monotonic() - since)
            began = time.monotonic()
            _, said = login(s, "127.0.0.6", "sari", from_outside="203.0.113.77")
            assert said.startswith(b"a1 OK") and time.monotonic() - began < 10
        assert delays[3] > delays[0] and delays[3] > 1, delays
        s.stop()


@pytest.mark.slow
def test_a_silent_client_is_told_and_closed_at_its_deadline():
    with Service({"process.user": "", "timeout.smtp": "1s", "timeout.pop3": "1s", "timeout.login": "1s"}) as s:
        with s.smtp() as smtp, s.imap() as imap, s.pop3() as pop3:
            assert smtp.reply().code == 421
            smtp.assert_closed()
            assert imap.untagged().name == "BYE"
            imap.assert_closed()
            rest = pop3.rest()
            assert rest == b"" or rest.startswith(b"-ERR")
        s.stop()


@pytest.mark.slow
def test_one_byte_at_a_time_does_not_put_the_deadline_off():
    with Service({"process.user": "", "timeout.smtp": "2s"}) as s:
        c, _ = greeting(s, "smtp")
        c.settimeout(0.1)
        got, ends = b"", time.monotonic() + 30
        while b"421" not in got and time.monotonic() < ends:
            try:
                c.sendall(b"x")
                got += c.recv(4096)
            except TimeoutError:
                pass
            except OSError:
                break
        assert got.startswith(b"421 4.4.2"), got
        s.stop()


@pytest.mark.slow
def test_a_body_in_drops_ends_at_the_deadline_of_the_whole_session():
    with Service({"process.user": "", "timeout.smtp_session": "2s"}) as s:
        s.add_people("budi")
        c = s.lmtp(dribble=False)
        c.envelope("x@elsewhere.example", "budi@kantor.example")
        c.cmd("DATA", 354)
        ends = time.monotonic() + 30
        while time.monotonic() < ends and c.send_what_goes(b"drop\r\n") and not c.waiting(0.1):
            pass
        rest = c.rest()
        assert rest == b"" or rest.startswith(b"421"), rest
        with s.imap("budi", "INBOX") as i:
            assert i.exists == 0
        s.stop()


def test_a_handshake_that_does_not_come_ends_at_the_deadline():
    with Service({"process.user": "", "timeout.login": "1s"}) as s:
        with socket.create_connection(("127.0.0.1", s.port("imaps")), 20) as c:
            assert c.recv(100) == b""
        s.stop()


def test_the_demo_allows_twenty_thousand_connections_from_this_machine(server):
    with open(os.path.join(server.folder, "kantor.conf")) as f:
        lines = f.read().splitlines()
    assert "limit.loopback = 20000" in lines
    held = [greeting(server, "imap") for _ in range(300)]  # more than the 200 of any other address
    assert all(said.startswith(b"* OK") for _, said in held)
    for c, _ in held:
        c.close()


# --- commands a second


def test_an_account_that_pipelines_too_many_commands_waits_and_nobody_else_does():
    sent, at_once = 40, 10
    with Service({"process.user": "", "limit.commands_loopback": 1}, start=False) as s:
        s.start()
        s.add_people("budi", "sari")
        c, said = login(s, "127.0.0.2")
        assert said.startswith(b"a1 OK")
        answers = c.makefile("rb")
        c.sendall(b"".join(b"n%d NOOP\r\n" % n for n in range(sent)))
        for n in range(at_once):
            assert answers.readline().startswith(b"n%d OK" % n)
        bystander, said = login(s, "127.0.0.2", "sari")
        assert said.startswith(b"a1 OK")
        for n in range(at_once - 1):
            bystander.sendall(b"b NOOP\r\n")
            assert bystander.recv(100).startswith(b"b OK")
        m = s.metrics()
        assert m['kantor_commands_total{service="imap"}'] < sent and m["kantor_commands_held_total"] >= 1, m
        for n in range(at_once, at_once + 2):  # it goes on by itself, nothing is dropped
            assert answers.readline().startswith(b"n%d OK" % n)
        s.configure({"limit.commands_loopback": 0})
        s.reload()
        for n in range(at_once + 2, sent):
            assert answers.readline().startswith(b"n%d OK" % n)
        s.stop()


def test_before_login_an_address_has_its_own_number_of_commands_also_over_new_connections():
    with Service({"process.user": "", "limit.commands_loopback": 1}) as s:
        for n in range(3):
            c, _ = greeting(s, "smtp", "127.0.0.2")
            c.sendall(b"EHLO x.example\r\nNOOP\r\nNOOP\r\nQUIT\r\n")
            assert b"\r\n221 " in c.makefile("rb").read()
        assert s.metrics()["kantor_commands_held_total"] >= 1
        before = s.metrics()["kantor_commands_held_total"]
        c, _ = greeting(s, "smtp", "127.0.0.9")
        c.sendall(b"EHLO x.example\r\nNOOP\r\nNOOP\r\nQUIT\r\n")
        assert b"\r\n221 " in c.makefile("rb").read()
        assert s.metrics()["kantor_commands_held_total"] == before
        s.stop()


# --- clear text


@pytest.fixture(scope="module")
def reached_from_outside():
    """A server on an address that is not loopback, in a network namespace of its own; gives a function that speaks to it."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    name = "kantor-test-%d" % os.getpid()
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ["ip", "netns", "exec", name]
    try:
        subprocess.run(inside + ["sh", "-ec", "ip link set lo up; ip addr add 10.11.12.13/32 dev lo"], check=True)
        with Service({"process.user": "", "listen.addresses": "10.11.12.13, 127.0.0.1"}, prefix=inside) as s:
            s.add_people("budi")
            yield s, inside
            s.stop()
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def say(inside, address, port, text, wait_for_line):
    """Speaks in the namespace; all that was answered up to a line that begins so."""
    script = ("import socket,sys\nc=socket.create_connection((sys.argv[1],int(sys.argv[2])),20)\nf=c.makefile('rb')\nout=f.readline()\nc.sendall(sys.argv[3].encode())\n"
              "while True:\n l=f.readline()\n out+=l\n if not l or l.startswith(sys.argv[4].encode()): break\nsys.stdout.buffer.write(out)")
    return subprocess.run(inside + ["/usr/bin/python3", "-c", script, address, str(port), text, wait_for_line], capture_output=True, check=True, timeout=60).stdout


def test_imap_refuses_a_clear_text_login_beyond_loopback_and_takes_it_on_loopback(reached_from_outside):
    s, inside = reached_from_outside
    login_line = "a1 LOGIN budi@kantor.example %s\r\n" % PASSWORD
    text = say(inside, "10.11.12.13", s.port("imap"), login_line, "a1")
    assert b"LOGINDISABLED" in text and b"AUTH=PLAIN" not in text and b"a1 NO [PRIVACYREQUIRED]" in text
    assert b"a1 OK" in say(inside, "127.0.0.1", s.port("imap"), login_line, "a1")


def test_submission_offers_no_auth_in_clear_text_beyond_loopback(reached_from_outside):
    s, inside = reached_from_outside
    text = say(inside, "10.11.12.13", s.port("submission"), "EHLO x\r\n", "250 ")
    assert b"AUTH" not in text and b"250-STARTTLS" in text
    assert say(inside, "10.11.12.13", s.port("submission"), "AUTH PLAIN AGJ1ZGkAeA==\r\n", "5").splitlines()[-1].startswith(b"5")
    assert b"250-AUTH" in say(inside, "127.0.0.1", s.port("submission"), "EHLO x\r\n", "250 ")


def test_pop3_takes_no_user_in_clear_text_beyond_loopback(reached_from_outside):
    s, inside = reached_from_outside
    assert b"-ERR" in say(inside, "10.11.12.13", s.port("pop3"), "USER budi@kantor.example\r\n", "-ERR")
    assert b"+OK" in say(inside, "127.0.0.1", s.port("pop3"), "USER budi@kantor.example\r\n", "+OK")


def test_never_means_not_on_loopback_either():
    with Service({"process.user": "", "auth.cleartext": "never"}) as s:
        s.add_people("budi")
        with s.imap() as c:
            assert "LOGINDISABLED" in c.capabilities()
            assert c.no("LOGIN budi@kantor.example " + PASSWORD).code_name == "PRIVACYREQUIRED"
            c.starttls()
            c.login("budi@kantor.example", PASSWORD)
        s.stop()


# --- the end


def test_sigterm_lets_a_message_in_flight_be_acknowledged_and_stored_or_refuses_it_cleanly():
    """The end comes while DATA is being sent: what was acknowledged is there afterwards, exactly once; what was not is not."""
    with Service({"process.user": ""}) as s:
        s.add_people("budi")
        sent = []
        for n in range(8):
            c = s.lmtp(dribble=False)
            c.envelope("x@elsewhere.example", "budi@kantor.example")
            c.cmd("DATA", 354)
            c.send(b"Subject: m%d\r\n\r\n" % n + b"line\r\n" * 2000)
            sent.append(c)
        for c in sent[:4]:
            c.send(b".\r\n")
        s.process.terminate()
        for c in sent[4:]:
            c.send_what_goes(b"more\r\n.\r\n")
        acknowledged = []
        for n, c in enumerate(sent):
            rest = c.rest()
            assert rest.startswith((b"250 ", b"421 ")), (n, rest)
            assert rest.count(b"250 ") <= 1
            if rest.startswith(b"250 "):
                acknowledged.append(b"m%d" % n)
            c.close()
        assert s.process.wait(30) == 0
        s.process = None
        s.start()
        with s.imap("budi", "INBOX") as i:
            stored = [f["BODY[HEADER.FIELDS (SUBJECT)]"].split(b":")[1].strip() for f in i.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]").fetches.values()] if i.exists else []
        assert sorted(stored) == sorted(acknowledged)
        s.stop()


def test_sigterm_says_farewell_to_idle_sessions_of_every_protocol():
    with Service({"process.user": ""}) as s:
        s.add_people("budi")
        idle, smtp, pop3 = s.imap("budi", "INBOX"), s.smtp(), s.pop3("budi")
        idle.idle()
        s.process.terminate()
        assert idle.untagged().name == "BYE"
        assert smtp.reply().code == 421
        pop3.rest()
        for c in (idle, smtp, pop3):
            c.close()
        assert s.process.wait(30) == 0
        s.process = None


def test_two_sigterms_with_many_sessions_end_the_server_once_and_cleanly():
    s = Server()
    held = [greeting(s, "imap")[0] for _ in range(200)]
    s.process.terminate()
    s.process.terminate()
    for c in held:
        c.close()
    assert s.process.wait(30) == 0
    assert s.log().count(" stopped ") == 1
    s.process = None
