"""SEARCH in full (RFC 9051 6.4.4, RFC 3501, RFC 4731, RFC 5182, RFC 7162 3.1.5): keys, charsets, results kept."""
import base64

import pytest

from kantor import Literal, message, numbers


def found(reply):
    return sorted(reply.search) if reply.all("SEARCH") else []


HTML = ("From: =?utf-8?q?J=C3=B6rg?= <joerg@x.example>\r\nTo: \"Doe, Jane\" <jane@y.example>, third@z.example\r\nCc: =?iso-8859-1?q?Ren=E9?= <r@y.example>\r\nBcc: hidden@y.example\r\n"
        "Subject: =?utf-8?b?%s?= =?utf-8?b?%s?=\r\nDate: Tue, 02 Jan 2024 23:30:00 -0500\r\nX-Empty:\r\nX-Odd: one\r\nX-Odd: two words\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" % (base64.b64encode("Grüße aus ".encode()).decode(), base64.b64encode("Köln".encode()).decode())).encode()
HTML += base64.encodebytes("<html><head><style>p{color:hidden1}</style><script>var hidden2</script></head><p>Vielen Dank f&uuml;r Ihre <b>Bestellung</b> &#8364; 5 &amp; mehr stra\u00dfe</p></html>".encode()).replace(b"\n", b"\r\n")
LATIN = b"From: l@x.example\r\nSubject: latin\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nna=EFve caf=E9 split=\r\nword \xe9nd\r\n"
FORWARD = b"From: f@x.example\r\nSubject: fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: message/rfc822\r\n\r\nSubject: innersubject\r\n\r\ninnerbody\r\n--q\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\naW1hZ2V0ZXh0\r\n--q--\r\n"
NODATE = b"From: n@x.example\r\nSubject: nodate TURKISH IZMIR\r\n\r\nline one\r\nline two\r\n"


@pytest.fixture
def shelf(server, person):
    """1 HTML of 2-Jan-2024, 2 Latin-1, 3 a forward, 4 without a date."""
    c = server.imap(person, select="INBOX")
    c.append("INBOX", HTML, "\\Seen $Work", "05-Jan-2024 00:30:00 +0200")
    c.append("INBOX", LATIN, "\\Flagged \\Answered", "05-Jan-2024 12:00:00 +0000")
    c.append("INBOX", FORWARD, "\\Deleted \\Draft", "06-Jan-2024 12:00:00 +0000")
    c.append("INBOX", NODATE, "", "07-Jan-2024 12:00:00 +0000")
    c.ok("NOOP")
    c.person = person
    return c


