"""Every command on another person's mailbox with every set of rights (RFC 4314 4, 5.1.1, 5.2; attacks.md IM-16): what one may not see is never revealed.

Four people try: a stranger, one with grants on the mailbox, a member of a group with grants on the account, and somebody of another domain with the same.
"""
import pytest

from kantor import Literal, PASSWORD, message
from kantor.rights import DENIED, DONE, FEW, LETTERS, NAMED, SELECTED, SETS, UNKNOWN, outcome, settable


class Stage:
    """An owner with the mailboxes Team (four messages), Old and Leave, and an actor in a session of his own with messages to copy."""

    def __init__(self, server, owner, actor):
        self.server, self.owner, self.actor, self.before = server, owner, actor, None
        self.his = server.imap(owner)
        for box in ("Team", "Old", "Leave"):
            self.his.ok("CREATE " + box)
        for n in range(4):
            self.his.append("Team", message("mail %d" % n), "\\Deleted" if n == 3 else "")
        self.c = server.imap(actor)
        for n in range(6):
            self.c.append("INBOX", message(), "\\Seen \\Flagged \\Deleted $Word")

    def grant(self, grantee, rights, box=""):
        self.server.ctl("grant", "set", self.owner + (box and "/" + box), grantee, rights or "-")

    def path(self, box):
        return '"Other Users/%s/%s"' % (self.owner, box)

    def state(self):
        """Changes with every change of the owner's mailboxes."""
        reply = self.his.ok('LIST "" * RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT HIGHESTMODSEQ))')
        return [(u.name, repr(u.value)) for u in reply.untagged if u.name in ("LIST", "STATUS")]

    def flags(self):
        """uid → flags of Team, as its owner sees them."""
        self.his.select("Team", examine=True)
        return {uid: items["FLAGS"] for uid, items in self.his.ok("UID FETCH 1:* FLAGS").by_uid.items()} if self.his.exists else {}

    def expect(self, command, want, of_missing=None):
        """Runs the command; want is an outcome; of_missing is the same command about a mailbox that is not there."""
        before = None if want == DONE else self.before or self.state()
        reply = self.run(command)
        if want == UNKNOWN:
            missing = self.run(of_missing)
            told = [u for u in reply.untagged if u.name not in ("OK", "EXISTS", "FETCH")]
            assert (reply.status, reply.code, reply.text) == (missing.status, missing.code, missing.text) and "NO" == reply.status, (command, reply, missing)
            assert reply.code_name in ("NONEXISTENT", "TRYCREATE") and not told, (command, reply)
        elif want == DENIED:
            assert reply.status == "NO" and reply.code_name == "NOPERM", (command, reply)
        else:
            assert reply.status == "OK", (command, reply)
        self.before = before
        if before is not None:
            assert self.state() == before, command
        return reply

    def run(self, command):
        return self.c.cmd(*command) if isinstance(command, tuple) else self.c.cmd(command)


def commands_by_name(stage, rights):
    box, missing = stage.path("Team"), stage.path("Missing")
    for text, needed in NAMED:
        if stage.c.exists is None or text.split()[0] in ("COPY", "MOVE", "UID"):
            stage.c.select("INBOX")
        if needed is None:
            listed = stage.c.ok(text.format(box=box))
            assert len(listed.all("LIST")) == ("l" in rights) and len(listed.all("STATUS")) == ({"l", "r"} <= set(rights)), (rights, listed)
            continue
        reply = stage.expect(text.format(box=box), outcome(needed, rights), text.format(box=missing))
        if text.startswith("SELECT") and reply.status == "OK":
            assert reply.code_name == ("READ-WRITE" if set(rights) & set("switelp") - set("lp") else "READ-ONLY"), (rights, reply)
            permanent = set(reply.codes()["PERMANENTFLAGS"][0])
            assert permanent >= settable(["\\Seen", "\\Deleted", "\\Flagged", "\\Draft", "\\Answered"], rights) and ("\\*" in permanent) == ("w" in rights), (rights, permanent)
            assert not permanent - {"\\*"} - settable(permanent, rights), (rights, permanent)
            stage.c.select("INBOX")
    check_flags_that_came_along(stage, rights)
    want = outcome("i", rights)
    stage.expect(("APPEND %s (\\Seen \\Flagged \\Deleted)" % box, Literal(message("appended"), "plus")), want, ("APPEND %s (\\Seen)" % missing, Literal(message(), "plus")))
    if want == DONE:
        flags = stage.flags()
        assert flags[max(flags)] == settable({"\\Seen", "\\Flagged", "\\Deleted"}, rights), (rights, flags)


