"""FairEmail, Evolution, KDE, Mailspring, neomutt, mbsync, aerc, Samsung and the rest (clients.md I1, I2, I15 to I21, I35 to I48)."""
import re
import zlib

import pytest

from kantor import Literal, PASSWORD
from kantor.programs import everything
from kantor.replay import say
from kantor.shapes import plain


@pytest.fixture
def box(server, person):
    c = server.imap(person, select="INBOX")
    for i in range(5):
        c.append("INBOX", plain("m %d" % i))
    c.ok("NOOP")
    c.person = person
    return c


def modseq(server, person, mailbox="INBOX"):
    with server.imap(person) as c:
        return int(c.ok("STATUS %s (HIGHESTMODSEQ)" % mailbox).one("STATUS").value[1]["HIGHESTMODSEQ"])


def test_capabilities_come_with_the_greeting_and_with_the_login(server, person):
    """I2: many clients do not ask again."""
    c = server.imap()
    before = str(c.greeting.value)
    assert "CAPABILITY" in before and "STARTTLS" in before and "AUTH=PLAIN" in before
    (line,) = say(c, b'1 LOGIN "%s" "%s"\r\n' % (person.encode(), PASSWORD.encode()), "1 OK")
    for word in "IMAP4rev1 UIDPLUS MOVE IDLE NAMESPACE ID ENABLE CONDSTORE QRESYNC SPECIAL-USE LIST-EXTENDED LIST-STATUS ESEARCH COMPRESS=DEFLATE".split():
        assert re.search(r"[ \[]%s[ \]]" % re.escape(word), line), (word, line)


def test_fairemail_sends_id_and_looks_at_highestmodseq(server, box):
    """I16: HIGHESTMODSEQ moves with flags, APPEND, COPY, MOVE and EXPUNGE, and only then."""
    say(box, b'1 ID ("name" "FairEmail" "version" "1.2100" "os" "Android")\r\n', r"\* ID ", "1 OK")
    seen = [modseq(server, box.person)]

    def moved(mailbox="INBOX"):
        seen.append(modseq(server, box.person, mailbox))
        return seen[-1] > seen[-2]
    assert seen[0] == modseq(server, box.person)
    box.ok("STORE 1 +FLAGS (\\Flagged)")
    assert moved()
    box.ok("STORE 1 +FLAGS (\\Flagged)")
    assert not moved()
    box.append("INBOX", plain("new"))
    assert moved()
    box.ok("MOVE 2 Trash")
    assert moved()
    box.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert moved()
    box.ok("EXPUNGE")
    assert moved()
    first = modseq(server, box.person, "Archive")
    box.ok("COPY 1 Archive")
    assert modseq(server, box.person, "Archive") > first


def test_evolution_finds_exactly_what_vanished_while_it_was_away(server, box):
    """I17, I18."""
    c = server.imap(tls=True)
    say(c, b'A1 ID ("name" "Evolution")\r\n', r"\* ID ", "A1 OK")
    say(c, b'A2 LOGIN "%s" "%s"\r\n' % (box.person.encode(), PASSWORD.encode()), "A2 OK")
    say(c, b"A3 ENABLE UTF8=ACCEPT\r\n", r"\* ENABLED UTF8=ACCEPT", "A3 OK")
    say(c, b"A4 NAMESPACE\r\n", r"\* NAMESPACE", "A4 OK")
    say(c, b"A5 ENABLE CONDSTORE QRESYNC\r\n", r"\* ENABLED CONDSTORE QRESYNC", "A5 OK")
    c.utf8 = True
    lines = say(c, b'A6 LIST "" "*" RETURN (CHILDREN SUBSCRIBED STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY HIGHESTMODSEQ) SPECIAL-USE)\r\n', "A6 OK")
    assert len([l for l in lines if l.startswith("* STATUS ")]) == 6
    lines = say(c, b"A7 SELECT INBOX\r\n", "A7 OK")
    known = int(re.search(r"HIGHESTMODSEQ (\d+)", " ".join(lines)).group(1))
    box.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    box.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
    box.ok("EXPUNGE")
    box.ok("STORE 1 +FLAGS (\\Seen)")
    say(c, b"A8 NOOP\r\n", r"\* VANISHED 2,4$|\* VANISHED 2$", "A8 OK")
    lines = say(c, b"A9 UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE %d VANISHED)\r\n" % known, "A9 OK")
    assert lines[0] == "* VANISHED (EARLIER) 2,4" and [l for l in lines if "FETCH" in l] == [l for l in lines if "UID 1 " in l] and "\\Seen" in lines[1]


