"""Message tracking: what became of a message, told by `kantorctl trace` (issue 3, point 8)."""
import json

import pytest

STRANGER = "a@stranger.example"


def told(server, *question):
    return json.loads(server.ctl("trace", *question, "--json"))


def events(server, *question):
    return [(e["event"], e["recipient"]) for e in told(server, *question)]


def mail(ident, sender=STRANGER):
    return ("From: <%s>\r\nSubject: traced\r\nMessage-ID: <%s@stranger.example>\r\n\r\nx\r\n" % (sender, ident)).encode()


def test_a_delivered_message_is_told_by_id_by_sender_and_by_recipient(server, person):
    sender = "s-%s" % person.replace("kantor", "stranger")
    server.smtp().deliver(sender, person, mail("told-" + person))
    story = told(server, "--recipient", person)
    assert [e["event"] for e in story] == ["received", "stored"]
    assert "by smtp" in story[0]["detail"] and "INBOX" in story[1]["detail"] and "uid 1" in story[1]["detail"]
    assert story[0]["sender"] == sender and story[0]["message_id"] == "<told-%s@stranger.example>" % person
    assert told(server, "--message", story[0]["message"]) == story
    assert told(server, "--message", "told-%s@stranger.example" % person) == story
    assert told(server, "--sender", sender.upper()) == story
    assert told(server, "--sender", sender, "--recipient", "nobody@kantor.example") == []


def test_people_read_a_story_in_time_order(server, person):
    server.smtp().deliver(STRANGER, person, mail("read-" + person))
    text = server.ctl("trace", "--recipient", person).split("\n")
    assert text[0].endswith("<read-%s@stranger.example>" % person) and "from " + STRANGER in text[0]
    assert " received " in text[1] and " stored " in text[2] and person in text[2]


def test_a_recipient_of_many_is_told_alone(server, person, another):
    server.smtp().deliver(STRANGER, [person, another], mail("two-" + person))
    assert events(server, "--recipient", another) == [("received", ""), ("stored", another)]


def test_a_refused_recipient_is_told_with_the_answer_and_costs_no_commit_of_its_own(server, person):
    nobody = "nobody-" + person
    c = server.smtp()
    c.cmd("EHLO x.example", 250)
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    commits = server.metrics()["kantor_store_changes_total"]
    for n in range(4):
        c.cmd("RCPT TO:<%s>" % nobody, 550)
    assert server.metrics()["kantor_store_changes_total"] - commits <= 2  # the timer may have come by
    story = told(server, "--recipient", nobody)
    assert [e["event"] for e in story] == ["refused"] * 4
    assert "no such user" in story[0]["detail"] and "127.0.0.1" in story[0]["detail"]


def test_what_leaves_is_told_as_queued_and_a_forward_leads_to_its_target(server, person):
    alias, away = "fw-" + person, "away-%s" % person.replace("kantor", "elsewhere")
    server.ctl("alias", "add", alias, away)
    server.smtp().deliver(STRANGER, alias, mail("fw-" + person))
    assert events(server, "--recipient", alias) == [("received", ""), ("forwarded", alias), ("queued", away)]


def test_a_message_that_is_refused_as_a_whole_is_told(server, person):
    c = server.smtp()
    c.cmd("EHLO x.example", 250)
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    c.cmd("RCPT TO:<%s>" % person, 250)
    head = b"".join(b"Received: from a by b; Tue, 24 Nov 2026 08:00:00 +0000\r\n" for _ in range(120))
    assert c.data(head + b"Subject: x\r\n\r\nx\r\n").code == 554
    assert [(e["event"], e["recipient"]) for e in told(server, "--recipient", person)] == [("refused", person)]


def test_the_story_survives_a_restart_and_its_words_are_found_after_they_were_indexed(fresh):
    fresh.smtp().deliver(STRANGER, "sari@kantor.example", mail("before"))
    fresh.stop()
    fresh.start()
    assert events(fresh, "--message", "<before@stranger.example>") == [("received", ""), ("stored", "sari@kantor.example")]


@pytest.mark.parametrize("wrong", ["yesterday", "5", "2026-13-01"])
def test_a_time_that_cannot_be_read_is_refused_with_a_sentence(server, wrong):
    server.ctl("trace", "--since", wrong, check=False)
    assert server.ctl_status == 2 and "30m" in server.ctl_errors


def test_control_characters_of_a_stranger_never_reach_the_terminal(server, person):
    server.smtp().deliver(STRANGER, person, mail("a\x1b[31m" + person))
    assert "\x1b" not in server.ctl("trace", "--recipient", person)
