"""Disks that fail: every answer is a temporary one, reading goes on, nothing is lost or half there, and it works again without a restart."""
import os
import re

import pytest

from faults import Faults
from kantor.disk import SmallDisk
from talk import PASSWORD, Server

SMALL = b"Subject: %s\r\n\r\nsmall\r\n"
LARGE = b"Subject: %s\r\n\r\n" + b"large " * 50000 + b"\r\n"  # stands in a file of its own


def subjects(server, user="budi"):
    with server.imap(user, select="INBOX") as c:
        lines = c.ok("FETCH 1:* (BODY.PEEK[])")
        found = [re.search("Subject: (\\S+)", l)[1] for l in lines if "Subject: " in l]
        return sorted(found)


def refuses_for_now(server):
    """While the disk fails: what is answered to each kind of write, and that reading works."""
    for message in (SMALL, LARGE):
        try:
            reply = server.deliver(message % b"refused", "budi@kantor.example")
        except AssertionError as e:  # already at MAIL or RCPT
            reply = e.args[0][1]
        assert re.match("4[25][0-9]", reply), reply
        with server.imap("budi") as c:  # the login works though its last use cannot be written
            answers = c.append("INBOX", message % b"refused")
            assert any(a.startswith("* BYE [UNAVAILABLE]") for a in answers), answers
    with server.imap("budi", select="INBOX") as c:
        assert any("kept" in l for l in c.ok("FETCH 1:* (BODY.PEEK[])"))
        answers = c.run("STORE 1 +FLAGS (\\Flagged)")
        assert any(a.startswith("* BYE [UNAVAILABLE]") for a in answers), answers
    with server.imap("budi", select="INBOX") as c:
        answers = c.run("MOVE 1 Trash")
        assert any(a.startswith("* BYE [UNAVAILABLE]") for a in answers), answers
    with server.smtp(110) as c:
        for line in ("USER budi@kantor.example", "PASS " + PASSWORD, "DELE 1"):
            c.send(line.encode() + b"\r\n")
            assert c.line().startswith("+OK"), line
        c.send(b"QUIT\r\n")
        assert c.line().startswith("-ERR [SYS/TEMP]")
    assert server.ctl("account", "suspend", "andi@kantor.example", check=False).returncode != 0


def works_again(server, before):
    for n, message in enumerate((SMALL, LARGE)):
        assert server.deliver(message % b"after%d" % n, "budi@kantor.example").startswith("250")
    assert subjects(server) == sorted(before + ["after0", "after1"])
    assert "\\Flagged" not in "".join(server.imap("budi", select="INBOX").ok("FETCH 1:* (FLAGS)"))
    assert server.ctl("check").stdout == "the store is clean\n"


def prepare(server):
    assert server.deliver(SMALL % b"kept", "budi@kantor.example").startswith("250")
    assert server.deliver(LARGE % b"kept", "budi@kantor.example").startswith("250")
    return ["kept", "kept"]


@pytest.mark.parametrize("mode", ["fsync", "full", "read-only", "short"])
def test_a_failing_disk_refuses_for_now_and_works_again_without_a_restart(mode):
    faults = Faults()
    server = Server(environment=faults.environment).start()
    try:
        before = prepare(server)
        faults.set(mode)
        refuses_for_now(server)
        assert subjects(server) == sorted(before)
        faults.set("")
        works_again(server, before)
        assert server.log().count(" store-fails ") <= 12  # told, not one line a failure
        assert " store-works-again " in server.log()
        server.kill()
        server.start()
        assert subjects(server) == sorted(before + ["after0", "after1"])
    finally:
        server.kill()
        server.remove()
        faults.remove()


def test_a_full_disk_refuses_for_now_and_works_again_when_space_returns():
    disk = SmallDisk(48 * 1024 * 1024)
    server = Server(os.path.join(disk.path, "demo"))
    os.mkdir(server.folder)
    server.start()
    try:
        before = prepare(server)
        disk.fill()
        refuses_for_now(server)
        disk.free()
        works_again(server, before)
    finally:
        server.kill()
        disk.close()


def test_a_data_folder_that_was_moved_away_takes_nothing_and_is_found_again(fresh):
    before = prepare(fresh)
    data = os.path.join(fresh.folder, "data")
    os.rename(data, data + ".away")
    reply = fresh.deliver(SMALL % b"refused", "budi@kantor.example")
    assert reply.startswith("451"), reply
    os.mkdir(data)  # an empty one in its place, as under a mount point
    assert fresh.deliver(LARGE % b"refused", "budi@kantor.example").startswith("451")
    assert subjects(fresh) == sorted(before)
    os.rmdir(data)
    os.rename(data + ".away", data)
    works_again(fresh, before)
    assert "the data folder was moved" in fresh.log()
