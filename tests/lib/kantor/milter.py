"""A scripted milter: answers each command as the script says, and keeps what it was told (protocol version 6 of libmilter)."""
import socket
import struct
import threading


class Milter:
    """script: {command: [(answer, data), ...]}, for each time it comes; what is not in it is answered with `c`. `protocol`: what OPTNEG asks for.
    An answer of None: silence; "drop": the connection ends; raw bytes: sent as they are."""

    def __init__(self, script=None, protocol=0, path=None):
        self.script, self.protocol, self.heard, self.sessions = script or {}, protocol, [], 0
        self.open = 0
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen(16)
            self.where = "unix:" + path
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.where = "inet:127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        self.open += 1
        try:
            self._talk(s)
        except OSError:
            pass
        finally:
            self.open -= 1
            s.close()

    def _talk(self, s):
        f = s.makefile("rb")
        while True:
            head = f.read(4)
            if len(head) < 4:
                return
            body = f.read(struct.unpack(">I", head)[0])
            command, data = chr(body[0]), body[1:]
            self.heard.append((command, data))
            if command == "O":
                self.answer(s, "O", struct.pack(">III", 6, 0x1FF, self.protocol))
            elif command == "Q":
                return
            elif command not in "DA":
                for what, more in self.script.get(command, [("c", b"")]):
                    if what == "drop":
                        return
                    if isinstance(what, bytes):
                        s.sendall(what)
                    elif what is not None:
                        self.answer(s, what, more)

    @staticmethod
    def answer(s, command, data=b""):
        s.sendall(struct.pack(">I", len(data) + 1) + command.encode() + data)

    def said(self, command):
        return [data for c, data in self.heard if c == command]

    def close(self):
        self.listener.close()