def check_flags_that_came_along(stage, rights):
    """RFC 4314 4, COPY: flags for which the right is missing stay behind."""
    if outcome("i", rights) == DONE:
        came = list(stage.flags().values())[4:]
        assert len(came) == 5 and all(f == settable({"\\Seen", "\\Flagged", "\\Deleted", "$Word"}, rights) for f in came), (rights, came)


def commands_inside(stage, rights):
    box = stage.path("Team")
    assert {"l", "r"} <= set(rights)
    for text, needed in SELECTED:
        stage.c.select(box)
        reply = stage.expect(text, outcome(needed, rights))
        if text == "UID FETCH 1 BODY[]":
            assert reply.by_uid[1]["BODY[]"] and ("\\Seen" in stage.flags()[1]) == ("s" in rights), rights
        if text.startswith("STORE 1 +FLAGS (\\Seen \\Fl") and reply.status == "OK":
            assert stage.flags()[1] & {"\\Seen", "\\Flagged", "\\Deleted"} == settable({"\\Seen", "\\Flagged", "\\Deleted"}, rights), rights
    stage.his.select("Team")
    if stage.his.exists:
        stage.his.ok("STORE 1 +FLAGS (\\Deleted)")
        left = stage.his.exists
        stage.c.select(box)
        stage.c.ok("CLOSE")
        stage.his.ok("NOOP")
        assert (stage.his.exists < left) == ("e" in rights), rights


def commands_on_the_tree(stage, rights, whole_account):
    """CREATE, RENAME, DELETE. With grants on the mailbox alone nobody may make anything at the account's top level."""
    team = stage.path("Team")
    reply = stage.expect("CREATE " + stage.path("Team/child"), outcome("k", rights), "CREATE " + stage.path("Missing/child"))
    if reply.status == "OK":
        assert ("l" in rights) and stage.c.cmd("SELECT " + stage.path("Team/child")).status == ("OK" if "r" in rights else "NO")
        stage.his.ok("DELETE Team/child")
        stage.c.select("INBOX")
    old = stage.path("Old") if whole_account else team
    stage.expect("RENAME %s %s" % (old, stage.path("New")), outcome("xk", rights) if whole_account else DENIED if outcome("x", rights) == DENIED else UNKNOWN,
                 "RENAME %s %s" % (stage.path("Missing"), stage.path("New")))
    leave = stage.path("Leave") if whole_account else team
    stage.expect("DELETE " + leave, outcome("x", rights), "DELETE " + stage.path("Missing"))


@pytest.mark.parametrize("rights", SETS, ids=lambda r: r or "none")
def test_a_sharee_may_do_exactly_what_his_rights_on_the_mailbox_say(server, person, another, rights):
    stage = Stage(server, person, another)
    stage.grant(another, rights, "Team")
    commands_by_name(stage, rights)
    if {"l", "r"} <= set(rights):
        commands_inside(stage, rights)
    commands_on_the_tree(stage, rights, whole_account=False)


@pytest.mark.parametrize("rights", FEW, ids=lambda r: r or "none")
def test_a_member_of_a_group_may_do_exactly_what_its_rights_say(server, person, another, rights):
    stage = Stage(server, person, another)
    group = "g-" + another
    server.ctl("group", "add", group)
    server.ctl("group", "join", group, another)
    stage.grant(group, rights)
    commands_by_name(stage, rights)
    if {"l", "r"} <= set(rights):
        commands_inside(stage, rights)
    commands_on_the_tree(stage, rights, whole_account=True)


