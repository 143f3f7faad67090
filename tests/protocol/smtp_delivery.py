"""Delivery: one change for all recipients, groups and forwards, options of the queue (issue 2, item 4)."""
import os

import pytest

from kantor import message
from kantor.configured import configured, finish

STRANGER = "a@stranger.example"


def count(server, who):
    with server.imap(who, select="INBOX") as c:
        return c.exists


def test_one_message_to_a_hundred_people_is_one_blob_one_change_and_one_copy_each(fresh):
    fresh.make_people(100)
    before = fresh.metrics()
    people = ["user%d@kantor.example" % n for n in range(1, 101)]
    body = message(body=b"x" * 50000 + b"\r\n")
    fresh.smtp().deliver(STRANGER, people, body)
    after = fresh.metrics()
    grown = {k: after[k] - before.get(k, 0) for k in after}
    delivered = [v for k, v in grown.items() if "mail_delivered" in k]
    assert delivered == [100], grown
    with fresh.imap(people[0], select="INBOX") as a, fresh.imap(people[99], select="INBOX") as b:
        assert a.exists == b.exists == 1 and a.body(1) == b.body(1) and a.body(1).endswith(body)


@pytest.mark.parametrize("service", ["smtp", "lmtp", "submission"])
def test_a_thousand_recipients_of_one_message_all_get_it(service):
    s = configured("mail.max_recipients = 1000")
    try:
        s.make_people(1000)
        c = s.submission("budi") if service == "submission" else getattr(s, service)()
        c.cmd("MAIL FROM:<%s>" % ("budi@kantor.example" if service == "submission" else STRANGER), 250)
        c.send("".join("RCPT TO:<user%d@kantor.example>\r\n" % n for n in range(1, 1001)))
        assert [c.reply().code for _ in range(1000)] == [250] * 1000
        replies = c.data(message(sender="budi@kantor.example"), 1000)
        assert {r.code for r in (replies if service == "lmtp" else [replies])} == {250}
        assert [count(s, "user%d@kantor.example" % n) for n in (1, 500, 1000)] == [1, 1, 1]
    finally:
        finish(s)


def test_very_many_foreign_recipients_stand_in_the_queue_as_one_message():
    many = int(os.environ.get("KANTOR_RECIPIENTS", "20000"))  # 100,000 is the most that can be configured
    s = configured("mail.max_recipients = %d" % many, "sending.hour = 0", "sending.day = 0")
    try:
        c = s.submission("budi", tls=False)
        c.socket.settimeout(120)
        c.cmd("MAIL FROM:<budi@kantor.example>", 250)
        for lo in range(0, many, 5000):
            c.send("".join("RCPT TO:<u%d@else.where>\r\n" % n for n in range(lo, lo + 5000)))
            assert {c.reply().code for _ in range(5000)} == {250}
        assert c.cmd("RCPT TO:<one-more@else.where>").code == 452
        c.cmd("RCPT TO:<u77@else.where>", 250)
        assert c.data(message(sender="budi@kantor.example")).code == 250
        listed = s.ctl("queue", "list")
        assert listed.count("u77@else.where") == 1 and listed.count("@else.where") == many and "1 message" in listed
    finally:
        finish(s)


def test_groups_in_groups_a_circle_and_an_alias_reach_each_member_once(fresh):
    for g in ("a", "b", "c"):
        fresh.ctl("group", "add", g + "@kantor.example")
    for g, member in (("a", "b@kantor.example"), ("b", "c@kantor.example"), ("c", "a@kantor.example"), ("a", "budi@kantor.example"), ("c", "budi@kantor.example"), ("b", "tim@kantor.example"), ("c", "friend@else.where"),
                      ("c", "andi+x@kantor.example")):
        fresh.ctl("group", "join", g + "@kantor.example", member, check=False)
    fresh.ctl("alias", "add", "boss@kantor.example", "budi@kantor.example")
    fresh.smtp().deliver(STRANGER, ["a@kantor.example", "b@kantor.example", "boss@kantor.example", "sari+x@kantor.example"], message())
    assert [count(fresh, p) for p in ("budi", "sari", "dewi")] == [1, 1, 1]
    assert fresh.ctl("queue", "list").count("friend@else.where") == 1


