"""kill -9 at random instants under load: what was acknowledged is there exactly once, and nothing else.

KANTOR_CRASH_ROUNDS (15; 50 in `make test-long`), KANTOR_SEED for the same instants again.
"""
import os
import random
import threading
import time

from kantor import Closed, Server, address, message

ROUNDS = int(os.environ.get("KANTOR_CRASH_ROUNDS", "15"))
SEED = int(os.environ.get("KANTOR_SEED", str(time.time_ns() % 10 ** 9)))
USERS = ("budi", "sari", "dewi", "andi")


class Load(threading.Thread):
    """One user's work. `must` holds the marks acknowledged and not deleted: mark → mailbox; `maybe` those with a command under way when the server died."""

    def __init__(self, server, user, must, maybe, seed):
        super().__init__(daemon=True)
        self.server, self.user, self.must, self.maybe, self.random = server, user, must, maybe, random.Random(seed)
        self.wrong, self.together = None, []  # together: marks that must all be there or all be gone

    def run(self):
        try:
            self.work()
        except (Closed, OSError):
            pass  # the crash
        except Exception as e:
            self.wrong = e

    def work(self):
        imap, lmtp = self.server.imap(self.user, select="INBOX", dribble=False), self.server.lmtp(dribble=False)
        for n in range(100000):
            what = self.random.choice("ddaamxp-")
            mark = "mark-%d" % time.time_ns()
            if what == "d":
                self.maybe[mark] = {"INBOX", None}
                lmtp.deliver("a@stranger.example", address(self.user), message(mark, body=b"x" * self.random.choice((10, 5000, 200000)) + b"\r\n"))
                self.settle(mark, "INBOX")
            elif what == "a":
                self.maybe[mark] = {"Archive", None}
                imap.append("Archive", message(mark))
                self.settle(mark, "Archive")
            elif what == "p":
                self.delete_by_pop3()
            elif what in "mx":
                mine = [m for m, b in self.must.items() if b == "INBOX"]
                if not mine:
                    continue
                mark = self.random.choice(mine)
                imap.ok("NOOP")
                uid = imap.ok("UID SEARCH SUBJECT " + mark).search
                assert len(uid) == 1, "%s is there %d times" % (mark, len(uid))
                self.maybe[mark] = {"INBOX", "Trash" if what == "m" else None}
                del self.must[mark]
                if what == "m":
                    imap.ok("UID MOVE %d Trash" % uid[0])
                    self.settle(mark, "Trash")
                else:
                    imap.ok("UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid[0])
                    imap.ok("UID EXPUNGE %d" % uid[0])
                    del self.maybe[mark]
            else:
                imap.ok("UID FETCH 1:* (FLAGS)")

    def delete_by_pop3(self):
        """Two messages of INBOX are deleted in a POP3 session: nothing before QUIT, all of it or nothing at QUIT."""
        with self.server.pop3(self.user, dribble=False) as pop:
            numbers = self.random.sample(sorted(pop.sizes()), min(2, len(pop.sizes())))
            marks = [next(l[9:].decode() for l in pop.multi("TOP %d 0" % n) if l.startswith(b"Subject: ")) for n in numbers]
            for n in numbers:
                pop.ok("DELE %d" % n)
            for mark in marks:
                self.maybe[mark] = {"INBOX", None}
                del self.must[mark]
            self.together.append(marks)
            pop.ok("QUIT")
            self.together.clear()
            for mark in marks:
                del self.maybe[mark]

    def settle(self, mark, box):
        del self.maybe[mark]
        self.must[mark] = box


def found(server, user):
    """mark → the mailboxes it stands in, once for each message."""
    out = {}
    with server.imap(user, dribble=False) as c:
        for box in ("INBOX", "Archive", "Trash"):
            c.select(box)
            if not c.exists:
                continue
            for items in c.ok("FETCH 1:* (ENVELOPE RFC822.SIZE BODY.PEEK[])").fetches.values():
                assert len(items["BODY[]"]) == items["RFC822.SIZE"]
                out.setdefault(items["ENVELOPE"][1].decode(), []).append(box)
    return out


def test_kill_9_loses_nothing_acknowledged_and_invents_nothing():
    print("KANTOR_SEED=%d" % SEED)
    rnd = random.Random(SEED)
    server = Server()
    must, maybe = {u: {} for u in USERS}, {u: {} for u in USERS}
    try:
        for n in range(ROUNDS):
            loads = [Load(server, u, must[u], maybe[u], rnd.random()) for u in USERS]
            for l in loads:
                l.start()
            time.sleep(rnd.uniform(0.2, 1.2))  # the instant of the crash, not a wait for a condition
            server.kill()
            for l in loads:
                l.join(30)
                assert l.wrong is None, (n, l.wrong)
            server.start()
            for l in loads:
                u = l.user
                there = found(server, u)
                for marks in l.together:
                    assert len({bool(there.get(m)) for m in marks}) < 2, "round %d: QUIT deleted one of %s" % (n, marks)
                for mark, box in must[u].items():
                    assert there.pop(mark, []) == [box], "round %d: %s acknowledged in %s" % (n, mark, box)
                for mark, boxes in maybe[u].items():
                    at = there.pop(mark, [])
                    assert len(at) <= 1 and (at[0] if at else None) in boxes, "round %d: %s in %s, one of %s is right" % (n, mark, at, boxes)
                    if at:
                        must[u][mark] = at[0]
                maybe[u].clear()
                assert not there, "round %d: nobody sent %s" % (n, there)
            assert server.ctl("check") == "the store is clean\n"
        assert sum(map(len, must.values())) > 10 * ROUNDS
        server.stop()
    finally:
        server.remove()
