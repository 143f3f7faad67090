"""Mail leaves for other servers: whole, once, to the right one; what the other side answers is what becomes of it."""
import json
import threading

import pytest

from kantor import Server, message
from kantor.faults import Faults
from kantor.sink import CLOSE, Sink, zone
from kantor.wait import until


@pytest.fixture(scope="module")
def sending(tmp_path_factory):
    """A server whose mail for others goes to ports of the test."""
    server = Server(str(tmp_path_factory.mktemp("sending") / "demo"), sending=True, start=False)
    server.configure(relay_port=str(server.base + 1))  # of its own, also beside other workers
    sinks = []

    def sink(name, **how):
        sinks.append(Sink(address="127.0.0.%d" % (len(sinks) + 2), port=server.base + 1, **how))
        zone(server, "%s MX 10 mx.%s" % (name, name), "mx.%s A 127.0.0.%d" % (name, len(sinks) + 1))
        return sinks[-1]
    server.sink = sink
    server.start()
    yield server
    server.stop()
    for s in sinks:
        s.close()


def submit(server, to, body=b"hello\r\n", sender="budi@kantor.example", subject="Out", options=""):
    with server.submission("budi") as c:
        c.deliver(sender, to, b"From: budi@kantor.example\r\nTo: x\r\nSubject: %s\r\n\r\n%s" % (subject.encode(), body), options)


def queue(server):
    return json.loads(server.ctl("queue", "list", "--json"))


def subjects(server, user="budi"):
    with server.imap(user, select="INBOX") as c:
        return [c.body(u).split(b"Subject: ")[1].split(b"\r\n")[0].decode() for u in c.uids()]


def test_a_message_arrives_byte_by_byte_and_leaves_the_queue(sending):
    peer = sending.sink("whole.example")
    body = b"..two dots\r\n.\r\n.one dot\r\nlong " + b"x" * 900 + b"\r\n" + b"line\r\n" * 40000
    submit(sending, "x@whole.example", body)
    got = until(lambda: peer.messages, "the message")[0]
    assert got.sender == "budi@kantor.example" and got.recipients == ["x@whole.example"]
    assert got.data.endswith(b"\r\n\r\n" + body) and not got.data.startswith(b"Return-Path") and b"Received: " in got.data
    until(lambda: not queue(sending), "the empty queue")
    assert peer.connections == 1 and len(peer.messages) == 1


def test_one_message_to_many_of_one_domain_goes_once_and_to_two_domains_twice(sending):
    one, two = sending.sink("one.example"), sending.sink("two.example")
    submit(sending, ["a@one.example", "b@one.example", "c@two.example"])
    until(lambda: one.messages and two.messages)
    assert one.messages[0].recipients == ["a@one.example", "b@one.example"] and two.messages[0].recipients == ["c@two.example"]
    until(lambda: not queue(sending))


def test_a_refused_recipient_is_reported_and_the_others_get_the_message(sending):
    peer = sending.sink("refusing.example", answers={"RCPT": lambda line: b"550 5.1.1 no such user here" if b"nobody" in line else None})
    submit(sending, ["nobody@refusing.example", "somebody@refusing.example"], subject="Partly")
    assert until(lambda: peer.messages)[0].recipients == ["somebody@refusing.example"]
    until(lambda: any("nobody@refusing.example" in text for text in bodies(sending)), "the report")
    assert any("5.1.1" in text and "no such user here" in text for text in bodies(sending))
    until(lambda: not queue(sending))


def bodies(server, user="budi"):
    with server.imap(user, select="INBOX") as c:
        return [c.body(u).decode("utf-8", "replace") for u in c.uids()]


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
def test_a_passing_fault_anywhere_leaves_the_message_in_the_queue_with_its_reason(sending, verb):
    name = "later%s.example" % verb.lower()
    peer = sending.sink(name, answers={verb: b"421 4.3.2 not now" if verb in ("CONNECT", "EHLO") else b"451 4.3.2 not now"})
    submit(sending, "x@" + name)
    until(lambda: [r for m in queue(sending) for r in str(m).split() if "not" in r and name in str(m)], "the reason in the queue")
    assert not peer.messages
    assert [m for m in queue(sending) if name in str(m) and "not now" in str(m)]


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
def test_a_connection_lost_anywhere_loses_and_doubles_nothing_but_behind_the_dot(sending, verb):
    name = "lost%s.example" % verb.lower()
    peer = sending.sink(name, answers={verb: CLOSE})
    submit(sending, "x@" + name)
    until(lambda: [m for m in queue(sending) if name in str(m) and "451" in str(m)], "the reason in the queue")
    peer.answers.clear()
    entry = [m for m in queue(sending) if name in str(m)][0]
    sending.ctl("queue", "retry", str(entry["id"]))
    until(lambda: peer.messages, "the message")
    until(lambda: not [m for m in queue(sending) if name in str(m)])
    assert len(peer.messages) == 1