def test_kde_selects_with_qresync_and_expunges_at_each_sync(server, box):
    """I21: and mailspring's demands, I19: `* ENABLED` always, VANISHED a plain set."""
    validity = box.ok("STATUS INBOX (UIDVALIDITY)").one("STATUS").value[1]["UIDVALIDITY"]
    since = modseq(server, box.person)
    box.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    c = server.imap(box.person)
    say(c, b"1 ENABLE QRESYNC\r\n", r"\* ENABLED .*QRESYNC", "1 OK")
    say(c, b"2 ENABLE QRESYNC\r\n", r"\* ENABLED", "2 OK")
    say(c, b"3 SELECT INBOX (QRESYNC (%s %d 1:5))\r\n" % (str(validity).encode(), since), r"\* 5 EXISTS", r"\* 3 FETCH \(UID 3 FLAGS \(\\Deleted\) MODSEQ", "3 OK")
    say(c, b"4 EXPUNGE\r\n", r"\* VANISHED 3$", "4 OK")
    with server.imap(box.person) as d:
        say(d, b"1 ENABLE QRESYNC\r\n", "1 OK")
        say(d, b"2 SELECT INBOX (QRESYNC (%s %d 1:5))\r\n" % (str(validity).encode(), since), r"\* VANISHED \(EARLIER\) 3$", "2 OK")


def test_a_wrong_uidvalidity_in_qresync_is_only_a_full_select(server, box):
    c = server.imap(box.person)
    say(c, b"1 ENABLE QRESYNC\r\n", "1 OK")
    say(c, b"2 SELECT INBOX (QRESYNC (1 1 1:5))\r\n", r"!\* VANISHED", r"\* 5 EXISTS", r"!\* VANISHED", "2 OK")


def test_mailspring_finds_its_sent_message_at_once(server, person):
    """S20, I20."""
    c = server.imap(person)
    lines = say(c, b'1 LIST "" "*" RETURN (SPECIAL-USE)\r\n', "1 OK")
    assert {u for u in ("Sent", "Drafts", "Trash", "Junk", "Archive") if any("\\" + u in l for l in lines)} == {"Sent", "Drafts", "Trash", "Junk", "Archive"}
    c.select("Sent")
    with server.imap(person) as other:
        other.append("Sent", b"Message-ID: <ABC+def=1.x@mailspring.example>\r\nSubject: s\r\n\r\nx\r\n")
    c.cmd('UID SEARCH HEADER Message-ID "<ABC+def=1.x@mailspring.example>"')     # it looks several times; the first tells EXISTS at the latest
    assert c.exists == 1 and c.ok('UID SEARCH HEADER Message-ID "<ABC+def=1.x@mailspring.example>"').search == [1]
    assert c.ok('UID SEARCH HEADER Message-ID "<ABC+def=2.x@mailspring.example>"').search == []


def test_an_expunge_of_nothing_sends_nothing(box):
    """I35: a stray EXISTS empties the mailbox at the client."""
    assert say(box, b"1 EXPUNGE\r\n", "1 OK")[:-1] == []
    assert say(box, b"3 UID EXPUNGE 1:*\r\n", "3 OK")[:-1] == []


def test_the_delimiter_and_children_of_the_inbox(server, person):
    """I36, I37."""
    c = server.imap(person)
    assert say(c, b'1 LIST "" ""\r\n', "1 OK")[:-1] == ['* LIST (\\Noselect) "/" ""']
    say(c, b'2 LIST "" INBOX\r\n', r'\* LIST \(\\HasNoChildren\) "/" "INBOX"', "2 OK")
    say(c, b'3 CREATE "INBOX/Proyek"\r\n', "3 OK")
    say(c, b'4 LIST "" INBOX\r\n', r'\* LIST \(\\HasChildren\) "/" "INBOX"', "4 OK")
    say(c, b'5 LIST "" "%"\r\n', r'\* LIST \([^)]*\\HasChildren[^)]*\) "/" "INBOX"', "5 OK")


