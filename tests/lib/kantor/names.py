"""Real name servers for tests: zones signed or not, served by nsd; and one that says whatever it wants, over UDP."""
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time

SIGN = dict(check=True, capture_output=True)


def free_port():
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u, socket.socket() as t:
            u.bind(("127.0.0.1", 0))
            try:
                t.bind(u.getsockname())
            except OSError:
                continue
            return u.getsockname()[1]


class NameServer:
    """zones: name → lines of records, without SOA and NS. Signed ones have their DS in `anchors`, the text of dns.trust_anchor."""
    def __init__(self, zones, signed=(), spoiled=()):
        self.folder, self.port, self.anchors = tempfile.mkdtemp(prefix="kantor-nsd-"), free_port(), ""
        conf = ["server:", "  ip-address: 127.0.0.1@%d" % self.port, '  username: ""', '  zonesdir: "%s"' % self.folder, '  pidfile: ""', '  xfrdfile: ""', '  zonelistfile: "%s/list"' % self.folder,
                '  logfile: "%s/log"' % self.folder, "  server-count: 1", '  xfrdir: "%s"' % self.folder, "remote-control:", "  control-enable: no"]
        for zone, lines in zones.items():
            path = os.path.join(self.folder, zone)
            with open(path, "w") as f:
                f.write("$ORIGIN %s.\n$TTL 60\n@ SOA ns.%s. admin.%s. 1 3600 600 86400 60\n@ NS ns.%s.\nns A 127.0.0.1\n" % (zone, zone, zone, zone) + "".join(line + "\n" for line in lines))
            if zone in signed or zone in spoiled:
                path = self._sign(zone, path)
            if zone in spoiled:  # the records changed after they were signed
                with open(path) as f:
                    text = f.read().replace("127.0.2.", "127.0.3.")
                with open(path, "w") as f:
                    f.write(text)
            conf += ["zone:", "  name: " + zone, "  zonefile: " + path]
        with open(os.path.join(self.folder, "conf"), "w") as f:
            f.write("\n".join(conf) + "\n")
        self.process = subprocess.Popen(["nsd", "-d", "-c", os.path.join(self.folder, "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self._await(next(iter(zones)))

    def _sign(self, zone, path):
        key = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "-r", "/dev/urandom", zone], cwd=self.folder, **SIGN).stdout.decode().strip()
        subprocess.run(["ldns-signzone", "-n", "-o", zone, "-f", path + ".signed", path, os.path.join(self.folder, key)], **SIGN)
        with open(os.path.join(self.folder, key + ".ds")) as f:
            self.anchors += f.read()
        return path + ".signed"

    def _await(self, zone):
        """Until it answers for its first zone."""
        question = struct.pack(">6H", 7, 0, 1, 0, 0, 0) + b"".join(bytes([len(x)]) + x.encode() for x in zone.split(".")) + b"\0" + struct.pack(">2H", 6, 1)
        deadline = time.monotonic() + 20
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.1)
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    s.sendto(question, ("127.0.0.1", self.port))
                    if s.recv(4096)[3] & 15 == 0:
                        return
                except OSError:
                    pass
        with open(os.path.join(self.folder, "log")) as f:
            raise RuntimeError("nsd does not answer: " + f.read()[-2000:])

    def close(self):
        os.killpg(self.process.pid, 15)
        self.process.wait(20)


class LyingServer:
    """Answers by hand: (name, type) → list of rdata; everything with the AD bit set and without any signature. None: silence."""
    def __init__(self, answers):
        self.answers, self.asked = answers, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                packet, who = self.socket.recvfrom(4096)
            except OSError:
                return
            at, labels = 12, []
            while packet[at]:
                labels.append(packet[at + 1:at + 1 + packet[at]].decode().lower())
                at += 1 + packet[at]
            name, kind = ".".join(labels), struct.unpack(">H", packet[at + 1:at + 3])[0]
            self.asked.append((name, kind))
            if self.answers is None:
                continue
            found = self.answers.get((name, kind), [])
            known = any(n == name or n.endswith("." + name) for n, _ in self.answers)
            head = packet[:2] + struct.pack(">5H", 0x85a0 | (0 if known else 3), 1, len(found), 0, 0)  # QR AA RD RA AD
            body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(r)) + r for r in found)
            self.socket.sendto(head + packet[12:at + 5] + body, who)

    def close(self):
        self.socket.close()
