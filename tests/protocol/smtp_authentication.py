"""Who sent it? SPF, iprev, DKIM, ARC and DMARC of mail from outside: marked, refused, into Junk; forged results taken away (attacks.md MA-*)."""
import json
import os
import re

import authres
import dkim
import pytest
from kantor.configured import configured, finish, stranger
from kantor.imap import Imap
from kantor.server import PASSWORD

SARI = "sari@kantor.example"
GOOD, BAD = "192.0.2.10", "203.0.113.66"
ZONE = """
good.example TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.good.example TXT "v=DMARC1; p=reject; rua=mailto:reports@good.example"
10.2.0.192.in-addr.arpa PTR mail.good.example
mail.good.example A 192.0.2.10
mail.good.example TXT "v=spf1 a -all"
quarantine.example TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.quarantine.example TXT "v=DMARC1; p=quarantine"
none.example TXT "v=spf1 -all"
_dmarc.none.example TXT "v=DMARC1; p=none"
silent.example TXT "v=spf1 -all"
_dmarc.silent.example TXT !servfail
wide.example TXT "v=spf1 +all"
_dmarc.wide.example TXT "v=DMARC1; p=reject"
list.example TXT "v=spf1 ip4:203.0.113.66 -all"
"""


@pytest.fixture(scope="module")
def keys():
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives import serialization as s
    import base64
    key = rsa.generate_private_key(65537, 2048)
    public = base64.b64encode(key.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)).decode()
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption()), "v=DKIM1; k=rsa; p=" + public


@pytest.fixture(scope="module")
def server(keys):
    s = configured("proxy.trusted = 127.0.0.1", "dns.table = dns.table", "authentication.sealers = list.example", "queue.send = no", "filter.trusted = 198.51.100.0/24", cleartext="always")
    with open(os.path.join(s.folder, "dns.table"), "w") as f:
        f.write(ZONE)
        for domain in ("good.example", "list.example", "other.example"):
            f.write('s1._domainkey.%s TXT "%s"\n' % (domain, keys[1]))
    yield s
    finish(s)
    s.remove()


def message(sender, subject="hello", more=b"", body=b"some words\r\n"):
    return b"From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@x>\r\n%s\r\n%s" % (
        sender.encode(), SARI.encode(), subject.encode(), os.urandom(6).hex().encode(), more, body)


def signed(keys, m, domain):
    return dkim.sign(m, b"s1", domain.encode(), keys[0], include_headers=[b"from", b"subject", b"to"]) + m


def give(server, m, sender, address=GOOD, hello="mail.good.example"):
    c = stranger(server, address=address, hello=hello)
    c.envelope(sender, SARI)
    reply = c.data(m)
    c.close()
    return reply


def newest(server, mailbox="INBOX"):
    """The last message of sari's mailbox; her connection, too, comes through the proxy."""
    with Imap(server.port("imap"), greet=False, name="imap") as c:
        c.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 143\r\n")
        c.greeting = c.untagged()
        c.login(SARI, PASSWORD)
        c.select(mailbox)
        return c.body(c.exists)


def results(stored):
    field = re.search(rb"^Authentication-Results:(?:[^\r]|\r\n[\t ])*\r\n", stored, re.M).group(0).decode()
    return authres.AuthenticationResultsHeader.parse(field)


def word(stored, method):
    return [r.result for r in results(stored).results if r.method == method]


def test_a_message_that_is_vouched_for_is_marked_so_and_another_program_reads_it(server, keys):
    assert give(server, signed(keys, message("a@good.example"), "good.example"), "a@good.example").code == 250
    got = newest(server)
    assert got.startswith(b"Return-Path: <a@good.example>\r\nAuthentication-Results: kantor.example;")
    assert re.search(rb"\r\nReceived-SPF: pass\r\n\tclient-ip=192.0.2.10;", got)
    assert (word(got, "spf"), word(got, "iprev"), word(got, "dkim"), word(got, "dmarc")) == (["pass", "pass"], ["pass"], ["pass"], ["pass"])
    assert got.index(b"Authentication-Results") < got.index(b"\r\nReceived: from")
    assert re.search(r"authenticated id=\S+ from=a@good.example .* dmarc=pass", server.log())


def test_what_the_owner_wants_refused_is_refused_in_the_session(server):
    reply = give(server, message("a@good.example"), "x@list.example", BAD)
    assert (reply.code, reply.enhanced) == (550, "5.7.1") and "good.example" in reply.text and "DMARC" in reply.text
    story = json.loads(server.ctl("trace", "--sender", "x@list.example", "--json"))
    assert any("DMARC" in e["detail"] for e in story)


def test_a_body_that_was_changed_is_no_proof(server, keys):
    m = signed(keys, message("a@good.example"), "good.example").replace(b"some words", b"other words")
    assert give(server, m, "x@list.example", BAD).code == 550


def test_quarantine_goes_to_junk_and_none_is_only_marked(server):
    assert give(server, message("a@quarantine.example", "q1"), "x@list.example", BAD).code == 250
    got = newest(server, "Junk")
    assert b"Subject: q1" in got and word(got, "dmarc") == ["fail"]
    assert give(server, message("a@none.example", "n1"), "a@none.example", BAD).code == 250
    got = newest(server)
    assert b"Subject: n1" in got and word(got, "dmarc") == ["fail"] and word(got, "spf")[0] == "fail"


def test_a_domain_without_records_is_none_of_it(server):
    assert give(server, message("a@nothing.example", "zz"), "a@nothing.example", BAD, "nothing.example").code == 250
    got = newest(server)
    assert (word(got, "spf"), word(got, "dkim"), word(got, "dmarc")) == (["none", "none"], ["none"], ["none"])


