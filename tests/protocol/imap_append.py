"""APPEND (RFC 9051 6.3.12, RFC 7888, RFC 3516 4.4, RFC 6855 4, RFC 4315): what is stored, what is refused, and what the connection is worth afterwards."""
import datetime

import pytest

from kantor import Literal, message


def stored(c, mailbox="INBOX"):
    return int(c.ok("STATUS %s (MESSAGES)" % mailbox).one("STATUS").value[1]["MESSAGES"])


@pytest.mark.parametrize("mode", ["sync", "plus", "binary", "binary+"])
def test_every_kind_of_literal_stores_the_same(server, person, mode):
    c = server.imap(person, select="INBOX")
    mail = message(body=b"x" * 5000)
    r = c.ok("APPEND INBOX (\\Seen)", Literal(mail, mode))
    assert r.code_name == "APPENDUID" and c.body(int(r.code[1][1])) == mail


@pytest.mark.parametrize("date,want", [("07-Feb-1994 21:52:25 -0800", "1994-02-07T21:52:25-08:00"), (" 7-Feb-1994 21:52:25 -0800", "1994-02-07T21:52:25-08:00"), ("7-Feb-1994 21:52:25 -0800", "1994-02-07T21:52:25-08:00"),
                                       ("31-Dec-1960 23:59:59 +0000", "1970-01-01T00:00:00+00:00"), ("29-Feb-2024 00:00:00 +1400", "2024-02-29T00:00:00+14:00"), ("01-jan-2038 12:00:00 +0530", "2038-01-01T12:00:00+05:30")])
def test_the_date_given_is_the_internal_date(server, person, date, want):
    c = server.imap(person, select="INBOX")
    uid = c.append("INBOX", message(), date=date)
    got = c.ok("UID FETCH %d INTERNALDATE" % uid).by_uid[uid]["INTERNALDATE"]
    assert datetime.datetime.strptime(got.strip(), "%d-%b-%Y %H:%M:%S %z") == datetime.datetime.fromisoformat(want)


@pytest.mark.parametrize("args", ['INBOX "32-Jan-2024 00:00:00 +0000"', 'INBOX "29-Feb-2023 00:00:00 +0000"', 'INBOX "01-Xxx-2024 00:00:00 +0000"', 'INBOX "01-Jan-2024"', 'INBOX "01-Jan-2024 25:00:00 +0000"', "INBOX (\\Foo)", "INBOX (a", "INBOX x",
                                  "INBOX (\\Seen) (\\Seen)", 'INBOX "01-Jan-2024 00:00:00 +0000" (\\Seen)', "INBOX ()()"])
@pytest.mark.parametrize("mode", ["sync", "plus"])
def test_a_malformed_append_is_refused_and_its_octets_never_run(server, person, args, mode):
    c = server.imap(person)
    r = c.cmd("APPEND " + args, Literal(b"x DELETE Archive\r\ny DELETE Trash\r\n", mode))
    assert r.status in ("BAD", "NO") and stored(c) == 0
    assert {"Archive", "Trash"} <= {u.value[2] for u in c.ok('LIST "" *').all("LIST")}


def test_without_a_date_the_internal_date_is_now(server, person):
    c = server.imap(person, select="INBOX")
    uid = c.append("INBOX", message())
    got = datetime.datetime.strptime(c.ok("UID FETCH %d INTERNALDATE" % uid).by_uid[uid]["INTERNALDATE"].strip(), "%d-%b-%Y %H:%M:%S %z")
    assert abs((datetime.datetime.now(datetime.timezone.utc) - got).total_seconds()) < 120


@pytest.mark.parametrize("mode", ["sync", "plus"])
def test_a_missing_mailbox_is_trycreate(server, person, mode):
    c = server.imap(person)
    assert c.no("APPEND Nowhere/deep", Literal(message(), mode)).code_name == "TRYCREATE"
    assert c.no('APPEND "Other Users/sari@kantor.example/INBOX"', Literal(message(), mode)).code_name == "TRYCREATE"
    c.ok("NOOP")


@pytest.mark.parametrize("mode", ["sync", "plus", "binary"])
def test_an_empty_message_is_refused(server, person, mode):
    c = server.imap(person)
    assert c.cmd("APPEND INBOX", Literal(b"", mode)).status in ("NO", "BAD") and stored(c) == 0
    c.ok("NOOP")


def test_a_huge_message_is_refused_before_it_is_read(server, person):
    c = server.imap(person)
    c.send("a APPEND INBOX {524288000}\r\n")
    assert c.response().startswith(b"a NO [TOOBIG]")
    c.ok("NOOP")


def test_a_huge_message_that_comes_unasked_is_told_and_the_connection_ends(server, person):
    c = server.imap(person)
    before = server.rss()
    c.send("a APPEND INBOX {524288000+}\r\n")
    lines = [c.response(), c.response()]
    assert lines[0].startswith(b"a NO [TOOBIG]") and lines[1].startswith(b"* BYE"), lines
    assert server.rss() - before < 20 * 1024 * 1024
    assert stored(server.imap(person)) == 0


def test_a_message_a_little_too_large_that_comes_unasked_is_swallowed(server, person):
    c = server.imap(person)
    limit = int(next(w for w in c.capabilities() if w.startswith("APPENDLIMIT=")).split("=")[1])
    c.send("a APPEND INBOX {%d+}\r\n" % (limit + 1))
    block = b"x DELETE Archive\r\n" * 4096
    left = limit + 1
    while left:
        c.socket.sendall(block[:left])
        left -= min(left, len(block))
    c.send("\r\n")
    assert c.response().startswith(b"a NO [TOOBIG]")
    assert any(u.value[2] == "Archive" for u in c.ok('LIST "" *').all("LIST"))


