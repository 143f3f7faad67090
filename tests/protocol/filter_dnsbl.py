"""Lists in the DNS: only configured answers are hits, a list that does not work is not used (attacks.md DN-05)."""
import os
import tempfile

import pytest
from kantor.configured import configured, finish, stranger
from kantor.wait import until

MAIL = b"From: <a@stranger.example>\r\nSubject: x\r\n\r\nx\r\n"
SARI = "sari@kantor.example"
# zone → what it answers
DNS = """
2.0.0.127.good.test A 127.0.0.2
7.113.0.203.good.test A 127.0.0.4
8.113.0.203.good.test A 127.0.0.99
9.113.0.203.good.test A 127.255.255.254
2.0.0.127.white.test A 127.0.5.1
7.100.51.198.white.test A 127.0.9.2
7.100.51.198.good.test A 127.0.0.2
9.9.9.9.9.9.9.9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.good.test A 127.0.0.2
*.all.test A 127.0.0.1
*.refused.test A 127.255.255.254
*.ten.test A 10.0.0.1
*.fail.test A !servfail
*.silent.test A !timeout
*.gone.test A !nodata
"""
BROKEN = ["all.test", "refused.test", "ten.test", "fail.test", "silent.test", "gone.test"]


def server(*lines):
    folder = tempfile.mkdtemp(prefix="kantor-dns-")
    table = os.path.join(folder, "dns.table")
    with open(table, "w", encoding="ascii") as f:
        f.write(DNS)
    s = configured("proxy.trusted = 127.0.0.1", "dns.table = " + table, "dns.timeout = 500ms", *lines)
    until(lambda: s.log().count("dns-list-usable") == 1 + any("dnswl" in x for x in lines), "the first look at the lists")
    return s


@pytest.fixture(scope="module")
def listed():
    s = server("filter.dnsbl = good.test=127.0.0.2-11, " + ", ".join("%s=127.0.0.1-99 10.0.0.1 127.255.255.254" % z for z in BROKEN), "filter.dnswl = white.test=127.0.0-255.1-3")
    until(lambda: s.log().count("dns-list-disabled") == len(BROKEN), "all lists tried")
    yield s
    finish(s)
    s.remove()


def mail(s, address, rcpt=SARI):
    c = stranger(s, address=address)
    c.cmd("MAIL FROM:<a@stranger.example>", 250)
    reply = c.cmd("RCPT TO:<%s>" % rcpt)
    if reply.code == 250:
        reply = c.data(MAIL)
    c.close()
    return reply


def test_an_address_with_a_configured_answer_is_refused_and_told_why(listed):
    reply = mail(listed, "203.0.113.7")
    assert (reply.code, reply.enhanced) == (550, "5.7.1") and "203.0.113.7" in reply.text and "good.test" in reply.text
    assert mail(listed, "2001:db8::9999:9999").code == 550
    assert "5.7.1" in listed.ctl("trace", "--recipient", SARI)


@pytest.mark.parametrize("address", ["203.0.113.8", "203.0.113.9", "203.0.113.10", "2001:db8::1"])
def test_other_answers_and_none_are_no_hits(listed, address):
    assert mail(listed, address).code == 250


def test_lists_that_answer_everything_nothing_or_not_at_all_are_not_used(listed):
    for zone in BROKEN:
        assert "dns-list-disabled list=%s " % zone in listed.log()
    assert mail(listed, "192.0.2.1").code == 250


def test_a_white_list_outweighs_a_block_list(listed):
    assert mail(listed, "198.51.100.7").code == 250


def test_postmaster_hears_who_is_listed_by_mistake(listed):
    assert mail(listed, "203.0.113.7", "postmaster@kantor.example").code == 250
    assert mail(listed, "203.0.113.7", "abuse@kantor.example").code == 550  # nobody has that name here; it is not the list that says so


def test_every_message_of_a_session_is_judged_by_one_question(listed):
    c = stranger(listed, address="203.0.113.7")
    for _ in range(3):
        c.cmd("MAIL FROM:<a@stranger.example>", 250)
        c.cmd("RCPT TO:<%s>" % SARI, 550)
        c.cmd("RCPT TO:<budi@kantor.example>", 550)
        c.cmd("RSET", 250)


def test_with_junk_as_the_action_the_message_lies_in_junk_and_the_trace_says_so():
    s = server("filter.dnsbl = good.test=127.0.0.2-11", "filter.dnsbl_action = junk")
    try:
        assert mail(s, "203.0.113.7").code == 250
        story = s.ctl("trace", "--recipient", SARI)
        assert "in Junk of " + SARI in story and "listed by good.test" in story
        assert mail(s, "203.0.113.10").code == 250
        assert "in INBOX of " + SARI in s.ctl("trace", "--recipient", SARI)
    finally:
        finish(s)
        s.remove()
