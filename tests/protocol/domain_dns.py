"""Keys of domains and the records to publish (issue 3, point 4): `kantorctl domain dkim`, `kantorctl domain dns [--check]`."""
import json
import os
import re
import subprocess

import pytest

NAME = "perusahaan.example"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """A server of this file's own, whose DNS is a file that tests write."""
    from kantor import Server
    s = Server()
    s.ctl("domain", "add", NAME)
    yield s
    s.stop()
    s.remove()


def keys(server, domain=NAME):
    return json.loads(server.ctl("domain", "dkim", "list", domain, "--json"))


def states(server, domain=NAME):
    return [(k["algorithm"], k["state"]) for k in keys(server, domain)]


def records(server, domain=NAME):
    return json.loads(server.ctl("domain", "dns", domain, "--json"))


def publish(server, rows):
    """The file that is the DNS: these records, and the server's address with its name."""
    lines = ["%(name)s %(type)s %(data)s" % row for row in rows] + ["kantor.example A 127.0.0.1", "1.0.0.127.in-addr.arpa PTR kantor.example."]
    path = os.path.join(server.folder, "dns.table")
    with open(path + ".new", "w") as f:
        f.write("\n".join(lines) + "\n")
    os.rename(path + ".new", path)


def check(server, domain=NAME):
    return {(row["type"], row["name"]): row for row in json.loads(server.ctl("domain", "dns", domain, "--check", "--json"))}


def test_a_new_domain_has_two_keys_that_do_not_sign_before_they_are_published(office):
    assert states(office) == [("rsa", "made"), ("ed25519", "made")]
    assert all(re.fullmatch(r"[re]\d{8}", k["selector"]) for k in keys(office))


def test_an_alias_of_a_domain_has_keys_of_its_own(office):
    office.ctl("domain", "alias", "nama-lain.example", NAME)
    assert states(office, "nama-lain.example") == [("rsa", "made"), ("ed25519", "made")]
    assert {k["record"] for k in keys(office, "nama-lain.example")}.isdisjoint(k["record"] for k in keys(office))
    office.ctl("domain", "remove", "nama-lain.example")


def test_private_keys_are_told_to_nobody(office):
    for words in (["domain", "dkim", "list", NAME, "--json"], ["domain", "dkim", "list", NAME], ["domain", "dns", NAME], ["domain", "list", "--json"]):
        assert "PRIVATE" not in office.ctl(*words)
    assert "PRIVATE" not in office.log() and "MIIE" not in office.log()
    database = os.path.join(office.folder, "data", "kantor.db")
    assert os.stat(database).st_mode & 0o077 == 0