@pytest.mark.parametrize("key,want", [
    ("ALL", [1, 2, 3, 4]), ("ANSWERED", [2]), ("UNANSWERED", [1, 3, 4]), ("DELETED", [3]), ("UNDELETED", [1, 2, 4]), ("DRAFT", [3]), ("UNDRAFT", [1, 2, 4]), ("FLAGGED", [2]), ("UNFLAGGED", [1, 3, 4]),
    ("SEEN", [1]), ("UNSEEN", [2, 3, 4]), ("NEW", []), ("OLD", [1, 2, 3, 4]), ("RECENT", []), ("KEYWORD $Work", [1]), ("UNKEYWORD $Work", [2, 3, 4]), ("KEYWORD unheardof", []), ("UNKEYWORD unheardof", [1, 2, 3, 4]),
    ("BEFORE 5-Jan-2024", [1]), ("ON 5-Jan-2024", [2]), ("SINCE 5-Jan-2024", [2, 3, 4]), ('ON "05-Jan-2024"', [2]), ("SENTON 2-Jan-2024", [1]), ("SENTON 3-Jan-2024", []), ("SENTBEFORE 3-Jan-2024", [1]), ("SENTSINCE 7-Jan-2024", [4]),
    ("FROM joerg", [1]), ("FROM x.example", [1, 2, 3, 4]), ("TO jane", [1]), ("TO third@z", [1]), ("CC r@y", [1]), ("BCC hidden", [1]), ('TO "Doe, Jane"', [1]), ("SUBJECT latin", [2]), ("SUBJECT LATIN", [2]),
    ("HEADER X-Empty \"\"", [1]), ("HEADER x-odd words", [1]), ("HEADER X-Odd \"\"", [1]), ("HEADER X-None \"\"", []), ("HEADER Subject latin", [2]), ("HEADER Date 2024", [1]),
    ("BODY bestellung", [1]), ("BODY hidden1", []), ("BODY hidden2", []), ("BODY splitword", [2]), ("BODY innerbody", [3]), ("BODY innersubject", [3]), ("BODY imagetext", []), ("BODY latin", []), ("TEXT latin", [2]),
    ("TEXT innersubject", [3]), ("BODY \"line two\"", [4]), ("BODY \"\"", [1, 2, 3, 4]), ("SUBJECT \"\"", [1, 2, 3, 4]), ("LARGER 0", [1, 2, 3, 4]), ("SMALLER 1", []), ("SMALLER 4294967296", [1, 2, 3, 4]),
    ("NOT SEEN", [2, 3, 4]), ("NOT NOT SEEN", [1]), ("OR SEEN FLAGGED", [1, 2]), ("OR OR SEEN FLAGGED DELETED", [1, 2, 3]), ("OR SEEN OR FLAGGED DELETED", [1, 2, 3]), ("(SEEN)", [1]), ("((SEEN) (ALL))", [1]),
    ("OR (SEEN KEYWORD $Work) (FLAGGED ANSWERED)", [1, 2]), ("NOT (OR SEEN FLAGGED)", [3, 4]), ("NOT (SEEN FLAGGED)", [1, 2, 3, 4]), ("SEEN FLAGGED", []), ("1,3", [1, 3]), ("3:*", [3, 4]), ("*", [4]), ("*:1", [1, 2, 3, 4]),
    ("UID 2:3", [2, 3]), ("UID *", [4]), ("UID 50:60", []), ("50:60", []), ("NOT 2", [1, 3, 4]), ("NOT UID 2:*", [1]), ("SUBJECT nodate BODY line", [4]), ("1:3 UNSEEN", [2, 3])])
def test_each_key_finds_what_it_says(shelf, key, want):
    assert found(shelf.ok("SEARCH " + key)) == want


@pytest.mark.parametrize("text,want", [("Grüße aus Köln", [1]), ("GRÜSSE", [1]), ("grüsse", [1]), ("köln", [1]), ("KÖLN", [1]), ("JÖRG", [1]), ("rené", [1]), ("René", [1])])
def test_encoded_words_are_found_as_people_read_them_and_without_case(shelf, text, want):
    assert found(shelf.ok("SEARCH CHARSET UTF-8 TEXT", Literal(text))) == want
    key = "FROM" if "rg" in text.lower() else "CC" if "ren" in text.lower() else "SUBJECT"
    assert found(shelf.ok("SEARCH CHARSET UTF-8 %s" % key, Literal(text, "plus"))) == want


@pytest.mark.parametrize("text,want", [("naïve café", [2]), ("NAÏVE", [2]), ("STRASSE", [1]), ("straße", [1]), ("€ 5 & mehr", [1]), ("für Ihre", [1]), ("énd", [2]), ("innerbody", [3])])
def test_bodies_are_searched_as_decoded_text(shelf, text, want):
    assert found(shelf.ok("SEARCH CHARSET utf-8 BODY", Literal(text))) == want


def test_the_charset_of_the_search_is_that_of_its_strings(shelf):
    assert found(shelf.ok("SEARCH CHARSET ISO-8859-1 BODY", Literal("café".encode("latin-1")))) == [2]
    assert found(shelf.ok("SEARCH CHARSET windows-1252 BODY", Literal("€ 5".encode("cp1252")))) == [1]
    assert found(shelf.ok("SEARCH CHARSET US-ASCII SUBJECT latin")) == [2]


@pytest.mark.parametrize("charset", ["X-UNKNOWN", "utf-7", "a" * 200])
def test_an_unknown_charset_is_badcharset_with_a_list(shelf, charset):
    r = shelf.no("SEARCH CHARSET %s ALL" % charset)
    assert r.code_name == "BADCHARSET" and "UTF-8" in r.code[1][0]


@pytest.mark.parametrize("key", ["", "()", "(", ")", "NOT", "OR", "OR SEEN", "(SEEN", "SEEN)", "SEEN  FLAGGED", "FROM", "HEADER X", "KEYWORD", "KEYWORD \\Seen", "ON 32-Jan-2024", "ON 30-Feb-2024", "ON Jan-2024", "ON 1-Foo-2024", "LARGER x", "LARGER -1",
                                 "UID", "UID x", "0", "1:", "4294967296", "NONSENSE", "CHARSET", "CHARSET UTF-8", "RETURN ALL", "RETURN (ALL", "RETURN (FOO) ALL", "MODSEQ", "MODSEQ x", "SEEN(FLAGGED)", "SENTON \"\"", "UID $x"])
