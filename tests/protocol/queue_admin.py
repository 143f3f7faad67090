"""The queue for administrators: what waits and why, hold, release, retry, bounce, delete, export, summary (issue 3, item 1)."""
import email
import email.policy
import json

import pytest

from kantor.messages import message


def rows(server, *words):
    return json.loads(server.ctl("queue", *words, "--json"))


def send(server, to, name="budi", options="", rcpt="", **more):
    """From a person of ours to somebody elsewhere; the number of the message in the queue."""
    address = name + "@kantor.example"
    c = server.submission(name)
    c.cmd("MAIL FROM:<%s>%s" % (address, options and " " + options), 250)
    for one in [to] if isinstance(to, str) else to:
        c.cmd("RCPT TO:<%s>%s" % (one, rcpt and " " + rcpt), 250)
    assert c.data(message(sender=address, **more)).code == 250
    return str(max(r["id"] for r in rows(server, "list")))


def newest(server, name):
    """The newest message of an INBOX as Python reads it; None when there is none."""
    with server.pop3(name) as c:
        count = int(c.ok("STAT").split()[0])
        if not count:
            return None
        c.ok("RETR %d" % count)
        lines = c.lines()
        return email.message_from_bytes(lines if isinstance(lines, bytes) else b"\r\n".join(lines) + b"\r\n", policy=email.policy.default)


def test_the_list_is_filtered_by_sender_recipient_domain_and_state(fresh):
    a, b = send(fresh, ["x@one.example", "y@two.example"]), send(fresh, "x@one.example", "sari")
    everything = rows(fresh, "list")
    assert [(str(r["id"]), r["to"], r["state"]) for r in everything] == [(a, "x@one.example", "waiting"), (a, "y@two.example", "waiting"), (b, "x@one.example", "waiting")]
    assert all(r["next_try"] and r["since"] for r in everything)
    for words, wanted in ((("--sender", "SARI@kantor.example"), [b]), (("--recipient", "y@two.example"), [a]), (("--domain", "one.example"), [a, b]), (("--state", "held"), []), (("--limit", "1"), [a, a])):
        assert [str(r["id"]) for r in rows(fresh, "list", *words)] == wanted, words
    assert "there are more" in fresh.ctl("queue", "list", "--limit", "1")
    for words in (("--state", "lost"), ("--limit", "0"), ("--limit", "many")):
        fresh.ctl("queue", "list", *words, check=False)
        assert fresh.ctl_status != 0


def test_what_is_held_stays_until_it_is_released_by_number_domain_or_all(fresh):
    a = send(fresh, ["x@one.example", "y@two.example"])
    send(fresh, "z@two.example")
    state = lambda: [r["state"][0] for r in rows(fresh, "list")]
    for words, wanted in ((("hold", a), "hhw"), (("release", a), "www"), (("hold", "two.example"), "whh"), (("release", "TWO.example"), "www"), (("hold", "all"), "hhh"), (("release", "all"), "www")):
        fresh.ctl("queue", *words)
        assert "".join(state()) == wanted, words
    fresh.ctl("queue", "hold", "999", check=False)
    assert fresh.ctl_status != 0
    told = fresh.ctl("trace", "--sender", "budi@kantor.example", "--since", "1h")
    assert "held" in told and "released" in told


def test_the_summary_counts_by_domain(fresh):
    send(fresh, ["x@one.example", "y@two.example", "z@two.example"])
    fresh.ctl("queue", "hold", "one.example")
    assert [(r["domain"], r["waiting"], r["held"]) for r in rows(fresh, "summary")] == [("two.example", 2, 0), ("one.example", 0, 1)]
    assert "2 domains, 2 recipients waiting, 1 held" in fresh.ctl("queue", "summary")


def test_a_message_of_the_queue_is_exported_as_it_is(fresh):
    number = send(fresh, "x@one.example", subject="out it comes")
    text = fresh.ctl("queue", "export", number)
    assert "Subject: out it comes" in text and "Received: " in text
    fresh.ctl("queue", "export", "999", check=False)
    assert fresh.ctl_status != 0


def test_a_bounce_gives_up_at_once_and_python_reads_the_report(fresh):
    number = send(fresh, ["x@one.example", "y@two.example"], options="RET=HDRS ENVID=QQ314", rcpt="ORCPT=rfc822;first+2Bname@else.where", subject="Halo")
    fresh.ctl("queue", "bounce", number)
    assert rows(fresh, "list") == []
    m = newest(fresh, "budi")
    assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status" and not m.defects
    assert m["Return-Path"] == "<>" and m["Auto-Submitted"] == "auto-replied" and m["Subject"] == "Not delivered: Halo" and m["From"].addresses[0].addr_spec == "postmaster@kantor.example"
    text, status, head = m.iter_parts()
    assert "took your message back" in text.get_content() and "x@one.example" in text.get_content()
    about, *each = status.get_payload()
    assert about["Original-Envelope-Id"] == "QQ314" and about["Reporting-MTA"].startswith("dns; ")
    assert [(b["Final-Recipient"], b["Original-Recipient"], b["Action"], b["Status"]) for b in each] == [
        ("rfc822; %s" % to, "rfc822; first+name@else.where", "failed", "5.0.0") for to in ("x@one.example", "y@two.example")]
    assert head.get_content_type() == "text/rfc822-headers" and "Subject: Halo" in head.get_content()
    fresh.ctl("queue", "bounce", number, check=False)
    assert fresh.ctl_status != 0


def test_one_domain_is_given_up_and_the_rest_of_each_message_waits_on(fresh):
    send(fresh, ["x@one.example", "y@two.example"])
    send(fresh, "z@one.example", rcpt="NOTIFY=NEVER")
    assert "2 messages given up" in fresh.ctl("queue", "bounce", "one.example")
    assert [r["to"] for r in rows(fresh, "list")] == ["y@two.example"]
    each = list(newest(fresh, "budi").iter_parts())[1].get_payload()[1:]
    assert [b["Final-Recipient"] for b in each] == ["rfc822; x@one.example"]


def test_no_report_goes_to_a_sender_who_may_be_forged(fresh):
    fresh.ctl("alias", "add", "away@kantor.example", "friend@one.example")
    fresh.smtp().deliver("victim@forged.example", "away@kantor.example", message())
    (row,) = [r for r in rows(fresh, "list") if r["to"] == "friend@one.example"]
    fresh.ctl("queue", "bounce", str(row["id"]))
    assert rows(fresh, "list") == []


@pytest.mark.parametrize("words", [("hold", "no domain"), ("release", ""), ("bounce", "a@b@c")])
def test_an_order_about_nothing_says_what_to_write(fresh, words):
    said = fresh.ctl("queue", *words, check=False)
    assert fresh.ctl_status != 0 and "Traceback" not in said
