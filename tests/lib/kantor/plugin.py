"""The fixtures, and the report of a failure: the dialogues of the test and what the server's log said meanwhile.

    server   one server for the whole run (with xdist: one a worker process); tests use people of their own, so that they do not meet
    fresh    a server of the test's own with the demo organisation only; it may be stopped, killed and reconfigured
    person   the address of a person nobody else uses, with an empty INBOX; `another` is a second one
    box      an IMAP session of `person` with INBOX selected and five messages in it; box.person says whose
"""
import os

import pytest

from . import dialogue
from .messages import message
from .server import Server

POOL = 250  # people made at once: the password is hashed once for all of them
LOG_LINES = 60


class People:
    """Addresses that nobody used yet; makes more when they run out."""

    def __init__(self, server):
        self.server, self.made, self.left = server, 0, {}

    def take(self, domain="kantor.example"):
        left = self.left.setdefault(domain, [])
        if not left:
            prefix = "p%d-" % self.made
            self.server.make_people(POOL, prefix, domain)
            left += ["%s%d@%s" % (prefix, n, domain) for n in range(POOL, 0, -1)]
            self.made += 1
        return left.pop()


def _close_dialogues():
    """Open sessions would keep a server that ends waiting for them."""
    for d in dialogue.recent:
        try:
            d.close()
        except OSError:
            pass


@pytest.fixture(scope="session")
def server():
    s = Server()
    s.people = People(s)
    yield s
    _close_dialogues()
    s.stop()
    s.remove()


@pytest.fixture
def fresh():
    s = Server()
    s.people = People(s)
    yield s
    _close_dialogues()
    if s.alive():
        s.stop()
    s.remove()


@pytest.fixture
def person(server):
    return server.people.take()


@pytest.fixture
def another(server, person):
    return server.people.take()


@pytest.fixture
def box(server, person):
    c = server.imap(person, select="INBOX")
    for n in range(5):
        c.append("INBOX", message("mail %d" % n), date="0%d-Feb-2024 10:00:00 +0000" % (n + 1))
    c.ok("NOOP")
    assert c.exists == 5
    c.person = person
    return c


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: seconds of waiting or of load; left out with KANTOR_QUICK=1")


def pytest_collection_modifyitems(items):
    if os.environ.get("KANTOR_QUICK") == "1":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="KANTOR_QUICK=1"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    dialogue.recent.clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    s = _server_of(item)
    item.log_from = s.log_size() if s else 0
    yield


def _server_of(item):
    return item.funcargs.get("fresh") or item.funcargs.get("server")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for d in dialogue.recent[-4:]:
            report.sections.append(("dialogue: " + d.name, d.text()))
        s = _server_of(item)
        if s:
            lines = s.log(getattr(item, "log_from", 0)).splitlines()
            report.sections.append(("server log since the test began", "\n".join(lines[-LOG_LINES:])))
    if report.when == "teardown":
        _close_dialogues()
