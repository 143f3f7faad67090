"""ManageSieve (RFC 5804): every command, its refusals, its limits, and Debian's sieve-connect (attacks.md SV-01, SV-04, SV-05)."""
import os
import subprocess

import pytest

from kantor import message
from kantor.server import PASSWORD

SCRIPT = 'require "fileinto";\r\nfileinto "Archive";\r\n'


@pytest.fixture
def session(server, person):
    c = server.managesieve(person)
    c.person = person
    return c


def capabilities(answer):
    return {line[0]: line[1] if len(line) > 1 else None for line in answer.lines}


def test_the_greeting_says_what_there_is_and_tls_changes_it(server):
    c = server.managesieve()
    before = capabilities(c.greeting)
    assert before["IMPLEMENTATION"] == "Kantor" and before["VERSION"] == "1.0" and "STARTTLS" in before
    assert {"fileinto", "vacation", "variables"} <= set(before["SIEVE"].split()) and "PLAIN" in before["SASL"].split()
    after = capabilities(c.starttls())
    assert "STARTTLS" not in after and "SCRAM-SHA-256-PLUS" in after["SASL"].split()
    assert capabilities(c.ok("CAPABILITY")) == after
    c.no("STARTTLS")


def test_a_script_is_kept_listed_read_made_active_renamed_and_deleted(session):
    c = session
    assert c.put("rules", SCRIPT).word == "OK" and c.scripts == {"rules": False}
    assert c.ok('GETSCRIPT "rules"').lines == [[SCRIPT]]
    c.ok('SETACTIVE "rules"')
    c.ok('RENAMESCRIPT "rules" "a \\"name\\" \u00e4"')
    assert c.scripts == {'a "name" \u00e4': True}
    c.no('DELETESCRIPT "a \\"name\\" \u00e4"', "ACTIVE")
    c.ok('SETACTIVE ""')
    c.ok('DELETESCRIPT "a \\"name\\" \u00e4"')
    assert c.scripts == {}
    c.ok("LOGOUT")
    c.assert_closed()


def test_the_active_script_runs_and_no_longer_when_it_is_off(server, session):
    session.put("rules", SCRIPT)
    server.smtp().deliver("a@stranger.example", session.person, message(to=session.person))
    session.ok('SETACTIVE "rules"')
    server.smtp().deliver("a@stranger.example", session.person, message(to=session.person))
    session.ok('SETACTIVE ""')
    server.smtp().deliver("a@stranger.example", session.person, message(to=session.person))
    with server.imap(session.person, select="INBOX") as c:
        assert c.exists == 2
        c.select("Archive")
        assert c.exists == 1


def test_what_is_missing_taken_or_wrong_has_its_code(session):
    c = session
    c.put("one", SCRIPT)
    c.put("two", SCRIPT)
    for verb in ("GETSCRIPT", "SETACTIVE", "DELETESCRIPT"):
        c.no('%s "none"' % verb, "NONEXISTENT")
    c.no('RENAMESCRIPT "none" "x"', "NONEXISTENT")
    c.no('RENAMESCRIPT "one" "two"', "ALREADYEXISTS")
    c.no('HAVESPACE "big" 100000', "QUOTA/MAXSIZE")
    c.ok('HAVESPACE "big" 1000')
    assert c.ok('NOOP "tag 1"').code == 'TAG "tag 1"'


def test_the_first_mistake_is_named_with_its_line_and_nothing_is_kept(session):
    a = session.put("bad", 'require "fileinto";\r\n\r\nfileinto 5;\r\n')
    assert a.word == "NO" and a.text.startswith("line 3:") and session.scripts == {}
    assert session.no('CHECKSCRIPT "keep"').text.startswith("line 1:")
    session.ok('CHECKSCRIPT "keep;"')


@pytest.mark.parametrize("name", ["", "\x00", "a\rb", "x" * 1024, "\x7f", "\u0085", "\u2028"])
def test_names_that_are_none_are_refused(session, name):
    data = name.encode()
    session.send(b"PUTSCRIPT {%d+}\r\n%s \"keep;\"\r\n" % (len(data), data))
    assert session.answer().word == "NO" and session.scripts == {}


