"""FETCH: every item and section, what is seen by it, and what is not there (RFC 9051 6.4.5, RFC 3501, RFC 3516, RFC 7162 3.1.4)."""
import pytest

from kantor import Literal, MIXED, message

NESTED = (b"From: Outer <o@x.example>\r\nSubject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
          b"--o\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
          b"--o\r\nContent-Type: message/rfc822\r\nContent-Description: a forward\r\n\r\n"
          b"From: in@x.example\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
          b"--i\r\nContent-Type: text/plain\r\n\r\ninner plain\r\n--i\r\nContent-Type: text/html\r\n\r\n<b>inner html</b>\r\n--i--\r\n"
          b"--o\r\nContent-Type: message/rfc822\r\n\r\nFrom: single@x.example\r\nSubject: single\r\n\r\nsingle body\r\n"
          b"--o--\r\n")


@pytest.fixture
def nested(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", NESTED)
    c.ok("NOOP")
    return c


@pytest.mark.parametrize("section,want", [
    ("1", b"first"), ("1.MIME", b"Content-Type: text/plain\r\n\r\n"), ("2.HEADER", b"From: in@x.example\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"),
    ("2.MIME", b"Content-Type: message/rfc822\r\nContent-Description: a forward\r\n\r\n"), ("2.1", b"inner plain"), ("2.2", b"<b>inner html</b>"), ("2.1.MIME", b"Content-Type: text/plain\r\n\r\n"),
    ("2.TEXT", b"--i\r\nContent-Type: text/plain\r\n\r\ninner plain\r\n--i\r\nContent-Type: text/html\r\n\r\n<b>inner html</b>\r\n--i--"), ("3.1", b"single body"), ("3.TEXT", b"single body"),
    ("3", b"From: single@x.example\r\nSubject: single\r\n\r\nsingle body"), ("3.HEADER.FIELDS (SUBJECT)", b"Subject: single\r\n\r\n"), ("2.HEADER.FIELDS.NOT (SUBJECT CONTENT-TYPE)", b"From: in@x.example\r\n\r\n"),
    ("4", None), ("1.1", None), ("2.3", None), ("1.HEADER", None), ("2.1.TEXT", None), ("3.1.1", None)])
def test_each_section_is_exactly_its_octets(nested, section, want):
    items = nested.ok("FETCH 1 BODY.PEEK[%s]" % section).fetches[1]
    (key, value), = [(k, v) for k, v in items.items() if k.startswith("BODY[")]
    assert value == want, key


def test_part_one_of_a_message_without_parts_is_its_text(box):
    a = box.ok("FETCH 1 (BODY.PEEK[1] BODY.PEEK[TEXT])").fetches[1]
    assert a["BODY[1]"] == a["BODY[TEXT]"] == b"Apa kabar?\r\n"


@pytest.mark.parametrize("section", ["MIME", "0", "1.", ".1", "1.0", "HEADER.FIELDS", "HEADER.FIELDS ()", "TEXT.1", "1.TEXT.1", "4294967296", "HEADER.FIELDS (a"])
def test_a_malformed_section_is_bad(box, section):
    box.bad("FETCH 1 BODY.PEEK[%s]" % section)


@pytest.mark.parametrize("items", ["()", "(UID", "UID FLAGS", "(ALL)", "(UID  FLAGS)", "NONSENSE", "BODY[]<1>", "BODY[]<1.0>", "BODY[]<.1>", "BINARY[TEXT]", "BINARY.SIZE[1]<0.1>", "(UID) (CHANGEDSINCE)", "(UID)(CHANGEDSINCE 1)"])
def test_malformed_items_are_bad(box, items):
    box.bad("FETCH 1 " + items)
    assert box.ok("FETCH 1 UID").fetches[1]["UID"] == 1


@pytest.mark.parametrize("macro,want", [("ALL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"}), ("FAST", {"FLAGS", "INTERNALDATE", "RFC822.SIZE"}), ("FULL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"})])
def test_macros_stand_for_their_items(box, macro, want):
    assert set(box.ok("FETCH 2 " + macro).fetches[2]) == want
    assert set(box.ok("UID FETCH 2 " + macro).fetches[2]) == want | {"UID"}


