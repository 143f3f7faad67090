"""The sender of what is passed on: SRS there, bounces back, and no relay for anybody else (issue 3, point 4 and its proof "no open relay through SRS replay")."""
import json
import re

import pytest

from kantor import message
from kantor.wait import until

STRANGER = "Ani.Wulan@stranger.example"


def queued(server, to):
    return [row for row in json.loads(server.ctl("queue", "list", "--json")) if row["to"] == to]


@pytest.fixture
def rewritten(server, person):
    """The sender with which a stranger's mail to a forwarded account leaves."""
    away = "away-" + person.replace("kantor", "elsewhere")
    server.ctl("forward", "set", person, away)
    server.smtp().deliver(STRANGER, person, message())
    return queued(server, away)[0]["from"]


def test_a_forward_leaves_with_a_sender_of_ours_that_holds_the_first(rewritten):
    assert re.fullmatch(r"SRS0=[a-z2-7]{8}=[a-z2-7]{2}=stranger\.example=Ani\.Wulan@kantor\.example", rewritten)


def test_our_own_people_and_the_null_sender_leave_as_they_are(server, person, another):
    away = "away-" + person.replace("kantor", "elsewhere")
    server.ctl("forward", "set", person, away)
    c = server.submission(another)
    c.envelope(another, person)
    c.data(message(sender=another, to=person))
    assert [row["from"] for row in queued(server, away)] == [another]
    server.smtp().deliver("", person, message())
    assert sorted(row["from"] for row in queued(server, away)) == sorted([another, "<>"])


@pytest.mark.parametrize("spelled", [str, str.upper, str.lower])
def test_a_bounce_finds_the_first_sender(server, rewritten, spelled):
    before = len([row for row in json.loads(server.ctl("queue", "list", "--json")) if row["to"].lower() == STRANGER.lower()])
    server.smtp().deliver("", spelled(rewritten), message())
    rows = [row for row in json.loads(server.ctl("queue", "list", "--json")) if row["to"].lower() == STRANGER.lower()]
    assert len(rows) == before + 1 and rows[-1]["from"] == "<>"


@pytest.mark.parametrize("what", ["another sender", "hash", "day", "domain", "name", "made up"])
def test_nobody_uses_such_an_address_as_a_relay(server, rewritten, what):
    mark, hash_, day, domain, rest = rewritten.split("=", 4)
    name, ours = rest.split("@")
    other = "aaaaaaaa" if hash_ != "aaaaaaaa" else "bbbbbbbb"
    forged = {"another sender": rewritten, "hash": "=".join([mark, other, day, domain, rest]), "day": "=".join([mark, hash_, "aa" if day != "aa" else "bb", domain, rest]),
              "domain": "=".join([mark, hash_, day, "victim.example", rest]), "name": "=".join([mark, hash_, day, domain, "victim@" + ours]), "made up": "SRS0=x@" + ours}[what]
    c = server.smtp()
    c.cmd("MAIL FROM:<%s>" % ("spammer@anywhere.example" if what == "another sender" else ""), 250)
    assert c.cmd("RCPT TO:<%s>" % forged).code == 550
    c.cmd("RSET", 250)
    c.cmd("MAIL FROM:<>", 250)
    c.cmd("RCPT TO:<%s>" % rewritten, 250)


def test_a_report_that_comes_back_to_the_same_address_is_in_a_loop(server, rewritten):
    c = server.smtp()
    c.envelope("", rewritten)
    c.cmd("DATA", 354)
    c.send(b"Delivered-To: %s\r\n" % rewritten.encode() + message() + b".\r\n")
    assert c.reply().code == 554
