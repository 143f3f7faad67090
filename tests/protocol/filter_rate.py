"""How much mail may come in a minute from one address, network or sender (mail/filter/rate.c)."""
import json

import pytest
from kantor.configured import configured, finish, stranger

MAIL = b"From: <a@stranger.example>\r\nSubject: x\r\n\r\nx\r\n"
SARI = "sari@kantor.example"


@pytest.fixture(scope="module")
def slow():
    s = configured("proxy.trusted = 127.0.0.1", "filter.rate_address = 3", "filter.rate_network = 5", "filter.rate_recipients = 8", "filter.rate_sender = 2", "filter.trusted = 198.51.100.0/24")
    yield s
    finish(s)
    s.remove()


def mail(server, address, sender, rcpts=(SARI,)):
    c = stranger(server, address=address)
    reply = c.cmd("MAIL FROM:<%s>" % sender)
    for r in rcpts if reply.code == 250 else ():
        reply = c.cmd("RCPT TO:<%s>" % r)
    if reply.code == 250:
        reply = c.data(MAIL)
    c.close()
    return reply


def test_an_address_that_is_too_fast_is_told_to_come_later_and_others_of_its_network_may_still(slow):
    assert [mail(slow, "192.0.2.1", "u%d@x.example" % n).code for n in range(3)] == [250] * 3
    reply = mail(slow, "192.0.2.1", "u4@x.example")
    assert (reply.code, reply.enhanced) == (450, "4.7.1") and "your address" in reply.text
    assert mail(slow, "192.0.2.2", "u5@x.example").code == 250
    assert "filter-refused" in slow.log() and "filter=rate" in slow.log()


def test_a_network_is_one_of_many_addresses(slow):
    assert [mail(slow, "2001:db8:1:2::%d" % n, "v%d@x.example" % n).code for n in range(1, 6)] == [250] * 5
    reply = mail(slow, "2001:db8:1:2::99", "v99@x.example")
    assert reply.code == 450 and "your network" in reply.text
    assert mail(slow, "2001:db8:1:3::1", "v98@x.example").code == 250


def test_a_sender_is_counted_wherever_he_comes_from_and_the_empty_one_is_not(slow):
    assert [mail(slow, "203.0.%d.1" % n, "w@x.example").code for n in range(3)] == [250, 250, 450]
    assert [mail(slow, "203.0.%d.1" % n, "").code for n in range(10, 14)] == [250] * 4


def test_recipients_are_counted_and_the_refusal_is_told(slow):
    c = stranger(slow, address="203.0.113.77")
    c.cmd("MAIL FROM:<many@x.example>", 250)
    slow.make_people(9, "many")
    codes = [c.cmd("RCPT TO:<many%d@kantor.example>" % n).code for n in range(1, 10)]
    assert codes == [250] * 8 + [450]
    assert c.data(MAIL).code == 250
    story = json.loads(slow.ctl("trace", "--recipient", "many9@kantor.example", "--json"))
    assert ["450 4.7.1" in e["detail"] for e in story if e["event"] == "refused"] == [True]


def test_trusted_networks_and_this_machine_are_not_counted(slow):
    assert [mail(slow, "198.51.100.7", "t@x.example").code for _ in range(5)] == [250] * 5
