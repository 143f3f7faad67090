"""kantorctl, the admin listener, the start and the end of the server."""
import json
import os
import subprocess

import pytest

from kantor import Server, message
from kantor.server import KANTORCTL, KANTORD


def run(*words, check=False):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60, check=check)


def test_the_admin_listener_counts_commits(server, person):
    before = server.metrics()["kantor_store_commits_total"]
    server.imap(person, select="INBOX").append("INBOX", message())
    assert server.metrics()["kantor_store_commits_total"] > before
    assert server.http("/healthz") == (200, "ok\n") and server.http("/nothing")[0] == 404


def test_many_accounts_are_added_and_can_log_in(server):
    server.ctl("account", "add", "--count", 20, "--prefix", "many", "--domain", "kantor.example", "--password", "long-enough")
    server.imap("many20@kantor.example", password="long-enough")


def test_an_app_password_opens_its_scope_only_and_dies_when_removed(server, person):
    secret = server.ctl("app-password", "add", person, "phone", "--scope", "imap").strip()
    server.imap(person, password=secret)
    server.pop3().err("PASS x")
    c = server.pop3()
    c.ok("USER " + person)
    assert c.err("PASS " + secret).startswith("[AUTH]")
    server.ctl("app-password", "remove", person, json.loads(server.ctl("app-password", "list", person, "--json"))[0]["id"])
    assert server.imap().no('LOGIN "%s" "%s"' % (person, secret)).code_name == "AUTHENTICATIONFAILED"


def test_aliases_and_the_catch_all_lead_to_their_account(server, person, another):
    server.ctl("alias", "add", "bos@kantor.example", person)
    server.ctl("domain", "add", "semua.example")
    server.ctl("alias", "add", "*@semua.example", another)
    for to in ("bos+x@kantor.example", "whoever@semua.example"):
        server.lmtp().deliver("a@stranger.example", to, message())
    assert server.imap(person, select="INBOX").exists == 1 and server.imap(another, select="INBOX").exists == 1


def test_a_backup_of_the_running_server_restores_to_the_same_mail(server, person, tmp_path):
    kept = message("kept", body=b"large " * 40000 + b"\r\n")
    server.imap(person).append("INBOX", kept)
    server.ctl("backup", tmp_path / "b")
    run(KANTORCTL, "restore", tmp_path / "b", tmp_path / "data", check=True)
    (tmp_path / "kantor.conf").write_text("data_dir = data\n")
    assert run(KANTORCTL, "--demo", tmp_path, "check").stdout == "the store is clean\n"
    assert person in run(KANTORCTL, "--demo", tmp_path, "account", "list").stdout
    run(KANTORCTL, "--demo", tmp_path, "export", "mbox", person, tmp_path / "out", check=True)
    assert (tmp_path / "out").read_bytes().count(b"large ") == 40000


def test_an_mbox_is_imported_once_however_often_it_is_run(server, person, tmp_path):
    box = tmp_path / "box"
    box.write_text("From a@b Tue Nov 24 15:00:00 2026\nSubject: one\n\n>From here\n\nFrom a@b Tue Nov 24 15:00:00 2026\nSubject: two\n\nx\n")
    assert "2 imported, 0 were there" in server.ctl("import", "mbox", person, box, "--mailbox", "Old")
    assert "0 imported, 2 were there" in server.ctl("import", "mbox", person, box, "--mailbox", "Old")
    server.ctl("export", "mbox", person, tmp_path / "out", "--mailbox", "Old")
    assert ">From here" in (tmp_path / "out").read_text()


def test_a_bad_configuration_stops_the_start_with_file_line_and_remedy(tmp_path):
    conf = tmp_path / "kantor.conf"
    conf.write_text("# fine\nlog.level = loud\nnonsense = 1\n")
    out = run(KANTORD, "--config", conf)
    assert out.returncode == 1
    assert '%s:2: log.level cannot be "loud"; write one of error|warn|info|debug' % conf in out.stderr
    assert "%s:3: there is no option" % conf in out.stderr


def test_the_sample_configuration_is_accepted(tmp_path):
    conf = tmp_path / "kantor.conf"
    sample = run(KANTORD, "--print-sample", check=True).stdout
    conf.write_text("\n".join(l[1:] if l.startswith("#") and " = " in l and not l.startswith("# ") else l for l in sample.splitlines()))
    assert run(KANTORD, "--config", conf, "--check-config").returncode == 0


def test_a_taken_port_says_what_to_do(server, tmp_path):
    out = run(KANTORD, "--demo", tmp_path, "--port-base", server.base)
    assert out.returncode == 1 and "is in use by another program" in out.stderr


def test_kantorctl_works_on_a_stopped_servers_files(fresh):
    fresh.stop()
    assert "budi@kantor.example" in fresh.ctl("account", "list") and fresh.ctl("check") == "the store is clean\n"
    fresh.start()
    fresh.imap("budi", select="INBOX")
    assert os.path.exists(os.path.join(fresh.folder, "data", "kantor.db"))


def test_the_queue_can_be_listed_shown_and_emptied(fresh):
    c = fresh.submission("budi")
    c.deliver("budi@kantor.example", "friend@else.where", message("to the world"), "ENVID=abc RET=HDRS")
    listed = json.loads(fresh.ctl("queue", "list", "--json"))
    assert [(q["from"], q["to"], q["state"]) for q in listed] == [("budi@kantor.example", "friend@else.where", "waiting")]
    number = listed[0]["id"]
    assert "Subject: to the world" in fresh.ctl("queue", "show", number)
    fresh.ctl("queue", "delete", number)
    assert "0 messages" in fresh.ctl("queue", "list")


@pytest.mark.parametrize("words", [("account", "show", "nobody@kantor.example"), ("queue", "show", "999"), ("nonsense",), ("account", "quota", "budi@kantor.example", "many")])
def test_an_operation_that_cannot_be_done_says_so_and_fails(server: Server, words):
    server.ctl(*words, check=False)
    assert server.ctl_status != 0 and server.ctl_errors.strip()
