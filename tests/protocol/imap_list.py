"""LIST with its extensions, LSUB, NAMESPACE (RFC 9051 6.3.9, RFC 3501, RFC 5258, RFC 5819, RFC 6154, RFC 2342)."""
import pytest

from kantor import message

DEFAULT = {"INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"}


def names(reply, kind="LIST"):
    return [u.value[2] for u in reply.all(kind)]


def attributes(reply, kind="LIST"):
    return {u.value[2]: set(u.value[0]) for u in reply.all(kind)}


def childinfo(reply):
    return {u.value[2]: [bytes(x).decode() for x in u.value[3][1]] for u in reply.all("LIST") if u.value[3]}


@pytest.fixture
def tree(server, person):
    """The tree of RFC 9051 6.3.9.8, example 8, and nothing subscribed but what it says."""
    c = server.imap(person)
    for name in DEFAULT:
        c.ok("UNSUBSCRIBE " + name)
    for name in ("foo2", "foo2/bar1", "foo2/bar2", "baz2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2"):
        c.ok("CREATE " + name)
    for name in ("foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2"):
        c.ok("SUBSCRIBE " + name)
    c.person = person
    return c


@pytest.mark.parametrize("pattern,want", [
    ("foo2", {"foo2"}), ("%", DEFAULT | {"foo2", "baz2", "eps2", "qux2"}), ("foo2/%", {"foo2/bar1", "foo2/bar2"}), ("%/mamba", {"eps2/mamba"}), ("*2", {"foo2", "foo2/bar2", "baz2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "qux2", "qux2/bar2"}),
    ("%2", {"foo2", "baz2", "eps2", "qux2"}), ("f*1", {"foo2/bar1"}), ("%/%", {"foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2/mamba", "qux2/bar2"}), ("%o%/b%1", {"foo2/bar1"}), ("*mam*", {"eps2/mamba"}),
    ("foo2/", set()), ("FOO2", set()), ("inbox", {"INBOX"}), ("InB%", {"INBOX"}), ("*%2%*/*1", {"foo2/bar1"}), ("nothing*", set()), ('"foo2"', {"foo2"}), ("foo2/bar%%%%", {"foo2/bar1", "foo2/bar2"})])
def test_wildcards_match_what_the_rfc_says(tree, pattern, want):
    assert set(names(tree.ok('LIST "" ' + pattern))) == want


def test_the_reference_stands_before_the_pattern(tree):
    assert set(names(tree.ok('LIST foo2/ %'))) == {"foo2/bar1", "foo2/bar2"}
    assert set(names(tree.ok('LIST "eps2" "/*"'))) == {"eps2/mamba"}


def test_an_empty_pattern_asks_for_the_delimiter(tree):
    for command in ('LIST "" ""', 'LIST foo2 ""'):
        (u,) = tree.ok(command).all("LIST")
        assert (u.value[0], u.value[1], u.value[2]) == (["\\Noselect"], b"/", "")


def test_several_patterns_give_each_name_once(tree):
    found = names(tree.ok('LIST "" (foo2 "foo2/%" f*)'))
    assert sorted(found) == ["foo2", "foo2/bar1", "foo2/bar2"]
    assert names(tree.ok('LIST "" ("nothing" "eps2/%")')) == ["eps2/mamba"]


def test_parents_and_leaves_are_told_apart(tree):
    a = attributes(tree.ok('LIST "" *'))
    assert "\\HasChildren" in a["foo2"] and "\\HasNoChildren" in a["foo2/bar1"] and "\\HasNoChildren" in a["INBOX"]
    tree.ok("CREATE INBOX/below")
    assert "\\HasChildren" in attributes(tree.ok('LIST "" INBOX'))["INBOX"]


def test_subscribed_with_recursivematch_is_example_8_of_the_rfc(tree):
    r = tree.ok('LIST (SUBSCRIBED) "" *')
    assert set(names(r)) == {"foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2"} and all("\\Subscribed" in a for a in attributes(r).values())
    r = tree.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" *2')
    assert childinfo(r) == {"foo2": ["SUBSCRIBED"], "eps2": ["SUBSCRIBED"]}
    assert set(names(r)) == {"foo2", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "qux2/bar2"} and "\\Subscribed" not in attributes(r)["foo2"]
    r = tree.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" %')
    assert childinfo(r) == {n: ["SUBSCRIBED"] for n in ("foo2", "baz2", "eps2", "qux2")}


def test_a_subscribed_name_outlives_its_mailbox(tree):
    tree.ok("DELETE foo2/bar1")
    tree.ok("DELETE foo2/bar2")
    r = tree.ok('LIST (SUBSCRIBED) "" foo2/*')
    assert set(names(r)) == {"foo2/bar1", "foo2/bar2"} and all({"\\Subscribed", "\\NonExistent"} <= a for a in attributes(r).values())
    r = tree.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" foo2 RETURN (CHILDREN)')
    assert childinfo(r) == {"foo2": ["SUBSCRIBED"]} and "\\HasNoChildren" in attributes(r)["foo2"]
    tree.ok("DELETE foo2")
    r = tree.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" foo2')
    assert childinfo(r) == {"foo2": ["SUBSCRIBED"]} and "\\NonExistent" in attributes(r)["foo2"]
    assert "foo2/bar1" in names(tree.ok('LSUB "" *'), "LSUB") and "foo2/bar1" not in names(tree.ok('LIST "" *'))
    tree.ok("UNSUBSCRIBE foo2/bar1")
    assert "foo2/bar1" not in names(tree.ok('LSUB "" *'), "LSUB")


def test_lsub_with_percent_names_the_parent_of_what_is_subscribed(tree):
    a = attributes(tree.ok('LSUB "" %'), "LSUB")
    assert set(a) == {"foo2", "baz2", "eps2", "qux2"} and "\\Noselect" in a["foo2"] and "\\Noselect" not in a["eps2"]
    tree.ok("DELETE qux2/bar2")
    tree.cmd("DELETE qux2")
    assert "\\Noselect" in attributes(tree.ok('LSUB "" %'), "LSUB")["qux2"]


def test_return_options_add_what_they_name(tree):
    r = tree.ok('LIST "" % RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE DELETED HIGHESTMODSEQ))')
    a = attributes(r)
    assert "\\Subscribed" in a["eps2"] and "\\Subscribed" not in a["foo2"] and "\\Sent" in a["Sent"]
    status = {u.value[0]: u.value[1] for u in r.all("STATUS")}
    assert set(status) == set(a) and set(status["INBOX"]) == {"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "DELETED", "HIGHESTMODSEQ"}
    assert names(tree.ok('LIST "" eps2 RETURN ()')) == ["eps2"]


def test_status_follows_its_list_and_counts(server, person):
    c = server.imap(person)
    mail = message()
    c.append("Archive", mail, "\\Seen \\Deleted")
    c.append("Archive", mail)
    r = c.ok('LIST "" Archive RETURN (STATUS (MESSAGES UNSEEN SIZE DELETED UIDNEXT RECENT))')
    assert [u.name for u in r.untagged] == ["LIST", "STATUS"]
    assert r.one("STATUS").value[1] == {"MESSAGES": "2", "UNSEEN": "1", "SIZE": str(2 * len(mail)), "DELETED": "1", "UIDNEXT": "3", "RECENT": "0"}


def test_special_use_selects_what_has_one(tree):
    r = tree.ok('LIST (SPECIAL-USE) "" *')
    assert {n: a & {"\\Drafts", "\\Sent", "\\Trash", "\\Junk", "\\Archive"} for n, a in attributes(r).items()} == {n: {"\\" + n} for n in DEFAULT - {"INBOX"}}
    assert names(tree.ok('LIST (SPECIAL-USE SUBSCRIBED) "" *')) == []
    tree.ok("CREATE more (USE (\\Archive))")
    assert "\\Archive" in attributes(tree.ok('LIST (SPECIAL-USE) "" more'))["more"]
    assert tree.no("CREATE odd (USE (\\All))").code_name == "USEATTR" and tree.no("CREATE odd (USE (\\Nonsense))").code_name == "USEATTR"


def test_remote_adds_nothing_where_nothing_is_remote(tree):
    assert names(tree.ok('LIST (REMOTE) "" f%')) == ["foo2"]
    assert names(tree.ok('LIST (REMOTE SUBSCRIBED) "" eps2')) == ["eps2"]


@pytest.mark.parametrize("text", ["", '""', '"" * *', "(RECURSIVEMATCH) \"\" *", "(REMOTE RECURSIVEMATCH) \"\" *", "(NONSENSE) \"\" *", '"" * RETURN', '"" * RETURN NONSENSE', '"" * RETURN (NONSENSE)', '"" ()', '"" (a', '"" * RETURN (STATUS)',
                                  '"" * RETURN (STATUS ())', '"" * RETURN (STATUS (FOO))', '"" * RETURN (CHILDREN', '(SUBSCRIBED "" *', '"" *RETURN (CHILDREN)'])
def test_a_malformed_list_is_bad(tree, text):
    tree.bad("LIST " + text)
    tree.ok("NOOP")


def test_patterns_that_could_explode_do_not(server, person):
    c = server.imap(person)
    deep = "/".join(["a" * 100] * 20)
    c.ok("CREATE " + deep)
    cpu = server.cpu()
    for pattern in ("*a" * 2000 + "b", "%a" * 2000 + "b", "*%" * 10000 + "b", "*a%a" * 1000 + "/b", "%/" * 5000, "*" * 60000):
        assert "b" not in "".join(n for n in names(c.ok('LIST "" ' + pattern)) if n.startswith("a"))
    assert server.cpu() - cpu < 3


def test_names_come_in_utf7_or_utf8_as_the_client_chose(server, person):
    c = server.imap(person)
    c.ok("CREATE &U,BTFw-/&ZeVnLIqe-")
    assert names(c.ok('LIST "" "&U,BTFw-/%"')) == ["&U,BTFw-/&ZeVnLIqe-"]
    d = server.imap(person)
    d.ok("ENABLE IMAP4rev2")
    d.utf8 = True
    assert names(d.ok('LIST "" "台北/%"')) == ["台北/日本語"]
    assert names(d.ok('LIST "" "&U,BTFw-/%"')) == []
    d.ok('CREATE "Q&A"')
    assert "Q&-A" in names(c.ok('LIST "" Q*')) and c.ok("SELECT Q&-A").status == "OK"


def test_a_name_in_another_normal_form_is_the_same_name(server, person):
    c = server.imap(person)
    c.ok("ENABLE UTF8=ACCEPT")
    c.utf8 = True
    c.ok('CREATE "Entwu\u0308rfe"')
    assert names(c.ok('LIST "" "Entw*"')) == ["Entwürfe"] == names(c.ok('LIST "" "Entwu\u0308rfe"')) == names(c.ok('LIST "" "Entwürf%"'))
    assert c.no('CREATE "Entwürfe"').code_name == "ALREADYEXISTS"
    c.ok('SELECT "Entwu\u0308rfe"')


def test_xlist_is_accepted_never_announced_and_names_the_uses_its_way(server, person):
    c = server.imap(person)
    assert "XLIST" not in c.capabilities()
    a = attributes(c.ok('XLIST "" *'), "XLIST")
    assert "\\Inbox" in a["INBOX"] and "\\Sent" in a["Sent"] and "\\Spam" in a["Junk"]


def test_namespaces_are_told_and_shared_mailboxes_stand_in_them(server, person, another):
    c = server.imap(another)
    n = c.ok("NAMESPACE").one("NAMESPACE").value
    assert [[list(p) for p in kind] for kind in n] == [[[b"", b"/"]], [[b"Other Users/", b"/"]], [[b"Shared/", b"/"]]]
    assert not any(x.startswith(("Other Users", "Shared")) for x in names(c.ok('LIST "" *')))
    server.imap(person).ok("CREATE Team/Plans")
    server.ctl("grant", "set", person + "/Team/Plans", another, "lr")
    a = attributes(c.ok('LIST "" "Other*"'))
    assert set(a) == {"Other Users", "Other Users/" + person, "Other Users/%s/Team" % person, "Other Users/%s/Team/Plans" % person}
    assert "\\Noselect" in a["Other Users"] and "\\Noselect" in a["Other Users/%s/Team" % person] and "\\Noselect" not in a["Other Users/%s/Team/Plans" % person]
    assert names(c.ok('LIST "" "Other Users/%/%"')) == ["Other Users/%s/Team" % person]
    c.no('SELECT "Other Users/%s/Team"' % person)
    c.ok('SELECT "Other Users/%s/Team/Plans"' % person)


def test_a_shared_mailbox_stands_under_shared(server):
    c = server.imap("sari")
    assert "Shared/info@kantor.example/INBOX" in names(c.ok('LIST "" "Shared/*"'))
    c.ok("SELECT Shared/info@kantor.example/INBOX")
    assert names(server.imap("andi").ok('LIST "" "Shared*"')) == []
