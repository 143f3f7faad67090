"""Submission: whose address may stand where, and what the server adds or takes away (attacks.md SI-33; RFC 6409 6, 8; RFC 5321 4.4)."""
import re

import pytest

from kantor import message
from kantor.configured import configured, finish


@pytest.fixture(scope="module")
def office():
    """sari may send as dewi; budi has an alias and a domain with two names."""
    s = configured()
    s.ctl("domain", "add", "bücher.example")
    s.ctl("alias", "add", "santoso@kantor.example", "budi@kantor.example")
    s.ctl("alias", "add", "budi@bücher.example", "budi@kantor.example")
    s.ctl("alias", "add", "*@cabang.example", "rina@cabang.example")
    s.ctl("grant", "set", "dewi@kantor.example", "sari@kantor.example", "S")
    yield s
    finish(s)


def submit(server, who, sender, head, body=b"y\r\n"):
    c = server.submission(who)
    c.cmd("MAIL FROM:<%s> SMTPUTF8" % sender, 250)
    c.cmd("RCPT TO:<andi@kantor.example>", 250)
    return c, c.data((head + "\r\nSubject: x\r\n\r\n").encode() + body)


MINE = "budi@kantor.example"
OTHERS = "sari@kantor.example"
ALLOWED = ["From: budi@kantor.example", "From: BUDI@Kantor.EXAMPLE", "From: Budi <budi+tag@kantor.example>", "From: santoso@kantor.example", "From: <budi@bücher.example>", "From: <budi@xn--bcher-kva.example>",
           "From: =?utf-8?q?sari=40kantor.example?= <budi@kantor.example>", "From: budi@kantor.example, santoso@kantor.example\r\nSender: budi@kantor.example", "From: budi@kantor.example (sari@kantor.example)",
           "From:\r\n budi@kantor.example", "from : budi@kantor.example", "From: \"sari@kantor.example\" <budi@kantor.example>", "To: sari@kantor.example"]
REFUSED = ["From: %s" % OTHERS, "From: budi@kantor.example, sari@kantor.example", "From: budi@kantor.example\r\nFrom: sari@kantor.example", "From: budi@kantor.example\r\nFROM : budi@kantor.example", "From: g: sari@kantor.example;",
           "From: g: budi@kantor.example, sari@kantor.example;", "From: budi@kantor.example\r\nSender: sari@kantor.example", "From: budi@kantor.example\r\nResent-From: sari@kantor.example",
           "From: budi@kantor.example\r\nResent-Sender: sari@kantor.example", "From: =?utf-8?q?budi=40kantor.example?= <sari@kantor.example>", "From: =?utf-8?q?sari=40kantor.example?=", "From: \"budi@kantor.example\" <sari@kantor.example>",
           "From: budi@kantor.example (x) , <sari@kantor.example>", "From: SARI@KANTOR.EXAMPLE", "From: sari+budi@kantor.example", "From: budi@kаntor.example", "From: budi@cabang.example", "From: budi@else.where",
           "From: nobody@kantor.example", "From: info@kantor.example", "From: tim@kantor.example", "From: postmaster@kantor.example", "From:", "From: ;", "From: undisclosed-recipients:;", "From: budi", "From: <>",
           "From: <@sari.example:sari@kantor.example>", "From:\r\n\tsari@kantor.example", "From: " + ", ".join(["budi@kantor.example"] * 101), "From: budi@kantor.example\0, sari@kantor.example", "From: \"a\\\" <budi@kantor.example>, \" <sari@kantor.example>"]


@pytest.mark.parametrize("head", ALLOWED, ids=[h.encode("unicode_escape").decode()[:60] for h in ALLOWED])
def test_a_persons_own_addresses_are_taken_in_every_form(office, head):
    c, reply = submit(office, "budi", MINE, head)
    assert reply.code == 250, reply


@pytest.mark.parametrize("head", REFUSED, ids=[h.encode("unicode_escape").decode()[:60] for h in REFUSED])
def test_other_peoples_addresses_are_refused_in_every_form(office, head):
    c, reply = submit(office, "budi", MINE, head)
    assert (reply.code, reply.enhanced) == (550, "5.7.1"), reply
    c.cmd("RCPT TO:<andi@kantor.example>", 503)
    c.cmd("MAIL FROM:<budi@kantor.example>", 250)


