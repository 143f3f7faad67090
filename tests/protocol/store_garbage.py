"""What retention has outlived goes, whatever happens meanwhile; clients with old numbers are still told the truth."""
import os
import subprocess
import threading

from kantor import Server, message
from kantor.server import KANTORCTL
from kantor.wait import until

ROUNDS = 6
CONFIGURATION = "hostname = kantor.example\ndata_dir = data\nlisten.addresses = 127.0.0.1, ::1\nauth.cleartext = loopback\nlimit.loopback = 20000\nlimit.connections = 40000\nstore.retention = 0\n"


def without_retention(tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "kantor.conf").write_text(CONFIGURATION)
    return Server(str(folder))


def test_a_client_with_a_number_from_before_the_cut_is_told_everything(tmp_path):
    server = without_retention(tmp_path)
    try:
        with server.imap("budi", select="INBOX") as c:
            for n in range(10):
                c.append("INBOX", message("m%d" % (n + 1)))
            before = c.select("INBOX", more=" (CONDSTORE)").codes()
            c.ok("STORE 2,7 +FLAGS (\\Deleted)")
            c.ok("EXPUNGE")
            c.ok("UID STORE 4 +FLAGS (\\Flagged)")
            now = c.select("INBOX", more=" (CONDSTORE)").codes()
            c.ok("UID STORE 5 +FLAGS (\\Answered)")
        server.ctl("gc")  # tombstones and the change log are gone
        validity = int(before["UIDVALIDITY"][0])
        with server.imap("budi") as c:
            c.ok("ENABLE QRESYNC")
            r = c.select("INBOX", more=" (QRESYNC (%d %s))" % (validity, before["HIGHESTMODSEQ"][0]))
            assert set(r.one("VANISHED").value) == {2, 7}
            assert {4, 5} == set(r.by_uid)
            c.ok("UNSELECT")
            r = c.select("INBOX", more=" (QRESYNC (%d %s 1:3,5:9))" % (validity, before["HIGHESTMODSEQ"][0]))
            assert set(r.one("VANISHED").value) == {2, 7}  # of those the client knows
            c.ok("UNSELECT")
            r = c.select("INBOX", more=" (QRESYNC (%d %s))" % (validity, now["HIGHESTMODSEQ"][0]))
            assert set(r.by_uid) == {5}
            assert set(c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %s)" % before["HIGHESTMODSEQ"][0]).by_uid) == {4, 5}
            r = c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)")
            assert set(r.one("VANISHED").value) == {2, 7} and len(r.by_uid) == 8
        assert server.ctl("check") == "the store is clean\n"
    finally:
        server.remove()


def test_kill_9_while_garbage_is_collected_loses_nothing_that_is_named(tmp_path):
    """Everybody appends and removes the same few contents while they are collected again and again. (A delivery would make each its own by its Received field.)"""
    server = without_retention(tmp_path)
    contents = [message("same%d" % n, body=b"y" * size + b"\r\n") for n, size in enumerate((10, 5000, 200000))]
    told, alive = [0], threading.Event()

    def load(user):
        try:
            imap = server.imap(user, select="INBOX")
            while alive.is_set():
                for text in contents:
                    imap.append("INBOX", text)
                    told[0] += 1
                imap.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
                imap.ok("EXPUNGE")
        except (OSError, AssertionError):
            return

    def collect():
        while alive.is_set():
            subprocess.run([KANTORCTL, "--demo", server.folder, "gc"], capture_output=True)
    try:
        for n in range(ROUNDS):
            alive.set()
            threads = [threading.Thread(target=load, args=(u,)) for u in ("budi", "sari", "dewi")] + [threading.Thread(target=collect)]
            goal = told[0] + 30 + 17 * n
            for t in threads:
                t.start()
            until(lambda: told[0] >= goal or not any(t.is_alive() for t in threads[:3]), "enough appends")
            server.kill()
            alive.clear()
            for t in threads:
                t.join()
            server.start()
            assert server.ctl("check") == "the store is clean\n"  # reads every content of every message
        for user in ("budi", "sari", "dewi"):
            with server.imap(user, select="INBOX") as c:
                c.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
                c.ok("EXPUNGE")
        server.ctl("gc")
        assert server.ctl("check") == "the store is clean\n"
        left = [f for _, _, files in os.walk(os.path.join(server.folder, "data", "blobs")) for f in files]
        assert len(left) <= 1  # an orphan of a crash, too young to go
    finally:
        server.remove()
