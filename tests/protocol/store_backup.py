"""Backup and restore: whole, one person, one mailbox, every night; damaged ones are refused; clients see no uid or token twice."""
import glob
import hashlib
import os
import shutil
import subprocess
import threading
import time

import pytest

from kantor import Server
from kantor.server import KANTORCTL, KANTORD
from kantor.wait import until

LARGE = b"Subject: large\r\n\r\n" + b"large " * 50000 + b"\r\n"


SARI = "sari@kantor.example"


def mail(subject, body=b"x\r\n"):
    return b"Subject: %s\r\n\r\n%s" % (subject.encode(), body)


def deliver(server, text, to=SARI):
    server.lmtp().deliver("a@stranger.example", to, text)


def all_flags(c):
    """subject → flags, of the selected mailbox."""
    found = c.ok("UID FETCH 1:* (FLAGS ENVELOPE)").fetches.values()
    return {items["ENVELOPE"][1].decode(): set(items["FLAGS"]) - {"\\Recent"} for items in found}


def fill(server):
    for n in range(3):
        deliver(server, mail("small%d" % n))
    deliver(server, LARGE)
    with server.imap("sari", select="INBOX") as c:
        c.ok("STORE 1 +FLAGS (\\Flagged own-word)")
        c.ok("CREATE Projects/2026")
        c.append("Projects/2026", mail("plan"), "\\Seen")


@pytest.fixture(scope="module")
def filled():
    server = Server()
    fill(server)
    yield server
    server.remove()


def ctl_restore(*words):
    return subprocess.run([KANTORCTL, "restore", *map(str, words)], capture_output=True, text=True, timeout=60)


def restored(tmp_path, backup):
    """A server on what was restored from the backup."""
    folder = tmp_path / "restored"
    folder.mkdir()
    done = ctl_restore(backup, folder / "data")
    assert done.returncode == 0, done.stderr
    return Server(str(folder))


def test_a_backup_holds_manifest_configuration_keys_and_every_file_with_its_hash(filled, tmp_path):
    server = filled
    out = server.ctl("backup", tmp_path / "b")
    assert "7 accounts" in out
    manifest = (tmp_path / "b" / "manifest").read_text().splitlines()
    files = {l.split(" ", 3)[3]: l.split(" ", 3)[1:3] for l in manifest if l.startswith("file ")}
    assert {"kantor.db", "data/tls.crt", "data/tls.key", "config/kantor.conf"} <= set(files)
    assert any(f.startswith("blobs/") for f in files)
    for name, (digest, size) in files.items():
        data = (tmp_path / "b" / name).read_bytes()
        assert len(data) == int(size) and hashlib.sha256(data).hexdigest() == digest, name
    facts = dict(l.split(" ", 1) for l in manifest[1:] if not l.startswith(("file ", "sum ")))
    assert facts["schema"] == "2" and len(facts["epoch"]) == 16 and int(facts["messages"]) >= 5
    assert "the backup is whole" in server.ctl("backup", "--verify", tmp_path / "b")
    assert oct((tmp_path / "b").stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "manifest", "database", "key", "no manifest"])
