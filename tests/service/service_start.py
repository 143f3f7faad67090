"""What kantord is after its start: rights, sandbox, ports, systemd's protocols, sentences when it cannot start."""
import os
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from kantor.service import Service, wait_for
from kantor.server import KANTORD, PORTS, Server, free_base

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def filtered(s):
    return " info sandbox which=calls" in s.log()


@as_root
def test_a_server_started_as_root_runs_as_its_user_without_capabilities_or_new_privileges():
    with Service() as s:
        status = s.process_status()
        assert status["Uid"].split() == ["65534"] * 4
        assert {status[k] for k in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert os.stat(os.path.join(s.folder, "data")).st_uid == 65534
        s.stop()


def test_every_thread_of_the_server_is_behind_the_filter_of_system_calls():
    with Service({"process.user": ""}) as s:
        if not filtered(s):
            assert "no-sandbox which=calls" in s.log()
            pytest.skip("this kernel or build has no filter; the log says so")
        tasks = "/proc/%d/task" % s.process.pid
        states = {open(os.path.join(tasks, t, "status")).read().split("Seccomp:\t")[1][0] for t in os.listdir(tasks)}
        assert states == {"2"}


def test_files_outside_the_named_folders_do_not_exist_for_the_server(tmp_path):
    with Service({"process.user": ""}) as s:
        s.add_people("budi")
        outside = tmp_path / "mail.mbox"
        outside.write_bytes(b"From x Mon Jan  1 00:00:00 2024\nSubject: a\n\nb\n")
        if "no-sandbox which=files" not in s.log():
            assert s.ctl("backup", tmp_path / "b", check=False) == ""
        s.ctl("import", "mbox", "budi@kantor.example", outside)  # kantorctl opens it, not the server
        assert s.imap("budi", "INBOX").exists == 1
        s.stop()


def test_a_folder_named_in_the_configuration_takes_a_backup(tmp_path):
    with Service({"process.user": "", "sandbox.folders": str(tmp_path)}) as s:
        s.ctl("backup", tmp_path / "b")
        assert (tmp_path / "b").is_dir()
        s.stop()


def test_systemd_hears_ready_watchdog_reload_and_stop(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = str(tmp_path / "notify")
        notify.bind(path)
        notify.settimeout(30)
        with Service({"process.user": ""}, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}) as s:
            assert notify.recv(4096) == b"READY=1"
            assert notify.recv(4096) == b"WATCHDOG=1"
            s.reload()
            heard = []
            while not heard or heard[-1] != b"READY=1":
                heard.append(notify.recv(4096))
            assert any(re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", h) for h in heard), heard
            s.stop()
            notify.setblocking(False)
            rest = []
            try:
                while True:
                    rest.append(notify.recv(4096))
            except BlockingIOError:
                pass
            assert b"STOPPING=1" in rest


def start_with_sockets(names, sockets, options, base):
    """Passes sockets from descriptor 3 on, as systemd does."""
    s = Service(dict(options, **{"process.user": ""}), start=False, base=base)
    fds = [x.fileno() for x in sockets]
    script = "import fcntl,os,sys\nfds=%r\nkeep=[fcntl.fcntl(f,fcntl.F_DUPFD,50) for f in fds]\nfor i,f in enumerate(keep): os.dup2(f,3+i,True)\n" \
             "os.environ.update(LISTEN_PID=str(os.getpid()),LISTEN_FDS=str(len(fds)),%s)\nos.execv(sys.argv[1],sys.argv[1:])\n" % (
                 fds, "LISTEN_FDNAMES=%r" % names if names else "")
    s.prefix = ["/usr/bin/python3", "-c", script]
    s.pass_fds = fds
    return s.start()


@pytest.mark.parametrize("names", ["imap:other", None], ids=["by_name", "by_port"])
def test_a_socket_that_systemd_bound_is_served_by_its_service(names):
    base = free_base()
    with socket.socket() as imap, socket.socket() as other:
        for x, port in ((imap, base + 143), (other, base + 9999)):
            x.bind(("127.0.0.1", port))
            x.listen(16)
        with start_with_sockets(names, [imap, other], {"listen.services": "imap,pop3"}, base) as s:
            with socket.create_connection(("127.0.0.1", base + 143), 20) as c, s.pop3():
                assert c.recv(4096).startswith(b"* OK")
            s.stop()


def output_of(command, seconds=30):
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    return done.returncode, done.stdout + done.stderr


def test_a_taken_port_gives_one_sentence_with_the_way_out(tmp_path):
    base = free_base()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 25))
        taken.listen(1)
        status, text = output_of([KANTORD, "--demo", str(tmp_path / "d"), "--port-base", str(base)])
    lines = [l for l in text.splitlines() if l.startswith("kantord:")]
    assert status == 1 and len(lines) == 1
    assert "port %d (smtp) on 127.0.0.1 is in use" % (base + 25) in lines[0] and "--port-base" in lines[0] and "ss -ltnp" in lines[0]


