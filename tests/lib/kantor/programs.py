"""Real programs as clients: a home of their own in the test's folder, the configuration written by the test, loopback only.

    home = Home(server, tmp_path)
    home.write(".mbsyncrc", "...")
    home.run("mbsync", "-a").ok()                # fails with what the program printed unless its status is 0
    everything(server, person)                   # {mailbox: [Stored(...)]}: what the server holds, for comparing byte by byte

A program that is not installed fails the test: tests/packages names it, `make test` installs it.
"""
import collections
import os
import re
import subprocess

from .server import PASSWORD

Stored = collections.namedtuple("Stored", "content flags date")


class Done:
    """An ended program."""

    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    @property
    def text(self):
        return (self.out + self.err).decode("utf-8", "replace")

    def ok(self):
        assert self.status == 0, "%r" % self
        return self

    def failed(self, *words):
        """It must have failed, and said each of the words."""
        assert self.status != 0, "should have failed: %r" % self
        for w in words:
            assert w in self.text, "%r is not in: %r" % (w, self)
        return self

    def __repr__(self):
        return "%s: status %d\n%s" % (" ".join(map(str, self.argv)), self.status, self.text[-4000:])


class Home:
    def __init__(self, server, folder):
        self.server, self.folder = server, str(folder)
        self.certificate = os.path.join(server.folder, "data", "tls.crt")
        self.env = {"HOME": self.folder, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TMPDIR": self.folder, "TERM": "xterm", "USER": "tester",
                    "LOGNAME": "tester", "EMAIL": "tester@kantor.example"}

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def run(self, *argv, stdin=b"", seconds=90, env=None):
        argv = [str(a) for a in argv]
        done = subprocess.run(argv, input=stdin if isinstance(stdin, bytes) else stdin.encode(), capture_output=True, timeout=seconds, cwd=self.folder, env={**self.env, **(env or {})})
        return Done(argv, done.returncode, done.stdout, done.stderr)


def mailboxes(c):
    """The names of the selectable mailboxes of a logged-in session, as they are on the wire."""
    return [u.value[2] for u in c.ok('LIST "" *').all("LIST") if not {"\\Noselect", "\\NonExistent"} & set(u.value[0])]


def quoted(name):
    return '"%s"' % name.replace("\\", "\\\\").replace('"', '\\"')


def content_of(c, mailbox):
    """Everything in a mailbox, in its order."""
    c.select(quoted(mailbox), examine=True)
    if not c.exists:
        return []
    rows = c.ok("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])").fetches
    return [Stored(bytes(rows[n]["BODY[]"]), frozenset(rows[n]["FLAGS"]) - {"\\Recent"}, rows[n]["INTERNALDATE"]) for n in sorted(rows)]


def everything(server, person, password=PASSWORD):
    """{mailbox: its messages in order} of a person, empty mailboxes too."""
    with server.imap(person, password=password) as c:
        return {m: content_of(c, m) for m in mailboxes(c)}


TRACE = re.compile(rb"(Return-Path: <[^>]*>\r\nReceived: from [^\r]*\r\n(?:[\t ][^\r]*\r\n)*)((?:From: [^\r]*\r\n)?(?:Date: [^\r]*\r\n)?(?:Message-ID: [^\r]*\r\n)?)", re.S)


def delivered(stored, sender, sent):
    """Asserts that `stored` is `sent` by that envelope sender and nothing else is changed: before it only Return-Path, Received and what a submission lacked. Gives what stands before it."""
    sent = sent if sent.endswith(b"\r\n") else sent + b"\r\n"
    assert stored.endswith(sent), "not what was sent: %r is not the end of %r" % (sent[:300], stored[:900])
    before = stored[:len(stored) - len(sent)]
    assert TRACE.fullmatch(before), before
    assert before.startswith(b"Return-Path: <%s>\r\n" % sender.encode()), before
    return before


def contents(stored):
    """The octets of the messages alone, sorted: for clients that keep neither order nor dates."""
    return sorted(s.content for s in stored)


def uid_rows(server, person, mailbox):
    """(UIDVALIDITY, {UID: FLAGS}): unchanged means that nothing was transferred."""
    with server.imap(person) as c:
        validity = c.select(quoted(mailbox), examine=True).codes()["UIDVALIDITY"]
        rows = c.ok("UID FETCH 1:* (FLAGS)").by_uid if c.exists else {}
        return validity, {u: frozenset(items["FLAGS"]) - {"\\Recent"} for u, items in rows.items()}


def maildir(folder):
    """{flag letters: contents} merged to a sorted list of (octets with CR LF, letters) of cur and new."""
    out = []
    for part in ("cur", "new"):
        where = os.path.join(folder, part)
        for name in os.listdir(where):
            with open(os.path.join(where, name), "rb") as f:
                data = f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            out.append((data, "".join(sorted(name.rpartition(":2,")[2])) if ":2," in name else ""))
    return sorted(out)
