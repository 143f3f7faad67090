"""InterIMAP keeps two IMAP accounts alike by QRESYNC, CONDSTORE, LIST-STATUS and UIDPLUS alone: two of our accounts, changed on both sides, restarted in between."""
import pytest

from kantor import PASSWORD
from kantor.programs import everything, quoted, uid_rows
from kantor.shapes import plain, shapes


def section(home, name, user, how):
    return """
[%s]
type = %s
host = localhost
port = %d
username = %s
password = %s
SSL_CAfile = %s
SSL_verify = YES
%s
""" % (name, "imaps" if how == "implicit" else "imap", home.server.port("imaps" if how == "implicit" else "imap"), user, PASSWORD, home.certificate,
       "" if how == "implicit" else "STARTTLS = YES" if how == "starttls" else "STARTTLS = NO")


def configure(home, here, there, how="implicit"):
    home.write(".config/interimap/config", "database = kantor.db\nlist-mailbox = \"*\"\n" + section(home, "local", here, how) + section(home, "remote", there, how))
    home.write(".local/share/interimap/x", "")
    home.env["XDG_CONFIG_HOME"], home.env["XDG_DATA_HOME"] = home.path(".config"), home.path(".local/share")


def sync(home):
    return home.run("interimap", "--quiet", seconds=120).ok()


def alike(home, one, two):
    """Both hold the same messages with the same flags in every mailbox; gives them."""
    a, b = everything(home.server, one), everything(home.server, two)
    assert sorted(a) == sorted(b)
    for name in a:
        assert sorted((m.content, sorted(m.flags)) for m in a[name]) == sorted((m.content, sorted(m.flags)) for m in b[name]), name
    return a


def rows(home, *users):
    return {(u, m): uid_rows(home.server, u, m) for u in users for m in everything(home.server, u)}


@pytest.mark.parametrize("how", ["implicit", "starttls"])
def test_two_accounts_become_alike_and_stay_so(home, person, another, how):
    configure(home, person, another, how)
    with home.server.imap(person) as c, home.server.imap(another) as d:
        for i, m in enumerate(shapes()):
            (c if i % 2 else d).append("INBOX", m, ("", "\\Seen", "\\Flagged", "\\Answered \\Seen")[i % 4])
        for n in ("Proyek", "Proyek/2025", "R&AOk-sum&AOk-"):
            c.ok("CREATE " + quoted(n))
            c.append(quoted(n), plain("in " + n))
        sync(home)
        sync(home)
        there = alike(home, person, another)
        assert len(there["INBOX"]) == len(shapes()) and "Proyek/2025" in there
        before = rows(home, person, another)
        sync(home)
        assert rows(home, person, another) == before
        c.select("INBOX")
        c.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("STORE 2 +FLAGS ($label1 Pribadi)")
        d.select("INBOX")
        d.ok("STORE 20 +FLAGS (\\Deleted)")
        d.ok("EXPUNGE")
        d.append("INBOX", plain("new there"))
        sync(home)
        sync(home)
        there = alike(home, person, another)
        assert len(there["INBOX"]) == len(shapes()) - 3 and any("$label1" in m.flags for m in there["INBOX"])


def test_what_happened_while_the_server_was_away_is_told_exactly(fresh, tmp_path):
    from kantor.programs import Home
    home, one, two = Home(fresh, tmp_path), "budi@kantor.example", "andi@kantor.example"
    configure(home, one, two)
    with fresh.imap(one) as c:
        for i in range(200):
            c.append("INBOX", plain("n %d" % i))
    sync(home)
    with fresh.imap(one, select="INBOX") as c:
        c.ok("STORE 10:59,100 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("STORE 1:140 +FLAGS.SILENT (\\Seen)")
    fresh.restart()
    sync(home)
    assert len(alike(home, one, two)["INBOX"]) == 149
    before = rows(home, one, two)
    sync(home)
    assert rows(home, one, two) == before
