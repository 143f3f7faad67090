"""The IMAP client of the tests: sends what it is told, parses every answer strictly.

    c = server.imap("budi", select="INBOX")
    r = c.ok("FETCH 1 (UID FLAGS)")       # fails unless the tagged answer is OK
    r.fetches[1]["UID"]
    r = c.no("COPY 1 Missing"); r.code == ("TRYCREATE", [])
    c.ok("APPEND INBOX", Literal(message))
"""
import base64
import re
import zlib

from .dialogue import Dialogue, ProtocolError
from .response import Response, code_and_text, parse_untagged


class Literal:
    """A literal to send. mode: "sync" waits for `+`, "plus" sends {n+}, "binary" ~{n}, "binary+" ~{n+}."""

    def __init__(self, data, mode="sync"):
        self.data = data if isinstance(data, bytes) else data.encode()
        self.mode = mode

    def head(self):
        tilde = b"~" if self.mode.startswith("binary") else b""
        plus = b"+" if self.mode in ("plus", "binary+") else b""
        return b"%s{%d%s}\r\n" % (tilde, len(self.data), plus)


class Reply:
    """The answer to a command: status, code, text of the tagged line, and what came before it."""

    def __init__(self, status, code, text, untagged):
        self.status, self.code, self.text, self.untagged = status, code, text, untagged

    @property
    def fetches(self):
        """By sequence number; the items of several FETCH responses for one message are merged."""
        out = {}
        for u in self.untagged:
            if u.name == "FETCH":
                out.setdefault(u.number, {}).update(u.value)
        return out

    @property
    def by_uid(self):
        return {items["UID"]: items for items in self.fetches.values() if "UID" in items}

    def all(self, name):
        return [u for u in self.untagged if u.name == name]

    def one(self, name):
        found = self.all(name)
        assert len(found) == 1, "%d %s responses in %r" % (len(found), name, self.untagged)
        return found[0]

    @property
    def search(self):
        return self.one("SEARCH").value

    @property
    def code_name(self):
        return self.code[0] if self.code else None

    def codes(self):
        """Response codes of untagged OK/NO/BAD and of the tagged line: name → arguments."""
        out = {u.value[0]: u.value[1] for u in self.untagged if u.name in ("OK", "NO", "BAD") and u.value}
        if self.code:
            out[self.code[0]] = self.code[1]
        return out

    @property
    def expunged(self):
        return [u.number for u in self.untagged if u.name == "EXPUNGE"]

    def __repr__(self):
        return "<Reply %s %r %r %r>" % (self.status, self.code, self.text, self.untagged)