def test_a_domain_that_does_not_exist_comes_back_at_once(sending):
    submit(sending, "x@nowhere.example", subject="Nowhere")
    until(lambda: any("nowhere.example does not exist" in text for text in bodies(sending)), "the report")


def test_a_domain_with_a_null_mx_comes_back_at_once(sending):
    zone(sending, "null.example MX 0 .")
    submit(sending, "x@null.example")
    until(lambda: any("5.1.10" in text for text in bodies(sending)), "the report")


def test_tls_is_used_where_it_is_offered(sending):
    peer = sending.sink("tls.example", tls=True)
    submit(sending, "x@tls.example")
    until(lambda: peer.messages)
    assert peer.secured == 1


def test_a_broken_handshake_falls_back_to_clear_text(sending):
    peer = sending.sink("badtls.example", keywords=("PIPELINING", "STARTTLS"), answers={"STARTTLS": lambda line: b"220 go\r\nthis is no handshake at all, and never will be one\r\n"})
    submit(sending, "x@badtls.example")
    until(lambda: peer.messages)
    assert peer.connections == 2 and peer.lines.count(b"STARTTLS") == 1


def test_a_server_without_pipelining_or_ehlo_is_spoken_to_step_by_step(sending):
    peer = sending.sink("old.example", keywords=(), answers={"EHLO": b"500 what"})
    submit(sending, ["a@old.example", "b@old.example"])
    until(lambda: peer.messages)
    assert [line.split(b" ")[0] for line in peer.lines if line][:3] == [b"EHLO", b"HELO", b"MAIL"]
    assert peer.messages[0].options == b""


def test_delivery_options_travel_to_a_server_that_takes_them(sending):
    peer = sending.sink("dsn.example")
    with sending.submission("budi") as c:
        c.cmd("MAIL FROM:<budi@kantor.example> RET=HDRS ENVID=QQ314159", 250)
        c.cmd("RCPT TO:<x@dsn.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@dsn.example", 250)
        assert c.data(message()).code == 250
    until(lambda: peer.messages)
    assert b"RET=HDRS" in peer.messages[0].options and b"ENVID=QQ314159" in peer.messages[0].options
    assert [line for line in peer.lines if line.startswith(b"RCPT") and b"NOTIFY=SUCCESS,DELAY" in line and b"ORCPT=rfc822;x@dsn.example" in line]


def test_the_second_server_is_tried_when_the_first_is_dead(sending):
    peer = sending.sink("second.example")
    zone(sending, "pair.example MX 10 dead.pair.example", "dead.pair.example A 127.0.0.99", "pair.example MX 20 mx.second.example")
    submit(sending, "x@pair.example")
    until(lambda: peer.messages)


def test_a_dead_destination_does_not_hold_up_a_living_one(sending):
    zone(sending, "dead.example MX 10 mx.dead.example", "mx.dead.example A 127.0.0.98")
    peer = sending.sink("living.example")
    for i in range(30):
        submit(sending, "x%d@dead.example" % i)
    submit(sending, "x@living.example")
    until(lambda: peer.messages)
    until(lambda: len([m for m in queue(sending) if "dead.example" in str(m) and "refused" in str(m)]) == 30, "the reason at every message")


@pytest.mark.parametrize("answer", [b"250-a\r\n" * 300 + b"250 b\r\n", b"xxx\r\n", b"999 x\r\n", b"25\r\n", b"250\x00a" + b"y" * 100000 + b"\r\n"])
def test_answers_that_are_not_smtp_are_a_passing_fault(sending, answer):
    name = "odd%d.example" % (sum(answer[:400]) + len(answer))
    sending.sink(name, answers={"MAIL": answer})
    submit(sending, "x@" + name)
    until(lambda: [m for m in queue(sending) if name in str(m) and "451" in str(m)], "the reason in the queue")


