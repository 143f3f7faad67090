"""Lists: who may post, moderation, fields of the list, loops, bounces, leaving (issue 3, point 6)."""
import json
import re

import pytest

from kantor import message
from kantor.wait import until

STRANGER = "a@stranger.example"


def rows(server, *words):
    return json.loads(server.ctl(*words, "--json"))


def mailbox(server, who, n):
    """The messages of an INBOX, when there are n."""
    with server.imap(who, select="INBOX") as c:
        until(lambda: c.ok("NOOP") and c.exists >= n, "%d messages of %s" % (n, who))
        assert c.exists == n
        return [c.body(i + 1) for i in range(n)]


def queued(server, job=None):
    return {r["to"]: r for r in rows(server, "queue", "list") if job in (None, r["message"])}


class List:
    def __init__(self, server, *options, members=2):
        self.server = server
        self.members = [server.people.take() for _ in range(members)]
        self.owner = server.people.take()
        self.name = "list-" + self.owner
        server.ctl("list", "add", self.name, "--owner", self.owner, *options)
        for m in self.members:
            server.ctl("group", "join", self.name, m)
        self.away = "away-" + self.owner.replace("kantor", "elsewhere")
        server.ctl("group", "join", self.name, self.away)

    def post(self, octets=None, sender=None):
        self.server.lmtp().deliver(sender or self.members[0], self.name, octets or message(sender=sender or self.members[0], to=self.name))

    def address(self, word):
        return self.name.replace("@", "-%s@" % word)

    def envelope_sender(self):
        """As a member sees it in what he got."""
        return re.match(rb"Return-Path: <([^>]+)>", mailbox(self.server, self.members[1], 1)[0])[1].decode()


def fields(octets):
    head = octets.split(b"\r\n\r\n")[0]
    return [(n.decode(), v.decode()) for n, v in re.findall(rb"^([A-Za-z-]+): ?([^\r\n]*)\r?$", head, re.M)]


def refusal(server, sender, to):
    c = server.smtp()
    c.cmd("EHLO x.example", 250)
    c.cmd("MAIL FROM:<%s>" % sender, 250)
    return c.cmd("RCPT TO:<%s>" % to)


def test_members_get_the_lists_own_message_here_and_elsewhere(server):
    x = List(server, "--prefix", "[team]", "--reply-to", "list")
    x.post(b"From: <m@x.example>\r\nSubject: Hello\r\nList-Id: <other.list>\r\nReply-To: <z@x.example>\r\nReturn-Receipt-To: <m@x.example>\r\n\r\nbody\r\n")
    for m in x.members:
        got = mailbox(server, m, 1)[0]
        names = dict(fields(got))
        local, domain = x.name.split("@")
        assert names["Subject"] == "[team] Hello" and names["Reply-To"] == "<%s>" % x.name and names["Precedence"] == "list"
        assert names["List-Id"] == "<%s.%s>" % (local, domain) and names["List-Post"] == "<mailto:%s>" % x.name
        assert names["List-Unsubscribe"] == "<mailto:%s?subject=leave>" % x.address("leave") and x.address("owner") in names["List-Help"]
        assert "Return-Receipt-To" not in names and [n for n, _ in fields(got)].count("List-Id") == 1
        assert names["Delivered-To"] == x.name and got.endswith(b"\r\n\r\nbody\r\n")
    row = queued(server)[x.away]
    assert re.fullmatch(re.escape(x.name.split("@")[0]) + r"-bounces-[a-z2-9]{10}@kantor\.example", row["from"])


