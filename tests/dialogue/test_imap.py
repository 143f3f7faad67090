"""IMAP: what a mail client can rely on."""
import pytest
from talk import PASSWORD

MAIL = b"From: =?utf-8?q?S=C3=A4ri?= <sari@kantor.example>\r\nTo: budi@kantor.example\r\nSubject: Hello number %d\r\nDate: Tue, 24 Nov 2026 08:00:00 +0700\r\nMessage-ID: <m%d@x>\r\n\r\nbody of %d\r\n"


@pytest.fixture
def box(server, request):
    """A mailbox of this test alone with five messages; its name."""
    name = "T" + str(abs(hash(request.node.name)) % 10**9)
    with server.imap("budi") as c:
        c.ok(f"CREATE {name}")
        for i in range(1, 6):
            assert c.append(name, MAIL % (i, i, i))[-1].startswith("OK [APPENDUID")
    return name


def exists(lines):
    return [l for l in lines if l.endswith("EXISTS")]


def test_fetch_gives_back_every_byte_and_the_envelope(server, box):
    with server.imap("budi", select=box) as c:
        r = c.ok("FETCH 2 (UID RFC822.SIZE BODY.PEEK[])")[0]
        assert (MAIL % (2, 2, 2)).decode() in r and f"RFC822.SIZE {len(MAIL % (2, 2, 2))}" in r
        e = c.ok("FETCH 1 ENVELOPE")[0]
        assert '("=?utf-8?q?S=C3=A4ri?=" NIL "sari" "kantor.example")' in e and '"<m1@x>"' in e
        assert c.ok("FETCH 1 BODY.PEEK[TEXT]<0.4>")[0].endswith("BODY[TEXT]<0> {4}\r\nbody)")
        assert c.ok("FETCH 1 BODY.PEEK[TEXT]<999.4>")[0].endswith("{0}\r\n)")
        assert c.ok("FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[0].endswith("Subject: Hello number 1\r\n\r\n)")


def test_fetch_marks_as_seen_unless_it_peeks(server, box):
    with server.imap("budi", select=box) as c:
        c.ok("FETCH 1 BODY.PEEK[]")
        assert "\\Seen" not in c.ok("FETCH 1 FLAGS")[0]
        c.ok("FETCH 1 BODY[]")
        assert "\\Seen" in c.ok("FETCH 1 FLAGS")[0]


def test_a_second_session_is_told_of_arrivals_and_expunges(server, box):
    a, b = server.imap("budi", select=box), server.imap("budi", select=box)
    a.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert "* 2 EXPUNGE" in a.ok("EXPUNGE")
    assert not [l for l in b.ok("FETCH 1:* UID") if "EXPUNGE" in l]  # RFC 9051 7.5.1
    assert "* 2 EXPUNGE" in b.ok("NOOP")
    b.append(box, MAIL % (9, 9, 9))
    assert exists(a.ok("NOOP")) == ["* 5 EXISTS"]
    a.close()
    b.close()


def test_idle_hears_of_a_delivery_at_once_and_done_may_share_a_packet(server):
    with server.imap("andi", select="INBOX") as c:
        c.send(b"i1 IDLE\r\n")
        assert c.response().startswith("+")
        assert server.deliver(b"Subject: now\r\n\r\nx", "andi@kantor.example").startswith("250")
        assert c.response().endswith("EXISTS")
        c.send(b"DONE\r\ni2 NOOP\r\n")
        seen = []
        while not seen or not seen[-1].startswith("i2 "):
            seen.append(c.response())
        assert any(l.startswith("i1 OK") for l in seen)


def test_move_tells_copyuid_before_expunge_and_leaves_nothing_behind(server, box):
    with server.imap("budi", select=box) as c:
        c.ok(f"CREATE {box}m")
        r = c.ok(f"MOVE 2:3 {box}m")
        assert "COPYUID" in r[0] and r[1:3] == ["* 3 EXPUNGE", "* 2 EXPUNGE"]
        assert "MESSAGES 2" in c.ok(f"STATUS {box}m (MESSAGES)")[0]
        assert c.ok("UID MOVE 999 Trash")[-1].startswith("OK")


