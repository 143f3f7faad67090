"""The SMTP and LMTP client of the tests: one line out, one strictly parsed reply in."""
import base64
import re

from .dialogue import Dialogue, ProtocolError

LINE = re.compile(rb"^([2-5]\d\d)([ -])(?:([2-5]\.\d{1,3}\.\d{1,3}) )?(.*)$", re.S)


class Reply:
    def __init__(self, code, enhanced, lines):
        self.code, self.enhanced, self.lines = code, enhanced, lines

    @property
    def text(self):
        return "\n".join(self.lines)

    def __repr__(self):
        return "<%d %s %s>" % (self.code, self.enhanced, self.text)


class Smtp(Dialogue):
    def __init__(self, port, tls=False, greet=True, hello="client.example", lmtp=False, **more):
        super().__init__(port, tls, **more)
        self.lmtp, self.extensions = lmtp, {}
        if greet:
            self.greeting = self.reply()
            assert self.greeting.code == 220, self.greeting
            if hello:
                self.hello(hello)

    def reply(self):
        """One reply of one or more lines: one code, and an enhanced code of the same class (clients.md S5)."""
        lines, code, enhanced = [], None, None
        while True:
            raw = self.line()
            m = LINE.match(raw)
            if not m or len(raw) > 510:
                raise ProtocolError("not a reply line: %r" % raw[:600])
            if code not in (None, m.group(1)):
                raise ProtocolError("two codes in one reply: %r" % raw)
            code = m.group(1)
            if m.group(3):
                if m.group(3)[:1] != code[:1]:
                    raise ProtocolError("enhanced code of another class: %r" % raw)
                enhanced = m.group(3).decode()
            lines.append(m.group(4).decode("utf-8"))
            if m.group(2) == b" ":
                return Reply(int(code), enhanced, lines)

    def cmd(self, line, code=None):
        self.send((line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line) + b"\r\n")
        reply = self.reply()
        if code is not None:
            assert reply.code == code, "%s expected for %r: %r" % (code, line[:80], reply)
        return reply

    def hello(self, name="client.example"):
        reply = self.cmd(("LHLO " if self.lmtp else "EHLO ") + name, 250)
        self.extensions = {}
        for line in reply.lines[1:]:
            word, _, value = line.partition(" ")
            assert re.fullmatch(r"[A-Za-z0-9-]+", word), "keyword %r (clients.md S4)" % word
            assert word.upper() not in self.extensions, "%s offered twice" % word
            self.extensions[word.upper()] = value
        return reply

    def starttls(self, hello="client.example"):
        self.cmd("STARTTLS", 220)
        self.start_tls()
        if hello:
            self.hello(hello)

    def login(self, user, password):
        return self.cmd("AUTH PLAIN " + base64.b64encode(b"\0%s\0%s" % (user.encode(), password.encode())).decode())

    def envelope(self, sender, recipients, options=""):
        """MAIL and RCPT, all of which must be taken."""
        self.cmd("MAIL FROM:<%s>%s" % (sender, options and " " + options), 250)
        for r in [recipients] if isinstance(recipients, str) else recipients:
            self.cmd("RCPT TO:<%s>" % r, 250)

    def content(self, message):
        """The octets of DATA with its dots doubled and the end."""
        message = message if isinstance(message, bytes) else message.encode()
        body = re.sub(rb"(^|\r\n)\.", rb"\1..", message)
        return body + (b"" if body.endswith(b"\r\n") or not body else b"\r\n") + b".\r\n"

    def data(self, message, recipients=1):
        """DATA and the message; one Reply, in LMTP a list of as many as there are recipients."""
        self.cmd("DATA", 354)
        self.send(self.content(message))
        return [self.reply() for _ in range(recipients)] if self.lmtp else self.reply()

    def deliver(self, sender, recipients, message, options=""):
        recipients = [recipients] if isinstance(recipients, str) else recipients
        self.envelope(sender, recipients, options)
        replies = self.data(message, len(recipients))
        for r in replies if self.lmtp else [replies]:
            assert r.code == 250, r
        return replies
