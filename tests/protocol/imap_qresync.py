"""QRESYNC (RFC 7162 3.2): what a client that was away is told, exactly."""
import pytest

from kantor import message


@pytest.fixture
def away(server, box):
    """(c, state): a new session with QRESYNC enabled and nothing selected; what was known before: (validity, modseq)."""
    box.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
    codes = box.select("INBOX").codes()
    c = server.imap(box.person)
    c.ok("ENABLE QRESYNC")
    c.owner = box
    return c, codes["UIDVALIDITY"][0], int(codes["HIGHESTMODSEQ"][0])


def resync(c, *args, more=""):
    return c.select("INBOX", more=" (QRESYNC (%s%s))" % (" ".join(map(str, args)), more))


def vanished(reply):
    return [n for v in reply.all("VANISHED") for n in v.value]


def gone(box, uids):
    box.ok("UID STORE %s +FLAGS.SILENT (\\Deleted)" % uids)
    box.ok("UID EXPUNGE " + uids)


def test_nothing_changed_nothing_told(away):
    c, validity, modseq = away
    r = resync(c, validity, modseq)
    assert not r.all("VANISHED") and not r.all("FETCH") and int(r.codes()["HIGHESTMODSEQ"][0]) == modseq


def test_expunges_changes_and_arrivals_since_are_told(away):
    c, validity, modseq = away
    gone(c.owner, "2,4")
    c.owner.ok("UID STORE 3 +FLAGS.SILENT (\\Flagged)")
    uid = c.owner.append("INBOX", message())
    r = resync(c, validity, modseq)
    assert vanished(r) == [2, 4] and [v.text for v in r.all("VANISHED")] == ["EARLIER"]
    assert {u: set(i) for u, i in r.by_uid.items()} == {3: {"UID", "FLAGS", "MODSEQ"}, uid: {"UID", "FLAGS", "MODSEQ"}} and r.by_uid[3]["FLAGS"] == {"\\Flagged"}
    order = [u.name for u in r.untagged]
    assert order.index("EXISTS") < order.index("VANISHED") < order.index("FETCH")


def test_only_what_the_client_knows_is_told_as_vanished_or_changed(away):
    c, validity, modseq = away
    gone(c.owner, "2,4")
    c.owner.ok("UID STORE 3,5 +FLAGS.SILENT (\\Flagged)")
    r = resync(c, validity, modseq, "1:3")
    assert vanished(r) == [2] and list(r.by_uid) == [3]


def test_another_uidvalidity_tells_nothing_of_the_old_state(away):
    c, validity, modseq = away
    gone(c.owner, "2")
    r = resync(c, int(validity) + 1, modseq)
    assert not r.all("VANISHED") and not r.all("FETCH") and r.codes()["UIDVALIDITY"][0] == validity


def test_a_modseq_from_the_beginning_tells_every_change(away):
    c, validity, modseq = away
    gone(c.owner, "2")
    r = resync(c, validity, 1)
    assert vanished(r) == [2] and sorted(r.by_uid) == [1, 3, 4, 5]


@pytest.mark.parametrize("args", ["", "1", "x 1", "1 x", "1 1 x", "1 1 1:*", "1 1 *", "1 1 (1)", "1 1 (1 2) 3", "1 1 1:5 (1 x)", "1 1 1:5 (1:3 4)", "1 1 1:5 (1 2", "1 9223372036854775808", "4294967296 1", "1 1 1:5 (* *)"])
def test_malformed_parameters_are_bad_and_leave_the_selected_mailbox_alone(away, args):
    c, validity, modseq = away
    c.select("INBOX")
    c.bad("SELECT Archive (QRESYNC (%s))" % args)
    assert c.ok("FETCH 1 UID").fetches[1]["UID"] == 1


def test_qresync_without_enable_is_bad(box):
    box.bad("SELECT INBOX (QRESYNC (1 1))")
    box.bad("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)")