def test_rfc822_items_give_what_they_always_gave(box):
    whole = box.ok("FETCH 1 BODY.PEEK[]").fetches[1]["BODY[]"]
    assert box.ok("FETCH 1 RFC822.HEADER").fetches[1]["RFC822.HEADER"] == whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert "\\Seen" not in box.ok("FETCH 1 FLAGS").fetches[1]["FLAGS"]
    assert box.ok("FETCH 1 RFC822").fetches[1]["RFC822"] == whole
    assert "\\Seen" in box.ok("FETCH 1 FLAGS").fetches[1]["FLAGS"]
    assert box.ok("FETCH 2 RFC822.TEXT").fetches[2]["RFC822.TEXT"] == b"Apa kabar?\r\n"
    assert "\\Seen" in box.ok("FETCH 2 FLAGS").fetches[2]["FLAGS"]


@pytest.mark.parametrize("item", ["BODY[]", "BODY[TEXT]", "BODY[HEADER]", "BODY[1]", "BINARY[1]", "BODY[]<0.1>"])
def test_fetching_text_marks_it_seen_and_tells_the_new_flags(box, item):
    r = box.ok("FETCH 3 " + item)
    assert "\\Seen" in r.fetches[3]["FLAGS"]


@pytest.mark.parametrize("item", ["BODY.PEEK[]", "BINARY.PEEK[1]", "BINARY.SIZE[1]", "RFC822.HEADER", "BODYSTRUCTURE", "ENVELOPE", "BODY", "RFC822.SIZE"])
def test_peeking_marks_nothing(box, item):
    box.ok("FETCH 3 " + item)
    assert box.ok("FETCH 3 FLAGS").fetches[3]["FLAGS"] == set()


def test_examine_marks_nothing_as_seen(server, box):
    c = server.imap(box.person)
    c.select("INBOX", examine=True)
    assert c.ok("FETCH 1 BODY[]").fetches[1]["BODY[]"]
    assert c.ok("FETCH 1 FLAGS").fetches[1]["FLAGS"] == set()


@pytest.mark.parametrize("partial,want", [("<0.5>", b"From:"), ("<5.1>", b" "), ("<99999.5>", b""), ("<0.99999>", None), ("<4294967295.4294967295>", b""), ("<9223372036854775807.9223372036854775807>", b"")])
def test_a_partial_is_cut_at_the_end_and_empty_behind_it(box, partial, want):
    whole = box.ok("FETCH 1 BODY.PEEK[]").fetches[1]["BODY[]"]
    origin = partial[1:].split(".")[0]
    assert box.ok("FETCH 1 BODY.PEEK[]" + partial).fetches[1]["BODY[]<%s>" % origin] == (whole if want is None else want)


