"""Sieve at delivery: what scripts want is done, with their owner's rights and limits, and nothing is lost by them (issue 3, point 5; attacks.md SV-06 to SV-11)."""
import json

import pytest

from kantor import message
from kantor.wait import until

STRANGER = "a@stranger.example"


def put(server, who, script, name="rules"):
    server.ctl("sieve", "put", who, name, "--activate", stdin=script.encode())


def count(server, who, mailbox="INBOX"):
    with server.imap(who, select=mailbox) as c:
        return c.exists


def texts(server, who, mailbox="INBOX"):
    with server.imap(who, select=mailbox) as c:
        return [f["BODY[]"] for f in c.ok("FETCH 1:* (BODY.PEEK[])").fetches.values()] if c.exists else []


def queued(server, sender):
    return {row["to"]: row for row in json.loads(server.ctl("queue", "list", "--json")) if (row["from"] or "").strip("<>") == sender}


def deliver(server, who, msg=None, sender=STRANGER):
    server.smtp().deliver(sender, who, msg or message(to=who, sender=sender or STRANGER))


def test_fileinto_puts_the_message_with_its_flags_into_the_mailbox(server, person):
    put(server, person, 'require ["fileinto", "imap4flags"]; fileinto :flags ["\\\\Seen", "$label1", "urgent"] "Archive";')
    deliver(server, person)
    assert count(server, person) == 0
    with server.imap(person, select="Archive") as c:
        assert c.exists == 1
        flags = c.ok("FETCH 1 (FLAGS)").fetches[1]["FLAGS"]
        assert {"\\Seen", "$label1", "urgent"} <= set(flags)


def test_fileinto_a_mailbox_that_is_not_there_keeps_in_inbox_and_create_makes_it(server, person):
    put(server, person, 'require "fileinto"; fileinto "Nowhere/Here";')
    deliver(server, person)
    assert count(server, person) == 1
    put(server, person, 'require ["fileinto", "mailbox"]; fileinto :create "Nowhere/Here";')
    deliver(server, person)
    assert count(server, person) == 1 and count(server, person, "Nowhere/Here") == 1


@pytest.mark.parametrize("target", ["Other Users/%s/INBOX", "Other Users/%s/Made"])
def test_fileinto_runs_with_the_owners_rights(server, person, another, target):
    put(server, person, 'require ["fileinto", "mailbox"]; fileinto :create "%s";' % (target % another))
    deliver(server, person)
    assert count(server, another) == 0 and count(server, person) == 1
    with server.imap(another) as c:
        assert c.cmd('SELECT "Made"').status == "NO"


def test_fileinto_a_special_use_finds_it_by_whatever_name(server, person):
    with server.imap(person) as c:
        c.ok('RENAME "Junk" "Unwanted"')
    put(server, person, 'require ["fileinto", "special-use"]; if specialuse_exists "\\\\Junk" { fileinto :specialuse "\\\\Junk" "Spam"; }')
    deliver(server, person)
    assert count(server, person, "Unwanted") == 1 and count(server, person) == 0


def test_a_message_that_nobody_judged_is_neither_spam_nor_infected(server, person):
    put(server, person, 'require ["spamtestplus", "virustest", "relational", "comparator-i;ascii-numeric", "imap4flags"];\r\n'
        'if allof(spamtest :is "0", virustest :is "0", not spamtest :value "ge" :comparator "i;ascii-numeric" "3", spamtest :count "eq" :percent "0") { addflag "$label2"; }')
    deliver(server, person)
    with server.imap(person, select="INBOX") as c:
        assert "$label2" in c.ok("FETCH 1 (FLAGS)").fetches[1]["FLAGS"]


def test_discard_drops_and_the_trace_says_so(server, person):
    put(server, person, "discard;")
    msg = message(to=person)
    deliver(server, person, msg)
    assert count(server, person) == 0
    assert "discarded by script rules" in server.ctl("trace", "--recipient", person)


