"""POP3 against a small model: random sessions with random commands, some broken off, mail coming and going between them.

KANTOR_MODEL_STEPS and KANTOR_MODEL_SEED as in attack_smtp_model.py.
"""
import os
import random

from kantor import PASSWORD, message, until

STEPS = int(os.environ.get("KANTOR_MODEL_STEPS", "5000"))
SEED = int(os.environ.get("KANTOR_MODEL_SEED", "20261125"))
BAD_MAX, SESSION_STEPS = 20, 60


def open_session(server, who):
    def attempt():
        c = server.pop3()
        c.ok("USER " + who)
        good, text = c.cmd("PASS " + PASSWORD)
        assert good or text.startswith("[IN-USE]"), text
        return c if good else c.close()
    return until(attempt, "the lock of the last session was not freed")


class Session:
    """The frozen maildrop: what each message holds, its id, and whether it is marked."""

    def __init__(self, c, stored):
        self.c, self.held, self.marked, self.bad = c, list(stored), set(), 0
        self.ids = list(c.uidl().values())
        assert len(self.ids) == len(self.held) and len(set(self.ids)) == len(self.ids)

    def there(self, n):
        return 1 <= n <= len(self.held) and n not in self.marked

    def left(self):
        return [n for n in range(1, len(self.held) + 1) if n not in self.marked]

    def err(self, line):
        self.c.err(line)
        self.bad += 1

    def step(self, rng):
        n = rng.choice([rng.randrange(0, len(self.held) + 3), rng.randrange(1, len(self.held) + 2)])
        kind = rng.choice(["STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET", "NOOP", "LIST n", "UIDL n", "BAD", "DELE", "RETR", "CAPA"])
        if kind == "BAD":
            return self.err(rng.choice(["XYZZY", "USER x", "AUTH PLAIN", "RETR", "DELE -1", "TOP 1", "LAST", "STLS", "UTF8", "DELE 1 1"]))
        if kind == "STAT":
            assert self.c.ok("STAT") == "%d %d" % (len(self.left()), sum(len(self.held[i - 1]) for i in self.left()))
        elif kind == "LIST":
            assert self.c.sizes() == {i: len(self.held[i - 1]) for i in self.left()}
        elif kind == "UIDL":
            assert self.c.uidl() == {i: self.ids[i - 1] for i in self.left()}
        elif kind == "RSET":
            self.c.ok("RSET")
            self.marked.clear()
        elif kind == "NOOP":
            self.c.ok("NOOP")
        elif kind == "CAPA":
            assert b"TOP" in self.c.multi("CAPA")
        elif not self.there(n):
            self.err({"RETR": "RETR %d", "TOP": "TOP %d 0", "DELE": "DELE %d", "LIST n": "LIST %d", "UIDL n": "UIDL %d"}[kind] % n)
        elif kind == "RETR":
            assert self.c.retr(n) == self.held[n - 1]
        elif kind == "TOP":
            lines = rng.randrange(0, 6)
            head, _, body = self.held[n - 1].partition(b"\r\n\r\n")
            wanted = head.split(b"\r\n") + [b""] + body.split(b"\r\n")[:-1][:lines]
            assert self.c.multi("TOP %d %d" % (n, lines)) == wanted
        elif kind == "DELE":
            self.c.ok("DELE %d" % n)
            self.marked.add(n)
        elif kind == "LIST n":
            assert self.c.ok("LIST %d" % n) == "%d %d" % (n, len(self.held[n - 1]))
        else:
            assert self.c.ok("UIDL %d" % n) == "%d %s" % (n, self.ids[n - 1])


def new_message(rng):
    return message(body=b"".join(rng.choice([b"x", b".", b"..", b"", b"text", b"\t"]) * rng.randrange(0, 5) + b"\r\n" for _ in range(rng.randrange(0, 8))))


def test_random_sessions_go_as_the_model_says(server, person):
    rng, left, stored, ids = random.Random(SEED), STEPS, [], {}
    mailer = server.imap(person, select="INBOX")
    while left > 0:
        for _ in range(rng.randrange(0, 4) if len(stored) < 12 else 0):
            m = new_message(rng)
            mailer.append("INBOX", m)
            stored.append(m)
        s = Session(open_session(server, person), stored)
        for m, uid in zip(s.held, s.ids):
            assert ids.setdefault(uid, m) is m  # an id means the same message for ever
        appended = []
        for _ in range(rng.randrange(1, SESSION_STEPS)):
            if s.bad == BAD_MAX - 1:
                break
            if rng.random() < 0.02 and len(stored) < 20:
                appended.append(new_message(rng))
                mailer.append("INBOX", appended[-1])
            s.step(rng)
            left -= 1
        end = rng.choice(["QUIT", "QUIT", "close", "reset"])
        if end == "QUIT":
            s.c.ok("QUIT")
            s.c.assert_closed()
            stored = [m for n, m in enumerate(s.held, 1) if n not in s.marked]
        else:
            getattr(s.c, end)()
        stored += appended
    assert len(open_session(server, person).sizes()) == len(stored)
