"""Python's own smtplib, imaplib and poplib: every method that a program uses, with certificates verified."""
import imaplib
import poplib
import smtplib
import ssl
import time

import pytest

from kantor import PASSWORD, message
from kantor.programs import Home, content_of, delivered, everything
from kantor.shapes import plain, shapes


@pytest.fixture
def context(server, tmp_path):
    return ssl.create_default_context(cafile=Home(server, tmp_path).certificate)


@pytest.fixture
def imap(server, person, context):
    c = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=context, timeout=30)
    assert c.login(person, PASSWORD)[0] == "OK"
    c.person = person
    yield c
    if c.state != "LOGOUT":
        c.logout()


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


# --- smtplib

def session(server, context, how):
    if how == "implicit":
        return smtplib.SMTP_SSL("localhost", server.port("submissions"), "client.example", timeout=30, context=context)
    s = smtplib.SMTP("localhost", server.port("submission"), "client.example", timeout=30)
    if how == "starttls":
        assert s.starttls(context=context)[0] == 220
    return s


@pytest.mark.parametrize("how", ["plain", "starttls", "implicit"])
def test_sendmail_delivers_every_shape_unchanged(server, person, another, context, how):
    mails = shapes(person)
    with session(server, context, how) as s:
        s.login(person, PASSWORD)
        for m in mails:
            assert s.sendmail(person, [another], m, mail_options=["BODY=8BITMIME"]) == {}
    for stored, m in zip(everything(server, another)["INBOX"], mails, strict=True):
        delivered(stored.content, person, m)


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
@pytest.mark.parametrize("initial", [True, False])
def test_both_mechanisms_with_and_without_an_initial_response(server, person, context, method, initial):
    with session(server, context, "implicit") as s:
        s.ehlo()
        s.user, s.password = person, PASSWORD
        assert s.auth(method[5:].upper(), getattr(s, method), initial_response_ok=initial)[0] == 235
        assert s.ehlo()[0] == 250 and not s.has_extn("auth")           # once is enough


def test_the_small_commands(server, person, context):
    with session(server, context, "starttls") as s:
        assert s.helo()[0] == 250 and s.ehlo()[0] == 250
        assert int(s.esmtp_features["size"]) == 52428800 and s.has_extn("pipelining") and s.has_extn("smtputf8")
        assert s.noop()[0] == 250 and s.rset()[0] == 250 and s.verify(person)[0] == 252 and s.expn("tim")[0] == 502 and b"" != s.help()
        s.login(person, PASSWORD)
        assert s.mail(person)[0] == 250 and s.rcpt(person)[0] == 250 and s.data(message(sender=person))[0] == 250
        assert s.docmd("BDAT", "0 LAST")[0] == 503
    assert len(everything(server, person)["INBOX"]) == 1


def test_refused_recipients_come_back_by_name(server, person, context):
    with session(server, context, "implicit") as s:
        s.login(person, PASSWORD)
        refused = s.sendmail(person, [person, "nobody-at-all@kantor.example"], message(sender=person))
        assert list(refused) == ["nobody-at-all@kantor.example"] and refused["nobody-at-all@kantor.example"][0] == 550
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            s.sendmail(person, ["nobody-at-all@kantor.example"], message(sender=person))
        with pytest.raises(smtplib.SMTPSenderRefused):
            s.sendmail("sari@kantor.example", [person], message())
        assert s.sendmail(person, [person], message(sender=person)) == {}
    assert len(everything(server, person)["INBOX"]) == 2


def test_a_wrong_password_raises_535_and_the_session_goes_on(server, person, context):
    with session(server, context, "implicit") as s:
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            s.login(person, "wrong")
        assert e.value.smtp_code == 535
        s.login(person, PASSWORD)


