"""Every SQL statement of the tree is one that PostgreSQL 15 understands, too: the schema is loaded as it stands, each statement prepared."""
import glob
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from kantor.server import ROOT

BIN = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)), None)
STATEMENT = re.compile(r"(?:SELECT\s.+|WITH RECURSIVE\s.+|INSERT INTO\s.+|UPDATE \w+ SET\s.+|DELETE FROM\s.+)", re.S)
LITERALS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
ONLY_SQLITE = ("sqlite_schema",)
NOBODY = 65534


def statements():
    """Literals that are SQL, behind the preprocessor: macros are expanded, neighbouring literals stand together."""
    found = {}
    sources = [f for f in glob.glob(os.path.join(ROOT, "**", "*.c"), recursive=True) if re.match(r"/(core|mail|calendar|contacts|tasks|dav|web)/", f[len(ROOT):]) and "sql_" in open(f).read()]
    for source in sorted(sources):
        text = subprocess.run(["gcc", "-E", "-P", "-D_GNU_SOURCE", "-DKANTOR_VERSION=\"0\"", "-I" + ROOT, "-I" + os.path.join(ROOT, "build", "gen"), source], capture_output=True, text=True).stdout
        for m in LITERALS.finditer(text):
            sql = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', m[0]))
            if STATEMENT.fullmatch(sql) and not any(word in sql for word in ONLY_SQLITE):
                found.setdefault(sql, os.path.relpath(source, ROOT))
    return found


@pytest.fixture(scope="module")
def cluster():
    """A private cluster: socket in a folder of its own, no port, gone afterwards. PostgreSQL refuses root, so it runs as nobody."""
    if not BIN:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql-15)")
    folder = tempfile.mkdtemp(prefix="kantor-pg-")
    as_nobody = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"] if os.geteuid() == 0 else []
    if as_nobody:
        os.chown(folder, NOBODY, NOBODY)
    data = os.path.join(folder, "data")
    quiet = {"check": True, "capture_output": True, "cwd": folder, "timeout": 120}
    try:
        subprocess.run(as_nobody + [BIN + "/initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--locale=C", "-U", "kantor", "--no-sync"], **quiet)
        subprocess.run(as_nobody + [BIN + "/pg_ctl", "-D", data, "-w", "-s", "-l", folder + "/log", "-o", "-k %s -c listen_addresses='' -c fsync=off" % folder, "start"], **{**quiet, "capture_output": False, "stdout": subprocess.DEVNULL})
        yield folder
    finally:
        subprocess.run(as_nobody + [BIN + "/pg_ctl", "-D", data, "-m", "immediate", "-s", "stop"], cwd=folder, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def psql(cluster, script):
    done = subprocess.run([BIN + "/psql", "-h", cluster, "-U", "kantor", "-d", "postgres", "-X", "-q"], input=script, capture_output=True, text=True, cwd=cluster, timeout=120)
    return done.stderr


def test_the_schema_and_every_statement_are_understood_by_postgresql(cluster):
    for step in sorted(glob.glob(os.path.join(ROOT, "core", "store", "schema", "*.sql"))):
        assert psql(cluster, open(step).read()) == ""
    found = statements()
    assert len(found) > 100  # the collecting works
    script, names = [], {}
    for n, sql in enumerate(found):
        count = max((int(p) for p in re.findall(r"\$(\d+)", sql)), default=0)
        names["s%d" % n] = sql
        # as a driver would: untyped first; where that leaves a parameter open, as numbers, which is what they are
        script.append("PREPARE s%d AS %s;\nPREPARE t%d %sAS %s;" % (n, sql, n, "(%s) " % ", ".join(["bigint"] * count) if count else "", sql))
    script.append("SELECT 'PREPARED ' || string_agg(name, ' ') FROM pg_prepared_statements;")
    done = subprocess.run([BIN + "/psql", "-h", cluster, "-U", "kantor", "-d", "postgres", "-X", "-q", "-t"], input="\n".join(script), capture_output=True, text=True, cwd=cluster, timeout=120)
    prepared = set(done.stdout.split())
    refused = {names[s]: found[names[s]] for s in names if s not in prepared and "t" + s[1:] not in prepared}
    assert not refused, "\n".join("%s: %s" % (file, sql) for sql, file in refused.items()) + "\n" + done.stderr[-3000:]
