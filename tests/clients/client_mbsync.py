"""isync: mbsync in both directions over IMAP, twice (the second time nothing moves), compared byte by byte."""
import os
import re

import pytest

from kantor import Literal, PASSWORD, message
from kantor.programs import everything, maildir, quoted, uid_rows
from kantor.shapes import plain, shapes

LETTERS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T"}
NAMES = ["Proyek", "Proyek/2025", "Proyek/2025/Nov &- Des", "R&AOk-sum&AOk-", "&ZeVnLIqe-", "with blank", 'with "quotes"']


def configure(home, user, more="", tls="None", auth=None):
    service = "imaps" if tls == "IMAPS" else "imap"
    home.write(".mbsyncrc", """
FSync no

IMAPAccount kantor
Host localhost
Port %d
User %s
Pass "%s"
SSLType %s
CertificateFile %s
AuthMechs %s

IMAPStore far
Account kantor

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
%s
""" % (home.server.port(service), user, PASSWORD, tls, home.certificate, auth or ("PLAIN" if tls != "None" else "LOGIN"), home.path("mail"), home.path("mail"), more))
    os.makedirs(home.path("mail"), exist_ok=True)


def sync(home):
    return home.run("mbsync", "-a", "-V", seconds=180).ok()


def unmarked(data):
    """mbsync marks every copy that it makes, here and there, with a field X-TUID of its own, which must be the only difference."""
    return re.sub(rb"(?m)^X-TUID: [\w+/-]{12}\r\n", b"", data, count=1)


def here(home, mailbox):
    return sorted((unmarked(data), letters) for data, letters in maildir(os.path.join(home.path("mail"), mailbox)))


def with_letters(stored):
    return sorted((unmarked(s.content), "".join(sorted(LETTERS[f] for f in s.flags if f in LETTERS))) for s in stored)


def snapshot(home, user):
    """All that could move: UIDs and flags of every mailbox there, file names here."""
    with home.server.imap(user) as c:
        names = [u.value[2] for u in c.ok('LIST "" *').all("LIST") if "\\Noselect" not in u.value[0]]
    files = sorted(os.path.join(d, f) for d, _, fs in os.walk(home.path("mail")) for f in fs if not f.startswith(".") and os.path.basename(d) in ("cur", "new"))
    return {m: uid_rows(home.server, user, m) for m in names}, files


def fill(server, user):
    with server.imap(user, select="INBOX") as c:
        for i, m in enumerate(shapes()):
            c.append("INBOX", m, ("", "\\Seen", "\\Flagged \\Seen", "\\Answered", "\\Draft")[i % 5], "%2d-Feb-2024 10:00:00 +0700" % (i % 28 + 1))
        for n in NAMES:
            c.ok("CREATE %s" % quoted(n))
            for i in range(3):
                c.append(quoted(n), plain("in %s %d" % (n, i)), "\\Seen" if i else "")


@pytest.mark.parametrize("tls", ["None", "STARTTLS", "IMAPS"])
def test_every_mailbox_comes_down_byte_for_byte_and_the_second_run_moves_nothing(home, person, tls):
    configure(home, person, tls=tls)
    fill(home.server, person)
    sync(home)
    there = everything(home.server, person)
    for name, stored in there.items():
        assert here(home, name) == with_letters(stored), name
    assert len(there["INBOX"]) == len(shapes())
    before = snapshot(home, person)
    sync(home)
    assert snapshot(home, person) == before


def test_mail_and_mailboxes_made_here_go_up_byte_for_byte(home, person):
    configure(home, person)
    sync(home)
    mails = shapes()
    for box in ("INBOX", "Baru", "Baru/Dalam", "&ANw-bersicht"):
        for part in ("cur", "new", "tmp"):
            os.makedirs(home.path("mail/%s/%s" % (box, part)), exist_ok=True)
        for i, m in enumerate(mails):
            home.write("mail/%s/cur/%d.made.here:2,%s" % (box, 1700000000 + i, ("", "S", "FS", "R", "D")[i % 5]), m.replace(b"\r\n", b"\n"))
    sync(home)
    there = everything(home.server, person)
    for box in ("INBOX", "Baru", "Baru/Dalam", "&ANw-bersicht"):
        assert with_letters(there[box]) == here(home, box), box
        assert [m for m, _ in with_letters(there[box])] == sorted(mails)
    before = snapshot(home, person)
    sync(home)
    assert snapshot(home, person) == before


