"""The test library: a server of its own for the tests, and raw dialogues with it (real bytes over real sockets)."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", "build")
KANTORD = os.environ.get("KANTORD", os.path.join(ROOT, BUILD, "kantord"))
KANTORCTL = os.environ.get("KANTORCTL", os.path.join(ROOT, BUILD, "kantorctl"))
PASSWORD = "demo-password"
TIMEOUT = 20


def free_base():
    """A port base whose ports nobody uses."""
    for base in range(21000, 29000, 1100):
        try:
            for port in (24, 25, 110, 143, 465, 587, 993, 995, 9090):
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("127.0.0.1", base + port))
            return base
        except OSError:
            continue
    raise RuntimeError("no free ports")


class Server:
    """A demonstration organisation in a folder of its own; `environment` is added to the server's."""

    def __init__(self, folder=None, environment=None):
        self.environment = dict(os.environ, **(environment or {}))
        self.folder = folder or tempfile.mkdtemp(prefix="kantor-test-")
        self.base = free_base()
        self.process = None

    def start(self):
        self.log_file = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen([KANTORD, "--demo", self.folder, "--port-base", str(self.base)], stdout=subprocess.PIPE, stderr=self.log_file, env=self.environment)
        for line in self.process.stdout:
            if line == b"ready\n":
                return self
        raise RuntimeError("kantord did not become ready: " + open(self.log_file.name).read()[-2000:])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(TIMEOUT)
        self.process.stdout.close()
        self.log_file.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log_file.close()

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def ctl(self, *words, check=True):
        done = subprocess.run([KANTORCTL, "--demo", self.folder, *words], capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done

    def smtp(self, port=25, tls=False):
        return Lines(self.base + port, tls)

    def imap(self, user=None, select=None, tls=False):
        c = Imap(self.base + (993 if tls else 143), tls)
        if user:
            c.ok(f"LOGIN {user}@kantor.example {PASSWORD}")
        if select:
            c.ok(f"SELECT {select}")
        return c

    def deliver(self, message, to, sender="x@elsewhere.example"):
        """One message over LMTP; the reply to it."""
        with self.smtp(24) as c:
            c.expect("LHLO test", "250")
            c.expect(f"MAIL FROM:<{sender}>", "250")
            c.expect(f"RCPT TO:<{to}>", "250")
            c.expect("DATA", "354")
            c.send(message.replace(b"\r\n.", b"\r\n..") + (b"" if message.endswith(b"\r\n") else b"\r\n") + b".\r\n")
            return c.reply()


class Lines:
    """A connection that speaks in lines: SMTP, LMTP, POP3."""

    def __init__(self, port, tls=False):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        if tls:
            self.start_tls()
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply() if port % 100 != 10 else self.line()

    def start_tls(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        return self.file.readline().decode("utf-8", "replace").rstrip("\r\n")

    def reply(self):
        """A whole SMTP reply, its lines joined; '' when the server closed."""
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if len(line) < 4 or line[3] != "-":
                return "\n".join(lines)

    def say(self, text):
        self.send(text.encode() + b"\r\n")
        return self.reply()

    def expect(self, text, code):
        reply = self.say(text)
        assert reply.startswith(code), (text, reply)
        return reply

    def closed(self):
        """True when nothing more comes."""
        try:
            return self.file.read(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Imap(Lines):
    """IMAP: each response is one item, its literals included."""

    def __init__(self, port, tls=False):
        self.tag = 0
        super().__init__(port, tls)

    def reply(self):
        return self.response()

    def response(self):
        data = b""
        while True:
            line = self.file.readline()
            data += line
            m = re.search(rb"\{(\d+)\}\r\n$", line)
            if not m:
                return data.decode("latin-1").rstrip("\r\n")
            data += self.file.read(int(m[1]))

    def run(self, command):
        """The untagged responses and, last, the tagged one without its tag."""
        self.tag += 1
        tag = f"a{self.tag}"
        data = command if isinstance(command, bytes) else command.encode()
        self.send(tag.encode() + b" " + data + b"\r\n")
        out = []
        while True:
            r = self.response()
            if r == "" or r.startswith(tag + " "):
                return out + [r[len(tag) + 1:]]
            out.append(r)

    def ok(self, command):
        r = self.run(command)
        assert r[-1].startswith("OK"), (command, r)
        return r

    def append(self, mailbox, message, flags=""):
        return self.run(f"APPEND {mailbox} {flags}{{{len(message)}+}}\r\n".encode() + message)