def test_a_rejection_is_a_refusal_where_one_recipient_is_answered(server, person, another):
    put(server, person, 'require "ereject"; ereject "We do not want\r\nthis";')
    s = server.smtp()
    s.envelope(STRANGER, person)
    reply = s.data(message(to=person))
    assert (reply.code, reply.enhanced) == (550, "5.7.1") and "We do not want" in reply.text
    with server.lmtp() as c:
        c.envelope(STRANGER, [person, another])
        c.cmd("DATA", 354)
        c.send(message(to=person) + b".\r\n")
        assert [c.reply().code, c.reply().code] == [550, 250]
    assert STRANGER not in queued(server, "")


def test_a_rejection_among_several_recipients_is_mailed_to_the_sender(server, person, another):
    put(server, person, 'require "reject"; reject "Nein, danke f\u00fcr nichts";')
    sender = "asks-%s@stranger.example" % person.split("@")[0]
    s = server.smtp()
    s.envelope(sender, [person, another])
    assert s.data(message(to=person, sender=sender)).code == 250
    assert count(server, person) == 0 and count(server, another) == 1
    assert list(queued(server, "")) .count(sender) == 1
    deliver(server, [person, another], sender="")
    assert list(queued(server, "")).count("") == 0


def test_redirect_sends_it_on_with_its_mark_and_keeps_a_copy_on_request(server, person):
    away = person.replace("kantor", "elsewhere")
    put(server, person, 'require "copy"; redirect :copy "%s";' % away)
    deliver(server, person)
    sent_on = [r for r in json.loads(server.ctl("queue", "list", "--json")) if r["to"] == away]
    assert count(server, person) == 1 and len(sent_on) == 1 and sent_on[0]["from"].startswith("SRS0=")  # a sender of ours (SPF)


def test_redirect_to_people_of_ours_runs_their_scripts_and_settles_in_a_loop(server, person, another):
    put(server, person, 'redirect "%s";' % another)
    put(server, another, 'redirect "%s";' % person)
    deliver(server, person)
    until(lambda: count(server, person) + count(server, another) == 1, "one copy in the loop")
    assert not {person, another} & set(queued(server, STRANGER))


def test_a_message_that_left_here_before_is_not_redirected_again(server, person):
    away = person.replace("kantor", "elsewhere")
    put(server, person, 'redirect "%s";' % away)
    deliver(server, person, message(to=person, more="Delivered-To: %s\r\n" % person))
    assert count(server, person) == 1 and away not in queued(server, STRANGER)


def test_six_redirects_are_too_many_and_the_message_is_kept(server, person):
    put(server, person, "".join('redirect "x%d@elsewhere.example";\r\n' % i for i in range(6)))
    deliver(server, person)
    subjects = [t for t in texts(server, person) if b"more than 5 addresses" in t]
    assert len(subjects) == 1 and count(server, person) == 2


def test_a_script_that_fails_keeps_the_mail_and_tells_its_owner_once(server, person):
    put(server, person, 'require ["ihave", "fileinto"]; if ihave "nothing-such" { stop; } error "I cannot go on";')
    for _ in range(3):
        deliver(server, person)
    notes = [t for t in texts(server, person) if b"could not be run" in t]
    assert count(server, person) == 4 and len(notes) == 1 and b"I cannot go on" in notes[0] and b"Auto-Submitted: auto-generated" in notes[0]


def test_editheader_changes_the_stored_copy_only_of_its_owner(server, person, another):
    put(server, person, 'require "editheader"; addheader "X-Sorted" "yes";')
    deliver(server, [person, another])
    assert b"X-Sorted: yes\r\n" in texts(server, person)[0] and b"X-Sorted" not in texts(server, another)[0]


def test_scripts_of_server_and_domain_run_before_and_after(fresh):
    who = "budi@kantor.example"
    tag = 'require "imap4flags"; addflag "%s"; keep;'
    fresh.ctl("sieve", "put", "server", "--before", "--text", 'require ["fileinto"]; if header :contains "subject" "SPAM" { fileinto "Junk"; stop; }')
    fresh.ctl("sieve", "put", "kantor.example", "--after", "--text", 'require ["fileinto"]; if header :contains "subject" "paper" { fileinto "Archive"; }')
    put(fresh, who, 'if header :contains "subject" "gone" { discard; }')
    for subject in ("SPAM gone", "paper", "gone paper", "plain"):
        deliver(fresh, who, message(subject, to=who))
    assert [count(fresh, who, m) for m in ("Junk", "Archive", "INBOX")] == [1, 1, 1]
    deliver(fresh, "rina@cabang.example", message("paper", to="rina@cabang.example"))
    assert count(fresh, "rina@cabang.example") == 1
    fresh.ctl("sieve", "delete", "server", "--before")
    deliver(fresh, who, message("SPAM", to=who))
    assert count(fresh, who, "Junk") == 1


