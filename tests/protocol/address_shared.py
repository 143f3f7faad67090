"""Shared mailboxes: send as, send on behalf, the copy in the shared Sent (issue 3, point 6; attacks.md SI-33)."""
import re

import pytest


@pytest.fixture
def team(server, person, another):
    """A shared mailbox; `person` may send as it, `another` on its behalf."""
    name = "team-" + person
    server.ctl("shared", "add", name)
    server.ctl("grant", "set", name, person, "lrswitS")
    server.ctl("grant", "set", name, another, "send-on-behalf")
    return name


def submit(server, who, sender, head, to):
    c = server.submission(who)
    c.cmd("MAIL FROM:<%s>" % sender, 250)
    c.cmd("RCPT TO:<%s>" % to, 250)
    return c.data((head + "Subject: x\r\n\r\ny\r\n").encode())


def last(server, who):
    with server.imap(who, select="INBOX") as c:
        return c.body(c.exists)


def sent(server, reader, team):
    with server.imap(reader) as c:
        c.select('"Shared/%s/Sent"' % team)
        return c.exists, c.ok("FETCH 1:* (FLAGS)").fetches if c.exists else {}


def test_who_may_send_as_needs_no_sender_field(server, person, another, team):
    assert submit(server, person, team, "From: <%s>\r\n" % team, another).code == 250
    assert b"\r\nSender:" not in last(server, another)


def test_who_may_send_on_behalf_stands_in_sender_whether_he_wrote_it_or_not(server, person, another, team):
    to = server.people.take()
    for head in ("From: <%s>\r\n" % team, "From: <%s>\r\nSender: <%s>\r\n" % (team, another), ""):
        assert submit(server, another, team, head, to).code == 250
        got = last(server, to)
        assert re.findall(rb"\r\nSender: <([^>]*)>", got) == [another.encode()] and got.count(b"From: <%s>" % team.encode()) == 1


def test_on_behalf_is_no_right_to_be_the_sender(server, another, team):
    reply = submit(server, another, another, "From: <%s>\r\nSender: <%s>\r\n" % (team, team), another)
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    stranger = server.people.take()
    assert submit(server, stranger, stranger, "From: <%s>\r\n" % team, another).code == 550


def test_what_is_sent_as_the_shared_mailbox_stands_in_its_sent_once_and_seen(server, person, another, team):
    submit(server, person, team, "From: <%s>\r\n" % team, another)
    submit(server, another, another, "From: <%s>\r\n" % team, another)
    submit(server, person, person, "From: <%s>\r\n" % person, another)
    exists, flags = sent(server, person, team)
    assert exists == 2 and all("\\Seen" in str(f) for f in flags.values())


def test_a_shared_mailbox_that_is_full_keeps_nobody_from_sending(server, person, another, team):
    server.ctl("account", "quota", team, "1K")
    assert submit(server, person, team, "From: <%s>\r\nX: %s\r\n" % (team, "x" * 900 + "\r\n " + "y" * 900), another).code == 250
    assert b"Subject: x" in last(server, another)
    assert "the copy of what was sent" in server.ctl("trace", "--recipient", team)


def test_the_right_is_shown(server, person, another, team):
    assert re.search(r"%s +B" % re.escape(another), server.ctl("grant", "list", team))
