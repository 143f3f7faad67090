"""kantor.conf: every bad file stops the start with file, line and what to write; the sample and the manual pages are whole."""
import re
import subprocess

import pytest

from kantor.server import KANTORCTL, KANTORD

BAD = [
    ("log.level = loud", 1, 'log.level cannot be "loud"; write one of error|warn|info|debug'),
    ("# fine\n\nlog.levle = info", 3, 'there is no option "log.levle"; did you mean log.level?'),
    ("max_message_size = 10M", 1, "did you mean mail.max_message_size?"),
    ("mail.max_message_size = ten", 1, "write a size from 1024 to 2147483647 bytes, like 50M"),
    ("mail.max_message_size = 5T", 1, "write a size"),
    ("mail.max_message_size = 99999999999999999999", 1, "write a size"),
    ("mail.max_message_size = -1", 1, "write a size"),
    ("threads.workers = 2", 1, "write a number from 4 to 256"),
    ("threads.workers = 32 # many", 1, "write a number from 4 to 256"),
    ("timeout.login = 60", 1, "like 30s, 10m, 2h or 1d"),
    ("timeout.login = 60 s", 1, "like 30s, 10m, 2h or 1d"),
    ("timeout.login =", 1, "like 30s, 10m, 2h or 1d"),
    ("store.retention = 30days", 1, "like 30s, 10m, 2h or 1d"),
    ("hostname kantor.example", 1, "there is no '='; write `name = value`"),
    ("[mail]\nlog.level = info", 1, "there is no '='"),
    ("log.level = info\nlog.level = warn", 2, "log.level stands in the file twice; remove one of the lines"),
    ("= 5", 1, "there is no option"),
    ("LOG.LEVEL = info", 1, "did you mean log.level?"),
    ("threads.readers = 32\nthreads.workers = 8", None, "threads.readers (32) is larger than threads.workers (8)"),
    ("timeout.imap = 5m", None, "write 30m or more"),
]


def check(path, *more):
    return subprocess.run([KANTORD, "--config", str(path), *more], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("text,line,says", BAD, ids=[b[0].replace("\n", "|")[:40] for b in BAD])
def test_a_bad_file_is_refused_with_its_line_and_what_to_write(tmp_path, text, line, says):
    conf = tmp_path / "kantor.conf"
    conf.write_text(text + "\n")
    for more in ((), ("--check-config",)):
        out = check(conf, *more)
        assert out.returncode == 1
        assert ("%s:%d: " % (conf, line) if line else "%s: " % conf) in out.stderr and says in out.stderr, out.stderr
    assert says in subprocess.run([KANTORCTL, "--config", str(conf), "account", "list"], capture_output=True, text=True, timeout=30).stderr


def test_a_service_that_does_not_exist_is_refused_and_the_others_are_named(tmp_path):
    conf = tmp_path / "kantor.conf"
    conf.write_text("data_dir = data\nprocess.user =\nlisten.services = smtp, imapz\n")
    out = check(conf)
    assert out.returncode == 1 and 'there is no service "imapz"; write some of smtp, submission' in out.stderr


def test_all_wrong_lines_are_told_at_once(tmp_path):
    conf = tmp_path / "kantor.conf"
    conf.write_text("a = 1\nlog.level = info\nb = 2\n")
    assert re.findall(r":(\d): there is no option", check(conf).stderr) == ["1", "3"]


def test_a_file_that_cannot_be_one_is_refused(tmp_path):
    assert "cannot be read" in check(tmp_path / "none").stderr and "--print-sample" in check(tmp_path / "none").stderr
    assert "cannot be read" in check(tmp_path).stderr
    large = tmp_path / "large"
    large.write_bytes(b"#" * 2000000)
    assert "larger than 1 MB" in check(large).stderr


def test_windows_line_ends_a_byte_order_mark_and_blanks_are_no_trouble(tmp_path):
    conf = tmp_path / "kantor.conf"
    conf.write_bytes(b"\xef\xbb\xbf  log.level=warn\r\n\r\n\t# x\r\ndata_dir = data\r\n")
    assert check(conf, "--check-config").returncode == 0


def test_the_sample_tells_of_every_option_what_it_does_its_range_and_its_default():
    sample = subprocess.run([KANTORD, "--print-sample"], capture_output=True, text=True, check=True).stdout
    blocks = [b for b in sample.split("\n\n") if re.search(r"^#[a-z_.]+ =", b, re.M)]
    assert len(blocks) > 25
    for block in blocks:
        sentence, kind, line = block.strip().split("\n")
        assert re.match(r"# [A-Z].*\.", sentence), block
        assert re.match(r"# (A (text|path|list, parted by commas|number from .+ to .+|size from .+ to .+|time from .+ to .+)|One of .+); default .+\.$", kind), block
        assert re.match(r"#[a-z_.]+ =", line), block


@pytest.mark.parametrize("page", ["kantord.8", "kantorctl.1", "kantor.conf.5"])
def test_a_manual_page_has_no_warning_and_names_everything(tmp_path, page):
    text = subprocess.run([KANTORD, "--print-man", page], capture_output=True, text=True, check=True).stdout
    (tmp_path / page).write_text(text)
    try:
        out = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(tmp_path / page)], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("man is not installed")
    assert out.returncode == 0 and out.stderr == ""
    if page == "kantor.conf.5":
        names = re.findall(r"^#([a-z_.]+) =", subprocess.run([KANTORD, "--print-sample"], capture_output=True, text=True).stdout, re.M)
    elif page == "kantord.8":
        names = [n.replace("-", "\\-") for n in re.findall(r"^  (--[a-z-]+)", subprocess.run([KANTORD, "--help"], capture_output=True, text=True).stdout, re.M)]
    else:
        names = [n.replace("-", "\\-") for n in re.findall(r"^  ([a-z][a-z-]+(?: [a-z-]+)?)  ", subprocess.run([KANTORCTL, "--help"], capture_output=True, text=True).stdout, re.M)]
    assert len(names) > 5 and [n for n in names if n not in text] == []


def test_both_programs_say_their_version_and_refuse_what_they_do_not_know():
    for program, name in ((KANTORD, "kantord"), (KANTORCTL, "kantorctl")):
        assert re.match(name + r" \d", subprocess.run([program, "--version"], capture_output=True, text=True).stdout)
        assert subprocess.run([program, "--help"], capture_output=True, text=True).stdout.startswith("Usage: " + name)
    assert subprocess.run([KANTORD, "--nonsense"], capture_output=True).returncode == 2
    assert subprocess.run([KANTORD, "--print-man", "x"], capture_output=True).returncode == 2