@pytest.mark.parametrize("mode", ["sync", "plus"])
def test_over_quota_is_refused_and_nothing_is_stored(server, person, mode):
    server.ctl("account", "quota", person, 20000)
    c = server.imap(person)
    c.append("INBOX", message(body=b"y" * 15000), mode="plus")
    r = c.no("APPEND INBOX", Literal(message(body=b"z" * 15000), mode))
    assert r.code_name == "OVERQUOTA" and stored(c) == 1
    c.append("INBOX", message(body=b"small"))
    c.select("INBOX")
    assert c.no("COPY 1 Archive").code_name == "OVERQUOTA"
    c.ok("MOVE 1 Archive")


def test_over_quota_is_told_before_the_message_is_sent(server, person):
    server.ctl("account", "quota", person, 20000)
    c = server.imap(person)
    c.send("a APPEND INBOX {30000}\r\n")
    assert c.response().startswith(b"a NO [OVERQUOTA]")
    c.ok("NOOP")


@pytest.mark.parametrize("cut", [0, 1, 100, 70000, 199999])
def test_a_connection_lost_in_the_middle_stores_nothing(server, person, cut):
    c = server.imap(person)
    mail = message(body=b"w" * 200000)
    c.send("a APPEND INBOX {%d+}\r\n" % len(mail))
    c.socket.sendall(mail[:cut])
    c.close()
    assert stored(server.imap(person)) == 0


def test_a_whole_message_without_its_line_end_is_not_stored(server, person):
    c = server.imap(person)
    mail = message()
    c.send(b"a APPEND INBOX {%d+}\r\n%s" % (len(mail), mail))
    c.close()
    assert stored(server.imap(person)) == 0


def test_octets_behind_the_literal_are_bad_and_not_commands(server, person):
    c = server.imap(person)
    mail = message()
    c.send(b"a APPEND INBOX {%d+}\r\n%s x DELETE Archive\r\n" % (len(mail), mail))
    assert c.response().startswith(b"a BAD")
    assert stored(c) == 0 and any(u.value[2] == "Archive" for u in c.ok('LIST "" *').all("LIST"))


def test_a_tail_behind_the_literal_that_comes_in_pieces_is_one_bad_line(server, person):
    """Between its pieces the server reads on, instead of looking at the same octets for ever."""
    c = server.imap(person)
    mail = message()
    c.send(b"a APPEND INBOX {%d+}\r\n%s" % (len(mail), mail))
    for _ in range(3):
        c.send(b" x DELETE Archive tail" * 5)
        server.imap(person).ok("NOOP")  # meanwhile the server has certainly looked at what came
    c.send("\r\n")
    assert c.response().startswith(b"a BAD")
    assert stored(c) == 0 and any(u.value[2] == "Archive" for u in c.ok('LIST "" *').all("LIST"))


def test_the_mailbox_may_come_as_a_literal_too(server, person):
    c = server.imap(person)
    mail = message()
    c.send(b"a APPEND {5+}\r\nINBOX (\\Seen) {%d+}\r\n%s\r\n" % (len(mail), mail))
    assert c.response().startswith(b"a OK [APPENDUID")
    assert stored(c) == 1


def test_utf8_append_stores_an_internationalised_message(server, person):
    c = server.imap(person, select="INBOX")
    c.ok("ENABLE UTF8=ACCEPT")
    c.utf8 = True
    mail = "From: é@x.example\r\nSubject: é\r\n\r\né\r\n".encode()
    c.send(b"a APPEND INBOX UTF8 (~{%d+}\r\n%s)\r\n" % (len(mail), mail))
    reply = c.collect("a")
    assert reply.status == "OK" and c.body(int(reply.code[1][1])) == mail


def test_append_to_the_selected_mailbox_is_seen_by_it_and_to_another_is_not(server, person):
    c = server.imap(person, select="INBOX")
    assert c.ok("APPEND INBOX", Literal(message())).one("EXISTS").number == 1
    assert not c.ok("APPEND Archive", Literal(message())).all("EXISTS") and stored(c, "Archive") == 1


def test_append_needs_the_right_to_insert(server, person, another):
    c = server.imap(another)
    name = '"Other Users/%s/INBOX"' % person
    server.ctl("grant", "set", person + "/INBOX", another, "lrs")
    for mode in ("sync", "plus"):
        assert c.no("APPEND " + name, Literal(message(), mode)).code_name == "NOPERM"
    server.ctl("grant", "set", person + "/INBOX", another, "li")
    c.ok("APPEND %s (\\Seen \\Flagged $x)" % name, Literal(message()))
    assert server.imap(person, select="INBOX").ok("FETCH 1 FLAGS").fetches[1]["FLAGS"] == set()


def test_a_line_that_is_no_append_of_a_literal_is_bad(server, person):
    c = server.imap(person)
    for text in ("APPEND", "APPEND INBOX", 'APPEND INBOX "quoted"', "APPEND INBOX (\\Seen)", 'APPEND INBOX (\\Seen) "01-Jan-2024 00:00:00 +0000"', "APPEND INBOX {x}", "APPEND INBOX UTF8 ()"):
        c.bad(text)
    assert stored(c) == 0


def test_before_login_nothing_is_appended(server):
    c = server.imap()
    r = c.cmd("APPEND INBOX", Literal(b"x NOOP\r\n", "plus"))
    assert r.status == "BAD"
    c.ok("NOOP")
