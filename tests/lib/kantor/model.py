"""What an IMAP server must say to three sessions: a model of RFC 9051 with CONDSTORE and QRESYNC, run beside the real one.

A step is a tuple of random numbers that is made concrete against the model's state when it runs, so any step can be left out and the rest still means something: that
is how a failing history is shrunk. Every answer is checked while it is read (`Session.take`), and when a command is over each session must know exactly what it may know.
"""
import bisect
import random

from .imap import Literal
from .messages import message
from .response import numbers

FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Junk", "mine", "Other"]
KEYS = {"SEEN": "\\Seen", "ANSWERED": "\\Answered", "FLAGGED": "\\Flagged", "DELETED": "\\Deleted", "KEYWORD mine": "mine"}
FULL = 40


class Box:
    """A mailbox as it is: uid → flags, and which step gave each message its present state."""

    def __init__(self, name):
        self.name, self.next, self.flags, self.changed_by, self.seen = name, 1, {}, {}, {}
        self.steps = []
        self.past = {} # uid → every state it had

    def add(self, flags, step):
        uid, self.next = self.next, self.next + 1
        self.flags[uid], self.changed_by[uid], self.past[uid] = set(flags), step, [set(flags)]
        return uid

    def set(self, uid, flags, step):
        if self.flags[uid] != flags:
            self.flags[uid], self.changed_by[uid] = set(flags), step
            self.past[uid].append(set(flags))

    def remove(self, uids):
        for uid in uids:
            del self.flags[uid], self.changed_by[uid]

    def observe(self, uid, modseq):
        """MODSEQs grow from step to step and are one for one state of one message."""
        step = self.changed_by[uid]
        assert self.seen.setdefault((uid, step), modseq) == modseq, "MODSEQ of uid %d changed without a change" % uid
        at = bisect.bisect_left(self.steps, (step,))
        if at:
            assert self.steps[at - 1][2] < modseq, "MODSEQ %d is not above that of an earlier change" % modseq
        if at < len(self.steps) and self.steps[at][0] == step:
            _, low, high = self.steps[at]
            self.steps[at] = (step, min(low, modseq), max(high, modseq))
        else:
            self.steps.insert(at, (step, modseq, modseq))
            at = self.steps.index((step, modseq, modseq))
        if at + 1 < len(self.steps):
            assert modseq < self.steps[at + 1][1], "MODSEQ %d is not below that of a later change" % modseq


