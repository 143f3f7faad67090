"""The Debian package, installed, run as its unit says, upgraded, purged: in an overlay of this machine and a network namespace."""
import glob
import os
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from kantor.server import ROOT
from kantor.service import wait_for

BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
PORTS = (25, 587, 465, 143, 993, 110, 995, 4190)
DELIVER = """
import smtplib
s = smtplib.SMTP("127.0.0.1", 25, timeout=20)
s.starttls()
s.sendmail("x@elsewhere.example", ["you@example.org"], b"Subject: first\\r\\n\\r\\nSelamat pagi\\r\\n")
s.quit()
"""
READ = """
import imaplib, ssl
c = imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=ssl._create_unverified_context())
c.login("you@example.org", "a long one")
c.select("INBOX")
print(c.fetch("1", "(BODY.PEEK[])")[1][0][1].decode())
c.logout()
"""
RELAY = """
import smtplib
s = smtplib.SMTP("127.0.0.1", 25, timeout=20)
s.ehlo()
s.mail("x@elsewhere.example")
print(s.rcpt("y@third.example")[0], "auth" in s.esmtp_features)
"""


def run(*words, check=True, **more):
    return subprocess.run(list(map(str, words)), check=check, capture_output=True, text=True, timeout=120, **more)


class Machine:
    """This machine with its changes kept aside, and a network of its own."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="kantor-package-")
        self.root, self.name, self.process = os.path.join(self.top, "root"), "kantor-package-%d" % os.getpid(), None
        for d in ("root", "upper", "work"):
            os.mkdir(os.path.join(self.top, d))
        run("mount", "-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir=%s/upper,workdir=%s/work" % (self.top, self.top), self.root)
        for d in ("dev", "proc"):
            run("mount", "--rbind" if d == "dev" else "--bind", "/" + d, os.path.join(self.root, d))
        for d in ("var/lib/kantor", "var/backups/kantor", "etc/kantor"):
            shutil.rmtree(os.path.join(self.root, d), ignore_errors=True)
        run("ip", "netns", "add", self.name)
        run("ip", "netns", "exec", self.name, "ip", "link", "set", "lo", "up")

    def path(self, p):
        return os.path.join(self.root, p.lstrip("/"))

    def do(self, *words, check=True):
        """A command as root in this machine's network."""
        return run("ip", "netns", "exec", self.name, "chroot", self.root, *words, check=check)

    def install(self):
        deb = sorted(glob.glob(os.path.join(BUILD, "kantor_*.deb")))[-1]
        shutil.copy(deb, self.path("/tmp/kantor.deb"))
        return run("chroot", self.root, "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "-i", "/tmp/kantor.deb")

    def unit(self):
        with open(self.path("/lib/systemd/system/kantor.service")) as f:
            return dict(line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#"))

    def start(self):
        """What systemd would do with ExecStart, User and AmbientCapabilities."""
        unit = self.unit()
        capability = "+" + unit["AmbientCapabilities"][4:].lower()
        words = ["ip", "netns", "exec", self.name, "chroot", self.root, "setpriv", "--reuid", unit["User"], "--regid", unit["Group"], "--init-groups", "--inh-caps", capability, "--ambient-caps", capability,
                 "--bounding-set", "-all," + capability, "--no-new-privs", *unit["ExecStart"].split()]
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = self.path("/tmp/notify")
        if os.path.exists(address):
            os.unlink(address)
        self.notify.bind(address)
        os.chmod(address, 0o666)
        self.notify.settimeout(60)
        self.log = open(os.path.join(self.top, "log"), "ab")
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": "/tmp/notify"})
        assert self.notify.recv(100) == b"READY=1", self.log_text()

    def log_text(self):
        with open(os.path.join(self.top, "log"), errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.terminate()
        status = self.process.wait(60)
        self.process = None
        self.log.close()
        self.notify.close()
        return status

    def remove(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        run("ip", "netns", "delete", self.name, check=False)
        for d in ("dev", "proc", ""):
            run("umount", "-l", os.path.join(self.root, d), check=False)
        shutil.rmtree(self.top, ignore_errors=True)


@pytest.fixture(scope="module")
def machine():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not glob.glob(os.path.join(BUILD, "kantor_*.deb")):
        pytest.skip("no package: run `make deb`")
    try:
        m = Machine()
    except subprocess.CalledProcessError as e:
        pytest.skip("no overlay or no network namespace here: %s" % e.stderr)
    yield m
    m.remove()


def test_a_first_installation_makes_user_folders_certificate_and_says_what_to_do_next(machine):
    said = machine.install().stdout
    assert "kantorctl domain add" in said and "tls.certificates" in said
    user = machine.do("id", "-u", "kantor").stdout.strip()
    for folder in ("/var/lib/kantor", "/var/backups/kantor"):
        st = os.stat(machine.path(folder))
        assert (st.st_mode & 0o7777, str(st.st_uid)) == (0o700, user)
    assert os.stat(machine.path("/var/lib/kantor/tls.key")).st_mode & 0o777 == 0o600
    assert machine.do("dpkg-query", "-W", "-f", "${Conffiles}", "kantor").stdout.split()[0] == "/etc/kantor/kantor.conf"
    for page in ("man8/kantord.8.gz", "man5/kantor.conf.5.gz", "man1/kantorctl.1.gz"):
        assert os.path.exists(machine.path("/usr/share/man/" + page))


def test_the_unit_serves_the_real_ports_as_its_user_and_gives_a_mail_back(machine):
    machine.start()
    with open("/proc/%d/status" % machine.process.pid) as f:
        status = f.read()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    assert re.search(r"^Uid:\t%s\b" % machine.do("id", "-u", "kantor").stdout.strip(), status, re.M)
    listening = machine.do("ss", "-Hltn").stdout
    for port in PORTS:
        assert re.search(r"0\.0\.0\.0:%d\s" % port, listening) and re.search(r"\[::\]:%d\s" % port, listening), (port, listening)
    assert not re.search(r"(0\.0\.0\.0|\[::\]):(24|9090)\s", listening)  # attacks.md CO-07
    machine.do("kantorctl", "domain", "add", "example.org")
    machine.do("kantorctl", "account", "add", "you@example.org", "--password", "a long one")
    machine.do("/usr/bin/python3", "-c", DELIVER)
    assert "Selamat pagi" in machine.do("/usr/bin/python3", "-c", READ).stdout


def test_a_stranger_can_neither_relay_nor_log_in_where_mail_comes_in(machine):
    code, auth = machine.do("/usr/bin/python3", "-c", RELAY).stdout.split()
    assert code.startswith("55") and auth == "False"


def test_a_backup_goes_to_the_folder_made_for_it(machine):
    machine.do("kantorctl", "backup", "/var/backups/kantor/today")
    assert os.path.isdir(machine.path("/var/backups/kantor/today"))


def test_reload_takes_a_changed_configuration_and_stop_ends_cleanly(machine):
    with open(machine.path("/etc/kantor/kantor.conf"), "a") as f:
        f.write("mail.max_message_size = 7M\n")
    assert machine.unit()["ExecReload"] == "/bin/kill -HUP $MAINPID"
    machine.process.send_signal(1)
    wait_for(lambda: " reloaded " in machine.log_text(), "the reload")
    said = machine.do("/usr/bin/python3", "-c", "import smtplib; s = smtplib.SMTP('127.0.0.1', 25); s.ehlo(); print(s.esmtp_features['size'])").stdout
    assert said.strip() == str(7 * 1024 * 1024)
    assert machine.stop() == 0


def test_an_upgrade_keeps_the_configuration_and_the_mail(machine):
    said = machine.install().stdout
    assert "First steps" not in said
    with open(machine.path("/etc/kantor/kantor.conf")) as f:
        assert "mail.max_message_size = 7M" in f.read()
    machine.start()
    assert "Selamat pagi" in machine.do("/usr/bin/python3", "-c", READ).stdout
    assert machine.stop() == 0


def test_kantorctl_as_root_on_the_stopped_server_leaves_nothing_that_the_server_cannot_open(machine):
    with open(machine.path("/root/old.mbox"), "w") as f:
        f.write("From x Mon Jan  1 00:00:00 2024\nSubject: old\n\n%s\n" % ("word " * 60000))
    os.chmod(machine.path("/root/old.mbox"), 0o600)
    machine.do("kantorctl", "import", "mbox", "you@example.org", "/root/old.mbox")
    owners = {os.lstat(os.path.join(d, n)).st_uid for d, _, names in os.walk(machine.path("/var/lib/kantor")) for n in names}
    assert owners == {int(machine.do("id", "-u", "kantor").stdout)}
    machine.start()
    assert "word word" in machine.do("/usr/bin/python3", "-c", READ.replace('"1"', '"2"')).stdout
    assert machine.stop() == 0


def test_purging_removes_the_configuration_and_keeps_the_mail(machine):
    said = run("chroot", machine.root, "dpkg", "-P", "kantor").stdout
    assert "mail in /var/lib/kantor" in said
    assert not os.path.exists(machine.path("/etc/kantor/kantor.conf"))
    assert os.path.exists(machine.path("/var/lib/kantor/kantor.db"))
