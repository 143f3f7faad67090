"""A strict parser of IMAP responses, written from the grammar of RFC 9051 section 9 and RFC 3501, 7162, 4466, 4731.

It is stricter than any client: one space where the grammar has one, quoted strings without 8-bit (unless UTF8=ACCEPT or IMAP4rev2 is enabled), numbers
in range, an ENVELOPE of ten fields, a BODYSTRUCTURE whose every field has its type. What it takes, every client takes.
"""
import re

from .dialogue import ProtocolError


class Atom(str):
    """An atom, flag or number as it stood on the wire."""


class Quoted(bytes):
    pass


class Literal(bytes):
    pass


class Parens(list):
    """A parenthesised list; tight[i] says that nothing stood between the items i-1 and i."""

    def __init__(self):
        super().__init__()
        self.tight = []


ATOM_END = set(b'(){ %*"\\]\x7f') | set(range(0x20)) | set(range(0x80, 0x100))
NZ = r"[1-9][0-9]*"


def fail(why, data, at):
    raise ProtocolError("IMAP response: %s at octet %d: %r" % (why, at, bytes(data[max(0, at - 60):at + 60])))


class Response:
    """The octets of one response (with its literals) and a place in them."""

    def __init__(self, data, utf8=False):
        self.data, self.at, self.utf8 = data, 0, utf8

    def fail(self, why):
        fail(why, self.data, self.at)

    def done(self):
        return self.at >= len(self.data)

    def peek(self, text):
        return self.data.startswith(text, self.at)

    def expect(self, text):
        if not self.peek(text):
            self.fail("%r expected" % text)
        self.at += len(text)

    def rest(self):
        data = self.data[self.at:]
        self.at = len(self.data)
        return data

    def word(self):
        """Octets up to a space or the end: tags, names, numbers."""
        end = self.data.find(b" ", self.at)
        end = len(self.data) if end < 0 else end
        word = self.data[self.at:end]
        if not word or any(o < 0x21 or o > 0x7e for o in word):
            self.fail("word expected")
        self.at = end
        return word.decode("ascii")

    def atom(self, also=b""):
        start = self.at
        while self.at < len(self.data) and (self.data[self.at] not in ATOM_END or self.data[self.at] in also):
            self.at += 1
        if start == self.at:
            self.fail("atom expected")
        return Atom(self.data[start:self.at].decode("ascii"))

    def quoted(self):
        self.expect(b'"')
        out = bytearray()
        while True:
            if self.done():
                self.fail("unfinished quoted string")
            o = self.data[self.at]
            self.at += 1
            if o == 0x22:
                break
            if o == 0x5c:
                if self.done() or self.data[self.at] not in b'"\\':
                    self.fail("a backslash before neither quote nor backslash")
                o = self.data[self.at]
                self.at += 1
            elif o in (0, 10, 13) or (o >= 0x80 and not self.utf8):
                self.fail("octet %02x in a quoted string" % o)
            out.append(o)
        if self.utf8:
            bytes(out).decode("utf-8")
        return Quoted(out)

    def literal(self):
        m = re.compile(rb"(~?)\{(0|[1-9][0-9]*)\}\r\n").match(self.data, self.at)
        if not m:
            self.fail("literal expected")
        n = int(m.group(2))
        if m.end() + n > len(self.data):
            self.fail("literal that is longer than the response")
        value = self.data[m.end():m.end() + n]
        if not m.group(1) and 0 in value:
            self.fail("NUL in a literal that is no literal8")
        self.at = m.end() + n
        return Literal(value)

    def string(self):
        return self.quoted() if self.peek(b'"') else self.literal()

    def value(self):
        """Whatever stands here: NIL, number, atom, flag, string or list."""
        if self.done():
            self.fail("value expected")
        o = self.data[self.at:self.at + 1]
        if o == b"(":
            return self.parens()
        if o == b'"':
            return self.quoted()
        if o == b"{" or self.peek(b"~{"):
            return self.literal()
        if o == b"\\":
            self.at += 1
            if self.peek(b"*"):
                self.at += 1
                return Atom("\\*")
            return Atom("\\" + self.atom())
        word = self.atom(also=b"]" if False else b"")
        return None if word.upper() == "NIL" else word

    def parens(self):
        """A list, without recursion: the depth is the server's."""
        self.expect(b"(")
        top = now = Parens()
        stack = []
        while True:
            if self.peek(b")"):
                self.at += 1
                if not stack:
                    return top
                now = stack.pop()
                continue
            tight = True
            if now and self.peek(b" "):
                self.at += 1
                tight = False
            if not now and self.peek(b" "):
                self.fail("space after an opening parenthesis")
            if now and tight and not self.peek(b"("):
                self.fail("space expected")
            now.tight.append(tight)
            if self.peek(b"("):
                self.at += 1
                inner = Parens()
                now.append(inner)
                stack.append(now)
                now = inner
                if len(stack) > 2000:
                    self.fail("nesting deeper than 2000")
            else:
                now.append(self.value())