def test_partials_of_header_fields_and_of_decoded_parts_count_from_what_is_sent(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", MIXED)
    a = c.ok("FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject)]<3.4> BINARY.PEEK[2]<2.3> BINARY.PEEK[2]<8.3>)").fetches[1]
    assert a["BODY[HEADER.FIELDS (Subject)]<3>"] == b"ject" and a["BINARY[2]<2>"] == b"\x02\x03\x04" and a["BINARY[2]<8>"] == b""


@pytest.mark.parametrize("item", ["BODY.PEEK[]", "BODY.PEEK[]<0.1>", "BODY.PEEK[HEADER.FIELDS (A B)]", "UID", "BINARY.SIZE[1]"])
def test_an_item_asked_for_many_times_is_answered_once(box, item):
    r = box.ok("FETCH 1 (%s)" % " ".join([item] * 50))
    assert len(r.all("FETCH")) == 1


BROKEN = b"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode-new\r\n\r\nwhatever\r\n"
BAD64 = b"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\x7f\r\n"


@pytest.mark.parametrize("mail", [BROKEN, BAD64])
def test_a_part_that_cannot_be_decoded_is_unknown_cte_and_the_others_still_come(box, mail):
    box.append("INBOX", mail)
    box.append("INBOX", message("after"))
    r = box.no("FETCH 1:* (UID BINARY.SIZE[1])")
    assert r.code_name == "UNKNOWN-CTE" and sorted(r.fetches) == [1, 2, 3, 4, 5, 7]
    assert box.no("FETCH 6 BINARY.PEEK[1]").code_name == "UNKNOWN-CTE"
    assert box.ok("FETCH 6 BODY.PEEK[1]").fetches[6]["BODY[1]"] == mail.partition(b"\r\n\r\n")[2]
    assert box.ok("FETCH 6 BINARY.PEEK[]").fetches[6]["BINARY[]"] == mail


def test_sender_and_reply_to_default_to_from(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", b"From: A <a@x.example>\r\nSender: \r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\nx\r\n")
    c.append("INBOX", b"From: A <a@x.example>\r\nSender: s@x.example\r\nReply-To: r@x.example, q@x.example\r\nBcc: b@x.example\r\nIn-Reply-To: <i@x>\r\nMessage-ID: <m@x>\r\n\r\nx\r\n")
    c.append("INBOX", b"Subject:\r\n\r\nno sender at all\r\n")
    e = {n: items["ENVELOPE"] for n, items in c.ok("FETCH 1:3 ENVELOPE").fetches.items()}
    assert e[1][0] is None and e[1][1] == b"=?utf-8?q?caf=C3=A9?=" and e[1][2] == e[1][3] == e[1][4] == [[b"A", None, b"a", b"x.example"]]
    assert e[2][3] == [[None, None, b"s", b"x.example"]] and [a[2] for a in e[2][4]] == [b"r", b"q"] and e[2][7][0][2] == b"b" and e[2][8:] == [b"<i@x>", b"<m@x>"]
    assert e[3][1] == b"" and e[3][2:8] == [None] * 6


def test_bodystructure_has_extension_data_and_body_has_none(server, person):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", b"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Language: id, en\r\nContent-Location: http://x.example/\r\n\r\n"
             b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-ID: <p1@x>\r\nContent-Description: words\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Language: de\r\n\r\none\r\ntwo\r\n"
             b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a b.pdf\"\r\n\r\nAAAA\r\n--b--\r\n")
    r = c.ok("FETCH 1 (BODYSTRUCTURE BODY)").fetches[1]
    top, text, pdf = r["BODYSTRUCTURE"], r["BODYSTRUCTURE"][0], r["BODYSTRUCTURE"][1]
    text[5], pdf[5] = text[5].lower(), pdf[5].lower()
    assert list(text) == [b"text", b"plain", [b"charset", b"utf-8"], b"<p1@x>", b"words", b"7bit", "8", "1", b"Q2hlY2sgSW50ZWdyaXR5IQ==", None, [b"de"] if isinstance(text[10], list) else b"de", None]
    assert pdf[8] == [b"attachment", [b"filename", b"a b.pdf"]] and pdf[5] == b"base64" and pdf[6] == "4"
    assert top[2] == b"mixed" and top[3] == [b"boundary", b"b"] and top[4] is None and list(top[5]) == [b"id", b"en"] and top[6] == b"http://x.example/"
    assert len(r["BODY"]) == 3 and len(r["BODY"][0]) == 8 and len(r["BODY"][1]) == 7


def test_a_uid_that_is_gone_or_never_was_is_answered_with_nothing(server, box):
    other = server.imap(box.person, select="INBOX")
    other.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    assert list(box.ok("FETCH 1:3 (UID BODY.PEEK[])").by_uid) == [1, 3]
    assert box.ok("UID FETCH 2 (UID BODY.PEEK[])").fetches == {}
    assert box.ok("UID FETCH 100:200 FLAGS").fetches == {} and box.ok("FETCH 100:200 FLAGS").fetches == {}


def test_uid_star_is_the_last_message_even_when_the_range_begins_behind_it(box):
    assert list(box.ok("UID FETCH 999:* UID").by_uid) == [5]
    assert list(box.ok("UID FETCH *:4 UID").by_uid) == [4, 5]
    assert list(box.ok("FETCH * UID").by_uid) == [5]


def test_star_of_an_empty_mailbox_is_nothing(server, person):
    c = server.imap(person, select="INBOX")
    for command in ("FETCH * UID", "FETCH 1:* UID", "UID FETCH * UID", "UID FETCH 1:* FLAGS", "UID STORE 1:* +FLAGS (\\Seen)", "UID SEARCH *:*"):
        assert c.ok(command).fetches == {}


def test_items_come_in_the_order_asked_and_uid_first_when_the_command_is_by_uid(box):
    box.send("x UID FETCH 1 (FLAGS RFC822.SIZE)\r\n")
    assert box.response().startswith(b"* 1 FETCH (UID 1 FLAGS ()")
    box.collect("x")


def test_changedsince_shows_what_changed_and_does_not_mark_what_it_does_not_show(server, box):
    m = box.ok("FETCH 3 MODSEQ").fetches[3]["MODSEQ"]
    r = box.ok("UID FETCH 1:* (BODY[]) (CHANGEDSINCE %d)" % m)
    assert [u.value["UID"] for u in r.all("FETCH") if "BODY[]" in u.value] == [4, 5]
    flags = {n: f["FLAGS"] for n, f in box.ok("FETCH 1:* FLAGS").fetches.items()}
    assert [n for n in flags if "\\Seen" in flags[n]] == [4, 5]
    box.bad("FETCH 1:* (FLAGS) (CHANGEDSINCE 9223372036854775808)")
    box.bad("FETCH 1:* (FLAGS) (CHANGEDSINCE 18446744073709551615)")


def test_a_message_of_many_parts_is_fetched_part_by_part(server, person):
    c = server.imap(person, select="INBOX")
    parts = b"".join(b"--b\r\n\r\npart %d\r\n" % n for n in range(200))
    c.append("INBOX", b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n", mode="plus")
    assert c.ok("FETCH 1 (BODY.PEEK[1] BODY.PEEK[200] BODY.PEEK[201])").fetches[1] == {"BODY[1]": b"part 0", "BODY[200]": b"part 199", "BODY[201]": None}
    assert len(c.ok("FETCH 1 BODY").fetches[1]["BODY"]) == 201


def test_eight_bit_text_comes_back_as_it_was(server, person):
    c = server.imap(person, select="INBOX")
    mail = "From: Sári <a@x.example>\r\nSubject: čau\r\n\r\nöäü\r\n".encode()
    uid = c.append("INBOX", mail)
    r = c.ok("UID FETCH %d (ENVELOPE BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (Subject)])" % uid).by_uid[uid]
    assert r["BODY[]"] == mail and r["ENVELOPE"][1] == "čau".encode() and r["BODY[HEADER.FIELDS (Subject)]"] == "Subject: čau\r\n\r\n".encode()


def test_a_body_with_nul_never_breaks_the_answer(server, person):
    c = server.imap(person, select="INBOX")
    mail = b"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\r\n"
    reply = c.cmd("APPEND INBOX", Literal(mail, "binary"))
    if reply.status == "OK":
        r = c.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] BODY.PEEK[])").fetches[1]
        assert r["BINARY[1]"] == b"a\0b\r\n" and r["BINARY.SIZE[1]"] == 5 and r["BODY[]"] == mail.replace(b"\0", b"\x80")
    else:
        assert reply.code_name == "UNKNOWN-CTE"
    c.ok("NOOP")


