"""alpine, the reference user of the c-client library (which PHP's imap functions use, too), on a terminal."""
from kantor import PASSWORD
from kantor.programs import everything
from kantor.screen import Screen
from kantor.shapes import plain


def configure(home, user):
    port, smtp = home.server.port("imaps"), home.server.port("submissions")
    home.write(".pinerc", """
personal-name=Tester
inbox-path={localhost:%d/user="%s"/ssl/novalidate-cert}INBOX
folder-collections="Mail" {localhost:%d/user="%s"/ssl/novalidate-cert}[]
smtp-server=localhost:%d/user="%s"/ssl/novalidate-cert
user-domain=kantor.example
default-fcc={localhost:%d/user="%s"/ssl/novalidate-cert}Sent
postponed-folder={localhost:%d/user="%s"/ssl/novalidate-cert}Drafts
customized-hdrs=From: Tester <%s>
feature-list=enable-suspend,no-enable-full-header-cmd,expunge-without-confirm,expunge-without-confirm-everywhere,quell-extra-post-prompt,no-quell-imap-envelope-update,quit-without-confirm,
  enable-aggregate-command-set,quell-lock-failure-warnings,save-will-advance,send-without-confirm,fcc-without-attachments
last-version-used=9.99
""" % (port, user, port, user, smtp, user, port, user, port, user, user))


def test_the_inbox_is_read_flagged_deleted_and_expunged(home, person):
    configure(home, person)
    with home.server.imap(person) as c:
        for i in range(5):
            c.append("INBOX", plain("surat nomor %d" % i))
    with Screen(home, "alpine", "-p", home.path(".pinerc"), "-i") as s:
        s.wait("ENTER PASSWORD")
        s.type(PASSWORD)
        s.keys("Enter")
        s.wait("Preserve password")
        s.type("n")
        s.wait("surat nomor 0", "surat nomor 4")
        s.type("1")
        s.wait("number")
        s.keys("Enter")
        s.wait("surat nomor 0")
        s.keys("Enter")
        s.wait("terhormat", "surat nomor 0")
        s.type("d")
        s.wait("surat nomor 1")
        s.type("<")
        s.wait("surat nomor 4")
        s.type("x")
        s.wait("surat nomor 4", without=("surat nomor 0",))
        s.type("q")
        s.wait_end()
    there = everything(home.server, person)["INBOX"]
    assert [m.content.split(b"surat nomor ")[1][:1] for m in there] == [b"1", b"2", b"3", b"4"]


def test_a_mail_is_written_sent_and_saved_to_another_mailbox(home, person):
    configure(home, person)
    with home.server.imap(person) as c:
        c.append("INBOX", plain("yang lama"))
    with Screen(home, "alpine", "-p", home.path(".pinerc"), "-i") as s:
        s.wait("ENTER PASSWORD")
        s.type(PASSWORD)
        s.keys("Enter")
        s.wait("Preserve password")
        s.type("n")
        s.wait("yang lama")
        s.type("c")
        s.wait("COMPOSE MESSAGE", "To")
        s.type(person)
        s.keys("Enter", "Down", "Down")
        s.type("dari alpine")
        s.keys("Enter")
        s.type("Isi surat.")
        s.keys("C-x")
        s.wait("ENTER PASSWORD")
        s.type(PASSWORD)
        s.keys("Enter")
        s.wait("Preserve password")
        s.type("n")
        s.wait("dari alpine")
        s.type("1")
        s.wait("number")
        s.keys("Enter")
        s.type("s")
        s.wait("SAVE", "folder")
        s.keys("C-u")
        s.type("Archive")
        s.keys("Enter")
        s.wait(" D   1 ")                         # saving marks it
        s.type("x")
        s.wait("dari alpine", without=("yang lama",))
        s.type("q")
        s.wait_end()
    there = everything(home.server, person)
    (mail,) = there["INBOX"]
    assert b"Subject: dari alpine" in mail.content and b"\r\n\r\nIsi surat.\r\n" in mail.content and b"with ESMTPSA id" in mail.content
    assert [m.content for m in there["Archive"]] == [m.content for m in there["Archive"] if b"yang lama" in m.content] and len(there["Archive"]) == 1 and len(there["Sent"]) == 1
