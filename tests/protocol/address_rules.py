"""Transport rules of a domain: conditions, actions, the archive (issue 3, point 6)."""
import email
import json
import re

import pytest

from kantor.messages import MIXED
from kantor.wait import until

STRANGER = "a@stranger.example"
PLAIN = b"From: <a@x.example>\r\nTo: <b@x.example>\r\nSubject: x\r\nDate: Mon, 24 Nov 2025 10:00:00 +0700\r\n\r\nbody line\r\n"
SIGNED = (b"From: <a@x.example>\r\nSubject: signed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=s\r\n\r\n"
          b"--s\r\nContent-Type: text/plain\r\n\r\nsigned text\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nabc\r\n--s--\r\n")


class Domain:
    """A domain of the test's own with two people."""
    number = 0

    def __init__(self, server):
        Domain.number += 1
        self.server, self.name = server, "rules%d.example" % Domain.number
        server.ctl("domain", "add", self.name)
        server.make_people(2, "p", self.name)
        self.a, self.b = ("p%d@%s" % (n, self.name) for n in (1, 2))

    def rule(self, name, *options):
        self.server.ctl("rule", "add", self.name, name, *options)

    def box(self, who, n=1):
        with self.server.imap(who, select="INBOX") as c:
            until(lambda: c.ok("NOOP") and c.exists >= n, "mail of %s" % who)
            assert c.exists == n
            return c.body(n)

    def receive(self, octets=PLAIN, to=None, sender=STRANGER):
        c = self.server.smtp()
        c.envelope(sender, to or self.a)
        return c.data(octets)

    def send(self, to, octets=None, sender=None):
        c = self.server.submission(self.a)
        c.cmd("MAIL FROM:<%s>" % (sender or self.a), 250)
        for t in [to] if isinstance(to, str) else to:
            c.cmd("RCPT TO:<%s>" % t, 250)
        return c.data(octets or PLAIN.replace(b"a@x.example", self.a.encode()))

    def queued(self, to):
        return [r for r in json.loads(self.server.ctl("queue", "list", "--json")) if r["to"] == to]

    def queued_head(self, to):
        return json.loads(self.server.ctl("queue", "show", self.queued(to)[0]["id"], "--json"))["header"]


@pytest.fixture
def domain(server):
    d = Domain(server)
    yield d
    for r in json.loads(server.ctl("rule", "list", d.name, "--json")):
        server.ctl("rule", "delete", d.name, r["name"])


