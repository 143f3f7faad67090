"""A real client's bytes, said again: what is sent goes out exactly as written, and the answer is looked at line by line.

    c = server.imap()
    say(c, b"a1 LIST \"\" \"\"\r\n", r'\\* LIST \\(\\\\Noselect\\) "/" ""', r"a1 OK")
"""
import re

from .dialogue import ProtocolError


def say(d, data, *patterns):
    """Sends the octets, then reads lines until the last pattern has matched; the patterns must match in order, other lines may stand between them. Gives all lines as text.
    A pattern that begins with `!` must match no line before the next match."""
    if data:
        d.send(data)
    lines, forbidden = [], []
    for p in patterns:
        if p.startswith("!"):
            forbidden.append(p[1:])
            continue
        while True:
            try:
                line = d.line().decode("utf-8", "replace")
            except ProtocolError as e:
                raise AssertionError("%r did not come; there was:\n%s\n%s" % (p, "\n".join(lines), e))
            lines.append(line)
            for f in forbidden:
                assert not re.match(f, line), "%r must not come: %r" % (f, line)
            if re.match(p, line):
                break
            assert line.startswith("* ") or not re.match(r"\S+ (BAD|NO) |[45]\d\d |-ERR", line), "%r expected, not %r" % (p, line)
        forbidden = []
    return lines
