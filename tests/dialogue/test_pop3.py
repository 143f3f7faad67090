"""POP3: a frozen mailbox, deletions at QUIT only."""
import poplib

import pytest
from talk import PASSWORD

MAIL = b"Subject: one\r\n\r\n.dot\r\nline 2\r\nline 3\r\n"


def login(server, user="rina@cabang.example"):
    c = poplib.POP3("127.0.0.1", server.base + 110, timeout=20)
    c.user(user)
    c.pass_(PASSWORD)
    return c


@pytest.fixture(scope="module")
def filled(server):
    for _ in range(3):
        assert server.deliver(MAIL, "rina@cabang.example").startswith("250")
    return server


def test_retr_gives_the_octets_that_list_promised(filled):
    c = login(filled)
    for line in c.list()[1]:
        number, size = map(int, line.split())
        got = b"\r\n".join(c.retr(number)[1]) + b"\r\n"
        assert len(got) == size and got.endswith(MAIL)
    c.quit()


def test_top_counts_lines_of_the_body_and_takes_huge_counts(filled):
    c = login(filled)
    assert c.top(1, 1)[1][-2:] == [b"", b".dot"]
    assert c.top(1, 99999999)[1] == c.retr(1)[1]
    c.quit()


def test_equal_messages_have_different_uidls_that_stay(filled):
    c = login(filled)
    first = c.uidl()[1]
    c.quit()
    c = login(filled)
    assert c.uidl()[1] == first and len({l.split()[1] for l in first}) == 3
    c.quit()


def test_nothing_is_removed_without_quit_and_the_lock_is_freed(filled):
    c = login(filled)
    c.dele(1)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        login(filled)
    c.close()
    for _ in range(100):  # the server notices the close on its own time
        try:
            c = login(filled)
            break
        except poplib.error_proto as e:
            assert b"IN-USE" in e.args[0]
    assert c.stat()[0] == 3
    c.dele(2)
    c.quit()
    c = login(filled)
    assert c.stat()[0] == 2
    c.quit()


def test_wrong_passwords_say_auth(filled):
    c = poplib.POP3("127.0.0.1", filled.base + 110, timeout=20)
    c.user("rina@cabang.example")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        c.pass_("nonsense")


def test_capa_announces_what_there_is(filled):
    c = poplib.POP3("127.0.0.1", filled.base + 110, timeout=20)
    assert {"TOP", "UIDL", "STLS", "SASL", "PIPELINING", "RESP-CODES", "UTF8", "LANG"} <= set(c.capa())