class Imap(Dialogue):
    def __init__(self, port, tls=False, greet=True, **more):
        super().__init__(port, tls, **more)
        self.count, self.utf8, self.exists = 0, False, None
        self.inflate = self.deflate = None
        if greet:
            self.greeting = self.untagged()
            assert self.greeting.name in ("OK", "PREAUTH"), self.greeting

    # --- bytes, through DEFLATE when it is on

    def send(self, data):
        if self.deflate:
            data = data.encode() if isinstance(data, str) else data
            self.transcript.append((">", bytes(data)))
            self.socket.sendall(self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH))
        else:
            super().send(data)

    def _fill(self):
        if not self.inflate:
            return super()._fill()
        while True:
            data = self.socket.recv(262144)
            if not data:
                return False
            plain = self.inflate.decompress(data)
            if plain:
                self.buffer += plain
                return True

    def compress(self):
        self.ok("COMPRESS DEFLATE")
        self.deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.inflate = zlib.decompressobj(-15)

    # --- responses

    def response(self):
        """The octets of one response, its literals included, without the last CR LF."""
        out = bytearray()
        while True:
            line = self.line()
            out += line
            m = re.search(rb"\{(\d+)\}$", line)
            if not m:
                return bytes(out)
            out += b"\r\n"
            out += self.exactly(int(m.group(1)))

    def untagged(self):
        data = self.response()
        if not data.startswith(b"* "):
            raise ProtocolError("untagged response expected: %r" % data[:100])
        return self._take(data)

    def _take(self, data):
        u = parse_untagged(data[2:], self.utf8)
        if u.name == "EXISTS":
            self.exists = u.number
        elif u.name == "EXPUNGE":
            if self.exists is not None:
                assert u.number <= self.exists, "EXPUNGE %d of %d messages" % (u.number, self.exists)
                self.exists -= 1
        elif u.name == "FETCH" and self.exists is not None:
            assert u.number <= self.exists, "FETCH %d of %d messages" % (u.number, self.exists)
        return u

    def collect(self, tag):
        """Everything up to the tagged answer."""
        got = []
        while True:
            data = self.response()
            if data.startswith(b"* "):
                got.append(self._take(data))
                continue
            if data.startswith(b"+"):
                raise ProtocolError("continuation where none was asked for: %r" % data)
            r = Response(data, self.utf8)
            found = r.word()
            if found != tag:
                raise ProtocolError("answer to %s expected: %r" % (tag, data[:100]))
            r.expect(b" ")
            status = r.word()
            if status not in ("OK", "NO", "BAD"):
                raise ProtocolError("tagged %s" % status)
            if not r.done():
                r.expect(b" ")
            code, text = code_and_text(r)
            return Reply(status, code, text, got)

    def continuation(self, tag=None):
        """Waits for `+`; a Reply instead means that the server refused."""
        got = []
        while True:
            data = self.response()
            if data.startswith(b"+ ") or data == b"+":
                if data == b"+":
                    raise ProtocolError("`+` without its blank (clients.md I40)")
                self.early = got
                return data[2:]
            if data.startswith(b"* "):
                got.append(self._take(data))
                continue
            self.buffer[:0] = data + b"\r\n"
            return self.collect(tag)

    # --- commands

    def tag(self):
        self.count += 1
        return "t%d" % self.count

    def start(self, *pieces):
        """Sends a command without waiting for its answer; gives the tag. Literals must not be synchronising."""
        tag = self.tag()
        self.send(tag.encode() + b" " + self._join(pieces))
        return tag

    @staticmethod
    def _join(pieces):
        out = bytearray()
        for p in pieces:
            if isinstance(p, Literal):
                assert p.mode != "sync" and p.mode != "binary"
                out += b" " if out[-1:] != b" " else b""
                out += p.head() + p.data
            else:
                out += p if isinstance(p, bytes) else p.encode("utf-8", "surrogateescape")
        return bytes(out) + b"\r\n"

    def cmd(self, *pieces):
        """A command of text and Literal pieces (a blank is put before a literal); gives the Reply, whatever it says."""
        tag = self.tag()
        self.early = []
        out = bytearray(tag.encode() + b" ")
        for p in pieces:
            if not isinstance(p, Literal):
                out += p if isinstance(p, bytes) else p.encode("utf-8", "surrogateescape")
                continue
            if out[-1:] not in (b" ", b"(") and p.mode != "glued":
                out += b" "
            out += p.head()
            if p.mode in ("sync", "binary"):
                self.send(bytes(out))
                out.clear()
                got = self.continuation(tag)
                if isinstance(got, Reply):
                    return got
            out += p.data
        self.send(bytes(out) + b"\r\n")
        early = self.early
        reply = self.collect(tag)
        reply.untagged[:0] = early
        return reply

    def ok(self, *pieces):
        return self.want("OK", pieces)

    def no(self, *pieces):
        return self.want("NO", pieces)

    def bad(self, *pieces):
        return self.want("BAD", pieces)

    def want(self, status, pieces):
        reply = self.cmd(*pieces)
        assert reply.status == status, "%s expected for %r: %r" % (status, pieces[0][:80], reply)
        return reply

    def login(self, user, password):
        return self.ok('LOGIN "%s" "%s"' % (user, password.replace("\\", "\\\\").replace('"', '\\"')))

    def starttls(self):
        self.ok("STARTTLS")
        self.start_tls()

    def select(self, mailbox, examine=False, more=""):
        self.exists = None
        return self.ok(("EXAMINE " if examine else "SELECT ") + mailbox + more)

    def append(self, mailbox, message, flags="", date=None, mode="sync"):
        """Gives the UID of the new message."""
        args = "APPEND " + mailbox + (" (%s)" % flags if flags else "") + (' "%s"' % date if date else "")
        reply = self.ok(args, Literal(message, mode))
        name, value = reply.code
        assert name == "APPENDUID", reply
        return int(value[1])

    def capabilities(self):
        return [c.upper() for c in self.ok("CAPABILITY").one("CAPABILITY").value]

    def uids(self):
        return self.ok("UID SEARCH ALL").search

    def body(self, uid):
        return self.ok("UID FETCH %d BODY.PEEK[]" % uid).by_uid[uid]["BODY[]"]

    def sasl(self, mechanism, steps, initial=True):
        """AUTHENTICATE; steps takes the server's octets (None at first) and gives ours, or b"*" to abort."""
        tag = self.tag()
        line = "%s AUTHENTICATE %s" % (tag, mechanism)
        if initial:
            first = steps(None)
            line += " " + (base64.b64encode(first).decode() or "=")
        self.send(line + "\r\n")
        while True:
            got = self.continuation(tag)
            if isinstance(got, Reply):
                return got
            answer = steps(base64.b64decode(got, validate=True))
            self.send((b"*" if answer == b"*" else base64.b64encode(answer)) + b"\r\n")

    # --- IDLE

    def idle(self):
        tag = self.tag()
        self.send(tag + " IDLE\r\n")
        got = self.continuation(tag)
        assert not isinstance(got, Reply), got
        self.idle_tag = tag

    def done(self):
        self.send("DONE\r\n")
        return self.collect(self.idle_tag)
