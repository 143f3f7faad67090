"""What an administrator of an office does with kantorctl: domains, people, groups, rights, passwords, sessions; what it answers and how it fails."""
import json
import os
import pty
import re
import signal
import subprocess
import termios

import pytest

from kantor import message
from kantor.scram import Scram
from kantor.server import KANTORCTL, PASSWORD

STRANGER = "a@stranger.example"


def ask(server, *words):
    return json.loads(server.ctl(*words, "--json"))


def fails(server, *words, status=1, **more):
    server.ctl(*words, check=False, **more)
    assert server.ctl_status == status, (words, server.ctl_status, server.ctl_errors)
    return server.ctl_errors


def count(server, user, box="INBOX"):
    with server.imap(user, select='"%s"' % box) as c:
        return c.exists


def scram(server, user, password):
    steps = Scram(user, password)
    server.imap().sasl("SCRAM-SHA-256", steps)
    assert steps.verified


# --- how it answers

def test_every_operation_has_help_and_a_mistyped_one_is_told_the_near_one(server):
    help_text = server.ctl("--help")
    names = re.findall(r"^  ([a-z][a-z-]+(?: [a-z-]+)?)  ", help_text, re.M)
    assert len(names) > 45 and "account add" in names and "import mbox" in names
    for name in names:
        one = server.ctl("help", *name.split())
        assert one.startswith("kantorctl " + name), name
    assert "did you mean `kantorctl account list`" in fails(server, "acount", "list", status=2)
    assert "did you mean `kantorctl group join`" in fails(server, "group", "jion", "x", "y", status=2)
    assert "did you mean `kantorctl account remove`" in fails(server, "account", "delete", "x", status=2)
    assert "needs another word: add, list" in fails(server, "account", status=2) + fails(server, "domain", status=2)
    assert "something is missing; write `kantorctl alias add ALIAS ACCOUNT|ADDRESS...`" in fails(server, "alias", "add", "x", status=2)
    assert '"more" is too much' in fails(server, "domain", "list", "more", status=2)
    assert "has no option --bar" in fails(server, "domain", "list", "--bar", status=2)


def test_a_table_is_aligned_and_json_says_the_same(server, person):
    lines = server.ctl("account", "list", "--domain", "cabang.example").splitlines()
    assert lines[0].split() == ["ADDRESS", "KIND", "STATE", "USED", "QUOTA", "ITEMS", "NAME"] and lines[-1] == "1 account"
    assert lines[0].index("KIND") == lines[1].index("person")
    listed = ask(server, "account", "list", "--domain", "cabang.example")
    assert [a["address"] for a in listed] == ["rina@cabang.example"] and listed[0]["quota"] is None and listed[0]["used"] == 0


def test_options_may_stand_anywhere_and_two_dashes_end_them(server, person):
    assert ask(server, "--json", "account", "show", person)["address"] == person
    server.ctl("account", "title", person, "--", "--Title--")
    assert ask(server, "account", "show", person)["name"] == "--Title--"


def test_a_terminal_gets_no_control_bytes_from_names(server, person):
    server.ctl("account", "title", person, "x\x1b]0;evil\x07y")
    assert "\x1b" not in server.ctl("account", "show", person)
    assert ask(server, "account", "show", person)["name"] == "x\x1b]0;evil\x07y"


def test_a_stranger_on_the_machine_is_told_how_to_ask(server):
    if os.geteuid() != 0:
        pytest.skip("only root can become a stranger")
    path = os.path.join(server.folder, "data", "control.sock")
    assert os.stat(path).st_mode & 0o777 == 0o600


# --- domains and addresses

def test_domains_are_added_listed_and_removed(server):
    server.ctl("domain", "add", "NEU.Example")
    server.ctl("domain", "add", "bücher.example")
    assert {"neu.example", "xn--bcher-kva.example"} <= {d["domain"] for d in ask(server, "domain", "list")}
    assert "served already" in fails(server, "domain", "add", "neu.example")
    assert "is no domain" in fails(server, "domain", "add", "no domain", status=2)
    server.ctl("account", "add", "x@neu.example", "--no-password")
    assert "accounts stand in the domain" in fails(server, "domain", "remove", "neu.example")
    server.ctl("account", "remove", "x@neu.example", "--now")
    server.ctl("domain", "remove", "neu.example")
    assert "is not served here" in fails(server, "domain", "remove", "neu.example")