def test_many_messages_share_few_connections(sending):
    peer = sending.sink("many.example")
    with sending.submission("budi") as c:
        for i in range(200):
            c.deliver("budi@kantor.example", "x%d@many.example" % i, message())
    until(lambda: len(peer.messages) == 200 and not [m for m in queue(sending) if "many.example" in str(m)])
    assert peer.connections <= 20 and sorted(r for m in peer.messages for r in m.recipients) == sorted("x%d@many.example" % i for i in range(200))


def test_mail_that_must_travel_by_tls_is_returned_where_there_is_none(sending):
    sending.sink("clear.example")
    with sending.submission("budi", tls=True) as c:
        c.cmd("MAIL FROM:<budi@kantor.example> REQUIRETLS", 250)
        c.cmd("RCPT TO:<x@clear.example>", 250)
        assert c.data(message()).code == 250
    until(lambda: any("REQUIRETLS" in text and "clear.example" in text for text in bodies(sending)), "the report")


def test_who_waits_for_room_in_a_mailbox_here_is_not_sent_to_our_own_mx(sending):
    sending.ctl("account", "quota", "dewi@kantor.example", "100")
    with sending.submission("budi") as c:
        c.deliver("budi@kantor.example", ["sari@kantor.example", "dewi@kantor.example"], message(body=b"x" * 300 + b"\r\n"))
    waits = until(lambda: [m for m in queue(sending) if "dewi@kantor.example" in str(m)], "the recipient in the queue")
    reports = len(bodies(sending))
    sending.ctl("queue", "retry", "all")
    peer = sending.sink("after.example")
    submit(sending, "x@after.example")  # when this one is gone the relay has looked at everything before it
    until(lambda: peer.messages)
    assert [m for m in queue(sending) if "dewi@kantor.example" in str(m)] and len(bodies(sending)) == reports
    sending.ctl("account", "quota", "dewi@kantor.example", "100000000")
    sending.ctl("queue", "retry", str(waits[0]["id"]))
    with sending.imap("dewi", select="INBOX") as c:
        until(lambda: c.ok("NOOP") and c.uids(), "the message")


@pytest.mark.parametrize("mode", ["fsync", "full"])
def test_a_store_that_cannot_write_the_result_sends_nothing_twice(tmp_path, mode):
    """The other side has the message: until that is written nobody sends it again."""
    faults = Faults()
    server = Server(str(tmp_path / "demo"), sending=True, start=False, env=faults.environment)
    server.configure(relay_port=str(server.base + 1))

    def taken(line):
        faults.set(mode)
    peer = Sink(address="127.0.0.2", port=server.base + 1, answers={"DOT": taken})
    zone(server, "full.example MX 10 mx.full.example", "mx.full.example A 127.0.0.2")
    try:
        server.start()
        submit(server, "x@full.example")
        until(lambda: server.log().count("results-not-written") >= 2, "the second failure to write")
        faults.set("")
        until(lambda: not queue(server), "the empty queue")
        assert len(peer.messages) == 1
    finally:
        server.remove()
        peer.close()
        faults.remove()


def test_kill_9_while_sending_loses_nothing(tmp_path):
    server = Server(str(tmp_path / "demo"), sending=True, start=False)
    server.configure(relay_port=str(server.base + 1))
    hold = threading.Event()
    peer = Sink(address="127.0.0.2", port=server.base + 1, answers={"DOT": lambda line: None if hold.wait(60) else None})
    zone(server, "held.example MX 10 mx.held.example", "mx.held.example A 127.0.0.2")
    try:
        server.start()
        submit(server, "x@held.example")
        until(lambda: b"DATA" in peer.lines)
        server.kill()
        hold.set()
        server.start()
        until(lambda: not queue(server), "the empty queue", 60)
        assert 1 <= len(peer.messages) <= 2  # the second is the one that SMTP cannot avoid
        assert {m.recipients[0] for m in peer.messages} == {"x@held.example"}
    finally:
        server.remove()
        peer.close()
