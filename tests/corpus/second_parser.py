"""A message as Python's email package sees it, in the terms of IMAP: the second opinion about ENVELOPE, BODYSTRUCTURE and parts.

`compare(message, envelope, bodystructure)` gives a list of (class, place, ours, theirs). The classes and their reasons are in differences.md; a difference whose cause
is not recognised has the class "unexplained", which is a bug.
"""
import email.feedparser
import email.policy
import email.utils
import re
from unittest import mock

FIELDS = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")


class Part:
    """type, subtype and encoding are lower case; body is the raw octets of a leaf, None where Python does not keep them."""

    def __init__(self):
        self.children, self.inner, self.body = [], None, None


def octets(text):
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def unfolded(value):
    """A field's value without its line ends and NULs, as an ENVELOPE has it; None stays."""
    return None if value is None else re.sub(rb"[\r\n\0\x01]", b"", octets(value)).strip(b" \t\r\n")


def raw_field(m, name):
    for key, value in m._headers:
        if key.lower() == name:
            return unfolded(str.__str__(value) if isinstance(value, str) else str(value))
    return None


class Parser(email.feedparser.BytesFeedParser):
    """Python's parser with our two rules of lines, so that what lies behind them is compared, too: a head ends at its empty line, not at the first line that is
    no field (such lines are skipped), and CR alone ends no line."""

    def _parse_headers(self, lines):
        super()._parse_headers([self.field(line) for line in lines])

    @staticmethod
    def field(line):
        name, colon, value = line.partition(":")
        if line[0] in " \t":
            return line
        if not colon or not name.strip(" \t") or "\n" in name or name.rstrip(" \t").startswith("From "):
            return ":" + line
        return name.rstrip(" \t") + colon + value


ANY_LINE = re.compile(r"^(?!\r?\n)")
LONE_CR = b"\x01"


def parse(message):
    parser = Parser(policy=email.policy.compat32)
    with mock.patch.object(email.feedparser, "headerRE", ANY_LINE):
        parser.feed(re.sub(rb"\r(?!\n)", LONE_CR, message))
        return tree(parser.close())


def tree(m):
    p = Part()
    p.message = m
    p.type, p.subtype = m.get_content_maintype(), m.get_content_subtype()
    p.encoding = (raw_field(m, "content-transfer-encoding") or b"").split(b";")[0].split(b"(")[0].strip().lower() or b"7bit"
    p.id, p.description, p.md5 = (raw_field(m, n) for n in ("content-id", "content-description", "content-md5"))
    payload = m._payload  # get_payload() would read it with its charset
    if p.type == "multipart" and isinstance(payload, list):
        p.children = [tree(x) for x in payload]
    elif p.type == "message" and p.subtype in ("rfc822", "global") and isinstance(payload, list):
        p.inner = tree(payload[0]) if payload else None
    elif isinstance(payload, str):
        p.body = octets(payload)
    return p


def parameters(m, header):
    """name → octets: continuations joined, charset'language'text decoded but not converted."""
    value = raw_field(m, header)
    if value is None:
        return {}
    alone = email.message.Message()
    alone._headers = [(header, value.decode("latin-1"))]  # octets as they stand
    params = {}
    for name, text in alone.get_params(failobj=[], header=header, unquote=True)[1:]:
        params.setdefault(name.lower(), (text[2] if isinstance(text, tuple) else text).encode("latin-1", "replace"))
    return {k: v for k, v in params.items() if k}


# --- ours, as the strict parser of responses gives it

def ours(b):
    p = Part()
    if isinstance(b[0], list):
        n = 0
        while n < len(b) and isinstance(b[n], list) and (n == 0 or b.tight[n]):
            p.children.append(ours(b[n]))
            n += 1
        p.type, p.subtype = "multipart", low(b[n])
        p.params = pairs(b[n + 1])
        p.disposition = b[n + 2]
        return p
    p.type, p.subtype, p.params, p.id, p.description, p.encoding, p.size = low(b[0]), low(b[1]), pairs(b[2]), b[3], b[4], bytes(b[5]).lower(), int(b[6])
    n = 7
    if p.type == "message" and p.subtype in ("rfc822", "global"):
        p.envelope, p.inner, p.lines = b[7], ours(b[8]), int(b[9])
        n = 10
    elif p.type == "text":
        p.lines = int(b[7])
        n = 8
    p.md5, p.disposition = b[n], b[n + 1]
    return p


