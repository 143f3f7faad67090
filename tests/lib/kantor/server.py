"""Starting, watching, killing and asking a kantord of the tests' own.

`Server(folder)` serves the demo organisation on a free port base. The log goes to a file beside the folder; `stop` sends SIGTERM and asserts a clean end.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

from .imap import Imap
from .managesieve import ManageSieve
from .pop3 import Pop3
from .smtp import Smtp

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = os.environ.get("BUILD", "build")  # the build's folder, as in the Makefile: BUILD=build-asan
KANTORD = os.environ.get("KANTORD", os.path.join(ROOT, BUILD, "kantord"))
KANTORCTL = os.environ.get("KANTORCTL", os.path.join(os.path.dirname(KANTORD), "kantorctl"))
SANITIZED = "asan" in os.path.dirname(KANTORD) or os.environ.get("KANTOR_SAN") == "address"
PASSWORD = "demo-password"
PORTS = {"lmtp": 24, "smtp": 25, "pop3": 110, "imap": 143, "submissions": 465, "submission": 587, "imaps": 993, "pop3s": 995, "managesieve": 4190, "admin": 9090}
START_SECONDS = 60
MEMORY_SCALE = 8 if "asan" in KANTORD else 1  # freed memory waits in AddressSanitizer's quarantine


def free_base():
    """A port base on which every service's port is free, below the ports that the kernel gives to clients (32768 on); the process id keeps parallel runs apart."""
    for i in range(400):
        base = 10000 + (os.getpid() * 131 + int(time.monotonic() * 1000) * 7 + i * 37) % 13000
        sockets = []
        try:
            for offset in PORTS.values():
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sockets.append(s)
                s.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free port base")


def address(user):
    """budi → budi@kantor.example; rina lives at the branch."""
    if "@" in user:
        return user
    return user + ("@cabang.example" if user == "rina" else "@kantor.example")


