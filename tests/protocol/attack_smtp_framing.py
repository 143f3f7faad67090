"""SMTP in: where a message ends, chunks, line ends, what is not SMTP (attacks.md SI-01, SI-03 … SI-09, SI-11, SI-12, SI-17, SI-23 … SI-25)."""
import os
import re
import signal
import socket

import pytest

from kantor import Bystander, message
from kantor.configured import configured, finish

ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]
STRANGER = "a@stranger.example"


def subjects(server, person):
    with server.imap(person, select="INBOX") as c:
        return [c.body(u).split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0] for u in c.uids()] if c.exists else []


def forged(person):
    return b"MAIL FROM:<b@stranger.example>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: smuggled\r\n\r\ny\r\n.\r\nQUIT\r\n" % person.encode()


@pytest.mark.parametrize("service", ["smtp", "lmtp"])
def test_no_pair_of_line_ends_smuggles_a_message_at_any_cut(server, person, service):
    for end in ENDS:
        data = b"Subject: outer\r\n\r\nx" + end + forged(person)
        begins = data.index(b"x" + end)
        for cut in range(begins, begins + len(end) + 3):
            with getattr(server, service)() as c:
                c.envelope(STRANGER, person)
                c.cmd("DATA", 354)
                c.send_what_goes(data[:cut])
                c.send_what_goes(data[cut:])
                said = c.rest()
                nul = b"\0" in end  # a NUL is content: the message ends regularly and is refused
                assert said.startswith(b"554 5.6.0" if nul else b"521 5.5.2"), (end, cut, said)
                assert nul or said.count(b"\r\n") == 1, (end, cut, said)
    assert b"outer" not in subjects(server, person)


@pytest.mark.parametrize("end", [e for e in ENDS if b"\r" in e.replace(b"\r\n", b"")], ids=repr)
def test_a_bare_carriage_return_is_refused_on_submission(server, person, end):
    with server.submission(person) as c:
        c.envelope(person, person)
        c.cmd("DATA", 354)
        c.send(b"From: <%s>\r\nSubject: x\r\n\r\nx%sy\r\n.\r\n" % (person.encode(), end))
        assert c.reply().code == 554
    assert subjects(server, person) == []


@pytest.mark.parametrize("service", ["smtp", "lmtp"])
@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NO\rOP\r\n"], ids=repr)
def test_commands_of_strangers_end_with_crlf_only(server, service, line):
    c = getattr(server, service)()
    c.send(line)
    assert c.reply().code == 521
    c.assert_closed()


def test_programs_that_log_in_may_end_commands_with_a_bare_line_feed(server):
    c = server.submission()
    c.send(b"NOOP\n")
    assert c.reply().code == 250


@pytest.mark.parametrize("octets", [b"Subject: only a head\r\n", b"\r\n.leading dot\r\n", b"\r\n", b"", b"no head at all\r\nand more\r\n", b".\r\n"], ids=repr)
def test_odd_messages_keep_their_octets_and_our_fields_stay_a_head(server, person, octets):
    server.lmtp().deliver(STRANGER, person, octets)
    with server.imap(person, select="INBOX") as c:
        got = c.body(c.uids()[0])
    assert got.endswith(octets)
    head = got[:len(got) - len(octets)]
    assert re.fullmatch(rb"Return-Path: <a@stranger.example>\r\nReceived: (?:[^\r\n]+\r\n[\t ])*[^\r\n]+\r\n(\r\n)?", head), head
    assert head.endswith(b"\r\n\r\n") == (not octets.startswith((b"Subject", b"\r\n")) and octets != b"")


# --- BDAT

def begin(server, person, options="", service="smtp"):
    c = getattr(server, service)()
    c.envelope(STRANGER, person, options)
    return c


def chunk(c, octets, last=""):
    c.send(b"BDAT %d%s\r\n" % (len(octets), last.encode()) + octets)
    return c.reply()


def test_an_empty_chunk_is_a_chunk(server, person):
    c = begin(server, person)
    for _ in range(3):
        assert chunk(c, b"").code == 250
    assert chunk(c, b"Subject: x\r\n\r\nlate\r\n").code == 250
    assert chunk(c, b"", " LAST").code == 250
    assert subjects(server, person) == [b"x"]