def test_send_message_with_utf8_addresses_uses_smtputf8(server, person, context):
    import email.message
    import email.policy
    m = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
    m["From"], m["To"], m["Subject"] = person, person, "Naïve résumé 日本"
    m.set_content("isi é\n", cte="8bit")
    with session(server, context, "implicit") as s:
        s.login(person, PASSWORD)
        assert s.send_message(m, mail_options=["SMTPUTF8"]) == {}
    (got,) = everything(server, person)["INBOX"]
    assert "Subject: Naïve résumé 日本".encode() in got.content and b"with UTF8SMTPSA id" in got.content


def test_lmtp_class_delivers(server, person):
    with smtplib.LMTP("127.0.0.1", server.port("lmtp"), "client.example") as s:
        assert s.sendmail("a@elsewhere.example", [person], plain("lmtplib")) == {}
    assert len(everything(server, person)["INBOX"]) == 1


# --- imaplib

@pytest.mark.parametrize("how", ["plain", "starttls"])
def test_login_in_each_way(server, person, context, how):
    c = imaplib.IMAP4("localhost", server.port("imap"), timeout=30)
    if how == "starttls":
        ok(c.starttls(context))
    ok(c.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (person, PASSWORD)).encode()))
    assert c.state == "AUTH" and "IMAP4REV1" in c.capabilities
    ok(c.select())
    c.logout()


def test_a_wrong_password_is_an_error_of_the_server(server, person, context):
    c = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=context, timeout=30)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        c.login(person, "wrong")
    assert c.login(person, PASSWORD)[0] == "OK"
    c.logout()


def test_append_and_fetch_carry_every_shape_unchanged_twice(server, imap):
    mails = shapes()
    when = imaplib.Time2Internaldate(time.time())
    for m in mails:
        ok(imap.append("INBOX", "(\\Seen)", when, m))
    for _ in range(2):
        assert ok(imap.select("INBOX")) == [b"%d" % len(mails)]
        for i, m in enumerate(mails):
            (head, body), tail = ok(imap.fetch(str(i + 1), "(RFC822)"))
            assert body == imaplib.MapCRLF.sub(b"\r\n", m) and b"RFC822 {" in head


def test_mailboxes_are_made_listed_subscribed_renamed_and_deleted(imap):
    ok(imap.create("Baru"))
    ok(imap.create("Baru/Dalam"))
    assert any(b'"Baru/Dalam"' in line for line in ok(imap.list()))
    assert len(ok(imap.list('""', "Baru%"))) == 1 and len(ok(imap.list('""', "Baru*"))) == 2
    ok(imap.subscribe("Baru"))
    assert any(b'"Baru"' in line for line in ok(imap.lsub()))
    ok(imap.rename("Baru", "Lama"))
    ok(imap.unsubscribe("Baru"))
    assert {line.rsplit(b" ", 1)[1] for line in ok(imap.list('""', "Lama*"))} == {b'"Lama"', b'"Lama/Dalam"'}
    ok(imap.delete("Lama/Dalam"))
    ok(imap.delete("Lama"))
    assert ok(imap.list('""', "Lama*")) == [None]
    assert imap.delete("Lama")[0] == "NO" and imap.select("Lama")[0] == "NO"


