"""STORE, COPY, MOVE, EXPUNGE, CLOSE (RFC 9051 6.4.1 to 6.4.9, RFC 7162 3.1.3, RFC 6851, RFC 4315)."""
import pytest

from kantor import message, numbers


def flags_of(c, *which):
    found = c.ok("FETCH %s FLAGS" % (",".join(map(str, which)) if which else "1:*")).fetches
    return {n: items["FLAGS"] for n, items in found.items()}


def test_flags_are_replaced_added_and_removed(box):
    assert box.ok("STORE 1 FLAGS (\\Seen $Work)").fetches[1]["FLAGS"] == {"\\Seen", "$Work"}
    assert box.ok("STORE 1 +FLAGS \\Flagged $Other").fetches[1]["FLAGS"] == {"\\Seen", "$Work", "\\Flagged", "$Other"}
    assert box.ok("STORE 1 -FLAGS (\\Seen $Work $never)").fetches[1]["FLAGS"] == {"\\Flagged", "$Other"}
    assert box.ok("STORE 1 FLAGS ()").fetches[1]["FLAGS"] == set()
    assert box.ok("STORE 1 +FLAGS ()").fetches[1]["FLAGS"] == set()


def test_system_flags_have_no_case_and_keywords_are_told_as_first_written(box):
    assert box.ok("STORE 1 +FLAGS (\\sEEN \\ANSWERED MyWord)").fetches[1]["FLAGS"] == {"\\Seen", "\\Answered", "MyWord"}
    assert box.ok("STORE 2 +FLAGS (MYWORD)").fetches[2]["FLAGS"] == {"MyWord"}
    assert box.ok("SEARCH KEYWORD myword").search == [1, 2]
    assert box.ok("STORE 1 -FLAGS (mYwOrD)").fetches[1]["FLAGS"] == {"\\Seen", "\\Answered"}


@pytest.mark.parametrize("text", ["STORE 1 FLAGS", "STORE 1 FLAG (\\Seen)", "STORE 1 *FLAGS (\\Seen)", "STORE 1 FLAGS (\\Foo)", "STORE 1 FLAGS (a]b)", 'STORE 1 FLAGS ("a")', "STORE 1 FLAGS (\\Seen", "STORE 1 FLAGS (\\Seen) x",
                                  "STORE 0 FLAGS ()", "STORE 1 (UNCHANGEDSINCE) FLAGS ()", "STORE 1 (UNCHANGEDSINCE 1 x) FLAGS ()", "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()", "STORE 1 FLAGS (\\)", "STORE 1 FLAGS (a  b)"])
def test_a_malformed_store_is_bad_and_changes_nothing(box, text):
    box.bad(text)
    assert flags_of(box, 1) == {1: set()}


def test_recent_cannot_be_set_and_is_no_error(box):
    assert box.ok("STORE 1 +FLAGS (\\Recent \\Seen)").fetches[1]["FLAGS"] == {"\\Seen"}
    uid = box.append("INBOX", message(), "\\Recent \\Flagged")
    assert box.ok("UID FETCH %d FLAGS" % uid).by_uid[uid]["FLAGS"] == {"\\Flagged"}


def test_new_keywords_are_announced_before_a_message_has_them(box):
    r = box.ok("STORE 1 +FLAGS (brandnew)")
    names = [u.name for u in r.untagged]
    assert names.index("FLAGS") < names.index("FETCH") and "brandnew" in r.one("FLAGS").value[0]
    assert "brandnew" in box.select("INBOX").one("FLAGS").value[0]


def test_keywords_have_limits(box):
    assert box.no("STORE 1 +FLAGS (%s)" % ("k" * 65)).code_name == "LIMIT"
    r = box.cmd("STORE 1 +FLAGS (%s)" % " ".join("key%d" % n for n in range(200)))
    assert r.status == "NO" and r.code_name == "LIMIT" and flags_of(box, 1) == {1: set()}
    for start in range(0, 100, 25):
        box.ok("STORE 1 +FLAGS.SILENT (%s)" % " ".join("key%d" % n for n in range(start, start + 25)))
    assert len(flags_of(box, 1)[1]) == 100