def test_a_malformed_search_is_bad(shelf, key):
    shelf.bad("SEARCH " + key)
    assert found(shelf.ok("SEARCH SEEN")) == [1]


def test_depth_and_number_of_keys_are_bounded(shelf):
    assert found(shelf.ok("SEARCH " + "(" * 40 + "SEEN" + ")" * 40)) == [1]
    assert found(shelf.ok("SEARCH " + "NOT " * 40 + "SEEN")) == [1]
    for text in ("(" * 300 + "SEEN" + ")" * 300, "NOT " * 300 + "SEEN", "OR SEEN " * 300 + "SEEN", " ".join(["TEXT x"] * 300)):
        assert shelf.cmd("SEARCH " + text).status in ("BAD", "NO")
    assert found(shelf.ok("SEARCH " + "OR SEEN " * 40 + "FLAGGED")) == [1, 2]


def test_a_recipient_far_down_a_long_list_is_found(server, person):
    c = server.imap(person, select="INBOX")
    people = ",\r\n ".join("Person Number %d <person%d@list.example>" % (n, n) for n in range(400))
    c.append("INBOX", ("From: a@x.example\r\nTo: %s\r\nSubject: %s tail\r\n\r\nx\r\n" % (people, "long " * 1500)).encode(), mode="plus")
    c.ok("NOOP")
    assert found(c.ok("SEARCH TO person399@")) == [1] and found(c.ok("SEARCH SUBJECT tail")) == [1] and found(c.ok("SEARCH TO person400@")) == []


