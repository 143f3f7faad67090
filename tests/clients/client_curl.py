"""curl: sends by SMTP in every kind of encryption, reads, lists, searches and appends by IMAP, reads and deletes by POP3."""
import pytest

from kantor import PASSWORD, message
from kantor.programs import delivered, everything
from kantor.shapes import shapes

WAYS = ["plain", "starttls", "implicit"]
PORT = {"smtp": ("submission", "submissions"), "imap": ("imap", "imaps"), "pop3": ("pop3", "pop3s")}


def curl(home, protocol, way, user, *args, path="", stdin=b"", password=PASSWORD, login=True):
    port = home.server.port(PORT[protocol][way == "implicit"])
    url = "%s%s://localhost:%d%s" % (protocol, "s" if way == "implicit" else "", port, path)
    more = ["--cacert", home.certificate, "--ssl-reqd"] if way != "plain" else []
    return home.run("curl", "-sS", "-m", "30", *more, *(["-u", "%s:%s" % (user, password)] if login else []), *args, url, stdin=stdin)


def send(home, way, user, to, mail, *args):
    return curl(home, "smtp", way, user, "--mail-from", user, *[x for t in to for x in ("--mail-rcpt", t)], "-T", "-", *args, path="/client.example", stdin=mail)


def fetch_all(home, protocol, way, user, paths):
    """What each path gives, read over one connection as curl does with many addresses."""
    port = home.server.port(PORT[protocol][way == "implicit"])
    base = "%s%s://localhost:%d" % (protocol, "s" if way == "implicit" else "", port)
    more = ["--cacert", home.certificate, "--ssl-reqd"] if way != "plain" else []
    home.run("curl", "-sS", "-m", "60", *more, "-u", "%s:%s" % (user, PASSWORD), *[x for i, p in enumerate(paths) for x in ("-o", "got%d" % i, base + p)]).ok()
    out = []
    for i in range(len(paths)):
        with open(home.path("got%d" % i), "rb") as f:
            out.append(f.read())
    return out


@pytest.mark.parametrize("way", WAYS)
def test_smtp_carries_every_shape_to_two_people(home, person, another, way):
    mails = shapes(person)
    for m in mails:
        send(home, way, person, [another, person], m).ok()
    for who in (person, another):
        got = [s.content for s in everything(home.server, who)["INBOX"]]
        assert len(got) == len(mails)
        for g, m in zip(got, mails):
            without = delivered(g, person, m)
            assert b"\r\n\tby kantor.example (Kantor) with %s id " % {"plain": b"ESMTPA", "starttls": b"ESMTPSA", "implicit": b"ESMTPSA"}[way] in without


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_each_mechanism_that_curl_shares_logs_in(home, person, mechanism):
    send(home, "starttls", person, [person], message(sender=person), "--login-options", "AUTH=" + mechanism).ok()
    curl(home, "imap", "starttls", person, "--login-options", "AUTH=" + mechanism, path="/INBOX;MAILINDEX=1").ok()
    curl(home, "pop3", "starttls", person, "--login-options", "AUTH=" + mechanism).ok()


@pytest.mark.parametrize("protocol,way", [(p, w) for p in PORT for w in ("plain", "implicit")])
def test_a_wrong_password_is_a_login_failure_and_nothing_else(home, person, protocol, way):
    done = curl(home, protocol, way, person, *(["--mail-from", person, "--mail-rcpt", person, "-T", "-"] if protocol == "smtp" else []), password="wrong", stdin=b"x")
    assert done.status == 67, done


def test_a_foreign_sender_and_an_unknown_recipient_are_refused(home, person, another):
    done = curl(home, "smtp", "implicit", person, "--mail-from", another, "--mail-rcpt", person, "-T", "-", stdin=message())
    assert done.status == 55, done
    assert send(home, "implicit", person, ["nobody-at-all@kantor.example"], message(sender=person)).status == 55
    assert everything(home.server, person)["INBOX"] == []


def test_nothing_is_relayed_for_who_did_not_log_in(home, person):
    port = home.server.port("smtp")
    done = home.run("curl", "-sS", "-m", "30", "--mail-from", "a@elsewhere.example", "--mail-rcpt", "b@elsewhere.example", "-T", "-", "smtp://127.0.0.1:%d" % port, stdin=message())
    assert done.status == 55, done


