"""IMAP: two views of one mailbox, and what the extensions promise (RFC 9051, 3501, 4315, 6851, 7162, 5182, 4731, 3516, 6154)."""
from datetime import datetime

import pytest

from kantor import Literal, MIXED, message, numbers


def instant(date):
    return datetime.strptime(date.strip(), "%d-%b-%Y %H:%M:%S %z")


def test_every_promised_capability_is_announced(server, person):
    have = server.imap(person).capabilities()
    for name in ("IMAP4REV1 IMAP4REV2 LITERAL+ IDLE NAMESPACE ID ENABLE UNSELECT UIDPLUS MOVE SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES CONDSTORE QRESYNC "
                 "CHILDREN UTF8=ACCEPT SASL-IR COMPRESS=DEFLATE BINARY").split():
        assert name in have, name


def test_an_appended_message_comes_back_byte_for_byte(server, person):
    c = server.imap(person, select="INBOX")
    for mode in ("sync", "plus"):
        uid = c.append("INBOX", MIXED, mode=mode)
        assert c.body(uid) == MIXED


@pytest.mark.parametrize("date", ["07-Feb-1994 21:52:25 -0800", " 7-Feb-2024 00:00:00 +1400", "29-Feb-2024 23:59:59 -1200"])
def test_append_keeps_flags_and_the_instant(server, person, date):
    """RFC 9051 2.3.3, 6.3.12: the date and time are kept; the zone in which they are shown is the server's affair (Dovecot shows its own, too)."""
    c = server.imap(person, select="INBOX")
    uid = c.append("INBOX", message(), "\\Seen $Work", date)
    items = c.ok("UID FETCH %d (FLAGS INTERNALDATE)" % uid).by_uid[uid]
    assert {"\\Seen", "$Work"} <= items["FLAGS"] and instant(items["INTERNALDATE"]) == instant(date)


def test_append_and_copy_to_a_missing_mailbox_answer_trycreate(box):
    assert box.no("COPY 1 Missing").code_name == "TRYCREATE"
    assert box.no("APPEND Missing", Literal(message(), "plus")).code_name == "TRYCREATE"
    box.ok("NOOP")


def test_copyuid_names_both_sides(box):
    r = box.ok("UID COPY 2,4 Archive")
    name, (validity, source, target) = r.code
    assert name == "COPYUID" and numbers(source) == [2, 4] and numbers(target) == [1, 2]


def test_move_tells_copyuid_before_expunge_and_leaves_nothing(box):
    r = box.ok("MOVE 2:3 Archive")
    kinds = [u.value[0] if u.name == "OK" and u.value else u.name for u in r.untagged]
    assert kinds.index("COPYUID") < kinds.index("EXPUNGE") and box.exists == 3
    assert box.ok("STATUS Archive (MESSAGES)").one("STATUS").value[1]["MESSAGES"] == "2"


def test_uid_expunge_takes_only_the_named_messages(box):
    box.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    box.ok("UID EXPUNGE 2")
    assert box.uids() == [1, 3, 4, 5]


def test_a_silent_store_says_nothing_and_a_plain_one_says_the_flags(box):
    assert box.ok("STORE 1 +FLAGS.SILENT (\\Seen)").fetches == {}
    assert box.ok("STORE 1 +FLAGS (\\Flagged)").fetches[1]["FLAGS"] >= {"\\Seen", "\\Flagged"}
    assert "\\Seen" not in box.ok("STORE 1 -FLAGS (\\Seen)").fetches[1]["FLAGS"]