def test_an_alias_domain_means_its_target_for_mail_and_login(server, person):
    server.ctl("domain", "alias", "kantor.test", "kantor.example")
    other = person.replace("kantor.example", "kantor.test")
    server.lmtp().deliver(STRANGER, other, message())
    assert count(server, person) == 1
    server.imap(other, select="INBOX")
    assert "is an alias itself" in fails(server, "domain", "alias", "third.test", "kantor.test", status=2)
    server.ctl("domain", "remove", "kantor.test")
    with pytest.raises(AssertionError):
        server.lmtp().deliver(STRANGER, other, message())


def test_a_catch_all_takes_what_nobody_has_until_it_is_taken_away(server, person):
    server.ctl("domain", "add", "semua-%s" % person.split("@")[1])
    domain = "semua-kantor.example"
    server.ctl("domain", "catch-all", domain, person)
    assert [d["catch_all"] for d in ask(server, "domain", "list") if d["domain"] == domain] == [person]
    server.lmtp().deliver(STRANGER, "whoever@" + domain, message())
    assert count(server, person) == 1
    server.ctl("domain", "catch-all", domain, "-")
    c = server.lmtp()
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    c.cmd("RCPT TO:<whoever@%s>" % domain, 550)


def test_aliases_and_forwards_are_listed_with_where_they_lead(server, person):
    server.ctl("alias", "add", "a-" + person, person)
    server.ctl("alias", "add", "f-" + person, "friend@else.where")
    rows = {r["address"]: (r["kind"], r["leads_to"]) for r in ask(server, "alias", "list")}
    assert rows["a-" + person] == ("alias", person) and rows["f-" + person] == ("forward", "friend@else.where")
    assert "in use" in fails(server, "alias", "add", "a-" + person, person)
    assert "no account has the address" in fails(server, "alias", "add", "b-" + person, "nobody@kantor.example")
    server.ctl("alias", "remove", "f-" + person)
    server.ctl("alias", "remove", "a-" + person, person)
    assert "no such alias" in fails(server, "alias", "remove", "a-" + person)


# --- accounts

def test_a_person_is_added_with_a_password_from_standard_input(server):
    server.ctl("account", "add", "neu-a@kantor.example", "--title", "Neu A", "--quota", "5G", "--password-stdin", stdin=b"from-standard-input\n")
    server.imap("neu-a@kantor.example", select="INBOX", password="from-standard-input")
    shown = ask(server, "account", "show", "neu-a@kantor.example")
    assert (shown["name"], shown["quota"], shown["kind"]) == ("Neu A", 5 << 30, "person")
    assert "in use" in fails(server, "account", "add", "neu-a@kantor.example")
    assert "at least 8" in fails(server, "account", "add", "neu-b@kantor.example", "--password", "short", status=2)
    assert "add it first" in fails(server, "account", "add", "x@elsewhere.example")
    assert "is no address" in fails(server, "account", "add", "no-address", status=2)
    assert "no password yet" in server.ctl("account", "add", "neu-c@kantor.example")


def test_a_password_is_asked_for_twice_and_unseen_on_a_terminal(server, person):
    def type_it(first, second):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(KANTORCTL, [KANTORCTL, "--demo", server.folder, "account", "password", person])
        out = b""
        for wanted, answer in ((b"New password: ", first), (b"Once more: ", second)):
            while wanted not in out:
                out += os.read(fd, 1000)
            os.write(fd, answer + b"\n")
        try:
            while True:
                more = os.read(fd, 1000)
                if not more:
                    break
                out += more
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out

    status, out = type_it(b"typed-secret", b"typed-other")
    assert status == 2 and b"not the same" in out and b"typed-secret" not in out
    status, out = type_it(b"typed-secret", b"typed-secret")
    assert status == 0 and b"typed-secret" not in out
    server.imap(person, select="INBOX", password="typed-secret")


