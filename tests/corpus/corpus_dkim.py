"""DKIM against the world: python3-dkim verifies what we sign and signs what we verify; the vectors of other projects (../shared/corpus/dkim, when it is there) give the result
that RFC 6376, 8301 and 8463 ask for. Keys are given, nothing asks a network. Our side is build/tests/tool/dkim (`make unit`)."""
import base64
import glob
import os
import re
import subprocess
import time

import pytest
from kantor.server import ROOT

TOOL = os.path.join(ROOT, os.environ.get("BUILD", "build"), "tests", "tool", "dkim")
SHARED = next((d for d in (os.path.join(ROOT, "..", "shared", "corpus", "dkim"), "/work/shared/corpus/dkim") if os.path.isdir(d)), None)
NOW = int(time.time())  # python3-dkim looks at the clock
needs_shared = pytest.mark.skipif(not SHARED, reason="../shared/corpus/dkim is not there")


def tool(*args, message=b""):
    r = subprocess.run([TOOL] + [str(a) for a in args], input=message, capture_output=True, timeout=120)
    assert r.returncode == 0, (args, r)
    return r.stdout


def as_lines(data):
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data)


def verified(message, keys, folder, now=NOW, *more):
    """[(proved, result, whole line)] in the order of the head."""
    path = os.path.join(folder, "keys")
    with open(path, "w") as f:
        f.write("".join("%s %s\n" % k for k in keys))
    lines = tool("verify", now, path, *more, message=message).decode("utf-8", "replace").splitlines()
    return [(line.startswith("proved "), re.search(r" dkim=(\w+)", line)[1], line) for line in lines]


def own_messages():
    for f in sorted(glob.glob(os.path.join(ROOT, "tests", "data", "mail", "*.eml")) + glob.glob(os.path.join(ROOT, "tests", "data", "dkim", "*.eml"))):
        with open(f, "rb") as file:
            if not os.path.basename(f).startswith("rfc"):  # signed already
                yield os.path.basename(f), as_lines(file.read()).replace(b"\0", b"")


def can_be_signed(message):
    """One From field and nothing in the head but fields."""
    head = re.split(rb"(?:^|\r\n)\r\n", message)[0]
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n")
    return all(re.match(rb"[^\s:]+[ \t]*:", line) for line in lines) and sum(line.lower().startswith(b"from:") for line in lines) == 1


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """{kind: (file of the private key, record)}, made by us."""
    out, folder = {}, tmp_path_factory.mktemp("keys")
    for kind in ("rsa", "ed25519"):
        pem, _, record = tool("key", kind).partition(b"v=DKIM1")
        (folder / kind).write_bytes(pem)
        out[kind] = (str(folder / kind), "v=DKIM1" + record.decode().strip())
    return out


def signed(message, keys):
    return tool("sign", NOW, "kantor.example", "r1", keys["rsa"][0], "e1", keys["ed25519"][0], message=message) + message


def published(keys):
    return [("r1._domainkey.kantor.example", keys["rsa"][1]), ("e1._domainkey.kantor.example", keys["ed25519"][1])]


def test_python_verifies_both_of_our_signatures_on_every_message(keys):
    dkim = pytest.importorskip("dkim")
    records = {k + ".": v.encode() for k, v in published(keys)}
    n = 0
    for name, message in own_messages():
        if can_be_signed(message):
            d = dkim.DKIM(signed(message, keys))
            for i in range(2):
                assert d.verify(i, dnsfunc=lambda n, timeout=5: records[n.decode() if isinstance(n, bytes) else n]), (name, i)
            n += 1
    assert n >= 10


