"""Clients that do not read, close one half, or vanish in the middle: nothing is half there, nothing is kept for them, others are served."""
import socket

import pytest

from kantor import Bystander, Closed, Literal, message, until

MEGABYTE = 1048576


def no_leftovers(server, before):
    until(lambda: server.descriptors() <= before, "the descriptors of ended connections were not closed")


@pytest.fixture
def settled(server):
    """The number of descriptors when no connection is open."""
    def read():
        a = server.descriptors()
        return a if all(server.descriptors() == a for _ in range(5)) else 0
    return until(read, "the server did not come to rest")


def test_a_client_that_never_reads_a_large_answer_costs_its_position_only(server, person, another):
    with Bystander(server), server.bounded(48):
        c = server.imap(person, select="INBOX", dribble=False)
        c.append("INBOX", message("large", body=b"0123456789abcde\r\n" * 200000), mode="plus")
        slow = []
        for _ in range(10):
            s = server.imap(person, select="INBOX", dribble=False)
            s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for n in range(40):  # 128 MB of answers asked for, each
                s.send("x%d FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT])\r\n" % n)
            slow.append(s)
        for s in slow:
            until(lambda: s.waiting(0), "no answer began")
        assert len(server.imap(another, select="INBOX").uids()) == 0
        for s in slow:
            s.reset()


def test_an_answer_that_was_waited_for_comes_whole_after_the_pause(server, person):
    large = message("large", body=b"0123456789abcde\r\n" * 200000)
    c = server.imap(person, select="INBOX", dribble=False)
    uid = c.append("INBOX", large, mode="plus")
    tags = [c.start("UID FETCH %d BODY.PEEK[]" % uid) for _ in range(5)]
    server.imap(person, select="INBOX", dribble=False).ok("NOOP")
    for tag in tags:
        assert c.collect(tag).by_uid[uid]["BODY[]"] == large


def test_large_and_small_items_of_many_messages_come_in_order_and_whole(server, person):
    """A literal that is sent in pieces, with items before and behind it, and the next message behind those."""
    c = server.imap(person, select="INBOX", dribble=False)
    mails = [message("m%d" % n, body=b"".join(b"%06d octets\r\n" % i for i in range(size))) for n, size in enumerate((3, 40000, 9363, 9364, 1, 120000, 9362))]
    for m in mails:
        c.append("INBOX", m, mode="plus")
    got = c.ok("FETCH 1:* (UID BODY.PEEK[] FLAGS BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[]<100.300000> RFC822.SIZE BODY.PEEK[1])").fetches
    for n, m in enumerate(mails):
        text = m.partition(b"\r\n\r\n")[2]
        assert got[n + 1]["BODY[]"] == m and got[n + 1]["BODY[TEXT]"] == text == got[n + 1]["BODY[1]"] and got[n + 1]["BODY[]<100>"] == m[100:300100] and got[n + 1]["RFC822.SIZE"] == len(m), n
    assert {n: items["BODY[]"] for n, items in c.ok("FETCH 1:* BODY[]").fetches.items()} == {n + 1: m for n, m in enumerate(mails)}
    assert c.ok("FETCH 2 (BINARY.PEEK[1] BODY.PEEK[])").fetches[2]["BODY[]"] == mails[1]