def test_examine_refuses_every_change(server, box):
    box.ok("STORE 1 +FLAGS (\\Deleted)")
    c = server.imap(box.person)
    r = c.select("INBOX", examine=True)
    assert r.code_name == "READ-ONLY" and r.codes()["PERMANENTFLAGS"] == [[]]
    for command in ("STORE 1 +FLAGS (\\Seen)", "UID STORE 1 FLAGS ()", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 Archive", "UID MOVE 1 Archive"):
        c.no(command)
    c.ok("COPY 1 Archive")
    c.ok("CLOSE")
    assert box.ok("NOOP").expunged == [] and flags_of(box, 1) == {1: {"\\Deleted"}}


def test_a_silent_store_still_tells_what_somebody_else_had_changed(server, box):
    other = server.imap(box.person, select="INBOX")
    other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    seen = [u.value["FLAGS"] for u in box.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)").all("FETCH") + box.ok("NOOP").all("FETCH")]
    assert {"\\Flagged", "\\Seen"} in seen


def test_a_silent_store_says_the_new_modseq_to_whoever_knows_condstore(box):
    box.ok("ENABLE CONDSTORE")
    r = box.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)")
    assert [sorted(u.value) for u in r.all("FETCH")] == [["MODSEQ", "UID"]] * 2


def test_a_conditional_store_answers_with_modseq_and_names_what_failed(server, box):
    last = box.ok("FETCH 5 MODSEQ").fetches[5]["MODSEQ"]
    server.imap(box.person, select="INBOX").ok("STORE 2,4 +FLAGS (\\Answered)")
    r = box.ok("STORE 1:5 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Seen)" % last)
    assert numbers(r.codes()["MODIFIED"][0]) == [2, 4]
    assert all("MODSEQ" in items for n, items in r.fetches.items() if n in (1, 3, 5)) and {1, 3, 5} <= set(r.fetches)
    assert {n for n, f in flags_of(box).items() if "\\Seen" in f} == {1, 3, 5}
    r = box.ok("UID STORE 1:5 (UNCHANGEDSINCE 0) FLAGS (\\Draft)")
    assert numbers(r.codes()["MODIFIED"][0]) == [1, 2, 3, 4, 5] and not any("\\Draft" in f for f in flags_of(box).values())


def test_a_message_named_twice_does_not_fail_against_itself(box):
    last = box.ok("FETCH 5 MODSEQ").fetches[5]["MODSEQ"]
    assert "MODIFIED" not in box.ok("STORE 3,1:5 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)" % last).codes()


def test_modseq_grows_with_every_change_and_stays_without_one(box):
    box.ok("ENABLE CONDSTORE")
    before = box.ok("FETCH 1 MODSEQ").fetches[1]["MODSEQ"]
    box.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    after = box.ok("FETCH 1 MODSEQ").fetches[1]["MODSEQ"]
    box.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    assert after > before and box.ok("FETCH 1 MODSEQ").fetches[1]["MODSEQ"] == after


def test_store_on_messages_that_are_gone_does_the_others(server, box):
    other = server.imap(box.person, select="INBOX")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    r = box.ok("STORE 1:3 +FLAGS (\\Flagged)")
    assert sorted(r.fetches) == [1, 3] and r.expunged == []
    assert box.ok("NOOP").expunged == [2]


# --- COPY and MOVE

def test_copy_within_the_mailbox_makes_new_messages(box):
    box.ok("STORE 2 +FLAGS.SILENT (\\Seen $Work)")
    name, (validity, source, target) = box.ok("COPY 2:3 INBOX").code
    assert (name, numbers(source), numbers(target)) == ("COPYUID", [2, 3], [6, 7])
    box.ok("NOOP")
    assert box.exists == 7 and flags_of(box, 6) == {6: {"\\Seen", "$Work"}}
    a = box.ok("FETCH 2,6 (INTERNALDATE BODY.PEEK[])").fetches
    assert a[2] == a[6]