def test_large_bodies_are_sent_piece_by_piece_and_readers_that_stop_cost_little(server, person):
    c = server.imap(person, select="INBOX")
    mail = message(body=bytes(range(1, 256)) * 32000)
    c.append("INBOX", mail, mode="plus")
    c.append("INBOX", message("small"), mode="plus")
    readers = [server.imap(person, select="INBOX") for _ in range(4)]
    before = server.rss()
    tags = [r.start("FETCH 1:2 (UID BODY.PEEK[] BODY.PEEK[TEXT]<10.6000000> FLAGS)") for r in readers]
    server.imap(person, select="INBOX").ok("UID FETCH 1:2 (FLAGS)")
    assert server.rss() - before < 24 * 1024 * 1024
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")
    body = mail.partition(b"\r\n\r\n")[2]
    for reader, tag in zip(readers, tags):
        r = reader.collect(tag)
        assert r.fetches[1]["BODY[]"] == mail and r.fetches[1]["BODY[TEXT]<10>"] == body[10:6000010] and r.fetches[1]["UID"] == 1 and "FLAGS" in r.fetches[1]
        assert 2 in r.fetches


def test_a_large_body_with_nul_bytes_is_masked_in_every_piece(server, person):
    c = server.imap(person, select="INBOX")
    mail = b"From: a@x.example\r\nContent-Transfer-Encoding: binary\r\n\r\n" + b"ab\0c" * 400000
    if c.cmd("APPEND INBOX", Literal(mail, "binary+")).status == "OK":
        assert c.ok("FETCH 1 BODY.PEEK[]").fetches[1]["BODY[]"] == mail.replace(b"\0", b"\x80")
        assert c.ok("FETCH 1 BINARY.PEEK[]").fetches[1]["BINARY[]"] == mail


def test_a_part_that_cannot_be_decoded_behind_a_large_body_ends_nothing(server, person):
    c = server.imap(person, select="INBOX")
    mail = BROKEN + b"line\r\n" * 200000
    c.append("INBOX", mail, mode="plus")
    c.ok("NOOP")
    r = c.no("FETCH 1 (BODY.PEEK[] BINARY.SIZE[1] BINARY.PEEK[1] UID)")
    assert r.code_name == "UNKNOWN-CTE" and r.fetches[1]["BODY[]"] == mail and r.fetches[1]["BINARY[1]"] is None and r.fetches[1]["UID"] == 1
