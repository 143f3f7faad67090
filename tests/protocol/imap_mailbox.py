"""CREATE, DELETE, RENAME, SUBSCRIBE, STATUS (RFC 9051 6.3.4 to 6.3.8, 6.3.11; attacks.md IM-12, IM-28)."""
import pytest

from kantor import message


def names(c, pattern="*"):
    return [u.value[2] for u in c.ok('LIST "" "%s"' % pattern).all("LIST")]


def attributes(c, name):
    (u,) = c.ok('LIST "" "%s"' % name).all("LIST")
    return set(u.value[0])


def status(c, name, *items):
    return c.ok('STATUS "%s" (%s)' % (name, " ".join(items))).one("STATUS").value[1]


def test_create_makes_missing_parents_and_drops_a_trailing_delimiter(server, person):
    c = server.imap(person)
    c.ok("CREATE a/b/c/")
    assert names(c, "a*") == ["a", "a/b", "a/b/c"]
    assert c.no("CREATE a/b").code_name == "ALREADYEXISTS" and c.no("CREATE a/b/c/").code_name == "ALREADYEXISTS"
    c.ok("SELECT a/b")


def test_inbox_has_one_name_in_any_case_and_others_keep_theirs(server, person):
    c = server.imap(person)
    for name in ("INBOX", "inbox", "InBoX"):
        assert c.no("CREATE " + name).code_name == "ALREADYEXISTS"
        c.ok("SELECT " + name)
    c.ok("CREATE inbox/Child")
    assert names(c, "INBOX*") == ["INBOX", "INBOX/Child"]
    c.ok("CREATE case")
    c.ok("CREATE Case")
    c.ok('CREATE "other/inbox"')
    assert {"case", "Case", "other/inbox"} <= set(names(c))


@pytest.mark.parametrize("name", ['""', '"/"', '"//"', '"a//b"', '"/a"', "&", "&AGE-", "&Jjo!", "&2AA-", "INBOX/INBOX", "inbox/inbox", '"%s"' % ("x" * 256), '"%s"' % "/".join("d" * 51), '"a\x01b"', '"a\tb"', '"a\x7fb"',
                                  '"Shared"', '"Shared/x"', '"Other Users"', '"Other Users/nobody@kantor.example/x"', "a*b", "a%b", "&AAA-"])
def test_a_name_that_cannot_be_is_refused_and_nothing_is_made(server, person, name):
    c = server.imap(person)
    before = names(c)
    assert c.cmd("CREATE " + name).status in ("NO", "BAD")
    assert names(c) == before


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "~", "-", "a b", " lead", "trail ", "a.b", "#news", "100%", "a*b", "a\\\\b", "a\\\"b", "()", "{5}", "x" * 255, "/".join("d" * 50)])
def test_a_name_that_is_only_odd_works_everywhere(server, person, name):
    c = server.imap(person)
    c.ok('CREATE "%s"' % name)
    c.append('"%s"' % name, message())
    c.ok('SUBSCRIBE "%s"' % name)
    assert status(c, name, "MESSAGES") == {"MESSAGES": "1"}
    c.ok('SELECT "%s"' % name)
    c.ok('COPY 1 "%s"' % name)
    c.ok("UNSELECT")
    c.ok('RENAME "%s" plain' % name)
    c.ok('DELETE plain')


def test_a_normalised_name_is_told_to_who_speaks_rev2(server, person):
    c = server.imap(person)
    c.ok("ENABLE IMAP4rev2")
    c.utf8 = True
    u = c.ok('CREATE "cafe\u0301"').one("LIST")
    assert u.value[2] == "café" and u.value[3][0] == b"OLDNAME" and bytes(u.value[3][1][0]).decode() == "cafe\u0301"
    assert not c.ok('CREATE "plain"').all("LIST")
    u = c.ok('RENAME plain "the\u0301"').one("LIST")
    assert u.value[2] == "thé" and bytes(u.value[3][1][0]) == b"plain"


# --- DELETE

