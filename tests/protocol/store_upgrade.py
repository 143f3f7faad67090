"""A store of any earlier version is opened, brought up to date and keeps everything; one that cannot be is left as it was."""
import glob
import os
import re
import sqlite3
import subprocess
import tarfile

import pytest

from kantor import Server
from kantor.server import KANTORCTL, ROOT

FOLDERS = sorted(glob.glob(os.path.join(ROOT, "tests", "data", "store-*.tar.xz")))
SCHEMAS = sorted(glob.glob(os.path.join(ROOT, "core", "store", "schema", "*.sql")))


def unpack(archive, to):
    with tarfile.open(archive) as t:
        t.extractall(to, filter="data") if hasattr(tarfile, "data_filter") else t.extractall(to)
    return str(to)


def mail(server, user, box):
    """subject → flags and whether the bytes have their size"""
    with server.imap(user, select=box) as c:
        out = {}
        for items in c.ok("FETCH 1:* (FLAGS ENVELOPE RFC822.SIZE BODY.PEEK[])").fetches.values():
            assert len(items["BODY[]"]) == items["RFC822.SIZE"]
            out[items["ENVELOPE"][1].decode()] = set(items["FLAGS"]) - {"\\Recent"}
        return out


def test_there_is_a_folder_of_every_schema():
    assert [re.search(r"store-(\d+)", f)[1] for f in FOLDERS] == [re.search(r"(\d+)-", os.path.basename(s))[1] for s in SCHEMAS]


@pytest.mark.parametrize("archive", FOLDERS, ids=os.path.basename)
def test_a_folder_of_an_earlier_schema_is_opened_and_keeps_everything(archive, tmp_path):
    server = Server(unpack(archive, tmp_path))
    try:
        assert mail(server, "budi", "INBOX") == {"kept0": {"\\Seen", "$label1", "own-word"}, "kept1": set(), "large": set()}
        assert mail(server, "budi", "Projects/2026") == {"kept1": set()}
        assert set(mail(server, "sari", "INBOX")) == {"kept0", "kept1", "kept2"}
        assert "x@elsewhere.example" in server.ctl("queue", "list")
        assert server.ctl("check") == "the store is clean\n"
        server.lmtp().deliver("a@stranger.example", "budi@kantor.example", b"Subject: new\r\n\r\nx\r\n")
        with server.imap("budi", select="INBOX") as c:
            assert c.uids() == [1, 2, 4, 5]  # no uid of the old time again
    finally:
        server.remove()


def test_an_upgrade_that_fails_changes_nothing_and_says_so(tmp_path):
    folder = unpack(FOLDERS[0], tmp_path)
    path = os.path.join(folder, "data", "kantor.db")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE setting SET value = '0' WHERE name = 'schema'")  # its first step will find its tables there
    before = sqlite3.connect(path).execute("SELECT group_concat(sql), (SELECT count(*) FROM item), (SELECT group_concat(name || value) FROM setting) FROM sqlite_schema").fetchall()
    done = subprocess.run([KANTORCTL, "--demo", folder, "check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "upgrade" in done.stderr and "nothing was changed" in done.stderr
    assert sqlite3.connect(path).execute("SELECT group_concat(sql), (SELECT count(*) FROM item), (SELECT group_concat(name || value) FROM setting) FROM sqlite_schema").fetchall() == before