def test_move_within_the_mailbox_loses_nothing(box):
    box.ok("MOVE 2:3 INBOX")
    box.ok("NOOP")
    assert box.exists == 5 and len(set(box.uids())) == 5


def test_copyuid_pairs_ascending_uids_whatever_the_order_asked(box):
    name, (validity, source, target) = box.ok("UID COPY 5,1:2,4 Archive").code
    assert numbers(source) == [1, 2, 4, 5] and numbers(target) == [1, 2, 3, 4]
    there = box.ok("STATUS Archive (UIDVALIDITY UIDNEXT)").one("STATUS").value[1]
    assert (there["UIDVALIDITY"], there["UIDNEXT"]) == (validity, "5")


@pytest.mark.parametrize("command", ["UID COPY 100:200 Archive", "UID MOVE 100:200 Archive", "COPY 77 Archive"])
def test_copying_nothing_is_no_error(box, command):
    assert box.ok(command).code is None


def test_copy_to_a_missing_mailbox_answers_trycreate_even_when_nothing_is_copied(box):
    for command in ("COPY 1 Nowhere", "UID COPY 99 Nowhere", "MOVE 1 Nowhere", "UID MOVE 1 Nowhere"):
        assert box.no(command).code_name == "TRYCREATE"


def test_copying_to_what_is_no_mailbox_name_is_no(box):
    for command in ('COPY 1 ""', 'COPY 1 "a//b"', "COPY 1 &bad"):
        assert box.cmd(command).status in ("NO", "BAD")


def test_move_under_qresync_says_vanished_and_the_new_highestmodseq(box):
    box.ok("ENABLE QRESYNC")
    r = box.ok("UID MOVE 2:3 Archive")
    assert r.one("VANISHED").value == [2, 3] and r.one("VANISHED").text == "" and r.expunged == []
    assert "COPYUID" in r.codes() and int(r.codes()["HIGHESTMODSEQ"][0]) > 0


# --- EXPUNGE, CLOSE

def test_expunge_names_each_message_by_its_number_at_that_moment(box):
    box.ok("STORE 1,3:4 +FLAGS.SILENT (\\Deleted)")
    left = [1, 2, 3, 4, 5]
    for number in box.ok("EXPUNGE").expunged:
        left.pop(number - 1)
    assert left == [2, 5] == box.uids()


def test_expunge_of_nothing_says_nothing(box):
    assert box.ok("EXPUNGE").untagged == [] and box.ok("UID EXPUNGE 1:*").untagged == []


def test_expunge_under_qresync_says_vanished_and_the_new_highestmodseq(box):
    box.ok("ENABLE QRESYNC")
    box.ok("STORE 1,3:4 +FLAGS.SILENT (\\Deleted)")
    r = box.ok("EXPUNGE")
    assert r.one("VANISHED").value == [1, 3, 4] and r.code_name == "HIGHESTMODSEQ"
    assert int(r.code[1][0]) == int(box.ok("STATUS INBOX (HIGHESTMODSEQ)").one("STATUS").value[1]["HIGHESTMODSEQ"])


def test_close_expunges_silently_and_unselect_does_not(server, box):
    box.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    box.ok("UNSELECT")
    assert box.ok("STATUS INBOX (MESSAGES DELETED)").one("STATUS").value[1] == {"MESSAGES": "5", "DELETED": "1"}
    box.select("INBOX")
    r = box.ok("CLOSE")
    assert r.untagged == [] and r.code is None
    assert box.ok("STATUS INBOX (MESSAGES)").one("STATUS").value[1] == {"MESSAGES": "4"}
    box.bad("FETCH 1 UID")
    box.bad("CLOSE")


def test_close_under_qresync_tells_no_highestmodseq(box):
    box.ok("ENABLE QRESYNC")
    box.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert box.ok("CLOSE").code is None


