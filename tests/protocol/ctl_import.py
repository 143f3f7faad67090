"""Messages in and out by kantorctl: mbox, Maildir, .eml, a whole person; resumed after kill; malformed input is told and passed over."""
import json
import mailbox
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from kantor import message
from kantor.imap import Literal
from kantor.server import KANTORCTL

NOON = 1763974800  # Mon, 24 Nov 2025 09:00:00 +0000
NOON_IMAP = "24-Nov-2025 09:00:00 +0000"


def contents(server, user, box="INBOX"):
    """[(flags, INTERNALDATE, bytes)] in the order of uids."""
    with server.imap(user, select='"%s"' % box) as c:
        if not c.exists:
            return []
        got = c.ok("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])").fetches
    return [(set(f["FLAGS"]) - {"\\Recent"}, f["INTERNALDATE"], bytes(f["BODY[]"])) for _, f in sorted(got.items())]


def mailboxes(server, user, command='LIST "" *'):
    with server.imap(user) as c:
        return sorted(u.value[2] for u in c.ok(command).untagged if u.name in ("LIST", "LSUB"))


def lf(data):
    return data.replace(b"\r\n", b"\n")


def mbox_entry(n, date="Mon Nov 24 09:00:00 2025", head=b"", body=b"x\n"):
    return b"From a@b.example %s\nSubject: %d\nMessage-ID: <%d@mbox>\n%s\n%s\n" % (date.encode(), n, n, head, body)


def maildir(root, name, data, part="cur", when=NOON):
    folder = root / part
    folder.mkdir(parents=True, exist_ok=True)
    for other in ("cur", "new", "tmp"):
        (root / other).mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    os.utime(folder / name, (when, when))


# --- mbox

def test_an_mbox_keeps_dates_flags_and_quoted_lines(server, person, tmp_path):
    box = tmp_path / "box"
    box.write_bytes(mbox_entry(1, head=b"Status: RO\nX-Status: AF\nX-Keywords: urgent $label1\n", body=b"one\n\n>From me\n>>From you\nFrom nowhere at all\n") +
                    mbox_entry(2, date="Mon Nov 24 16:00:00 2025 +0700", body=b"two\n\n\n") + mbox_entry(3, body=b"no end"))
    out = server.ctl("import", "mbox", person, box)
    assert "3 imported" in out
    got = contents(server, person)
    assert got[0][0] == {"\\Seen", "\\Answered", "\\Flagged", "urgent", "$label1"}
    assert got[0][1] == NOON_IMAP and got[1][1] == NOON_IMAP
    assert got[0][2] == b"Subject: 1\r\nMessage-ID: <1@mbox>\r\n\r\none\r\n\r\nFrom me\r\n>From you\r\nFrom nowhere at all\r\n"
    assert got[1][2].endswith(b"\r\n\r\ntwo\r\n\r\n\r\n") and got[1][0] == set()
    assert got[2][2].endswith(b"no end\r\n")


def test_an_mbox_export_is_read_back_the_same_and_by_python_too(server, person, another, tmp_path):
    with server.imap(person) as c:
        for i, (flags, body) in enumerate([("\\Seen \\Flagged", b"From the start\r\n>From quoted\r\n\r\n"), ("", b"plain\r\n"), ("\\Draft $Forwarded own-word", b"")]):
            c.ok('APPEND INBOX (%s) "24-Nov-2025 09:00:0%d +0000"' % (flags, i), Literal(message("m%d" % i, body=body)))
    before = contents(server, person)
    server.ctl("export", "mbox", person, tmp_path / "box")
    assert [m["Subject"] for m in mailbox.mbox(tmp_path / "box")] == ["m0", "m1", "m2"]
    assert "3 imported" in server.ctl("import", "mbox", another, tmp_path / "box")
    assert contents(server, another) == before


def test_what_is_malformed_is_told_by_its_number_and_the_rest_comes_in(server, person, tmp_path):
    box = tmp_path / "box"
    box.write_bytes(b"rubbish before\n\n" + mbox_entry(1) + b"From a@b Mon Nov 24 09:00:00 2025\n\nFrom a@b Mon Nov 24 09:00:00 2025\n" + b"Subject: 3\n\nx\n\n" + mbox_entry(4, head=b"X-Keywords: bad(word\n"))
    out = server.ctl("import", "mbox", person, box, check=False)
    assert server.ctl_status == 1
    assert "the beginning of box: 16 bytes" in server.ctl_errors or "the beginning of box: 15 bytes" in server.ctl_errors
    assert "skipped message 2 of box: it is empty" in server.ctl_errors
    assert "refused message 4 of box: a flag is a word" in server.ctl_errors
    assert "2 imported" in out
    assert len(contents(server, person)) == 2


