"""Milters: what they are told, what becomes of their answers, what happens when they fail; Debian's opendkim signs what our people send."""
import os
import shutil
import struct
import subprocess
import tempfile

import pytest
from kantor.configured import configured, finish
from kantor.milter import Milter
from kantor.wait import until

MAIL = b"From: <a@stranger.example>\r\nSubject: one\r\n\ttwo\r\nX-A: 1\r\nX-A: 2\r\n\r\nbody\r\n.dot\r\n"
SARI = "sari@kantor.example"


class Place:
    """A server with these milters; each test makes its own."""

    def __init__(self, *milters, policy="", timeout="5s"):
        self.milters = milters
        self.server = configured("filter.milters = " + ", ".join(m.where + (policy and "=" + policy) for m in milters), "filter.milter_timeout = " + timeout)

    def __enter__(self):
        return self.server

    def __exit__(self, *what):
        finish(self.server)
        self.server.remove()
        for m in self.milters:
            m.close()


def mail(s, rcpts=(SARI,), content=MAIL):
    c = s.smtp()
    reply = c.cmd("MAIL FROM:<a@stranger.example>")
    for r in rcpts if reply.code == 250 else ():
        reply = c.cmd("RCPT TO:<%s>" % r)
    if reply.code == 250:
        reply = c.data(content)
    c.close()
    return reply


def stored(s, who=SARI, box="INBOX"):
    c = s.imap(who, select=box)
    return c.body(1).replace(b"\r\n", b"\n") if c.exists else None


def text(*parts):
    return b"".join(p + b"\0" for p in parts)


def test_a_milter_is_told_everything_in_order_and_a_message_passes():
    m = Milter()
    with Place(m) as s:
        assert mail(s).code == 250
        commands = [c for c, _ in m.heard if c != "D"]
        assert commands == list("OCHMRT") + ["L"] * 4 + ["N", "B", "E"]
        connect = m.said("C")[0]
        assert connect.startswith(b"[127.0.0.1]\0004") and connect.endswith(b"127.0.0.1\0")
        assert m.said("H") == [b"client.example\0"] and m.said("M") == [b"<a@stranger.example>\0"] and m.said("R") == [b"<sari@kantor.example>\0"]
        assert m.said("L")[1] == b"Subject\0one\n\ttwo\0" and m.said("B") == [b"body\r\n.dot\r\n"]
        assert any(b"i\0" in d and d[:1] == b"M" for d in m.said("D"))
        assert stored(s).endswith(MAIL.replace(b"\r\n", b"\n"))


def test_steps_that_a_milter_does_not_want_are_left_out_and_mute_ones_are_not_waited_for():
    m = Milter({"L": [], "N": []}, protocol=0x1 | 0x2 | 0x8 | 0x200 | 0x80 | 0x40000 | 0x100000)
    with Place(m) as s:
        assert mail(s).code == 250
        assert [c for c, _ in m.heard if c != "D"] == list("OM") + ["L"] * 4 + ["N", "B", "E"]
        assert m.said("L")[0] == b"From\0 <a@stranger.example>\0"


@pytest.mark.parametrize("command,answer,code,enhanced", [
    ("M", ("r", b""), 550, "5.7.1"), ("M", ("t", b""), 451, "4.7.1"), ("R", ("y", b"452 4.2.9 come later\0"), 452, "4.2.9"), ("H", ("r", b""), 550, "5.7.1"),
    ("E", ("y", b"554 5.7.77 virus found\r\n250 OK\0"), 554, "5.7.77"), ("E", ("y", b"250 2.0.0 fine\0"), 451, "4.7.1"), ("L", ("r", b""), 550, "5.7.1"), ("B", ("t", b""), 451, "4.7.1")])
def test_a_refusal_at_any_step_is_the_answer(command, answer, code, enhanced):
    m = Milter({command: [answer]})
    with Place(m) as s:
        reply = mail(s)
        assert (reply.code, reply.enhanced) == (code, enhanced)
        assert stored(s) is None
        assert "refused" in s.ctl("trace", "--sender", "a@stranger.example")


def test_changes_of_head_body_and_recipients_are_made_once_and_nothing_can_be_smuggled_in():
    m = Milter({"E": [("h", text(b"X-New", b"n\nBcc: x@y\n\nsmuggled")), ("i", struct.pack(">I", 1) + text(b"X-Top", b"t")), ("m", struct.pack(">I", 2) + text(b"X-A", b"two")),
                      ("m", struct.pack(">I", 1) + text(b"X-A", b"")), ("b", b"new "), ("p", b""), ("b", b"body\r\n"), ("+", text(b"<budi@kantor.example>")), ("-", text(b"<sari@kantor.example>")),
                      ("a", b"")]})
    with Place(m) as s:
        assert mail(s).code == 250
        assert stored(s) is None
        got = stored(s, "budi@kantor.example")
        head, _, body = got.partition(b"\n\n")
        assert body == b"new body\n"
        assert head.endswith(b"X-Top: t\nFrom: <a@stranger.example>\nSubject: one\n\ttwo\nX-A: two\nX-New: n\n\tBcc: x@y\n\tsmuggled")