@pytest.mark.parametrize("name,shown", [("Ann Other", '"Ann Other via '), ("=?utf-8?q?Ann_=C3=96ther?=", "=?utf-8?q?Ann_=C3=96ther?= via <"), ("", '"m@elsewhere.example via ')])
def test_a_changed_subject_of_an_author_elsewhere_is_sent_under_the_lists_name(server, name, shown):
    x = List(server, "--prefix", "[team]")
    x.post(("From: %s <m@elsewhere.example>\r\nSubject: Hello\r\nReply-To: <z@elsewhere.example>\r\n\r\nbody\r\n" % name).encode())
    names = dict(fields(mailbox(server, x.members[0], 1)[0]))
    assert names["From"].startswith(shown) and names["From"].endswith("<%s>" % x.name)
    assert names["Reply-To"] == "<m@elsewhere.example>" and names["X-Original-From"].endswith("<m@elsewhere.example>")
    ours = List(server, "--prefix", "[team]")
    ours.post(("From: %s <%s>\r\nSubject: Hello\r\n\r\nbody\r\n" % (name, ours.members[0])).encode())
    assert dict(fields(mailbox(server, ours.members[0], 1)[0]))["From"].endswith("<%s>" % ours.members[0])


def test_a_prefix_that_stands_in_the_subject_is_not_put_twice(server):
    x = List(server, "--prefix", "[team]")
    x.post(b"Subject: Re: [team] Hello\r\n\r\nbody\r\n")
    assert dict(fields(mailbox(server, x.members[0], 1)[0]))["Subject"] == "Re: [team] Hello"


def test_who_may_not_post_hears_it_at_the_recipient_and_nothing_goes_back(server):
    x = List(server)
    assert refusal(server, STRANGER, x.name).code == 550
    assert refusal(server, "", x.name).code == 550
    assert refusal(server, x.away, x.name).code == 250
    owned = List(server, "--post", "owner")
    assert refusal(server, owned.away, owned.name).code == 550
    owned.post(sender=owned.owner)
    assert dict(fields(mailbox(server, owned.members[0], 1)[0]))["List-Post"] == "NO"
    anyone = List(server, "--post", "anyone")
    assert refusal(server, STRANGER, anyone.name).code == 250


def test_a_member_posts_with_his_login_and_with_an_alias(server):
    x = List(server)
    alias = "also-" + x.members[0]
    server.ctl("alias", "add", alias, x.members[0])
    with server.submission(x.members[0]) as c:
        c.deliver(alias, x.name, message(sender=alias))
    assert len(mailbox(server, x.members[1], 1)) == 1


def test_a_moderated_post_waits_until_the_moderator_decides(server):
    x = List(server, "--moderated", "yes")
    x.post(b"Subject: wait\r\n\r\nbody\r\n")
    notice = mailbox(server, x.owner, 1)[0]
    assert b"kantorctl list approve" in notice and b"Auto-Submitted: auto-generated" in notice and b"Return-Path: <>" in notice
    (pending,) = rows(server, "list", "pending", x.name)
    assert pending["subject"] == "wait" and pending["from"] == x.members[0]
    server.ctl("list", "approve", pending["id"])
    assert b"Subject: wait" in mailbox(server, x.members[1], 1)[0]
    assert rows(server, "list", "pending", x.name) == []
    x.post(b"Subject: no\r\n\r\nbody\r\n")
    mailbox(server, x.owner, 2)
    (pending,) = rows(server, "list", "pending", x.name)
    server.ctl("list", "reject", pending["id"], "--reason", "not on our subject")
    assert b"not on our subject" in mailbox(server, x.members[0], 2)[1]  # the first is the one that was distributed
    assert len(mailbox(server, x.members[1], 1)) == 1
    told = [e["event"] for e in rows(server, "trace", "--message", pending["message"])]
    assert told[:3] == ["received", "held", "distributed"] and "dropped" in told


def test_the_owners_own_post_is_not_moderated(server):
    x = List(server, "--moderated", "yes")
    x.post(sender=x.owner)
    assert len(mailbox(server, x.members[0], 1)) == 1


def test_a_list_that_is_its_own_member_through_elsewhere_ends_there(server):
    x = List(server, "--post", "anyone")
    x.post()
    back = mailbox(server, x.members[0], 1)[0]
    c = server.smtp()
    c.envelope("other-list@elsewhere.example", x.name)
    assert c.data(back.split(b"\r\n", 1)[1]).enhanced == "5.4.6"