def test_a_thunderbird_folder_of_mbox_files_becomes_mailboxes(server, person, tmp_path):
    (tmp_path / "Work.sbd").mkdir()
    (tmp_path / "Work").write_bytes(mbox_entry(1, head=b"X-Mozilla-Status: 0005\nX-Mozilla-Keys: $label2                \n"))
    (tmp_path / "Work.msf").write_bytes(b"index")
    (tmp_path / "Work.sbd" / "Old").write_bytes(mbox_entry(2))
    server.ctl("import", "mbox", person, tmp_path, "--under", "Thunderbird")
    assert contents(server, person, "Thunderbird/Work")[0][0] == {"\\Seen", "\\Flagged", "$label2"}
    assert len(contents(server, person, "Thunderbird/Work/Old")) == 1
    assert "Thunderbird/Work/Old" in mailboxes(server, person, 'LSUB "" *')


def test_an_mbox_may_come_from_standard_input(server, person):
    assert "1 imported" in server.ctl("import", "mbox", person, "-", "--mailbox", "Piped", stdin=mbox_entry(1))
    assert len(contents(server, person, "Piped")) == 1


def test_twins_in_the_source_stay_twins_and_a_second_run_adds_nothing(server, person, tmp_path):
    box = tmp_path / "box"
    box.write_bytes(mbox_entry(1) * 3 + mbox_entry(2))
    assert "4 imported, 0 were there" in server.ctl("import", "mbox", person, box)
    assert "0 imported, 4 were there" in server.ctl("import", "mbox", person, box)
    with server.imap(person, select="INBOX") as c:
        c.ok("MOVE 1 Archive")
    assert "0 imported, 4 were there" in server.ctl("import", "mbox", person, box)  # it was moved on, not lost
    box.write_bytes(mbox_entry(1) * 3 + mbox_entry(2) + mbox_entry(5))
    assert "1 imported, 4 were there" in server.ctl("import", "mbox", person, box)


