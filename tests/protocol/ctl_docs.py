"""Every command of docs/operations.md works, in the order in which it stands there, on a server configured as a package installs it."""
import os
import re
import subprocess

from kantor import message
from kantor.server import KANTORCTL, KANTORD, ROOT
from kantor.service import Service

DOCS = os.path.join(ROOT, "docs", "operations.md")


def commands():
    with open(DOCS, encoding="utf-8") as f:
        return [line for block in re.findall(r"^```sh\n(.*?)^```", f.read(), re.M | re.S) for line in block.splitlines()]


def old_mail(folder):
    """What the section about bringing mail in finds."""
    for name in ("Maildir/cur", "Maildir/new", "Maildir/.Work/cur", "exported/Work"):
        os.makedirs(os.path.join(folder, "old", name))
    for name, data in (("mail.mbox", b"From a@b Mon Nov 24 09:00:00 2025\nSubject: mbox\n\nx\n"), ("Maildir/cur/1.a:2,S", b"Subject: maildir\n\nx\n"), ("Maildir/.Work/cur/2.a:2,", b"Subject: work\n\nx\n"),
                       ("exported/a.eml", b"Subject: eml\r\n\r\nx\r\n"), ("exported/Work/b.eml", b"Subject: eml\r\n\r\nx\r\n")):
        with open(os.path.join(folder, "old", name), "wb") as f:
            f.write(data)


def test_every_command_of_the_operators_page_works(tmp_path):
    with Service({"process.user": "", "sandbox.folders": str(tmp_path)}, start=False) as s:
        old_mail(tmp_path)
        (tmp_path / "backups").mkdir()
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        for name, line in (("kantorctl", '%s --config %s "$@"' % (KANTORCTL, s.config_path())), ("kantord", 'exec %s "$@"' % KANTORD)):
            (bin_folder / name).write_text("#!/bin/sh\n%s\n" % line)
            (bin_folder / name).chmod(0o755)
        places = (("/etc/kantor/kantor.conf", s.config_path()), ("/var/lib/kantor", os.path.join(s.folder, "data")), ("/var/backups/kantor", str(tmp_path / "backups")), ("127.0.0.1:9090", "127.0.0.1:%d" % s.port("admin")))
        ran = 0
        for command in commands():
            system = re.fullmatch(r"systemctl (start|stop) kantor", command)
            if system:
                s.start() if system[1] == "start" else s.stop()
                continue
            for there, here in places:
                command = command.replace(there, here)
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, env={**os.environ, "PATH": "%s:%s" % (bin_folder, os.environ["PATH"])}, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, "%s\n%s%s" % (command, done.stdout, done.stderr)
            ran += 1
        assert ran > 45
        # the pages tell the truth about what came of it
        with s.imap("budi@kantor.example", select='"Old server/Work"', password="a better password") as c:
            assert c.exists == 1
        s.lmtp().deliver("a@stranger.example", "whoever@kantor.test", message())
        s.stop()


def test_every_operation_that_the_page_names_exists():
    with open(DOCS, encoding="utf-8") as f:
        named = set(re.findall(r"(?:`|^)kantorctl ((?!help|works)[a-z][a-z-]+(?: [a-z][a-z-]+)?)", f.read(), re.M))
    assert len(named) > 30
    for name in named:
        first = subprocess.run([KANTORCTL, "help", *name.split()[:2]], capture_output=True, text=True)
        alone = subprocess.run([KANTORCTL, "help", name.split()[0]], capture_output=True, text=True)
        assert first.returncode == 0 or (alone.returncode == 0 and alone.stdout.startswith("kantorctl %s " % name.split()[0])), name


def test_the_page_writes_no_password_on_a_command_line():
    assert [line for line in commands() if "--password " in line] == []
