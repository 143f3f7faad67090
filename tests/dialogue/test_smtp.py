"""SMTP, submission, LMTP: what a sender can rely on, and what a stranger cannot do."""
import base64

import pytest
from talk import PASSWORD

MAIL = b"From: a@elsewhere.example\r\nSubject: test\r\n\r\nbody\r\n"


def begin(c, sender="a@elsewhere.example", to="budi@kantor.example"):
    c.expect("EHLO test", "250")
    c.expect(f"MAIL FROM:<{sender}>", "250")
    c.expect(f"RCPT TO:<{to}>", "250")


def login(server, who="budi"):
    c = server.smtp(587)
    c.expect("EHLO test", "250")
    token = base64.b64encode(f"\0{who}@kantor.example\0{PASSWORD}".encode()).decode()
    c.expect(f"AUTH PLAIN {token}", "235")
    return c


def count(server, user="budi"):
    with server.imap(user) as c:
        return int(c.ok("STATUS INBOX (MESSAGES)")[0].split()[-1].rstrip(")"))


def test_a_message_to_a_group_reaches_each_member_once(server):
    before = [count(server, u) for u in ("budi", "sari", "dewi", "andi")]
    with server.smtp() as c:
        begin(c, to="tim@kantor.example")
        c.expect("RCPT TO:<budi@kantor.example>", "250")
        c.expect("DATA", "354")
        c.send(MAIL + b".\r\n")
        assert c.reply().startswith("250 2.0.0")
    assert [count(server, u) for u in ("budi", "sari", "dewi", "andi")] == [before[0] + 1, before[1] + 1, before[2] + 1, before[3]]


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r\r\n"])
@pytest.mark.parametrize("port", [25, 24])
def test_only_crlf_dot_crlf_ends_a_message_and_anything_else_closes(server, end, port):
    before = count(server)
    with server.smtp(port) as c:
        c.expect("LHLO test" if port == 24 else "EHLO test", "250")
        c.expect("MAIL FROM:<a@elsewhere.example>", "250")
        c.expect("RCPT TO:<budi@kantor.example>", "250")
        c.expect("DATA", "354")
        c.send(b"Subject: x\r\n\r\nfirst" + end + b"MAIL FROM:<b@x>\r\nRCPT TO:<budi@kantor.example>\r\nDATA\r\nforged\r\n.\r\n")
        assert c.reply().startswith("521 5.5.2")
        assert c.closed()
    assert count(server) == before


@pytest.mark.parametrize("rcpt", ["victim@elsewhere.example", "@kantor.example:victim@elsewhere.example"])
def test_strangers_cannot_relay(server, rcpt):
    with server.smtp() as c:
        c.expect("EHLO test", "250")
        c.expect("MAIL FROM:<a@elsewhere.example>", "250")
        c.expect(f"RCPT TO:<{rcpt}>", "550 5.7.1")


@pytest.mark.parametrize("rcpt", ["victim%elsewhere.example@kantor.example", '"victim@elsewhere.example"@kantor.example', "nobody@kantor.example"])
def test_unknown_local_users_are_refused(server, rcpt):
    with server.smtp() as c:
        c.expect("EHLO test", "250")
        c.expect("MAIL FROM:<a@elsewhere.example>", "250")
        c.expect(f"RCPT TO:<{rcpt}>", "550 5.1.1")


@pytest.mark.parametrize("path", ['<"">', "<@>", "<a@>", "<@k>", "<a@@k>", "<a@k", "a@k", "<a b@k>", "<a@[127.0.0.1]>", "<>"])
def test_malformed_recipients_get_501(server, path):
    with server.smtp() as c:
        c.expect("EHLO test", "250")
        c.expect("MAIL FROM:<a@elsewhere.example>", "250")
        c.expect(f"RCPT TO:{path}", "501 5.1.3")


@pytest.mark.parametrize("fields", [b"From: sari@kantor.example", b"From: budi@kantor.example, sari@kantor.example", b"From: budi@kantor.example\r\nFrom: sari@kantor.example",
                                    b"From: g: sari@kantor.example;", b"From: budi@kantor.example\r\nSender: sari@kantor.example"])
def test_a_submitter_may_only_use_addresses_of_his_own(server, fields):
    with login(server) as c:
        c.expect("MAIL FROM:<budi@kantor.example>", "250")
        c.expect("RCPT TO:<andi@kantor.example>", "250")
        c.expect("DATA", "354")
        c.send(fields + b"\r\nSubject: x\r\n\r\nbody\r\n.\r\n")
        assert c.reply().startswith("550 5.7.1")
        c.expect("RCPT TO:<andi@kantor.example>", "503")  # nothing of the transaction is left


def test_a_submitter_may_not_use_a_foreign_envelope_sender_but_a_granted_one(server):
    with login(server) as c:
        c.expect("MAIL FROM:<sari@kantor.example>", "550 5.7.1")
        c.expect("MAIL FROM:<info@kantor.example>", "550 5.7.1")
    with login(server, "sari") as c:
        c.expect("MAIL FROM:<info@kantor.example>", "250")


