"""A bystander: another user who keeps working while a test attacks. It is asserted that the bystander is served, not how fast."""
import threading

from .server import Server, address


class Bystander:
    """`with Bystander(server): attack()` logs in, selects and searches in a loop; at the end at least one round succeeded during the attack, and one more does after it."""

    def __init__(self, server: Server, user="andi"):
        self.server, self.user, self.rounds, self.error = server, user, 0, None
        self.over = threading.Event()
        self.one = threading.Event()

    def round(self):
        with self.server.imap(address(self.user), select="INBOX", dribble=False) as c:
            c.ok("UID SEARCH ALL")
            c.ok("LOGOUT")
        self.rounds += 1
        self.one.set()

    def _run(self):
        while not self.over.is_set():
            try:
                self.round()
            except Exception as e:  # the attack's test reports it
                self.error = e
                self.one.set()
                return
            self.over.wait(0.02)

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.one.wait(60)
        self.over.set()
        self.thread.join(60)
        if kind is None:
            if self.error:
                raise AssertionError("the bystander was not served: %s" % self.error)
            assert self.rounds, "the bystander was not served at all"
            self.round()
