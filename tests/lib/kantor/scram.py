"""SCRAM-SHA-256 and -PLUS, the client's side, from RFC 5802 and RFC 7677; every step can be bent for an attack."""
import base64
import hashlib
import hmac
import os


def h(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


class Scram:
    """steps(server octets) gives our octets. verified is True once the server proved that it knows the password."""

    def __init__(self, user, password, binding=None, header=None, nonce=None):
        self.user, self.password = user.encode(), password.encode()
        self.nonce = nonce or base64.b64encode(os.urandom(18))
        self.binding = binding[1] if binding else b""
        self.header = header if header is not None else (b"p=%s,," % binding[0].encode() if binding else b"n,,")
        self.verified, self.iterations, self.salt = False, None, None
        self.change_nonce = self.change_header = self.change_proof = None
        self.state = 0

    def __call__(self, got):
        self.state += 1
        if self.state == 1:
            self.bare = b"n=%s,r=%s" % (self.user.replace(b"=", b"=3D").replace(b",", b"=2C"), self.nonce)
            first = self.header + self.bare
            if got is None or got == b"":
                return first
            raise AssertionError("a challenge before our first message: %r" % got)
        if self.state == 2:
            parts = dict(p.split(b"=", 1) for p in got.split(b","))
            assert parts[b"r"].startswith(self.nonce) and len(parts[b"r"]) > len(self.nonce), got
            self.salt, self.iterations = base64.b64decode(parts[b"s"]), int(parts[b"i"])
            assert self.iterations >= 4096, "RFC 7677 4: at least 4096 iterations"
            salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.iterations)
            client = h(salted, b"Client Key")
            nonce = self.change_nonce or parts[b"r"]
            final = b"c=%s,r=%s" % (base64.b64encode((self.change_header or self.header) + self.binding), nonce)
            message = self.bare + b"," + got + b"," + final
            proof = bytes(a ^ b for a, b in zip(client, h(hashlib.sha256(client).digest(), message)))
            self.signature = h(h(salted, b"Server Key"), message)
            return final + b",p=" + base64.b64encode(self.change_proof or proof)
        if got.startswith(b"v="):
            self.verified = base64.b64decode(got[2:]) == self.signature
            assert self.verified, "the server's signature is wrong"
        return b""


def plain(user, password, authzid=""):
    """The one message of SASL PLAIN, as steps."""
    return lambda got: b"%s\0%s\0%s" % (authzid.encode(), user.encode(), password.encode())


def login(user, password):
    """SASL LOGIN, as steps without an initial response; checks the challenges (clients.md S1)."""
    def steps(got):
        if got == b"Username:":
            return user.encode()
        assert got in (b"Password:", b"password:"), got
        return password.encode()
    return steps
