"""Disks that fail: every answer is a temporary one, reading goes on, nothing is lost or half there, and it works again without a restart."""
import os

import pytest

from kantor import Closed, Literal, Server, message
from kantor.disk import SmallDisk
from kantor.faults import Faults

BUDI = "budi@kantor.example"


def small(mark):
    return message(mark, body=b"small\r\n")


def large(mark):
    return message(mark, body=b"large " * 50000 + b"\r\n")  # stands in a file of its own


def subjects(server):
    with server.imap(BUDI, select="INBOX") as c:
        found = c.ok("FETCH 1:* (ENVELOPE RFC822.SIZE BODY.PEEK[])").fetches.values() if c.exists else []
        assert all(len(items["BODY[]"]) == items["RFC822.SIZE"] for items in found)
        return sorted(items["ENVELOPE"][1].decode() for items in found)


def refused_by_lmtp(server, text):
    """The class of the answer that refuses a delivery, at whichever command it comes."""
    with server.lmtp() as c:
        for line in ("MAIL FROM:<a@stranger.example>", "RCPT TO:<%s>" % BUDI):
            r = c.cmd(line)
            if r.code != 250:
                return r.code
        r = c.cmd("DATA")
        if r.code == 354:
            c.send(c.content(text))
            r = c.reply()
        return r.code


def says_unavailable(c, *pieces):
    """A tagged NO would make some clients drop the user's change: the session ends with BYE [UNAVAILABLE] and they try again."""
    with pytest.raises(Closed):
        c.cmd(*pieces)
    assert "* BYE [UNAVAILABLE]" in c.text(), c.text()


def refuses_for_now(server):
    """While the disk fails: what is answered to each kind of write, and that reading works."""
    for text in (small, large):
        assert 420 <= refused_by_lmtp(server, text("refused")) < 460
        says_unavailable(server.imap(BUDI), "APPEND INBOX", Literal(text("refused"), "plus"))  # the login works though its last use cannot be written
    c = server.imap(BUDI, select="INBOX")
    assert subjects(server) == ["kept", "kept"]
    says_unavailable(c, "STORE 1 +FLAGS (\\Flagged)")
    says_unavailable(server.imap(BUDI, select="INBOX"), "MOVE 1 Trash")
    with server.pop3(BUDI) as p:
        p.ok("DELE 1")
        assert p.err("QUIT").startswith("[SYS/TEMP]")
    server.ctl("account", "suspend", "andi@kantor.example", check=False)
    assert server.ctl_status != 0


def works_again(server):
    for text, mark in ((small, "after0"), (large, "after1")):
        server.lmtp().deliver("a@stranger.example", BUDI, text(mark))
    assert subjects(server) == ["after0", "after1", "kept", "kept"]
    with server.imap(BUDI, select="INBOX") as c:
        assert not any("\\Flagged" in items["FLAGS"] for items in c.ok("FETCH 1:* (FLAGS)").fetches.values())
    assert server.ctl("check") == "the store is clean\n"


def prepare(server):
    for text in (small, large):
        server.lmtp().deliver("a@stranger.example", BUDI, text("kept"))


@pytest.mark.parametrize("mode", ["fsync", "full", "read-only", "short"])
def test_a_failing_disk_refuses_for_now_and_works_again_without_a_restart(mode):
    faults = Faults()
    server = Server(env=faults.environment)
    try:
        prepare(server)
        faults.set(mode)
        refuses_for_now(server)
        faults.set("")
        works_again(server)
        assert " store-works-again " in server.log()
        server.kill()
        server.start()
        assert subjects(server) == ["after0", "after1", "kept", "kept"]
    finally:
        server.remove()
        faults.remove()


def test_a_full_disk_refuses_for_now_and_works_again_when_space_returns():
    disk = SmallDisk(48 * 1024 * 1024)
    server = Server(disk.path + "/demo", log_path="/dev/null")
    try:
        prepare(server)
        disk.fill()
        refuses_for_now(server)
        disk.free()
        works_again(server)
    finally:
        server.kill()
        disk.close()


def test_a_data_folder_that_was_moved_away_takes_nothing_and_is_found_again(fresh):
    prepare(fresh)
    data = os.path.join(fresh.folder, "data")
    os.rename(data, data + ".away")
    assert refused_by_lmtp(fresh, small("refused")) == 451
    os.mkdir(data)  # an empty one in its place, as under a mount point
    assert refused_by_lmtp(fresh, large("refused")) == 451
    assert subjects(fresh) == ["kept", "kept"]
    os.rmdir(data)
    os.rename(data + ".away", data)
    works_again(fresh)
    assert "the data folder was moved" in fresh.log()