def test_copy_to_a_missing_mailbox_answers_trycreate(server, box):
    with server.imap("budi", select=box) as c:
        assert c.run("COPY 1 Nowhere")[-1].startswith("NO [TRYCREATE]")


def test_store_unchangedsince_tells_what_it_did_not_store(server, box):
    with server.imap("budi", select=box) as c:
        first = c.ok("FETCH 1:2 (MODSEQ)")
        since = max(int(l.split("MODSEQ (")[1].split(")")[0]) for l in first if "FETCH" in l)
        c.ok("STORE 1 +FLAGS (\\Flagged)")
        r = c.ok(f"STORE 1:2 (UNCHANGEDSINCE {since}) +FLAGS (\\Seen)")
        assert "[MODIFIED 1]" in r[-1]
        assert "\\Seen" in c.ok("FETCH 2 FLAGS")[0] and "\\Seen" not in c.ok("FETCH 1 FLAGS")[0]


def test_qresync_tells_what_vanished_and_what_changed(server, box):
    with server.imap("budi") as c:
        c.ok("ENABLE QRESYNC")
        r = c.ok(f"SELECT {box}")
        validity = [l for l in r if "UIDVALIDITY" in l][0].split()[3].rstrip("]")
        modseq = [l for l in r if "HIGHESTMODSEQ" in l][0].split()[3].rstrip("]")
        with server.imap("budi", select=box) as other:
            other.ok("STORE 2 +FLAGS (\\Deleted)")
            other.ok("EXPUNGE")
            other.ok("STORE 1 +FLAGS (\\Answered)")
        c.ok("UNSELECT")
        r = c.ok(f"SELECT {box} (QRESYNC ({validity} {modseq}))")
        assert "* VANISHED (EARLIER) 2" in r
        assert len([l for l in r if "FETCH (UID 1 " in l and "\\Answered" in l]) == 1


def test_search_finds_by_flags_dates_fields_and_text(server, box):
    with server.imap("budi", select=box) as c:
        c.ok("STORE 3 +FLAGS (\\Flagged $Forwarded mine)")
        for keys, found in [("FLAGGED", "3"), ("KEYWORD mine", "3"), ("UNKEYWORD mine UNFLAGGED", "1 2 4 5"), ("SUBJECT \"NUMBER 4\"", "4"), ("FROM sari", "1 2 3 4 5"), ("BODY \"body of 5\"", "5"),
                            ("OR SUBJECT \"number 1\" SUBJECT \"number 2\"", "1 2"), ("NOT 1:4", "5"), ("SENTON 24-Nov-2026", "1 2 3 4 5"), ("HEADER Message-ID m2@x", "2"), ("(1:3 (2:4))", "2 3"), ("FROM SARI", "1 2 3 4 5"),
                            ("TEXT \"b\u00f6dy\"", "1 2 3 4 5"), ("9:20", ""), ("SMALLER 10", "")]:
            line = c.ok(b"SEARCH CHARSET UTF-8 " + keys.encode())[0]
            assert line == ("* SEARCH " + found).rstrip(), keys
        assert c.ok("UID SEARCH RETURN (MIN MAX COUNT) ALL")[0].endswith("UID MIN 1 MAX 5 COUNT 5")
        c.ok("SEARCH RETURN (SAVE) FLAGGED")
        assert c.ok("FETCH $ UID")[0] == "* 3 FETCH (UID 3)"


def test_list_shows_special_uses_children_and_shared_mailboxes(server):
    with server.imap("sari") as c:
        names = c.ok('LIST "" "*"')
        assert any("\\Sent" in l for l in names) and any('"Shared/info@kantor.example/INBOX"' in l for l in names)
        c.ok("CREATE a/b/c")
        assert any("\\HasChildren" in l and l.endswith('"a"') for l in c.ok('LIST "" "%"'))
        assert any(l.startswith("* STATUS") for l in c.ok('LIST "" "INBOX" RETURN (STATUS (MESSAGES))'))
        c.ok("RENAME a z")
        assert any(l.endswith('"z/b/c"') for l in c.ok('LIST "" "z*"'))
        assert c.run("DELETE z")[-1].startswith("NO [HASCHILDREN]")
        assert c.ok('LIST "" ""')[0] == '* LIST (\\Noselect) "/" ""'