def test_items_come_uid_first_and_in_the_order_asked(box):
    """I38: some read by position."""
    say(box, b"1 UID FETCH 1 (RFC822.SIZE FLAGS INTERNALDATE)\r\n", r"\* 1 FETCH \(UID 1 RFC822\.SIZE \d+ FLAGS \(\) INTERNALDATE \"", "1 OK")
    say(box, b"2 FETCH 1 (FLAGS UID RFC822.SIZE)\r\n", r"\* 1 FETCH \((UID 1 FLAGS \(\)|FLAGS \(\) UID 1) RFC822\.SIZE", "2 OK")


@pytest.mark.parametrize("mail", [
    b"Content-Type: text\r\n\r\nx\r\n", b"Content-Type: \r\n\r\nx\r\n", b"Content-Type: text/plain; name=\"a\r\n b\"\r\n\r\nx\r\n", b"Content-Type: =?utf-8?q?x?=/y\r\n\r\nx\r\n",
    b"Content-Type: multipart/mixed\r\n\r\nx\r\n", b"Content-Disposition: attachment; filename=\"a\tb\\\"c\"\r\nContent-Type: a/b; x=\xff\xfe\r\n\r\nx\r\n",
    b"Subject: =?utf-8?q?a=0D=0Ab?=\r\nFrom: \"a\r\n\tb\" <x@y>\r\nContent-Description: a\r\n b\r\n\r\nx\r\n"])
def test_bodystructure_never_breaks_a_line_inside_a_string(server, person, mail):
    """I39: one such answer kills the whole fetch in MailCore; the library's strict parser reads it."""
    with server.imap(person, select="INBOX") as c:
        c.append("INBOX", mail)
        lines = say(c, b"1 FETCH 1 (BODYSTRUCTURE ENVELOPE BODY)\r\n", "1 OK")
        assert not any(re.search(r'BODYSTRUCTURE \((NIL|"") ', l) for l in lines)
        items = c.ok("FETCH 1 (BODYSTRUCTURE ENVELOPE)").fetches[1]
        assert items["BODYSTRUCTURE"] and items["ENVELOPE"]


def test_a_partial_flush_is_inflated_without_waiting(server, person):
    """I41: clients end a command with a partial flush, not with a whole block."""
    c = server.imap(person)
    say(c, b"1 COMPRESS DEFLATE\r\n", "1 OK")
    out, back = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    for i in range(5):
        c.socket.sendall(out.compress(b"x%d NOOP\r\n" % i) + out.flush(zlib.Z_PARTIAL_FLUSH))
        got = b""
        while b"x%d OK" % i not in got:
            data = c.socket.recv(4096)
            assert data
            got += back.decompress(data)