def test_a_terminal_shows_again_what_is_typed_after_ctrl_c(server, person):
    master, slave = os.openpty()
    p = subprocess.Popen([KANTORCTL, "--demo", server.folder, "account", "password", person], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    out = b""
    while b"New password: " not in out:
        out += os.read(master, 1000)
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    p.send_signal(signal.SIGINT)
    assert p.wait(30) == 130
    assert termios.tcgetattr(slave)[3] & termios.ECHO
    os.close(master)
    os.close(slave)


def test_a_changed_password_ends_sessions_and_the_old_one_is_dead_at_once(server, person):
    with server.imap(person, select="INBOX") as c:
        server.ctl("account", "password", person, stdin=b"another-password\n")
        assert c.untagged().name == "BYE"
    assert server.imap().no('LOGIN "%s" "%s"' % (person, PASSWORD)).code_name == "AUTHENTICATIONFAILED"
    server.imap(person, select="INBOX", password="another-password")


def test_a_suspended_account_neither_reads_nor_gets_mail_until_resumed(server, person):
    server.ctl("account", "suspend", person)
    assert ask(server, "account", "show", person)["state"] == "suspended"
    assert server.imap().no('LOGIN "%s" "%s"' % (person, PASSWORD)).code_name == "AUTHENTICATIONFAILED"
    server.ctl("account", "resume", person)
    server.imap(person, select="INBOX")


def test_a_removed_account_comes_back_whole_and_its_address_is_reserved(server, person, another):
    server.lmtp().deliver(STRANGER, person, message())
    server.ctl("group", "join", "tim@kantor.example", person)
    assert "until" in server.ctl("account", "remove", person)
    assert server.imap().no('LOGIN "%s" "%s"' % (person, PASSWORD)).code_name == "AUTHENTICATIONFAILED"
    c = server.lmtp()
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    c.cmd("RCPT TO:<%s>" % person, 550)
    assert person not in [a["address"] for a in ask(server, "account", "list")]
    assert person in [a["address"] for a in ask(server, "account", "list", "--removed") if a["removed_until"]]
    assert "in use" in fails(server, "account", "add", person)
    assert "bring it back first" in fails(server, "account", "quota", person, "1G")
    server.ctl("account", "restore", person)
    assert count(server, person) == 1 and "tim@kantor.example" in ask(server, "account", "show", person)["groups"]
    server.ctl("account", "remove", person, "--now")
    assert "no account has the address" in fails(server, "account", "show", person)
    server.ctl("account", "add", person, "--password", PASSWORD)
    assert count(server, person) == 0  # a new person sees nothing of the old one


def test_a_renamed_person_keeps_mail_passwords_and_both_addresses(server, person):
    secret = server.ctl("app-password", "add", person, "phone").strip()
    server.ctl("account", "password", person, stdin=PASSWORD.encode() + b"\n")
    new = "renamed-" + person
    server.lmtp().deliver(STRANGER, person, message())
    server.ctl("account", "rename", person, new)
    server.lmtp().deliver(STRANGER, person, message())
    server.lmtp().deliver(STRANGER, new, message())
    assert count(server, new) == 3
    for name in (person, new):
        for password in (PASSWORD, secret):
            scram(server, name, password)
    assert "in use" in fails(server, "account", "rename", new, "budi@kantor.example")


def test_quota_is_set_with_units_and_shown_with_what_is_used(server, person):
    server.ctl("account", "quota", person, "2M")
    server.imap(person).append("INBOX", message(body=b"x" * 1024 * 1024))
    shown = ask(server, "account", "quota", person)
    assert shown["quota"] == 2 << 20 and 1 << 20 < shown["used"] < 2 << 20 and 50 <= shown["percent"] <= 51
    assert "is no size" in fails(server, "account", "quota", person, "lots", status=2)
    server.ctl("account", "quota", person, "none")
    assert ask(server, "account", "quota", person)["quota"] is None


# --- groups, rights, devices

def test_a_group_holds_people_groups_and_foreign_addresses_but_never_itself(server, person):
    for g in ("g1", "g2", "g3"):
        server.ctl("group", "add", g + "@kantor.example")
    server.ctl("group", "join", "g1@kantor.example", "g2@kantor.example")
    server.ctl("group", "join", "g2@kantor.example", "g3@kantor.example")
    server.ctl("group", "join", "g3@kantor.example", person)
    server.ctl("group", "join", "g1@kantor.example", "friend@else.where")
    assert "would contain itself" in fails(server, "group", "join", "g3@kantor.example", "g1@kantor.example")
    assert "no account has the address" in fails(server, "group", "join", "g1@kantor.example", "typo@kantor.example")
    assert "is not a group" in fails(server, "group", "join", person, "budi@kantor.example")
    assert {(m["member"], m["kind"]) for m in ask(server, "group", "members", "g1@kantor.example")} == {("g2@kantor.example", "group"), ("friend@else.where", "elsewhere")}
    server.lmtp().deliver(STRANGER, "g2@kantor.example", message())
    assert count(server, person) == 1
    server.ctl("group", "leave", "g3@kantor.example", person)
    assert ask(server, "group", "members", "g3@kantor.example") == []


def test_grants_are_words_or_letters_and_are_taken_away(server, person, another):
    server.ctl("grant", "set", person, another, "read")
    server.ctl("grant", "set", person + "/Archive", another, "lrswS")
    assert {(g["grantee"], g["rights"], g["mailbox"]) for g in ask(server, "grant", "list", person)} == {(another, "lrs", "(all)"), (another, "lrswS", "Archive")}
    with server.imap(another) as c:
        c.ok('SELECT "Other Users/%s/INBOX"' % person)
    assert "has no mailbox" in fails(server, "grant", "set", person + "/Nope", another, "read")
    assert "rights are" in fails(server, "grant", "set", person, another, "everything", status=2)
    server.ctl("grant", "remove", person, another)
    server.ctl("grant", "remove", person + "/Archive", another)
    assert ask(server, "grant", "list", person) == []


def test_an_app_password_tells_its_scopes_and_last_use(server, person):
    made = ask(server, "app-password", "add", person, "printer", "--scope", "smtp,imap")
    assert made["scopes"] == ["imap", "smtp"]
    assert ask(server, "app-password", "list", person)[0]["last_used"] is None
    assert "scopes are" in fails(server, "app-password", "add", person, "x", "--scope", "fax", status=2)
    assert "is the number" in fails(server, "app-password", "remove", person, "printer", status=2)


def test_sessions_are_listed_and_ended_by_id_or_person(server, person):
    with server.imap(person, select="INBOX") as c, server.imap(person, select="INBOX") as d:
        mine = [s for s in ask(server, "sessions", "list") if s["account"] == person]
        assert [s["service"] for s in mine] == ["imap", "imap"]
        server.ctl("sessions", "kill", mine[0]["id"])
        server.ctl("sessions", "kill", person)
        assert {c.untagged().name, d.untagged().name} == {"BYE"}
    assert "no session has that id" in fails(server, "sessions", "kill", "nothing")


def test_a_stopped_server_is_administered_on_its_files_and_running_things_are_refused(fresh):
    fresh.stop()
    fresh.ctl("account", "add", "offline@kantor.example", "--password-stdin", stdin=b"made-while-stopped\n")
    secret = fresh.ctl("app-password", "add", "offline@kantor.example", "phone").strip()
    for words in (("sessions", "list"), ("top", "--once"), ("reload",)):
        assert "does not run" in fails(fresh, *words)
    fresh.start()
    scram(fresh, "offline@kantor.example", "made-while-stopped")
    fresh.imap("offline@kantor.example", select="INBOX", password=secret)


def test_reload_is_asked_for_and_the_log_says_what_came_of_it(fresh):
    fresh.ctl("reload")
    while "reloaded" not in fresh.log():
        assert fresh.alive()


def test_two_administrators_at_once_do_not_wait_for_each_other(server, person, tmp_path):
    fifo = tmp_path / "slow"
    os.mkfifo(fifo)
    p = subprocess.Popen([KANTORCTL, "--demo", server.folder, "import", "mbox", person, str(fifo)], stdout=subprocess.PIPE)
    with open(fifo, "wb") as f:
        f.write(b"From a@b Mon Nov 24 09:00:00 2025\nSubject: slow\n\n")
        f.flush()
        assert ask(server, "account", "show", person)["address"] == person
        f.write(b"x\n\n")
    out, _ = p.communicate(timeout=60)
    assert p.returncode == 0 and b"1 imported" in out