def test_flags_and_deletes_travel_in_both_directions(home, person):
    configure(home, person)
    with home.server.imap(person, select="INBOX") as c:
        for i in range(10):
            c.append("INBOX", plain("flags %d" % i))
        sync(home)
        c.ok("STORE 1 +FLAGS (\\Flagged)")
        c.ok("STORE 2 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        cur = home.path("mail/INBOX/")
        names = {}
        for part in ("cur", "new"):
            for f in os.listdir(cur + part):
                with open(cur + part + "/" + f, "rb") as h:
                    text = h.read()
                names[[line for line in text.split(b"\n") if line.startswith(b"Subject:")][0].decode().split()[-1]] = part + "/" + f
        os.rename(cur + names["5"], cur + "cur/" + os.path.basename(names["5"]).split(":")[0] + ":2,RS")
        os.rename(cur + names["6"], cur + "cur/" + os.path.basename(names["6"]).split(":")[0] + ":2,T")
        os.unlink(cur + names["7"])
        sync(home)
        sync(home)
        stored = everything(home.server, person)["INBOX"]
        by_subject = {s.content.split(b"Subject: flags ")[1].split(b"\r\n")[0].decode(): s for s in stored}
        assert sorted(by_subject) == ["0", "2", "3", "4", "5", "8", "9"]
        assert by_subject["5"].flags == {"\\Answered", "\\Seen"} and by_subject["0"].flags == {"\\Flagged"}
        assert here(home, "INBOX") == with_letters(stored)
    before = snapshot(home, person)
    sync(home)
    assert snapshot(home, person) == before


def test_a_mailbox_deleted_here_goes_there_and_the_other_way_round(home, person):
    configure(home, person)
    with home.server.imap(person) as c:
        for name in ("satu", "dua"):
            c.ok("CREATE " + name)
        sync(home)
        c.ok("DELETE satu")
    os.rmdir(home.path("mail/dua/cur")), os.rmdir(home.path("mail/dua/new")), os.rmdir(home.path("mail/dua/tmp"))
    for f in os.listdir(home.path("mail/dua")):
        if f != ".mbsyncstate":
            os.unlink(home.path("mail/dua/" + f))
    sync(home)
    sync(home)
    assert "dua" not in everything(home.server, person)
    assert not os.path.exists(home.path("mail/satu/cur"))


@pytest.mark.parametrize("tls,auth", [("STARTTLS", "*"), ("IMAPS", "*"), ("IMAPS", "SCRAM-SHA-256")])
def test_the_mechanism_that_it_takes_by_itself_logs_in(home, person, tls, auth):
    """Through libsasl: whatever is strongest of what is offered; the password has keys for SCRAM."""
    home.server.ctl("account", "password", person, "--password", PASSWORD)
    with home.server.imap(person) as c:
        c.append("INBOX", plain())
    configure(home, person, tls=tls, auth=auth)
    sync(home)
    assert len(here(home, "INBOX")) == 1


CORPUS = "/work/shared/corpus/mail"


@pytest.mark.skipif(not os.path.isdir(CORPUS), reason="the corpus of real mail is not on this machine")
def test_real_mail_comes_down_and_goes_up_unchanged(home, person):
    paths = sorted(os.path.join(d, f) for d, _, fs in os.walk(CORPUS) for f in fs)[::12]
    mails = []
    for p in paths:
        with open(p, "rb") as f:
            m = f.read().replace(b"\r\n", b"\n")
        if b"\0" not in m and b"\r" not in m and b"\n\n" in m and b"\nX-TUID" not in m and m.endswith(b"\n"):
            mails.append(m.replace(b"\n", b"\r\n"))
    half = len(mails) // 2
    with home.server.imap(person) as c:
        for m in mails[:half]:
            c.append("INBOX", m)
    configure(home, person)
    os.makedirs(home.path("mail/INBOX/cur")), os.mkdir(home.path("mail/INBOX/new")), os.mkdir(home.path("mail/INBOX/tmp"))
    for i, m in enumerate(mails[half:]):
        home.write("mail/INBOX/new/%d.made.here" % (1700000000 + i), m.replace(b"\r\n", b"\n"))
    sync(home)
    there = with_letters(everything(home.server, person)["INBOX"])
    assert len(mails) > 200 and [m for m, _ in there] == sorted(mails) and here(home, "INBOX") == there
    before = snapshot(home, person)
    sync(home)
    assert snapshot(home, person) == before


def test_two_thousand_messages_come_down_once_and_go_up_once(home, person, another):
    server = home.server
    with server.imap(person, select="INBOX") as c:
        mails = [message("number %d" % i, b"x" * (i % 300) + b"\r\n") for i in range(2000)]
        for m in mails:
            c.start("APPEND INBOX", Literal(m, "plus"))
        for i in range(2000):
            assert c.collect("t%d" % (c.count - 1999 + i)).status == "OK"
    configure(home, person)
    sync(home)
    assert [m for m, _ in here(home, "INBOX")] == sorted(mails)
    before = snapshot(home, person)
    sync(home)
    assert snapshot(home, person) == before
    for d, _, fs in os.walk(home.path("mail")):
        for f in fs:
            if f.startswith(".mbsyncstate") or f.startswith(".uidvalidity"):
                os.unlink(os.path.join(d, f))
            elif ",U=" in f:
                os.rename(os.path.join(d, f), os.path.join(d, f.split(",U=")[0] + ":2,"))
    configure(home, another)
    sync(home)
    assert [m for m, _ in with_letters(everything(server, another)["INBOX"])] == sorted(mails)
    before = snapshot(home, another)
    sync(home)
    assert snapshot(home, another) == before


def test_a_restart_changes_neither_uidvalidity_nor_uids(fresh, tmp_path):
    from kantor.programs import Home
    home = Home(fresh, tmp_path)
    configure(home, "budi@kantor.example")
    with fresh.imap("budi") as c:
        for i in range(20):
            c.append("INBOX", plain("before %d" % i))
    sync(home)
    before = snapshot(home, "budi@kantor.example")
    fresh.restart()
    sync(home)
    assert snapshot(home, "budi@kantor.example") == before