def test_delete_takes_the_messages_and_a_new_mailbox_of_the_name_is_another(server, person):
    c = server.imap(person)
    c.ok("CREATE again")
    uid = c.append("again", message())
    old = status(c, "again", "UIDVALIDITY", "UIDNEXT")
    c.ok("DELETE again")
    assert c.no("SELECT again").code_name == "NONEXISTENT" and c.no("DELETE again").code_name == "NONEXISTENT" and "again" not in names(c)
    c.ok("CREATE again")
    new = status(c, "again", "UIDVALIDITY", "UIDNEXT", "MESSAGES")
    assert new["MESSAGES"] == "0" and (new["UIDVALIDITY"] > old["UIDVALIDITY"] or int(new["UIDNEXT"]) > uid)


def test_deleting_a_parent_leaves_a_name_that_holds_no_messages_and_keeps_the_children(server, person):
    c = server.imap(person)
    c.ok("CREATE p/q/r")
    c.append("p/q", message())
    c.append("p/q/r", message())
    old = status(c, "p/q", "UIDVALIDITY", "UIDNEXT")
    c.ok("DELETE p/q")
    assert "\\Noselect" in attributes(c, "p/q") and names(c, "p*") == ["p", "p/q", "p/q/r"] and status(c, "p/q/r", "MESSAGES") == {"MESSAGES": "1"}
    for command in ("SELECT p/q", "EXAMINE p/q", "STATUS p/q (MESSAGES)", "DELETE p/q"):
        c.no(command)
    assert c.no("APPEND p/q {5}").code_name == "TRYCREATE"
    c.ok("CREATE p/q")
    new = status(c, "p/q", "UIDVALIDITY", "UIDNEXT", "MESSAGES")
    assert "\\Noselect" not in attributes(c, "p/q") and new["MESSAGES"] == "0" and (new["UIDVALIDITY"], int(new["UIDNEXT"])) >= (old["UIDVALIDITY"], int(old["UIDNEXT"]))


def test_a_name_without_messages_goes_with_its_last_child_and_can_be_renamed(server, person):
    c = server.imap(person)
    c.ok("CREATE p/q/r")
    c.ok("DELETE p")
    c.ok("RENAME p s")
    assert "\\Noselect" in attributes(c, "s") and names(c, "s*") == ["s", "s/q", "s/q/r"]
    c.ok("DELETE s/q")
    c.ok("DELETE s/q/r")
    assert names(c, "s*") == []


def test_a_session_in_a_parent_that_is_deleted_ends(server, person):
    a = server.imap(person)
    a.ok("CREATE p/q")
    a.append("p", message())
    b = server.imap(person, select="p")
    a.ok("DELETE p")
    b.send("x NOOP\r\n")
    seen = b.response()
    while not seen.startswith(b"* BYE"):
        assert seen.startswith(b"* ")
        seen = b.response()


def test_inbox_cannot_be_deleted_and_its_children_can(server, person):
    c = server.imap(person)
    c.ok("CREATE INBOX/x")
    assert c.cmd("DELETE inbox").status == "NO"
    c.ok("DELETE INBOX/x")
    assert status(c, "INBOX", "MESSAGES") == {"MESSAGES": "0"}


# --- RENAME

def test_rename_moves_a_whole_tree_with_messages_uids_and_subscriptions(server, person):
    c = server.imap(person)
    c.ok("CREATE t/u/v")
    uid = c.append("t/u", message())
    c.ok("SUBSCRIBE t/u/v")
    before = status(c, "t/u", "UIDVALIDITY", "UIDNEXT", "MESSAGES")
    c.ok("RENAME t new/place/t2")
    assert "new/place/t2/u/v" in names(c) and not [n for n in names(c) if n == "t" or n.startswith("t/")]
    assert status(c, "new/place/t2/u", "UIDVALIDITY", "UIDNEXT", "MESSAGES") == before
    assert "new/place/t2/u/v" in [u.value[2] for u in c.ok('LSUB "" *').all("LSUB")]
    c.select("new/place/t2/u")
    assert c.uids() == [uid]


