"""The ManageSieve client of the tests (RFC 5804)."""
import base64
import re

from .dialogue import Dialogue, ProtocolError

ANSWER = re.compile(rb'^(OK|NO|BYE)(?: \(((?:[^()"]|"(?:[^"\\]|\\.)*")*)\))?(?: (.*))?$', re.S)


class Answer:
    def __init__(self, word, code, text, lines):
        self.word, self.code, self.text, self.lines = word, code, text, lines

    def __repr__(self):
        return "<%s %s %r %r>" % (self.word, self.code, self.text, self.lines)


class ManageSieve(Dialogue):
    def __init__(self, port, greet=True, **more):
        super().__init__(port, **more)
        if greet:
            self.greeting = self.answer()
            assert self.greeting.word == "OK", self.greeting

    def _string(self, raw):
        m = re.fullmatch(rb"\{(\d+)\}", raw)
        if m:
            data = self.exactly(int(m.group(1)))
            return data, self.line()
        m = re.match(rb'"((?:[^"\\\r\n]|\\["\\])*)"', raw)
        if not m:
            raise ProtocolError("not a string: %r" % raw[:200])
        return re.sub(rb"\\(.)", rb"\1", m.group(1)), raw[m.end():]

    def answer(self):
        """Lines of strings up to OK, NO or BYE: a list of lists of words."""
        lines = []
        while True:
            raw = self.line()
            m = ANSWER.match(raw)
            if m:
                text = self._string(m.group(3))[0].decode() if m.group(3) else ""
                return Answer(m.group(1).decode(), m.group(2).decode() if m.group(2) else None, text, lines)
            words = []
            while raw:
                if raw[:1] in (b'"', b"{"):
                    word, raw = self._string(raw)
                    words.append(word.decode())
                else:
                    word, _, raw = raw.partition(b" ")
                    words.append(word.decode())
                raw = raw.lstrip(b" ")
            lines.append(words)

    def cmd(self, line):
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.answer()

    def ok(self, line):
        a = self.cmd(line)
        assert a.word == "OK", "OK expected for %r: %r" % (line[:80], a)
        return a

    def no(self, line, code=None):
        a = self.cmd(line)
        assert a.word == "NO" and (code is None or a.code == code), "NO %s expected for %r: %r" % (code, line[:80], a)
        return a

    def login(self, user, password):
        return self.ok('AUTHENTICATE "PLAIN" "%s"' % base64.b64encode(b"\0%s\0%s" % (user.encode(), password.encode())).decode())

    def put(self, name, script):
        data = script.encode()
        return self.cmd(b'PUTSCRIPT "%s" {%d+}\r\n%s' % (name.encode(), len(data), data))

    def starttls(self):
        self.ok("STARTTLS")
        self.start_tls()
        return self.answer()

    @property
    def scripts(self):
        return {line[0]: line[1:] == ["ACTIVE"] for line in self.ok("LISTSCRIPTS").lines}