class Server:
    """sending: whether mail leaves for other servers; else it waits in the queue, where tests look at it."""
    def __init__(self, folder=None, base=None, start=True, env=None, prefix=(), log_path=None, sending=False):
        self.folder = folder or tempfile.mkdtemp(prefix="kantor-")
        self.sending = sending
        self.base = base or free_base()
        self.log_path = log_path or self.folder.rstrip("/") + ".log"
        self.process, self.env, self.prefix = None, env or {}, list(prefix)
        if start:
            self.start()

    pass_fds = ()

    def command(self):
        return [KANTORD, "--demo", self.folder, "--port-base", str(self.base)]

    def port(self, service):
        return self.base + PORTS[service]

    def configure(self, **options):
        """Writes options into the demonstration's file, which is made when it is not there: configure(queue_send="no") is "queue.send = no"."""
        path = os.path.join(self.folder, "kantor.conf")
        if not os.path.exists(path):
            made = subprocess.run([KANTORD, "--demo", self.folder, "--port-base", str(self.base), "--check-config"], capture_output=True)
            assert os.path.exists(path), made
        with open(path) as f:
            lines = f.read().splitlines()
        for name, value in options.items():
            name = name.replace("_", ".", 1)
            lines = [line for line in lines if line.split("=")[0].strip() != name] + ["%s = %s" % (name, value)]
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")

    def start(self, wait=True):
        if not self.sending:
            self.configure(queue_send="no")
        self.ready = threading.Event()
        self.printed = []
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.prefix + self.command(), stdout=subprocess.PIPE, stderr=log, env={**os.environ, **self.env}, start_new_session=True, pass_fds=self.pass_fds)
        log.close()
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        if wait:
            deadline = time.monotonic() + START_SECONDS
            while not self.ready.wait(0.05):
                if self.process.poll() is not None and not self.ready.wait(0.2):
                    raise RuntimeError("kantord ended with %s before `ready`:\n%s\n%s" % (self.process.returncode, "".join(self.printed[-20:]), self.log()[-3000:]))
                if time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError("kantord did not say `ready` within %d s" % START_SECONDS)
        return self

    def _read(self, pipe):
        for line in pipe:
            self.printed.append(line.decode("utf-8", "replace"))
            if line.strip() == b"ready":
                self.ready.set()

    def log(self, since=0):
        """What the server wrote from that octet on."""
        try:
            with open(self.log_path, "rb") as f:
                f.seek(since)
                return f.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def log_size(self):
        return os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=30):
        """SIGTERM; asserts that the server ends in time and with status 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("kantord did not end within %d s of SIGTERM" % seconds)
        self.process = None
        assert status == 0, "kantord ended with status %s:\n%s" % (status, self.log()[-4000:])

    def kill(self):
        """kill -9, and waits until the process is gone."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self):
        """Kills the server if it runs and removes what it wrote."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.isfile(self.log_path):
            os.unlink(self.log_path)

    def restart(self):
        self.stop()
        return self.start()

    def rss(self):
        """Resident bytes of the process."""
        with open("/proc/%d/statm" % self.process.pid) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def peak(self):
        """The most resident bytes since the last forget_peak()."""
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1]) * 1024

    def forget_peak(self):
        try:
            with open("/proc/%d/clear_refs" % self.process.pid, "w") as f:
                f.write("5")
        except PermissionError:
            pass  # a server of another user: its peak since its start counts, which is stricter

    @contextlib.contextmanager
    def bounded(self, megabytes=64):
        """What happens inside may not take more memory than that at any moment, besides two password hashes of 16 MB each that a bystander's
        login may cost. ASan keeps freed memory: eight times as much there."""
        before = self.rss()
        self.forget_peak()
        yield
        most = (megabytes + 36) * 1048576 * (8 if SANITIZED else 1)
        assert self.peak() - before < most, "%d MB more than before" % ((self.peak() - before) >> 20)

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def cpu(self):
        """CPU seconds used so far."""
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- clients

    def imap(self, user=None, select=None, tls=False, password=PASSWORD, **more):
        c = Imap(self.port("imaps" if tls else "imap"), tls, name="imap", **more)
        if user:
            c.login(address(user), password)
        if select:
            c.select(select)
        return c

    def smtp(self, tls=False, **more):
        return Smtp(self.port("smtp"), name="smtp", **more) if not tls else self.submission(**more)

    def lmtp(self, **more):
        return Smtp(self.port("lmtp"), lmtp=True, name="lmtp", **more)

    def submission(self, user=None, tls=True, password=PASSWORD, **more):
        c = Smtp(self.port("submissions" if tls else "submission"), tls, name="submission", **more)
        if user:
            reply = c.login(address(user), password)
            assert reply.code == 235, reply
        return c

    def pop3(self, user=None, tls=False, password=PASSWORD, **more):
        c = Pop3(self.port("pop3s" if tls else "pop3"), tls, name="pop3", **more)
        if user:
            c.login(address(user), password)
        return c

    def managesieve(self, user=None, password=PASSWORD, **more):
        c = ManageSieve(self.port("managesieve"), name="managesieve", **more)
        if user:
            c.login(address(user), password)
        return c

    # --- the administrator's side

    def ctl(self, *args, check=True, stdin=None, seconds=120):
        """kantorctl --demo DIR args…; gives its standard output as text."""
        done = subprocess.run([KANTORCTL, "--demo", self.folder, *map(str, args)], input=stdin, capture_output=True, timeout=seconds)
        self.ctl_status, self.ctl_errors = done.returncode, done.stderr.decode("utf-8", "replace")
        if check:
            assert done.returncode == 0, "kantorctl %s: status %d\n%s%s" % (" ".join(map(str, args)), done.returncode, done.stdout.decode("utf-8", "replace"), self.ctl_errors)
        return done.stdout.decode("utf-8", "replace")

    def make_people(self, count, prefix="user", domain="kantor.example"):
        self.ctl("account", "add", "--count", count, "--prefix", prefix, "--domain", domain, "--password", PASSWORD)

    def http(self, path):
        """(status, text) of the admin listener."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.port("admin"), path), timeout=20) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def metrics(self):
        """name{labels} → value."""
        status, text = self.http("/metrics")
        assert status == 200, status
        out = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                assert re.match(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [0-9.eE+-]+$', line), "not Prometheus text: %r" % line
                name, _, value = line.rpartition(" ")
                out[name] = float(value)
        return out
