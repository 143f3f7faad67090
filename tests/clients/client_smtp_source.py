"""Postfix's smtp-source as load: many sessions at once; every message that it saw accepted is there exactly once. Postfix itself is never started."""
import re

import pytest

from kantor.programs import everything


def source(home, service, *args):
    return home.run("smtp-source", *args, "127.0.0.1:%d" % home.server.port(service), seconds=120).ok()


@pytest.mark.parametrize("service,more", [("smtp", []), ("lmtp", ["-L"])])
@pytest.mark.parametrize("sessions,size", [(10, 4096), (1, 4096), (20, 65536)])
def test_every_accepted_message_is_there_once(home, person, service, more, sessions, size):
    count = 500 if (sessions, size) == (10, 4096) else 100
    source(home, service, *more, "-s", sessions, "-m", count, "-l", size, "-f", "load@elsewhere.example", "-t", person, "-S", "load")
    got = everything(home.server, person)["INBOX"]
    assert len(got) == count
    ids = {re.search(rb"(?m)^Message-Id: (.*)\r$", s.content, re.I).group(1) for s in got}
    assert len(ids) == count
    assert all(size <= len(s.content) < size + 900 for s in got), sorted({len(s.content) for s in got})
    assert len({s.content.split(b"\r\n\r\n", 1)[1] for s in got}) == 1


def test_ten_recipients_a_message_all_get_it(home, server, person):
    people = ["%s@kantor.example" % n for n in ("budi", "sari", "dewi", "andi")]
    before = {p: len(everything(server, p)["INBOX"]) for p in people}
    for p in people:
        source(home, "smtp", "-s", 5, "-m", 20, "-d", "-f", "load@elsewhere.example", "-t", p)
    assert {p: len(everything(server, p)["INBOX"]) - before[p] for p in people} == {p: 20 for p in people}
