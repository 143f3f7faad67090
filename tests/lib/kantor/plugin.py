"""The fixtures, and the report of a failure: the dialogues of the test and what the server's log said meanwhile.

    server   one server for the whole run; tests use people of their own (`person`), so that they do not meet
    fresh    a server of the test's own with an empty organisation
    person   the address of a person nobody else uses, with an empty INBOX
    box      an IMAP session of `person` with INBOX selected and five messages in it; box.person says whose
"""
import os
import shutil

import pytest

from . import dialogue
from .messages import message
from .server import Server

POOL = 400
_people = iter(())


@pytest.fixture(scope="session")
def server():
    s = Server()
    s.people = None
    try:
        s.make_people(POOL, "p")
        s.people = iter("p%d@kantor.example" % n for n in range(1, POOL + 1))
    except (OSError, AssertionError) as e:
        print("kantorctl account add --count does not work, people are shared between tests: %s" % e)
    yield s
    s.stop()
    shutil.rmtree(s.folder, ignore_errors=True)


@pytest.fixture
def fresh(request):
    s = Server()
    request.node.servers = [s]
    yield s
    if s.alive():
        s.stop()
    s.kill()
    shutil.rmtree(s.folder, ignore_errors=True)


def _empty(server, user):
    with server.imap(user, dribble=False) as c:
        for u in c.ok('LIST "" *').all("LIST"):
            if "\\Noselect" in u.value[0]:
                continue
            if u.value[2] in ("INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"):
                c.select('"%s"' % u.value[2])
                if c.exists:
                    c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
                    c.ok("EXPUNGE")
            else:
                c.cmd('DELETE "%s"' % u.value[2])
    return user


def next_person(server):
    if server.people is not None:
        return next(server.people)
    server.people_made += 1
    return _empty(server, ("budi", "sari", "dewi")[server.people_made % 3] + "@kantor.example")


@pytest.fixture
def person(server):
    return next_person(server)


@pytest.fixture
def another(server, person):
    return next_person(server)


@pytest.fixture
def box(server, person):
    c = server.imap(person, select="INBOX")
    for n in range(5):
        c.append("INBOX", message("mail %d" % n), date="0%d-Feb-2024 10:00:00 +0000" % (n + 1))
    c.ok("NOOP")
    assert c.exists == 5
    c.person = person
    return c


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    dialogue.recent.clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for d in dialogue.recent[-4:]:
            report.sections.append(("dialogue: " + d.name, d.text()))
        s = item.funcargs.get("fresh") or item.funcargs.get("server")
        if s:
            report.sections.append(("server log", s.log()[-3000:]))
    if report.when == "teardown":
        for d in dialogue.recent:
            try:
                d.close()
            except OSError:
                pass