def test_submission_without_login_is_refused(server):
    with server.smtp(587) as c:
        c.expect("EHLO test", "250")
        c.expect("MAIL FROM:<budi@kantor.example>", "530")


def test_mail_for_another_domain_is_queued_with_its_envelope(server):
    with login(server) as c:
        c.expect("MAIL FROM:<budi@kantor.example> ENVID=abc RET=HDRS", "250")
        c.expect("RCPT TO:<x@elsewhere.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;x@elsewhere.example", "250")
        c.expect("DATA", "354")
        c.send(b"From: budi@kantor.example\r\n\r\nout\r\n.\r\n")
        assert c.reply().startswith("250")
    listed = server.ctl("queue", "list").stdout
    assert "to <x@elsewhere.example> waiting" in listed
    number = listed.split()[0]
    assert "From: budi@kantor.example" in server.ctl("queue", "show", number).stdout
    server.ctl("queue", "delete", number)
    assert "0 messages" in server.ctl("queue", "list").stdout


def test_bdat_takes_chunks_and_keeps_every_byte(server):
    with server.smtp() as c:
        begin(c, to="andi@kantor.example")
        c.send(b"BDAT 14\r\nSubject: x\r\n\r\n")
        assert c.reply().startswith("250")
        c.send(b"BDAT 10 LAST\r\n.\r\n.\r\nend\r")
        c.close()
    with server.smtp() as c:
        begin(c, to="andi@kantor.example")
        c.send(b"BDAT 14\r\nSubject: x\r\n\r\nBDAT 12 LAST\r\n.\r\n..\r\nend\r\n")
        assert c.reply().startswith("250") and c.reply().startswith("250")
    with server.imap("andi", select="INBOX") as c:
        assert c.ok("FETCH * BODY.PEEK[TEXT]")[0].endswith(".\r\n..\r\nend\r\n)")


def test_data_after_a_chunk_is_out_of_order_and_resets(server):
    with server.smtp() as c:
        begin(c)
        c.send(b"BDAT 5\r\nabcde")
        assert c.reply().startswith("250")
        c.expect("DATA", "503 5.5.1")
        c.expect("RCPT TO:<budi@kantor.example>", "503")


@pytest.mark.parametrize("line", ["BDAT x", "BDAT -1", "BDAT 99999999999999999999", "BDAT 5 LASTX"])
def test_a_chunk_whose_size_cannot_be_read_closes(server, line):
    with server.smtp() as c:
        begin(c)
        c.expect(line, "501")
        assert c.closed()


def test_bytes_behind_starttls_are_never_commands(server):
    with server.smtp(587) as c:
        c.expect("EHLO test", "250")
        c.send(b"STARTTLS\r\nMAIL FROM:<evil@x>\r\n")
        assert c.reply().startswith("220")
        assert c.closed()


def test_knowledge_from_before_tls_is_forgotten(server):
    with server.smtp(587) as c:
        c.expect("EHLO evil", "250")
        c.expect("STARTTLS", "220")
        c.start_tls()
        c.expect("MAIL FROM:<budi@kantor.example>", "503 5.5.1")
        assert "REQUIRETLS" in c.expect("EHLO good", "250")


def test_a_nul_byte_and_a_message_that_is_too_large_are_refused_after_the_end(server):
    with server.smtp() as c:
        begin(c)
        c.expect("DATA", "354")
        c.send(b"Subject: x\r\n\r\na\0b\r\n.\r\n")
        assert c.reply().startswith("554 5.6.0")
        c.expect("MAIL FROM:<a@x.example> SIZE=99999999999", "552 5.3.4")


def test_lmtp_answers_for_each_recipient_and_a_full_mailbox_is_a_passing_fault(server):
    server.ctl("account", "add", "small@kantor.example")
    server.ctl("account", "quota", "small@kantor.example", "100")
    with server.smtp(24) as c:
        c.expect("LHLO test", "250")
        c.expect("MAIL FROM:<a@elsewhere.example>", "250")
        c.expect("RCPT TO:<budi@kantor.example>", "250")
        c.expect("RCPT TO:<small@kantor.example>", "250")
        c.expect("DATA", "354")
        c.send(MAIL + b"x" * 200 + b"\r\n.\r\n")
        assert c.reply().startswith("250") and c.reply().startswith("452 4.2.2")


def test_a_browser_and_an_endless_line_are_sent_away(server):
    with server.smtp() as c:
        assert c.say("GET / HTTP/1.1").startswith("421") and c.closed()
    with server.smtp() as c:
        c.send(b"x" * 100000)
        assert c.reply().startswith("500 5.5.2")


def test_bare_line_feeds_of_a_scanner_are_mended_on_submission(server):
    with login(server) as c:
        c.expect("MAIL FROM:<budi@kantor.example>", "250")
        c.expect("RCPT TO:<andi@kantor.example>", "250")
        c.expect("DATA", "354")
        c.send(b"From: budi@kantor.example\nSubject: scan\n\none\n.\ntwo\r\n.\r\n")
        assert c.reply().startswith("250")
    with server.imap("andi", select="INBOX") as c:
        assert c.ok("FETCH * BODY.PEEK[TEXT]")[0].endswith("one\r\n.\r\ntwo\r\n)")
