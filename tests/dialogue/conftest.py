"""Fixtures: `server` is shared by the tests of a file, `fresh` belongs to one test and may be killed."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from talk import Server  # noqa: E402


@pytest.fixture(scope="module")
def server():
    s = Server().start()
    yield s
    assert s.stop() == 0
    s.remove()


@pytest.fixture
def fresh():
    s = Server().start()
    yield s
    if s.process.poll() is None:
        s.kill()
    s.remove()
