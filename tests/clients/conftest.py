import pytest

from kantor.programs import Home


@pytest.fixture
def home(server, tmp_path):
    """A home for programs that speak to the shared server."""
    return Home(server, tmp_path)
