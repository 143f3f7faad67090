"""Listing a mailbox opens no message: what was derived at delivery answers, also in the next session, and what is damaged is made anew."""
import sqlite3

from kantor.messages import message

NESTED = (b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
          b"Subject: in\r\n\r\nbody\r\n--x--\r\n")


def reads(server):
    return server.metrics()["kantor_store_blob_reads_total"]


def test_fetch_of_envelope_structure_and_size_reads_no_message(fresh):
    with fresh.imap("budi", select="INBOX") as c:
        for n in range(20):
            c.append("INBOX", message("mail %d" % n) if n % 2 else NESTED.replace(b"one", b"%d" % n))
    with fresh.imap("budi", select="INBOX") as c:
        before = reads(fresh)
        for items in ("(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", "FULL", "ALL", "BODY"):
            assert len(c.ok("FETCH 1:* " + items).fetches) == 20
        c.ok('SEARCH SUBJECT "mail 1" SENTSINCE 1-Jan-2000 LARGER 10')
        assert reads(fresh) == before
        c.ok("FETCH 1 BODY.PEEK[]")
        assert reads(fresh) == before + 1


def test_body_is_bodystructure_without_its_extension_data(box):
    uid = box.append("INBOX", NESTED)
    items = box.ok("UID FETCH %d (BODY BODYSTRUCTURE)" % uid).by_uid[uid]
    body, whole = items["BODY"], items["BODYSTRUCTURE"]
    assert len(body) == 3 and body[2] == whole[2] == b"mixed" and len(whole) == 7
    assert len(body[0]) == 8 and body[0] == whole[0][:8]
    assert len(body[1]) == 10 and body[1][7] == whole[1][7] and body[1][8] == whole[1][8][:8] and body[1][9] == whole[1][9]


def test_a_damaged_index_row_is_made_anew_from_the_message(fresh):
    with fresh.imap("budi", select="INBOX") as c:
        c.append("INBOX", NESTED)
        right = c.ok("FETCH 1 (BODY BODY.PEEK[1] BODY.PEEK[2.HEADER])").fetches[1]
    fresh.stop()
    for damage in (b"", b"\xff" * 80, b"\x01\xff\xff\xff\xff\x0f", b"(" * 5000):
        db = sqlite3.connect(database_of(fresh))
        db.execute("UPDATE mail SET structure = ?, bodystructure = ?", (damage, damage))
        db.commit()
        db.close()
        fresh.start()
        with fresh.imap("budi", select="INBOX") as c:
            assert c.ok("FETCH 1 (BODY BODY.PEEK[1] BODY.PEEK[2.HEADER])").fetches[1] == right
        fresh.stop()
    fresh.start()


def database_of(server):
    import glob
    import os
    found = [f for f in glob.glob(os.path.join(server.folder, "**", "*"), recursive=True) if os.path.isfile(f) and open(f, "rb").read(16) == b"SQLite format 3\0"]
    assert len(found) == 1, found
    return found[0]