def test_a_name_is_a_key_and_never_a_path(session):
    for name in ("../../x", "a/b", ".", "/etc/passwd", "CON", "before", "away"):
        assert session.put(name, "keep;").word == "OK"
    assert set(session.scripts) == {"../../x", "a/b", ".", "/etc/passwd", "CON", "before", "away"}


def test_a_script_that_is_too_long_is_refused_and_the_session_goes_on(session):
    assert session.put("big", "#" + "x" * 200000).code == "QUOTA/MAXSIZE"
    assert session.put("many", "keep;\n" * 1).word == "OK" and session.scripts == {"many": False}


def test_there_are_at_most_63_scripts(session):
    for n in range(63):
        assert session.put("s%d" % n, "keep;").word == "OK"
    assert session.put("one more", "keep;").code == "QUOTA/MAXSCRIPTS"
    assert session.put("s1", "stop;").word == "OK"


@pytest.mark.parametrize("sent", [
    b'AUTHENTICATE "PLAIN" {2147483647+}\r\n', b'AUTHENTICATE "PLAIN" {99999999999999999999+}\r\n', b'PUTSCRIPT "x" {10000+}\r\n', b'AUTHENTICATE "' + b"x" * 9000,
    b'AUTHENTICATE {8200+}\r\n' + b"x" * 8300,
])
def test_before_login_nothing_long_is_held(server, sent):
    c = server.managesieve()
    c.send_what_goes(sent + (b"\r\n" if b"9999999999" in sent else b""))
    a = c.answer()
    assert a.word == "BYE" or (a.word == "NO" and b"9999999999" in sent)


def test_before_login_only_login_is_possible(server):
    c = server.managesieve()
    for line in ('PUTSCRIPT "a" "keep;"', "LISTSCRIPTS", 'GETSCRIPT "a"', "UNAUTHENTICATE"):
        c.no(line)
    assert c.no('AUTHENTICATE "PLAIN" "AGEAYg=="').text == "wrong name or password"
    assert c.no('AUTHENTICATE "NOTHING"').text == "that mechanism is not offered"


def test_an_exchange_goes_step_by_step_or_is_cancelled(server, person):
    c = server.managesieve()
    c.send(b'AUTHENTICATE "PLAIN"\r\n')
    assert c.line() == b'""'
    c.send(b'"*"\r\n')
    assert c.answer().word == "NO"
    c.login(person, PASSWORD)
    c.no('AUTHENTICATE "PLAIN"')
    c.ok("UNAUTHENTICATE")
    c.no("LISTSCRIPTS")


def test_another_person_sees_none_of_it(server, session, another):
    session.put("mine", SCRIPT)
    assert server.managesieve(another).scripts == {}


def connect(server, person, *words, tls=True):
    environment = dict(os.environ, SIEVE_PASSWORD=PASSWORD, HOME="/nonexistent")
    return subprocess.run(["sieve-connect", "--server", "127.0.0.1", "--port", str(server.port("managesieve")), "--user", person, "--passwordfd", "0", "--notlsverify", "--noclearchan" if tls else "--noclearauth", *words],
                          input=PASSWORD.encode() + b"\n", env=environment, capture_output=True, timeout=60)


@pytest.mark.parametrize("round_", [1, 2])
def test_sieve_connect_uploads_activates_lists_downloads_and_deletes(server, person, tmp_path, round_):
    script = tmp_path / "rules.sieve"
    script.write_bytes(SCRIPT.encode())
    for words in (["--localsieve", str(script), "--remotesieve", "rules", "--upload"], ["--remotesieve", "rules", "--activate"]):
        done = connect(server, person, *words)
        assert done.returncode == 0, done
    assert b'"rules" ACTIVE' in connect(server, person, "--list").stdout
    back = tmp_path / "back.sieve"
    done = connect(server, person, "--remotesieve", "rules", "--localsieve", str(back), "--download")
    assert done.returncode == 0 and back.read_bytes().replace(b"\r\n", b"\n") == SCRIPT.encode().replace(b"\r\n", b"\n"), done
    script.write_bytes(b"fileinto 7;\n")
    done = connect(server, person, "--localsieve", str(script), "--remotesieve", "rules", "--upload")
    assert done.returncode != 0 and b"line 1" in done.stdout + done.stderr
    assert connect(server, person, "--deactivate").returncode == 0
    assert connect(server, person, "--remotesieve", "rules", "--delete").returncode == 0