def test_two_sessions_that_delete_the_same_message_end_alike(server, box):
    other = server.imap(box.person, select="INBOX")
    for c in (box, other):
        c.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    box.ok("EXPUNGE")
    assert sorted(other.ok("EXPUNGE").expunged) in ([1, 1], [1, 2]) and other.exists == box.exists == 3 and box.uids() == other.uids() == [3, 4, 5]


# --- rights (RFC 4314 4)

@pytest.fixture
def shared(server, person, another):
    """A session of `another` that has `person`'s mailbox with two messages selected; share(rights) grants anew."""
    owner = server.imap(person, select="INBOX")
    owner.append("INBOX", message("one"), "\\Seen \\Flagged")
    owner.append("INBOX", message("two"))
    c = server.imap(another)
    c.name = '"Other Users/%s/INBOX"' % person
    c.owner = owner

    def share(rights):
        server.ctl("grant", "set", person + "/INBOX", another, rights)
        return c
    return share


def test_without_the_right_to_look_a_mailbox_is_not_there(shared):
    c = shared("r")
    assert c.no("SELECT " + c.name).code_name == c.no('SELECT "Other Users/nobody@kantor.example/INBOX"').code_name == "NONEXISTENT"
    assert c.no("STATUS %s (MESSAGES)" % c.name).code_name == "NONEXISTENT"


def test_permanentflags_are_what_the_rights_allow(shared):
    for rights, want in (("lr", set()), ("lrs", {"\\Seen"}), ("lrt", {"\\Deleted"}), ("lrw", {"\\Answered", "\\Flagged", "\\Draft", "\\*"}), ("lrswt", {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\*"})):
        c = shared(rights)
        r = c.select(c.name)
        got = set(r.codes()["PERMANENTFLAGS"][0])
        assert {f for f in got if f.startswith("\\")} == want, rights
        assert r.code_name == ("READ-ONLY" if rights == "lr" else "READ-WRITE")


def test_store_does_what_the_rights_allow_and_refuses_only_when_that_is_nothing(shared):
    c = shared("lrs")
    c.select(c.name)
    assert c.ok("STORE 2 +FLAGS (\\Seen \\Deleted)").fetches[2]["FLAGS"] == {"\\Seen"}
    assert c.no("STORE 2 +FLAGS (\\Deleted $x)").code_name == "NOPERM"
    assert c.ok("STORE 1 FLAGS ()").fetches[1]["FLAGS"] == {"\\Flagged"}


def test_copies_keep_only_the_flags_that_the_target_lets_one_set(shared):
    c = shared("li")
    c.select("INBOX")
    c.append("INBOX", message(), "\\Seen \\Flagged \\Deleted $Work")
    c.ok("NOOP")
    c.ok("COPY 1 " + c.name)
    c.owner.ok("NOOP")
    assert flags_of(c.owner, 3) == {3: set()}


def test_without_the_right_to_expunge_close_keeps_everything(shared):
    c = shared("lrstw")
    c.select(c.name)
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    assert c.no("EXPUNGE").code_name == "NOPERM" and c.no("UID EXPUNGE 1").code_name == "NOPERM" and c.no("MOVE 1 INBOX").code_name == "NOPERM"
    c.ok("CLOSE")
    assert c.owner.ok("NOOP").expunged == [] and c.owner.exists == 2


@pytest.mark.parametrize("rights", ["l", "-"])
def test_a_right_taken_back_ends_the_session_that_reads(server, shared, rights):
    c = shared("lrswit")
    c.select(c.name)
    shared(rights)
    c.send("z FETCH 1 BODY.PEEK[]\r\n")
    answer = c.response()
    assert answer.startswith((b"* BYE", b"z NO")), answer


def test_a_right_taken_back_ends_idle(server, shared):
    c = shared("lrswit")
    c.select(c.name)
    c.idle()
    shared("-")
    assert c.response().startswith(b"* BYE")