def test_no_expunge_is_told_inside_a_sequence_number_command(server, box):
    other = server.imap(box.person, select="INBOX")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    for command in ("FETCH 1 (UID)", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL"):
        assert box.cmd(command).expunged == [], command
    assert box.ok("FETCH 1 (UID)").fetches[1]["UID"] == 1
    assert box.ok("NOOP").expunged == [2]


def test_a_flag_change_reaches_the_other_session(server, box):
    other = server.imap(box.person, select="INBOX")
    box.ok("STORE 3 +FLAGS (\\Answered)")
    assert "\\Answered" in other.ok("NOOP").fetches[3]["FLAGS"]


def test_idle_tells_of_new_mail_without_being_asked(server, box):
    box.idle()
    server.smtp().deliver("a@stranger.example", box.person, message())
    while box.exists != 6:
        box.untagged()
    assert box.done().status == "OK"


def test_done_and_the_next_command_may_come_in_one_packet(box):
    box.idle()
    tag = box.tag()
    box.send("DONE\r\n%s NOOP\r\n" % tag)
    assert box.collect(box.idle_tag).status == "OK" and box.collect(tag).status == "OK"


@pytest.mark.parametrize("key,want", [("ALL", [1, 2, 3, 4, 5]), ('SUBJECT "mail 3"', [4]), ("UNSEEN", [1, 2, 3, 4, 5]), ("SINCE 3-Feb-2024", [3, 4, 5]), ("BEFORE 2-Feb-2024", [1]), ("ON 2-Feb-2024", [2]),
                                      ("NOT 1:2", [3, 4, 5]), ("OR 1 UID 5", [1, 5]), ("*:*", [5]), ('BODY "kabar"', [1, 2, 3, 4, 5]), ("LARGER 100000", []), ('HEADER Subject "mail 1"', [2]),
                                      ("(1:3 (2:4))", [2, 3]), ("KEYWORD nothing", []), ("SENTON 24-Nov-2025", [1, 2, 3, 4, 5]), ("FROM budi", [1, 2, 3, 4, 5]), ("DELETED", []), ("4000:5000", [])])
def test_search_finds_what_the_key_says(box, key, want):
    r = box.ok("SEARCH " + key)
    assert (r.search if r.all("SEARCH") else []) == want


def test_esearch_returns_what_was_asked(box):
    v = box.ok("SEARCH RETURN (MIN MAX COUNT ALL) 2:4").one("ESEARCH")
    assert (v.value["MIN"], v.value["MAX"], v.value["COUNT"], v.value["ALL"]) == ("2", "4", "3", "2:4") and v.text == "t%d" % box.count


def test_a_saved_search_result_is_used_by_fetch(box):
    box.ok("SEARCH RETURN (SAVE) 2,4")
    assert sorted(box.ok("FETCH $ (UID)").fetches) == [2, 4]


def test_binary_undoes_the_transfer_encoding(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", MIXED)
    items = c.ok("FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2] BODY.PEEK[1] BODY.PEEK[3.HEADER] BODY.PEEK[2.MIME] BODY.PEEK[]<0.5> BODY.PEEK[]<999999.5>)").fetches[1]
    assert items["BINARY[2]"] == bytes(range(8)) and items["BINARY.SIZE[2]"] == 8
    assert items["BODY[1]"] == b"Selamat =C3=A9" and b"Subject: inner" in items["BODY[3.HEADER]"]
    assert items["BODY[2.MIME]"].startswith(b"Content-Type: application/octet-stream") and items["BODY[]<0>"] == b"From:" and items["BODY[]<999999>"] == b""


def test_condstore_refuses_a_store_on_what_has_changed(server, box):
    box.ok("ENABLE CONDSTORE")
    before = max(items["MODSEQ"] for items in box.ok("FETCH 1,2 (MODSEQ)").fetches.values())
    server.imap(box.person, select="INBOX").ok("STORE 1 +FLAGS (\\Seen)")
    r = box.cmd("STORE 1,2 (UNCHANGEDSINCE %d) +FLAGS (\\Flagged)" % before)
    assert r.codes()["MODIFIED"] == ["1"]
    now = box.ok("FETCH 1,2 (FLAGS)").fetches
    assert "\\Flagged" not in now[1]["FLAGS"] and "\\Flagged" in now[2]["FLAGS"]


def test_modseq_is_not_sent_before_condstore_is_enabled(box):
    assert "MODSEQ" not in box.ok("STORE 1 +FLAGS (\\Seen)").fetches[1]


def test_qresync_tells_what_vanished_and_what_changed(server, box):
    codes = server.imap(box.person).select("INBOX", more=" (CONDSTORE)").codes()
    validity, modseq = codes["UIDVALIDITY"][0], codes["HIGHESTMODSEQ"][0]
    box.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    box.ok("EXPUNGE")
    box.ok("UID STORE 4 +FLAGS (\\Flagged)")
    c = server.imap(box.person)
    c.ok("ENABLE QRESYNC")
    r = c.select("INBOX", more=" (QRESYNC (%s %s))" % (validity, modseq))
    assert [v.value for v in r.all("VANISHED")] == [[2]] and r.all("VANISHED")[0].text == "EARLIER"
    assert list(r.by_uid) == [4]


def test_mailboxes_are_made_renamed_with_their_children_and_deleted(server, person):
    c = server.imap(person)
    c.ok("CREATE Proyek/2026/Q1")
    c.ok("RENAME Proyek Arsip")
    names = [u.value[2] for u in c.ok('LIST "" *').all("LIST")]
    assert "Arsip/2026/Q1" in names and not any(n.startswith("Proyek") for n in names)
    c.no("CREATE Arsip/2026/Q1")
    c.no("RENAME Arsip Arsip/2026/x")
    c.ok("DELETE Arsip/2026/Q1")


def test_renaming_inbox_moves_its_messages_and_keeps_inbox(box):
    box.ok("UNSELECT")
    box.ok("RENAME INBOX Old")
    assert box.ok("STATUS Old (MESSAGES)").one("STATUS").value[1]["MESSAGES"] == "5"
    assert box.ok("STATUS INBOX (MESSAGES)").one("STATUS").value[1]["MESSAGES"] == "0"


def test_default_mailboxes_carry_their_special_use(server, person):
    r = server.imap(person).ok('LIST "" * RETURN (SPECIAL-USE SUBSCRIBED STATUS (MESSAGES UNSEEN SIZE))')
    uses = {u.value[2]: set(u.value[0]) for u in r.all("LIST")}
    for name, use in (("Drafts", "\\Drafts"), ("Sent", "\\Sent"), ("Trash", "\\Trash"), ("Junk", "\\Junk"), ("Archive", "\\Archive")):
        assert use in uses[name] and "\\Subscribed" in uses[name]
    assert {"MESSAGES", "UNSEEN", "SIZE"} <= set(r.all("STATUS")[0].value[1])


def test_names_are_modified_utf7_until_utf8_is_enabled(server, person):
    c = server.imap(person)
    c.ok("CREATE Entw&APw-rfe")
    assert "Entw&APw-rfe" in [u.value[2] for u in c.ok('LIST "" *').all("LIST")]
    c.ok("ENABLE UTF8=ACCEPT")
    c.utf8 = True
    assert "Entwürfe" in [u.value[2] for u in c.ok('LIST "" *').all("LIST")]
    c.ok('SELECT "Entwürfe"')


@pytest.mark.parametrize("name", ['""', "&", "&Jjo!", "INBOX/inbox", "a//b", '"' + "x" * 300 + '"'])
def test_a_name_that_cannot_be_is_refused(server, person, name):
    assert server.imap(person).cmd("CREATE " + name).status in ("NO", "BAD")


@pytest.mark.parametrize("line", ["NOOP x", "LOGIN a", "FETCH 1 UID", "DONE", "UID UID FETCH 1 UID", 'LOGIN "a\\x" "b"', "SEARCH", "XYZZY"])
def test_malformed_commands_before_login_are_bad_and_the_session_goes_on(server, line):
    c = server.imap()
    c.bad(line)
    c.ok("NOOP")


def test_a_literal_where_none_belongs_is_taken_and_the_command_is_bad(server):
    """RFC 9051 4.3: whoever sends `{1}` waits for `+` or an answer; both are right, but the octets of the literal never become a command."""
    c = server.imap()
    c.bad("CAPABILITY", Literal("x LOGOUT\r\n"))
    c.ok("NOOP")


@pytest.mark.parametrize("literal", ["{4294967295}", "{18446744073709551616}", "{-1}", "{5 +}", "{00000000001}"])
def test_an_impossible_literal_is_refused_before_it_is_sent(server, literal):
    c = server.imap()
    c.send("a LOGIN %s\r\n" % literal)
    assert not c.response().startswith(b"+ ") or literal.startswith("{0")


def test_a_refused_literal_plus_is_swallowed_not_run(server, person):
    c = server.imap(person)
    r = c.no("APPEND Missing", Literal(b"x DELETE Archive\r\nx NOOP\r\n" + b" " * 20, "plus"))
    assert r.code_name == "TRYCREATE"
    assert any(u.value[2] == "Archive" for u in c.ok('LIST "" *').all("LIST"))


@pytest.mark.parametrize("text", ["(" * 5000, "SEARCH " + "NOT " * 5000 + "ALL", "SEARCH " + "OR " * 5000 + "ALL", 'LIST "" ' + "*%" * 500])
def test_deep_or_wide_commands_cost_little_and_hurt_nobody(server, person, text):
    c = server.imap(person, select="INBOX")
    cpu = server.cpu()
    c.cmd(text)
    assert server.cpu() - cpu < 2
    server.imap(person).ok("NOOP")


@pytest.mark.parametrize("numbers_", ["0", "4294967296", "1:", ":1", "1,,2", "a"])
def test_a_malformed_set_is_bad(box, numbers_):
    box.bad("UID FETCH %s (FLAGS)" % numbers_)


def test_a_header_cannot_write_the_servers_answer(server, person):
    evil = b'From: "a\\") \r\n x" <a@x.example>\r\nSubject: )\x80 {5} a OK [ALERT] x "q\\\r\nTo: =?utf-8?q?=0D=0Aa_OK?= <b@x.example>\r\nContent-Type: text/plain; name="\\"){3}\r\n x"\r\n\r\nx\r\n'
    c = server.imap(person, select="INBOX")
    uid = c.append("INBOX", evil)
    items = c.ok("UID FETCH %d (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)])" % uid).by_uid[uid]
    assert len(items["ENVELOPE"]) == 10 and c.body(uid) == evil


def test_compressed_and_encrypted_sessions_carry_the_same(server, person):
    c = server.imap(person, tls=True)
    c.compress()
    c.select("INBOX")
    uid = c.append("INBOX", MIXED * 50)
    assert c.body(uid) == MIXED * 50


def test_starttls_then_login(server, person):
    c = server.imap()
    c.starttls()
    c.login(person, "demo-password")
    assert "STARTTLS" not in c.capabilities()
