"""What a stolen password cannot do (attacks.md SO-18): limits of recipients, the block that leaves reading open, who is told."""
import json
import threading

import pytest
from kantor.configured import configured, finish
from kantor.server import PASSWORD
from kantor.wait import until

MAIL = b"From: <%s>\r\nTo: x@elsewhere.example\r\nSubject: offer\r\n\r\nbuy\r\n"
PEOPLE = iter("t%d" % n for n in range(1, 100))


@pytest.fixture(scope="module")
def limited():
    s = configured("sending.hour = 10", "sending.day = 25", "sending.app_hour = 4", "sending.app_day = 6", "queue.send = no")
    s.ctl("account", "add", "--count", 40, "--prefix", "t", "--domain", "kantor.example", "--password", PASSWORD)
    yield s
    finish(s)
    s.remove()


@pytest.fixture
def sender():
    return next(PEOPLE) + "@kantor.example"


def send(server, who, n, password=PASSWORD):
    """One message to n recipients elsewhere; how many of them were taken, and the last reply."""
    c = server.submission(who, password=password)
    reply = c.cmd("MAIL FROM:<%s>" % who)
    if reply.code != 250:
        return 0, reply
    taken = 0
    for i in range(n):
        reply = c.cmd("RCPT TO:<r%d@elsewhere.example>" % i)
        taken += reply.code == 250
    last = c.data(MAIL % who.encode()) if taken else reply
    assert last.code == 250 or not taken
    c.cmd("QUIT", 221)
    return taken, reply


def sent(server, who):
    return json.loads(server.ctl("account", "sending", who, "--json"))


def test_past_the_limit_of_an_hour_the_next_recipient_waits_and_those_before_are_sent(limited, sender):
    assert send(limited, sender, 8)[0] == 8
    taken, reply = send(limited, sender, 8)
    assert taken == 2 and (reply.code, reply.enhanced) == (452, "4.7.1") and "an hour" in reply.text
    assert sent(limited, sender)["recipients_hour"] == 10 and sent(limited, sender)["sending"] == "hour"
    assert send(limited, sender, 1)[1].code == 452


def test_the_count_survives_a_kill_and_costs_no_commit_of_its_own(limited, sender):
    before = limited.metrics()["kantor_store_changes_total"]
    assert send(limited, sender, 10)[0] == 10
    assert limited.metrics()["kantor_store_changes_total"] - before <= 2  # the message; perhaps a timer's
    limited.kill()
    limited.start()
    assert send(limited, sender, 1)[0] == 0


def test_many_sessions_at_once_do_not_pass_the_limit_together(limited, sender):
    sessions = [limited.submission(sender) for _ in range(6)]
    for c in sessions:
        c.envelope(sender, ["r%d@elsewhere.example" % i for i in range(4)])
        c.cmd("DATA", 354)
    replies = []

    def end(c):
        c.send(c.content(MAIL % sender.encode()))
        replies.append(c.reply())
    threads = [threading.Thread(target=end, args=(c,)) for c in sessions]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(r.code for r in replies) == [250, 250, 452, 452, 452, 452]
    assert {r.enhanced for r in replies if r.code == 452} == {"4.7.1"}
    assert sent(limited, sender)["recipients_hour"] == 8
    assert len(json.loads(limited.ctl("trace", "--sender", sender, "--json"))) > 0


def test_an_app_password_has_a_limit_of_its_own_and_the_others_go_on(limited, sender):
    text = json.loads(limited.ctl("app-password", "add", sender, "scanner", "--json"))["password"]
    assert send(limited, sender, 6, password=text)[0] == 4
    reply = send(limited, sender, 1, password=text)[1]
    assert reply.code == 452 and "app password" in reply.text
    assert send(limited, sender, 3)[0] == 3


def test_an_account_with_limits_of_its_own_is_not_bound_by_the_others(limited, sender):
    text = json.loads(limited.ctl("app-password", "add", sender, "newsletter", "--json"))["password"]
    limited.ctl("account", "sending", sender, "--hour", 15, "--day", 0)
    assert send(limited, sender, 20, password=text)[0] == 15
    limited.ctl("account", "sending", sender, "--hour", "default", "--day", "default")
    assert send(limited, sender, 1)[0] == 0 and sent(limited, sender)["limit_hour"] == 10


def test_a_blocked_account_reads_its_mail_and_cannot_send_even_in_a_session_that_stands(limited, sender):
    c = limited.submission(sender)
    c.envelope(sender, "r@elsewhere.example")
    limited.ctl("account", "block-sending", sender)
    reply = c.data(MAIL % sender.encode())
    assert (reply.code, reply.enhanced) == (550, "5.7.1") and "blocked" in reply.text
    assert c.cmd("MAIL FROM:<%s>" % sender).code == 550
    limited.imap(sender, select="INBOX").ok("NOOP")
    assert sent(limited, sender)["sending"] == "blocked"
    limited.ctl("account", "allow-sending", sender)
    assert send(limited, sender, 1)[0] == 1


def test_who_reaches_a_limit_is_told_to_the_postmaster_once_a_day_and_to_the_log(limited, sender):
    before, since = limited.metrics()["kantor_sending_refused_total"], limited.log_size()
    for _ in range(3):
        send(limited, sender, 12)
    assert limited.metrics()["kantor_sending_refused_total"] == before + 3
    assert limited.log(since).count("sending-alarm") == 1 and "account=" + sender in limited.log(since)
    box = limited.imap("budi@kantor.example", select="INBOX")  # the first person of the domain is its postmaster
    found = until(lambda: box.ok('SEARCH SUBJECT "%s has reached"' % sender).search, "the mail to the postmaster")
    assert len(found) == 1


def test_mail_from_servers_is_not_counted(limited, sender):
    for _ in range(12):
        limited.smtp().deliver("a@stranger.example", sender, MAIL % b"a@stranger.example")
    assert sent(limited, sender)["recipients_hour"] == 0