def test_an_import_that_is_killed_is_resumed_without_loss_or_twin(server, person, tmp_path):
    box = tmp_path / "box"
    box.write_bytes(b"".join(mbox_entry(i, body=b"y" * 2000 + b"\n") for i in range(4000)))
    for enough in (1, 1000):
        p = subprocess.Popen([KANTORCTL, "--demo", server.folder, "import", "mbox", person, str(box)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while p.poll() is None and len_of(server, person) < enough and time.monotonic() < deadline:
            pass
        p.send_signal(signal.SIGKILL)
        p.communicate()
    assert server.ctl("import", "mbox", person, box)
    got = contents(server, person)
    assert len(got) == 4000 and len({g[2] for g in got}) == 4000


def len_of(server, person):
    return json.loads(server.ctl("account", "show", person, "--json"))["items"]


def test_an_import_survives_a_killed_server(fresh, tmp_path):
    box = tmp_path / "box"
    box.write_bytes(b"".join(mbox_entry(i, body=b"y" * 2000 + b"\n") for i in range(3000)))
    p = subprocess.Popen([KANTORCTL, "--demo", fresh.folder, "import", "mbox", "budi@kantor.example", str(box)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while p.poll() is None and len_of(fresh, "budi@kantor.example") < 300:
        pass
    fresh.kill()
    _, errors = p.communicate()
    assert p.returncode == 1 and b"run the same command again" in errors
    fresh.ctl("import", "mbox", "budi@kantor.example", box)  # on the files
    fresh.start()
    got = contents(fresh, "budi")
    assert len(got) == 3000 and len({g[2] for g in got}) == 3000
    assert fresh.ctl("check") == "the store is clean\n"


def test_memory_stays_small_while_a_large_message_comes_in(fresh, tmp_path):
    size = 100 * 1024 * 1024
    box = tmp_path / "box"
    with open(box, "wb") as f:
        f.write(b"From a@b Mon Nov 24 09:00:00 2025\nSubject: large\n\n")
        for _ in range(size // 65536):
            f.write((b"z" * 63 + b"\n") * 1024)
        f.write(b"\n")
    before = fresh.rss()
    out = fresh.ctl("import", "mbox", "budi@kantor.example", box)
    assert "1 imported" in out
    assert fresh.rss() - before < 180 * 1024 * 1024  # the mapped file counts while it is parsed; nothing of it is kept in memory
    assert json.loads(fresh.ctl("account", "show", "budi@kantor.example", "--json"))["used"] > size


# --- Maildir and .eml

def test_a_maildir_tree_keeps_flags_keywords_dates_and_names(server, person, tmp_path):
    root = tmp_path / "Maildir"
    maildir(root, "1.a.host:2,FS", b"Subject: one\n\nx\n")
    maildir(root, "2.b.host", b"Subject: new\n\nx\n", part="new")
    maildir(root / ".Proyek.L&APY-we", "1.c.host:2,Rab", b"Subject: deep\r\n\r\nx\r\n", when=NOON + 60)
    (root / ".Proyek.L&APY-we" / "dovecot-keywords").write_text("0 urgent\n1 $label3\n")
    os.symlink("/etc/passwd", root / "cur" / "9.link:2,S")
    (root / "cur" / "8.empty:2,S").write_bytes(b"")
    server.ctl("import", "maildir", person, root, check=False)
    assert "8.empty:2,S: it is empty" in server.ctl_errors and "9.link:2,S: it is a link" in server.ctl_errors
    assert contents(server, person) == [({"\\Flagged", "\\Seen"}, NOON_IMAP, b"Subject: one\r\n\r\nx\r\n"), (set(), contents(server, person)[1][1], b"Subject: new\r\n\r\nx\r\n")]
    with server.imap(person) as c:
        c.ok("SELECT Proyek/L&APY-we")
        f = c.ok("FETCH 1 (FLAGS INTERNALDATE)").fetches[1]
    assert set(f["FLAGS"]) - {"\\Recent"} == {"\\Answered", "urgent", "$label3"} and f["INTERNALDATE"] == "24-Nov-2025 09:01:00 +0000"
    server.ctl("import", "maildir", person, root, check=False)
    assert len(contents(server, person)) == 2


def test_eml_folders_become_mailboxes_and_the_date_is_that_of_the_newest_received_field(server, person, tmp_path):
    (tmp_path / "Kunden" / "Alt").mkdir(parents=True)
    (tmp_path / "a.eml").write_bytes(b"Received: from x by y; Mon, 24 Nov 2025 16:00:00 +0700\r\nReceived: from w by x; Sun, 23 Nov 2025 16:00:00 +0700\r\nSubject: a\r\n\r\nx\r\n")
    (tmp_path / "Kunden" / "Alt" / "b.eml").write_bytes(b"Date: Mon, 24 Nov 2025 16:00:00 +0700\nSubject: b\n\nx\n")
    (tmp_path / "note.txt").write_text("no mail")
    assert "2 imported" in server.ctl("import", "eml", person, tmp_path)
    assert contents(server, person)[0][1] == NOON_IMAP
    assert contents(server, person, "Kunden/Alt")[0][1:] == (NOON_IMAP, b"Date: Mon, 24 Nov 2025 16:00:00 +0700\r\nSubject: b\r\n\r\nx\r\n")


def fill(server, user):
    with server.imap(user) as c:
        c.ok("CREATE Projects/2025.Q4")
        c.ok("CREATE \"Empty one\"")
        c.ok("SUBSCRIBE Projects/2025.Q4")
        c.ok("UNSUBSCRIBE Junk")
        for box in ("INBOX", "Projects/2025.Q4", "Sent"):
            for i in range(5):
                c.ok('APPEND "%s" (%s) "24-Nov-2025 09:00:0%d +0000"' % (box, ("\\Seen", "\\Flagged urgent", "", "$label1 \\Answered", "\\Draft $Forwarded")[i], i), Literal(message("%s %d" % (box, i))))
        c.ok('APPEND INBOX (\\Seen) "24-Nov-2025 09:00:09 +0000"', Literal(b"Subject: bare\n\nlone\nfeeds\r\n"))


@pytest.mark.parametrize("form", ["maildir", "eml"])
def test_a_tree_goes_out_and_comes_back_the_same(server, person, another, tmp_path, form):
    fill(server, person)
    server.ctl("export", form, person, tmp_path / "out")
    server.ctl("import", form, another, tmp_path / "out")
    for box in ("INBOX", "Projects/2025.Q4", "Sent"):
        assert [(f, d, lf(b)) for f, d, b in contents(server, another, box)] == [(f, d, lf(b)) for f, d, b in contents(server, person, box)], box


def test_a_maildir_export_is_read_by_python_with_its_flags(server, person, tmp_path):
    fill(server, person)
    server.ctl("export", "maildir", person, tmp_path / "out")
    box = mailbox.Maildir(tmp_path / "out", create=False)
    assert sorted(box.list_folders()) == ["Archive", "Drafts", "Empty one", "Junk", "Projects", "Projects.2025&AC4-Q4", "Sent", "Trash"]
    assert sorted(m.get_flags() for m in box.get_folder("Sent")) == sorted(["S", "Fa", "", "Rb", "DP"])


def test_a_whole_person_goes_out_and_comes_back_identical(server, person, another, tmp_path):
    fill(server, person)
    server.ctl("alias", "add", "whole-%s" % person, person)
    server.ctl("grant", "set", person + "/Projects/2025.Q4", another, "read")
    server.ctl("group", "join", "tim@kantor.example", person)
    server.ctl("account", "quota", person, "1G")
    server.ctl("account", "export", person, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "account.json").read_text())
    assert about["aliases"] == ["whole-" + person] and about["groups"] == ["tim@kantor.example"] and about["quota"] == 1 << 30
    copy = "copy-" + person
    server.ctl("alias", "remove", "whole-" + person)
    out = server.ctl("account", "import", tmp_path / "out", "--as", copy)
    assert "16 imported, 0 were there" in out, out
    server.ctl("account", "password", copy, stdin=b"demo-password\n")
    assert mailboxes(server, copy) == mailboxes(server, person)
    assert mailboxes(server, copy, 'LSUB "" *') == mailboxes(server, person, 'LSUB "" *')
    for box in mailboxes(server, person):
        assert contents(server, copy, box) == contents(server, person, box), box
    shown = json.loads(server.ctl("account", "show", copy, "--json"))
    assert shown["aliases"] == ["whole-" + person] and shown["groups"] == ["tim@kantor.example"] and shown["quota"] == 1 << 30
    assert server.ctl("grant", "list", copy) == server.ctl("grant", "list", person)
    assert "0 imported, 16 were there" in server.ctl("account", "import", tmp_path / "out", "--as", copy)


def test_files_are_opened_by_kantorctl_and_trouble_with_them_is_said(server, person, tmp_path):
    server.ctl("import", "mbox", person, tmp_path / "nothing", check=False)
    assert server.ctl_status == 1 and "cannot be opened" in server.ctl_errors
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    server.ctl("export", "maildir", person, tmp_path / "full", check=False)
    assert server.ctl_status == 1 and "is not an empty folder" in server.ctl_errors
    server.ctl("export", "mbox", "nobody@kantor.example", tmp_path / "none", check=False)
    assert server.ctl_status == 1 and not (tmp_path / "none").exists()


def test_a_full_quota_refuses_messages_and_says_how_to_go_on(server, person, tmp_path):
    server.ctl("account", "quota", person, "3K")
    (tmp_path / "box").write_bytes(b"".join(mbox_entry(i, body=b"y" * 1000 + b"\n") for i in range(5)))
    out = server.ctl("import", "mbox", person, tmp_path / "box", check=False)
    assert server.ctl_status == 1 and "raise it with `kantorctl account quota`" in server.ctl_errors and "2 imported" in out
    server.ctl("account", "quota", person, "none")
    assert "3 imported, 2 were there" in server.ctl("import", "mbox", person, tmp_path / "box")


def test_a_terminal_sees_how_far_it_is_and_a_pipe_does_not(server, person, tmp_path):
    box = tmp_path / "box"
    box.write_bytes(b"".join(mbox_entry(i, body=b"y" * 2000 + b"\n") for i in range(500)))
    server.ctl("import", "mbox", person, box)
    assert server.ctl_errors == ""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(KANTORCTL, [KANTORCTL, "--demo", server.folder, "import", "mbox", person, str(box), "--mailbox", "Again"])
    out = b""
    try:
        while True:
            more = os.read(fd, 4096)
            if not more:
                break
            out += more
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert re.search(rb"\r\x1b\[K\d+ messages", out) and out.endswith(b"500 imported, 0 were there already\r\n")


def test_json_tells_what_came_in_also_when_something_was_refused(server, person, tmp_path):
    (tmp_path / "box").write_bytes(mbox_entry(1) + mbox_entry(2, head=b"X-Keywords: bad(word\n"))
    assert json.loads(server.ctl("import", "mbox", person, tmp_path / "box", "--json", check=False)) == {"imported": 1, "already_there": 0, "refused": 1}
    assert server.ctl_status == 1