class Untagged:
    """`* 12 FETCH …` is Untagged(12, "FETCH", {…}); `* LIST …` has its values as a list."""

    def __init__(self, number, name, value, text=""):
        self.number, self.name, self.value, self.text = number, name, value, text

    def __repr__(self):
        return "<%s%s %r>" % ("" if self.number is None else "%d " % self.number, self.name, self.value)


SET = re.compile(r"^(\d+|\*)(:(\d+|\*))?(,(\d+|\*)(:(\d+|\*))?)*$")


def numbers(text):
    """The numbers of a set like 1:3,7 in the order written."""
    if not SET.match(text):
        raise ProtocolError("not a set: %r" % text)
    out = []
    for part in text.split(","):
        lo, _, hi = part.partition(":")
        lo, hi = int(lo), int(hi or lo)
        out += range(lo, hi + 1) if lo <= hi else range(hi, lo + 1)
    return out


def code_and_text(r):
    """resp-text: an optional [CODE …] and human text."""
    code = None
    if r.peek(b"["):
        r.at += 1
        name = r.atom(also=b"")
        args = []
        while not r.peek(b"]"):
            r.expect(b" ")
            if name.upper() in ("APPENDUID", "COPYUID", "MODIFIED", "HIGHESTMODSEQ", "UIDNEXT", "UIDVALIDITY", "UNSEEN"):
                args.append(r.atom(also=b"*"))
            else:
                args.append(r.value())
        r.expect(b"]")
        code = (name.upper(), args)
        if not r.done():
            r.expect(b" ")
    text = r.rest()
    if any(o in (0, 10, 13) for o in text):
        raise ProtocolError("line end inside the text %r" % text)
    return code, text.decode("utf-8", "strict")


def number(r, most=2 ** 63 - 1):
    m = re.compile(rb"0|[1-9][0-9]*").match(r.data, r.at)
    if not m or int(m.group()) > most:
        r.fail("number expected")
    r.at = m.end()
    return int(m.group())


SECTION = re.compile(rb"(BODY|BINARY|BINARY\.SIZE)\[", re.I)


def fetch_items(r):
    """msg-att: name SP value pairs. Keys are upper case; BODY[…] keeps its section, `<origin>` included."""
    items = {}
    r.expect(b"(")
    while True:
        m = SECTION.match(r.data, r.at)
        if m:
            r.at = m.end()
            name = m.group().decode().upper()
            while not r.peek(b"]"):
                if r.peek(b"("):
                    name += "(" + " ".join(v.decode() if isinstance(v, bytes) else v for v in r.parens()) + ")"
                elif r.peek(b" "):
                    r.at += 1
                    name += " "
                else:
                    name += r.atom().upper()
            r.at += 1
            name += "]"
            if r.peek(b"<"):
                r.at += 1
                name += "<%d>" % number(r)
                r.expect(b">")
        else:
            name = r.atom().upper()
        r.expect(b" ")
        if name in items:
            r.fail("%s given twice" % name)
        items[name] = fetch_value(r, name)
        if r.peek(b")"):
            r.at += 1
            break
        r.expect(b" ")
    return items


