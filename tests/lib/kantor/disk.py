"""Disks that are full or read-only: a small tmpfs of the test's own (root only)."""
import os
import shutil
import subprocess
import tempfile

import pytest


class SmallDisk:
    """A tmpfs of `size` bytes; fill() leaves no room, free() gives it back, read_only() and writable() remount."""

    def __init__(self, size=64 * 1024 * 1024):
        if os.geteuid() != 0:
            pytest.skip("mounting a small tmpfs needs root")
        self.path = tempfile.mkdtemp(prefix="kantor-disk-")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=0777" % size, "tmpfs", self.path], capture_output=True)
        if done.returncode != 0:
            os.rmdir(self.path)
            pytest.skip("this machine does not let us mount a tmpfs: " + done.stderr.decode().strip())
        self.filler = os.path.join(self.path, "filler")

    def fill(self, leave=0):
        with open(self.filler, "wb") as f:
            block = b"\0" * 65536
            try:
                while shutil.disk_usage(self.path).free > leave:
                    f.write(block)
                    f.flush()
            except OSError:
                pass
            try:
                while shutil.disk_usage(self.path).free > leave:
                    f.write(b"\0" * 512)
                    f.flush()
            except OSError:
                pass

    def free(self):
        os.unlink(self.filler)

    def remount(self, how):
        subprocess.run(["mount", "-o", "remount," + how, self.path], check=True, capture_output=True)

    def close(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True)
        os.rmdir(self.path)