@pytest.mark.parametrize("rights", FEW, ids=lambda r: r or "none")
def test_a_sharee_of_another_domain_may_do_exactly_what_his_rights_say(server, person, rights):
    stage = Stage(server, person, server.people.take("cabang.example"))
    stage.grant(stage.actor, rights)
    commands_by_name(stage, rights)
    if {"l", "r"} <= set(rights):
        commands_inside(stage, rights)
    commands_on_the_tree(stage, rights, whole_account=True)


def test_a_stranger_learns_nothing_whatever_others_may(server, person, another):
    stage = Stage(server, person, another)
    stage.grant("budi@kantor.example", LETTERS)
    commands_by_name(stage, "")
    commands_on_the_tree(stage, "", whole_account=True)


@pytest.mark.parametrize("command", ["CREATE {0}", "SELECT {0}", "STATUS {0} (MESSAGES)", "SUBSCRIBE {0}", "DELETE {0}", "RENAME {0} Mine", "RENAME Archive {0}", "COPY 1 {0}"])
def test_accounts_and_mailboxes_that_are_hidden_answer_like_those_that_are_not_there(server, person, another, command):
    """A hidden mailbox, one that is missing, an account that is missing, a domain that is missing: one answer."""
    stage = Stage(server, person, another)
    names = [stage.path("Team"), stage.path("Missing"), '"Other Users/nobody@kantor.example/Team"', '"Other Users/nobody@no.example/Team"', '"Shared/info@kantor.example/INBOX"', '"Shared/none@kantor.example/INBOX"']
    told = set()
    for n in names:
        stage.c.select("INBOX")
        r = stage.c.cmd(command.format(n))
        told.add((r.status, r.code_name, r.text, len(r.untagged)))
    assert len(told) == 1 and told.pop()[0] == "NO", told


def test_renaming_onto_a_hidden_mailbox_does_not_tell_that_it_is_there(server, person, another):
    stage = Stage(server, person, another)
    stage.grant(another, "lrkx", "Team")
    stage.expect("RENAME %s %s" % (stage.path("Team"), stage.path("Old")), UNKNOWN, "RENAME %s %s" % (stage.path("Team"), stage.path("Missing")))


def test_rights_that_are_taken_away_end_the_session_in_the_mailbox(server, person, another):
    stage = Stage(server, person, another)
    stage.grant(another, LETTERS, "Team")
    stage.c.select(stage.path("Team"))
    stage.grant(another, "l", "Team")
    stage.c.send("x FETCH 1 BODY[]\r\n")
    assert stage.c.response().startswith(b"* BYE")
    stage.c.assert_closed()


@pytest.mark.parametrize("rights", list(LETTERS) + [LETTERS], ids=str)
def test_no_right_on_mailboxes_lets_anybody_send_in_the_owners_name(server, person, another, rights):
    server.ctl("grant", "set", person, another, rights)
    c = server.submission(another)
    assert c.cmd("MAIL FROM:<%s>" % person).code == 550
    c.envelope(another, another)
    assert c.data(message(sender=person)).code == 550


def test_the_right_to_send_as_the_owner_is_enough_and_is_for_the_whole_account(server, person, another):
    server.imap(person).ok("CREATE Team")
    server.ctl("grant", "set", person + "/Team", another, "lrS")
    c = server.submission(another)
    c.cmd("MAIL FROM:<%s>" % person, 550)
    server.ctl("grant", "set", person, another, "S")
    c.deliver(person, another, message(sender=person))
    assert server.imap(another).cmd('SELECT "Other Users/%s/INBOX"' % person).status == "NO"


def test_nobody_opens_the_maildrop_of_another_whatever_he_may_read(server, person, another):
    server.ctl("grant", "set", person, another, LETTERS)
    server.imap(person).append("INBOX", message())
    assert server.pop3(another).sizes() == {}
    c = server.pop3()
    token = b"%s\0%s\0%s" % (person.encode(), another.encode(), PASSWORD.encode())
    assert not c.auth("PLAIN", lambda got: token)[0]
