"""SCRAM-SHA-256-PLUS bound to the TLS connection in each of the three ways, and to no other (RFC 5929, RFC 9266)."""
import base64
import hashlib
import re
import ssl
import subprocess

import pytest

from kantor.imap import Imap
from kantor.scram import Scram
from kantor.server import PASSWORD
from kantor.service import Service

BUDI = "budi@kantor.example"


@pytest.fixture(scope="module")
def service():
    with Service({"process.user": ""}, start=False) as s:
        s.configure({"tls.certificates": s.put_certificate("one", "mail.kantor.example") + ", " + s.put_certificate("two", "mail.cabang.example")})
        s.start()
        s.add_people("budi")
        yield s
        s.stop()


class Secured(Imap):
    """IMAP over a TLS context of the test's own."""

    def __init__(self, port, context, name="mail.kantor.example", session=None):
        self.context, self.name_asked, self.session = context, name, session
        super().__init__(port, tls=True, dribble=False)

    def start_tls(self):
        self.socket = self.context.wrap_socket(self.socket, server_hostname=self.name_asked, session=self.session)


def context_of(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


def proves(c, kind, bytes_):
    steps = Scram(BUDI, PASSWORD, binding=(kind, bytes_))
    status = c.sasl("SCRAM-SHA-256-PLUS", steps).status
    assert status == "NO" or steps.verified
    return status


def test_tls_unique_binds_a_tls_1_2_connection_also_a_resumed_one(service):
    context = context_of(ssl.TLSVersion.TLSv1_2)
    with Secured(service.port("imaps"), context) as c:
        session = c.socket.session
        assert proves(c, "tls-unique", c.socket.get_channel_binding("tls-unique")) == "OK"
    with Secured(service.port("imaps"), context, session=session) as c:
        assert c.socket.session_reused
        assert proves(c, "tls-unique", c.socket.get_channel_binding("tls-unique")) == "OK"
    with Secured(service.port("imaps"), context) as one, Secured(service.port("imaps"), context) as other:
        assert proves(one, "tls-unique", other.socket.get_channel_binding("tls-unique")) == "NO"


def test_tls_server_end_point_binds_to_the_certificate_chosen_by_name(service):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with Secured(service.port("imaps"), context_of(version), "mail.cabang.example") as c, Secured(service.port("imaps"), context_of(version)) as other:
            own, another = (hashlib.sha256(x.socket.getpeercert(True)).digest() for x in (c, other))
            assert own != another
            assert proves(c, "tls-server-end-point", own) == "OK"
            assert proves(other, "tls-server-end-point", own) == "NO"


class Exported:
    """IMAP through openssl s_client, which prints the exporter's bytes of its connection."""

    def __init__(self, port):
        self.process = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-tls1_3", "-crlf", "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.exporter = None
        while self.exporter is None:
            m = re.search(rb"Keying material: ([0-9A-F]{64})", self.line())
            self.exporter = m and bytes.fromhex(m[1].decode())
        while not self.line().startswith(b"* OK"):
            pass

    def line(self):
        line = self.process.stdout.readline()
        assert line, "s_client ended"
        return line

    def answer(self, *begins):
        while True:
            line = self.line()
            if line.startswith(begins):
                return line

    def say(self, data):
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def proves(self, binding):
        steps = Scram(BUDI, PASSWORD, binding=("tls-exporter", binding))
        self.say(b"a AUTHENTICATE SCRAM-SHA-256-PLUS " + base64.b64encode(steps(None)))
        while True:
            line = self.answer(b"+ ", b"a ")
            if line.startswith(b"a "):
                return line.split()[1].decode()
            self.say(base64.b64encode(steps(base64.b64decode(line[2:]))))

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def test_tls_exporter_binds_a_tls_1_3_connection_and_no_other(service):
    one, other = Exported(service.port("imaps")), Exported(service.port("imaps"))
    assert one.exporter != other.exporter
    assert other.proves(one.exporter) == "NO"
    assert one.proves(one.exporter) == "OK"
    one.close()
    other.close()