def test_the_second_field_of_a_name_is_searched_as_well(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", b"From: a@x.example\r\nTo: first@x.example\r\nTo: second@x.example\r\n\r\nx\r\n")
    c.ok("NOOP")
    assert found(c.ok("SEARCH TO second@")) == [1] and found(c.ok("SEARCH HEADER To second@")) == [1]


# --- ESEARCH

def test_esearch_answers_what_was_asked_with_the_commands_tag(shelf):
    r = shelf.ok("SEARCH RETURN () OR SEEN FLAGGED")
    e = r.one("ESEARCH")
    assert e.value == {"ALL": "1:2", "UID": False} and e.text == "t%d" % shelf.count and not r.all("SEARCH")
    e = shelf.ok("UID SEARCH RETURN (COUNT MIN MAX) 2:4").one("ESEARCH")
    assert e.value == {"UID": True, "MIN": "2", "MAX": "4", "COUNT": "3"}


def test_esearch_of_nothing_has_a_count_and_no_more(shelf):
    assert shelf.ok("SEARCH RETURN (MIN MAX ALL COUNT) SMALLER 1").one("ESEARCH").value == {"COUNT": "0", "UID": False}
    assert shelf.ok("SEARCH RETURN (MIN) SMALLER 1").one("ESEARCH").value == {"UID": False}
    assert shelf.ok("SEARCH SMALLER 1").search == []


def test_rev2_answers_every_search_with_esearch(shelf):
    shelf.ok("ENABLE IMAP4rev2")
    r = shelf.ok("SEARCH SEEN")
    assert r.one("ESEARCH").value == {"ALL": "1", "UID": False} and not r.all("SEARCH")
    assert shelf.ok("UID SEARCH 2:3").one("ESEARCH").value == {"ALL": "2:3", "UID": True}


# --- MODSEQ

def test_modseq_finds_what_changed_and_tells_the_highest(shelf):
    m = {n: shelf.ok("FETCH %d MODSEQ" % n).fetches[n]["MODSEQ"] for n in (1, 2, 3, 4)}
    r = shelf.ok("SEARCH MODSEQ %d" % m[3])
    assert r.one("SEARCH").value == [3, 4] and int(r.one("SEARCH").text) == m[4]
    assert found(shelf.ok('SEARCH MODSEQ "/flags/\\\\draft" all %d' % m[3])) == [3, 4]
    assert found(shelf.ok('SEARCH OR NOT MODSEQ %d LARGER 50000' % m[3])) == [1, 2]
    assert shelf.ok("SEARCH MODSEQ %d" % (m[4] + 1)).one("SEARCH").text == ""


def test_modseq_of_an_esearch_belongs_to_what_is_returned(shelf):
    shelf.ok("STORE 2 +FLAGS.SILENT ($late)")
    m = {n: i["MODSEQ"] for n, i in shelf.ok("FETCH 1:4 MODSEQ").fetches.items()}
    for returns, want in (("MIN", m[1]), ("MAX", m[4]), ("MIN MAX", max(m[1], m[4])), ("ALL", m[2]), ("COUNT", m[2]), ("MIN COUNT", m[2])):
        e = shelf.ok("SEARCH RETURN (%s) MODSEQ 1" % returns).one("ESEARCH").value
        assert int(e["MODSEQ"]) == want, returns


# --- SEARCHRES

def test_a_saved_result_serves_fetch_store_copy_and_search(shelf):
    r = shelf.ok("UID SEARCH RETURN (SAVE) 2:3")
    assert r.untagged == []
    assert sorted(shelf.ok("FETCH $ UID").fetches) == [2, 3] and sorted(shelf.ok("UID FETCH $ UID").fetches) == [2, 3]
    assert found(shelf.ok("SEARCH $ FLAGGED")) == [2] and found(shelf.ok("UID SEARCH UID $ NOT FLAGGED")) == [3] and found(shelf.ok("SEARCH NOT $")) == [1, 4]
    assert sorted(shelf.ok("STORE $ +FLAGS ($x)").fetches) == [2, 3]
    assert numbers(shelf.ok("UID COPY $ Archive").code[1][1]) == [2, 3]


@pytest.mark.parametrize("returns,want", [("SAVE", [1, 2, 4]), ("SAVE MIN", [1]), ("SAVE MAX", [4]), ("SAVE MIN MAX", [1, 4]), ("SAVE ALL", [1, 2, 4]), ("SAVE COUNT", [1, 2, 4]), ("SAVE MIN COUNT", [1, 2, 4]), ("MIN SAVE ALL", [1, 2, 4])])
def test_what_is_saved_depends_on_what_is_returned(shelf, returns, want):
    shelf.ok("SEARCH RETURN (%s) UNDELETED" % returns)
    assert sorted(shelf.ok("FETCH $ UID").fetches) == want


def test_a_search_that_fails_with_no_empties_the_result_and_one_that_is_bad_keeps_it(shelf):
    shelf.ok("SEARCH RETURN (SAVE) 2")
    shelf.bad("SEARCH RETURN (SAVE) NONSENSE")
    assert sorted(shelf.ok("FETCH $ UID").fetches) == [2]
    shelf.ok("SEARCH 3")
    assert sorted(shelf.ok("FETCH $ UID").fetches) == [2]
    shelf.no("SEARCH RETURN (SAVE) CHARSET X-NONE ALL")
    assert shelf.ok("FETCH $ UID").fetches == {}


def test_expunged_messages_leave_the_saved_result_and_select_empties_it(shelf):
    shelf.ok("SEARCH RETURN (SAVE) 2:4")
    shelf.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    shelf.ok("EXPUNGE")
    assert [i["UID"] for i in shelf.ok("FETCH $ UID").fetches.values()] == [2, 4]
    shelf.select("INBOX")
    assert shelf.ok("FETCH $ UID").fetches == {} and shelf.ok("UID STORE $ +FLAGS (\\Seen)").untagged == []
    assert found(shelf.ok("SEARCH $")) == []


def test_an_empty_result_used_anywhere_is_no_error(shelf):
    shelf.ok("SEARCH RETURN (SAVE) SMALLER 1")
    for command in ("FETCH $ FLAGS", "STORE $ +FLAGS (\\Seen)", "COPY $ Archive", "MOVE $ Archive", "UID EXPUNGE $", "SEARCH $"):
        shelf.ok(command)


def test_a_search_through_many_bodies_lets_others_work(server, person):
    c, other = server.imap(person, select="INBOX"), server.imap(person, select="INBOX")
    for n in range(60):
        c.append("INBOX", message(body=b"word%d " % n * 2000), mode="plus")
    c.ok("NOOP")
    tag = c.start("SEARCH BODY word59")
    other.ok("NOOP")
    assert c.collect(tag).search == [60]