def test_an_empty_chunk_before_a_recipient_ends_the_transaction(server, person):
    c = server.smtp()
    assert chunk(c, b"").code == 503
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    assert chunk(c, b"").code == 503
    c.cmd("RCPT TO:<%s>" % person, 503)
    c.deliver(STRANGER, person, message("after"))
    assert subjects(server, person) == [b"after"]


def test_data_after_a_chunk_resets_and_a_chunk_after_data_is_content(server, person):
    c = begin(server, person)
    assert chunk(c, b"abcde").code == 250
    c.cmd("DATA", 503)
    c.cmd("RCPT TO:<%s>" % person, 503)
    c.envelope(STRANGER, person)
    c.cmd("DATA", 354)
    c.send(b"Subject: chunk\r\n\r\nBDAT 4 LAST\r\nabcd\r\n.\r\n")
    assert c.reply().code == 250
    assert c.cmd("NOOP").code == 250
    assert subjects(server, person) == [b"chunk"]


@pytest.mark.parametrize("follow", ["RCPT TO:<%s>", "MAIL FROM:<b@stranger.example>", "RSET", "VRFY x", "NOOP"])
def test_only_what_makes_sense_is_taken_between_chunks(server, person, follow):
    c = begin(server, person)
    assert chunk(c, b"Subject: two\r\n").code == 250
    code = c.cmd(follow % person if "%" in follow else follow).code
    assert code == {"R": 250, "V": 252, "N": 250}.get(follow[0], 503) if follow != "RCPT TO:<%s>" else code == 503
    assert chunk(c, b"\r\nx\r\n", " LAST").code == (503 if follow == "RSET" else 250)


@pytest.mark.parametrize("command,code", [("BDAT x", 501), ("BDAT -1", 501), ("BDAT 99999999999999999999", 501), ("BDAT 5 LASTX", 501), ("BDAT 9000000000000000000", 552), ("BDAT", 501), ("BDAT 5 LAST LAST", 501), ("BDAT 5\0", 501)])
def test_a_chunk_whose_end_cannot_be_known_closes(server, person, command, code):
    c = begin(server, person)
    c.send_what_goes(command.encode() + b"\r\nabcde" + b"DATA\r\n")
    assert c.reply().code == code
    c.assert_closed()
    server.smtp().deliver(STRANGER, person, message("after"))
    assert subjects(server, person) == [b"after"]


@pytest.mark.parametrize("hello", [None, "x.example"])
def test_a_chunk_without_a_transaction_is_swallowed_and_data_is_refused(server, hello):
    c = server.smtp(hello=hello)
    c.send(b"BDAT 20\r\nQUIT\r\nQUIT\r\nQUIT\r\n\r\nDATA\r\n")
    assert c.reply().code == 503 and c.reply().code == 503


@pytest.mark.parametrize("octets", [b"Subject: x\r\n\r\na\n.\nb\r\n", b"Subject: x\r\n\r\na\rb\r\n", b"Subject: x\r\n\r\nends with\r"], ids=repr)
def test_a_chunk_that_is_no_lines_needs_binarymime(server, person, octets):
    for at in range(len(octets) + 1):
        c = begin(server, person, "BODY=8BITMIME")
        assert chunk(c, octets[:at]).code == 250
        last = chunk(c, octets[at:], " LAST")
        assert (last.code, last.enhanced) == (554, "5.6.0")
        c.close()
    c = begin(server, person, "BODY=BINARYMIME")
    assert chunk(c, octets, " LAST").code == 250
    with server.imap(person, select="INBOX") as i:
        assert [i.body(u).endswith(octets) for u in i.uids()] == [True]


def test_a_binary_head_has_one_end_for_all_readers(server, person):
    c = server.submission(person)
    c.envelope(person, person, "BODY=BINARYMIME")
    assert chunk(c, b"From: <%s>\n\nFrom: <budi@kantor.example>\r\n\r\nx\r\n" % person.encode(), " LAST").code == 554
    c.envelope(person, person, "BODY=BINARYMIME")
    c.cmd("DATA", 503)