def test_we_verify_what_we_signed_and_no_added_field_survives(keys, tmp_path):
    n = 0
    for name, candidate in own_messages():
        if can_be_signed(candidate):
            message = candidate
            got = verified(signed(message, keys), published(keys), tmp_path)
            assert [g[:2] for g in got] == [(True, "pass")] * 2, (name, got)
            n += 1
    assert n >= 10
    for field in (b"From", b"To", b"Cc", b"Subject", b"Date", b"Reply-To", b"Message-ID", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"):
        got = verified(field + b": x@y.example\r\n" + signed(message, keys), published(keys), tmp_path)
        assert [g[:2] for g in got] == [(False, "fail")] * 2, (field, got)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@pytest.mark.parametrize("canon", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"])
def test_we_verify_what_python_signs(keys, tmp_path, kind, canon):
    dkim = pytest.importorskip("dkim")
    with open(keys[kind][0], "rb") as f:
        private = f.read()
    if kind == "ed25519":  # python3-dkim wants the seed alone in base64
        private = private.split(b"\n")[1].strip()
        private = base64.b64encode(base64.b64decode(private)[-32:])
    c = tuple(p.encode() for p in canon.split("/"))
    n = 0
    for name, message in own_messages():
        if can_be_signed(message):
            field = dkim.sign(message, b"s", b"kantor.example", private, canonicalize=c, signature_algorithm=b"rsa-sha256" if kind == "rsa" else b"ed25519-sha256", length=n % 2 == 1)
            for piece in (1, 0):
                got = verified(field + message, [("s._domainkey.kantor.example", keys[kind][1])], tmp_path, NOW, piece)
                assert [g[:2] for g in got] == [(True, "pass")], (name, got)
            n += 1
    assert n >= 10


# --- vectors of others ------------------------------------------------------------------------------------------------------------------------------------

# Mail::DKIM: file → results of its DKIM-Signature fields. Files of DomainKeys (dk) have none. Drafts before RFC 4871 (no v=, or v=0.2 and the like) have no meaning today,
# and g= has none since RFC 6376; the rest is as its name says.
NO_VERSION, OTHER_VERSION = "permerror", "neutral"
MAIL_DKIM = {
    "bad_1": [NO_VERSION], "bad_ietf01_1": [NO_VERSION], "bad_ietf01_2": [NO_VERSION], "bad_ietf01_3": [NO_VERSION],
    "badkey1_ed25519": ["permerror"], "badkey2_ed25519": ["fail"], "badkey3_ed25519": ["fail"], "badkey4_ed25519": ["permerror"], "badkey5_ed25519": ["permerror"],
    "badkey_13": ["pass"], "badkey_15": ["temperror"], "badkey_2": [OTHER_VERSION], "badkey_3": [OTHER_VERSION], "badkey_5": [OTHER_VERSION], "badkey_6": [OTHER_VERSION],
    "badkey_8": ["pass"], "badkey_9": ["pass"],
    "good_83176": ["pass"], "good_ietf00_3": [NO_VERSION], "good_ietf00_4": [NO_VERSION], "good_ietf01_2": [NO_VERSION],
    "good_qp_1": ["pass"], "good_qp_2": ["pass"], "good_qp_3": ["pass"],
    "good_rfc4871_3": ["pass"], "good_rfc4871_4": ["pass"], "goodkey_1": ["pass"], "goodkey_3": ["pass"], "goodkey_4": ["pass"], "goodkey_ed25519": ["pass"],
    "ignore_1": [OTHER_VERSION], "ignore_2": [OTHER_VERSION], "ignore_3": [OTHER_VERSION], "ignore_4": [OTHER_VERSION], "ignore_5": ["neutral"], "ignore_8": ["permerror"],
    "mine_ietf01_1": [NO_VERSION], "mine_ietf01_4": [NO_VERSION], "mine_ietf05_1": [OTHER_VERSION],
    "multiple_1": [NO_VERSION] * 4, "multiple_2": ["permerror", "pass", "fail", "permerror"], "no_body_1": [OTHER_VERSION],
}


def mail_dkim_keys():
    out = []
    with open(os.path.join(SHARED, "mail-dkim", "FAKE_DNS.dat")) as f:
        for line in f:
            name, _, text = line.strip("\n").partition(" ")
            if name and name[0] != "#":
                text = text.strip()
                out.append((name, "FAILED" if text.startswith("~~") else {"NXDOMAIN": "NONE", '""': ""}.get(text, text)))
    return out


@needs_shared
def test_mail_dkim_vectors(tmp_path):
    files = sorted(glob.glob(os.path.join(SHARED, "mail-dkim", "corpus", "*.txt")))
    judged = 0
    for f in files:
        name = os.path.basename(f)[:-4]
        with open(f, "rb") as file:
            message = as_lines(file.read())
        got = verified(message, mail_dkim_keys(), tmp_path, 1200000000, "old")
        assert [g[1] for g in got] == MAIL_DKIM.get(name, []), (name, got)
        assert verified(message, mail_dkim_keys(), tmp_path, 1200000000, "old", 1) == got, name
        for proved, result, line in verified(message, mail_dkim_keys(), tmp_path, 1200000000):  # what today's rules say to SHA-1
            assert "rsa-sha1" not in line or result not in ("pass", "fail"), line
        judged += len(got)
    print("mail-dkim: %d messages, %d signatures" % (len(files), judged))


@needs_shared
def test_mail_auth_vectors(tmp_path):
    n = 0
    for f in sorted(glob.glob(os.path.join(SHARED, "mail-auth", "dkim", "*.txt"))):
        with open(f, "rb") as file:
            records, _, message = as_lines(file.read()).partition(b"\r\n\r\n")
        keys = [tuple(line.split(" ", 1)) for line in records.decode().split("\r\n")]
        got = verified(message, keys, tmp_path, 1667870000)
        assert got and all(g[:2] == (True, "pass") for g in got), (f, got)
        n += len(got)
    print("mail-auth: %d signatures pass" % n)


@needs_shared
def test_mimekit_vectors(tmp_path):
    folder, n = os.path.join(SHARED, "mimekit", "dkim"), 0
    with open(os.path.join(folder, "gmail.pub")) as f:
        key = "k=rsa; p=" + re.sub(r"-----[^-]*-----|\s", "", f.read())
    for f in sorted(glob.glob(os.path.join(folder, "*.msg"))):
        with open(f, "rb") as file:
            got = verified(as_lines(file.read()), [("20120113._domainkey.gmail.com", key)], tmp_path, 1450000000)
        assert [g[:2] for g in got if "header.d=gmail.com" in g[2]] == [(True, "pass")], (f, got)
        n += 1
    print("mimekit: %d signatures pass" % n)


@needs_shared
def test_spamassassin_messages(keys, tmp_path):
    """Their keys are in their DNS, not here: with a wrong key the body's hash is still judged, and of a good message it is right."""
    names = ["t0512", "t0640", "t0768", "t1024a", "t1024c", "t1280", "t1536", "t2048b", "txxxx"]
    wrong = [("%s._domainkey.sa-test.spamassassin.org" % n, keys["rsa"][1]) for n in names]
    count = {}
    for f in sorted(glob.glob(os.path.join(SHARED, "spamassassin-t", "dkim", "*.msg"))):
        with open(f, "rb") as file:
            got = verified(as_lines(file.read()), wrong, tmp_path, 1250000000)
        for proved, result, line in got:
            assert not proved, line
            if "-pass-" in f and "header.s=t" in line and "rsa-sha256" in line:
                assert "does not fit head and key" in line or "of the body" in line, (f, line)
            key = re.search(r'reason="([^"]*)"', line)[1]
            count[key] = count.get(key, 0) + 1
    print("spamassassin: %s" % count)
