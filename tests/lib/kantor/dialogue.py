"""A connection that keeps its transcript and believes nothing.

Every protocol client of the tests stands on `Dialogue`: it sends bytes, reads lines that must end in CR LF, and remembers both directions, so
that a failing test prints the dialogue. With KANTOR_DRIBBLE=1 every connection goes through `Feeder`, which passes on one byte at a time.
"""
import os
import select
import socket
import ssl

from .feeder import Feeder

TIMEOUT = float(os.environ.get("KANTOR_TIMEOUT", "20"))
DRIBBLE = os.environ.get("KANTOR_DRIBBLE") == "1"

recent = []  # the dialogues of the running test, for the report of a failure


class ProtocolError(AssertionError):
    """The server sent what the protocol does not allow."""


class Closed(ProtocolError):
    """The server closed the connection where an answer was due."""


def tls_context():
    """The demo's certificate is self-signed; that it is offered at all is what these tests look at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Dialogue:
    def __init__(self, port, tls=False, host="127.0.0.1", dribble=DRIBBLE, name="", timeout=TIMEOUT):
        self.transcript = []
        self.name = name or "port %d" % port
        self.buffer = bytearray()
        self.feeder = Feeder(host, port) if dribble else None
        if self.feeder:
            host, port = "127.0.0.1", self.feeder.port
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        recent.append(self)
        if tls:
            self.start_tls()

    def start_tls(self):
        """The handshake; anything the server sent before it is an error."""
        if self.buffer:
            raise ProtocolError("bytes before the handshake: %r" % bytes(self.buffer))
        self.socket = tls_context().wrap_socket(self.socket, server_hostname="kantor.example", suppress_ragged_eofs=True)
        self.transcript.append(("=", b"TLS"))

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        self.transcript.append((">", bytes(data)))
        self.socket.sendall(data)

    def send_what_goes(self, data):
        """Sends data to a server that may close in the middle; gives whether all of it went out."""
        try:
            self.send(data)
            return True
        except OSError:
            return False

    def _fill(self):
        try:
            data = self.socket.recv(262144)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        except (socket.timeout, TimeoutError):
            raise ProtocolError("no answer on %s within %s s" % (self.name, self.socket.gettimeout()))
        if not data:
            return False
        self.buffer += data
        return True

    def line(self):
        """One line without its CR LF; a bare CR or LF in it is an error."""
        start = 0
        while True:
            at = self.buffer.find(b"\n", start)
            if at >= 0:
                break
            start = len(self.buffer)
            if not self._fill():
                self._note(bytes(self.buffer))
                raise Closed("%s closed; unfinished: %r" % (self.name, bytes(self.buffer[:200])))
        line = bytes(self.buffer[:at + 1])
        del self.buffer[:at + 1]
        self._note(line)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolError("line end that is not CR LF: %r" % line[-80:])
        return line[:-2]

    def exactly(self, n):
        while len(self.buffer) < n:
            if not self._fill():
                raise Closed("%s closed in the middle of %d octets" % (self.name, n))
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        self._note(data)
        return data

    def _note(self, data):
        if self.transcript and self.transcript[-1][0] == "<" and len(self.transcript[-1][1]) < 65536:
            self.transcript[-1] = ("<", self.transcript[-1][1] + data)
        else:
            self.transcript.append(("<", data))

    def waiting(self, seconds):
        """True: bytes are there, or the connection was closed, within that time."""
        if self.buffer or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        return bool(select.select([self.socket], [], [], seconds)[0])

    def pour_away(self):
        """Takes what is there now without looking at it."""
        self.buffer.clear()
        while self.waiting(0) and self._fill():
            self.buffer.clear()

    def rest(self):
        """Everything until the server closes."""
        while self._fill():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        self._note(data)
        return data

    def assert_closed(self):
        rest = self.rest()
        if rest:
            raise ProtocolError("bytes before the close: %r" % rest[:200])

    def reset(self):
        """Ends with RST, as a vanished client does."""
        import struct
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        try:
            self.socket.close()
        finally:
            if self.feeder:
                self.feeder.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def text(self, limit=6000):
        lines = []
        for sign, data in self.transcript:
            for piece in data[:limit].split(b"\r\n"):
                if piece:
                    lines.append("%s %s" % (sign, piece[:400].decode("utf-8", "backslashreplace")))
        text = "\n".join(lines)
        return text if len(text) < 3 * limit else text[:limit] + "\n  ...\n" + text[-limit:]
