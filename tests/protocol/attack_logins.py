"""Wrong-login storms: the guesser waits, everybody else does not (attacks.md AC-01, AC-12, AC-13)."""
import base64

import pytest

from kantor import Bystander, plain

MEGABYTE = 1048576


@pytest.mark.slow
def test_a_storm_of_wrong_logins_is_answered_alike_and_leaves_others_in_peace(server):
    before = server.rss()
    with Bystander(server, "dewi"):
        storm = []
        for n in range(60):
            c = server.imap(dribble=False)
            line = "LOGIN nobody%d@kantor.example wrong%d" % (n % 20, n) if n % 2 else "AUTHENTICATE PLAIN " + base64.b64encode(plain("rina@cabang.example", "w%d" % (n % 3))(None)).decode()
            storm.append((c, c.start(line)))
        said = {(r.status, r.code_name) for r in (c.collect(tag) for c, tag in storm)}
    assert said <= {("NO", "AUTHENTICATIONFAILED"), ("NO", "UNAVAILABLE"), ("BAD", None)} and ("NO", "AUTHENTICATIONFAILED") in said, said
    assert server.rss() - before < 64 * MEGABYTE