def test_tiny_chunks_cost_constant_memory_and_are_ended(server, person):
    before = server.rss()
    with Bystander(server):
        c = begin(server, person)
        c.cmd("NOOP", 250)
        codes = []
        c.socket.settimeout(60)
        for _ in range(105):
            if not c.send_what_goes(b"BDAT 1\r\na" * 100):
                break
            codes += [c.reply().code for _ in range(100 if len(codes) < 9900 else min(100, 10001 - len(codes)))]
            if codes[-1] != 250:
                break
        assert codes.count(250) == 10000 and codes[-1] == 421
        c.assert_closed()
    assert server.rss() - before < 64 * 1048576


def test_a_client_that_ends_in_a_chunk_leaves_no_work_behind(server, person):
    c = begin(server, person)
    c.send(b"BDAT 10\r\n\r\n.\r\n\r\n.")
    c.socket.shutdown(socket.SHUT_WR)
    before = server.cpu()
    c.rest()
    server.smtp().deliver(STRANGER, person, message("after"))
    assert server.cpu() - before < 1
    assert subjects(server, person) == [b"after"]


@pytest.mark.parametrize("opening", [b"BDAT 100\r\n0123456789", b"DATA\r\n", b"AUTH PLAIN\r\n", b"MAIL FROM:<"], ids=repr)
def test_a_tls_close_in_the_middle_ends_the_connection(server, person, opening):
    c = server.submission(None if b"AUTH" in opening else person, tls=False)
    c.starttls()
    if b"AUTH" not in opening:
        c.login(person, "demo-password")
        c.envelope(person, person) if b"MAIL" not in opening else None
    c.send(opening)
    if opening.startswith((b"DATA", b"AUTH")):
        assert c.reply().code in (354, 334)
    raw = c.socket.fileno()
    with socket.socket(fileno=os.dup(raw)) as clear:
        try:
            c.socket.unwrap()
        except (OSError, ValueError):
            pass
        try:
            clear.sendall(b"A\r\nNOOP\r\n")
        except OSError:
            pass
        clear.settimeout(20)
        got = b""
        try:
            while True:
                data = clear.recv(65536)
                if not data:
                    break
                got += data
        except ConnectionResetError:
            pass
    assert b"250 " not in got
    server.smtp().deliver(STRANGER, person, message("after"))
    assert subjects(server, person) == [b"after"]


# --- what was said before TLS

def test_nothing_said_in_the_clear_is_known_after_the_handshake(server, person):
    c = server.submission(person, tls=False)
    c.starttls(hello=None)
    c.cmd("MAIL FROM:<%s>" % person, 503)
    c.hello("second.example")
    assert "AUTH" in c.extensions
    c.cmd("MAIL FROM:<%s>" % person, 530)
    c.login(person, "demo-password")
    c.deliver(person, person, message("tls", sender=person))
    with server.imap(person, select="INBOX") as i:
        got = i.body(i.uids()[0])
    assert b"from second.example (" in got and b"with ESMTPSA id " in got and b"client.example" not in got.split(b"Subject:")[0]


# --- after a refusal

@pytest.mark.parametrize("wrong", [b"a\0b", b"x" * 1100000], ids=["nul", "size"])
@pytest.mark.parametrize("follow", ["RCPT TO:<%s>", "DATA"])
def test_a_refused_message_leaves_no_recipient_behind(small, wrong, follow):
    c = small.smtp()
    c.envelope(STRANGER, "budi@kantor.example")
    reply = c.data(b"Subject: x\r\n\r\n" + wrong + b"\r\n")
    assert (reply.code, reply.enhanced) == ((554, "5.6.0") if b"\0" in wrong else (552, "5.3.4"))
    c.cmd(follow % "budi@kantor.example" if "%" in follow else follow, 503)
    c.deliver(STRANGER, "budi@kantor.example", message())


@pytest.fixture(scope="module")
def small():
    s = configured("mail.max_message_size = 1M", "mail.max_recipients = 20", "timeout.smtp = 1s")
    yield s
    finish(s)


def test_declared_and_true_size_are_both_bounded(small):
    c = small.smtp()
    assert c.cmd("MAIL FROM:<%s> SIZE=1048577" % STRANGER).enhanced == "5.3.4"
    c.cmd("MAIL FROM:<%s> SIZE=10" % STRANGER, 250)
    c.cmd("RCPT TO:<budi@kantor.example>", 250)
    assert c.data(b"Subject: lie\r\n\r\n" + b"x" * 1500000 + b"\r\n").enhanced == "5.3.4"
    assert c.cmd("NOOP").code == 250
    c.envelope(STRANGER, "budi@kantor.example")
    c.cmd("DATA", 354)
    c.send_what_goes(b"x" * 3000000)
    assert c.reply().enhanced == "5.3.4"
    c.assert_closed()


