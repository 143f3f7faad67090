"""swaks: the tool with which administrators try a mail server: logins, TLS, LMTP, pipelining, and what must be refused, with the codes it shows."""
import pytest

from kantor import PASSWORD
from kantor.programs import delivered, everything
from kantor.shapes import plain, shapes

REFUSED = {"connect": 2, "banner": 21, "helo": 22, "mail": 23, "rcpt": 24, "data": 25, "sent": 26, "auth": 28, "tls": 29}


def swaks(home, service, sender, to, mail, *args):
    name = home.write("mail.eml", mail.replace(b"\r\n", b"\n").removesuffix(b"\n"))  # swaks adds a line end
    return home.run("swaks", "--server", "127.0.0.1", "--port", home.server.port(service), "--helo", "client.example", "--from", sender, "--to", ",".join([to] if isinstance(to, str) else to),
                    "--data", "@" + name, "--timeout", "30", *args)


def login(mechanism, user, password=PASSWORD):
    return ["--auth", mechanism, "--auth-user", user, "--auth-password", password]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("service,tls", [("submission", []), ("submission", ["--tls"]), ("submissions", ["--tls-on-connect"])])
def test_a_login_of_each_kind_delivers_unchanged_mail(home, person, another, mechanism, service, tls):
    mails = [m for m in shapes(person) if m.endswith(b"\r\n") and not m.endswith(b"\n.\r\n") and b"\n\r\n" not in m[-8:]][:5]  # swaks takes a last dot for the end
    for m in mails:
        swaks(home, service, person, another, m, *login(mechanism, person), *tls).ok()
    got = everything(home.server, another)["INBOX"]
    for s, m in zip(got, mails):
        before = delivered(s.content, person, m)
        assert (b"with ESMTPSA id" if tls else b"with ESMTPA id") in before
    assert len(got) == len(mails)


def test_the_certificate_is_the_one_of_the_server(home, person):
    text = swaks(home, "submissions", person, person, plain(sender=person), *login("PLAIN", person), "--tls-on-connect", "--tls-verify", "--tls-ca-path", home.certificate, "--tls-sni", "kantor.example").ok().text
    assert 'DN="/CN=kantor.example"' in text, text


@pytest.mark.parametrize("recipients", [1, 5])
def test_lmtp_answers_for_each_recipient(home, server, person, recipients):
    people = [person] + [server.people.take() for _ in range(recipients - 1)]
    mail = plain("by lmtp")
    for _ in range(2):
        text = swaks(home, "lmtp", "a@elsewhere.example", people, mail, "--protocol", "LMTP").ok().text
        assert text.count("250 2.0.0 delivered as") == recipients, text
    for p in people:
        got = everything(server, p)["INBOX"]
        assert len(got) == 2
        for s in got:
            assert b"with LMTP id" in delivered(s.content, "a@elsewhere.example", mail)


def test_lmtp_says_which_recipient_failed_and_delivers_to_the_others(home, person):
    text = swaks(home, "lmtp", "a@elsewhere.example", [person, "nobody-at-all@kantor.example"], plain(), "--protocol", "LMTP").text
    assert "550 5.1.1" in text and text.count("250 2.0.0 delivered as") == 1, text
    assert len(everything(home.server, person)["INBOX"]) == 1


def test_a_pipelined_session_delivers(home, server, person):
    people = [person] + [server.people.take() for _ in range(9)]
    swaks(home, "smtp", "a@elsewhere.example", people, plain("pipelined"), "--pipeline").ok()
    swaks(home, "submission", person, people, plain("pipelined", sender=person), "--pipeline", "--tls", *login("PLAIN", person)).ok()
    assert all(len(everything(server, p)["INBOX"]) == 2 for p in people)


def test_mail_from_outside_reaches_a_person_over_starttls(home, person):
    mail = plain("from outside")
    swaks(home, "smtp", "a@elsewhere.example", person, mail, "--tls").ok()
    assert b"with ESMTPS id" in delivered(everything(home.server, person)["INBOX"][0].content, "a@elsewhere.example", mail)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_535(home, person, mechanism):
    done = swaks(home, "submission", person, person, plain(sender=person), "--tls", *login(mechanism, person, "wrong"))
    assert done.status == REFUSED["auth"] and "535 5.7.8" in done.text, done


def test_an_unknown_name_is_answered_like_a_wrong_password(home, person):
    done = swaks(home, "submission", person, person, plain(sender=person), "--tls", *login("PLAIN", "nobody-at-all@kantor.example"))
    assert done.status == REFUSED["auth"] and "535 5.7.8" in done.text, done


@pytest.mark.parametrize("name,service,sender,to,more,stage,code", [
    ("relay", "smtp", "a@elsewhere.example", "b@elsewhere.example", [], "rcpt", "550 5.7.1"),
    ("unknown", "smtp", "a@elsewhere.example", "nobody-at-all@kantor.example", [], "rcpt", "550 5.1.1"),
    ("no login", "submission", "PERSON", "PERSON", [], "mail", "530 5.7.0"),
    ("foreign sender", "submission", "sari@kantor.example", "PERSON", ["LOGIN"], "mail", "55"),
    ("auth on port 25", "smtp", "PERSON", "PERSON", ["LOGIN"], "auth", ""),
    ("8 bit address", "smtp", "a@elsewhere.example", "jos\u00e9@kantor.example", [], "rcpt", "553 5.6.7"),
])
def test_refusals_carry_the_right_code(home, person, name, service, sender, to, more, stage, code):
    sender, to = sender.replace("PERSON", person), to.replace("PERSON", person)
    done = swaks(home, service, sender, to, plain(sender=person), *(login("PLAIN", person) if more else []))
    assert done.status == REFUSED[stage] and code in done.text, done
    assert everything(home.server, person)["INBOX"] == []


def test_a_foreign_from_field_is_refused_at_the_end_of_data(home, person):
    done = swaks(home, "submission", person, person, plain(sender="sari@kantor.example"), *login("PLAIN", person))
    assert done.status == REFUSED["sent"] and "550 5.7.1" in done.text, done
    assert everything(home.server, person)["INBOX"] == []


def test_quit_after_each_stage_leaves_nothing(home, person):
    for stage in ("CONNECT", "FIRST-HELO", "MAIL", "RCPT"):
        swaks(home, "smtp", "a@elsewhere.example", person, plain(), "--quit-after", stage).ok()
    swaks(home, "smtp", "a@elsewhere.example", person, plain(), "--drop-after-send", "DATA")
    assert everything(home.server, person)["INBOX"] == []