def test_names_are_modified_utf7_until_utf8_is_accepted(server):
    with server.imap("budi") as c:
        c.ok("CREATE Entw&APw-rfe")
        assert any('"Entw&APw-rfe"' in l for l in c.ok('LIST "" "Entw*"'))
        assert c.run("CREATE &Jjo!")[-1].startswith("NO [CANNOT]")
        c.ok("ENABLE UTF8=ACCEPT")
        assert any("Entw\u00fcrfe".encode().decode("latin-1") in l for l in c.ok('LIST "" "Entw*"'))


def test_a_mailbox_that_a_stranger_may_not_see_answers_like_one_that_does_not_exist(server):
    with server.imap("andi") as c:
        hidden = c.run('SELECT "Other Users/sari@kantor.example/INBOX"')[-1]
        absent = c.run('SELECT "Other Users/sari@kantor.example/Nothing"')[-1]
        assert hidden == absent and hidden.startswith("NO [NONEXISTENT]")


@pytest.mark.parametrize("command", ["NOOP x", "FETCH 0 FLAGS", "FETCH 1 (((((", "SEARCH " + "NOT " * 300 + "ALL", "STORE 1 FLAGS (a\"b)", "SELECT", "UID UID FETCH 1 FLAGS", "SEARCH 1:", "FETCH 4294967296 UID"])
def test_malformed_commands_are_bad_and_harm_nothing(server, box, command):
    with server.imap("budi", select=box) as c:
        assert c.run(command)[-1].startswith("BAD")
        c.ok("NOOP")


def test_refused_non_synchronising_literals_never_become_commands(server):
    with server.imap("budi") as c:
        r = c.run(b"APPEND Nowhere {40+}\r\n" + b"x9 DELETE Drafts\r\n".ljust(40, b"x"))
        assert r == ["NO [TRYCREATE] no such mailbox"]
        assert any("Drafts" in l for l in c.ok('LIST "" Drafts'))


def test_a_synchronising_literal_that_is_too_large_is_refused_before_it_comes(server):
    with server.imap("budi") as c:
        assert c.run("APPEND INBOX {999999999}")[-1].startswith("NO [TOOBIG]")
    with server.imap() as c:
        assert "TOOBIG" in c.run("LOGIN {100000}")[-1]


def test_compress_carries_a_session(server):
    import zlib
    with server.imap("budi") as c:
        c.ok("COMPRESS DEFLATE")
        deflate, inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        for i in range(3):
            c.send(deflate.compress(b"z%d NOOP\r\n" % i) + deflate.flush(zlib.Z_SYNC_FLUSH))
            text = b""
            while b"\r\n" not in text:
                text += inflate.decompress(c.socket.recv(4096))
            assert text == b"z%d OK done\r\n" % i


def test_wrong_passwords_and_unknown_names_get_the_same_answer(server):
    with server.imap() as c:
        wrong = c.run("LOGIN dewi@kantor.example nonsense")[-1]
        unknown = c.run("LOGIN nobody@kantor.example nonsense")[-1]
        assert wrong == unknown == "NO [AUTHENTICATIONFAILED] wrong name or password"
        c.ok(f"LOGIN dewi@kantor.example {PASSWORD}")


def test_a_suspended_account_loses_its_sessions(server):
    c = server.imap("dewi", select="INBOX")
    server.ctl("account", "suspend", "dewi@kantor.example")
    assert c.response().startswith("* BYE")
    with server.imap() as d:
        assert d.run(f"LOGIN dewi@kantor.example {PASSWORD}")[-1].startswith("NO [AUTHENTICATIONFAILED]")
    server.ctl("account", "resume", "dewi@kantor.example")
    c.close()
