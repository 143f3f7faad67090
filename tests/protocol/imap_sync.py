"""Two and more sessions in one mailbox: what each is told, when, and in which order (RFC 9051 5.2, 5.5, 7.4.1, 7.5.1; RFC 2177)."""
import pytest

from kantor import Literal, message


@pytest.fixture
def two(server, box):
    """(a, b): sessions in the same mailbox of five messages."""
    return box, server.imap(box.person, select="INBOX")


def names(reply):
    return [u.name for u in reply.untagged]


def test_arrivals_are_told_once_with_the_whole_count(two):
    a, b = two
    a.append("INBOX", message())
    a.append("INBOX", message())
    assert [u.number for u in b.ok("NOOP").all("EXISTS")] == [7] and b.ok("NOOP").untagged == []


@pytest.mark.parametrize("command", ["FETCH 1:* UID", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "FETCH 1 BODY[]", "STORE 1 +FLAGS.SILENT (\\Seen)", "SEARCH RETURN (COUNT) ALL", "UID SEARCH 1:3", "UID SEARCH NOT (OR 1 UID 2)"])
def test_no_command_that_counts_in_numbers_is_told_of_an_expunge(two, command):
    a, b = two
    a.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    for _ in range(2):
        assert b.ok(command).expunged == [] and b.exists == 5
    assert b.ok("NOOP").expunged == [2] and b.exists == 4


@pytest.mark.parametrize("command", ["NOOP", "CHECK", "UID FETCH 1 FLAGS", "UID STORE 1 +FLAGS (\\Seen)", "UID SEARCH UID 1", "COPY 1 Archive", "STATUS Archive (MESSAGES)", "LIST \"\" INBOX", "CREATE more", "EXPUNGE", "UID MOVE 5 Archive"])
def test_every_other_command_tells_of_expunges(two, command):
    a, b = two
    a.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    assert 2 in b.ok(command).expunged