def test_a_missing_user_gives_one_sentence_with_the_way_out():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with Service({"process.user": "no-such-user"}, start=False) as s:
        status, text = output_of(s.command())
        assert status == 1 and "there is no user no-such-user" in text and "useradd" in text


def test_a_second_start_of_the_demo_finds_its_data(tmp_path):
    s = Server(str(tmp_path / "demo"))
    with s.imap("sari") as c:
        c.append("INBOX", b"Subject: kept\r\n\r\nx\r\n")
    s.stop()
    s.start()
    with s.imap("sari", "INBOX") as c:
        assert c.exists == 1
    s.stop()


def test_the_control_socket_works_in_a_folder_deeper_than_its_address():
    top = tempfile.mkdtemp(prefix="kantor-")
    folder = os.path.join(top, *["a-rather-long-name-of-a-folder"] * 6)
    os.makedirs(folder)
    assert len(folder) > 108
    s = Server(folder)
    assert "budi@kantor.example" in s.ctl("account", "list")
    s.stop()
    shutil.rmtree(top)


@as_root
def test_a_machine_without_ipv6_starts_and_says_so(tmp_path):
    """In a network namespace of its own whose loopback has no ::1."""
    script = "ip link set lo up && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1 && exec %s --demo %s --port-base 10000" % (KANTORD, tmp_path / "d")
    p = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE, stderr=open(tmp_path / "log", "wb"), text=True)
    try:
        printed = []
        for line in p.stdout:
            printed.append(line)
            if line == "ready\n":
                break
        log = (tmp_path / "log").read_text()
        assert printed and printed[-1] == "ready\n", log
        assert "address-skipped" in log and "no address ::1" in log
    finally:
        p.terminate()
        assert p.wait(30) == 0
        p.stdout.close()


def test_few_descriptors_are_said_with_the_setting_to_change():
    with Service({"process.user": "", "limit.connections": 3000}, start=False, prefix=["sh", "-c", "ulimit -n 500; exec setpriv --bounding-set -sys_resource \"$@\"", "sh"]
                    if os.geteuid() == 0 else ["sh", "-c", "ulimit -n 500; exec \"$@\"", "sh"]) as s:
        s.start()
        assert "few-descriptors open-files=500 limit.connections=3000" in s.log() and "LimitNOFILE=" in s.log()
        s.stop()


def may_raise_limits():
    with open("/proc/self/status") as f:
        return int(f.read().split("CapEff:\t")[1].split()[0], 16) >> 24 & 1


@pytest.mark.skipif(not may_raise_limits(), reason="needs CAP_SYS_RESOURCE")
def test_root_raises_the_limit_of_descriptors_itself():
    with Service({"limit.connections": 3000}, start=False, prefix=["sh", "-c", "ulimit -n 500; exec \"$@\"", "sh"]) as s:
        s.start()
        with open("/proc/%d/limits" % s.process.pid) as f:
            assert int(re.search(r"Max open files\s+(\d+)", f.read())[1]) >= 4000
        s.stop()
