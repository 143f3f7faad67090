"""SMTP and LMTP against a small model: random sequences of commands, in random segments (attacks.md SI-12, SI-13).

KANTOR_MODEL_STEPS says how many commands (5,000 by default); KANTOR_MODEL_SEED repeats a run.
"""
import os
import random

import pytest

from kantor import Closed

STEPS = int(os.environ.get("KANTOR_MODEL_STEPS", "5000"))
SEED = int(os.environ.get("KANTOR_MODEL_SEED", "20261125"))
BAD_MAX, IDLE_MAX, UNKNOWN_MAX, CONNECTION_STEPS = 20, 100, 20, 80


class Model:
    """What the server must know; each method gives the codes of the answers to one command."""

    def __init__(self, lmtp, people):
        self.lmtp, self.people = lmtp, people
        self.greeted = self.open = False
        self.bad = self.idle = self.unknown = 0
        self.open = True
        self.delivered = {p: 0 for p in people}
        self.reset()

    def reset(self):
        self.mail, self.bdat, self.rcpts, self.good = False, False, [], True

    def wrong(self, code):
        self.bad += 1
        if self.bad < BAD_MAX:
            return [code]
        self.open = False
        return [code, 421]

    def idle_command(self):
        self.idle += not self.lmtp
        if self.idle <= IDLE_MAX:
            return None
        self.open = False
        return [421]

    def hello(self, verb, name):
        if (verb == "LHLO") != self.lmtp:
            return self.wrong(502)
        late = self.idle_command()
        if late:
            return late
        if not name:
            return self.wrong(501)
        self.reset()
        self.greeted = True
        return [250]

    def small(self, code):
        return self.idle_command() or [code]

    def rset(self):
        late = self.idle_command()
        if not late:
            self.reset()
        return late or [250]

    def quit(self):
        late = self.idle_command()
        self.open = False
        return late or [221]

    def starttls_with_argument(self):
        return self.wrong(503) if not self.greeted else self.idle_command() or self.wrong(501)

    def mail_from(self, fault):
        if not self.greeted or self.mail:
            return self.wrong(503)
        if fault:
            return self.wrong(fault)
        self.mail = True
        return [250]

    def mail_too_large(self):
        return self.wrong(503) if not self.greeted or self.mail else [552]

    def rcpt_to(self, who, fault):
        if not self.greeted or not self.mail or self.bdat:
            return self.wrong(503)
        if fault in (501, 553, 555):
            return self.wrong(fault)
        if fault == "unknown":
            self.unknown += not self.lmtp
            if self.unknown < UNKNOWN_MAX:
                return [550]
            self.open = False
            return [550, 421]
        if fault:
            return [fault]
        if self.lmtp or who not in self.rcpts:
            self.rcpts.append(who)
        return [250]

    def may_data(self):
        """None: go ahead; else the answer."""
        if not self.greeted or not self.mail:
            return self.wrong(503)
        if self.bdat:
            self.reset()
            return self.wrong(503)
        if not self.rcpts:
            return self.wrong(503 if self.lmtp else 554)
        return None

    def message(self, good):
        n = len(self.rcpts) if self.lmtp else 1
        if good:
            for who in set(self.rcpts):
                self.delivered[who] += 1
        self.reset()
        self.idle = 0
        return [250 if good else 554] * n

    def chunk(self, last, good):
        if not self.greeted or not self.mail or not self.rcpts:
            self.reset()
            return self.wrong(503)
        self.bdat = True
        self.good = self.good and good
        return self.message(self.good) if last else [250]