def fetch_value(r, name):
    if name in ("UID",):
        n = number(r, 2 ** 32 - 1)
        return n if n else r.fail("UID 0")
    if name in ("RFC822.SIZE",) or name.startswith("BINARY.SIZE["):
        return number(r)
    if name == "MODSEQ":
        r.expect(b"(")
        n = number(r)
        r.expect(b")")
        return n
    if name == "FLAGS":
        flags = r.parens()
        for f in flags:
            if not isinstance(f, Atom):
                r.fail("flag that is no atom")
        if len({f.lower() for f in flags}) != len(flags):
            r.fail("flag given twice")
        return set(flags)
    if name == "INTERNALDATE":
        text = r.quoted().decode()
        if not re.match(r"^[ 0123]\d-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4} \d\d:\d\d:\d\d [+-]\d{4}$", text):
            r.fail("INTERNALDATE %r" % text)
        return text
    if name == "ENVELOPE":
        start = r.at
        value = r.parens()
        check_envelope(value, r, start)
        return value
    if name in ("BODY", "BODYSTRUCTURE"):
        start = r.at
        value = r.parens()
        check_body(value, r, start, name == "BODYSTRUCTURE")
        return value
    if name in ("RFC822", "RFC822.HEADER", "RFC822.TEXT") or name.startswith(("BODY[", "BINARY[")):
        if r.peek(b"NIL"):
            r.at += 3
            return None
        value = r.string()
        if name.startswith("BODY[") and isinstance(value, Quoted) and len(value) > 4096:
            r.fail("long quoted body")
        return value
    return r.value()


def is_nstring(v):
    return v is None or isinstance(v, (Quoted, Literal))


def is_string(v):
    return isinstance(v, (Quoted, Literal))


def check_envelope(e, r, at):
    def bad(why):
        fail("ENVELOPE: " + why, r.data, at)
    if len(e) != 10:
        bad("%d fields" % len(e))
    if any(e.tight[1:]):
        bad("space missing")
    for i in (0, 1, 8, 9):
        if not is_nstring(e[i]):
            bad("field %d is no string" % i)
    for i in range(2, 8):
        if e[i] is None:
            continue
        if not isinstance(e[i], Parens) or not e[i]:
            bad("address list %d" % i)
        if not all(e[i].tight):
            bad("space between addresses")
        for a in e[i]:
            if not isinstance(a, Parens) or len(a) != 4 or any(a.tight[1:]) or not all(is_nstring(x) for x in a):
                bad("address")
            if a[3] is None and a[0] is not None:
                bad("group with a display name")


def check_params(p, bad):
    if p is None:
        return
    if not isinstance(p, Parens) or not p or len(p) % 2 or not all(is_string(x) for x in p):
        bad("parameters")


def check_extension(ext, bad):
    """body-ext-1part / -mpart after the first field: dsp, lang, loc, …"""
    if len(ext) > 0 and ext[0] is not None:
        d = ext[0]
        if not isinstance(d, Parens) or len(d) != 2 or not is_string(d[0]):
            bad("disposition")
        check_params(d[1], bad)
    if len(ext) > 1 and not is_nstring(ext[1]):
        if not isinstance(ext[1], Parens) or not ext[1] or not all(is_string(x) for x in ext[1]):
            bad("language")
    if len(ext) > 2 and not is_nstring(ext[2]):
        bad("location")


def check_body(top, r, at, extended):
    def bad(why):
        fail("BODYSTRUCTURE: " + why, r.data, at)
    todo = [top]
    while todo:
        b = todo.pop()
        if not isinstance(b, Parens) or not b:
            bad("a part is no list")
        if isinstance(b[0], Parens):
            n = 0
            while n < len(b) and isinstance(b[n], Parens):
                if n and not b.tight[n]:
                    break
                todo.append(b[n])
                n += 1
            if n >= len(b) or not is_string(b[n]):
                bad("multipart without subtype")
            ext = b[n + 1:]
            if ext and not extended:
                bad("extension data in BODY")
            if ext:
                check_params(ext[0], bad)
                check_extension(ext[1:], bad)
            continue
        if any(b.tight[1:]):
            bad("space missing")
        if len(b) < 7 or not is_string(b[0]) or not is_string(b[1]):
            bad("basic fields")
        check_params(b[2], bad)
        if not is_nstring(b[3]) or not is_nstring(b[4]) or not is_string(b[5]):
            bad("id, description or encoding")
        if not isinstance(b[6], Atom) or not b[6].isdigit():
            bad("octets")
        n = 7
        kind = (b[0].upper(), b[1].upper())
        if kind == (b"MESSAGE", b"RFC822") or kind == (b"MESSAGE", b"GLOBAL"):
            if len(b) < 10 or not isinstance(b[7], Parens):
                bad("message/rfc822 without envelope")
            check_envelope(b[7], r, at)
            todo.append(b[8])
            if not isinstance(b[9], Atom) or not b[9].isdigit():
                bad("lines")
            n = 10
        elif kind[0] == b"TEXT":
            if len(b) < 8 or not isinstance(b[7], Atom) or not b[7].isdigit():
                bad("text without lines")
            n = 8
        ext = b[n:]
        if ext and not extended:
            bad("extension data in BODY")
        if ext:
            if not is_nstring(ext[0]):
                bad("md5")
            check_extension(ext[1:], bad)