def test_silence_of_the_dns_puts_off_three_times_and_then_is_not_believed(server):
    replies = [give(server, message("a@silent.example", "s%d" % i), "b@silent.example", BAD) for i in range(4)]
    assert [(r.code, r.enhanced) for r in replies[:3]] == [(451, "4.7.0")] * 3 and replies[3].code == 250
    got = newest(server, "Junk")
    assert b"Subject: s3" in got and word(got, "dmarc") == ["temperror"]


@pytest.mark.parametrize("head", [b"From: <a@good.example>\r\nFrom: <b@nothing.example>\r\n", b"Subject: no author\r\n", b"From: everybody:;\r\n", b"From:\r\n",
                                  b"Subject: x\r\nFrom : <a@nothing.example>\r\nFrom: <b@nothing.example>\r\n"])
def test_a_message_without_one_author_is_refused(server, head):
    reply = give(server, head + b"\r\nx\r\n", "a@nothing.example", BAD)
    assert (reply.code, reply.enhanced) == (550, "5.6.0"), reply


def test_of_several_authors_the_strictest_counts(server):
    assert give(server, b"From: <a@nothing.example>, <b@good.example>\r\n\r\nx\r\n", "a@nothing.example", BAD).code == 550


FORGED = [b"Authentication-Results: kantor.example; dmarc=pass", b"authentication-RESULTS:\r\n\tKANTOR.example (x); spf=pass", b"Authentication-Results: (a (b) c) \"kantor.example\" 1; none",
          b"Authentication-Results: kantor.example.; dkim=pass", b"Authentication-Results : kantor.example; dmarc=pass", b"Authentication-Results: (unended kantor.example; dmarc=pass",
          b"ARC-Authentication-Results: i=1; kantor.example; dmarc=pass", b"Received-SPF: pass", b"X-Spam-Flag: NO", b"X-Kantor-Trusted: yes", b"Return-Path: <boss@kantor.example>"]


def test_results_in_our_name_and_private_fields_are_taken_away_and_those_of_others_stay(server):
    m = message("a@nothing.example", "forged", b"".join(f + b"\r\n" for f in FORGED) + b"Authentication-Results: other.example; spf=pass\r\nX-Other: 1\r\n")
    assert give(server, m, "a@nothing.example", BAD).code == 250
    head = newest(server).split(b"\r\n\r\n")[0]
    assert len(re.findall(rb"(?im)^authentication-results\s*:", head)) == 2 and b"Authentication-Results: other.example; spf=pass\r\nX-Other: 1" in head
    assert len(re.findall(rb"(?im)^(received-spf|x-spam|x-kantor|arc-authentication-results|return-path)", head)) == 2


def test_a_signature_over_a_field_that_is_taken_away_is_still_judged_by_what_came(server, keys):
    m = message("a@good.example", "signed field", b"X-Spam-Flag: NO\r\n")
    m = dkim.sign(m, b"s1", b"good.example", keys[0], include_headers=[b"from", b"x-spam-flag"]) + m
    assert give(server, m, "x@list.example", BAD).code == 250
    got = newest(server)
    assert word(got, "dkim") == ["pass"] and word(got, "dmarc") == ["pass"] and b"X-Spam-Flag" not in got.split(b"\r\n\r\n")[0].replace(b"x-spam-flag", b"")


@pytest.mark.parametrize("sender,hello", [("any(a@nothing.example", "x;dmarc=pass"), ('"a;dmarc=pass"@nothing.example', "(x"), ("a@nothing.example", "[192.0.2.1];dmarc=pass")])
def test_nobody_injects_a_result_by_what_he_calls_himself(server, sender, hello):
    c = stranger(server, address=BAD, hello=None)
    c.cmd("EHLO " + hello)
    if c.cmd("MAIL FROM:<%s>" % sender).code != 250:
        return
    c.cmd("RCPT TO:<%s>" % SARI, 250)
    assert c.data(message("a@nothing.example", "inject")).code == 250
    assert word(newest(server), "dmarc") == ["none"]


def test_a_large_message_has_the_fields_in_front_and_its_bytes_unchanged(server, keys):
    body = b"".join(b"%08d line of a large message\r\n" % i for i in range(60000))
    m = signed(keys, message("a@good.example", "large", body=body), "good.example")
    assert give(server, m, "a@good.example").code == 250
    got = newest(server)
    assert got.startswith(b"Return-Path: <a@good.example>\r\nAuthentication-Results:") and got.endswith(m) and word(got, "dkim") == ["pass"]


def test_a_trusted_sealer_saves_what_a_list_broke_and_a_stranger_does_not(server, keys):
    def through(sealer):
        m = message("a@good.example", "list", b"Authentication-Results: %s; dmarc=pass header.from=good.example\r\n" % sealer.encode())
        return b"".join(dkim.arc_sign(m, b"s1", sealer.encode(), keys[0], sealer.encode(), include_headers=[b"from", b"subject"])) + m
    assert give(server, through("other.example"), "x@list.example", BAD).code == 550
    assert give(server, through("list.example"), "x@list.example", BAD).code == 250
    got = newest(server)
    assert word(got, "arc") == ["pass"] and word(got, "dmarc") == ["fail"]
    assert give(server, through("list.example").replace(b"some words", b"some other"), "x@list.example", BAD).code == 550


def test_trusted_servers_are_not_judged_and_their_fields_stay(server):
    m = message("a@good.example", "trusted", b"X-Spam-Flag: NO\r\n")
    assert give(server, m, "a@good.example", "198.51.100.7").code == 250
    got = newest(server)
    assert b"Authentication-Results" not in got and b"X-Spam-Flag: NO" in got
