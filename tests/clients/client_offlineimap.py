"""offlineimap3 in both directions, twice; with its own folder names, nested and outside ASCII."""
import os

import pytest

from kantor import PASSWORD
from kantor.programs import everything, maildir, quoted, uid_rows
from kantor.shapes import plain, shapes

LETTERS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T"}
NAMES = ["Proyek", "Proyek/2025", "R&AOk-sum&AOk-", "with blank"]


def configure(home, user, more=""):
    os.makedirs(home.path("mail"), exist_ok=True)
    home.write(".offlineimaprc", """
[general]
accounts = kantor
ui = basic
metadata = %s
fsync = false
[Account kantor]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %s
sep = .
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %d
remoteuser = %s
remotepass = %s
sslcacertfile = %s
%s
""" % (home.path("metadata"), home.path("mail"), home.server.port("imaps" if "ssl = yes" in more else "imap"), user, PASSWORD, home.certificate, more))


def sync(home):
    return home.run("offlineimap", "-o", "-c", home.path(".offlineimaprc"), seconds=180).ok()


def here(home, mailbox):
    """A Maildir without offlineimap's own field, which it puts into what it stored without APPENDUID."""
    return maildir(os.path.join(home.path("mail"), mailbox.replace("/", ".")))


def with_letters(stored):
    return sorted((s.content, "".join(sorted(LETTERS[f] for f in s.flags if f in LETTERS))) for s in stored)


def snapshot(home, user, names):
    files = sorted(os.path.join(d, f) for d, _, fs in os.walk(home.path("mail")) for f in fs if os.path.basename(d) in ("cur", "new"))
    return {m: uid_rows(home.server, user, m) for m in names}, files


@pytest.mark.parametrize("tls", ["ssl = no\nstarttls = no", "ssl = no\nstarttls = yes", "ssl = yes"])
def test_every_mailbox_comes_down_byte_for_byte_and_the_second_run_moves_nothing(home, person, tls):
    configure(home, person, tls)
    mails = [m for m in shapes() if m.endswith(b"\r\n")]
    with home.server.imap(person) as c:
        for i, m in enumerate(mails):
            c.append("INBOX", m, ("", "\\Seen", "\\Flagged \\Seen", "\\Answered", "\\Draft")[i % 5])
        for n in NAMES:
            c.ok("CREATE %s" % quoted(n))
            c.append(quoted(n), plain("in " + n), "\\Seen")
    sync(home)
    there = everything(home.server, person)
    for name, stored in there.items():
        assert here(home, name) == with_letters(stored), name
    assert len(there["INBOX"]) == len(mails)
    before = snapshot(home, person, there)
    sync(home)
    assert snapshot(home, person, there) == before


def test_mail_flags_and_deletes_travel_in_both_directions(home, person):
    configure(home, person, "ssl = yes")
    with home.server.imap(person, select="INBOX") as c:
        for i in range(6):
            c.append("INBOX", plain("number %d" % i))
        sync(home)
        c.ok("STORE 1 +FLAGS (\\Flagged)")
        c.ok("STORE 2 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        names = {}
        for part in ("cur", "new"):
            for f in os.listdir(home.path("mail/INBOX/" + part)):
                with open(home.path("mail/INBOX/%s/%s" % (part, f)), "rb") as h:
                    names[h.read().split(b"Subject: number ")[1][:1].decode()] = part + "/" + f
        inbox = home.path("mail/INBOX/")
        os.rename(inbox + names["3"], inbox + "cur/" + os.path.basename(names["3"]).split(":")[0] + ":2,RS")
        os.unlink(inbox + names["4"])
        new = [m for m in shapes() if m.endswith(b"\r\n")]
        for i, m in enumerate(new):
            home.write("mail/INBOX/new/%d.made.here" % (1700000000 + i), m.replace(b"\r\n", b"\n"))
        sync(home)
        sync(home)
    stored = everything(home.server, person)["INBOX"]
    assert here(home, "INBOX") == with_letters(stored)
    old = {s.content.split(b"Subject: number ")[1][:1].decode(): s.flags for s in stored if b"Subject: number " in s.content}
    assert old == {"0": {"\\Flagged"}, "2": set(), "3": {"\\Answered", "\\Seen"}, "5": set()}
    assert sorted(s.content for s in stored if b"Subject: number " not in s.content) == sorted(new)
    before = snapshot(home, person, ["INBOX"])
    sync(home)
    assert snapshot(home, person, ["INBOX"]) == before