def test_a_disclaimer_is_a_part_of_its_own_behind_the_untouched_message(domain):
    domain.rule("legal", "--direction", "in", "--disclaimer", "Café:\\nkeep this confidential = always")
    for octets in (PLAIN, MIXED, SIGNED, PLAIN.replace(b"Subject: x", b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit").replace(b"body", b"<b>\xe9</b>")):
        assert domain.receive(octets).code == 250
    with domain.server.imap(domain.a, select="INBOX") as c:
        for uid, octets in zip(c.uids(), (PLAIN, MIXED, SIGNED, None)):
            got = email.message_from_bytes(c.body(uid))
            first, second = got.get_payload()
            assert got.get_content_type() == "multipart/mixed" and got.get_all("MIME-Version") == ["1.0"]
            assert second.get_payload(decode=True).decode("utf-8").split() == ["Café:", "keep", "this", "confidential", "=", "always"]
            if octets:
                assert octets.split(b"\r\n\r\n", 1)[1] in c.body(uid)
                assert first.get_content_type() == email.message_from_bytes(octets).get_content_type()
            else:
                assert got["Content-Transfer-Encoding"] == "8bit" and first["Content-Type"] == "text/html; charset=iso-8859-1" and b"<b>\xe9</b>" in c.body(uid)


def test_a_report_and_an_invitation_are_left_whole(domain):
    domain.rule("legal", "--disclaimer", "x", "--add-header", "X-Seen: yes")
    domain.receive(b"Subject: r\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    got = email.message_from_bytes(domain.box(domain.a))
    assert got.get_content_type() == "text/calendar" and got["X-Seen"] == "yes"


def test_a_field_is_added_for_those_whom_the_rule_means_and_one_copy_of_the_message_for_each_variant(domain):
    domain.rule("mark", "--direction", "in", "--recipient", domain.a, "--add-header", "X-Mark: for you")
    domain.receive(to=[domain.a, domain.b])
    assert b"\r\nX-Mark: for you\r\n" in domain.box(domain.a) and b"X-Mark" not in domain.box(domain.b)


@pytest.mark.parametrize("direction,yes", [("in", "in"), ("out", "out"), ("inside", "inside")])
def test_a_direction_means_where_mail_comes_from_and_goes_to(domain, direction, yes):
    domain.rule("mark", "--direction", direction, "--add-header", "X-Way: %s" % direction)
    away = "away@%s" % domain.name.replace("rules", "else")
    domain.send([domain.b, away])
    domain.receive()
    assert (b"X-Way" in domain.box(domain.b)) == (direction == "inside")
    assert any(line.startswith("X-Way") for line in domain.queued_head(away)) == (direction == "out")
    assert (b"X-Way" in domain.box(domain.a)) == (direction == "in")


@pytest.mark.parametrize("option,value,matching,other", [
    ("--sender", "*@bad.example", dict(sender="x@BAD.example"), dict(sender="x@good.example")),
    ("--header", "Subject:Invoice", dict(octets=PLAIN.replace(b"Subject: x", b"Subject: =?utf-8?q?your_inv?= =?utf-8?q?oice_1?=")), dict(octets=PLAIN)),
    ("--larger", "1K", dict(octets=PLAIN + b"x\r\n" * 1000), dict(octets=PLAIN)),
    ("--attachment", None, dict(octets=MIXED), dict(octets=SIGNED)),
])
def test_a_condition_lets_others_pass_and_a_rejection_is_said_in_the_session(domain, option, value, matching, other):
    domain.rule("no", option, *([value] if value else []), "--reject", "not here: 42")
    reply = domain.receive(**matching)
    assert (reply.code, reply.enhanced) == (550, "5.7.1") and "not here: 42" in str(reply)
    assert domain.receive(**other).code == 250
    domain.box(domain.a, 1)


def test_a_rejection_refuses_the_message_for_all_and_stores_nothing(domain):
    domain.rule("no", "--recipient", domain.b, "--reject", "no")
    assert domain.receive(to=[domain.a, domain.b]).code == 550
    with domain.server.imap(domain.a, select="INBOX") as c:
        assert c.exists == 0
    told = json.loads(domain.server.ctl("trace", "--recipient", domain.b, "--json"))
    assert [e["event"] for e in told] == ["refused"]


def test_lmtp_refuses_the_one_recipient_alone(domain):
    domain.rule("no", "--recipient", domain.b, "--reject", "no")
    c = domain.server.lmtp()
    c.envelope(STRANGER, [domain.a, domain.b])
    assert [r.code for r in c.data(PLAIN, 2)] == [250, 550]
    domain.box(domain.a, 1)


def test_a_redirect_goes_elsewhere_instead(domain):
    away = "away@%s" % domain.name.replace("rules", "redirected")
    domain.rule("go", "--direction", "in", "--recipient", domain.a, "--redirect", away)
    domain.receive(to=[domain.a, domain.b])
    domain.box(domain.b, 1)
    assert len(domain.queued(away)) == 1 and domain.queued_head(away)[0] == "Delivered-To: " + domain.a
    assert domain.receive(b"Delivered-To: " + domain.a.encode() + b"\r\n" + PLAIN).enhanced == "5.4.6"
    with domain.server.imap(domain.a, select="INBOX") as c:
        assert c.exists == 0
    told = [(e["event"], e["recipient"]) for e in json.loads(domain.server.ctl("trace", "--recipient", domain.a, "--json"))]
    assert ("filtered", domain.a) in told


def test_the_order_counts_and_stop_ends_it(domain):
    domain.rule("second", "--add-header", "X-Second: 1")
    domain.rule("first", "--sender", "*@vip.example", "--place", "1", "--stop")
    domain.receive(sender="x@vip.example")
    domain.receive(sender="x@usual.example", to=domain.b)
    assert b"X-Second" not in domain.box(domain.a) and b"X-Second" in domain.box(domain.b)


def test_the_archive_gets_a_report_with_all_recipients_and_the_message_as_it_came(domain):
    archive = domain.server.people.take()
    domain.server.ctl("domain", "archive", domain.name, archive)
    domain.rule("legal", "--disclaimer", "small print")
    outside = "out@%s" % domain.name.replace("rules", "archived")
    domain.send([domain.b, outside])
    got = email.message_from_bytes(domain.box(archive))
    report, original = got.get_payload()
    assert sorted(re.findall(r"Recipient: (\S+)", report.get_payload())) == sorted([domain.b, outside]) and "Sender: " + domain.a in report.get_payload()
    assert original.get_content_type() == "message/rfc822" and original.get_payload()[0].get_content_type() == "text/plain"
    assert "X-MS-Journal-Report" in got and got["Return-Path"] == "<postmaster@%s>" % domain.name
    assert b"small print" in domain.box(domain.b)
    domain.server.ctl("domain", "archive", domain.name, "-")
    domain.send(domain.b)
    domain.box(domain.b, 2)
    domain.box(archive, 1)


def test_a_lists_own_mail_passes_the_rules_by(domain):
    domain.rule("legal", "--disclaimer", "once")
    name = "list@" + domain.name
    domain.server.ctl("list", "add", name)
    domain.server.ctl("group", "join", name, domain.a)
    domain.server.ctl("group", "join", name, domain.b)
    domain.send(name)
    assert domain.box(domain.b).count(b"once") == 1


@pytest.mark.parametrize("options", [(), ("--add-header", "no colon"), ("--add-header", "Content-Type: x/y"), ("--redirect", "nobody"), ("--direction", "up", "--stop"), ("--header", "Subject", "--stop"), ("--reject", "a\nb")])
def test_a_rule_that_makes_no_sense_is_refused(domain, options):
    domain.server.ctl("rule", "add", domain.name, "odd", *options, check=False)
    assert domain.server.ctl_status != 0 and json.loads(domain.server.ctl("rule", "list", domain.name, "--json")) == []


def test_rules_outlive_a_restart_and_go_with_their_domain(fresh):
    d = Domain(fresh)
    d.rule("mark", "--add-header", "X-Mark: 1")
    fresh.restart()
    d.receive()
    assert b"X-Mark" in d.box(d.a)
    for who in (d.a, d.b):
        fresh.ctl("account", "remove", who, "--now")
    fresh.ctl("domain", "remove", d.name)
    assert fresh.ctl("rule", "list").count("mark") == 0
