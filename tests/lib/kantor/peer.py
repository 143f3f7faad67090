"""A scripted peer: a server that says what the script orders, and keeps what it was told. For clients of ours that go out."""
import socket
import threading


class Peer:
    """script: a list of ("send", bytes), ("line", None), ("until", bytes), ("close", None) run for each connection in turn."""

    def __init__(self, *scripts):
        self.scripts, self.heard, self.errors = list(scripts), [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.finished = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        for script in self.scripts:
            try:
                s, _ = self.listener.accept()
                s.settimeout(20)
                self._play(s, script)
            except OSError as e:
                self.errors.append(e)
        self.finished.set()

    def _play(self, s, script):
        said = bytearray()
        pending = bytearray()
        with s:
            for verb, data in script:
                if verb == "send":
                    s.sendall(data)
                elif verb in ("line", "until"):
                    mark = b"\n" if verb == "line" else data
                    while mark not in pending:
                        got = s.recv(65536)
                        if not got:
                            break
                        pending += got
                        said += got
                    at = pending.find(mark)
                    del pending[:at + len(mark) if at >= 0 else len(pending)]
                elif verb == "close":
                    break
        self.heard.append(bytes(said))
