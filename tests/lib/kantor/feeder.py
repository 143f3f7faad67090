"""The byte feeder: a proxy that passes on one byte a segment in both directions, so that no command and no reply arrives whole.

Only the first 48 KiB of each direction are fed bytewise; the rest goes in blocks, so that large messages do not take minutes.
"""
import select
import socket
import threading

BYTEWISE = 48 * 1024


class Feeder:
    def __init__(self, host, port):
        self.target = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        try:
            server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fed = {client: 0, server: 0}
        other = {client: server, server: client}
        open_ = {client, server}
        try:
            while open_:
                for s in select.select(list(open_), [], [])[0]:
                    data = s.recv(4096)
                    if not data:
                        open_.discard(s)
                        other[s].shutdown(socket.SHUT_WR)
                        continue
                    if fed[s] < BYTEWISE:
                        for i in range(len(data)):
                            other[s].sendall(data[i:i + 1])
                    else:
                        other[s].sendall(data)
                    fed[s] += len(data)
        except OSError:
            pass
        finally:
            client.close()
            server.close()

    def close(self):
        self.listener.close()
