#!/usr/bin/python3
"""tests/data/make_store_folder.py -- writes tests/data/store-NNN.tar.xz for the newest schema, as README.md here describes it.

Run it (after `make`) before a new schema step is landed; what is landed is never made again.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kantor import Server  # noqa: E402


def mail(subject, body=b"x\r\n"):
    return b"From: a@stranger.example\r\nSubject: %s\r\n\r\n%s" % (subject.encode(), body)


def fill(server):
    for n in range(3):
        for who in ("budi@kantor.example", "sari@kantor.example"):
            server.lmtp().deliver("a@stranger.example", who, mail("kept%d" % n))
    server.lmtp().deliver("a@stranger.example", "budi@kantor.example", mail("large", b"0123456789" * 12 * 1024 + b"\r\n"))
    with server.imap("budi", select="INBOX") as c:
        c.ok("UID STORE 1 +FLAGS.SILENT (\\Seen $label1 own-word)")
        c.ok("CREATE Projects/2026")
        c.ok("UID COPY 2 Projects/2026")
        c.ok("UID STORE 3 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
    with server.submission("budi") as c:
        c.deliver("budi@kantor.example", "x@elsewhere.example", b"From: budi@kantor.example\r\nSubject: out\r\n\r\nx\r\n")


def main():
    newest = max(int(re.match(r"(\d+)-", os.path.basename(s))[1]) for s in glob.glob(os.path.join(HERE, "../../core/store/schema/*.sql")))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            fill(server)
        finally:
            server.stop()
        target = os.path.join(HERE, "store-%03d.tar.xz" % newest)
        subprocess.run(["tar", "-cJf", target, "--owner=0", "--group=0", "-C", folder, "kantor.conf", "data"], check=True)
        print(target)


if __name__ == "__main__":
    main()
