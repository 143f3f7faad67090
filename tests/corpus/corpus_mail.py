"""Every message of the world goes in by SMTP, LMTP and APPEND and comes out by IMAP and POP3 as the same bytes; what IMAP says about it agrees with a second parser.

By a message's bytes:
  CR LF only                         DATA takes it (SMTP, LMTP), dots undone; one CR LF is added when the last line has none
  a first line "From …", or a Return-Path of its own  goes at delivery: the one is no field, the other is ours to say
  a CR or LF alone, or a NUL         BDAT refuses it with 554 5.6.0 (DATA would end the connection); BDAT with BODY=BINARYMIME takes it as it is unless the CR or LF
                                     stands in the head; APPEND takes all
  no field in its first line         an empty line stands between our fields and it, so that it stays text
  a NUL                              BODY[] has 0x80 for it (no literal may hold one), BINARY[] the byte itself; POP3 has 0x80
  a line of more than 998 octets     taken and given as it is
"""
import collections
import glob
import os
import re
import sys
import tempfile

import pytest
from kantor.imap import Literal
from kantor.plugin import People
from kantor.server import ROOT, Server

sys.path.insert(0, os.path.dirname(__file__))
import second_parser  # noqa: E402

SHARED = next((d for d in (os.path.join(ROOT, "..", "shared", "corpus", "mail"), "/work/shared/corpus/mail") if os.path.isdir(d)), None)
BATCH = 200
NOT_MAIL = (".xml", ".json", ".list", ".tnef", ".bin")  # answers that lie beside the questions: they travel, but nobody agrees about their structure


def files():
    found = sorted(glob.glob(os.path.join(ROOT, "tests", "data", "mail", "*")))
    if SHARED:
        found += sorted(f for f in glob.glob(os.path.join(SHARED, "**", "*"), recursive=True) if os.path.isfile(f))
    return found


