"""MIME bombs by APPEND and delivery: depth, number of parts, header fields, addresses; the answer is bounded and right (attacks.md MM-01 to MM-07)."""
import pytest

from kantor import Bystander, Literal, message

HEAD = b"From: a@x.example\r\nSubject: bomb\r\nMIME-Version: 1.0\r\n"


def nested(depth):
    """multipart in multipart in … with one text at the bottom."""
    opening = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return HEAD + opening + b"Content-Type: text/plain\r\n\r\nbottom\r\n" + b"".join(b"--b%d--\r\n" % n for n in reversed(range(depth)))


def forwarded(depth):
    return HEAD + b"Content-Type: message/rfc822\r\n\r\nFrom: b@x.example\r\nSubject: again\r\n" * depth + b"\r\nbottom\r\n"


BOMBS = {
    "nested": nested(10000),
    "forwarded": forwarded(10000),
    "siblings": HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 10000 + b"--b--\r\n",
    "never-closed": HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 10000,
    "one-boundary-many-times": HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" for _ in range(5000)) + b"\r\nx\r\n--x--\r\n",
    "long-boundaries": HEAD + b"Content-Type: multipart/mixed; boundary=\"" + b"b" * 100000 + b"\"\r\n\r\n--" + b"b" * 100000 + b"\r\n\r\nx\r\n",
    "parameters": HEAD + b"Content-Type: text/plain" + b"".join(b";\r\n p%d*%d=x" % (n % 7, n) for n in range(20000)) + b"\r\n\r\nx\r\n",
    "fields": HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(50000)) + b"\r\nx\r\n",
    "addresses": HEAD + b"To: " + b",\r\n ".join(b"a%d@x.example" % n for n in range(50000)) + b"\r\n\r\nx\r\n",
    "groups": HEAD + b"To: " + b"g:" * 20000 + b"\r\n\r\nx\r\n",
    "comments": HEAD + b"To: " + b"(" * 100000 + b"a@x.example\r\n\r\nx\r\n",
    "quotes": HEAD + b"To: " + b"\"\\" * 100000 + b"\r\n\r\nx\r\n",
    "words": HEAD + b"Subject: " + b"=?utf-8?q?x?= " * 20000 + b"\r\n\r\nx\r\n",
    "one-line": HEAD + b"X-Long: " + b"y" * 3000000 + b"\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_stored_whole_and_described_in_bounded_space(server, person, bomb):
    mail = BOMBS[bomb]
    cpu = server.cpu()
    with Bystander(server), server.bounded(64):
        c = server.imap(person, select="INBOX", dribble=False)
        reply = c.cmd("APPEND INBOX", Literal(mail, "plus"))
        assert reply.status == "OK", reply
        items = c.ok("FETCH 1 (BODYSTRUCTURE ENVELOPE RFC822.SIZE BODY.PEEK[])").fetches[1]
        assert items["BODY[]"] == mail and items["RFC822.SIZE"] == len(mail) and len(items["ENVELOPE"]) == 10
        c.ok("FETCH 1 (BODY BODY.PEEK[1] BODY.PEEK[1.1.1.1.1] BODY.PEEK[1.1.1.1.1.MIME] BODY.PEEK[HEADER.FIELDS (To X-1)])")
        assert c.ok("SEARCH SUBJECT bomb").search == [1] and c.ok("SEARCH TO nobody-at-all").search == []
        c.append("INBOX", message("after"))
        assert c.ok("SORT (SUBJECT) UTF-8 ALL" if "SORT" in c.capabilities() else "NOOP")
    assert server.cpu() - cpu < 20


@pytest.mark.parametrize("bomb", ["nested", "siblings", "addresses"])
def test_a_bomb_is_delivered_like_any_message_or_refused_for_good(server, person, bomb):
    with Bystander(server), server.bounded(64):
        c = server.lmtp(dribble=False)
        c.envelope("a@stranger.example", person)
        reply = c.data(BOMBS[bomb])[0]
        assert reply.code in (250, 552, 554)
        assert server.imap(person, select="INBOX").exists == (reply.code == 250)


@pytest.mark.parametrize("part", ["1" + ".1" * 9999, "9999", "1." * 200 + "1", "4294967295.1", ".".join(["1"] * 1000) + ".MIME"], ids=["deep", "wide", "deeper", "large", "mime"])
def test_a_part_deeper_than_any_message_is_nothing_or_bad(server, person, part):
    c = server.imap(person, select="INBOX")
    c.append("INBOX", BOMBS["nested"], mode="plus")
    assert c.cmd("FETCH 1 BODY.PEEK[%s]" % part).status in ("OK", "BAD", "NO")
    c.ok("NOOP")
