"""A kantord as a package starts it: `--config FILE`, its own user when the tests run as root, sandboxed, no demo. And certificates for it.

    with Service({"limit.loopback": 3}) as s:
        s.add_people("budi")
        s.configure({"limit.loopback": 5}); s.reload()
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from .server import KANTORCTL, KANTORD, PASSWORD, Server, address

USER = "nobody"


def wait_for(condition, what, seconds=30):
    """Waits until condition() gives something true, which is given back."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited %d s in vain: %s" % (seconds, what)
        time.sleep(0.01)


class Service(Server):
    def __init__(self, options=None, start=True, base=None, env=None, prefix=()):
        folder = tempfile.mkdtemp(prefix="kantor-service-")
        os.chmod(folder, 0o755)
        self.options = {"hostname": "mail.kantor.example", "data_dir": "data", "listen.addresses": "127.0.0.1", "lmtp.addresses": "127.0.0.1", "admin.addresses": "127.0.0.1",
                        "limit.connections": 1000, "process.user": USER, "dns.table": "/dev/null"}  # no name exists: nothing leaves this machine
        self.options.update(options or {})
        super().__init__(folder, base, start=False, env=env, prefix=prefix)
        self.options["listen.port_base"] = self.base
        self.write()
        if start:
            self.start()

    def command(self):
        return [KANTORD, "--config", self.config_path()]

    def config_path(self):
        return os.path.join(self.folder, "kantor.conf")

    def write(self):
        text = "".join("%s = %s\n" % item for item in self.options.items() if item[1] is not None)
        with open(self.config_path(), "w") as f:
            f.write(text)
        os.chmod(self.config_path(), 0o644)

    def configure(self, options=None, **more):
        """{"limit.loopback": 3}, or as Server.configure takes it: limit_loopback=3"""
        self.options.update(options or {})
        self.options.update({name.replace("_", ".", 1): value for name, value in more.items()})
        self.write()

    def reload(self, expect="reloaded"):
        """SIGHUP, and waits for the line in the log that it leads to; gives what was logged since."""
        before = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        return wait_for(lambda: (" %s " % expect) in self.log()[before:] and self.log()[before:], "`%s` in the log" % expect)

    def ctl(self, *args, check=True, stdin=None, seconds=120):
        done = subprocess.run([KANTORCTL, "--config", self.config_path(), *map(str, args)], input=stdin, capture_output=True, timeout=seconds)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "replace")

    def add_people(self, *names):
        self.ctl("domain", "add", "kantor.example")
        for n in names:
            self.ctl("account", "add", address(n), "--password", PASSWORD)
        return self

    def put(self, name, data, mode=0o644):
        """A file beside kantor.conf that the server may read."""
        path = os.path.join(self.folder, name)
        temporary = path + ".new"
        with open(temporary, "wb") as f:
            f.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
        return path

    def put_certificate(self, name, *names, key=None):
        """name.crt and name.key for these DNS names; gives the words of tls.certificates."""
        chain, private = certificate(*names, key=key)
        self.put(name + ".key", private)
        self.put(name + ".crt", chain)
        return "%s:%s" % (os.path.join(self.folder, name + ".crt"), os.path.join(self.folder, name + ".key"))

    def process_status(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.exists(self.log_path):
            os.unlink(self.log_path)


def certificate(*names, key=None, days=30):
    """A self-signed certificate and its key, as PEM."""
    with tempfile.TemporaryDirectory() as folder:
        k, c = os.path.join(folder, "k"), os.path.join(folder, "c")
        with open(k, "wb") as f:
            f.write(key or subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], check=True, capture_output=True).stdout)
        request = subprocess.run(["openssl", "req", "-new", "-key", k, "-subj", "/CN=" + names[0], "-addext", "subjectAltName=" + ",".join("DNS:" + n for n in names)], check=True, capture_output=True).stdout
        subprocess.run(["openssl", "x509", "-req", "-signkey", k, "-copy_extensions", "copy", "-days", str(days), "-out", c], input=request, check=True, capture_output=True)
        with open(c, "rb") as cf, open(k, "rb") as kf:
            return cf.read(), kf.read()