def test_two_lists_that_are_members_of_each_other_settle(server):
    a, b = List(server, "--post", "anyone"), List(server, "--post", "anyone")
    server.ctl("alias", "add", "to-" + b.name, b.owner, b.name)  # through an alias: the membership itself would be refused
    server.ctl("group", "join", b.name, a.name)
    server.ctl("group", "join", a.name, "to-" + b.name, check=False)
    a.post()
    until(lambda: len([e for e in rows(server, "trace", "--recipient", a.name) if e["event"] == "refused"]) >= 1, "the loop is refused")
    assert len(mailbox(server, a.members[0], 1)) == 1 and len(mailbox(server, b.members[0], 1)) == 1
    assert not [r for r in rows(server, "queue", "list") if r["to"] in (a.name, b.name)]


def test_a_list_in_a_list_passes_its_posts_on(server):
    a, b = List(server), List(server)
    server.ctl("group", "join", a.name, b.name)
    a.post()
    got = mailbox(server, b.members[0], 1)[0]
    assert [v for n, v in fields(got) if n == "Delivered-To"] == [b.name, a.name]


def test_an_automatic_answer_is_not_distributed(server):
    x = List(server)
    x.post(b"Subject: I am away\r\nAuto-Submitted: auto-replied\r\n\r\nbody\r\n")
    x.post(b"Subject: real\r\n\r\nbody\r\n")
    assert b"Subject: real" in mailbox(server, x.members[0], 1)[0]


def report(failed, status=b"5.1.1"):
    return (b"From: MAILER-DAEMON@elsewhere.example\r\nSubject: failed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            b"--b\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; elsewhere.example\r\n\r\n"
            b"Final-Recipient: rfc822; " + failed.encode() + b"\r\nAction: failed\r\nStatus: " + status + b"\r\n\r\n--b--\r\n")


def test_a_member_whose_mail_comes_back_three_times_gets_nothing_until_he_is_resumed(server):
    x = List(server)
    x.post()
    back = x.envelope_sender()
    for n in range(3):
        server.smtp().deliver("", back, report(x.away))
    assert b"kantorctl list resume" in mailbox(server, x.owner, 1)[0]
    assert [(r["member"], r["bounces"], r["suspended"]) for r in rows(server, "list", "bounces", x.name)] == [(x.away, 3, "yes")]
    before = len([r for r in rows(server, "queue", "list") if r["to"] == x.away])
    x.post()
    mailbox(server, x.members[0], 2)
    assert len([r for r in rows(server, "queue", "list") if r["to"] == x.away]) == before
    server.ctl("list", "resume", x.name, x.away)
    x.post()
    until(lambda: len([r for r in rows(server, "queue", "list") if r["to"] == x.away]) == before + 1, "mail for the resumed member")


def test_reports_of_one_day_count_once_and_those_that_nobody_could_have_made_not_at_all(server):
    x = List(server)
    x.post()
    back = x.envelope_sender()
    for n in range(3):
        server.smtp().deliver("", back, report(x.away, b"4.2.2" if n else b"5.2.2"))
    server.smtp().deliver("", back, report("somebody@else.example"))
    until(lambda: rows(server, "list", "bounces", x.name), "a bounce is counted")
    assert [(r["member"], r["bounces"]) for r in rows(server, "list", "bounces", x.name)] == [(x.away, 1)]
    assert refusal(server, "", back.replace("bounces-", "bounces-x")).code == 550


def test_a_report_that_no_program_understands_goes_to_the_owner(server):
    x = List(server)
    x.post()
    server.smtp().deliver("", x.envelope_sender(), b"Subject: out of order\r\n\r\nyour mail did not arrive\r\n")
    assert b"out of order" in mailbox(server, x.owner, 1)[0]
    server.smtp().deliver(STRANGER, x.address("owner"), b"Subject: question\r\n\r\nx\r\n")
    assert b"question" in mailbox(server, x.owner, 2)[1]