def step(model, rng, person):
    """(octets, answers) of one random command; content is part of it."""
    kind = rng.choices(range(16), [6, 8, 24, 3, 24, 8, 10, 3, 3, 2, 2, 2, 12, 1, 3, 2])[0]
    if kind == 0:
        verb, name = rng.choice(["EHLO", "HELO", "LHLO", "LHLO" if model.lmtp else "EHLO"]), rng.choice(["x.example", "x.example", ""])
        return (verb + " " + name).encode(), model.hello(verb, name)
    if kind == 1:
        verb, name = "LHLO" if model.lmtp else rng.choice(["EHLO", "HELO"]), "y.example"
        return (verb + " " + name).encode(), model.hello(verb, name)
    if kind in (2, 3):
        text, fault = rng.choice([("<a@x.example>", 0)] * 12 + [("<>", 0), ("<a@x.example> SIZE=10 BODY=8BITMIME", 0), ("<a@x.example> RET=FULL RET=HDRS", 501), ("<ü@x.example>", 553), ("<a@>", 501), ("a@x.example", 501),
                                                                  ("<a@x.example> X=Y", 555), ("<a@x.example> SIZE=99999999999", 552), ("<ü@x.example> SMTPUTF8", 0)])
        return ("MAIL FROM:" + text).encode(), model.mail_too_large() if fault == 552 else model.mail_from(fault)
    if kind in (4, 5):
        who = rng.choice(model.people)
        text, fault = rng.choice([("<%s>" % who, 0)] * 12 + [("<%s> NOTIFY=NEVER" % who.upper(), 0), ("<nobody@kantor.example>", "unknown"), ("<v@else.where>", 550), ("<a@>", 501), ("<%s> NOTIFY=X" % who, 501), ("<%s> Y" % who, 555),
                                                           ("<>", 501)])
        return ("RCPT TO:" + text).encode(), model.rcpt_to(who, fault)
    if kind == 6:
        good = rng.random() < 0.8
        answer = model.may_data()
        if answer:
            return b"DATA", answer
        content = b"Subject: m\r\n\r\n..x" + (b"" if good else b"\0") + b"\r\n.\r\n"
        return (b"DATA", content), (354, model.message(good))
    if kind == 7:
        return rng.choice([(b"RSET", 0), (b"rset ", 0)])[0], model.rset()
    if kind == 8:
        verb, code = rng.choice([(b"NOOP", 250), (b"NOOP x", 250), (b"VRFY x", 252), ("VRFY ü@x".encode(), 252), (b"HELP", 214)])
        return verb, model.small(code)
    if kind == 9:
        return rng.choice([b"XYZZY", b"", b"MAILFROM:<a@x.example>", b"."]), model.wrong(500)
    if kind == 10:
        return rng.choice([b"ETRN x", b"EXPN x", b"TURN", b"AUTH PLAIN"]), model.wrong(502)
    if kind == 11:
        return b"STARTTLS x", model.starttls_with_argument()
    if kind == 12:
        last, good = rng.random() < 0.6, rng.random() < 0.9
        octets = rng.choice([b"Subject: c\r\n\r\n.\r\nx\r\n", b"QUIT\r\n", b"RSET\r\nDATA\r\n", b""]) if good else b"a\0b\r\n"
        return b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets, model.chunk(last, good)
    if kind == 13:
        return b"QUIT", model.quit()
    if kind == 14:
        return b"DATA x", (model.wrong(503) if not model.greeted or not model.mail else model.wrong(501))
    return b"MAIL TO:<a@x.example>", model.wrong(503 if not model.greeted or model.mail else 501)


def send_in_pieces(c, rng, octets):
    while octets:
        n = rng.choice([1, 3, 10, 1000, len(octets)])
        c.send(octets[:n])
        octets = octets[n:]


def converse(server, service, rng, people, delivered):
    """One connection; gives the number of its steps."""
    c = getattr(server, service)(hello=None)
    model = Model(service == "lmtp", people)
    steps, waiting, history = 0, [], []
    while model.open and steps < CONNECTION_STEPS:
        steps += 1
        octets, answers = step(model, rng, people)
        history.append((octets, answers))
        more = None
        if isinstance(octets, tuple):
            octets, more = octets
            first, answers = answers
        line = octets if octets.startswith(b"BDAT") else octets + b"\r\n"
        waiting.append((line, [first] if more else answers))
        if more is None and model.open and steps < CONNECTION_STEPS and rng.random() < 0.4:
            continue  # pipelined with the next
        send_in_pieces(c, rng, b"".join(w[0] for w in waiting))
        for sent, codes in waiting:
            got = [c.reply().code for _ in codes]
            assert got == codes, (sent, got, codes, history)
        waiting = []
        if more:
            send_in_pieces(c, rng, more)
            got = [c.reply().code for _ in answers]
            assert got == answers, (more, got, answers, history)
    if model.open:
        c.close()
    else:
        with pytest.raises(Closed):
            raise AssertionError("more was said: %r, %r" % (c.line(), history))
    for who, n in model.delivered.items():
        delivered[who] += n
    return steps


@pytest.mark.parametrize("service", ["smtp", "lmtp"])
def test_random_conversations_go_as_the_model_says(fresh, service):
    rng, left = random.Random(SEED), STEPS // 2
    fresh.make_people(3)
    people = ["user%d@kantor.example" % n for n in (1, 2, 3)]
    delivered = {p: 0 for p in people}
    while left > 0:
        left -= converse(fresh, service, rng, people, delivered)
    assert {p: fresh.imap(p, select="INBOX").exists for p in people} == delivered and sum(delivered.values()) > STEPS // 200
