"""TLS as openssl's own client sees it: versions, ciphers, names, renegotiation, resumption, ALPN (RFC 9325, attacks.md TL-01 to TL-05)."""
import re
import socket
import subprocess

import pytest

from kantor.service import Service
from kantor.dialogue import tls_context


@pytest.fixture(scope="module")
def names():
    """A server with three certificates: a default, an exact name, a wildcard."""
    with Service({"process.user": ""}, start=False) as s:
        s.configure({"tls.certificates": ", ".join([s.put_certificate("one", "mail.kantor.example"), s.put_certificate("two", "mail.cabang.example"), s.put_certificate("three", "*.toko.example", "toko.example")])})
        s.start()
        yield s
        s.stop()


def client(port, *words, says=b"", seconds=30):
    """openssl s_client against a port; its whole output as text."""
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, *words], input=says, capture_output=True, timeout=seconds)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def subject(text):
    m = re.search(r"subject=CN = (\S+)", text)
    return m and m[1]


@pytest.mark.parametrize("service", ["imaps", "pop3s", "submissions"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tls_1_2_and_1_3_are_spoken_with_forward_secrecy_and_authenticated_encryption(names, service, version):
    text = client(names.port(service), version)
    assert ("TLSv1.2" if version == "-tls1_2" else "TLSv1.3") in text
    cipher = re.search(r"Cipher is (\S+)", text)[1]
    assert re.match(r"ECDHE-.*(GCM|POLY1305)|TLS_", cipher), cipher
    assert "Compression: NONE" in text or version == "-tls1_3"


@pytest.mark.parametrize("words", [["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA:AES256-SHA:AES128-GCM-SHA256"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384"],
                                   ["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"]], ids=["tls1.0", "tls1.1", "no_forward_secrecy", "cbc", "anonymous"])
def test_old_versions_and_weak_ciphers_are_refused(names, words):
    text = client(names.port("imaps"), *words)
    assert "Cipher is (NONE)" in text or "no protocols available" in text or "no cipher" in text.lower(), text


@pytest.mark.parametrize("asked,given", [("mail.kantor.example", "mail.kantor.example"), ("mail.cabang.example", "mail.cabang.example"), ("MAIL.Cabang.Example", "mail.cabang.example"), ("mail.cabang.example.", "mail.cabang.example"),
                                         ("imap.toko.example", "*.toko.example"), ("toko.example", "*.toko.example"), ("a.b.toko.example", "mail.kantor.example"), ("elsewhere.example", "mail.kantor.example"),
                                         ("x\\", "mail.kantor.example"), ("..", "mail.kantor.example"), ("localhost", "mail.kantor.example")])
def test_the_certificate_is_chosen_by_the_name_asked_for(names, asked, given):
    assert subject(client(names.port("imaps"), "-servername", asked)) == given
    assert subject(client(names.port("submission"), "-servername", asked, "-starttls", "smtp")) == given


def test_without_a_name_the_first_certificate_is_given(names):
    assert subject(client(names.port("pop3"), "-noservername", "-starttls", "pop3")) == "mail.kantor.example"


@pytest.mark.parametrize("service,protocol", [("smtp", "smtp"), ("submission", "smtp"), ("lmtp", "lmtp"), ("imap", "imap"), ("pop3", "pop3")])
def test_openssl_starts_tls_on_every_clear_text_port(names, service, protocol):
    assert "Verification error: self-signed certificate" in client(names.port(service), "-starttls", protocol, "-name", "client.example")


def test_renegotiation_is_refused_and_ends_only_that_connection(names):
    with names.imap() as bystander:
        p = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % names.port("imaps"), "-tls1_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = b""
        while b"* OK" not in text:
            text += p.stdout.read1(4096)
        p.stdin.write(b"R\n")  # a command of s_client
        p.stdin.flush()
        assert p.wait(30) != 0
        text = p.stdout.read().decode("utf-8", "replace")
        p.stdin.close()
        p.stdout.close()
        assert "RENEGOTIATING" in text and "no renegotiation" in text, text[-800:]
        bystander.ok("NOOP")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_is_resumed_by_ticket_on_its_service_and_not_on_another(names, tmp_path, version):
    session = str(tmp_path / "session")
    client(names.port("imaps"), version, "-sess_out", session, "-ign_eof", says=b"a1 LOGOUT\r\n")
    assert "Reused, " in client(names.port("imaps"), version, "-sess_in", session, "-ign_eof", says=b"a1 LOGOUT\r\n")
    assert "Reused, " not in client(names.port("pop3s"), version, "-sess_in", session, "-ign_eof", says=b"QUIT\r\n")


def test_no_early_data_is_taken(names, tmp_path):
    session = str(tmp_path / "session")
    text = client(names.port("imaps"), "-tls1_3", "-sess_out", session, "-ign_eof", says=b"a1 LOGOUT\r\n")
    assert "Max Early Data: 0" in text


@pytest.mark.parametrize("service,offered,taken", [("imaps", ["imap"], "imap"), ("pop3s", ["pop3"], "pop3"), ("imaps", ["h2", "imap"], "imap"), ("imaps", ["h2", "http/1.1"], None), ("submissions", ["h2"], None), ("pop3s", ["imap"], None)])
def test_an_application_protocol_of_another_service_is_refused(names, service, offered, taken):
    text = client(names.port(service), "-alpn", ",".join(offered))
    if taken:
        assert "ALPN protocol: %s" % taken in text
    else:
        assert "no application protocol" in text and "Cipher is (NONE)" in text


def test_a_client_that_never_finishes_the_handshake_is_no_burden_and_bytes_that_are_no_tls_end_it(names):
    with socket.create_connection(("127.0.0.1", names.port("imaps")), 20) as silent, socket.create_connection(("127.0.0.1", names.port("imaps")), 20) as clear:
        clear.sendall(b"a1 LOGIN budi secret\r\n")
        try:
            answer = clear.recv(4096)
        except ConnectionResetError:
            answer = b""
        assert not answer.startswith(b"*") and b"a1" not in answer
        silent.sendall(b"\x16\x03\x01\x02\x00")
        with names.imap(tls=True) as c:
            c.ok("NOOP")


def test_one_byte_records_and_key_updates_do_not_disturb_a_bystander(names):
    with tls_context().wrap_socket(socket.create_connection(("127.0.0.1", names.port("imaps")), 20)) as c, names.imap(tls=True) as bystander:
        c.recv(4096)
        for byte in b"a1 NOOP\r\n" * 50:
            c.send(bytes([byte]))
        bystander.ok("NOOP")
        got = b""
        while got.count(b"a1 OK") < 50:
            got += c.recv(4096)
