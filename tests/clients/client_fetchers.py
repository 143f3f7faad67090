"""fetchmail, getmail and mpop: fetch by POP3 and IMAP, keep or delete, and the second run fetches nothing; each message compared byte by byte."""
import os
import re

import pytest

from kantor import PASSWORD
from kantor.programs import everything, maildir
from kantor.shapes import plain, shapes

SAVE = """#!/bin/sh
# a delivery agent: each message to a file of its own
exec cat > "$(mktemp "$HOME/got/XXXXXXXX")"
"""


def fill(server, person, most=99):
    """Messages whose last line ends, as these programs end it otherwise."""
    mails = [m for m in shapes() if m.endswith(b"\r\n")][:most]
    with server.imap(person) as c:
        for m in mails:
            c.append("INBOX", m)
    return mails


def got(home):
    out = []
    for name in os.listdir(home.path("got")):
        with open(home.path("got/" + name), "rb") as f:
            out.append(f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return sorted(out)


# --- fetchmail: its sixteen lines are what small offices still run every few minutes

def fetchmail(home, protocol, user, how="", seconds=20):
    os.makedirs(home.path("got"), exist_ok=True)
    home.write("save", SAVE, 0o700)
    home.write(".fetchmailrc", """
set no bouncemail
set no syslog
poll localhost with proto %s port %d auth password %s
  user "%s" there with password "%s" is tester here
  mda "%s"
  %s
""" % (protocol, home.server.port(protocol.lower() + ("s" if "sslproto" not in how and "ssl" in how else "")), "uidl" if protocol == "POP3" else "", user, PASSWORD,
       home.path("save"), how), 0o600)
    return home.run("fetchmail", "-f", home.path(".fetchmailrc"), "--pidfile", home.path("pid"), "-i", home.path("ids"), "-v", seconds=seconds)


def ssl_words(home, way):
    check = "sslcertfile %s sslcertck" % home.certificate
    return {"plain": 'sslproto ""', "starttls": 'sslproto "tls1.2+" ' + check, "implicit": "ssl " + check}[way]


@pytest.mark.parametrize("way", ["plain", "starttls", "implicit"])
@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_fetchmail_keep_takes_each_message_once(home, person, protocol, way):
    mails = fill(home.server, person)
    words = ssl_words(home, way) + " keep no rewrite no mimedecode no dropdelivered no stripcr"
    fetchmail(home, protocol, person, words).ok()
    assert without_trace(got(home)) == sorted(mails)
    for _ in range(2):
        assert fetchmail(home, protocol, person, words).status == 1        # 1: no mail
    assert without_trace(got(home)) == sorted(mails)
    assert [s.content for s in everything(home.server, person)["INBOX"]] == mails
    with home.server.imap(person) as c:
        c.append("INBOX", plain("one more"))
    fetchmail(home, protocol, person, words).ok()
    assert len(got(home)) == len(mails) + 1


@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_fetchmail_without_keep_empties_the_mailbox(home, person, protocol):
    mails = fill(home.server, person)
    words = ssl_words(home, "implicit") + " no keep no rewrite no mimedecode no stripcr" + (" expunge 3" if protocol == "IMAP" else "")
    fetchmail(home, protocol, person, words).ok()
    assert without_trace(got(home)) == sorted(mails)
    assert everything(home.server, person)["INBOX"] == []
    assert fetchmail(home, protocol, person, words).status == 1


def test_fetchmail_delivers_into_us_by_lmtp(home, person, another):
    """fetchmail as a bridge: from one mailbox by IMAP into another by LMTP; what is over is neither lost nor doubled."""
    mails = fill(home.server, person)
    home.write(".fetchmailrc", """
set no bouncemail
set no syslog
poll localhost with proto IMAP port %d auth password
  user "%s" there with password "%s" is "%s" here
  %s no keep no rewrite lmtp smtphost localhost/%d
""" % (home.server.port("imaps"), person, PASSWORD, another, ssl_words(home, "implicit"), home.server.port("lmtp")))
    run = lambda: home.run("fetchmail", "-f", home.path(".fetchmailrc"), "--pidfile", home.path("pid"), "-v", seconds=20)
    run().ok()
    there = [s.content for s in everything(home.server, another)["INBOX"]]
    assert len(there) == len(mails) and all(any(t.endswith(m.split(b"\r\n\r\n", 1)[1]) for m in mails) for t in there)
    assert run().status == 1 and everything(home.server, person)["INBOX"] == []


def test_fetchmail_with_a_wrong_password_says_so_and_takes_nothing(home, person):
    fill(home.server, person)
    home.write(".fetchmailrc", 'poll localhost with proto POP3 port %d auth password user "%s" password "wrong" is tester here sslproto ""\n' % (home.server.port("pop3"), person))
    done = home.run("fetchmail", "-f", home.path(".fetchmailrc"), "--pidfile", home.path("pid"))
    assert done.status == 3, done                                            # 3: authentication failed


def without_trace(mails):
    """fetchmail puts a Received field of its own before each."""
    out = []
    for m in mails:
        lines = m.split(b"\r\n")
        assert lines[0].startswith(b"Received: from localhost"), m[:200]
        n = 1
        while lines[n].startswith((b"\t", b" ")):
            n += 1
        out.append(b"\r\n".join(lines[n:]))
    return sorted(out)


# --- getmail

RETRIEVER = {"POP3": ("SimplePOP3Retriever", "pop3"), "POP3S": ("SimplePOP3SSLRetriever", "pop3s"), "IMAP": ("SimpleIMAPRetriever", "imap"), "IMAPS": ("SimpleIMAPSSLRetriever", "imaps")}


def taken(home):
    """Without the two fields that getmail adds."""
    return sorted(re.sub(rb"(?m)^X-getmail-retrieved-from-mailbox: [^\r]*\r\n", b"", re.sub(rb"^Return-Path: <unknown>\r\n", b"", m), count=1) for m in got(home))


def getmail(home, kind, user, options, mailboxes=""):
    os.makedirs(home.path("got"), exist_ok=True)
    home.write("save", SAVE.replace("exec ", "") + "sleep 0.05\n", 0o700)     # getmail 6.18 misses the end of a child that ends at once and waits a minute for it
    name, service = RETRIEVER[kind]
    home.write(".getmail/getmailrc", """
[retriever]
type = %s
server = localhost
port = %d
username = %s
password = %s
%s
%s
[destination]
type = MDA_external
path = %s
allow_root_commands = true
[options]
delivered_to = false
received = false
verbose = 2
%s
""" % (name, home.server.port(service), user, PASSWORD, "ca_certs = %s" % home.certificate if kind.endswith("S") else "", mailboxes, home.path("save"), options))
    return home.run("getmail", "--getmaildir", home.path(".getmail"), seconds=20).ok()


@pytest.mark.parametrize("kind", list(RETRIEVER))
def test_getmail_takes_each_message_once_and_leaves_it(home, person, kind):
    mails = fill(home.server, person, 9)
    getmail(home, kind, person, "read_all = false\ndelete = false")
    assert taken(home) == sorted(mails)
    text = getmail(home, kind, person, "read_all = false\ndelete = false").text
    assert "0 messages" in text and taken(home) == sorted(mails), text
    assert [s.content for s in everything(home.server, person)["INBOX"]] == mails


@pytest.mark.parametrize("kind", ["POP3S", "IMAPS"])
def test_getmail_deletes_what_it_took(home, person, kind):
    mails = fill(home.server, person, 9)
    getmail(home, kind, person, "delete = true")
    assert taken(home) == sorted(mails)
    assert everything(home.server, person)["INBOX"] == []
    getmail(home, kind, person, "delete = true")
    assert len(taken(home)) == len(mails)


def test_getmail_reads_several_mailboxes(home, person):
    with home.server.imap(person) as c:
        c.ok('CREATE "R&AOk-sum&AOk-"')
        c.append('"R&AOk-sum&AOk-"', plain("in a name outside ASCII"))
        c.append("Archive", plain("in Archive"))
    for _ in range(2):
        getmail(home, "IMAPS", person, "read_all = false", 'mailboxes = ("INBOX", "Archive", "R\u00e9sum\u00e9")')
    assert len(taken(home)) == 2


# --- mpop

def mpop(home, user, way, more=""):
    for part in ("cur", "new", "tmp"):
        os.makedirs(home.path("Maildir/" + part), exist_ok=True)
    home.write(".mpoprc", """
account kantor
host localhost
port %d
user %s
password %s
auth on
tls %s
tls_starttls %s
tls_trust_file %s
delivery maildir %s
received_header off
uidls_file %s
%s
account default : kantor
""" % (home.server.port("pop3s" if way == "implicit" else "pop3"), user, PASSWORD, "off" if way == "plain" else "on", "on" if way == "starttls" else "off", home.certificate,
       home.path("Maildir"), home.path("uidls"), more))
    return home.run("mpop").ok()


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_mpop_pipelines_and_takes_each_message_once(home, person, way):
    home.server.ctl("account", "password", person, "--password", PASSWORD)      # a password with keys for SCRAM, which it prefers
    mails = fill(home.server, person)
    mpop(home, person, way, "keep on\npipelining on")
    assert [m for m, _ in maildir(home.path("Maildir"))] == sorted(mails)
    mpop(home, person, way, "keep on\npipelining on")
    assert len(maildir(home.path("Maildir"))) == len(mails) == len(everything(home.server, person)["INBOX"])
    mpop(home, person, way, "keep off\npipelining on")
    assert everything(home.server, person)["INBOX"] == [] and len(maildir(home.path("Maildir"))) == len(mails)
