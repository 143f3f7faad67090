"""Quota: by bytes and by number of messages, looked at inside the change, so that many at once never get past it."""
import re
import threading

import pytest

from kantor import Literal, message

BODY = b"x" * 900 + b"\r\n"


def used(server, person):
    """(bytes, messages) by the messages themselves."""
    total = [0, 0]
    with server.imap(person) as c:
        for box in ("INBOX", "Archive"):
            c.select(box)
            if c.exists:
                for items in c.ok("FETCH 1:* (RFC822.SIZE)").fetches.values():
                    total = [total[0] + items["RFC822.SIZE"], total[1] + 1]
    return total


def deliver(server, person, text):
    """The reply that counts: RCPT's when it refuses, else the one after the message."""
    with server.lmtp() as c:
        c.cmd("MAIL FROM:<a@stranger.example>", 250)
        r = c.cmd("RCPT TO:<%s>" % person)
        return r if r.code != 250 else c.data(text)[0]


def many_at_once(server, person):
    refused, failed = [], []

    def one():
        try:
            for _ in range(5):
                r = deliver(server, person, message(body=BODY))
                if r.code != 250:
                    refused.append(r)
        except BaseException as e:
            failed.append(e)
    threads = [threading.Thread(target=one) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
    return refused


def over(reply):
    assert reply.status == "NO" and reply.code_name == "OVERQUOTA", reply


def test_deliveries_at_once_fill_the_quota_and_never_pass_it(server, person):
    server.ctl("account", "quota", person, "20000")
    refused = many_at_once(server, person)
    size, n = used(server, person)
    assert 17000 < size <= 20000 and n + len(refused) == 40
    for r in refused:
        assert (r.code, r.enhanced) in ((452, "4.2.2"), (552, "5.2.2")), r
    c = server.imap(person, select="INBOX")
    over(c.cmd("APPEND Archive", Literal(message(body=BODY * 4), "plus")))
    over(c.cmd("COPY 1:* Archive"))
    c.ok("MOVE 1 Archive")  # inside an account it needs no room
    assert used(server, person) == [size, n]


def test_the_number_of_messages_has_a_limit_of_its_own(server, person):
    server.ctl("account", "quota", person, "--messages", 10)
    refused = many_at_once(server, person)
    assert used(server, person)[1] == 10 and len(refused) == 30
    assert {(r.code, r.enhanced) for r in refused} <= {(452, "4.2.2"), (552, "5.2.2")}
    c = server.imap(person, select="INBOX")
    over(c.cmd("APPEND INBOX", Literal(message(), "plus")))
    over(c.cmd("COPY 1 Archive"))
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    c.append("INBOX", message())


def test_a_message_to_two_is_refused_for_the_full_one_alone(server, person, another):
    server.ctl("account", "quota", person, "1000")
    with server.lmtp() as c:
        c.cmd("MAIL FROM:<a@stranger.example>", 250)
        assert c.cmd("RCPT TO:<%s>" % person).code == 250 and c.cmd("RCPT TO:<%s>" % another).code == 250
        replies = c.data(message(body=BODY * 2), 2)
    assert (replies[0].code, replies[0].enhanced) in ((452, "4.2.2"), (552, "5.2.2")) and replies[1].code == 250
    assert used(server, person) == [0, 0] and used(server, another)[1] == 1
