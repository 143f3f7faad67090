"""A program on a terminal: tmux with a server of its own; keys go in, the screen comes out, and a test waits for what it shows.

    with Screen(home, "mutt", "-F", rc) as s:
        s.wait("Selamat pagi")
        s.keys("Enter")
"""
import os
import subprocess
import time

WAIT = float(os.environ.get("KANTOR_TIMEOUT", "20"))


class Screen:
    def __init__(self, home, *argv, width=120, height=40):
        self.home = home
        self.socket = os.path.join(home.folder, "tmux")
        self.env = {**home.env, "TERM": "screen"}
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), *[str(a) for a in argv])
        self._tmux("set", "-g", "remain-on-exit", "on", check=False)

    def _tmux(self, *args, check=True):
        done = subprocess.run(["tmux", "-S", self.socket, *args], env=self.env, cwd=self.home.folder, capture_output=True, timeout=30)
        assert not check or done.returncode == 0, "tmux %s: %s" % (" ".join(args), done.stderr.decode())
        return done.stdout.decode("utf-8", "replace")

    def show(self):
        return self._tmux("capture-pane", "-p", check=False)

    def keys(self, *keys):
        """tmux's names (Enter, Escape, C-c) or characters."""
        self._tmux("send-keys", *keys)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def wait(self, *words, seconds=WAIT, without=()):
        """Until all words are on the screen and none of `without`."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.show()
            if all(w in screen for w in words) and not any(w in screen for w in without):
                return screen
            assert time.monotonic() < deadline, "%r did not come (or %r did not go):\n%s" % (words, without, screen)
            time.sleep(0.05)

    def wait_end(self, seconds=30):
        """Until the program has ended."""
        deadline = time.monotonic() + seconds
        while True:
            state = self._tmux("list-panes", "-F", "#{pane_dead}", check=False).strip()
            if state in ("1", ""):
                return
            assert time.monotonic() < deadline, "the program did not end:\n" + self.show()
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tmux("kill-server", check=False)
