"""SMTP: who may send what to whom (RFC 5321, RFC 6409; attacks.md SI-18, SI-20, SI-21, SI-30, SI-33)."""
import pytest

from kantor import message

WANTED = {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES", "DSN", "STARTTLS"}


def test_every_promised_extension_is_offered(server):
    assert not WANTED - set(server.smtp().extensions)
    c = server.submission()
    assert {"PLAIN", "LOGIN", "SCRAM-SHA-256"} <= set(c.extensions["AUTH"].split())
    assert "STARTTLS" not in c.extensions


def test_a_message_arrives_with_its_trace_fields_on_top(server, person):
    m = message()
    server.smtp().deliver("a@stranger.example", person, m)
    i = server.imap(person, select="INBOX")
    got = i.body(i.uids()[0])
    assert got.endswith(m) and got.startswith(b"Return-Path: <a@stranger.example>\r\nReceived: from client.example")


def test_a_null_sender_is_taken(server, person):
    server.smtp().deliver("", person, message())


@pytest.mark.parametrize("rcpt,code", [("victim@else.where", 550), ("@kantor.example:victim@else.where", 550), ("victim%else.where@kantor.example", 550), ("else.where!victim@kantor.example", 550),
                                       ('"victim@else.where"@kantor.example', 550), ("nobody@kantor.example", 550)])
def test_strangers_cannot_relay(server, rcpt, code):
    c = server.smtp()
    c.cmd("MAIL FROM:<a@stranger.example>", 250)
    c.cmd("RCPT TO:<%s>" % rcpt, code)


@pytest.mark.parametrize("path", ['<"">', '<@>', '<a@>', '<@kantor.example>', '<a@@kantor.example>', '<a@kantor.example', '<a b@kantor.example>', '<a@[IPv6:]>', '<"a\0"@kantor.example>'])
def test_a_malformed_recipient_is_a_syntax_error(server, path):
    c = server.smtp()
    c.cmd("MAIL FROM:<a@stranger.example>", 250)
    assert c.cmd("RCPT TO:" + path).code in (501, 553, 550, 500, 521)
    assert c.cmd("NOOP").code == 250


@pytest.mark.parametrize("options,code", [("SIZE=18446744073709551616", 501), ("RET=FULL RET=HDRS", 501), ("BODY=9BIT", 501), ("FOO=BAR", 555), ("SIZE=99999999999", 552)])
def test_parameters_of_mail_are_checked(server, options, code):
    assert server.smtp().cmd("MAIL FROM:<a@stranger.example> " + options).code == code


def test_dsn_parameters_with_control_characters_are_refused(server, person):
    c = server.smtp()
    c.cmd("MAIL FROM:<a@stranger.example> RET=HDRS ENVID=x1", 250)
    c.cmd("RCPT TO:<%s> ORCPT=rfc822;a+0D+0AX" % person, 501)
    c.cmd("RCPT TO:<%s> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b.example" % person, 250)


@pytest.mark.parametrize("command,codes", [("ETRN k", (500, 502)), ("TURN", (500, 502)), ("EXPN staff", (500, 502)), ("VRFY boss", (252,)), ("XCLIENT LOGIN=admin", (500, 502)), ("HELP", (214, 502))])
def test_queue_commands_are_not_for_strangers(server, command, codes):
    assert server.smtp().cmd(command).code in codes


def test_a_sender_that_the_account_does_not_own_is_refused(server):
    c = server.submission("andi")
    assert c.cmd("MAIL FROM:<budi@kantor.example>").code in (550, 553)
    c.cmd("MAIL FROM:<andi@kantor.example>", 250)


@pytest.mark.parametrize("head", ["From: budi@kantor.example", "From: andi@kantor.example, budi@kantor.example", "From: andi@kantor.example\r\nFrom: budi@kantor.example", "From: g: budi@kantor.example;",
                                  "From: andi@kantor.example\r\nSender: budi@kantor.example", "From: andi@kantor.example\r\nResent-From: budi@kantor.example"])
def test_from_and_sender_fields_must_belong_to_the_account(server, head):
    c = server.submission("andi")
    c.envelope("andi@kantor.example", "andi@kantor.example")
    assert c.data(head + "\r\nSubject: x\r\n\r\ny\r\n").code == 550


def test_members_of_a_shared_mailbox_may_send_in_its_name_and_others_may_not(server):
    server.submission("sari").cmd("MAIL FROM:<info@kantor.example>", 250)
    assert server.submission("andi").cmd("MAIL FROM:<info@kantor.example>").code in (550, 553)


def test_submission_needs_a_login(server):
    assert server.submission().cmd("MAIL FROM:<andi@kantor.example>").code == 530


def test_mail_for_another_domain_is_queued_with_its_envelope(server, person):
    c = server.submission(person)
    c.deliver(person, "friend@else.where", message(sender=person, subject="to the world"))
    assert "friend@else.where" in server.ctl("queue", "list")


def test_pipelined_commands_are_answered_in_order(server, person):
    c = server.smtp()
    c.send("MAIL FROM:<a@stranger.example>\r\nRCPT TO:<nobody@kantor.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % person)
    assert [c.reply().code for _ in range(4)] == [250, 550, 250, 354]
    c.send(b"Subject: p\r\n\r\n..dot\r\n.\r\nNOOP\r\n")
    assert [c.reply().code, c.reply().code] == [250, 250]
    i = server.imap(person, select="INBOX")
    assert i.body(i.uids()[0]).endswith(b"\r\n\r\n.dot\r\n")


def test_lmtp_answers_once_for_each_recipient_in_order(server, person, another):
    c = server.lmtp()
    c.cmd("MAIL FROM:<a@stranger.example>", 250)
    c.cmd("RCPT TO:<%s>" % person, 250)
    assert c.cmd("RCPT TO:<nobody@kantor.example>").code == 550
    c.cmd("RCPT TO:<%s>" % another, 250)
    assert [r.code for r in c.data(message(), 2)] == [250, 250]


def test_group_mail_reaches_each_member_once(fresh):
    fresh.smtp().deliver("a@stranger.example", ["tim@kantor.example", "budi@kantor.example"], message())
    for who in ("budi", "sari", "dewi"):
        assert fresh.imap(who, select="INBOX").exists == 1
    assert fresh.imap("andi", select="INBOX").exists == 0


def test_a_detail_address_and_any_case_reach_the_account(server, person):
    local, domain = person.split("@")
    server.smtp().deliver("a@stranger.example", [local.upper() + "+News@" + domain.upper()], message())
    assert server.imap(person, select="INBOX").exists == 1