def test_a_member_without_room_does_not_harm_the_others_and_loses_nothing(fresh):
    fresh.ctl("account", "quota", "sari@kantor.example", "2000")
    fresh.smtp().deliver(STRANGER, "tim@kantor.example", message("big", body=b"x" * 4000 + b"\r\n"))
    assert [count(fresh, p) for p in ("budi", "sari", "dewi")] == [1, 0, 1]
    listed = fresh.ctl("queue", "list")
    assert listed.count("sari@kantor.example") == 1 and "budi@kantor.example" not in listed and "1 message" in listed
    number = [line for line in listed.splitlines() if "sari@" in line][0].split()[0]
    fresh.ctl("queue", "retry", number)
    assert count(fresh, "sari") == 0 and "sari@kantor.example: waiting, 1 tries" in fresh.ctl("queue", "show", number)
    fresh.ctl("account", "quota", "sari@kantor.example", "0")
    fresh.ctl("queue", "retry", number)
    assert [count(fresh, p) for p in ("budi", "sari", "dewi")] == [1, 1, 1]
    assert "0 messages" in fresh.ctl("queue", "list")
    fresh.ctl("queue", "retry", number, check=False)
    assert fresh.ctl_status != 0 and count(fresh, "sari") == 1


def test_a_forward_leads_into_the_queue_and_forwards_in_a_circle_end(fresh):
    fresh.ctl("alias", "add", "away@kantor.example", "friend@else.where")
    fresh.ctl("alias", "add", "x@kantor.example", "y@kantor.example", check=False)
    fresh.ctl("alias", "add", "y@kantor.example", "x@kantor.example", check=False)
    fresh.smtp().deliver(STRANGER, "away@kantor.example", message())
    assert fresh.ctl("queue", "list").count("friend@else.where") == 1
    c = fresh.smtp()
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    assert c.cmd("RCPT TO:<x@kantor.example>").code == 550


def test_the_detail_separator_and_the_queues_lifetime_are_options():
    s = configured("mail.detail_separator = -_", "queue.lifetime = 1h")
    try:
        c = s.smtp()
        c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
        for local, code in (("budi-x", 250), ("budi_x", 250), ("budi+x", 550)):
            c.cmd("RCPT TO:<%s@kantor.example>" % local, code)
        c = s.submission("budi")
        c.cmd("MAIL FROM:<budi+x@kantor.example>", 550)
        c.cmd("MAIL FROM:<budi-x@kantor.example>", 250)
        c.cmd("RCPT TO:<x@else.where>", 250)
        assert c.data(message(sender="budi-y@kantor.example")).code == 250
        shown = s.ctl("queue", "show", "1")
        assert "expires" in shown, shown
    finally:
        finish(s)


@pytest.mark.parametrize("state,code,enhanced", [("suspended", 550, "5.7.1"), ("gone", 550, "5.1.1")])
def test_mail_for_a_suspended_or_deleted_person_is_refused_at_rcpt(fresh, state, code, enhanced):
    fresh.ctl("account", "suspend" if state == "suspended" else "remove", "andi@kantor.example")
    for service in ("smtp", "lmtp"):
        c = getattr(fresh, service)()
        c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
        reply = c.cmd("RCPT TO:<andi@kantor.example>")
        assert (reply.code, reply.enhanced) == (code, enhanced)
    c = fresh.submission("budi")
    c.cmd("MAIL FROM:<budi@kantor.example>", 250)
    c.cmd("RCPT TO:<andi@kantor.example>", code)


def test_eight_bits_and_utf8_heads_pass_unchanged(server, person):
    octets = "From: Büro <a@x.example>\r\nSubject: Grüße 🌍\r\n\r\n日本語\r\n".encode()
    for options in ("", "BODY=8BITMIME", "SMTPUTF8", "BODY=7BIT"):
        server.smtp().deliver(STRANGER, person, octets, options)
    with server.imap(person, select="INBOX") as c:
        assert all(c.body(u).endswith(octets) for u in c.uids()) and c.exists == 4
