"""mutt and neomutt on a terminal: opens a mailbox, reads, replies through submission, flags, deletes, saves to another mailbox; the screen is asserted, and what the server holds."""
import pytest

from kantor import PASSWORD
from kantor.programs import everything
from kantor.screen import Screen
from kantor.shapes import plain, shapes

MESSAGE = ("From: Sari Wulandari <sari@kantor.example>\r\nTo: <%s>\r\nSubject: =?utf-8?Q?Rapat_Kamis_=E2=80=93_caf=C3=A9?=\r\nDate: Mon, 24 Nov 2025 10:00:00 +0700\r\nMessage-ID: <rapat@kantor.example>\r\n"
           "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSelamat pagi, rapat pukul sembilan di ruang \u201cMerapi\u201d.\r\n")


def configure(home, user, scheme="imaps", more=""):
    home.server.ctl("account", "password", user, "--password", PASSWORD)      # a password with keys for SCRAM; people made in bulk have none
    port = home.server.port("imaps" if scheme == "imaps" else "imap")
    url = "%s://localhost:%d" % (scheme, port)
    return home.write(".muttrc", """
set folder="%s/" spoolfile="=INBOX" imap_user="%s" imap_pass="%s"
set certificate_file="%s" ssl_starttls=yes ssl_force_tls=yes
set smtp_url="smtp%s://%s@localhost:%d/" smtp_pass="%s" from="%s" use_from=yes realname="Tester" hostname="client.example"
set record="=Sent" postponed="=Drafts" trash="=Trash"
set editor="sh -c 'echo Baik, saya datang. >> $1' -" sendmail="" abort_unmodified=no fast_reply=yes include=yes
set sort=mailbox-order index_format="%%4C %%Z %%s" pager_format="== %%C/%%m ==" status_format="mail in %%f: %%m, new %%n, deleted %%d" mail_check=1 timeout=1 sleep_time=0 wait_key=no
set delete=yes move=no confirmappend=no confirmcreate=no markers=no beep=no imap_check_subscribed=no header_cache="" ssl_verify_host=yes
set charset=utf-8 send_charset=utf-8 tmpdir="%s" pager_stop=yes help=no copy=yes
%s
""" % (url, user, PASSWORD, home.certificate, "s" if scheme == "imaps" else "", user, home.server.port("submissions" if scheme == "imaps" else "submission"), PASSWORD, user, home.folder, more))


@pytest.fixture(params=["mutt", "neomutt"])
def program(request):
    return request.param


def start(home, program):
    return Screen(home, program, "-F", home.path(".muttrc"))


@pytest.mark.parametrize("scheme,mechanism", [("imaps", "plain"), ("imap", "plain"), ("imaps", "scram-sha-256")])
def test_a_mail_is_read_and_answered_through_submission(home, program, person, scheme, mechanism):
    """Debian's mutt (GNU SASL) takes SCRAM-SHA-256-PLUS when it is offered and then has no channel binding to give: it must be told what to use by SMTP. By IMAP it goes on with the next."""
    if program == "neomutt" and mechanism != "plain":
        mechanism = "login"                       # the one that it knows beside plain without a library
    configure(home, person, scheme, 'set smtp_authenticators="%s"' % mechanism)
    with home.server.imap(person) as c:
        c.append("INBOX", (MESSAGE % person).replace("sari@kantor.example", person).encode())
    with start(home, program) as s:
        s.wait("Rapat Kamis – café", "new 1")
        s.keys("Enter")
        s.wait("pukul sembilan di ruang “Merapi”")
        s.type("r")
        s.wait("Subject: Re: Rapat Kamis – café")
        s.type("y")
        s.wait("pukul sembilan", "== 1/", without=("Compose",))
        s.type("q")
        s.wait("mail in")
        s.type("q")
        s.wait_end()
    there = everything(home.server, person)
    original, answer = there["INBOX"]
    assert original.flags >= {"\\Seen", "\\Answered"}
    assert "In-Reply-To: <rapat@kantor.example>".encode() in answer.content and b"Baik, saya datang." in answer.content and b"with ESMTPSA id" in answer.content
    (sent,) = there["Sent"]
    body = sent.content.split(b"\r\n\r\n", 1)[1]
    assert answer.content.split(b"\r\n\r\n", 1)[1].startswith(body.rstrip(b"\r\n")) and "\\Seen" in sent.flags


