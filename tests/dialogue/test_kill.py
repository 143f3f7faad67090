"""kill -9 at random instants under load: what was acknowledged is there once, nothing else, and the store is clean."""
import os
import random
import threading


ROUNDS = int(os.environ.get("CRASH_ROUNDS", "15"))


def load(server, n, told, attempted, stop):
    """Deliveries and appends with a number of their own until the server is gone."""
    for i in range(100000):
        name = f"c{n}-{stop.round}-{i}"
        attempted.add(name)
        message = b"Subject: %s\r\n\r\n%s" % (name.encode(), b"x" * random.choice([10, 5000, 200000]))
        try:
            if n % 2:
                ok = server.deliver(message, "budi@kantor.example").startswith("250")
            else:
                with server.imap("budi") as c:
                    ok = c.append("INBOX", message)[-1].startswith("OK")
        except (OSError, AssertionError):
            return
        if ok:
            told.append(name)


def test_what_was_acknowledged_is_there_exactly_once(fresh):
    told, attempted, stop = [], set(), threading.Event()
    for stop.round in range(ROUNDS):
        before = len(told)
        threads = [threading.Thread(target=load, args=(fresh, n, told, attempted, stop)) for n in range(4)]
        for t in threads:
            t.start()
        goal = before + random.randint(1, 40)
        while len(told) < goal and any(t.is_alive() for t in threads):
            threads[0].join(0.002)
        fresh.kill()
        for t in threads:
            t.join()
        fresh.start()
        with fresh.imap("budi", select="INBOX") as c:
            lines = c.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        found = [l.split("Subject: ")[1].split("\r\n")[0] for l in lines if "Subject: " in l]
        assert len(found) == len(set(found))
        assert set(told) <= set(found) <= attempted
    assert fresh.ctl("check").stdout == "the store is clean\n"