def test_a_damaged_backup_is_named_and_refused(filled, tmp_path, harm):
    server = filled
    backup = tmp_path / "b"
    server.ctl("backup", str(backup))
    blob = glob.glob(str(backup / "blobs" / "*" / "*"))[0]
    name = {"manifest": "manifest", "no manifest": "manifest", "database": "kantor.db", "key": "data/tls.key"}.get(harm, blob[len(str(backup)) + 1:])
    data = (backup / name).read_bytes()
    os.unlink(backup / name)  # never through a hard link into the store
    if harm == "cut":
        (backup / name).write_bytes(data[:-1])
    elif harm not in ("remove", "no manifest"):
        at = len(data) // 2
        (backup / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
    server.ctl("backup", "--verify", backup, check=False)
    assert server.ctl_status == 1
    assert ("manifest" if "manifest" in harm else name) in server.ctl_errors
    assert ctl_restore(backup, tmp_path / "to").returncode == 1
    assert not (tmp_path / "to" / "kantor.db").exists()
    server.ctl("restore", "--from", backup, "--account", SARI, check=False)
    assert server.ctl_status == 1
    assert server.ctl("check") == "the store is clean\n"


def test_the_next_backup_links_what_an_earlier_one_holds(filled, tmp_path):
    server = filled
    server.ctl("backup", str(tmp_path / "one"))
    for f in glob.glob(str(tmp_path / "one" / "blobs" / "*" / "*")):  # as on a disk of their own
        data = open(f, "rb").read()
        os.unlink(f)
        open(f, "wb").write(data)
    server.ctl("backup", str(tmp_path / "two"), "--previous", str(tmp_path / "one"))
    for f in glob.glob(str(tmp_path / "one" / "blobs" / "*" / "*")):
        assert os.path.samefile(f, f.replace("/one/", "/two/"))
    shutil.rmtree(tmp_path / "one")
    assert "the backup is whole" in server.ctl("backup", "--verify", tmp_path / "two")


def test_a_restored_server_has_the_mail_and_clients_miss_nothing(fresh, tmp_path):
    fill(fresh)
    with fresh.imap("sari", select="INBOX") as c:
        at_backup = all_flags(c)
    fresh.ctl("backup", tmp_path / "b")
    # after the backup: one more, one less, one changed; the client sees all of it
    deliver(fresh, mail("later"))
    with fresh.imap("sari", select="INBOX") as c:
        c.ok("STORE 1 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("STORE 1 +FLAGS (\\Answered)")
    with fresh.imap("sari") as c:
        seen = c.select("INBOX", more=" (CONDSTORE)").codes()
    validity, modseq, uidnext = (int(seen[name][0]) for name in ("UIDVALIDITY", "HIGHESTMODSEQ", "UIDNEXT"))
    fresh.stop()
    other = restored(tmp_path, tmp_path / "b")
    try:
        with other.imap("sari") as c:
            c.ok("ENABLE QRESYNC")
            reply = c.select("INBOX", more=" (QRESYNC (%d %d))" % (validity, modseq))
            codes = reply.codes()
            assert int(codes["UIDVALIDITY"][0]) == validity and int(codes["HIGHESTMODSEQ"][0]) > modseq and int(codes["UIDNEXT"][0]) > uidnext + 1000
            assert "VANISHED (EARLIER)" in c.text()
            assert uidnext - 1 in reply.one("VANISHED").value  # "later" is no more
            assert set(reply.by_uid) == {1, 2, 3, 4}  # the expunged one is there again, flags of all are told
            assert all_flags(c) == at_backup
        deliver(other, mail("new"))
        with other.imap("sari", select="INBOX") as c:
            assert max(c.uids()) >= uidnext
        assert other.ctl("check") == "the store is clean\n"
        assert os.path.exists(tmp_path / "restored" / "data" / "config" / "kantor.conf")
    finally:
        other.kill()


def test_mail_that_waited_to_be_sent_is_held_after_a_restore(fresh, tmp_path):
    fresh.submission("budi").deliver("budi@kantor.example", "x@elsewhere.example", mail("queued"))
    fresh.ctl("backup", tmp_path / "b")
    assert "1 recipients of the queue are held" in ctl_restore(tmp_path / "b", tmp_path / "data").stdout


def test_one_person_gets_back_what_is_missing_and_nothing_twice(fresh, tmp_path):
    fill(fresh)
    with fresh.imap("sari", select="INBOX") as c:
        before = all_flags(c)
    fresh.ctl("backup", tmp_path / "b")
    with fresh.imap("sari", select="INBOX") as c:
        c.ok("STORE 1:3 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("DELETE Projects/2026")
        c.ok("DELETE Projects")
    deliver(fresh, mail("later"))
    assert fresh.ctl("restore", "--from", tmp_path / "b", "--account", SARI).startswith("4 messages added")
    with fresh.imap("sari", select="INBOX") as c:
        assert all_flags(c) == {**before, "later": set()}
        assert c.uids() == [4, 5, 6, 7, 8]  # new uids for what came back
        c.select("Projects/2026")
        assert all_flags(c) == {"plan": {"\\Seen"}}
    assert fresh.ctl("restore", "--from", tmp_path / "b", "--account", SARI).startswith("0 messages added")
    assert fresh.ctl("check") == "the store is clean\n"


def test_one_mailbox_can_be_restored_alone(fresh, tmp_path):
    fill(fresh)
    fresh.ctl("backup", tmp_path / "b")
    with fresh.imap("sari", select="INBOX") as c:
        c.ok("STORE 1:* +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("DELETE Projects/2026")
    out = fresh.ctl("restore", "--from", tmp_path / "b", "--account", SARI, "--mailbox", "Projects/2026")
    assert out.startswith("1 messages added in 1 mailboxes"), out
    with fresh.imap("sari", select="INBOX") as c:
        assert c.exists == 0
    fresh.ctl("restore", "--from", tmp_path / "b", "--account", SARI, "--mailbox", "Nowhere", check=False)
    assert fresh.ctl_status == 1 and "no such mailbox in the backup" in fresh.ctl_errors


def test_a_backup_under_load_is_one_consistent_state(fresh, tmp_path):
    stop, acked = threading.Event(), []

    def load(n):
        c = fresh.lmtp()
        for i in range(100000):
            if stop.is_set():
                return
            c.deliver("a@stranger.example", "budi@kantor.example", mail("l%d-%d" % (n, i), b"y" * (200000 if i % 5 == 0 else 10) + b"\r\n"))
            acked.append("l%d-%d" % (n, i))
    threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    try:
        until(lambda: len(acked) > 20)
        before = set(acked)
        fresh.ctl("backup", tmp_path / "b")
        until(lambda: len(acked) > len(before) + 20)
    finally:
        stop.set()
        for t in threads:
            t.join()
    other = restored(tmp_path, tmp_path / "b")
    try:
        with other.imap("budi", select="INBOX") as c:
            assert before <= set(all_flags(c))
        assert other.ctl("check") == "the store is clean\n"
    finally:
        other.kill()


def test_a_night_makes_a_verified_backup_keeps_two_and_says_so(tmp_path):
    folder, demo = tmp_path / "nightly", tmp_path / "demo"
    for name in ("2026-01-01T030000Z", "2026-01-02T030000Z", "2026-01-03T030000Z.part", "not ours"):
        (folder / name).mkdir(parents=True)
    demo.mkdir()
    due = time.strftime("%H:%M", time.localtime(time.time() - 60))
    (demo / "kantor.conf").write_text("hostname = kantor.example\ndata_dir = data\nlisten.addresses = 127.0.0.1, ::1\nauth.cleartext = loopback\nlimit.loopback = 20000\n"
                                      "limit.connections = 40000\nbackup.folder = %s\nbackup.at = %s\nbackup.keep = 2\nstore.disk_alarm = 4000G\n" % (folder, due))
    server = Server(str(demo))
    try:
        until(lambda: " backup-verified " in server.log(), "a verified backup")
        whole = sorted(os.listdir(folder))
        assert len(whole) == 3 and whole[0] == "2026-01-02T030000Z" and whole[2] == "not ours"
        assert "the backup is whole" in server.ctl("backup", "--verify", folder / whole[1])
        metrics = server.metrics()
        for name in ("success", "verified"):
            assert metrics["kantor_backup_last_%s_timestamp_seconds" % name] > time.time() - 100
        assert metrics["kantor_disk_free_bytes"] > 0
        assert " disk-nearly-full " in server.log()
        server.stop()
        server.start()  # today's is made: not again
        until(lambda: server.log().count(" disk-nearly-full ") == 2, "a second look")
        server.stop()  # it waits for the look that has begun
        assert sorted(os.listdir(folder)) == whole
    finally:
        server.remove()


def test_a_wrong_time_of_day_is_refused_with_what_to_write(tmp_path):
    conf = tmp_path / "kantor.conf"
    conf.write_text("backup.at = 25:00\n")
    out = subprocess.run([KANTORD, "--config", str(conf), "--check-config"], capture_output=True, text=True, timeout=20)
    assert out.returncode == 1 and "like 03:00" in out.stderr