@pytest.mark.parametrize("way", WAYS)
def test_imap_gives_every_message_byte_for_byte_twice(home, person, way):
    mails = shapes()
    with home.server.imap(person) as c:
        for m in mails:
            c.append("INBOX", m)
    for _ in range(2):
        assert fetch_all(home, "imap", way, person, ["/INBOX;MAILINDEX=%d" % (i + 1) for i in range(len(mails))]) == mails
    first = curl(home, "imap", way, person, path="/INBOX;UID=2;SECTION=HEADER.FIELDS%20(SUBJECT)").ok().out
    assert first == b"Subject: dots\r\n\r\n"
    assert curl(home, "imap", way, person, path="/INBOX;UID=1;SECTION=TEXT;PARTIAL=0.6").ok().out == mails[0].split(b"\r\n\r\n", 1)[1][:6]


def test_imap_lists_searches_appends_and_flags(home, person):
    assert curl(home, "imap", "implicit", person, path="/").ok().out.count(b"* LIST (") >= 6
    mail = message("curl puts this here")
    for _ in range(2):
        curl(home, "imap", "implicit", person, "-T", home.write("mail.eml", mail), path="/INBOX").ok()
    assert curl(home, "imap", "implicit", person, path="/INBOX?SUBJECT%20puts").ok().out == b"* SEARCH 1 2\r\n"
    curl(home, "imap", "implicit", person, "-X", "STORE 2 +FLAGS \\Deleted", path="/INBOX").ok()
    curl(home, "imap", "implicit", person, "-X", "EXPUNGE", path="/INBOX").ok()
    curl(home, "imap", "implicit", person, "-X", "CREATE Baru", path="/").ok()
    assert curl(home, "imap", "implicit", person, "-X", "STATUS INBOX (MESSAGES)", path="/").ok().out == b'* STATUS "INBOX" (MESSAGES 1)\r\n'
    there = everything(home.server, person)
    assert [s.content for s in there["INBOX"]] == [mail] and "Baru" in there


@pytest.mark.parametrize("way", WAYS)
def test_pop3_gives_every_message_byte_for_byte_twice_and_deletes(home, person, way):
    mails = shapes()
    with home.server.imap(person) as c:
        for m in mails:
            c.append("INBOX", m)
    for _ in range(2):
        got = fetch_all(home, "pop3", way, person, ["/%d" % (i + 1) for i in range(len(mails))])
        assert [g if m.endswith(b"\r\n") else g[:-2] for g, m in zip(got, mails)] == mails
    sizes = curl(home, "pop3", way, person).ok().out.split(b"\r\n")
    assert [int(l.split()[1]) for l in sizes if l] == [len(m) for m in mails]
    uidls = curl(home, "pop3", way, person, "-X", "UIDL").ok().out.split(b"\r\n")[:-1]
    assert len({l.split()[1] for l in uidls}) == len(mails)
    assert b"Subject: dots" in curl(home, "pop3", way, person, "-X", "TOP 2 1").ok().out
    curl(home, "pop3", way, person, "-I", "-X", "DELE", path="/1").ok()
    assert [s.content for s in everything(home.server, person)["INBOX"]] == mails[1:]


def test_a_certificate_of_another_name_is_noticed(home, person):
    done = home.run("curl", "-sS", "--cacert", home.certificate, "--resolve", "other.example:%d:127.0.0.1" % home.server.port("imaps"), "-u", "%s:%s" % (person, PASSWORD),
                    "imaps://other.example:%d/" % home.server.port("imaps"))
    assert done.status == 60, done


def test_tls_before_1_2_is_refused_and_1_2_and_1_3_are_taken(home, person):
    def with_version(*args):
        return curl(home, "imap", "implicit", person, "--ciphers", "DEFAULT:@SECLEVEL=0", *args, path="/").status
    assert with_version("--tls-max", "1.1", "--tlsv1.0") == 35
    assert with_version("--tls-max", "1.2") == 0 and with_version("--tlsv1.3") == 0
