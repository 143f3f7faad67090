"""The POP3 client of the tests."""
import base64

from .dialogue import Closed, Dialogue, ProtocolError


class Pop3(Dialogue):
    def __init__(self, port, tls=False, greet=True, **more):
        super().__init__(port, tls, **more)
        if greet:
            self.greeting = self.reply()
            assert self.greeting[0], self.greeting

    def reply(self):
        """(True, text) for +OK, (False, text) for -ERR."""
        line = self.line()
        if line == b"+OK" or line.startswith(b"+OK "):
            return True, line[4:].decode()
        if line == b"-ERR" or line.startswith(b"-ERR "):
            return False, line[5:].decode()
        raise ProtocolError("neither +OK nor -ERR: %r" % line[:200])

    def cmd(self, line):
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def ok(self, line):
        good, text = self.cmd(line)
        assert good, "+OK expected for %r: %s" % (line, text)
        return text

    def err(self, line):
        good, text = self.cmd(line)
        assert not good, "-ERR expected for %r: %s" % (line, text)
        return text

    def lines(self):
        """A multi-line answer, its dots undone, up to the final dot; content keeps bare CR or LF as it is."""
        out = []
        while True:
            at = self.buffer.find(b"\r\n")
            while at < 0:
                if not self._fill():
                    raise Closed("closed inside a multi-line answer")
                at = self.buffer.find(b"\r\n")
            line = self.exactly(at + 2)[:-2]
            if line == b".":
                return out
            if line.startswith(b"."):
                if not line.startswith(b".."):
                    raise ProtocolError("a dot that is not doubled: %r" % line[:80])
                line = line[1:]
            out.append(line)

    def multi(self, line):
        self.ok(line)
        return self.lines()

    def capabilities(self):
        return {l.decode().split(" ")[0].upper(): l.decode().split(" ")[1:] for l in self.multi("CAPA")}

    def login(self, user, password):
        self.ok("USER " + user)
        return self.ok("PASS " + password)

    def starttls(self):
        self.ok("STLS")
        self.start_tls()

    def retr(self, n):
        return b"".join(l + b"\r\n" for l in self.multi("RETR %d" % n))

    def uidl(self):
        return {int(l.split()[0]): l.split()[1].decode() for l in self.multi("UIDL")}

    def sizes(self):
        return {int(l.split()[0]): int(l.split()[1]) for l in self.multi("LIST")}

    def auth(self, mechanism, steps, initial=True):
        """AUTH; steps as in Imap.sasl. Gives (ok, text)."""
        line = "AUTH " + mechanism
        if initial:
            line += " " + (base64.b64encode(steps(None)).decode() or "=")
        self.send(line + "\r\n")
        while True:
            got = self.line()
            if not got.startswith(b"+ "):
                self.buffer[:0] = got + b"\r\n"
                return self.reply()
            answer = steps(base64.b64decode(got[2:], validate=True))
            self.send((b"*" if answer == b"*" else base64.b64encode(answer)) + b"\r\n")