class Session:
    def __init__(self, model, number):
        self.model, self.number, self.saved_state = model, number, {}
        self.connect(("plain", "condstore", "qresync")[number])

    def connect(self, mode):
        self.c = self.model.connect()
        self.mode, self.idling = mode, False
        self.leave(keep=False)
        if mode != "plain":
            self.c.ok("ENABLE " + mode.upper())

    def leave(self, keep=True):
        """Nothing is selected any more; a QRESYNC client keeps what it knows for the next time."""
        if keep and self.box and self.mode == "qresync":
            known = {}
            for uid in self.view:
                if self.known.get(uid) is None:
                    break
                known[uid] = self.known[uid]
            self.saved_state[self.box.name] = (self.validity, self.highest, known)
        self.box, self.view, self.known, self.result, self.highest, self.read_only = None, [], {}, set(), 0, False

    # --- answers

    def take(self, u, by_number=False, asked=()):
        """One untagged response. `asked`: items that a FETCH of ours named."""
        box = self.box
        if u.name == "EXISTS":
            new = [uid for uid in sorted(box.flags) if not self.view or uid > self.view[-1]]
            new = [uid for uid in new if uid > self.top]
            assert u.number == len(self.view) + len(new), "EXISTS %d, %d were expected" % (u.number, len(self.view) + len(new))
            self.view += new
            self.top = max([self.top] + new)
        elif u.name == "EXPUNGE":
            assert not by_number and self.mode != "qresync", "EXPUNGE is out of place"
            uid = self.view.pop(u.number - 1)
            assert uid not in box.flags, "EXPUNGE of uid %d, which is there" % uid
            self.known.pop(uid, None)
        elif u.name == "VANISHED" and u.text == "":
            assert not by_number and self.mode == "qresync", "VANISHED is out of place"
            for uid in u.value:
                assert uid in self.view and uid not in box.flags, "VANISHED %d" % uid
                self.view.remove(uid)
                self.known.pop(uid, None)
        elif u.name == "FETCH":
            self.take_fetch(u, asked)

    def take_fetch(self, u, asked):
        assert u.number <= len(self.view), "FETCH of number %d of %d" % (u.number, len(self.view))
        uid, items = self.view[u.number - 1], u.value
        if self.idling: # it may lie in the pipe since an earlier step: something newer will follow
            assert items["FLAGS"] in self.box.past[uid]
            self.known[uid] = set(items["FLAGS"])
            return
        assert uid in self.box.flags, "FETCH of uid %d, which is gone" % uid
        assert items.get("UID", uid) == uid, "number %d is uid %d, not %d" % (u.number, uid, items["UID"])
        assert asked or "UID" in items
        if "FLAGS" in items:
            assert items["FLAGS"] == self.box.flags[uid], "flags of uid %d: %r, not %r" % (uid, items["FLAGS"], self.box.flags[uid])
            self.known[uid] = set(items["FLAGS"])
            if not asked:
                assert ("MODSEQ" in items) == (self.mode != "plain"), "MODSEQ in %r" % items
        if "MODSEQ" in items:
            self.box.observe(uid, items["MODSEQ"])

    def finish(self, reply, how, by_number=False, asked=()):
        """how: "all", "hold" (expunges wait) or "none" (the command failed: nothing need be told)."""
        for u in reply.untagged:
            self.take(u, by_number, asked)
        codes = reply.codes()
        found = [u.value["MODSEQ"] for u in reply.untagged if u.name == "FETCH" and "MODSEQ" in u.value]
        if "HIGHESTMODSEQ" in codes:
            self.highest = int(codes["HIGHESTMODSEQ"][0])
        elif found:
            self.highest = max(self.highest, max(found))
        if self.box and how != "none":
            self.complete(how)
        return reply

    def behind(self, how):
        there = sorted(self.box.flags)
        if how == "all" and self.view != there:
            return "the view is %r, the mailbox %r" % (self.view, there)
        if not set(there) <= set(self.view):
            return "arrivals were not told: %r of %r" % (self.view, there)
        for uid in there:
            if self.known.get(uid) is not None and self.known[uid] != self.box.flags[uid]:
                return "uid %d is thought to have %r, it has %r" % (uid, self.known[uid], self.box.flags[uid])
        return None

    def complete(self, how):
        why = self.behind(how)
        assert why is None, why

    def run(self, text, how="all", by_number=False, asked=(), want="OK"):
        reply = self.c.cmd(*text) if isinstance(text, tuple) else self.c.cmd(text)
        assert reply.status == want, "%s: %r" % (text, reply)
        return self.finish(reply, how if want == "OK" else "none", by_number, asked)