def parse_untagged(data, utf8=False):
    """data: the response without its last CR LF, from behind `* `."""
    r = Response(data, utf8)
    first = r.word()
    if first.isdigit():
        r.expect(b" ")
        name = r.word().upper()
        value = None
        if name == "FETCH":
            r.expect(b" ")
            value = fetch_items(r)
        elif name not in ("EXISTS", "RECENT", "EXPUNGE"):
            r.fail("unknown response")
        if not r.done():
            r.fail("more than the response has")
        if name in ("FETCH", "EXPUNGE") and int(first) == 0:
            r.fail("message 0")
        return Untagged(int(first), name, value)
    name = first.upper()
    if name in ("OK", "NO", "BAD", "BYE", "PREAUTH"):
        r.expect(b" ")
        code, text = code_and_text(r)
        return Untagged(None, name, code, text)
    if name in ("CAPABILITY", "ENABLED"):
        words = r.rest().decode("ascii")
        if words and not words.startswith(" ") or "  " in words or words.endswith(" "):
            r.fail("spaces")
        return Untagged(None, name, words.split())
    if name == "SEARCH":
        m = re.fullmatch(r"((?: %s)*)( \(MODSEQ (%s)\))?" % (NZ, NZ), r.rest().decode("ascii"))
        if not m:
            r.fail("SEARCH")
        return Untagged(None, name, [int(x) for x in m.group(1).split()], m.group(3) or "")
    if name == "ESEARCH":
        values, correlator = {}, None
        if r.peek(b" ("):
            r.at += 1
            pair = r.parens()
            if len(pair) != 2 or pair[0] != "TAG" or not is_string(pair[1]):
                r.fail("correlator")
            correlator = pair[1].decode()
        uid = False
        while not r.done():
            r.expect(b" ")
            key = r.atom().upper()
            if key == "UID" and not values:
                uid = True
                continue
            r.expect(b" ")
            values[key] = r.parens() if r.peek(b"(") else r.atom(also=b"*")
        values["UID"] = uid
        return Untagged(None, name, values, correlator or "")
    if name == "VANISHED":
        earlier = r.peek(b" (EARLIER)")
        if earlier:
            r.at += 10
        r.expect(b" ")
        return Untagged(None, name, numbers(r.rest().decode()), "EARLIER" if earlier else "")
    if name == "FLAGS":
        r.expect(b" ")
        value = [r.parens()]
    elif name in ("LIST", "LSUB", "XLIST"):
        r.expect(b" ")
        flags = r.parens()
        r.expect(b" ")
        delimiter = None if r.peek(b"NIL") else r.quoted()
        if delimiter is None:
            r.at += 3
        elif len(delimiter) != 1:
            r.fail("delimiter")
        r.expect(b" ")
        mailbox = mailbox_name(r)
        extended = None
        if r.peek(b" "):
            r.at += 1
            extended = r.parens()
        value = [flags, delimiter, mailbox, extended]
    elif name == "STATUS":
        r.expect(b" ")
        mailbox = mailbox_name(r)
        r.expect(b" ")
        pairs = r.parens()
        if len(pairs) % 2:
            r.fail("STATUS pairs")
        value = [mailbox, {str(k).upper(): v for k, v in zip(pairs[::2], pairs[1::2])}]
    else:
        value = []
        while not r.done():
            r.expect(b" ")
            value.append(r.value())
    if not r.done():
        r.fail("more than the response has")
    return Untagged(None, name, value)


def mailbox_name(r):
    if r.peek(b'"') or r.peek(b"{"):
        return bytes(r.string()).decode("utf-8")
    return str(r.atom(also=b"]%*"[:1]))