@pytest.fixture(scope="module")
def server():
    """A server in memory: bytes are looked at here, durability elsewhere."""
    s = Server(tempfile.mkdtemp(prefix="kantor-corpus-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    s.people = People(s)
    yield s
    s.stop()
    s.remove()


@pytest.fixture(scope="module")
def messages():
    """[(name, bytes)], each content once."""
    seen = {}
    for f in files():
        with open(f, "rb") as file:
            data = file.read()
        if data:
            seen.setdefault(data, os.path.relpath(f, SHARED or ROOT))
    return [(name, data) for data, name in seen.items()]


def as_lines(data):
    """What a client of SMTP makes of it: every line end CR LF, no NUL."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data).replace(b"\0", b"")


def is_lines(data):
    return not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", data)


TRACE = re.compile(rb"Return-Path: <x@elsewhere\.example>\r\nReceived: [^\r\n]+(?:\r\n[ \t][^\r\n]*)+\r\n")


def without_trace(name, stored):
    """stored without the fields that delivery added."""
    m = TRACE.match(stored)
    assert m, (name, stored[:300])
    return stored[m.end():]


def begins_with_field(data):
    line = data.partition(b"\n")[0]
    return data[:1] in b"\r\n" or (b":" in line and line.partition(b":")[0].strip(b" \t") != b"" and line[:1] not in b" \t")


def delivered(data):
    """What delivery keeps of a message: all, but for a mailbox file's "From " line and a Return-Path."""
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    if not begins_with_field(data):
        return b"\r\n" + data
    end = re.search(rb"(?:^|\n)\r?\n", data)
    end = end.end() if end else len(data)
    return re.sub(rb"(?im)^Return-Path[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", b"", data[:end]) + data[end:]


def bodies(imap):
    """The bytes of every message of the mailbox, in order."""
    out = []
    for first in range(1, imap.exists + 1, BATCH):
        r = imap.ok("FETCH %d:%d BODY.PEEK[]" % (first, min(first + BATCH - 1, imap.exists)))
        out += [items["BODY[]"] for _, items in sorted(r.fetches.items())]
    return out


@pytest.fixture(scope="module")
def stored(server, messages):
    """The raw bytes of all messages, put into a mailbox by APPEND: the person who has them."""
    person = server.people.take()
    with server.imap(person) as c:
        for name, data in messages:
            c.transcript.clear()
            r = c.cmd("APPEND INBOX", Literal(data, "binary+" if b"\0" in data else "plus"))
            assert r.status == "OK", (name, r)
    return person


@pytest.mark.parametrize("door", ["smtp", "lmtp"])
def test_data_keeps_every_byte_behind_the_trace_fields(server, messages, person, door):
    with getattr(server, door)() as c:
        for name, data in messages:
            c.transcript.clear()
            c.send("MAIL FROM:<x@elsewhere.example> BODY=8BITMIME\r\nRCPT TO:<%s>\r\nDATA\r\n" % person)  # PIPELINING
            assert [c.reply().code for _ in range(3)] == [250, 250, 354], name
            c.send(c.content(as_lines(data)))
            assert c.reply().code == 250, name
    with server.imap(person, select="INBOX") as c:
        got = bodies(c)
    assert len(got) == len(messages)
    for (name, data), body in zip(messages, got):
        sent = as_lines(data)
        sent += b"" if sent.endswith(b"\r\n") else b"\r\n"
        assert without_trace(name, body) == delivered(sent), name


def head_is_odd(data):
    """A CR or LF alone in the head, which ends at the first empty line of either kind."""
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    if not begins_with_field(data):
        return False
    end = re.search(rb"(?:^|\n)\r?\n", data)
    return re.search(rb"\r(?!\n)|(?<!\r)\n", data[:end.end()] if end else data) is not None


def test_what_is_not_lines_needs_binarymime_and_keeps_every_byte(server, messages, person):
    odd, taken = [(n, d) for n, d in messages if not is_lines(d)], []
    with server.smtp() as c:
        for i, (name, data) in enumerate(odd):
            c.transcript.clear()
            if i % 10 == 0:
                c.envelope("x@elsewhere.example", person, "BODY=8BITMIME")
                c.send(b"BDAT %d LAST\r\n" % len(data) + data)
                r = c.reply()
                assert (r.code, r.enhanced) == (554, "5.6.0"), (name, r)
            c.envelope("x@elsewhere.example", person, "BODY=BINARYMIME")
            c.send(b"BDAT %d LAST\r\n" % len(data) + data)
            r = c.reply()
            if head_is_odd(data):
                assert (r.code, r.enhanced) == (554, "5.6.0"), (name, r)
            else:
                assert r.code == 250, (name, r)
                taken.append((name, data))
    with server.imap(person, select="INBOX") as c:
        got = bodies(c)
    assert len(got) == len(taken) > 0
    for (name, data), body in zip(taken, got):
        assert without_trace(name, body) == delivered(data).replace(b"\0", b"\x80"), name


def retrieved(c, i):
    """RETR without its dots, many lines at a time."""
    c.ok("RETR %d" % i)
    while not (c.buffer.startswith(b".\r\n") or b"\r\n.\r\n" in c.buffer):
        assert c._fill(), "closed inside a message"
    end = 0 if c.buffer.startswith(b".\r\n") else c.buffer.index(b"\r\n.\r\n") + 2
    data = c.exactly(end + 3)[:end]
    assert not re.search(rb"(?:^|\n)\.(?!\.)", data), "a dot that is not doubled"
    return re.sub(rb"(^|\n)\.", rb"\1", data)


def test_pop3_gives_every_byte_of_what_imap_took(server, messages, stored):
    with server.pop3(stored) as c:
        sizes = c.sizes()
        assert len(sizes) == len(messages)
        for i, (name, data) in enumerate(messages, 1):
            c.transcript.clear()
            want = data.replace(b"\0", b"\x80")
            got = retrieved(c, i)
            assert sizes[i] == len(data), name
            assert got in (want, want + b"\r\n", want + b"\r\n\r\n"), name


def part_items(tree):
    sections = [path for path, _ in second_parser.paths(tree)]
    return sections, " ".join("BODY.PEEK[%s] BODY.PEEK[%s.MIME]" % (s, s) for s in sections)


def test_sections_of_every_message_are_its_bytes(server, messages, stored):
    """BODY[HEADER] and BODY[TEXT] make the message, and each part's octets are the ones its structure counts."""
    with server.imap(stored, select="INBOX") as c:
        for i, (name, data) in enumerate(messages, 1):
            c.transcript.clear()
            items = c.ok("FETCH %d (RFC822.SIZE BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])" % i).fetches[i]
            want = data.replace(b"\0", b"\x80")
            assert items["RFC822.SIZE"] == len(data), name
            assert items["BODY[]"] == want and items["BODY[HEADER]"] + items["BODY[TEXT]"] == want, name
            tree = second_parser.ours(items["BODYSTRUCTURE"])
            sections, more = part_items(tree)
            if len(sections) > 60:
                sections, more = sections[:60], " ".join(more.split(" ")[:120])
            parts = c.ok("FETCH %d (%s)" % (i, more)).fetches[i]
            for path, part in list(second_parser.paths(tree))[:60]:
                body = parts["BODY[%s]" % path]
                assert len(body) == part.size and body in want, (name, path)
                assert parts["BODY[%s.MIME]" % path] in want, (name, path)


def binary_of(c, i, path):
    r = c.cmd("FETCH %d BINARY.PEEK[%s]" % (i, path))
    return r.fetches[i]["BINARY[%s]" % path] if r.status == "OK" else r.code_name


def test_structure_and_envelope_agree_with_a_second_parser(server, messages, stored):
    """Every difference has one of the classes that differences.md explains."""
    found = collections.Counter()
    unexplained = []
    explained = known_classes()
    with server.imap(stored, select="INBOX") as c:
        for first in range(1, len(messages) + 1, BATCH):
            c.transcript.clear()
            last = min(first + BATCH - 1, len(messages))
            r = c.ok("FETCH %d:%d (ENVELOPE BODYSTRUCTURE)" % (first, last))
            for i in range(first, last + 1):
                name, data = messages[i - 1]
                if name.endswith(NOT_MAIL):
                    continue
                items = r.fetches[i]
                for kind, place, mine, theirs in second_parser.compare(data, items["ENVELOPE"], items["BODYSTRUCTURE"]):
                    found[kind] += 1
                    if kind not in explained:
                        unexplained.append("%s%s [%s]: %r; Python: %r" % (name, place, kind, mine, theirs))
    print("\n%d messages; differences by class: %s" % (len(messages), dict(found.most_common())))
    for line in unexplained[:400 if os.environ.get("CORPUS_ALL") else 20]:
        print(line[:600])
    assert not unexplained, "%d differences that differences.md does not explain" % len(unexplained)


def known_classes():
    with open(os.path.join(os.path.dirname(__file__), "differences.md"), encoding="utf-8") as f:
        return set(re.findall(r"^\| `([a-z0-9-]+)` \|", f.read(), re.M))


def test_decoded_parts_agree_with_a_second_parser(server, messages, stored):
    """BINARY[n] is what Python decodes, where Python sees the same part; what cannot be decoded is UNKNOWN-CTE."""
    compared = 0
    with server.imap(stored, select="INBOX") as c:
        for first in range(1, len(messages) + 1, BATCH):
            last = min(first + BATCH - 1, len(messages))
            r = c.ok("FETCH %d:%d BODYSTRUCTURE" % (first, last))
            for i in range(first, last + 1):
                c.transcript.clear()
                name, data = messages[i - 1]
                if name.endswith(NOT_MAIL):
                    continue
                tree = second_parser.ours(r.fetches[i]["BODYSTRUCTURE"])
                mine = list(second_parser.paths(tree))
                theirs = list(second_parser.paths(second_parser.parse(data)))
                if [p for p, _ in mine] != [p for p, _ in theirs]:
                    continue  # a shape that differs: the test before names it
                for (path, part), (_, other) in zip(mine, theirs):
                    if part.encoding not in (b"base64", b"quoted-printable") or other.body is None or part.size != len(other.body) or part.inner is not None:
                        continue
                    got = binary_of(c, i, path)
                    if got == "UNKNOWN-CTE":
                        assert part.encoding == b"base64" and not re.fullmatch(rb"(?:[A-Za-z0-9+/\s]|=(?=[=\s]*$))*", other.body) or len(re.sub(rb"[\s=]", b"", other.body)) % 4, (name, path)
                        continue
                    want = other.message.get_payload(decode=True)
                    if part.encoding == b"quoted-printable" and re.search(rb"=(?![0-9A-Fa-f]{2}|\r?\n|$)|[ \t]\r?(\n|$)|=\n?$", other.body):
                        continue  # Python cuts blanks at line ends (RFC 2045 6.7 rule 3 allows it) and reads malformed escapes otherwise
                    if want == other.body:
                        continue  # Python gives up on the whole where we decode what is there
                    if got != want and part.encoding == b"base64" and re.search(rb"=[^=\s]", re.sub(rb"\s", b"", other.body)):
                        continue  # Python stops at the padding, mail clients read on (attacks.md MM-09)
                    assert got == want, (name, path, got[:200], want[:200])
                    compared += 1
    print("\n%d parts decoded alike" % compared)
    assert compared >= 2