def test_chunks_past_the_size_end_the_transaction_at_once(small):
    c = small.smtp()
    c.envelope(STRANGER, "budi@kantor.example")
    codes = []
    for _ in range(4):
        c.send(b"BDAT 400000\r\n" + b"x" * 400000)
        codes.append(c.reply().code)
    assert codes == [250, 250, 552, 503]


@pytest.mark.parametrize("stage", ["command", "data", "chunk"])
def test_a_client_that_dribbles_is_ended(small, stage):
    with Bystander(small):
        c = small.smtp()
        if stage != "command":
            c.envelope(STRANGER, "budi@kantor.example")
        if stage == "data":
            c.cmd("DATA", 354)
        if stage == "chunk":
            c.send(b"BDAT 1000\r\n")
        for _ in range(600):  # a byte whenever the server had 50 ms to end it
            if c.waiting(0.05) or not c.send_what_goes(b"x"):
                break
        assert c.reply().enhanced == "4.4.2"
        c.assert_closed()


# --- what is not SMTP, and who does not wait

@pytest.mark.parametrize("first", [b"a" * 1048576, b" " * 8000000], ids=["word", "blanks"])
def test_an_endless_line_is_refused_and_closed(server, first):
    before = server.rss()
    with Bystander(server):
        c = server.smtp(hello=None)
        c.send_what_goes(b"EHLO " + first)
        assert c.reply().code == 500
        c.rest()
    assert server.rss() - before < 64 * 1048576


@pytest.mark.parametrize("service", ["smtp", "lmtp", "submission"])
@pytest.mark.parametrize("first", [b"POST / HTTP/1.1\r\nHost: k\r\n\r\nEHLO x\r\nMAIL FROM:<a@x>\r\n", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT k:25 HTTP/1.1\r\n\r\n", b"Host: k\r\nEHLO x\r\n"], ids=repr)
def test_http_is_sent_away(server, service, first):
    c = server.submission(tls=False, hello=None) if service == "submission" else getattr(server, service)(hello=None)
    c.send(first)
    assert c.reply().code == 421
    c.assert_closed()


def stand_still(server):
    """Stops the process until SIGCONT; the kernel goes on accepting for it."""
    server.process.send_signal(signal.SIGSTOP)
    tasks = "/proc/%d/task/" % server.process.pid
    while any(open(tasks + t + "/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0] != "T" for t in os.listdir(tasks)):
        pass


def test_who_speaks_before_the_greeting_is_refused(server):
    stand_still(server)
    try:
        c = server.smtp(greet=False)
        c.send(b"EHLO x\r\nMAIL FROM:<a@x.example>\r\n")
    finally:
        server.process.send_signal(signal.SIGCONT)
    reply = c.reply()
    assert (reply.code, reply.enhanced) == (554, "5.5.0")
    c.assert_closed()


def test_a_whole_session_in_one_segment_is_refused_at_data(server, person):
    c = server.smtp()
    c.send(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n" % person.encode())
    assert [c.reply().code for _ in range(3)] == [250, 250, 554]
    c.assert_closed()
    assert subjects(server, person) == []


def test_lines_of_a_mailbox_file_are_dropped_once_and_make_no_second_message(server, person):
    line = b"From x@y.example Mon Jan  1 00:00:00 2024\r\n"
    server.lmtp().deliver(STRANGER, person, line + b"Subject: one\r\n\r\nbody\r\n")
    server.lmtp().deliver(STRANGER, person, line * 1000 + b"Subject: many\r\n\r\nbody\r\n")
    with server.imap(person, select="INBOX") as c:
        one, many = (c.body(u) for u in c.uids())
    assert b"From x@y" not in one and one.count(b"Subject: one") == 1
    assert many.count(line) == 999
    text = server.ctl("export", person, "INBOX", check=False)
    assert text == "" or text.count("Subject: many") == 1