def low(v):
    return bytes(v).lower().decode("latin-1")


def pairs(v):
    return {low(v[i]): bytes(v[i + 1]) for i in range(0, len(v), 2)} if v else {}


def paths(part, prefix=""):
    """(section, part) of every leaf and message of our tree, numbered as RFC 9051 6.4.5.1 says."""
    if not part.children:
        yield from paths_below(part, (prefix + ".1").lstrip("."))
        return
    for i, child in enumerate(part.children, 1):
        here = ("%s.%d" % (prefix, i)).lstrip(".")
        if child.children:
            yield from paths(child, here)
        else:
            yield from paths_below(child, here)


def paths_below(part, here):
    yield here, part
    if part.inner is not None:
        yield from paths(part.inner, here)


# --- comparing

class Comparison:
    def __init__(self, message):
        self.message, self.found = message, []

    def differ(self, kind, place, mine, theirs):
        self.found.append((kind, place, mine, theirs))

    def envelope(self, place, e, m):
        if e is None:
            return
        for i, name in enumerate(FIELDS):
            theirs = raw_field(m, name)
            if i in (0, 1, 8, 9):
                mine = None if e[i] is None else bytes(e[i])
                if mine != theirs:
                    self.differ(self.text_class(mine, theirs), "%s %s" % (place, name), mine, theirs)
            elif not (name in ("sender", "reply-to") and not theirs):
                self.addresses("%s %s" % (place, name), e[i], theirs)

    def text_class(self, mine, theirs):
        if mine and theirs and len(theirs) > 60000 and theirs.startswith(mine[:60000]):
            return "field-limit"
        return "unexplained"

    def addresses(self, place, mine, theirs):
        group, flat = False, []
        for a in mine or []:
            if a[3] is None:
                group = a[2] is not None
                continue
            flat.append((bytes(a[2] or b"") + b"@" + bytes(a[3])).strip())
        value = (theirs or b"").decode("latin-1")
        want = [a.encode("latin-1") for _, a in email.utils.getaddresses([value]) if a]
        plain = lambda l: [re.sub(rb"[\s\"\\]", b"", x).lower().rstrip(b"@") for x in l]
        if plain(flat) != plain(want):
            self.differ(self.address_class(value, mine), place, flat, want)

    def address_class(self, value, mine):
        if mine and len(mine) > 900:
            return "address-limit"
        bare = re.sub(r'"(\\.|[^"\\])*"', "q", value)
        while re.search(r"\([^()]*\)", bare):
            bare = re.sub(r"\([^()]*\)", " ", bare)
        if re.search(r"(?:^|[,:;])\s*[^\s@<,:;]+(?:\s+[^\s@<,:;]+)*\s*(?:$|[,;])", bare):
            return "address-without-at"
        if re.search(r"<[^>]*[\s<:,]|>[^,;]*[^,;\s]|<[^>]*$|^[^<]*>|@[^,;<]*@|[()\"\[\]\\;:]|@\s*[,>]|\S\s+\S+@[^<]*$|@\S+\s[^<]*<|@\S*\s+\S", bare):
            return "address-malformed"
        return "unexplained"

    def structure(self, place, p, q):
        """p ours, q Python's."""
        if q.type == "multipart" and not q.children and not p.children and p.type == "application":
            return  # a multipart without parts: opaque here, text there
        if len(p.children) != len(q.children) or (p.inner is None) != (q.inner is None) or (p.type, p.subtype) != (q.type, q.subtype):
            self.differ(self.shape_class(p, q), place, self.shape(p), self.shape(q))
            return
        for i, (a, b) in enumerate(zip(p.children, q.children), 1):
            self.structure("%s.%d" % (place, i), a, b)
        if p.inner is not None:
            self.envelope(place, p.envelope, q.inner.message)
            self.structure(place + ".m", p.inner, q.inner)
        self.params(place, p.params, parameters(q.message, "content-type"), p)
        if p.children:
            return
        for name in ("id", "description", "md5", "encoding"):
            mine, theirs = getattr(p, name), getattr(q, name)
            mine = None if mine is None else bytes(mine)
            if mine != theirs:
                self.differ(self.text_class(mine, theirs), place + " " + name, mine, theirs)
        if q.body is not None and p.size != len(q.body):
            self.differ(self.size_class(p, q), place + " size", p.size, len(q.body))
        elif q.body is not None and p.type == "text" and p.lines != q.body.count(b"\n"):
            self.differ("unexplained", place + " lines", p.lines, q.body.count(b"\n"))

    def params(self, place, mine, theirs, p):
        if p.type == "text" and mine == {"charset": b"us-ascii"} and not theirs:
            return
        want = theirs
        got = {}
        for k, v in mine.items():
            star = k.endswith("*")
            name = k.rstrip("*") if star else k
            if star and v.count(b"'") >= 2:
                v = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), v.split(b"'", 2)[2])
            got[name] = v
        strip = lambda d: {k: re.sub(rb"[\s\\\"]", b"", v) for k, v in d.items() if k}
        if strip(got) != strip(want):
            self.differ(self.params_class(p), place + " parameters", got, want)

    def params_class(self, p):
        if any(re.match(rb"[^;(]*[^;(\s]\s+[^;(\s]", raw_field(m, "content-type") or b"") for m in self.theirs.message.walk()):
            return "semicolon-forgotten"
        return "parameters-malformed"

    def size_class(self, p, q):
        if p.size - len(q.body) in (1, 2) and self.defect("CloseBoundaryNotFound", "StartBoundaryNotFound"):
            return "end-missing"
        if re.search(rb"\n--[^\r\n]+--[^\r\n-][^\r\n]*\r?(\n|$)", self.message) and p.size < len(q.body):
            return "closing-line-says-more"
        if p.size == 0 and self.empty_part():
            return "empty-part"
        return "unexplained"

    def defect(self, *names):
        """Did Python note one of these defects in any part?"""
        return any(n in type(d).__name__ for m in self.theirs.message.walk() for d in m.defects for n in names)

    def shape_class(self, p, q):
        if (p.type, p.subtype) == ("application", "octet-stream") and q.type == "message" and q.inner is not None:
            return "encoded-message"
        if re.search(r"[^!#-'*+\-.0-9A-Z^-~]", q.type + q.subtype):
            return "type-unreadable"
        if any(re.match(rb"[^;(]*[^;(\s]\s+[^;(\s]", re.sub(rb"\s*/\s*", b"/", raw_field(m, "content-type") or b"")) for m in self.theirs.message.walk()):
            return "semicolon-forgotten"
        names = [b for m in self.theirs.message.walk() for b in re.findall(r'(?is)boundary\s*=\s*"?([^";]*)', str(m._headers))]
        if any(re.search(r"[\n\r]", b) or "\\n" in b for b in names):
            return "boundary-folded"
        if any(a.strip() == b.strip() or b.strip().startswith(a.strip()) for i, a in enumerate(names) for b in names[:i] + names[i + 1:]):
            return "boundary-shared"
        if self.empty_part():
            return "empty-part"
        return "unexplained"

    def empty_part(self):
        """Two delimiters one behind the other: a part of nothing here, one delimiter there."""
        return re.search(rb"\n(--[^\r\n]+)\r?\n\1(?:--)?[ \t]*(?:\r?\n|$)", self.message) is not None

    def shape(self, p):
        return "%s/%s(%s)%s" % (p.type, p.subtype, " ".join(self.shape(c) for c in p.children), "+" + self.shape(p.inner) if p.inner is not None else "")


def compare(message, envelope, bodystructure):
    q = parse(message)
    c = Comparison(message)
    c.theirs = q
    c.envelope("", envelope, q.message)
    c.structure("", ours(bodystructure), q)
    return c.found
