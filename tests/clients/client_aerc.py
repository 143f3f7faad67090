"""aerc on a terminal: it keeps its own map of sequence numbers, so it is the first to notice a wrong EXPUNGE (clients.md I47)."""
from kantor import PASSWORD
from kantor.programs import everything
from kantor.screen import Screen
from kantor.shapes import plain


def configure(home, user):
    login = "%s:%s" % (user.replace("@", "%40"), PASSWORD)
    home.write(".config/aerc/accounts.conf", """
[Kantor]
source = imaps://%s@localhost:%d
outgoing = smtps+plain://%s@localhost:%d
from = Tester <%s>
copy-to = Sent
default = INBOX
cache-headers = false
""" % (login, home.server.port("imaps"), login, home.server.port("submissions"), user))
    home.write(".config/aerc/aerc.conf", "[ui]\nindex-format=%4C %Z %s\nsort=\n[compose]\neditor=cat\n[filters]\ntext/plain=cat\n")
    home.env.update(SSL_CERT_FILE=home.certificate, XDG_CONFIG_HOME=home.path(".config"), XDG_DATA_HOME=home.path(".local/share"), XDG_CACHE_HOME=home.path(".cache"),
                    XDG_RUNTIME_DIR=home.folder)


def test_mail_is_listed_read_deleted_moved_and_comes_by_idle(home, person):
    configure(home, person)
    with home.server.imap(person, select="INBOX") as c:
        for i in range(5):
            c.append("INBOX", plain("surat nomor %d" % i))
        c.ok("NOOP")
        with Screen(home, "aerc") as s:
            s.wait("surat nomor 0", "surat nomor 4", "Archive")
            c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
            c.ok("EXPUNGE")
            s.wait("surat nomor 0", "surat nomor 2", without=("surat nomor 1",))
            with home.server.lmtp() as l:
                l.deliver("a@elsewhere.example", person, plain("datang sendiri"))
            s.wait("datang sendiri")
            s.type(":mv Archive")
            s.keys("Enter")
            s.wait("datang sendiri", "surat nomor 3", without=("surat nomor 4",))     # the selection stood there
            s.type(":quit")
            s.keys("Enter")
            s.wait_end()
    there = everything(home.server, person)
    assert len(there["INBOX"]) == 4 and len(there["Archive"]) == 1 and b"surat nomor 4" in there["Archive"][0].content