def test_rename_refuses_what_cannot_be(server, person):
    c = server.imap(person)
    c.ok("CREATE a/b")
    c.ok("CREATE c")
    assert c.no("RENAME nothing x").code_name == "NONEXISTENT" and c.no("RENAME a c").code_name == "ALREADYEXISTS" and c.no("RENAME a a").code_name == "ALREADYEXISTS"
    assert c.no("RENAME a a/b/c").code_name == "CANNOT" and c.no("RENAME a a/x").code_name == "CANNOT"
    assert c.no("RENAME a INBOX").code_name == "ALREADYEXISTS"
    assert c.cmd("RENAME a \"Other Users/sari@kantor.example/a\"").status == "NO" and c.cmd("RENAME a Shared/a").status == "NO" and c.cmd("RENAME INBOX INBOX").status == "NO"
    assert [n for n in names(c) if n[0] in "ac"] == ["a", "a/b", "c"]


def test_rename_to_a_depth_where_children_would_be_out_of_reach_is_refused(server, person):
    c = server.imap(person)
    c.ok("CREATE " + "/".join("d" * 45))
    c.ok("CREATE " + "/".join("e" * 10))
    assert c.cmd("RENAME e %s/e" % "/".join("d" * 45)).status == "NO"
    c.ok("RENAME e/e/e/e/e/e %s/f" % "/".join("d" * 45))
    assert len([n for n in names(c) if n.startswith("e")]) == 5 and len([n for n in names(c) if n.startswith("d")]) == 50


def test_rename_of_inbox_moves_messages_and_keeps_children_and_flags(box):
    box.ok("STORE 2 +FLAGS.SILENT (\\Flagged $Work)")
    box.ok("UNSELECT")
    box.ok("CREATE INBOX/stay")
    box.ok("RENAME inbox old/mail")
    assert status(box, "INBOX", "MESSAGES") == {"MESSAGES": "0"} and "INBOX/stay" in names(box)
    box.select("old/mail")
    assert box.exists == 5 and box.ok("FETCH 2 FLAGS").fetches[2]["FLAGS"] == {"\\Flagged", "$Work"}
    assert box.no("RENAME INBOX old/mail").code_name == "ALREADYEXISTS"


def test_two_names_can_be_swapped(server, person):
    c = server.imap(person)
    c.ok("CREATE one")
    c.ok("CREATE two")
    uid = c.append("one", message())
    c.ok("RENAME one tmp")
    c.ok("RENAME two one")
    c.ok("RENAME tmp two")
    assert status(c, "two", "MESSAGES") == {"MESSAGES": "1"} and status(c, "one", "MESSAGES") == {"MESSAGES": "0"} and uid == 1


def test_special_use_follows_a_rename(server, person):
    c = server.imap(person)
    c.ok("RENAME Sent Gesendet")
    assert "\\Sent" in attributes(c, "Gesendet")


# --- STATUS, SUBSCRIBE

def test_status_gives_every_item(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", message(), "\\Seen")
    r = status(c, "INBOX", "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ", "APPENDLIMIT")
    assert r["MESSAGES"] == "1" and r["UNSEEN"] == "0" and r["UIDNEXT"] == "2" and int(r["APPENDLIMIT"]) > 1000000 and int(r["HIGHESTMODSEQ"]) > 0


@pytest.mark.parametrize("text", ["STATUS INBOX", "STATUS INBOX ()", "STATUS INBOX (FOO)", "STATUS INBOX MESSAGES", "STATUS INBOX (MESSAGES", "STATUS (MESSAGES)", "CREATE", "DELETE", "RENAME a", "SUBSCRIBE", "CREATE a b", "CREATE a (USE \\Sent)", "CREATE a (FOO)", "DELETE a b"])
def test_a_malformed_command_is_bad(server, person, text):
    server.imap(person).bad(text)


def test_subscribing_needs_a_mailbox_and_unsubscribing_does_not(server, person):
    c = server.imap(person)
    assert c.no("SUBSCRIBE nowhere").code_name == "NONEXISTENT"
    c.ok("UNSUBSCRIBE nowhere")


def test_highestmodseq_moves_with_every_kind_of_change(server, box):
    seen = [int(status(box, "INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"])]
    box.ok("CREATE other")
    for command in ("STORE 1 +FLAGS.SILENT (\\Deleted)", "EXPUNGE", "COPY 1 INBOX", "MOVE 1 other"):
        box.ok(command)
        seen.append(int(status(box, "INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"]))
    box.append("INBOX", message())
    seen.append(int(status(box, "INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"]))
    assert seen == sorted(set(seen))