@pytest.mark.parametrize("who,sender,code", [("budi", "sari@kantor.example", 550), ("budi", "santoso@kantor.example", 250), ("budi", "Budi+x@KANTOR.example", 250), ("budi", "budi@bücher.example", 250),
                                             ("budi", "budi@else.where", 550), ("budi", "info@kantor.example", 550), ("sari", "info@kantor.example", 250), ("sari", "dewi@kantor.example", 250), ("dewi", "sari@kantor.example", 550),
                                             ("rina", "anything@cabang.example", 550), ("budi", "", 250), ("budi", "tim@kantor.example", 550)])
def test_the_envelope_sender_must_be_owned_or_granted(office, who, sender, code):
    c = office.submission(who)
    assert c.cmd("MAIL FROM:<%s> SMTPUTF8" % sender).code == code


def test_a_delegate_sends_in_the_name_of_the_other_and_as_a_shared_mailbox(office):
    for name in ("dewi@kantor.example", "info@kantor.example"):
        assert submit(office, "sari", "sari@kantor.example", "From: %s\r\nSender: sari@kantor.example" % name)[1].code == 250
    assert submit(office, "dewi", "dewi@kantor.example", "From: sari@kantor.example")[1].code == 550


def test_a_right_that_was_taken_away_counts_at_once(office):
    c = office.submission("sari")
    c.cmd("MAIL FROM:<dewi@kantor.example>", 250)
    c.cmd("RSET", 250)
    office.ctl("grant", "set", "dewi@kantor.example", "sari@kantor.example", "-")
    c.cmd("MAIL FROM:<dewi@kantor.example>", 550)
    office.ctl("grant", "set", "dewi@kantor.example", "sari@kantor.example", "S")


@pytest.mark.parametrize("way", ["DATA", "BDAT"])
def test_sender_fields_are_found_at_every_cut_of_the_head(office, way):
    octets = b"From: budi@kantor.example\r\nResent-From: sari@kantor.example\r\n\r\nx\r\n"
    c = office.submission("budi")
    for cut in range(0, len(octets) + 1, 1 if way == "BDAT" else 4):
        c.envelope(MINE, "andi@kantor.example")
        if way == "DATA":
            c.cmd("DATA", 354)
            c.send(octets[:cut])
            c.send(octets[cut:] + b".\r\n")
        else:
            c.send(b"BDAT %d\r\n" % cut + octets[:cut])
            assert c.reply().code == 250
            c.send(b"BDAT %d LAST\r\n" % (len(octets) - cut) + octets[cut:])
        assert c.reply().code == 550


# --- what is added, and what is taken away

def received(server, person):
    with server.imap(person, select="INBOX") as c:
        return c.body(c.uids()[-1])


def test_what_a_program_forgot_is_added_and_the_rest_is_kept_to_the_octet(server, person):
    octets = b"To: <%s>\r\nSubject: scan\r\nX-Odd:folded\r\n \tline  \r\n\r\nbody\r\n" % person.encode()
    server.submission(person).deliver(person, person, octets)
    got = received(server, person)
    assert got.endswith(octets)
    for field, value in ((rb"From", rb"<%s>" % person.encode()), (rb"Date", rb"\w{3}, \d+ \w{3} \d{4} [\d:]{8} [+-]\d{4}"), (rb"Message-ID", rb"<[^<>@ ]+@kantor\.example>")):
        assert len(re.findall(rb"(?m)^%s: %s\r$" % (field, value), got)) == 1, (field, got)


def test_what_is_there_is_not_added_again(server, person):
    octets = message(sender=person)
    server.submission(person).deliver(person, person, octets)
    got = received(server, person)
    assert got.endswith(octets) and got.count(b"Message-ID:") == got.count(b"\r\nDate:") == 1


def test_a_null_sender_gets_the_login_as_its_author(server, person):
    server.submission(person).deliver("", person, b"Subject: receipt\r\n\r\nread\r\n")
    got = received(server, person)
    assert got.startswith(b"Return-Path: <>\r\n") and b"\r\nFrom: <%s>\r\n" % person.encode() in got


def test_strangers_mail_is_not_mended(server, person):
    octets = b"Bcc: x@y.example\r\nSubject: bare\r\n\r\nbody\r\n"
    server.smtp().deliver("a@stranger.example", person, octets)
    got = received(server, person)
    assert got.endswith(octets) and b"Message-ID" not in got and b"\nFrom:" not in got


