"""IMAP: what a client says wrong, what it may not say yet, and what one session shows of the world (RFC 9051, 7888, 2177)."""
import pytest

from kantor import Literal, message


DEEP = {"no-arguments": "NOOP x", "zero": "FETCH 0 FLAGS", "parentheses": "FETCH 1 (((((", "deep-not": "SEARCH " + "NOT " * 300 + "ALL", "flag": 'STORE 1 FLAGS (a"b)', "select": "SELECT",
        "double-uid": "UID UID FETCH 1 FLAGS", "open-range": "SEARCH 1:", "too-large": "FETCH 4294967296 UID", "no-item": "FETCH 1", "half-section": "FETCH 1 BODY[", "enable": "ENABLE", "list": 'LIST ""'}


@pytest.mark.parametrize("what", DEEP)
def test_a_malformed_command_is_bad_and_harms_nothing(box, what):
    box.bad(DEEP[what])
    box.ok("NOOP")
    assert box.uids() == [1, 2, 3, 4, 5]


def test_a_synchronising_literal_that_is_too_large_is_refused_before_it_comes(server, person):
    c = server.imap(person)
    c.send("a APPEND INBOX {999999999}\r\n")
    assert c.response().startswith(b"a NO [TOOBIG]")
    c.ok("NOOP")
    c = server.imap()
    c.send("a LOGIN {100000}\r\n")
    assert b"TOOBIG" in c.response()


def test_envelope_and_partial_bodies_are_what_the_message_holds(server, person):
    text = message("Hello", sender="sari@kantor.example", more="Cc: =?utf-8?q?S=C3=A4ri?= <s@x.example>\r\n", body=b"body of the message\r\n")
    c = server.imap(person, select="INBOX")
    c.append("INBOX", text)
    items = c.ok("FETCH 1 (RFC822.SIZE ENVELOPE BODY.PEEK[TEXT]<0.4> BODY.PEEK[HEADER.FIELDS (SUBJECT)])").fetches[1]
    assert items["RFC822.SIZE"] == len(text) and items["BODY[TEXT]<0>"] == b"body" and items["BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: Hello\r\n\r\n"
    assert items["ENVELOPE"][1] == b"Hello" and items["ENVELOPE"][6][0] == [b"=?utf-8?q?S=C3=A4ri?=", None, b"s", b"x.example"]
    assert c.ok("FETCH 1 BODY.PEEK[TEXT]<999.4>").fetches[1]["BODY[TEXT]<999>"] == b""


def test_fetch_marks_as_seen_unless_it_peeks(box):
    box.ok("FETCH 1 BODY.PEEK[]")
    assert "\\Seen" not in box.ok("FETCH 1 FLAGS").fetches[1]["FLAGS"]
    box.ok("FETCH 1 BODY[]")
    assert "\\Seen" in box.ok("FETCH 1 FLAGS").fetches[1]["FLAGS"]


def test_uids_that_are_gone_are_no_error(box):
    for command in ("UID MOVE 999 Trash", "UID FETCH 999 FLAGS", "UID COPY 999 Trash", "UID STORE 999 +FLAGS (\\Seen)", "UID EXPUNGE 999"):
        assert not box.ok(command).fetches, command
    assert box.exists == 5


def test_flags_and_keywords_are_found_by_search(box):
    box.ok("STORE 3 +FLAGS (\\Flagged $Forwarded mine)")
    for keys, want in (("FLAGGED", [3]), ("KEYWORD mine", [3]), ("UNKEYWORD mine UNFLAGGED", [1, 2, 4, 5]), ('SUBJECT "MAIL 3"', [4]), ("FROM BUDI", [1, 2, 3, 4, 5]), ("SMALLER 10", [])):
        assert box.ok("SEARCH CHARSET UTF-8 " + keys).search == want, keys
    assert box.ok("UID SEARCH RETURN (MIN MAX COUNT) ALL").one("ESEARCH").value["COUNT"] == "5"


def test_a_parent_shows_its_children_and_outlives_its_deletion_as_a_name(server, person):
    c = server.imap(person)
    c.ok("CREATE a/b/c")
    top = {u.value[2]: u.value[0] for u in c.ok('LIST "" %').all("LIST")}
    assert "\\HasChildren" in top["a"] and "\\HasNoChildren" in top["INBOX"]
    c.ok("DELETE a")
    assert c.no("DELETE a").code_name == "HASCHILDREN"
    root = c.ok('LIST "" ""').one("LIST")
    assert "\\Noselect" in root.value[0] and root.value[1:3] == [b"/", ""]


def test_a_shared_mailbox_is_listed_for_its_members_only(server):
    def names(who):
        return [u.value[2] for u in server.imap(who).ok('LIST "" *').all("LIST")]
    assert "Shared/info@kantor.example/INBOX" in names("sari") and not any("info@" in n for n in names("andi"))


def test_idle_tells_and_done_ends_it_with_the_next_command_in_the_same_packet(server, box):
    box.idle()
    server.lmtp().deliver("a@stranger.example", box.person, message())
    while box.exists != 6:
        box.untagged()
    tag = box.tag()
    box.send("DONE\r\n%s NOOP\r\n" % tag)
    assert box.collect(box.idle_tag).status == "OK" and box.collect(tag).status == "OK"


def test_three_commands_in_a_compressed_session_are_answered_one_by_one(server, person):
    c = server.imap(person)
    c.compress()
    for _ in range(3):
        c.ok("NOOP")
    assert c.no("COMPRESS DEFLATE").code_name == "COMPRESSIONACTIVE"


def test_an_append_larger_than_one_read_comes_back_whole(server, person):
    c = server.imap(person, select="INBOX")
    large = message("large", body=b"0123456789abcde\r\n" * 60000)
    assert c.body(c.append("INBOX", large, mode="plus")) == large


def test_logout_says_bye_and_closes(server, person):
    c = server.imap(person)
    r = c.ok("LOGOUT")
    assert [u.name for u in r.untagged] == ["BYE"]
    c.assert_closed()


def test_a_literal_that_is_not_synchronising_may_hold_a_name(server, person):
    c = server.imap(person)
    c.ok("CREATE", Literal("Laporan", "plus"))
    assert "Laporan" in [u.value[2] for u in c.ok('LIST "" *').all("LIST")]
