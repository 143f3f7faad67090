"""kantorctl check: each kind of damage is found with a sentence, mended by --repair, and gone at the second look; no mail is deleted."""
import glob
import os
import re
import shutil
import sqlite3
import subprocess

import pytest

from kantor import Server
from kantor.server import KANTORCTL

LARGE = b"Subject: large\r\n\r\n" + b"large " * 50000 + b"\r\n"


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    """The folder of a stopped server with some mail."""
    server = Server(str(tmp_path_factory.mktemp("seed")))
    for text in [b"Subject: small%d\r\n\r\nsmall %d\r\n" % (n, n) for n in range(4)] + [LARGE]:
        server.lmtp().deliver("a@stranger.example", "budi@kantor.example", text)
    c = server.imap("budi", select="INBOX")
    c.ok("STORE 2 +FLAGS (\\Seen own-word)")
    c.ok("STORE 3 +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    c.ok("COPY 1 Archive")
    server.submission("budi").deliver("budi@kantor.example", "x@elsewhere.example", b"Subject: queued\r\n\r\nx\r\n")
    c.close()
    server.stop()
    return server.folder


@pytest.fixture
def world(seed, tmp_path):
    folder = str(tmp_path / "demo")
    shutil.copytree(seed, folder)
    return folder


def database(folder):
    db = sqlite3.connect(os.path.join(folder, "data", "kantor.db"))
    db.isolation_level = None
    return db


def check(folder, *words):
    return subprocess.run([KANTORCTL, "--demo", folder, "check", *words], capture_output=True, text=True, timeout=60)


def blob_files(folder):
    return glob.glob(os.path.join(folder, "data", "blobs", "*", "*"))


def bodies(server):
    with server.imap("budi", select="INBOX") as c:
        return [items["BODY[]"] for items in c.ok("FETCH 1:* (BODY.PEEK[])").fetches.values()]


def messages(folder):
    with database(folder) as db:
        return db.execute("SELECT count(*) FROM item").fetchone()[0], db.execute("SELECT count(*) FROM gone").fetchone()[0]


INBOX = "(SELECT id FROM collection WHERE role = 1 AND account = (SELECT id FROM account WHERE name = 'budi@kantor.example'))"
BUDI = "(SELECT id FROM account WHERE name = 'budi@kantor.example')"
SMALL = "(SELECT id FROM blob WHERE place = 0 AND id IN (SELECT blob FROM item WHERE collection = %s) LIMIT 1)" % INBOX

DAMAGE = {  # statement → a sentence that the check says
    "UPDATE collection SET n_all = n_all + 1 WHERE id = " + INBOX: r"it says 5 messages, there are 4",
    "UPDATE collection SET n_unseen = 77 WHERE id = " + INBOX: r"it says 77 unseen messages, there are 3",
    "UPDATE collection SET n_deleted = 3 WHERE id = " + INBOX: r"it says 3 messages marked as deleted, there are 0",
    "UPDATE collection SET bytes = 1 WHERE id = " + INBOX: r"it says 1 bytes, there are \d+",
    "UPDATE collection SET keywords = 0 WHERE id = " + INBOX: r"a message has a flag that the mailbox does not know",
    "UPDATE collection SET uidnext = 2 WHERE id = " + INBOX: r"the next uid is 2, and 5 is in use",
    "UPDATE collection SET modseq = 1 WHERE id = " + INBOX: r"its number is 1, and a message has \d+",
    "UPDATE item SET modseq = 999999 WHERE uid = 1 AND collection = " + INBOX: r"a message has 999999",
    "UPDATE collection SET gonefloor = 999999 WHERE id = " + INBOX: r"its number is \d+",
    "UPDATE collection SET parent = 9999 WHERE name = 'Archive' AND account = " + BUDI: r"1 mailboxes stand under a mailbox that does not exist",
    "UPDATE collection SET uidvalidity = 4000000000 WHERE id = " + INBOX: r"a higher uidvalidity than was ever given out",
    "UPDATE account SET used = 1 WHERE id = " + BUDI: r"account \d+ \(budi@kantor.example\): it says 1 bytes",
    "UPDATE account SET items = 1 WHERE id = " + BUDI: r"in 1 messages, there are",
    "UPDATE account SET modseq = 1 WHERE id = " + BUDI: r"its number is above its account's",
    "UPDATE item SET size = 1 WHERE uid = 1 AND collection = " + INBOX: r"1 messages have another size than their content",
    "INSERT INTO gone SELECT collection, 3, uid, flags, kw, blob, size, received, saved, thread, msg, name, 1, 0, 1 FROM item WHERE uid = 1 AND collection = " + INBOX: r"1 uids are there and were removed",
    "DELETE FROM blob WHERE id = " + SMALL: r"the content of \d messages is missing",
    "UPDATE blob SET data = x'00' WHERE id = " + SMALL: r"its bytes do not have its hash",
    "UPDATE blob SET data = NULL WHERE id = " + SMALL: r"its bytes are missing",
    "UPDATE blob SET hash = x'00' WHERE id = " + SMALL: r"its row is damaged",
    "UPDATE blob SET size = 3 WHERE id = " + SMALL: r"its row says 3 bytes, there are \d+",
    "DELETE FROM blobhash WHERE blob = " + SMALL: r"it cannot be found by its hash",
    "INSERT INTO blob (size, place, hash, data) SELECT size, place, hash, data FROM blob WHERE id = " + SMALL: r"the same content is stored a second time",
    "UPDATE blobhash SET blob = 9999 WHERE blob = " + SMALL: r"1 hashes lead to no content",
    "INSERT INTO blobhash VALUES (x'01', 1)": r"1 hashes lead to no content or to a wrong one",
    "INSERT INTO doomed VALUES (9999, 1)": r"1 contents marked for removal do not exist",
    "DELETE FROM mail WHERE blob = " + SMALL: r"the index of the message is missing",
    "UPDATE mail SET envelope = x'28' WHERE blob = " + SMALL: r"the index of the message is not what its text says",
    "INSERT INTO mail SELECT 9999, sent, envelope, bodystructure, structure, sortkey, refs, preview FROM mail LIMIT 1": r"1 indexes of messages have no content",
    "INSERT INTO address VALUES (1, 'nobody', 9999, 0, NULL)": r"1 addresses lead to an account that does not exist",
    "INSERT INTO address VALUES (99, 'nobody', 1, 0, NULL)": r"1 addresses belong to a domain that does not exist",
    "INSERT INTO member (account, member, role) VALUES (9999, 1, 0)": r"1 memberships name a group or a member",
    "INSERT INTO acl (account, collection, grantee, rights, state) VALUES (1, 9999, 2, 3, 0)": r"1 grants name an account or a mailbox",
    "INSERT INTO credential (account, kind, secret, scope, created) VALUES (9999, 1, x'00', 1, 1)": r"1 passwords belong to an account",
    "INSERT INTO subscription VALUES (9999, 'x')": r"1 subscriptions belong to an account",
    "INSERT INTO keyword VALUES (9999, 33, 'x')": r"1 keywords belong to an account",
    "UPDATE gone SET blob = 9999": r"1 kept versions have no content",
    "INSERT INTO rcpt (queue, n, dest, address, state, due, tries, notify) VALUES (99, 1, 'x', 'x', 0, 0, 0, 0)": r"1 recipients belong to no message of the queue",
    "INSERT INTO change (modseq, first, prev, cprev, account, collection, at, kind, lo, hi, actor, origin) VALUES (5000, 6000, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0)": r"1 rows of the change log are damaged",
}


@pytest.mark.parametrize("statement", DAMAGE)
def test_damage_is_found_mended_and_gone_at_the_second_look(world, statement):
    before = sum(messages(world))
    with database(world) as db:
        db.execute(statement)
        assert db.execute("SELECT changes()").fetchone()[0] > 0
    first = check(world)
    assert first.returncode == 1
    assert re.search(DAMAGE[statement], first.stdout), first.stdout
    assert "--repair" in first.stdout
    assert check(world, "--repair").returncode == 0
    second = check(world)
    assert second.stdout == "the store is clean\n", second.stdout
    if "INTO gone" not in statement:
        assert sum(messages(world)) == before  # here or, unreadable, among the removed ones


def test_a_large_content_whose_file_is_damaged_is_set_aside_and_comes_back_with_the_next_delivery(world):
    [path] = blob_files(world)
    with open(path, "r+b") as f:
        f.seek(1000)
        f.write(b"!")
    assert "its bytes do not have its hash" in check(world).stdout
    assert check(world, "--repair").returncode == 0
    assert check(world).stdout == "the store is clean\n"
    assert blob_files(world) == []
    assert len(os.listdir(os.path.join(world, "data", "damaged"))) == 1  # what is left of it
    server = Server(world)
    try:
        assert b"Subject: large" not in b"".join(bodies(server))
        server.lmtp().deliver("a@stranger.example", "budi@kantor.example", LARGE)
        assert any(b.endswith(LARGE) for b in bodies(server))
        assert server.ctl("check") == "the store is clean\n"
    finally:
        server.kill()


def test_a_missing_file_is_found_and_its_message_set_aside(world):
    os.unlink(blob_files(world)[0])
    assert "its file is missing" in check(world).stdout
    assert check(world, "--repair").returncode == 0
    assert check(world).stdout == "the store is clean\n"


def test_a_damaged_index_of_the_database_is_made_anew(world):
    with database(world) as db:
        db.execute("PRAGMA writable_schema = ON")
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'item_thread'").fetchone()[0]
        other = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'acl_grantee'").fetchone()[0]
    with open(os.path.join(world, "data", "kantor.db"), "r+b") as f:  # the index of threads becomes an empty one
        f.seek((other - 1) * 4096)
        empty = f.read(4096)
        f.seek((page - 1) * 4096)
        f.write(empty)
    found = check(world)
    assert "database: " in found.stdout and "item_thread" in found.stdout, found.stdout
    assert check(world, "--repair").returncode == 0
    assert check(world).stdout == "the store is clean\n"


def test_a_running_server_is_checked_and_mended_beside_its_work(world):
    with database(world) as db:
        db.execute("UPDATE collection SET n_all = 99 WHERE id = " + INBOX)
        db.execute("DELETE FROM mail WHERE blob = " + SMALL)
    server = Server(world)
    try:
        server.ctl("check", check=False)
        assert server.ctl_status == 1
        server.ctl("check", "--repair")
        assert server.ctl("check") == "the store is clean\n"
        with server.imap("budi", select="INBOX") as c:
            assert c.exists == 4
    finally:
        server.kill()


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(world):
    with database(world) as db:
        db.execute("UPDATE setting SET value = '99' WHERE name = 'schema'")
    refused = check(world)
    assert refused.returncode == 1 and "written by a newer Kantor" in refused.stderr
    with database(world) as db:
        assert db.execute("SELECT value FROM setting WHERE name = 'schema'").fetchone()[0] == "99"