def test_quarantine_goes_into_junk_and_discard_to_nobody():
    m = Milter({"E": [("q", text(b"looks bad")), ("c", b"")]})
    with Place(m) as s:
        assert mail(s).code == 250
        assert stored(s) is None and stored(s, box="Junk") is not None
    m = Milter({"E": [("d", b"")]})
    with Place(m) as s:
        assert mail(s).code == 250
        assert stored(s) is None and "dropped" in s.ctl("trace", "--recipient", SARI)


def test_milters_are_asked_in_order_and_the_second_sees_what_the_first_changed():
    first, second = Milter({"E": [("h", text(b"X-First", b"1")), ("c", b"")]}), Milter()
    with Place(first, second) as s:
        assert mail(s).code == 250
        assert b"X-First\x001\0" in second.said("L")
        assert b"X-First: 1" in stored(s)


def test_a_session_with_several_messages_and_a_reset_is_one_conversation():
    m = Milter()
    with Place(m) as s:
        c = s.smtp()
        for _ in range(2):
            c.deliver("a@stranger.example", SARI, MAIL)
        c.envelope("a@stranger.example", SARI)
        c.cmd("RSET", 250)
        c.deliver("a@stranger.example", SARI, MAIL)
        c.cmd("QUIT", 221)
        until(lambda: m.said("Q"), "the goodbye")
        assert m.sessions == 1 and len(m.said("A")) == 1 and len(m.said("E")) == 3 and len(m.said("C")) == 1
        until(lambda: m.open == 0, "the end of the conversation")


@pytest.mark.parametrize("script", [{"E": [("drop", b"")]}, {"M": [(b"\xff\xff\xff\xff", b"")]}, {"R": [(b"\0\0\0\0", b"")]}, {"E": [("h", b"no-end")]}, {"E": [("Z", b"")]}, {"C": [("O", b"")]}])
@pytest.mark.parametrize("policy,code", [("", 451), ("accept", 250), ("reject", 550)])
def test_a_milter_that_breaks_is_treated_as_its_entry_says(script, policy, code):
    m = Milter(script)
    with Place(m, policy=policy) as s:
        assert mail(s).code == code
        assert (stored(s) is not None) == (code == 250)
        assert "milter-failed" in s.log()


def test_a_milter_that_is_silent_or_absent_does_not_hold_others_up():
    m = Milter({"M": [(None, b"")]})
    with Place(m, timeout="1s") as s:
        waiting = [s.smtp() for _ in range(60)]  # more than there are workers
        for c in waiting:
            c.send(b"MAIL FROM:<a@stranger.example>\r\n")
        s.imap(SARI, select="INBOX").ok("NOOP")
        assert {c.reply().code for c in waiting} == {451}
    absent = Milter()
    absent.close()
    with Place(absent) as s:
        assert mail(s).code == 451


def test_a_large_message_goes_through_in_pieces_while_memory_stays_bounded():
    m = Milter()
    with Place(m, timeout="30s") as s:
        body = b"x" * 76 + b"\r\n"
        big = MAIL + body * 150000  # 11 MB
        with s.bounded(64):
            assert mail(s, content=big).code == 250
        assert b"".join(m.said("B")) == big.partition(b"\r\n\r\n")[2]


@pytest.mark.skipif(not shutil.which("opendkim"), reason="opendkim is not installed")
def test_opendkim_of_debian_signs_what_our_people_send():
    folder = tempfile.mkdtemp(prefix="kantor-dkim-")
    key, socket = os.path.join(folder, "key"), os.path.join(folder, "socket")
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    os.chmod(key, 0o600)
    config = os.path.join(folder, "conf")
    with open(config, "w", encoding="ascii") as f:
        f.write("Domain kantor.example\nSelector s1\nKeyFile %s\nMode s\nSocket local:%s\nRequireSafeKeys no\nSyslog no\nCanonicalization relaxed/simple\nUMask 000\n" % (key, socket))
    process = subprocess.Popen(["opendkim", "-f", "-x", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    s = configured("filter.milters = unix:" + socket)
    try:
        until(lambda: os.path.exists(socket), "opendkim's socket")
        c = s.submission("budi")
        c.deliver("budi@kantor.example", SARI, b"From: budi@kantor.example\r\nTo: sari@kantor.example\r\nSubject: signed\r\n\r\nhello\r\n")
        c.close()
        got = stored(s)
        assert b"DKIM-Signature: v=1; a=rsa-sha256;" in got and b"d=kantor.example" in got and b"s=s1" in got
        dkim = pytest.importorskip("dkim")
        public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        import base64
        assert dkim.verify(got.replace(b"\n", b"\r\n"), dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=" + base64.b64encode(public))
    finally:
        process.terminate()
        process.wait()
        finish(s)
        s.remove()
        shutil.rmtree(folder, ignore_errors=True)