def test_a_message_expunged_while_it_is_sent_comes_whole_or_the_connection_ends(server, person):
    large = message("large", body=b"0123456789abcde\r\n" * 400000)
    c = server.imap(person, select="INBOX", dribble=False)
    c.append("INBOX", large, mode="plus")
    for items in ("BODY.PEEK[]", "(BODY.PEEK[] FLAGS)"):
        slow = server.imap(person, select="INBOX", dribble=False)
        tag = slow.start("FETCH 1 " + items)
        slow.exactly(1000)
        slow.buffer[:0] = slow.transcript[-1][1][-1000:]
        c.ok("STORE 1 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        try:
            assert slow.collect(tag).fetches[1]["BODY[]"] == large
        except Closed:
            assert "FLAGS" in items
        c.append("INBOX", large, mode="plus")
        c.ok("NOOP")


HALVES = {"imap": (b"a CAPABILITY\r\nb NOOP\r\n", b"b OK"), "pop3": (b"CAPA\r\nQUIT\r\n", b"+OK"), "smtp": (b"EHLO x.example\r\nNOOP\r\n", b"250"), "lmtp": (b"LHLO x.example\r\nNOOP\r\n", b"250")}


@pytest.mark.parametrize("service", HALVES)
def test_a_half_closed_socket_gets_its_answers_and_then_the_end(server, settled, service):
    said, last = HALVES[service]
    c = getattr(server, service)(dribble=False, **({"hello": None} if "mtp" in service else {}))
    c.send(said)
    c.socket.shutdown(socket.SHUT_WR)
    assert last in c.rest()
    c.close()
    no_leftovers(server, settled)


def test_a_half_closed_socket_in_the_middle_of_something_ends_without_spinning(server, person, settled):
    cpu = server.cpu()
    for begin in (lambda: server.imap(person, dribble=False), lambda: server.imap(dribble=False), lambda: server.smtp(dribble=False), lambda: server.lmtp(dribble=False), lambda: server.pop3(dribble=False)):
        for octets in (b"a", b"a APPEND INBOX {100+}\r\nhalf", b"BDAT 100\r\nhalf", b"a LOGIN {5}\r\n", b"a IDLE\r\n"):
            c = begin()
            c.send(octets)
            c.socket.shutdown(socket.SHUT_WR)
            c.rest()
            c.close()
    no_leftovers(server, settled)
    assert server.cpu() - cpu < 5


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_vanishes_in_an_append_leaves_nothing(server, person, settled, how):
    with Bystander(server):
        for octets in (b"a APPEND INBOX {3000000+}\r\n", b"a APPEND INBOX {3000000+}\r\n" + b"m" * 100, b"a APPEND INBOX {3000000+}\r\n" + b"m" * 2000000, b"a APPEND INBOX {3000+}\r\n" + b"m" * 3000, b"a APPEND INBOX (\\Seen"):
            c = server.imap(person, dribble=False)
            c.send(octets)
            getattr(c, how)()
    no_leftovers(server, settled)
    c = server.imap(person, select="INBOX")
    assert c.exists == 0 and c.ok("GETQUOTAROOT INBOX" if "QUOTA" in c.capabilities() else "NOOP")


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("service", ["smtp", "lmtp"])
def test_a_client_that_vanishes_in_a_message_delivers_nothing(server, person, settled, service, how):
    with Bystander(server):
        for octets in (b"DATA\r\n", b"DATA\r\nSubject: half\r\n\r\n", b"DATA\r\nSubject: half\r\n\r\n" + b"x" * 70 + b"\r\n.\r", b"BDAT 100000\r\nhalf", b"BDAT 4\r\nhalf", b"DATA\r\n" + (b"y" * 70 + b"\r\n") * 30000):
            c = getattr(server, service)(dribble=False)
            c.envelope("a@stranger.example", person)
            c.send(octets)
            getattr(c, how)()
    no_leftovers(server, settled)
    assert server.imap(person, select="INBOX").exists == 0


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_vanishes_in_a_fetch_frees_everything(server, person, settled, how):
    c = server.imap(person, select="INBOX", dribble=False)
    for _ in range(20):
        c.append("INBOX", message(body=b"0123456789abcde\r\n" * 20000), mode="plus")
    c.close()
    with Bystander(server), server.bounded(48):
        for _ in range(20):
            c = server.imap(person, select="INBOX", dribble=False)
            c.send("a FETCH 1:* BODY[]\r\nb UID SEARCH BODY nothing\r\n")
            c.exactly(1000)
            getattr(c, how)()
        for _ in range(5):
            p = server.pop3(person, dribble=False)
            p.send("RETR 1\r\nRETR 2\r\n")
            p.exactly(1000)
            getattr(p, how)()
            until(lambda: _maildrop_is_free(server, person), "the maildrop stayed locked")
    no_leftovers(server, settled)


def _maildrop_is_free(server, person):
    with server.pop3(dribble=False) as p:
        p.ok("USER " + person)
        return p.cmd("PASS demo-password")[0] and p.cmd("QUIT")[0]


def test_a_session_that_idles_and_vanishes_is_forgotten(server, person, settled):
    for how in ("close", "reset"):
        c = server.imap(person, select="INBOX", dribble=False)
        c.idle()
        getattr(c, how)()
    with server.lmtp(dribble=False) as c:
        c.deliver("a@stranger.example", person, message())
    no_leftovers(server, settled)


def test_pipelined_commands_behind_a_slow_one_wait_in_bounded_memory(server, person):
    with Bystander(server), server.bounded(32):
        c = server.imap(person, select="INBOX", dribble=False)
        c.append("INBOX", message(body=b"0123456789abcde\r\n" * 100000), mode="plus")
        c.socket.settimeout(2)
        sent = 0
        try:
            while sent < 4000:
                c.socket.sendall(b"".join(b"x%d FETCH 1 BODY.PEEK[]\r\n" % (sent + n) for n in range(100)))
                sent += 100
        except (TimeoutError, OSError):
            pass  # the server stopped reading: the client waits, as it should
        c.reset()


def test_what_is_pipelined_behind_a_login_is_answered_in_order(server, person):
    c = server.imap(dribble=False)
    c.send("".join(["a LOGIN %s demo-password\r\n" % person, "b SELECT INBOX\r\n"] + ["n%d NOOP\r\n" % n for n in range(500)] + ["z LOGOUT\r\n"]))
    assert c.collect("a").status == "OK" and c.collect("b").status == "OK"
    assert all(c.collect("n%d" % n).status == "OK" for n in range(500)) and c.collect("z").status == "OK"
    with pytest.raises(Closed):
        c.line()


def test_an_append_cut_by_the_end_of_the_server_is_not_there(fresh):
    c = fresh.imap("budi")
    c.send(b"a APPEND INBOX {1000+}\r\nhalf of it")
    fresh.stop()
    fresh.start()
    c = fresh.imap("budi", select="INBOX")
    assert c.exists == 0 and c.ok("APPEND INBOX", Literal(message()))
    assert fresh.ctl("check") == "the store is clean\n"