class Model:
    def __init__(self, server, person, name):
        self.server, self.person, self.step, self.trace = server, person, 0, []
        admin = server.imap(person, dribble=False)
        self.boxes = [Box(name + "a"), Box(name + "b")]
        for box in self.boxes:
            admin.ok("CREATE " + box.name)
        admin.close()
        self.connections = []
        for s in range(3):
            Session.box, Session.mode = None, "plain"
        self.sessions = [Session(self, n) for n in range(3)]

    def connect(self):
        c = self.server.imap(self.person, dribble=False)
        self.connections.append(c)
        return c

    def close(self):
        for c in self.connections:
            c.close()

    # --- a step: who, what, and three numbers

    def run(self, step):
        who, what, x, y, z = step
        self.step += 1
        s = self.sessions[who]
        if s.idling:
            s.finish(s.c.done(), "all")
            s.idling = False
        if s.box is None and what in SELECTED:
            what = "select"
        if what == "append" and any(len(b.flags) >= FULL for b in self.boxes):
            what = "thin"
        getattr(self, "do_" + what)(s, x, y, z)
        self.hear()

    def hear(self):
        """Who is in IDLE must be told all of a change, unasked: waits until he knows it."""
        for other in self.sessions:
            while other.idling and other.behind("all"):
                other.take(other.c.untagged())

    def messages(self, s, x):
        """A set of messages of the view, by number or by uid: (UID or nothing, text, uids)."""
        by_uid = x & 1
        pick = random.Random(x)
        if not s.view or pick.random() < 0.05:
            return ("UID ", "%d:%d" % (s.top + 100, s.top + 200), []) if by_uid else ("UID ", "1:*", list(s.view))
        if pick.random() < 0.1 and s.result is not None:
            return ("UID " if by_uid else ""), "$", [u for u in s.view if u in s.result]
        places = sorted(pick.sample(range(len(s.view)), pick.randint(1, min(len(s.view), 6))))
        if pick.random() < 0.3:
            places = list(range(places[0], places[-1] + 1))
        uids = [s.view[p] for p in places]
        if by_uid:
            return "UID ", ",".join(map(str, uids)), uids
        return "", ",".join(str(p + 1) for p in places), uids

    def flags(self, y):
        return random.Random(y).sample(FLAGS, random.Random(y + 1).randint(0, 3))

    def do_select(self, s, x, y, z):
        box = self.boxes[x % 2]
        examine = y % 5 == 0
        s.leave()
        state = s.saved_state.get(box.name) if s.mode == "qresync" else None
        more, known = "", {}
        if state and z % 3:
            known = dict(state[2])
            uids = "" if not known or z % 3 == 1 else " 1:%d" % max(known)
            more = " (QRESYNC (%s %d%s))" % (state[0], state[1], uids)
        r = s.c.ok(("EXAMINE " if examine else "SELECT ") + box.name + more)
        s.box, s.view, s.top, s.read_only = box, sorted(box.flags), box.next - 1, examine
        assert [u.number for u in r.all("EXISTS")] == [len(s.view)]
        s.validity, s.highest = r.codes()["UIDVALIDITY"][0], int(r.codes()["HIGHESTMODSEQ"][0])
        assert int(r.codes()["UIDNEXT"][0]) == box.next and (r.code_name == "READ-ONLY") == examine
        for u in r.untagged:
            if u.name == "VANISHED":
                assert u.text == "EARLIER" and more
                for uid in u.value:
                    assert uid not in box.flags, "VANISHED (EARLIER) %d, which is there" % uid
                    known.pop(uid, None)
            elif u.name == "FETCH":
                assert more
                s.take_fetch(u, ())
        known.update(s.known)
        for uid in known:
            assert uid in box.flags, "uid %d vanished and was not told" % uid
            assert known[uid] == box.flags[uid], "uid %d changed and was not told" % uid
        if more:
            s.known = known
        else:
            s.run("FETCH 1:* (UID FLAGS)", "hold", True, ("UID", "FLAGS"))

    def do_leave(self, s, x, y, z):
        box, read_only = s.box, s.read_only
        if y % 4 == 0:
            s.leave()
            assert s.c.ok("CLOSE").untagged == []
            if not read_only:
                box.remove([u for u in box.flags if "\\Deleted" in box.flags[u]])
        else:
            s.leave()
            assert s.c.ok("UNSELECT").untagged == []

    def do_reconnect(self, s, x, y, z):
        s.leave()
        s.c.ok("LOGOUT")
        s.c.close()
        s.connect(("plain", "condstore", "qresync")[x % 3])

    def do_append(self, s, x, y, z):
        box, flags = self.boxes[x % 2], self.flags(y)
        uid = box.add(flags, self.step)
        r = s.run(("APPEND %s (%s)" % (box.name, " ".join(flags)), Literal(message(), ("sync", "plus")[z % 2])))
        assert r.code[0] == "APPENDUID" and int(r.code[1][1]) == uid

    def do_look(self, s, x, y, z):
        s.run(("NOOP", "CHECK", "STATUS %s (MESSAGES)" % s.box.name, "LIST \"\" INBOX")[x % 4])

    def do_learn(self, s, x, y, z):
        unknown = [n + 1 for n, uid in enumerate(s.view) if s.known.get(uid) is None and uid in s.box.flags]
        if unknown:
            r = s.run("FETCH %s (UID FLAGS)" % ",".join(map(str, unknown)), "hold", True, ("UID", "FLAGS"))
            assert set(unknown) <= set(r.fetches)

    def do_fetch(self, s, x, y, z):
        uid, text, uids = self.messages(s, x)
        items = ("UID", "FLAGS") + (("MODSEQ",) if s.mode != "plain" else ())
        if z % 4 == 0 and not s.read_only:
            items += ("BODY[TEXT]",)
            for u in uids:
                if u in s.box.flags:
                    s.box.set(u, s.box.flags[u] | {"\\Seen"}, self.step)
        here = [u for u in uids if u in s.box.flags]
        r = s.c.ok("%sFETCH %s (%s)" % (uid, text, " ".join(items)))
        assert {u.value["UID"] for u in r.all("FETCH") if len(u.value) >= len(items)} >= set(here), "FETCH of %r gave %r" % (here, r)
        s.finish(r, "all" if uid else "hold", not uid, items)

    def do_changed(self, s, x, y, z):
        if s.mode != "qresync":
            return self.do_fetch(s, x, y, z)
        missing = {u for u in s.view if u not in s.box.flags}
        r = s.c.ok("UID FETCH 1:%d (FLAGS) (CHANGEDSINCE %d VANISHED)" % (s.top + 1, s.highest))
        earlier = {n for u in r.all("VANISHED") if u.text == "EARLIER" for n in u.value}
        assert not earlier & set(s.box.flags) and missing <= earlier, "VANISHED (EARLIER) %r lacks some of %r" % (earlier, missing)
        s.finish(r, "all", False, ("UID", "FLAGS", "MODSEQ"))

    def do_store(self, s, x, y, z):
        uid, text, uids = self.messages(s, x)
        flags, how, silent = set(self.flags(y)), ("", "+", "-")[y % 3], z % 2
        command = "%sSTORE %s %%s%sFLAGS%s (%s)" % (uid, text, how, ".SILENT" if silent else "", " ".join(flags))
        if s.read_only:
            return s.run(command % "", want="NO")
        refused, condition = [], ""
        if z % 7 == 0 and s.mode != "plain" and s.box.flags:
            r = s.run("UID FETCH 1:* (UID FLAGS MODSEQ)", "all", False, ("UID", "FLAGS", "MODSEQ"))
            modseqs = {u.value["UID"]: u.value["MODSEQ"] for u in r.all("FETCH")}
            if not uid or "*" in text or not modseqs: # numbers may have moved
                return None
            limit = sorted(modseqs.values())[x % len(modseqs)]
            condition = "(UNCHANGEDSINCE %d) " % limit
            refused = [u for u in uids if u in modseqs and modseqs[u] > limit]
        changed = []
        for u in uids:
            if u not in s.box.flags or u in refused:
                continue
            old = s.box.flags[u]
            new = flags if how == "" else old | flags if how == "+" else old - flags
            changed += [u] if new != old else []
            was_known = s.known.get(u)
            s.box.set(u, new, self.step)
            if silent and was_known is not None: # what a client does by itself
                s.known[u] = set(flags) if how == "" else was_known | flags if how == "+" else was_known - flags
        r = s.c.ok(command % condition)
        told = {u.value["UID"] for u in r.all("FETCH") if "UID" in u.value}
        want = {u for u in uids if u in s.box.flags and u not in refused}
        assert want <= told if not silent else set(changed) <= told or s.mode == "plain", "STORE told %r of %r" % (told, want)
        modified = r.codes().get("MODIFIED")
        at_start = {n + 1: u for n, u in enumerate(s.view)}
        got = numbers(modified[0]) if modified else []
        assert sorted(got if uid else [at_start[n] for n in got]) == sorted(refused), "MODIFIED %r, not %r" % (got, refused)
        silent_here = ("UID", "MODSEQ") if silent else ()
        for u in r.untagged:
            if silent_here and u.name == "FETCH" and set(u.value) == set(silent_here):
                s.box.observe(u.value["UID"], u.value["MODSEQ"])
        return s.finish(r, "all" if uid else "hold", not uid)

    def do_copy(self, s, x, y, z):
        uid, text, uids = self.messages(s, x)
        target, move = self.boxes[y % 2], z % 2
        command = "%s%s %s %s" % (uid, "MOVE" if move else "COPY", text, target.name)
        if move and s.read_only:
            return s.run(command, want="NO")
        here = sorted(u for u in uids if u in s.box.flags)
        if move and target is s.box:
            here = []
        if len(target.flags) + len(here) > 2 * FULL:
            return None
        made = [target.add(s.box.flags[u], self.step) for u in here]
        if move:
            s.box.remove(here)
        r = s.run(command)
        code = r.codes().get("COPYUID")
        assert bool(code) == bool(here) and (not code or (numbers(code[1]), numbers(code[2])) == (here, made)), "COPYUID %r, not %r %r" % (code, here, made)
        return None

    def do_expunge(self, s, x, y, z):
        uid, text, uids = self.messages(s, x | 1)
        some = y % 2 and text != "$"
        if s.read_only:
            return s.run("UID EXPUNGE " + text if some else "EXPUNGE", want="NO")
        s.box.remove([u for u in list(s.box.flags) if "\\Deleted" in s.box.flags[u] and (not some or u in uids)])
        return s.run("UID EXPUNGE " + text if some else "EXPUNGE")

    def do_thin(self, s, x, y, z):
        """Keeps the mailboxes small: half of the fuller one goes."""
        box = max(self.boxes, key=lambda b: len(b.flags))
        s.leave()
        s.c.ok("SELECT " + box.name)
        gone = sorted(box.flags)[::2]
        s.c.ok("UID STORE %s +FLAGS.SILENT (\\Deleted)" % ",".join(map(str, gone)))
        for uid in gone:
            box.set(uid, box.flags[uid] | {"\\Deleted"}, self.step)
        self.hear()
        self.step += 1
        s.c.ok("UID EXPUNGE " + ",".join(map(str, gone)))
        box.remove(gone)
        self.hear()
        s.c.ok("UNSELECT")

    def do_search(self, s, x, y, z):
        key, flag = list(KEYS.items())[x % len(KEYS)]
        uid, save, negate = ("UID ", "")[y % 2], z % 3 == 0, z % 2
        found = [u for u in s.view if u in s.box.flags and (flag in s.box.flags[u]) != bool(negate)]
        r = s.c.ok("%sSEARCH %s%s%s" % (uid, "RETURN (SAVE ALL) " if save else "", "NOT " if negate else "", key))
        want = found if uid else [s.view.index(u) + 1 for u in found]
        if save:
            got = r.one("ESEARCH").value.get("ALL")
            got = numbers(got) if got else []
            s.result = set(found)
        else:
            got = r.search
        assert got == want, "SEARCH gave %r, not %r" % (got, want)
        s.finish(r, "all" if uid else "hold", not uid)

    def do_idle(self, s, x, y, z):
        s.c.idle()
        s.idling = True
        for u in s.c.early:
            s.take(u)


