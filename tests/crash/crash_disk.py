"""A full or read-only disk is a passing fault: temporary errors, nothing lost, and recovery without a restart."""
import pytest

from kantor import Literal, Server, message
from kantor.disk import SmallDisk


@pytest.fixture
def on_disk():
    disk = SmallDisk()
    server = Server(disk.path + "/demo")
    server.log_path = "/dev/null"
    yield disk, server
    server.kill()
    disk.close()


def test_a_full_disk_gives_temporary_errors_and_recovers(on_disk):
    disk, server = on_disk
    server.lmtp().deliver("a@stranger.example", "budi@kantor.example", message("before"))
    disk.fill()
    c = server.lmtp()
    big = message("during", body=b"x" * 4000000 + b"\r\n")
    c.envelope("a@stranger.example", "budi@kantor.example")
    replies = c.data(big)
    assert 400 <= replies[0].code < 500, replies
    i = server.imap("budi", select="INBOX")
    assert i.exists == 1
    try:
        r = i.cmd("APPEND INBOX", Literal(big, "plus"))
        assert r.status == "NO"
    except AssertionError as e:
        assert "BYE" in i.text() or "closed" in str(e), e
    disk.free()
    server.lmtp().deliver("a@stranger.example", "budi@kantor.example", message("after"))
    i = server.imap("budi", select="INBOX")
    assert i.exists == 2
    server.ctl("check")