def test_numbers_mean_the_old_messages_until_the_expunge_is_told(two):
    a, b = two
    a.ok("UID STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    assert b.ok("FETCH 3 UID").fetches[3]["UID"] == 3
    b.ok("STORE 4 +FLAGS.SILENT (\\Flagged)")
    assert a.ok("SEARCH FLAGGED").search == [2] and a.ok("UID SEARCH FLAGGED").search == [4]
    assert b.ok("SEARCH UID 5").search == [5]
    b.ok("NOOP")
    assert b.ok("FETCH 3 UID").fetches[3]["UID"] == 5


def test_arrivals_count_behind_messages_that_are_still_to_be_expunged(two):
    a, b = two
    a.ok("STORE 1:5 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    a.append("INBOX", message())
    assert [u.number for u in b.ok("FETCH 1 UID").all("EXISTS")] == [6]
    assert b.ok("FETCH 6 UID").fetches[6]["UID"] == 6
    assert b.ok("NOOP").expunged and b.exists == 1


def test_what_came_and_went_between_two_looks_is_never_mentioned(two):
    a, b = two
    uid = a.append("INBOX", message())
    a.ok("UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
    a.ok("UID EXPUNGE %d" % uid)
    r = b.ok("NOOP")
    assert r.expunged == [] and b.exists == 5 and b.ok("FETCH 1:* UID").fetches[5]["UID"] == 5 and not r.all("FETCH")


def test_what_was_announced_and_then_went_is_expunged(two):
    a, b = two
    uid = a.append("INBOX", message())
    assert b.ok("FETCH 1 UID").all("EXISTS")[0].number == 6
    a.ok("UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
    a.ok("EXPUNGE")
    assert b.ok("NOOP").expunged == [6] and b.exists == 5


def test_flag_changes_are_told_with_uid_and_only_to_others(two):
    a, b = two
    r = a.ok("STORE 2,4 +FLAGS (\\Flagged)")
    assert len(r.all("FETCH")) == 2 and a.ok("NOOP").untagged == []
    told = b.ok("NOOP").all("FETCH")
    assert [(u.number, u.value["UID"], u.value["FLAGS"]) for u in told] == [(2, 2, {"\\Flagged"}), (4, 4, {"\\Flagged"})] and "MODSEQ" not in told[0].value
    assert b.ok("NOOP").untagged == []


def test_unasked_flags_carry_modseq_once_condstore_is_known(two):
    a, b = two
    b.ok("STATUS INBOX (HIGHESTMODSEQ)")
    a.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
    assert {"UID", "FLAGS", "MODSEQ"} == set(b.ok("NOOP").all("FETCH")[0].value)


@pytest.mark.parametrize("command", ["STATUS INBOX (HIGHESTMODSEQ)", "FETCH 1 MODSEQ", "FETCH 1 FLAGS (CHANGEDSINCE 1)", "SEARCH MODSEQ 1", "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", "ENABLE CONDSTORE", "ENABLE QRESYNC"])
def test_the_first_condstore_command_is_answered_with_highestmodseq(box, command):
    r = box.ok(command)
    assert int(r.codes()["HIGHESTMODSEQ"][0]) > 0
    assert "HIGHESTMODSEQ" not in box.ok("FETCH 1 MODSEQ").codes()
    box.ok("STORE 1 +FLAGS.SILENT ($again)")
    assert "MODSEQ" in box.ok("STORE 1 +FLAGS ($more)").fetches[1]


def test_idle_tells_arrivals_expunges_and_flags(two):
    a, b = two
    b.idle()
    a.append("INBOX", message())
    u = b.untagged()
    assert (u.name, u.number) == ("EXISTS", 6)
    a.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
    while u.name != "FETCH":
        u = b.untagged()
    assert (u.number, u.value) == (1, {"UID": 1, "FLAGS": {"\\Answered"}})
    a.ok("UID STORE 3,5 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    while b.exists != 4:
        b.untagged()
    assert b.done().status == "OK" and b.uids() == a.uids()


def test_idle_tells_at_once_what_happened_before_it(two):
    a, b = two
    a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    b.idle()
    while b.exists != 4:
        b.untagged()
    assert b.done().status == "OK"


def test_idle_tells_of_new_keywords_first(two):
    a, b = two
    b.idle()
    a.ok("STORE 1 +FLAGS.SILENT (neverseen)")
    u = b.untagged()
    assert u.name == "FLAGS" and "neverseen" in u.value[0]
    assert "neverseen" in b.untagged().value["FLAGS"]
    b.done()


def test_idle_under_qresync_says_vanished_and_modseq(two):
    a, b = two
    b.ok("ENABLE QRESYNC")
    b.idle()
    a.ok("UID STORE 3,5 +FLAGS.SILENT (\\Deleted)")
    u = b.untagged()
    assert u.name == "FETCH" and set(u.value) == {"UID", "FLAGS", "MODSEQ"}
    a.ok("EXPUNGE")
    while u.name != "VANISHED":
        u = b.untagged()
    assert u.value == [3, 5] and u.text == ""
    b.done()


def test_idle_without_a_mailbox_waits_for_done(server, person):
    c = server.imap(person)
    c.idle()
    assert c.done().status == "OK"
    c.idle()
    c.send("NOOP\r\n")
    assert c.collect(c.idle_tag).status == "BAD"
    c.ok("NOOP")


def test_pipelined_commands_are_answered_in_order(box):
    tags = [box.start("FETCH %d UID" % (n % 5 + 1)) for n in range(50)]
    for n, tag in enumerate(tags):
        assert box.collect(tag).fetches[n % 5 + 1]["UID"] == n % 5 + 1


def test_a_mailbox_deleted_under_a_session_ends_it_with_bye(server, person):
    a = server.imap(person)
    a.ok("CREATE doomed")
    a.append("doomed", message())
    b = server.imap(person, select="doomed")
    idle = server.imap(person, select="doomed")
    idle.idle()
    a.ok("DELETE doomed")
    b.send("x FETCH 1 BODY.PEEK[]\r\n")
    seen = b.response()
    while not seen.startswith(b"* BYE"):
        assert seen.startswith(b"* ") and not b"BODY[]" in seen
        seen = b.response()
    seen = idle.response()
    while not seen.startswith(b"* BYE"):
        seen = idle.response()


def test_a_mailbox_renamed_under_a_session_stays_open(server, person):
    a = server.imap(person)
    a.ok("CREATE moving/sub")
    a.append("moving/sub", message())
    b = server.imap(person, select="moving/sub")
    a.ok("RENAME moving moved")
    assert b.ok("FETCH 1 UID").fetches[1]["UID"] == 1
    a.append("moved/sub", message())
    b.ok("NOOP")
    assert b.exists == 2


def test_rename_of_inbox_expunges_it_for_who_has_it_open(two):
    a, b = two
    a.ok("UNSELECT")
    a.ok("RENAME INBOX Old")
    assert len(b.ok("NOOP").expunged) == 5 and b.exists == 0


def test_deliveries_by_smtp_are_told_like_appends(server, box):
    server.smtp().deliver("a@stranger.example", box.person, message())
    r = box.ok("NOOP")
    assert box.exists == 6 and names(r)[0] == "EXISTS"


def test_while_an_expunge_waits_a_qresync_client_is_held_to_the_state_it_knows(two):
    a, b = two
    b.ok("ENABLE QRESYNC")
    known = int(b.select("INBOX").codes()["HIGHESTMODSEQ"][0])
    a.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    gone = int(a.ok("STATUS INBOX (HIGHESTMODSEQ)").one("STATUS").value[1]["HIGHESTMODSEQ"])
    a.ok("EXPUNGE")
    r = b.ok("STORE 4 +FLAGS.SILENT (\\Seen)")
    assert r.fetches[4]["MODSEQ"] > gone and known <= int(r.codes()["HIGHESTMODSEQ"][0]) <= gone and not r.all("VANISHED")
    assert b.ok("NOOP").one("VANISHED").value == [2]


def test_append_to_the_selected_mailbox_tells_exists_before_its_ok(box):
    r = box.ok("APPEND INBOX", Literal(message()))
    assert r.one("EXISTS").number == 6


def test_a_read_of_old_numbers_behind_many_expunges_and_arrivals_agrees(two):
    a, b = two
    for _ in range(10):
        a.ok("UID STORE %d +FLAGS.SILENT (\\Deleted)" % a.uids()[0])
        a.ok("EXPUNGE")
        a.append("INBOX", message())
        b.ok("FETCH 1:* UID")
    b.ok("NOOP")
    assert b.uids() == a.uids() and b.exists == 5