SELECTED = {"leave", "look", "learn", "fetch", "changed", "store", "copy", "expunge", "search", "idle"}
KINDS = ["select"] * 3 + ["leave", "reconnect"] + ["append"] * 4 + ["look"] * 2 + ["learn"] * 4 + ["fetch"] * 5 + ["changed"] * 2 + ["store"] * 9 + ["copy"] * 4 + ["expunge"] * 3 + ["search"] * 3 + ["idle"] * 3


def history(seed, steps):
    r = random.Random(seed)
    return [(r.randrange(3), r.choice(KINDS), r.randrange(1 << 30), r.randrange(1 << 30), r.randrange(1 << 30)) for _ in range(steps)]


class Run:
    """Runs histories against a server, each in two new mailboxes; shrinks one that fails."""

    def __init__(self, server, person):
        self.server, self.person, self.count = server, person, 0

    def fails(self, steps):
        """None, or (number of the step that failed, what was wrong)."""
        self.count += 1
        model = Model(self.server, self.person, "m%d" % self.count)
        try:
            for n, step in enumerate(steps):
                try:
                    model.run(step)
                except Exception as e: # an answer that cannot be parsed or does not come is a failure as well
                    return n, "%s: %s" % (type(e).__name__, e)
            return None
        finally:
            model.close()

    def shrink(self, steps, tries=200):
        """The shortest failing history found by leaving pieces out."""
        n, why = self.fails(steps) or (None, None)
        if n is None:
            return steps, "it does not fail again"
        steps = steps[:n + 1]
        size = max(1, len(steps) // 2)
        while size and tries:
            at = 0
            while at < len(steps) and tries:
                tries -= 1
                shorter = steps[:at] + steps[at + size:]
                failed = self.fails(shorter) if shorter else None
                if failed:
                    steps, why = shorter[:failed[0] + 1], failed[1]
                else:
                    at += size
            size //= 2
        return steps, why