def test_the_same_message_is_a_duplicate_the_second_time(server, person):
    put(server, person, 'require ["duplicate"]; if duplicate { discard; }')
    msg = message(to=person)
    deliver(server, person, msg)
    deliver(server, person, msg)
    deliver(server, person)
    assert count(server, person) == 2


def test_a_script_with_a_mistake_is_refused_with_its_line(server, person):
    server.ctl("sieve", "put", person, "bad", "--text", "keep;\nfileinto \"x\";", check=False)
    assert server.ctl_status != 0 and "line 2" in server.ctl_errors and "require" in server.ctl_errors


# --- vacation


def away(server, who, *more):
    server.ctl("vacation", "set", who, "--text", "I am away.", *more)


def answers(server, sender):
    return [row for row in json.loads(server.ctl("queue", "list", "--json")) if (row["from"] or "").strip("<>") == "" and row["to"] == sender]


def test_each_sender_gets_one_answer(server, person, another):
    away(server, person, "--subject", 'Away "; fileinto "x')
    with server.submission(another) as c:
        c.envelope(another, person)
        assert c.data(message(to=person, sender=another)).code == 250
        c.envelope(another, person)
        assert c.data(message(to=person, sender=another)).code == 250
    got = until(lambda: texts(server, another), "the answer")
    assert count(server, person) == 2 and len(got) == 1
    for line in (b"Return-Path: <>", b"Auto-Submitted: auto-replied", b'Subject: Away "; fileinto "x', b"In-Reply-To: <", b"I am away."):
        assert line in got[0], line


@pytest.mark.parametrize("sender,more", [
    ("", ""), ("owner-x@s.example", ""), ("x-request@s.example", ""), ("noreply@s.example", ""), ("MAILER-DAEMON@s.example", ""),
    ("p1@s.example", "Auto-Submitted: auto-replied\r\n"), ("p2@s.example", "Precedence: bulk\r\n"), ("p3@s.example", "List-Id: <x.y>\r\n"),
    ("p4@s.example", "List-Unsubscribe: <mailto:x@y>\r\n"), ("p5@s.example", "X-Auto-Response-Suppress: OOF\r\n"),
    ("p6@s.example", "Authentication-Results: x; dmarc=fail\r\n"), ("p7@s.example", "NOT-TO-ME"),
])
def test_nobody_but_a_person_who_wrote_to_the_owner_gets_an_answer(server, person, sender, more):
    away(server, person)
    msg = message(to=person, sender=sender or STRANGER, more=more) if more != "NOT-TO-ME" else message(to="everybody@s.example", sender=sender)
    deliver(server, person, msg, sender=sender)
    assert count(server, person) == 1 and not answers(server, sender)
    sane = "sane-%s@s.example" % person.split("@")[0]
    deliver(server, person, message(to=person, sender=sane, more="Auto-Submitted: no\r\n"), sender=sane)
    assert len(answers(server, sane)) == 1


def test_two_people_who_are_away_do_not_answer_each_other_for_ever(server, person, another):
    away(server, person)
    away(server, another)
    with server.submission(another) as c:
        c.envelope(another, person)
        assert c.data(message(to=person, sender=another)).code == 250
    until(lambda: count(server, another) == 1, "the answer")
    until(lambda: not {person, another} & set(queued(server, "")), "the queue")
    assert count(server, person) == 1


def test_an_answer_has_its_days(server, person):
    away(server, person, "--from", "2020-01-01", "--until", "2020-01-05")
    deliver(server, person)
    away(server, person, "--from", "2020-01-01", "--until", "2999-01-05")
    sender = "days-%s@s.example" % person.split("@")[0]
    deliver(server, person, message(to=person, sender=sender), sender=sender)
    assert len(answers(server, sender)) == 1
    assert "currentdate" in server.ctl("vacation", "show", person)
    server.ctl("vacation", "off", person)
    assert "not answered" in server.ctl("vacation", "show", person)