def leave(server, x, envelope, author):
    server.lmtp().deliver(envelope, x.address("leave"), b"From: <%s>\r\nSubject: leave\r\n\r\n\r\n" % author.encode())


def test_a_member_leaves_when_he_answers_the_question_whether_it_was_he(server):
    x = List(server)
    leave(server, x, x.members[0], x.members[0])
    asked = mailbox(server, x.members[0], 1)[0]
    assert b"Do you want to leave" in asked and x.members[0] in server.ctl("group", "members", x.name)
    leave(server, x, x.members[0], x.members[0])  # asked once a day
    answer = re.search(rb"Reply-To: <([^>]+)>", asked)[1].decode()
    assert refusal(server, x.members[0], answer.replace("leave-", "leave-x")).code in (250, 550)
    server.smtp().deliver("anything@elsewhere.example", answer, b"Subject: Re: Do you want to leave\r\n\r\nyes\r\n")
    assert x.members[0] not in server.ctl("group", "members", x.name)
    assert len(mailbox(server, x.members[0], 1)) == 1
    c = server.smtp()
    c.envelope("anything@elsewhere.example", answer)
    assert c.data(b"Subject: again\r\n\r\n\r\n").code == 550


def test_a_member_elsewhere_leaves_the_same_way(server):
    x = List(server)
    leave(server, x, x.away, x.away)
    row = until(lambda: queued(server).get(x.away), "the question leaves")
    answer = next(h for h in json.loads(server.ctl("queue", "show", row["id"], "--json"))["header"] if h.startswith("Reply-To"))
    server.smtp().deliver(x.away, re.search("<(.*)>", answer)[1], b"Subject: yes\r\n\r\n\r\n")
    assert x.away not in server.ctl("group", "members", x.name)


def test_nobody_leaves_by_the_mail_of_another_and_who_logged_in_leaves_at_once(server):
    x = List(server)
    leave(server, x, STRANGER, x.members[1])
    leave(server, x, x.members[1], STRANGER)
    leave(server, x, STRANGER, STRANGER)
    with server.submission(x.members[0]) as c:
        c.deliver(x.members[0], x.address("leave"), message(sender=x.members[0]))
    assert x.members[0] not in server.ctl("group", "members", x.name) and x.members[1] in server.ctl("group", "members", x.name)
    x.post(sender=x.members[1])
    assert b"List-Id" in mailbox(server, x.members[1], 1)[0]  # no question came before it


def test_posts_taken_before_a_kill_are_distributed_once_after_it(fresh):
    x = List(fresh, members=30)
    c = fresh.lmtp()
    for n in range(30):  # faster than thirty members each are served
        c.deliver(x.members[0], x.name, message(sender=x.members[0]))
    fresh.kill()
    fresh.start()
    assert len(mailbox(fresh, x.members[0], 30)) == 30
    fresh.stop()
    fresh.start()
    assert len(mailbox(fresh, x.members[29], 30)) == 30
    assert fresh.ctl("check") == "the store is clean\n"


@pytest.mark.parametrize("option,value", [("--post", "nobody"), ("--moderated", "maybe"), ("--reply-to", "all"), ("--prefix", "caf\u00e9")])
def test_an_option_that_makes_no_sense_is_refused(server, option, value):
    server.ctl("list", "add", "odd-" + server.people.take(), option, value, check=False)
    assert server.ctl_status != 0


def test_a_list_can_be_a_group_again_and_a_removed_one_leaves_nothing(server):
    x = List(server)
    server.ctl("list", "remove", x.name)
    server.lmtp().deliver(STRANGER, x.name, message())
    assert not mailbox(server, x.members[0], 1)[0].count(b"List-Id")
    y = List(server, "--moderated", "yes")
    y.post()
    server.ctl("account", "remove", y.name, "--now")
    assert y.name not in server.ctl("list", "list") and server.ctl("check") == "the store is clean\n"