def test_matching_pairs_are_accepted_and_change_nothing_that_is_exact(away):
    c, validity, modseq = away
    gone(c.owner, "2,4")
    assert vanished(resync(c, validity, modseq, "1:5", "(1,3,5 1,3,5)")) == [2, 4]
    assert vanished(resync(c, validity, modseq, "1:5", "(1:5 1:5)")) == [2, 4]
    assert vanished(resync(c, validity, modseq, more=" (1,3 1,3)")) == [2, 4]


def test_a_huge_set_of_known_uids_costs_little(server, away):
    c, validity, modseq = away
    gone(c.owner, "2")
    cpu = server.cpu()
    assert vanished(resync(c, validity, modseq, "1:4294967295")) == [2]
    assert vanished(resync(c, validity, modseq, ",".join(str(n) for n in range(2, 12000, 2)))) == [2]
    assert server.cpu() - cpu < 2


def test_fetch_vanished_tells_what_is_gone_of_the_set_and_moves_no_number(away):
    c, validity, modseq = away
    other = c.owner
    c.select("INBOX")
    gone(other, "2,4")
    other.ok("UID STORE 5 +FLAGS.SILENT (\\Seen)")
    c.send("z UID FETCH 1:4 (UID FLAGS) (CHANGEDSINCE %d VANISHED)\r\n" % modseq)
    r = c.collect("z")
    earlier = [v for v in r.all("VANISHED") if v.text == "EARLIER"]
    plain = [v for v in r.all("VANISHED") if v.text != "EARLIER"]
    assert [v.value for v in earlier] == [[2, 4]] and [v.value for v in plain] == [[2, 4]]
    assert c.ok("FETCH 1:3 UID").fetches[3]["UID"] == 5


def test_fetch_vanished_needs_uid_and_changedsince(away):
    c, validity, modseq = away
    c.select("INBOX")
    c.bad("FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)")
    c.bad("UID FETCH 1:* FLAGS (VANISHED)")
    gone(c.owner, "3")
    r = c.ok("UID FETCH 100:* FLAGS (VANISHED CHANGEDSINCE 1)")
    assert all(v.text != "EARLIER" for v in r.all("VANISHED"))


def test_the_state_kept_from_each_session_is_enough_to_follow_for_ever(server, away):
    c, validity, modseq = away
    known = {1: {"\\Answered"}, 2: set(), 3: set(), 4: set(), 5: set()}
    changes = ["UID STORE 1 -FLAGS.SILENT (\\Answered)", "UID STORE 1:3 +FLAGS.SILENT (\\Seen)", "expunge 2", "append", "UID STORE 4:* FLAGS.SILENT ($x)", "expunge 1,6", "append", "UID MOVE 3 Archive", "UID COPY 4 INBOX"]
    for change in changes:
        if change.startswith("expunge"):
            gone(c.owner, change[8:])
        elif change == "append":
            c.owner.append("INBOX", message())
        else:
            c.owner.ok(change)
        r = resync(c, validity, modseq, "1:%d" % max(known))
        for uid in vanished(r):
            del known[uid]
        known.update({u: i["FLAGS"] for u, i in r.by_uid.items()})
        modseq = int(r.codes()["HIGHESTMODSEQ"][0])
        known.update({u: i["FLAGS"] for u, i in c.ok("UID FETCH %d:* FLAGS" % (max(known) + 1)).by_uid.items()})
        assert known == {u: i["FLAGS"] for u, i in c.ok("UID FETCH 1:* FLAGS").by_uid.items()}, change


def test_closed_is_told_when_another_mailbox_is_opened(box):
    box.ok("ENABLE QRESYNC")
    r = box.select("Archive")
    assert r.untagged[0].value == ("CLOSED", [])
    r = box.no("SELECT Nowhere")
    assert r.untagged[0].value == ("CLOSED", [])
    box.bad("FETCH 1 UID")