def test_search_store_copy_and_expunge(server, imap):
    for i in range(6):
        ok(imap.append("INBOX", None, None, message("number %d of six" % i)))
    assert ok(imap.select("INBOX")) == [b"6"]
    assert ok(imap.search(None, "ALL")) == [b"1 2 3 4 5 6"] and ok(imap.search("UTF-8", "SUBJECT", '"number 3"')) == [b"4"]
    assert ok(imap.uid("SEARCH", None, "UNSEEN")) == [b"1 2 3 4 5 6"]
    assert ok(imap.store("2:3", "+FLAGS", "\\Flagged $Work")) == [b"2 (UID 2 FLAGS (\\Flagged $Work))", b"3 (UID 3 FLAGS (\\Flagged $Work))"]
    ok(imap.copy("2:3", "Archive"))
    ok(imap.uid("MOVE", "4", "Trash"))
    ok(imap.store("1", "+FLAGS", "\\Deleted"))
    assert ok(imap.expunge()) == [b"4", b"1"]                 # the 4 came with MOVE; imaplib keeps it until asked
    assert ok(imap.uid("FETCH", "1:*", "(FLAGS)"))[0] == b"1 (UID 2 FLAGS (\\Flagged $Work))"
    ok(imap.noop()), ok(imap.check())
    assert ok(imap.status("Archive", "(MESSAGES UNSEEN UIDNEXT)")) == [b'"Archive" (MESSAGES 2 UIDNEXT 3 UNSEEN 2)']
    assert imap.response("UIDVALIDITY")[0] == "UIDVALIDITY"
    ok(imap.store("1:*", "+FLAGS.SILENT", "(\\Deleted)"))
    ok(imap.close())
    with server.imap(imap.person) as c:
        assert content_of(c, "INBOX") == [] and len(content_of(c, "Archive")) == 2 and len(content_of(c, "Trash")) == 1


def test_the_rest_of_imaplib(imap):
    assert b"IMAP4rev1" in ok(imap.capability())[0]
    ok(imap.enable("UTF8=ACCEPT"))
    assert b'""' in ok(imap.namespace())[0]
    assert ok(imap.xatom("ID", "NIL")) is not None
    ok(imap.select("INBOX", readonly=True))
    assert imap.store("1", "+FLAGS", "\\Seen")[0] in ("NO", "BAD")
    ok(imap.unselect())
    assert imap.state == "AUTH" and imap.logout()[0] == "BYE"


# --- poplib

@pytest.mark.parametrize("how", ["plain", "starttls", "implicit"])
def test_pop3_reads_every_shape_twice_and_deletes_at_quit(server, person, context, how):
    mails = shapes()
    with server.imap(person) as c:
        for m in mails:
            c.append("INBOX", m)
    uidls = None
    for _ in range(2):
        p = poplib.POP3_SSL("localhost", server.port("pop3s"), timeout=30, context=context) if how == "implicit" else poplib.POP3("localhost", server.port("pop3"), timeout=30)
        if how == "starttls":
            p.stls(context)
        assert p.getwelcome().startswith(b"+OK") and "TOP" in p.capa()
        p.user(person), p.pass_(PASSWORD)
        assert p.stat()[0] == len(mails) == len(p.list()[1])
        assert uidls in (None, p.uidl()[1])
        uidls = p.uidl()[1]
        for i, m in enumerate(mails):
            got = b"".join(l + b"\r\n" for l in p.retr(i + 1)[1])
            assert got == (m if m.endswith(b"\r\n") else m + b"\r\n")
        assert p.top(2, 1)[1][-1] == b"." and int(p.list(1).split()[2]) == len(mails[0])
        p.dele(1), p.rset(), p.noop(), p.dele(2)
        assert p.stat()[0] == len(mails) - 1
        p.close()                                              # without QUIT: nothing is deleted
    p = poplib.POP3("localhost", server.port("pop3"), timeout=30)
    p.user(person), p.pass_(PASSWORD), p.dele(1)
    assert p.quit().startswith(b"+OK")
    assert [s.content for s in everything(server, person)["INBOX"]] == mails[1:]


def test_pop3_wrong_password_and_missing_messages_are_errors(server, person):
    p = poplib.POP3("localhost", server.port("pop3"), timeout=30)
    p.utf8()
    p.user(person)
    with pytest.raises(poplib.error_proto, match="AUTH"):
        p.pass_("wrong")
    p.user(person), p.pass_(PASSWORD)
    for broken in (lambda: p.retr(1), lambda: p.dele(1), lambda: p.top(1, 0), lambda: p.apop(person, PASSWORD)):
        with pytest.raises(poplib.error_proto):
            broken()
    p.quit()
