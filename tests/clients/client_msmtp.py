"""msmtp: what scripts and mutt send with; certificates are verified, exit codes are those of sysexits."""
import pytest

from kantor import PASSWORD
from kantor.programs import delivered, everything
from kantor.shapes import plain, shapes


def configure(home, user, auth="on", tls="starttls", password=PASSWORD, service=None, more=""):
    service = service or ("submissions" if tls == "implicit" else "submission")
    home.write(".msmtprc", """
defaults
account kantor
host localhost
port %d
protocol smtp
from %s
auth %s
user %s
password %s
tls %s
tls_starttls %s
tls_trust_file %s
domain client.example
%s
account default : kantor
""" % (home.server.port(service), user, auth, user, password, "off" if tls == "none" else "on", "on" if tls == "starttls" else "off", home.certificate, more))


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("auth", ["plain", "login", "on"])
def test_each_login_sends_every_shape_unchanged(home, person, another, auth, tls):
    configure(home, person, auth, tls)
    mails = shapes(person)
    mails = mails if auth == "on" else mails[:3]
    for m in mails:
        home.run("msmtp", another, stdin=m.replace(b"\r\n", b"\n")).ok()
    got = everything(home.server, another)["INBOX"]
    assert len(got) == len(mails)
    for s, m in zip(got, mails):
        delivered(s.content, person, m)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_scram_sends(home, person, tls):
    sender = "andi@kantor.example"
    configure(home, sender, "scram-sha-256", tls)
    mail = plain(sender=sender)
    home.run("msmtp", person, stdin=mail).ok()
    delivered(everything(home.server, person)["INBOX"][0].content, sender, mail)


def test_recipients_come_from_the_fields_and_bcc_is_not_shown(home, person, another, server):
    third = server.people.take()
    configure(home, person)
    mail = b"From: %s\nTo: %s\nBcc: %s\nSubject: t\nDate: Mon, 24 Nov 2025 10:00:00 +0700\nMessage-ID: <m@x.example>\n\nhi\n" % (person.encode(), another.encode(), third.encode())
    home.run("msmtp", "-t", stdin=mail).ok()
    for who in (another, third):
        (s,) = everything(server, who)["INBOX"]
        assert b"Bcc" not in s.content and s.content.endswith(b"\r\n\r\nhi\r\n")


def test_dsn_parameters_are_taken(home, person):
    configure(home, person, more="dsn_notify failure,delay\ndsn_return headers")
    home.run("msmtp", person, stdin=plain(sender=person)).ok()
    assert len(everything(home.server, person)["INBOX"]) == 1


@pytest.mark.parametrize("change,status", [({"password": "wrong"}, 77), ({"tls": "none", "auth": "off"}, 65)])
def test_refusals_end_with_the_code_that_scripts_look_at(home, person, change, status):
    configure(home, person, **change)
    done = home.run("msmtp", person, stdin=plain(sender=person))
    assert done.status == status, done
    assert everything(home.server, person)["INBOX"] == []


def test_an_unknown_recipient_is_said_in_words(home, person):
    configure(home, person)
    home.run("msmtp", "nobody-at-all@kantor.example", stdin=plain(sender=person)).failed("550 5.1.1")


def test_lmtp_delivers(home, person):
    configure(home, person, auth="off", tls="none", service="lmtp", more="protocol lmtp")
    mail = plain("by msmtp's lmtp")
    home.run("msmtp", person, stdin=mail.replace(b"\r\n", b"\n")).ok()
    assert b"with LMTP id" in delivered(everything(home.server, person)["INBOX"][0].content, person, mail)


def test_serverinfo_reads_the_offer(home, person):
    configure(home, person)
    text = home.run("msmtp", "--serverinfo").ok().text
    for word in ("SIZE 52428800", "PIPELINING", "STARTTLS", "AUTH", "PLAIN", "LOGIN", "SCRAM-SHA-256", "DSN"):
        assert word in text, text
