"""A disk that fails on command: builds faults.c and preloads it into a server of the test library."""
import os
import shutil
import subprocess
import tempfile

import pytest

MODES = {"fsync": b"f", "full": b"n", "read-only": b"r", "short": b"s", "": b"\0"}


class Faults:
    """`environment` goes into the server's; set("fsync") and so on, set("") ends it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kantor-faults-")
        source, library = os.path.join(os.path.dirname(__file__), "faults.c"), os.path.join(self.folder, "faults.so")
        compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
        if not compiler:
            pytest.skip("no C compiler for the failing disk")
        subprocess.run([compiler, "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.page = os.path.join(self.folder, "mode")
        with open(self.page, "wb") as f:
            f.write(b"\0" * 4096)
        self.environment = {"LD_PRELOAD": library, "KANTOR_FAULTS": self.page,
                            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def set(self, mode):
        with open(self.page, "r+b") as f:
            f.write(MODES[mode])

    def remove(self):
        shutil.rmtree(self.folder)
