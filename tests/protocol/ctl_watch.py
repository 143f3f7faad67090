"""Seeing it work: /metrics in the exact format, /healthz with a reason, kantorctl top, and a message followed through the log."""
import json
import os
import re
import subprocess
import time

import pytest

from kantor import Server, message
from kantor.disk import SmallDisk
from kantor.server import KANTORCTL

STRANGER = "a@stranger.example"


def parse(text):
    """Prometheus' text format 0.0.4, strictly: (types, samples); every name has HELP and TYPE once, before its lines, and its lines stand together."""
    types, helps, samples, seen, current = {}, {}, {}, [], None
    for line in text.split("\n")[:-1]:
        m = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
        if m:
            where = helps if m[1] == "HELP" else types
            assert m[2] not in where, "%s twice" % line
            where[m[2]] = m[3]
            if m[1] == "TYPE":
                assert m[3] in ("counter", "gauge", "histogram") and m[2] in helps, line
                current = m[2]
                seen.append(current)
            continue
        m = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|[+-]Inf|NaN)', line)
        assert m, "no line of the format: %r" % line
        base = re.sub(r"_(bucket|sum|count)$", "", m[1]) if types.get(current) == "histogram" else m[1]
        assert base == current, "%r stands below %s" % (line, current)
        key = m[1] + ("{%s}" % m[2] if m[2] else "")
        assert key not in samples, "%s twice" % key
        samples[key] = float(m[3])
    assert text.endswith("\n") and len(seen) == len(set(seen)) and set(helps) == set(types)
    return types, samples


def metrics(server):
    status, text = server.http("/metrics")
    assert status == 200
    return parse(text)


def test_metrics_are_in_the_format_with_help_type_and_true_histograms(server, person):
    server.lmtp().deliver(STRANGER, person, message())
    types, samples = metrics(server)
    assert types["kantor_store_commit_seconds"] == types["kantor_mail_delivery_seconds"] == "histogram"
    assert types["kantor_connections"] == "gauge" and types["kantor_logins_total"] == "counter"
    for name in (n for n, t in types.items() if t == "histogram"):
        buckets = [(float(re.search(r'le="([^"]+)"', k)[1]), v) for k, v in samples.items() if k.startswith(name + "_bucket")]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), name
        assert [v for _, v in buckets] == sorted(v for _, v in buckets), name
        assert buckets[-1][1] == samples[name + "_count"], name
        assert samples[name + "_sum"] > 0 or samples[name + "_count"] == 0
    for name, t in types.items():
        assert t != "counter" or name.endswith("_total"), name


def test_counters_and_gauges_follow_what_happens(server, person):
    _, before = metrics(server)
    with server.imap(person, select="INBOX") as c:
        server.lmtp().deliver(STRANGER, person, message())
        c.ok("NOOP")
        _, after = metrics(server)
        assert after['kantor_connections{service="imap"}'] >= 1
    for name, least in (("kantor_mail_received_total", 1), ("kantor_mail_delivered_total", 1), ("kantor_mail_delivery_seconds_count", 1), ("kantor_store_commit_seconds_count", 1), ('kantor_logins_total{result="ok"}', 1),
                        ('kantor_commands_total{service="imap"}', 3), ('kantor_bytes_total{direction="in"}', 300)):
        assert after[name] - before[name] >= least, name
    assert after["kantor_workers"] == 32 and after["kantor_disk_free_bytes"] > 0


def test_the_queue_is_a_gauge(fresh):
    fresh.submission("budi").deliver("budi@kantor.example", ["a@else.where", "b@else.where"], message())
    assert metrics(fresh)[1]["kantor_queue_recipients"] == 2


def test_the_admin_listener_answers_two_paths_and_two_methods_only(server):
    assert server.http("/healthz") == (200, "ok\n")
    assert server.http("/")[0] == 404 and server.http("/metrics/x")[0] == 404


# --- kantorctl top

