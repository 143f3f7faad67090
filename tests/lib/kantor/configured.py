"""A server whose kantor.conf has lines of the test's own, and clients that come from somewhere else than this machine.

`stranger` speaks the PROXY protocol, so the server sees the address it is given: what counts addresses, or trusts nobody from outside, is tested so.
"""
import os
import tempfile

from .dialogue import recent
from .pop3 import Pop3
from .server import Server, free_base
from .smtp import Smtp

DEMO = "hostname = kantor.example\ndata_dir = data\nlisten.addresses = 127.0.0.1\nlisten.port_base = %d\nlimit.loopback = 20000\nlimit.connections = 40000\n"


def configured(*lines, cleartext="loopback"):
    """A started server on the demo organisation with these lines in its configuration; the caller stops it."""
    folder, base = tempfile.mkdtemp(prefix="kantor-"), free_base()
    with open(os.path.join(folder, "kantor.conf"), "w", encoding="ascii") as f:
        f.write(DEMO % base + "auth.cleartext = %s\n" % cleartext + "".join(line + "\n" for line in lines))
    os.chmod(folder, 0o700)
    return Server(folder, base)


def stranger(server, service="smtp", address="203.0.113.9", hello="stranger.example"):
    """A client whose connection comes from `address`; the server needs `proxy.trusted = 127.0.0.1`."""
    c = (Pop3 if service == "pop3" else Smtp)(server.port(service), greet=False, name=service + " from " + address)
    c.send("PROXY TCP%d %s %s 4711 25\r\n" % (6 if ":" in address else 4, address, "::1" if ":" in address else "127.0.0.1"))
    c.greeting = c.reply()
    if service != "pop3" and hello and c.greeting.code == 220:
        c.hello(hello)
    return c


def finish(server):
    """Closes the test's connections, then stops the server: one that waits for its clients to go waits two seconds."""
    for d in recent:
        d.close()
    server.stop()