def test_mbsync_ranges_above_uidnext_and_passwords_in_literals(server, person):
    """I42."""
    c = server.imap()
    say(c, b"1 LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(person), person.encode(), len(PASSWORD), PASSWORD.encode()), "1 OK")
    say(c, b"2 SELECT INBOX\r\n", "2 OK")
    assert say(c, b"3 UID FETCH 1:1000000000 (UID FLAGS)\r\n", "3 OK")[:-1] == []
    with server.imap(person) as other:
        other.append("INBOX", plain())
    say(c, b"4 NOOP\r\n", "4 OK")
    assert len(say(c, b"5 UID FETCH 1:1000000000 (UID FLAGS)\r\n", "5 OK")[:-1]) == 1


def test_every_keyword_that_clients_use_is_kept_as_written(server, box):
    """I44."""
    words = "$Forwarded $MDNSent $Junk $NotJunk Junk NonJunk $label1 $label2 $label3 $label4 $label5 $Phishing $MailFlagBit0 $MailFlagBit1 $MailFlagBit2 $Important receipt-handled".split()
    with server.imap(box.person) as c:
        assert "\\*" in str(c.select("INBOX").codes()["PERMANENTFLAGS"])
    box.ok("STORE 1 +FLAGS.SILENT (%s)" % " ".join(words))
    assert set(words) <= set(box.ok("FETCH 1 (FLAGS)").fetches[1]["FLAGS"])
    many = ["Tag%03d" % i for i in range(120)]
    box.ok("STORE 2 +FLAGS.SILENT (%s)" % " ".join(many))
    assert {m.lower() for m in many} <= {f.lower() for f in box.ok("FETCH 2 (FLAGS)").fetches[2]["FLAGS"]}      # past 31 of an account's own, the case is not kept
    assert box.ok("SEARCH KEYWORD $label3").search == [1]


def test_the_names_on_the_wire_are_english(server, person):
    """I46: Samsung and old Android look for these names."""
    assert {"INBOX", "Sent", "Drafts", "Trash", "Junk", "Archive"} <= set(everything(server, person))


def test_aerc_never_sees_an_expunge_during_fetch_store_or_search(server, box):
    """I47."""
    with server.imap(box.person, select="INBOX") as other:
        other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
    for command in (b"FETCH 1:5 (FLAGS)", b"STORE 1 +FLAGS (\\Seen)", b"SEARCH ALL"):
        say(box, b"1 " + command + b"\r\n", r"!\* \d+ EXPUNGE", "1 (OK|NO)")
    say(box, b"2 NOOP\r\n", r"\* 2 EXPUNGE", "2 OK")
    lines = say(box, b'3 LIST "" "*" RETURN (STATUS (MESSAGES RECENT UNSEEN))\r\n', "3 OK")
    assert any('"INBOX" (MESSAGES 4' in l for l in lines), lines


def test_neomutt_pipelines_fifteen_commands_and_is_shown_no_alert(server, box):
    """I48."""
    lines = say(box, b"".join(b"a%04d UID FETCH %d (UID FLAGS)\r\n" % (i, i % 5 + 1) for i in range(15)), *["a%04d OK" % i for i in range(15)])
    assert not any("[ALERT]" in l for l in lines) and len([l for l in lines if "FETCH" in l]) == 15


def test_uidvalidity_survives_rename_restart_and_new_address(fresh):
    """I1: clients throw their caches away, or stop."""
    with fresh.imap("budi") as c:
        c.ok("CREATE Proyek")
        c.append("Proyek", plain())
        before = {m: c.ok("STATUS %s (UIDVALIDITY UIDNEXT)" % m).one("STATUS").value[1] for m in ("INBOX", "Proyek", "Sent")}
        c.ok("RENAME Proyek Lama")
        c.ok("RENAME Lama Proyek")
    fresh.restart()
    fresh.kill()
    fresh.start()
    with fresh.imap("budi") as c:
        assert {m: c.ok("STATUS %s (UIDVALIDITY UIDNEXT)" % m).one("STATUS").value[1] for m in ("INBOX", "Proyek", "Sent")} == before


def test_a_mailbox_made_again_has_a_new_uidvalidity(server, person):
    with server.imap(person) as c:
        seen = set()
        for _ in range(3):
            c.ok("CREATE Lagi")
            c.append("Lagi", plain())
            seen.add(str(c.ok("STATUS Lagi (UIDVALIDITY)").one("STATUS").value[1]["UIDVALIDITY"]))
            c.ok("DELETE Lagi")
        assert len(seen) == 3


def test_a_message_with_non_ascii_names_of_files_in_literals(server, person):
    """I39: a client that enabled UTF8 gets it as it is, another one in a form it can read."""
    with server.imap(person, select="INBOX") as c:
        c.ok("APPEND INBOX", Literal("Subject: é\r\nContent-Type: text/plain; name=\"laporan é.txt\"\r\n\r\nx\r\n".encode()))
        assert c.ok("FETCH 1 (BODYSTRUCTURE ENVELOPE)").fetches[1]["BODYSTRUCTURE"]
