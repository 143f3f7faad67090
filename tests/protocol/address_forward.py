"""Forwarding, aliases that lead to many, and everything that could go round in circles (issue 3, point 6; attacks.md SO-09)."""
import json

import pytest

from kantor import message

STRANGER = "a@stranger.example"


def count(server, who):
    with server.imap(who, select="INBOX") as c:
        return c.exists


def first_sender(text):
    """The address in a sender that was rewritten: SRS0=hash=day=domain=local@ours."""
    if not text.startswith("SRS0="):
        return text
    domain, local = text.rsplit("@", 1)[0].split("=", 4)[3:]
    return local + "@" + domain


def queued(server, sender=None):
    """recipient → its message of the queue, of one sender"""
    return {row["to"]: row for row in json.loads(server.ctl("queue", "list", "--json")) if sender in (None, first_sender(row["from"]))}


def away(person, n=""):
    return "away%s-%s" % (n, person.replace("kantor", "elsewhere"))


def refused(server, *words):
    server.ctl(*words, check=False)
    assert server.ctl_status != 0
    return server.ctl_errors


def test_a_forward_without_copy_sends_the_mail_on_and_keeps_nothing(server, person):
    server.ctl("forward", "set", person, away(person))
    server.smtp().deliver(STRANGER, person, message())
    assert count(server, person) == 0 and away(person) in queued(server)
    server.ctl("forward", "remove", person)
    server.smtp().deliver(STRANGER, person, message())
    assert count(server, person) == 1


def test_a_forward_with_a_copy_does_both_and_is_shown(server, person, another):
    server.ctl("forward", "set", person, away(person), another, "--keep-copy")
    server.smtp().deliver(STRANGER, person, message())
    assert (count(server, person), count(server, another)) == (1, 1) and away(person) in queued(server)
    listed = json.loads(server.ctl("forward", "list", person, "--json"))
    shown = json.loads(server.ctl("account", "show", person, "--json"))
    assert sorted(shown["forwards_to"]) == sorted([away(person), another]) and shown["keeps_copy"] == "yes"
    assert {(r["forwards_to"], r["keeps_copy"]) for r in listed} == {(away(person), "yes"), (another, "yes")}


def test_a_forward_follows_the_account_behind_its_alias_too(server, person):
    server.ctl("alias", "add", "also-" + person, person)
    server.ctl("forward", "set", person, away(person))
    server.smtp().deliver(STRANGER, "also-" + person, message())
    assert away(person) in queued(server)


def test_an_alias_leads_to_many_here_and_elsewhere(server, person, another):
    alias = "all-" + person
    server.ctl("alias", "add", alias, person, another, away(person))
    server.ctl("alias", "add", alias, away(person, 2))
    server.smtp().deliver(STRANGER, alias, message())
    assert (count(server, person), count(server, another)) == (1, 1)
    assert {away(person), away(person, 2)} <= set(queued(server))
    server.ctl("alias", "remove", alias, another)
    server.smtp().deliver(STRANGER, alias, message())
    assert (count(server, person), count(server, another)) == (2, 1)
    server.ctl("alias", "remove", alias)
    with server.smtp() as c:
        c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
        c.cmd("RCPT TO:<%s>" % alias, 550)


def test_an_alias_to_an_address_that_does_not_exist_here_is_refused(server, person):
    assert "there is no address" in refused(server, "alias", "add", "all2-" + person, person, "nobody-" + person)


@pytest.mark.parametrize("how", ["itself", "each other", "alias and forward"])
def test_what_would_go_round_in_circles_is_refused_when_it_is_written(server, person, another, how):
    alias = "circle-" + person
    if how == "itself":
        said = refused(server, "forward", "set", person, person, "--keep-copy")
    elif how == "each other":
        server.ctl("forward", "set", person, another)
        said = refused(server, "forward", "set", another, person)
    else:
        server.ctl("alias", "add", alias, person, another)
        said = refused(server, "forward", "set", person, alias)
    assert "circles" in said
    server.smtp().deliver(STRANGER, another, message())
    assert count(server, another) == 1


def test_aliases_that_lead_to_each_other_are_refused(server, person):
    a, b = "ring-a-" + person, "ring-b-" + person
    server.ctl("alias", "add", a, person, away(person))
    server.ctl("alias", "add", b, a, away(person))
    assert "circles" in refused(server, "alias", "add", a, b)


def test_more_than_ten_forwards_after_each_other_are_a_loop(server):
    people = [server.people.take() for _ in range(13)]
    for here, there in zip(people, people[1:]):  # each looks at what follows it: nothing yet
        server.ctl("forward", "set", here, there)
    server.smtp().deliver(STRANGER, people[2], message())
    assert count(server, people[12]) == 1  # ten steps
    c = server.smtp()
    c.cmd("EHLO x.example", 250)
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    assert c.cmd("RCPT TO:<%s>" % people[1]).code == 554
    assert "follow each other" in refused(server, "forward", "set", server.people.take(), people[1])


def test_what_leaves_for_a_recipient_carries_his_mark_and_is_refused_when_it_comes_back(server, person):
    server.ctl("forward", "set", person, away(person))
    server.smtp().deliver(STRANGER, person, message())
    row = queued(server)[away(person)]
    assert json.loads(server.ctl("queue", "show", row["id"], "--json"))["header"][0] == "Delivered-To: " + person
    c = server.smtp()
    c.envelope(STRANGER, person)
    reply = c.data(b"Delivered-To: " + person.encode() + b"\r\n" + message())
    assert (reply.code, reply.enhanced) == (554, "5.4.6")


def test_a_mark_of_a_mailbox_that_forwards_nothing_refuses_nothing(server, person):
    server.smtp().deliver(STRANGER, person, b"Delivered-To: " + person.encode() + b"\r\n" + message())
    assert count(server, person) == 1


def test_wishes_for_reports_go_on_with_one_target_and_without_success_to_many(server, person):
    one, many = "one-" + person, "many-" + person
    server.ctl("alias", "add", one, away(person, "one"))
    server.ctl("alias", "add", many, away(person, "a"), away(person, "b"))
    c = server.smtp()
    c.cmd("EHLO x.example", 250)
    c.cmd("MAIL FROM:<dsn-%s> RET=HDRS ENVID=e1" % STRANGER, 250)
    c.cmd("RCPT TO:<%s> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@x.example" % one, 250)
    c.cmd("RCPT TO:<%s> NOTIFY=SUCCESS,FAILURE" % many, 250)
    assert c.data(message()).code == 250
    texts = [" ".join(json.loads(server.ctl("queue", "show", row["id"], "--json"))["recipients"]) for row in queued(server, "dsn-" + STRANGER).values()]
    told = next(t for t in texts if away(person, "one") in t)
    assert "NOTIFY=SUCCESS,FAILURE" in told and "ORCPT=rfc822;first@x.example" in told
    told = next(t for t in texts if away(person, "a") in t)
    assert "SUCCESS" not in told and told.count("NOTIFY=FAILURE") == 2 and told.count("ORCPT=rfc822;many-") == 2


def test_a_removed_account_takes_its_forward_with_it(server, person):
    server.ctl("forward", "set", person, away(person))
    server.ctl("account", "remove", person, "--now")
    assert person not in server.ctl("forward", "list")
    assert server.ctl("check") == "the store is clean\n"
