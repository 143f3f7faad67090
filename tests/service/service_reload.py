"""SIGHUP: certificates and configuration anew, without dropping a connection."""
import hashlib
import os
import signal
import socket
import ssl

import pytest

from kantor.service import Service, certificate, wait_for
from kantor.dialogue import tls_context


@pytest.fixture
def service():
    with Service() as s:
        yield s.add_people("budi", "sari")
        if s.alive():
            s.stop()


def fingerprint(port, name="mail.kantor.example"):
    with tls_context().wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname=name) as c:
        return hashlib.sha256(c.getpeercert(True)).hexdigest()


def of_pem(path):
    with open(path) as f:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()


def test_idle_and_a_half_sent_message_survive_a_reload_and_new_connections_get_the_new_certificate(service):
    service.configure({"tls.certificates": service.put_certificate("one", "mail.kantor.example")})
    service.reload()
    one = of_pem(os.path.join(service.folder, "one.crt"))
    assert fingerprint(service.port("imaps")) == one
    idle = service.imap("sari", "INBOX", tls=True, dribble=False)
    idle.idle()
    sender = service.lmtp(dribble=False)
    sender.envelope("x@elsewhere.example", "sari@kantor.example")
    sender.cmd("DATA", 354)
    sender.send(b"Subject: in flight\r\n\r\nfirst half, ")

    service.put_certificate("one", "mail.kantor.example")
    service.reload()
    two = of_pem(os.path.join(service.folder, "one.crt"))
    assert two != one
    assert fingerprint(service.port("imaps")) == two
    with service.imap(dribble=False) as starttls:
        starttls.starttls()
        assert hashlib.sha256(starttls.socket.getpeercert(True)).hexdigest() == two
    sender.send(b"second half\r\n.\r\n")
    assert sender.reply().code == 250
    assert idle.untagged().name == "EXISTS"
    assert hashlib.sha256(idle.socket.getpeercert(True)).hexdigest() == one
    idle.done()
    uid = idle.uids()[0]
    assert b"first half, second half" in idle.body(uid)


def test_limits_deadlines_and_the_log_level_change_without_a_restart(service):
    with service.smtp() as c:
        assert c.extensions["SIZE"] == str(50 * 1024 * 1024)
    service.configure({"mail.max_message_size": "2M", "limit.loopback": 2, "log.level": "warn"})
    service.reload()
    with service.smtp() as c:
        assert c.extensions["SIZE"] == str(2 * 1024 * 1024)
        with service.smtp():
            third = socket.create_connection(("127.0.0.1", service.port("smtp")), 20)
            assert third.makefile("rb").readline().startswith(b"421 4.7.0 Too many connections")
            third.close()


def test_a_wrong_configuration_keeps_the_old_one_and_names_file_and_line(service):
    service.options["mail.max_message_size"] = "three"
    service.write()
    log = service.reload("reload-refused")
    line = next(i for i, l in enumerate(open(service.config_path()), 1) if l.startswith("mail.max_message_size"))
    assert "%s:%d: mail.max_message_size cannot be" % (service.config_path(), line) in log
    with service.smtp() as c:
        assert c.extensions["SIZE"] == str(50 * 1024 * 1024)
    service.options["mail.max_message_size"] = "3M"
    service.write()
    service.reload()
    with service.smtp() as c:
        assert c.extensions["SIZE"] == str(3 * 1024 * 1024)


def test_options_that_need_a_restart_are_named_and_keep_their_value(service):
    service.configure({"hostname": "other.example", "threads.workers": 9})
    log = service.reload()
    assert "reload-needs-restart option=hostname" in log and "reload-needs-restart option=threads.workers" in log
    with service.smtp(hello=None) as c:
        assert "mail.kantor.example" in c.greeting.text


@pytest.mark.parametrize("fault", ["half_a_file", "key_of_another", "missing", "not_readable", "expired"])
def test_a_certificate_that_does_not_fit_leaves_the_old_one_in_place(service, fault):
    pair = service.put_certificate("one", "mail.kantor.example")
    service.configure({"tls.certificates": pair})
    service.reload()
    before = fingerprint(service.port("imaps"))
    chain, key = certificate("mail.kantor.example")
    if fault == "half_a_file":
        service.put("one.crt", chain[:len(chain) // 2])
    elif fault == "key_of_another":
        service.put("one.crt", chain)
    elif fault == "missing":
        os.unlink(os.path.join(service.folder, "one.crt"))
    elif fault == "not_readable":
        if os.geteuid() != 0:
            pytest.skip("needs root")
        service.put("one.key", key, 0o600)
        os.chown(os.path.join(service.folder, "one.key"), 0, 0)
    elif fault == "expired":
        chain, key = certificate("mail.kantor.example", days=-1)
        service.put("one.key", key)
        service.put("one.crt", chain)
    log = service.reload("reload-refused")
    assert "one." in log
    assert fingerprint(service.port("imaps")) == before


def test_a_storm_of_signals_ends_with_the_last_state_of_the_files(service):
    for size in range(1, 41):
        service.configure({"mail.max_message_size": "%dM" % size})
        service.process.send_signal(signal.SIGHUP)

    def is_the_last():
        with service.smtp() as c:
            return c.extensions["SIZE"] == str(40 * 1024 * 1024)

    wait_for(is_the_last, "the last configuration")
    assert "config-refused" not in service.log()


def test_a_new_name_gets_its_certificate_by_sni_after_a_reload(service):
    pairs = service.put_certificate("one", "mail.kantor.example")
    service.configure({"tls.certificates": pairs})
    service.reload()
    service.configure({"tls.certificates": pairs + ", " + service.put_certificate("two", "mail.cabang.example", "*.cabang.example")})
    service.reload()
    assert fingerprint(service.port("imaps"), "mail.cabang.example") == of_pem(os.path.join(service.folder, "two.crt"))
    assert fingerprint(service.port("imaps"), "imap.cabang.example.") == of_pem(os.path.join(service.folder, "two.crt"))
    assert fingerprint(service.port("imaps"), "a.b.cabang.example") == of_pem(os.path.join(service.folder, "one.crt"))
    assert fingerprint(service.port("imaps"), "unknown.example") == of_pem(os.path.join(service.folder, "one.crt"))
