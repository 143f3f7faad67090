"""Another SMTP server, as ours meets it: takes messages and keeps them, or behaves as a test wants at any point of the dialogue.

Sink(answers={"RCPT": b"450 4.2.0 later"}) changes single answers (a function gets the line and gives the answer; None closes the connection). Every message
that it said 250 to stands in `messages`, as (sender, recipients, bytes).
"""
import collections
import os
import socket
import ssl
import subprocess
import tempfile
import threading

Message = collections.namedtuple("Message", "sender recipients data options")
CLOSE = object()


def certificate():
    folder = tempfile.mkdtemp(prefix="kantor-sink-")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder + "/k", "-out", folder + "/c", "-days", "2", "-subj", "/CN=mx.peer.example"],
                   check=True, capture_output=True)
    return folder


class Sink:
    def __init__(self, address="127.0.0.1", port=0, keywords=("PIPELINING", "8BITMIME", "SIZE 50000000", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"), answers=None, tls=False):
        self.answers, self.keywords, self.tls = dict(answers or {}), list(keywords), None
        if tls:
            folder = certificate()
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(folder + "/c", folder + "/k")
        self.messages, self.connections, self.lines, self.secured = [], 0, [], 0
        self.lock = threading.Lock()
        self.listener = socket.create_server((address, port), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.closed = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _answer(self, verb, line, standard):
        with self.lock:
            self.lines.append(line)
        special = self.answers.get(verb)
        given = special(line) if callable(special) else special
        return standard if given is None else given

    def _serve(self, s):
        try:
            self._dialogue(s)
        except (OSError, ssl.SSLError):
            pass
        finally:
            try:
                s.close()
            except OSError:
                pass

    def _say(self, s, answer):
        if answer is CLOSE:
            raise OSError("as the test wants")
        s.sendall(answer if answer.endswith(b"\n") else answer + b"\r\n")

    def _dialogue(self, s):
        s.settimeout(60)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        f = s.makefile("rb")
        self._say(s, self._answer("CONNECT", b"", b"220 mx.peer.example ESMTP"))
        sender, recipients, options, secure = None, [], b"", False
        while True:
            line = f.readline()
            if not line:
                return
            line = line.rstrip(b"\r\n")
            verb = line.split(b" ")[0].split(b":")[0].upper().decode()
            if verb == "EHLO":
                words = self.keywords + (["STARTTLS"] if self.tls and not secure else [])
                lines = ["mx.peer.example"] + words
                self._say(s, self._answer(verb, line, "".join("250%s%s\r\n" % ("-" if i + 1 < len(lines) else " ", w) for i, w in enumerate(lines)).encode()))
            elif verb == "STARTTLS" and self.tls:
                self._say(s, self._answer(verb, line, b"220 go"))
                s = self.tls.wrap_socket(s, server_side=True)
                f, secure = s.makefile("rb"), True
                with self.lock:
                    self.secured += 1
            elif verb == "MAIL":
                sender, recipients = line[line.index(b"<") + 1:line.index(b">")].decode(), []
                options = line[line.index(b">") + 1:]
                self._say(s, self._answer(verb, line, b"250 2.1.0 fine"))
            elif verb == "RCPT":
                answer = self._answer(verb, line, b"250 2.1.5 fine")
                if answer is not CLOSE and answer[:1] == b"2":
                    recipients.append(line[line.index(b"<") + 1:line.index(b">")].decode())
                self._say(s, answer)
            elif verb == "DATA":
                answer = self._answer(verb, line, b"354 go" if recipients else b"554 5.5.1 nobody")
                self._say(s, answer)
                if answer[:3] != b"354":
                    continue
                data = b""
                while not (data.endswith(b"\r\n.\r\n") or data == b".\r\n"):
                    part = f.readline()
                    if not part:
                        return
                    data += part
                data = b"".join(x[1:] if x.startswith(b".") else x for x in data[:-3].splitlines(True))
                answer = self._answer("DOT", b".", b"250 2.0.0 taken")
                if answer is not CLOSE and answer[:1] == b"2" and recipients:
                    with self.lock:
                        self.messages.append(Message(sender, recipients, data, options))
                self._say(s, answer)
                sender, recipients = None, []
            elif verb == "QUIT":
                self._say(s, self._answer(verb, line, b"221 bye"))
                return
            else:
                self._say(s, self._answer(verb, line, b"250 2.0.0 fine"))


def zone(server, *lines):
    """Adds lines to the server's table of names; they count at once."""
    with open(os.path.join(server.folder, "dns.table"), "a") as f:
        f.write("".join(line + "\n" for line in lines))