def test_delete_save_flag_and_sync(home, program, person):
    configure(home, person)
    with home.server.imap(person) as c:
        for i in range(6):
            c.append("INBOX", plain("surat %d" % i))
    with start(home, program) as s:
        s.wait("surat 0", "surat 5")
        s.type("1")
        s.keys("Enter")
        s.wait("surat 0", without=("Jump",))
        s.type("d")                               # 1 to the trash
        s.wait("deleted 1")
        s.type("s")                               # 2 to Archive
        s.wait("Save to mailbox")
        s.keys("C-a", "C-k")
        s.type("=Archive")
        s.keys("Enter")
        s.wait("deleted 2")
        s.type("F")                               # 3 is flagged
        s.wait("!")
        s.type("$")
        s.wait("deleted 0", without=("surat 0", "surat 1 "))
        s.wait("surat 2", "surat 5")
        s.type("q")
        s.wait_end()
    there = everything(home.server, person)
    subjects = lambda box: [m.content.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for m in there[box]]
    assert subjects("INBOX") == ["surat 2", "surat 3", "surat 4", "surat 5"] and subjects("Archive") == ["surat 1"] and subjects("Trash") == ["surat 0"]
    assert "\\Flagged" in there["INBOX"][0].flags and not there["INBOX"][1].flags & {"\\Flagged", "\\Deleted"}


def test_mailboxes_are_browsed_made_and_opened(home, person):
    program = "mutt"                              # neomutt's browser shows the mailboxes of its configuration only
    configure(home, person)
    with home.server.imap(person) as c:
        c.ok('CREATE "R&AOk-sum&AOk-"')
        c.append('"R&AOk-sum&AOk-"', plain("dalam"))
    with start(home, program) as s:
        s.wait("mail in")
        s.type("c")
        s.wait("Open mailbox")
        s.type("?")
        s.wait("Directory", "Archive", "Drafts", "Résumé", "Sent")
        s.type("C")
        s.wait("Create mailbox")
        s.type("Baru")
        s.keys("Enter")
        s.wait("Baru", without=("Create mailbox",))
        s.type("q")
        s.wait("mail in")
        s.type("c")
        s.wait("Open mailbox")
        s.keys("C-a", "C-k")
        s.type("=Résumé")
        s.keys("Enter")
        s.wait("dalam")
        s.type("q")
        s.wait_end()
    assert "Baru" in everything(home.server, person)


def test_new_mail_appears_while_the_mailbox_is_open(home, program, person):
    configure(home, person, more="set imap_idle=yes")
    with start(home, program) as s:
        s.wait("mail in")
        with home.server.lmtp() as c:
            c.deliver("a@elsewhere.example", person, plain("datang sendiri"))
        s.wait("datang sendiri")
        with home.server.imap(person, select="INBOX") as c:
            c.ok("STORE 1 +FLAGS (\\Deleted)")
            c.ok("EXPUNGE")
        s.wait("mail in", without=("datang sendiri",))
        s.type("q")
        s.wait_end()


def test_every_shape_is_shown_and_none_is_changed(home, program, person):
    configure(home, person)
    mails = shapes()
    with home.server.imap(person) as c:
        for m in mails:
            c.append("INBOX", m)
    for _ in range(2):
        with start(home, program) as s:
            s.wait("attachment")
            s.type("1")
            s.keys("Enter")
            s.wait("attachment")
            s.keys("Enter")
            for i in range(len(mails)):
                s.wait("== %d/%d ==" % (i + 1, len(mails)))
                s.type("j")
            s.type("q")
            s.type("q")
            s.wait_end()
    stored = everything(home.server, person)["INBOX"]
    assert [m.content for m in stored] == mails