def test_top_gives_rates_once_as_json(server, person):
    p = subprocess.Popen([KANTORCTL, "--demo", server.folder, "top", "--once", "--json"], stdout=subprocess.PIPE)
    while p.poll() is None:
        server.lmtp().deliver(STRANGER, person, message())
    top = json.loads(p.communicate()[0])
    assert top["deliveries_per_second"] > 0 and top["messages_in_per_second"] > 0 and top["commit_ms"] > 0 and top["changes_per_commit"] >= 1
    assert top["workers"] == 32 and "imap" in top["connections"]


def test_top_shows_a_table_to_people(server):
    out = server.ctl("top", "--once")
    for word in ("logins/s", "SMTP messages in/s", "copies delivered/s", "IMAP commands/s", "commit, mean ms", "workers busy", "queue, recipients", "connections: smtp"):
        assert word in out


def test_top_is_a_live_screen_that_q_ends(server):
    name = "kantor-top-%d" % server.base
    tmux = ["tmux", "-L", name]
    try:
        subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "120", "-y", "30", "%s --demo %s top; echo ended with $?; exec cat" % (KANTORCTL, server.folder)], check=True)
    except FileNotFoundError:
        pytest.skip("tmux is not installed")

    def screen(wanted):
        deadline = time.monotonic() + 60
        while True:
            text = subprocess.run([*tmux, "capture-pane", "-p", "-t", "t"], capture_output=True, text=True).stdout
            if re.search(wanted, text):
                return text
            assert time.monotonic() < deadline, text

    try:
        first = re.search(r"up (\d+) s", screen(r"kantor, up \d+ s\n(.*\n)+q ends"))[1]
        screen(r"up (?!%s )\d+ s" % first)  # it is drawn again, not below itself
        assert screen("q ends").count("kantor, up") == 1
        subprocess.run([*tmux, "send-keys", "-t", "t", "q"], check=True)
        screen("ended with 0")
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True)


# --- where is my message?

def test_a_message_is_followed_from_its_connection_to_each_mailbox_and_uid(fresh):
    c = fresh.submission("budi")
    c.deliver("budi@kantor.example", ["tim@kantor.example", "friend@else.where"], message("follow me", more="X: 1\r\n").replace(b"Message-ID: <", b"Message-ID: <follow-"))
    log = fresh.log()
    received = re.search(r"received id=(\S+) .*message-id=\"?<follow-[^ ]+", log)
    job = received[1]
    connection = job.split(".")[0]
    assert re.search(r"session id=%s service=submissions name=budi@kantor.example peer=127.0.0.1" % connection, log)
    stored = re.findall(r"stored id=%s account=(\S+) mailbox=INBOX uid=(\d+)" % re.escape(job), log)
    assert sorted(a for a, _ in stored) == ["budi@kantor.example", "dewi@kantor.example", "sari@kantor.example"]
    assert re.search(r"queued id=%s recipients=1" % re.escape(job), log)
    assert [q["message"] for q in json.loads(fresh.ctl("queue", "list", "--json"))] == [job]
    with fresh.imap("sari", select="INBOX") as i:
        uid = dict(stored)["sari@kantor.example"]
        assert job.encode() in i.body(int(uid))  # the id stands in the Received field, too


def test_healthz_says_that_the_disk_is_full_and_recovers_by_itself():
    disk = SmallDisk(48 * 1024 * 1024)
    s = Server(folder=os.path.join(disk.path, "demo"), start=False)
    s.log_path = disk.path + ".log"
    try:
        s.start()
        assert s.http("/healthz") == (200, "ok\n")
        disk.fill()
        deadline = time.monotonic() + 60
        while s.http("/healthz")[0] == 200:  # room that the log of the store has already is used up first
            assert time.monotonic() < deadline
        status, text = s.http("/healthz")
        assert status == 503 and text.startswith("the disk is full; make room") and text.count("\n") == 1
        disk.free()
        assert s.http("/healthz") == (200, "ok\n")
    finally:
        s.kill()
        disk.close()
        os.path.exists(s.log_path) and os.unlink(s.log_path)