def test_blind_copies_are_not_told_to_the_others(server, person, another):
    octets = b"From: <%s>\r\nBcc: secret@kantor.example,\r\n more@kantor.example\r\nTo: b@x.example\r\nresent-bcc : c@x.example\r\nSubject: x\r\n\r\nBcc: in the body stays\r\n" % person.encode()
    server.submission(person).deliver(person, [person, another], octets)
    got = received(server, another)
    assert b"secret" not in got and b"more@" not in got and b"c@x.example" not in got
    assert got.endswith(b"From: <%s>\r\nTo: b@x.example\r\nSubject: x\r\n\r\nBcc: in the body stays\r\n" % person.encode()), got
    assert person.encode() not in got.split(b"From: ")[0].replace(b"Return-Path: <%s>" % person.encode(), b""), "the other recipient stands in a trace field"


@pytest.mark.parametrize("service,words", [("smtp", b"ESMTP"), ("lmtp", b"LMTP"), ("submission", b"ESMTPSA")])
def test_the_received_field_tells_how_it_came(server, person, service, words):
    c = server.submission(person) if service == "submission" else getattr(server, service)(hello="my (odd) \"name\"")
    c.deliver(person if service == "submission" else "A.b@stranger.example", person, message(sender=person))
    got = received(server, person)
    m = re.match(rb"Return-Path: <([^>]*)>\r\nReceived: from (\S+) \(\[127\.0\.0\.1\]\)\r\n(?:\t\(TLS[^)]*\)?[^\r]*\)\r\n)?\tby kantor\.example \(Kantor\) with (\S+) id (\S+)\r\n\tfor <([^>]*)>;\r\n\t(\w{3}, [^\r]*)\r\n", got)
    assert m, got
    assert m.group(1) == (person.encode() if service == "submission" else b"A.b@stranger.example") and m.group(3) == words and m.group(5) == person.encode()
    assert service == "submission" or m.group(2) == b"my"[:2] + m.group(2)[2:] and b"(" not in m.group(2) and b'"' not in m.group(2)


@pytest.mark.parametrize("service,options,hello,word", [("smtp", "SMTPUTF8", "EHLO", b"UTF8SMTP"), ("lmtp", "SMTPUTF8", "LHLO", b"UTF8LMTP"), ("smtp", "", "HELO", b"SMTP")])
def test_the_received_field_knows_utf8_and_plain_smtp(server, person, service, options, hello, word):
    c = getattr(server, service)(hello=None)
    c.cmd(hello + " x", 250)
    c.deliver("a@stranger.example", person, message(), options)
    assert b" with %s id " % word in received(server, person)


def test_return_path_is_replaced_and_never_doubled(server, person):
    octets = b"Return-Path: <forged@x.example>\r\nX: 1\r\nreturn-path:\r\n <again@x.example>\r\nSubject: x\r\n\r\nReturn-Path: body\r\n"
    for service in ("smtp", "lmtp"):
        getattr(server, service)().deliver("a@stranger.example", person, octets)
        got = received(server, person)
        assert got.startswith(b"Return-Path: <a@stranger.example>\r\nReceived:") and got.endswith(b"\r\nX: 1\r\nSubject: x\r\n\r\nReturn-Path: body\r\n")
        assert got.lower().count(b"\nreturn-path") == 1


@pytest.mark.parametrize("field,most", [(b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n", 50), (b"Received: from a\r\n\tby kantor.example (Kantor) with ESMTP id x; Mon, 1 Jan 2024 00:00:00 +0000\r\n", 25)], ids=["anybody", "ourselves"])
def test_a_message_in_a_loop_is_refused(server, person, field, most):
    c = server.smtp()
    c.deliver("a@stranger.example", person, field * most + b"Subject: long way\r\n\r\nx\r\n")
    c.envelope("a@stranger.example", person)
    assert c.data(field * (most + 1) + b"Subject: loop\r\n\r\nx\r\n").enhanced == "5.4.6"


def test_a_head_without_end_is_refused_on_submission(server, person):
    c = server.submission(person)
    c.envelope(person, person)
    assert c.data(b"X: " + b"x" * 300000 + b"\r\n").enhanced == "5.3.4"
