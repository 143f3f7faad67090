#!/usr/bin/python3
"""Idle connections: memory of one, and how long one delivery takes to reach all. tests/bench/idle.py [NUMBER] (10000)

Ten mailboxes, NUMBER sessions in IDLE over them, plain and TLS: PSS of the server before and after; then one message to a group of the ten, and the
time until every session has bytes to read. Beside it what the kernel counts for the sockets (not in PSS).
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kantor.server import PASSWORD, ROOT, Server  # noqa: E402

PEOPLE = 10


def build_load():
    program = os.path.join(tempfile.mkdtemp(prefix="kantor-load-"), "load")
    here = os.path.join(ROOT, "tests/bench")
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-o", program, *(os.path.join(here, f) for f in sorted(os.listdir(here)) if f.endswith(".c")), "-lssl", "-lcrypto", "-lpthread", "-I", ROOT], check=True)
    return program


def pss(server):
    with open("/proc/%d/smaps_rollup" % server.process.pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss:"))



def measure(program, count, tls):
    server = Server()
    try:
        server.make_people(PEOPLE)
        server.ctl("group", "add", "all@kantor.example")
        for n in range(1, PEOPLE + 1):
            server.ctl("group", "join", "all@kantor.example", "user%d@kantor.example" % n)
        with server.lmtp() as c:
            c.deliver("x@elsewhere.example", "all@kantor.example", b"Subject: first\r\n\r\nx\r\n")
        port = ["--tls", "--port", str(server.port("imaps"))] if tls else ["--port", str(server.port("imap"))]
        warm = subprocess.run([program, "idle", *port, "--sessions", "50", "--users", str(PEOPLE), "--password", PASSWORD], input="", capture_output=True, text=True)
        assert "parked" in warm.stdout, warm.stderr
        before = pss(server)
        load = subprocess.Popen([program, "idle", *port, "--sessions", str(count), "--users", str(PEOPLE), "--password", PASSWORD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert load.stdout.readline() == "parked\n"
        memory = (pss(server) - before) / count
        used = server.cpu()
        load.stdin.write("go\n")
        load.stdin.flush()
        with server.lmtp() as c:
            c.deliver("x@elsewhere.example", "all@kantor.example", b"Subject: news\r\n\r\nx\r\n")
        told = load.stdout.readline().strip()
        after = (pss(server) - before) / count
        print("%6d %-5s  PSS %7.0f B a connection (after a notice %7.0f B)  %s  server CPU %.2f s" % (count, "TLS" if tls else "plain", memory, after, told, server.cpu() - used), flush=True)
        load.stdin.close()
        load.wait()
    finally:
        server.kill()


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    program = build_load()
    for tls in (False, True):
        measure(program, count, tls)


if __name__ == "__main__":
    main()
