"""kantorctl, the admin listener, the start and the end of the server."""
import os
import subprocess
import urllib.request

from talk import KANTORCTL, KANTORD, PASSWORD


def test_metrics_and_healthz_answer(server):
    base = f"http://127.0.0.1:{server.base + 9090}"
    assert urllib.request.urlopen(base + "/healthz", timeout=20).read() == b"ok\n"
    assert b"kantor_store_commits_total" in urllib.request.urlopen(base + "/metrics", timeout=20).read()


def test_many_accounts_are_added_and_can_log_in(server):
    server.ctl("account", "add", "--count", "250", "--prefix", "user", "--domain", "kantor.example", "--password", "long-enough")
    with server.imap() as c:
        c.ok("LOGIN user250@kantor.example long-enough")


def test_an_app_password_opens_only_its_scope_and_dies_when_removed(server):
    secret = server.ctl("app-password", "add", "budi@kantor.example", "phone", "--scope", "imap").stdout.strip()
    with server.imap() as c:
        c.ok(f"LOGIN budi@kantor.example {secret}")
    number = server.ctl("app-password", "list", "budi@kantor.example").stdout.split()[0]
    server.ctl("app-password", "remove", "budi@kantor.example", number)
    with server.imap() as c:
        assert c.run(f"LOGIN budi@kantor.example {secret}")[-1].startswith("NO [AUTH")


def test_aliases_and_the_catch_all_lead_to_their_account(server):
    server.ctl("alias", "add", "bos@kantor.example", "andi@kantor.example")
    server.ctl("alias", "add", "*@cabang.example", "rina@cabang.example")
    assert server.deliver(b"Subject: a\r\n\r\nx", "bos+x@kantor.example").startswith("250")
    assert server.deliver(b"Subject: a\r\n\r\nx", "whoever@cabang.example").startswith("250")
    with server.imap("andi") as c:
        assert "MESSAGES 1" in c.ok("STATUS INBOX (MESSAGES)")[0]


def test_a_backup_of_the_running_server_restores_to_the_same_mail(server, tmp_path):
    with server.imap("sari") as c:
        c.append("INBOX", b"Subject: kept\r\n\r\n" + b"large " * 40000)
    server.ctl("backup", str(tmp_path / "b"))
    subprocess.run([KANTORCTL, "restore", str(tmp_path / "b"), str(tmp_path / "data")], check=True, timeout=60)
    (tmp_path / "kantor.conf").write_text("data_dir = data\n")
    out = subprocess.run([KANTORCTL, "--demo", str(tmp_path), "check"], capture_output=True, text=True, timeout=60)
    assert out.stdout == "the store is clean\n", out
    assert "sari@kantor.example" in subprocess.run([KANTORCTL, "--demo", str(tmp_path), "account", "list"], capture_output=True, text=True, timeout=60).stdout


def test_an_mbox_is_imported_once_however_often_it_is_run(server, tmp_path):
    box = tmp_path / "box"
    box.write_text("From a@b Tue Nov 24 15:00:00 2026\nSubject: one\n\n>From here\n\nFrom a@b Tue Nov 24 15:00:00 2026\nSubject: two\n\nx\n")
    assert "2 imported, 0 were there" in server.ctl("import", "mbox", "dewi@kantor.example", str(box), "--mailbox", "Old").stdout
    assert "0 imported, 2 were there" in server.ctl("import", "mbox", "dewi@kantor.example", str(box), "--mailbox", "Old").stdout
    server.ctl("export", "mbox", "dewi@kantor.example", str(tmp_path / "out"), "--mailbox", "Old")
    assert ">From here" in (tmp_path / "out").read_text()


def test_a_bad_configuration_stops_the_start_with_file_line_and_remedy(tmp_path):
    conf = tmp_path / "kantor.conf"
    conf.write_text("# fine\nlog.level = loud\nnonsense = 1\n")
    out = subprocess.run([KANTORD, "--config", str(conf)], capture_output=True, text=True, timeout=20)
    assert out.returncode == 1
    assert f"{conf}:2: log.level cannot be \"loud\"; write one of error|warn|info|debug" in out.stderr
    assert f"{conf}:3: there is no option" in out.stderr


def test_the_sample_configuration_is_accepted(tmp_path):
    conf = tmp_path / "kantor.conf"
    sample = subprocess.run([KANTORD, "--print-sample"], capture_output=True, text=True, check=True).stdout
    conf.write_text("\n".join(l[1:] if l.startswith("#") and " = " in l and not l.startswith("# ") else l for l in sample.splitlines()))
    assert subprocess.run([KANTORD, "--config", str(conf), "--check-config"], timeout=20).returncode == 0


def test_a_taken_port_says_what_to_do(server, tmp_path):
    out = subprocess.run([KANTORD, "--demo", str(tmp_path), "--port-base", str(server.base)], capture_output=True, text=True, timeout=20)
    assert out.returncode == 1 and "is in use by another program" in out.stderr


def test_kantorctl_works_on_a_stopped_servers_files(fresh):
    assert fresh.stop() == 0
    assert "budi@kantor.example" in fresh.ctl("account", "list").stdout
    assert fresh.ctl("check").stdout == "the store is clean\n"
    fresh.start()
    with fresh.imap() as c:
        c.ok(f"LOGIN budi@kantor.example {PASSWORD}")
    assert os.path.exists(os.path.join(fresh.folder, "data", "kantor.db"))