def test_the_zone_file_is_one_for_a_real_parser(office, tmp_path):
    zone = tmp_path / "zone"
    zone.write_text("$TTL 3600\n@ IN SOA ns.%s. x.%s. 1 2 3 4 5\n@ IN NS ns.elsewhere.example.\n" % (NAME, NAME) + office.ctl("domain", "dns", NAME))
    done = subprocess.run(["/usr/bin/named-checkzone", "-i", "none", "-D", NAME, str(zone)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done
    read = [line for line in done.stdout.splitlines() if line.startswith("r2") or "_domainkey" in line]
    for key in keys(office):
        line = next(line for line in read if line.startswith(key["selector"] + "."))
        strings = re.findall(r'"([^"]*)"', line)
        assert "".join(strings) == key["record"].replace(";", "\\;") or "".join(strings) == key["record"]
        assert all(len(s) <= 255 for s in strings)


def test_what_is_published_as_printed_is_fine_and_then_the_keys_sign(office):
    publish(office, records(office))
    assert {row["state"] for row in check(office).values()} == {"fine"}
    assert states(office) == [("rsa", "active"), ("ed25519", "active")]


def test_keys_rotate_by_one_command_and_the_old_records_stay(office):
    office.ctl("domain", "dkim", "rotate", NAME)
    assert states(office) == [("rsa", "active"), ("ed25519", "active"), ("rsa", "made"), ("ed25519", "made")]
    office.ctl("domain", "dkim", "rotate", NAME, check=False)
    assert office.ctl_status != 0 and "wait already" in office.ctl_errors
    office.ctl("domain", "dkim", "activate", NAME, check=False)
    assert office.ctl_status != 0 and "does not show" in office.ctl_errors
    half = [row for row in records(office) if not row["name"].startswith(keys(office)[3]["selector"])]
    publish(office, half)  # one of the new two: both or none
    assert check(office)[("TXT", "%s._domainkey.%s" % (keys(office)[3]["selector"], NAME))]["state"] == "missing"
    assert states(office) == [("rsa", "active"), ("ed25519", "active"), ("rsa", "published"), ("ed25519", "made")]
    publish(office, records(office))
    office.ctl("domain", "dkim", "activate", NAME)
    assert states(office) == [("rsa", "retired"), ("ed25519", "retired"), ("rsa", "active"), ("ed25519", "active")]
    assert sum("_domainkey" in row["name"] for row in records(office)) == 4


def test_a_key_that_signs_is_not_deleted_and_a_retired_one_is(office):
    old, new = keys(office)[0], keys(office)[-1]
    office.ctl("domain", "dkim", "delete", NAME, new["selector"], check=False)
    assert office.ctl_status != 0 and "signs" in office.ctl_errors
    office.ctl("domain", "dkim", "delete", NAME, old["selector"])
    assert old["selector"] not in {k["selector"] for k in keys(office)}


WRONG = [
    ("MX", "", "10 elsewhere.example."),
    ("TXT", "", '"v=spf1 +all"'),
    ("TXT", "", '"v=spf1 -all"'),
    ("TXT", "_dmarc.", '"v=DMARC1; rua=mailto:x@y.example"'),
    ("TXT", "_dmarc.", '"v=DMARC1; p=block"'),
    ("TXT", "_mta-sts.", '"v=STSv1"'),
    ("SRV", "_imaps._tcp.", "0 1 993 elsewhere.example."),
    ("SRV", "_imaps._tcp.", "0 1 1 kantor.example."),
    ("CNAME", "autoconfig.", "elsewhere.example."),
]


@pytest.mark.parametrize("kind,below,data", WRONG)
def test_what_is_wrong_is_told_with_what_is_there_and_what_to_write(office, kind, below, data):
    right = records(office)
    name = below + NAME
    publish(office, [dict(row, data=data) if (row["type"], row["name"]) == (kind, name) else row for row in right])
    row = check(office)[(kind, name)]
    assert row["state"] == "wrong" and row["advice"], row
    assert row["found"] in data or data.strip('"') in row["found"] or data.rstrip(".") in row["found"], row
    assert row["write"] == next(r["data"] for r in right if (r["type"], r["name"]) == (kind, name))


def test_two_spf_records_are_wrong_and_another_text_beside_it_is_not(office):
    right = records(office)
    publish(office, right + [{"name": NAME, "type": "TXT", "data": '"v=spf1 include:x.example -all"'}])
    assert check(office)[("TXT", NAME)]["state"] == "wrong"
    publish(office, right + [{"name": NAME, "type": "TXT", "data": '"some-site-verification=abc"'}])
    assert check(office)[("TXT", NAME)]["state"] == "fine"


def test_a_key_that_was_cut_is_wrong_and_one_with_other_blanks_is_fine(office):
    right = records(office)
    at = next(i for i, row in enumerate(right) if row["name"].startswith(keys(office)[-2]["selector"]))
    strings = re.findall(r'"([^"]*)"', right[at]["data"])
    publish(office, right[:at] + [dict(right[at], data='"%s"' % strings[0])] + right[at + 1:])
    assert check(office)[("TXT", right[at]["name"])]["state"] == "wrong"
    publish(office, right[:at] + [dict(right[at], data=" ".join('"%s"' % s.replace("; ", ";") for s in strings))] + right[at + 1:])
    assert check(office)[("TXT", right[at]["name"])]["state"] == "fine"


def test_a_name_of_the_servers_address_that_is_another_is_told(office):
    right = records(office)
    publish(office, right)
    assert check(office)[("PTR", "1.0.0.127.in-addr.arpa")]["state"] == "fine"
    path = os.path.join(office.folder, "dns.table")
    with open(path) as f:
        text = f.read().replace("PTR kantor.example.", "PTR dsl-1.elsewhere.example.")
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)
    assert check(office)[("PTR", "1.0.0.127.in-addr.arpa")]["state"] == "wrong"


def test_no_answer_from_the_dns_is_not_called_missing(office):
    publish(office, [dict(row, data="!servfail") if row["type"] == "MX" else row for row in records(office)])
    assert check(office)[("MX", NAME)]["state"] == "unknown"


def test_keys_are_made_behind_the_start_for_domains_that_have_none(fresh):
    from kantor.wait import until
    until(lambda: len(keys(fresh, "kantor.example")) == 2 and len(keys(fresh, "cabang.example")) == 2, "keys of both domains")
    assert states(fresh, "kantor.example") == [("rsa", "active"), ("ed25519", "active")]  # the demonstration's sign at once
